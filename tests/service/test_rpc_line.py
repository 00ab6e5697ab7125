"""Do ledger, execution and governance answer what a real line says, and nothing beyond it?"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from rpc_kit import World, asking, orders, portfolio, refusal, run, standings, until

from titanflow.adapters.rpc.boards import QUEUE_MAX, Boards
from titanflow.adapters.rpc.guard import Limits
from titanflow.adapters.rpc.line_view import LineView, Vocabulary
from titanflow.adapters.rpc.ports import Board
from titanflow.adapters.rpc.refusal import Code, RefusalError
from titanflow.core.base.ident import NO_ID
from titanflow.core.facts import Order, Standing
from titanflow.core.spec.words import Account
from titanflow.rpc.v1 import (
    portfolio_pb2,
    portfolio_pb2_grpc,
    standings_pb2,
    standings_pb2_grpc,
)
from titanflow.wire.v1 import words_pb2

ARENA, CONTENDER = words_pb2.KILL_SCOPE_ARENA, words_pb2.KILL_SCOPE_CONTENDER
CANCEL_ALL = words_pb2.KILL_ACTION_CANCEL_ALL


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_portfolio_is_what_the_books_of_the_line_say(world: World) -> None:
    async def talk() -> None:
        async with asking(world.methods()) as (_, client):
            for entrant in world.plan.ground.entrants:
                said = await portfolio(client, entrant.name)
                post, c = world.driver.arena.post, entrant.index

                assert (entrant.name, "USD") == (said.contender, said.currency)
                assert post.equities()[c] == said.equity
                assert post.balance(c, Account.CASH) == said.cash
                assert post.gross()[c] == said.gross_exposure
                assert post.balance(c, Account.FEES) == said.fees
                assert world.driver.arena.gate.reserved(c) == said.reserved
                assert words_pb2.TRADING_STATE_ACTIVE == said.state
                assert world.events[world.next - 1].at == said.as_of
                held = {p.symbol: p for p in said.positions}
                assert sorted(held) == list(held)
                for i in world.plan.ground.instruments:
                    lots = post.position(c, i.index)
                    assert lots == (held[i.symbol].quantity_lots if lots else 0)
                # Equity is cash and what the positions are worth.
                value = sum(p.cost + p.unrealised for p in said.positions)
                assert said.equity == said.cash + value == said.cash + said.net_exposure
                marks = [
                    p.quantity_lots * p.mark_ticks * i.tick_value - p.cost
                    for i in world.plan.ground.instruments
                    if (p := held.get(i.symbol))
                ]
                unrealised = [p.unrealised for p in said.positions]
                assert marks == unrealised
                assert all(p.marked_at > 0 for p in said.positions)
                paid = post.balance(c, Account.BORROW) + post.balance(c, Account.DIVIDENDS)
                gained = said.realised + sum(unrealised) - said.fees - paid
                assert said.equity == entrant.capital + gained
                assert said.realised or entrant.name == "hold"

    run(talk())


def test_open_orders_come_in_pages_that_make_up_the_whole(tmp_path: Path) -> None:
    async def talk() -> None:
        world = World(tmp_path, bars=200)
        async with asking(world.methods()) as (_, client):
            while len(live := list(world.driver.arena.trade.live_orders())) < 3:
                world.drive(1)
            whole = await orders(client)
            found, token, pages = [], "", 0
            while True:
                page = await orders(client, page_size=1, page_token=token)
                found += page.orders
                token, pages = page.next_page_token, pages + 1
                if not token:
                    break

            assert len(live) == pages == len(whole.orders)
            assert list(whole.orders) == found
            born = {f.id: f for f in world.recorded if isinstance(f, Order)}
            for order in whole.orders:
                fact = born[order.id]
                assert (fact.contender, fact.symbol) == (order.contender, order.symbol)
                assert (fact.client_order_id, fact.at) == (order.client_order_id, order.created_at)
                assert order.quantity_lots == order.cum_lots + order.leaves_lots
                assert order.leaves_lots > 0
            name = whole.orders[0].contender
            of_one = await orders(client, contender=name, symbol=whole.orders[0].symbol)
            assert {name} == {order.contender for order in of_one.orders}
            # What has ended is forgotten here as well.
            assert {order.id for order in whole.orders} == set(world.view._born)

    run(talk())


def test_standings_in_between_are_those_of_a_session_that_ends_there_and_change_nothing(
    world: World,
) -> None:
    async def talk() -> None:
        async with asking(world.methods()) as (_, client):
            before = world.digests()
            first = await standings(client)
            again = await standings(client)
            assert before == world.digests()
            world.drive(2)
            later = await standings(client)
            wanted = world.driver.arena.finish(world.view.as_of)
            world.view.finish(wanted)
            final = await standings(client)

        assert first.SerializeToString() == again.SerializeToString()
        assert later.as_of > first.as_of
        assert not later.final
        assert final.final
        for said, standing in zip(later.standings, wanted, strict=True):
            assert standing.contender == said.contender
            assert (standing.rank, standing.equity, standing.fills) == (
                said.rank,
                said.equity,
                said.fills,
            )

    run(talk())


def test_a_watcher_gets_each_change_when_due_and_the_last_board_at_the_end(world: World) -> None:
    async def talk() -> None:
        async with asking(world.methods(), closing=[world.ledger.close]) as (_, client):
            stub = standings_pb2_grpc.StandingsStub(client.channel)
            asked = standings_pb2.WatchStandingsRequest(interval_ms=100)
            boards = []

            async def follow() -> None:
                async for board in client.watch(stub.WatchStandings, asked, 15):
                    boards.append(board)
                    if len(boards) < 4:
                        world.drive(1)
                    elif len(boards) == 4:
                        world.view.finish(world.driver.arena.finish(world.view.as_of))

            said = await refusal(follow())

        times = [board.as_of for board in boards]
        assert sorted(times) == times
        assert [False] * 4 + [True] == [board.final for board in boards]
        assert (Code.OUT_OF_RANGE, "ENDED") == (said.code, said.reason)
        assert 0 == world.ledger.watchers

    run(talk())


def test_watchers_are_sent_home_when_the_server_stops(world: World) -> None:
    async def talk() -> None:
        async with asking(world.methods(), closing=[world.ledger.close]) as (server, client):
            stub = standings_pb2_grpc.StandingsStub(client.channel)
            watching = client.watch(
                stub.WatchStandings, standings_pb2.WatchStandingsRequest(interval_ms=60_000), 15
            )
            assert (await anext(watching)).standings
            stopping = asyncio.ensure_future(server.stop(10))
            with pytest.raises(RefusalError, match="the server stops"):
                await anext(watching)
            async with asyncio.timeout(5):
                await stopping

    run(talk())


WIDE = "x" * 400_000
"""A name that no contender can have: a few of them fill every buffer on the way."""


class WideBoards:
    """Books that give wide boards, each newer than the one before."""

    def __init__(self) -> None:
        self.names = Vocabulary((), (), ())
        self.revision = 0

    async def board(self) -> Board:
        self.revision += 1
        numbers = [0.0] * 12
        standing = Standing(
            NO_ID, NO_ID, 1, 1, WIDE, "Paper", 1, False, "", 1, 1, *numbers, 0, 0, 0, 0, "ACTIVE"
        )  # fmt: skip
        return Board(self.revision, self.revision, "USD", False, (standing,))

    async def later_board(self, revision: int) -> Board:
        return await self.board()


def test_a_reader_who_takes_nothing_is_dropped_with_a_reason() -> None:
    async def talk() -> None:
        from titanflow.services.ledger.rpc import LedgerAnswers

        ledger = LedgerAnswers(WideBoards())
        limits = Limits(write_seconds=0.3)
        async with asking(ledger.methods(), limits=limits) as (_, client):
            stub = standings_pb2_grpc.StandingsStub(client.channel)
            asked = standings_pb2.WatchStandingsRequest(interval_ms=100)
            slow = client.watch(stub.WatchStandings, asked, 15)
            await anext(slow)
            await until(lambda: not ledger.watchers)

            async def read() -> int:
                return len([board async for board in slow])

            said = await refusal(read())

        assert (Code.RESOURCE_EXHAUSTED, "SLOW_READER") == (said.code, said.reason)

    run(talk())


def test_a_watcher_who_is_not_due_is_left_alone() -> None:
    async def talk() -> None:
        boards = Boards(WideBoards())
        patient, eager = boards.watch(60.0), boards.watch(0.1)
        first = await anext(patient)
        waiting = asyncio.ensure_future(anext(patient))
        seen = [(await anext(eager)).revision for _ in range(4)]

        assert not waiting.done()
        assert sorted(set(seen)) == seen
        assert first.revision <= seen[0]
        boards.close()
        with pytest.raises(RefusalError, match="the server stops"):
            await waiting
        await eager.aclose()
        assert 0 == boards.watchers

    run(talk())


def test_a_watcher_whose_queue_is_full_is_dropped_and_the_others_are_not() -> None:
    async def talk() -> None:
        boards = Boards(WideBoards())
        slow, quick = boards.watch(0.1), boards.watch(0.1)
        await anext(slow)
        taken = 0
        async for _ in quick:
            taken += 1
            if boards.watchers and taken > QUEUE_MAX + 3:
                break
        for _ in range(QUEUE_MAX):
            await anext(slow)
        with pytest.raises(RefusalError, match=f"{QUEUE_MAX} boards wait"):
            await anext(slow)
        await quick.aclose()

        assert 0 == boards.watchers

    run(talk())


def test_a_line_that_has_not_begun_says_what_it_waits_for(world: World) -> None:
    async def talk() -> None:
        arena = world.driver.arena
        view = LineView(world.plan.ground, world.plan.policies, post=arena.post, score=arena.score)
        world.view = view
        from titanflow.services.ledger.rpc import LedgerAnswers

        async with asking(LedgerAnswers(view).methods()) as (_, client):
            stub = portfolio_pb2_grpc.PortfolioStub(client.channel)
            request = portfolio_pb2.GetPortfolioRequest(contender="dice")
            said = await refusal(client.ask(stub.GetPortfolio, request))
            view.hear(world.recorded)
            answer = await portfolio(client, "dice")

        assert "the first fact of the session" == said.facts["waits_for"]
        assert not answer.HasField("reserved")
        assert words_pb2.TRADING_STATE_ACTIVE == answer.state

    run(talk())


def test_who_asks_within_a_turn_is_answered_when_it_is_in_the_record(world: World) -> None:
    async def talk() -> None:
        async with asking(world.methods()) as (_, client):
            before = await portfolio(client, "dice")
            world.view.begin()
            said = []
            for event in world.events[world.next : world.next + 2]:
                said += world.driver.step(event)
            asked = [
                asyncio.ensure_future(portfolio(client, "dice")),
                asyncio.ensure_future(orders(client)),
            ]
            await until(lambda: len(world.view._waiting) == 2)
            gone = asyncio.ensure_future(portfolio(client, "hold"))
            await until(lambda: len(world.view._waiting) == 3)
            gone.cancel()
            world.view.hear(said)
            # The next turn begins at once; who waited was answered between the two.
            world.view.begin()
            after, live = await asyncio.gather(*asked)
            board = asyncio.ensure_future(standings(client))
            await until(lambda: world.view._waiting)
            world.view.hear([])

            assert (await board).as_of == after.as_of == live.as_of
            assert before.as_of < after.as_of
            assert (
                world.driver.arena.post.equities()[world.view.names.contenders.index("dice")]
                == after.equity
            )

    run(talk())
