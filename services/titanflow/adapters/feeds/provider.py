"""What does a supplier of market data give? Columns for each symbol, corporate actions, a digest.

A provider reads and refuses; it judges nothing. Bars that are wrong are the quality gate's
business, and prices become ticks there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

Int64s = NDArray[np.int64]
Float64s = NDArray[np.float64]


class RawBars(msgspec.Struct):
    """Bars of one symbol as the source has them, in its order: prices and volume are floats."""

    start_ns: Int64s
    end_ns: Int64s
    open: Float64s
    high: Float64s
    low: Float64s
    close: Float64s
    volume: Float64s

    def __len__(self) -> int:
        return len(self.start_ns)


class SplitAction(msgspec.Struct, frozen=True):
    """One old unit became numerator / denominator new ones before trading on a day (`ex_ns`)."""

    symbol: str
    ex_ns: int
    numerator: int
    denominator: int
    source: str


class DividendAction(msgspec.Struct, frozen=True):
    """`amount` minor units of money were paid for each unit held before trading on a day."""

    symbol: str
    ex_ns: int
    amount: int
    source: str


Action = SplitAction | DividendAction


class Origin(msgspec.Struct, frozen=True):
    """What was read: the source's name, where it lies, and the SHA-256 of its content."""

    name: str
    place: str
    sha256: str


class Provider(Protocol):
    """A supplier of market data."""

    @property
    def origin(self) -> Origin:
        """Give what was read, with its digest."""
        ...

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols that the source has, sorted."""
        ...

    def bars(self, symbol: str) -> RawBars:
        """Return the bars of one symbol, and let go of them; none if it has none."""
        ...

    def actions(self, symbols: Iterable[str]) -> tuple[Action, ...]:
        """Return the corporate actions of some symbols."""
        ...
