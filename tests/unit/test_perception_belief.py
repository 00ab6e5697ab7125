"""Is there one belief for each bar, on adjusted prices, and none that knows the future?"""

import math

import msgspec
import pytest
from stock_bars import stock_bars

from titanflow.core.base.errors import InvariantError
from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.contender.rehearsal import ground_of
from titanflow.core.facts import Bar, Belief, Split
from titanflow.core.perception.belief import Perceive
from titanflow.core.perception.features import FeatureSchema

NAMES = ("close", "volume", "sma_3", "donchian_high_2", "obv")


def stage(names=NAMES, symbols=("AAPL",)) -> Perceive:
    return Perceive(ground_of(symbols), FeatureSchema(names))


def bar(number: int, ticks: int, *, volume: int = 100, symbol: str = "AAPL") -> Bar:
    ident = derive(NO_ID, symbol.encode(), number)
    return Bar(ident, NO_ID, number, number, symbol, number - 1, *[ticks] * 4, volume)


def split(number: int, numerator: int, denominator: int = 1) -> Split:
    ident = derive(NO_ID, b"split", number)
    return Split(ident, NO_ID, number, number, "AAPL", numerator, denominator, "test")


def believe(perceive: Perceive, fact: Bar) -> Belief:
    (belief,) = perceive.handle(fact)
    assert isinstance(belief, Belief)
    return belief


def test_a_bar_gives_one_belief_with_the_bar_as_cause() -> None:
    fact = bar(1, 12_345)

    belief = believe(stage(), fact)

    assert belief.cause == fact.id
    assert belief.id == derive(fact.id, b"perceive", 0)
    assert (belief.at, belief.seen, belief.symbol) == (1, 1, "AAPL")
    assert (belief.close_ticks, belief.adjustment) == (12_345, 1.0)
    assert belief.features[:2] == (123.45, 100.0)


def test_a_feature_is_nan_until_it_has_seen_enough_bars() -> None:
    perceive = stage(("sma_3",))

    values = [believe(perceive, bar(n, 100 * n)).features[0] for n in range(1, 5)]

    assert [math.isnan(value) for value in values] == [True, True, False, False]
    assert values[2:] == [2.0, 3.0]


def test_a_split_leaves_no_step_in_a_feature() -> None:
    perceive = stage(("close", "volume", "sma_3"))
    for number in range(1, 4):
        believe(perceive, bar(number, 20_000, volume=100))

    assert perceive.handle(split(4, 2)) == ()
    after = believe(perceive, bar(4, 10_000, volume=200))

    assert after.adjustment == 2.0
    assert after.close_ticks == 10_000
    assert after.features == (200.0, 100.0, 200.0)


def test_splits_multiply_and_a_reverse_split_divides() -> None:
    perceive = stage(("close",))

    perceive.handle(split(1, 2))
    perceive.handle(split(2, 3, 2))
    perceive.handle(split(3, 1, 10))

    assert believe(perceive, bar(4, 1000)).adjustment == pytest.approx(0.3, abs=1e-15)


def test_a_split_of_one_instrument_leaves_the_others_alone() -> None:
    perceive = stage(("close",), ("AAPL", "IBM"))

    perceive.handle(split(1, 2))

    assert believe(perceive, bar(1, 1000, symbol="IBM")).adjustment == 1.0


def test_a_fact_about_an_unknown_instrument_breaks_a_promise() -> None:
    with pytest.raises(InvariantError, match="'XYZ'"):
        stage().handle(bar(1, 1000, symbol="XYZ"))


def test_features_up_to_a_bar_do_not_depend_on_later_bars() -> None:
    names = ("sma_20", "ema_20", "rsi_14", "atr_14", "macd_hist_12_26_9", "donchian_high_20")
    bars = stock_bars()[:200]
    other = [msgspec.structs.replace(b, close_ticks=1, low_ticks=1) for b in bars[120:]]
    one, two = stage(names), stage(names)

    known = [believe(one, b) for b in bars][:120]
    changed = [believe(two, b) for b in (*bars[:120], *other)][:120]

    assert msgspec.msgpack.encode(known) == msgspec.msgpack.encode(changed)


def test_a_stage_goes_on_from_its_snapshot() -> None:
    bars = stock_bars()[:120]
    first, second = stage(), stage()
    for fact in bars[:60]:
        first.handle(fact)
    first.handle(split(1, 7))

    second.load(first.dump())

    assert first.digest() == second.digest()
    encode = msgspec.msgpack.encode
    assert [encode(believe(first, b)) for b in bars[60:]] == [
        encode(believe(second, b)) for b in bars[60:]
    ]


def test_the_digest_changes_with_every_bar_and_with_the_schema() -> None:
    perceive = stage()
    before = perceive.digest()

    perceive.handle(bar(1, 1000))

    assert before != perceive.digest()
    assert stage(("sma_3",)).digest() != stage(("sma_3", "obv")).digest()


def test_a_snapshot_of_another_arena_is_refused() -> None:
    with pytest.raises(ValueError, match="other instruments"):
        stage().load(stage(symbols=("IBM",)).dump())
    with pytest.raises(ValueError, match="bytes is needed"):
        stage().load(stage(("sma_3",)).dump())
