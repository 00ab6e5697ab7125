"""Which bars may enter the arena? Those that break no rule; the others are quarantined.

A quarantined bar is not delivered, but it is on the record with the rule it broke. Rules that
compare with a bar before compare with the last *good* one, so one wild bar cannot take the next
ones with it. Prices are judged as integer ticks, as the arena will see them.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec
import numpy as np

from titanflow.adapters.feeds.provider import Float64s, Int64s, RawBars, SplitAction
from titanflow.core.base.fixed import MINOR_PER_UNIT
from titanflow.core.base.instant import format_instant
from titanflow.core.spec.ground import Instrument

SPIKE_FACTOR = 20
"""A price this many times above or below the last good close, with no split to explain it, is an
error of the data: far beyond what a market does in a bar, and less than what a price written in
cents (100) or a missing decimal point does."""
COUNT_MAX = 2**53
"""Largest count of lots; beyond it a float does not hold every integer."""
TICKS_MAX = 2**46
"""Highest price in ticks: the bound of book and gate, which refuse to count beyond it."""
LOT_VALUE_MAX = 2**60
"""Most that one lot may be worth, in minor units: the bound of the gate."""
OFF_TICK = 1e-6
"""Part of a tick up to which a price counts as being on it: what floats lose in a division."""


class Rule(StrEnum):
    """What a bar must not be."""

    NOT_FINITE = "NotFinite"
    NOT_POSITIVE = "NotPositive"
    CROSSED = "Crossed"
    NEGATIVE_VOLUME = "NegativeVolume"
    NO_DURATION = "NoDuration"
    DUPLICATE_TIME = "DuplicateTime"
    OUT_OF_ORDER = "OutOfOrder"
    OVERLAP = "Overlap"
    SPIKE = "Spike"


class Columns(msgspec.Struct):
    """Good bars of one instrument: nanoseconds, integer ticks and lots, oldest first."""

    start_ns: Int64s
    end_ns: Int64s
    open_ticks: Int64s
    high_ticks: Int64s
    low_ticks: Int64s
    close_ticks: Int64s
    volume_lots: Int64s

    def __len__(self) -> int:
        return len(self.start_ns)

    def only(self, rows: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Columns:
        """Return the rows of a mask."""
        return Columns(*(getattr(self, name)[rows] for name in self.__struct_fields__))


class Quarantined(msgspec.Struct, frozen=True):
    """A bar that was kept out: when it ended, which rule it broke, and what it said."""

    symbol: str
    at: int
    rule: Rule
    detail: str


class Judged(msgspec.Struct):
    """What the gate let in, what it kept out, and how many prices lay off the tick."""

    columns: Columns
    quarantined: list[Quarantined]
    off_tick: int


def judge(raw: RawBars, instrument: Instrument, splits: Sequence[SplitAction]) -> Judged:
    """Return the good bars of *raw* in ticks and lots, and the others with the rule they broke.

    Prices are rounded to the nearest tick, volume is cut to whole lots.
    """
    finite = _finite(raw, instrument)
    ticks, off_tick = _ticks(raw, instrument, finite)
    scale = MINOR_PER_UNIT / instrument.lot_size
    lots = np.floor(np.where(finite, raw.volume, 0.0) * scale).astype(np.int64)
    columns = Columns(raw.start_ns, raw.end_ns, ticks[0], ticks[1], ticks[2], ticks[3], lots)
    ratios = _ratios(raw, splits)
    if finite.all() and not ratios and _spotless(columns):
        return Judged(columns, [], off_tick)
    kept, quarantined = _sift(columns, finite, instrument.symbol, ratios)
    return Judged(columns.only(kept), quarantined, off_tick)


def _finite(raw: RawBars, instrument: Instrument) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which rows hold numbers that can be counted."""
    ticks_max = min(TICKS_MAX, LOT_VALUE_MAX // instrument.tick_value)
    price_max = ticks_max * instrument.tick_size / MINOR_PER_UNIT
    volume_max = COUNT_MAX * instrument.lot_size / MINOR_PER_UNIT
    good = np.ones(len(raw), dtype=np.bool_)
    for values in (raw.open, raw.high, raw.low, raw.close):
        good &= np.abs(values) <= price_max  # NaN compares as false
    good &= np.abs(raw.volume) <= volume_max
    return good


def _ticks(
    raw: RawBars, instrument: Instrument, finite: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> tuple[list[Int64s], int]:
    """Return the four prices in ticks, and how many were moved to one."""
    columns, off_tick = [], 0
    for values in (raw.open, raw.high, raw.low, raw.close):
        exact: Float64s = np.where(finite, values, 0.0) * MINOR_PER_UNIT / instrument.tick_size
        rounded = np.rint(exact)
        # The relative part is for prices so high that one float step is more than OFF_TICK.
        slack = np.maximum(OFF_TICK, np.abs(exact) * 1e-12)
        off_tick += int(np.count_nonzero(np.abs(exact - rounded) > slack))
        columns.append(rounded.astype(np.int64))
    return columns, off_tick


def _ratios(raw: RawBars, splits: Sequence[SplitAction]) -> dict[int, tuple[int, int]]:
    """Return the split ratio that precedes a row, by row."""
    found: dict[int, tuple[int, int]] = {}
    for split in splits:
        later = np.flatnonzero(raw.start_ns >= split.ex_ns)
        if len(later):
            row = int(later[0])
            numerator, denominator = found.get(row, (1, 1))
            found[row] = (numerator * split.numerator, denominator * split.denominator)
    return found


def _spotless(c: Columns) -> bool:
    """Say whether no bar breaks any rule: the usual case, judged without a loop."""
    lowest = np.minimum(c.open_ticks, c.close_ticks)
    highest = np.maximum(c.open_ticks, c.close_ticks)
    before = c.close_ticks[:-1]
    return bool(
        (c.low_ticks > 0).all()
        and (c.low_ticks <= lowest).all()
        and (c.high_ticks >= highest).all()
        and (c.volume_lots >= 0).all()
        and (c.end_ns > c.start_ns).all()
        and (c.start_ns[1:] >= c.end_ns[:-1]).all()
        and (c.high_ticks[1:] < before * SPIKE_FACTOR).all()
        and (c.low_ticks[1:] * SPIKE_FACTOR > before).all()
    )


def _sift(
    columns: Columns,
    finite: np.ndarray[tuple[int], np.dtype[np.bool_]],
    symbol: str,
    ratios: dict[int, tuple[int, int]],
) -> tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], list[Quarantined]]:
    """Judge bar by bar: the readable form of the rules."""
    kept = np.zeros(len(columns), dtype=np.bool_)
    quarantined: list[Quarantined] = []
    rows = zip(
        *(getattr(columns, name).tolist() for name in Columns.__struct_fields__), strict=True
    )
    last: tuple[int, int] | None = None  # start and end of the last good bar
    close = 0
    for number, (row, countable) in enumerate(zip(rows, finite.tolist(), strict=True)):
        if number in ratios:
            numerator, denominator = ratios[number]
            close = close * denominator // numerator
        rule = _broken(row, last, close) if countable else Rule.NOT_FINITE
        if rule is None:
            kept[number] = True
            last, close = (row[0], row[1]), row[5]
        else:
            quarantined.append(Quarantined(symbol, row[1], rule, _detail(row, rule, close)))
    return kept, quarantined


