"""Small grounds and facts for tests of books, scores and invariants, with names from the inside."""

from __future__ import annotations

from titanflow.core.base.ident import NO_ID, Id, derive
from titanflow.core.base.instant import NS_PER_DAY
from titanflow.core.facts import Bar, Dividend, Fact, Fill, Order, Split, Verdict
from titanflow.core.ledger.books import Post
from titanflow.core.scoring.leaderboard import Score
from titanflow.core.spec.ground import Entrant, FeeRates, Fills, Ground, Instrument
from titanflow.core.spec.words import (
    IntentAction,
    LimitFill,
    Liquidity,
    OrderType,
    OrdStatus,
    Origin,
    Outcome,
    QueueModel,
    RankBy,
    RecipeKind,
    RejectReason,
    SelfMatchPrevention,
    Side,
    Tier,
    TimeInForce,
)

UNIT = 10**8
CAPITAL = 1_000 * UNIT
DAY0 = 18_262
"""2020-01-01."""


def ground(
    *rules: str,
    symbols: tuple[str, ...] = ("AAA", "BBB"),
    rank_by: RankBy = RankBy.SHARPE,
    min_fills: int = 1,
    borrow_bps: int = 365,
) -> Ground:
    """Return a ground with one contender for each rule, named c0, c1, ..."""
    fees = FeeRates(0, 0, 0, 0)
    instruments = tuple(
        Instrument(n, symbol, "XSIM", "USD", 10**6, UNIT, 10**6, 1, 0, 0, NS_PER_DAY, fees)
        for n, symbol in enumerate(symbols)
    )
    entrants = tuple(
        Entrant(
            n, f"c{n}", (), Tier.PAPER, CAPITAL, tuple(range(len(symbols))), RecipeKind.RULES,
            rule, (), 1_000, "",
        )
        for n, rule in enumerate(rules or ("SmaCrossover",))
    )  # fmt: skip
    fills = Fills(0, 0, 0, 0, 0, 0, QueueModel.PRO_RATA, LimitFill.THROUGH)
    return Ground(
        "main", 7, "USD", instruments, entrants, fills, borrow_allowed=True,
        borrow_bps_per_year=borrow_bps, self_match=SelfMatchPrevention.NONE, rank_by=rank_by,
        min_fills=min_fills,
    )  # fmt: skip


def name(*words: object) -> Id:
    """Return an id made of words."""
    return derive(repr(words).encode(), b"test", 0)


def end_of(day: int) -> int:
    """Return the end of a session day, counted from the first."""
    return (DAY0 + day + 1) * NS_PER_DAY


def bar(day: int, close: int, symbol: str = "AAA", at: int = 0) -> Bar:
    """Return the bar of one day, or one that ends at *at*."""
    end = at or end_of(day)
    return Bar(
        name("bar", symbol, end), NO_ID, end, end, symbol, end_of(day - 1), close, close, close,
        close, 1_000,
    )  # fmt: skip


def fill(
    day: int,
    lots: int,
    price: int,
    *,
    symbol: str = "AAA",
    contender: str = "c0",
    fee: int = 0,
    nth: int = 0,
) -> Fill:
    """Return a whole execution at the day's open; *lots* below zero sell."""
    side, size = (Side.BUY, lots) if lots > 0 else (Side.SELL, -lots)
    key = (symbol, contender, day, nth)
    return Fill(
        name("fill", key), name("order", key), end_of(day - 1), end_of(day), name("order", key),
        contender, symbol, f"{day}-{nth}", side, size, price, fee, Liquidity.TAKER, NO_ID,
        OrdStatus.FILLED, size, 0,
    )  # fmt: skip


def split(day: int, numerator: int, denominator: int, symbol: str = "AAA") -> Split:
    """Return a split at the start of a day."""
    at = end_of(day - 1)
    return Split(name("split", symbol, day), NO_ID, at, at, symbol, numerator, denominator, "test")


def dividend(day: int, amount: int, symbol: str = "AAA") -> Dividend:
    """Return a dividend at the start of a day."""
    at = end_of(day - 1)
    return Dividend(name("dividend", symbol, day), NO_ID, at, at, symbol, amount, "test")


def verdict(of: Fill, *, allow: bool = True, epoch: int = 0) -> Verdict:
    """Return the verdict that let the order of a fill pass, or denied it."""
    at = of.seen
    return Verdict(
        name("verdict", of.order), NO_ID, at, at, of.contender, of.symbol,
        Outcome.ALLOW if allow else Outcome.DENY,
        -1 if allow else int(RejectReason.ORDER_EXCEEDS_LIMIT), "", "", 0, 0, IntentAction.NEW,
        of.side, of.quantity_lots, OrderType.MARKET, 0, TimeInForce.DAY, False, "", "",
        Origin.CONTENDER, of.price_ticks, epoch,
    )  # fmt: skip


def order(of: Fill) -> Order:
    """Return the order of a fill, born of its verdict."""
    at = of.seen
    return Order(
        of.order, name("verdict", of.order), at, at, of.contender, of.symbol, of.client_order_id,
        of.side, OrderType.MARKET, of.quantity_lots, 0, TimeInForce.DAY, False, of.at,
    )  # fmt: skip


class Line:
    """Books and scores in the order of the arena, and everything that the books said."""

    def __init__(self, on: Ground, tier: Tier = Tier.PAPER) -> None:
        self.ground = on
        self.post = Post(on)
        self.score = Score(on, self.post, [tier] * len(on.entrants))
        self.said: list[Fact] = list(self.post.open(end_of(-1)))

    def take(self, *facts: Fact) -> list[Fact]:
        """Deliver facts; return what followed from them."""
        out: list[Fact] = []
        for fact in facts:
            if type(fact) in self.post.consumes:
                out += self.post.handle(fact)
            if type(fact) in self.score.consumes:
                assert () == self.score.handle(fact)
        self.said += out
        return out

    def finish(self, day: int):
        """Return the standings by name."""
        standings = self.score.finish(end_of(day))
        return {standing.contender: standing for standing in standings}
