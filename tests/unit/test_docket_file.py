"""The docket's file survives what tears it, and nothing else done to it goes unseen."""

from __future__ import annotations

from pathlib import Path

import pytest
from docket_kit import FIRST, STREAM, ident, request, ruled_on, ruling, written

from titanflow.core.base.errors import AdapterError
from titanflow.core.governance.docket import (
    DocketError,
    DocketKind,
    encode,
    opened,
    ruled,
    verify,
)
from titanflow.runtime import docket as module
from titanflow.runtime.docket import Docket, entries_of


def test_a_docket_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "docket.jsonl"
    written(path)

    with Docket(path, FIRST, print) as docket:
        assert (3, 101, 7) == (docket.count, docket.epoch, docket.at)
        assert ("Contender dice",) == docket.engaged
        assert (12, 0) == (docket.heard(STREAM), docket.heard("another"))
        assert docket.holds(ident(102).hex())
        assert not docket.holds(ident(103).hex())
        entry = docket.on(ident(1).hex())
        assert entry is not None
        assert (("action", "Flatten"), ("instruments", "AAA BBB")) == entry.matter.evidence
        docket.append(ruled_on(3, 14, engaged=False))
        assert () == docket.engaged
        assert 103 == docket.epoch

    entries, torn = entries_of(path)
    assert ([0, 1, 2, 3], "") == ([entry.number for entry in entries], torn)
    assert verify(entries) is None


def test_every_torn_end_is_cut_and_told(tmp_path: Path) -> None:
    path = tmp_path / "docket.jsonl"
    written(path)
    whole = path.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1

    for cut in range(start + 1, len(whole)):
        path.write_bytes(whole[:cut])
        told: list[str] = []
        with Docket(path, FIRST, told.append) as docket:
            assert 2 == docket.count
            docket.append(ruled_on(2, 12, engaged=False, accepted=False))
        assert whole == path.read_bytes()
        assert ["torn at its end" in text for text in told] == [True]


def test_other_damage_stops_whoever_opens_it(tmp_path: Path) -> None:
    path = tmp_path / "docket.jsonl"
    written(path)
    lines = path.read_bytes().splitlines(keepends=True)

    for altered in (lines[1:], [lines[0], lines[2]], [*lines, lines[2]], [lines[0], b"{}\n"]):
        path.write_bytes(b"".join(altered))
        with pytest.raises(DocketError):
            Docket(path, FIRST, print)
        assert b"".join(altered) == path.read_bytes()


def test_a_docket_of_other_manifests_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "docket.jsonl")

    with pytest.raises(DocketError, match="other manifests"):
        Docket(tmp_path / "docket.jsonl", opened("main", "e" * 64, ()), print)


def test_a_line_without_end_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "docket.jsonl"
    written(path)
    monkeypatch.setattr(module, "LINE_BYTES_MAX", 2_000)
    with path.open("ab") as file:
        file.write(b"x" * 10_000)

    with pytest.raises(DocketError, match=r"cannot be read|more than"):
        entries_of(path)


def test_what_cannot_be_written_is_an_error_of_the_world(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="cannot open"):
        Docket(tmp_path / "nowhere" / "docket.jsonl", FIRST, print)


def test_a_ruling_nobody_asked_for_is_risk_s_or_the_sentinel_s() -> None:
    asked = request(1)
    breach = ruled(None, ruling(asked, 9, text="BREACH:DRAWDOWN"), STREAM, 3)
    freeze = ruled(None, ruling(asked, 9, text="LeaseStale"), STREAM, 3)
    in_vain = ruled(None, ruling(asked, 9, accepted=False, text="only wider"), STREAM, 3)

    assert (DocketKind.KILL, "risk", "") == (breach.kind, breach.by, breach.proposal)
    assert (DocketKind.FREEZE, "sentinel", "LeaseStale") == (freeze.kind, freeze.by, freeze.reason)
    assert (asked.id.hex(), "") == (in_vain.proposal, in_vain.reason)


def test_an_entry_is_one_line(tmp_path: Path) -> None:
    written(tmp_path / "docket.jsonl")
    for entry in entries_of(tmp_path / "docket.jsonl")[0]:
        assert 1 == encode(entry).count(b"\n")
