"""What is in a source, and how good is it? The report behind `titanflow data check`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import numpy as np

from titanflow.adapters.feeds.bundled import Bundled, dataset
from titanflow.adapters.feeds.files import Files
from titanflow.adapters.feeds.provider import Provider, RawBars, SplitAction
from titanflow.adapters.feeds.quality import judge
from titanflow.core.base.errors import Problem, SpecError
from titanflow.core.base.fixed import parse_decimal
from titanflow.core.base.instant import NS_PER_DAY, NS_PER_SECOND, format_instant
from titanflow.core.spec.ground import FeeRates, Instrument
from titanflow.core.spec.source import FileFormat

GAP_DAYS = 5
"""Days without a bar that count as a gap: more than a weekend with a holiday on each side."""


class SymbolReport(msgspec.Struct, frozen=True):
    """What a source holds of one symbol."""

    symbol: str
    rows: int
    good: int
    first: str
    last: str
    gaps: int
    longest_gap_days: int
    quarantined: dict[str, int]
    """How many bars broke each rule."""
    splits: int
    off_tick: int
    """Prices that would be rounded to the tick."""


class Report(msgspec.Struct, frozen=True):
    """What a source holds, symbol by symbol."""

    name: str
    place: str
    sha256: str
    tick_size: str
    rows: int
    quarantined: int
    symbols: tuple[SymbolReport, ...]


def check(source: str, *, tick_size: str = "0.01", bar_seconds: int = 86_400) -> Report:
    """Run the quality gate over a bundled data set, a CSV or Parquet file, or a folder of them.

    Raises: SpecError if there is no such source, AdapterError if it cannot be read.
    """
    provider = _provider(source, bar_seconds * NS_PER_SECOND)
    actions = provider.actions(provider.symbols())
    reports = []
    for index, symbol in enumerate(provider.symbols()):
        splits = [a for a in actions if isinstance(a, SplitAction) and a.symbol == symbol]
        instrument = _instrument(index, symbol, parse_decimal(tick_size), bar_seconds)
        reports.append(_report(provider.bars(symbol), instrument, splits))
    origin = provider.origin
    return Report(
        name=origin.name,
        place=origin.place,
        sha256=origin.sha256,
        tick_size=tick_size,
        rows=sum(r.rows for r in reports),
        quarantined=sum(r.rows - r.good for r in reports),
        symbols=tuple(reports),
    )


def _provider(source: str, bar_ns: int) -> Provider:
    place = Path(source)
    if not place.exists():
        if place.suffix or "/" in source:
            raise SpecError([Problem("no such file or folder", source)])
        return Bundled(source, dataset(source).name, bar_ns)
    names = [place] if place.is_file() else sorted(place.iterdir())
    parquet = any(path.suffix == ".parquet" for path in names)
    form = FileFormat.PARQUET if parquet else FileFormat.CSV
    return Files(place.name, place, form, bar_ns)


def _instrument(index: int, symbol: str, tick: int, bar_seconds: int) -> Instrument:
    lot = parse_decimal("1")
    fees = FeeRates(maker_ppm=0, taker_ppm=0, per_lot=0, min_per_order=0)
    return Instrument(
        index, symbol, "NONE", "NONE", tick, lot, tick, 1, 0, 0, bar_seconds * NS_PER_SECOND, fees
    )


def _report(raw: RawBars, instrument: Instrument, splits: list[SplitAction]) -> SymbolReport:
    judged = judge(raw, instrument, splits)
    good = judged.columns
    breaks = (good.start_ns[1:] - good.end_ns[:-1]) if len(good) else np.empty(0, dtype=np.int64)
    rules = Counter(str(found.rule) for found in judged.quarantined)
    return SymbolReport(
        symbol=instrument.symbol,
        rows=len(raw),
        good=len(good),
        first=format_instant(int(good.start_ns[0])) if len(good) else "",
        last=format_instant(int(good.end_ns[-1])) if len(good) else "",
        gaps=int(np.count_nonzero(breaks > GAP_DAYS * NS_PER_DAY)),
        longest_gap_days=int(breaks.max() // NS_PER_DAY) if len(breaks) else 0,
        quarantined=dict(sorted(rules.items())),
        splits=len(splits),
        off_tick=judged.off_tick,
    )
