"""Where is a message broken? Walks bytes that the parser refused, which itself does not say where.

Only refused bytes come here, so it may be slow; it is bounded by their length, and its depth by the
depth of our own messages, none of which holds itself.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

VARINT, FIXED64, LENGTH, GROUP, GROUP_END, FIXED32 = range(6)
"""The wire types of protobuf."""
VARINT_BYTES_MAX: Final = 10
DEPTH_MAX: Final = 100
"""Groups within groups, as in the parser."""

_FIXED: Final = {FIXED64: 8, FIXED32: 4}


class _BrokenError(Exception):
    """Says what is wrong; the place is added on the way out."""


def find_fault(data: bytes, descriptor: Descriptor, where: str) -> str:
    """Return the first fault of *data* as a message, with its place; empty if none was found."""
    at, depth = 0, 0
    counts: dict[str, int] = {}
    try:
        while at < len(data):
            start = at
            number, kind, at = _tag(data, at)
            field = descriptor.fields_by_number.get(number) if depth == 0 else None
            if kind in {GROUP, GROUP_END}:
                depth += 1 if kind == GROUP else -1
                if not 0 <= depth <= DEPTH_MAX:
                    return f"{where}: group without its beginning or too deep, at byte {start}"
                continue
            content, at = _content(data, at, kind)
            if field is None or kind != LENGTH:
                continue
            place = f"{where}.{field.name}"
            if field.is_repeated:
                counts[place] = counts.get(place, -1) + 1
                place += f"[{counts[place]}]"
            if fault := _fault_in(content, field, place):
                return fault
    except _BrokenError as broken:
        return f"{where}: {broken}, at byte {start}"
    return f"{where}: group without its end" if depth else ""


def _fault_in(content: bytes, field: FieldDescriptor, place: str) -> str:
    """Return the first fault inside a field of the wire type LENGTH."""
    if field.message_type is not None:
        return find_fault(content, field.message_type, place)
    if field.type == FieldDescriptor.TYPE_STRING:
        try:
            content.decode("utf-8")
        except UnicodeDecodeError as error:
            return f"{place}: is no UTF-8 at byte {error.start}"
    if field.type == FieldDescriptor.TYPE_DOUBLE and len(content) % 8:
        return f"{place}: {len(content)} bytes are no whole number of doubles"
    return ""


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for i in range(VARINT_BYTES_MAX):
        if at + i >= len(data):
            raise _BrokenError("is cut inside a number")
        value |= (data[at + i] & 0x7F) << 7 * i
        if data[at + i] < 0x80:
            return value, at + i + 1
    raise _BrokenError(f"number of more than {VARINT_BYTES_MAX} bytes")


def _tag(data: bytes, at: int) -> tuple[int, int, int]:
    value, at = _varint(data, at)
    number, kind = value >> 3, value & 7
    if not 0 < number < 1 << 29 or kind > FIXED32:
        raise _BrokenError("no field begins")
    return number, kind, at


def _content(data: bytes, at: int, kind: int) -> tuple[bytes, int]:
    """Return a field's bytes (none for a varint) and where the next begins."""
    if kind == VARINT:
        return b"", _varint(data, at)[1]
    size = _FIXED.get(kind, 0)
    if kind == LENGTH:
        size, at = _varint(data, at)
    if size > len(data) - at:
        raise _BrokenError(f"is cut: {size} bytes announced, {len(data) - at} left")
    return data[at : at + size], at + size
