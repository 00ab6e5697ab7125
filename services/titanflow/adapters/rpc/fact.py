"""How does a fact stand in an answer? As the message of the wire that has its name."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec
from google.protobuf.descriptor import Descriptor

from titanflow.adapters.codec_table import Table, table_of
from titanflow.core.facts import Fact
from titanflow.wire.v1 import turn_pb2

_CASES: Final = {
    field.message_type.name: field
    for field in turn_pb2.DESCRIPTOR.message_types_by_name["AnyFact"].oneofs_by_name["fact"].fields
    if field.message_type is not None
}


def message_of(fact: Fact) -> Any:
    """Return the message of a fact's own type."""
    table = _table(type(fact))
    return table.kind(**table.pack(fact))


def any_fact(fact: Fact) -> turn_pb2.AnyFact:
    """Return a fact of any type as one message."""
    return turn_pb2.AnyFact(**{_CASES[type(fact).__name__].name: message_of(fact)})


@cache
def _table(kind: type[msgspec.Struct]) -> Table:
    descriptor: Descriptor | None = _CASES[kind.__name__].message_type
    assert descriptor is not None
    return table_of(kind, descriptor)
