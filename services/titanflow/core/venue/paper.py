"""How does a bar trade? The simulated venue of one instrument, over one book that all share.

What contenders send is on its way until it arrives; a bar then lets it trade, and only in the part
of the bar after its arrival. Those who arrive at the same nanosecond take turns by a chance keyed
on the order's id, never by name. The bar opens (orders that waited fill at the open), then its
price walks from turning point to turning point, and resting orders fill as it comes by. The rules
and their numbers are in docs/fill-model.md.
"""

from __future__ import annotations

from bisect import bisect_left, insort

from titanflow.core.base.errors import InvariantError
from titanflow.core.base.instant import NS_PER_DAY, session_day
from titanflow.core.facts import Bar
from titanflow.core.spec.ground import Ground, Instrument
from titanflow.core.spec.words import LimitFill, TimeInForce
from titanflow.core.venue.book import ASKED, Listener, SharedBook, Ticket
from titanflow.core.venue.fills import Point, cap_lots, path, price_at, time_at, touch_lots

NEW, CANCEL, REPLACE = 0, 1, 2

Sent = tuple[int, int, int, int, int, int]
"""arrives_at, chance of its turn, ticket number, NEW, CANCEL or REPLACE, quantity, limit."""
PaperState = tuple[bytes, list[Sent], list[tuple[int, int]]]


