"""Was this name seen lately? A set of ids that forgets its oldest member."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

import numpy as np

from titanflow.core.base.ident import Id


class Recent:
    """The last *limit* ids. No dict: finding its oldest key walks over the deleted ones.

    >>> recent = Recent(2, [Id(b"a"), Id(b"b"), Id(b"c")])
    >>> Id(b"a") in recent, Id(b"c") in recent, len(recent)
    (False, True, 2)
    """

    __slots__ = ("_known", "_limit", "_order")

    def __init__(self, limit: int, idents: Iterable[Id] = ()) -> None:
        self._limit = limit
        self._order: deque[Id] = deque()
        # Only asked, never walked: its order is not ours.
        self._known: set[Id] = set()
        for ident in idents:
            self.add(ident)

    def __contains__(self, ident: Id) -> bool:
        return ident in self._known

    def __len__(self) -> int:
        return len(self._order)

    def add(self, ident: Id) -> None:
        """Remember *ident*, and forget the oldest one when there are too many."""
        if ident in self._known:
            return
        self._known.add(ident)
        self._order.append(ident)
        if len(self._order) > self._limit:
            self._known.remove(self._order.popleft())

    def oldest_first(self) -> list[Id]:
        """Return what is remembered, in the order of arrival."""
        return list(self._order)


class RecentNames:
    """The last *limit* names, each as a digest of 16 bytes in one block that grows to its bound.

    A set of four thousand names takes ten times the memory, and there is one for each contender.
    That two names have one digest is as unlikely as two ids being equal.

    >>> names = RecentNames(2)
    >>> for name in ("a", "b", "c"):
    ...     names.add(name)
    >>> "a" in names, "c" in names, len(names)
    (False, True, 2)
    """

    __slots__ = ("_block", "_count", "_limit", "_next")

    def __init__(self, limit: int, kept: bytes = b"") -> None:
        """Take the bound, and what `dump` returned of another one of at most as many names."""
        self._limit = limit
        self._count = self._next = len(kept) // _BYTES
        self._block = np.frombuffer(kept, _WORD).reshape(-1, 2).copy()
        self._next %= limit

    def __contains__(self, name: str) -> bool:
        low, high = _digest(name)
        block = self._block[: self._count]
        return bool((block[np.flatnonzero(block[:, 0] == low), 1] == high).any())

    def __len__(self) -> int:
        return self._count

    def add(self, name: str) -> None:
        """Remember *name*, and forget the oldest one when there are too many."""
        if name in self:
            return
        if self._next == len(self._block):
            size = min(max(2 * self._next, _FIRST), self._limit)
            grown = np.zeros((size, 2), _WORD)
            grown[: self._next] = self._block
            self._block = grown
        self._block[self._next] = _digest(name)
        self._count = max(self._count, self._next + 1)
        self._next = (self._next + 1) % self._limit

    def dump(self) -> bytes:
        """Return what is remembered, the oldest first."""
        start = self._next if self._count == self._limit else 0
        return np.roll(self._block[: self._count], -start, axis=0).tobytes()


_BYTES: Final = 16
_WORD: Final = np.dtype("<u8")
_FIRST: Final = 64
"""Room for so many names at first."""


def _digest(name: str) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.frombuffer(blake2b(name.encode(), digest_size=_BYTES).digest(), _WORD)
