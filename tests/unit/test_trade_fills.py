"""The fill model, rule by rule, as docs/fill-model.md states it."""

import pytest
from trade_kit import (
    DAY,
    HOUR,
    LATENCY,
    T0,
    Desk,
    fills,
    make_ground,
    orders,
    told,
    updates,
)

from titanflow.core.base.ident import NO_ID
from titanflow.core.facts import Bar
from titanflow.core.spec.ground import FeeRates
from titanflow.core.spec.words import (
    LimitFill,
    Liquidity,
    OrdStatus,
    QueueModel,
    TimeInForce,
)
from titanflow.core.venue.fills import charge, fee_of, path, price_at, time_at, touch_lots

IOC, FOK, DAY_ORDER = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.DAY


def test_an_order_trades_at_the_next_bars_open_at_the_earliest() -> None:
    desk = Desk()
    desk.bar(100)

    desk.order("ann", 1, 5)
    said = desk.bar(103, low=103, high=110, close=110)

    assert [("ann", 5, 103)] == told(said)
    assert fills(said)[0].at == T0 + HOUR + LATENCY
    assert fills(said)[0].seen == T0 + 2 * HOUR


def test_an_order_cannot_trade_in_another_bar_that_ends_when_it_was_decided() -> None:
    desk = Desk(order_latency_ns=0)
    desk.bar(100)
    desk.order("ann", 1, 5)
    ends_now = Bar(
        desk._id(), NO_ID, desk.now, desk.now, "A", desk.now - HOUR, 90, 90, 90, 90, 1_000
    )

    assert [] == desk.take(ends_now)
    assert [("ann", 5, 104)] == told(desk.bar(104))


