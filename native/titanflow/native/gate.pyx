"""Does an order pass? The ordered pre-trade checks, holds and trading states, in integers.

One gate serves all contenders of an arena. Its state is a set of int64 arrays: cells (contender ×
instrument), contenders, instruments and groups (contenders that share an aggregate limit). The
exposure sums are kept as they change, so a check costs the same however many orders were sent.
Money is in minor units, quantities in lots, prices in ticks, time in ns. Unset limits are -1.
It knows nothing of policies, names and reasons: it answers with the number of a rule.
"""

from hashlib import blake2b

import numpy as np

from libc.stdint cimport int64_t

from titanflow.native.columns cimport *

cdef extern from *:
    """
    #ifndef TITANFLOW_SOURCE_SHA256
    #define TITANFLOW_SOURCE_SHA256 ""
    #endif
    """
    const char* TITANFLOW_SOURCE_SHA256
    ctypedef long long i128 "__int128_t"

SOURCE_SHA256 = TITANFLOW_SOURCE_SHA256.decode()

cdef int64_t MONEY = 1 << 62
cdef int64_t SECOND = 1000000000
cdef int64_t BPS = 10000
cdef int64_t RATIO_FREE = 100  # orders of a day before the order-to-fill ratio is asked

CELL_LIMITS, CONTENDER_LIMITS, GROUP_LIMITS = L_WIDTH, C_WIDTH, G_WIDTH


