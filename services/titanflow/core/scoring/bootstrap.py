"""How sure is a return? A 95 % interval from the session's own days, drawn again in blocks.

Days that follow each other are alike, so whole blocks of days are drawn (circular moving-block
bootstrap). The draws are keyed, not random: the same curve and key give the same interval on
every machine, because only integer words, products and quotients are used.

Source: Politis and Romano (1992), "A circular block-resampling procedure for stationary data".
"""

from __future__ import annotations

from math import nan

import numpy as np

from titanflow.core.base.chance import chance_bits
from titanflow.core.ports import FloatArray, IntArray

RETURNS_MIN = 20
"""Fewer daily returns say nothing about their spread."""
RESAMPLES = 1_000
TAIL = 25
"""Resamples cut off at each end: 2.5 % of 1,000, for an interval of 95 %."""


def interval(equity: IntArray, *, seed: int, name: str) -> tuple[float, float]:
    """Return the 95 % interval of the session's total return; (NaN, NaN) if there is none.

    Shapes: equity (n + 1,), the first value is the starting capital.
    Units: the result is in fractions of the starting capital.
    """
    days = len(equity) - 1
    if days < RETURNS_MIN or int(equity.min()) <= 0:
        return nan, nan
    wealth = equity.astype(np.float64)
    blocks = _blocks(days)
    starts = _starts(seed, name, blocks, days)
    growth = np.ones(RESAMPLES)
    left = days
    for k in range(blocks):
        length = min(block_length(days), left)
        growth *= _growth(wealth, starts[k], length)
        left -= length
    growth.sort()
    low, high = float(growth[TAIL - 1]), float(growth[RESAMPLES - TAIL])
    return round(low - 1.0, 12), round(high - 1.0, 12)


def block_length(days: int) -> int:
    """Return the days in a block: the cube root of *days*, rounded down.

    Source: Hall, Horowitz and Jing (1995), "On blocking rules for the bootstrap".

    >>> block_length(26), block_length(27)
    (2, 3)
    """
    length = 1
    while (length + 1) ** 3 <= days:
        length += 1
    return length


def _blocks(days: int) -> int:
    return -(-days // block_length(days))


def _starts(seed: int, name: str, blocks: int, days: int) -> IntArray:
    """Return the first day of each block, (blocks, RESAMPLES), from keyed words.

    Source: Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators"
    (SplitMix64): a mixed counter, so there is no state to share or to lose.
    """
    key = chance_bits(seed, name.encode(), b"bootstrap")
    count = np.arange(1, blocks * RESAMPLES + 1, dtype=np.uint64)
    words = count * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    words ^= words >> np.uint64(31)
    # The upper half times the limit: a bias below days / 2**32, which no interval shows.
    starts = ((words >> np.uint64(32)) * np.uint64(days)) >> np.uint64(32)
    return starts.astype(np.int64).reshape(blocks, RESAMPLES)


def _growth(wealth: FloatArray, start: IntArray, length: int) -> FloatArray:
    """Return what wealth grew by over *length* days from each start, the end joined to the head."""
    days = len(wealth) - 1
    end = start + length
    wraps = end > days
    plain: FloatArray = wealth[np.where(wraps, end - days, end)] / wealth[start]
    return np.where(wraps, plain * (wealth[days] / wealth[0]), plain)
