"""Do the models of manifests hold the rules of the resources, and say so at the right place?"""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from titanflow.core.spec.arena import ArenaSpec
from titanflow.core.spec.bundle import BundleSpec
from titanflow.core.spec.common import Metadata, SpecModel
from titanflow.core.spec.contender import ContenderSpec
from titanflow.core.spec.instrument import FeesSpec, InstrumentSpec
from titanflow.core.spec.policy import PolicySpec
from titanflow.core.spec.source import SourceSpec
from titanflow.core.spec.switch import KillSwitchSpec
from titanflow.core.spec.words import KillAction, Tier

AAPL = {
    "symbol": "AAPL",
    "venue": "XNAS",
    "assetClass": "Equity",
    "currency": "USD",
    "tickSize": "0.01",
    "lotSize": "1",
}
BUNDLED = {"name": "b", "kind": "Bundled", "bundled": {"dataset": "us-stocks-2000-2013"}}
RULE = {"recipe": {"kind": "Rules", "rules": {"name": "BuyAndHold"}}}


def faults(model: type[SpecModel], value: dict[str, Any]) -> list[tuple[tuple[Any, ...], str]]:
    """Return place and message of everything that is wrong with *value*."""
    try:
        model.model_validate(value)
    except ValidationError as error:
        return [(e["loc"], e["msg"].removeprefix("Value error, ")) for e in error.errors()]
    return []


def arena(**changes: Any) -> dict[str, Any]:
    return {"instruments": [AAPL], "sources": [BUNDLED], **changes}


def test_an_arena_has_the_defaults_of_the_resource() -> None:
    spec = ArenaSpec.model_validate(arena())

    assert ("100000", "USD", 1) == (spec.capital, spec.currency, spec.seed)
    assert (100, 500) == (spec.fees.maker_ppm, spec.fees.taker_ppm)
    assert (1000, 1, 1000) == (
        spec.fills.order_latency_micros,
        spec.fills.slippage_bps,
        spec.fills.participation_bps,
    )
    assert (True, 50) == (spec.borrow.allowed, spec.borrow.fee_bps_per_year)
    assert "CancelAggressive" == spec.self_match_prevention
    assert ("Return", 30) == (spec.ranking.by, spec.ranking.min_fills)
    assert KillAction.CANCEL_ALL is spec.kill_switch.action


def test_a_contender_is_a_candidate_of_a_tenth_of_its_equity_until_said_otherwise() -> None:
    spec = ContenderSpec.model_validate(RULE)

    assert Tier.CANDIDATE is spec.tier
    assert 1000 == spec.sizing.fixed_fraction.fraction_bps
    assert "main" == spec.arena


BAD = [
    (ArenaSpec, arena(capital="0"), ("capital",), "must be greater than zero"),
    (
        ArenaSpec,
        arena(capital="1e5"),
        ("capital",),
        (
            "write a decimal string without sign, exponent or separators and with at most 8 "
            'decimals, such as "1000.50"'
        ),
    ),
    (
        ArenaSpec,
        arena(instruments=[AAPL, AAPL]),
        ("instruments", 1, "symbol"),
        "AAPL is already the symbol of entry 0: join them",
    ),
    (
        ArenaSpec,
        arena(currency="EUR"),
        ("instruments", 0, "currency"),
        "AAPL is priced in USD, the arena's books are in EUR: several currencies are not built yet",
    ),
    (
        ArenaSpec,
        arena(sources=[BUNDLED, BUNDLED]),
        ("sources", 1),
        "several sources (fallback) are not built yet: keep one",
    ),
    (
        ArenaSpec,
        arena(season={"start": "2013-01-01", "end": "2012-01-01"}),
        ("season", "end"),
        "season.start must be before season.end",
    ),
    (
        ArenaSpec,
        arena(season={"start": "soon"}),
        ("season", "start"),
        "write a UTC time such as 2026-11-21T09:30:00Z, or a date",
    ),
    (
        ArenaSpec,
        arena(killSwitch={"instruments": ["MSFT"]}),
        ("killSwitch", "instruments", 0),
        "MSFT is not traded here",
    ),
    (
        FeesSpec,
        {"makerPpm": 600},
        ("makerPpm",),
        "makerPpm must not exceed takerPpm",
    ),
    (
        FeesSpec,
        {"makerPpm": -600},
        ("makerPpm",),
        (
            "a maker rebate above the taker fee would pay two contenders for trading with each "
            "other: raise takerPpm or lower the rebate"
        ),
    ),
    (
        InstrumentSpec,
        AAPL | {"minQuantity": "5", "maxQuantity": "4"},
        ("minQuantity",),
        "minQuantity must not exceed maxQuantity",
    ),
    (
        InstrumentSpec,
        AAPL | {"fees": {"makerPpm": 0}},
        ("fees", "takerPpm"),
        "Field required",
    ),
    (
        InstrumentSpec,
        AAPL | {"symbol": "aapl"},
        ("symbol",),
        "a symbol has upper-case letters, digits and . _ / -, such as AAPL or BTC-USD",
    ),
    (
        SourceSpec,
        {"name": "b", "kind": "Files", "bundled": {"dataset": "x"}},
        (),
        "set exactly the field of a source that belongs to its kind (one of: bundled, files)",
    ),
    (
        SourceSpec,
        {"name": "b", "kind": "Files", "files": {"uri": "s3://x"}},
        ("files", "uri"),
        "s3:// is not built yet: use file://",
    ),
    (
        ContenderSpec,
        {"recipe": {"kind": "Rules", "python": {"entryPoint": "a.b:C"}}},
        ("recipe",),
        "set exactly the field of recipe that belongs to its kind (one of: rules, python, model)",
    ),
    (
        ContenderSpec,
        {"recipe": {"kind": "Python", "python": {"entryPoint": "my contender"}}},
        ("recipe", "python", "entryPoint"),
        "write an entry point as package.module:Class, such as my_contender.trend:Trend",
    ),
    (ContenderSpec, RULE | {"tier": "Live"}, ("tier",), "tier Live is not built yet: use Paper"),
    (ContenderSpec, RULE | {"instruments": ["A", "A"]}, ("instruments",), "A stands twice"),
    (
        Metadata,
        {"name": "My.Name"},
        ("name",),
        "a name has lower-case letters, digits and '-', starts with a letter and holds no dots",
    ),
]


