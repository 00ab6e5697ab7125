"""How long do things take in a pod? Histograms with fixed buckets, exported as they are.

What is measured across pods travels beside the turns, in headers that no fact and no digest knows:
when a turn was sent, when the market message at its root was, and the trace that both belong to.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, Self

import msgspec

from titanflow.adapters.bus.client import BEGAN, RULED, SENT
from titanflow.adapters.rpc.trace import HEADER, Trace, new_trace, read_trace
from titanflow.core.facts import (
    Belief,
    Entry,
    Fact,
    Fill,
    Intent,
    KillRuling,
    Order,
    OrderUpdate,
    Verdict,
)

BOUNDS_NS: Final = tuple(int(step * 10**power) for power in range(4, 10) for step in (1, 2, 5))
"""Upper bounds of the buckets: 10 µs to 5 s, three in each decade."""
SLICE_NS: Final = 10_000_000_000
SLICES: Final = 6
"""What is told of the last minute is forgotten in steps of ten seconds."""
STATIONS: Final[dict[str, tuple[tuple[str, frozenset[type[Fact]]], ...]]] = {
    "perceive": (("belief", frozenset({Belief})),),
    "decide": (("signal", frozenset({Intent})),),
    "gate": (("verdict", frozenset({Verdict})),),
    "trade": (("order", frozenset({Order})), ("ack", frozenset({OrderUpdate, Fill}))),
    "post": (("entry", frozenset({Entry})),),
}
"""What each stage says, as stations of the line; a signal is told by the intents that follow it."""
LINE: Final = ("belief", "signal", "verdict", "order", "ack", "entry")


class Histogram:
    """Counts of durations. All only grow."""

    __slots__ = ("buckets", "count", "largest", "total")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS_NS) + 1)
        self.count = self.total = self.largest = 0

    def add(self, nanoseconds: int) -> None:
        """Count one duration."""
        place = 0
        while place < len(BOUNDS_NS) and nanoseconds > BOUNDS_NS[place]:
            place += 1
        self.buckets[place] += 1
        self.count += 1
        self.total += nanoseconds
        self.largest = max(self.largest, nanoseconds)

    def take(self, other: Histogram) -> None:
        """Count everything that another one has counted."""
        self.buckets = [a + b for a, b in zip(self.buckets, other.buckets, strict=True)]
        self.count += other.count
        self.total += other.total
        self.largest = max(self.largest, other.largest)

    def quantile(self, share: float) -> int:
        """Return a bound, in ns, below which *share* of the durations lie; 0 without any."""
        wanted = share * self.count
        seen = 0
        for place, count in enumerate(self.buckets):
            seen += count
            if count and seen >= wanted:
                return (
                    min(BOUNDS_NS[place], self.largest) if place < len(BOUNDS_NS) else self.largest
                )
        return 0

    def brief(self) -> dict[str, int]:
        """Return count and quantiles, in ns."""
        return {
            "count": self.count,
            "p50": self.quantile(0.5),
            "p99": self.quantile(0.99),
            "p999": self.quantile(0.999),
            "max": self.largest,
        }


class Lately:
    """Durations of all time, and of the last minute."""

    def __init__(self) -> None:
        self.whole = Histogram()
        self._slices = deque[tuple[int, Histogram]](maxlen=SLICES)

    def add(self, nanoseconds: int, now: int) -> None:
        """Count one duration; *now* is a monotonic clock in ns."""
        self.whole.add(nanoseconds)
        number = now // SLICE_NS
        if not self._slices or self._slices[-1][0] != number:
            self._slices.append((number, Histogram()))
        self._slices[-1][1].add(nanoseconds)

    def lately(self, now: int) -> Histogram:
        """Return those of the last minute."""
        found = Histogram()
        for number, part in self._slices:
            if number > now // SLICE_NS - SLICES:
                found.take(part)
        return found


class Lag(msgspec.Struct, frozen=True):
    """How many messages waited behind the last one, and when that was stored, ns UTC."""

    pending: int
    stored_at: int

    def age_ns(self, now: int) -> int:
        """Return how old the last message is, if others wait behind it; 0 if nothing waits."""
        return max(0, now - self.stored_at) if self.pending else 0


class Beside(msgspec.Struct, frozen=True):
    """What travels beside a turn. `began` is when its market message was sent, 0 without one."""

    trace: Trace
    began: int

    @classmethod
    def after(cls, headers: Mapping[str, str], *, is_market: bool) -> Self:
        """Return what goes beside the turn on a message with *headers*."""
        parent = read_trace(headers.get(HEADER, ""))
        told = headers.get(SENT if is_market else BEGAN, "0")
        return cls(
            new_trace() if parent is None else parent.child(),
            int(told) if told.isdecimal() else 0,
        )

    def headers(self, facts: Sequence[Fact]) -> dict[str, str]:
        """Return the headers of a turn with *facts* that is sent now."""
        found = {HEADER: self.trace.header, SENT: str(time.time_ns())}
        if self.began:
            found[BEGAN] = str(self.began)
        if any(type(fact) is KillRuling for fact in facts):
            found[RULED] = "1"
        return found


class Timing:
    """What a pod measures of each input."""

    def __init__(self, stages: Sequence[str] = ()) -> None:
        self.applied = Histogram()
        """From the message in hand to the turn."""
        self.published = Histogram()
        """From the turn to its acknowledgement by the server."""
        self._stations = [each for stage in stages for each in STATIONS.get(stage, ())]
        self.line = {name: Lately() for name, _ in self._stations}
        """From the market message at its root to facts of each kind in the record."""

    def said(self, facts: Sequence[Fact], began: int) -> None:
        """Count the facts of a turn that is in the record now."""
        if not began or not facts:
            return
        kinds = {type(fact) for fact in facts}
        took, now = max(0, time.time_ns() - began), time.monotonic_ns()
        for name, wanted in self._stations:
            if not wanted.isdisjoint(kinds):
                self.line[name].add(took, now)

    def spans(self) -> dict[str, dict[str, int]]:
        """Return count and quantiles of the last minute, by station."""
        now = time.monotonic_ns()
        return {name: each.lately(now).brief() for name, each in self.line.items()}
