"""How is a session kept? As one append-only file that shows every later change.

Layout (docs/journal.md): a magic line, then records. A record is a header of three little-endian
u32 (length; length xor number xor a constant; CRC32C of the payload seeded with the record's
number) and the payload, whose first byte is its kind: H head, T turn, F fact, B block, C closing
record. Sessions of pods have turns: each says which pod said the facts behind it, because of what.
A block record carries the BLAKE2b chain over all bytes since the one before; the closing record
carries the count of facts and the last link, which is the digest of the journal.
Nothing here knows what a fact means: that a journal is *right* is for `runtime.verify` to say.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, Final

import google_crc32c
import msgspec

from titanflow.core.base.errors import AdapterError
from titanflow.core.facts import (
    Answer,
    Bar,
    CancelOrders,
    Checkpoint,
    Dividend,
    Entry,
    Fact,
    Fill,
    Intent,
    KillRuling,
    KillSwitch,
    Lapse,
    Order,
    OrderUpdate,
    Quarantine,
    Split,
    Standing,
    StateChange,
    Verdict,
)

MAGIC: Final = b"TITANFLOW JOURNAL 1\n"
HEADER: Final = struct.Struct("<III")
GUARD: Final = 0xA5C35A3C
"""Makes a damaged length visible: a length that lies must not look like a torn tail."""
BLOCK_RECORDS: Final = 1024
"""Records in one block: few enough that damage is narrowed down, many enough to cost nothing."""
BUFFER_BYTES: Final = 1 << 18
PAYLOAD_MAX: Final = 1 << 26
"""Largest payload, 64 MiB: the head of an arena with 10,000 contenders has 20."""
HEAD, TURN, FACT, BLOCK, CLOSE = b"H", b"T", b"F", b"B", b"C"

Recorded = (
    Bar
    | Split
    | Dividend
    | Quarantine
    | KillSwitch
    | Lapse
    | Answer
    | Intent
    | Verdict
    | Order
    | OrderUpdate
    | Fill
    | Entry
    | StateChange
    | CancelOrders
    | KillRuling
    | Checkpoint
    | Standing
)
"""Every type of fact that a journal holds. Beliefs, asks and signals are recomputed instead."""

encode_fact = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Fact] = msgspec.msgpack.Decoder(Recorded)


class Head(msgspec.Struct, frozen=True):
    """What a session stands on. It holds no wall clock and no path: equal runs are equal bytes."""

    format: int
    arena: str
    seed: int
    code: str
    """Version and digest of the sources of the core and of the compiled modules."""
    manifests: tuple[bytes, ...]
    """Canonical JSON of every manifest, sorted by kind and name."""
    manifests_digest: str
    data: tuple[tuple[str, str], ...]
    """Name and SHA-256 of each source of market events."""
    python: tuple[tuple[str, str], ...]
    """Entry point and SHA-256 of the source of each contender's own class."""
    features: tuple[str, ...]
    bundles: tuple[bytes, ...] = ()
    """Canonical JSON of the contract of each bundle, with its digest, sorted by name."""
    topology: bytes = b""
    """Canonical JSON of the pods and what each hosts; empty where one thread ran everything."""


class TurnRecord(msgspec.Struct, frozen=True, array_like=True):
    """One turn of a pod: where its message stands, its inputs in order, how many facts follow."""

    pod: str
    number: int
    stream: str
    sequence: int
    at: int
    watermark: int
    inputs: tuple[tuple[str, int], ...]
    facts: int


class Close(msgspec.Struct, frozen=True):
    """The closing record: how many facts, and the last link of the chain."""

    facts: int
    digest: bytes


class Record(msgspec.Struct, frozen=True):
    """One record as read: its number, where it starts, its kind and what it holds."""

    number: int
    offset: int
    kind: bytes
    body: bytes


class JournalError(AdapterError):
    """A journal is damaged at one record."""

    def __init__(self, number: int, offset: int, what: str) -> None:
        self.number, self.offset, self.what = number, offset, what
        super().__init__(f"record {number} (byte {offset}): {what}")


class TornTail(JournalError):  # noqa: N818 - the glossary's word
    """A journal ends inside a record, or without its closing record."""


def decode_turn_record(body: bytes) -> TurnRecord:
    """Return the turn in the body of a record of kind T.

    Raises: msgspec.DecodeError, msgspec.ValidationError when the body holds none.
    """
    return msgspec.msgpack.decode(body, type=TurnRecord)


