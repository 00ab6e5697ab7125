"""Orders from verdict to end: states, cancels, replaces, self matches, splits, snapshots."""

import msgspec
import pytest
from trade_kit import DAY, HOUR, LATENCY, T0, Desk, fills, make_ground, orders, told, updates

from titanflow.core.base.errors import InvariantError
from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.execution.desk import Trade
from titanflow.core.execution.lifecycle import ENDED, TRANSITIONS, next_status
from titanflow.core.facts import Bar, Fill, KillRuling, Order, OrderUpdate
from titanflow.core.spec.words import (
    KillScope,
    OrdStatus,
    Outcome,
    SelfMatchPrevention,
    TimeInForce,
)

S = OrdStatus
FIRST_BAR = Bar(NO_ID, NO_ID, T0 + HOUR, T0 + HOUR, "A", T0, 100, 101, 99, 100, 1_000)


def brief(facts: list) -> list[tuple]:
    """Return the updates in short: who, ExecType, status, reason, text."""
    return [(u.contender, u.exec_type, u.status, u.reason, u.text) for u in updates(facts)]


def test_an_allowed_verdict_becomes_an_order_on_its_way() -> None:
    desk = Desk()

    (order,) = desk.order("ann", 1, 5, 90)

    assert ("ann", "A", 5, 90, T0 + LATENCY) == (
        order.contender,
        order.symbol,
        order.quantity_lots,
        order.limit_ticks,
        order.arrives_at,
    )
    assert [("ann", "A", 1, 5, 0, 5)] == list(desk.trade.live_orders())


def test_a_denied_verdict_becomes_nothing() -> None:
    assert [] == Desk().order("ann", 1, 5, outcome=Outcome.DENY)


def test_ids_derive_from_the_verdict_so_a_second_desk_gives_the_same() -> None:
    one, two = Desk(), Desk()
    for desk in (one, two):
        desk.order("ann", 1, 150)
        desk.bar(100)

    assert one.facts == two.facts
    assert derive(orders(one.facts)[0].cause, b"trade", 0) == orders(one.facts)[0].id
    assert len(one.facts) == len({fact.id for fact in one.facts})


def test_an_order_is_accepted_when_it_arrives_and_filled_in_parts() -> None:
    desk = Desk()
    desk.order("ann", 1, 150)
    said = desk.bar(100) + desk.bar(100)

    assert [("ann", "0", S.NEW, -1, "")] == brief(said)
    assert T0 + LATENCY == updates(said)[0].at
    assert [(S.PARTIALLY_FILLED, 100, 50), (S.FILLED, 150, 0)] == [
        (f.status, f.cum_lots, f.leaves_lots) for f in fills(said)
    ]
    assert [] == list(desk.trade.live_orders())


def test_a_duplicate_name_is_rejected_and_the_first_order_lives_on() -> None:
    desk = Desk()
    desk.order("ann", 1, 5, 90, client_order_id="x")

    said = desk.order("ann", 1, 7, 90, client_order_id="x")

    assert [("ann", "8", S.REJECTED, 6, "DUPLICATE_ORDER")] == brief(said)
    assert [("ann", "A", 1, 5, 0, 5)] == list(desk.trade.live_orders())


