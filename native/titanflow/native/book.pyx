"""Who trades with whom, at which price? One instrument's book in price-time order, integers only.

All contenders of an arena share it, and the outside market stands in it as one more level that
both sides can use: a price, and the lots that may still be taken in this bar. What one takes is
gone for the others. `docs/fill-model.md` states the rules, `tests/oracles/book_oracle.py` says the
same in readable Python; both give the same events and the same digest.

It knows nothing of time, fees, names or bars, and forgets every order that ended. It sits under
stage 5, trade; where orders lie is the business of `levels.pxd`.
"""

cdef extern from *:
    """
    #ifndef TITANFLOW_SOURCE_SHA256
    #define TITANFLOW_SOURCE_SHA256 ""
    #endif
    """
    const char* TITANFLOW_SOURCE_SHA256

cimport cython
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from titanflow.native.levels cimport (
    FEW, Ladder, Level, Order, Store, add_order, find_order, flaw_of, free_store, ladder_of,
    make_store, remove_order, write_orders,
)
from titanflow.native.words cimport (
    ACCEPTED, CANCEL, CANCELED, ENTER, EXPIRED, FOK, GTC, IOC, LIMIT, MARKET, MARKET_SET,
    NOTE_BELOW_CUM, NOTE_DUPLICATE, NOTE_MAKER, NOTE_POST_ONLY, NOTE_SMP, NOTE_TAKER, NOTE_UNKNOWN,
    POST_ONLY, REFUSED, REJECTED, REPLACE, REPLACED, SMP_AGGRESSIVE, SMP_NONE, SMP_PASSIVE, SWEEP,
    TOP_PRICE, TOP_QUANTITY, TRADED, UNCROSS, WIDTH, sensible,
)

from hashlib import blake2b

import numpy as np

SOURCE_SHA256 = TITANFLOW_SOURCE_SHA256.decode()

PRICE_MAX = TOP_PRICE
"""Highest price in ticks."""
QUANTITY_MAX = TOP_QUANTITY
"""Most lots of an order or of the market."""

cdef enum:
    VERSION = 1
    EVENTS_KEPT = 65_536

# Prices at which market orders wait: better than every limit.
cdef int64_t WAITING_BID = (<int64_t>1) << 62
cdef int64_t WAITING_ASK = 0

cdef struct Taker:
    int64_t id
    int64_t limit
    int64_t leaves
    int64_t cum
    int64_t bound  # side * worst price that it takes from a contender
    int32_t owner
    int32_t side
    int32_t market
    int32_t stopped


