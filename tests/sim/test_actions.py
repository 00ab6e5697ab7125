"""Splits and dividends of a user's own files are facts: they move lots and money, and verify."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit import read_journal, small_folder

from titanflow.adapters.feeds.actions import read_actions
from titanflow.core.base.errors import SpecError
from titanflow.core.facts import Dividend, Entry, Split
from titanflow.runtime.plan import prepare
from titanflow.runtime.record import record_session
from titanflow.runtime.verify import Result, verify

HEADER = "symbol,date,kind,numerator,denominator,amount,source\n"
ROWS = HEADER + "AAA,2020-01-20,dividend,,,0.25,board\nAAA,2020-02-03,split,3,2,,board\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TITANFLOW_HOME", str(tmp_path / "state"))
    folder = small_folder(tmp_path / "arena")
    (folder / "bars.actions.csv").write_text(ROWS)
    return folder


def test_dividends_and_splits_are_posted_and_verified(folder: Path) -> None:
    result = record_session(prepare(folder, None))
    _, facts = read_journal(result.session.journal)
    split = next(f for f in facts if isinstance(f, Split))
    dividend = next(f for f in facts if isinstance(f, Dividend))
    paid = [f for f in facts if isinstance(f, Entry) and f.cause == dividend.id]
    moved = [f for f in facts if isinstance(f, Entry) and f.cause == split.id]
    holder = next(f for f in paid if f.contender == "hold")
    before = sum(
        f.quantity_lots
        for f in facts[: facts.index(dividend)]
        if isinstance(f, Entry) and f.contender == "hold" and f.symbol == "AAA"
    )

    assert holder.amount == before * 25_000_000
    assert any(f.quantity_lots > 0 for f in moved)
    assert result.outcome.broken == 0
    assert verify(result.session.journal, folder).result is Result.VERIFIED


def test_the_actions_belong_to_the_digest_of_the_data(folder: Path) -> None:
    with_actions = prepare(folder, None).data()
    (folder / "bars.actions.csv").unlink()

    assert with_actions != prepare(folder, None).data()


def test_a_byte_order_mark_is_no_part_of_the_header(folder: Path) -> None:
    path = folder / "bars.actions.csv"
    path.write_text(ROWS, encoding="utf-8-sig")

    assert 2 == len(read_actions(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("symbol,date\n", "columns"),
        (
            ROWS + "AAA,2020-02-03,split,3,2,,board\n",
            ":4: AAA is split on this day already, in line 3",
        ),
        (HEADER + "AAA,yesterday,split,2,1,,x\n", ":2: write a UTC time"),
        (HEADER + "AAA,2020-01-20,merger,2,1,,x\n", ":2: unknown kind 'merger'"),
        (HEADER + "AAA,2020-01-20,split,0,1,,x\n", ":2: numerator and denominator"),
        (HEADER + "AAA,2020-01-20,dividend,,,0,x\n", ":2: amount must be greater"),
        (HEADER + "AAA,2020-01-20,split,two,1,,x\n", ":2: invalid literal"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "actions.csv").write_text(text)

    with pytest.raises(SpecError, match=message):
        read_actions(tmp_path / "actions.csv")
