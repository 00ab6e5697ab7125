"""A gate by itself for unit tests: two instruments, three contenders, facts by keyword."""

from __future__ import annotations

from typing import Any

import msgspec
from trade_kit import DAY, FEES, HOUR, T0, make_ground

from titanflow.core.base.ident import NO_ID, Id, derive
from titanflow.core.facts import (
    Bar,
    Entry,
    Fact,
    Fill,
    Intent,
    KillSwitch,
    Order,
    OrderUpdate,
    Split,
    Verdict,
)
from titanflow.core.risk.gate import Gate
from titanflow.core.spec.ground import Ground
from titanflow.core.spec.policy import PolicySpec
from titanflow.core.spec.words import (
    Account,
    IntentAction,
    KillAction,
    KillScope,
    Liquidity,
    Occasion,
    OrderType,
    OrdStatus,
    Origin,
    Outcome,
    Side,
    TimeInForce,
)

CENT = 1_000_000  # minor units: what one tick is worth for one lot
__all__ = ["CENT", "DAY", "FEES", "HOUR", "T0", "Bench", "policy", "scene"]


def policy(limits: dict[str, Any] | None = None, **parts: Any) -> PolicySpec:
    """Return a policy that binds everybody, from camelCase *limits* and other *parts*."""
    harmless = {"maxOrdersPerDay": 100_000_000}
    return PolicySpec.model_validate({"selector": {}, "limits": limits or harmless, **parts})


def scene(*, borrow: bool = True, entrant: dict[str, Any] | None = None, **options: Any) -> Ground:
    """Return a ground; *entrant* changes the first contender, ann."""
    ground = make_ground(**options)
    first, *rest = ground.entrants
    entrants = (msgspec.structs.replace(first, **(entrant or {})), *rest)
    return msgspec.structs.replace(ground, borrow_allowed=borrow, entrants=entrants)


class Bench:
    """A Gate stage with A and B marked at 100 ticks; `validate` runs after each fact."""

    def __init__(
        self,
        limits: dict[str, Any] | None = None,
        *,
        policies: dict[str, PolicySpec] | None = None,
        ground: Ground | None = None,
        marked: bool = True,
        **parts: Any,
    ) -> None:
        self.ground = ground or scene()
        self.policies = {"house": policy(limits, **parts)} if policies is None else policies
        self.gate = Gate(self.ground, self.policies)
        self.now = T0 + HOUR
        self.count = 0
        self.intents: dict[Id, Intent] = {}
        if marked:
            self.bar(100)
            self.bar(100, symbol="B", gap=0)

    def ident(self) -> Id:
        self.count += 1
        return derive(NO_ID, b"bench", self.count)

    def take(self, fact: Fact) -> list[Fact]:
        said = list(self.gate.handle(fact))
        self.gate.validate()
        return said

    def bar(self, close: int, symbol: str = "A", gap: int = 0) -> list[Fact]:
        self.now += gap
        return self.take(
            Bar(self.ident(), NO_ID, self.now, self.now, symbol, self.now - 1, *[close] * 4, 1000)
        )

    def intent(self, side: int, lots: int, limit: int = 0, **changes: Any) -> Intent:
        kind = OrderType.LIMIT if limit else OrderType.MARKET
        ident = self.ident()
        made = Intent(
            ident, NO_ID, self.now, self.now, "ann", "A", IntentAction.NEW, Side(side), lots,
            kind, limit, TimeInForce.DAY, False, f"o{self.count}", "", Origin.CONTENDER, self.now,
        )  # fmt: skip
        return msgspec.structs.replace(made, **changes)

    def ask(self, side: int, lots: int, limit: int = 0, **changes: Any) -> Verdict:
        """Send an intent and return the verdict alone."""
        verdict = self.say(side, lots, limit, **changes)[0]
        assert isinstance(verdict, Verdict)
        return verdict

    def say(self, side: int, lots: int, limit: int = 0, **changes: Any) -> list[Fact]:
        return self.take(self.intent(side, lots, limit, **changes))

    def order(self, side: int, lots: int, limit: int = 0, **changes: Any) -> Order:
        """Send an intent that must pass, and let its order be born."""
        verdict = self.ask(side, lots, limit, **changes)
        assert verdict.outcome is Outcome.ALLOW, verdict
        return self.born(verdict)

    def born(self, verdict: Verdict) -> Order:
        order = Order(
            self.ident(), verdict.id, self.now, self.now, verdict.contender, verdict.symbol,
            verdict.client_order_id, verdict.side, verdict.order_type, verdict.quantity_lots,
            verdict.limit_ticks, verdict.time_in_force, False, self.now + 1,
        )  # fmt: skip
        self.take(order)
        return order

    def fill(
        self, order: Order, lots: int, price: int = 100, *, cum: int = 0, leaves: int | None = None,
        fee: int = 0,
    ) -> list[Fact]:  # fmt: skip
        """Fill *lots*, after *cum* that filled before."""
        leaves = order.quantity_lots - cum - lots if leaves is None else leaves
        status = OrdStatus.PARTIALLY_FILLED if leaves else OrdStatus.FILLED
        return self.take(
            Fill(
                self.ident(), order.id, self.now, self.now, order.id, order.contender,
                order.symbol, order.client_order_id, order.side, lots, price, fee,
                Liquidity.TAKER, NO_ID, status, cum + lots, leaves,
            )
        )  # fmt: skip

    def hold(self, side: int, lots: int, price: int = 100, **changes: Any) -> None:
        """Come to a position."""
        self.fill(self.order(side, lots, **changes), lots, price)

    def update(
        self, order: Order, status: OrdStatus, leaves: int = 0, cum: int = 0, limit: int = 0
    ) -> list[Fact]:
        return self.take(
            OrderUpdate(
                self.ident(), order.id, self.now, self.now, order.id, order.contender,
                order.symbol, order.client_order_id, status, "4", order.side, cum + leaves,
                limit, cum, leaves, -1, "",
            )
        )  # fmt: skip

    def kill(self, scope: KillScope, name: str, *, engaged: bool = True, **changes: Any):
        """Send a request; alice engages, bob releases."""
        request = KillSwitch(
            self.ident(), NO_ID, self.now, self.now, scope, name, engaged, (),
            KillAction.CANCEL_ALL, "drill", "alice" if engaged else "bob", "" if engaged else "t1",
        )  # fmt: skip
        return self.take(msgspec.structs.replace(request, **changes))

    def entry(self, debit: Account, credit: Account, amount: int, occasion: Occasion) -> None:
        self.take(
            Entry(
                self.ident(), self.ident(), self.now, self.now, "ann", debit, credit, amount,
                "USD", "A", 0, occasion,
            )
        )  # fmt: skip

    def split(self, numerator: int, denominator: int) -> None:
        self.take(Split(self.ident(), NO_ID, self.now, self.now, "A", numerator, denominator, ""))
