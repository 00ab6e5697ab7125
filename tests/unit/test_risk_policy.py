"""Do policies bind whom they say, and does one more of them never allow more?"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from gate_kit import policy, scene
from hypothesis import given
from hypothesis import strategies as st

from titanflow.core.base.errors import SpecError
from titanflow.core.risk import policy as subject
from titanflow.core.risk.policy import UNSET, check_policies, houses_of, law_of, selects
from titanflow.core.spec.words import BreachAction, Tier

GROUND = scene(entrant={"labels": (("team", "red"),)})
ANN = GROUND.entrants[0]
# Columns whose larger value is the stricter one; in all others the smaller is.
CELL_MOST, LIMIT_MOST = {1, 3}, {7}
MASKS, FLAGS = {12, 13}, {11, 14}

SELECTORS: list[tuple[dict[str, Any], bool]] = [
    ({}, True),
    ({"arena": "main"}, True),
    ({"arena": "other"}, False),
    ({"tiers": ["Paper"]}, True),
    ({"tiers": ["Live", "Shadow"]}, False),
    ({"matchLabels": {"team": "red"}}, True),
    ({"matchLabels": {"team": "blue"}}, False),
    ({"matchLabels": {"team": "red", "desk": "x"}}, False),
    *[
        ({"matchExpressions": [{"key": key, "operator": operator, **values}]}, expected)
        for key, operator, values, expected in [
            ("team", "In", {"values": ["red", "blue"]}, True),
            ("team", "In", {"values": ["blue"]}, False),
            ("desk", "In", {"values": ["red"]}, False),
            ("team", "NotIn", {"values": ["red"]}, False),
            ("desk", "NotIn", {"values": ["red"]}, True),
            ("team", "Exists", {}, True),
            ("desk", "Exists", {}, False),
            ("team", "DoesNotExist", {}, False),
            ("desk", "DoesNotExist", {}, True),
        ]
    ],
]


@pytest.mark.parametrize(("selector", "expected"), SELECTORS)
def test_a_selector_binds_whom_all_its_parts_match(selector: dict[str, Any], expected: bool):
    spec = policy(selector=selector)

    assert expected == selects(spec.selector, "main", ANN)


MONEY = st.integers(1, 9)
BOUNDED = st.fixed_dictionaries(
    {},
    optional={
        "minOrderQuantity": st.sampled_from(["0.5", "1", "2.5"]),
        "maxOrderQuantity": st.sampled_from(["3", "4.5"]),
        "minOrderNotional": st.sampled_from(["1", "2"]),
        "maxOrderNotional": st.sampled_from(["3", "4"]),
        "priceCollarBps": st.integers(1, 900),
        "maxReferenceAgeSeconds": MONEY,
        "maxPositionQuantity": st.sampled_from(["5", "6.5"]),
        "maxPositionNotional": st.sampled_from(["5", "6"]),
        "maxConcentrationBps": MONEY,
        "allowShort": st.booleans(),
    },
)
LIMITS = st.builds(
    lambda one, two: one | two,
    BOUNDED,
    st.fixed_dictionaries(
        {},
        optional={
            "maxIntentAgeSeconds": MONEY,
            "duplicateWindowSeconds": MONEY,
            "maxOrdersPerSecond": MONEY,
            "maxOrdersPerDay": MONEY,
            "maxOrdersPerFill": MONEY,
            "haltAfterRefusals": MONEY,
            "orderTypes": st.lists(st.sampled_from(["Market", "Limit"]), min_size=1, unique=True),
            "timeInForce": st.lists(st.sampled_from(["Day", "IOC"]), min_size=1, unique=True),
            "maxGrossExposure": st.sampled_from(["8", "9"]),
            "maxNetExposure": st.sampled_from(["5", "7"]),
            "maxLeverageBps": MONEY,
            "minFreeCash": st.sampled_from(["1", "2"]),
            "maxTurnoverBpsPerDay": MONEY,
            "maxDailyLoss": st.sampled_from(["1", "2"]),
            "reduceAtDrawdownBps": MONEY,
            "maxDrawdownBps": st.integers(10, 99),
        },
    ),
)
POLICIES = st.builds(
    lambda limits, own, tradable, breach: policy(
        limits,
        instruments=[] if own is None else [{"symbol": "A", "tradable": tradable, **own}],
        onBreach=breach,
    ),
    LIMITS,
    st.none() | BOUNDED,
    st.booleans(),
    st.sampled_from([action.value for action in BreachAction]),
)


def stricter(column: int, new: int, old: int, most: set[int]) -> bool:
    """Say whether *new* allows at most what *old* allows."""
    if old == UNSET:
        return True
    if new == UNSET:
        return False
    return new >= old if column in most else new <= old


@given(st.lists(POLICIES, min_size=1, max_size=3), POLICIES)
def test_one_more_policy_never_allows_more(given_ones: list[Any], added: Any) -> None:
    before = {f"p{n}": spec for n, spec in enumerate(given_ones)}

    old, new = law_of(GROUND, ANN, before), law_of(GROUND, ANN, {**before, "q": added})

    for wide, narrow in zip(old.cells, new.cells, strict=True):
        for column, (was, now) in enumerate(zip(wide, narrow, strict=True)):
            if column in MASKS:
                assert was == UNSET or (now >= 0 and now & ~was == 0)
            else:
                assert stricter(column, now, was, CELL_MOST), column
    for column, (was, now) in enumerate(zip(old.limits, new.limits, strict=True)):
        assert stricter(column, now, was, LIMIT_MOST), column
    assert list(BreachAction).index(new.on_breach) >= list(BreachAction).index(old.on_breach)
    assert stricter(0, new.halt_after, old.halt_after, set())
    assert new.duplicate_window_ns >= old.duplicate_window_ns


def test_the_order_of_policies_means_nothing() -> None:
    one, two = policy({"maxOpenOrders": 1}), policy({"maxOpenOrders": 2}, onBreach="Kill")

    assert law_of(GROUND, ANN, {"a": one, "b": two}) == law_of(GROUND, ANN, {"b": two, "a": one})


def test_an_instruments_own_limit_takes_the_place_in_its_own_policy_only() -> None:
    loose = policy({"priceCollarBps": 2}, instruments=[{"symbol": "A", "priceCollarBps": 9}])

    alone = law_of(GROUND, ANN, {"a": loose})
    both = law_of(GROUND, ANN, {"a": loose, "b": policy({"priceCollarBps": 5})})

    assert (9, 2) == tuple(cell[5] for cell in alone.cells)
    assert (5, 2) == tuple(cell[5] for cell in both.cells)


def test_lots_are_rounded_to_the_stricter_side() -> None:
    cell = law_of(
        GROUND, ANN, {"a": policy({"minOrderQuantity": "1.5", "maxOrderQuantity": "3.5"})}
    ).cells[0]

    assert (2, 3) == (cell[1], cell[2])


def test_a_policy_in_another_currency_refuses_everything() -> None:
    assert "CURRENCY" == law_of(GROUND, ANN, {"a": policy(currency="EUR")}).refused
    assert "" == law_of(GROUND, ANN, {"a": policy(currency="USD")}).refused


def test_borrowing_must_be_allowed_by_arena_and_policies() -> None:
    forbidden = scene(borrow=False)

    assert 1 == law_of(GROUND, ANN, {"a": policy()}).cells[0][11]
    assert 0 == law_of(GROUND, ANN, {"a": policy({"allowShort": False})}).cells[0][11]
    assert 0 == law_of(forbidden, ANN, {"a": policy({"allowShort": True})}).cells[0][11]


def test_tier_goes_before_the_missing_policy() -> None:
    shadow = msgspec.structs.replace(ANN, tier=Tier.SHADOW)

    assert "TIER_SHADOW" == law_of(GROUND, shadow, {"a": policy()}).refused
    assert "TIER_SHADOW" == law_of(GROUND, ANN, {}).refused
    assert BreachAction.REDUCE is law_of(GROUND, ANN, {}).on_breach


def test_a_house_binds_those_its_policy_selects() -> None:
    red = policy(selector={"matchLabels": {"team": "red"}}, aggregate={"maxGrossExposure": "7"})
    houses = houses_of(
        GROUND, {"z": red, "a": policy(aggregate={"maxGrossExposure": "9"}), "m": policy()}
    )

    assert [("a", (0, 1, 2)), ("z", (0,))] == [(h.policy, h.members) for h in houses]
    assert (7 * 10**8, *[UNSET] * 4) == houses[1].limits


def test_unknown_symbols_are_named_unless_the_policy_is_for_another_arena() -> None:
    wrong = [{"symbol": "Z"}]

    with pytest.raises(SpecError, match="Z is not traded"):
        check_policies(GROUND, {"a": policy(instruments=wrong)})
    check_policies(GROUND, {"a": policy(instruments=wrong, selector={"arena": "other"})})


def test_the_number_of_houses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "GROUPS_MAX", 1)

    with pytest.raises(SpecError, match="more than 1 policies"):
        check_policies(
            GROUND,
            {
                "a": policy(aggregate={"maxGrossExposure": "9"}),
                "b": policy(aggregate={"maxGrossExposure": "9"}),
            },
        )
