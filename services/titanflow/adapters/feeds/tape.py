"""How do bars of many instruments become one tape? Merged by time, turned into facts one by one.

The order is by time, then kind, then instrument. A bar stands at its end, a split or dividend at
the start of the first bar on its ex-date. At one instant bars come first: where one bar ends and
the next begins, a split belongs to the one that begins. What the quality gate kept out stands on
the tape as Quarantine. Ids come from symbol, kind and time, never from the place in a file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from titanflow.adapters.feeds.bundled import Bundled, dataset
from titanflow.adapters.feeds.files import Files
from titanflow.adapters.feeds.provider import (
    Action,
    Int64s,
    Origin,
    Provider,
    RawBars,
    SplitAction,
)
from titanflow.adapters.feeds.quality import Columns, Quarantined, judge
from titanflow.adapters.registry.words import nearest
from titanflow.core.base.errors import AdapterError, Problem, SpecError
from titanflow.core.base.ident import NO_ID, Id, derive, digest
from titanflow.core.base.instant import NS_PER_SECOND, parse_instant
from titanflow.core.facts import Bar, Dividend, Quarantine, Split
from titanflow.core.spec.arena import ArenaSpec, SeasonSpec
from titanflow.core.spec.ground import Ground, Instrument
from titanflow.core.spec.source import FileFormat

QUARANTINES_MAX = 10_000
"""Most quarantined bars of a session; a source with more is not worth a session."""
CHUNK_ROWS = 4096
"""Rows that are turned into Python numbers at once: few calls, and under a megabyte."""

MarketFact = Bar | Split | Dividend | Quarantine


class Market(msgspec.Struct, frozen=True):
    """The tape of a session as columns in tape order, and the few facts that are no bars."""

    origin: Origin
    instrument: NDArray[np.int16]
    """Index of each bar's instrument in the ground."""
    bars: Columns
    others: tuple[Split | Dividend | Quarantine, ...]
    """Splits, dividends and quarantines, in tape order."""
    off_tick: int
    """Prices that lay between two ticks and were rounded."""

    @property
    def events_total(self) -> int:
        """Give how many facts the tape holds."""
        return len(self.bars) + len(self.others)

    @property
    def quarantines_total(self) -> int:
        """Give how many bars were kept out."""
        return sum(isinstance(fact, Quarantine) for fact in self.others)


def open_provider(arena: ArenaSpec, folder: Path) -> Provider:
    """Return the provider of an arena's source; relative files begin at *folder*.

    Raises: SpecError or AdapterError if the source is not there or not as promised.
    """
    source = arena.sources[0]
    bar_ns = source.bar_seconds * NS_PER_SECOND
    if source.bundled is not None:
        return Bundled(source.name, source.bundled.dataset, bar_ns)
    assert source.files is not None  # the manifest's own rule: one of the two
    text = source.files.uri.removeprefix("file://")
    place = Path(text) if text.startswith("/") else folder / text
    form = FileFormat(source.files.format)
    return Files(source.name, place, form, bar_ns, source.files.sha256)


def promised_sha256(arena: ArenaSpec) -> str | None:
    """Return the digest that an arena's source must have; None where nobody has fixed it.

    Raises: SpecError if there is no such bundled data set, AdapterError if the package is damaged.
    """
    source = arena.sources[0]
    if source.bundled is not None:
        return dataset(source.bundled.dataset).sha256
    assert source.files is not None  # the manifest's own rule: one of the two
    return source.files.sha256


def load_market(arena: ArenaSpec, ground: Ground, folder: Path) -> Market:
    """Return the tape of an arena: read, judged by the quality gate, cut to the season, merged.

    Raises: SpecError if an instrument is not in the data; AdapterError if a source cannot be read
    or more than 10,000 bars break a rule.
    """
    provider = open_provider(arena, folder)
    names = {i.symbol: i.venue_symbol or i.symbol for i in arena.instruments}
    check_symbols(ground.arena, arena, provider)
    actions = provider.actions(names.values())
    start, end = _season(arena.season)
    pieces: list[Columns] = []
    others: list[tuple[int, int, int, Split | Dividend | Quarantine]] = []
    off_tick = kept_out = 0
    for instrument in ground.instruments:
        own = [a for a in actions if a.symbol == names[instrument.symbol]]
        raw = provider.bars(names[instrument.symbol])
        others += _actions(instrument, own, raw)
        judged = judge(raw, instrument, [a for a in own if isinstance(a, SplitAction)])
        kept_out += len(judged.quarantined)
        if kept_out > QUARANTINES_MAX:
            raise AdapterError(
                f"{provider.origin.place}: more than {QUARANTINES_MAX:,} bars break a rule of the "
                "quality gate; see `titanflow data check`"
            )
        others += _quarantines(instrument, judged.quarantined)
        off_tick += judged.off_tick
        at = judged.columns.end_ns
        pieces.append(judged.columns.only((at >= start) & (at < end)))
    inside = sorted((row for row in others if start <= row[0] < end), key=lambda row: row[:3])
    index, bars = _merge(pieces)
    return Market(provider.origin, index, bars, tuple(row[3] for row in inside), off_tick)


