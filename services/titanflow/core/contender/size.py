"""How large? FixedFraction sizing: an opinion becomes a change of the position in lots.

At full strength the position is a fixed part of equity. Small differences are let be, so that a
price that breathes does not trade; buys spend only the cash that is there. All of it is integer
arithmetic; the strength is rounded to a millionth first.
"""

from __future__ import annotations

from titanflow.core.base.fixed import BPS, PPM, toward_zero

BAND_BPS = 2000
"""Differences up to this part of the larger of target and position are let be."""

SPENDABLE_BPS = 9900
"""Part of the free cash that a buy may spend; the rest is for fees and the gap to the next open."""


def target_lots(strength: float, fraction_bps: int, equity: int, lot_value: int) -> int:
    """Return the lots of a position with *strength*, fractions of a lot cut.

    Units: equity and lot_value are minor units of money; lot_value is what one lot costs.

    >>> target_lots(1.0, 1000, 100_000_00, 33_00)
    303
    """
    if equity <= 0 or lot_value <= 0:
        return 0
    parts = round(strength * PPM) * fraction_bps * equity
    return toward_zero(parts, 1, PPM * BPS * lot_value)


def affordable_lots(position: int, cash: int, lot_value: int) -> int:
    """Return the largest position that free *cash* can pay for; never below *position*.

    Covering a short position comes first and needs no leave: it only lessens risk.

    >>> affordable_lots(10, 1000, 33)
    40
    """
    if lot_value <= 0:
        return position
    free = cash + min(position, 0) * lot_value
    return max(position, 0) + max(free, 0) * SPENDABLE_BPS // (BPS * lot_value)


def change_lots(target: int, position: int) -> int:
    """Return the signed lots to trade, 0 when the difference is within the band.

    Closing and turning round are always carried out.

    >>> change_lots(120, 100), change_lots(126, 100), change_lots(0, 1)
    (0, 26, -1)
    """
    change = target - position
    if target == 0 or (target > 0) != (position > 0):
        return change
    band = max(abs(target), abs(position)) * BAND_BPS
    return change if abs(change) * BPS > band else 0
