"""The compiled gate does what the gate by hand does, one operation at a time."""

import gate_oracle
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from titanflow.native.gate import Gate

CONTENDERS, INSTRUMENTS = 3, 2
SECOND = 10**9
CASH = 10**6

contenders = st.integers(0, CONTENDERS - 1)
instruments = st.integers(0, INSTRUMENTS - 1)
sides = st.sampled_from([1, -1])
unset = st.just(-1)
small = st.one_of(unset, st.integers(0, 30))
money = st.one_of(unset, unset, st.integers(0, 10**6))
bps = st.one_of(unset, unset, st.integers(1, 12_000))
# Mostly the sizes of trading, sometimes the edge of what fits.
lots = st.one_of(st.integers(1, 60), st.integers(-2, 600), st.integers(-(2**62), 2**62))
prices = st.one_of(st.integers(80, 120), st.integers(-1, 300), st.integers(0, 2**62))

cells = st.tuples(
    st.one_of(unset, st.just(SECOND)), small, st.one_of(unset, st.integers(5, 300)), money, money,
    bps, st.one_of(unset, st.just(20 * SECOND)), st.one_of(unset, st.integers(1, 6)),
    st.one_of(unset, st.integers(1, 500)), money, bps, st.integers(0, 1),
    st.sampled_from([-1, 3, 3, 1, 2]), st.sampled_from([-1, 15, 15, 7]),
    st.sampled_from([1, 1, 1, 0]),
)  # fmt: skip
laws = st.tuples(
    st.one_of(unset, st.integers(1, 5)), st.one_of(unset, st.integers(1, 5)),
    st.one_of(unset, st.integers(3, 40)), unset, money, money, bps, money, bps, money,
    st.one_of(unset, st.integers(1, 500)), st.one_of(unset, st.integers(100, 2_000)),
    st.integers(0, 1),
)  # fmt: skip
houses = st.tuples(money, money, money, money, st.one_of(unset, st.integers(1, 5)))
facts = st.tuples(
    st.sampled_from([1, 7]), st.integers(1, 3), st.sampled_from([0, 500]),
    st.sampled_from([0, 300]), st.sampled_from([0, 1_000]), st.integers(0, 3), st.integers(0, 20),
)  # fmt: skip


