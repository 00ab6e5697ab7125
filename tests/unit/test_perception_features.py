"""Does a feature's name mean one thing, and is a wrong name answered with a right one?"""

import pytest

from titanflow.core.base.errors import SpecError
from titanflow.core.perception.features import (
    FAMILIES,
    FEATURES_MAX,
    FeatureSchema,
    parse_feature,
    table,
)
from tools.tree import ROOT


def advice(name: str) -> str:
    with pytest.raises(SpecError) as caught:
        parse_feature(name, "spec.features[0]")
    (problem,) = caught.value.problems
    assert problem.where == "spec.features[0]"
    assert repr(name) in problem.what
    return problem.do


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_documented_name_of_every_family_means_something(family) -> None:
    feature = parse_feature(family.shown())

    assert feature.name == family.shown()
    assert feature.lookback >= 1


def test_there_are_at_least_twelve_families() -> None:
    assert len(FAMILIES) >= 12
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("smaa_20", "sma_20"),
        ("SMA_20", "sma_20"),
        ("rsx_0", "rsi_2"),
        ("sma", "sma_20"),
        ("sma_", "sma_1"),
        ("sma_0", "sma_1"),
        ("sma_020", "sma_20"),
        ("sma_5000", "sma_1000"),
        ("sma_-3", "sma_1"),
        ("sma_20_3", "sma_20"),
        ("obv_3", "obv"),
        ("rsi_1", "rsi_2"),
        ("macd", "macd_line_12_26_9"),
        ("macd_line_26_12_9", "macd_line_12_26_9"),
        ("bollinger_upper_20", "bollinger_upper_20_2"),
        ("bollinger_upper_20_2.0", "bollinger_upper_20_2"),
        ("bollinger_upper_20_x", "bollinger_upper_20_2"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest_right_one(name, nearest) -> None:
    assert advice(name) == f"did you mean {nearest!r}?"
    assert parse_feature(nearest).name == nearest


def test_a_name_like_nothing_is_answered_with_the_page() -> None:
    assert "docs/features.md" in advice("quux")


def test_a_width_may_have_two_decimals() -> None:
    assert parse_feature("bollinger_lower_20_2.25").lookback == 20


def test_a_schema_tells_all_its_mistakes_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        FeatureSchema(["sma_20", "smaa_3", "sma_20", "rsi_1"])

    assert [problem.where for problem in caught.value.problems] == [
        "features[1]",
        "features[2]",
        "features[3]",
    ]


def test_a_schema_has_a_bound() -> None:
    with pytest.raises(SpecError, match="are more than"):
        FeatureSchema([f"sma_{n}" for n in range(1, FEATURES_MAX + 2)])


def test_equal_names_give_equal_digests_and_order_counts() -> None:
    one, other = FeatureSchema(["sma_20", "rsi_14"]), FeatureSchema(["rsi_14", "sma_20"])

    assert one.digest == FeatureSchema(["sma_20", "rsi_14"]).digest
    assert one.digest != other.digest
    assert other.index == {"rsi_14": 0, "sma_20": 1}


def test_a_merged_schema_holds_each_name_once_in_alphabetical_order() -> None:
    merged = FeatureSchema.merged([("sma_20", "rsi_14"), (), ("rsi_14", "atr_14")])

    assert merged.names == ("atr_14", "rsi_14", "sma_20")


def test_the_page_of_features_is_current() -> None:
    page = (ROOT / "docs/features.md").read_text("utf-8")

    assert table() in page, "paste titanflow.core.perception.features.table() into the page"