def test_a_cancel_travels_as_long_as_an_order() -> None:
    desk = Desk(order_latency_ns=HOUR // 2)
    desk.order("ann", 1, 5, 95, client_order_id="x")
    desk.bar(100)

    assert [("ann", "6", S.PENDING_CANCEL, -1, "")] == brief(desk.cancel("ann", "x"))
    # High first: 95 is gone through after 40 min, the cancel came at 30.
    said = desk.bar(100, low=90, high=101, close=91)
    assert [("ann", "4", S.CANCELED, -1, "")] == brief(said)
    assert T0 + HOUR + HOUR // 2 == updates(said)[0].at
    assert [] == told(said)


def test_fills_win_the_race_against_a_cancel() -> None:
    desk = Desk(order_latency_ns=HOUR // 2)
    desk.order("ann", 1, 5, 95, client_order_id="x")
    desk.bar(100)
    desk.cancel("ann", "x")

    # Low first: filled before the cancel arrives, which then finds nothing.
    said = desk.bar(100, low=90, high=120, close=120)

    assert [("ann", 5, 95)] == told(said)
    assert [] == updates(said)


def test_a_partly_filled_order_that_is_cancelled_stays_pending_until_then() -> None:
    desk = Desk(order_latency_ns=HOUR // 2)
    desk.order("ann", 1, 500, client_order_id="x")
    desk.bar(100)
    desk.cancel("ann", "x")

    said = desk.bar(100)

    assert [S.PENDING_CANCEL] == [f.status for f in fills(said)]
    assert [("ann", "4", S.CANCELED, -1, "")] == brief(said)
    assert (200, 0) == (updates(said)[0].cum_lots, updates(said)[0].leaves_lots)


def test_a_cancel_before_the_open_spares_a_resting_order_the_gap() -> None:
    desk = Desk()
    desk.order("ann", 1, 5, 95, client_order_id="x")
    desk.bar(100)
    desk.cancel("ann", "x")

    said = desk.bar(80, gap=HOUR)

    assert [] == told(said)
    assert [("ann", "4", S.CANCELED, -1, "")] == brief(said)


def test_an_order_cancelled_on_its_way_before_the_open_never_trades() -> None:
    desk = Desk()
    desk.order("ann", 1, 5, client_order_id="x")
    desk.cancel("ann", "x")

    said = desk.bar(100, gap=HOUR)

    assert [("ann", "4", S.CANCELED, -1, "")] == brief(said)
    assert [] == told(said)


def test_a_cancel_never_overtakes_its_order() -> None:
    for seed in range(10):
        desk = Desk(jitter_ns=HOUR // 4, seed=seed)
        desk.order("ann", 1, 5, 90, client_order_id="x")
        desk.cancel("ann", "x")

        desk.bar(100)

        assert S.CANCELED in [u.status for u in updates(desk.facts)]


@pytest.mark.parametrize("action", ["cancel", "replace"])
def test_an_unknown_target_is_refused(action: str) -> None:
    desk = Desk()

    said = desk.cancel("ann", "y") if action == "cancel" else desk.replace("ann", "y", 5, 90)

    assert [("ann", "8", S.REJECTED, 1, "CXL_REJECT:UNKNOWN_ORDER")] == brief(said)
    assert NO_ID == updates(said)[0].order


def test_the_name_of_an_ended_order_is_unknown() -> None:
    desk = Desk()
    desk.order("ann", 1, 5, client_order_id="x")
    desk.bar(100)

    assert [("ann", "8", S.REJECTED, 1, "CXL_REJECT:UNKNOWN_ORDER")] == brief(
        desk.cancel("ann", "x")
    )


def test_a_second_cancel_is_told_that_one_is_on_its_way() -> None:
    desk = Desk()
    desk.order("ann", 1, 5, 90, client_order_id="x")
    desk.cancel("ann", "x")

    said = desk.cancel("ann", "x")

    assert [("ann", "I", S.PENDING_CANCEL, 3, "CXL_REJECT:ALREADY_PENDING")] == brief(said)


def test_fewer_lots_at_the_same_price_keep_the_place_in_the_queue() -> None:
    desk = Desk()
    desk.order("ann", 1, 80, 95, client_order_id="x")
    desk.bar(100)
    desk.order("bob", 1, 80, 95)
    desk.bar(100)
    desk.replace("ann", "x", 60, 95)
    desk.bar(100)

    said = desk.bar(100, low=94, high=100, close=100)

    assert [("ann", 60, 95), ("bob", 40, 95)] == told(said)


@pytest.mark.parametrize(("lots", "limit"), [(81, 95), (80, 96)])
def test_more_lots_or_another_price_go_to_the_back(lots: int, limit: int) -> None:
    desk = Desk()
    desk.order("ann", 1, 80, 95, client_order_id="x")
    desk.bar(100)
    desk.order("bob", 1, 80, limit)
    desk.bar(100)
    desk.replace("ann", "x", lots, limit)
    desk.bar(100)

    said = desk.bar(100, low=94, high=100, close=100)

    assert [("bob", 80, limit), ("ann", 20, limit)] == told(said)


def test_a_replace_is_pending_then_done_and_keeps_what_was_filled() -> None:
    desk = Desk()
    desk.order("ann", 1, 150, 100, client_order_id="x")
    desk.bar(100)

    said = desk.replace("ann", "x", 120, 99)
    said += desk.bar(101, volume=0)

    assert [("E", S.PENDING_REPLACE, 150, 50), ("5", S.PARTIALLY_FILLED, 120, 20)] == [
        (u.exec_type, u.status, u.quantity_lots, u.leaves_lots) for u in updates(said)
    ]
    assert [("ann", "A", 1, 20, 100, 120)] == list(desk.trade.live_orders())


def test_a_replace_to_what_is_filled_ends_the_order() -> None:
    desk = Desk()
    desk.order("ann", 1, 150, 100, client_order_id="x")
    desk.bar(100)
    desk.replace("ann", "x", 100, 100)

    said = desk.bar(100, gap=HOUR)

    assert [("ann", "4", S.CANCELED, -1, "REPLACED_BELOW_FILLED")] == brief(said)
    assert [] == told(said)


def test_a_replace_into_the_market_trades() -> None:
    desk = Desk()
    desk.order("ann", 1, 5, 90, client_order_id="x")
    desk.bar(100)
    desk.replace("ann", "x", 7, 100)

    assert [("ann", 7, 100)] == told(desk.bar(100))


def test_a_post_only_order_is_not_replaced_into_the_market() -> None:
    desk = Desk()
    desk.order("ann", 1, 5, 90, client_order_id="x", post_only=True)
    desk.bar(100)
    desk.replace("ann", "x", 7, 100)

    said = desk.bar(100)

    assert [("ann", "I", S.NEW, 99, "CXL_REJECT:POST_ONLY")] == brief(said)
    assert [("ann", "A", 1, 5, 0, 5)] == list(desk.trade.live_orders())


def test_an_order_replaced_on_its_way_enters_with_its_new_terms() -> None:
    desk = Desk()
    desk.order("ann", 1, 5, 90, client_order_id="x")
    desk.replace("ann", "x", 7, 100)

    said = desk.bar(100, gap=HOUR)

    assert [("5", S.PENDING_NEW), ("0", S.NEW)] == [(u.exec_type, u.status) for u in updates(said)]
    assert [("ann", 7, 100)] == told(said)


def test_a_cancel_after_a_replace_cancels() -> None:
    desk = Desk()
    desk.order("ann", 1, 5, 90, client_order_id="x")
    desk.bar(100)
    desk.replace("ann", "x", 7, 91)
    desk.cancel("ann", "x")

    said = desk.bar(100)

    assert [("5", S.PENDING_CANCEL), ("4", S.CANCELED)] == [
        (u.exec_type, u.status) for u in updates(said)
    ]


SELF_MATCHES = [
    (SelfMatchPrevention.CANCEL_AGGRESSIVE, [("y", 18)], []),
    (SelfMatchPrevention.CANCEL_PASSIVE, [("x", 19)], [("bob", 5, 101)]),
    (SelfMatchPrevention.CANCEL_BOTH, [("x", 20), ("y", 20)], []),
]


@pytest.mark.parametrize(("mode", "canceled", "rest"), SELF_MATCHES)
def test_self_matches_are_prevented(
    mode: SelfMatchPrevention, canceled: list[tuple[str, int]], rest: list[tuple[str, int, int]]
) -> None:
    desk = Desk(self_match=mode)
    desk.order("ann", -1, 5, 101, client_order_id="x")
    desk.bar(100, volume=0)
    desk.order("bob", -1, 5, 101)
    desk.bar(100, volume=0)
    desk.order("ann", 1, 9, 101, client_order_id="y")

    said = desk.bar(100, volume=0)

    assert canceled == [
        (u.client_order_id, u.reason)
        for u in updates(said)
        if (u.exec_type, u.text) == ("4", "SELF_MATCH")
    ]
    assert rest == [row for row in told(said) if row[0] == "bob"]


def test_without_prevention_a_contender_trades_with_itself() -> None:
    desk = Desk(self_match=SelfMatchPrevention.NONE)
    desk.order("ann", -1, 5, 101)
    desk.bar(100, volume=0)
    desk.order("ann", 1, 5, 101)

    assert [("ann", 5, 101), ("ann", 5, 101)] == told(desk.bar(100, volume=0))


def test_a_split_cancels_resting_and_travelling_orders_of_its_instrument() -> None:
    desk = Desk()
    desk.order("ann", 1, 5, 90)
    desk.bar(100)
    desk.order("bob", 1, 5)
    desk.order("cat", 1, 5, 90, symbol="B")

    said = desk.split()

    assert [("ann", "4", S.CANCELED, 0, "SPLIT"), ("bob", "4", S.CANCELED, 0, "SPLIT")] == brief(
        said
    )
    assert ["cat"] == [row[0] for row in desk.trade.live_orders()]
    assert [] == desk.bar(50)


@pytest.mark.parametrize(
    ("contender", "symbol", "left"),
    [
        ("", "", []),
        ("ann", "", ["bob", "bob"]),
        ("", "B", ["ann", "bob"]),
        ("bob", "A", ["ann", "ann", "bob"]),
    ],
)
def test_risk_cancels_at_once_what_it_names(contender: str, symbol: str, left: list[str]) -> None:
    desk = Desk()
    for name in ("ann", "bob"):
        desk.order(name, 1, 5, 90)
        desk.order(name, 1, 5, 90, symbol="B")
    desk.bar(100)

    said = desk.cancel_orders(contender, symbol, "KILL:Arena:1")

    assert {(4, "KILL:Arena:1")} == {(u.reason, u.text) for u in updates(said)}
    assert left == sorted(row[0] for row in desk.trade.live_orders())


def test_a_verdict_older_than_the_kill_epoch_is_refused() -> None:
    desk = Desk()
    ruling = KillRuling(
        desk._id(), NO_ID, desk.now, desk.now, KillScope.ARENA, "", True, True, "", 1
    )
    desk.take(ruling)

    said = desk.order("ann", 1, 5)

    assert [("ann", "8", S.REJECTED, 0, "KILL:EPOCH")] == brief(said)
    assert [] == list(desk.trade.live_orders())
    assert [] == brief(desk.order("ann", 1, 5, kill_epoch=1))


def test_a_bar_without_orders_is_answered_with_nothing() -> None:
    desk = Desk()
    before = desk.trade.digest()

    assert () == desk.trade.handle(FIRST_BAR)
    assert before == desk.trade.digest()


def test_what_ended_is_forgotten() -> None:
    desk = Desk()
    sizes = set()
    for turn in range(50):
        desk.order("ann", 1 if turn % 2 else -1, 5)
        desk.bar(100)
        sizes.add(len(desk.trade.dump()))

    assert max(sizes) - min(sizes) <= 4  # the count of orders sent takes more bytes


def busy(desk: Desk, begin: int, end: int) -> None:
    """Do a bit of everything, from *begin* to *end* of a script."""
    script = [
        lambda: desk.order("ann", 1, 250, client_order_id="a"),
        lambda: desk.order("bob", -1, 40, 103, TimeInForce.DAY, client_order_id="b"),
        lambda: desk.bar(100, low=97, high=104, close=101),
        lambda: desk.order("cat", 1, 70, 99, client_order_id="c"),
        lambda: desk.order("bob", -1, 70, 99, client_order_id="d", symbol="B"),
        lambda: desk.replace("cat", "c", 90, 98),
        lambda: desk.bar(100, low=95, high=104, close=101),
        lambda: desk.cancel("ann", "a"),
        lambda: desk.order("bob", 1, 70, 97, client_order_id="e"),
        lambda: desk.bar(99, low=90, high=104, close=101, symbol="B"),
        lambda: desk.bar(99, low=97, high=104, close=101),
        lambda: desk.order("ann", -1, 30, 97, TimeInForce.IOC),
        lambda: desk.split("B"),
        lambda: desk.bar(96, low=90, high=104, close=101, length=DAY),
    ]
    for act in script[begin:end]:
        act()


@pytest.mark.parametrize("cut", range(15))
def test_a_snapshot_continues_as_the_original(cut: int) -> None:
    whole, resumed = Desk(jitter_ns=HOUR, slippage_bps=20), Desk(jitter_ns=HOUR, slippage_bps=20)
    busy(whole, 0, cut)
    snapshot, said = whole.trade.dump(), len(whole.facts)
    resumed.trade.load(snapshot)
    resumed.now, resumed.count = whole.now, whole.count

    busy(whole, cut, 99)
    busy(resumed, cut, 99)

    assert whole.facts[said:] == resumed.facts
    assert whole.trade.digest() == resumed.trade.digest()
    assert whole.trade.dump() == resumed.trade.dump()


def test_an_order_that_was_on_its_way_over_a_split_is_rejected() -> None:
    desk = Desk()
    desk.bar(100)
    desk.split()
    on_its_way = desk.now - 1

    said = desk.order("ann", 1, 5, 90, at=on_its_way)

    assert ("Rejected", 8, "SPLIT") == (said[-1].status, said[-1].reason, said[-1].text)
    assert isinstance(desk.order("ann", 1, 5, 90)[0], Order)
    assert 1 == len(list(desk.trade.live_orders()))


def test_a_broken_snapshot_is_refused() -> None:
    desk = Desk()
    desk.order("ann", 1, 5, 90)
    desk.bar(100)
    state = msgspec.msgpack.decode(desk.trade.dump())
    state[-2][0][11] = 6

    with pytest.raises(InvariantError):
        Trade(make_ground()).load(msgspec.msgpack.encode(state))


def test_counts_add_up_and_states_are_legal_all_along() -> None:
    desk = Desk(jitter_ns=HOUR)
    busy(desk, 0, 99)
    state: dict[bytes, OrdStatus] = {}
    quantity = {order.id: order.quantity_lots for order in orders(desk.facts)}
    cum = dict.fromkeys(quantity, 0)
    for fact in desk.facts:
        if isinstance(fact, OrderUpdate | Fill):
            assert state.get(fact.order) not in ENDED
            state[fact.order] = fact.status
            if isinstance(fact, OrderUpdate):
                quantity[fact.order] = fact.quantity_lots
            else:
                cum[fact.order] += fact.quantity_lots
            assert cum[fact.order] == fact.cum_lots
            ended = fact.status in ENDED
            assert fact.leaves_lots == (0 if ended else quantity[fact.order] - cum[fact.order])


def test_pairs_outside_the_table_raise() -> None:
    events = {event for _, event in TRANSITIONS}
    for status in OrdStatus:
        for event in sorted(events):
            if (status, event) not in TRANSITIONS:
                with pytest.raises(InvariantError):
                    next_status(status, event, accepted=True, cum=1, leaves=1)


def test_no_state_is_left_once_it_ended() -> None:
    assert [] == [pair for pair in TRANSITIONS if pair[0] in ENDED]


def test_a_fill_beyond_the_quantity_raises() -> None:
    with pytest.raises(InvariantError):
        next_status(S.NEW, "F", accepted=True, cum=11, leaves=-1)
