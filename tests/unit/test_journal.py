"""The journal keeps what it was given and shows every change."""

import errno
import struct
from pathlib import Path

import pytest

from titanflow.core.base.errors import AdapterError
from titanflow.core.base.ident import NO_ID, Id
from titanflow.core.facts import Bar
from titanflow.runtime.journal import (
    HEADER,
    Head,
    JournalError,
    Reader,
    TornTail,
    TurnRecord,
    Writer,
    decode_fact,
    read_head,
    resume,
)

HEAD = Head(1, "main", 7, "0.1.0+x", (b"{}",), "d", (("bundled", "s"),), (), ("close",))


def bar(number: int) -> Bar:
    return Bar(Id(number.to_bytes(16, "little")), NO_ID, number, number, "A", 0, 5, 9, 1, 4, 100)


def write(path: Path, count: int) -> str:
    writer = Writer(path, HEAD)
    for number in range(count):
        writer.append(bar(number))
    return writer.close()


def read_all(path: Path) -> tuple[list[object], str]:
    reader = Reader(path)
    facts = [decode_fact(r.body) for r in reader.records() if r.kind == b"F"]
    return facts, reader.digest


@pytest.mark.parametrize("count", [0, 1, 1022, 1023, 1024, 5000])
def test_what_was_written_is_read(tmp_path: Path, count: int) -> None:
    digest = write(tmp_path / "j", count)

    facts, found = read_all(tmp_path / "j")

    assert [bar(n) for n in range(count)] == facts
    assert digest == found
    assert HEAD == read_head(tmp_path / "j")


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a", 2000)
    write(tmp_path / "b", 2000)

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_existing_journal_is_never_overwritten(tmp_path: Path) -> None:
    write(tmp_path / "j", 1)

    with pytest.raises(FileExistsError):
        Writer(tmp_path / "j", HEAD)


def test_every_single_byte_flip_is_found(tmp_path: Path) -> None:
    write(tmp_path / "j", 12)
    data = (tmp_path / "j").read_bytes()
    for place in range(len(data)):
        (tmp_path / "k").write_bytes(data[:place] + bytes([data[place] ^ 0x40]) + data[place + 1 :])

        with pytest.raises(JournalError) as caught:
            read_all(tmp_path / "k")

        assert not isinstance(caught.value, TornTail), place


def test_a_cut_at_every_byte_is_a_torn_tail(tmp_path: Path) -> None:
    write(tmp_path / "j", 3)
    data = (tmp_path / "j").read_bytes()
    for size in range(len(data)):
        (tmp_path / "k").write_bytes(data[:size])

        with pytest.raises(TornTail):
            read_all(tmp_path / "k")


def records(data: bytes) -> list[bytes]:
    pieces, place = [], 20
    while place < len(data):
        (size,) = struct.unpack_from("<I", data, place)
        pieces.append(data[place : place + HEADER.size + size])
        place += HEADER.size + size
    return pieces


@pytest.mark.parametrize("change", ["remove", "swap", "duplicate"])
def test_moved_records_are_named(tmp_path: Path, change: str) -> None:
    write(tmp_path / "j", 20)
    data = (tmp_path / "j").read_bytes()
    pieces = records(data)
    match change:
        case "remove":
            del pieces[7]
        case "swap":
            pieces[7], pieces[8] = pieces[8], pieces[7]
        case _:
            pieces.insert(7, pieces[6])
    (tmp_path / "k").write_bytes(data[:20] + b"".join(pieces))

    with pytest.raises(JournalError) as caught:
        read_all(tmp_path / "k")

    assert caught.value.number == 7
    assert not isinstance(caught.value, TornTail)


def test_bytes_after_the_closing_record_are_found(tmp_path: Path) -> None:
    write(tmp_path / "j", 3)
    with (tmp_path / "j").open("ab") as file:
        file.write(b"x")

    with pytest.raises(JournalError, match="after the closing record"):
        read_all(tmp_path / "j")


def test_an_abandoned_journal_is_readable_to_its_last_record(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "j", HEAD)
    for number in range(3000):
        writer.append(bar(number))
    writer.abandon()

    reader = Reader(tmp_path / "j")
    kinds: list[bytes] = []
    with pytest.raises(TornTail):
        kinds.extend(record.kind for record in reader.records())

    assert kinds.count(b"F") == 3000


def test_a_full_disk_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(tmp_path / "j", HEAD)
    file = writer._file

    class Full:
        closed = False

        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            file.close()

    monkeypatch.setattr(writer, "_file", Full())
    writer.append(bar(1))

    with pytest.raises(AdapterError, match="No space left"):
        writer.flush()
    file.close()


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b"PK\x03\x04 something else entirely")

    with pytest.raises(JournalError, match="does not begin as a journal"):
        read_all(tmp_path / "j")


def test_a_missing_file_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="cannot read"):
        read_all(tmp_path / "nothing")


def turned(path: Path, upto: int, *, abandon_in: bool = False) -> str:
    """Write *upto* turns of 0 to 6 facts; leave in the middle of one, or close."""
    writer = Writer(path, HEAD)
    for n in range(upto):
        facts = [bar(n * 10 + i) for i in range(n % 7)]
        writer.turn(TurnRecord("p", n + 1, "S", n + 1, n, n, (("M", n),), len(facts)), facts)
    if abandon_in:
        writer.turn(TurnRecord("p", 0, "S", 0, 0, 0, (), 3), [bar(7)])
        writer.abandon()
        return ""
    return writer.close()


@pytest.mark.parametrize("turns", [1, 200, 255, 256, 300, 700])
@pytest.mark.parametrize("cut", [0, 1, 60])
def test_a_journal_of_turns_goes_on_where_its_last_whole_turn_ends(
    tmp_path: Path, turns: int, cut: int
) -> None:
    path, whole = tmp_path / "a.tfj", tmp_path / "b.tfj"
    turned(path, turns, abandon_in=True)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - cut)

    writer, found = resume(path)
    assert [record.number for record in found] == list(range(1, len(found) + 1))
    assert turns - 1 <= len(found) <= turns
    for n in range(len(found), 720):
        facts = [bar(n * 10 + i) for i in range(n % 7)]
        writer.turn(TurnRecord("p", n + 1, "S", n + 1, n, n, (("M", n),), len(facts)), facts)

    assert turned(whole, 720) == writer.close()
    assert whole.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("turns", [1, 3, 255, 256, 300])
def test_a_journal_that_was_closed_before_its_writer_died_closes_the_same_again(
    tmp_path: Path, turns: int
) -> None:
    digest = turned(tmp_path / "a.tfj", turns)
    content = (tmp_path / "a.tfj").read_bytes()

    writer, found = resume(tmp_path / "a.tfj")

    assert turns == len(found)
    assert digest == writer.close()
    assert content == (tmp_path / "a.tfj").read_bytes()
