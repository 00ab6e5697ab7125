"""Does an order pass? The ordered pre-trade checks, holds and trading states, in integers.

One gate serves all contenders of an arena. Its state is a set of int64 arrays: cells (instrument ×
contender), contenders, instruments and groups (contenders that share an aggregate limit). The
exposure sums are kept as they change, so a check costs the same however many orders were sent.
Money is in minor units, quantities in lots, prices in ticks, time in ns. Unset limits are -1.

It knows nothing of policies, names and reasons: it answers with the number of a rule. The oracle
tests/oracles/gate_oracle.py says the same in readable Python and has the same digest.
"""

cdef extern from *:
    """
    #ifndef TITANFLOW_SOURCE_SHA256
    #define TITANFLOW_SOURCE_SHA256 ""
    #endif
    """
    const char* TITANFLOW_SOURCE_SHA256

cimport cython
from libc.stdint cimport int64_t

from titanflow.native.columns cimport *

from hashlib import blake2b

import numpy as np

SOURCE_SHA256 = TITANFLOW_SOURCE_SHA256.decode()

CELL_LIMITS, CONTENDER_LIMITS, GROUP_LIMITS = L_WIDTH, C_WIDTH, G_WIDTH
GROUPS_MAX = 1_000
"""Each check of a member asks them all; a house has a handful."""

cdef enum:
    VERSION = 1
    # Orders of a day before the order-to-fill ratio is asked: the custom resource's number.
    RATIO_FREE = 100
    # Basis points above the reference at which a market buy is held, where no collar is nearer.
    MARKET_BPS = 500
    # Questions noted of one check: all rules, and four for each of some groups.
    NOTES_MAX = 64

STATE = ("cells", "group_cells", "group_state", "killed", "mark_at", "mark_ticks", "state",
         "touched")
"""The arrays that change; they are the snapshot, in this order."""