cdef class Gate:
    """Checks, holds and states of *contenders* × *instruments*, with *groups* of contenders."""

    cdef readonly int64_t contenders, instruments, groups, day
    cdef readonly int64_t limit, actual
    cdef int64_t arena_killed
    cdef readonly dict arrays
    cdef int64_t[:, ::1] cell_limits, limits, group_limits, facts, state, cells, group_cells
    cdef int64_t[:, ::1] group_state, member
    cdef int64_t[::1] mark_ticks, mark_at, killed

    def __init__(self, contenders, instruments, groups=0):
        if not (0 < contenders and 0 < instruments and 0 <= groups <= 1000):
            raise ValueError("a gate needs contenders and instruments, and at most 1,000 groups")
        self.contenders, self.instruments, self.groups = contenders, instruments, groups
        self.day = -1
        cells = contenders * instruments
        shapes = {
            "cell_limits": (cells, L_WIDTH), "limits": (contenders, C_WIDTH),
            "group_limits": (max(groups, 1), G_WIDTH), "facts": (instruments, I_WIDTH),
            "state": (contenders, S_WIDTH), "cells": (cells, X_WIDTH),
            "group_cells": (max(groups, 1) * instruments, 3),
            # value worst, up, down, tokens, refilled of each group
            "group_state": (max(groups, 1), 5), "member": (contenders, max(groups, 1)),
            "mark_ticks": (instruments,), "mark_at": (instruments,), "killed": (instruments,),
        }
        self.arrays = {name: np.zeros(shape, np.int64) for name, shape in shapes.items()}
        for name in ("cell_limits", "limits", "group_limits"):
            self.arrays[name].fill(-1)
        self._bind()

    def _bind(self):
        a = self.arrays
        self.cell_limits, self.limits = a["cell_limits"], a["limits"]
        self.group_limits, self.facts = a["group_limits"], a["facts"]
        self.state, self.cells, self.group_cells = a["state"], a["cells"], a["group_cells"]
        self.group_state, self.member = a["group_state"], a["member"]
        self.mark_ticks, self.mark_at, self.killed = a["mark_ticks"], a["mark_at"], a["killed"]

    # --- set-up ---------------------------------------------------------------------------

    def set_instrument(self, int64_t i, columns):
        """Set tick value, lot bounds, least notional and fee rates of an instrument."""
        self.arrays["facts"][i] = columns

    def set_limits(self, int64_t c, int64_t i, columns):
        """Set the limits of a cell."""
        self.arrays["cell_limits"][c * self.instruments + i] = columns

    def set_contender(self, int64_t c, columns, int64_t cash, bint enabled):
        """Set limits, capital and whether the contender may trade at all."""
        self.arrays["limits"][c] = columns
        self.state[c, S_CASH] = self.state[c, S_PEAK] = self.state[c, S_DAY_START] = cash
        self.state[c, S_ENABLED] = enabled
        self.state[c, S_TOKENS] = max(self.limits[c, C_BURST], 0) * SECOND

    def set_group(self, int64_t g, columns, members):
        """Set the aggregate limits of a group and who belongs to it."""
        self.arrays["group_limits"][g] = columns
        self.group_state[g, 3] = max(self.group_limits[g, G_RATE], 0) * SECOND
        for c in members:
            self.member[c, g] = 1

    def set_killed(self, bint arena, contenders, instruments):
        """Set which switches are engaged: for the arena, for contenders, for instruments."""
        self.arena_killed = arena
        self.arrays["state"][:, S_KILLED] = contenders
        self.arrays["killed"][:] = instruments

    def halt_runaway(self, int64_t c, bint halted):
        """Set or lift the halt for too many refusals."""
        self.state[c, S_HALT_RUNAWAY] = halted

    def lift(self, int64_t c):
        """Lift the latched halts of a contender and measure its drawdown from here."""
        self.state[c, S_HALT_RUNAWAY] = self.state[c, S_HALT_DRAWDOWN] = 0
        self.state[c, S_REDUCING] = 0
        self.state[c, S_PEAK] = self._equity(c)

    # --- readings -------------------------------------------------------------------------

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
        return self.cells[c * self.instruments + i, X_POSITION]

    def open_lots(self, int64_t c, int64_t i):
        """Return the lots of open buy orders and of open sell orders."""
        cdef int64_t x = c * self.instruments + i
        return self.cells[x, X_BUY], self.cells[x, X_SELL]

    def reference(self, int64_t i):
        """Return the last mark in ticks; 0 before the first."""
        return self.mark_ticks[i]

    def is_killed(self, int64_t c, int64_t i):
        """Say whether a whole switch stops the contender or the instrument."""
        return bool(self.arena_killed or self.state[c, S_KILLED] or self.killed[i])

    def check_nothing(self):
        """Forget the limit and actual of the last check."""
        self.limit = self.actual = 0

    def trading_state(self, int64_t c):
        """Return 0 active, 1 reducing, 2 halted."""
        return self._trading_state(c)

    cdef int64_t _trading_state(self, int64_t c) noexcept:
        if (self.state[c, S_HALT_DAY] or self.state[c, S_HALT_DRAWDOWN]
                or self.state[c, S_HALT_RUNAWAY]):
            return 2
        return 1 if self.state[c, S_REDUCING] else 0

    # --- the checks -----------------------------------------------------------------------

    cdef int64_t _say(self, int64_t rule, int64_t limit, int64_t actual) noexcept:
        self.limit, self.actual = limit, actual
        return rule

    cdef bint _reduces(self, int64_t x, int64_t side, int64_t lots) noexcept:
        cdef int64_t held = self.cells[x, X_POSITION]
        if side > 0:
            return held < 0 and self.cells[x, X_BUY] + lots <= -held
        return held > 0 and self.cells[x, X_SELL] + lots <= held

    cdef int64_t _message(self, int64_t c, int64_t now, bint cancels) noexcept:
        """Ask the limits on messages; a message counts whether it passes or not.

        The order-to-fill ratio is for orders only: who sent too many may still cancel them.
        """
        cdef int64_t rate = self.limits[c, C_RATE]
        cdef int64_t g
        self.state[c, S_MESSAGES] += 1
        if rate > 0 and not self._token(&self.state[c, S_TOKENS], &self.state[c, S_REFILLED], rate,
                                        max(self.limits[c, C_BURST], 1), now):
            return self._say(RATE, rate, rate + 1)
        if self.limits[c, C_PER_DAY] >= 0 and self.state[c, S_MESSAGES] > self.limits[c, C_PER_DAY]:
            return self._say(PER_DAY, self.limits[c, C_PER_DAY], self.state[c, S_MESSAGES])
        if (not cancels and self.limits[c, C_RATIO] >= 0
                and self.state[c, S_ORDERS] >= RATIO_FREE
                and self.state[c, S_ORDERS] + 1 > self.limits[c, C_RATIO] * max(
                    self.state[c, S_FILLS], 1)):
            return self._say(ORDER_RATIO, self.limits[c, C_RATIO] * max(
                self.state[c, S_FILLS], 1), self.state[c, S_ORDERS] + 1)
        for g in range(self.groups):
            if self.member[c, g] and self.group_limits[g, G_RATE] > 0:
                rate = self.group_limits[g, G_RATE]
                if not self._token(&self.group_state[g, 3], &self.group_state[g, 4], rate, rate,
                                   now):
                    return self._say(GROUP_RATE, rate, rate + 1)
        return PASS

    cdef bint _token(self, int64_t* tokens, int64_t* refilled, int64_t rate, int64_t burst,
                     int64_t now) noexcept:
        """Take one token of a bucket that refills at *rate* a second, if there is one."""
        cdef int64_t full = burst * SECOND
        cdef i128 more = <i128>(now - refilled[0]) * rate + tokens[0]
        if now > refilled[0]:
            tokens[0] = full if more > full else <int64_t>more
            refilled[0] = now
        if tokens[0] < SECOND:
            return False
        tokens[0] -= SECOND
        return True

    cpdef int64_t check_cancel(self, int64_t c, int64_t now):
        """Return the rule that refuses a cancel, or 0: only account and message limits."""
        if not self.state[c, S_ENABLED]:
            return self._say(ACCOUNT, 0, 0)
        return self._message(c, now, True)

    cpdef int64_t check(self, int64_t c, int64_t i, int64_t side, int64_t kind, int64_t tif,
                        int64_t lots, int64_t price, int64_t now, int64_t decided,
                        bint duplicate):
        """Return the first rule that refuses the order, or 0; `limit` and `actual` say why.

        *kind* and *tif* are numbers of bits in the masks of the limits; *price* is 0 for market.
        """
        cdef int64_t x = c * self.instruments + i
        cdef int64_t rule = self._admit(c, i, x, now, decided, duplicate)
        if rule == PASS:
            rule = self._form(i, x, kind, tif, lots, price)
        if rule == PASS:
            rule = self._size(c, i, x, lots, price, now)
        if rule == PASS and not self._reduces(x, side, lots):
            rule = self._exposure(c, i, x, side, lots)
            if rule == PASS:
                rule = self._credit(c, i, x, side, lots, price)
            if rule == PASS:
                rule = self._halted(c, False)
            if rule == PASS:
                rule = self._aggregate(c, i, x, side, lots)
        elif rule == PASS:
            rule = self._halted(c, True)
        if rule == PASS:
            self.state[c, S_ORDERS] += 1
        return rule

    cpdef int64_t check_risk(self, int64_t c, int64_t i, int64_t side, int64_t lots):
        """Return 0 if risk's own order strictly reduces a position at a known price."""
        if self.mark_ticks[i] == 0:
            return self._say(REFERENCE, 0, 0)
        if lots < 1 or not self._reduces(c * self.instruments + i, side, lots):
            return self._say(NOT_REDUCING, self.position(c, i), side * lots)
        return PASS

    cdef int64_t _admit(self, int64_t c, int64_t i, int64_t x, int64_t now, int64_t decided,
                        bint duplicate) noexcept:
        """Ask whether anybody may send this at all."""
        cdef int64_t rule
        if self.arena_killed:
            return self._say(KILL_ARENA, 0, 0)
        if self.state[c, S_KILLED] or self.killed[i]:
            return self._say(KILL_SCOPE, 0, 0)
        if not self.state[c, S_ENABLED]:
            return self._say(ACCOUNT, 0, 0)
        if self.cell_limits[x, L_TRADABLE] == 0:
            return self._say(INSTRUMENT, 0, 0)
        rule = self._message(c, now, False)
        if duplicate:
            return self._say(DUPLICATE, 0, 0)
        if self.cell_limits[x, L_AGE] >= 0 and now - decided > self.cell_limits[x, L_AGE]:
            return self._say(STALE, self.cell_limits[x, L_AGE], now - decided)
        return rule

    cdef int64_t _form(self, int64_t i, int64_t x, int64_t kind, int64_t tif, int64_t lots,
                       int64_t price) noexcept:
        """Ask whether the order is well formed."""
        cdef int64_t least = max(self.facts[i, I_MIN_LOTS], self.cell_limits[x, L_MIN_LOTS])
        if self.cell_limits[x, L_TYPES] >= 0 and not (self.cell_limits[x, L_TYPES] >> kind) & 1:
            return self._say(UNSUPPORTED, self.cell_limits[x, L_TYPES], kind)
        if self.cell_limits[x, L_TIFS] >= 0 and not (self.cell_limits[x, L_TIFS] >> tif) & 1:
            return self._say(UNSUPPORTED, self.cell_limits[x, L_TIFS], tif)
        if lots < 1 or lots < least:
            return self._say(QUANTITY, max(least, 1), lots)
        if self.facts[i, I_MAX_LOTS] > 0 and lots > self.facts[i, I_MAX_LOTS]:
            return self._say(QUANTITY, self.facts[i, I_MAX_LOTS], lots)
        if (kind == 0) != (price == 0) or price < 0:
            return self._say(PRICE, 1, price)
        return PASS

    cdef int64_t _size(self, int64_t c, int64_t i, int64_t x, int64_t lots, int64_t price,
                       int64_t now) noexcept:
        """Ask reference, collar and the size of the order alone."""
        cdef int64_t reference = self.mark_ticks[i]
        cdef int64_t age = now - self.mark_at[i]
        cdef int64_t notional
        cdef i128 wide
        if reference == 0:
            return self._say(REFERENCE, self.cell_limits[x, L_REF_AGE], -1)
        if self.cell_limits[x, L_REF_AGE] >= 0 and age > self.cell_limits[x, L_REF_AGE]:
            return self._say(REFERENCE, self.cell_limits[x, L_REF_AGE], age)
        if price > 0 and self.cell_limits[x, L_COLLAR] >= 0:
            wide = <i128>(price - reference if price > reference else reference - price) * BPS
            if wide > <i128>self.cell_limits[x, L_COLLAR] * reference:
                wide = wide // reference
                return self._say(COLLAR, self.cell_limits[x, L_COLLAR],
                                 MONEY if wide > MONEY else <int64_t>wide)
        wide = <i128>lots * (price if price else reference)
        # In two steps: the product of all three may not fit 128 bits.
        if wide <= MONEY // 4:
            wide *= self.facts[i, I_TICK_VALUE]
        if wide > MONEY // 4:
            return self._say(OVERFLOW, MONEY // 4, MONEY)
        notional = <int64_t>wide
        if notional < max(self.facts[i, I_MIN_NOTIONAL], self.cell_limits[x, L_MIN_NOTIONAL]):
            return self._say(MIN_NOTIONAL, max(self.facts[i, I_MIN_NOTIONAL],
                                               self.cell_limits[x, L_MIN_NOTIONAL]), notional)
        if self.cell_limits[x, L_MAX_LOTS] >= 0 and lots > self.cell_limits[x, L_MAX_LOTS]:
            return self._say(CLIP_SIZE, self.cell_limits[x, L_MAX_LOTS], lots)
        if self.cell_limits[x, L_MAX_NOTIONAL] >= 0 and (
                notional > self.cell_limits[x, L_MAX_NOTIONAL]):
            return self._say(MAX_NOTIONAL, self.cell_limits[x, L_MAX_NOTIONAL], notional)
        if self.cell_limits[x, L_OPEN_ORDERS] >= 0 and (
                self.state[c, S_OPEN] >= self.cell_limits[x, L_OPEN_ORDERS]):
            return self._say(OPEN_ORDERS, self.cell_limits[x, L_OPEN_ORDERS],
                             self.state[c, S_OPEN] + 1)
        return PASS

    cdef int64_t _exposure(self, int64_t c, int64_t i, int64_t x, int64_t side,
                           int64_t lots) noexcept:
        """Ask what would be held if every open order and this one filled."""
        cdef int64_t up = self.cells[x, X_POSITION] + self.cells[x, X_BUY] + (
            lots if side > 0 else 0)
        cdef int64_t down = self.cells[x, X_POSITION] - self.cells[x, X_SELL] - (
            lots if side < 0 else 0)
        cdef int64_t most = max(up, -down)
        cdef int64_t unit = self.mark_ticks[i] * self.facts[i, I_TICK_VALUE]
        cdef int64_t equity = self._equity(c)
        cdef int64_t worst, gross, net
        if <i128>most * unit > MONEY // 4:
            return self._say(OVERFLOW, MONEY // 4, MONEY)
        worst = most * unit
        if self.cell_limits[x, L_POS_LOTS] >= 0 and most > self.cell_limits[x, L_POS_LOTS]:
            return self._say(POSITION_LOTS, self.cell_limits[x, L_POS_LOTS], most)
        if self.cell_limits[x, L_POS_NOTIONAL] >= 0 and worst > self.cell_limits[x, L_POS_NOTIONAL]:
            return self._say(POSITION_NOTIONAL, self.cell_limits[x, L_POS_NOTIONAL], worst)
        if self.cell_limits[x, L_CONCENTRATION] >= 0 and (
                <i128>worst * BPS > <i128>self.cell_limits[x, L_CONCENTRATION] * equity):
            return self._say(CONCENTRATION, self._part(
                equity, self.cell_limits[x, L_CONCENTRATION]), worst)
        gross = self.state[c, S_GROSS] - self.cells[x, X_WORST] + worst
        if self.limits[c, C_GROSS] >= 0 and gross > self.limits[c, C_GROSS]:
            return self._say(GROSS, self.limits[c, C_GROSS], gross)
        net = max(self.state[c, S_UP] - self.cells[x, X_UP] + up * unit,
                  -(self.state[c, S_DOWN] - self.cells[x, X_DOWN] + down * unit))
        if self.limits[c, C_NET] >= 0 and net > self.limits[c, C_NET]:
            return self._say(NET, self.limits[c, C_NET], net)
        if self.limits[c, C_TURNOVER] >= 0 and (
                <i128>(self.state[c, S_TRADED] + lots * unit) * BPS
                > <i128>self.limits[c, C_TURNOVER] * equity):
            return self._say(TURNOVER, self._part(equity, self.limits[c, C_TURNOVER]),
                             self.state[c, S_TRADED] + lots * unit)
        return PASS

    cdef int64_t _part(self, int64_t money, int64_t bps) noexcept:
        """Return basis points of money, cut, and at most what fits."""
        cdef i128 wide = <i128>money * bps // BPS if money > 0 else 0
        return MONEY if wide > MONEY else <int64_t>wide

    cdef int64_t _credit(self, int64_t c, int64_t i, int64_t x, int64_t side, int64_t lots,
                         int64_t price) noexcept:
        """Ask cash, leverage and short selling."""
        cdef int64_t unit = self.mark_ticks[i] * self.facts[i, I_TICK_VALUE]
        cdef int64_t free = self.state[c, S_CASH] - self.state[c, S_RESERVED]
        cdef int64_t keep = max(self.limits[c, C_FREE_CASH], 0)
        cdef int64_t up = self.cells[x, X_POSITION] + self.cells[x, X_BUY] + (
            lots if side > 0 else 0)
        cdef int64_t down = self.cells[x, X_POSITION] - self.cells[x, X_SELL] - (
            lots if side < 0 else 0)
        cdef int64_t gross = self.state[c, S_GROSS] - self.cells[x, X_WORST] + max(up, -down) * unit
        cdef int64_t cost
        cdef int64_t leverage = self.limits[c, C_LEVERAGE] if self.limits[c, C_LEVERAGE] >= 0 else BPS
        if side > 0:
            cost = self._cost(i, lots, price if price else self.hold_price(x, i))
            if free - cost < keep:
                return self._say(CASH, free - keep, cost)
        if <i128>gross * BPS > <i128>leverage * self._equity(c):
            return self._say(LEVERAGE, self._part(self._equity(c), leverage), gross)
        if side < 0 and down < 0 and self.cell_limits[x, L_SHORT] == 0:
            return self._say(SHORT, 0, down)
        return PASS

    cdef int64_t _halted(self, int64_t c, bint reduces) noexcept:
        """Ask the trading state; *reduces* says that the order only reduces a position."""
        if self.state[c, S_HALT_RUNAWAY]:
            return self._say(RUNAWAY, 0, 0)
        if reduces and (self._trading_state(c) < 2 or self.limits[c, C_REDUCES_WHEN_HALTED] == 1):
            return PASS
        if self.state[c, S_HALT_DAY]:
            return self._say(DAILY_LOSS, self.limits[c, C_DAILY_LOSS],
                             self.state[c, S_DAY_START] - self._equity(c))
        if self.state[c, S_HALT_DRAWDOWN]:
            return self._say(DRAWDOWN, self.limits[c, C_DRAWDOWN], self._drawdown(c))
        if self.state[c, S_REDUCING]:
            return self._say(DRAWDOWN, self.limits[c, C_REDUCE], self._drawdown(c))
        return PASS

    cdef int64_t _drawdown(self, int64_t c) noexcept:
        """Return the fall from the peak in basis points, rounded up."""
        cdef int64_t peak = self.state[c, S_PEAK]
        cdef i128 fall = <i128>(peak - self._equity(c)) * BPS
        if peak <= 0 or fall <= 0:
            return 0
        return <int64_t>((fall + peak - 1) // peak)

    cdef int64_t _aggregate(self, int64_t c, int64_t i, int64_t x, int64_t side,
                            int64_t lots) noexcept:
        """Ask the limits that a contender shares with others."""
        cdef int64_t g, y, gross, net, one
        cdef int64_t unit = self.mark_ticks[i] * self.facts[i, I_TICK_VALUE]
        cdef int64_t up = (self.cells[x, X_POSITION] + self.cells[x, X_BUY] + (
            lots if side > 0 else 0)) * unit
        cdef int64_t down = (self.cells[x, X_POSITION] - self.cells[x, X_SELL] - (
            lots if side < 0 else 0)) * unit
        for g in range(self.groups):
            if not self.member[c, g]:
                continue
            y = g * self.instruments + i
            gross = self.group_state[g, 0] - self.cells[x, X_WORST] + max(up, -down)
            if self.group_limits[g, G_GROSS] >= 0 and gross > self.group_limits[g, G_GROSS]:
                return self._say(GROUP_GROSS, self.group_limits[g, G_GROSS], gross)
            net = max(self.group_state[g, 1] - self.cells[x, X_UP] + up,
                      -(self.group_state[g, 2] - self.cells[x, X_DOWN] + down))
            if self.group_limits[g, G_NET] >= 0 and net > self.group_limits[g, G_NET]:
                return self._say(GROUP_NET, self.group_limits[g, G_NET], net)
            one = max(self.group_cells[y, 1] - self.cells[x, X_UP] + up,
                      -(self.group_cells[y, 2] - self.cells[x, X_DOWN] + down))
            if self.group_limits[g, G_INSTRUMENT] >= 0 and one > self.group_limits[g, G_INSTRUMENT]:
                return self._say(GROUP_INSTRUMENT, self.group_limits[g, G_INSTRUMENT], one)
        return PASS

    # --- holds and positions --------------------------------------------------------------

    cdef int64_t _cost(self, int64_t i, int64_t lots, int64_t price) noexcept:
        """Return what buying costs at most: value and the dearest fee, rounded up."""
        cdef i128 value = <i128>lots * price * self.facts[i, I_TICK_VALUE]
        cdef i128 fee = (value * self.facts[i, I_FEE_PPM] + 999999) // 1000000
        value += fee + lots * self.facts[i, I_FEE_LOT] + (
            self.facts[i, I_FEE_ORDER] if lots > 0 else 0)
        return MONEY if value > MONEY else <int64_t>value

    cpdef int64_t hold_price(self, int64_t x, int64_t i) noexcept:
        """Return the price at which a market order is held: the reference and the collar, or 5 %."""
        cdef int64_t collar = self.cell_limits[x, L_COLLAR]
        cdef int64_t reference = self.mark_ticks[i]
        if collar < 0 or collar > 500:
            collar = 500
        return reference + (reference * collar + BPS - 1) // BPS

    cdef _cell(self, int64_t c, int64_t i):
        """Bring the sums up to date with one cell."""
        cdef int64_t x = c * self.instruments + i
        cdef int64_t unit = self.mark_ticks[i] * self.facts[i, I_TICK_VALUE]
        cdef int64_t held = self.cells[x, X_POSITION]
        cdef int64_t up = held + self.cells[x, X_BUY]
        cdef int64_t down = held - self.cells[x, X_SELL]
        cdef int64_t worst, g, y
        if <i128>max(max(up, -down), 1) * unit > MONEY // 4:
            raise OverflowError(f"exposure of contender {c} in instrument {i} is beyond {MONEY // 4}")
        worst, up, down = max(up, -down) * unit, up * unit, down * unit
        self.state[c, S_VALUE] += held * unit - self.cells[x, X_VALUE]
        self.state[c, S_GROSS] += worst - self.cells[x, X_WORST]
        self.state[c, S_UP] += up - self.cells[x, X_UP]
        self.state[c, S_DOWN] += down - self.cells[x, X_DOWN]
        for g in range(self.groups):
            if self.member[c, g]:
                y = g * self.instruments + i
                self.group_state[g, 0] += worst - self.cells[x, X_WORST]
                self.group_state[g, 1] += up - self.cells[x, X_UP]
                self.group_state[g, 2] += down - self.cells[x, X_DOWN]
                self.group_cells[y, 0] += worst - self.cells[x, X_WORST]
                self.group_cells[y, 1] += up - self.cells[x, X_UP]
                self.group_cells[y, 2] += down - self.cells[x, X_DOWN]
        self.cells[x, X_VALUE] = held * unit
        self.cells[x, X_WORST], self.cells[x, X_UP], self.cells[x, X_DOWN] = worst, up, down

    cpdef hold(self, int64_t c, int64_t i, int64_t side, int64_t price, int64_t before,
               int64_t after):
        """Change what is held for one order from *before* open lots to *after*."""
        cdef int64_t x = c * self.instruments + i
        cdef int64_t column = X_BUY if side > 0 else X_SELL
        if before < 0 or after < 0 or self.cells[x, column] - before < 0:
            raise ValueError(f"cannot hold {after} lots where {before} were held")
        self.cells[x, column] += after - before
        self.state[c, S_OPEN] += (after > 0) - (before > 0)
        if side > 0:
            self.state[c, S_RESERVED] += self._cost(i, after, price) - self._cost(i, before, price)
        self._cell(c, i)

    cpdef fill(self, int64_t c, int64_t i, int64_t side, int64_t lots, int64_t price, int64_t fee):
        """Apply one fill to cash and position; the hold is changed by `hold`."""
        cdef i128 value = <i128>lots * price * self.facts[i, I_TICK_VALUE]
        if lots < 1 or price < 0 or value > MONEY // 4:
            raise OverflowError(f"a fill of {lots} lots at {price} ticks")
        self.state[c, S_CASH] -= side * <int64_t>value + fee
        self.state[c, S_TRADED] += <int64_t>value
        self.state[c, S_FILLS] += 1
        self.state[c, S_UNJUDGED] = 1
        self.cells[c * self.instruments + i, X_POSITION] += side * lots
        self._cell(c, i)

    def pay(self, int64_t c, int64_t amount):
        """Add *amount* to the cash: dividends, borrow fees, cash in lieu."""
        self.state[c, S_CASH] += amount
        self.state[c, S_UNJUDGED] = 1

    def split(self, int64_t i, int64_t numerator, int64_t denominator):
        """Turn each old unit into numerator / denominator new ones, positions cut toward zero."""
        cdef int64_t c, x, held
        if numerator < 1 or denominator < 1:
            raise ValueError("a split needs a positive ratio")
        if self.mark_ticks[i]:
            self.mark_ticks[i] = max(self.mark_ticks[i] * denominator // numerator, 1)
        for c in range(self.contenders):
            x = c * self.instruments + i
            held = self.cells[x, X_POSITION]
            if self.cells[x, X_BUY] or self.cells[x, X_SELL]:
                raise ValueError(f"contender {c} has open orders in instrument {i} over a split")
            held = held * numerator // denominator if held >= 0 else -(
                -held * numerator // denominator)
            self.cells[x, X_POSITION] = held
            self._cell(c, i)

    # --- marks and states -----------------------------------------------------------------

    cpdef mark(self, int64_t i, int64_t price, int64_t at, int64_t day):
        """Value instrument *i* at *price*; return the state changes as a list of tuples.

        A tuple is (contender, former state, state, rule, limit, actual).
        """
        cdef int64_t c, x
        cdef list changes = []
        if price < 1:
            raise ValueError(f"a mark of {price} ticks")
        if day > self.day:
            self._new_day(day, changes)
        self.mark_ticks[i], self.mark_at[i] = price, at
        for c in range(self.contenders):
            x = c * self.instruments + i
            if self.cells[x, X_POSITION] or self.cells[x, X_BUY] or self.cells[x, X_SELL]:
                self._cell(c, i)
                self._judge(c, changes)
            elif self.state[c, S_UNJUDGED]:
                # A fill may have closed the position at a loss that no mark would show.
                self._judge(c, changes)
        self._judge_groups(changes)
        return changes

    cpdef begin_day(self, int64_t day):
        """Begin a session day before its first mark; return the state changes as `mark` does.

        The first fills of a day come before its first mark, and they are part of the day.
        """
        cdef list changes = []
        if day > self.day:
            self._new_day(day, changes)
        return changes

    cdef _new_day(self, int64_t day, list changes):
        cdef int64_t c, former
        self.day = day
        for c in range(self.contenders):
            former = self._trading_state(c)
            self.state[c, S_DAY_START] = self._equity(c)
            self.state[c, S_MESSAGES] = self.state[c, S_ORDERS] = 0
            self.state[c, S_FILLS] = self.state[c, S_TRADED] = self.state[c, S_HALT_DAY] = 0
            self._changed(c, former, PASS, 0, 0, changes)

    cdef _judge(self, int64_t c, list changes):
        """Set the trading state that a contender's equity asks for."""
        cdef int64_t former = self._trading_state(c)
        cdef int64_t equity = self._equity(c)
        cdef int64_t loss = self.state[c, S_DAY_START] - equity
        cdef int64_t fall
        self.state[c, S_UNJUDGED] = 0
        if equity > self.state[c, S_PEAK]:
            self.state[c, S_PEAK] = equity
        fall = self._drawdown(c)
        if self.limits[c, C_DAILY_LOSS] >= 0 and loss >= self.limits[c, C_DAILY_LOSS]:
            self.state[c, S_HALT_DAY] = 1
            self._changed(c, former, DAILY_LOSS, self.limits[c, C_DAILY_LOSS], loss, changes)
            former = self._trading_state(c)
        if self.limits[c, C_DRAWDOWN] >= 0 and fall >= self.limits[c, C_DRAWDOWN]:
            self.state[c, S_HALT_DRAWDOWN] = 1
            self._changed(c, former, DRAWDOWN, self.limits[c, C_DRAWDOWN], fall, changes)
            former = self._trading_state(c)
        if self.limits[c, C_REDUCE] >= 0:
            self.state[c, S_REDUCING] = fall >= self.limits[c, C_REDUCE]
            self._changed(c, former, DRAWDOWN, self.limits[c, C_REDUCE], fall, changes)

    cdef _changed(self, int64_t c, int64_t former, int64_t rule, int64_t limit, int64_t actual,
                  list changes):
        cdef int64_t state = self._trading_state(c)
        if state != former:
            changes.append((c, former, state, rule, limit, actual))

    cdef _judge_groups(self, list changes):
        cdef int64_t g, c, loss, former
        for g in range(self.groups):
            if self.group_limits[g, G_DAILY_LOSS] < 0:
                continue
            loss = 0
            for c in range(self.contenders):
                if self.member[c, g]:
                    loss += self.state[c, S_DAY_START] - self._equity(c)
            if loss < self.group_limits[g, G_DAILY_LOSS]:
                continue
            for c in range(self.contenders):
                if self.member[c, g] and not self.state[c, S_HALT_DAY]:
                    former = self._trading_state(c)
                    self.state[c, S_HALT_DAY] = 1
                    self._changed(c, former, DAILY_LOSS, self.group_limits[g, G_DAILY_LOSS], loss,
                                  changes)

    # --- batches, records -----------------------------------------------------------------

    def apply(self, rows):
        """Apply a batch of operations (n, 10) int64 and return (n, 3): rule, limit, actual.

        Columns: operation, contender, instrument, side, kind, tif, lots, price, now, decided.
        Operations: 1 check, and hold when it passes; 2 release *lots* of a hold; 3 fill *lots* at
        *price* with fee *now*; 4 mark at *price*, time *now*, day *decided*.
        """
        cdef int64_t[:, ::1] row = np.ascontiguousarray(rows, np.int64)
        out = np.zeros((row.shape[0], 3), np.int64)
        cdef int64_t[:, ::1] answer = out
        cdef int64_t n, c, i, x, price
        for n in range(row.shape[0]):
            c, i = row[n, 1], row[n, 2]
            if not (0 <= c < self.contenders and 0 <= i < self.instruments):
                raise ValueError(f"row {n} names contender {c}, instrument {i}")
            x, price = c * self.instruments + i, row[n, 7]
            self.limit = self.actual = 0
            if row[n, 0] == 1:
                answer[n, 0] = self.check(c, i, row[n, 3], row[n, 4], row[n, 5], row[n, 6], price,
                                          row[n, 8], row[n, 9], False)
                if answer[n, 0] == PASS:
                    self.hold(c, i, row[n, 3], price if price else self.hold_price(x, i), 0,
                              row[n, 6])
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
        unit = (a["mark_ticks"] * a["facts"][:, I_TICK_VALUE])[None, :]
        cells = a["cells"].reshape(self.contenders, self.instruments, X_WIDTH)
        held, buy, sell = cells[:, :, X_POSITION], cells[:, :, X_BUY], cells[:, :, X_SELL]
        up, down = (held + buy) * unit, (held - sell) * unit
        worst = np.maximum(up, -down)
        for column, wanted in ((S_VALUE, held * unit), (S_GROSS, worst), (S_UP, up),
                               (S_DOWN, down)):
            wrong = np.flatnonzero(a["state"][:, column] != wanted.sum(axis=1))
            assert not wrong.size, f"sum {column} of contender {wrong[0]} is wrong"
        assert (buy >= 0).all() and (sell >= 0).all(), "open lots below zero"
        assert (a["state"][:, S_RESERVED] >= 0).all(), "reserved money below zero"
        for g in range(self.groups):
            mine = a["member"][:, g] == 1
            for column, wanted in enumerate((worst, up, down)):
                assert a["group_state"][g, column] == wanted[mine].sum(), f"sum of group {g}"

    def dump(self):
        """Return the state as bytes."""
        parts = [np.array([self.day, self.arena_killed], np.int64).tobytes()]
        parts += [self.arrays[name].tobytes() for name in sorted(self.arrays)]
        return b"".join(parts)

    def load(self, snapshot):
        """Take over the state that `dump` returned, for the same numbers of everything."""
        head = np.frombuffer(snapshot[:16], np.int64)
        place = 16
        if len(snapshot) != 16 + sum(a.nbytes for a in self.arrays.values()):
            raise ValueError("the snapshot is of a gate of another size")
        for name in sorted(self.arrays):
            array = self.arrays[name]
            array[...] = np.frombuffer(
                snapshot[place:place + array.nbytes], np.int64).reshape(array.shape)
            place += array.nbytes
        self.day, self.arena_killed = int(head[0]), int(head[1])

    def digest(self):
        """Return the BLAKE2b-256 of the state."""
        return blake2b(self.dump(), digest_size=32).digest()
