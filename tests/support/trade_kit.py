"""A small desk for unit tests: two instruments, three contenders, verdicts and bars by keyword."""

from __future__ import annotations

from typing import Any

import msgspec

from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.execution.desk import Trade
from titanflow.core.facts import Bar, CancelOrders, Fact, Fill, Order, OrderUpdate, Split, Verdict
from titanflow.core.spec.ground import Entrant, FeeRates, Fills, Ground, Instrument
from titanflow.core.spec.words import (
    IntentAction,
    LimitFill,
    OrderType,
    Origin,
    Outcome,
    QueueModel,
    RankBy,
    RecipeKind,
    SelfMatchPrevention,
    Side,
    Tier,
    TimeInForce,
)

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
T0 = 20_000 * DAY
LATENCY = 1_000_000
NAMES = ("ann", "bob", "cat")

FEES = FeeRates(maker_ppm=0, taker_ppm=0, per_lot=0, min_per_order=0)
FILLS = Fills(
    feed_latency_ns=0,
    order_latency_ns=LATENCY,
    response_latency_ns=0,
    jitter_ns=0,
    slippage_bps=0,
    participation_bps=1_000,
    queue=QueueModel.PRO_RATA,
    limit_fill=LimitFill.THROUGH,
)


def make_ground(
    *,
    fees: FeeRates = FEES,
    bar_ns: int = HOUR,
    self_match: SelfMatchPrevention = SelfMatchPrevention.CANCEL_AGGRESSIVE,
    seed: int = 7,
    **fills: Any,
) -> Ground:
    """Return a ground with instruments A and B and the contenders of `NAMES`."""
    instruments = tuple(
        Instrument(
            i, symbol, "XSIM", "USD", 1_000_000, 100_000_000, 1_000_000, 1, 0, 0, bar_ns, fees
        )
        for i, symbol in enumerate("AB")
    )
    entrants = tuple(
        Entrant(i, name, (), Tier.PAPER, 10**13, (0, 1), RecipeKind.RULES, "Hold", (), 1_000, "h")
        for i, name in enumerate(NAMES)
    )
    changed = msgspec.structs.replace(FILLS, **fills)
    return Ground(
        "main", seed, "USD", instruments, entrants, changed, False, 0, self_match, RankBy.RETURN, 1
    )


class Desk:
    """A Trade stage with a tape of one-hour bars; every answer is kept in `facts`."""

    def __init__(self, **options: Any) -> None:
        self.ground = make_ground(**options)
        self.trade = Trade(self.ground)
        self.facts: list[Fact] = []
        self.now = T0
        self.count = 0

    def _id(self) -> bytes:
        self.count += 1
        return derive(NO_ID, b"test", self.count)

    def take(self, fact: Fact) -> list[Fact]:
        said = list(self.trade.handle(fact))
        self.facts += said
        self.trade.validate()
        return said

    def bar(
        self,
        opening: int,
        low: int | None = None,
        high: int | None = None,
        close: int | None = None,
        *,
        volume: int = 1_000,
        symbol: str = "A",
        length: int = HOUR,
        gap: int = 0,
    ) -> list[Fact]:
        """Let the next bar come; it starts where the last one ended, plus *gap*."""
        close = opening if close is None else close
        low = min(opening, close) if low is None else low
        high = max(opening, close) if high is None else high
        start = self.now + gap
        self.now = start + length
        return self.take(
            Bar(
                self._id(),
                NO_ID,
                self.now,
                self.now,
                symbol,
                start,
                opening,
                high,
                low,
                close,
                volume,
            )
        )

    def order(
        self,
        who: str,
        side: int,
        lots: int,
        limit: int = 0,
        tif: TimeInForce = TimeInForce.GTC,
        **changes: Any,
    ) -> list[Fact]:
        """Send an allowed order; a limit of 0 makes it a market order."""
        kind = OrderType.LIMIT if limit else OrderType.MARKET
        return self._verdict(IntentAction.NEW, who, side, lots, limit, tif, kind, **changes)

    def cancel(self, who: str, target: str, **changes: Any) -> list[Fact]:
        return self._verdict(
            IntentAction.CANCEL,
            who,
            1,
            0,
            0,
            TimeInForce.GTC,
            OrderType.LIMIT,
            target=target,
            **changes,
        )

    def replace(self, who: str, target: str, lots: int, limit: int, **changes: Any) -> list[Fact]:
        return self._verdict(
            IntentAction.REPLACE, who, 1, lots, limit, TimeInForce.GTC, OrderType.LIMIT,
            target=target, **changes,
        )  # fmt: skip

    def _verdict(self, action, who, side, lots, limit, tif, kind, **changes) -> list[Fact]:
        ident = self._id()
        verdict = Verdict(
            ident, NO_ID, self.now, self.now, who, "A", Outcome.ALLOW, -1, "", "", 0, 0, action,
            Side(side), lots, kind, limit, tif, False, f"o{self.count}", "", Origin.CONTENDER,
            100, 0,
        )  # fmt: skip
        return self.take(msgspec.structs.replace(verdict, **changes))

    def split(self, symbol: str = "A") -> list[Fact]:
        return self.take(Split(self._id(), NO_ID, self.now, self.now, symbol, 2, 1, "test"))

    def cancel_orders(
        self, contender: str = "", symbol: str = "", text: str = "STOP"
    ) -> list[Fact]:
        return self.take(
            CancelOrders(self._id(), NO_ID, self.now, self.now, contender, symbol, text)
        )


def fills(facts: list[Fact]) -> list[Fill]:
    """Return the fills among some facts."""
    return [fact for fact in facts if isinstance(fact, Fill)]


def updates(facts: list[Fact]) -> list[OrderUpdate]:
    """Return the updates among some facts."""
    return [fact for fact in facts if isinstance(fact, OrderUpdate)]


def orders(facts: list[Fact]) -> list[Order]:
    """Return the orders among some facts."""
    return [fact for fact in facts if isinstance(fact, Order)]


def told(facts: list[Fact]) -> list[tuple[str, int, int]]:
    """Return the fills in short: who, lots, price."""
    return [(fill.contender, fill.quantity_lots, fill.price_ticks) for fill in fills(facts)]
