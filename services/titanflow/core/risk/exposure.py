"""What is held for which order? One record for each live order, gone when it ends.

The worst case of a contender is its position plus everything its open orders could still do. A
hold is made when risk allows, follows every fill and change, and is released exactly at the end.
"""

from __future__ import annotations

import msgspec

from titanflow.core.base.errors import InvariantError
from titanflow.core.base.ident import Id
from titanflow.native.gate import Gate as NativeGate


class Hold(msgspec.Struct, array_like=True):
    """The hold of one order: *lots* at *price*, of which *extra* are for a pending replace."""

    contender: int
    instrument: int
    side: int
    price: int
    lots: int
    extra: int
    cum: int
    client_order_id: str
    market: bool


class Holds:
    """All holds of an arena, by order id (by verdict id until the order is born)."""

    def __init__(self, gate: NativeGate) -> None:
        self._gate = gate
        self.by_id: dict[Id, Hold] = {}
        self.by_client: dict[tuple[int, str], Id] = {}
        self._extra: dict[tuple[int, int, int], int] = {}

    def open(self, verdict: Id, hold: Hold) -> None:
        """Hold for an order that risk just allowed."""
        self._gate.hold(hold.contender, hold.instrument, hold.side, hold.price, 0, hold.lots)
        self.by_id[verdict] = hold

    def born(self, verdict: Id, order: Id) -> None:
        """Name a hold by its order."""
        hold = self.by_id.pop(verdict, None)
        if hold is None:
            raise InvariantError(f"order {order.hex()} has no hold: it passed no check")
        self.by_id[order] = hold
        self.by_client[hold.contender, hold.client_order_id] = order

    def follow(self, order: Id, leaves: int, cum: int, price: int) -> None:
        """Hold what an order still can do: *leaves* lots, at *price* if it has a limit."""
        hold = self.by_id.get(order)
        if hold is None:
            raise InvariantError(f"order {order.hex()} changed, but nothing is held for it")
        if leaves == 0:
            self._set(hold, hold.price, 0, 0)
            del self.by_id[order]
            self.by_client.pop((hold.contender, hold.client_order_id), None)
            return
        self._set(hold, price or hold.price, leaves, 0)
        hold.cum = cum

    def filled(self, order: Id, leaves: int, cum: int) -> None:
        """Follow a fill; what is held for a pending replace stays held."""
        hold = self.by_id.get(order)
        if hold is None or leaves == 0 or not hold.extra:
            self.follow(order, leaves, cum, 0)
            return
        self._set(hold, hold.price, leaves + hold.extra, hold.extra)
        hold.cum = cum

    def widen(self, hold: Hold, lots: int, price: int) -> None:
        """Hold the worse of an order and its pending replacement."""
        own = hold.lots - hold.extra
        # An earlier replacement may still be on its way, so nothing is let go of here.
        extra = max(lots - own, hold.extra)
        self._set(hold, max(price, hold.price), own + extra, extra)

    def without(self, hold: Hold) -> None:
        """Let go of a hold for the length of one check; `again` takes it back."""
        self._gate.hold(hold.contender, hold.instrument, hold.side, hold.price, hold.lots, 0)

    def again(self, hold: Hold) -> None:
        """Take back what `without` let go."""
        self._gate.hold(hold.contender, hold.instrument, hold.side, hold.price, 0, hold.lots)

    def extra_lots(self, contender: int, instrument: int, side: int) -> int:
        """Return the lots held for pending replaces only."""
        return self._extra.get((contender, instrument, side), 0)

    def _set(self, hold: Hold, price: int, lots: int, extra: int) -> None:
        c, i, side = hold.contender, hold.instrument, hold.side
        if price == hold.price:
            self._gate.hold(c, i, side, price, hold.lots, lots)
        else:
            self._gate.hold(c, i, side, hold.price, hold.lots, 0)
            self._gate.hold(c, i, side, price, 0, lots)
        if extra != hold.extra:
            key = (c, i, side)
            total = self._extra.get(key, 0) + extra - hold.extra
            if total:
                self._extra[key] = total
            else:
                self._extra.pop(key, None)
        hold.price, hold.lots, hold.extra = price, lots, extra

    def restore(self, kept: list[tuple[Id, Hold]]) -> None:
        """Take over the records of a snapshot; the compiled gate restores its own sums."""
        self.by_id = dict(kept)
        self.by_client = {(h.contender, h.client_order_id): ident for ident, h in kept}
        self._extra = {}
        for _, hold in kept:
            if hold.extra:
                key = (hold.contender, hold.instrument, hold.side)
                self._extra[key] = self._extra.get(key, 0) + hold.extra
