"""Is a position as large as it should be, and left alone when it nearly is?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titanflow.core.contender.size import affordable_lots, change_lots, target_lots

MONEY = 10**8


@pytest.mark.parametrize(
    ("strength", "expected"),
    [(1.0, 303), (0.5, 151), (0.0, 0), (-0.5, -151), (-1.0, -303), (0.001, 0)],
)
def test_fractions_of_a_lot_are_cut_toward_zero(strength, expected) -> None:
    assert expected == target_lots(strength, 1000, 100_000 * MONEY, 33 * MONEY)


@pytest.mark.parametrize(("equity", "value"), [(0, 33), (-5, 33), (100, 0)])
def test_without_equity_or_price_there_is_no_position(equity, value) -> None:
    assert target_lots(1.0, 1000, equity, value) == 0


@given(
    strength=st.floats(-1, 1),
    fraction=st.integers(1, 10_000),
    equity=st.integers(1, 10**17),
    value=st.integers(1, 10**13),
)
def test_a_position_never_costs_more_than_its_part_of_equity(
    strength, fraction, equity, value
) -> None:
    lots = target_lots(strength, fraction, equity, value)

    # One millionth, because the strength is rounded to that.
    assert abs(lots) * value * 10_000 <= (abs(strength) + 1e-6) * fraction * equity
    assert lots * strength >= 0


@pytest.mark.parametrize(
    ("target", "position", "expected"),
    [
        (0, 0, 0),
        (0, 1, -1),
        (0, -1, 1),
        (100, 0, 100),
        (1, 0, 1),
        (-100, 0, -100),
        (100, -1, 101),
        (-1, 100, -101),
        (120, 100, 0),
        (125, 100, 0),
        (126, 100, 26),
        (80, 100, 0),
        (79, 100, -21),
        (-126, -100, -26),
        (-120, -100, 0),
    ],
)
def test_small_differences_are_let_be_and_closing_never_is(target, position, expected) -> None:
    assert expected == change_lots(target, position)


@given(target=st.integers(-(10**9), 10**9), position=st.integers(-(10**9), 10**9))
def test_a_change_leads_to_the_target_or_is_none(target, position) -> None:
    assert change_lots(target, position) in {0, target - position}
    assert change_lots(target, target) == 0


@pytest.mark.parametrize(
    ("position", "cash", "expected"),
    [
        (0, 1000, 30),
        (10, 1000, 40),
        (10, -1000, 10),
        (-10, 1330, 30),
        (-10, 100, 0),
    ],
)
def test_a_buy_spends_the_free_cash_only_and_covering_needs_none(position, cash, expected) -> None:
    assert expected == affordable_lots(position, cash, 33)