def test_an_order_that_arrives_inside_a_bar_uses_only_the_rest_of_it() -> None:
    desk = Desk(order_latency_ns=HOUR // 2)
    desk.order("ann", 1, 5)

    # open 100 -> low 90 at 20 min -> high 120 at 40 min: at 30 min the price is 105.
    said = desk.bar(100, low=90, high=120, close=120)

    assert [("ann", 5, 105)] == told(said)
    assert fills(said)[0].at == T0 + HOUR // 2


def test_a_resting_order_is_not_filled_by_a_low_before_its_arrival() -> None:
    desk = Desk(order_latency_ns=HOUR // 2)
    desk.order("ann", 1, 5, 95)

    assert [] == told(desk.bar(100, low=90, high=120, close=120))
    assert [("ann", 5, 94)] == told(desk.bar(94))


def test_contenders_share_the_cap_and_never_the_same_lots() -> None:
    desk = Desk()
    desk.order("ann", 1, 80)
    desk.order("bob", 1, 80)

    said = desk.bar(100, volume=1_000)  # the cap is 100 lots

    assert 100 == sum(lots for _, lots, _ in told(said))
    assert {80, 20} == {lots for _, lots, _ in told(said)}
    said = desk.bar(101, volume=1_000)
    assert [60] == [lots for _, lots, _ in told(said)]


def test_buyers_and_sellers_share_one_cap() -> None:
    desk = Desk()
    desk.order("ann", 1, 100)
    desk.bar(100)
    desk.order("ann", -1, 90)
    desk.bar(100, volume=0)
    desk.order("bob", 1, 90, 99)

    # ann's sale opened, took 90 of 100; the fall to 90 has 10 left for bob's bid.
    said = desk.bar(100, low=90, high=100, close=95)

    assert [("ann", 90, 100), ("bob", 10, 99)] == told(said)


def test_an_order_starved_by_the_cap_waits_and_a_day_order_expires() -> None:
    desk = Desk(bar_ns=DAY)
    desk.order("ann", 1, 150, tif=DAY_ORDER)

    said = desk.bar(100, length=DAY)

    assert [("ann", 100, 100)] == told(said)
    last = updates(said)[-1]
    assert (OrdStatus.EXPIRED, "C", 100, 0) == (
        last.status,
        last.exec_type,
        last.cum_lots,
        last.leaves_lots,
    )
    assert last.at == desk.now
    assert [] == list(desk.trade.live_orders())


def test_a_day_order_of_short_bars_expires_at_the_first_bar_of_a_later_day() -> None:
    desk = Desk()
    desk.order("ann", 1, 5, 50, tif=DAY_ORDER)
    for _ in range(24):
        assert "C" not in [u.exec_type for u in updates(desk.bar(100))]

    said = desk.bar(40)

    assert ["C"] == [u.exec_type for u in updates(said)]
    assert [] == told(said)


def test_a_day_order_decided_after_the_close_belongs_to_the_next_day() -> None:
    desk = Desk()
    for _ in range(24):
        desk.bar(100)
    desk.order("ann", 1, 5, 50, tif=DAY_ORDER)

    desk.bar(100, gap=9 * HOUR)

    assert [] == [u for u in updates(desk.facts) if u.exec_type == "C"]
    assert [("ann", 5, 49)] == told(desk.bar(49))


def test_a_gap_fills_a_resting_limit_at_the_open_not_at_its_limit() -> None:
    desk = Desk()
    desk.order("ann", 1, 5, 95)
    desk.bar(100)

    said = desk.bar(90)

    assert [("ann", 5, 90)] == told(said)
    assert Liquidity.TAKER is fills(said)[0].liquidity


def test_slippage_worsens_what_is_taken_but_never_beyond_the_limit() -> None:
    desk = Desk(slippage_bps=100)
    desk.order("ann", 1, 5)
    desk.order("bob", 1, 5, 1_003)
    desk.order("cat", -1, 5)

    said = desk.bar(1_000)

    assert [("ann", 5, 1_010), ("bob", 5, 1_003), ("cat", 5, 990)] == sorted(told(said))


def test_through_needs_the_price_to_go_beyond_the_limit() -> None:
    desk = Desk()
    desk.order("ann", 1, 5, 95)

    assert [] == told(desk.bar(100, low=95, high=100, close=100))
    said = desk.bar(100, low=94, high=100, close=100)
    assert [("ann", 5, 95)] == told(said)
    assert Liquidity.MAKER is fills(said)[0].liquidity


@pytest.mark.parametrize(
    ("queue", "lots"),
    [(QueueModel.OPTIMISTIC, 16), (QueueModel.PRO_RATA, 8), (QueueModel.PESSIMISTIC, 0)],
)
def test_touch_fills_at_the_low_what_the_queue_leaves(queue: QueueModel, lots: int) -> None:
    desk = Desk(limit_fill=LimitFill.TOUCH, queue=queue)
    desk.order("ann", 1, 50, 95)

    said = desk.bar(100, low=95, high=105, close=100, volume=180)  # 16 lots at each of 11 prices

    assert lots == sum(count for _, count, _ in told(said))


def test_a_low_touched_twice_has_its_volume_once() -> None:
    desk = Desk(limit_fill=LimitFill.TOUCH, queue=QueueModel.OPTIMISTIC)
    desk.order("ann", 1, 50, 95)

    said = desk.bar(100, low=95, high=105, close=95, volume=180)

    assert [("ann", 16, 95)] == told(said)


def test_a_contender_who_was_there_first_trades_before_the_market() -> None:
    desk = Desk()
    desk.order("ann", -1, 30, 100)
    desk.bar(99, volume=0)
    desk.order("bob", 1, 50, 100)

    said = desk.bar(100, volume=0)

    assert [("bob", 30, 100), ("ann", 30, 100)] == told(said)
    taker, maker = fills(said)
    assert (taker.counter, maker.counter) == (maker.order, taker.order)
    assert (Liquidity.TAKER, Liquidity.MAKER) == (taker.liquidity, maker.liquidity)


def test_a_market_order_takes_nothing_from_a_contender_far_from_the_market() -> None:
    desk = Desk()
    desk.order("ann", -1, 30, 5_000)
    desk.bar(100, volume=0)
    desk.order("bob", 1, 10)

    assert [] == told(desk.bar(100, volume=0))
    assert [("bob", 10, 101)] == told(desk.bar(101))


def test_two_starved_market_orders_meet_at_the_market_price() -> None:
    desk = Desk(slippage_bps=100)
    desk.order("ann", 1, 10)
    desk.bar(100, volume=0)
    desk.order("bob", -1, 10)

    assert [("bob", 10, 100), ("ann", 10, 100)] == told(desk.bar(100, volume=0))


def test_immediate_or_cancel_expires_what_the_cap_leaves() -> None:
    desk = Desk()
    desk.order("ann", 1, 150, 100, IOC)

    said = desk.bar(100)

    assert [("ann", 100, 100)] == told(said)
    assert ["0", "C"] == [u.exec_type for u in updates(said)]


def test_fill_or_kill_fills_all_or_nothing() -> None:
    desk = Desk()
    desk.order("ann", 1, 101, 100, FOK)
    desk.order("bob", 1, 100, 100, FOK)

    said = desk.bar(100)

    assert [("bob", 100, 100)] == told(said)
    assert ("ann", OrdStatus.EXPIRED) in [(u.contender, u.status) for u in updates(said)]


def test_fill_or_kill_counts_contenders_and_market_together() -> None:
    desk = Desk()
    desk.order("ann", -1, 50, 101)
    desk.bar(100, volume=0)
    desk.order("bob", 1, 151, 101, FOK)
    assert [] == told(desk.bar(100, volume=0))
    desk.order("bob", 1, 150, 101, FOK)

    assert [("bob", 100, 100), ("bob", 50, 101), ("ann", 50, 101)] == told(desk.bar(100))


def test_post_only_is_rejected_when_it_would_take() -> None:
    desk = Desk()
    desk.order("ann", 1, 5, 100, post_only=True)
    desk.order("bob", 1, 5, 99, post_only=True)

    said = desk.bar(100, volume=0)

    assert [("ann", "8", 11, "POST_ONLY"), ("bob", "0", -1, "")] == sorted(
        (u.contender, u.exec_type, u.reason, u.text) for u in updates(said)
    )


def test_orders_that_arrive_at_once_take_turns_by_chance_not_by_name() -> None:
    firsts = set()
    for seed in range(12):
        desk = Desk(seed=seed)
        for name in ("ann", "bob", "cat"):
            desk.order(name, 1, 100)
        firsts.add(told(desk.bar(100))[0][0])

    assert {"ann", "bob", "cat"} == firsts


def test_jitter_is_keyed_and_bounded() -> None:
    arrivals = []
    for _ in range(2):
        desk = Desk(jitter_ns=1_000, seed=3)
        said = [orders(desk.order("ann", 1, 1))[0].arrives_at for _ in range(20)]
        arrivals.append(said)

    assert arrivals[0] == arrivals[1]
    assert len(set(arrivals[0])) > 10
    assert all(T0 + LATENCY <= at <= T0 + LATENCY + 2_000 for at in arrivals[0])


def test_a_bar_goes_to_its_nearer_extreme_first() -> None:
    low_first = Bar(NO_ID, NO_ID, 30, 30, "A", 0, 100, 110, 95, 105, 1)
    high_first = Bar(NO_ID, NO_ID, 30, 30, "A", 0, 100, 102, 90, 95, 1)
    tie = Bar(NO_ID, NO_ID, 30, 30, "A", 0, 100, 105, 95, 99, 1)

    assert ((0, 100), (10, 95), (20, 110), (30, 105)) == path(low_first)
    assert ((0, 100), (10, 102), (20, 90), (30, 95)) == path(high_first)
    assert 95 == path(tie)[1][1]


def test_prices_and_times_on_a_leg_round_towards_its_begin_and_its_end() -> None:
    leg = ((0, 100), (10, 95))

    assert [100, 100, 99, 99, 98] == [price_at(t, leg) for t in range(5)]
    assert [0, 2, 4, 10, 10] == [time_at(p, leg) for p in (101, 99, 98, 95, 90)]


def test_a_touched_price_has_at_least_one_lot_when_there_was_volume() -> None:
    wide = Bar(NO_ID, NO_ID, 30, 30, "A", 0, 100, 200, 50, 100, 20)
    fills_model = make_ground(queue=QueueModel.OPTIMISTIC).fills

    assert 1 == touch_lots(wide, fills_model)


@pytest.mark.parametrize(
    ("ppm", "value", "expected"), [(500, 1_999, 1), (500, 2_001, 2), (-500, 3_999, -1), (0, 5, 0)]
)
def test_fees_round_against_the_contender(ppm: int, value: int, expected: int) -> None:
    rates = FeeRates(maker_ppm=ppm, taker_ppm=0, per_lot=0, min_per_order=0)

    assert expected == fee_of(rates, value, 1, maker=True)


def test_the_minimum_per_order_is_paid_once() -> None:
    rates = FeeRates(maker_ppm=0, taker_ppm=0, per_lot=10, min_per_order=35)
    charged, said = 0, []
    for computed in (10, 20, 30, 40, 50):
        said.append(charge(rates, computed, charged))
        charged += said[-1]

    assert [35, 0, 0, 5, 10] == said


def test_a_partly_filled_order_pays_its_minimum_at_the_first_fill() -> None:
    fees = FeeRates(maker_ppm=0, taker_ppm=100, per_lot=0, min_per_order=10**9)
    desk = Desk(fees=fees)
    desk.order("ann", 1, 150)
    desk.bar(100)
    desk.bar(100)

    # 100 lots at 1.00 cost 0.01, far below the minimum of 10.
    assert [10**9, 0] == [fill.fee for fill in fills(desk.facts)]


def test_a_bar_without_volume_fills_nothing_from_the_market() -> None:
    desk = Desk()
    desk.order("ann", 1, 5)

    assert [] == told(desk.bar(100, volume=0))
