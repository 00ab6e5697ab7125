"""What is a fact? An immutable, typed record that something happened.

Every fact has `id`, `cause` (the id of the fact that led to it), `at` (ns UTC, when it happened)
and `seen` (ns UTC, when the arena learnt it; in simulation the same as `at`). Facts are encoded
as arrays in the order of their fields: fields are only ever added at the end, with a default.
"""

from __future__ import annotations

import msgspec

from titanflow.core.base.ident import Id


class Fact(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The root of all facts; the class name is the tag in the record."""

    id: Id
    cause: Id
    at: int
    seen: int
