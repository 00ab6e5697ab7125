"""Do the stages keep their promises? Nine invariants, watched from outside the line.

`Invariants` hears every recorded fact and keeps its own, independent picture: accounts from
entries, positions from fills, orders from their births, changes and executions. `check` then
compares that picture with what books, risk and desk believe. It never repairs anything; the driver
stops when something is broken. Seven and eight (the record's chain, a replay's digests) are
checked by the record and reported here with `confirm`.

Memory is bounded by live orders: what ended is forgotten but for the last few thousand ids.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from titanflow.core.base.ident import NO_ID, Id
from titanflow.core.base.recent import Recent
from titanflow.core.facts import (
    Entry,
    Fact,
    Fill,
    KillRuling,
    Order,
    OrderUpdate,
    Split,
    Verdict,
)
from titanflow.core.ports import BooksHealth, GateHealth, LiveOrder, TradeHealth
from titanflow.core.spec.ground import Ground
from titanflow.core.spec.words import Account, IntentAction, OrdStatus, Outcome

INVARIANTS: dict[int, str] = {
    1: "all accounts sum to zero",
    2: "balances are the sum of the entries",
    3: "positions are the sum of the fills",
    4: "reservations are those of the live orders",
    5: "an order ends once, and nothing fills it after",
    6: "every fill is new and has a verdict before it",
    7: "the record is whole and in order",
    8: "a replay reaches the same state",
    9: "no order is born under an old kill epoch",
}
"""The promises; reports name them by number."""

REMEMBERED = 8_192
"""Ids of fills, verdicts and ended orders kept: a fact that is delivered twice comes at once."""
MESSAGES_MAX = 100
"""Broken promises told in words; the count goes on."""

_ENDED = frozenset({OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REJECTED, OrdStatus.EXPIRED})
_ELSEWHERE = (Account.CAPITAL, Account.INVENTORY)
"""Accounts that the second invariant takes from another place: the other side, and the costs."""


class _Live(msgspec.Struct):
    """An order that has not ended, as the facts tell it."""

    contender: str
    symbol: str
    side: int
    quantity: int
    cum: int


class Invariants:
    """Watches a session; `checked` and `broken` count, `messages` tell."""

    def __init__(self, ground: Ground, *, in_order: bool = True) -> None:
        """Watch a session on *ground*; *in_order* says that facts come in order of time."""
        self._in_order = in_order
        self.checked = 0
        self.broken = 0
        self.messages: list[str] = []
        self._names = tuple(entrant.name for entrant in ground.entrants)
        self._contenders = ground.entrant_index()
        self._instruments = ground.symbol_index()
        self._width = len(ground.instruments)
        self._accounts = [dict.fromkeys(Account, 0) for _ in ground.entrants]
        self._filled = [[0] * self._width for _ in ground.entrants]
        self._posted = [[0] * self._width for _ in ground.entrants]
        self._live: dict[Id, _Live] = {}
        self._ended = Recent(REMEMBERED)
        self._fills = Recent(REMEMBERED)
        self._allowed: dict[Id, int] = {}
        self._split = NO_ID
        self._epoch = 0
        self._seen = 0
        # Each handler is looked up by the very type that it takes, which the checker cannot see.
        self._watch: dict[type[Fact], Callable[..., None]] = {
            Entry: self._on_entry,
            Fill: self._on_fill,
            KillRuling: self._on_ruling,
            Order: self._on_order,
            OrderUpdate: self._on_update,
            Split: self._on_split,
            Verdict: self._on_verdict,
        }

    def observe(self, fact: Fact) -> None:
        """Take one recorded fact, in the order of the record."""
        self.checked += 1
        if fact.seen < self._seen and self._in_order:
            self._break(7, f"{type(fact).__name__} was seen before its forerunner")
        self._seen = fact.seen
        watch = self._watch.get(type(fact))
        if watch is not None:
            watch(fact)

    def confirm(self, number: int, *, holds: bool, text: str) -> None:
        """Take the result of a check made elsewhere: 7 and 8 belong to the record."""
        self.checked += 1
        if not holds:
            self._break(number, text)

    def check(self, post: BooksHealth, gate: GateHealth, trade: TradeHealth) -> None:
        """Compare the state of the stages with the facts that were observed."""
        self._check_books(post, gate)
        self._check_positions(post, gate)
        self._check_orders(gate, list(trade.live_orders()))
        self.checked += 1
        if gate.kill_epoch != self._epoch:
            self._break(9, f"gate is in epoch {gate.kill_epoch}, rulings say {self._epoch}")

    # What each fact must fulfil. The words are made only when a promise is broken.

    def _on_entry(self, fact: Entry) -> None:
        c = self._contenders[fact.contender]
        accounts = self._accounts[c]
        self.checked += 1
        if fact.amount < 0 or fact.debit is fact.credit:
            self._break(1, f"an entry moves {fact.amount} from {fact.credit} to {fact.debit}")
        accounts[fact.debit] += fact.amount
        accounts[fact.credit] -= fact.amount
        if fact.quantity_lots:
            i = self._instruments[fact.symbol]
            self._posted[c][i] += fact.quantity_lots
            # A split changes positions without fills: its entries are the only word on it.
            if fact.cause == self._split:
                self._filled[c][i] += fact.quantity_lots

    def _on_split(self, fact: Split) -> None:
        self._split = fact.id

    def _on_verdict(self, fact: Verdict) -> None:
        if fact.outcome is Outcome.ALLOW and fact.action is IntentAction.NEW:
            self._allowed[fact.id] = fact.kill_epoch
            if len(self._allowed) > REMEMBERED:
                # Whole, because a verdict makes its order in the same turn or never.
                self._allowed = {fact.id: fact.kill_epoch}

    def _on_ruling(self, fact: KillRuling) -> None:
        self.checked += 1
        if fact.epoch != self._epoch + fact.accepted:
            self._break(9, f"a ruling led from epoch {self._epoch} to {fact.epoch}")
        self._epoch = fact.epoch

    def _on_order(self, fact: Order) -> None:
        epoch = self._allowed.pop(fact.cause, None)
        self.checked += 3
        if epoch is None:
            self._break(6, f"order {_short(fact.id)} has no verdict that allows it")
        elif epoch != self._epoch:
            self._break(9, f"order {_short(fact.id)} is of epoch {epoch}, now is {self._epoch}")
        if fact.id in self._live or fact.id in self._ended:
            self._break(5, f"order {_short(fact.id)} was born twice")
        side, lots = fact.side, fact.quantity_lots
        self._live[fact.id] = _Live(fact.contender, fact.symbol, side, lots, 0)

    def _on_update(self, fact: OrderUpdate) -> None:
        if fact.order == NO_ID:
            return  # the refusal of a cancel for an order that nobody knows
        order = self._known(fact.order)
        if order is None:
            return
        self.checked += 1
        ended = fact.status in _ENDED
        total = order.cum if ended else fact.quantity_lots
        if fact.cum_lots != order.cum or fact.cum_lots + fact.leaves_lots != total:
            self._break(3, f"{_short(fact.order)}: {order.cum} filled, but the update is {fact!r}")
        if ended:
            self._end(fact.order)
        else:
            order.quantity = fact.quantity_lots

    def _on_fill(self, fact: Fill) -> None:
        self.checked += 1
        if fact.id in self._fills:
            self._break(6, f"fill {_short(fact.id)} came twice")
        self._fills.add(fact.id)
        c, i = self._contenders[fact.contender], self._instruments[fact.symbol]
        self._filled[c][i] += fact.side * fact.quantity_lots
        order = self._known(fact.order)
        if order is None:
            return
        order.cum += fact.quantity_lots
        self.checked += 1
        if (
            fact.quantity_lots < 1
            or fact.cum_lots != order.cum
            or fact.cum_lots + fact.leaves_lots != order.quantity
            or (fact.leaves_lots == 0) != (fact.status is OrdStatus.FILLED)
        ):
            self._break(3, f"{_short(fact.order)}: {order} does not agree with {fact!r}")
        if fact.status in _ENDED:
            self._end(fact.order)

    def _known(self, ident: Id) -> _Live | None:
        order = self._live.get(ident)
        self.checked += 1
        if order is None:
            how = "has ended before" if ident in self._ended else "was never born"
            self._break(5, f"order {_short(ident)} {how}")
        return order

    def _end(self, ident: Id) -> None:
        del self._live[ident]
        self._ended.add(ident)

    # What the state must fulfil.

    def _check_books(self, post: BooksHealth, gate: GateHealth) -> None:
        self.checked += 1
        if (total := post.trial_balance()) != 0:
            self._break(1, f"the trial balance is {total}")
        for c, accounts in enumerate(self._accounts):
            self.checked += len(accounts) + 2
            for account, amount in accounts.items():
                if (balance := post.balance(c, account)) != amount:
                    self._break(2, f"{self._name(c)}: {account} {balance}, entries {amount}")
            worth = sum(post.cost(c, i) for i in range(self._width)) + sum(
                amount for account, amount in accounts.items() if account not in _ELSEWHERE
            )
            if worth != -accounts[Account.CAPITAL]:
                self._break(2, f"{self._name(c)}: cash, cost and results are not the deposits")
            if (cash := gate.cash(c)) != accounts[Account.CASH]:
                self._break(2, f"{self._name(c)}: gate has cash {cash}, {accounts[Account.CASH]}")

    def _check_positions(self, post: BooksHealth, gate: GateHealth) -> None:
        for c, filled in enumerate(self._filled):
            self.checked += self._width
            for i, lots in enumerate(filled):
                told = (lots, self._posted[c][i], post.position(c, i), gate.position(c, i))
                if told.count(lots) != len(told):
                    self._break(
                        3,
                        f"{self._name(c)}, instrument {i}: lots by fills, entries, books and gate "
                        f"are {told}",
                    )

    def _check_orders(self, gate: GateHealth, live: list[LiveOrder]) -> None:
        told = sorted(
            (o.contender, o.symbol, o.side, o.cum, o.quantity) for o in self._live.values()
        )
        self.checked += 1 + len(live)
        if told != sorted((c, s, side, cum, total) for c, s, side, _, cum, total in live):
            self._break(3, f"the desk has {len(live)} live orders, the facts other {len(told)}")
        open_lots = [[[0, 0] for _ in range(self._width)] for _ in self._accounts]
        for contender, symbol, side, leaves, cum, total in live:
            if leaves < 1 or cum + leaves != total:
                self._break(3, f"a live order of {contender} has {leaves} + {cum} of {total} lots")
            c, i = self._contenders[contender], self._instruments[symbol]
            open_lots[c][i][side < 0] += leaves
        for c, row in enumerate(open_lots):
            self.checked += self._width + 1
            for i, (buys, sells) in enumerate(row):
                if (held := tuple(gate.open_lots(c, i))) != (buys, sells):
                    self._break(
                        4,
                        f"{self._name(c)}, instrument {i}: gate holds {held} lots to buy and sell, "
                        f"live orders have {(buys, sells)}",
                    )
            reserved = gate.reserved(c)
            if reserved < 0 or (reserved > 0 and not any(any(pair) for pair in row)):
                self._break(4, f"{self._name(c)}: {reserved} reserved without an order for it")

    def _name(self, c: int) -> str:
        return self._names[c]

    def _break(self, number: int, text: str) -> None:
        self.broken += 1
        if len(self.messages) < MESSAGES_MAX:
            self.messages.append(f"invariant {number} ({INVARIANTS[number]}): {text}")


def _short(ident: Id) -> str:
    return ident.hex()[:8]
