"""What does a bar let trade, when, and at which cost? The numbers of the fill model.

Bars hold no depth and no order of prices, so a model stands in: a path through the bar's four
prices, a share of its volume, a delay on the way to the venue, and fees. Every rule is stated in
docs/fill-model.md; each rounding is against the contender. Chance is keyed on the id of the fact
that caused it, so no draw shifts another.
"""

from __future__ import annotations

from titanflow.core.base.chance import chance_below
from titanflow.core.base.fixed import BPS, PPM, mul_div_down, mul_div_up, toward_zero
from titanflow.core.base.ident import Id
from titanflow.core.facts import Bar
from titanflow.core.spec.ground import FeeRates, Fills
from titanflow.core.spec.words import QueueModel

Point = tuple[int, int]
"""A time in ns UTC and a price in ticks."""


def cap_lots(bar: Bar, fills: Fills) -> int:
    """Return the lots that all contenders together may take from, or give to, the market."""
    return bar.volume_lots * fills.participation_bps // BPS


def touch_lots(bar: Bar, fills: Fills) -> int:
    """Return the lots for resting orders at a price that the bar touches and does not go through.

    The bar's volume is spread evenly over its prices; the queue model says how much of a price's
    volume is ahead of the contenders: nothing (Optimistic), half (ProRata), all (Pessimistic).
    """
    level = bar.volume_lots // (bar.high_ticks - bar.low_ticks + 1)
    if bar.volume_lots > 0:
        level = max(level, 1)
    match fills.queue:
        case QueueModel.OPTIMISTIC:
            return level
        case QueueModel.PRO_RATA:
            return level // 2
        case QueueModel.PESSIMISTIC:
            return 0


def path(bar: Bar) -> tuple[Point, Point, Point, Point]:
    """Return the four turning points: open, the extreme nearer to it, the other one, close.

    On a tie the low comes first. The points are a third of the bar's time apart.
    """
    length = bar.at - bar.start
    first, second = bar.low_ticks, bar.high_ticks
    if bar.high_ticks - bar.open_ticks < bar.open_ticks - bar.low_ticks:
        first, second = second, first
    return (
        (bar.start, bar.open_ticks),
        (bar.start + length // 3, first),
        (bar.start + 2 * length // 3, second),
        (bar.at, bar.close_ticks),
    )


def price_at(time: int, leg: tuple[Point, Point]) -> int:
    """Return the price at a time within a leg of the path, rounded towards where it came from."""
    (begin, source), (end, target) = leg
    return source + toward_zero(target - source, time - begin, end - begin)


def time_at(price: int, leg: tuple[Point, Point]) -> int:
    """Return when a leg of the path reaches a price; prices off the leg count as its nearer end."""
    (begin, source), (end, target) = leg
    way, whole = abs(price - source), abs(target - source)
    if whole == 0 or (price - source) * (target - source) <= 0:
        return begin
    return begin + mul_div_up(end - begin, min(way, whole), whole)


def latency_ns(ident: Id, fills: Fills, seed: int) -> int:
    """Return the delay between the event that a contender decided on and arrival at the venue.

    News reaches the contender by the slower of feed and response, its wish then takes the order
    latency. Each of the two ways gets its own jitter, keyed on *ident*, the verdict's id.
    """
    delay = max(fills.feed_latency_ns, fills.response_latency_ns) + fills.order_latency_ns
    jitter = fills.jitter_ns
    if jitter == 0:
        return delay
    news = chance_below(seed, ident, b"news.jitter", jitter + 1)
    return delay + news + chance_below(seed, ident, b"order.jitter", jitter + 1)


def fee_of(rates: FeeRates, value: int, lots: int, *, maker: bool) -> int:
    """Return what a fill of *value* costs in minor units, negative for a rebate.

    Charges are rounded up and rebates down in size; the minimum per order is not in here.
    """
    ppm = rates.maker_ppm if maker else rates.taker_ppm
    share = mul_div_up(value, ppm, PPM) if ppm >= 0 else -mul_div_down(value, -ppm, PPM)
    return share + rates.per_lot * lots


def charge(rates: FeeRates, computed: int, charged: int) -> int:
    """Return what a fill is charged, from its order's computed fees so far and those charged.

    With a minimum per order, an order pays it at its first fill and no more until its computed
    fees exceed it; a rebate can then never pay out.
    """
    due = max(rates.min_per_order, computed) if rates.min_per_order > 0 else computed
    return due - charged
