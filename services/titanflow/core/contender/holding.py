"""What does a contender own right now, in each instrument? Kept from facts alone.

The stage `decide` writes here and the contender reads through its View. This is a contender's own
picture, for its own sizes; what risk and the books believe is computed by them and not from here.
"""

from __future__ import annotations

import msgspec

from titanflow.core.base.fixed import toward_zero
from titanflow.core.base.ident import Id
from titanflow.core.facts import Belief, Entry, Fill, Order, OrderUpdate, Split
from titanflow.core.spec.ground import Entrant, Instrument
from titanflow.core.spec.words import (
    Account,
    OrdStatus,
    Side,
)

_ENDED = frozenset({OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REJECTED, OrdStatus.EXPIRED})


class OpenOrder(msgspec.Struct, frozen=True, array_like=True):
    """An order of one's own that has not ended."""

    order: Id
    client_order_id: str
    side: Side
    leaves_lots: int
    price_ticks: int
    """Its limit; for a market order the close when it was sent."""


class Seat:
    """One contender's money: cash, and what its positions are worth at the last closes."""

    __slots__ = ("cash", "entrant", "holdings", "inventory", "key", "name", "reserved", "seed")

    def __init__(self, entrant: Entrant, seed: int) -> None:
        self.entrant = entrant
        self.name = entrant.name
        self.key = entrant.name.encode()
        self.seed = seed
        self.cash = entrant.capital
        self.inventory = 0
        self.reserved = 0
        """Money that open buy orders will need."""
        self.holdings: dict[str, Holding] = {}

    def post(self, entry: Entry) -> None:
        """Take one entry of the books into the cash. Capital is known from the start."""
        if Account.CAPITAL in (entry.debit, entry.credit):
            return
        if entry.debit is Account.CASH:
            self.cash += entry.amount
        elif entry.credit is Account.CASH:
            self.cash -= entry.amount


class Holding:
    """What one contender has in one instrument: position, open orders, and the belief in hand."""

    __slots__ = (
        "bars_held",
        "bars_seen",
        "belief",
        "index",
        "instrument",
        "lots",
        "mark_ticks",
        "orders",
        "seat",
        "value",
    )

    def __init__(self, seat: Seat, instrument: Instrument, index: dict[str, int]) -> None:
        self.seat = seat
        self.instrument = instrument
        self.index = index
        """Where in a belief each feature of the contender stands."""
        self.belief: Belief | None = None
        self.lots = 0
        self.mark_ticks = 0
        self.value = 0
        self.bars_held = 0
        self.bars_seen = 0
        self.orders: dict[Id, OpenOrder] = {}

    def see(self, belief: Belief) -> None:
        """Take the belief in hand, and mark the position at its close."""
        self.belief = belief
        self.bars_seen += 1
        self.mark_ticks = belief.close_ticks
        if self.lots:
            self.bars_held += 1
            self._value()

    def fill(self, fill: Fill) -> None:
        """Take an execution into the position."""
        former = self.lots
        self.lots += fill.side * fill.quantity_lots
        if former == 0 or (former > 0) != (self.lots > 0):
            self.bars_held = 0
        self._value()
        known = self.orders.get(fill.order)
        if known is not None:
            self._change(known, msgspec.structs.replace(known, leaves_lots=fill.leaves_lots))

    def split(self, split: Split) -> None:
        """Scale position and mark; the fraction is paid in cash by the books."""
        self.lots = toward_zero(self.lots, split.numerator, split.denominator)
        if self.mark_ticks:
            scaled = toward_zero(self.mark_ticks, split.denominator, split.numerator)
            self.mark_ticks = max(1, scaled)
        self._value()

    def place(self, order: Order) -> None:
        """Take an order that risk let pass and that is on its way.

        The order and not the verdict opens it, because of a wish that risk allowed and the desk
        rejected at once, contenders hear the order, its end, and only then the verdict.
        """
        price = order.limit_ticks or self.mark_ticks
        self._keep(
            OpenOrder(order.id, order.client_order_id, order.side, order.quantity_lots, price)
        )

    def update(self, update: OrderUpdate) -> None:
        """Take a change of an order; forget it when it ended."""
        known = self.orders.get(update.order)
        if known is None:
            return
        ended = update.status in _ENDED
        changed = msgspec.structs.replace(
            known,
            client_order_id=update.client_order_id,
            leaves_lots=0 if ended else update.leaves_lots,
            price_ticks=update.limit_ticks or known.price_ticks,
        )
        self._change(known, changed)

    def _keep(self, order: OpenOrder) -> None:
        self.orders[order.order] = order
        self.seat.reserved += self._need(order)

    def _change(self, former: OpenOrder, order: OpenOrder) -> None:
        """Put *order* in the place of *former*, or forget it when nothing is left of it."""
        self.seat.reserved += self._need(order) - self._need(former)
        self.orders[order.order] = order
        if order.leaves_lots == 0:
            del self.orders[order.order]

    def _need(self, order: OpenOrder) -> int:
        if order.side is not Side.BUY:
            return 0
        return order.leaves_lots * order.price_ticks * self.instrument.tick_value

    def _value(self) -> None:
        value = self.lots * self.mark_ticks * self.instrument.tick_value
        self.seat.inventory += value - self.value
        self.value = value

    def state(self) -> tuple[int, int, int, int, list[OpenOrder]]:
        """Return all that `restore` needs, but for the belief."""
        orders = list(self.orders.values())
        return self.lots, self.mark_ticks, self.bars_held, self.bars_seen, orders

    def restore(self, state: tuple[int, int, int, int, list[OpenOrder]]) -> None:
        """Take over what `state` returned."""
        self.lots, self.mark_ticks, self.bars_held, self.bars_seen, orders = state
        for former in list(self.orders.values()):
            self._change(former, msgspec.structs.replace(former, leaves_lots=0))
        for order in orders:
            self._keep(order)
        self._value()
