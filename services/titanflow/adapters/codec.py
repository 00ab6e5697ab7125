"""How do facts travel? As protobuf turns, by one table for all types; docs/wire.md has the layout.

There is no code for any single type: `codec_table` makes a table for each from the fact's own
annotations and the message's descriptor. A turn as we make it goes the short way, compiled
(`native.wire`). Whatever that does not take, be it unusual or wrong, goes the long way through the
protobuf library, which alone says what is wrong; the good way keeps no place.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import google_crc32c
import msgspec
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from titanflow.adapters.codec_fault import find_fault
from titanflow.adapters.codec_table import REFUSALS, Convert, Table, table_of
from titanflow.core import facts as vocabulary
from titanflow.core.base.errors import InvariantError, WireError
from titanflow.core.facts import Fact
from titanflow.native import wire
from titanflow.wire.v1 import turn_pb2

TURN_BYTES_MAX: Final = 1 << 22
"""Largest turn, 4 MiB: bars of 10,000 instruments at one instant have 1. The server's limit on
messages must be the same or larger, so that what can be encoded can be published."""
FAULT_BYTES_MAX: Final = 1 << 16
"""Largest turn in which the place of a fault is looked for: it takes a second for a megabyte."""
UNKNOWN_MAX: Final = 8
"""Unknown field numbers named in an error: a hostile message may hold millions."""

_TRAILER: Final = b"\xfd\x7f"
"""Tag of Turn.crc32c: field 2047 of wire type fixed32. It comes last and covers all before it."""
_TRAILER_BYTES: Final = len(_TRAILER) + 4


class InputRef(msgspec.Struct, frozen=True, gc=False):
    """Where an input stands in the record: its stream, and its sequence there (from 1)."""

    stream: str
    sequence: int


class Turn(msgspec.Struct, frozen=True):
    """All that a pod says because of one input: one message.

    `at` is the event time of the input, `watermark` the event time up to which every input has
    been handled (ns UTC). `inputs` ends with the input of this turn; before it stand those since
    the last turn that led to no fact.
    """

    pod: str
    number: int
    """How many turns this pod has said, this one included: the first is 1."""
    at: int
    inputs: tuple[InputRef, ...]
    facts: tuple[Fact, ...]
    watermark: int


def encode_turn(turn: Turn) -> bytes:
    """Return the one message that says *turn*; equal turns are equal bytes.

    Raises: WireError if a fact has no message, a value does not fit its field or the message is
    larger than TURN_BYTES_MAX.
    """
    try:
        body = _book().layout.encode(turn)
    except REFUSALS:
        body = _written(turn)
    if len(body) + _TRAILER_BYTES > TURN_BYTES_MAX:
        raise WireError(f"turn: {len(body)} bytes are more than {TURN_BYTES_MAX}")
    return body + _trailer(body)


def _written(turn: Turn) -> bytes:
    """Return the bytes of *turn* without its checksum, the long way."""
    book = _book()
    facts = []
    try:
        if None in {turn.pod, turn.number, turn.at, turn.watermark}:
            raise TypeError("None is no value")
        for fact in turn.facts:
            kind, pack = book.packs[type(fact)]
            facts.append({kind: pack(fact)})
        body: bytes = turn_pb2.Turn(
            pod=turn.pod,
            number=turn.number,
            at=turn.at,
            inputs=[book.ref.pack(ref) for ref in turn.inputs],
            facts=facts,
            watermark=turn.watermark,
        ).SerializeToString()
    except REFUSALS as error:
        raise WireError(_misfit(turn) or f"turn: {error}") from error
    return body


def decode_turn(data: bytes) -> Turn:
    """Return the turn that *data* says.

    Fields that this version does not know are passed over; everything else that is not exactly a
    turn is refused.
    Raises: WireError, with what is wrong and where.
    """
    _check(data)
    try:
        turn: Turn = _book().layout.decode(data, len(data) - _TRAILER_BYTES)
    except REFUSALS:
        return _read(data)
    return turn


def _read(data: bytes) -> Turn:
    """Return the turn in undamaged bytes, the long way."""
    message, book = _parse(data), _book()
    facts = []
    try:
        for each in message.facts:
            kind = each.WhichOneof("fact")
            facts.append(book.unpacks[kind](getattr(each, kind)))
        inputs = tuple([book.ref.unpack(ref) for ref in message.inputs])
    except REFUSALS as error:
        raise WireError(_fault(message) or f"turn: {error}") from error
    return Turn(message.pod, message.number, message.at, inputs, tuple(facts), message.watermark)


class _Book(msgspec.Struct, frozen=True):
    """The tables of everything in a turn."""

    tables: dict[str, Table]
    """By the name of the field in AnyFact."""
    packs: dict[type, tuple[str, Convert]]
    unpacks: dict[str | None, Convert]
    ref: Table
    layout: wire.Layout
    """Of a whole turn."""


@cache
def _book() -> _Book:
    """Return the tables, made once.

    Raises: InvariantError if a message has no fact, or does not fit it.
    """
    tables: dict[str, Table] = {}
    packs: dict[type, tuple[str, Convert]] = {}
    messages = turn_pb2.DESCRIPTOR.message_types_by_name
    for field in messages["AnyFact"].oneofs_by_name["fact"].fields:
        name = field.message_type.name if field.message_type else ""
        record = getattr(vocabulary, name, None)
        if record is None or field.message_type is None:
            raise InvariantError(f"{field.full_name}: titanflow.core.facts has no such fact")
        table = tables[field.name] = table_of(record, field.message_type)
        packs[record] = (field.name, table.pack)
    ref = table_of(InputRef, messages["InputRef"])
    unpacks: dict[str | None, Convert] = {name: table.unpack for name, table in tables.items()}
    return _Book(tables, packs, unpacks, ref, _layout(tables, ref))


def _layout(tables: dict[str, Table], ref: Table) -> wire.Layout:
    """Return the layout of a turn, without its checksum."""
    numbers = turn_pb2.DESCRIPTOR.message_types_by_name["AnyFact"].fields_by_name
    union = [(numbers[name].number, table.layout) for name, table in tables.items()]
    kinds: dict[str, dict[str, Any]] = {
        "pod": {"kind": "string"},
        "number": {"kind": "uint64"},
        "at": {"kind": "sint64"},
        "inputs": {"kind": "record", "repeated": True, "record": ref.layout},
        "facts": {"kind": "union", "repeated": True, "members": union},
        "watermark": {"kind": "sint64"},
    }
    fields = turn_pb2.DESCRIPTOR.message_types_by_name["Turn"].fields_by_name
    return wire.Layout(
        Turn, [wire.Column(name, fields[name].number, **kind) for name, kind in kinds.items()]
    )


def _trailer(body: bytes) -> bytes:
    checksum: int = google_crc32c.value(body)
    return _TRAILER + checksum.to_bytes(4, "little")


def _check(data: bytes) -> None:
    """Refuse bytes that were cut or damaged."""
    if len(data) > TURN_BYTES_MAX:
        raise WireError(f"turn: {len(data)} bytes are more than {TURN_BYTES_MAX}")
    if data[-_TRAILER_BYTES:-4] != _TRAILER:
        raise WireError("turn: does not end with its checksum; it was cut, or is no turn")
    if data[-_TRAILER_BYTES:] != _trailer(data[:-_TRAILER_BYTES]):
        raise WireError("turn.crc32c: does not fit the bytes before it; they were damaged")


def _parse(data: bytes) -> turn_pb2.Turn:
    """Return the message in *data*, with its own fields present."""
    try:
        message = turn_pb2.Turn.FromString(data)
    except DecodeError as error:
        turn = turn_pb2.DESCRIPTOR.message_types_by_name["Turn"]
        place = find_fault(data, turn, "turn") if len(data) <= FAULT_BYTES_MAX else ""
        raise WireError(place or f"turn: {error}") from error
    for name in ("pod", "number", "at", "watermark"):
        if not message.HasField(name):
            raise WireError(f"turn.{name}: is missing")
    return message


def _misfit(turn: Turn) -> str:
    """Return the first thing that keeps *turn* out of a message; empty if none was found."""
    book = _book()
    for name in ("pod", "number", "at", "watermark"):
        value = getattr(turn, name)
        if value is None:
            return f"turn.{name}: None is no value"
        try:
            turn_pb2.Turn(**{name: value})
        except REFUSALS as error:
            return f"turn.{name}: {error}"
    for name in ("inputs", "facts"):
        if not isinstance(getattr(turn, name), tuple | list):
            return f"turn.{name}: is no tuple"
    for i, ref in enumerate(turn.inputs):
        if fault := next(book.ref.misfits(ref, f"turn.inputs[{i}]"), ""):
            return fault
    for i, fact in enumerate(turn.facts):
        place, name = f"turn.facts[{i}]", type(fact).__name__
        if type(fact) not in book.packs:
            return (
                f"{place}: {name} has no message; add it to proto/titanflow/wire/v1 and to AnyFact "
                "there, and run `python -m tools.make_proto`"
            )
        kind = book.packs[type(fact)][0]
        if fault := next(book.tables[kind].misfits(fact, f"{place}.{kind}"), ""):
            return fault
    return ""


def _fault(message: turn_pb2.Turn) -> str:
    """Return the first thing that keeps *message* from being a turn; empty if none was found."""
    book = _book()
    for i, each in enumerate(message.facts):
        place, kind = f"turn.facts[{i}]", each.WhichOneof("fact")
        if kind is None:
            unknown = UnknownFieldSet(each)
            count = min(len(unknown), UNKNOWN_MAX)
            shown = [str(unknown[at].field_number) for at in range(count)]
            numbers = ", ".join(shown) or "none"
            return f"{place}: a kind of fact that this version does not know (field {numbers})"
        if fault := next(book.tables[kind].faults(getattr(each, kind), f"{place}.{kind}"), ""):
            return fault
    for i, ref in enumerate(message.inputs):
        if fault := next(book.ref.faults(ref, f"turn.inputs[{i}]"), ""):
            return fault
    return ""
