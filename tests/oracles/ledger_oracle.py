"""The ledger as one would write it on paper: dicts, unlimited integers, no cleverness.

It answers like `titanflow.native.ledger.Ledger`, has the same digest, and shares no code with it.
"""

from __future__ import annotations

from hashlib import blake2b

LIMIT = 2**62
ACCOUNTS = ("Capital", "Cash", "Inventory", "Realised", "Fees", "Borrow", "Dividends")
CAPITAL, CASH, INVENTORY, REALISED, FEES, BORROW, DIVIDENDS = range(7)


def toward_zero(top: int, bottom: int) -> int:
    size = abs(top) // abs(bottom)
    return size if (top >= 0) == (bottom > 0) else -size


def fits(*values: int) -> None:
    for value in values:
        if abs(value) > LIMIT:
            raise OverflowError(value)


class Ledger:
    def __init__(self, contenders, tick_values, lot_sizes):
        self.contenders, self.instruments = contenders, len(tick_values)
        self.tick_values, self.lot_sizes = list(tick_values), list(lot_sizes)
        self.marks = [0] * self.instruments
        self.books = [dict.fromkeys(range(7), 0) for _ in range(contenders)]
        self.lots = [[0] * self.instruments for _ in range(contenders)]
        self.costs = [[0] * self.instruments for _ in range(contenders)]

    def deposit(self, c, amount):
        fits(self.books[c][CASH] + amount, self.books[c][CAPITAL] - amount)
        return self.post([(c, CASH, CAPITAL, amount, 0)])

    def fill(self, c, i, side, lots, price, fee):
        held, cost, tick = self.lots[c][i], self.costs[c][i], self.tick_values[i]
        value = lots * price * tick
        closed = min(abs(held), lots) if held * side < 0 else 0
        released = toward_zero(cost * closed, abs(held)) if closed else 0
        received = -side * closed * price * tick
        gain = received - released
        new_lots = held + side * lots
        new_cost = cost - released + side * (lots - closed) * price * tick
        books = self.books[c]
        fits(value, fee, new_lots, new_cost, gain, new_lots * self.marks[i] * tick)
        fits(books[CASH] - side * value, books[CASH] - side * value - fee)
        fits(books[INVENTORY] + new_cost - cost, books[REALISED] - gain, books[FEES] + fee)
        self.lots[c][i], self.costs[c][i] = new_lots, new_cost
        entries = [(c, INVENTORY, CASH, side * value, side * lots)]
        if gain:
            entries.append((c, INVENTORY, REALISED, gain, 0))
        if fee:
            entries.append((c, FEES, CASH, fee, 0))
        return self.post(entries)

    def mark(self, i, price):
        fits(*(row[i] * price * self.tick_values[i] for row in self.lots))
        self.marks[i] = price

    def split(self, i, num, den):
        mark, tick = self.marks[i], self.tick_values[i]
        new_mark = max(1, mark * den // num) if mark else 0
        fits(mark * den // num)
        plans = []
        for c in range(self.contenders):
            held = self.lots[c][i]
            if not held:
                continue
            whole = toward_zero(held * num, den)
            rest = held * num - whole * den
            released = toward_zero(self.costs[c][i] * rest, held * num)
            lieu = (rest * mark * tick) // num if mark else released
            books = self.books[c]
            fits(whole, whole * new_mark * tick, lieu, books[CASH] + lieu)
            fits(books[INVENTORY] - released, books[REALISED] + released - lieu)
            plans.append((c, whole, lieu, released))
        entries = []
        for c, whole, lieu, released in plans:
            change = whole - self.lots[c][i]
            self.lots[c][i] = whole
            self.costs[c][i] -= released
            if change or lieu:
                entries.append((c, CASH, INVENTORY, lieu, change))
            if lieu != released:
                entries.append((c, INVENTORY, REALISED, lieu - released, 0))
        self.marks[i] = new_mark
        return self.post(entries)

    def dividend(self, i, amount):
        return self.pay(
            DIVIDENDS, [row[i] * self.lot_sizes[i] * amount // 10**8 for row in self.lots]
        )

    def borrow(self, i, bps, days):
        return self.pay(
            BORROW,
            [
                self.position_value(c, i) * bps * days // (10_000 * 365)
                if self.lots[c][i] < 0
                else 0
                for c in range(self.contenders)
            ],
        )

    def pay(self, account, amounts):
        for books, amount in zip(self.books, amounts, strict=True):
            fits(amount, books[CASH] + amount, books[account] - amount)
        return self.post(
            [(c, CASH, account, amount, 0) for c, amount in enumerate(amounts) if amount]
        )

    def post(self, entries):
        out = []
        for c, debit, credit, amount, lots in entries:
            self.books[c][debit] += amount
            self.books[c][credit] -= amount
            if amount >= 0:
                out.append((c, debit, credit, amount, lots))
            else:
                out.append((c, credit, debit, -amount, lots))
        return tuple(out)

    def position_value(self, c, i):
        if not self.marks[i]:
            return self.costs[c][i]
        return self.lots[c][i] * self.marks[i] * self.tick_values[i]

    def equity(self, c):
        total = self.books[c][CASH]
        for i in range(self.instruments):
            total += self.position_value(c, i)
            fits(total)
        return total

    def digest(self):
        numbers = [1, self.contenders, self.instruments]
        numbers += self.tick_values + self.lot_sizes + self.marks
        for books in self.books:
            numbers += [books[account] for account in range(7)]
        for table in (self.lots, self.costs):
            for row in table:
                numbers += row
        raw = b"".join(n.to_bytes(8, "little", signed=True) for n in numbers)
        return blake2b(raw, digest_size=32).digest()