@pytest.mark.parametrize(("model", "value", "place", "message"), BAD)
def test_a_wrong_value_is_refused_at_its_place(
    model: type[SpecModel], value: dict[str, Any], place: tuple[Any, ...], message: str
) -> None:
    assert [(place, message)] == faults(model, value)


def test_an_engaged_kill_switch_needs_a_reason_and_a_name_and_says_both() -> None:
    found = [place for place, _ in faults(KillSwitchSpec, {"engaged": True})]

    assert [("reason",), ("engagedBy",)] == found


def test_a_switch_that_was_released_may_stay_as_it_is() -> None:
    """What a cluster keeps of a release must not keep a laptop from taking the same manifest."""
    told = {"resetToken": "2026-11-21T09:30:00Z", "releasedBy": "bob"}

    assert [] == faults(KillSwitchSpec, told)


def models(model: type[SpecModel]) -> set[type[SpecModel]]:
    from titanflow.adapters.registry.words import submodel

    inner = [submodel(field.annotation) for field in model.model_fields.values()]
    return {model}.union(*(models(one) for one in inner if one is not None))


@pytest.mark.parametrize("root", [ArenaSpec, BundleSpec, ContenderSpec, PolicySpec, Metadata])
def test_every_field_is_described_and_none_is_both_built_and_not(root: type[SpecModel]) -> None:
    for model in models(root):
        names = {field.alias for field in model.model_fields.values()}

        assert all(field.description for field in model.model_fields.values()), model
        assert not names & model.not_built, model
        assert set(model.words_not_built) <= names, model
        assert model.model_config["frozen"]
        assert model.model_config["extra"] == "forbid"


def test_the_recipe_hash_is_of_the_behaviour_and_of_nothing_else() -> None:
    def hash_of(**changes: Any) -> str:
        return ContenderSpec.model_validate(RULE | changes).recipe_hash()

    rules = {"name": "SmaCrossover", "parameters": {"slow": "100", "fast": "20"}}
    turned = {"name": "SmaCrossover", "parameters": {"fast": "20", "slow": "100"}}
    other = {"name": "SmaCrossover", "parameters": {"fast": "21", "slow": "100"}}

    assert 64 == len(hash_of())
    assert hash_of() == hash_of(tier="Paper", capital="5", displayName="x", instruments=["A"])
    assert hash_of() != hash_of(
        sizing={"kind": "FixedFraction", "fixedFraction": {"fractionBps": 7}}
    )
    assert hash_of(recipe={"kind": "Rules", "rules": rules}) == hash_of(
        recipe={"kind": "Rules", "rules": turned}
    )
    assert hash_of(recipe={"kind": "Rules", "rules": rules}) != hash_of(
        recipe={"kind": "Rules", "rules": other}
    )
