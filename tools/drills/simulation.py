"""F2, F13: what a simulation in one thread can say. Seeds of faults, and torn journals."""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

from titanflow.adapters.codec import InputRef
from titanflow.runtime.journal import Reader, TornTail, resume
from titanflow.runtime.scribe import record_of, recorded
from tools.drills.report import Outcome
from tools.drills.seeds import Seeds, turns_in
from tools.drills.world import Faults, play

SEEDS: Final = 10_000
SEEDS_SHORT: Final = 400
BATCH: Final = 100
LAST_RECORDS: Final = 9
"""The closing record and a block stand behind the last three turns and their facts."""


def _batch(first: int) -> tuple[Counter[str], list[str]]:
    """Play a batch of seeds in a process of its own."""
    counts: Counter[str] = Counter()
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="drill-seeds-") as folder:
        player = Seeds(Path(folder))
        for seed in range(first, first + BATCH):
            verdict = player.play(seed)
            counts += verdict.counts
            problems += [str(verdict)] if verdict.problems else []
    return counts, problems


def seeds(outcome: Outcome, folder: Path, *, short: bool, seed: int) -> None:
    """Play many seeds; each is judged by streams, journal, invariants and a calm run."""
    del folder
    count = SEEDS_SHORT if short else SEEDS
    outcome.pass_figure = f"{count} seeds: 0 lost, 0 double, 0 drift, every turn said again"
    counts: Counter[str] = Counter()
    done = 0
    with ProcessPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as workers:
        for told, problems in workers.map(_batch, range(seed, seed + count, BATCH)):
            counts += told
            done += BATCH
            outcome.problems += problems
            if sys.stderr.isatty() or problems:
                print(f"{done} seeds, {len(outcome.problems)} failed", *problems, file=sys.stderr)
    shown = ("lost", "double", "changed", "drift", "orders", "fills", "entries", "power cut")
    shown += ("server died", "second copy", "gone", "freeze")
    outcome.counts = {"seeds": done, "failed": len(outcome.problems)}
    outcome.counts |= {name: counts[name] for name in shown}
    outcome.counts["killed"] = sum(n for name, n in counts.items() if name.startswith("killed"))


def show(seed: int) -> int:
    """Play one seed and tell all that is wrong with it; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="drill-seed-") as folder:
        verdict = Seeds(Path(folder)).play(seed)
    print(f"seed {seed}: {verdict.faults}")
    print(f"counts: {dict(verdict.counts)}")
    print(f"journal: {verdict.digest or 'none'}")
    for problem in verdict.problems:
        print(f"wrong: {problem}")
    return 1 if verdict.problems else 0


# F13


def torn(outcome: Outcome, folder: Path, *, short: bool, seed: int) -> None:
    """Cut a journal at every byte of its last records; it must go on to the same digest."""
    outcome.pass_figure = "every cut recovers to the last whole turn and closes with its old digest"
    player = Seeds(folder / "arena")
    cuts = wrong = 0
    for kind in ("colocated",) if short else ("colocated", "split", "whole"):
        world = play(player.plan, folder / "world", seed, Faults(kind=kind))
        journal = world.session.journal
        whole = journal.read_bytes()
        turns = {
            (name, n): turn for name, all_of in turns_in(world).items()
            for n, turn in enumerate(all_of, 1)
        }  # fmt: skip
        ends, order, digest = _layout(journal)
        for size in range(ends[-LAST_RECORDS - 1], len(whole) + 1):
            cuts += 1
            journal.write_bytes(whole[:size])
            writer, found = resume(journal)
            for stream, sequence in order[len(found) :]:
                turn = turns[stream, sequence]
                writer.turn(record_of(InputRef(stream, sequence), turn), recorded(turn.facts))
            if writer.close() != digest or journal.read_bytes() != whole:
                wrong += 1
                outcome.problems.append(f"{kind}: cut at byte {size} of {len(whole)}")
    outcome.counts = {"cuts": cuts, "wrong": wrong}
    outcome.demand("no cut was made", cuts > 0)


def _layout(journal: Path) -> tuple[list[int], list[tuple[str, int]], str]:
    """Return where each record ends, which message each turn is, and the digest."""
    from titanflow.runtime.recompute import turns_of

    reader = Reader(journal)
    ends = [record.offset for record in _records(reader)]
    ends.append(journal.stat().st_size)
    order = [(record.stream, record.sequence) for record, _ in turns_of(journal)]
    return ends, order, reader.digest


def _records(reader: Reader) -> Iterator[object]:
    try:
        yield from reader.records()
    except TornTail as error:
        raise AssertionError("the whole journal is torn") from error
