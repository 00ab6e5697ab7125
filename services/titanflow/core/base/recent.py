"""Was this name seen lately? A set of ids that forgets its oldest member."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

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
