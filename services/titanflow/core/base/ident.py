"""How are facts named? By digests of what led to them, never by chance or by count.

A stage that is restarted emits the same facts with the same ids, so at-least-once delivery plus
determinism is effectively once.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NewType

import msgspec

Id = NewType("Id", bytes)
"""Name of a fact: 16 bytes."""

ID_BYTES = 16
NO_ID = Id(bytes(ID_BYTES))
"""The cause of facts that nothing inside the arena led to."""

_json = msgspec.json.Encoder(order="sorted")


def derive(cause: bytes, stage: bytes, ordinal: int) -> Id:
    """Return the id of the fact that *stage* makes as number *ordinal* because of *cause*.

    >>> derive(NO_ID, b"gate", 0) == derive(NO_ID, b"gate", 0)
    True
    >>> derive(NO_ID, b"gate", 0) == derive(NO_ID, b"gate", 1)
    False
    """
    return Id(
        blake2b(
            cause + ordinal.to_bytes(8, "little") + stage, digest_size=ID_BYTES, person=b"tf.id"
        ).digest()
    )


def digest(*parts: bytes) -> bytes:
    """Return the BLAKE2b-256 digest of *parts*, each prefixed with its length."""
    state = blake2b(digest_size=32)
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.digest()


def canonical(value: object) -> bytes:
    """Return the one JSON encoding of *value*: sorted keys, no spaces, UTF-8."""
    return _json.encode(value)
