"""Real daily bars for tests, as bokeh_sampledata ships them: AAPL, unadjusted, from 2000-03-01."""

from __future__ import annotations

import csv
import gzip
from functools import cache
from pathlib import Path

import bokeh_sampledata
import numpy as np

from titanflow.core.base.ident import NO_ID, Id, digest
from titanflow.core.base.instant import NS_PER_DAY, parse_instant
from titanflow.core.facts import Bar

SOURCE = Path(bokeh_sampledata.__file__).parent / "_data" / "stocks.csv.gz"


@cache
def stock_bars(symbol: str = "AAPL") -> tuple[Bar, ...]:
    """Return all bars of a stock; a bar ends at midnight."""
    bars = []
    with gzip.open(SOURCE, "rt") as lines:
        for row in csv.DictReader(lines):
            if row["Ticker"] != symbol:
                continue
            at = parse_instant(row["Date"]) + NS_PER_DAY
            ticks = [round(float(row[name]) * 100) for name in ("Open", "High", "Low", "Close")]
            ident = Id(digest(symbol.encode(), row["Date"].encode())[:16])
            volume = int(row["Volume"])
            bars.append(Bar(ident, NO_ID, at, at, symbol, at - NS_PER_DAY, *ticks, volume))
    return tuple(bars)


@cache
def stock_columns(symbol: str = "AAPL") -> dict[str, np.ndarray]:
    """Return the bars of a stock as columns of float64."""
    bars = stock_bars(symbol)
    columns = {
        name: np.array([getattr(bar, f"{name}_ticks") / 100 for bar in bars])
        for name in ("open", "high", "low", "close")
    }
    return columns | {"volume": np.array([float(bar.volume_lots) for bar in bars])}