@cython.final
cdef class Gate:
    """Checks, holds and states of *contenders* × *instruments*, with *groups* of contenders."""

    cdef readonly int64_t contenders, instruments, groups, day, limit, actual
    cdef readonly dict arrays
    cdef int64_t _arena_killed, _noted
    cdef int64_t[NOTES_MAX][3] _notes
    cdef int64_t[:, ::1] cell_limits, limits, group_limits, facts, state, cells, group_cells
    cdef int64_t[:, ::1] group_state, member
    cdef int64_t[::1] mark_ticks, mark_at, killed, touched

    def __init__(self, contenders, instruments, groups=0):
        if not (0 < contenders and 0 < instruments and 0 <= groups <= GROUPS_MAX):
            raise ValueError("a gate needs contenders and instruments, and at most 1,000 groups")
        self.contenders, self.instruments, self.groups = contenders, instruments, groups
        self.day = -1
        cells, houses = contenders * instruments, max(groups, 1)
        self.arrays = {
            name: np.full(shape, start, np.int64)
            for name, shape, start in (
                ("cell_limits", (cells, L_WIDTH), -1),
                ("limits", (contenders, C_WIDTH), -1),
                ("group_limits", (houses, G_WIDTH), -1),
                ("facts", (instruments, I_WIDTH), 0),
                ("member", (contenders, houses), 0),
                ("state", (contenders, S_WIDTH), 0),
                ("touched", (contenders,), 0),
                ("cells", (cells, X_WIDTH), 0),
                ("group_cells", (houses * instruments, 2), 0),
                ("group_state", (houses, H_WIDTH), 0),
                ("mark_ticks", (instruments,), 0),
                ("mark_at", (instruments,), 0),
                ("killed", (instruments,), 0),
            )
        }
        a = self.arrays
        self.cell_limits, self.limits = a["cell_limits"], a["limits"]
        self.group_limits, self.facts, self.member = a["group_limits"], a["facts"], a["member"]
        self.state, self.cells, self.group_cells = a["state"], a["cells"], a["group_cells"]
        self.group_state, self.touched = a["group_state"], a["touched"]
        self.mark_ticks, self.mark_at, self.killed = a["mark_ticks"], a["mark_at"], a["killed"]

    # How it is set up.

    def set_instrument(self, int64_t i, columns):
        """Set tick value, lot bounds, least notional and fee rates of an instrument."""
        self.arrays["facts"][i] = columns

    def set_limits(self, int64_t c, int64_t i, columns):
        """Set the limits of a cell."""
        self.arrays["cell_limits"][self._at(c, i)] = columns

    def set_contender(self, int64_t c, columns, int64_t cash, bint enabled):
        """Set limits, capital and whether the contender may trade at all."""
        self.arrays["limits"][c] = columns
        self.state[c, S_CASH] = self.state[c, S_PEAK] = self.state[c, S_DAY_START] = cash
        self.state[c, S_ENABLED] = enabled
        self.state[c, S_TOKENS] = max(self.limits[c, C_BURST], 0) * SECOND

    def set_group(self, int64_t g, columns, members):
        """Set the aggregate limits of a group and who belongs to it."""
        self.arrays["group_limits"][g] = columns
        self.group_state[g, H_TOKENS] = max(self.group_limits[g, G_RATE], 0) * SECOND
        self.arrays["member"][list(members), g] = 1

    # What sets it from outside.

    def set_killed(self, bint arena, contenders, instruments):
        """Set which switches are engaged: for the arena, for contenders, for instruments."""
        self._arena_killed = arena
        self.arrays["state"][:, S_KILLED] = contenders
        self.arrays["killed"][:] = instruments

    def halt_runaway(self, int64_t c):
        """Halt a contender for too many refusals, until `lift`; say whether it was already."""
        cdef bint former = self.state[c, S_HALT_RUNAWAY]
        self.state[c, S_HALT_RUNAWAY] = 1
        return former

    def lift(self, int64_t c):
        """Lift the latched halts of a contender and measure its drawdown from here."""
        self.state[c, S_HALT_RUNAWAY] = self.state[c, S_HALT_DRAWDOWN] = 0
        self.state[c, S_REDUCING] = 0
        self.state[c, S_PEAK] = self._equity(c)

    # What it tells.

    cdef int64_t _at(self, int64_t c, int64_t i) noexcept:
        # By instrument first: a bar walks over all contenders of one instrument.
        return i * self.contenders + c

    cdef int64_t _equity(self, int64_t c) noexcept:
        return self.state[c, S_CASH] + self.state[c, S_VALUE]

    def equity(self, int64_t c):
        """Return cash plus positions at their marks."""
        return self._equity(c)

    def cash(self, int64_t c):
        """Return the cash."""
        return self.state[c, S_CASH]

    def reserved(self, int64_t c):
        """Return the money held for open buy orders."""
        return self.state[c, S_RESERVED]

    def position(self, int64_t c, int64_t i):
        """Return the lots held; negative is short."""
        return self.cells[self._at(c, i), X_POSITION]

    def open_lots(self, int64_t c, int64_t i):
        """Return the lots held for buy orders and for sell orders."""
        cdef int64_t x = self._at(c, i)
        return self.cells[x, X_BUY], self.cells[x, X_SELL]

    def reference(self, int64_t i):
        """Return the last mark in ticks; 0 before the first."""
        return self.mark_ticks[i]

    def is_killed(self, int64_t c, int64_t i):
        """Say whether a whole switch stops the contender or the instrument."""
        return bool(self._arena_killed or self.state[c, S_KILLED] or self.killed[i])

    def trading_state(self, int64_t c):
        """Return 0 active, 1 reducing, 2 halted."""
        return self._trading_state(c)

    cdef int64_t _trading_state(self, int64_t c) noexcept:
        if (self.state[c, S_HALT_DAY] or self.state[c, S_HALT_DRAWDOWN]
                or self.state[c, S_HALT_RUNAWAY]):
            return 2
        return 1 if self.state[c, S_REDUCING] else 0

    # The checks, in their order.

    cdef bint _stops(self, int64_t rule, bint refuses, int64_t limit, int64_t actual) noexcept:
        # Each question that is asked is noted, so that `why` can show all of them.
        if self._noted < NOTES_MAX:
            self._notes[self._noted][0] = rule
            self._notes[self._noted][1] = limit
            self._notes[self._noted][2] = actual
            self._noted += 1
        if refuses:
            self.limit, self.actual = limit, actual
        return refuses

    cdef bint _over(self, int64_t rule, int64_t limit, int64_t actual) noexcept:
        return self._stops(rule, 0 <= limit < actual, limit, actual)

    cdef void _begin(self) noexcept:
        self._noted = 0
        self.limit = self.actual = 0

    def forget(self):
        """Forget the questions of the last check."""
        self._begin()

    def asked(self):
        """Return (rule, limit, actual) of each question of the last check, in the order asked.

        A limit of -1 means that there is none; for a rule of yes or no both are 0.
        """
        return [(self._notes[n][0], self._notes[n][1], self._notes[n][2])
                for n in range(self._noted)]

    cpdef int64_t check(self, int64_t c, int64_t i, int64_t side, int64_t kind, int64_t tif,
                        int64_t lots, int64_t price, int64_t now, int64_t decided,
                        bint duplicate):
        """Return the first rule that refuses the order, or 0; `limit` and `actual` say why.

        *kind* and *tif* are numbers of bits in the masks of the limits; *price* is 0 for market.
        """
        cdef int64_t rule, x = self._at(c, i)
        cdef bint reduces
        self._begin()
        rule = self._admit(c, i, x, now, decided, duplicate)
        if rule == PASS:
            rule = self._form(i, x, side, kind, tif, lots, price)
        if rule == PASS:
            rule = self._size(c, i, x, lots, price, now)
        if rule != PASS:
            return rule
        reduces = self._reduces(x, side, lots)
        if not reduces:
            rule = self._exposure(c, i, x, side, lots)
            if rule == PASS:
                rule = self._credit(c, i, x, side, lots, price)
        if rule == PASS:
            rule = self._halted(c, reduces)
        if rule == PASS and not reduces:
            rule = self._aggregate(c, i, x, side, lots)
        if rule == PASS:
            self.state[c, S_ORDERS] += 1
        return rule

    cpdef int64_t check_cancel(self, int64_t c, int64_t now):
        """Return the rule that refuses a cancel, or 0: only account and message limits."""
        self._begin()
        if self._stops(ACCOUNT, not self.state[c, S_ENABLED], 0, 0):
            return ACCOUNT
        return self._message(c, now, True)

    cpdef int64_t count(self, int64_t c, int64_t now):
        """Count an order that is refused elsewhere as a message."""
        return self._message(c, now, False)

    cpdef int64_t check_whole(self, int64_t c, int64_t i, int64_t lots, int64_t price):
        """Return the rule by which an order of *lots* in all is too large, or 0.

        It is for a replacement, of which `check` is asked about what is left.
        """
        cdef int64_t x = self._at(c, i), reference = self.mark_ticks[i]
        cdef int64_t most = self.facts[i, I_MAX_LOTS] if self.facts[i, I_MAX_LOTS] else VALUE_MAX
        cdef int64_t notional = value_of(max(lots, 0), price if price > 0 else reference,
                                         self.facts[i, I_TICK_VALUE])
        if self._over(QUANTITY, most, lots):
            return QUANTITY
        if self._over(CLIP_SIZE, self.cell_limits[x, L_MAX_LOTS], lots):
            return CLIP_SIZE
        if self._over(MAX_NOTIONAL, self.cell_limits[x, L_MAX_NOTIONAL], notional):
            return MAX_NOTIONAL
        return PASS

    cpdef int64_t latest_mark(self):
        """Return the time of the last mark of any instrument, ns; 0 before the first."""
        cdef int64_t i, latest = 0
        for i in range(self.mark_at.shape[0]):
            latest = max(latest, self.mark_at[i])
        return latest

    cpdef int64_t check_risk(self, int64_t c, int64_t i, int64_t side, int64_t lots):
        """Return 0 if risk's own order strictly reduces a position at a known price."""
        cdef int64_t x = self._at(c, i)
        cdef bint refuses
        self._begin()
        if self._stops(REFERENCE, self.mark_ticks[i] == 0, 0, 0):
            return REFERENCE
        refuses = not 0 < lots <= VALUE_MAX or not self._reduces(x, side, lots)
        if self._stops(NOT_REDUCING, refuses, self.cells[x, X_POSITION], side * lots):
            return NOT_REDUCING
        return PASS

    cdef bint _reduces(self, int64_t x, int64_t side, int64_t lots) noexcept:
        # Strictly: with all open orders of its side filled it would still not cross zero.
        cdef int64_t held = self.cells[x, X_POSITION]
        if side > 0:
            return held < 0 and self.cells[x, X_BUY] + lots <= -held
        return held > 0 and self.cells[x, X_SELL] + lots <= held

    cdef int64_t _admit(self, int64_t c, int64_t i, int64_t x, int64_t now, int64_t decided,
                        bint duplicate) noexcept:
        # Whether this contender may send this message at all.
        cdef int64_t throttled, age = self.cell_limits[x, L_AGE]
        # Every order counts as a message, whatever refuses it.
        throttled = self._message(c, now, False)
        if self._stops(KILL_ARENA, self._arena_killed, 0, 0):
            return KILL_ARENA
        if self._stops(KILL_SCOPE, self.state[c, S_KILLED] or self.killed[i], 0, 0):
            return KILL_SCOPE
        if self._stops(ACCOUNT, not self.state[c, S_ENABLED], 0, 0):
            return ACCOUNT
        if self._stops(INSTRUMENT, self.cell_limits[x, L_TRADABLE] == 0, 0, 0):
            return INSTRUMENT
        if self._stops(DUPLICATE, duplicate, 0, 0):
            return DUPLICATE
        if self._over(STALE, age, now - decided):
            return STALE
        return throttled

    cdef int64_t _message(self, int64_t c, int64_t now, bint cancels) noexcept:
        # A message counts whether it passes or not. The order-to-fill ratio is for orders only:
        # who sent too many may still cancel them.
        cdef int64_t g, used, rate = self.limits[c, C_RATE], most = max(self.limits[c, C_BURST], 1)
        self.state[c, S_MESSAGES] += 1
        if rate > 0:
            used = take_token(&self.state[c, S_TOKENS], &self.state[c, S_REFILLED], rate, most, now)
            if self._over(RATE, most, used):
                return RATE
        most = self.limits[c, C_PER_DAY]
        if self._over(PER_DAY, most, self.state[c, S_MESSAGES]):
            return PER_DAY
        if self.limits[c, C_RATIO] >= 0 and self.state[c, S_ORDERS] >= RATIO_FREE and not cancels:
            most = self.limits[c, C_RATIO] * max(self.state[c, S_FILLS], 1)
            if self._over(ORDER_RATIO, most, self.state[c, S_ORDERS] + 1):
                return ORDER_RATIO
        for g in range(self.groups):
            rate = self.group_limits[g, G_RATE]
            if rate > 0 and self.member[c, g]:
                used = take_token(&self.group_state[g, H_TOKENS], &self.group_state[g, H_REFILLED],
                                  rate, rate, now)
                if self._over(GROUP_RATE, rate, used):
                    return GROUP_RATE
        return PASS

    cdef int64_t _form(self, int64_t i, int64_t x, int64_t side, int64_t kind, int64_t tif,
                       int64_t lots, int64_t price) noexcept:
        # Whether the order is well formed.
        cdef int64_t types = self.cell_limits[x, L_TYPES], tifs = self.cell_limits[x, L_TIFS]
        cdef int64_t least = max(self.facts[i, I_MIN_LOTS], self.cell_limits[x, L_MIN_LOTS])
        cdef int64_t most = self.facts[i, I_MAX_LOTS] if self.facts[i, I_MAX_LOTS] else VALUE_MAX
        if self._stops(UNSUPPORTED, side != 1 and side != -1, 0, side):
            return UNSUPPORTED
        if self._stops(UNSUPPORTED, types >= 0 and not (types >> kind) & 1, types, kind):
            return UNSUPPORTED
        if self._stops(UNSUPPORTED, tifs >= 0 and not (tifs >> tif) & 1, tifs, tif):
            return UNSUPPORTED
        least = max(least, 1)
        if self._stops(QUANTITY, lots < least, least, lots) or self._over(QUANTITY, most, lots):
            return QUANTITY
        if self._stops(PRICE, (kind == 0) != (price == 0) or price < 0, 1, price):
            return PRICE
        return PRICE if self._over(PRICE, TICKS_MAX, price) else PASS

    cdef int64_t _size(self, int64_t c, int64_t i, int64_t x, int64_t lots, int64_t price,
                       int64_t now) noexcept:
        # Reference, collar, and the size of the order alone.
        cdef int64_t reference = self.mark_ticks[i], age = now - self.mark_at[i]
        cdef int64_t collar = self.cell_limits[x, L_COLLAR], notional, limit
        cdef i128 wide
        if self._stops(REFERENCE, reference == 0, self.cell_limits[x, L_REF_AGE],
                       age if reference else -1):
            return REFERENCE
        if self._over(REFERENCE, self.cell_limits[x, L_REF_AGE], age):
            return REFERENCE
        if price > 0:
            wide = <i128>(price - reference if price > reference else reference - price) * BPS
            wide = (wide + reference - 1) // reference
            if self._over(COLLAR, collar, MONEY if wide > MONEY else <int64_t>wide):
                return COLLAR
        notional = value_of(lots, price if price else reference, self.facts[i, I_TICK_VALUE])
        if self._over(RANGE, VALUE_MAX, notional):
            return RANGE
        limit = max(self.facts[i, I_MIN_NOTIONAL], self.cell_limits[x, L_MIN_NOTIONAL])
        if self._stops(MIN_NOTIONAL, notional < limit, limit, notional):
            return MIN_NOTIONAL
        if self._over(CLIP_SIZE, self.cell_limits[x, L_MAX_LOTS], lots):
            return CLIP_SIZE
        if self._over(MAX_NOTIONAL, self.cell_limits[x, L_MAX_NOTIONAL], notional):
            return MAX_NOTIONAL
        if self._over(OPEN_ORDERS, self.cell_limits[x, L_OPEN_ORDERS], self.state[c, S_OPEN] + 1):
            return OPEN_ORDERS
        return PASS

    cdef (int64_t, int64_t) _reach(self, int64_t x, int64_t side, int64_t lots) noexcept:
        # Most and least lots that could be held if open orders of one side and this one filled.
        cdef int64_t held = self.cells[x, X_POSITION]
        cdef int64_t up = held + self.cells[x, X_BUY] + (lots if side > 0 else 0)
        cdef int64_t down = held - self.cells[x, X_SELL] - (lots if side < 0 else 0)
        return up, down

    cdef int64_t _exposure(self, int64_t c, int64_t i, int64_t x, int64_t side,
                           int64_t lots) noexcept:
        # What would be held if every open order and this one filled.
        cdef int64_t up, down, most, worst, limit, actual, equity = self._equity(c)
        cdef int64_t unit = self.mark_ticks[i] * self.facts[i, I_TICK_VALUE]
        up, down = self._reach(x, side, lots)
        most = max(up, -down)
        worst = value_of(most, self.mark_ticks[i], self.facts[i, I_TICK_VALUE])
        if self._over(RANGE, VALUE_MAX, worst):
            return RANGE
        if self._over(POSITION_LOTS, self.cell_limits[x, L_POS_LOTS], most):
            return POSITION_LOTS
        if self._over(POSITION_NOTIONAL, self.cell_limits[x, L_POS_NOTIONAL], worst):
            return POSITION_NOTIONAL
        limit = self.cell_limits[x, L_CONCENTRATION]
        if self._stops(CONCENTRATION, limit >= 0 and <i128>worst * BPS > <i128>limit * equity,
                       part_of(equity, limit), worst):
            return CONCENTRATION
        actual = self.state[c, S_GROSS] - self.cells[x, X_WORST] + worst
        if self._over(GROSS, self.limits[c, C_GROSS], actual):
            return GROSS
        actual = max(self.state[c, S_UP] - self.cells[x, X_UP] + up * unit,
                     self.cells[x, X_DOWN] - self.state[c, S_DOWN] - down * unit)
        if self._over(NET, self.limits[c, C_NET], actual):
            return NET
        limit = self.limits[c, C_TURNOVER]
        actual = self.state[c, S_TRADED] + self.state[c, S_WORKING] + lots * unit
        if self._stops(TURNOVER, limit >= 0 and <i128>actual * BPS > <i128>limit * equity,
                       part_of(equity, limit), actual):
            return TURNOVER
        return PASS

    cdef int64_t _credit(self, int64_t c, int64_t i, int64_t x, int64_t side, int64_t lots,
                         int64_t price) noexcept:
        # Cash, leverage and short selling.
        cdef int64_t unit = self.mark_ticks[i] * self.facts[i, I_TICK_VALUE]
        cdef int64_t free = (self.state[c, S_CASH] - self.state[c, S_RESERVED]
                             - max(self.limits[c, C_FREE_CASH], 0))
        cdef int64_t up, down, gross, cost
        # Without a policy that says less, everything is paid in full.
        cdef int64_t leverage = self.limits[c, C_LEVERAGE]
        leverage = leverage if leverage >= 0 else BPS
        up, down = self._reach(x, side, lots)
        if side > 0:
            cost = cost_of(lots, price if price else self.hold_price(c, i), &self.facts[i, 0])
            if self._stops(CASH, cost > free, free, cost):
                return CASH
        gross = self.state[c, S_GROSS] - self.cells[x, X_WORST] + max(up, -down) * unit
        if self._stops(LEVERAGE, <i128>gross * BPS > <i128>leverage * self._equity(c),
                       part_of(self._equity(c), leverage), gross):
            return LEVERAGE
        if side < 0 and self._stops(SHORT, down < 0 and self.cell_limits[x, L_SHORT] == 0, 0, down):
            return SHORT
        return PASS

    cdef int64_t _halted(self, int64_t c, bint reduces) noexcept:
        # The trading state; *reduces* says that the order only reduces a position.
        cdef int64_t halt = self.state[c, S_HALT_DAY], fall = self._drawdown(c)
        cdef int64_t limit = self.limits[c, C_DAILY_LOSS]
        cdef int64_t loss = self.state[c, S_DAY_START] - self._equity(c)
        if self._stops(RUNAWAY, self.state[c, S_HALT_RUNAWAY], 0, 0):
            return RUNAWAY
        if halt > 1:
            limit, loss = self.group_limits[halt - 2, G_DAILY_LOSS], self._group_loss(halt - 2)
        # What only reduces a position passes while reducing, and in a halt where policies say so.
        if reduces and (self._trading_state(c) < 2 or self.limits[c, C_REDUCES_WHEN_HALTED] == 1):
            reduces = True
        else:
            reduces = False
        if self._stops(DAILY_LOSS, halt and not reduces, limit, loss):
            return DAILY_LOSS
        if self._stops(DRAWDOWN, self.state[c, S_HALT_DRAWDOWN] and not reduces,
                       self.limits[c, C_DRAWDOWN], fall):
            return DRAWDOWN
        if self._stops(DRAWDOWN, self.state[c, S_REDUCING] and not reduces,
                       self.limits[c, C_REDUCE], fall):
            return DRAWDOWN
        return PASS

    cdef int64_t _drawdown(self, int64_t c) noexcept:
        # The fall from the peak in basis points, rounded up.
        cdef int64_t peak = self.state[c, S_PEAK]
        cdef i128 fall = <i128>(peak - self._equity(c)) * BPS
        if peak <= 0 or fall <= 0:
            return 0
        return <int64_t>((fall + peak - 1) // peak)

    cdef int64_t _group_loss(self, int64_t g) noexcept:
        cdef int64_t c, loss = 0
        for c in range(self.contenders):
            if self.member[c, g]:
                loss += self.state[c, S_DAY_START] - self._equity(c)
        return loss

    cdef int64_t _aggregate(self, int64_t c, int64_t i, int64_t x, int64_t side,
                            int64_t lots) noexcept:
        # The limits that a contender shares with others.
        cdef int64_t g, y, up, down, actual
        cdef int64_t unit = self.mark_ticks[i] * self.facts[i, I_TICK_VALUE]
        up, down = self._reach(x, side, lots)
        up, down = up * unit, down * unit
        for g in range(self.groups):
            if not self.member[c, g]:
                continue
            y = g * self.instruments + i
            actual = self.group_state[g, H_GROSS] - self.cells[x, X_WORST] + max(up, -down)
            if self._over(GROUP_GROSS, self.group_limits[g, G_GROSS], actual):
                return GROUP_GROSS
            actual = max(self.group_state[g, H_UP] - self.cells[x, X_UP] + up,
                         self.cells[x, X_DOWN] - self.group_state[g, H_DOWN] - down)
            if self._over(GROUP_NET, self.group_limits[g, G_NET], actual):
                return GROUP_NET
            actual = max(self.group_cells[y, 0] - self.cells[x, X_UP] + up,
                         self.cells[x, X_DOWN] - self.group_cells[y, 1] - down)
            if self._over(GROUP_INSTRUMENT, self.group_limits[g, G_INSTRUMENT], actual):
                return GROUP_INSTRUMENT
        return PASS

    # Holds and positions.

    cpdef int64_t hold_price(self, int64_t c, int64_t i) noexcept:
        """Return the price at which a market buy is held: above the reference by the collar.

        Without a collar, or with one beyond 5 %, it is 5 %: a market order has no limit to hold.
        """
        cdef int64_t collar = self.cell_limits[self._at(c, i), L_COLLAR]
        cdef int64_t reference = self.mark_ticks[i]
        if collar < 0 or collar > MARKET_BPS:
            collar = MARKET_BPS
        return reference + (reference * collar + BPS - 1) // BPS

    cpdef int hold(self, int64_t c, int64_t i, int64_t side, int64_t price, int64_t before,
                   int64_t after) except -1:
        """Change what is held for one order from *before* open lots to *after*."""
        cdef int64_t x = self._at(c, i), column = X_BUY if side > 0 else X_SELL
        if before < 0 or after < 0 or self.cells[x, column] < before:
            raise ValueError(f"cannot hold {after} lots in place of {before}")
        self.cells[x, column] += after - before
        self.state[c, S_OPEN] += (after > 0) - (before > 0)
        if side > 0:
            self.state[c, S_RESERVED] += (cost_of(after, price, &self.facts[i, 0])
                                          - cost_of(before, price, &self.facts[i, 0]))
        return self._sum(c, i)

    cpdef int fill(self, int64_t c, int64_t i, int64_t side, int64_t lots, int64_t price,
                   int64_t fee) except -1:
        """Apply one fill to cash and position; the hold is changed by `hold`."""
        cdef int64_t value = value_of(lots, price, self.facts[i, I_TICK_VALUE])
        if lots < 1 or price < 1 or value > VALUE_MAX:
            raise OverflowError(f"a fill of {lots} lots at {price} ticks")
        self.state[c, S_CASH] -= side * value + fee
        self.state[c, S_TRADED] += value
        self.state[c, S_FILLS] += 1
        self.cells[self._at(c, i), X_POSITION] += side * lots
        self.touched[c] = 1
        return self._sum(c, i)

    def pay(self, int64_t c, int64_t amount):
        """Add *amount* to the cash: dividends, borrow fees, cash in lieu."""
        self.state[c, S_CASH] += amount
        self.touched[c] = 1

    def split(self, int64_t i, int64_t numerator, int64_t denominator):
        """Turn each old unit into numerator / denominator new ones, positions cut toward zero.

        The venue ends all orders over a split; one that was on its way stays held as it was, until
        the venue has refused it.
        """
        cdef int64_t c, x, held
        cdef i128 wide = <i128>self.mark_ticks[i] * denominator
        if numerator < 1 or denominator < 1:
            raise ValueError("a split needs a positive ratio")
        if self.mark_ticks[i]:
            wide = max(wide // numerator, 1)
            if wide > TICKS_MAX:
                raise OverflowError("a price beyond what is counted after a split")
            self.mark_ticks[i] = <int64_t>wide
        for c in range(self.contenders):
            x = self._at(c, i)
            held = self.cells[x, X_POSITION]
            if held or self.cells[x, X_BUY] or self.cells[x, X_SELL]:
                # cdivision is on: C cuts toward zero.
                wide = <i128>held * numerator // denominator
                if not -VALUE_MAX <= wide <= VALUE_MAX:
                    raise OverflowError("a position beyond what is counted after a split")
                self.cells[x, X_POSITION] = <int64_t>wide
                if held:
                    self.touched[c] = 1
                self._sum(c, i)

    cdef int _sum(self, int64_t c, int64_t i) except -1:
        # Bring the sums up to date with one cell.
        cdef int64_t x = self._at(c, i), g, y, worst, up, down, held, working
        cdef int64_t unit = self.mark_ticks[i] * self.facts[i, I_TICK_VALUE]
        cdef int64_t* cell = &self.cells[x, 0]
        cdef int64_t* state = &self.state[c, 0]
        up, down = self._reach(x, 0, 0)
        worst = max(up, -down)
        if value_of(max(worst, cell[X_BUY] + cell[X_SELL]), self.mark_ticks[i],
                    self.facts[i, I_TICK_VALUE]) > VALUE_MAX:
            raise OverflowError(f"exposure of contender {c} in instrument {i} is beyond count")
        worst, up, down, held = worst * unit, up * unit, down * unit, cell[X_POSITION] * unit
        working = (cell[X_BUY] + cell[X_SELL]) * unit
        state[S_VALUE] += held - cell[X_VALUE]
        state[S_GROSS] += worst - cell[X_WORST]
        state[S_UP] += up - cell[X_UP]
        state[S_DOWN] += down - cell[X_DOWN]
        state[S_WORKING] += working - cell[X_WORKING]
        if state[S_GROSS] > MONEY or state[S_WORKING] > MONEY:
            raise OverflowError(f"exposure of contender {c} is beyond count")
        for g in range(self.groups):
            if self.member[c, g]:
                y = g * self.instruments + i
                self.group_state[g, H_GROSS] += worst - cell[X_WORST]
                self.group_state[g, H_UP] += up - cell[X_UP]
                self.group_state[g, H_DOWN] += down - cell[X_DOWN]
                self.group_cells[y, 0] += up - cell[X_UP]
                self.group_cells[y, 1] += down - cell[X_DOWN]
                if self.group_state[g, H_GROSS] > MONEY:
                    raise OverflowError(f"exposure of group {g} is beyond count")
        cell[X_VALUE], cell[X_WORST], cell[X_WORKING] = held, worst, working
        cell[X_UP], cell[X_DOWN] = up, down
        return 0

    # Marks and states.

    def mark(self, int64_t i, int64_t price, int64_t at, int64_t day):
        """Value instrument *i* at *price*; return the state changes as a list of tuples.

        A tuple is (contender, former state, state, rule, limit, actual); rule 0 is a new day.
        """
        cdef int64_t c, x, first = self._at(0, i)
        cdef list changes = self.begin_day(day)
        cdef int64_t value = value_of(1, price, self.facts[i, I_TICK_VALUE])
        if not 0 < price <= TICKS_MAX or value > VALUE_MAX:
            raise OverflowError(f"a mark of {price} ticks")
        self.mark_ticks[i], self.mark_at[i] = price, at
        for c in range(self.contenders):
            x = first + c
            if self.cells[x, X_POSITION] or self.cells[x, X_BUY] or self.cells[x, X_SELL]:
                self._sum(c, i)
            elif not self.touched[c]:
                continue
            self.touched[c] = 0
            self._judge(c, changes)
        for x in range(self.groups):
            self._judge_group(x, changes)
        return changes

    cpdef list begin_day(self, int64_t day):
        """Begin a session day before its first mark; return the state changes as `mark` does.

        The first fills of a day come before its first mark, and they are part of the day.
        """
        cdef int64_t c, former
        cdef list changes = []
        if day <= self.day:
            return changes
        self.day = day
        for c in range(self.contenders):
            former = self._trading_state(c)
            self.state[c, S_DAY_START] = self._equity(c)
            self.state[c, S_MESSAGES] = self.state[c, S_ORDERS] = 0
            self.state[c, S_FILLS] = self.state[c, S_TRADED] = self.state[c, S_HALT_DAY] = 0
            self._changed(c, former, PASS, 0, 0, changes)
        return changes

    cdef int _judge(self, int64_t c, list changes) except -1:
        # Set the trading state that a contender's equity asks for.
        cdef int64_t former = self._trading_state(c), equity = self._equity(c), fall, loss, limit
        if equity > self.state[c, S_PEAK]:
            self.state[c, S_PEAK] = equity
        limit, loss = self.limits[c, C_DAILY_LOSS], self.state[c, S_DAY_START] - equity
        # Each new halt is told, also to one who is halted for something else: what follows from it
        # is for the policies to say.
        if 0 <= limit <= loss and not self.state[c, S_HALT_DAY]:
            self.state[c, S_HALT_DAY] = 1
            changes.append((c, former, 2, DAILY_LOSS, limit, loss))
            former = 2
        limit, fall = self.limits[c, C_DRAWDOWN], self._drawdown(c)
        if 0 <= limit <= fall and not self.state[c, S_HALT_DRAWDOWN]:
            self.state[c, S_HALT_DRAWDOWN] = 1
            changes.append((c, former, 2, DRAWDOWN, limit, fall))
            former = 2
        limit = self.limits[c, C_REDUCE]
        if limit >= 0:
            self.state[c, S_REDUCING] = fall >= limit
            self._changed(c, former, DRAWDOWN, limit, fall, changes)
        return 0

    cdef int _judge_group(self, int64_t g, list changes) except -1:
        cdef int64_t c, loss, former, limit = self.group_limits[g, G_DAILY_LOSS]
        if limit < 0:
            return 0
        loss = self._group_loss(g)
        if loss < limit:
            return 0
        for c in range(self.contenders):
            if self.member[c, g] and not self.state[c, S_HALT_DAY]:
                former = self._trading_state(c)
                self.state[c, S_HALT_DAY] = 2 + g
                changes.append((c, former, 2, DAILY_LOSS, limit, loss))
        return 0

    cdef int _changed(self, int64_t c, int64_t former, int64_t rule, int64_t limit,
                      int64_t actual, list changes) except -1:
        cdef int64_t state = self._trading_state(c)
        if state != former:
            changes.append((c, former, state, rule, limit, actual))
        return 0

    # Batches and records.

    def apply(self, rows):
        """Apply a batch of operations (n, 10) int64 and return (n, 3): rule, limit, actual.

        Columns: operation, contender, instrument, side, kind, tif, lots, price, now, decided.
        Operations: 1 check, and hold when it passes; 2 release *lots* held at *price*; 3 fill
        *lots* at *price* with fee *now*; 4 mark at *price*, time *now*, day
        *decided*, which answers with the number of state changes. A check that passes answers with
        the price that is held in place of the limit.
        Raises: ValueError naming the first row that makes no sense; nothing is done then.
        """
        cdef const int64_t[:, ::1] row = rows
        cdef int64_t n, c, i, price
        if row.shape[1] != 10:
            raise ValueError("operations have 10 columns")
        for n in range(row.shape[0]):
            if not (1 <= row[n, 0] <= 4 and 0 <= row[n, 1] < self.contenders
                    and 0 <= row[n, 2] < self.instruments and -1 <= row[n, 3] <= 1
                    and 0 <= row[n, 4] <= 1 and 0 <= row[n, 5] <= 3):
                raise ValueError(f"operation {n} makes no sense: {list(row[n])}")
        out = np.zeros((row.shape[0], 3), np.int64)
        cdef int64_t[:, ::1] answer = out
        for n in range(row.shape[0]):
            c, i, price = row[n, 1], row[n, 2], row[n, 7]
            self.limit = self.actual = 0
            if row[n, 0] == 1:
                answer[n, 0] = self.check(c, i, row[n, 3], row[n, 4], row[n, 5], row[n, 6], price,
                                          row[n, 8], row[n, 9], False)
                if answer[n, 0] == PASS:
                    self.limit = price if price else self.hold_price(c, i)
                    self.hold(c, i, row[n, 3], self.limit, 0, row[n, 6])
            elif row[n, 0] == 2:
                self.hold(c, i, row[n, 3], price, row[n, 6], 0)
            elif row[n, 0] == 3:
                self.fill(c, i, row[n, 3], row[n, 6], price, row[n, 8])
            else:
                answer[n, 0] = len(self.mark(i, price, row[n, 8], row[n, 9]))
            answer[n, 1], answer[n, 2] = self.limit, self.actual
        return out

    def validate(self):
        """Recompute every sum from positions, open lots and marks.

        Raises: AssertionError naming the contender or group whose sums are wrong.
        """
        a = self.arrays
        unit = (a["mark_ticks"] * a["facts"][:, I_TICK_VALUE])[:, None]
        cells = a["cells"].reshape(self.instruments, self.contenders, X_WIDTH)
        held, buy, sell = cells[:, :, X_POSITION], cells[:, :, X_BUY], cells[:, :, X_SELL]
        up, down = (held + buy) * unit, (held - sell) * unit
        worst = np.maximum(up, -down)
        for column, wanted in ((S_VALUE, held * unit), (S_GROSS, worst), (S_UP, up),
                               (S_DOWN, down), (S_WORKING, (buy + sell) * unit)):
            wrong = np.flatnonzero(a["state"][:, column] != wanted.sum(axis=0))
            assert not wrong.size, f"sum {column} of contender {wrong[0]} is wrong"
        assert (buy >= 0).all() and (sell >= 0).all(), "open lots below zero"
        assert (a["state"][:, S_RESERVED] >= 0).all(), "reserved money below zero"
        assert (a["state"][:, S_OPEN] >= 0).all(), "open orders below zero"
        for g in range(self.groups):
            mine = a["member"][:, g] == 1
            for column, wanted in ((H_GROSS, worst), (H_UP, up), (H_DOWN, down)):
                assert a["group_state"][g, column] == wanted[:, mine].sum(), f"sum of group {g}"

    def dump(self):
        """Return the state: version, sizes, day, arena's switch, then the arrays of `STATE`."""
        head = [VERSION, self.contenders, self.instruments, self.groups, self.day,
                self._arena_killed]
        parts = [np.array(head, "<i8")] + [self.arrays[name] for name in STATE]
        return b"".join(part.astype("<i8", copy=False).tobytes() for part in parts)

    def load(self, bytes snapshot):
        """Take over the state that `dump` returned, for the same numbers of everything.

        Raises: ValueError if it is of another kind of gate; nothing is changed then.
        """
        if len(snapshot) != 8 * (6 + sum(self.arrays[name].size for name in STATE)):
            raise ValueError("the snapshot is of a gate of another size")
        numbers = np.frombuffer(snapshot, "<i8").astype(np.int64)
        if numbers[:4].tolist() != [VERSION, self.contenders, self.instruments, self.groups]:
            raise ValueError("the snapshot is of another kind of gate")
        self.day, self._arena_killed = numbers[4], numbers[5]
        place = 6
        for name in STATE:
            array = self.arrays[name]
            array[...] = numbers[place:place + array.size].reshape(array.shape)
            place += array.size
        self.validate()

    def digest(self):
        """Return the BLAKE2b-256 of the state; the oracle's is the same."""
        return blake2b(self.dump(), digest_size=32).digest()
