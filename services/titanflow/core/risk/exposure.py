"""What is held for which order? One record for each live order, gone when it ends.

The worst case of a contender is its position plus everything its open orders could still do. A
hold is made when risk allows, follows every fill and change, and is released exactly at the end.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from titanflow.core.base.errors import InvariantError
from titanflow.core.base.ident import NO_ID, Id
from titanflow.core.facts import Fill, Order, OrderUpdate
from titanflow.core.spec.words import OrdStatus
from titanflow.native.gate import Gate as NativeGate

_REPLACED = "5"
"""ExecType(150) of a change that holds whatever else is asked for meanwhile."""
_PENDING = frozenset({OrdStatus.PENDING_CANCEL, OrdStatus.PENDING_REPLACE})


class Hold(msgspec.Struct, array_like=True):
    """The hold of one order: *lots* at *price*, of which *extra* are for a pending replace."""

    contender: int
    instrument: int
    side: int
    price: int
    lots: int
    extra: int
    cum: int
    market: bool
    client_order_id: str
    risk: bool = False
    """Whether it is an order of risk itself, which closes a position."""


class Holds:
    """All holds of an arena, by order id (by verdict id until the order is born)."""

    def __init__(self, gate: NativeGate) -> None:
        self._gate = gate
        self._by_id: dict[Id, Hold] = {}
        self._by_client: dict[tuple[int, str], Hold] = {}
        self._extra: dict[tuple[int, int, int], int] = {}
        self._closing: Counter[tuple[int, int]] = Counter()
        """Live orders of risk itself by contender and instrument."""

    def __len__(self) -> int:
        return len(self._by_id)

    def of_client(self, contender: int, client_order_id: str) -> Hold | None:
        """Return the hold of a contender's live order by its own name for it."""
        return self._by_client.get((contender, client_order_id))

    def open(self, verdict: Id, hold: Hold) -> None:
        """Hold for an order that risk just allowed."""
        self._gate.hold(hold.contender, hold.instrument, hold.side, hold.price, 0, hold.lots)
        self._by_id[verdict] = hold
        self._by_client[hold.contender, hold.client_order_id] = hold
        self._closing[hold.contender, hold.instrument] += hold.risk

    def is_closing(self, contender: int, instrument: int) -> bool:
        """Say whether an order of risk itself closes this position already."""
        return self._closing[contender, instrument] > 0

    def born(self, order: Order) -> None:
        """Name a hold by its order.

        Raises: InvariantError if the order passed no check.
        """
        hold = self._by_id.pop(order.cause, None)
        if hold is None:
            raise InvariantError(f"order {order.id.hex()} has no hold: it passed no check")
        self._by_id[order.id] = hold

    def follow(self, update: OrderUpdate) -> None:
        """Hold what an order still can do after a change of it.

        Raises: InvariantError if nothing is held for it.
        """
        if update.order == NO_ID:
            return
        hold = self._known(update.order)
        if update.status in _PENDING and update.exec_type != _REPLACED:
            return
        hold.cum = update.cum_lots
        self._set(hold, update.limit_ticks or hold.price, update.leaves_lots, 0)
        if update.leaves_lots == 0:
            self._forget(update.order, hold)

    def filled(self, fill: Fill) -> None:
        """Follow a fill; what is held for a pending replace stays held.

        Raises: InvariantError if nothing is held for the order.
        """
        hold = self._known(fill.order)
        hold.cum = fill.cum_lots
        if fill.leaves_lots == 0:
            self._set(hold, hold.price, 0, 0)
            self._forget(fill.order, hold)
        else:
            self._set(hold, hold.price, fill.leaves_lots + hold.extra, hold.extra)

    def widen(self, hold: Hold, lots: int, price: int) -> None:
        """Hold the worse of an order and its pending replacement, which has *lots* left."""
        own = hold.lots - hold.extra
        extra = max(lots - own, hold.extra)
        self._set(hold, max(price, hold.price), own + extra, extra)

    def without(self, hold: Hold) -> None:
        """Let go of a hold for the length of one check; `again` takes it back."""
        self._gate.hold(hold.contender, hold.instrument, hold.side, hold.price, hold.lots, 0)

    def again(self, hold: Hold) -> None:
        """Take back what `without` let go."""
        self._gate.hold(hold.contender, hold.instrument, hold.side, hold.price, 0, hold.lots)

    def open_lots(self, contender: int, instrument: int) -> tuple[int, int]:
        """Return the lots of open buy and sell orders, without those of pending replaces."""
        buy, sell = self._gate.open_lots(contender, instrument)
        return (
            buy - self._extra.get((contender, instrument, 1), 0),
            sell - self._extra.get((contender, instrument, -1), 0),
        )

    def dump(self) -> list[tuple[Id, Hold]]:
        """Return all records, by id."""
        return sorted(self._by_id.items())

    def load(self, kept: list[tuple[Id, Hold]]) -> None:
        """Take over the records of a snapshot; the compiled gate restores its own sums."""
        self._by_id = dict(kept)
        self._by_client = {(h.contender, h.client_order_id): h for _, h in kept}
        self._extra, self._closing = {}, Counter()
        for _, hold in kept:
            self._count(hold, hold.extra)
            self._closing[hold.contender, hold.instrument] += hold.risk

    def _known(self, order: Id) -> Hold:
        hold = self._by_id.get(order)
        if hold is None:
            raise InvariantError(f"order {order.hex()} changed, but nothing is held for it")
        return hold

    def _forget(self, order: Id, hold: Hold) -> None:
        del self._by_id[order]
        self._closing[hold.contender, hold.instrument] -= hold.risk
        if self._by_client.get((hold.contender, hold.client_order_id)) is hold:
            del self._by_client[hold.contender, hold.client_order_id]

    def _set(self, hold: Hold, price: int, lots: int, extra: int) -> None:
        c, i, side = hold.contender, hold.instrument, hold.side
        if price == hold.price:
            self._gate.hold(c, i, side, price, hold.lots, lots)
        else:
            self._gate.hold(c, i, side, hold.price, hold.lots, 0)
            self._gate.hold(c, i, side, price, 0, lots)
        if extra != hold.extra:
            self._count(hold, extra - hold.extra)
        hold.price, hold.lots, hold.extra = price, lots, extra

    def _count(self, hold: Hold, change: int) -> None:
        key = (hold.contender, hold.instrument, hold.side)
        total = self._extra.get(key, 0) + change
        if total:
            self._extra[key] = total
        else:
            self._extra.pop(key, None)
