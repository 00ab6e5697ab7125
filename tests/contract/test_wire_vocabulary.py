"""Do facts and messages say the same? Both sides are walked; neither may have more than the other.

A fact that somebody adds fails here until it has its message, with words that say what to do.
"""

from __future__ import annotations

import enum
import inspect
import re
from typing import Any, get_args, get_origin

import msgspec
import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from wire_kit import kinds, walk

from titanflow.adapters import codec
from titanflow.core import facts
from titanflow.core.base.ident import Id
from titanflow.core.facts import Fact
from titanflow.core.spec import words
from titanflow.wire.v1 import turn_pb2
from tools.make_proto import PROTO

TYPES = {
    int: FieldDescriptor.TYPE_SINT64,
    float: FieldDescriptor.TYPE_DOUBLE,
    bool: FieldDescriptor.TYPE_BOOL,
    str: FieldDescriptor.TYPE_STRING,
    bytes: FieldDescriptor.TYPE_BYTES,
    Id: FieldDescriptor.TYPE_BYTES,
}
ANY = turn_pb2.AnyFact.DESCRIPTOR
CHOICES = {field.message_type.name: field for field in ANY.fields}
FAMILIES = {kind.__name__: family for family, many in walk().items() for kind in many}


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def missing(kind: type[Fact]) -> str:
    """Return what to do about a fact that has no message."""
    name, number = kind.__name__, max(field.number for field in ANY.fields) + 1
    fields = ", ".join(field.name for field in msgspec.structs.fields(kind))
    return (
        f"{name} has no message. Add `message {name}` with the fields {fields}, numbered from 1, "
        f"to proto/titanflow/wire/v1/{FAMILIES.get(name, 'the family')}.proto; add `{name} "
        f"{snake(name)} = {number};` to AnyFact in turn.proto; run `python -m tools.make_proto` "
        "and `make golden`, and read docs/wire.md"
    )


def records(kind: type[msgspec.Struct], message: Descriptor) -> dict[str, tuple[Any, Descriptor]]:
    """Return every record inside *kind*, itself included, with its message."""
    found: dict[str, tuple[Any, Descriptor]] = {message.full_name: (kind, message)}
    for field, side in zip(msgspec.structs.fields(kind), message.fields, strict=False):
        inner = get_args(field.type)
        element = inner[0] if inner[1:] == (...,) else field.type
        if side.message_type and inspect.isclass(element) and issubclass(element, msgspec.Struct):
            found |= records(element, side.message_type)
    return found


def check_type(annotation: Any, field: FieldDescriptor) -> None:
    """Assert that one value of *annotation* has the one type that docs/wire.md gives it."""
    if annotation in TYPES:
        assert TYPES[annotation] == field.type, field.full_name
    elif inspect.isclass(annotation) and issubclass(annotation, enum.Enum):
        assert field.enum_type is not None, field.full_name
        assert annotation.__name__ == field.enum_type.name
    elif inspect.isclass(annotation):
        assert field.message_type is not None, field.full_name
        assert annotation.__name__ == field.message_type.name
    else:
        inner = get_args(annotation)
        assert len(inner) == len(field.message_type.fields), field.full_name
        for each, side in zip(inner, field.message_type.fields, strict=True):
            check_type(each, side)


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_a_fact_has_a_message_of_its_name_in_the_file_of_its_family(kind: type[Fact]) -> None:
    name = kind.__name__

    assert name in CHOICES, missing(kind)
    assert snake(name) == CHOICES[name].name
    assert f"titanflow/wire/v1/{FAMILIES[name]}.proto" == CHOICES[name].message_type.file.name, (
        f"core/facts/{FAMILIES[name]}.py and its .proto have the same facts"
    )


def test_the_words_for_a_missing_message_say_what_to_do() -> None:
    class Rumour(Fact, frozen=True):
        source: str

    said = missing(Rumour)

    assert "message Rumour" in said
    assert "id, cause, at, seen, source" in said
    assert f"Rumour rumour = {max(f.number for f in ANY.fields) + 1};" in said
    assert "tools.make_proto" in said


def test_no_message_is_without_its_fact() -> None:
    assert sorted(kind.__name__ for kind in kinds()) == sorted(CHOICES)


def test_every_fact_is_exported_by_its_package() -> None:
    hidden = [kind.__name__ for kind in kinds() if getattr(facts, kind.__name__, None) is not kind]

    assert [] == hidden, "name them in core/facts/__init__.py"


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_a_record_and_its_message_have_the_same_fields_in_the_same_order(kind: type[Fact]) -> None:
    assert kind.__name__ in CHOICES, missing(kind)
    for record, message in records(kind, CHOICES[kind.__name__].message_type).values():
        fields = msgspec.structs.fields(record)

        wanted = [(number, field.name) for number, field in enumerate(fields, 1)]
        assert wanted == [(field.number, field.name) for field in message.fields], (
            "a field's number is its place in the struct; add it to the message at the same place"
        )
        for field, side in zip(fields, message.fields, strict=True):
            inner = get_args(field.type)
            repeated = get_origin(field.type) is tuple and inner[1:] == (...,)
            assert repeated == side.is_repeated, side.full_name
            check_type(inner[0] if repeated else field.type, side)


def reachable() -> dict[str, Descriptor]:
    """Return every message that a turn may hold."""
    found: dict[str, Descriptor] = {}
    waiting = [turn_pb2.Turn.DESCRIPTOR]
    while waiting:
        message = waiting.pop()
        if message.full_name not in found:
            found[message.full_name] = message
            waiting += [field.message_type for field in message.fields if field.message_type]
    return found


def test_every_message_is_part_of_a_turn() -> None:
    declared = set()
    for path in sorted((PROTO / "titanflow/wire/v1").glob("*.proto")):
        declared |= set(re.findall(r"^message (\w+)", path.read_text("utf-8"), re.MULTILINE))

    assert declared == {name.removeprefix("titanflow.wire.v1.") for name in reachable()} - {
        "Checkpoint.StageDigest"
    }


def test_what_is_absent_can_be_told_from_zero() -> None:
    silent = [
        field.full_name
        for message in reachable().values()
        for field in message.fields
        if not field.is_repeated and not field.has_presence
    ]

    assert [] == silent


def test_no_message_has_a_map_whose_bytes_have_no_order() -> None:
    assert [] == [name for name, each in reachable().items() if each.GetOptions().map_entry]


def enums() -> dict[str, EnumDescriptor]:
    """Return every enumeration that a turn may hold."""
    fields = [field for message in reachable().values() for field in message.fields]
    return {field.enum_type.name: field.enum_type for field in fields if field.enum_type}


@pytest.mark.parametrize("name", sorted(enums()))
def test_an_enumeration_has_the_same_members_on_both_sides(name: str) -> None:
    prefix = snake(name).upper()
    members = getattr(words, name)

    wanted = {f"{prefix}_{member.name}" for member in members} | {f"{prefix}_UNSPECIFIED"}
    found = {value.name: value.number for value in enums()[name].values}

    assert wanted == found.keys(), f"mend enum {name} in words.proto and run tools.make_proto"
    assert found[f"{prefix}_UNSPECIFIED"] == 0
    assert not enums()[name].is_closed


def test_the_checksum_has_the_last_number_of_a_turn() -> None:
    numbers = {field.name: field.number for field in turn_pb2.Turn.DESCRIPTOR.fields}

    assert max(numbers.values()) == numbers["crc32c"]
    assert turn_pb2.Turn(crc32c=0).SerializeToString()[:2] == codec._TRAILER
