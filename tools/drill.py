"""Does everything survive what can happen to it? Breaks real parts on purpose, and counts.

`python -m tools.drill [NAME ...] [--short]` runs drills, all by default; `--list` names them.
A name may also be the number of the experiment, such as `F4`.
`seeds --seed N` plays one seed of the simulation again and tells what is wrong with it.
Evidence goes to `artifacts/<drill>/`; ends with 1 if a drill failed, and with 3 if none failed but
one could not be done here, which is no pass either.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from tools.drills import (
    control,
    hostile,
    models,
    pods,
    power,
    questions,
    risk,
    simulation,
    versions,
)
from tools.drills.report import Outcome

CANNOT: Final = 3


class Run(Protocol):
    """Does one drill: fills in the outcome, works in the folder."""

    def __call__(self, outcome: Outcome, folder: Path, *, short: bool, seed: int) -> None:
        """Do it; whatever is raised is a failure too."""


@dataclass(frozen=True)
class Drill:
    """One drill by its name."""

    codes: str
    what: str
    run: Run


DRILLS: Final[dict[str, Drill]] = {
    "once": Drill("F1", "the same order and command a hundred times", control.once),
    "seeds": Drill("F2", "everything breaks, in one thread, by seed", simulation.seeds),
    "pods": Drill("F3", "kill -9 of each pod at each point of its work", pods.kill_pods),
    "server": Drill("F4", "kill -9 of the NATS server under load", pods.kill_server),
    "power": Drill("F5", "the power goes while the server writes", power.power),
    "torn": Drill("F13", "the journal's tail is torn off at every byte", simulation.torn),
    "hostile": Drill("F17", "a contender says whatever its key lets it say", hostile.hostile),
    "questions": Drill("F17", "strangers ask whatever bytes can say", questions.questions),
    "models": Drill("F19 F32", "hostile bundles beside honest ones", models.models),
    "kill": Drill("F20", "a kill switch under load", control.kill_switch),
    "without": Drill("F21", "governance, server or risk is gone", control.without),
    "runaway": Drill("F22", "a contender wishes for 10,000 orders a second", risk.runaway),
    "limits": Drill("F23", "64 orders race for the last unit of a limit", risk.limits),
    "versions": Drill("F27", "a rolling update, two builds alive", versions.versions),
    "copies": Drill("F28", "two copies of one pod", pods.copies),
}


def run(name: str, *, short: bool, seed: int) -> Outcome:
    """Run one drill, whatever happens in it."""
    drill = DRILLS[name]
    outcome = Outcome(name, drill.codes, "", is_short=short)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"drill-{name}-") as folder:
        try:
            drill.run(outcome, Path(folder), short=short, seed=seed)
        except Exception as error:  # noqa: BLE001 - a drill that breaks has failed, the next runs
            traceback.print_exc()
            outcome.problems.append(f"the drill broke: {error!r}")
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def _named(word: str) -> list[str]:
    """Return the drills of a number, or the word itself."""
    code = word.upper()
    return [name for name, drill in DRILLS.items() if code in drill.codes.split()] or [word]


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tools.drill", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="drills, by name or number (default: all)"
    )
    parser.add_argument("--short", action="store_true", help="a smaller form of each")
    parser.add_argument("--seed", type=int, default=None, help="where chance begins")
    parser.add_argument("--list", action="store_true", help="name the drills and leave")
    chosen = parser.parse_args()
    if chosen.list:
        for name, drill in DRILLS.items():
            print(f"{name:10} {drill.codes:8} {drill.what}")
        return 0
    names = [name for word in chosen.names for name in _named(word)]
    unknown = [name for name in names if name not in DRILLS]
    if unknown:
        parser.error(f"no drill {unknown[0]!r}; see --list")
    if names == ["seeds"] and chosen.seed is not None:
        return simulation.show(chosen.seed)
    failed = missing = 0
    for name in names or DRILLS:
        outcome = run(name, short=chosen.short, seed=chosen.seed or 0)
        print(outcome.line(), flush=True)
        outcome.keep()
        missing += bool(outcome.cannot)
        failed += not outcome.passed and not outcome.cannot
    if missing:
        print(f"{missing} drills could not be done here, and have not passed")
    print(f"{failed} drills failed" if failed else "no drill failed")
    return 1 if failed else CANNOT if missing else 0


if __name__ == "__main__":
    sys.exit(main())
