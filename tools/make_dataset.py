"""How is the bundled data set made? From the public source, the same content every time.

Run with the `dataset` extra: `python -m tools.make_dataset`. It reads the raw columns of
bokeh_sampledata's stocks, never the adjusted close, stamps each day with its session in New York,
and writes a Parquet file and a JSON file with source, licence, digest and splits. `--check` writes
nothing and fails if the bundled content differs from its source.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import hashlib
import importlib.metadata
import json
import sys
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pa_parquet

NAME = "us-stocks-2000-2013"
FOLDER = Path(__file__).resolve().parent.parent / "services/titanflow/data"
NEW_YORK = ZoneInfo("America/New_York")
PRICE = pa.decimal128(9, 4)
"""Four decimals hold every price of the source; nine digits are stored in four bytes."""
TIME = pa.timestamp("s", tz="UTC")

SCHEMA = pa.schema(
    [
        ("symbol", pa.dictionary(pa.int32(), pa.string())),
        ("time", TIME),
        ("end", TIME),
        ("open", PRICE),
        ("high", PRICE),
        ("low", PRICE),
        ("close", PRICE),
        ("volume", pa.int64()),
    ]
)

DELTA = ("time", "end", "open", "high", "low", "close", "volume")
"""Columns that are stored as differences: a day resembles the one before."""

SPLITS = (
    ("AAPL", "2000-06-21", 2, 1, "Apple investor relations, FAQ: stock split history"),
    ("AAPL", "2005-02-28", 2, 1, "Apple investor relations, FAQ: stock split history"),
    ("MSFT", "2003-02-18", 2, 1, "Microsoft investor relations, stock split history"),
)
NOTES = (
    "Price return only: dividends are not part of the data set.",
    "Prices are as traded; splits are given apart, and the source's adjusted close was dropped.",
    "Every day is stamped 09:30 to 16:00 New York, also days on which the market closed early.",
    "Five companies that still exist: results over them look better than they were to expect.",
)


def source_file() -> Path:
    """Return the source's file of stocks."""
    import bokeh_sampledata

    return Path(bokeh_sampledata.__file__).parent / "_data/stocks.csv.gz"


def read_source() -> list[dict[str, str]]:
    """Return the rows of the source in the order of symbol and date, as text."""
    with gzip.open(source_file(), "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return sorted(rows, key=lambda row: (row["Ticker"], row["Date"]))


def session(date: str, hour: int, minute: int) -> dt.datetime:
    """Return a wall-clock time in New York on a date."""
    day = dt.date.fromisoformat(date)
    return dt.datetime(day.year, day.month, day.day, hour, minute, tzinfo=NEW_YORK)


def make_table(rows: list[dict[str, str]]) -> pa.Table:
    """Return the data set's table."""
    columns = {
        "symbol": [row["Ticker"] for row in rows],
        "time": [session(row["Date"], 9, 30) for row in rows],
        "end": [session(row["Date"], 16, 0) for row in rows],
        "volume": [int(row["Volume"]) for row in rows],
    }
    for name in ("Open", "High", "Low", "Close"):
        columns[name.lower()] = [Decimal(row[name]) for row in rows]
    return pa.table(
        {field.name: pa.array(columns[field.name], field.type) for field in SCHEMA}, SCHEMA
    )


def statement() -> tuple[str, str]:
    """Return the licence of the stocks and where the source package states it."""
    files = importlib.metadata.files("bokeh_sampledata") or []
    (path,) = [f for f in files if f.name == "datasets.json"]
    record = next(
        d for d in json.loads(path.read_text("utf-8"))["datasets"] if d["module"] == "stocks"
    )
    licence = str(record["recorded_license"])
    if licence != "Public domain":
        raise SystemExit(f"the source now says {licence!r}: read its terms before going on")
    said = f"{record['attribution']} {record['notes']} Sources: {', '.join(record['sources'])}"
    return licence, said


def measured(rows: list[dict[str, str]]) -> list[dict[str, object]]:
    """Return the splits, each with the jump that the raw prices show."""
    days = {(row["Ticker"], row["Date"]): index for index, row in enumerate(rows)}
    found = []
    for symbol, date, numerator, denominator, source in SPLITS:
        index = days[symbol, date]
        before, after = Decimal(rows[index - 1]["Close"]), Decimal(rows[index]["Open"])
        ratio = (before / after).quantize(Decimal("0.001"))
        if abs(ratio - Decimal(numerator) / denominator) > Decimal("0.1"):
            raise SystemExit(f"{symbol} {date}: prices show {ratio}, not {numerator}:{denominator}")
        found.append(
            {
                "symbol": symbol,
                "ex_date": date,
                "numerator": numerator,
                "denominator": denominator,
                "source": source,
                "close_before": str(before),
                "open_after": str(after),
                "ratio": str(ratio),
            }
        )
    return found


def describe(rows: list[dict[str, str]], sha256: str) -> dict[str, object]:
    """Return the JSON that stands beside the Parquet file."""
    dates: dict[str, list[str]] = {}
    for row in rows:
        dates.setdefault(row["Ticker"], []).append(row["Date"])
    licence, said = statement()
    version = importlib.metadata.version("bokeh_sampledata")
    return {
        "name": NAME,
        "title": "Daily bars of AAPL, FB, GOOG, IBM and MSFT, 2000-03-01 to 2013-03-01",
        "file": f"{NAME}.parquet",
        "sha256": sha256,
        "rows": len(rows),
        "bar_seconds": 86400,
        "currency": "USD",
        "symbols": {
            symbol: {"rows": len(days), "first": days[0], "last": days[-1]}
            for symbol, days in dates.items()
        },
        "source": "Quandl WIKI Prices, as shipped in bokeh_sampledata",
        "source_package": f"bokeh_sampledata {version}",
        "source_file_sha256": hashlib.sha256(source_file().read_bytes()).hexdigest(),
        "licence": licence,
        "licence_statement": f"bokeh_sampledata {version}, licenses/datasets.json, stocks: {said}",
        "splits": measured(rows),
        "notes": list(NOTES),
    }


def main(arguments: list[str]) -> int:
    """Make the data set, or compare it with its source."""
    rows = read_source()
    table = make_table(rows)
    path = FOLDER / f"{NAME}.parquet"
    if arguments == ["--check"]:
        same = pa_parquet.read_table(path).cast(SCHEMA).equals(table)
        print("the bundled data equal their source" if same else "the bundled data differ")
        return 0 if same else 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    pa_parquet.write_table(
        table,
        path,
        compression="zstd",
        compression_level=19,
        store_decimal_as_integer=True,
        use_dictionary=["symbol"],
        column_encoding=dict.fromkeys(DELTA, "DELTA_BINARY_PACKED"),
    )
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    text = json.dumps(describe(rows, sha256), indent=2, ensure_ascii=False) + "\n"
    path.with_suffix(".json").write_text(text, "utf-8")
    print(f"{path.name}: {table.num_rows:,} bars, {path.stat().st_size:,} bytes, {sha256}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
