"""The gate as one would do it by hand: every sum is added up anew whenever it is asked for.

It answers like `titanflow.native.gate.Gate`, has the same digest, and shares no code with it.
Numbers are unlimited here; VALUE and TICKS are where the compiled gate stops counting.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

VALUE, TICKS, MONEY = 2**60, 2**46, 2**62
SECOND, BPS = 10**9, 10_000
RULES = (  # noqa: SIM905 - it reads better
    "pass kill_arena kill_scope account instrument duplicate stale rate per_day order_ratio "
    "group_rate unsupported quantity price reference collar min_notional clip_size max_notional "
    "open_orders position_lots position_notional concentration gross net turnover cash leverage "
    "short daily_loss drawdown runaway group_gross group_net group_instrument not_reducing range"
).split()
NUMBER = {name: number for number, name in enumerate(RULES)}


class CellLimits(NamedTuple):
    age: int
    min_lots: int
    max_lots: int
    min_notional: int
    max_notional: int
    collar: int
    reference_age: int
    open_orders: int
    position_lots: int
    position_notional: int
    concentration: int
    short: int
    types: int
    tifs: int
    tradable: int


class Limits(NamedTuple):
    rate: int
    burst: int
    per_day: int
    ratio: int
    gross: int
    net: int
    leverage: int
    free_cash: int
    turnover: int
    daily_loss: int
    reduce: int
    drawdown: int
    reduces_when_halted: int


class GroupLimits(NamedTuple):
    gross: int
    net: int
    instrument: int
    daily_loss: int
    rate: int


class Facts(NamedTuple):
    tick_value: int
    min_lots: int
    max_lots: int
    min_notional: int
    fee_ppm: int
    fee_lot: int
    fee_order: int


class Order(NamedTuple):
    c: int
    i: int
    side: int
    kind: int
    tif: int
    lots: int
    price: int
    now: int
    decided: int
    duplicate: int


def up_div(value, by):
    return -(-value // by)


def part(money, bps):
    return min(money * bps // BPS, MONEY) if money > 0 else 0


class Cell:
    def __init__(self):
        self.held = self.buy = self.sell = 0
        self.limits = CellLimits(*[-1] * 15)


class Contender:
    def __init__(self):
        self.limits = Limits(*[-1] * 13)
        self.enabled = False
        self.cash = self.reserved = self.open_orders = self.peak = self.day_start = 0
        self.messages = self.orders = self.fills = self.traded = 0
        self.tokens = self.refilled = 0
        self.killed = self.halt_day = self.halt_drawdown = self.halt_runaway = self.reducing = 0
        self.touched = 0


class Group:
    def __init__(self):
        self.limits, self.members = GroupLimits(*[-1] * 5), []
        self.tokens = self.refilled = 0


class Gate:
    def __init__(self, contenders, instruments, groups=0):
        self.people = [Contender() for _ in range(contenders)]
        self.facts = [Facts(*[0] * 7)] * instruments
        self.cells = [[Cell() for _ in range(instruments)] for _ in range(contenders)]
        self.groups = [Group() for _ in range(groups)]
        self.marks, self.mark_at = [0] * instruments, [0] * instruments
        self.killed, self.arena_killed, self.day = [0] * instruments, 0, -1
        self.limit = self.actual = 0

    def set_instrument(self, i, columns):
        self.facts[i] = Facts(*columns)

    def set_limits(self, c, i, columns):
        self.cells[c][i].limits = CellLimits(*columns)

    def set_contender(self, c, columns, cash, enabled):
        person = self.people[c]
        person.limits, person.enabled = Limits(*columns), enabled
        person.cash = person.peak = person.day_start = cash
        person.tokens = max(person.limits.burst, 0) * SECOND

    def set_group(self, g, columns, members):
        self.groups[g].limits, self.groups[g].members = GroupLimits(*columns), list(members)
        self.groups[g].tokens = max(self.groups[g].limits.rate, 0) * SECOND

    def set_killed(self, arena, contenders, instruments):
        self.arena_killed, self.killed = int(arena), list(instruments)
        for person, killed in zip(self.people, contenders, strict=True):
            person.killed = killed

    def halt_runaway(self, c):
        former, self.people[c].halt_runaway = self.people[c].halt_runaway, 1
        return bool(former)

    def lift(self, c):
        person = self.people[c]
        person.halt_runaway = person.halt_drawdown = person.reducing = 0
        person.peak = self.equity(c)

    # Sums, added up anew each time.

    def unit(self, i):
        return self.marks[i] * self.facts[i].tick_value

    def value(self, c):
        return sum(cell.held * self.unit(i) for i, cell in enumerate(self.cells[c]))

    def equity(self, c):
        return self.people[c].cash + self.value(c)

    def working(self, c):
        return sum((x.buy + x.sell) * self.unit(i) for i, x in enumerate(self.cells[c]))

    def reach(self, c, i, order=None):
        """Most and least lots of one cell, with *order* on top if it is of this cell."""
        cell = self.cells[c][i]
        up, down = cell.held + cell.buy, cell.held - cell.sell
        if order is not None and (order.c, order.i) == (c, i):
            up += order.lots if order.side > 0 else 0
            down -= order.lots if order.side < 0 else 0
        return up, down

    def worth(self, c, i, order=None):
        up, down = self.reach(c, i, order)
        return max(up, -down) * self.unit(i), up * self.unit(i), down * self.unit(i)

    def exposure(self, people, instruments, order=None):
        """Gross, and net on its worse side, of some contenders in some instruments."""
        rows = [self.worth(c, i, order) for c in people for i in instruments]
        gross, up, down = (sum(column) for column in zip(*rows, strict=True))
        return gross, max(up, -down)

    def cost(self, i, lots, price):
        facts = self.facts[i]
        if lots == 0:
            return 0
        value = lots * price * facts.tick_value
        value = MONEY if value > VALUE else value
        fees = up_div(value * facts.fee_ppm, 10**6) + lots * facts.fee_lot + facts.fee_order
        return min(value + fees, MONEY)

    def hold_price(self, c, i):
        collar = self.cells[c][i].limits.collar
        collar = collar if 0 <= collar <= 500 else 500
        return self.marks[i] + up_div(self.marks[i] * collar, BPS)

    def trading_state(self, c):
        person = self.people[c]
        if person.halt_day or person.halt_drawdown or person.halt_runaway:
            return 2
        return 1 if person.reducing else 0

    def drawdown(self, c):
        peak = self.people[c].peak
        fall = peak - self.equity(c)
        return up_div(fall * BPS, peak) if peak > 0 and fall > 0 else 0

    def group_loss(self, group):
        return sum(self.people[c].day_start - self.equity(c) for c in group.members)

    # Checks: each yields (rule, limit, actual) for what it would refuse; the first one counts.

    def check(self, *columns):
        order = Order(*columns)
        found = next(self.refusals(order), ("pass", 0, 0))
        rule, self.limit, self.actual = found
        if rule == "pass":
            self.people[order.c].orders += 1
        return NUMBER[rule]

    def check_cancel(self, c, now):
        if not self.people[c].enabled:
            found = ("account", 0, 0)
        else:
            found = self.message(c, now, cancels=True) or ("pass", 0, 0)
        rule, self.limit, self.actual = found
        return NUMBER[rule]

    def check_risk(self, c, i, side, lots):
        order = Order(c, i, side, 0, 0, lots, 0, 0, 0, False)
        self.limit = self.actual = 0
        if self.marks[i] == 0:
            return NUMBER["reference"]
        if not 0 < lots <= VALUE or not self.reduces(order):
            self.limit, self.actual = self.cells[c][i].held, side * lots
            return NUMBER["not_reducing"]
        return NUMBER["pass"]

    def reduces(self, order):
        cell = self.cells[order.c][order.i]
        if order.side > 0:
            return cell.held < 0 and cell.buy + order.lots <= -cell.held
        return cell.held > 0 and cell.sell + order.lots <= cell.held

    def refusals(self, order):
        yield from self.admission(order)
        yield from self.form(order)
        yield from self.size(order)
        reduces = self.reduces(order)
        if not reduces:
            yield from self.position(order)
            yield from self.credit(order)
        yield from self.halt(order.c, reduces)
        if not reduces:
            yield from self.aggregate(order)

    def admission(self, order):
        person, limits = self.people[order.c], self.cells[order.c][order.i].limits
        throttled = self.message(order.c, order.now)
        if self.arena_killed:
            yield "kill_arena", 0, 0
        if person.killed or self.killed[order.i]:
            yield "kill_scope", 0, 0
        if not person.enabled:
            yield "account", 0, 0
        if limits.tradable == 0:
            yield "instrument", 0, 0
        age = order.now - order.decided
        if order.duplicate:
            yield "duplicate", 0, 0
        if 0 <= limits.age < age:
            yield "stale", limits.age, age
        if throttled:
            yield throttled

    def message(self, c, now, *, cancels=False):
        person = self.people[c]
        limits = person.limits
        person.messages += 1
        burst = max(limits.burst, 1)
        if limits.rate > 0 and not self.token(person, limits.rate, burst, now):
            return "rate", burst, burst + 1
        if 0 <= limits.per_day < person.messages:
            return "per_day", limits.per_day, person.messages
        most = limits.ratio * max(person.fills, 1)
        if 0 <= limits.ratio and person.orders >= max(100, most) and not cancels:
            return "order_ratio", most, person.orders + 1
        for group in self.groups:
            rate = group.limits.rate
            if rate > 0 and c in group.members and not self.token(group, rate, rate, now):
                return "group_rate", rate, rate + 1
        return None

    def token(self, bucket, rate, burst, now):
        if now > bucket.refilled:
            more = bucket.tokens + (now - bucket.refilled) * rate
            bucket.tokens, bucket.refilled = min(more, burst * SECOND), now
        if bucket.tokens < SECOND:
            return False
        bucket.tokens -= SECOND
        return True

    def form(self, order):
        limits, facts = self.cells[order.c][order.i].limits, self.facts[order.i]
        if order.side not in (1, -1):
            yield "unsupported", 0, order.side
        if limits.types >= 0 and not limits.types >> order.kind & 1:
            yield "unsupported", limits.types, order.kind
        if limits.tifs >= 0 and not limits.tifs >> order.tif & 1:
            yield "unsupported", limits.tifs, order.tif
        least, most = max(facts.min_lots, limits.min_lots, 1), facts.max_lots or VALUE
        if order.lots < least:
            yield "quantity", least, order.lots
        if order.lots > most:
            yield "quantity", most, order.lots
        if (order.kind == 0) != (order.price == 0) or order.price < 0:
            yield "price", 1, order.price
        if order.price > TICKS:
            yield "price", TICKS, order.price

    def size(self, order):
        limits, facts = self.cells[order.c][order.i].limits, self.facts[order.i]
        reference, age = self.marks[order.i], order.now - self.mark_at[order.i]
        if reference == 0:
            yield "reference", limits.reference_age, -1
        if 0 <= limits.reference_age < age:
            yield "reference", limits.reference_age, age
        away = abs(order.price - reference) * BPS
        if order.price and 0 <= limits.collar and away > limits.collar * reference:
            yield "collar", limits.collar, min(up_div(away, reference), MONEY)
        notional = order.lots * (order.price or reference) * facts.tick_value
        if notional > VALUE:
            yield "range", VALUE, MONEY
        least = max(facts.min_notional, limits.min_notional)
        if notional < least:
            yield "min_notional", least, notional
        if 0 <= limits.max_lots < order.lots:
            yield "clip_size", limits.max_lots, order.lots
        if 0 <= limits.max_notional < notional:
            yield "max_notional", limits.max_notional, notional
        count = self.people[order.c].open_orders + 1
        if 0 <= limits.open_orders < count:
            yield "open_orders", limits.open_orders, count

    def position(self, order):
        c, i = order.c, order.i
        person, cell = self.people[c], self.cells[c][i]
        equity = self.equity(c)
        up, down = self.reach(c, i, order)
        most, worst = max(up, -down), self.worth(c, i, order)[0]
        if worst > VALUE:
            yield "range", VALUE, MONEY
        if 0 <= cell.limits.position_lots < most:
            yield "position_lots", cell.limits.position_lots, most
        if 0 <= cell.limits.position_notional < worst:
            yield "position_notional", cell.limits.position_notional, worst
        limit = cell.limits.concentration
        if limit >= 0 and worst * BPS > limit * equity:
            yield "concentration", part(equity, limit), worst
        gross, net = self.exposure([c], range(len(self.facts)), order)
        if 0 <= person.limits.gross < gross:
            yield "gross", person.limits.gross, gross
        if 0 <= person.limits.net < net:
            yield "net", person.limits.net, net
        turnover = person.traded + self.working(c) + order.lots * self.unit(i)
        limit = person.limits.turnover
        if limit >= 0 and turnover * BPS > limit * equity:
            yield "turnover", part(equity, limit), turnover

    def credit(self, order):
        c, i = order.c, order.i
        person, equity = self.people[c], self.equity(c)
        free = person.cash - person.reserved - max(person.limits.free_cash, 0)
        cost = self.cost(i, order.lots, order.price or self.hold_price(c, i))
        if order.side > 0 and cost > free:
            yield "cash", free, cost
        leverage = person.limits.leverage if person.limits.leverage >= 0 else BPS
        gross, _ = self.exposure([c], range(len(self.facts)), order)
        if gross * BPS > leverage * equity:
            yield "leverage", part(equity, leverage), gross
        down = self.reach(c, i, order)[1]
        if order.side < 0 and down < 0 and self.cells[c][i].limits.short == 0:
            yield "short", 0, down

    def halt(self, c, reduces):
        person = self.people[c]
        if person.halt_runaway:
            yield "runaway", 0, 0
        if reduces and (self.trading_state(c) < 2 or person.limits.reduces_when_halted == 1):
            return
        if person.halt_day == 1:
            loss = person.day_start - self.equity(c)
            yield "daily_loss", person.limits.daily_loss, loss
        if person.halt_day > 1:
            group = self.groups[person.halt_day - 2]
            yield "daily_loss", group.limits.daily_loss, self.group_loss(group)
        if person.halt_drawdown:
            yield "drawdown", person.limits.drawdown, self.drawdown(c)
        if person.reducing:
            yield "drawdown", person.limits.reduce, self.drawdown(c)

    def aggregate(self, order):
        for group in self.groups:
            if order.c not in group.members:
                continue
            limits = group.limits
            gross, net = self.exposure(group.members, range(len(self.facts)), order)
            if 0 <= limits.gross < gross:
                yield "group_gross", limits.gross, gross
            if 0 <= limits.net < net:
                yield "group_net", limits.net, net
            _, one = self.exposure(group.members, [order.i], order)
            if 0 <= limits.instrument < one:
                yield "group_instrument", limits.instrument, one

    # What changes.

    def hold(self, c, i, side, price, before, after):
        cell, person = self.cells[c][i], self.people[c]
        held = cell.buy if side > 0 else cell.sell
        if before < 0 or after < 0 or held < before:
            raise ValueError("no such hold")
        if side > 0:
            cell.buy += after - before
            person.reserved += self.cost(i, after, price) - self.cost(i, before, price)
        else:
            cell.sell += after - before
        person.open_orders += (after > 0) - (before > 0)

    def fill(self, c, i, side, lots, price, fee):
        value = lots * price * self.facts[i].tick_value
        person = self.people[c]
        person.cash -= side * value + fee
        person.traded += value
        person.fills += 1
        person.touched = 1
        self.cells[c][i].held += side * lots

    def pay(self, c, amount):
        self.people[c].cash += amount
        self.people[c].touched = 1

    def split(self, i, numerator, denominator):
        if self.marks[i]:
            self.marks[i] = max(self.marks[i] * denominator // numerator, 1)
        for person, cells in zip(self.people, self.cells, strict=True):
            cell = cells[i]
            if cell.held:
                size = abs(cell.held) * numerator // denominator
                cell.held = size if cell.held > 0 else -size
                person.touched = 1

    def mark(self, i, price, at, day):
        changes = self.begin_day(day)
        self.marks[i], self.mark_at[i] = price, at
        for c, person in enumerate(self.people):
            cell = self.cells[c][i]
            if cell.held or cell.buy or cell.sell or person.touched:
                person.touched = 0
                self.judge(c, changes)
        for g, group in enumerate(self.groups):
            loss = self.group_loss(group)
            if not 0 <= group.limits.daily_loss <= loss:
                continue
            for c in group.members:
                if not self.people[c].halt_day:
                    self.halt_for(c, "halt_day", 2 + g)(
                        changes, "daily_loss", group.limits.daily_loss, loss
                    )
        return changes

    def begin_day(self, day):
        changes = []
        if day <= self.day:
            return changes
        self.day = day
        for c, person in enumerate(self.people):
            person.day_start = self.equity(c)
            person.messages = person.orders = person.fills = person.traded = 0
            self.halt_for(c, "halt_day", 0)(changes, "pass", 0, 0)
        return changes

    def judge(self, c, changes):
        person, equity = self.people[c], self.equity(c)
        limits = person.limits
        person.peak = max(person.peak, equity)
        loss, fall = person.day_start - equity, self.drawdown(c)
        if 0 <= limits.daily_loss <= loss and not person.halt_day:
            self.halt_for(c, "halt_day", 1)(changes, "daily_loss", limits.daily_loss, loss)
        if 0 <= limits.drawdown <= fall and not person.halt_drawdown:
            self.halt_for(c, "halt_drawdown", 1)(changes, "drawdown", limits.drawdown, fall)
        if limits.reduce >= 0:
            self.halt_for(c, "reducing", int(fall >= limits.reduce))(
                changes, "drawdown", limits.reduce, fall
            )

    def halt_for(self, c, latch, value):
        """Set a latch; return a function that tells the change of state, if there is one."""
        former = self.trading_state(c)
        setattr(self.people[c], latch, value)

        def tell(changes, rule, limit, actual):
            state = self.trading_state(c)
            if state != former or (latch != "reducing" and value):
                changes.append((c, former, state, NUMBER[rule], limit, actual))

        return tell

    def apply(self, rows):
        answers = []
        for op, c, i, side, kind, tif, lots, price, now, decided in rows:
            self.limit = self.actual = rule = 0
            if op == 1:
                rule = self.check(c, i, side, kind, tif, lots, price, now, decided, False)
                if rule == 0:
                    self.limit = price or self.hold_price(c, i)
                    self.hold(c, i, side, self.limit, 0, lots)
            elif op == 2:
                self.hold(c, i, side, price, lots, 0)
            elif op == 3:
                self.fill(c, i, side, lots, price, now)
            else:
                rule = len(self.mark(i, price, now, decided))
            answers.append([rule, self.limit, self.actual])
        return answers

    def digest(self):
        people, width = self.people, range(len(self.facts))
        numbers = [1, len(people), len(self.facts), len(self.groups), self.day, self.arena_killed]
        for i in width:
            for c in range(len(people)):
                cell = self.cells[c][i]
                numbers += [cell.held, cell.buy, cell.sell, cell.held * self.unit(i)]
                numbers += [*self.worth(c, i), (cell.buy + cell.sell) * self.unit(i)]
        groups = self.groups or [Group()]
        sums = [[[self.worth(c, i) for c in group.members] for i in width] for group in groups]
        for rows in sums:
            for cells in rows:
                numbers += [sum(cell[1] for cell in cells), sum(cell[2] for cell in cells)]
        for group, rows in zip(groups, sums, strict=True):
            numbers += [sum(cell[n] for cells in rows for cell in cells) for n in range(3)]
            numbers += [group.tokens, group.refilled]
        numbers += [*self.killed, *self.mark_at, *self.marks]
        for c, p in enumerate(people):
            rows = [self.worth(c, i) for i in width]
            numbers += [int(p.enabled), p.cash, p.reserved, p.open_orders, self.value(c)]
            numbers += [sum(column) for column in zip(*rows, strict=True)]
            numbers += [p.peak, p.day_start, p.messages, p.orders, p.fills, p.traded]
            numbers += [p.tokens, p.refilled, p.killed, p.halt_day, p.halt_drawdown]
            numbers += [p.halt_runaway, p.reducing, self.working(c)]
        numbers += [p.touched for p in people]
        raw = b"".join(n.to_bytes(8, "little", signed=True) for n in numbers)
        return blake2b(raw, digest_size=32).digest()
