"""Is the tape in order, named by content, the same from every format, and judged?"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest
from feed_kit import BUNDLED, HEADER, START, arena, files, ground, tape

from titanflow.adapters.feeds import tape as tape_module
from titanflow.adapters.feeds.bundled import Bundled
from titanflow.adapters.feeds.provider import DividendAction, SplitAction
from titanflow.adapters.feeds.tape import load_market
from titanflow.core.base.errors import AdapterError, SpecError
from titanflow.core.base.instant import NS_PER_DAY, format_date, format_instant
from titanflow.core.facts import Bar, Dividend, Quarantine, Split

ROWS = [
    ("AAA", "2020-01-06T00:00:00Z", 10.0, 10.5, 9.5, 10.25, 1000),
    ("BBB", "2020-01-06T00:00:00Z", 20.0, 20.5, 19.5, 20.25, 2000),
    ("AAA", "2020-01-07T00:00:00Z", 10.3, 10.35, 9.5, 10.26, 1100),
    ("AAA", "2020-01-08T00:00:00Z", 10.3, 10.2, 9.5, 10.26, 1200),
    ("BBB", "2020-01-08T00:00:00Z", 21.0, 21.5, 20.5, 21.25, 2100),
]


def csv_text(rows: list[tuple[object, ...]] = ROWS, header: str = HEADER) -> str:
    return "\n".join([header, *(",".join(str(cell) for cell in row) for row in rows)]) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bars.csv").write_text(csv_text())
    return tmp_path


SPEC = arena(("BBB", "AAA"), files("file://./bars.csv"))


def test_the_tape_is_ordered_by_time_kind_and_instrument(folder: Path) -> None:
    found = [(type(f).__name__, f.symbol, format_date(f.at)) for f in tape(SPEC, folder)]

    assert [
        ("Bar", "AAA", "2020-01-07"),
        ("Bar", "BBB", "2020-01-07"),
        ("Bar", "AAA", "2020-01-08"),
        ("Bar", "BBB", "2020-01-09"),
        ("Quarantine", "AAA", "2020-01-09"),
    ] == found


def test_a_bar_holds_ticks_and_lots(folder: Path) -> None:
    bar = tape(SPEC, folder)[2]

    assert isinstance(bar, Bar)
    assert (1030, 1035, 950, 1026, 1100) == (
        bar.open_ticks,
        bar.high_ticks,
        bar.low_ticks,
        bar.close_ticks,
        bar.volume_lots,
    )
    assert (START + NS_PER_DAY, START + 2 * NS_PER_DAY, bar.at) == (bar.start, bar.at, bar.seen)


def test_parquet_of_floats_and_of_decimals_gives_the_facts_of_csv(folder: Path) -> None:
    names = HEADER.split(",")
    columns = dict(zip(names, map(list, zip(*ROWS, strict=True)), strict=True))
    columns["time"] = [datetime.fromisoformat(str(t)) for t in columns["time"]]
    kinds = {name: pa.float64() for name in names[2:6]}
    kinds |= {"symbol": pa.string(), "time": pa.timestamp("us", "UTC"), "volume": pa.int32()}
    table = pa.table({name: pa.array(columns[name], kinds[name]) for name in names})
    pa_parquet.write_table(table, folder / "floats.parquet")
    for name in names[2:6]:
        exact = [Decimal(str(value)) for value in columns[name]]
        at = table.column_names.index(name)
        table = table.set_column(at, name, pa.array(exact, pa.decimal128(12, 4)))
    dates = [datetime.fromisoformat(str(row[1])).astimezone(UTC).date() for row in ROWS]
    table = table.set_column(1, "date", pa.array(dates, pa.date32()))
    pa_parquet.write_table(table, folder / "decimals.parquet")

    wanted = tape(SPEC, folder)

    for name in ("floats", "decimals"):
        spec = arena(("AAA", "BBB"), files(f"file://./{name}.parquet", "Parquet"))
        assert wanted == tape(spec, folder)


def test_renamed_files_in_a_folder_give_the_same_tape_and_digest(tmp_path: Path) -> None:
    spec = arena(("AAA", "BBB"), files("file://./many"))
    found = []
    for names in (("a", "b", "c"), ("z", "y", "x")):
        many = tmp_path / names[0] / "many"
        many.mkdir(parents=True)
        for name, rows in zip(names, (ROWS[:2], ROWS[2:3], ROWS[3:]), strict=True):
            (many / f"{name}.csv").write_text(csv_text(rows))
        market = load_market(spec, ground(spec), many.parent)
        found.append((market.origin.sha256, tape(spec, many.parent)))

    assert found[0] == found[1]
    assert 5 == len(found[0][1])


def test_ids_are_unique_and_do_not_depend_on_what_else_is_on_the_tape(folder: Path) -> None:
    twice = [*ROWS, ROWS[3], ROWS[3]]
    (folder / "twice.csv").write_text(csv_text(twice))
    both = tape(arena(("AAA", "BBB"), files("file://./twice.csv")), folder)
    alone = tape(arena(("AAA",), files("file://./twice.csv")), folder)

    assert len(both) == len({fact.id for fact in both}) == 7
    assert [f.id for f in both if f.symbol == "AAA"] == [f.id for f in alone]


def test_the_season_is_inclusive_at_its_start_and_exclusive_at_its_end(folder: Path) -> None:
    season = {"start": "2020-01-08T00:00:00Z", "end": "2020-01-09T00:00:00Z"}
    spec = arena(("AAA", "BBB"), files("file://./bars.csv"), season=season)

    assert ["2020-01-08"] == [format_date(fact.at) for fact in tape(spec, folder)]


def test_splits_and_dividends_stand_before_their_bar_and_after_the_one_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    actions = (
        DividendAction("AAA", START + NS_PER_DAY, 5, "test"),
        SplitAction("AAA", START + NS_PER_DAY, 2, 1, "test"),
        SplitAction("AAA", START + 90 * NS_PER_DAY, 2, 1, "after the last bar"),
    )
    monkeypatch.setattr(tape_module.Files, "actions", lambda *_: actions)

    found = tape(SPEC, folder)
    kinds = [type(f) for f in found if f.symbol == "AAA"]

    assert [Bar, Split, Dividend, Bar, Quarantine] == kinds
    assert all(a.at <= b.at for a, b in itertools.pairwise(found))
    assert START + NS_PER_DAY == next(f.at for f in found if isinstance(f, Split))


def test_too_many_quarantines_end_the_session(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tape_module, "QUARANTINES_MAX", 0)

    with pytest.raises(AdapterError, match="more than 0 bars break a rule"):
        tape(SPEC, folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (csv_text(header=HEADER.replace("close", "clse")), "columns are missing: close"),
        (csv_text(header=HEADER.replace("time", "when")), r"columns are missing: time \(or date\)"),
        (csv_text([("AAA", "soon", 1, 1, 1, 1, 1)]), "row 1: 'soon' is no time"),
        (csv_text([("AAA", "2020-01-06T09:30:00", 1, 1, 1, 1, 1)]), "is no time"),
        (csv_text([("AAA", "", 1, 1, 1, 1, 1)]), "'' is no time"),
        (csv_text([("AAA", "2020-01-06", "x", 1, 1, 1, 1)]), "this is not a CSV of bars"),
        ("", "columns are missing"),
        (csv_text([("CCC", *ROWS[0][1:])]), "holds no bars of BBB; one of: CCC"),
    ],
)
def test_a_wrong_file_is_refused_in_words(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bars.csv").write_text(text)

    with pytest.raises(SpecError, match=message):
        tape(SPEC, tmp_path)


def test_a_missing_symbol_is_placed_in_the_manifest(folder: Path) -> None:
    spec = arena(("AAA", "BBC"), files("file://./bars.csv"))

    with pytest.raises(SpecError) as caught:
        tape(spec, folder)

    problem = caught.value.problems[0]
    assert "Arena/main spec.instruments[1].symbol" == problem.where
    assert "did you mean 'BBB'?" == problem.do


def test_an_empty_price_is_quarantined_not_refused(tmp_path: Path) -> None:
    rows = [("AAA", "2020-01-06", "", 10.5, 9.5, 10.25, 1000), *ROWS[2:3]]
    (tmp_path / "bars.csv").write_text(csv_text(rows, HEADER.replace("time", "date")))

    with pytest.raises(SpecError):
        tape(SPEC, tmp_path)  # BBB is not there at all
    found = tape(arena(("AAA",), files("file://./bars.csv")), tmp_path)

    assert [Quarantine, Bar] == [type(fact) for fact in found]


def test_other_content_than_the_digest_says_is_refused(folder: Path) -> None:
    spec = arena(("AAA",), files("file://./bars.csv", sha256="0" * 64))

    with pytest.raises(SpecError, match="its SHA-256 is "):
        tape(spec, folder)


def test_naive_times_in_parquet_are_refused(tmp_path: Path) -> None:
    times = pa.array([datetime(2020, 1, 6)], pa.timestamp("us"))  # noqa: DTZ001 - the point
    one = {name: pa.array([1.0]) for name in ("open", "high", "low", "close", "volume")}
    pa_parquet.write_table(
        pa.table({"symbol": pa.array(["AAA"]), "time": times, **one}), tmp_path / "x.parquet"
    )

    with pytest.raises(SpecError, match="times have no zone"):
        tape(arena(("AAA",), files("file://./x.parquet", "Parquet")), tmp_path)


def test_bars_may_name_their_end(tmp_path: Path) -> None:
    row = ("AAA", "2020-01-06T14:30:00Z", 10, 11, 9, 10, 5, "2020-01-06T21:00:00Z")
    (tmp_path / "bars.csv").write_text(csv_text([row], HEADER + ",end"))

    (bar,) = tape(arena(("AAA",), files("file://./bars.csv")), tmp_path)

    assert "2020-01-06T21:00:00Z" == format_instant(bar.at)


def test_a_damaged_bundle_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import msgspec

    from titanflow.adapters.feeds import bundled

    true = bundled.dataset("us-stocks-2000-2013")
    false = msgspec.structs.replace(true, sha256="0" * 64)
    monkeypatch.setattr(bundled, "dataset", lambda _: false)

    with pytest.raises(
        AdapterError, match=r"was changed: its SHA-256 is .*install TitanFlow again"
    ):
        Bundled("b", "us-stocks-2000-2013", NS_PER_DAY)


def test_an_unknown_bundle_is_refused() -> None:
    with pytest.raises(SpecError, match="did you mean 'us-stocks-2000-2013'"):
        Bundled("b", "us-stocks-2000-2014", NS_PER_DAY)


def test_bundled_splits_enter_as_facts() -> None:
    spec = arena(("AAPL", "MSFT"), BUNDLED)

    found = [f for f in tape(spec, Path()) if isinstance(f, Split)]

    assert [
        ("AAPL", "2000-06-21", 2, 1),
        ("MSFT", "2003-02-18", 2, 1),
        ("AAPL", "2005-02-28", 2, 1),
    ] == [(f.symbol, format_date(f.at), f.numerator, f.denominator) for f in found]
    assert all("investor relations" in f.source for f in found)
