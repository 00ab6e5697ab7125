"""Whatever is done to a docket is found, and at the entry that it was done to."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from titanflow.core.governance import docket
from titanflow.core.governance.docket import (
    DocketEntry,
    DocketError,
    DocketFullError,
    DocketKind,
    Matter,
    append,
    decode,
    encode,
    verify,
)

WORDS = st.text(max_size=12)
FIRST = docket.opened("main", "d" * 64, ())
MATTERS = st.builds(
    Matter,
    kind=st.sampled_from([each for each in DocketKind if each is not DocketKind.OPENED]),
    subject=WORDS,
    by=WORDS,
    reason=WORDS,
    at=st.integers(0, 2**62),
    accepted=st.booleans(),
    text=WORDS,
    epoch=st.integers(0, 9),
    proposal=WORDS,
    ruling=WORDS,
    stream=WORDS,
    sequence=st.integers(0, 2**62),
    evidence=st.lists(st.tuples(WORDS, WORDS), max_size=2).map(tuple),
)


def chained(matters: list[Matter]) -> list[DocketEntry]:
    entries: list[DocketEntry] = []
    for matter in (FIRST, *matters):
        entries.append(append(entries[-1] if entries else None, matter))
    return entries


CHAINS = st.lists(MATTERS, min_size=3, max_size=8).map(chained)


def first_wrong(lines: list[bytes], place: int, line: bytes) -> int:
    """Return which entry is named when *line* stands at *place*; -1 if none is."""
    lines[place] = line
    try:
        found = verify([decode(each, number) for number, each in enumerate(lines)])
    except DocketError as error:
        found = error
    return -1 if found is None else found.number


@given(CHAINS)
def test_a_docket_as_it_was_written_is_right(entries: list[DocketEntry]) -> None:
    again = [decode(encode(entry), entry.number) for entry in entries]

    assert entries == again
    assert verify(again) is None
    assert verify(again, entries[-1].hash) is None


@given(CHAINS, st.data())
def test_a_changed_entry_is_named(entries: list[DocketEntry], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(entries) - 1))
    entry = entries[place]
    other = data.draw(MATTERS.filter(lambda matter: matter != entry.matter))
    field = data.draw(
        st.sampled_from(
            [n for n in other.__struct_fields__ if getattr(other, n) != getattr(entry.matter, n)]
        )
    )
    matter = msgspec.structs.replace(entry.matter, **{field: getattr(other, field)})
    entries[place] = msgspec.structs.replace(entry, matter=matter)

    found = verify(entries)
    assert found is not None
    assert place == found.number


@given(CHAINS, st.data())
def test_an_entry_changed_with_its_digest_made_to_fit_is_found_at_the_next(
    entries: list[DocketEntry], data: st.DataObject
) -> None:
    place = data.draw(st.integers(1, len(entries) - 2))
    other = data.draw(MATTERS.filter(lambda matter: matter != entries[place].matter))
    entries[place] = append(entries[place - 1], other)

    found = verify(entries)
    assert found is not None
    assert place + 1 == found.number


@given(CHAINS, st.data())
def test_what_is_removed_repeated_or_swapped_is_named(
    entries: list[DocketEntry], data: st.DataObject
) -> None:
    head, place = entries[-1].hash, data.draw(st.integers(0, len(entries) - 2))
    removed = entries[:place] + entries[place + 1 :]
    repeated = entries[: place + 1] + entries[place:]
    swapped = [*entries[:place], entries[place + 1], entries[place], *entries[place + 2 :]]

    for altered, where in ((removed, place), (repeated, place + 1), (swapped, place)):
        found = verify(altered, head)
        assert found is not None
        assert where == found.number


@given(CHAINS, st.integers(0, 3))
def test_what_is_cut_off_at_the_end_is_found_by_who_kept_the_head(
    entries: list[DocketEntry], left: int
) -> None:
    found = verify(entries[:left], entries[-1].hash)

    assert found is not None
    assert left == found.number


@given(CHAINS, st.data())
def test_no_byte_of_a_line_can_be_changed(entries: list[DocketEntry], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(entries) - 1))
    line = bytearray(encode(entries[place]))
    line[data.draw(st.integers(0, len(line) - 1))] ^= data.draw(st.integers(1, 255))

    assert place == first_wrong([encode(entry) for entry in entries], place, bytes(line))


def test_a_docket_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    pause = Matter(
        kind=DocketKind.PAUSE, subject="Arena", by="a", reason="", at=0, accepted=True, text=""
    )
    entries = chained([pause])
    monkeypatch.setattr(docket, "ENTRIES_MAX", 2)
    with pytest.raises(DocketFullError, match="2 entries"):
        append(entries[-1], pause)

    monkeypatch.setattr(docket, "LINE_BYTES_MAX", 100)
    with pytest.raises(DocketFullError, match="bytes"):
        append(entries[0], pause)
    with pytest.raises(DocketError, match="more than 100 bytes"):
        decode(encode(entries[0]), 0)


def test_a_session_is_opened_once_and_first() -> None:
    entries = chained([FIRST])
    found = verify(entries)
    assert found is not None
    assert "opens the session" in found.what
    assert 1 == found.number
