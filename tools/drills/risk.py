"""F22, F23: does risk hold when a contender runs away, and when limits are raced for?

Gate, desk and books run in this process, on event time; the kits of the unit tests drive them.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from titanflow.core.facts import Fact, StateChange, Verdict
from titanflow.core.spec.words import Outcome
from tools.drills.report import Outcome as Result
from tools.drills.report import quantile
from tools.tree import ROOT

sys.path.insert(0, str(ROOT / "tests" / "support"))
from risk_kit import OPEN, SECOND, Line, Risk, policy, verdicts

RUNAWAY_PER_SECOND: Final = 10_000
SECONDS: Final = 2
RATE: Final = 50
REFUSALS_MAX: Final = 1_000
CALM_EVERY: Final = 1_000
"""The others wish for an order for every so many of the runaway's."""
RACERS: Final = 64
PRICE: Final = 100


# F22


def runaway(outcome: Result, folder: Path, *, short: bool, seed: int) -> None:
    """Let one contender wish for 10,000 orders a second; the others trade beside it."""
    del folder, seed
    outcome.pass_figure = (
        f"at most {RATE} and {RATE} a second pass, none after {REFUSALS_MAX} refusals; "
        "the others' verdicts are those of a run without the runaway"
    )
    wishes = RUNAWAY_PER_SECOND * (1 if short else SECONDS)
    calm, _ = _runaway_line(wishes, with_runaway=False)
    line, times = _runaway_line(wishes, with_runaway=True)
    told = Counter((v.contender, v.outcome is Outcome.ALLOW) for v in verdicts(line.said))
    halted = [f for f in line.said if isinstance(f, StateChange) and f.contender == "ann"]
    late = _after_halt(line.said)
    outcome.counts = {
        "wishes": wishes,
        "passed": told["ann", True],
        "refused": told["ann", False],
        "passed after the halt": late,
        "halts": len(halted),
        "others' orders": told["bob", True] + told["cat", True],
        "others refused": told["bob", False] + told["cat", False],
        "verdict us p50": quantile(times, 0.5) / 1e3,
        "verdict us p99": quantile(times, 0.99) / 1e3,
    }
    outcome.demand("more passed than the throttle lets", told["ann", True] <= RATE + RATE)
    outcome.demand("it was not halted", len(halted) == 1)
    outcome.demand("something passed after the halt", late == 0)
    outcome.demand("the others were touched", _of_others(line.said) == _of_others(calm.said))
    outcome.demand("the others did nothing", told["bob", True] > 0)


def _runaway_line(wishes: int, *, with_runaway: bool) -> tuple[Line, list[float]]:
    limits = {
        "maxOrdersPerSecond": RATE,
        "haltAfterRefusals": REFUSALS_MAX,
        "refusalWindowSeconds": 60,
    }
    line = Line(policy(**{**OPEN, "limits": {**OPEN["limits"], **limits}}))
    for symbol in ("A", "B"):
        line.bar(PRICE, symbol)
    times: list[float] = []
    for n in range(wishes):
        line.now += SECOND // RUNAWAY_PER_SECOND
        if with_runaway:
            began = time.perf_counter_ns()
            line.intent("ann", 1 if n % 2 else -1, 1, PRICE - 10, client_order_id=f"ann{n}")
            times.append(time.perf_counter_ns() - began)
        if n % CALM_EVERY == 0:
            for who in ("bob", "cat"):
                line.intent(who, 1, 1, PRICE + 10, client_order_id=f"{who}{n}")
    return line, times


def _after_halt(said: list[Fact]) -> int:
    """Count what passed for the runaway behind its halt."""
    halts = [n for n, f in enumerate(said) if isinstance(f, StateChange) and f.contender == "ann"]
    rest = said[halts[0] :] if halts else []
    return sum(v.contender == "ann" and v.outcome is Outcome.ALLOW for v in verdicts(rest))


def _of_others(said: list[Fact]) -> list[tuple[Any, ...]]:
    """Return what risk said of the others, ids left out."""
    return [
        (v.contender, v.client_order_id, v.outcome, v.reason, v.quantity_lots)
        for v in verdicts(said)
        if v.contender != "ann"
    ]


# F23


