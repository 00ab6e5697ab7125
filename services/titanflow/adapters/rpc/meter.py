"""How often is what asked, and how long does an answer take? Counts that others export.

Nothing here knows an exporter. The names of methods come from what is served, never from a caller,
so the number of series is bounded.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

import msgspec

BOUNDS_NS: Final = tuple(step * 10**power for power in range(4, 10) for step in (1, 2, 5))
"""Upper bounds of the buckets: 10 µs to 5 s in steps of 1, 2, 5; one more holds the rest."""


class Histogram(msgspec.Struct):
    """Durations in buckets: `counts[i]` are those above bound i-1 and up to bound i."""

    counts: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BOUNDS_NS) + 1))
    count: int = 0
    sum_ns: int = 0
    max_ns: int = 0

    def add(self, duration_ns: int) -> None:
        """Count one duration."""
        self.counts[bisect_left(BOUNDS_NS, duration_ns)] += 1
        self.count += 1
        self.sum_ns += duration_ns
        self.max_ns = max(self.max_ns, duration_ns)

    def quantile_ns(self, share: float) -> int:
        """Return the upper bound of the bucket in which the quantile lies; 0 without durations.

        >>> h = Histogram()
        >>> h.add(15_000)
        >>> h.quantile_ns(0.99)
        15000
        """
        wanted, seen = share * self.count, 0
        bound: int
        for bound, count in zip((*BOUNDS_NS, self.max_ns), self.counts, strict=True):
            seen += count
            if count and seen >= wanted:
                return min(bound, self.max_ns)
        return 0


class Meter:
    """Counts of one server."""

    def __init__(self) -> None:
        self.calls: dict[tuple[str, str], int] = {}
        """Finished calls by method (`package.Service/Method`) and code."""
        self.durations: dict[str, Histogram] = {}
        """Of calls that were answered at once, by method; streams are left out."""
        self.running: dict[str, int] = {}
        """Calls that go on now, by method."""
        self.shed = 0
        """Calls refused because there was no room."""

    def begin(self, method: str) -> None:
        """Count a call that begins."""
        self.running[method] = self.running.get(method, 0) + 1

    def end(self, method: str, code: str, duration_ns: int, *, timed: bool) -> None:
        """Count a call that ended."""
        self.running[method] -= 1
        key = (method, code)
        self.calls[key] = self.calls.get(key, 0) + 1
        if timed:
            self.durations.setdefault(method, Histogram()).add(duration_ns)
