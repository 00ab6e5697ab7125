"""How does somebody press a kill switch in a simulation? By a list of requests with their times.

The file is a YAML list; each item has `at` (RFC 3339), `scope`, `name`, `engaged`, `by`, and, as
needed, `instruments`, `action`, `reason`, `resetToken`. The requests are inputs: they are recorded
like bars, and a replay repeats them. Mistakes are told as those of manifests are: all at once, each
with its line, its path and the nearest word that would have been right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from titanflow.adapters.registry.document import FILE_BYTES_MAX, Flaw, Node, documents
from titanflow.adapters.registry.salvage import Salvage
from titanflow.adapters.registry.words import Fault, Place, nearest, path_of
from titanflow.core.base.errors import NotFoundError, Problem, SpecError
from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.base.instant import parse_instant
from titanflow.core.facts import KillSwitch
from titanflow.core.spec.request import RequestSpec
from titanflow.core.spec.words import KillScope

CONTROLS_MAX = 1000

Known = Mapping[KillScope, Sequence[str]]
"""What can be stopped, by scope; under Instrument the symbols of the arena."""


def load_controls(path: Path, known: Known | None = None) -> tuple[KillSwitch, ...]:
    """Return the requests of a file, ordered by time.

    With *known*, a request must name what is there.

    Raises: SpecError with every mistake.
    """
    problems: list[Problem] = []
    requests: list[RequestSpec] = []
    for number, node in enumerate(_items(path)):
        salvage = Salvage(RequestSpec, node.plain(), f"[{number}]")
        faults = list(salvage.judge())
        if salvage.value is not None:
            unknown = _unknown(salvage.value, known or {}, f"[{number}]")
            faults += [f for f in unknown if not salvage.hides(f.place, f.what)]
            requests.append(salvage.value)
        for fault in sorted(faults, key=lambda f: node.line_of(f.place[1:])):
            where = f"{path}:{node.line_of(fault.place[1:])}: {path_of(fault.place)}"
            problems.append(Problem(fault.what, where, fault.do))
    if problems:
        raise SpecError(problems)
    facts = [_fact(number, request) for number, request in enumerate(requests)]
    return tuple(sorted(facts, key=lambda fact: fact.at))


def _items(path: Path) -> list[Node]:
    """Return the items of the list in a file.

    Raises: SpecError if it cannot be read, or is no list.
    """
    do = "write a YAML list of requests; see docs/risk.md"
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError as error:
        raise NotFoundError([Problem("no such file", str(path), do)]) from error
    except OSError as error:
        what = f"it cannot be read: {error.strerror}"
        raise SpecError([Problem(what, str(path), do)]) from error
    found = list(documents(content))
    flaws = [f for f in found if isinstance(f, Flaw)]
    if flaws:
        raise SpecError([Problem(f.what, f"{path}:{f.line}", f.do or do) for f in flaws])
    nodes = [node for node in found if isinstance(node, Node)]
    if not nodes:
        return []
    items = nodes[0].parts
    if len(nodes) > 1 or not isinstance(items, list):
        what = "one list is expected" if len(nodes) == 1 else "one document is expected"
        raise SpecError([Problem(what, f"{path}:{nodes[-1].line}", do)])
    if len(items) > CONTROLS_MAX:
        what = f"more than {CONTROLS_MAX:,} requests"
        raise SpecError([Problem(what, f"{path}:{items[CONTROLS_MAX].line}", "write fewer")])
    return items


def _unknown(request: RequestSpec, known: Known, base: str) -> Iterator[Fault]:
    """Yield where a request names what is not there."""
    names = known.get(request.scope)
    if names is not None and request.name and request.name not in names:
        what = f"no {request.scope.lower()} is called {request.name!r}"
        yield Fault((base, "name"), what, nearest(request.name, names))
    symbols = known.get(KillScope.INSTRUMENT)
    for number, symbol in enumerate(request.instruments):
        if symbols is not None and symbol not in symbols:
            place: Place = (base, "instruments", number)
            yield Fault(place, f"{symbol} is not traded here", nearest(symbol, symbols))


def _fact(number: int, request: RequestSpec) -> KillSwitch:
    at = parse_instant(request.at)
    return KillSwitch(
        derive(NO_ID, b"control", number),
        NO_ID,
        at,
        at,
        request.scope,
        request.name,
        engaged=request.engaged,
        instruments=request.instruments,
        action=request.action,
        reason=request.reason,
        by=request.by,
        reset_token=request.reset_token,
    )
