"""A gate for unit tests: two instruments, three contenders, policies as YAML-like dictionaries.

`Risk` drives the stage alone with intents, fills and bars by keyword. `Line` wires trade, gate and
post as the arena does, with every invariant watched, for what only shows between stages.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.execution.desk import Trade
from titanflow.core.facts import (
    Bar,
    CancelOrders,
    Dividend,
    Fact,
    Fill,
    Intent,
    KillRuling,
    KillSwitch,
    Order,
    OrderUpdate,
    Split,
    StateChange,
    Verdict,
)
from titanflow.core.health import Invariants
from titanflow.core.ledger.books import Post
from titanflow.core.risk.gate import Gate
from titanflow.core.spec.ground import Entrant, FeeRates, Fills, Ground, Instrument
from titanflow.core.spec.policy import PolicySpec
from titanflow.core.spec.words import (
    IntentAction,
    KillAction,
    KillScope,
    LimitFill,
    Liquidity,
    OrderType,
    OrdStatus,
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

SECOND = 1_000_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
T0 = 20_000 * DAY + 12 * HOUR
UNIT = 100_000_000
TICK_VALUE = 1_000_000
"""A tick is 0.01 and a lot one unit, so a lot at 100 ticks is worth 1.00."""
CAPITAL = 10_000 * UNIT
NAMES = ("ann", "bob", "cat")

FREE = FeeRates(maker_ppm=0, taker_ppm=0, per_lot=0, min_per_order=0)
OPEN = {"selector": {}, "limits": {"maxOrdersPerDay": 100_000_000}}
"""A policy that selects everyone and stops nobody."""


def policy(**spec: Any) -> PolicySpec:
    """Return a policy; `selector` and `limits` have harmless defaults."""
    return PolicySpec.model_validate_json(json.dumps({**OPEN, **spec}), strict=True)


def make_ground(
    *,
    fees: FeeRates = FREE,
    borrow: bool = True,
    borrow_bps: int = 0,
    tiers: tuple[Tier, ...] = (Tier.PAPER,) * 3,
    labels: tuple[tuple[tuple[str, str], ...], ...] = ((),) * 3,
    traded: tuple[int, ...] = (0, 1),
    **instrument: Any,
) -> Ground:
    """Return a ground with instruments A and B and the contenders of `NAMES`."""
    base = Instrument(0, "A", "XSIM", "USD", TICK_VALUE, UNIT, TICK_VALUE, 1, 0, 0, HOUR, fees)
    base = msgspec.structs.replace(base, **instrument)
    instruments = (base, msgspec.structs.replace(base, index=1, symbol="B"))
    entrants = tuple(
        Entrant(i, name, labels[i], tiers[i], CAPITAL, traded, RecipeKind.RULES, "x", (), 1000, "h")
        for i, name in enumerate(NAMES)
    )
    fills = Fills(0, SECOND, 0, 0, 0, 10_000, QueueModel.PRO_RATA, LimitFill.TOUCH)
    return Ground(
        "main", 7, "USD", instruments, entrants, fills, borrow, borrow_bps,
        SelfMatchPrevention.NONE, RankBy.RETURN, 1,
    )  # fmt: skip


class Base:
    """Makes input facts with ids that never repeat, and a time that only moves when told to."""

    def __init__(self) -> None:
        self.now = T0
        self.count = 0

    def ident(self) -> Any:
        self.count += 1
        return derive(NO_ID, b"test", self.count)

    def head(self) -> tuple[Any, ...]:
        return self.ident(), NO_ID, self.now, self.now

    def take(self, fact: Fact) -> list[Fact]:
        raise NotImplementedError

    def bar(
        self, close: int = 100, symbol: str = "A", *, after: int = 0, **more: int
    ) -> list[Fact]:
        """Let *after* ns pass and a bar end."""
        self.now += after
        low, high = more.get("low", close), more.get("high", close)
        opening, volume = more.get("opening", close), more.get("volume", 1_000_000)
        start = self.now - more.get("length", after or SECOND)
        cells = (symbol, start, opening, high, low, close, volume)
        return self.take(Bar(*self.head(), *cells))

    def intent(self, who: str, side: int, lots: int, limit: int = 0, **changes: Any) -> list[Fact]:
        """Wish for an order; a limit of 0 makes it a market order."""
        head = self.head()
        kind = OrderType.LIMIT if limit else OrderType.MARKET
        wish = Intent(
            *head, who, "A", IntentAction.NEW, Side(side), lots, kind, limit, TimeInForce.GTC,
            False, f"o{self.count}", "", Origin.CONTENDER, self.now,
        )  # fmt: skip
        return self.take(msgspec.structs.replace(wish, **changes))

    def cancel(self, who: str, target: str, symbol: str = "A") -> list[Fact]:
        return self.intent(who, 0, 0, action=IntentAction.CANCEL, target=target, symbol=symbol)

    def replace(
        self, who: str, target: str, side: int, lots: int, limit: int, **changes: Any
    ) -> list[Fact]:
        return self.intent(
            who, side, lots, limit, action=IntentAction.REPLACE, target=target, **changes
        )

    def split(self, numerator: int, denominator: int, symbol: str = "A") -> list[Fact]:
        return self.take(Split(*self.head(), symbol, numerator, denominator, "test"))

    def dividend(self, amount: int, symbol: str = "A") -> list[Fact]:
        return self.take(Dividend(*self.head(), symbol, amount, "test"))

    def switch(self, scope: str = "Arena", name: str = "", **more: Any) -> list[Fact]:
        """Engage (or, with engaged=False and a token, release) a kill switch."""
        engaged = more.get("engaged", True)
        return self.take(
            KillSwitch(
                *self.head(),
                KillScope(scope),
                name,
                engaged,
                tuple(more.get("instruments", ())),
                KillAction(more.get("action", "RejectNew")),
                more.get("reason", "drill"),
                more.get("by", "eve" if engaged else "joe"),
                more.get("token", "" if engaged else "t1"),
            )
        )


class Risk(Base):
    """The stage alone: orders are born as soon as they are allowed, fills come when asked for."""

    def __init__(self, *policies: PolicySpec, **ground: Any) -> None:
        super().__init__()
        chosen = policies or (policy(),)
        self.gate = Gate(make_ground(**ground), {f"p{n}": p for n, p in enumerate(chosen)})
        self.orders: dict[str, Order] = {}
        self.said: list[Fact] = []

    def take(self, fact: Fact) -> list[Fact]:
        said = list(self.gate.handle(fact))
        self.gate.validate()
        for out in list(said):
            if isinstance(out, Verdict) and out.outcome is Outcome.ALLOW:
                if out.action is IntentAction.NEW:
                    self._born(out)
            elif isinstance(out, Intent):
                said += self.take(out)
        self.said += said
        return said

    def _born(self, verdict: Verdict) -> None:
        order = Order(
            self.ident(), verdict.id, self.now, self.now, verdict.contender, verdict.symbol,
            verdict.client_order_id, verdict.side, verdict.order_type, verdict.quantity_lots,
            verdict.limit_ticks, verdict.time_in_force, verdict.post_only, self.now,
        )  # fmt: skip
        self.orders[verdict.client_order_id] = order
        assert () == tuple(self.gate.handle(order))

    def ask(self, *args: Any, **changes: Any) -> Verdict:
        """Wish for an order, return the verdict."""
        (verdict, *_) = verdicts(self.intent(*args, **changes))
        return verdict

    def fill(
        self, name: str, lots: int, price: int, *, fee: int = 0, cum: int = 0, leaves: int = 0
    ) -> list[Fact]:
        """Execute a part of an order."""
        order = self.orders[name]
        status = OrdStatus.PARTIALLY_FILLED if leaves else OrdStatus.FILLED
        return self.take(
            Fill(
                *self.head(), order.id, order.contender, order.symbol, name, order.side, lots,
                price, fee, Liquidity.TAKER, NO_ID, status, cum or lots, leaves,
            )
        )  # fmt: skip

    def update(self, name: str, status: OrdStatus, exec_type: str, **more: int) -> list[Fact]:
        """Change an order without an execution."""
        order = self.orders[name]
        quantity = more.get("quantity", order.quantity_lots)
        return self.take(
            OrderUpdate(
                *self.head(), order.id, order.contender, order.symbol, name, status, exec_type,
                order.side, quantity, more.get("limit", order.limit_ticks), more.get("cum", 0),
                more.get("leaves", 0), -1, "",
            )
        )  # fmt: skip

    def end(self, name: str, cum: int = 0) -> list[Fact]:
        """Cancel what is left of an order."""
        return self.update(name, OrdStatus.CANCELED, "4", cum=cum)

    def buy(self, who: str, lots: int, price: int, symbol: str = "A") -> None:
        """Hold *lots* more at *price*; the order passes whatever gate has to say of others."""
        self._trade(who, 1, lots, price, symbol)

    def sell(self, who: str, lots: int, price: int, symbol: str = "A") -> None:
        self._trade(who, -1, lots, price, symbol)

    def _trade(self, who: str, side: int, lots: int, price: int, symbol: str) -> None:
        verdict = self.ask(who, side, lots, symbol=symbol)
        assert verdict.outcome is Outcome.ALLOW, verdict
        self.fill(verdict.client_order_id, lots, price)


class Line(Base):
    """Trade, gate and post as the arena wires them; invariants are checked after every fact."""

    def __init__(self, *policies: PolicySpec, **ground: Any) -> None:
        super().__init__()
        self.ground = make_ground(**ground)
        chosen = policies or (policy(),)
        self.trade = Trade(self.ground)
        self.gate = Gate(self.ground, {f"p{n}": p for n, p in enumerate(chosen)})
        self.post = Post(self.ground)
        self.watch = Invariants(self.ground)
        self.said: list[Fact] = []
        for fact in self.post.open(self.now):
            self.watch.observe(fact)
            self._deliver(fact)

    def take(self, fact: Fact) -> list[Fact]:
        start = len(self.said)
        self.watch.observe(fact)
        self._deliver(fact)
        self.gate.validate()
        self.post.validate()
        self.watch.check(self.post, self.gate, self.trade)
        assert [] == self.watch.messages
        return self.said[start:]

    def _deliver(self, fact: Fact) -> None:
        for stage in (self.trade, self.gate, self.post):
            if type(fact) in stage.consumes:
                for out in stage.handle(fact):
                    self.said.append(out)
                    self.watch.observe(out)
                    self._deliver(out)


def verdicts(facts: list[Fact]) -> list[Verdict]:
    return [fact for fact in facts if isinstance(fact, Verdict)]


def changes(facts: list[Fact]) -> list[tuple[str, str, str, str]]:
    """Return the changes of trading state in short: who, former, state, text."""
    return [
        (f.contender, f.former.value, f.state.value, f.text)
        for f in facts
        if isinstance(f, StateChange)
    ]


def cancels(facts: list[Fact]) -> list[tuple[str, str]]:
    return [(f.contender, f.symbol) for f in facts if isinstance(f, CancelOrders)]


def rulings(facts: list[Fact]) -> list[tuple[bool, int]]:
    return [(f.accepted, f.epoch) for f in facts if isinstance(f, KillRuling)]
