"""Does a contender say the same in another process, on another day? A child process is asked.

Within one process much looks determined that is not: the order of a set of words, `hash()` of a
text, the process id, the date. The child has other hashes and another number, and the contender's
modules see a clock that is more than a year ahead. What it says after each bar must be the same.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time as real_time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from titanflow.core.contender.checks import CheckResult, heard_digests, run_checks
from titanflow.runtime.plan import Plan, prepare

NAME: Final = "says-the-same-elsewhere"
CHILD_SECONDS: Final = 120.0
AHEAD_SECONDS: Final = 400 * 86_400 + 5 * 3_600
"""How far the child's clock is ahead: another year, month, weekday and hour."""
SEEDS: Final = ("1", "2")
"""Hash seeds for the child; the first that is not our own is taken."""
TOLD_MAX: Final = 300
"""Characters of the child's last words."""
DO: Final = (
    "take time from view.at and chance from view.chance(), sort what comes from a set, "
    "and do without hash() and id()"
)


def check_contender(plan: Plan, name: str) -> list[CheckResult]:
    """Return the result of every check of one contender, those in this process first.

    Raises: SpecError if no contender has this name, or its data is too short.
    """
    make, bars = plan.casting(name)
    results = run_checks(make, bars, plan.predictor())
    try:
        here = heard_digests(make, bars, plan.predictor())
    except Exception:  # noqa: BLE001 - the checks above have told what it raises
        return results
    text = _compare(here, plan.folder, name)
    return [*results, CheckResult(NAME, not text, text)]


def _compare(here: list[str], folder: Path, name: str) -> str:
    seed = next(each for each in SEEDS if each != os.environ.get("PYTHONHASHSEED"))
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", __name__, str(folder), name],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CHILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"another process did not come to its end in {CHILD_SECONDS:g} s"
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        return f"another process ended with {done.returncode}: {words[-1][:TOLD_MAX]}"
    there = done.stdout.decode("ascii", errors="replace").split()
    if here == there:
        return ""
    pairs = zip(here, there, strict=False)
    at = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(here), len(there)))
    return f"another process, on another day, says something else at bar {at}; {DO}"


# What follows runs in the child.


def main() -> int:
    """Play, and write a digest for each bar to what was the standard output."""
    answer = os.dup(1)
    os.dup2(2, 1)  # a contender may print; its words are no answer
    folder, name = Path(sys.argv[1]), sys.argv[2]
    plan = prepare(folder, None)
    make, bars = plan.casting(name)
    predictor = plan.predictor()
    _move_clocks(plan.folder)
    told = "\n".join(heard_digests(make, bars, predictor))
    with os.fdopen(answer, "w", encoding="ascii") as file:
        file.write(told)
    return 0


def _move_clocks(folder: Path) -> None:
    """Let the modules below *folder*, and what they will import, see a clock that is ahead."""
    moved, folder = _moved(), folder.resolve()  # -f may name a relative place, or a link
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and Path(file).resolve().is_relative_to(folder):
            for name, value in list(vars(module).items()):
                if id(value) in moved:
                    setattr(module, name, moved[id(value)])
    sys.modules["time"] = moved[id(real_time)]
    sys.modules["datetime"] = moved[id(dt)]


def _moved() -> dict[int, Any]:
    """Return, by the identity of what tells the time, the same of another day."""
    time, datetime = ModuleType("time"), ModuleType("datetime")
    vars(time).update(vars(real_time))
    vars(datetime).update(vars(dt))
    found: dict[int, Any] = {id(real_time): time, id(dt): datetime}

    def move(name: str, later: Callable[..., Any]) -> None:
        found[id(getattr(real_time, name))] = later
        setattr(time, name, later)

    move("time", lambda: real_time.time() + AHEAD_SECONDS)
    move("time_ns", lambda: real_time.time_ns() + AHEAD_SECONDS * 10**9)
    for name in ("localtime", "gmtime", "ctime"):
        real = getattr(real_time, name)
        move(name, lambda at=None, real=real: real(time.time() if at is None else at))
    ahead = dt.timedelta(seconds=AHEAD_SECONDS)

    class Moment(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Moment:
            later = dt.datetime.now(tz) + ahead
            return cls.fromtimestamp(later.timestamp(), tz)

        @classmethod
        def utcnow(cls) -> Moment:
            return cls.now(dt.UTC).replace(tzinfo=None)

        @classmethod
        def today(cls) -> Moment:
            return cls.now()

    class Day(dt.date):
        @classmethod
        def today(cls) -> Day:
            later = dt.date.today() + ahead  # noqa: DTZ011 - what it is asked for
            return cls(later.year, later.month, later.day)

    for kind, later in ((dt.datetime, Moment), (dt.date, Day)):
        found[id(kind)] = later
        setattr(datetime, kind.__name__, later)
    return found


if __name__ == "__main__":
    sys.exit(main())
