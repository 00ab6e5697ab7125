"""How do a record and its message become each other? By a table made from both sides.

A table has one column for each field, in order. Where the annotation of a field and the type of its
message's field do not fit, or the names differ, no table is made: a process starts with a codec for
every fact, or not at all.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import compress
from operator import attrgetter, not_
from types import NoneType, UnionType
from typing import Any, Final, Union, cast, get_args, get_origin

import msgspec
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from titanflow.core.base.errors import InvariantError
from titanflow.core.base.ident import ID_BYTES, Id
from titanflow.native import wire

SCALARS: Final[dict[object, tuple[int, ...]]] = {
    int: (FieldDescriptor.TYPE_SINT64, FieldDescriptor.TYPE_UINT64),
    float: (FieldDescriptor.TYPE_DOUBLE,),
    bool: (FieldDescriptor.TYPE_BOOL,),
    str: (FieldDescriptor.TYPE_STRING,),
    bytes: (FieldDescriptor.TYPE_BYTES,),
    Id: (FieldDescriptor.TYPE_BYTES,),
}
"""Types on the wire for each plain annotation; uint64 is for JetStream's counts, no fact has it."""

REFUSALS: Final = (AttributeError, KeyError, TypeError, ValueError)
"""What a conversion raises when a value does not fit."""

SHOWN_MAX: Final = 80
"""Characters of a value shown in an error."""

Row = dict[str, Any]
"""A message as the arguments of its constructor."""
Convert = Callable[[Any], Any]
"""Turns a value of one side into the other's; raises one of REFUSALS."""

_KINDS: Final = {
    FieldDescriptor.TYPE_SINT64: "sint64",
    FieldDescriptor.TYPE_UINT64: "uint64",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_ENUM: "enum",
    FieldDescriptor.TYPE_MESSAGE: "record",
}
"""How `native.wire` calls what a field holds."""
_WORD: Final = re.compile(r"(?<!^)(?=[A-Z])")


class Column(msgspec.Struct, frozen=True):
    """One field: how its value, or each of its values, is converted; None means: as it is."""

    name: str
    pack: Convert | None
    unpack: Convert | None
    table: Table | None
    """Of the nested record, where the field holds one or several."""
    word: str
    """What a value that does not fit is not, such as `OrdStatus`."""
    repeated: bool
    optional: bool
    """May be absent; then the record has `default`."""
    default: Any
    members: dict[int, enum.Enum] = {}
    """Of an enumeration, by number."""


