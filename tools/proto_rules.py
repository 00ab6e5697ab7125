"""May a schema become this one? The rules of docs/wire.md, as a function of two shapes.

A shape is what readers of a message depend on: numbers, names and types, without comments and
files. It is written as readable text, one line for each field, so that its golden copy can be
reviewed; `python -m tools.proto_rules` prints the shapes of all packages.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorSet,
)

Shape: TypeAlias = dict[str, dict[str, str]]
"""By element, such as `message titanflow.wire.v1.Fill`, what each of its keys means: for a message
a field number (`9` is `Side side`) or `reserved 9`, for an enum a value's number, for a service a
method's name."""

RESERVED = "reserved "
RESERVED_MAX = 1_000
"""Numbers that one message may reserve: enough for mistakes, and the text stays readable."""


def shape_of(described: FileDescriptorSet, package: str) -> Shape:
    """Return the shape of one package.

    Raises: ValueError if a message reserves more than RESERVED_MAX numbers.
    """
    shape: Shape = {}
    for file in described.file:
        if file.package != package:
            continue
        for message in file.message_type:
            _message(shape, f"{package}.{message.name}", message)
        for words in file.enum_type:
            shape[f"enum {package}.{words.name}"] = _enum(words)
        for service in file.service:
            shape[f"service {package}.{service.name}"] = {
                method.name: " ".join(
                    [
                        ("stream " * method.client_streaming) + method.input_type.lstrip("."),
                        "->",
                        ("stream " * method.server_streaming) + method.output_type.lstrip("."),
                    ]
                )
                for method in service.method
            }
    return shape


def write(shape: Shape) -> str:
    """Return a shape as text; `read` is its inverse."""
    lines = []
    for element in sorted(shape):
        lines.append(element)
        lines += [f"  {key}: {meaning}" for key, meaning in shape[element].items()]
    return "\n".join(lines) + "\n"


def read(text: str) -> Shape:
    r"""Return the shape that *text* tells.

    >>> read("enum a.Side\n  1: SIDE_BUY\n")
    {'enum a.Side': {'1': 'SIDE_BUY'}}
    """
    shape: Shape = {}
    element = ""
    for line in text.splitlines():
        if line.startswith("  "):
            key, _, meaning = line.strip().partition(": ")
            shape[element][key] = meaning
        else:
            element = line
            shape[element] = {}
    return shape


def broken(former: Shape, now: Shape) -> list[str]:
    """Return every rule that the change from *former* to *now* breaks, with its place.

    >>> broken({"enum a.Side": {"1": "SIDE_BUY"}}, {"enum a.Side": {}})
    ['enum a.Side: 1 (SIDE_BUY) is gone']
    """
    found = []
    for element, keys in former.items():
        if element in now:
            found += [f"{element}: {what}" for what in _changes(element, keys, now[element])]
        else:
            found.append(f"{element}: is gone")
    return found


def _changes(element: str, former: dict[str, str], now: dict[str, str]) -> Iterator[str]:
    names = {_name(meaning): key for key, meaning in now.items() if not key.startswith(RESERVED)}
    for key, meaning in former.items():
        name = _name(meaning)
        if key.startswith(RESERVED):
            if key not in now:
                yield f"{key.removeprefix(RESERVED)} is no longer reserved"
            if (number := key.removeprefix(RESERVED)) in now:
                yield f"{number} was reserved and is used again ({now[number]})"
            if number in names:
                yield f"{number} was reserved and is used again (number {names[number]})"
        elif key in now:
            if now[key] != meaning:
                yield f"{key} was {meaning} and is {now[key]}"
        elif name in names and not element.startswith("service "):
            yield f"{name} had number {key} and has {names[name]}"
        elif not element.startswith("message "):
            yield f"{key} ({meaning}) is gone"
        elif RESERVED + key not in now or RESERVED + name not in now:
            yield f"{key} ({meaning}) is gone, and its number and name are not both reserved"


def _name(meaning: str) -> str:
    """Return the name in a field's or value's meaning, which ends with it."""
    return meaning.rpartition(" ")[2]


def _message(shape: Shape, name: str, message: DescriptorProto) -> None:
    keys: dict[str, str] = {}
    for field in sorted(message.field, key=lambda field: field.number):
        keys[str(field.number)] = f"{_type(field, message)} {field.name}"
    for span in message.reserved_range:
        if span.end - span.start > RESERVED_MAX:
            raise ValueError(f"{name} reserves more than {RESERVED_MAX} numbers at once")
        keys |= {f"{RESERVED}{number}": "number" for number in range(span.start, span.end)}
    keys |= {f"{RESERVED}{word}": "name" for word in message.reserved_name}
    shape[f"message {name}"] = keys
    for inner in message.nested_type:
        _message(shape, f"{name}.{inner.name}", inner)
    for words in message.enum_type:
        shape[f"enum {name}.{words.name}"] = _enum(words)


def _enum(words: EnumDescriptorProto) -> dict[str, str]:
    return {str(value.number): value.name for value in words.value}


def _type(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    """Return a field's type, after the oneof that it is in or `repeated`."""
    plain = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    kind = field.type_name.lstrip(".") or plain
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return f"repeated {kind}"
    if field.HasField("oneof_index") and not field.proto3_optional:
        return f"oneof {message.oneof_decl[field.oneof_index].name} {kind}"
    return kind


def packages(described: FileDescriptorSet) -> list[str]:
    """Return the names of all packages, sorted."""
    return sorted({file.package for file in described.file})


if __name__ == "__main__":
    from tools.make_proto import describe

    DESCRIBED = describe()
    for PACKAGE in packages(DESCRIBED):
        print(write(shape_of(DESCRIBED, PACKAGE)))
