"""A million operations, and the ledger on paper agrees after every thousand."""

import ledger_oracle
import numpy as np

from titanflow.native.ledger import Ledger

SEED = 20_261_124
OPERATIONS, BATCH = 1_000_000, 1_000
CONTENDERS, TICKS, SIZES = 8, [100, 1, 2_500], [10**8, 1_000, 1]


def test_a_million_operations_agree_with_the_ledger_on_paper():
    rng = np.random.default_rng(SEED)
    fast = Ledger(CONTENDERS, TICKS, SIZES)
    paper = ledger_oracle.Ledger(CONTENDERS, TICKS, SIZES)
    for c in range(CONTENDERS):
        assert paper.deposit(c, 10**14) == fast.deposit(c, 10**14)

    for n in range(OPERATIONS // BATCH):
        rows = fills(rng)
        expected = [
            [k, *entry] for k, row in enumerate(rows.tolist()) for entry in paper.fill(*row)
        ]
        assert expected == fast.fill_batch(rows).tolist(), f"seed {SEED}, batch {n}"
        between(rng, n, paper, fast)
        assert paper.digest() == fast.digest(), f"seed {SEED}, batch {n}"
    fast.validate()
    assert 0 == fast.trial_balance()


def fills(rng):
    return np.stack(
        [
            rng.integers(0, CONTENDERS, BATCH),
            rng.integers(0, len(TICKS), BATCH),
            rng.choice([1, -1], BATCH),
            rng.integers(1, 50, BATCH) ** 2,
            rng.integers(500, 1_500, BATCH),
            rng.integers(-20, 500, BATCH),
        ],
        axis=1,
    )


def between(rng, n, paper, fast):
    """Mark, pay and charge after every batch; split now and then, both ways."""
    i = n % len(TICKS)
    price = int(rng.integers(500, 1_500))
    assert paper.mark(i, price) == fast.mark(i, price)
    amount = int(rng.integers(0, 10**6))
    assert paper.dividend(i, amount) == fast.dividend(i, amount)
    days = int(rng.integers(1, 5))
    assert paper.borrow(i, 350, days) == fast.borrow(i, 350, days)
    if n % 50 == 0:
        ratio = [(2, 1), (1, 2), (3, 2), (2, 3)][n // 50 % 4]
        assert paper.split(i, *ratio) == fast.split(i, *ratio)