def decode_fact(body: bytes) -> Fact:
    """Return the fact in the body of a record of kind F.

    Raises: msgspec.DecodeError, msgspec.ValidationError when the body holds no known fact.
    """
    return _decoder.decode(body)


class Point(msgspec.Struct, frozen=True):
    """A place between two records: what is needed to go on from there."""

    number: int
    offset: int
    facts: int
    chain: bytes
    block: Any
    """The hash over what stands behind the last block."""
    in_block: int


class Writer:
    """Appends records to a new file. Without `close` the file has no closing record."""

    def __init__(self, path: Path, head: Head | None, point: Point | None = None) -> None:
        """Begin a new file with *head*; or go on at *point* of one, cutting off what is behind."""
        self._path = path
        self._buffer: list[bytes] = []
        self._buffered = 0
        if point is not None:
            self._file: BinaryIO = path.open("r+b", buffering=0)
            self._file.truncate(point.offset)
            self._file.seek(point.offset)
            self._chain, self._block = point.chain, point.block
            self._number, self._in_block, self.facts = point.number, point.in_block, point.facts
            if self._in_block >= BLOCK_RECORDS:
                self._end_block()
            return
        self._file = path.open("xb", buffering=0)
        self._chain = blake2b(MAGIC, digest_size=32).digest()
        self._block = blake2b(self._chain, digest_size=32)
        self._number = 0
        self._in_block = 0
        self.facts = 0
        self._push(MAGIC)
        self._append(HEAD + msgspec.msgpack.encode(head))

    def append(self, fact: Fact) -> None:
        """Append one fact.

        Raises: AdapterError when the disk is full; what was written before stays readable.
        """
        self._append(FACT + encode_fact(fact))
        self.facts += 1

    def turn(self, record: TurnRecord, facts: Iterable[Fact]) -> None:
        """Append one turn and its facts.

        Raises: as `append`.
        """
        self._append(TURN + msgspec.msgpack.encode(record))
        for fact in facts:
            self.append(fact)

    def close(self) -> str:
        """Write the closing record, close the file, return the digest in hexadecimal."""
        self._end_block()
        self._append(CLOSE + msgspec.msgpack.encode(Close(self.facts, self._chain)))
        self.abandon()
        return self._chain.hex()

    def abandon(self) -> None:
        """Write what is buffered and close the file as it is."""
        if not self._file.closed:
            try:
                self.flush()
            finally:
                self._file.close()

    def flush(self) -> None:
        """Hand everything appended so far to the operating system."""
        pending = memoryview(b"".join(self._buffer))
        self._buffer.clear()
        self._buffered = 0
        try:
            while pending:
                pending = pending[self._file.write(pending) :]
        except OSError as error:
            raise AdapterError(
                f"cannot write {self._path}: {error.strerror}; free some space and run again "
                "(what was written so far can still be verified)"
            ) from error

    def _append(self, payload: bytes) -> None:
        size, number = len(payload), self._number
        header = HEADER.pack(
            size, size ^ (number & 0xFFFFFFFF) ^ GUARD, google_crc32c.extend(number, payload)
        )
        self._block.update(header)
        self._block.update(payload)
        self._number = number + 1
        self._push(header)
        self._push(payload)
        self._in_block += 1
        if self._in_block >= BLOCK_RECORDS:
            self._end_block()

    def _end_block(self) -> None:
        self._chain = self._block.digest()
        self._block = blake2b(self._chain, digest_size=32)
        self._in_block = -1  # the block record itself opens the next block
        self._append(BLOCK + self._chain)
        if self._buffered >= BUFFER_BYTES:
            self.flush()

    def _push(self, piece: bytes) -> None:
        self._buffer.append(piece)
        self._buffered += len(piece)


def resume(path: Path) -> tuple[Writer, list[TurnRecord]]:
    """Return what goes on with a journal of turns, and the turns in it.

    What stands behind its last whole turn is cut off: a closing record too, which comes out equal
    when it is written again.

    Raises: JournalError if it is damaged before its end.
    """
    reader = Reader(path)
    turns: list[TurnRecord] = []
    whole = Point(0, 0, 0, b"", None, 0)
    turn: TurnRecord | None = None
    left = 0
    try:
        for record in reader.records():
            if record.kind == TURN:
                turn = decode_turn_record(record.body)
                left = turn.facts
            left -= record.kind == FACT
            if turn is not None and left == 0 and record.kind != BLOCK:
                turns.append(turn)
                turn = None
            if turn is None and record.kind != BLOCK:  # the writer ends a block that is full
                whole = reader.point(record.number + 1)
    except TornTail:
        if not whole.offset:
            raise
    return Writer(path, None, whole), turns


