"""The compiled gate and the gate on paper, set up alike from a seeded draw of limits."""

from __future__ import annotations

import random

import gate_oracle

from titanflow.native.gate import Gate

DAY = 86_400 * 10**9
MINUTE = 60 * 10**9
CAPITAL = 10**9
PEAK, DAY_START = 8, 9  # columns of the array `state`


def maybe(chance: random.Random, low: int, high: int, odds: float = 0.5) -> int:
    """Return a limit, or -1 for none."""
    return chance.randint(low, high) if chance.random() < odds else -1


def cell(chance: random.Random, odds: float) -> tuple[int, ...]:
    """Return the limits of a contender in an instrument, of a size that orders meet."""
    return (
        maybe(chance, MINUTE // 2, MINUTE, odds), maybe(chance, 1, 5, odds),
        maybe(chance, 60, 95, odds),
        maybe(chance, 1_000, 50_000, odds), maybe(chance, 600_000, 950_000, odds),
        maybe(chance, 100, 900, odds), maybe(chance, 2 * MINUTE, 9 * MINUTE, odds),
        maybe(chance, 3, 12, odds * 0.4), maybe(chance, 100, 300, odds * 0.6),
        maybe(chance, 10**6, 3 * 10**6, odds * 0.6), maybe(chance, 5, 50, odds * 0.6),
        int(chance.random() < 0.7), maybe(chance, 1, 3, odds * 0.4),
        maybe(chance, 1, 15, odds * 0.4),
        int(chance.random() < 0.9),
    )  # fmt: skip


def contender(chance: random.Random) -> tuple[int, ...]:
    """Return the limits of a contender."""
    rate = maybe(chance, 1, 3, 0.3)
    return (
        rate, chance.randint(1, 9) if rate > 0 else -1, maybe(chance, 60, 150, 0.4),
        maybe(chance, 1, 9, 0.6), maybe(chance, 10**6, 9 * 10**6, 0.3),
        maybe(chance, 10**6, 5 * 10**6, 0.3), maybe(chance, 20, 90, 0.3),
        maybe(chance, CAPITAL - 10**7, CAPITAL - 10**6, 0.3), maybe(chance, 5, 60, 0.4),
        maybe(chance, 10_000, 200_000, 0.4), maybe(chance, 1, 3, 0.4), maybe(chance, 4, 9, 0.4),
        int(chance.random() < 0.5),
    )  # fmt: skip


def make_pair(
    chance: random.Random, contenders: int, instruments: int, groups: int, odds: float = 0.5
) -> tuple[Gate, gate_oracle.Gate]:
    """Return a compiled gate and its model with the same limits; *odds* of those of a cell."""
    things = [
        (chance.choice([1, 10]), 1, chance.choice([0, 98]), chance.choice([0, 2_000]),
         chance.choice([0, 250]), chance.choice([0, 3]), chance.choice([0, 7]))
        for _ in range(instruments)
    ]  # fmt: skip
    whos = [(contender(chance), CAPITAL, c != contenders - 1) for c in range(contenders)]
    cells = [[cell(chance, odds) for _ in range(instruments)] for _ in range(contenders)]
    houses = [
        (
            (maybe(chance, 5 * 10**6, 10**7), maybe(chance, 10**6, 9 * 10**6),
             maybe(chance, 10**6, 5 * 10**6), maybe(chance, 10**5, 10**6, 0.3),
             maybe(chance, 1, 2, 0.4)),
            sorted(chance.sample(range(contenders), chance.randint(1, contenders))),
        )
        for _ in range(groups)
    ]  # fmt: skip
    fast = Gate(contenders, instruments, groups)
    for i, columns in enumerate(things):
        fast.set_instrument(i, columns)
    for c, (limits, cash, enabled) in enumerate(whos):
        fast.set_contender(c, limits, cash, enabled)
        for i, columns in enumerate(cells[c]):
            fast.set_limits(c, i, columns)
    for g, (limits, members) in enumerate(houses):
        fast.set_group(g, limits, members)
    return fast, gate_oracle.Gate(things, whos, cells, houses)


def reading(fast: Gate) -> list[tuple[object, ...]]:
    """Return of the compiled gate what `reading` of the model returns."""
    return [
        (
            fast.equity(c), fast.cash(c), fast.reserved(c), fast.trading_state(c),
            int(fast.arrays["state"][c, PEAK]), int(fast.arrays["state"][c, DAY_START]),
            [(fast.position(c, i), *fast.open_lots(c, i)) for i in range(fast.instruments)],
        )
        for c in range(fast.contenders)
    ]  # fmt: skip


class Traffic:
    """A seeded stream of orders, releases, fills and marks that a real desk could send."""

    def __init__(self, chance: random.Random, paper: gate_oracle.Gate) -> None:
        self.chance, self.paper = chance, paper
        self.now = DAY
        self.open: list[tuple[int, int, int, int, int]] = []
        """Contender, instrument, side, price of the hold, lots."""

    def next(self) -> list[int]:
        """Return a row for `apply`; a release or a fill is of an order that is open."""
        chance, draw = self.chance, self.chance.random()
        self.now += int(chance.random() * 2 * 10**9)
        if self.open and (draw < 0.3 or len(self.open) > 60):
            n = int(chance.random() * len(self.open))
            self.open[n], self.open[-1] = self.open[-1], self.open[n]
            c, i, side, price, lots = self.open.pop()
            return [2, c, i, side, 0, 0, lots, price, self.now, 0]
        c = int(chance.random() * len(self.paper.contenders))
        i = int(chance.random() * len(self.paper.instruments))
        mark = self.paper.instruments[i].mark
        if draw > 0.97 or not mark:
            price = min(max((mark or 1_000) + int(chance.random() * 41) - 20, 800), 1_200)
            # A session day is an hour here, so that days are many.
            return [4, c, i, 0, 0, 0, 0, price, self.now, self.now // (60 * MINUTE)]
        side = 1 if chance.random() < 0.5 else -1
        kind = int(chance.random() < 0.7)
        price = mark + int(chance.random() * 60) - 30 if kind else 0
        if chance.random() < 0.01:
            kind, price = chance.choice([(0, 5), (1, 0), (1, -1), (1, 9_999)])
        lots = 1 + int(chance.random() * 100) if chance.random() < 0.99 else 0
        late = int(chance.random() * 40 * 10**9)
        return [1, c, i, side, kind, int(chance.random() * 4), lots, price, self.now,
                self.now - late]  # fmt: skip

    def after(self, row: list[int], rule: int, before: int) -> list[list[int]]:
        """Remember what a check let pass, and return the fill that follows a release half the time.

        *before* is the price at which a market order is held.
        """
        operation, c, i, side, _, _, lots, price, *_ = row
        if operation == 1 and rule == 0:
            self.open.append((c, i, side, price or before, lots))
        if operation == 2 and self.chance.random() < 0.5:
            part = 1 + int(self.chance.random() * lots)
            fee = int(self.chance.random() * 50)
            return [[3, c, i, side, 0, 0, part, self.paper.instruments[i].mark, fee, 0]]
        return []
