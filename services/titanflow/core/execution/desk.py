"""How do verdicts become orders and fills? The stage `trade`: the only place where orders are made.

The desk hears nothing but verdicts, bars, splits, risk's orders to cancel, and kill switches. It
gives an allowed intent an id, sends it on its way to the simulated venue of its instrument, and
puts what the venue says into facts. It checks the kill switch a second time, by epoch and by its
own ear (`stops`), because two independent looks at a switch are what makes it one. It knows live
orders only: what ended is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from titanflow.core.base.chance import chance_bits
from titanflow.core.base.errors import InvariantError
from titanflow.core.base.ident import NO_ID, Id, derive, digest
from titanflow.core.execution import lifecycle
from titanflow.core.execution import state as desk
from titanflow.core.execution.lifecycle import next_status
from titanflow.core.execution.stops import Stops
from titanflow.core.facts import (
    Bar,
    CancelOrders,
    Fact,
    Fill,
    KillRuling,
    KillSwitch,
    Lapse,
    Order,
    OrderUpdate,
    Split,
    Verdict,
)
from titanflow.core.spec.ground import Ground
from titanflow.core.spec.words import (
    CancelRejectReason,
    IntentAction,
    KillAction,
    Liquidity,
    OrderType,
    OrdStatus,
    Origin,
    Outcome,
    RejectReason,
    Side,
)
from titanflow.core.venue.book import Ticket
from titanflow.core.venue.fills import charge, fee_of, latency_ns
from titanflow.core.venue.paper import CANCEL, NEW, REPLACE, Paper

_STAGE = b"trade"
_COMMON = (CancelOrders, KillSwitch, Lapse)
"""Facts that every shard of execution hears and answers."""


class Trade:
    """The stage `trade`: verdicts and bars in; orders, their updates and fills out."""

    name = "trade"
    consumes: frozenset[type[Fact]] = frozenset(
        {Verdict, Bar, Split, CancelOrders, KillSwitch, KillRuling, Lapse}
    )

    def __init__(
        self,
        ground: Ground,
        members: Mapping[str, Sequence[int]] | None = None,
        *,
        shard: int = 0,
        gates: Sequence[int] = (),
    ) -> None:
        """Take the ground, and whom each policy binds: a kill switch may name a policy.

        Where execution is cut into shards, *shard* is this one's number. Where risk is, *gates* is
        the shard of each contender.
        """
        self._ground = ground
        self._owners = ground.entrant_index()
        self._symbols = ground.symbol_index()
        self._tickets: dict[int, Ticket] = {}
        """Live orders by number, oldest first."""
        self._named: tuple[dict[str, Ticket], ...] = tuple({} for _ in ground.entrants)
        self._papers = {i.symbol: Paper(ground, i, self._tickets, self) for i in ground.instruments}
        self._floor = tuple(self._papers[i.symbol] for i in ground.instruments)
        self._rates = tuple(i.fees for i in ground.instruments)
        self._tick_values = tuple(i.tick_value for i in ground.instruments)
        self._sent = 0
        self._common = f"trade/{shard}".encode() if shard else _STAGE
        """Names what other shards may say something to as well."""
        self._stage = _STAGE
        self._gates = tuple(gates) or (0,) * len(ground.entrants)
        self._epochs = [0] * (max(self._gates, default=0) + 1)
        """The last ruling of each shard of risk."""
        self._lapsed = False
        """Whether there is no fresh lease: the last hop looks for itself."""
        self._stops = Stops(ground, members or {}, len(self._epochs))
        self._splits: dict[str, int] = {}
        """Time of the last split of each symbol: an order from before it has other lots."""
        self._cause = NO_ID
        self._seen = 0
        self._said: list[Fact] = []

    def handle(self, fact: Fact) -> Sequence[Fact]:
        """Take one fact, return the orders, updates and fills that follow."""
        said: list[Fact]
        if isinstance(fact, Bar):
            paper = self._papers[fact.symbol]
            if paper.idle(fact):
                return ()
            self._cause, self._seen, self._said = fact.id, fact.at, []
            self._stage = _STAGE
            paper.trade(fact)
            said, self._said = self._said, []
            return said
        self._cause, self._seen, self._said = fact.id, fact.at, []
        self._stage = self._common if isinstance(fact, _COMMON) else _STAGE
        match fact:
            case Verdict():
                if fact.outcome is Outcome.ALLOW:
                    self._on_verdict(fact)
            case CancelOrders():
                self._cancel_all(fact.contender, fact.symbol, desk.BROKER_OPTION, fact.text)
            case Split():
                self._splits[fact.symbol] = fact.at
                self._cancel_all("", fact.symbol, desk.CORPORATE_ACTION, "SPLIT")
            case Lapse():
                self._lapsed = fact.stale
                if fact.stale:
                    self._cancel_all("", "", desk.BROKER_OPTION, desk.LAPSED)
            case KillSwitch():
                self._on_switch(fact)
            case KillRuling():
                self._epochs[fact.shard] = max(self._epochs[fact.shard], fact.epoch)
                self._stops.rule(fact)
            case _:
                raise InvariantError(f"trade does not consume {type(fact).__name__}")
        said, self._said = self._said, []
        return said

    def tickets(self) -> Sequence[Ticket]:
        """Return every live order, oldest first; they are the desk's own, to be read only."""
        return tuple(self._tickets.values())

    def live_orders(self) -> Iterator[tuple[str, str, Side, int, int, int]]:
        """Give (contender, symbol, side, leaves, cum, quantity) of every live order."""
        for t in self._tickets.values():
            yield t.contender, t.symbol, t.side, t.leaves, t.cum, t.quantity

    def validate(self) -> None:
        """Check that desk, venues and books agree.

        Raises: InvariantError naming what does not.
        """
        for paper in self._floor:
            paper.validate()
        if sum(map(len, self._named)) != len(self._tickets):
            raise InvariantError("names and numbers of live orders differ")

    def digest(self) -> bytes:
        """Return a hash of the state."""
        return digest(b"trade", self.dump())

    def dump(self) -> bytes:
        """Return the state."""
        papers = [paper.dump() for paper in self._floor]
        state = desk.DeskState(
            self._epochs,
            self._sent,
            self._splits,
            self._lapsed,
            self._stops.dump(),
            list(self._tickets.values()),
            papers,
        )
        return msgspec.msgpack.encode(state)

    def load(self, snapshot: bytes) -> None:
        """Take over a state that `dump` returned.

        Raises: ValueError or InvariantError if it is none of this ground.
        """
        state = msgspec.msgpack.decode(snapshot, type=desk.DeskState)
        if len(state.papers) != len(self._floor) or len(state.epochs) != len(self._epochs):
            raise ValueError("the snapshot belongs to another ground")
        self._epochs, self._sent = state.epochs, state.sent
        self._splits, self._lapsed = state.splits, state.lapsed
        self._stops.load(state.stops)
        self._tickets.clear()
        for named in self._named:
            named.clear()
        for ticket in state.tickets:
            self._tickets[ticket.number] = ticket
            self._named[ticket.owner][ticket.client_order_id] = ticket
        for paper, kept in zip(self._floor, state.papers, strict=True):
            paper.load(kept)
        self.validate()

    # Verdicts.

    def _on_verdict(self, verdict: Verdict) -> None:
        if verdict.action is IntentAction.NEW:
            self._new(verdict)
            return
        ticket = self._named[self._owners[verdict.contender]].get(verdict.target)
        cancels = verdict.action is IntentAction.CANCEL
        if ticket is None or ticket.symbol != verdict.symbol:
            self._refuse_unknown(verdict)
        elif ticket.risk and verdict.origin is not Origin.RISK:
            text = "CXL_REJECT:ORDER_OF_RISK"
            self._update(ticket, verdict.at, lifecycle.STATUS, CancelRejectReason.OTHER, text)
        elif not cancels and (text := self._stopped(verdict)):
            reason = CancelRejectReason.BROKER_OPTION
            self._update(ticket, verdict.at, lifecycle.STATUS, reason, text)
        elif ticket.state is OrdStatus.PENDING_CANCEL or (
            not cancels and ticket.state is OrdStatus.PENDING_REPLACE
        ):
            self._update(
                ticket,
                verdict.at,
                lifecycle.STATUS,
                CancelRejectReason.ALREADY_PENDING,
                "CXL_REJECT:ALREADY_PENDING",
            )
        else:
            self._change(ticket, verdict, cancels=cancels)

    def _new(self, verdict: Verdict) -> None:
        ground = self._ground
        ident = self._next_id()
        arrives_at = verdict.at + latency_ns(verdict.id, ground.fills, ground.seed)
        market = verdict.order_type is OrderType.MARKET
        limit = 0 if market else verdict.limit_ticks
        owner = self._owners[verdict.contender]
        self._said.append(
            Order(
                ident, verdict.id, verdict.at, verdict.at, verdict.contender, verdict.symbol,
                verdict.client_order_id, verdict.side, verdict.order_type, verdict.quantity_lots,
                limit, verdict.time_in_force, verdict.post_only, arrives_at,
            )
        )  # fmt: skip
        self._sent += 1
        ticket = Ticket(
            self._sent, ident, self._symbols[verdict.symbol], owner, verdict.contender,
            verdict.symbol, verdict.client_order_id, verdict.side, market, verdict.post_only,
            verdict.time_in_force, verdict.quantity_lots, limit, arrives_at,
            risk=verdict.origin is Origin.RISK,
        )  # fmt: skip
        named = self._named[owner]
        if text := self._stopped(verdict):
            self._reject(ticket, verdict.at, RejectReason.BROKER_OPTION, text)
        elif verdict.at < self._splits.get(verdict.symbol, verdict.at):
            self._reject(ticket, verdict.at, RejectReason.STALE_ORDER, "SPLIT")
        elif verdict.client_order_id in named:
            self._reject(ticket, verdict.at, RejectReason.DUPLICATE_ORDER, "DUPLICATE_ORDER")
        elif market and verdict.post_only:
            reason = RejectReason.UNSUPPORTED_ORDER_CHARACTERISTIC
            self._reject(ticket, verdict.at, reason, "POST_ONLY")
        else:
            self._tickets[ticket.number] = named[verdict.client_order_id] = ticket
            turn = chance_bits(ground.seed, ident, b"turn")
            self._floor[ticket.instrument].send((arrives_at, turn, ticket.number, NEW, 0, 0))

    def _change(self, ticket: Ticket, verdict: Verdict, *, cancels: bool) -> None:
        """Send a cancel or replace on its way; it never overtakes what was sent before."""
        ground = self._ground
        arrives_at = max(
            verdict.at + latency_ns(verdict.id, ground.fills, ground.seed), ticket.arrives_at + 1
        )
        ticket.arrives_at = arrives_at
        ticket.awaited += 1
        turn = chance_bits(ground.seed, verdict.id, b"turn")
        action = CANCEL if cancels else REPLACE
        limit = 0 if ticket.market else verdict.limit_ticks
        self._floor[ticket.instrument].send(
            (arrives_at, turn, ticket.number, action, verdict.quantity_lots, limit)
        )
        asked = lifecycle.PENDING_CANCEL if cancels else lifecycle.PENDING_REPLACE
        self._update(ticket, verdict.at, asked, desk.UNASKED, "")

    def _stopped(self, verdict: Verdict) -> str:
        """Return why nothing new may pass, or an empty string."""
        if self._lapsed:
            return desk.LAPSED
        owner = self._owners[verdict.contender]
        if verdict.kill_epoch < self._epochs[self._gates[owner]]:
            return desk.STOPPED
        return desk.STOPPED if self._stops.over(owner, verdict.symbol) else ""

    def _on_switch(self, request: KillSwitch) -> None:
        """Stop what a kill switch names before risk has ruled on it."""
        stop = self._stops.hear(request)
        if stop is None or request.action is KillAction.REJECT_NEW:
            return
        text = f"KILL:{request.scope.value}"
        for ticket in self.tickets():
            if stop.covers(ticket.owner, ticket.symbol):
                paper = self._floor[ticket.instrument]
                paper.cancel(ticket, self._seen, desk.BROKER_OPTION, text)
        for paper in self._floor:
            paper.tidy()

    def _cancel_all(self, contender: str, symbol: str, reason: int, text: str) -> None:
        for ticket in list(self._tickets.values()):
            if contender in {"", ticket.contender} and symbol in {"", ticket.symbol}:
                self._floor[ticket.instrument].cancel(ticket, self._seen, reason, text)
        for paper in self._floor:
            paper.tidy()

    # What the venue says; see `venue.book.Listener`.

    def accepted(self, ticket: Ticket, at: int) -> None:
        """Say that the venue has the order."""
        ticket.accepted = True
        self._update(ticket, at, lifecycle.ACCEPTED, desk.UNASKED, "")

    def executed(
        self, ticket: Ticket, lots: int, price: int, at: int, *, maker: bool, counter: Ticket | None
    ) -> None:
        """Say that an order traded, and what it cost."""
        ticket.cum += lots
        rates = self._rates[ticket.instrument]
        value = price * lots * self._tick_values[ticket.instrument]
        ticket.fee_computed += fee_of(rates, value, lots, maker=maker)
        fee = charge(rates, ticket.fee_computed, ticket.fee_charged)
        ticket.fee_charged += fee
        self._advance(ticket, lifecycle.TRADED)
        self._said.append(
            Fill(
                self._next_id(), self._cause, at, self._seen, ticket.order, ticket.contender,
                ticket.symbol, ticket.client_order_id, ticket.side, lots, price, fee,
                Liquidity.MAKER if maker else Liquidity.TAKER,
                NO_ID if counter is None else counter.order, ticket.state, ticket.cum,
                ticket.leaves,
            )
        )  # fmt: skip

    def canceled(self, ticket: Ticket, at: int, reason: int, text: str) -> None:
        """Say that an order was cancelled."""
        self._update(ticket, at, lifecycle.CANCELED, reason, text)

    def expired(self, ticket: Ticket, at: int) -> None:
        """Say that an order's time in force is over."""
        self._update(ticket, at, lifecycle.EXPIRED, desk.UNASKED, "")

    def rejected(self, ticket: Ticket, at: int, text: str) -> None:
        """Say that the venue did not take an order."""
        reason = RejectReason.UNSUPPORTED_ORDER_CHARACTERISTIC
        self._update(ticket, at, lifecycle.REJECTED, reason, text)

    def replaced(self, ticket: Ticket, quantity: int, limit: int, at: int) -> None:
        """Say that an order has new terms."""
        ticket.quantity, ticket.limit = quantity, limit
        self._update(ticket, at, lifecycle.REPLACED, desk.UNASKED, "")

    def refused(self, ticket: Ticket, at: int, text: str) -> None:
        """Say that a replace was refused and the order goes on as it was."""
        self._update(ticket, at, lifecycle.REFUSED, RejectReason.OTHER, text)

    # Facts.

    def _update(self, ticket: Ticket, at: int, event: str, reason: int, text: str) -> None:
        self._advance(ticket, event)
        leaves = 0 if ticket.state in lifecycle.ENDED else ticket.leaves
        self._said.append(
            OrderUpdate(
                self._next_id(), self._cause, at, self._seen, ticket.order, ticket.contender,
                ticket.symbol, ticket.client_order_id, ticket.state, event[0], ticket.side,
                ticket.quantity, ticket.limit, ticket.cum, leaves, int(reason), text,
            )
        )  # fmt: skip

    def _advance(self, ticket: Ticket, event: str) -> None:
        ticket.state = next_status(
            ticket.state, event, accepted=ticket.accepted, cum=ticket.cum, leaves=ticket.leaves
        )
        # A rejected order may never have been known.
        if ticket.state in lifecycle.ENDED and self._tickets.pop(ticket.number, None) is not None:
            del self._named[ticket.owner][ticket.client_order_id]
            self._floor[ticket.instrument].forget(ticket)

    def _reject(self, ticket: Ticket, at: int, reason: int, text: str) -> None:
        self._update(ticket, at, lifecycle.REJECTED, reason, text)

    def _refuse_unknown(self, verdict: Verdict) -> None:
        """Say that a cancel or replace names no live order (FIX OrderCancelReject)."""
        self._said.append(
            OrderUpdate(
                self._next_id(), verdict.id, verdict.at, verdict.at, NO_ID, verdict.contender,
                verdict.symbol, verdict.target, OrdStatus.REJECTED, lifecycle.REJECTED,
                verdict.side, verdict.quantity_lots, verdict.limit_ticks, 0, 0,
                int(CancelRejectReason.UNKNOWN_ORDER), "CXL_REJECT:UNKNOWN_ORDER",
            )
        )  # fmt: skip

    def _next_id(self) -> Id:
        return derive(self._cause, self._stage, len(self._said))
