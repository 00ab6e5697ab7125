"""Can anybody get around risk? Each test is a way that once worked."""

from __future__ import annotations

import msgspec
import pytest
from risk_kit import DAY, HOUR, Line, Risk, changes, policy, rulings, verdicts

from titanflow.core.facts import CancelOrders, Fact, Intent, KillRuling
from titanflow.core.spec.words import IntentAction, OrdStatus, Origin, Outcome, TradingState

FLATTEN = policy(
    limits={"maxDrawdownBps": 500, "haltAfterRefusals": 3, "maxOrderQuantity": "10000"},
    onBreach="Flatten",
)


def closing(facts: list[Fact]) -> list[Intent]:
    """Return the orders by which risk closes positions."""
    return [f for f in facts if isinstance(f, Intent) and f.origin is Origin.RISK]


def test_an_order_of_risk_is_for_nobody_else_to_cancel_or_replace() -> None:
    risk = Risk(FLATTEN)
    risk.bar(100)
    risk.buy("ann", 9_000, 100)
    (order,) = closing(risk.bar(50, after=HOUR))
    name = order.client_order_id

    (cancel,) = verdicts(risk.cancel("ann", name))
    (replace,) = verdicts(risk.replace("ann", name, -1, 1, 0))
    (claim,) = verdicts(risk.intent("ann", 1, 1, client_order_id="risk-mine"))

    assert ("risk-order", "ORDER_OF_RISK") == (cancel.rule, cancel.text)
    assert Outcome.DENY is replace.outcome
    assert "risk-order" == claim.rule


def test_the_desk_looks_for_itself_whose_order_is_to_be_cancelled() -> None:
    line = Line(FLATTEN)
    line.bar(100)
    line.intent("ann", 1, 9_000)
    line.bar(100, after=HOUR)
    (order,) = closing(line.bar(50, after=HOUR))
    allowed = next(v for v in verdicts(line.said) if v.cause == order.id)
    forged = msgspec.structs.replace(
        allowed,
        action=IntentAction.CANCEL,
        target=order.client_order_id,
        origin=Origin.CONTENDER,
    )

    said = line.trade.handle(forged)

    assert ["CXL_REJECT:ORDER_OF_RISK"] == [fact.text for fact in said]


@pytest.mark.parametrize("breach", ["Flatten", "Kill"])
def test_who_is_halted_for_refusals_is_closed_or_killed_by_a_breach_all_the_same(
    breach: str,
) -> None:
    limits = {"maxDrawdownBps": 500, "haltAfterRefusals": 3, "maxOrderQuantity": "10000"}
    risk = Risk(policy(limits=limits, onBreach=breach))
    risk.bar(100)
    risk.buy("ann", 9_000, 100)
    for _ in range(3):
        risk.intent("ann", 1, 50_000)
    assert TradingState.HALTED is risk.gate.state(0)

    said = risk.bar(50, after=HOUR)

    assert ("ann", "HALTED", "HALTED", "DRAWDOWN") in changes(said)
    if breach == "Flatten":
        assert [9_000] == [order.quantity_lots for order in closing(said)]
    else:
        assert [True] == [f.engaged for f in said if isinstance(f, KillRuling)]


def test_a_drawdown_after_a_daily_loss_of_the_same_day_has_its_own_consequence() -> None:
    limits = {"maxDailyLoss": "100", "maxDrawdownBps": 5_000}
    risk = Risk(policy(limits=limits, onBreach="CancelAll"))
    risk.bar(100)
    risk.buy("ann", 9_000, 100)

    first = risk.bar(95, after=HOUR)
    second = risk.bar(40, after=HOUR)

    assert [("ann", "ACTIVE", "HALTED", "DAILY_LOSS")] == changes(first)
    assert [("ann", "HALTED", "HALTED", "DRAWDOWN")] == changes(second)
    assert any(isinstance(f, CancelOrders) for f in second)