class Paper:
    """The simulated venue of one instrument."""

    def __init__(
        self, ground: Ground, instrument: Instrument, tickets: dict[int, Ticket], listener: Listener
    ) -> None:
        self.book = SharedBook(ground, tickets, listener)
        self._fills = ground.fills
        self._whole_days = instrument.bar_ns >= NS_PER_DAY
        self._tickets = tickets
        self._listener = listener
        self._pending: list[Sent] = []
        self._resting: dict[int, int] = {}
        """Ticket number -> session day in which it entered the book."""
        self._stale = False

    def idle(self, bar: Bar) -> bool:
        """Say whether nothing can happen in *bar*."""
        return not self._resting and (not self._pending or self._pending[0][0] >= bar.at)

    def send(self, sent: Sent) -> None:
        """Take note of an order, a cancel or a replace on its way."""
        insort(self._pending, sent)

    def forget(self, ticket: Ticket) -> None:
        """Drop what is known of an ended order."""
        self._resting.pop(ticket.number, None)
        if ticket.awaited or not ticket.accepted:
            self._stale = True

    def cancel(self, ticket: Ticket, at: int, reason: int, text: str) -> None:
        """Cancel an order at once, be it in the book or on its way."""
        if ticket.number in self._resting:
            self.book.cancel(ticket, at, reason, text)
        else:
            self._listener.canceled(ticket, at, reason, text)

    def tidy(self) -> None:
        """Drop what is on its way to orders that ended."""
        if self._stale:
            self._pending = [sent for sent in self._pending if sent[2] in self._tickets]
            self._stale = False

    def trade(self, bar: Bar) -> None:
        """Let everything trade that may trade in *bar*."""
        day = session_day(bar.at)
        if not self._whole_days:
            self._expire_days_before(day, bar.start)
        pending = self._pending
        early = bisect_left(pending, (bar.start + 1,))
        due = bisect_left(pending, (bar.at,), early)
        before, inside = pending[:early], pending[early:due]
        if due:
            del pending[:due]
        # Most bars pass by resting orders without reaching any; this is all that they cost.
        if due or self.book.native.reaches(bar.low_ticks, bar.high_ticks):
            self._open(bar, before, day)
            if inside or self.book.native.reaches(bar.low_ticks, bar.high_ticks):
                self._walk(bar, inside, day)
        if self._whole_days:
            self._expire_days_before(day + 1, bar.at)
        self.tidy()

    def dump(self) -> PaperState:
        """Return the state, without the tickets."""
        return self.book.native.dump(), list(self._pending), list(self._resting.items())

    def load(self, state: PaperState) -> None:
        """Take over a state."""
        book, pending, resting = state
        self.book.native.load(book)
        self._pending, self._resting, self._stale = list(pending), dict(resting), False

    def validate(self) -> None:
        """Check that book and tickets agree.

        Raises: InvariantError naming what does not.
        """
        native = self.book.native
        native.validate()
        if len(native) != len(self._resting):
            raise InvariantError(f"{len(native)} orders in the book, {len(self._resting)} known")
        for number in self._resting:
            ticket, order = self._tickets[number], native.order(number)
            limit = order[2] if order and ticket.market else ticket.limit
            told = (ticket.owner, int(ticket.side), limit, ticket.leaves, ticket.cum)
            if told != order:
                raise InvariantError(f"order {ticket.order.hex()}: desk {told}, book {order}")
        if self._pending != sorted(self._pending):
            raise InvariantError("what is on its way is out of order")

    def _open(self, bar: Bar, before: list[Sent], day: int) -> None:
        """Apply what arrived before the open, fill what waited, then let new orders in."""
        native = self.book.native
        # No cap yet: what is changed before the open can meet contenders, not the market.
        native.set_market(bar.open_ticks, 0)
        entering: dict[int, Sent] = {}
        for sent in before:
            self._arrive_early(sent, entering, bar.start)
        native.set_market(bar.open_ticks, cap_lots(bar, self._fills))
        self.book.tell(native.uncross(), bar.start, bar.start)
        for sent in entering.values():
            self._enter(sent, bar.start, day)

    def _arrive_early(self, sent: Sent, entering: dict[int, Sent], start: int) -> None:
        arrives_at, _, number, action, quantity, limit = sent
        ticket = self._tickets.get(number)
        if ticket is None:
            return
        if action == NEW:
            entering[number] = sent
        elif number not in entering:
            self._change(ticket, sent, start)
        elif action == CANCEL:
            ticket.awaited -= 1
            del entering[number]
            self._listener.canceled(ticket, arrives_at, ASKED, "")
        else:
            ticket.awaited -= 1
            same = ticket.limit == limit and quantity <= ticket.quantity
            self._listener.replaced(ticket, quantity, limit, arrives_at)
            if not same:
                # To the back of the queue, as in the book.
                entering[number] = entering.pop(number)

    def _enter(self, sent: Sent, at: int, day: int) -> None:
        number = sent[2]
        ticket = self._tickets.get(number)
        # An order that was cancelled meanwhile, to prevent a self match for one, is gone.
        if ticket is not None:
            self.book.enter(ticket, at, sent[0])
            if number in self._tickets:
                self._resting[number] = day

    def _change(self, ticket: Ticket, sent: Sent, at: int) -> None:
        ticket.awaited -= 1
        if sent[3] == CANCEL:
            self.book.cancel(ticket, sent[0], ASKED, "")
        else:
            self.book.replace(ticket, sent[4], sent[5], at)

    def _walk(self, bar: Bar, inside: list[Sent], day: int) -> None:
        """Go along the bar's path; let arrivals in where the price then is."""
        points = path(bar)
        here, turn = points[0], 1
        touched: dict[int, int] = {}
        for sent in inside:
            while points[turn][0] <= sent[0]:
                self._go(here, points[turn], bar, touched)
                here, turn = points[turn], turn + 1
            stop = (sent[0], price_at(sent[0], (here, points[turn])))
            # The price is on its way here: it touches nothing but what it goes through.
            self._go(here, stop, bar, None)
            here = stop
            ticket = self._tickets.get(sent[2])
            if sent[3] == NEW:
                self._enter(sent, sent[0], day)
            elif ticket is not None:
                self._change(ticket, sent, sent[0])
        while turn < len(points) and self._resting:
            self._go(here, points[turn], bar, touched)
            here, turn = points[turn], turn + 1

    def _go(self, here: Point, there: Point, bar: Bar, touched: dict[int, int] | None) -> None:
        """Move the market's price; *touched* has the lots that turning points still give."""
        target = there[1]
        if target == here[1]:
            return
        touch = 0
        if touched is not None and self._fills.limit_fill is LimitFill.TOUCH:
            touch = touched.get(target, touch_lots(bar, self._fills))
        side = 1 if target < here[1] else -1
        for event in self.book.native.sweep(side, target, touch):
            if event[4] == target:
                touch -= event[3]
            self.book.tell((event,), time_at(event[4], (here, there)), here[0])
        if touched is not None:
            touched[target] = touch

    def _expire_days_before(self, day: int, at: int) -> None:
        for number, entered in list(self._resting.items()):
            ticket = self._tickets[number]
            if entered < day and ticket.time_in_force is TimeInForce.DAY:
                self.book.expire(ticket, at)
