"""How long do things take in a pod? Histograms with fixed buckets, exported as they are."""

from __future__ import annotations

from typing import Final

BOUNDS_NS: Final = tuple(int(step * 10**power) for power in range(4, 10) for step in (1, 2, 5))
"""Upper bounds of the buckets: 10 µs to 5 s, three in each decade."""


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


class Timing:
    """What a pod measures of each input."""

    def __init__(self) -> None:
        self.applied = Histogram()
        """From the message in hand to the turn."""
        self.published = Histogram()
        """From the turn to its acknowledgement by the server."""