def test_risk_goes_on_closing_whatever_the_contender_has_open() -> None:
    risk = Risk(FLATTEN)
    risk.bar(100)
    risk.buy("ann", 9_000, 100)
    (order,) = closing(risk.bar(50, after=HOUR))
    risk.fill(order.client_order_id, 4_000, 50, leaves=5_000)
    assert [] == closing(risk.bar(50, after=HOUR))  # the rest of it still works

    risk.update(order.client_order_id, OrdStatus.EXPIRED, "C", cum=4_000)
    (rest,) = closing(risk.bar(50, after=HOUR))

    assert 5_000 == rest.quantity_lots


def test_a_new_day_ends_what_a_halt_of_the_day_wanted_closed() -> None:
    risk = Risk(policy(limits={"maxDailyLoss": "100"}, onBreach="Flatten"))
    risk.bar(100)
    risk.buy("ann", 5_000, 100)
    (order,) = closing(risk.bar(90, after=HOUR))
    risk.end(order.client_order_id)

    said = risk.bar(90, after=DAY)

    assert [("ann", "HALTED", "ACTIVE", "NEW_DAY")] == changes(said)
    assert [] == closing(said)
    assert [] == closing(risk.bar(90, after=HOUR))


def test_who_engaged_a_switch_cannot_release_it_after_a_breach_engaged_it_too() -> None:
    risk = Risk(policy(limits={"maxDailyLoss": "100"}, onBreach="Kill"))
    risk.bar(100)
    risk.buy("ann", 5_000, 100)
    risk.switch("Contender", "ann", by="alice", action="RejectNew")
    risk.bar(90, after=HOUR)

    said = risk.switch("Contender", "ann", engaged=False, by="alice", token="t1")

    assert [(False, 2)] == rulings(said)


@pytest.mark.parametrize("name", ["alice ", "Alice", "stated:alice", "\tALICE"])
def test_another_spelling_is_no_second_person(name: str) -> None:
    risk = Risk()
    risk.switch(by="alice")

    assert [(False, 1)] == rulings(risk.switch(engaged=False, by=name, token="t1"))


def test_the_arenas_switch_speaks_first_whatever_else_is_wrong() -> None:
    risk = Risk()
    risk.bar(100)
    risk.switch("Arena", action="RejectNew")
    risk.switch("Contender", "ann", action="CancelAll")

    for changed in ({}, {"symbol": "ZZ"}):
        verdict = risk.ask("ann", 1, 1, **changed)
        assert ("kill-arena", 2, "KILL:Arena:1") == (verdict.rule, verdict.reason, verdict.text)
    assert "kill-arena" == risk.ask("nobody", 1, 1).rule


def test_orders_that_a_switch_refuses_count_as_messages() -> None:
    risk = Risk(policy(limits={"maxOrdersPerSecond": 2}))
    risk.bar(100)
    risk.switch("Contender", "ann")
    for _ in range(5):
        risk.ask("ann", 1, 1)
    risk.switch("Contender", "ann", engaged=False)

    assert "rate" == risk.ask("ann", 1, 1).rule


def test_a_replacement_is_as_large_as_all_of_it() -> None:
    risk = Risk(policy(limits={"maxOrderQuantity": "500", "maxOrderNotional": "600"}))
    risk.bar(100)
    name = risk.ask("ann", 1, 500, 100).client_order_id
    risk.fill(name, 450, 100, cum=450, leaves=50)

    (clipped,) = verdicts(risk.replace("ann", name, 1, 900, 100))
    (dear,) = verdicts(risk.replace("ann", name, 1, 500, 130))
    (fine,) = verdicts(risk.replace("ann", name, 1, 500, 110))

    assert ("clip-size", 500, 900) == (clipped.rule, clipped.limit, clipped.actual)
    assert "max-notional" == dear.rule
    assert Outcome.ALLOW is fine.outcome
