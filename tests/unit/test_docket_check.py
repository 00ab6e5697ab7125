"""What a docket must hold follows from the record, as far as the record goes."""

from __future__ import annotations

from pathlib import Path

import pytest
from docket_kit import FIRST, ruled_on, written

from titanflow.core.governance.docket import Matter
from titanflow.runtime.docket import Docket
from titanflow.runtime.docket_check import Witness
from titanflow.runtime.verify import Finding, Result

VERIFIED, TORN = Finding(Result.VERIFIED, 9, "d"), Finding(Result.TORN, 9, "")
RULINGS = [ruled_on(1, 10), ruled_on(2, 12, engaged=False, accepted=False)]


def witness(rulings: list[Matter], reached: int) -> Witness:
    made = Witness()
    made.first, made.rulings = FIRST, rulings
    made._reached = {"TF_main_ORDER": reached}
    return made


def test_a_docket_may_be_ahead_of_a_journal_that_goes_on_and_of_no_other(tmp_path: Path) -> None:
    path = tmp_path / "docket.jsonl"
    written(path)
    behind = witness(RULINGS[:1], 11)

    assert (Result.TORN, 3) == (behind.judge(TORN, path).result, behind.judge(TORN, path).entries)
    assert "docket entry 2: the record holds no ruling" in behind.judge(VERIFIED, path).text
    # The journal has come further, and holds no such ruling.
    assert Result.MISMATCH is witness(RULINGS[:1], 12).judge(TORN, path).result


def test_a_journal_may_be_ahead_of_a_docket_that_goes_on_at_its_end_only(tmp_path: Path) -> None:
    path = tmp_path / "docket.jsonl"
    written(path)
    later, between = ruled_on(5, 20), ruled_on(5, 11)

    assert Result.TORN is witness([*RULINGS, later], 20).judge(TORN, path).result
    assert "is missing" in witness([*RULINGS, later], 20).judge(VERIFIED, path).text
    assert "is missing" in witness([RULINGS[0], between, RULINGS[1]], 12).judge(TORN, path).text


def test_an_order_that_is_not_the_record_s_is_found(tmp_path: Path) -> None:
    path = tmp_path / "docket.jsonl"
    with Docket(path, FIRST, print) as docket:
        docket.append(RULINGS[1])
        docket.append(RULINGS[0])

    assert "behind a later ruling" in witness(RULINGS, 12).judge(VERIFIED, path).text


@pytest.mark.parametrize("rulings", [[], RULINGS])
def test_no_docket_is_right_where_nothing_was_ruled(tmp_path: Path, rulings: list[Matter]) -> None:
    found = witness(rulings, 12).judge(VERIFIED, tmp_path / "docket.jsonl")

    assert (Result.MISMATCH if rulings else Result.VERIFIED) is found.result
    assert bool(rulings) is not any("no docket" in note for note in found.notes)


def test_a_torn_end_is_told_of_a_session_that_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "docket.jsonl"
    written(path)
    path.write_bytes(path.read_bytes() + b'{"former"')
    found = witness(RULINGS, 12).judge(TORN, path)

    assert Result.TORN is found.result
    assert "torn at its end" in found.notes[0]
    assert "it is torn" in witness(RULINGS, 12).judge(VERIFIED, path).text
