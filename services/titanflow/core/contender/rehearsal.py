"""How does one contender behave on some bars, without venue, risk and books? A rehearsal.

It feeds Perceive and Decide with bars, lets every wish pass, and fills it at the next open (limits
at their limit, if the bar reaches it). That is far too kind to say anything about profit: it is for
the checks, which ask whether a contender is well behaved, and for tests of one's own class.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from titanflow.core.base.ident import Id, derive
from titanflow.core.contender.build import schema_of
from titanflow.core.contender.decide import Decide
from titanflow.core.contender.model import answer_to
from titanflow.core.contender.protocol import Contender
from titanflow.core.facts import (
    Answer,
    Ask,
    Bar,
    Belief,
    Entry,
    Fact,
    Fill,
    Intent,
    Order,
    OrderUpdate,
    Signal,
    Verdict,
    verdict_on,
)
from titanflow.core.perception.belief import Perceive
from titanflow.core.ports import Predictor
from titanflow.core.spec import ground as g
from titanflow.core.spec.words import (
    Account,
    IntentAction,
    LimitFill,
    Liquidity,
    OrderType,
    OrdStatus,
    Outcome,
    QueueModel,
    RankBy,
    RecipeKind,
    Reply,
    SelfMatchPrevention,
    Side,
    Tier,
    TimeInForce,
)

NAME = "rehearsal"
TICK_SIZE = 1_000_000
"""0.01 of the currency, as for stocks; bars carry their prices in it."""
CAPITAL = 100_000 * 10**8

OPEN_MAX = 200
"""Most resting orders; more are refused, as risk would."""

Heard = tuple[Signal, tuple[Intent, ...]]


def ground_of(symbols: Sequence[str], *, fraction_bps: int = 1000, seed: int = 7) -> g.Ground:
    """Return a ground with one contender and instruments of 0.01 ticks and whole units."""
    fees = g.FeeRates(0, 0, 0, 0)
    instruments = tuple(
        g.Instrument(i, s, "REHEARSAL", "USD", TICK_SIZE, 10**8, TICK_SIZE, 1, 0, 0, 0, fees)
        for i, s in enumerate(sorted(symbols))
    )
    numbers = tuple(range(len(instruments)))
    entrant = g.Entrant(
        0, NAME, (), Tier.PAPER, CAPITAL, numbers, RecipeKind.PYTHON, "", (), fraction_bps, ""
    )
    return g.Ground(
        arena=NAME,
        seed=seed,
        currency="USD",
        instruments=instruments,
        entrants=(entrant,),
        fills=g.Fills(0, 0, 0, 0, 0, 10_000, QueueModel.PRO_RATA, LimitFill.THROUGH),
        borrow_allowed=True,
        borrow_bps_per_year=0,
        self_match=SelfMatchPrevention.NONE,
        rank_by=RankBy.RETURN,
        min_fills=0,
    )


class Rehearsal:
    """One contender, the two stages that lead to it, and its orders at the next open."""

    def __init__(
        self, contender: Contender, symbols: Iterable[str], predictor: Predictor | None = None
    ) -> None:
        self.symbols = tuple(dict.fromkeys(symbols))
        self.contender = contender
        self.predictor = predictor
        ground, schema = ground_of(self.symbols), schema_of([contender])
        self.perceive = Perceive(ground, schema)
        self.decide = Decide(ground, schema, [contender], self._hear)
        self.resting: dict[str, Order] = {}
        self._signals: list[Signal] = []

    def _hear(self, signal: Signal) -> None:
        self._signals.append(signal)

    def play(self, bars: Iterable[Bar]) -> list[Heard]:
        """Return the signal and the intents after each bar."""
        return [self._play(bar) for bar in bars]

    def resumed(self, contender: Contender) -> Rehearsal:
        """Return a rehearsal that goes on from here with another object of the same class."""
        other = Rehearsal(contender, self.symbols, self.predictor)
        other.perceive.load(self.perceive.dump())
        other.decide.load(self.decide.dump())
        other.resting = dict(self.resting)
        return other

    def _play(self, bar: Bar) -> Heard:
        for order in list(self.resting.values()):
            if order.symbol == bar.symbol:
                self._trade(order, bar)
        self._signals.clear()
        (belief,) = self.perceive.handle(bar)
        assert isinstance(belief, Belief)
        said = list(self.decide.handle(belief))
        asks = [fact for fact in said if isinstance(fact, Ask)]
        for answer in self._answers(asks) if asks else ():
            said += self.decide.handle(answer)
        intents = tuple(fact for fact in said if isinstance(fact, Intent))
        heard = self._signals[0], intents
        for intent in intents:
            self._pass(intent, bar)
        return heard

    def _answers(self, asks: list[Ask]) -> Sequence[Answer]:
        if self.predictor is None:
            return [answer_to(ask, Reply.REFUSED, text="no predictor") for ask in asks]
        return self.predictor.predict(asks)

    def _pass(self, intent: Intent, bar: Bar) -> None:
        """Judge an intent: all that has a shape is let pass."""
        target = self.resting.get(intent.target)
        fresh = intent.client_order_id not in self.resting and len(self.resting) < OPEN_MAX
        allowed = {
            IntentAction.NEW: intent.quantity_lots > 0 and intent.side != 0 and fresh,
            IntentAction.CANCEL: target is not None,
            IntentAction.REPLACE: target is not None and intent.quantity_lots > 0,
        }[intent.action]
        if allowed:
            self._carry_out(intent, target)
        # As in an arena: what the desk says to a verdict is heard before the verdict itself.
        self.decide.handle(_verdict(intent, allowed=allowed, reference=bar.close_ticks))

    def _carry_out(self, intent: Intent, target: Order | None) -> None:
        if intent.action is IntentAction.NEW:
            order = _order(intent)
            self.resting[order.client_order_id] = order
            self.decide.handle(order)
        elif target is not None and intent.action is IntentAction.CANCEL:
            self._end(target, OrdStatus.CANCELED, intent)
        elif target is not None:
            changed = msgspec.structs.replace(
                target, quantity_lots=intent.quantity_lots, limit_ticks=intent.limit_ticks
            )
            self.resting[target.client_order_id] = changed
            self.decide.handle(_update(changed, OrdStatus.NEW, intent, intent.quantity_lots))

    def _end(self, order: Order, status: OrdStatus, cause: Fact) -> None:
        del self.resting[order.client_order_id]
        self.decide.handle(_update(order, status, cause, 0))

    def _trade(self, order: Order, bar: Bar) -> None:
        price = bar.open_ticks
        if order.order_type is OrderType.LIMIT:
            limit, buys = order.limit_ticks, order.side is Side.BUY
            reached = bar.low_ticks <= limit if buys else bar.high_ticks >= limit
            price = min(price, limit) if buys else max(price, limit)
            if not reached:
                if order.time_in_force is not TimeInForce.GTC:
                    self._end(order, OrdStatus.EXPIRED, bar)
                return
        ident = derive(order.id, b"rehearse", 0)
        cash = order.quantity_lots * price * TICK_SIZE
        accounts = (Account.INVENTORY, Account.CASH)
        debit, credit = accounts if order.side is Side.BUY else accounts[::-1]
        fill = _fill(order, bar, ident, price)
        self.decide.handle(
            Entry(ident, fill.id, bar.at, bar.at, NAME, debit, credit, cash, "USD", bar.symbol, 0)
        )
        del self.resting[order.client_order_id]
        self.decide.handle(fill)


def _verdict(intent: Intent, *, allowed: bool, reference: int) -> Verdict:
    return verdict_on(
        intent,
        derive(intent.id, b"rehearse", 1),
        Outcome.ALLOW if allowed else Outcome.DENY,
        reason=-1 if allowed else 99,
        text="REHEARSAL",
        reference_ticks=reference,
    )


def _order(intent: Intent) -> Order:
    return Order(
        derive(intent.id, b"rehearse", 2),
        intent.id,
        intent.at,
        intent.seen,
        NAME,
        intent.symbol,
        intent.client_order_id,
        intent.side,
        intent.order_type,
        intent.quantity_lots,
        intent.limit_ticks,
        intent.time_in_force,
        intent.post_only,
        intent.at,
    )


def _update(order: Order, status: OrdStatus, cause: Fact, leaves: int) -> OrderUpdate:
    letter = {OrdStatus.CANCELED: "4", OrdStatus.EXPIRED: "C"}.get(status, "5")
    return OrderUpdate(
        derive(cause.id, order.id, 3),
        cause.id,
        cause.at,
        cause.seen,
        order.id,
        NAME,
        order.symbol,
        order.client_order_id,
        status,
        letter,
        order.side,
        order.quantity_lots,
        order.limit_ticks,
        0,
        leaves,
        -1,
        "",
    )


def _fill(order: Order, bar: Bar, ident: Id, price: int) -> Fill:
    return Fill(
        derive(ident, b"rehearse", 4),
        bar.id,
        bar.at,
        bar.at,
        order.id,
        NAME,
        order.symbol,
        order.client_order_id,
        order.side,
        order.quantity_lots,
        price,
        0,
        Liquidity.TAKER,
        bar.id,
        OrdStatus.FILLED,
        order.quantity_lots,
        0,
    )
