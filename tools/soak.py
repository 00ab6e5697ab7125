"""Do pods that run for long keep their memory and their books, however often they are killed?

    python -m tools.soak [--minutes N] [--rate N] [--shape split] [--kill-every N] [--seed N]

Runs the pods of one session on a real server, as `titanflow up` does, on a generated market at a
steady rate. In the first three tenths of the time pods are killed (SIGKILL), now one, now another,
as the seed says; then there is calm, in which memory is measured: what `/proc` says of each pod
twice a second, from four minutes after the last kill on, when what is remembered for minutes only
is forgotten again. Growth is the slope of Theil and Sen (Sen 1968) through medians of ten seconds:
one step of an allocator does not move it, a leak does.
When the market has ended, every turn of every pod is derived again (`verify`), and every book is
computed anew from the fills alone (`reconcile`). Ends with 1 when a book drifts, a turn is not what
its pod says, or a pod's memory grows by 2 % an hour or more; below ten minutes of calm growth is
only told.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

from benchmarks.lab import ARENA, BAR_NS, CONTENDER, DICE, bars, machine
from titanflow.core.base.instant import format_instant
from titanflow.core.facts import Bar
from titanflow.runtime.plan import Plan, prepare
from titanflow.runtime.reconcile import reconcile_journal
from titanflow.runtime.session import Session
from titanflow.runtime.up import Shape, Supervisor, begin
from titanflow.runtime.verify import Result, verify

GROWTH_MAX: Final = 0.02
"""Of a pod's memory, in an hour after the warm-up."""
STORM: Final = 0.3
"""Part of the time in which pods are killed."""
WARM_UP_SECONDS: Final = 240.0
"""From the last kill to the first measurement; less if the whole run is short."""
CALM_SECONDS_MIN: Final = 600.0
"""Growth in an hour, seen in less time than this, is a guess."""
SAMPLE_SECONDS: Final = 0.5
POINT_SECONDS: Final = 10.0
"""So much time is one point of a pod's curve."""
MIB: Final = 1 << 20
SMA: Final = (
    '{{kind: Rules, rules: {{name: SmaCrossover, parameters: {{fast: "{0}", slow: "{1}"}}}}}}'
)
Sample = tuple[float, int, int]
"""Seconds since the start, bytes of resident memory, open files."""
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Watch:
    """Looks at the pods again and again, and kills one now and then."""

    def __init__(self, supervisor: Supervisor, options: argparse.Namespace) -> None:
        self.samples: dict[str, dict[int, list[Sample]]] = {}
        """By pod and process id."""
        self.kills: list[tuple[float, str]] = []
        self.started = 0.0
        self._supervisor, self._seconds = supervisor, options.minutes * 60
        self._chance = random.Random(options.seed)
        self._every = options.kill_every
        self._kill_at = self._every
        self._sample_at = 0.0

    def __call__(self) -> None:
        """Do what is due."""
        states = self._supervisor.states
        if not self.started:
            if len(states) < len(self._supervisor.topology.pods):
                return
            self.started = time.monotonic()
        now = time.monotonic() - self.started
        if now >= self._sample_at:
            self._sample_at = now + SAMPLE_SECONDS
            for name, state in states.items():
                self._look(name, int(cast("int", state["pid"])), now)
            self._look("nats-server", self._server_pid(), now)
        if self._kill_at <= now < self._seconds * STORM:
            self._kill_at += self._every
            self._kill(now)

    @property
    def calm_from(self) -> float:
        """Give when measuring begins, in seconds since the start."""
        last = self.kills[-1][0] if self.kills else 0.0
        return last + min(WARM_UP_SECONDS, self._seconds / 6)

    def _server_pid(self) -> int:
        return int((self._supervisor.live.nats / "nats-server.pid").read_text())

    def _look(self, name: str, pid: int, now: float) -> None:
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            files = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - a count, twice a second
        except (OSError, IndexError):
            return  # it has just ended
        found = self.samples.setdefault(name, {}).setdefault(pid, [])
        found.append((now, pages * PAGE_BYTES, files))

    def _kill(self, now: float) -> None:
        name = self._chance.choice(sorted(self._supervisor.states))
        pid = int(cast("int", self._supervisor.states[name]["pid"]))
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.kills.append((now, name))
        print(f"{now:7.1f} s: killed {name}", flush=True)


def write_market(folder: Path, count: int) -> Path:
    """Write an arena of twelve contenders and so many bars of a generated market."""
    folder.mkdir(parents=True)
    with (folder / "bars.csv").open("w") as file:
        file.write("symbol,time,open,high,low,close,volume\n")
        for bar in bars(count):
            file.write(f"X,{format_instant(bar.at)},{_cells(bar)},{bar.volume_lots}\n")
    text = ARENA
    for number in range(6):
        recipe = SMA.format(3 + number, 12 + 5 * number)
        text += CONTENDER.format(name=f"sma-{number}", recipe=recipe, fraction=500)
        text += CONTENDER.format(name=f"dice-{number}", recipe=DICE, fraction=500 + number)
    (folder / "arena.yaml").write_text(text)
    return folder


