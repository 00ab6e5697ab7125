"""What did a contender do, and what came of each closed trade? Counts and sums, all integers.

A closed trade is one reduction of a position. Its result is the realised gain of the books, less
the fee of the closing part of the fill, less the share of the opening fees that the closed part
carries (in proportion, cut toward zero; the last reduction carries what is left).
"""

from __future__ import annotations

import msgspec

from titanflow.core.base.fixed import toward_zero


class Tally(msgspec.Struct):
    """One contender's counts and sums; money in minor units."""

    open_fees: list[int]
    """For each instrument, the fees paid to open what is held."""
    realised: int = 0
    """The books' realised gain when last looked at; gains are above zero."""
    fills: int = 0
    orders: int = 0
    refusals: int = 0
    fees: int = 0
    traded: int = 0
    wins: int = 0
    losses: int = 0
    evens: int = 0
    gained: int = 0
    lost: int = 0

    def count_fill(self, i: int, change: int, after: int, money: tuple[int, int, int]) -> None:
        """Take one fill of *change* lots that led to *after*; *money* is value, fee, realised."""
        value, fee, realised = money
        gain, self.realised = realised - self.realised, realised
        self.fills += 1
        self.fees += fee
        self.traded += value
        before = after - change
        if before == 0 or (before > 0) == (change > 0):
            self.open_fees[i] += fee
            return
        closed, size = min(abs(before), abs(change)), abs(before)
        carried = toward_zero(self.open_fees[i], closed, size)
        closing_fee = toward_zero(fee, closed, abs(change))
        # What crosses zero opens a new position, and its part of the fee with it.
        self.open_fees[i] += fee - closing_fee - carried
        self._count_trade(gain - closing_fee - carried)

    def resync(self, i: int, after: int, realised: int) -> None:
        """Take over what a split changed: its realised part is no trade."""
        self.realised = realised
        if after == 0:
            self.open_fees[i] = 0

    def _count_trade(self, result: int) -> None:
        if result > 0:
            self.wins += 1
            self.gained += result
        elif result < 0:
            self.losses += 1
            self.lost -= result
        else:
            self.evens += 1
