"""Does a codec start only where records and messages agree, and is every kind of field carried?"""

from __future__ import annotations

from enum import Enum

import msgspec
import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from titanflow.adapters import codec
from titanflow.adapters.codec_table import Table, table_of
from titanflow.core import facts
from titanflow.core.base.errors import InvariantError
from titanflow.core.base.ident import Id

Kind = FieldDescriptorProto
EDITION_2023 = 1000


class Colour(Enum):
    RED = "Red"
    BLUE = "Blue"


class Inner(msgspec.Struct, frozen=True):
    name: str
    size: int


def message(*fields: tuple[str, int, str, bool], words: tuple[str, ...] = ()) -> Descriptor:
    """Return a message `Thing` whose fields are (name, type, name of type, repeated)."""
    file = FileDescriptorProto(name="t.proto", package="t", syntax="editions", edition=EDITION_2023)
    colour = file.enum_type.add(name="Colour")
    for number, word in enumerate(words or ("COLOUR_UNSPECIFIED", "COLOUR_RED", "COLOUR_BLUE")):
        colour.value.add(name=word, number=number)
    inner = file.message_type.add(name="Inner")
    inner.field.add(name="name", number=1, label=1, type=Kind.TYPE_STRING)
    inner.field.add(name="size", number=2, label=1, type=Kind.TYPE_SINT64)
    thing = file.message_type.add(name="Thing")
    for number, (name, kind, type_name, repeated) in enumerate(fields, 1):
        label = Kind.LABEL_REPEATED if repeated else Kind.LABEL_OPTIONAL
        field = thing.field.add(name=name, number=number, label=label, type=kind)
        if type_name:
            field.type_name = f".t.{type_name}"
    pool = DescriptorPool()
    pool.Add(file)
    return pool.FindMessageTypeByName("t.Thing")


SIZE = ("size", Kind.TYPE_SINT64, "", False)


def again(table: Table, record: object) -> object:
    """Return a record that went through bytes."""
    return table.unpack(table.kind.FromString(table.kind(**table.pack(record)).SerializeToString()))


def test_every_kind_of_field_is_carried() -> None:
    class Thing(msgspec.Struct, frozen=True):
        size: int
        colours: tuple[Colour, ...]
        names: tuple[Id, ...]
        inner: Inner
        many: tuple[Inner, ...]
        pairs: tuple[tuple[str, int], ...]

    table = table_of(
        Thing,
        message(
            SIZE,
            ("colours", Kind.TYPE_ENUM, "Colour", True),
            ("names", Kind.TYPE_BYTES, "", True),
            ("inner", Kind.TYPE_MESSAGE, "Inner", False),
            ("many", Kind.TYPE_MESSAGE, "Inner", True),
            ("pairs", Kind.TYPE_MESSAGE, "Inner", True),
        ),
    )
    inner = Inner("a", 0)
    thing = Thing(
        0, (Colour.BLUE, Colour.RED), (Id(bytes(16)),), inner, (inner, inner), (("x", 1),)
    )

    assert thing == again(table, thing)


def test_what_may_be_none_is_absent_on_the_wire() -> None:
    class Thing(msgspec.Struct, frozen=True):
        size: int | None
        inner: Inner | None
        note: str | None = "unknown"

    table = table_of(
        Thing,
        message(
            SIZE,
            ("inner", Kind.TYPE_MESSAGE, "Inner", False),
            ("note", Kind.TYPE_STRING, "", False),
        ),
    )

    for thing in (Thing(None, None, ""), Thing(0, Inner("", 0), "x")):
        assert thing == again(table, thing)
    assert Thing(None, None, "unknown") == table.unpack(table.kind())


def test_a_record_inside_may_not_be_absent() -> None:
    class Thing(msgspec.Struct, frozen=True):
        size: int
        inner: Inner

    table = table_of(Thing, message(SIZE, ("inner", Kind.TYPE_MESSAGE, "Inner", False)))

    with pytest.raises(KeyError):
        table.unpack(table.kind(size=1))
    assert ["thing.inner: is missing"] == list(table.faults(table.kind(size=1), "thing"))


OTHER = ("other", Kind.TYPE_STRING, "", False)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ((OTHER, SIZE), "differ"),
        ((SIZE,), "differ"),
        ((SIZE, OTHER, ("more", Kind.TYPE_BOOL, "", False)), "differ"),
        ((("size", Kind.TYPE_INT64, "", False), OTHER), r"t\.Thing\.size: .* has no field of type"),
        ((SIZE, ("other", Kind.TYPE_STRING, "", True)), "repeated on one side only"),
        ((SIZE, ("other", Kind.TYPE_ENUM, "Colour", False)), "has no field of type"),
    ],
)
def test_no_table_is_made_where_record_and_message_differ(
    fields: tuple[tuple[str, int, str, bool], ...], said: str
) -> None:
    class Thing(msgspec.Struct, frozen=True):
        size: int
        other: str

    with pytest.raises(InvariantError, match=said):
        table_of(Thing, message(*fields))


def test_no_table_is_made_where_an_enumeration_differs() -> None:
    class Thing(msgspec.Struct, frozen=True):
        size: int
        colour: Colour

    words = ("COLOUR_UNSPECIFIED", "COLOUR_RED", "COLOUR_GREEN")

    with pytest.raises(InvariantError, match="differ in: COLOUR_BLUE, COLOUR_GREEN"):
        table_of(Thing, message(SIZE, ("colour", Kind.TYPE_ENUM, "Colour", False), words=words))


def test_a_default_that_an_absent_field_cannot_mean_is_refused() -> None:
    class Thing(msgspec.Struct, frozen=True):
        size: int
        names: tuple[str, ...] = ("x",)

    with pytest.raises(InvariantError, match=r"an absent tuple is \(\)"):
        table_of(Thing, message(SIZE, ("names", Kind.TYPE_STRING, "", True)))


def test_a_field_of_two_types_is_refused() -> None:
    class Thing(msgspec.Struct, frozen=True):
        size: int | str
        other: str

    with pytest.raises(InvariantError, match="a union of two types"):
        table_of(Thing, message(SIZE, OTHER))


def test_a_message_without_its_fact_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    codec._book.cache_clear()
    monkeypatch.delattr(facts, "Fill")

    with pytest.raises(InvariantError, match=r"AnyFact\.fill: titanflow\.core\.facts has no such"):
        codec._book()
    monkeypatch.undo()
    codec._book.cache_clear()