def _cells(bar: Bar) -> str:
    ticks = (bar.open_ticks, bar.high_ticks, bar.low_ticks, bar.close_ticks)
    return ",".join(f"{each / 100:.2f}" for each in ticks)


def curve(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    """Return seconds and bytes of each ten seconds, by their medians."""
    points: dict[int, list[Sample]] = {}
    for sample in samples:
        points.setdefault(int(sample[0] // POINT_SECONDS), []).append(sample)
    return [
        (statistics.median(s[0] for s in found), statistics.median(s[1] for s in found))
        for found in points.values()
    ]


def growth(samples: Sequence[Sample]) -> float:
    """Return by which part memory grows in an hour: the median slope of all pairs of points.

    >>> growth([(float(s), 3600_000 + s * 100, 9) for s in range(0, 3600, 5)])
    0.0995
    """
    points = curve(samples)
    slopes = [
        (after[1] - before[1]) / (after[0] - before[0])
        for n, before in enumerate(points)
        for after in points[n + 1 :]
    ]
    if not slopes:
        return 0.0
    start = statistics.median(size for _, size in points[: max(1, len(points) // 10)])
    return float(round(statistics.median(slopes) * 3600 / start, 4))


def memory_rows(watch: Watch) -> list[dict[str, Any]]:
    """Return a row for each process: what it held in the calm, and how that grew."""
    rows = []
    for name, lives in sorted(watch.samples.items()):
        last = max(lives.values(), key=lambda samples: samples[-1][0])
        calm = [sample for sample in last if sample[0] >= watch.calm_from]
        # The end of the market is no steady load.
        calm = calm[: max(1, len(calm) - 4)]
        third = max(1, len(calm) // 3)
        rows.append(
            {
                "pod": name, "lives": len(lives),
                "MiB": round(statistics.median(s[1] for s in calm[-third:]) / MIB, 1),
                "files": max(s[2] for s in calm), "files before": calm[0][2],
                "growth/h": growth(calm),
                "curve": [[round(at, 1), round(size / MIB, 2)] for at, size in curve(last)],
            }
        )  # fmt: skip
    return rows


def run(plan: Plan, options: argparse.Namespace) -> tuple[Session, Watch, bool]:
    """Run the session to its end."""
    speed = options.rate * BAR_NS / 1e9
    session, _ = begin(plan, cast("Shape", options.shape), speed)
    supervisor = Supervisor(session, lambda text: print(f"  {text}", flush=True))
    watch = Watch(supervisor, options)
    return session, watch, supervisor.run(watch)


def judge(session: Session, plan: Plan) -> dict[str, Any]:
    """Derive everything again, by the stages and by the reconciler."""
    started = time.monotonic()
    finding = verify(session.journal, plan.folder)
    books = reconcile_journal(session.journal, plan.folder)
    return {
        "verified": finding.result.value, "facts": finding.facts, "digest": finding.digest,
        "text": finding.text, "fills": books.fills, "entries": books.entries,
        "standings": books.standings, "drift": books.differences, "texts": books.texts[:5],
        "seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip


def main() -> int:
    """Run, judge, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    # At 50 what is remembered by number (4,096 client order ids of each contender) is full before
    # the calm begins; at 20 risk would still fill it, and look as if it grew.
    parser.add_argument("--rate", type=float, default=50.0, help="bars a second")
    parser.add_argument("--shape", default="split", choices=("colocated", "split", "apart"))
    parser.add_argument("--kill-every", type=float, default=10.0, help="seconds, in the storm")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", help="where state lies; the default is the system's choice")
    parser.add_argument("--json", type=Path, help="also write what was found here")
    options = parser.parse_args()
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        os.environ["TITANFLOW_HOME"] = str(Path(name) / "state")
        count = round(options.rate * options.minutes * 60)
        plan = prepare(write_market(Path(name) / "arena", count), None)
        session, watch, has_ended = run(plan, options)
        found = judge(session, plan) if has_ended else {"verified": "not ended", "drift": -1}
    rows = memory_rows(watch)
    calm = options.minutes * 60 - watch.calm_from
    print(f"{len(watch.kills)} kills, then {calm:.0f} s of calm")
    for row in rows:
        print("  " + "  ".join(f"{key} {row[key]}" for key in row if key != "curve"))
    print("  " + ", ".join(f"{key} {value}" for key, value in found.items()))
    if options.json is not None:
        told = {"machine": machine(), "kills": watch.kills, "calm_s": calm, "pods": rows, **found}
        options.json.write_text(json.dumps(told, indent=1) + "\n")
    pods = [row for row in rows if row["pod"] != "nats-server"]
    grows = calm >= CALM_SECONDS_MIN and any(row["growth/h"] >= GROWTH_MAX for row in pods)
    is_right = found["verified"] == Result.VERIFIED.value and found["drift"] == 0
    return 0 if is_right and not grows else 1


if __name__ == "__main__":
    sys.exit(main())
