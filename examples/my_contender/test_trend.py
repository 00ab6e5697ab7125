"""Does Trend do what it says, and is it well behaved? Copy this test with the contender."""

# ruff: noqa: D103, INP001, SIM300 - as in tests: claims as names, no package, expected == actual

from my_contender.trend import Trend

from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.base.instant import NS_PER_DAY
from titanflow.core.contender.checks import run_checks
from titanflow.core.contender.rehearsal import Rehearsal
from titanflow.core.facts import Bar
from titanflow.core.spec.words import Side

DAYS = 300


def made_up_bars() -> list[Bar]:
    """Return a price that rises for 60 days and falls for 60 days, again and again."""
    bars, price = [], 10_000
    for day in range(DAYS):
        opened, price = price, price + (40 if day // 60 % 2 == 0 else -35)
        at = (day + 1) * NS_PER_DAY
        high, low = max(opened, price) + 5, min(opened, price) - 5
        ident = derive(NO_ID, b"bar", day)
        prices = (opened, high, low, price)
        bars.append(Bar(ident, NO_ID, at, at, "AAPL", at - NS_PER_DAY, *prices, 100_000))
    return bars


def test_trend_is_well_behaved() -> None:
    results = run_checks(Trend, made_up_bars())

    assert [] == [result for result in results if not result.passed]


def test_trend_buys_above_its_average_and_sells_below() -> None:
    heard = Rehearsal(Trend(window="20"), ["AAPL"]).play(made_up_bars())

    sides = [signal.side for signal, _ in heard]

    assert [Side.HOLD] * 19 == sides[:19]
    assert Side.BUY is sides[50]
    assert Side.SELL is sides[110]


def test_trend_trades_at_the_turns_only() -> None:
    heard = Rehearsal(Trend(window="20"), ["AAPL"]).play(made_up_bars())

    intents = [intent for _, said in heard for intent in said]

    assert [Side.BUY, Side.SELL] == [intent.side for intent in intents[:2]]
    assert len(intents) <= 6
