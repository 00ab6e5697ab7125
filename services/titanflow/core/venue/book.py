"""How do orders with names become orders with numbers? Tickets, and the book that holds them.

The native book knows int64 ids and owners only. A `Ticket` is one live order as venue and desk see
it; `SharedBook` sends tickets into the native book and tells a `Listener` what came of it. Tickets
of ended orders are forgotten by the desk, so nothing here grows with orders already sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from titanflow.core.base.errors import InvariantError
from titanflow.core.base.ident import Id
from titanflow.core.spec.ground import Ground
from titanflow.core.spec.words import (
    OrdStatus,
    SelfMatchPrevention,
    Side,
    TimeInForce,
)
from titanflow.native.book import Book

LIMIT, MARKET, POST_ONLY = 0, 1, 2
"""Kinds of order in the native book."""
ACCEPTED, TRADED, CANCELED, EXPIRED, REJECTED, REPLACED, REFUSED = 1, 2, 3, 4, 5, 6, 7
"""Kinds of event of the native book."""
MAKER = 1
BELOW_CUM = 4
SELF_MATCH_NOTES = (18, 19, 20)
"""The native book's notes on prevented self matches are FIX ExecRestatementReason(378): cancel
aggressive, cancel passive, cancel both."""
ASKED = -1
"""Reason of a cancel that the contender asked for."""
Event = tuple[int, int, int, int, int, int, int, int]
"""kind, number, other number, lots, price, leaves, other's leaves, note."""
REST_TIF = {TimeInForce.DAY: 0, TimeInForce.GTC: 1, TimeInForce.IOC: 2, TimeInForce.FOK: 3}
SELF_MATCH = {
    SelfMatchPrevention.NONE: 0,
    SelfMatchPrevention.CANCEL_AGGRESSIVE: 1,
    SelfMatchPrevention.CANCEL_PASSIVE: 2,
    SelfMatchPrevention.CANCEL_BOTH: 3,
}


class Ticket(msgspec.Struct, array_like=True, gc=False):
    """One live order: its words, its counts, and where it is."""

    number: int
    """Its id in the native book; counts up over the whole desk."""
    order: Id
    instrument: int
    owner: int
    contender: str
    symbol: str
    client_order_id: str
    side: Side
    market: bool
    post_only: bool
    time_in_force: TimeInForce
    quantity: int
    limit: int
    arrives_at: int
    """When the last thing sent about it reaches the venue: what follows never overtakes it."""
    cum: int = 0
    state: OrdStatus = OrdStatus.PENDING_NEW
    accepted: bool = False
    fee_computed: int = 0
    fee_charged: int = 0
    awaited: int = 0
    """Cancels and replaces on their way."""
    risk: bool = False
    """Whether it is an order of risk itself, which nobody else may change."""

    @property
    def leaves(self) -> int:
        """Give the lots still to be filled."""
        return self.quantity - self.cum


class Listener(Protocol):
    """Who is told what became of tickets, in order. `at` is event time.

    `executed`, `canceled`, `expired`, `rejected` with nothing left end the ticket.
    """

    def accepted(self, ticket: Ticket, at: int) -> None:
        """Take note that the venue has the order."""
        ...

    def executed(
        self, ticket: Ticket, lots: int, price: int, at: int, *, maker: bool, counter: Ticket | None
    ) -> None:
        """Take note of an execution; *counter* is the other contender's order, None the market."""
        ...

    def canceled(self, ticket: Ticket, at: int, reason: int, text: str) -> None:
        """Take note of a cancel: asked for (reason -1) or not."""
        ...

    def expired(self, ticket: Ticket, at: int) -> None:
        """Take note that an order's time in force is over."""
        ...

    def rejected(self, ticket: Ticket, at: int, text: str) -> None:
        """Take note that the venue did not take the order."""
        ...

    def replaced(self, ticket: Ticket, quantity: int, limit: int, at: int) -> None:
        """Take note of new terms."""
        ...

    def refused(self, ticket: Ticket, at: int, text: str) -> None:
        """Take note that a replace was refused; the order goes on as it was."""
        ...


class SharedBook:
    """The book of one instrument, in tickets."""

    def __init__(self, ground: Ground, tickets: dict[int, Ticket], listener: Listener) -> None:
        self.native = Book(SELF_MATCH[ground.self_match], ground.fills.slippage_bps)
        self._tickets = tickets
        self._listener = listener

    def enter(self, ticket: Ticket, at: int, accepted_at: int) -> None:
        """Send an order into the book; it was accepted when it arrived, its trades are at *at*."""
        kind = MARKET if ticket.market else POST_ONLY if ticket.post_only else LIMIT
        self.tell(
            self.native.enter(
                ticket.number,
                ticket.owner,
                int(ticket.side),
                ticket.limit,
                ticket.leaves,
                kind,
                REST_TIF[ticket.time_in_force],
            ),
            at,
            accepted_at,
        )

    def replace(self, ticket: Ticket, quantity: int, limit: int, at: int) -> None:
        """Change a resting order's total quantity and limit."""
        price = max(limit, 1) if ticket.market else limit
        self.tell(self.native.replace(ticket.number, quantity, price), at, at)

    def cancel(self, ticket: Ticket, at: int, reason: int, text: str) -> None:
        """Take a resting order out."""
        self._remove(ticket)
        self._listener.canceled(ticket, at, reason, text)

    def expire(self, ticket: Ticket, at: int) -> None:
        """Take a resting order out whose time is over."""
        self._remove(ticket)
        self._listener.expired(ticket, at)

    def tell(self, events: Iterable[Event], at: int, accepted_at: int) -> None:
        """Tell the listener what the native book did."""
        tickets, listener = self._tickets, self._listener
        for kind, number, other, quantity, price, _, _, note in events:
            ticket = tickets[number]
            if kind == TRADED:
                counter = tickets[other] if other else None
                listener.executed(ticket, quantity, price, at, maker=note == MAKER, counter=counter)
                if counter is not None:
                    listener.executed(counter, quantity, price, at, maker=True, counter=ticket)
            elif kind == ACCEPTED:
                listener.accepted(ticket, accepted_at)
            elif kind == EXPIRED:
                listener.expired(ticket, at)
            elif kind == REPLACED:
                listener.replaced(ticket, quantity, 0 if ticket.market else price, at)
            elif kind == CANCELED:
                if note in SELF_MATCH_NOTES:
                    listener.canceled(ticket, at, note, "SELF_MATCH")
                else:
                    listener.canceled(ticket, at, ASKED, "REPLACED_BELOW_FILLED")
            elif kind == REJECTED:
                listener.rejected(ticket, accepted_at, "POST_ONLY")
            else:
                listener.refused(ticket, at, "CXL_REJECT:POST_ONLY")

    def _remove(self, ticket: Ticket) -> None:
        ((kind, *_),) = self.native.cancel(ticket.number)
        if kind != CANCELED:
            raise InvariantError(f"order {ticket.order.hex()} is not in its book")