class GateMachine(RuleBasedStateMachine):
    @initialize(data=st.data())
    def begin(self, data):
        self.now, self.open, self.duplicate = 50_000 * SECOND, [], False
        self.fast = Gate(CONTENDERS, INSTRUMENTS, 2)
        self.paper = gate_oracle.Gate(CONTENDERS, INSTRUMENTS, 2)
        for i in range(INSTRUMENTS):
            self.tell("set_instrument", i, data.draw(facts))
        for c in range(CONTENDERS):
            enabled = c < 2 or data.draw(st.booleans())
            self.tell("set_contender", c, data.draw(laws), CASH, enabled)
            for i in range(INSTRUMENTS):
                self.tell("set_limits", c, i, data.draw(cells))
        self.tell("set_group", 0, data.draw(houses), [0, 1])
        self.tell("set_group", 1, data.draw(houses), [0, 1, 2])
        self.both("mark", 0, 100, self.now, 0)
        self.both("mark", 1, 90, self.now, 0)

    def tell(self, verb, *arguments):
        for gate in (self.paper, self.fast):
            getattr(gate, verb)(*arguments)

    def both(self, verb, *arguments):
        expected = getattr(self.paper, verb)(*arguments)
        assert expected == getattr(self.fast, verb)(*arguments)
        return expected

    def agree_on_numbers(self):
        assert (self.paper.limit, self.paper.actual) == (self.fast.limit, self.fast.actual)

    @rule(
        c=contenders,
        i=instruments,
        side=st.sampled_from([1, -1, 1, -1, 0]),
        kind=st.integers(0, 1),
        tif=st.integers(0, 3),
        n=lots,
        price=prices,
        age=st.integers(0, 1_100_000_000),
        duplicate=st.sampled_from([False, False, False, True]),
    )
    def order(self, c, i, side, kind, tif, n, price, age, duplicate):
        price = price * kind if age % 7 else price
        columns = (c, i, side, kind, tif, n, price, self.now, self.now - age, duplicate)
        if self.both("check", *columns) == 0:
            held_at = price or self.both("hold_price", c, i)
            self.tell("hold", c, i, side, held_at, 0, n)
            self.open.append((c, i, side, held_at, n))
        self.agree_on_numbers()

    @rule(c=contenders, i=instruments, side=sides, n=st.integers(1, 40), away=st.integers(-5, 5))
    def small_order(self, c, i, side, n, away):
        self.order(c, i, side, 1, 1, n, max(self.paper.marks[i] + away, 1), 0, False)

    @rule(pick=st.integers(0, 99), part=st.integers(1, 60), price=st.integers(60, 140))
    def fill(self, pick, part, price):
        if not self.open:
            return
        c, i, side, held_at, n = self.open.pop(pick % len(self.open))
        part = min(part, n)
        self.tell("hold", c, i, side, held_at, n, n - part)
        if n > part:
            self.open.append((c, i, side, held_at, n - part))
        self.both("begin_day", self.now // (100 * SECOND))
        self.tell("fill", c, i, side, part, price, part % 7 - 1)

    @rule(pick=st.integers(0, 99))
    def release(self, pick):
        if self.open:
            c, i, side, held_at, n = self.open.pop(pick % len(self.open))
            self.tell("hold", c, i, side, held_at, n, 0)

    @rule(pick=st.integers(0, 99), price=st.integers(60, 140))
    def reprice(self, pick, price):
        if self.open:
            c, i, side, held_at, n = self.open.pop(pick % len(self.open))
            self.tell("hold", c, i, side, held_at, n, 0)
            self.tell("hold", c, i, side, price, 0, n)
            self.open.append((c, i, side, price, n))

    @rule(i=instruments, price=st.integers(50, 150))
    def mark(self, i, price):
        self.both("mark", i, price, self.now, self.now // (100 * SECOND))

    @rule(seconds=st.integers(0, 30))
    def wait(self, seconds):
        self.now += seconds * SECOND // 4

    @rule(c=contenders, amount=st.integers(-(10**5), 10**5))
    def pay(self, c, amount):
        self.tell("pay", c, amount)

    @rule(i=instruments, numerator=st.integers(1, 5), denominator=st.integers(1, 5))
    def split(self, i, numerator, denominator):
        self.tell("split", i, numerator, denominator)

    @rule(c=contenders, i=instruments, side=sides, n=st.integers(0, 50))
    def ask_for_risk(self, c, i, side, n):
        self.both("check_risk", c, i, side, n)
        self.agree_on_numbers()

    @rule(c=contenders)
    def cancel(self, c):
        self.both("check_cancel", c, self.now)
        self.agree_on_numbers()

    @rule(
        arena=st.sampled_from([False, False, True]),
        stopped=st.lists(st.integers(0, 1), min_size=CONTENDERS, max_size=CONTENDERS),
        closed=st.lists(st.integers(0, 1), min_size=INSTRUMENTS, max_size=INSTRUMENTS),
    )
    def switch(self, arena, stopped, closed):
        self.tell("set_killed", arena, stopped, closed)

    @rule()
    def switch_off(self):
        self.tell("set_killed", False, [0] * CONTENDERS, [0] * INSTRUMENTS)

    @rule(c=contenders)
    def stop_runaway(self, c):
        self.both("halt_runaway", c)

    @rule(c=contenders)
    def lift(self, c):
        self.tell("lift", c)

    @rule()
    def reload(self):
        snapshot = self.fast.dump()
        arrays = self.fast.arrays
        self.fast = Gate(CONTENDERS, INSTRUMENTS, 2)
        for name in ("cell_limits", "limits", "group_limits", "facts", "member"):
            self.fast.arrays[name][...] = arrays[name]
        self.fast.load(snapshot)

    @invariant()
    def agree(self):
        if not hasattr(self, "fast"):
            return
        self.fast.validate()
        assert self.paper.digest() == self.fast.digest()
        for c in range(CONTENDERS):
            assert self.paper.trading_state(c) == self.fast.trading_state(c)
            assert self.paper.equity(c) == self.fast.equity(c)


GateMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=50)
TestGateMachine = GateMachine.TestCase


def test_batch_equals_one_by_one():
    rng = np.random.default_rng(1)
    batch, single = Gate(2, 2), Gate(2, 2)
    for gate in (batch, single):
        for i in range(2):
            gate.set_instrument(i, (7, 1, 0, 0, 10, 0, 0))
        for c in range(2):
            gate.set_contender(c, [-1] * 12 + [1], 10**6, True)
    rows = np.zeros((4_000, 10), np.int64)
    rows[:, 0] = np.where(rng.random(4_000) < 0.9, 1, 4)
    rows[:2, 0], rows[:2, 2] = 4, (0, 1)
    rows[2:, 1:3] = rng.integers(0, 2, (3_998, 2))
    rows[:, 3], rows[:, 4] = rng.choice([1, -1], 4_000), 1
    rows[:, 6], rows[:, 7] = rng.integers(1, 90, 4_000), rng.integers(80, 120, 4_000)

    answers = batch.apply(rows)

    for row, answer in zip(rows.tolist(), answers.tolist(), strict=True):
        op, c, i, side, kind, tif, lots, price, now, decided = row
        if op == 4:
            assert answer[0] == len(single.mark(i, price, now, decided))
            continue
        assert answer[0] == single.check(c, i, side, kind, tif, lots, price, now, decided, False)
        if answer[0]:
            assert answer[1:] == [single.limit, single.actual]
        else:
            assert answer[1:] == [price, 0]
            single.hold(c, i, side, price, 0, lots)
    assert 100 < (answers[:, 0] == 0).sum() < 3_900
    assert single.digest() == batch.digest()


@pytest.mark.parametrize("column", range(6))
def test_a_batch_with_a_row_that_makes_no_sense_changes_nothing(column):
    gate = Gate(2, 2)
    rows = np.zeros((3, 10), np.int64)
    rows[:, 0], rows[:, 3], rows[:, 6], rows[:, 7] = 4, 1, 1, 100
    rows[2, column] = 9
    before = gate.digest()

    with pytest.raises(ValueError, match="operation 2 makes no sense"):
        gate.apply(rows)

    assert before == gate.digest()


def test_a_snapshot_of_another_kind_of_gate_is_refused():
    gate, other = Gate(2, 3), Gate(3, 2)
    before = gate.digest()
    for wrong in (other.dump(), gate.dump()[:-8], b"", b"x" * len(gate.dump())):
        with pytest.raises(ValueError, match="snapshot"):
            gate.load(wrong)

    assert before == gate.digest()


@pytest.mark.parametrize("column", ["position", "value", "gross", "up", "down", "working", "group"])
def test_a_sum_that_is_wrong_is_found(column):
    gate = Gate(1, 1, 1)
    gate.set_instrument(0, (7, 1, 0, 0, 0, 0, 0))
    gate.set_contender(0, [-1] * 12 + [1], 10**9, True)
    gate.set_group(0, [-1] * 5, [0])
    gate.mark(0, 100, 0, 0)
    gate.hold(0, 0, 1, 100, 0, 5)
    gate.fill(0, 0, 1, 3, 100, 0)
    gate.validate()

    if column == "position":
        gate.arrays["cells"][0, 0] += 1
    elif column == "group":
        gate.arrays["group_state"][0, 0] += 1
    else:
        place = {"value": 4, "gross": 5, "up": 6, "down": 7, "working": 21}[column]
        gate.arrays["state"][0, place] += 1

    with pytest.raises(AssertionError, match="sum"):
        gate.validate()
