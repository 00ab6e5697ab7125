"""Does a RiskPolicy that contradicts itself say so, at the place and in words?"""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from titanflow.core.spec.policy import PolicySpec

FAULTS: list[tuple[dict[str, Any], str, str]] = [
    *[
        ({"limits": {low: "5", high: "4"}}, f"limits.{low}", f"{low} must not exceed {high}")
        for low, high in [
            ("minOrderQuantity", "maxOrderQuantity"),
            ("minOrderNotional", "maxOrderNotional"),
            ("maxOrderNotional", "maxPositionNotional"),
            ("maxOrderQuantity", "maxPositionQuantity"),
            ("maxOrderNotional", "maxGrossExposure"),
            ("maxPositionNotional", "maxGrossExposure"),
            ("maxNetExposure", "maxGrossExposure"),
        ]
    ],
    ({"limits": {"reduceAtDrawdownBps": 9, "maxDrawdownBps": 9}}, "limits.reduceAtDrawdownBps",
     "reduceAtDrawdownBps must be below maxDrawdownBps"),
    ({"limits": {"maxOrderBurst": 9}}, "limits.maxOrderBurst",
     "maxOrderBurst needs maxOrdersPerSecond"),
    ({"limits": {"refusalWindowSeconds": 9}}, "limits.refusalWindowSeconds",
     "refusalWindowSeconds needs haltAfterRefusals"),
    ({"instruments": [{"symbol": "A", "minOrderQuantity": "5", "maxOrderQuantity": "4"}]},
     "instruments.0.minOrderQuantity", "minOrderQuantity must not exceed maxOrderQuantity"),
    ({"aggregate": {"maxInstrumentExposure": "5", "maxGrossExposure": "4"}},
     "aggregate.maxInstrumentExposure", "maxInstrumentExposure must not exceed maxGrossExposure"),
    ({"limits": {"maxOrderNotional": "5"}, "aggregate": {"maxGrossExposure": "4"}},
     "limits.maxOrderNotional",
     "limits.maxOrderNotional must not exceed aggregate.maxGrossExposure"),
    ({"instruments": [{"symbol": "A"}, {"symbol": "A"}]}, "instruments.1.symbol",
     "A is already the symbol of entry 0: join them"),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "place", "text"), FAULTS)
def test_fields_that_contradict_each_other_are_named(
    parts: dict[str, Any], place: str, text: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        PolicySpec.model_validate(
            {"selector": {}, "limits": {"maxOrdersPerDay": 100_000_000}, **parts}
        )

    found = [(".".join(map(str, e["loc"])), e["msg"]) for e in caught.value.errors()]
    assert [(place, text)] == found


def test_equal_bounds_are_no_contradiction() -> None:
    limits = {
        "minOrderQuantity": "5", "maxOrderQuantity": "5", "maxPositionQuantity": "5",
        "reduceAtDrawdownBps": 8, "maxDrawdownBps": 9, "maxOrdersPerSecond": 1, "maxOrderBurst": 9,
    }  # fmt: skip

    spec = PolicySpec.model_validate({"selector": {}, "limits": limits})

    assert ("5", 9) == (spec.limits.max_order_quantity, spec.limits.max_drawdown_bps)


def test_all_faults_are_told_at_once() -> None:
    limits = {"maxOrderBurst": 9, "minOrderNotional": "5", "maxOrderNotional": "4"}

    with pytest.raises(ValidationError) as caught:
        PolicySpec.model_validate({"selector": {}, "limits": limits})

    assert 2 == caught.value.error_count()


@pytest.mark.parametrize(
    ("parts", "place", "text"),
    [
        ({"limits": {}}, ("limits",), "says nothing: set at least one field"),
        ({"aggregate": {}}, ("aggregate",), "says nothing: set at least one field"),
        (
            {"limits": {"orderTypes": ["Market", "Market"]}},
            ("limits", "orderTypes"),
            "Market stands twice",
        ),
        ({"selector": {"tiers": ["Paper", "Paper"]}}, ("selector", "tiers"), "Paper stands twice"),
        (
            {"selector": {"matchLabels": {f"l{n}": "" for n in range(17)}}},
            ("selector", "matchLabels"),
            "at most 16 items",
        ),
    ],
)
def test_what_the_custom_resource_refuses_is_refused(
    parts: dict[str, Any], place: tuple[str, ...], text: str
) -> None:
    document = {"selector": {}, "limits": {"maxOpenOrders": 1}, **parts}

    with pytest.raises(ValidationError) as caught:
        PolicySpec.model_validate_json(json.dumps(document), strict=True)

    (error,) = caught.value.errors()
    assert place == error["loc"]
    assert text in error["msg"]
