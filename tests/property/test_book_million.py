"""A million seeded operations: the native book, in batches, against the oracle, event for event."""

import numpy as np
import pytest
from book_oracle import Book as Oracle

from titanflow.native.book import Book

SEED = 20261124
COUNT = 1_000_000
BATCH = 50_000


def stream(count: int, seed: int) -> np.ndarray:
    """Return messages of every kind around a wandering price; ids may be gone or in use."""
    random = np.random.default_rng(seed)
    draw = random.random(count)
    middle = np.maximum(10_000 + np.cumsum(random.integers(-1, 2, count)), 200)
    rows = np.zeros((count, 8), np.int64)
    op = np.searchsorted([0.48, 0.83, 0.91, 0.94, 0.96], draw, side="right") + 1
    rows[:, 0] = op
    rows[:, 2] = random.integers(0, 12, count)
    rows[:, 3] = random.choice([1, -1], count)
    away = random.geometric(0.06, count) - 3
    rows[:, 4] = np.maximum(middle - rows[:, 3] * away, 1)
    rows[:, 5] = random.integers(1, 40, count)
    rows[:, 6] = random.choice([0, 1, 2], count, p=[0.86, 0.06, 0.08])
    rows[:, 7] = random.choice([0, 1, 2, 3], count, p=[0.3, 0.5, 0.12, 0.08])
    born = np.cumsum(op == 1)
    # Cancels and replaces name one of the last 900 orders; one order in 500 takes a used id.
    rows[:, 1] = np.maximum(born - random.integers(0, 900, count) * (op != 1), 1)
    again = (op == 1) & (random.random(count) < 0.002)
    rows[again, 1] = np.maximum(rows[again, 1] - 5, 1)
    rows[op == 4, 4] = middle[op == 4]
    rows[op == 4, 5] = random.integers(0, 300, int((op == 4).sum()))
    return rows


@pytest.mark.parametrize("self_match", [0, 1, 2, 3])
@pytest.mark.parametrize("slippage_bps", [0, 7])
def test_a_short_stream_gives_the_oracles_events(self_match: int, slippage_bps: int) -> None:
    compare(30_000, SEED + self_match, self_match, slippage_bps, batch=500)


def test_a_million_operations_give_the_oracles_events() -> None:
    compare(COUNT, SEED, 1, 3, batch=BATCH)


def compare(count: int, seed: int, self_match: int, slippage_bps: int, *, batch: int) -> None:
    """Feed both books and compare events and state after every batch."""
    book, oracle = Book(self_match, slippage_bps), Oracle(self_match, slippage_bps)
    messages = stream(count, seed)
    kinds: set[int] = set()
    for start in range(0, count, batch):
        part = messages[start : start + batch]
        expected = np.array(oracle.apply(part.tolist()), np.int64)

        actual = book.apply(part)

        kinds.update(np.unique(actual[:, 0]).tolist())
        assert np.array_equal(expected, actual), f"seed {seed}, batch from message {start}"
        assert oracle.digest() == book.digest(), f"seed {seed}, batch from message {start}"
        book.validate()
    assert set(range(1, 8)) == kinds
    assert len(book) > 0
