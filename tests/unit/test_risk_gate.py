"""Does each check refuse what it must, let its neighbour pass, and leave nothing held behind?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gate_kit import CENT, DAY, HOUR, Bench, policy, scene

from titanflow.core.base.errors import InvariantError, SpecError
from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.facts import (
    Bar,
    CancelOrders,
    Order,
    OrderUpdate,
    Verdict,
)
from titanflow.core.risk.gate import CLIENT_IDS_REMEMBERED, SENT_REMEMBERED, Gate
from titanflow.core.risk.policy import effective_tiers
from titanflow.core.risk.rules import RULES
from titanflow.core.spec.words import (
    Account,
    IntentAction,
    Occasion,
    OrdStatus,
    Outcome,
    Side,
    Tier,
    TimeInForce,
)

NEW, CANCEL, REPLACE = IntentAction.NEW, IntentAction.CANCEL, IntentAction.REPLACE
S = 1_000_000_000
LOT = 100 * CENT  # the money in one lot at 100 ticks


def said(verdict: Verdict) -> tuple[str, int, str, int, int]:
    return verdict.rule, verdict.reason, verdict.text, verdict.limit, verdict.actual


# Each row: limits; what is refused; what it says; the neighbour that passes.
ONE_ORDER: list[tuple[dict[str, Any], tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]] = [
    ({"maxIntentAgeSeconds": 5}, (1, 1, 0, {"decided_at": -5 * S - 1}),
     ("stale-intent", 8, "STALE", 5 * S, 5 * S + 1), (1, 1, 0, {"decided_at": -5 * S})),
    ({"orderTypes": ["Limit"]}, (1, 1), ("characteristic", 11, "UNSUPPORTED", 2, 0), (1, 1, 100)),
    ({"timeInForce": ["Day"]}, (1, 1, 0, {"time_in_force": TimeInForce.GTC}),
     ("characteristic", 11, "UNSUPPORTED", 1, 1), (1, 1)),
    ({"minOrderQuantity": "3"}, (1, 2), ("quantity", 13, "QUANTITY", 3, 2), (1, 3)),
    ({}, (1, 0), ("quantity", 13, "QUANTITY", 1, 0), (1, 1)),
    ({}, (1, 1, -7), ("price", 18, "PRICE", 1, -7), (1, 1, 7)),
    ({"priceCollarBps": 500}, (1, 1, 106), ("collar", 16, "COLLAR", 500, 600), (1, 1, 105)),
    ({"priceCollarBps": 500}, (-1, 1, 94), ("collar", 16, "COLLAR", 500, 600), (-1, 1, 95)),
    ({"minOrderNotional": "2"}, (1, 1), ("min-notional", 13, "MIN_NOTIONAL", 2 * LOT, LOT),
     (1, 2)),
    ({"maxOrderQuantity": "9"}, (1, 10), ("clip-size", 26, "CLIP_SIZE", 9, 10), (1, 9)),
    ({"maxOrderNotional": "9"}, (1, 10),
     ("max-notional", 27, "MAX_NOTIONAL", 9 * LOT, 10 * LOT), (1, 9)),
    ({"maxPositionQuantity": "9"}, (-1, 10), ("position-lots", 3, "MAX_POSITION", 9, 10),
     (-1, 9)),
    ({"maxPositionNotional": "9"}, (1, 10),
     ("position-notional", 3, "MAX_POSITION", 9 * LOT, 10 * LOT), (1, 9)),
    ({"maxConcentrationBps": 1}, (1, 11),
     ("concentration", 3, "CONCENTRATION", 10 * LOT, 11 * LOT), (1, 10)),
    ({"maxGrossExposure": "9"}, (-1, 10), ("gross", 3, "GROSS", 9 * LOT, 10 * LOT), (-1, 9)),
    ({"maxNetExposure": "9"}, (-1, 10), ("net", 3, "NET", 9 * LOT, 10 * LOT), (-1, 9)),
    ({"maxTurnoverBpsPerDay": 1}, (1, 11), ("turnover", 3, "TURNOVER", 10 * LOT, 11 * LOT),
     (1, 10)),
    ({"minFreeCash": "99990"}, (1, 10, 101), ("cash", 25, "CASH", 10 * LOT, 1010 * CENT),
     (1, 10, 100)),
    ({"maxLeverageBps": 1}, (-1, 11), ("leverage", 25, "LEVERAGE", 10 * LOT, 11 * LOT), (-1, 10)),
    ({"allowShort": False}, (-1, 1), ("short", 22, "SHORT", 0, -1), (1, 1)),
    ({}, (1, 1 << 60), ("range", 99, "INTERNAL", 1 << 60, 1 << 62), (1, 1)),
]  # fmt: skip


def ask(bench: Bench, side: int, lots: int, limit: int = 0, more: Any = None) -> Verdict:
    changes = dict(more or {})
    if "decided_at" in changes:
        changes["decided_at"] += bench.now
    return bench.ask(side, lots, limit, **changes)


@pytest.mark.parametrize(("limits", "refused", "expected", "passes"), ONE_ORDER)
def test_a_check_refuses_one_order_and_its_neighbour_passes(
    limits: dict[str, Any],
    refused: tuple[Any, ...],
    expected: tuple[Any, ...],
    passes: tuple[Any, ...],
) -> None:
    bench = Bench(limits)

    no, yes = ask(bench, *refused), ask(bench, *passes)

    assert expected == said(no)
    assert Outcome.DENY is no.outcome
    assert (Outcome.ALLOW, -1, "", "") == (yes.outcome, yes.reason, yes.text, yes.rule)


AGGREGATES = [
    ("maxGrossExposure", "group-gross", "HOUSE_GROSS"),
    ("maxNetExposure", "group-net", "HOUSE_NET"),
    ("maxInstrumentExposure", "group-instrument", "HOUSE_INSTRUMENT"),
]


@pytest.mark.parametrize(("field", "rule", "text"), AGGREGATES)
def test_the_house_counts_what_all_contenders_have_open(field: str, rule: str, text: str) -> None:
    bench = Bench(aggregate={field: "10"})
    bench.order(1, 6)

    no = bench.ask(1, 5, contender="bob")
    yes = bench.ask(1, 4, contender="bob")

    assert (rule, 20, text, 10 * LOT, 11 * LOT) == said(no)
    assert Outcome.ALLOW is yes.outcome


def test_messages_a_second_are_limited_and_tokens_come_back() -> None:
    bench = Bench({"maxOrdersPerSecond": 2})
    bench.ask(1, 1), bench.ask(1, 1)

    no = bench.ask(1, 1)
    bench.now += S // 2
    yes = bench.ask(1, 1)

    assert ("rate", 99, "THROTTLE", 2, 3) == said(no)
    assert Outcome.ALLOW is yes.outcome


def test_an_intent_is_as_old_as_the_market_that_risk_has_heard_since() -> None:
    bench = Bench({"maxIntentAgeSeconds": 5})
    decided = bench.now
    bench.bar(100, symbol="B", gap=5 * S)  # another instrument's bar is time as well
    yes = bench.ask(1, 1, at=decided, seen=decided, decided_at=decided)

    bench.bar(100, symbol="B", gap=1)
    other = Bench({"maxIntentAgeSeconds": 5})
    other.gate.load(bench.gate.dump())  # a restart forgets no time
    no = bench.ask(1, 1, at=decided, seen=decided, decided_at=decided)
    intent = other.intent(1, 1, at=decided, seen=decided, decided_at=decided)

    assert Outcome.ALLOW is yes.outcome
    assert ("stale-intent", 8, "STALE", 5 * S, 5 * S + 1) == said(no)
    assert said(no) == said(other.take(intent)[0])


def test_an_old_intent_may_still_cancel() -> None:
    bench = Bench({"maxIntentAgeSeconds": 5})
    order = bench.order(1, 1)
    decided = bench.now
    bench.bar(100, gap=60 * S)

    cancel = bench.ask(1, 0, action=CANCEL, target=order.client_order_id, at=decided,
                       decided_at=decided)  # fmt: skip

    assert Outcome.ALLOW is cancel.outcome


def test_messages_a_day_are_limited_until_the_next_day() -> None:
    bench = Bench({"maxOrdersPerDay": 1})
    first = bench.ask(1, 1)

    no = bench.ask(1, 1, action=CANCEL, target=first.client_order_id)
    bench.bar(100, gap=DAY)
    yes = bench.ask(1, 1)

    assert ("per-day", 99, "THROTTLE", 1, 2) == said(no)
    assert Outcome.ALLOW is yes.outcome


def test_the_house_limits_messages_a_second_of_all() -> None:
    bench = Bench(aggregate={"maxOrdersPerSecond": 1})
    bench.ask(1, 1)

    assert ("group-rate", 99, "THROTTLE", 1, 2) == said(bench.ask(1, 1, contender="bob"))


def test_orders_for_each_fill_are_limited_after_a_hundred_but_cancels_are_not() -> None:
    bench = Bench({"maxOrdersPerFill": 50})
    orders = [bench.order(1, 1) for _ in range(100)]

    no = bench.ask(1, 1)
    cancel = bench.ask(1, 0, 0, action=CANCEL, target=orders[0].client_order_id)
    for order in orders[:3]:
        bench.fill(order, 1)
    yes = bench.ask(1, 1)

    assert ("order-ratio", 99, "ORDER_RATIO", 50, 101) == said(no)
    assert Outcome.ALLOW is cancel.outcome
    assert Outcome.ALLOW is yes.outcome


def test_open_orders_are_counted_and_ended_ones_are_not() -> None:
    bench = Bench({"maxOpenOrders": 1})
    order = bench.order(1, 1)

    no = bench.ask(1, 1)
    bench.update(order, OrdStatus.CANCELED)
    yes = bench.ask(1, 1)

    assert ("open-orders", 3, "MAX_NUM_ORDERS", 1, 2) == said(no)
    assert Outcome.ALLOW is yes.outcome


def test_a_reference_is_needed_and_grows_old() -> None:
    bench = Bench({"maxReferenceAgeSeconds": 10}, marked=False)

    none = bench.ask(1, 1)
    bench.bar(100)
    bench.now += 10 * S
    fresh = bench.ask(1, 1)
    bench.now += 1
    old = bench.ask(1, 1)

    assert ("reference", 19, "REFERENCE", 10 * S, -1) == said(none)
    assert Outcome.ALLOW is fresh.outcome
    assert ("reference", 19, "REFERENCE", 10 * S, 10 * S + 1) == said(old)


def test_a_reused_client_id_and_the_same_order_within_the_window_are_duplicates() -> None:
    bench = Bench({"duplicateWindowSeconds": 10})
    bench.ask(1, 1, client_order_id="x")

    reused = bench.ask(1, 2, client_order_id="x")
    same = bench.ask(1, 1)
    bench.now += 10 * S + 1
    later = bench.ask(1, 1)

    assert ("duplicate", 6, "DUPLICATE", 0, 0) == said(reused) == said(same)
    assert Outcome.ALLOW is later.outcome


def test_the_memory_of_client_ids_and_sent_orders_is_bounded() -> None:
    bench = Bench({"duplicateWindowSeconds": 1})
    for number in range(CLIENT_IDS_REMEMBERED + 1):
        bench.update(
            bench.order(1, number + 1, 1, client_order_id=f"n{number}"), OrdStatus.CANCELED
        )

    assert "duplicate" == bench.ask(1, 9_999, 1, client_order_id="n1").rule
    assert Outcome.ALLOW is bench.ask(1, 9_999, 1, client_order_id="n0").outcome
    assert len(bench.gate._judge._sent) <= SENT_REMEMBERED


def test_restricted_instruments_and_unknown_names_are_refused() -> None:
    bench = Bench(instruments=[{"symbol": "B", "tradable": False}])

    assert ("instrument", 1, "RESTRICTED", 0, 0) == said(bench.ask(1, 1, symbol="B"))
    assert ("instrument", 1, "UNKNOWN_SYMBOL", 0, 0) == said(bench.ask(1, 1, symbol="Z"))
    assert ("account", 15, "UNKNOWN_CONTENDER", 0, 0) == said(bench.ask(1, 1, contender="eve"))
    assert Outcome.ALLOW is bench.ask(1, 1).outcome


@pytest.mark.parametrize(
    ("tier", "text"), [(Tier.SHADOW, "TIER_SHADOW"), (Tier.CANDIDATE, "TIER_CANDIDATE")]
)
def test_a_contender_outside_tier_paper_is_refused_everything(tier: Tier, text: str) -> None:
    bench = Bench(ground=scene(entrant={"tier": tier}))

    for symbol, action in (("A", NEW), ("Z", NEW), ("A", CANCEL)):
        verdict = bench.ask(1, 1, symbol=symbol, action=action)
        assert ("account", 15, text) == said(verdict)[:3]
    assert (tier,) == effective_tiers(bench.ground, bench.policies)[:1]


def test_a_contender_that_no_policy_selects_falls_to_shadow() -> None:
    bench = Bench(policies={})

    assert ("account", 15, "TIER_SHADOW", 0, 0) == said(bench.ask(1, 1))
    assert (Tier.SHADOW,) == effective_tiers(bench.ground, {})[:1]
    assert () == bench.gate.policies_of(0)


def test_the_first_check_in_order_speaks() -> None:
    """An order that breaks many limits is refused by each in turn as the former is lifted."""
    bench = Bench(
        {"maxOrderQuantity": "5", "maxPositionQuantity": "5", "minFreeCash": "99999",
         "priceCollarBps": 100}
    )  # fmt: skip

    assert "quantity" == bench.ask(1, 0, 200).rule
    assert "collar" == bench.ask(1, 9, 200).rule
    assert "clip-size" == bench.ask(1, 9, 100).rule
    bench.order(1, 1, 100)
    assert "position-lots" == bench.ask(1, 5, 100).rule
    assert "cash" == bench.ask(1, 4, 100).rule


def test_the_page_on_risk_has_the_table_of_the_rules() -> None:
    page = (Path(__file__).parents[2] / "docs/risk.md").read_text("utf-8")

    rows = [
        f"| {number} | `{r.name}` | {r.reason.value} | `{r.text}` | {r.unit} | {r.meaning} |"
        for number, r in enumerate(RULES, 1)
    ]

    assert rows == [line for line in page.splitlines() if line.startswith("| ") and "`" in line]


# Holds.


def held(bench: Bench) -> tuple[int, int, int, int]:
    return bench.gate.reserved(0), *bench.gate.open_lots(0, 0), bench.gate.position(0, 0)


def test_a_market_buy_is_held_at_the_reference_and_five_percent_or_the_collar() -> None:
    wide, narrow = Bench(), Bench({"priceCollarBps": 200})
    wide.order(1, 10)
    narrow.order(1, 10)

    assert (10 * 105 * CENT, 10, 0, 0) == held(wide)
    assert (10 * 102 * CENT, 10, 0, 0) == held(narrow)


def test_fills_release_what_they_take_and_the_end_releases_the_rest() -> None:
    bench = Bench()
    order = bench.order(1, 10, 100)
    cash = bench.gate.cash(0)

    bench.fill(order, 4, 99, fee=5)
    assert (6 * LOT, 6, 0, 4) == held(bench)
    assert cash - 4 * 99 * CENT - 5 == bench.gate.cash(0)
    bench.fill(order, 6, cum=4)
    assert (0, 0, 0, 10) == held(bench)


@pytest.mark.parametrize("status", [OrdStatus.CANCELED, OrdStatus.EXPIRED, OrdStatus.REJECTED])
@pytest.mark.parametrize("side", [1, -1])
def test_an_end_after_a_partial_fill_releases_the_remaining_hold(
    status: OrdStatus, side: int
) -> None:
    bench = Bench()
    order = bench.order(side, 10, 100)
    bench.fill(order, 4)

    bench.update(order, status, cum=4)

    assert (0, 0, 0, 4 * side) == held(bench)


def test_a_replacement_is_held_beside_its_order_until_the_venue_answers() -> None:
    bench = Bench()
    order = bench.order(1, 10, 100)

    bench.ask(1, 15, 102, action=REPLACE, target=order.client_order_id)
    assert 15 * 102 * CENT == bench.gate.reserved(0)
    bench.update(order, OrdStatus.PENDING_REPLACE, leaves=10, limit=100)
    bench.fill(order, 4, leaves=6)
    assert 11 * 102 * CENT == bench.gate.reserved(0)
    assert (6, 0) == bench.gate.open_lots(0, 0)
    bench.update(order, OrdStatus.PARTIALLY_FILLED, leaves=11, cum=4, limit=102)
    assert (11 * 102 * CENT, 11, 0, 4) == held(bench)
    bench.update(order, OrdStatus.CANCELED, cum=4)
    assert (0, 0, 0, 4) == held(bench)


def test_a_second_replacement_keeps_the_hold_of_the_first() -> None:
    bench = Bench()
    order = bench.order(-1, 10, 100)
    bench.ask(-1, 20, 100, action=REPLACE, target=order.client_order_id)

    bench.ask(-1, 12, 100, action=REPLACE, target=order.client_order_id)

    assert 20 == bench.gate._gate.open_lots(0, 0)[1]


def test_a_replacement_may_not_change_side_or_instrument() -> None:
    """The checks would be asked about another order than the one that changes."""
    bench = Bench()
    order = bench.order(1, 10, 100)

    side = bench.ask(-1, 10, 100, action=REPLACE, target=order.client_order_id)
    other = bench.ask(1, 10, 100, symbol="B", action=REPLACE, target=order.client_order_id)

    assert ("characteristic", 11, "REPLACE_MISMATCH", 0, 0) == said(side) == said(other)
    assert (10 * LOT, 10, 0, 0) == held(bench)


def test_many_orders_at_the_last_unit_of_headroom_never_exceed_it() -> None:
    bench = Bench({"maxPositionQuantity": "100", "maxGrossExposure": "100"})

    verdicts = [bench.ask(1, 3, 100) for _ in range(60)]
    rest = [bench.ask(1, 1, 100) for _ in range(5)]

    assert 33 == sum(v.outcome is Outcome.ALLOW for v in verdicts)
    assert 1 == sum(v.outcome is Outcome.ALLOW for v in rest)
    assert (100, 0) == bench.gate.open_lots(0, 0)


def test_an_order_that_passed_no_check_is_a_broken_promise() -> None:
    bench = Bench()
    verdict = bench.ask(1, 1)
    bench.born(verdict)

    with pytest.raises(InvariantError, match="passed no check"):
        bench.born(verdict)
    stranger = Order(
        derive(NO_ID, b"x", 1), NO_ID, 0, 0, "ann", "A", "o", Side.BUY, verdict.order_type, 1, 0,
        TimeInForce.DAY, False, 0,
    )  # fmt: skip
    with pytest.raises(InvariantError, match="nothing is held"):
        bench.update(stranger, OrdStatus.CANCELED)


def test_updates_about_no_order_and_other_facts_change_nothing() -> None:
    bench = Bench()
    before = bench.gate.digest()

    bench.take(
        OrderUpdate(
            bench.ident(), NO_ID, 0, 0, NO_ID, "ann", "A", "", OrdStatus.REJECTED, "8", Side.BUY,
            0, 0, 0, 0, 99, "",
        )
    )  # fmt: skip
    bench.take(CancelOrders(bench.ident(), NO_ID, 0, 0, "", "", ""))

    assert before == bench.gate.digest()


def test_entries_move_cash_but_not_twice_for_a_fill() -> None:
    bench = Bench()
    cash = bench.gate.cash(0)

    bench.entry(Account.CASH, Account.DIVIDENDS, 7, Occasion.DIVIDEND)
    bench.entry(Account.BORROW, Account.CASH, 3, Occasion.BORROW)
    bench.entry(Account.CASH, Account.INVENTORY, 20, Occasion.SPLIT)
    bench.entry(Account.CASH, Account.CAPITAL, 1_000, Occasion.CAPITAL)
    bench.entry(Account.CASH, Account.INVENTORY, 1_000, Occasion.FILL)
    bench.entry(Account.INVENTORY, Account.REALISED, 1_000, Occasion.SPLIT)

    assert cash + 24 == bench.gate.cash(0)


def test_a_split_scales_position_and_reference_toward_zero() -> None:
    bench = Bench()
    bench.hold(1, 5)

    bench.split(1, 2)

    assert 2 == bench.gate.position(0, 0)
    assert 200 == bench.ask(1, 1).reference_ticks


# Snapshots.


def session(bench: Bench, start: int) -> list[Any]:
    said: list[Any] = []
    for n in range(start, start + 60):
        said += bench.say(1 if n % 3 else -1, n % 7 + 1, 95 + n % 9)
        if isinstance(said[-1], Verdict) and said[-1].outcome is Outcome.ALLOW:
            order = bench.born(said[-1])
            if n % 2:
                said += bench.fill(order, 1, 95 + n % 9, leaves=order.quantity_lots - 1)
        said += bench.bar(100 - n % 40, gap=HOUR // 7)
    return said


def test_a_loaded_stage_continues_exactly_as_the_dumped_one() -> None:
    limits = {
        "maxPositionQuantity": "40", "duplicateWindowSeconds": 900, "haltAfterRefusals": 30,
        "maxDailyLoss": "5",
    }  # fmt: skip
    one, two = (Bench(limits, onBreach="Flatten") for _ in range(2))
    session(one, 0)
    replaced = one.order(1, 1, 96, contender="bob")
    one.ask(1, 2, 97, contender="bob", action=REPLACE, target=replaced.client_order_id)

    two.gate.load(one.gate.dump())
    two.now, two.count = one.now, one.count

    assert one.gate.digest() == two.gate.digest()
    assert session(one, 60) == session(two, 60)
    assert one.gate.dump() == two.gate.dump()


def test_a_snapshot_of_another_arena_is_refused() -> None:
    one = policy(aggregate={"maxGrossExposure": "9"})
    other = Gate(scene(), {"a": one, "b": one})

    with pytest.raises(InvariantError, match="another size"):
        Bench().gate.load(other.dump())


def test_a_policy_that_names_no_instrument_of_the_arena_is_refused_at_the_start() -> None:
    with pytest.raises(SpecError, match="Z is not traded"):
        Bench(instruments=[{"symbol": "Z"}])


def test_every_bar_without_news_says_nothing() -> None:
    bench = Bench({"maxDrawdownBps": 1000})

    bar = Bar(bench.ident(), NO_ID, bench.now, bench.now, "A", 0, 1, 1, 1, 1, 1)

    assert () == bench.gate.handle(bar)
