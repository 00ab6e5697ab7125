"""The compiled ledger does what the ledger on paper does, refusals included."""

import ledger_oracle
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from titanflow.native.ledger import Ledger

CONTENDERS, INSTRUMENTS = 3, 2

contenders = st.integers(0, CONTENDERS - 1)
instruments = st.integers(0, INSTRUMENTS - 1)
# Mostly the sizes of trading, sometimes the edge of what fits.
lots = st.one_of(st.integers(1, 20), st.integers(1, 10**9), st.integers(2**40, 2**63 - 1))
prices = st.one_of(st.integers(1, 50), st.integers(1, 10**7), st.integers(2**40, 2**63 - 1))
fees = st.one_of(st.integers(-5, 20), st.integers(-(2**63), 2**63 - 1))
ratios = st.one_of(st.integers(1, 10), st.integers(1, 2**31 - 1))


class LedgerMachine(RuleBasedStateMachine):
    @initialize(
        ticks=st.lists(st.integers(1, 10**6), min_size=INSTRUMENTS, max_size=INSTRUMENTS),
        sizes=st.lists(
            st.sampled_from([1, 1_000, 10**8, 10**11]), min_size=INSTRUMENTS, max_size=INSTRUMENTS
        ),
    )
    def begin(self, ticks, sizes):
        self.fast = Ledger(CONTENDERS, ticks, sizes)
        self.paper = ledger_oracle.Ledger(CONTENDERS, ticks, sizes)
        for c in range(CONTENDERS):
            self.both("deposit", c, 10**15)

    def both(self, verb, *arguments):
        before = self.fast.digest()
        try:
            expected = getattr(self.paper, verb)(*arguments)
        except OverflowError:
            with pytest.raises(OverflowError):
                getattr(self.fast, verb)(*arguments)
            assert before == self.fast.digest()
        else:
            assert expected == getattr(self.fast, verb)(*arguments)

    @rule(c=contenders, amount=st.integers(1, 2**63 - 1))
    def deposit(self, c, amount):
        self.both("deposit", c, amount)

    @rule(
        c=contenders, i=instruments, side=st.sampled_from([1, -1]), n=lots, price=prices, fee=fees
    )
    def fill(self, c, i, side, n, price, fee):
        self.both("fill", c, i, side, n, price, fee)

    @rule(
        c=contenders,
        i=instruments,
        side=st.sampled_from([1, -1]),
        n=st.integers(1, 20),
        price=st.integers(1, 50),
        fee=st.integers(-5, 20),
    )
    def fill_small(self, c, i, side, n, price, fee):
        self.both("fill", c, i, side, n, price, fee)

    @rule(i=instruments, price=prices)
    def mark(self, i, price):
        self.both("mark", i, price)

    @rule(i=instruments, num=ratios, den=ratios)
    def split(self, i, num, den):
        self.both("split", i, num, den)

    @rule(i=instruments, amount=st.one_of(st.integers(0, 10**9), st.integers(0, 2**63 - 1)))
    def dividend(self, i, amount):
        self.both("dividend", i, amount)

    @rule(i=instruments, bps=st.integers(0, 10**5), days=st.integers(0, 400))
    def borrow(self, i, bps, days):
        self.both("borrow", i, bps, days)

    @rule()
    def reload(self):
        other = Ledger(CONTENDERS, self.paper.tick_values, self.paper.lot_sizes)
        other.load(self.fast.dump())
        self.fast = other

    @invariant()
    def agree(self):
        if not hasattr(self, "fast"):
            return
        self.fast.validate()
        assert self.fast.trial_balance() == 0
        assert self.paper.digest() == self.fast.digest()
        for c in range(CONTENDERS):
            try:
                expected = self.paper.equity(c)
            except OverflowError:
                with pytest.raises(OverflowError):
                    self.fast.equity(c)
            else:
                assert expected == self.fast.equity(c)


LedgerMachine.TestCase.settings = settings(max_examples=300, stateful_step_count=60)
TestLedgerMachine = LedgerMachine.TestCase


def test_batch_equals_one_by_one():
    rng = np.random.default_rng(1)
    rows = np.stack(
        [
            rng.integers(0, 3, 2_000),
            rng.integers(0, 2, 2_000),
            rng.choice([1, -1], 2_000),
            rng.integers(1, 100, 2_000),
            rng.integers(1, 1_000, 2_000),
            rng.integers(-3, 30, 2_000),
        ],
        axis=1,
    )
    batch, single = (Ledger(3, [100, 7], [10**8, 1]) for _ in range(2))

    entries = batch.fill_batch(rows)
    expected = [[n, *entry] for n, row in enumerate(rows.tolist()) for entry in single.fill(*row)]

    assert expected == entries.tolist()
    assert single.digest() == batch.digest()
