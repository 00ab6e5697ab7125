"""How does a session run in one thread and virtual time? Input by input, to the end of the tape.

The driver is the same for a live replay, for verification and for `why`: it begins (capital,
kill switches of the manifests), steps (one input fact, everything that follows, a checkpoint now
and then), and ends (a last checkpoint, the standings). What it returns is what a journal holds.
What a turn asks is answered before the next event: each Answer is an input of its own, in the order
of the asks. A replay predicts; verification and `why` take the recorded answers and ask nobody.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable

import msgspec

from titanflow.core.arena import Arena
from titanflow.core.base.errors import InvariantError
from titanflow.core.contender.model import answer_to
from titanflow.core.facts import (
    Answer,
    Ask,
    Bar,
    Dividend,
    Fact,
    KillSwitch,
    Quarantine,
    Split,
    Standing,
)
from titanflow.core.health import Invariants
from titanflow.runtime.plan import Plan

CHECKPOINT_TURNS = 4096
"""Turns between two checkpoints; each costs about a millisecond and is checked by `verify`."""
CHECK_TURNS = 1024
"""Turns between two checks of all invariants in a session; tests check after every turn."""
INPUTS = (Bar, Split, Dividend, Quarantine, KillSwitch, Answer)
"""Types of fact that enter the arena from outside."""
PROGRESS_EVENTS = 512

Sink = Callable[[Fact], None]


class Progress(msgspec.Struct, frozen=True):
    """How far a session is: events taken, and the event time."""

    events: int
    at: int


class Outcome(msgspec.Struct, frozen=True):
    """What a session came to. `facts` counts the recorded facts by kind."""

    events: int
    facts: dict[str, int]
    checked: int
    broken: int
    standings: tuple[Standing, ...]


class Driver:
    """Runs one arena and watches its invariants."""

    def __init__(self, plan: Plan, *, check_turns: int = CHECK_TURNS) -> None:
        self.plan = plan
        self.arena = Arena(plan.ground, plan.policies, plan.build_contenders(), plan.schema)
        self.invariants = Invariants(plan.ground)
        self._check_turns = check_turns
        self._last: Fact | None = None
        self.open: deque[Ask] = deque()
        """Asks without an answer yet, in the order in which they must be answered."""

    def begin(self, at: int) -> list[Fact]:
        """Open the books at *at* and apply the kill switches that the manifests engage."""
        said = self._watch(self.arena.open(at))
        for switch in self.plan.switches(at):
            said += self.step(switch)
        return said

    def step(self, fact: Fact) -> list[Fact]:
        """Take one input fact; return it, what followed, and a checkpoint when one is due.

        Raises: InvariantError when the state of the stages contradicts the record, or when an
        answer is missing, was not asked for, or is to another ask than the one whose turn it is.
        """
        if self.open or isinstance(fact, Answer):
            self._settle(fact)
        said = self._watch(self.arena.take(fact))
        self._last = fact
        if self.arena.asked:
            self.open.extend(self.arena.asked)
            self.arena.asked.clear()
        turns = self.arena.turns
        if turns % self._check_turns == 0:
            self.check()
        if turns % CHECKPOINT_TURNS == 0:
            said.append(self.arena.checkpoint(fact))
        return said

    def end(self) -> list[Fact]:
        """Check everything once more; return the last checkpoint and the standings."""
        if self._last is None:
            raise InvariantError("a session without events has no end")
        if self.open:
            raise InvariantError(_missing(self.open[0]))
        self.check()
        return [self.arena.checkpoint(self._last), *self.arena.finish(self._last.at)]

    def check(self) -> None:
        """Check the invariants of all stages now.

        Raises: InvariantError naming each broken one.
        """
        arena = self.arena
        self.invariants.check(arena.post, arena.gate, arena.trade)
        if self.invariants.broken:
            raise InvariantError("; ".join(self.invariants.messages))

    def _settle(self, fact: Fact) -> None:
        """Strike off the ask that *fact* answers."""
        if not isinstance(fact, Answer):
            raise InvariantError(_missing(self.open[0]))
        if not self.open:
            raise InvariantError(f"nobody asked for the answer {fact.id.hex()[:12]}")
        ask = self.open.popleft()
        wanted = answer_to(ask, fact.reply, fact.outputs, fact.parts, fact.text)
        # When it was seen is the driver's own business: in pods an answer takes its time.
        if fact != msgspec.structs.replace(wanted, seen=fact.seen) or fact.seen < ask.seen:
            what = f"the answer {fact.id.hex()[:12]} of {fact.contender} on {fact.symbol}"
            raise InvariantError(
                f"{what} by bundle {fact.bundle[:12]} does not answer the ask of {ask.contender} "
                f"on {ask.symbol} to bundle {ask.bundle[:12]}"
            )

    def _watch(self, said: list[Fact]) -> list[Fact]:
        observe = self.invariants.observe
        for fact in said:
            observe(fact)
        return said


def _missing(ask: Ask) -> str:
    return f"the answer to {ask.contender}'s ask {ask.id.hex()[:12]} on {ask.symbol} is missing"


def run(
    plan: Plan,
    events: Iterable[Fact],
    sink: Sink,
    progress: Callable[[Progress, Driver], None] | None = None,
) -> tuple[Outcome, Driver]:
    """Run a whole session: every recorded fact goes to *sink*, in order.

    Raises: SpecError if the sources hold no event at all.
    """
    driver = Driver(plan)
    predictor = plan.predictor()
    counts: Counter[str] = Counter()
    taken = 0

    def record(said: Iterable[Fact]) -> None:
        for fact in said:
            counts[type(fact).__name__] += 1
            sink(fact)

    def answer() -> None:
        if predictor is None:
            raise InvariantError(_missing(driver.open[0]))
        for reply in predictor.predict(tuple(driver.open)):
            record(driver.step(reply))

    for fact in plan.with_controls(events):
        if taken == 0:
            record(driver.begin(fact.at))
        record(driver.step(fact))
        while driver.open:
            answer()
        taken += 1
        if progress is not None and taken % PROGRESS_EVENTS == 0:
            progress(Progress(taken, fact.at), driver)
    if taken == 0:
        raise plan.nothing_to_do()
    final = driver.end()
    record(final)
    if progress is not None:
        progress(Progress(taken, final[0].at), driver)
    standings = tuple(fact for fact in final if isinstance(fact, Standing))
    health = driver.invariants
    return Outcome(taken, dict(sorted(counts.items())), health.checked, 0, standings), driver
