"""A million operations, and the gate by hand agrees after every hundred."""

import gate_oracle
import numpy as np

from titanflow.native.gate import Gate

SEED = 20_261_124
OPERATIONS, BATCH = 1_000_000, 100
CONTENDERS, INSTRUMENTS, GROUPS = 6, 2, 2
SECOND, DAY = 10**9, 86_400 * 10**9
TICK_VALUES = (1_000_000, 25_000)
CASH = 10**13


def test_a_million_operations_agree_with_the_gate_by_hand():
    rng = np.random.default_rng(SEED)
    fast = Gate(CONTENDERS, INSTRUMENTS, GROUPS)
    paper = gate_oracle.Gate(CONTENDERS, INSTRUMENTS, GROUPS)
    for gate in (fast, paper):
        set_up(gate)
    tape = Tape(rng)
    seen = np.zeros(len(gate_oracle.RULES), np.int64)

    for n in range(OPERATIONS // BATCH):
        rows = tape.rows(n)
        answers = fast.apply(rows)
        assert paper.apply(rows.tolist()) == answers.tolist(), f"seed {SEED}, batch {n}"
        tape.learn(rows, answers)
        tape.between(n, fast, paper)
        assert paper.digest() == fast.digest(), f"seed {SEED}, batch {n}"
        checks = answers[rows[:, 0] == 1, 0]
        seen += np.bincount(checks, minlength=len(seen))
    fast.validate()
    untouched = {gate_oracle.RULES[k] for k in np.flatnonzero(seen < 20)}
    # A batch has no duplicates and no accounts that are off; risk's orders have their own call.
    outside = {"kill_arena", "kill_scope", "account", "duplicate", "runaway", "not_reducing"}
    assert untouched == outside


def set_up(gate):
    for i, tick_value in enumerate(TICK_VALUES):
        facts = (tick_value, 1, 5_000 * (1 - i), 5 * 10**9, 1_000, 10**4, 10**6)
        gate.set_instrument(i, facts)
    for c in range(CONTENDERS):
        for i in range(INSTRUMENTS):
            cell = [SECOND, 2, 900 - 100 * c, 6 * 10**9, 10**12 - c * 10**11, 800, 3 * SECOND, 8]
            cell += [
                2_500,
                25 * 10**11,
                4_000 if c < 5 else -1,
                int(c % 2),
                3 - c % 2,
                15 - c // 5,
                int((c, i) != (4, 1)),
            ]
            gate.set_limits(c, i, cell)
        limits = [
            5,
            8,
            2_000 if c else 500,
            1 if c == 4 else -1,
            3 * 10**12,
            2 * 10**12,
            9_000,
            10**12,
        ]
        limits += [60_000, 2 * 10**11, 300, 900, int(c != 3)]
        free = [-1] * 12 + [1]
        gate.set_contender(c, limits if c < 5 else free, CASH // (1 + c % 3), True)
    gate.set_group(0, (4 * 10**12, 25 * 10**11, 2 * 10**12, 3 * 10**11, 13), [0, 1, 2])
    gate.set_group(1, (9 * 10**12, -1, 4 * 10**12, -1, -1), range(CONTENDERS))


class Tape:
    """Random operations that make sense: what is released or filled was held before."""

    def __init__(self, rng):
        self.rng, self.now, self.open = rng, 20_000 * DAY, []
        self.price = [10_000, 40_000]
        self.fresh = []

    def rows(self, n):
        rows = np.zeros((BATCH, 10), np.int64)
        what = self.rng.choice([1, 2, 3, 4], BATCH, p=[0.6, 0.1, 0.2, 0.1])
        drawn = self.rng.integers(0, 2**62, (BATCH, 6)).tolist()
        for k, draw in enumerate(drawn):
            self.now += draw[0] % (SECOND // 20)
            c, i = draw[1] % CONTENDERS, draw[1] // 8 % INSTRUMENTS
            rows[k, :3] = what[k], c, i
            if what[k] in (2, 3) and self.open:
                self.release(rows[k], what[k], draw[2])
            elif what[k] == 4:
                # It returns to where it began, else everyone is broke in the end.
                start, step = (10_000, 40_000)[i], draw[2] % 201 - 100
                self.price[i] = self.price[i] * (10_000 + step) // 10_000
                self.price[i] += (start - self.price[i]) // 500
                if n % 60 < 2:
                    self.price[i] = self.price[i] * 95 // 100
                rows[k, 7:] = self.price[i], self.now, self.now // DAY
            else:
                rows[k] = self.order(c, i, draw[2:])
        if n % 40 == 0:
            self.now += DAY // 3
        return rows

    def order(self, c, i, draw):
        price = self.price[i] * (10_000 + draw[0] % 2_001 - 1_000) // 10_000
        kind, lots = int(draw[1] % 5 > 0), draw[2] % 40
        side = draw[1] // 8 % 2 * 2 - 1
        if draw[0] % 11 == 0:
            lots = lots**2 // 2
        if draw[0] % 301 == 0:
            lots = 2 ** (draw[1] % 62) * (draw[2] % 4 - 1)
        if draw[0] % 307 == 0:
            price = draw[1] - 2**61
        if draw[0] % 311 == 0:
            side, kind = 0, 1 - kind
        age = draw[3] % 1_050_000_000
        tif = draw[1] // 64 % 4
        return 1, c, i, side, kind, tif, lots, price * kind, self.now, self.now - age

    def release(self, row, what, k):
        """Take an open order: release it, or turn it into a fill with a release before it."""
        c, i, side, price, lots = self.open.pop(k % len(self.open))
        row[:] = 2, c, i, side, 0, 0, lots, price, self.now, 0
        if what == 3:
            self.fresh.append((c, i, side, lots, price))

    def learn(self, rows, answers):
        """Remember what was held, and at which price."""
        for row, answer in zip(rows.tolist(), answers.tolist(), strict=True):
            if row[0] == 1 and answer[0] == 0:
                self.open.append((row[1], row[2], row[3], answer[1], row[6]))

    def between(self, n, fast, paper):
        rng = self.rng
        assert paper.begin_day(self.now // DAY) == fast.begin_day(self.now // DAY)
        for c, i, side, lots, price in self.fresh:
            fee = int(rng.integers(-5, 10**6))
            for gate in (fast, paper):
                gate.fill(c, i, side, lots, price, fee)
        self.fresh.clear()
        c, i = n % CONTENDERS, n % INSTRUMENTS
        amount = int(rng.integers(-(10**9), 10**9))
        for gate in (fast, paper):
            gate.pay(c, amount)
        held, lots = fast.position(c, i), int(rng.integers(1, 30))
        for side in (1, -1):
            assert paper.check_risk(c, i, side, lots) == fast.check_risk(c, i, side, lots)
        assert paper.check_cancel(c, self.now) == fast.check_cancel(c, self.now)
        assert paper.cells[c][i].held == held
        if n % 40 == 0:
            for gate in (fast, paper):
                for each in range(CONTENDERS):
                    gate.lift(each)
