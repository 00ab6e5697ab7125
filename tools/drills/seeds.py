"""Does any course of events break the pods? Plays one seed and says all that is wrong with it."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from titanflow.adapters.bus.streams import stream_name
from titanflow.adapters.codec import Turn, decode_turn
from titanflow.core.base.instant import NS_PER_DAY, format_instant, parse_instant
from titanflow.runtime.plan import Plan, prepare
from tools.drills import judge
from tools.drills.world import Faults, World, draw, play

DAYS: Final = 10
START: Final = "2020-01-06T00:00:00Z"

ARENA: Final = """\
apiVersion: titanflow.io/v1alpha1
kind: Arena
metadata: {name: main}
spec:
  seed: 11
  capital: "100000"
  instruments:
    - {symbol: AAA, venue: XSIM, assetClass: Equity, currency: USD, tickSize: "0.01", lotSize: "1"}
    - {symbol: BBB, venue: XSIM, assetClass: Equity, currency: USD, tickSize: "0.01", lotSize: "1"}
  sources:
    - {name: bars, kind: Files, barSeconds: 86400, files: {uri: "file://./bars.csv", format: CSV}}
  fills: {participationBps: 100, slippageBps: 3, jitterMicros: 500}
  ranking: {minFills: 1}
---
apiVersion: titanflow.io/v1alpha1
kind: RiskPolicy
metadata: {name: house}
spec:
  selector: {}
  limits: {maxOrderNotional: "20000", maxReferenceAgeSeconds: 31536000, priceCollarBps: 2000}
"""
CONTENDER: Final = """\
---
apiVersion: titanflow.io/v1alpha1
kind: Contender
metadata: {name: %s}
spec:
  tier: Paper
  recipe: {kind: Rules, rules: {name: %s, parameters: {%s}}}
  sizing: {kind: FixedFraction, fixedFraction: {fractionBps: %d}}
"""
RULES: Final = (
    ("dice", "Random", 'period: "2"', 2000),
    ("cross", "SmaCrossover", 'fast: "2", slow: "3"', 1500),
    ("channel", "DonchianBreakout", 'entry: "2", exit: "2"', 4000),
)
"""Contenders that trade all the time; the last wants orders larger than risk allows."""


CROWD: Final = (
    *((f"dice-{n}", "Random", f'period: "{2 + n % 3}"', 200) for n in range(16)),
    ("dice", "Random", 'period: "2"', 200),
)
"""Contenders that wish for an order on nearly every bar, and may have it."""


def write_arena(
    folder: Path,
    days: int = DAYS,
    seed: int = 5,
    rules: Sequence[tuple[str, str, str, int]] = RULES,
) -> Path:
    """Write an arena of two instruments in which much happens; return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    rows = ["symbol,time,open,high,low,close,volume"]
    for symbol in ("AAA", "BBB"):
        price = 10_000
        for day in range(days):
            opened = max(price + chance.randint(-60, 60), 500)
            price = max(opened + chance.randint(-250, 250), 500)
            high = max(opened, price) + chance.randint(0, 50)
            low = min(opened, price) - chance.randint(0, 50)
            time = format_instant(parse_instant(START) + day * NS_PER_DAY)
            cells = ",".join(f"{value / 100:.2f}" for value in (opened, high, low, price))
            rows.append(f"{symbol},{time},{cells},{chance.randint(2_000, 20_000)}")
    (folder / "bars.csv").write_text("\n".join(rows) + "\n")
    contenders = "".join(CONTENDER % rule for rule in rules)
    (folder / "arena.yaml").write_text(ARENA + contenders)
    return folder


@dataclass
class Verdict:
    """What became of one seed."""

    seed: int
    faults: Faults
    digest: str
    counts: Counter[str]
    problems: list[str]

    def __str__(self) -> str:
        """Tell the seed first: it is all that is needed to see it again."""
        what = "; ".join(self.problems[:5])
        again = f"python -m tools.drill seeds --seed {self.seed}"
        return f"seed {self.seed}: {what}\n  again: {again}\n  {self.faults}"


class Seeds:
    """Plays seeds on one arena, in a folder of its own."""

    def __init__(self, folder: Path, days: int = DAYS) -> None:
        self._folder = folder
        self.plan: Plan = prepare(write_arena(folder / "arena", days), None)
        self.calm = cache(self._calm)

    def play(self, seed: int, faults: Faults | None = None) -> Verdict:
        """Play one seed and judge it."""
        told = faults or draw(seed)
        as_drawn = Faults(**{**vars(told), "weather": told.weather})
        world = play(self.plan, self._folder / "world", seed, told)
        verdict = Verdict(seed, as_drawn, "", world.counts, world.problems)
        if not verdict.problems:
            self._judge(world, verdict)
        return verdict

    def _judge(self, world: World, verdict: Verdict) -> None:
        told, verdict.digest, problems = judge.read(world.session.journal)
        verdict.problems += problems
        if problems:
            return
        loose = judge.market_of(world.topology) if world.lost_late else ""
        turns = turns_in(world)
        copies = turns.pop(stream_name(world.topology.arena, "OWN"))
        verdict.problems += judge.check_copies(told, copies)
        counts, problems = judge.compare(told, turns, loose=loose)
        verdict.counts += counts
        verdict.problems += problems
        counts, problems = judge.account(fact for _, facts in told for fact in facts)
        verdict.counts += counts
        verdict.problems += problems
        verdict.problems += judge.recompute(self.plan, world.topology, told)
        if world.topology.lock_step:
            drift = judge.drift(judge.essence(told), self.calm(verdict.faults.kind))
            verdict.counts["drift"] += drift
            if drift:
                verdict.problems.append(f"{drift} facts differ from a run in which nothing breaks")

    def _calm(self, kind: str) -> Counter[bytes]:
        return essence_of_calm(self.plan, self._folder / "calm", kind)


def essence_of_calm(plan: Plan, folder: Path, kind: str) -> Counter[bytes]:
    """Return the facts of a run in lock step in which nothing breaks."""
    world = play(plan, folder, 0, Faults(kind=kind))
    told, _, problems = judge.read(world.session.journal)
    assert not world.problems, world.problems
    assert not problems, problems
    return judge.essence(told)


def turns_in(world: World) -> dict[str, Sequence[Turn]]:
    """Return every stream's turns."""
    return {
        name: [decode_turn(each.data) for each in stream.messages]
        for name, stream in world.server.streams.items()
    }


def play_all(seeds: Sequence[int]) -> list[Verdict]:
    """Play seeds in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        player = Seeds(Path(folder))
        return [player.play(seed) for seed in seeds]
