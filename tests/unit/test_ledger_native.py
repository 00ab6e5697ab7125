"""What the compiled books promise, one promise at a time."""

import numpy as np
import pytest

from titanflow.core.ledger.chart import ACCOUNTS
from titanflow.core.spec.words import Account
from titanflow.native.ledger import Ledger

CAPITAL, CASH, INVENTORY, REALISED, FEES, BORROW, DIVIDENDS = range(7)
UNIT = 10**8


def books(tick_value: int = 10, lot_size: int = UNIT) -> Ledger:
    ledger = Ledger(2, [tick_value, 1], [lot_size, UNIT])
    ledger.deposit(0, 10**9)
    ledger.deposit(1, 10**9)
    return ledger


def test_the_chart_names_the_accounts_of_the_words() -> None:
    assert tuple(Account) == ACCOUNTS


def test_a_purchase_moves_cash_to_inventory_and_pays_its_fee() -> None:
    entries = books().fill(0, 0, 1, 5, 100, 7)

    assert ((0, INVENTORY, CASH, 5_000, 5), (0, FEES, CASH, 7, 0)) == entries


def test_a_rebate_goes_from_fees_to_cash() -> None:
    entries = books().fill(0, 0, 1, 5, 100, -7)

    assert (0, CASH, FEES, 7, 0) == entries[1]


def test_a_reduction_releases_average_cost_toward_zero() -> None:
    ledger = books(tick_value=1)
    ledger.fill(0, 0, 1, 3, 10, 0)
    ledger.fill(0, 0, 1, 4, 15, 0)

    entries = ledger.fill(0, 0, -1, 2, 20, 0)

    # 90 × 2 / 7 = 25.7 → 25 is released, 65 stays.
    assert ((0, CASH, INVENTORY, 40, -2), (0, INVENTORY, REALISED, 15, 0)) == entries
    assert 65 == ledger.cost(0, 0)


def test_a_flat_position_has_no_cost() -> None:
    ledger = books(tick_value=1)
    ledger.fill(0, 0, 1, 3, 10, 0)
    ledger.fill(0, 0, 1, 4, 15, 0)
    for lots in (2, 2, 3):
        ledger.fill(0, 0, -1, lots, 11, 0)

    assert (0, 0) == (ledger.position(0, 0), ledger.cost(0, 0))
    assert 0 == ledger.balance(0, INVENTORY)


def test_a_fill_across_zero_closes_and_opens() -> None:
    ledger = books()
    ledger.fill(0, 0, 1, 5, 100, 0)

    entries = ledger.fill(0, 0, -1, 8, 110, 0)

    assert ((0, CASH, INVENTORY, 8_800, -8), (0, INVENTORY, REALISED, 500, 0)) == entries
    assert (-3, -3_300) == (ledger.position(0, 0), ledger.cost(0, 0))


def test_a_short_that_is_bought_back_dearer_realises_a_loss() -> None:
    ledger = books()
    ledger.fill(0, 0, -1, 5, 100, 0)

    entries = ledger.fill(0, 0, 1, 5, 110, 0)

    assert (0, REALISED, INVENTORY, 500, 0) == entries[1]
    assert 10**9 - 500 == ledger.equity(0)


@pytest.mark.parametrize("side", [1, -1])
def test_realised_plus_unrealised_is_the_change_of_equity(side: int) -> None:
    ledger = books()
    ledger.mark(0, 100)
    ledger.fill(0, 0, side, 9, 100, 3)
    ledger.fill(0, 0, -side, 4, 120, 3)
    ledger.mark(0, 130)

    realised = -ledger.balance(0, REALISED)
    unrealised = ledger.position_value(0, 0) - ledger.cost(0, 0)

    assert ledger.equity(0) - 10**9 == realised + unrealised - ledger.balance(0, FEES)


def test_before_a_mark_a_position_is_worth_its_cost() -> None:
    ledger = books()
    ledger.fill(0, 0, 1, 5, 100, 0)

    assert 5_000 == ledger.position_value(0, 0)
    assert [10**9, 10**9] == ledger.equities().tolist()


@pytest.mark.parametrize("lots", [7, -7, 1, -1])
@pytest.mark.parametrize("ratio", [(3, 2), (2, 3), (1, 10), (7, 1)])
def test_a_split_keeps_the_value_within_the_rounding_of_the_mark(
    lots: int, ratio: tuple[int, int]
) -> None:
    ledger = books()
    ledger.fill(0, 0, 1 if lots > 0 else -1, abs(lots), 1_000, 0)
    ledger.mark(0, 1_001)
    before = ledger.equity(0)

    ledger.split(0, *ratio)

    assert abs(before - ledger.equity(0)) <= abs(ledger.position(0, 0)) * 10 + 1
    ledger.validate()


