"""How does somebody press a kill switch in a simulation? By a list of requests with their times.

The file is a YAML list; each item has `at` (RFC 3339), `scope`, `name`, `engaged`, `by`, and, as
needed, `instruments`, `action`, `reason`, `resetToken`. The requests are inputs: they are recorded
like bars, and a replay repeats them.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import yaml

from titanflow.core.base.errors import Problem, SpecError
from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.base.instant import parse_instant
from titanflow.core.facts import KillSwitch
from titanflow.core.spec.words import KillAction, KillScope

CONTROLS_BYTES_MAX = 1 << 20
CONTROLS_MAX = 1000


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    at: str
    scope: KillScope
    engaged: bool
    by: str
    name: str = ""
    instruments: tuple[str, ...] = ()
    action: KillAction = KillAction.CANCEL_ALL
    reason: str = ""
    reset_token: str = ""


def load_controls(path: Path) -> tuple[KillSwitch, ...]:
    """Return the requests of a file, ordered by time.

    Raises: SpecError if the file cannot be read or an item is wrong.
    """
    try:
        requests = [_fact(number, item) for number, item in enumerate(_read(path))]
    except (OSError, ValueError, yaml.YAMLError, msgspec.ValidationError) as error:
        do = "write a YAML list of requests; see docs/risk.md"
        raise SpecError([Problem(str(error), str(path), do)]) from error
    return tuple(sorted(requests, key=lambda fact: fact.at))


def _read(path: Path) -> list[_Request]:
    with path.open("rb") as file:
        content = file.read(CONTROLS_BYTES_MAX + 1)
    if len(content) > CONTROLS_BYTES_MAX:
        raise ValueError(f"more than {CONTROLS_BYTES_MAX} bytes")
    items = msgspec.convert(yaml.safe_load(content), list[_Request])
    if len(items) > CONTROLS_MAX:
        raise ValueError(f"more than {CONTROLS_MAX} requests")
    return items


def _fact(number: int, item: _Request) -> KillSwitch:
    at = parse_instant(item.at)
    return KillSwitch(
        derive(NO_ID, b"control", number),
        NO_ID,
        at,
        at,
        item.scope,
        item.name,
        engaged=item.engaged,
        instruments=item.instruments,
        action=item.action,
        reason=item.reason,
        by=item.by,
        reset_token=item.reset_token,
    )
