"""Where does chance come from? From a key, never from a generator with a state.

`chance(seed, id, label)` is the same number whatever was drawn before it, so simulation and
cluster agree without sharing anything, and a new draw does not shift the old ones.
"""

from __future__ import annotations

from hashlib import blake2b

_TWO_53 = float(2**53)


def chance_bits(seed: int, ident: bytes, label: bytes) -> int:
    """Return 64 uniform bits for a key."""
    state = blake2b(ident, digest_size=8, key=seed.to_bytes(8, "little"), person=label[:16])
    return int.from_bytes(state.digest(), "little")


def chance(seed: int, ident: bytes, label: bytes) -> float:
    """Return a uniform number in [0, 1) for a key. *label* has at most 16 bytes.

    >>> chance(7, b"x", b"slippage") == chance(7, b"x", b"slippage")
    True
    """
    return (chance_bits(seed, ident, label) >> 11) / _TWO_53


def chance_below(seed: int, ident: bytes, label: bytes, limit: int) -> int:
    """Return a uniform integer in [0, limit) for a key; 0 when *limit* is 0 or 1.

    The bias of the multiplication is below limit / 2**64.
    """
    return (chance_bits(seed, ident, label) * limit) >> 64 if limit > 1 else 0