def test_the_fraction_after_a_split_is_paid_in_cash_at_the_old_mark() -> None:
    ledger = books()
    ledger.fill(0, 0, 1, 3, 100, 0)
    ledger.mark(0, 102)

    entries = ledger.split(0, 3, 2)

    # 4.5 lots: half a new lot is a third of an old one, 1,020 / 3, and cost 3,000 / 9.
    assert ((0, CASH, INVENTORY, 340, 1), (0, INVENTORY, REALISED, 7, 0)) == entries
    assert (4, 68) == (ledger.position(0, 0), ledger.price(0))


def test_a_split_without_fraction_is_an_entry_of_nothing_that_carries_the_lots() -> None:
    ledger = books()
    ledger.fill(0, 0, 1, 3, 100, 0)
    ledger.mark(0, 100)

    assert ((0, CASH, INVENTORY, 0, 3),) == ledger.split(0, 2, 1)


def test_a_position_below_one_new_lot_is_paid_out_whole() -> None:
    ledger = books()
    ledger.fill(0, 0, 1, 3, 100, 0)
    ledger.mark(0, 100)

    ledger.split(0, 1, 10)

    assert (0, 0) == (ledger.position(0, 0), ledger.cost(0, 0))
    assert 10**9 == ledger.equity(0)


def test_dividends_round_down_for_holders_and_up_for_shorts() -> None:
    ledger = books(lot_size=UNIT // 2)
    ledger.fill(0, 0, 1, 3, 100, 0)
    ledger.fill(1, 0, -1, 3, 100, 0)

    entries = ledger.dividend(0, 5)

    assert ((0, CASH, DIVIDENDS, 7, 0), (1, DIVIDENDS, CASH, 8, 0)) == entries


def test_only_shorts_pay_for_borrowing_and_it_is_rounded_up() -> None:
    ledger = books()
    ledger.fill(0, 0, 1, 3, 100, 0)
    ledger.fill(1, 0, -1, 3, 100, 0)
    ledger.mark(0, 100)

    # 3,000 × 500 / 10,000 × 2 / 365 = 0.82
    assert ((1, BORROW, CASH, 1, 0),) == ledger.borrow(0, 500, 2)


def test_an_overflow_changes_nothing() -> None:
    ledger = books()
    ledger.fill(0, 0, 1, 10**12, 100, 0)
    before = ledger.digest()

    for attempt in (
        lambda: ledger.fill(0, 0, 1, 2**61, 2, 0),
        lambda: ledger.fill(0, 0, 1, 1, 1, 2**63 - 1),
        lambda: ledger.mark(0, 2**60),
        lambda: ledger.split(0, 2**31 - 1, 1) or ledger.split(0, 2**31 - 1, 1),
        lambda: ledger.dividend(0, 2**62),
        lambda: ledger.deposit(0, 2**62),
    ):
        with pytest.raises(OverflowError):
            attempt()
        if before != ledger.digest():
            # The first of two splits fits; the state is then that of one split.
            ledger.split(0, 1, 2**31 - 1)
        assert before == ledger.digest()


@pytest.mark.parametrize(
    "arguments",
    [(0, 0, 0, 1, 1, 0), (0, 0, 2, 1, 1, 0), (0, 0, 1, 0, 1, 0), (0, 0, 1, 1, 0, 0)],
)
def test_a_fill_that_is_none_is_refused(arguments: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="side 1 or -1"):
        books().fill(*arguments)


@pytest.mark.parametrize("where", [(2, 0), (-1, 0), (0, 2), (0, -1)])
def test_an_unknown_account_owner_or_instrument_is_refused(where: tuple[int, int]) -> None:
    with pytest.raises(IndexError):
        books().fill(*where, 1, 1, 1, 0)
    with pytest.raises(IndexError):
        books().position(*where)


def test_a_batch_with_an_index_beyond_32_bits_is_refused() -> None:
    with pytest.raises(IndexError):
        books().fill_batch(np.array([[2**32, 0, 1, 1, 1, 0]]))


def test_dump_and_load_is_identity() -> None:
    ledger = books()
    ledger.fill(0, 0, 1, 3, 100, 2)
    ledger.mark(0, 7)
    other = Ledger(2, [10, 1], [UNIT, UNIT])

    other.load(ledger.dump())

    assert ledger.digest() == other.digest()
    assert ledger.fill(0, 0, -1, 1, 9, 0) == other.fill(0, 0, -1, 1, 9, 0)


def test_a_snapshot_of_other_books_is_refused() -> None:
    with pytest.raises(ValueError, match="other books"):
        Ledger(2, [11, 1], [UNIT, UNIT]).load(books().dump())
    with pytest.raises(ValueError, match="another size"):
        Ledger(2, [10, 1], [UNIT, UNIT]).load(b"")


def test_a_snapshot_whose_accounts_do_not_balance_is_refused() -> None:
    raw = bytearray(books().dump())
    raw[8 * (3 + 3 * 2)] ^= 1

    with pytest.raises(AssertionError, match="sum to zero"):
        Ledger(2, [10, 1], [UNIT, UNIT]).load(bytes(raw))
