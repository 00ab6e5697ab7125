"""What does a contender own, and who stands where? Answers of the ledger."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final

from titanflow.adapters.rpc.boards import Boards
from titanflow.adapters.rpc.caller import Caller
from titanflow.adapters.rpc.check import Check, find, number_of
from titanflow.adapters.rpc.fact import message_of
from titanflow.adapters.rpc.method import AnyMethod, Method
from titanflow.adapters.rpc.ports import Board, Books
from titanflow.core.spec.words import TradingState as State
from titanflow.rpc.v1 import portfolio_pb2 as portfolio
from titanflow.rpc.v1 import standings_pb2 as standings
from titanflow.wire.v1.words_pb2 import TradingState

INTERVAL_MS: Final = 1_000
INTERVAL_LEAST_MS: Final = 100
INTERVAL_MOST_MS: Final = 60_000

_PORTFOLIO: Final = portfolio.DESCRIPTOR.services_by_name["Portfolio"]
_STANDINGS: Final = standings.DESCRIPTOR.services_by_name["Standings"]


class LedgerAnswers:
    """The ledger's questions over its books."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._boards = Boards(books)

    def methods(self) -> Sequence[AnyMethod]:
        """Return what is answered."""
        return (
            Method(_PORTFOLIO, "GetPortfolio", answer=self.get_portfolio),
            Method(_STANDINGS, "GetStandings", answer=self.get_standings),
            Method(_STANDINGS, "WatchStandings", answers=self.watch_standings),
        )

    @property
    def close(self) -> Callable[[], None]:
        """Give what ends all streams."""
        return self._boards.close

    @property
    def watchers(self) -> int:
        """Give how many watch the board."""
        return self._boards.watchers

    async def get_portfolio(
        self,
        request: portfolio.GetPortfolioRequest,
        caller: Caller,  # noqa: ARG002 - everybody may ask
    ) -> portfolio.GetPortfolioResponse:
        """Return what a contender owns."""
        check = Check()
        name = check.name("contender", request.contender)
        check.done()
        find("contender", name, self._books.names.contenders, "contender")
        found = await self._books.portfolio(name)
        return portfolio.GetPortfolioResponse(
            contender=found.contender,
            as_of=found.as_of,
            currency=found.currency,
            equity=found.equity,
            cash=found.cash,
            gross_exposure=found.gross_exposure,
            net_exposure=found.net_exposure,
            realised=found.realised,
            fees=found.fees,
            state=_state(found.state),
            positions=[
                portfolio.Position(
                    symbol=holding.symbol,
                    quantity_lots=holding.quantity_lots,
                    cost=holding.cost,
                    mark_ticks=holding.mark_ticks,
                    marked_at=holding.marked_at,
                    unrealised=holding.unrealised,
                )
                for holding in found.holdings
            ],
            reserved=found.reserved,
        )

    async def get_standings(
        self,
        request: standings.GetStandingsRequest,  # noqa: ARG002 - it says nothing
        caller: Caller,  # noqa: ARG002 - everybody may ask
    ) -> standings.GetStandingsResponse:
        """Return the board."""
        return _board(await self._books.board())

    async def watch_standings(
        self,
        request: standings.WatchStandingsRequest,
        caller: Caller,  # noqa: ARG002 - everybody may ask
    ) -> AsyncGenerator[standings.GetStandingsResponse]:
        """Give the board now and after each change."""
        check = Check()
        interval_ms = request.interval_ms or INTERVAL_MS
        check.between("interval_ms", interval_ms, INTERVAL_LEAST_MS, INTERVAL_MOST_MS)
        check.done()
        boards = self._boards.watch(interval_ms / 1_000)
        try:
            async for board in boards:
                yield _board(board)
        finally:
            await boards.aclose()


def _state(state: State) -> TradingState:
    number: TradingState = number_of(state, TradingState)
    return number


def _board(board: Board) -> standings.GetStandingsResponse:
    return standings.GetStandingsResponse(
        as_of=board.as_of,
        currency=board.currency,
        final=board.final,
        standings=[message_of(standing) for standing in board.standings],
    )