@cython.final
cdef class Book:
    """One instrument's book: contenders' orders in price-time order and the market's level.

    *self_match* is 0 none, 1 cancel aggressive, 2 cancel passive, 3 cancel both;
    *slippage_bps* is what taking from the market costs beyond its price.

    Every call returns its events as tuples, oldest first:
    (kind, id, other, quantity, price, leaves, other_leaves, note). Kinds: 1 accepted, 2 traded,
    3 canceled, 4 expired, 5 rejected, 6 replaced, 7 cancel or replace refused. In a trade `id` took
    (note 0) or was taken by the market (note 1); `other` is the resting order, 0 for the market.
    """

    cdef Store _s
    cdef int64_t* _events
    cdef int64_t _event_count, _event_capacity
    cdef int64_t _price, _left, _slip
    cdef readonly int self_match
    cdef readonly int slippage_bps

    def __cinit__(self, int self_match=0, int slippage_bps=0):
        if not (0 <= self_match <= 3 and 0 <= slippage_bps <= 10_000):
            raise ValueError("self_match is 0 to 3 and slippage_bps 0 to 10000")
        self.self_match, self.slippage_bps = self_match, slippage_bps
        self._event_capacity = FEW
        self._events = <int64_t*>malloc(FEW * WIDTH * sizeof(int64_t))
        if make_store(&self._s) < 0 or self._events == NULL:
            raise MemoryError

    def __dealloc__(self):
        free_store(&self._s)
        free(self._events)

    # What callers use.

    def __len__(self):
        return self._s.by_id.count

    @property
    def market(self):
        """Give the market's price (0: not known yet) and the lots left of the cap."""
        return self._price, self._left

    def set_market(self, int64_t price, int64_t quantity):
        """Put the market's level at *price* with *quantity* lots left for all. Nothing trades."""
        return self._one(MARKET_SET, 0, 0, 0, price, quantity, 0, 0)

    def enter(self, int64_t order_id, int32_t owner, int side, int64_t price, int64_t quantity,
              int kind=LIMIT, int tif=GTC):
        """Match an arriving order, then let it rest, expire or be rejected.

        *kind* is 0 limit, 1 market, 2 post-only limit; *tif* 0 Day, 1 GTC, 2 IOC, 3 FOK.
        """
        return self._one(ENTER, order_id, owner, side, price, quantity, kind, tif)

    def cancel(self, int64_t order_id):
        """Take a resting order out; refused if there is none."""
        return self._one(CANCEL, order_id, 0, 0, 0, 0, 0, 0)

    def replace(self, int64_t order_id, int64_t quantity, int64_t price):
        """Change a resting order's total quantity and limit.

        Fewer lots at the same price keep the place in the queue, all else goes to the back and may
        trade at once. A market order keeps waiting at any price.
        """
        return self._one(REPLACE, order_id, 0, 0, price, quantity, 0, 0)

    def uncross(self):
        """Fill resting orders that the market's price satisfies, as takers, up to the cap."""
        return self._one(UNCROSS, 0, 0, 0, 0, 0, 0, 0)

    def sweep(self, int side, int64_t to_price, int64_t touch_quantity=0):
        """Let the market trade its way to *to_price* against resting bids (+1) or asks (-1).

        Orders that the price goes through fill at their own limit as makers; those at *to_price*
        itself share *touch_quantity*. Everything comes out of the cap.
        """
        return self._one(SWEEP, 0, 0, side, to_price, touch_quantity, 0, 0)

    def apply(self, const int64_t[:, ::1] messages):
        """Take many messages at once and return their events, one row each.

        Shapes: messages (n, 8): operation, id, owner, side, price, quantity, kind, tif, where the
        operation is 1 enter, 2 cancel, 3 replace, 4 set market, 5 uncross, 6 sweep; returns
        (m, 8), the columns of an event.
        Raises: ValueError naming the first message that makes no sense; nothing is done then.
        """
        cdef Py_ssize_t row, count = messages.shape[0]
        cdef int64_t[:, ::1] rows
        if messages.shape[1] != WIDTH:
            raise ValueError(f"messages have {WIDTH} columns")
        for row in range(count):
            if not sensible(&messages[row, 0]):
                raise ValueError(f"message {row} makes no sense: {list(messages[row])}")
        self._event_count = 0
        with nogil:
            for row in range(count):
                self._apply(&messages[row, 0])
        events = np.empty((self._event_count, WIDTH), np.int64)
        if self._event_count:
            rows = events
            memcpy(&rows[0, 0], self._events, self._event_count * WIDTH * sizeof(int64_t))
        self._trim_events()
        return events

    def order(self, int64_t order_id):
        """Return (owner, side, price, leaves, cum) of a resting order, or None.

        A waiting market order has the price 0 (sell) or 2**62 (buy).
        """
        cdef int32_t slot = find_order(&self._s, order_id)
        if slot < 0:
            return None
        cdef Order* order = &self._s.orders[slot]
        cdef Level* level = &self._s.levels[order.level]
        return order.owner, level.side, level.price, order.leaves, order.cum

    def reaches(self, int64_t low, int64_t high):
        """Say whether a price from *low* to *high* would satisfy any resting order."""
        cdef Ladder* bids = &self._s.bids
        cdef Ladder* asks = &self._s.asks
        return (bids.count > 0 and bids.rungs[bids.count - 1].key >= low) or (
            asks.count > 0 and -asks.rungs[asks.count - 1].key <= high
        )

    def depth(self, int side):
        """Return [(price, lots, orders)] of one side, best first."""
        cdef Ladder* ladder = ladder_of(&self._s, side)
        rows = []
        for rung in range(ladder.count - 1, -1, -1):
            level = &self._s.levels[ladder.rungs[rung].level]
            lots, orders, slot = 0, 0, level.head
            while slot >= 0:
                order = &self._s.orders[slot]
                lots, orders, slot = lots + order.leaves, orders + 1, order.next
            rows.append((level.price, lots, orders))
        return rows

    def dump(self):
        """Return the state: a head of 8 int64, then 8 for each order, best first, bids first."""
        cdef int64_t[:, ::1] rows = np.zeros((self._s.by_id.count + 1, WIDTH), np.int64)
        cdef int64_t[8] head = [VERSION, self.self_match, self.slippage_bps, self._price,
                                self._left, self._s.stamp, self._s.by_id.count, 0]
        memcpy(&rows[0, 0], head, sizeof(head))
        if self._s.by_id.count:
            write_orders(&self._s, &rows[1, 0])
        return np.asarray(rows).astype("<i8").tobytes()

    def digest(self):
        """Return BLAKE2b-256 of the state; the oracle's is the same."""
        return blake2b(self.dump(), digest_size=32).digest()

    def load(self, bytes snapshot):
        """Take over a state that `dump` returned.

        Raises: ValueError if it is none or belongs to another kind of book; the book is empty then.
        """
        cdef int64_t[:, ::1] rows
        self._clear()
        if len(snapshot) < WIDTH * 8 or len(snapshot) % (WIDTH * 8):
            raise ValueError("the snapshot has no whole number of rows")
        rows = np.frombuffer(snapshot, "<i8").reshape(-1, WIDTH).astype(np.int64)
        kind = (VERSION, self.self_match, self.slippage_bps, rows.shape[0] - 1, 0)
        if (rows[0, 0], rows[0, 1], rows[0, 2], rows[0, 6], rows[0, 7]) != kind:
            raise ValueError("the snapshot belongs to another kind of book")
        try:
            self._load(rows)
            self.validate()
        except AssertionError as broken:
            self._clear()
            raise ValueError(f"the snapshot is no valid state: {broken}") from None

    def validate(self):
        """Check every promise of the book.

        Raises: AssertionError naming the broken one.
        """
        cdef const char* flaw = flaw_of(&self._s)
        assert flaw == NULL, flaw.decode()
        assert 0 <= self._price <= TOP_PRICE, "the market's price is out of bounds"
        assert 0 <= self._left <= TOP_QUANTITY, "the cap is out of bounds"
        bids = [price for price, _, _ in self.depth(1) if price != WAITING_BID]
        asks = [price for price, _, _ in self.depth(-1) if price != WAITING_ASK]
        assert not (bids and asks) or bids[0] < asks[0], "bids and asks cross"
        waits = (len(bids) < self._s.bids.count) + (len(asks) < self._s.asks.count)
        assert waits == 0 or (waits == 1 and self._price > 0), "waiting orders would match"

    cdef int _clear(self) except -1:
        free_store(&self._s)
        self._price = self._left = self._slip = 0
        if make_store(&self._s) < 0:
            raise MemoryError
        return 0

    cdef int _load(self, int64_t[:, ::1] rows) except -1:
        cdef Taker t
        cdef Py_ssize_t row
        self._price, self._left = rows[0, 3], rows[0, 4]
        self._slip = self._slippage()
        for row in range(1, rows.shape[0]):
            t.id, t.owner, t.side = rows[row, 0], <int32_t>rows[row, 1], <int32_t>rows[row, 2]
            t.limit, t.leaves, t.cum = rows[row, 3], rows[row, 4], rows[row, 5]
            assert t.side in (1, -1) and t.id > 0, "an order has no side or no id"
            assert find_order(&self._s, t.id) < 0, "an order stands twice"
            waiting = WAITING_BID if t.side > 0 else WAITING_ASK
            assert 0 < t.limit <= TOP_PRICE or t.limit == waiting, "a price is out of bounds"
            assert rows[row, 1] == t.owner >= 0 and 0 < t.leaves <= TOP_QUANTITY and (
                0 <= t.cum <= TOP_QUANTITY
            ), "an owner or a count is out of bounds"
            self._s.stamp = rows[row, 6]
            self._rest(&t, <int32_t>rows[row, 7])
        self._s.stamp = rows[0, 5]
        return 0

    # What a message does.

    cdef list _one(self, int64_t op, int64_t id, int64_t owner, int64_t side, int64_t price,
                   int64_t quantity, int64_t kind, int64_t tif):
        cdef int64_t[8] message = [op, id, owner, side, price, quantity, kind, tif]
        cdef int64_t* e
        cdef int64_t row
        if not sensible(message):
            raise ValueError(f"makes no sense: {(op, id, owner, side, price, quantity, kind, tif)}")
        self._event_count = 0
        self._apply(message)
        events = []
        for row in range(self._event_count):
            e = self._events + row * WIDTH
            events.append((e[0], e[1], e[2], e[3], e[4], e[5], e[6], e[7]))
        return events

    cdef int _apply(self, const int64_t* m) except -1 nogil:
        if m[0] == ENTER:
            return self._enter(m)
        if m[0] == CANCEL:
            return self._cancel(m[1])
        if m[0] == REPLACE:
            return self._replace(m[1], m[5], m[4])
        if m[0] == MARKET_SET:
            self._price, self._left = m[4], m[5]
            self._slip = self._slippage()
            return 0
        if m[0] == UNCROSS:
            return self._uncross()
        return self._sweep(<int32_t>m[3], m[4], m[5])

    cdef int _enter(self, const int64_t* m) except -1 nogil:
        cdef Taker t
        t.id, t.owner, t.side = m[1], <int32_t>m[2], <int32_t>m[3]
        t.leaves, t.cum, t.market, t.stopped = m[5], 0, m[6] == MARKET, 0
        if t.market:
            t.limit = WAITING_BID if t.side > 0 else WAITING_ASK
        else:
            t.limit = m[4]
        self._set_bound(&t)
        if find_order(&self._s, t.id) >= 0:
            return self._emit(REJECTED, t.id, 0, t.leaves, t.limit, 0, 0, NOTE_DUPLICATE)
        if m[6] == POST_ONLY and self._would_take(&t):
            return self._emit(REJECTED, t.id, 0, t.leaves, t.limit, 0, 0, NOTE_POST_ONLY)
        self._emit(ACCEPTED, t.id, 0, t.leaves, t.limit, t.leaves, 0, 0)
        if m[7] != FOK or self._fillable(&t):
            self._match(&t)
        if t.leaves == 0 or t.stopped:
            return 0
        if m[7] >= IOC or (t.market and self._price == 0):
            return self._emit(EXPIRED, t.id, 0, t.leaves, t.limit, 0, 0, 0)
        return self._rest(&t, m[6] == POST_ONLY)

    cdef int _cancel(self, int64_t id) except -1 nogil:
        cdef int32_t slot = find_order(&self._s, id)
        if slot < 0:
            return self._emit(REFUSED, id, 0, 0, 0, 0, 0, NOTE_UNKNOWN)
        self._emit(CANCELED, id, 0, self._s.orders[slot].leaves,
                   self._s.levels[self._s.orders[slot].level].price, 0, 0, 0)
        remove_order(&self._s, slot)
        return 0

    cdef int _replace(self, int64_t id, int64_t quantity, int64_t price) except -1 nogil:
        cdef int32_t slot = find_order(&self._s, id), post_only
        cdef Order* order
        cdef Level* level
        cdef Taker t
        if slot < 0:
            return self._emit(REFUSED, id, 0, 0, 0, 0, 0, NOTE_UNKNOWN)
        order = &self._s.orders[slot]
        level = &self._s.levels[order.level]
        t.market = level.price == WAITING_BID or level.price == WAITING_ASK
        t.limit = level.price if t.market else price
        t.id, t.owner, t.side, t.cum, t.stopped = id, order.owner, level.side, order.cum, 0
        t.leaves = quantity - order.cum
        post_only = order.post_only
        self._set_bound(&t)
        if t.leaves <= 0:
            self._emit(CANCELED, id, 0, order.leaves, level.price, 0, 0, NOTE_BELOW_CUM)
            remove_order(&self._s, slot)
            return 0
        if t.limit == level.price and t.leaves <= order.leaves:
            order.leaves = t.leaves
            return self._emit(REPLACED, id, 0, quantity, t.limit, t.leaves, 0, 0)
        if post_only and self._would_take(&t):
            return self._emit(REFUSED, id, 0, order.leaves, level.price, order.leaves, 0,
                              NOTE_POST_ONLY)
        remove_order(&self._s, slot)
        self._emit(REPLACED, id, 0, quantity, t.limit, t.leaves, 0, 0)
        self._match(&t)
        if t.leaves == 0 or t.stopped:
            return 0
        return self._rest(&t, post_only)

    cdef int _uncross(self) except -1 nogil:
        cdef int32_t bid, ask, slot, side
        cdef int64_t quantity, signed, limit
        while self._left > 0:
            bid = self._marketable(&self._s.bids, 1)
            ask = self._marketable(&self._s.asks, -1)
            if bid < 0 and ask < 0:
                return 0
            # Between the sides the one that came first.
            slot = bid if bid >= 0 else ask
            if bid >= 0 and ask >= 0 and self._s.orders[ask].stamp < self._s.orders[bid].stamp:
                slot = ask
            side = self._s.levels[self._s.orders[slot].level].side
            limit = self._s.levels[self._s.orders[slot].level].price
            signed = min(side * limit, self._slipped(side))
            quantity = min(self._s.orders[slot].leaves, self._left)
            self._fill_resting(slot, quantity, side * signed, NOTE_TAKER)
        return 0

    cdef int _sweep(self, int32_t side, int64_t to_price, int64_t touch) except -1 nogil:
        cdef Ladder* ladder = ladder_of(&self._s, side)
        cdef int64_t before = self._price if self._price > 0 else to_price
        cdef int64_t price, quantity
        cdef int32_t slot
        cdef Level* level
        while self._left > 0 and ladder.count > 0:
            level = &self._s.levels[ladder.rungs[ladder.count - 1].level]
            price, slot = level.price, level.head
            quantity = min(self._s.orders[slot].leaves, self._left)
            if price == to_price:
                quantity = min(quantity, touch)
                touch -= quantity
            if side * price < side * to_price or quantity == 0:
                break
            # A starved order was already satisfied: it never pays more than the market asked.
            self._fill_resting(slot, quantity, side * min(side * price, side * before), NOTE_MAKER)
        self._price = to_price
        self._slip = self._slippage()
        return 0

    # Matching.

    cdef int _match(self, Taker* t) except -1 nogil:
        cdef Ladder* ladder = ladder_of(&self._s, -t.side)
        cdef int64_t market = t.side * self._price, signed, quantity
        cdef int64_t worst = t.side * t.limit
        cdef int32_t rung
        cdef bint reaches_market = self._price > 0 and worst >= market
        while t.leaves > 0:
            rung = self._reachable(t, ladder, &signed)
            if reaches_market and self._left > 0 and (rung < 0 or signed > market):
                quantity = min(t.leaves, self._left)
                self._left -= quantity
                t.leaves -= quantity
                t.cum += quantity
                self._emit(TRADED, t.id, 0, quantity, t.side * min(self._slipped(t.side), worst),
                           t.leaves, 0, NOTE_TAKER)
            elif rung < 0:
                return 0
            else:
                # The resting order's price, unless the market is better for it.
                if self._price > 0 and signed < market:
                    signed = market
                self._meet(t, self._s.levels[ladder.rungs[rung].level].head,
                           t.side * min(signed, worst))
                if t.stopped:
                    return 0
        return 0

    cdef int _meet(self, Taker* t, int32_t slot, int64_t price) except -1 nogil:
        cdef Order* order = &self._s.orders[slot]
        cdef int64_t quantity = min(t.leaves, order.leaves), limit
        if order.owner == t.owner and self.self_match != SMP_NONE:
            if self.self_match != SMP_AGGRESSIVE:
                limit = self._s.levels[order.level].price
                self._emit(CANCELED, order.id, t.id, order.leaves, limit, 0, 0,
                           NOTE_SMP + self.self_match)
                remove_order(&self._s, slot)
            if self.self_match != SMP_PASSIVE:
                self._emit(CANCELED, t.id, order.id, t.leaves, t.limit, 0, 0,
                           NOTE_SMP + self.self_match)
                t.stopped = 1
            return 0
        t.leaves -= quantity
        t.cum += quantity
        order.leaves -= quantity
        order.cum += quantity
        self._emit(TRADED, t.id, order.id, quantity, price, t.leaves, order.leaves, NOTE_TAKER)
        if order.leaves == 0:
            remove_order(&self._s, slot)
        return 0

    cdef int _fill_resting(
        self, int32_t slot, int64_t quantity, int64_t price, int64_t note
    ) except -1 nogil:
        cdef Order* order = &self._s.orders[slot]
        order.leaves -= quantity
        order.cum += quantity
        self._left -= quantity
        self._emit(TRADED, order.id, 0, quantity, price, order.leaves, 0, note)
        if order.leaves == 0:
            remove_order(&self._s, slot)
        return 0

    cdef inline int32_t _reachable(self, Taker* t, Ladder* ladder, int64_t* signed) noexcept nogil:
        # The best rung that the taker reaches, or -1; *signed* is side * price.
        cdef int32_t rung = ladder.count - 1
        if rung >= 0:
            signed[0] = -ladder.rungs[rung].key
            if self._waits(ladder.rungs[rung].key):
                # It gives no more than the market would take from it; a limit behind may give more.
                signed[0] = self._waiting_price(t.side)
                if signed[0] > t.bound:
                    rung -= 1
                    if rung >= 0:
                        signed[0] = -ladder.rungs[rung].key
        if rung >= 0 and signed[0] <= t.bound:
            return rung
        return -1

    cdef bint _would_take(self, Taker* t) noexcept nogil:
        cdef int64_t signed = 0
        if self._price > 0 and t.side * t.limit >= t.side * self._price:
            return True
        return self._reachable(t, ladder_of(&self._s, -t.side), &signed) >= 0

    cdef bint _fillable(self, Taker* t) noexcept nogil:
        # Walks as _match would, without touching anything.
        cdef Ladder* ladder = ladder_of(&self._s, -t.side)
        cdef int64_t need = t.leaves, market = t.side * self._price, signed
        cdef int64_t outside = self._left if self._price > 0 and t.side * t.limit >= market else 0
        cdef int32_t rung, slot
        for rung in range(ladder.count - 1, -1, -1):
            signed = -ladder.rungs[rung].key
            if self._waits(ladder.rungs[rung].key):
                signed = self._waiting_price(t.side)
                if signed > t.bound:
                    continue
            if signed > t.bound:
                break
            if outside > 0 and signed > market:
                need, outside = need - outside, 0
            slot = self._s.levels[ladder.rungs[rung].level].head
            while slot >= 0 and need > 0:
                if self._s.orders[slot].owner != t.owner or self.self_match == SMP_NONE:
                    need -= self._s.orders[slot].leaves
                elif self.self_match != SMP_PASSIVE:
                    return False
                slot = self._s.orders[slot].next
            if need <= 0:
                return True
        return need <= outside

    cdef inline int32_t _marketable(self, Ladder* ladder, int32_t side) noexcept nogil:
        if ladder.count == 0 or ladder.rungs[ladder.count - 1].key < side * self._price:
            return -1
        return self._s.levels[ladder.rungs[ladder.count - 1].level].head

    cdef inline void _set_bound(self, Taker* t) noexcept nogil:
        # A market order takes from contenders what it would pay the market, and no more.
        t.bound = t.side * t.limit
        if t.market and self._price > 0:
            t.bound = self._slipped(t.side)

    cdef inline int64_t _slippage(self) noexcept nogil:
        return (self._price * self.slippage_bps + 9_999) // 10_000

    cdef inline int64_t _slipped(self, int32_t side) noexcept nogil:
        # side * what a taker of that side pays the market; a price is at least one tick.
        if side > 0:
            return self._price + self._slip
        return min(self._slip - self._price, <int64_t>-1)

    cdef inline int64_t _waiting_price(self, int32_t side) noexcept nogil:
        # side * what an order waiting on the other side gives at most.
        return -self._slipped(-side)

    cdef inline bint _waits(self, int64_t key) noexcept nogil:
        return key == WAITING_BID or key == WAITING_ASK

    cdef int _rest(self, Taker* t, int32_t post_only) except -1 nogil:
        cdef Order* order = add_order(&self._s, t.id, t.side, t.limit)
        if order == NULL:
            with gil:
                raise MemoryError
        order.owner, order.leaves, order.cum, order.post_only = t.owner, t.leaves, t.cum, post_only
        return 0

    cdef inline int _emit(
        self, int64_t kind, int64_t id, int64_t other, int64_t quantity, int64_t price,
        int64_t leaves, int64_t other_leaves, int64_t note,
    ) except -1 nogil:
        cdef int64_t* e
        if self._event_count == self._event_capacity:
            self._grow_events()
        e = self._events + self._event_count * WIDTH
        e[0], e[1], e[2], e[3], e[4], e[5], e[6], e[7] = (
            kind, id, other, quantity, price, leaves, other_leaves, note
        )
        self._event_count += 1
        return 0

    cdef int _grow_events(self) except -1 nogil:
        cdef void* wider = realloc(self._events, 2 * self._event_capacity * WIDTH * sizeof(int64_t))
        if wider == NULL:
            with gil:
                raise MemoryError
        self._events, self._event_capacity = <int64_t*>wider, 2 * self._event_capacity
        return 0

    cdef int _trim_events(self) except -1:
        # A large batch leaves no large buffer behind.
        cdef void* smaller
        if self._event_capacity > EVENTS_KEPT:
            smaller = realloc(self._events, EVENTS_KEPT * WIDTH * sizeof(int64_t))
            if smaller == NULL:
                raise MemoryError
            self._events, self._event_capacity = <int64_t*>smaller, EVENTS_KEPT
        return 0
