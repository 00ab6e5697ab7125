"""The pre-trade gate on paper: the same answers as `native.gate`, in the plainest Python.

Every sum is added up anew from positions, open lots and marks whenever it is asked; nothing is
kept that could go wrong. Unset limits are -1. Rules are numbered as in core/risk/rules.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

BPS, SECOND, MONEY = 10_000, 10**9, 1 << 62
RATIO_FREE = 100
PASS = (0, 0, 0)
Answer = tuple[int, int, int]
"""Rule, limit, actual."""


@dataclass
class CellLimits:
    age: int = -1
    min_lots: int = -1
    max_lots: int = -1
    min_notional: int = -1
    max_notional: int = -1
    collar: int = -1
    reference_age: int = -1
    open_orders: int = -1
    position_lots: int = -1
    position_notional: int = -1
    concentration: int = -1
    short: int = 1
    types: int = -1
    tifs: int = -1
    tradable: int = 1


@dataclass
class Limits:
    rate: int = -1
    burst: int = -1
    per_day: int = -1
    ratio: int = -1
    gross: int = -1
    net: int = -1
    leverage: int = -1
    free_cash: int = -1
    turnover: int = -1
    daily_loss: int = -1
    reduce: int = -1
    drawdown: int = -1
    reduces_when_halted: int = 1


@dataclass
class GroupLimits:
    gross: int = -1
    net: int = -1
    instrument: int = -1
    daily_loss: int = -1
    rate: int = -1


@dataclass
class Instrument:
    tick_value: int
    min_lots: int
    max_lots: int
    min_notional: int
    fee_ppm: int
    fee_lot: int
    fee_order: int
    mark: int = 0
    mark_at: int = 0
    killed: bool = False


@dataclass
class Cell:
    limits: CellLimits
    position: int = 0
    buy: int = 0
    sell: int = 0


@dataclass
class Bucket:
    tokens: int = 0
    refilled: int = 0

    def take(self, rate: int, burst: int, now: int) -> bool:
        if now > self.refilled:
            self.tokens = min(self.tokens + (now - self.refilled) * rate, burst * SECOND)
            self.refilled = now
        if self.tokens < SECOND:
            return False
        self.tokens -= SECOND
        return True


@dataclass
class Contender:
    limits: Limits
    cash: int
    enabled: bool
    cells: list[Cell]
    peak: int = 0
    day_start: int = 0
    reserved: int = 0
    open: int = 0
    messages: int = 0
    orders: int = 0
    fills: int = 0
    traded: int = 0
    killed: bool = False
    halt_day: bool = False
    halt_drawdown: bool = False
    halt_runaway: bool = False
    reducing: bool = False
    unjudged: bool = False
    bucket: Bucket = field(default_factory=Bucket)

    def state(self) -> int:
        if self.halt_day or self.halt_drawdown or self.halt_runaway:
            return 2
        return 1 if self.reducing else 0


@dataclass
class Group:
    limits: GroupLimits
    members: list[int]
    bucket: Bucket


class Gate:
    """Contenders × instruments, each given as its columns."""

    def __init__(self, instruments, contenders, cells, groups=()):
        self.instruments = [Instrument(*columns) for columns in instruments]
        self.contenders = []
        for (columns, cash, enabled), own in zip(contenders, cells, strict=True):
            c = Contender(
                Limits(*columns), cash, enabled, [Cell(CellLimits(*limits)) for limits in own]
            )
            c.peak = c.day_start = cash
            c.bucket.tokens = max(c.limits.burst, 0) * SECOND
            self.contenders.append(c)
        self.groups = []
        for columns, members in groups:
            limits = GroupLimits(*columns)
            self.groups.append(Group(limits, members, Bucket(max(limits.rate, 0) * SECOND)))
        self.arena_killed = False
        self.day = -1

    # Sums.

    def unit(self, i):
        return self.instruments[i].mark * self.instruments[i].tick_value

    def equity(self, c):
        total = c.cash
        for i, cell in enumerate(c.cells):
            if cell.position:
                total += cell.position * self.unit(i)
        return total

    def sums(self, c, i=-1, side=0, lots=0):
        """Return gross, most and least net exposure, with *lots* more on *side* of *i*."""
        gross = most = least = 0
        for each, cell in enumerate(c.cells):
            up, down = cell.position + cell.buy, cell.position - cell.sell
            if each == i:
                up, down = up + (lots if side > 0 else 0), down - (lots if side < 0 else 0)
            unit = self.unit(each)
            gross += max(up, -down) * unit
            most += up * unit
            least += down * unit
        return gross, most, least

    def drawdown(self, c):
        fall = (c.peak - self.equity(c)) * BPS
        return 0 if c.peak <= 0 or fall <= 0 else -(-fall // c.peak)

    def part(self, money, bps):
        return min(money * bps // BPS, MONEY) if money > 0 else 0

    def cost(self, i, lots, price):
        if not lots:
            return 0
        it = self.instruments[i]
        value = lots * price * it.tick_value
        fee = -(-value * it.fee_ppm // 1_000_000)
        return min(value + fee + lots * it.fee_lot + it.fee_order, MONEY)

    def hold_price(self, c, i):
        collar = self.contenders[c].cells[i].limits.collar
        mark = self.instruments[i].mark
        return mark + -(-mark * (500 if not 0 <= collar <= 500 else collar) // BPS)

    def reduces(self, cell, side, lots):
        if side > 0:
            return cell.position < 0 and cell.buy + lots <= -cell.position
        return cell.position > 0 and cell.sell + lots <= cell.position

    # Checks, in their order.

    def check(self, c, i, side, kind, tif, lots, price, now, decided, duplicate=False) -> Answer:
        who = self.contenders[c]
        cell = who.cells[i]
        answer = (
            self._admit(c, i, now, decided, duplicate)
            or self._form(i, cell.limits, kind, tif, lots, price)
            or self._size(who, i, cell.limits, lots, price, now)
        )
        if not answer:
            if self.reduces(cell, side, lots):
                answer = self._halted(who, True)
            else:
                answer = (
                    self._exposure(who, i, side, lots)
                    or self._credit(c, i, side, lots, price)
                    or self._halted(who, False)
                    or self._aggregate(c, i, side, lots)
                )
        if not answer:
            who.orders += 1
        return answer or PASS

    def check_cancel(self, c, now) -> Answer:
        if not self.contenders[c].enabled:
            return 3, 0, 0
        return self._message(c, now, cancels=True) or PASS

    def check_risk(self, c, i, side, lots) -> Answer:
        cell = self.contenders[c].cells[i]
        if not self.instruments[i].mark:
            return 14, 0, 0
        if lots < 1 or not self.reduces(cell, side, lots):
            return 35, cell.position, side * lots
        return PASS

    def _message(self, c, now, *, cancels):
        who = self.contenders[c]
        limits = who.limits
        who.messages += 1
        if limits.rate > 0 and not who.bucket.take(limits.rate, max(limits.burst, 1), now):
            return 7, limits.rate, limits.rate + 1
        if 0 <= limits.per_day < who.messages:
            return 8, limits.per_day, who.messages
        allowed = limits.ratio * max(who.fills, 1)
        if (
            not cancels
            and limits.ratio >= 0
            and who.orders >= RATIO_FREE
            and who.orders + 1 > allowed
        ):
            return 9, allowed, who.orders + 1
        for group in self.groups:
            rate = group.limits.rate
            if c in group.members and rate > 0 and not group.bucket.take(rate, rate, now):
                return 10, rate, rate + 1
        return None

    def _admit(self, c, i, now, decided, duplicate):
        who = self.contenders[c]
        limits = who.cells[i].limits
        if self.arena_killed:
            return 1, 0, 0
        if who.killed or self.instruments[i].killed:
            return 2, 0, 0
        if not who.enabled:
            return 3, 0, 0
        if not limits.tradable:
            return 4, 0, 0
        answer = self._message(c, now, cancels=False)
        if duplicate:
            return 5, 0, 0
        if 0 <= limits.age < now - decided:
            return 6, limits.age, now - decided
        return answer

    def _form(self, i, limits, kind, tif, lots, price):
        it = self.instruments[i]
        least = max(it.min_lots, limits.min_lots)
        if limits.types >= 0 and not limits.types >> kind & 1:
            return 11, limits.types, kind
        if limits.tifs >= 0 and not limits.tifs >> tif & 1:
            return 11, limits.tifs, tif
        if lots < 1 or lots < least:
            return 12, max(least, 1), lots
        if 0 < it.max_lots < lots:
            return 12, it.max_lots, lots
        if (kind == 0) != (price == 0) or price < 0:
            return 13, 1, price
        return None

    def _size(self, who, i, limits, lots, price, now):
        it = self.instruments[i]
        age = now - it.mark_at
        if not it.mark:
            return 14, limits.reference_age, -1
        if 0 <= limits.reference_age < age:
            return 14, limits.reference_age, age
        if price and limits.collar >= 0:
            distance = abs(price - it.mark) * BPS
            if distance > limits.collar * it.mark:
                return 15, limits.collar, min(distance // it.mark, MONEY)
        notional = lots * (price or it.mark) * it.tick_value
        if notional > MONEY // 4:
            return 36, MONEY // 4, MONEY
        least = max(it.min_notional, limits.min_notional)
        if notional < least:
            return 16, least, notional
        if 0 <= limits.max_lots < lots:
            return 17, limits.max_lots, lots
        if 0 <= limits.max_notional < notional:
            return 18, limits.max_notional, notional
        if 0 <= limits.open_orders <= who.open:
            return 19, limits.open_orders, who.open + 1
        return None

    def _exposure(self, who, i, side, lots):
        cell = who.cells[i]
        limits, own, unit = cell.limits, who.limits, self.unit(i)
        up = cell.position + cell.buy + (lots if side > 0 else 0)
        down = cell.position - cell.sell - (lots if side < 0 else 0)
        most = max(up, -down)
        worst = most * unit
        if worst > MONEY // 4:
            return 36, MONEY // 4, MONEY
        if 0 <= limits.position_lots < most:
            return 20, limits.position_lots, most
        if 0 <= limits.position_notional < worst:
            return 21, limits.position_notional, worst
        equity = self.equity(who)
        if limits.concentration >= 0 and worst * BPS > limits.concentration * equity:
            return 22, self.part(equity, limits.concentration), worst
        gross, highest, lowest = self.sums(who, i, side, lots)
        if 0 <= own.gross < gross:
            return 23, own.gross, gross
        if 0 <= own.net < max(highest, -lowest):
            return 24, own.net, max(highest, -lowest)
        traded = who.traded + lots * unit
        if own.turnover >= 0 and traded * BPS > own.turnover * equity:
            return 25, self.part(equity, own.turnover), traded
        return None

    def _credit(self, c, i, side, lots, price):
        who = self.contenders[c]
        cell = who.cells[i]
        if side > 0:
            free = who.cash - who.reserved - max(who.limits.free_cash, 0)
            cost = self.cost(i, lots, price or self.hold_price(c, i))
            if cost > free:
                return 26, free, cost
        leverage = who.limits.leverage if who.limits.leverage >= 0 else BPS
        gross, equity = self.sums(who, i, side, lots)[0], self.equity(who)
        if gross * BPS > leverage * equity:
            return 27, self.part(equity, leverage), gross
        down = cell.position - cell.sell - lots
        if side < 0 and down < 0 and not cell.limits.short:
            return 28, 0, down
        return None

    def _halted(self, who, reduces):
        limits = who.limits
        if who.halt_runaway:
            return 31, 0, 0
        if reduces and (who.state() < 2 or limits.reduces_when_halted == 1):
            return None
        if who.halt_day:
            return 29, limits.daily_loss, who.day_start - self.equity(who)
        if who.halt_drawdown:
            return 30, limits.drawdown, self.drawdown(who)
        if who.reducing:
            return 30, limits.reduce, self.drawdown(who)
        return None

    def _aggregate(self, c, i, side, lots):
        for group in self.groups:
            if c not in group.members:
                continue
            gross = most = least = up = down = 0
            for m in group.members:
                who = self.contenders[m]
                mine = lots if m == c else 0
                one = self.sums(who, i, side, mine)
                gross, most, least = gross + one[0], most + one[1], least + one[2]
                cell = who.cells[i]
                up += cell.position + cell.buy + (mine if side > 0 else 0)
                down += cell.position - cell.sell - (mine if side < 0 else 0)
            net, single = max(most, -least), max(up, -down) * self.unit(i)
            limits = group.limits
            for rule, limit, actual in (
                (32, limits.gross, gross),
                (33, limits.net, net),
                (34, limits.instrument, single),
            ):
                if 0 <= limit < actual:
                    return rule, limit, actual
        return None

    # What changes the state.

    def hold(self, c, i, side, price, before, after):
        who = self.contenders[c]
        if side > 0:
            who.cells[i].buy += after - before
            who.reserved += self.cost(i, after, price) - self.cost(i, before, price)
        else:
            who.cells[i].sell += after - before
        who.open += (after > 0) - (before > 0)

    def fill(self, c, i, side, lots, price, fee):
        who = self.contenders[c]
        value = lots * price * self.instruments[i].tick_value
        who.cash -= side * value + fee
        who.traded += value
        who.fills += 1
        who.cells[i].position += side * lots
        who.unjudged = True

    def pay(self, c, amount):
        self.contenders[c].cash += amount
        self.contenders[c].unjudged = True

    def split(self, i, numerator, denominator):
        it = self.instruments[i]
        if it.mark:
            it.mark = max(it.mark * denominator // numerator, 1)
        for who in self.contenders:
            cell = who.cells[i]
            sign = 1 if cell.position >= 0 else -1
            cell.position = sign * (abs(cell.position) * numerator // denominator)

    def lift(self, c):
        who = self.contenders[c]
        who.halt_runaway = who.halt_drawdown = who.reducing = False
        who.peak = self.equity(who)

    def begin_day(self, day):
        changes = []
        if day > self.day:
            self.day = day
            for c, who in enumerate(self.contenders):
                former = who.state()
                who.day_start = self.equity(who)
                who.messages = who.orders = who.fills = who.traded = 0
                who.halt_day = False
                self._changed(c, former, (0, 0, 0), changes)
        return changes

    def mark(self, i, price, at, day):
        changes = self.begin_day(day)
        self.instruments[i].mark, self.instruments[i].mark_at = price, at
        for c, who in enumerate(self.contenders):
            cell = who.cells[i]
            if cell.position or cell.buy or cell.sell or who.unjudged:
                self._judge(c, changes)
        for group in self.groups:
            limit = group.limits.daily_loss
            members = [(c, self.contenders[c]) for c in group.members]
            if limit < 0:
                continue
            loss = sum(who.day_start - self.equity(who) for _, who in members)
            for c, who in members:
                if loss >= limit and not who.halt_day:
                    former = who.state()
                    who.halt_day = True
                    self._changed(c, former, (29, limit, loss), changes)
        return changes

    def _judge(self, c, changes):
        who = self.contenders[c]
        limits, equity = who.limits, self.equity(who)
        loss = who.day_start - equity
        who.unjudged = False
        who.peak = max(who.peak, equity)
        fall = self.drawdown(who)
        former = who.state()
        if 0 <= limits.daily_loss <= loss:
            who.halt_day = True
            self._changed(c, former, (29, limits.daily_loss, loss), changes)
            former = who.state()
        if 0 <= limits.drawdown <= fall:
            who.halt_drawdown = True
            self._changed(c, former, (30, limits.drawdown, fall), changes)
            former = who.state()
        if limits.reduce >= 0:
            who.reducing = fall >= limits.reduce
            self._changed(c, former, (30, limits.reduce, fall), changes)

    def _changed(self, c, former, why, changes):
        state = self.contenders[c].state()
        if state != former:
            changes.append((c, former, state, *why))

    def apply(self, row) -> Answer:
        """Apply one row of `native.gate.Gate.apply`."""
        operation, c, i, side, kind, tif, lots, price, now, decided = row
        if operation == 1:
            answer = self.check(c, i, side, kind, tif, lots, price, now, decided)
            if answer == PASS:
                self.hold(c, i, side, price or self.hold_price(c, i), 0, lots)
            return answer
        if operation == 2:
            self.hold(c, i, side, price, lots, 0)
        elif operation == 3:
            self.fill(c, i, side, lots, price, now)
        else:
            return len(self.mark(i, price, now, decided)), 0, 0
        return PASS

    def reading(self):
        """Return all that the compiled gate shows of its state."""
        return [
            (
                self.equity(who), who.cash, who.reserved, who.state(), who.peak, who.day_start,
                [(cell.position, cell.buy, cell.sell) for cell in who.cells],
            )
            for who in self.contenders
        ]  # fmt: skip