def limits(outcome: Result, folder: Path, *, short: bool, seed: int) -> None:
    """Race 64 orders for the last unit under each kind of limit, with fills and ends between."""
    del folder
    rounds = 100 if short else 1_000
    outcome.pass_figure = f"{rounds} rounds: no limit exceeded by one unit, none left unused"
    exceeded = unused = allowed = 0
    for n in range(rounds):
        race = RACES[n % len(RACES)](random.Random(f"{seed} {n}"))
        most, passed = race.run()
        allowed += passed
        if most > race.limit:
            exceeded += 1
            outcome.problems.append(f"round {n} (seed {seed}): {race}: {most} > {race.limit}")
        unused += most < race.limit
    outcome.counts = {
        "rounds": rounds,
        "orders": rounds * RACERS,
        "passed": allowed,
        "exceeded": exceeded,
        "unused": unused,
    }
    outcome.demand("a limit was never reached", unused == 0)


class _Race:
    """One round: orders until the limit is full by an own count, then all the racers."""

    kind = ""
    names: tuple[str, ...] = ("ann",)

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.limit = chance.randint(3, 40)
        self.risk = Risk(self.law())
        for symbol in ("A", "B"):
            self.risk.bar(PRICE, symbol)
        self.open: dict[str, tuple[str, int, int]] = {}
        """Live orders: whose, side, lots."""
        self.held: Counter[str] = Counter()
        self.passed = 0

    def __str__(self) -> str:
        return self.kind

    def law(self) -> Any:
        raise NotImplementedError

    def used(self) -> int:
        """Return how much of the limit is in use at worst, by our own count."""
        worst = 0
        for who in self.names:
            buys = sum(lots for name, side, lots in self.open.values() if (name, side) == (who, 1))
            sells = sum(
                lots for name, side, lots in self.open.values() if (name, side) == (who, -1)
            )
            worst += max(self.held[who] + buys, sells - self.held[who])
        return worst

    def lots(self) -> int:
        return self.chance.randint(1, 4)

    def run(self) -> tuple[int, int]:
        """Race; return the most that was ever in use, and how many orders passed."""
        most = 0
        while self.used() < self.limit - 1:  # up to the last unit
            self.wish(self.chance.choice(self.names), 1, 1)
        for n in range(RACERS):
            side = self.chance.choice((1, 1, 1, -1))
            last = n >= RACERS - len(self.names)
            who = self.names[n % len(self.names)] if last else self.chance.choice(self.names)
            self.wish(who, 1 if last else side, 1 if last else self.lots())
            most = max(most, self.used())
            if self.open and not last and self.chance.random() < 0.2:
                self.settle(self.chance.choice(sorted(self.open)))
            most = max(most, self.used())
        while self.used() < self.limit:  # whatever was freed can be used again, to the last unit
            before = self.passed
            for who in self.names:
                self.wish(who, 1, 1)
            if before == self.passed:
                break
        return max(most, self.used()), self.passed

    def wish(self, who: str, side: int, lots: int) -> None:
        verdict: Verdict = self.risk.ask(who, side, lots, PRICE)
        if verdict.outcome is Outcome.ALLOW:
            self.passed += 1
            self.open[verdict.client_order_id] = (who, side, verdict.quantity_lots)

    def settle(self, name: str) -> None:
        """End an order: by a fill at its price, or without."""
        who, side, lots = self.open.pop(name)
        if self.chance.random() < 0.5:
            self.risk.fill(name, lots, PRICE)
            self.held[who] += side * lots
        else:
            self.risk.end(name)


class _Position(_Race):
    kind = "position of a contender"

    def law(self) -> Any:
        return policy(**{**OPEN, "limits": {"maxPositionQuantity": str(self.limit)}})


class _Gross(_Race):
    kind = "gross exposure of a contender"

    def law(self) -> Any:
        return policy(**{**OPEN, "limits": {"maxGrossExposure": f"{self.limit}.00"}})


class _House(_Race):
    kind = "gross exposure of the house"
    names = ("ann", "bob", "cat")

    def law(self) -> Any:
        return policy(**OPEN, aggregate={"maxGrossExposure": f"{self.limit}.00"})


class _Open(_Race):
    kind = "open orders of a contender"

    def law(self) -> Any:
        return policy(**{**OPEN, "limits": {"maxOpenOrders": self.limit}})

    def used(self) -> int:
        return len(self.open)


RACES: Final = (_Position, _Gross, _House, _Open)
