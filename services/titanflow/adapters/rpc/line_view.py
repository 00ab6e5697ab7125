"""What does a pod show that hosts the line? Its stages as the records that questions are about.

A view reads the stages between two turns and changes nothing. A pod says `begin` before it takes an
input and `hear` when the turn is in the record; who asks meanwhile is answered in `hear`, before
the next input. Whoever takes a turn and records it without awaiting anything need not say `begin`.
What takes longer than a read (the standings, which draw a thousand samples for each contender) is
computed in a thread from snapshots of that instant, at most once for each revision. A view hears
all facts of each turn, because times of marks and births of orders are in no stage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from titanflow.adapters.rpc.ports import Board, Holding, LiveOrder, Portfolio
from titanflow.adapters.rpc.refusal import absent, not_ready
from titanflow.core.base.ident import Id
from titanflow.core.execution.desk import Trade
from titanflow.core.facts import Bar, Fact, Fill, KillRuling, Order, OrderUpdate, Standing
from titanflow.core.ledger.books import Post
from titanflow.core.risk.gate import Gate
from titanflow.core.risk.policy import effective_tiers
from titanflow.core.scoring.leaderboard import Score
from titanflow.core.spec.ground import Ground
from titanflow.core.spec.policy import PolicySpec
from titanflow.core.spec.words import Account, KillScope, OrderType, TradingState
from titanflow.core.venue.book import Ticket

T = TypeVar("T")


class Vocabulary(msgspec.Struct, frozen=True):
    """The names of an arena."""

    contenders: tuple[str, ...]
    symbols: tuple[str, ...]
    policies: tuple[str, ...]


class LineView:
    """A view of the stages that one pod hosts; those that it does not host are None."""

    def __init__(
        self,
        ground: Ground,
        policies: Mapping[str, PolicySpec],
        *,
        post: Post | None = None,
        score: Score | None = None,
        gate: Gate | None = None,
        trade: Trade | None = None,
        shown: frozenset[str] | None = None,
    ) -> None:
        """Take the stages; *shown* are the contenders of this shard, None where it is whole."""
        self._shown = shown
        self._ground, self._policies = ground, policies
        self._post, self._score, self._gate, self._trade = post, score, gate, trade
        self.names = Vocabulary(
            tuple(entrant.name for entrant in ground.entrants),
            tuple(instrument.symbol for instrument in ground.instruments),
            tuple(policies),
        )
        self.revision = self.as_of = 0
        self.kill_epoch = 0
        self._marked_at: dict[str, int] = {}
        self._born: dict[Id, int] = {}
        """Only of live orders."""
        self._engaged: dict[str, None] = {}
        self._board: Board | None = None
        self._computing: asyncio.Task[Board] | None = None
        self._changed = asyncio.Event()
        self._busy = False
        self._waiting: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []

    # What the driver says.

    def begin(self) -> None:
        """Say that a turn begins: until `hear` nothing is read."""
        self._busy = True

    def hear(self, said: Iterable[Fact]) -> None:
        """Take the facts of a turn that is in the record, and answer who waited for it."""
        for fact in said:
            self.as_of = max(self.as_of, fact.at)
            match fact:
                case Bar():
                    self._marked_at[fact.symbol] = fact.at
                case Order():
                    self._born[fact.id] = fact.at
                case OrderUpdate() | Fill():
                    if fact.leaves_lots == 0:
                        self._born.pop(fact.order, None)
                case KillRuling():
                    self._hear_ruling(fact)
        self.revision += 1
        self._busy = False
        waiting, self._waiting = self._waiting, []
        for read, future in waiting:
            if not future.done():
                _settle(read, future)
        self._tell()

    def finish(self, standings: Sequence[Standing]) -> None:
        """Say that the session has ended, and with which standings; no fact is heard after."""
        self.revision += 1
        self._board = Board(
            self.revision, self.as_of, self._ground.currency, final=True, standings=tuple(standings)
        )
        self._tell()

    @property
    def engaged(self) -> tuple[str, ...]:
        """Give the kill switches that are engaged, of the rulings heard so far."""
        return tuple(self._engaged)

    # What the ledger shows.

    async def portfolio(self, contender: str) -> Portfolio:
        """Return what a contender owns; see `ports.Books`."""
        return await self._between(lambda: self._portfolio(contender))

    def _portfolio(self, contender: str) -> Portfolio:
        if self._shown is not None and contender not in self._shown:
            raise absent(f"another shard keeps the books of {contender}")
        post, c = self._opened(), self.names.contenders.index(contender)
        holdings, net = [], 0
        for instrument in self._ground.instruments:
            i = instrument.index
            lots = post.position(c, i)
            if lots:
                cost, value = post.cost(c, i), post.value(c, i)
                net += value
                marked_at = self._marked_at.get(instrument.symbol, 0)
                holdings.append(
                    Holding(instrument.symbol, lots, cost, post.mark(i), marked_at, value - cost)
                )
        return Portfolio(
            contender,
            self.as_of,
            self._ground.currency,
            equity=int(post.equities()[c]),
            cash=post.balance(c, Account.CASH),
            gross_exposure=int(post.gross()[c]),
            net_exposure=net,
            # Gains are credits, and a balance is positive in debit.
            realised=-post.balance(c, Account.REALISED),
            fees=post.balance(c, Account.FEES),
            reserved=None if self._gate is None else self._gate.reserved(c),
            state=self._state(c),
            holdings=tuple(sorted(holdings, key=lambda holding: holding.symbol)),
        )

    async def board(self) -> Board:
        """Return who stands where; see `ports.Books`."""
        while self._board is None or self._board.revision < self.revision:
            if self._computing is None:
                self._computing = asyncio.create_task(self._compute())
            # One who asks and goes does not take the answer from the others.
            await asyncio.shield(self._computing)
            if self._board is not None:
                return self._board
        return self._board

    async def later_board(self, revision: int) -> Board:
        """Wait for a later board; see `ports.Books`."""
        while self.revision <= revision:
            await self._changed.wait()
        board = await self.board()
        while board.revision <= revision:
            board = await self.board()
        return board

    # What execution shows.

    async def live_orders(self) -> tuple[int, Sequence[LiveOrder]]:
        """Return all live orders; see `ports.Orders`."""
        return await self._between(self._live_orders)

    def _live_orders(self) -> tuple[int, Sequence[LiveOrder]]:
        if self._trade is None:
            raise not_ready("nothing: execution is hosted elsewhere")
        return self.as_of, [self._order(ticket) for ticket in self._trade.tickets()]

    def _order(self, ticket: Ticket) -> LiveOrder:
        return LiveOrder(
            ticket.order,
            ticket.contender,
            ticket.symbol,
            ticket.client_order_id,
            ticket.state,
            ticket.side,
            OrderType.MARKET if ticket.market else OrderType.LIMIT,
            ticket.time_in_force,
            ticket.post_only,
            ticket.quantity,
            0 if ticket.market else ticket.limit,
            ticket.cum,
            self._born.get(ticket.order, 0),
        )

    # How it is known.

    async def _between(self, read: Callable[[], T]) -> T:
        """Return what *read* finds between two turns."""
        if not self._busy:
            return read()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((read, future))
        return await future

    def _opened(self) -> Post:
        if self._post is None:
            raise not_ready("nothing: the ledger is hosted elsewhere")
        if not self.revision:
            raise not_ready("the first fact of the session")
        return self._post

    def _state(self, c: int) -> TradingState:
        if self._gate is not None:
            return self._gate.state(c)
        if self._score is not None:
            return self._score.state(c)
        return TradingState.ACTIVE

    async def _compute(self) -> Board:
        """Compute the board of this revision from snapshots, in a thread."""
        try:
            revision, as_of, books, scores = await self._between(self._snapshot)
            standings = await asyncio.to_thread(self._standings, books, scores, as_of)
            board = Board(revision, as_of, self._ground.currency, final=False, standings=standings)
            # The session may have ended meanwhile.
            if self._board is None or self._board.revision < revision:
                self._board = board
            return self._board
        finally:
            self._computing = None

    def _snapshot(self) -> tuple[int, int, bytes, bytes]:
        post = self._opened()
        if self._score is None:
            raise not_ready("nothing: scoring is hosted elsewhere")
        return self.revision, self.as_of, post.dump(), self._score.dump()

    def _standings(self, books: bytes, scores: bytes, as_of: int) -> tuple[Standing, ...]:
        """Return the standings if the session ended here. Runs beside the line: touches copies."""
        post = Post(self._ground)
        post.load(books)
        score = Score(self._ground, post, effective_tiers(self._ground, self._policies))
        score.load(scores)
        return score.finish(as_of)

    def _hear_ruling(self, ruling: KillRuling) -> None:
        if not ruling.accepted:
            return
        self.kill_epoch = max(self.kill_epoch, ruling.epoch)
        # An arena has one switch, whatever a request calls it.
        name = "" if ruling.scope is KillScope.ARENA else ruling.name
        key = f"{ruling.scope.value} {name}".strip()
        if ruling.engaged:
            self._engaged[key] = None
        else:
            self._engaged.pop(key, None)

    def _tell(self) -> None:
        former, self._changed = self._changed, asyncio.Event()
        former.set()


def _settle(read: Callable[[], T], future: asyncio.Future[T]) -> None:
    try:
        future.set_result(read())
    except Exception as error:  # noqa: BLE001 - who asked hears it
        future.set_exception(error)