class Reader:
    """Reads a journal from front to back and checks every header, CRC and link on the way."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.facts = 0
        self.offset = len(MAGIC)
        """Where the next record begins; the three below are the chain up to there."""
        self.chain = blake2b(MAGIC, digest_size=32).digest()
        self.block = blake2b(self.chain, digest_size=32)
        self.in_block = 0
        self.digest = ""
        """The digest of the journal; set once the closing record was read and found right."""

    def point(self, number: int) -> Point:
        """Return the place behind the record that was read last; *number* is the next one's."""
        return Point(number, self.offset, self.facts, self.chain, self.block.copy(), self.in_block)

    def records(self) -> Iterator[Record]:
        """Give every record.

        Raises: TornTail at the end of a file that was cut or never closed; JournalError at the
        first record that is damaged.
        """
        try:
            file = self._path.open("rb", buffering=1 << 20)
        except OSError as error:
            raise AdapterError(f"cannot read {self._path}: {error.strerror}") from error
        with file:
            yield from self._records(file)

    def _records(self, file: BinaryIO) -> Iterator[Record]:
        magic = file.read(len(MAGIC))
        if magic != MAGIC:
            error = TornTail if MAGIC.startswith(magic) else JournalError
            raise error(0, 0, "the file does not begin as a journal of format 1")
        number = 0
        while True:
            offset = self.offset
            header = file.read(HEADER.size)
            payload = _payload(file, header, number, offset)
            kind, body = payload[:1], payload[1:]
            if (kind == HEAD) != (number == 0):
                raise JournalError(number, offset, "a head is the first record, and only that")
            if kind == BLOCK:
                self.chain = self.block.digest()
                self.block = blake2b(self.chain, digest_size=32)
                self.in_block = -1  # as the writer counts: the block record opens the next block
                if body != self.chain:
                    raise JournalError(number, offset, "the chain over the last block is broken")
            elif kind == FACT:
                self.facts += 1
            elif kind == CLOSE:
                self._finish(file, Record(number, offset, kind, body), self.chain)
                return
            self.block.update(header)
            self.block.update(payload)
            self.in_block += 1
            self.offset += len(header) + len(payload)
            yield Record(number, offset, kind, body)
            number += 1

    def _finish(self, file: BinaryIO, record: Record, chain: bytes) -> None:
        try:
            close = msgspec.msgpack.decode(record.body, type=Close)
        except msgspec.DecodeError as error:
            raise JournalError(record.number, record.offset, f"closing record: {error}") from error
        if close.facts != self.facts or close.digest != chain:
            raise JournalError(
                record.number, record.offset, "the closing record's count or digest is wrong"
            )
        if file.read(1):
            raise JournalError(record.number + 1, file.tell() - 1, "bytes after the closing record")
        self.digest = chain.hex()


def _payload(file: BinaryIO, header: bytes, number: int, offset: int) -> bytes:
    """Read and check the payload that belongs to *header*."""
    if not header:
        raise TornTail(number, offset, "the journal ends without a closing record")
    if len(header) < HEADER.size:
        raise TornTail(number, offset, "the journal ends inside a record")
    size, guard, crc = HEADER.unpack(header)
    if guard != size ^ (number & 0xFFFFFFFF) ^ GUARD or not 0 < size <= PAYLOAD_MAX:
        raise JournalError(
            number, offset, f"its header is damaged, or it is not record {number} of this journal"
        )
    payload = file.read(size)
    if len(payload) < size:
        raise TornTail(number, offset, "the journal ends inside a record")
    if google_crc32c.extend(number, payload) != crc:
        raise JournalError(number, offset, "its CRC32C does not fit its content")
    return payload


def facts_of(path: Path) -> Iterator[Fact]:
    """Give the readable facts of a journal; damage ends it (this is no verifier)."""
    try:
        for record in Reader(path).records():
            if record.kind == FACT:
                yield decode_fact(record.body)
    except JournalError:
        return


def read_head(path: Path) -> Head:
    """Return the head of the journal at *path*.

    Raises: JournalError if the first record is damaged or no head.
    """
    for record in Reader(path).records():
        try:
            return msgspec.msgpack.decode(record.body, type=Head)
        except msgspec.DecodeError as error:
            raise JournalError(0, record.offset, f"no head: {error}") from error
    raise TornTail(0, 0, "the journal is empty")