class Table:
    """The columns of one type of record and its message."""

    def __init__(
        self,
        columns: list[Column],
        kind: type[Message],
        split: Callable[[Any], Row],
        make: type[msgspec.Struct] | None,
    ) -> None:
        """Take the parts; without *make* the record is a tuple."""
        if len(columns) < 2:
            raise InvariantError(f"{kind.DESCRIPTOR.full_name}: a record of one field is a field")
        self.columns, self.kind = columns, kind
        self._split, self._make = split, make or _tuple
        fields = cast("Iterable[FieldDescriptor]", kind.DESCRIPTOR.fields)
        self.layout = wire.Layout(make, map(_short_way, columns, fields))
        self._get = attrgetter(*(column.name for column in columns))
        plain = [(i, c) for i, c in enumerate(columns) if not c.optional]
        required = [c.name for _, c in plain if not c.repeated]
        self._valued = [c.name for c in columns if not c.optional or c.default is not None]
        # Only zeros need a look: what is not zero was read. An absent record inside is not zero.
        self._nested = tuple(c.name for _, c in plain if not c.repeated and c.table)
        # In the place of fields that may be absent stands one that may not: looked at twice.
        self._looked = [c.name if c.name in required else required[0] for c in columns if required]
        self._packs = [(c.name, pack) for c in columns if (pack := _pack_all(c))]
        self._unpacks = [(i, unpack) for i, c in plain if (unpack := _unpack_all(c))]
        self._optional = [
            (i, c.name, c.unpack or _same, c.default) for i, c in enumerate(columns) if c.optional
        ]

    def pack(self, record: Any) -> Row:
        """Return *record* as arguments of its message; raises one of REFUSALS."""
        row = self._split(record)
        # A constructor takes None for absent; found here, it is no poison in a durable stream.
        if None in row.values() and any(row[name] is None for name in self._valued):
            raise TypeError("None is no value")
        for name, pack in self._packs:
            row[name] = pack(row[name])
        return row

    def unpack(self, message: Any) -> Any:
        """Return the record that *message* says; raises one of REFUSALS."""
        values = list(self._get(message))
        has = message.HasField
        if not all(values) and not all(map(has, compress(self._looked, map(not_, values)))):
            raise KeyError("a field is missing")
        if self._nested and not all(map(has, self._nested)):
            raise KeyError("a record is missing")
        for at, unpack in self._unpacks:
            values[at] = unpack(values[at])
        for at, name, unpack, default in self._optional:
            values[at] = unpack(values[at]) if message.HasField(name) else default
        return self._make(*values)

    def misfits(self, record: Any, where: str) -> Iterator[str]:
        """Give what keeps *record* out of a message, and where."""
        try:
            row = self._split(record)
            places = [place for c in self.columns for place in _places(c, row[c.name], where)]
        except REFUSALS:
            yield f"{where}: {_short(record)} is no {self.kind.DESCRIPTOR.name}"
            return
        for column, place, value in places:
            try:
                packed = column.pack(value) if column.pack else value
                if packed is None and column.name in self._valued:
                    raise TypeError("None is no value")
                self.kind(**{column.name: [packed] if column.repeated else packed})
            except REFUSALS as error:
                deeper = column.table.misfits(value, place) if column.table else ()
                yield from deeper
                yield f"{place}: {_said(error, value, column)}"

    def faults(self, message: Any, where: str) -> Iterator[str]:
        """Give what keeps *message* from being a record, and where."""
        for column in self.columns:
            place = f"{where}.{column.name}"
            if not column.repeated and not message.HasField(column.name):
                if not column.optional:
                    yield f"{place}: is missing"
                continue
            for _, spot, value in _places(column, getattr(message, column.name), where):
                if column.table:
                    yield from column.table.faults(value, spot)
                elif column.unpack:
                    try:
                        column.unpack(value)
                    except REFUSALS as error:
                        yield f"{spot}: {_said(error, value, column)}"


def table_of(record: type[msgspec.Struct], descriptor: Descriptor) -> Table:
    """Return the table between a Struct and a message.

    Raises: InvariantError if their fields differ in name, order, number or type.
    """
    fields = msgspec.structs.fields(record)
    _compare(record.__name__, [field.name for field in fields], descriptor)
    columns = []
    for field, side in zip(fields, descriptor.fields, strict=True):
        has_factory = field.default_factory is not msgspec.NODEFAULT
        default = field.default_factory() if has_factory else field.default
        columns.append(_column(field.name, field.type, side, default))
    return Table(columns, GetMessageClass(descriptor), msgspec.structs.asdict, record)


def wire_name(member: enum.Enum) -> str:
    """Return the name of an enumeration's member on the wire.

    >>> from titanflow.core.spec.words import OrdStatus
    >>> wire_name(OrdStatus.PENDING_NEW)
    'ORD_STATUS_PENDING_NEW'
    """
    return f"{_WORD.sub('_', type(member).__name__).upper()}_{member.name}"


def _compare(name: str, names: Iterable[str], descriptor: Descriptor) -> None:
    """Refuse a message whose fields are not *names*, numbered from 1."""
    wanted = list(enumerate(names, 1))
    found = [(field.number, field.name) for field in descriptor.fields]
    if wanted != found:
        raise InvariantError(
            f"{name} and the message {descriptor.full_name} differ: {wanted} and {found}; mend the "
            "message in proto/titanflow/wire/v1 and run `python -m tools.make_proto`"
        )


def _column(name: str, annotation: Any, field: FieldDescriptor, default: Any) -> Column:
    optional = default is not msgspec.NODEFAULT
    if get_origin(annotation) in {Union, UnionType}:
        annotation, *others = (a for a in get_args(annotation) if a is not NoneType)
        if others:
            raise InvariantError(f"{field.full_name}: a union of two types has no field")
        optional, default = True, default if optional else None
    inner = get_args(annotation)
    repeated = get_origin(annotation) is tuple and inner[1:] == (...,)
    if repeated and optional and default != ():
        raise InvariantError(f"{field.full_name}: an absent tuple is (), no other default can be")
    if repeated is not field.is_repeated:
        raise InvariantError(f"{field.full_name}: is repeated on one side only")
    element = inner[0] if repeated else annotation
    members: dict[int, enum.Enum] = {}
    if isinstance(element, type) and field.enum_type and issubclass(element, enum.Enum):
        members = _members(element, field.enum_type)
    pack, unpack, table = _element(element, field, members)
    return Column(
        name=name,
        pack=pack,
        unpack=unpack,
        table=table,
        word=getattr(element, "__name__", str(element)),
        repeated=repeated,
        optional=optional and not repeated,
        default=default,
        members=members,
    )


