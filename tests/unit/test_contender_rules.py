"""Do the rules say what their names promise, hold while warming up, and explain themselves?"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stock_bars import stock_bars

from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.contender import rules
from titanflow.core.contender.checks import run_checks
from titanflow.core.contender.holding import Holding, Seat
from titanflow.core.contender.protocol import View
from titanflow.core.contender.rehearsal import Rehearsal, ground_of
from titanflow.core.facts import Belief
from titanflow.core.spec.words import Side

MAKERS = {name: make for name, (make, _) in rules.RULES.items()}
SHORTS = [name for name, (_, parameters) in rules.RULES.items() if rules.SHORT in parameters]
NAN = math.nan


def view_of(rule, values, *, close: int = 10_000, lots: int = 0, held: int = 0) -> View:
    """Return a view of one belief; *values* are the rule's features in its own order."""
    ground = ground_of(["AAPL"])
    index = {name: at for at, name in enumerate(rule.features)}
    holding = Holding(Seat(ground.entrants[0], 7), ground.instruments[0], index)
    holding.see(Belief(derive(NO_ID, b"b", 0), NO_ID, 1, 1, "AAPL", close, 1.0, tuple(values)))
    holding.lots, holding.bars_held = lots, held
    return View(holding)


@pytest.mark.parametrize(
    ("rule", "values", "close", "expected"),
    [
        (rules.SmaCrossover(), (101.0, 100.0), 10_000, Side.BUY),
        (rules.SmaCrossover(), (99.0, 100.0), 10_000, Side.SELL),
        (rules.SmaCrossover(), (100.0, 100.0), 10_000, Side.HOLD),
        (rules.RsiReversion(), (29.0,), 10_000, Side.BUY),
        (rules.RsiReversion(), (71.0,), 10_000, Side.SELL),
        (rules.RsiReversion(), (50.0,), 10_000, Side.HOLD),
        (rules.BollingerReversion(), (90.0, 100.0, 110.0), 8_900, Side.BUY),
        (rules.BollingerReversion(), (90.0, 100.0, 110.0), 11_100, Side.SELL),
        (rules.BollingerReversion(), (90.0, 100.0, 110.0), 10_900, Side.HOLD),
        (rules.BollingerReversion(), (100.0, 100.0, 100.0), 10_000, Side.HOLD),
        (rules.TimeSeriesMomentum(), (3.0,), 10_000, Side.BUY),
        (rules.TimeSeriesMomentum(), (-3.0,), 10_000, Side.SELL),
        (rules.TimeSeriesMomentum(), (0.0,), 10_000, Side.HOLD),
        (rules.Macd(), (1.0, 0.5), 10_000, Side.BUY),
        (rules.Macd(), (0.5, 1.0), 10_000, Side.SELL),
        (rules.Macd(), (1.0, 1.0), 10_000, Side.HOLD),
        (rules.DonchianBreakout(), (110.0, 90.0, 105.0, 95.0), 11_100, Side.BUY),
        (rules.DonchianBreakout(), (110.0, 90.0, 105.0, 95.0), 10_000, Side.HOLD),
        (rules.DonchianBreakout(), (110.0, 90.0, 105.0, 95.0), 8_900, Side.HOLD),
    ],
)
def test_a_rule_takes_the_side_that_its_name_promises(rule, values, close, expected) -> None:
    opinion = rule.decide(view_of(rule, values, close=close))

    assert expected is opinion.side
    assert opinion.strength == (1.0 if expected is Side.BUY else 0.0)
    assert opinion.problem() == ""


@pytest.mark.parametrize(
    ("close", "lots", "short", "expected"),
    [
        (9_400, 10, False, (Side.SELL, 0.0)),
        (9_600, 10, False, (Side.HOLD, 0.0)),
        (8_900, 10, True, (Side.SELL, -1.0)),
        (10_600, -10, True, (Side.BUY, 0.0)),
        (10_400, -10, True, (Side.HOLD, 0.0)),
        (11_100, -10, True, (Side.BUY, 1.0)),
    ],
)
def test_a_breakout_exits_at_the_shorter_channel(close, lots, short, expected) -> None:
    rule = rules.DonchianBreakout(short=short)

    opinion = rule.decide(view_of(rule, (110.0, 90.0, 105.0, 95.0), close=close, lots=lots))

    assert expected == (opinion.side, opinion.strength)
    assert opinion.problem() == ""


@pytest.mark.parametrize("name", [name for name in MAKERS if name not in {"BuyAndHold", "Random"}])
def test_a_rule_holds_and_says_so_while_it_warms_up(name) -> None:
    rule = MAKERS[name]()
    view = view_of(rule, [NAN] * len(rule.features))

    opinion = rule.decide(view)

    assert rule.stance(view) is None
    assert opinion.side is Side.HOLD
    assert opinion.text.startswith("warming up: 1 of ")


@pytest.mark.parametrize("name", SHORTS)
@pytest.mark.parametrize("short", [False, True])
def test_only_a_rule_that_may_be_short_asks_for_less_than_none(name, short) -> None:
    heard = Rehearsal(MAKERS[name](short=short), ["AAPL"]).play(stock_bars()[:500])

    strengths = {signal.strength for signal, _ in heard if signal.side is Side.SELL}

    assert (min(strengths) < 0.0) is short


@pytest.mark.parametrize("name", MAKERS)
def test_a_rule_is_well_behaved(name) -> None:
    results = run_checks(MAKERS[name], stock_bars()[:260])

    assert [] == [result for result in results if not result.passed]


@pytest.mark.parametrize("name", MAKERS)
@given(values=st.lists(st.floats(0.01, 1000), min_size=4, max_size=4), lots=st.integers(-9, 9))
def test_an_explanation_adds_up_whatever_the_features(name, values, lots) -> None:
    rule = MAKERS[name]()
    view = view_of(rule, values[: len(rule.features)], lots=lots)

    opinion = rule.decide(view)

    assert opinion.problem() == ""
    assert opinion.strength == (rule.stance(view) or 0.0)


def test_buy_and_hold_buys_for_some_bars_and_then_leaves_it() -> None:
    rule = rules.BuyAndHold()

    assert rule.stance(view_of(rule, ())) == 1.0
    assert rule.stance(view_of(rule, (), lots=1, held=19)) == 1.0
    assert rule.stance(view_of(rule, (), lots=1, held=20)) is None


def test_random_trades_as_often_as_its_period_says_and_repeats() -> None:
    bars = stock_bars()
    first = Rehearsal(rules.Random(period=10), ["AAPL"]).play(bars)
    second = Rehearsal(rules.Random(period=10), ["AAPL"]).play(bars)

    sides = [signal.side for signal, _ in first]

    assert sides == [signal.side for signal, _ in second]
    assert 0.04 < sides.count(Side.BUY) / len(bars) < 0.06
    assert 0.04 < sides.count(Side.SELL) / len(bars) < 0.06
