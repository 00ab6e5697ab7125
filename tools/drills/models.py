"""F19, F32: can a bundle harm the pod that serves models, or those who ask it?

A real serving pod in a process of its own, every graph in another. Bundles that must be refused are
wished for while others ask; bundles that every check was made to let through are asked themselves.
Then strangers ask everything that bytes can say. `benchmarks/hostile.py` measures the same, longer.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
from pathlib import Path
from typing import Final, Self

from benchmarks.hostile import CONTAINED, CONTAINED_SECONDS, RATIO_MAX, Found, measure
from benchmarks.serving_kit import pod
from titanflow.adapters.bundles.refusal import Step
from tools.drills.questions import Corpus, Heard, ask_all, tell
from tools.drills.report import Outcome as Result

ROUNDS: Final = 5
HALF_SECONDS: Final = 2.0
SHORT_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 0.05
MEMORY_MAX: Final = 2 << 30
"""Most memory of the pod and all that it started: one graph may wish for 16 GB."""
STEPS: Final = {
    "unsigned": Step.SIGNATURE, "tampered": Step.HASH, "pickle": Step.GRAPH,
    "random operator": Step.GRAPH, "external data": Step.GRAPH,
}  # fmt: skip
"""Where the rest of the line of checks must not be reached."""
QUESTIONS: Final = 2_000


class Memory:
    """Watches how much memory our child processes have together."""

    def __init__(self) -> None:
        self.most = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            self.most = max(self.most, _memory_below(os.getpid()))


def _memory_below(root: int) -> int:
    """Return the resident bytes of all descendants of a process."""
    parents, sizes = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            rest = (path / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(path.name)
        parents[pid], sizes[pid] = int(rest[1]), int(rest[21])
    total = 0
    for pid, size in sizes.items():
        above: int | None = parents[pid]
        while above and above != root:
            above = parents.get(above)
        total += size if above == root else 0
    return total * os.sysconf("SC_PAGESIZE")


def models(outcome: Result, folder: Path, *, short: bool, seed: int) -> None:
    """Throw every hostile bundle at a pod that others ask; then ask it everything."""
    outcome.pass_figure = (
        f"each refused or contained within {CONTAINED_SECONDS:g} s; every other request answered, "
        f"p99 at most {RATIO_MAX:g} times the control's; memory at most {MEMORY_MAX >> 30} GiB"
    )
    found: list[Found] = []
    rounds, seconds = (1, SHORT_SECONDS) if short else (ROUNDS, HALF_SECONDS)
    heard, count = Heard(), QUESTIONS // 10 if short else QUESTIONS
    with pod("benchmarks.hostile", folder) as target, Memory() as memory:
        failed = asyncio.run(measure(target, folder, found.append, rounds, seconds))
        asyncio.run(ask_all([target], Corpus(random.Random(seed)), count, heard))
    tell(outcome, heard, count)
    refused = [each for each in found if each.step != CONTAINED]
    outcome.counts |= {
        "refused": sum(bool(each.step) for each in refused),
        "contained": len(found) - len(refused),
        "longest s": max(each.longest for each in found),
        "others without an answer": failed,
        "others' p99 ratio, worst median": max(each.ratio for each in found),
        "memory MiB": memory.most >> 20,
    }
    outcome.notes = [each.line() for each in found]
    outcome.demand("a hostile bundle was let in", all(each.step for each in refused))
    for each in refused:
        wanted = STEPS.get(each.kind)
        what = f"{each.kind} was refused at step {each.step}, not {wanted}"
        outcome.demand(what, wanted is None or each.step == wanted)
    outcome.demand("others had no answer", failed == 0)
    outcome.demand("memory grew", 0 < memory.most <= MEMORY_MAX)
    if not short:  # short rounds have too few requests for a p99, and CI other work
        slow = [each.line().strip() for each in found if each.misses]
        outcome.demand(f"bars were missed: {slow}", not slow)
