"""F27: may two builds be alive at once? Every pod is rolled to a later build and back.

The later build is a copy of this tree whose turns hold a field that this one does not know, as a
later minor version of the wire has. Pods of both builds hear each other, and recover each other's
turns.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tools.drills.pods import judge_session
from tools.drills.report import Outcome
from tools.drills.stage import Drilled, deadline, drive, set_up, stored_bytes
from tools.tree import ROOT

LATER: Final = b"\x82\x7d\x05later"
"""Field 2000 of a turn, a string: nobody knows it yet."""
_END: Final = "    return body + _trailer(body)\n"
BETWEEN: Final = 12
"""Market messages between two steps."""


def later_build(folder: Path) -> Path:
    """Return a copy of the tree that speaks a later minor version of the wire."""
    skip = shutil.ignore_patterns("__pycache__", "*.c")
    for name in ("services", "native", "proto"):
        shutil.copytree(ROOT / name, folder / name, ignore=skip)
    codec = folder / "services/titanflow/adapters/codec.py"
    text = codec.read_text("utf-8")
    assert text.count(_END) == 1, "the codec has changed: the later build cannot be made"
    codec.write_text(text.replace(_END, f"    body += {LATER!r}\n{_END}"), "utf-8")
    return folder


class _Roller:
    """Rolls one pod after another, each when the market has gone on for a while."""

    def __init__(self, supervisor: Drilled, later: Path, rounds: int) -> None:
        names = [p.name for p in supervisor.topology.pods if p.stages or p.role == "gateway"]
        self._steps = [
            (name, build) for _ in range(rounds) for build in (later, None) for name in names
        ]
        self.done = 0
        self._supervisor, self._check, self._number = supervisor, deadline(400), 0

    def watch(self) -> None:
        """Take the next step, if it is time."""
        self._check()
        number = int(str(self._supervisor.states.get("gateway", {}).get("number", 0)))
        if self.done < len(self._steps) and number >= self._number + BETWEEN:
            if self._supervisor.rolling:
                return
            self._number = number
            self._supervisor.roll(*self._steps[self.done])
            self.done += 1

    @property
    def is_complete(self) -> bool:
        """Say whether every step was taken."""
        return self.done == len(self._steps)


def versions(outcome: Outcome, folder: Path, *, short: bool, seed: int) -> None:
    """Roll every pod forth and back while the session goes on."""
    del seed
    outcome.pass_figure = "0 lost, 0 double, 0 drift; turns of both builds in every stream"
    later = later_build(folder / "later")
    setting = set_up(folder, 1500 if short else 3000)
    supervisor = Drilled(setting.begin())
    roller = _Roller(supervisor, later, 1 if short else 3)
    drive(setting, supervisor, roller.watch)
    judge_session(outcome, setting, supervisor)
    told = stored_bytes(supervisor.session, supervisor.topology)
    is_later: Callable[[bytes], bool] = lambda data: LATER in data[-32:]  # noqa: E731 - one word
    counts = {name: [sum(map(is_later, all_of)), len(all_of)] for name, all_of in told.items()}
    outcome.counts |= {
        "steps": roller.done,
        "turns of the later build": sum(later for later, _ in counts.values()),
        "turns": sum(whole for _, whole in counts.values()),
        "faults": sum(n for (_, code), n in supervisor.codes.items() if code != 0),
    }
    outcome.demand("not every pod was rolled", roller.is_complete)
    outcome.demand("a pod stopped by itself", outcome.counts["faults"] == 0)
    for name, (some, whole) in counts.items():
        outcome.demand(f"{name} holds turns of one build only", not whole or 0 < some < whole)
