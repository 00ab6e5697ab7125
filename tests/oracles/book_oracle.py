"""The order book in readable Python: what `titanflow.native.book` must do, event for event.

One dict of live orders, and for each side a dict from price to a queue (a dict, oldest first)
beside a sorted list of keys, `side * price`: the best is the last, and one line of code serves both
sides.
An arriving order compares prices multiplied by its own side: less is better for it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterable
from hashlib import blake2b

LIMIT, MARKET, POST_ONLY = 0, 1, 2
DAY, GTC, IOC, FOK = 0, 1, 2, 3
ACCEPTED, TRADED, CANCELED, EXPIRED, REJECTED, REPLACED, REFUSED = 1, 2, 3, 4, 5, 6, 7
NONE, AGGRESSIVE, PASSIVE, BOTH = 0, 1, 2, 3
TAKER, MAKER = 0, 1
DUPLICATE, WOULD_TAKE, UNKNOWN, BELOW_CUM, SELF_MATCH = 1, 2, 3, 4, 17

WAITING = {1: 1 << 62, -1: 0}
"""Prices at which market orders wait: better than every limit of their side."""

Event = tuple[int, int, int, int, int, int, int, int]


class Order:
    """An order in the book, or on its way into it."""

    __slots__ = ("cum", "id", "leaves", "limit", "market", "owner", "post_only", "side", "stamp")

    def __init__(self, order_id, owner, side, limit, leaves, cum=0, post_only=False):
        self.id, self.owner, self.side, self.limit = order_id, owner, side, limit
        self.leaves, self.cum, self.post_only = leaves, cum, post_only
        self.market = limit == WAITING[side]
        self.stamp = 0

    def fill(self, quantity):
        """Count an execution."""
        self.leaves -= quantity
        self.cum += quantity


class Book:
    """The oracle; the interface is that of the native book."""

    def __init__(self, self_match=0, slippage_bps=0):
        self.self_match, self.slippage_bps = self_match, slippage_bps
        self.price = self.left = self.stamp = 0
        self.orders: dict[int, Order] = {}
        self.queues: dict[int, dict[int, dict[int, Order]]] = {1: {}, -1: {}}
        self.keys: dict[int, list[int]] = {1: [], -1: []}
        self.events: list[Event] = []

    def __len__(self):
        return len(self.orders)

    @property
    def market(self):
        return self.price, self.left

    # Messages.

    def set_market(self, price, quantity):
        self.price, self.left = price, quantity
        return self._told()

    def enter(self, order_id, owner, side, price, quantity, kind=LIMIT, tif=GTC):
        limit = WAITING[side] if kind == MARKET else price
        order = Order(order_id, owner, side, limit, quantity, post_only=kind == POST_ONLY)
        if order_id in self.orders:
            self._tell(REJECTED, order_id, 0, quantity, limit, 0, 0, DUPLICATE)
        elif order.post_only and self._would_take(order):
            self._tell(REJECTED, order_id, 0, quantity, limit, 0, 0, WOULD_TAKE)
        else:
            self._tell(ACCEPTED, order_id, 0, quantity, limit, quantity, 0, 0)
            going = True
            if tif != FOK or self._fillable(order):
                going = self._match(order)
            if going and order.leaves:
                if tif in {IOC, FOK} or (order.market and self.price == 0):
                    self._tell(EXPIRED, order_id, 0, order.leaves, limit, 0, 0, 0)
                else:
                    self._rest(order)
        return self._told()

    def cancel(self, order_id):
        order = self.orders.get(order_id)
        if order is None:
            self._tell(REFUSED, order_id, 0, 0, 0, 0, 0, UNKNOWN)
        else:
            self._tell(CANCELED, order_id, 0, order.leaves, order.limit, 0, 0, 0)
            self._remove(order)
        return self._told()

    def replace(self, order_id, quantity, price):
        order = self.orders.get(order_id)
        if order is None:
            self._tell(REFUSED, order_id, 0, 0, 0, 0, 0, UNKNOWN)
            return self._told()
        limit = order.limit if order.market else price
        leaves = quantity - order.cum
        changed = Order(
            order_id, order.owner, order.side, limit, leaves, order.cum, order.post_only
        )
        if leaves <= 0:
            self._tell(CANCELED, order_id, 0, order.leaves, order.limit, 0, 0, BELOW_CUM)
            self._remove(order)
        elif limit == order.limit and leaves <= order.leaves:
            order.leaves = leaves
            self._tell(REPLACED, order_id, 0, quantity, limit, leaves, 0, 0)
        elif order.post_only and self._would_take(changed):
            self._tell(REFUSED, order_id, 0, order.leaves, order.limit, order.leaves, 0, WOULD_TAKE)
        else:
            self._remove(order)
            self._tell(REPLACED, order_id, 0, quantity, limit, leaves, 0, 0)
            if self._match(changed) and changed.leaves:
                self._rest(changed)
        return self._told()

    def uncross(self):
        while self.left:
            ready = [
                self._head(side, self.keys[side][-1])
                for side in (1, -1)
                if self.keys[side] and self.keys[side][-1] >= side * self.price
            ]
            if not ready:
                break
            order = min(ready, key=lambda o: o.stamp)
            price = order.side * min(self._taken(order.side), order.side * order.limit)
            self._fill_resting(order, min(order.leaves, self.left), price, TAKER)
        return self._told()

    def sweep(self, side, to_price, touch_quantity=0):
        before, touch, keys = self.price or to_price, touch_quantity, self.keys[side]
        while self.left and keys and keys[-1] >= side * to_price:
            order = self._head(side, keys[-1])
            quantity = min(order.leaves, self.left)
            if order.limit == to_price:
                quantity = min(quantity, touch)
                touch -= quantity
            if quantity == 0:
                break
            # A starved order never pays more than the market asked.
            price = side * min(side * order.limit, side * before)
            self._fill_resting(order, quantity, price, MAKER)
        self.price = to_price
        return self._told()

    def apply(self, messages: Iterable[Iterable[int]]) -> list[Event]:
        """Take messages as rows of the native book's `apply`."""
        events: list[Event] = []
        for op, order_id, owner, side, price, quantity, kind, tif in messages:
            if op == 1:
                events += self.enter(order_id, owner, side, price, quantity, kind, tif)
            elif op == 2:
                events += self.cancel(order_id)
            elif op == 3:
                events += self.replace(order_id, quantity, price)
            elif op == 4:
                events += self.set_market(price, quantity)
            elif op == 5:
                events += self.uncross()
            else:
                events += self.sweep(side, price, quantity)
        return events

    def reaches(self, low, high):
        """Say whether a price from *low* to *high* would satisfy any resting order."""
        bids, asks = self.keys[1], self.keys[-1]
        return (bids and bids[-1] >= low) or (asks and -asks[-1] <= high)

    def depth(self, side):
        """Return [(price, lots, orders)] of one side, best first."""
        return [
            (side * key, sum(o.leaves for o in queue.values()), len(queue))
            for key in reversed(self.keys[side])
            for queue in (self.queues[side][key],)
        ]

    def dump(self):
        """Return the canonical state, as the native book does."""
        rows = array(
            "q",
            (
                1,
                self.self_match,
                self.slippage_bps,
                self.price,
                self.left,
                self.stamp,
                len(self),
                0,
            ),
        )
        for side in (1, -1):
            for key in reversed(self.keys[side]):
                for o in self.queues[side][key].values():
                    rows.extend(
                        (o.id, o.owner, side, o.limit, o.leaves, o.cum, o.stamp, int(o.post_only))
                    )
        return rows.tobytes()

    def digest(self):
        """Return BLAKE2b-256 of the state."""
        return blake2b(self.dump(), digest_size=32).digest()

    # Matching.

    def _match(self, taker):
        """Fill what can be filled; say whether the taker goes on (self-match may stop it)."""
        worst, market = taker.side * taker.limit, taker.side * self.price
        reaches_market = self.price > 0 and worst >= market
        while taker.leaves:
            offer, resting = self._best_offer(taker)
            if reaches_market and self.left and (resting is None or offer > market):
                quantity = min(taker.leaves, self.left)
                self.left -= quantity
                taker.fill(quantity)
                price = taker.side * min(self._taken(taker.side), worst)
                self._tell(TRADED, taker.id, 0, quantity, price, taker.leaves, 0, TAKER)
            elif resting is None:
                return True
            elif resting.owner == taker.owner and self.self_match != NONE:
                if not self._prevent(taker, resting):
                    return False
            else:
                if self.price:
                    offer = max(offer, market)
                self._meet(taker, resting, taker.side * min(offer, worst))
        return True

    def _meet(self, taker, resting, price):
        quantity = min(taker.leaves, resting.leaves)
        taker.fill(quantity)
        resting.fill(quantity)
        self._tell(
            TRADED, taker.id, resting.id, quantity, price, taker.leaves, resting.leaves, TAKER
        )
        if resting.leaves == 0:
            self._remove(resting)

    def _prevent(self, taker, resting):
        note = SELF_MATCH + self.self_match
        if self.self_match in {PASSIVE, BOTH}:
            self._tell(CANCELED, resting.id, taker.id, resting.leaves, resting.limit, 0, 0, note)
            self._remove(resting)
        if self.self_match in {AGGRESSIVE, BOTH}:
            self._tell(CANCELED, taker.id, resting.id, taker.leaves, taker.limit, 0, 0, note)
        return self.self_match == PASSIVE

    def _offers(self, taker):
        """Give (price × side of the taker, key) of the other side's levels that it accepts."""
        side = -taker.side
        bound = taker.side * taker.limit
        if taker.market and self.price:
            bound = self._taken(taker.side)
        for key in reversed(self.keys[side]):
            waits = key == side * WAITING[side]
            # A waiting order gives no more than the market would take from it.
            offer = -self._taken(side) if waits else -key
            if offer <= bound:
                yield offer, key
            elif not waits:
                return

    def _best_offer(self, taker):
        for offer, key in self._offers(taker):
            return offer, self._head(-taker.side, key)
        return 0, None

    def _would_take(self, order):
        side = order.side
        meets_market = self.price > 0 and side * order.limit >= side * self.price
        return meets_market or self._best_offer(order)[1] is not None

    def _fillable(self, taker):
        market = taker.side * self.price
        need, outside = taker.leaves, 0
        if self.price and taker.side * taker.limit >= market:
            outside = self.left
        for offer, key in self._offers(taker):
            if offer > market:
                need, outside = need - outside, 0
            for resting in self.queues[-taker.side][key].values():
                if need <= 0:
                    return True
                if resting.owner != taker.owner or self.self_match == NONE:
                    need -= resting.leaves
                elif self.self_match != PASSIVE:
                    return False
        return need <= outside

    def _taken(self, side):
        """Return side × what a taker pays the market: its price and slippage, at least a tick."""
        slip = -(-self.price * self.slippage_bps // 10_000)
        return side * max(self.price + side * slip, 1)

    # Places.

    def _head(self, side, key):
        return next(iter(self.queues[side][key].values()))

    def _rest(self, order):
        key = order.side * order.limit
        queue = self.queues[order.side].get(key)
        if queue is None:
            queue = self.queues[order.side][key] = {}
            insort(self.keys[order.side], key)
        order.stamp = self.stamp
        self.stamp += 1
        queue[order.id] = self.orders[order.id] = order

    def _remove(self, order):
        key = order.side * order.limit
        queue = self.queues[order.side][key]
        del queue[order.id], self.orders[order.id]
        if not queue:
            del self.queues[order.side][key]
            keys = self.keys[order.side]
            del keys[bisect_left(keys, key)]

    def _fill_resting(self, order, quantity, price, note):
        order.fill(quantity)
        self.left -= quantity
        self._tell(TRADED, order.id, 0, quantity, price, order.leaves, 0, note)
        if order.leaves == 0:
            self._remove(order)

    def _tell(self, *event):
        self.events.append(event)

    def _told(self):
        events, self.events = self.events, []
        return events
