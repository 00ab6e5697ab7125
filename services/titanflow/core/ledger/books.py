"""What does each contender own? The stage that turns fills and corporate actions into entries.

It reads fills, bars, splits and dividends, posts them in the compiled double-entry books, and
says every posting as an Entry. It never decides, never rounds in a contender's favour, and
refuses a fill that it has seen. On the line it follows `trade`; `score` reads it.

A session day ends when the first fact of a later day arrives. Then, before anything of the new day
is posted, the equity of all contenders is kept as the day's closing, and holders of a short
position pay for borrowing it since the instrument's last day, at its last mark.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from titanflow.core.base.errors import InvariantError
from titanflow.core.base.ident import NO_ID, Id, digest
from titanflow.core.base.instant import NS_PER_DAY, session_day
from titanflow.core.base.recent import Recent
from titanflow.core.facts import Bar, Dividend, Entry, Fact, Fill, Split
from titanflow.core.ledger.chart import INDEX, STAGE, Posting, entry
from titanflow.core.ports import IntArray
from titanflow.core.spec.ground import Ground
from titanflow.core.spec.words import Account, Occasion
from titanflow.native.ledger import Ledger

FILLS_REMEMBERED = 4096
"""Fills are delivered again at once or not at all; a bar rarely makes more than a hundred."""


class _State(msgspec.Struct, array_like=True):
    """What the stage knows beside the books."""

    day: int
    days_closed: int
    closed_day: int
    closed_equity: list[int]
    closed_gross: list[int]
    charged: list[int]
    fills: Sequence[bytes]


class Post:
    """Stage 6 of the line."""

    name = "post"
    consumes: frozenset[type[Fact]] = frozenset({Fill, Bar, Split, Dividend})

    def __init__(self, ground: Ground, shard: int = 0) -> None:
        """Take the ground, and this shard's number where the ledger is cut into shards."""
        self._ground = ground
        self._common = STAGE + f"/{shard}".encode() if shard else STAGE
        """Names what other shards may say something to as well."""
        self._names = tuple(entrant.name for entrant in ground.entrants)
        self._contenders = ground.entrant_index()
        self._instruments = ground.symbol_index()
        self._where = tuple((i.currency, i.symbol) for i in ground.instruments)
        self._ledger = Ledger(
            len(ground.entrants),
            [i.tick_value for i in ground.instruments],
            [i.lot_size for i in ground.instruments],
        )
        self._day = -1
        self._days_closed = 0
        self._closing = (-1, self._ledger.equities(), self._ledger.gross())
        self._charged = [-1] * len(ground.instruments)
        self._fills = Recent(FILLS_REMEMBERED)

    def open(self, at: int) -> Sequence[Entry]:
        """Post every contender's capital; called once, before the first event."""
        postings = [
            posting
            for entrant in self._ground.entrants
            if entrant.capital
            for posting in self._ledger.deposit(entrant.index, entrant.capital)
        ]
        where = (self._ground.currency, "")
        return self._entries(postings, where, (NO_ID, at, at), Occasion.CAPITAL)

    def handle(self, fact: Fact) -> Sequence[Fact]:
        """Post one fact.

        Raises: InvariantError for a fill seen before or a name that is not of this arena.
        """
        try:
            if isinstance(fact, Bar):
                return self._bar(fact)
            if isinstance(fact, Fill):
                return self._fill(fact)
            if isinstance(fact, Split):
                i = self._instruments[fact.symbol]
                # It takes effect when trading starts at `at`: in the day that begins there.
                postings = self._turn(i, session_day(fact.at + 1))
                postings += self._ledger.split(i, fact.numerator, fact.denominator)
                return self._entries(
                    postings, self._where[i], (fact.id, fact.at, fact.seen), Occasion.SPLIT
                )
            if isinstance(fact, Dividend):
                i = self._instruments[fact.symbol]
                postings = self._turn(i, session_day(fact.at + 1))
                postings += self._ledger.dividend(i, fact.amount)
                return self._entries(
                    postings, self._where[i], (fact.id, fact.at, fact.seen), Occasion.DIVIDEND
                )
        except KeyError as error:
            raise InvariantError(f"{error} is not of this arena: {fact!r}") from error
        raise InvariantError(f"post does not read {type(fact).__name__}")

    def digest(self) -> bytes:
        """Return a hash of the books and of what is remembered beside them."""
        return digest(self._ledger.digest(), self._beside())

    def dump(self) -> bytes:
        """Return the state."""
        return msgspec.msgpack.encode((self._ledger.dump(), self._beside()))

    def load(self, snapshot: bytes) -> None:
        """Take over the state that `dump` returned."""
        books, beside = msgspec.msgpack.decode(snapshot, type=tuple[bytes, bytes])
        state = msgspec.msgpack.decode(beside, type=_State)
        self._ledger.load(books)
        self._day, self._days_closed, self._charged = state.day, state.days_closed, state.charged
        equity, gross = self._ledger.equities(), self._ledger.gross()
        equity[:], gross[:] = state.closed_equity, state.closed_gross
        self._closing = (state.closed_day, equity, gross)
        self._fills = Recent(FILLS_REMEMBERED, map(Id, state.fills))

    @property
    def day(self) -> int:
        """Give the session day that the books are in; -1 before the first event."""
        return self._day

    @property
    def days_closed(self) -> int:
        """Give how many session days have ended."""
        return self._days_closed

    def closing(self) -> tuple[int, IntArray, IntArray]:
        """Return the last ended day, and every contender's equity and gross exposure then."""
        return self._closing

    def equities(self) -> IntArray:
        """Return every contender's equity now."""
        return self._ledger.equities()

    def gross(self) -> IntArray:
        """Return every contender's gross exposure now."""
        return self._ledger.gross()

    def position(self, contender: int, instrument: int) -> int:
        """Return the lots held; negative is short."""
        return self._ledger.position(contender, instrument)

    def mark(self, instrument: int) -> int:
        """Return the price at which positions are valued, in ticks; 0 before the first bar."""
        return self._ledger.price(instrument)

    def value(self, contender: int, instrument: int) -> int:
        """Return what the position is worth at the mark; negative for shorts."""
        return self._ledger.position_value(contender, instrument)

    def cost(self, contender: int, instrument: int) -> int:
        """Return the cost of the position; negative for shorts."""
        return self._ledger.cost(contender, instrument)

    def balance(self, contender: int, account: Account) -> int:
        """Return an account's balance; debit is positive."""
        return self._ledger.balance(contender, INDEX[account])

    def trial_balance(self) -> int:
        """Return the sum of all balances: zero, or the books are broken."""
        return self._ledger.trial_balance()

    def validate(self) -> None:
        """Check every promise of the books; AssertionError names the broken one."""
        self._ledger.validate()

    def _bar(self, bar: Bar) -> Sequence[Entry]:
        i = self._instruments[bar.symbol]
        # session_day, written out: a call would double the cost of a bar.
        day = (bar.at - 1) // NS_PER_DAY
        if day <= self._charged[i]:
            self._ledger.mark(i, bar.close_ticks)
            return ()
        postings = self._turn(i, day)
        self._ledger.mark(i, bar.close_ticks)
        when = (bar.id, bar.at, bar.seen)
        return self._entries(postings, self._where[i], when, Occasion.BORROW)

    def _fill(self, fill: Fill) -> Sequence[Entry]:
        if fill.id in self._fills:
            raise InvariantError(f"fill {fill.id.hex()} was posted before")
        c, i = self._contenders[fill.contender], self._instruments[fill.symbol]
        # `at` may be the very start of the day, which would count to the day before; `seen` is
        # the end of the bar.
        day = session_day(fill.seen)
        postings = self._turn(i, day) if day > self._charged[i] else []
        postings += self._ledger.fill(
            c, i, fill.side, fill.quantity_lots, fill.price_ticks, fill.fee
        )
        self._fills.add(fill.id)
        when = (fill.id, fill.at, fill.seen)
        return self._entries(postings, self._where[i], when, Occasion.FILL)

    def _turn(self, i: int, day: int) -> list[Posting]:
        """Close the day before *day*, once for all, and charge borrowing of instrument *i*."""
        if day > self._day:
            if self._day >= 0:
                self._closing = (self._day, self._ledger.equities(), self._ledger.gross())
                self._days_closed += 1
            self._day = day
        former = self._charged[i]
        if day <= former:
            return []
        self._charged[i] = day
        if former < 0 or not self._ground.borrow_bps_per_year:
            return []
        return list(self._ledger.borrow(i, self._ground.borrow_bps_per_year, day - former))

    def _entries(
        self,
        postings: Sequence[Posting],
        where: tuple[str, str],
        when: tuple[Id, int, int],
        occasion: Occasion,
    ) -> Sequence[Entry]:
        names = self._names
        own = occasion in {Occasion.FILL, Occasion.CAPITAL}
        stage = STAGE if own else self._common
        return [
            entry(posting, names, where, when, n, occasion, stage)
            for n, posting in enumerate(postings)
        ]

    def _beside(self) -> bytes:
        day, equity, gross = self._closing
        return msgspec.msgpack.encode(
            _State(
                self._day,
                self._days_closed,
                day,
                equity.tolist(),
                gross.tolist(),
                self._charged,
                self._fills.oldest_first(),
            )
        )