def iter_events(market: Market, ground: Ground) -> Iterator[MarketFact]:
    """Yield the facts of the tape in order, made as they are asked for."""
    symbols = [instrument.symbol for instrument in ground.instruments]
    causes = [_cause(symbol, "bar") for symbol in symbols]
    others = iter(market.others)
    other = next(others, None)
    columns = (market.instrument, *(getattr(market.bars, n) for n in Columns.__struct_fields__))
    for first in range(0, len(market.bars), CHUNK_ROWS):
        chunk = (column[first : first + CHUNK_ROWS].tolist() for column in columns)
        for i, start, at, opened, high, low, close, volume in zip(*chunk, strict=True):
            while other is not None and other.at < at:
                yield other
                other = next(others, None)
            ident = derive(causes[i], b"market", at & _MASK)
            yield Bar(ident, NO_ID, at, at, symbols[i], start, opened, high, low, close, volume)
    while other is not None:
        yield other
        other = next(others, None)


_MASK = 2**64 - 1
"""Times before 1970 are negative, and an id takes an unsigned number."""


def _cause(symbol: str, kind: str, *more: str) -> bytes:
    return digest(symbol.encode(), kind.encode(), *(part.encode() for part in more))[:16]


def _ident(at: int, symbol: str, kind: str, *more: str) -> Id:
    return derive(_cause(symbol, kind, *more), b"market", at & _MASK)


def _season(season: SeasonSpec) -> tuple[int, int]:
    start = parse_instant(season.start) if season.start else -(2**63)
    end = parse_instant(season.end) if season.end else 2**63 - 1
    return start, end


def check_symbols(name: str, arena: ArenaSpec, provider: Provider) -> None:
    """Refuse instruments of the arena called *name* that its source does not hold.

    Raises: SpecError with each of them.
    """
    known = provider.symbols()
    problems = []
    for number, instrument in enumerate(arena.instruments):
        wanted = instrument.venue_symbol or instrument.symbol
        if wanted not in known:
            field = "venueSymbol" if instrument.venue_symbol else "symbol"
            where = f"Arena/{name} spec.instruments[{number}].{field}"
            what = f"{provider.origin.place} holds no bars of {wanted}"
            problems.append(Problem(what, where, nearest(wanted, known)))
    if problems:
        raise SpecError(problems)


Row = tuple[int, int, int, Split | Dividend | Quarantine]
"""Time, kind, instrument, fact: the order of the tape."""


def _actions(instrument: Instrument, actions: list[Action], raw: RawBars) -> Iterator[Row]:
    """Yield the facts of corporate actions; one after the last bar has no effect and no fact."""
    for action in actions:
        later = raw.start_ns[raw.start_ns >= action.ex_ns]
        if not len(later):
            continue
        at = int(later.min())
        symbol = instrument.symbol
        if isinstance(action, SplitAction):
            ratio = (action.numerator, action.denominator)
            ident = _ident(at, symbol, "split", *(str(part) for part in ratio))
            yield (
                at,
                2,
                instrument.index,
                Split(ident, NO_ID, at, at, symbol, *ratio, action.source),
            )
        else:
            ident = _ident(at, symbol, "dividend", str(action.amount), action.source)
            yield (
                at,
                3,
                instrument.index,
                Dividend(ident, NO_ID, at, at, symbol, action.amount, action.source),
            )


def _quarantines(instrument: Instrument, found: list[Quarantined]) -> Iterator[Row]:
    twins: Counter[Quarantined] = Counter()
    symbol = instrument.symbol
    for bar in sorted(found, key=lambda q: (q.at, q.rule, q.detail)):
        ident = _ident(bar.at, symbol, "quarantine", bar.rule, bar.detail, str(twins[bar]))
        twins[bar] += 1
        yield (
            bar.at,
            1,
            instrument.index,
            Quarantine(ident, NO_ID, bar.at, bar.at, symbol, str(bar.rule), bar.detail),
        )


def _merge(pieces: list[Columns]) -> tuple[NDArray[np.int16], Columns]:
    """Return the bars of all instruments in tape order; *pieces* is emptied on the way."""
    lengths = [len(piece) for piece in pieces]
    index = np.repeat(np.arange(len(pieces), dtype=np.int16), lengths)
    # Stable, and pieces stand in the order of instruments: equal times keep that order.
    order = np.argsort(np.concatenate([p.end_ns for p in pieces]), kind="stable")
    gathered: list[Int64s] = []
    nothing = np.empty(0, dtype=np.int64)
    for name in Columns.__struct_fields__:
        # One column at a time, and the old one is let go: a million bars need 60 MB, not 120.
        gathered.append(np.concatenate([getattr(p, name) for p in pieces])[order])
        for piece in pieces:
            setattr(piece, name, nothing)
    pieces.clear()
    return index[order], Columns(*gathered)
