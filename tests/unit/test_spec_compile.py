"""Does the ground hold what the manifests say, in integers, whatever order they stand in?"""

from __future__ import annotations

from typing import Any

import pytest

from titanflow.core.base.errors import SpecError
from titanflow.core.base.fixed import MINOR_PER_UNIT
from titanflow.core.spec.arena import ArenaSpec
from titanflow.core.spec.compile import compile_ground
from titanflow.core.spec.contender import ContenderSpec
from titanflow.core.spec.ground import Ground


def instrument(symbol: str, **changes: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "venue": "XNAS",
        "assetClass": "Equity",
        "currency": "USD",
        "tickSize": "0.01",
        "lotSize": "1",
        **changes,
    }


def arena(*instruments: dict[str, Any], **changes: Any) -> ArenaSpec:
    source = {"name": "b", "kind": "Bundled", "bundled": {"dataset": "us-stocks-2000-2013"}}
    content = {"instruments": instruments or [instrument("A")], "sources": [source], **changes}
    return ArenaSpec.model_validate(content)


def contender(**changes: Any) -> tuple[ContenderSpec, dict[str, str]]:
    recipe = {"kind": "Rules", "rules": {"name": "BuyAndHold", "parameters": {"b": "1", "a": "2"}}}
    return ContenderSpec.model_validate({"recipe": recipe, "tier": "Paper", **changes}), {}


def compiled(spec: ArenaSpec, **contenders: tuple[ContenderSpec, dict[str, str]]) -> Ground:
    return compile_ground("main", spec, contenders or {"x": contender()})


def problems(spec: ArenaSpec, **contenders: tuple[ContenderSpec, dict[str, str]]) -> list[str]:
    with pytest.raises(SpecError) as caught:
        compiled(spec, **contenders)
    return [str(problem) for problem in caught.value.problems]


def test_instruments_and_contenders_are_sorted_whatever_order_they_stand_in() -> None:
    one = compiled(arena(instrument("B"), instrument("A")), y=contender(), x=contender())
    two = compiled(arena(instrument("A"), instrument("B")), x=contender(), y=contender())

    assert one == two
    assert ["A", "B"] == [i.symbol for i in one.instruments]
    assert ["x", "y"] == [e.name for e in one.entrants]
    assert [0, 1] == [e.index for e in one.entrants]
    assert (("a", "2"), ("b", "1")) == one.entrants[0].parameters


def test_units_become_integers() -> None:
    spec = arena(
        instrument(
            "A",
            tickSize="0.05",
            lotSize="0.1",
            multiplier="10",
            minQuantity="0.5",
            maxQuantity="100",
            minNotional="10",
        ),
        fees={"makerPpm": -5, "takerPpm": 10, "perUnit": "0.00000015", "minPerOrder": "1"},
        fills={"orderLatencyMicros": 7},
    )

    ground = compiled(spec)
    found = ground.instruments[0]

    assert (5_000_000, 10_000_000) == (found.tick_size, found.lot_size)
    assert 5_000_000 == found.tick_value
    assert (5, 1000) == (found.min_lots, found.max_lots)
    assert 10 * MINOR_PER_UNIT == found.min_notional
    assert 2 == found.fees.per_lot, "1.5 minor units a lot, rounded up"
    assert MINOR_PER_UNIT == found.fees.min_per_order
    assert 7_000 == ground.fills.order_latency_ns
    assert 86_400 * 10**9 == found.bar_ns
    assert 100_000 * MINOR_PER_UNIT == ground.entrants[0].capital


def test_an_instruments_own_fees_take_the_place_of_the_arenas() -> None:
    own = {"makerPpm": 1, "takerPpm": 2}

    found = compiled(arena(instrument("A", fees=own), fees={"perUnit": "1"})).instruments[0]

    assert (1, 2, 0) == (found.fees.maker_ppm, found.fees.taker_ppm, found.fees.per_lot)


def test_every_contradiction_is_named_at_once_and_by_place() -> None:
    spec = arena(
        instrument("B", tickSize="0.00000001", lotSize="0.01"),
        instrument("A", minQuantity="1.5"),
        capital="46116860185",
    )

    found = problems(
        spec,
        x=contender(arena="other", instruments=["A", "C"]),
        y=contender(capital="99999999999999"),
    )

    assert [
        "Arena/main spec.instruments[1].minQuantity: minQuantity is no multiple of lotSize",
        (
            "Arena/main spec.instruments[0].tickSize: tickSize × lotSize × multiplier is no whole "
            "number of 0.00000001; use a larger tickSize or lotSize: money is counted in steps of "
            "0.00000001"
        ),
        "Arena/main spec.capital: at most 46,116,860,184 can be counted; use less",
        (
            "Contender/x spec.arena: its arena is 'other', here stands 'main'; write main, or move "
            "it to another folder"
        ),
        "Contender/x spec.instruments[1]: C is not traded here; one of: A, B",
        "Contender/y spec.capital: at most 46,116,860,184 can be counted; use less",
    ] == found


def test_retired_contenders_stay_out() -> None:
    ground = compiled(arena(), x=contender(), gone=contender(tier="Retired"))

    assert ["x"] == [e.name for e in ground.entrants]


def test_an_arena_without_contenders_is_refused() -> None:
    assert ["Arena/main: no contender; add a manifest of kind Contender"] == problems(
        arena(), gone=contender(tier="Retired")
    )


def test_ten_thousand_contenders_fit_and_one_more_is_refused() -> None:
    one = contender()
    many = {f"c{number:05d}": one for number in range(10_001)}

    found = problems(arena(), **many)

    assert [
        (
            "Arena/main: 10,001 contenders: at most 10,000 fit one arena; "
            "split them over several arenas"
        )
    ] == found
    del many["c00000"]
    assert 10_000 == len(compiled(arena(), **many).entrants)


def test_a_contender_without_a_copy_stands_there_and_decides_nothing() -> None:
    """It keeps its books, so it must not vanish from the ground as a retired one does."""
    ground = compiled(arena(), x=contender(replicas=0), y=contender(replicas=1))

    assert [("x", "Candidate"), ("y", "Paper")] == [(e.name, e.tier) for e in ground.entrants]
