"""Are the bundled data what their public source holds, and what their description says?"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow.parquet as pa_parquet
import pytest
from feed_kit import BUNDLED, arena, tape

from titanflow.adapters.feeds.bundled import dataset, list_datasets
from titanflow.adapters.feeds.survey import check
from titanflow.core.base.errors import SpecError
from titanflow.core.base.instant import format_date, format_instant
from titanflow.core.facts import Bar, Quarantine
from tools import make_dataset

FOUND = dataset("us-stocks-2000-2013")


def test_the_data_equal_their_public_source() -> None:
    table = pa_parquet.read_table(FOUND.path).cast(make_dataset.SCHEMA)

    assert table.equals(make_dataset.make_table(make_dataset.read_source()))


def test_the_description_equals_the_data_and_the_source() -> None:
    sha256 = hashlib.sha256(FOUND.path.read_bytes()).hexdigest()

    described = make_dataset.describe(make_dataset.read_source(), sha256)

    assert described["sha256"] == FOUND.sha256
    assert described["rows"] == FOUND.rows == 12_154
    assert described["licence"] == FOUND.licence == "Public domain"
    assert "Quandl WIKI" in FOUND.licence_statement
    assert [s["ratio"] for s in make_dataset.measured(make_dataset.read_source())] == [
        s.ratio for s in FOUND.splits
    ]


def test_the_adjusted_close_never_enters() -> None:
    names = pa_parquet.read_schema(FOUND.path).names

    assert ["symbol", "time", "end", "open", "high", "low", "close", "volume"] == names
    assert b"dj_close" not in FOUND.path.read_bytes()


def test_the_data_are_small() -> None:
    assert FOUND.path.stat().st_size < 500_000


def test_every_bar_passes_the_gate_and_a_true_crash_stays() -> None:
    facts = tape(arena(("AAPL", "FB", "GOOG", "IBM", "MSFT"), BUNDLED), Path())
    bars = [fact for fact in facts if isinstance(fact, Bar)]
    crash = {format_date(b.at): b.close_ticks for b in bars if b.symbol == "AAPL"}

    assert FOUND.rows == len(bars)
    assert not any(isinstance(fact, Quarantine) for fact in facts)
    assert (5350, 2575) == (crash["2000-09-28"], crash["2000-09-29"])


def test_sessions_are_stamped_in_new_york_time() -> None:
    bars = [f for f in tape(arena(("IBM",), BUNDLED), Path()) if isinstance(f, Bar)]
    times = {format_instant(b.start)[:10]: (b.start, b.at) for b in bars}

    winter, summer = times["2010-01-04"], times["2010-07-01"]

    assert ["2010-01-04T14:30:00Z", "2010-01-04T21:00:00Z"] == [format_instant(t) for t in winter]
    assert ["2010-07-01T13:30:00Z", "2010-07-01T20:00:00Z"] == [format_instant(t) for t in summer]


def test_the_survey_says_what_there_is() -> None:
    report = check("us-stocks-2000-2013")
    aapl = report.symbols[0]

    assert (12_154, 0) == (report.rows, report.quarantined)
    assert ("AAPL", 3270, 2, 1, 6) == (
        aapl.symbol,
        aapl.good,
        aapl.splits,
        aapl.gaps,
        aapl.longest_gap_days,
    )
    assert ["us-stocks-2000-2013"] == [one.name for one in list_datasets()]


def test_the_survey_reads_files_and_counts_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(
        "symbol,date,open,high,low,close,volume\n"
        "A,2020-01-06,1,1,1,1,5\nA,2020-01-07,1,0.5,1,1,5\nA,2020-01-20,1.001,2,1,1,5\n"
    )

    report = check(str(path))

    assert {"Crossed": 1} == report.symbols[0].quarantined
    assert (1, 13, 1) == (
        report.symbols[0].gaps,
        report.symbols[0].longest_gap_days,
        report.symbols[0].off_tick,
    )
    with pytest.raises(SpecError, match="no such file or folder"):
        check(str(tmp_path / "none.csv"))