def _broken(
    row: tuple[int, int, int, int, int, int, int], last: tuple[int, int] | None, close: int
) -> Rule | None:
    start, end, opened, high, low, closed, volume = row
    if end <= start:
        return Rule.NO_DURATION
    if min(opened, high, low, closed) <= 0:
        return Rule.NOT_POSITIVE
    if low > min(opened, closed) or high < max(opened, closed):
        return Rule.CROSSED
    if volume < 0:
        return Rule.NEGATIVE_VOLUME
    if last is not None:
        if start == last[0]:
            return Rule.DUPLICATE_TIME
        if start < last[0]:
            return Rule.OUT_OF_ORDER
        if start < last[1]:
            return Rule.OVERLAP
    if close and (high >= close * SPIKE_FACTOR or low * SPIKE_FACTOR <= close):
        return Rule.SPIKE
    return None


def _detail(row: tuple[int, int, int, int, int, int, int], rule: Rule, close: int) -> str:
    start, end, opened, high, low, closed, volume = row
    match rule:
        case Rule.NOT_FINITE:
            return "a price or the volume is missing or is no number that can be counted"
        case Rule.NO_DURATION:
            return f"it starts at {format_instant(start)} and ends at {format_instant(end)}"
        case Rule.DUPLICATE_TIME | Rule.OUT_OF_ORDER | Rule.OVERLAP:
            return f"it starts at {format_instant(start)}"
        case Rule.NEGATIVE_VOLUME:
            return f"{volume} lots"
        case Rule.SPIKE:
            return f"open {opened} high {high} low {low} close {closed} after a close of {close}"
        case _:
            return f"open {opened} high {high} low {low} close {closed}"
