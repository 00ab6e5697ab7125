"""Which trading state does a loss, a drawdown or a runaway bring, and what follows from it?"""

from __future__ import annotations

from typing import Any

from gate_kit import CENT, DAY, HOUR, Bench

from titanflow.core.base.ident import NO_ID
from titanflow.core.facts import (
    CancelOrders,
    Entry,
    Intent,
    StateChange,
    Verdict,
)
from titanflow.core.spec.words import (
    Account,
    IntentAction,
    Occasion,
    OrdStatus,
    Origin,
    Outcome,
    Side,
    TradingState,
)

NEW, CANCEL, REPLACE = IntentAction.NEW, IntentAction.CANCEL, IntentAction.REPLACE
S = 1_000_000_000
LOT = 100 * CENT  # the money in one lot at 100 ticks


def said(verdict: Verdict) -> tuple[str, int, str, int, int]:
    return verdict.rule, verdict.reason, verdict.text, verdict.limit, verdict.actual


# Trading states. ann holds 50,000 lots: half of the equity.


def changes(facts: list[Any]) -> list[tuple[str, str, str, str]]:
    return [
        (f.contender, f.former.value, f.state.value, f.text)
        for f in facts
        if isinstance(f, StateChange)
    ]


def test_a_fall_reduces_and_then_halts_in_the_same_event_until_released() -> None:
    bench = Bench({"reduceAtDrawdownBps": 500, "maxDrawdownBps": 1000}, onBreach="CancelAll")
    bench.hold(1, 50_000)

    assert [("ann", "ACTIVE", "REDUCING", "DRAWDOWN")] == changes(bench.bar(90))
    assert ("drawdown", 21, "DRAWDOWN", 500, 500) == said(bench.ask(1, 1))
    assert Outcome.ALLOW is bench.ask(-1, 1).outcome
    assert [("ann", "REDUCING", "ACTIVE", "DRAWDOWN")] == changes(bench.bar(100))
    facts = bench.bar(80)
    assert [("ann", "ACTIVE", "HALTED", "DRAWDOWN")] == changes(facts)
    assert [("ann", "", "DRAWDOWN")] == [
        (f.contender, f.symbol, f.text) for f in facts if isinstance(f, CancelOrders)
    ]
    assert ("drawdown", 21, "DRAWDOWN", 1000, 1000) == said(bench.ask(-1, 1))
    assert [] == changes(bench.bar(100, gap=DAY))
    assert TradingState.HALTED is bench.gate.state(0)


def test_a_daily_loss_halts_until_the_next_day_and_reduce_lets_reducing_orders_pass() -> None:
    bench = Bench({"maxDailyLoss": "1000"})
    bench.hold(1, 50_000)

    assert [] == changes(bench.bar(99))
    assert [("ann", "ACTIVE", "HALTED", "DAILY_LOSS")] == changes(bench.bar(98))
    assert ("daily-loss", 21, "DAILY_LOSS", 100_000 * CENT, 100_000 * CENT) == said(bench.ask(1, 1))
    assert Outcome.ALLOW is bench.ask(-1, 50_000).outcome
    assert [("ann", "HALTED", "ACTIVE", "NEW_DAY")] == changes(bench.bar(98, gap=DAY))
    assert Outcome.ALLOW is bench.ask(1, 1).outcome


def test_a_loss_that_a_closing_fill_makes_is_judged_at_the_next_mark() -> None:
    bench = Bench({"maxDailyLoss": "1000"})
    bench.hold(1, 50_000)
    bench.fill(bench.order(-1, 50_000), 50_000, price=90)

    assert [("ann", "ACTIVE", "HALTED", "DAILY_LOSS")] == changes(bench.bar(90))


def test_a_dividend_at_midnight_is_part_of_the_day_that_begins() -> None:
    bench = Bench({"maxDailyLoss": "1000"})
    bench.hold(1, 50_000)
    bench.bar(100)
    bench.now = (bench.now // DAY + 1) * DAY
    paid = 50_000 * CENT
    dividend = Entry(
        bench.ident(), NO_ID, bench.now, bench.now, "ann", Account.CASH, Account.DIVIDENDS, paid,
        "USD", "A", 0, Occasion.DIVIDEND,
    )  # fmt: skip
    bench.take(dividend)

    # The price falls by the dividend and as much again: a loss of the day of 500, not of 1,000.
    assert [] == changes(bench.bar(98, gap=HOUR))


def test_the_first_fills_of_a_day_are_part_of_that_day() -> None:
    bench = Bench({"maxDailyLoss": "1000"})
    order = bench.order(1, 50_000, 105)
    bench.now += DAY
    bench.fill(order, 50_000, price=105)

    assert [("ann", "ACTIVE", "HALTED", "DAILY_LOSS")] == changes(bench.bar(103))


def test_a_loss_of_the_house_halts_all_its_members() -> None:
    bench = Bench(aggregate={"maxDailyLoss": "1000"})
    bench.hold(1, 50_000)

    facts = bench.bar(98)

    halted = ("ACTIVE", "HALTED", "DAILY_LOSS")
    assert [("ann", *halted), ("bob", *halted), ("cat", *halted)] == changes(facts)


def test_flatten_cancels_closes_and_goes_on_until_flat() -> None:
    bench = Bench({"maxDrawdownBps": 1000}, onBreach="Flatten")
    bench.hold(1, 50_000)

    first = bench.bar(80)
    closing = [f for f in first if isinstance(f, Intent)]
    assert ["StateChange", "CancelOrders", "Intent"] == [type(f).__name__ for f in first]
    assert [(Side.SELL, 50_000, Origin.RISK)] == [
        (f.side, f.quantity_lots, f.origin) for f in closing
    ]
    verdict = bench.take(closing[0])[0]
    assert isinstance(verdict, Verdict)
    assert verdict.outcome is Outcome.ALLOW
    order = bench.born(verdict)
    assert [] == bench.bar(80)
    bench.fill(order, 20_000, 80)
    bench.update(order, OrdStatus.EXPIRED, cum=20_000)
    again = bench.bar(80)
    assert [30_000] == [f.quantity_lots for f in again if isinstance(f, Intent)]
    rest = bench.take(again[0])[0]
    assert isinstance(rest, Verdict)
    bench.fill(bench.born(rest), 30_000, 80)
    assert [] == bench.bar(80)
    assert [] == bench.bar(79)


def test_risk_may_only_reduce_at_a_known_price() -> None:
    bench = Bench()
    bench.hold(1, 5)

    assert ("reduces", 99, "NOT_REDUCING", 5, -6) == said(bench.ask(-1, 6, origin=Origin.RISK))
    assert Outcome.ALLOW is bench.ask(-1, 5, origin=Origin.RISK).outcome
    blind = Bench(marked=False)
    assert "reference" == blind.ask(-1, 1, origin=Origin.RISK).rule


def test_too_many_refusals_halt_even_reducing_orders_until_released() -> None:
    bench = Bench({"haltAfterRefusals": 3, "refusalWindowSeconds": 10})
    bench.hold(1, 5)
    bench.ask(1, 0), bench.ask(1, 0)
    bench.now += 11 * S
    assert 1 == len(bench.say(1, 0))
    bench.say(1, 0)

    facts = bench.say(1, 0)

    assert [("ann", "ACTIVE", "HALTED", "RUNAWAY")] == changes(facts)
    assert isinstance(facts[-1], CancelOrders)
    assert ("runaway", 0, "RUNAWAY", 0, 0) == said(bench.ask(-1, 5))
    assert 1 == len(bench.say(1, 0))
