"""Small grounds and bars for tests of feeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from titanflow.adapters.feeds.provider import RawBars
from titanflow.adapters.feeds.tape import MarketFact, iter_events, load_market
from titanflow.core.base.instant import NS_PER_DAY, parse_instant
from titanflow.core.spec.arena import ArenaSpec
from titanflow.core.spec.compile import compile_ground
from titanflow.core.spec.contender import ContenderSpec
from titanflow.core.spec.ground import Ground

START = parse_instant("2020-01-06T00:00:00Z")
HEADER = "symbol,time,open,high,low,close,volume"


def arena(symbols: tuple[str, ...], source: dict[str, Any], **changes: Any) -> ArenaSpec:
    """Return an arena over one source with a tick of a cent."""
    instruments = [
        {
            "symbol": symbol,
            "venue": "XSIM",
            "assetClass": "Equity",
            "currency": "USD",
            "tickSize": "0.01",
            "lotSize": "1",
        }
        for symbol in symbols
    ]
    return ArenaSpec.model_validate(
        {"instruments": instruments, "sources": [{"name": "feed", **source}], **changes}
    )


def files(uri: str, form: str = "CSV", **more: Any) -> dict[str, Any]:
    """Return a source of kind Files."""
    return {"kind": "Files", "files": {"uri": uri, "format": form, **more}}


BUNDLED = {"kind": "Bundled", "bundled": {"dataset": "us-stocks-2000-2013"}}


def ground(spec: ArenaSpec) -> Ground:
    """Return the ground of an arena with one contender."""
    recipe = {"kind": "Rules", "rules": {"name": "BuyAndHold"}}
    contender = ContenderSpec.model_validate({"recipe": recipe})
    return compile_ground("main", spec, {"hold": (contender, {})})


def tape(spec: ArenaSpec, folder: Path) -> list[MarketFact]:
    """Return all facts of an arena's tape."""
    stand = ground(spec)
    return list(iter_events(load_market(spec, stand, folder), stand))


def raw(*rows: tuple[float, ...], days: tuple[int, ...] | None = None) -> RawBars:
    """Return daily bars from (open, high, low, close, volume); *days* says on which days."""
    at = np.array(days if days is not None else range(len(rows)), dtype=np.int64)
    start = START + at * NS_PER_DAY
    columns = [np.array(values, dtype=np.float64) for values in zip(*rows, strict=True)]
    return RawBars(start, start + NS_PER_DAY, *columns)