def _short_way(column: Column, field: FieldDescriptor) -> wire.Column:
    """Return the column as `native.wire` has it."""
    is_id = column.pack is _ident
    return wire.Column(
        column.name,
        field.number,
        "id" if is_id else _KINDS[field.type],
        repeated=column.repeated,
        optional=column.optional,
        default=column.default if column.optional else None,
        members=tuple(column.members.items()),
        record=column.table.layout if column.table else None,
    )


def _element(
    annotation: Any, field: FieldDescriptor, members: dict[int, enum.Enum]
) -> tuple[Convert | None, Convert | None, Table | None]:
    """Return how one value is packed and unpacked, and the table if it is a record."""
    if field.type in SCALARS.get(annotation, ()):
        return (_ident, _ident, None) if annotation is Id else (None, None, None)
    if members:
        numbers = {member: number for number, member in members.items()}
        return numbers.__getitem__, members.__getitem__, None
    if field.message_type and isinstance(annotation, type):
        table = table_of(annotation, field.message_type)
        return table.pack, table.unpack, table
    if field.message_type and get_origin(annotation) is tuple:
        table = _table_of_tuple(get_args(annotation), field.message_type)
        return table.pack, table.unpack, table
    raise InvariantError(f"{field.full_name}: {annotation} has no field of type {field.type}")


def _table_of_tuple(annotations: tuple[Any, ...], descriptor: Descriptor) -> Table:
    """Return the table of a tuple of fixed length; its message gives names to the places."""
    if len(annotations) != len(descriptor.fields):
        raise InvariantError(
            f"{descriptor.full_name}: a tuple of {len(annotations)} has as many fields"
        )
    columns = [
        _column(field.name, annotation, field, msgspec.NODEFAULT)
        for annotation, field in zip(annotations, descriptor.fields, strict=True)
    ]
    names = [column.name for column in columns]

    def split(values: tuple[Any, ...]) -> Row:
        return dict(zip(names, values, strict=True))

    return Table(columns, GetMessageClass(descriptor), split, None)


def _members(words: type[enum.Enum], descriptor: EnumDescriptor) -> dict[int, enum.Enum]:
    """Return the member of each number; 0 and numbers that nobody named have none."""
    named = {value.name: value.number for value in descriptor.values if value.number}
    wanted = {wire_name(member): member for member in words}
    if named.keys() != wanted.keys():
        odd = ", ".join(sorted(named.keys() ^ wanted.keys()))
        raise InvariantError(f"{words.__name__} and {descriptor.full_name} differ in: {odd}")
    return {named[name]: member for name, member in wanted.items()}


def _pack_all(column: Column) -> Convert | None:
    pack = column.pack
    if pack is None or not column.repeated:
        return pack if not column.optional or column.default is not None else _unless_none(pack)
    return lambda values: [pack(value) for value in values]


def _unless_none(pack: Convert | None) -> Convert | None:
    return None if pack is None else lambda value: None if value is None else pack(value)


def _unpack_all(column: Column) -> Convert | None:
    unpack = column.unpack
    if not column.repeated:
        return unpack
    return tuple if unpack is None else lambda values: tuple(map(unpack, values))


def _ident(value: bytes) -> bytes:
    if len(value) != ID_BYTES:
        raise ValueError(f"has {len(value)} bytes, not {ID_BYTES}")
    return value


def _tuple(*values: Any) -> tuple[Any, ...]:
    return values


def _same(value: Any) -> Any:
    return value


def _places(column: Column, held: Any, where: str) -> Iterable[tuple[Column, str, Any]]:
    """Give the place and value of each value that a field holds."""
    place = f"{where}.{column.name}"
    if not column.repeated:
        return ((column, place, held),)
    return ((column, f"{place}[{i}]", value) for i, value in enumerate(held))


def _said(error: Exception, value: Any, column: Column) -> str:
    """Return in words why *value* does not fit."""
    if isinstance(error, KeyError | AttributeError):
        return f"{_short(value)} is no {column.word}"
    return str(error)


def _short(value: Any) -> str:
    return repr(value)[:SHOWN_MAX]
