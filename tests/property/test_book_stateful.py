"""Any sequence of calls: the native book against the oracle, and the book's own promises."""

import numpy as np
import pytest
from book_oracle import Book as Oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from titanflow.native.book import PRICE_MAX, QUANTITY_MAX, Book

IDS = st.integers(1, 40)
OWNERS = st.integers(0, 2)
SIDES = st.sampled_from([1, -1])
PRICES = st.integers(1, 14)
LOTS = st.integers(1, 12)
CAPS = st.integers(0, 25)
FIELDS = ("kind", "id", "other", "quantity", "price", "leaves", "other_leaves", "note")


class BookMachine(RuleBasedStateMachine):
    """Few prices, ids and owners, so that everything meets everything."""

    @initialize(self_match=st.integers(0, 3), slippage_bps=st.sampled_from([0, 500, 2_500]))
    def begin(self, self_match, slippage_bps):
        self.kind = (self_match, slippage_bps)
        self.native, self.oracle = Book(*self.kind), Oracle(*self.kind)
        self.entered: dict[int, int] = {}
        self.filled: dict[int, int] = {}

    def both(self, name, *arguments):
        expected = getattr(self.oracle, name)(*arguments)
        actual = getattr(self.native, name)(*arguments)
        assert expected == actual, (name, arguments)
        for event in map(dict, (zip(FIELDS, e, strict=True) for e in actual)):
            self.count(event)

    def count(self, event):
        if event["kind"] in {1, 6}:
            self.filled[event["id"]] = 0 if event["kind"] == 1 else self.filled[event["id"]]
            self.entered[event["id"]] = event["quantity"]
        if event["kind"] == 2:
            for order in filter(None, (event["id"], event["other"])):
                self.filled[order] += event["quantity"]
                assert self.filled[order] <= self.entered[order]

    @rule(price=PRICES, cap=CAPS)
    def market_moves(self, price, cap):
        self.both("set_market", price, cap)

    @rule(
        order=IDS,
        owner=OWNERS,
        side=SIDES,
        price=PRICES,
        lots=LOTS,
        kind=st.sampled_from([0, 0, 0, 1, 2]),
        tif=st.integers(0, 3),
    )
    def enter(self, order, owner, side, price, lots, kind, tif):
        if self.native.order(order) is None:
            self.both("enter", order, owner, side, price, lots, kind, tif)

    @rule(order=IDS)
    def enter_again(self, order):
        if self.native.order(order) is not None:
            self.both("enter", order, 0, 1, 5, 1)

    @rule(order=IDS)
    def cancel(self, order):
        self.both("cancel", order)

    @rule(order=IDS, lots=LOTS, price=PRICES)
    def replace(self, order, lots, price):
        self.both("replace", order, lots, price)

    @rule()
    def uncross(self):
        self.both("uncross")

    @rule(side=SIDES, price=PRICES, touch=st.integers(0, 10))
    def sweep(self, side, price, touch):
        self.both("sweep", side, price, touch)

    @rule()
    def restart(self):
        other = Book(*self.kind)
        other.load(self.native.dump())
        self.native = other

    @invariant()
    def states_agree(self):
        assert self.oracle.market == self.native.market
        assert self.oracle.digest() == self.native.digest()
        self.native.validate()
        for low, high in ((3, 5), (7, 8), (12, 14)):
            assert bool(self.oracle.reaches(low, high)) == self.native.reaches(low, high)
        for side in (1, -1):
            assert self.oracle.depth(side) == self.native.depth(side)


TestBookMachine = BookMachine.TestCase
# 120 × 50 = 6,000 calls.
TestBookMachine.settings = settings(max_examples=120, stateful_step_count=50, deadline=None)


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_a_snapshot_from_anywhere_is_refused_or_valid(snapshot: bytes) -> None:
    book = Book(1, 5)
    with pytest.raises(ValueError):
        book.load(snapshot)
    assert len(book) == 0
    book.validate()


@given(place=st.integers(0, 23), value=st.integers(-(2**63), 2**63 - 1))
@settings(max_examples=200, deadline=None)
def test_a_changed_snapshot_is_refused_or_a_valid_book(place: int, value: int) -> None:
    book = Book()
    book.set_market(10, 5)
    book.enter(1, 0, 1, 9, 5)
    book.enter(2, 1, -1, 12, 5)
    rows = np.frombuffer(book.dump(), "<i8").copy()
    rows[place] = value
    other = Book()
    try:
        other.load(rows.tobytes())
    except ValueError:
        assert len(other) == 0
    other.validate()


@pytest.mark.parametrize(
    "call",
    [
        ("set_market", 0, 1),
        ("set_market", PRICE_MAX + 1, 1),
        ("set_market", 1, -1),
        ("enter", 0, 0, 1, 5, 5),
        ("enter", 1, -1, 1, 5, 5),
        ("enter", 1, 0, 0, 5, 5),
        ("enter", 1, 0, 1, 0, 5),
        ("enter", 1, 0, 1, -5, 5),
        ("enter", 1, 0, 1, 5, 0),
        ("enter", 1, 0, 1, 5, QUANTITY_MAX + 1),
        ("enter", 1, 0, 1, 5, 5, 3),
        ("enter", 1, 0, 1, 5, 5, 0, 4),
        ("cancel", 0),
        ("replace", 1, 0, 5),
        ("replace", 1, 5, 0),
        ("sweep", 0, 5, 0),
        ("sweep", 1, 5, -1),
    ],
)
def test_a_call_that_makes_no_sense_changes_nothing(call: tuple) -> None:
    book = Book()
    before = book.dump()

    with pytest.raises(ValueError, match="makes no sense"):
        getattr(book, call[0])(*call[1:])

    assert before == book.dump()


def test_a_batch_with_one_bad_message_changes_nothing() -> None:
    book = Book()
    rows = np.array([[1, 1, 0, 1, 5, 5, 0, 1], [1, 2, 0, 7, 5, 5, 0, 1]], np.int64)

    with pytest.raises(ValueError, match="message 1"):
        book.apply(rows)

    assert 0 == len(book)


def test_the_largest_numbers_do_not_wrap() -> None:
    book, oracle = Book(0, 10_000), Oracle(0, 10_000)
    for b in (book, oracle):
        b.set_market(PRICE_MAX, QUANTITY_MAX)
        b.enter(2**63 - 1, 2**31 - 1, 1, PRICE_MAX, QUANTITY_MAX)
        b.enter(1, 0, -1, PRICE_MAX, QUANTITY_MAX)
        b.set_market(1, 0)
    buys = (3, 0, 1, 0, QUANTITY_MAX, 1)

    assert oracle.enter(*buys) == book.enter(*buys)
    assert oracle.digest() == book.digest()


def test_an_emptied_book_has_no_levels_left() -> None:
    book = Book()
    for number in range(1, 500):
        book.enter(number, 0, 1, 1 + number % 70, 5)
    for number in range(499, 0, -1):
        book.cancel(number)

    assert (0, [], []) == (len(book), book.depth(1), book.depth(-1))
    book.validate()
