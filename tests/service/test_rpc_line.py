"""Do ledger, execution and governance answer what a real line says, and nothing beyond it?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from kit import small_session
from rpc_kit import World, asking, refusal, run, until

from titanflow.adapters.rpc.boards import QUEUE_MAX, Boards
from titanflow.adapters.rpc.caller import Identity
from titanflow.adapters.rpc.client import Client
from titanflow.adapters.rpc.guard import Limits
from titanflow.adapters.rpc.line_view import LineView, Vocabulary
from titanflow.adapters.rpc.ports import Board, Command, Ruling, Verb
from titanflow.adapters.rpc.refusal import Code, RefusalError
from titanflow.core.base.ident import NO_ID
from titanflow.core.facts import Fill, KillRuling, KillSwitch, Order, Standing
from titanflow.core.spec.words import Account, KillAction, KillScope
from titanflow.rpc.v1 import (
    control_pb2,
    control_pb2_grpc,
    explain_pb2,
    explain_pb2_grpc,
    portfolio_pb2,
    portfolio_pb2_grpc,
    sessions_pb2,
    sessions_pb2_grpc,
    standings_pb2,
    standings_pb2_grpc,
)
from titanflow.services.governance.history import JournalHistorian
from titanflow.services.governance.rpc import ExplainAnswers, Once
from titanflow.wire.v1 import words_pb2

ARENA, CONTENDER = words_pb2.KILL_SCOPE_ARENA, words_pb2.KILL_SCOPE_CONTENDER
CANCEL_ALL = words_pb2.KILL_ACTION_CANCEL_ALL


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def portfolio(client: Client, contender: str) -> object:
    stub = portfolio_pb2_grpc.PortfolioStub(client.channel)
    return client.ask(stub.GetPortfolio, portfolio_pb2.GetPortfolioRequest(contender=contender))


def orders(client: Client, **fields: object) -> object:
    stub = portfolio_pb2_grpc.PortfolioStub(client.channel)
    return client.ask(stub.ListOpenOrders, portfolio_pb2.ListOpenOrdersRequest(**fields))


def standings(client: Client) -> object:
    stub = standings_pb2_grpc.StandingsStub(client.channel)
    return client.ask(stub.GetStandings, standings_pb2.GetStandingsRequest())


def kill(client: Client, **fields: object) -> object:
    asked = {
        "scope": CONTENDER,
        "name": "dice",
        "action": CANCEL_ALL,
        "reason": "a drill",
        "token": "t1",
        "requested_by": "ada",
    }
    stub = control_pb2_grpc.ControlStub(client.channel)
    return client.ask(stub.Kill, control_pb2.KillRequest(**asked | fields))


def release(client: Client, **fields: object) -> object:
    asked = {
        "scope": CONTENDER,
        "name": "dice",
        "reason": "the drill is over",
        "token": "t2",
        "requested_by": "bob",
    }
    stub = control_pb2_grpc.ControlStub(client.channel)
    return client.ask(stub.Release, control_pb2.ReleaseRequest(**asked | fields))


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


def test_a_kill_is_in_the_record_when_it_is_answered_and_stops_the_contender(world: World) -> None:
    async def talk() -> None:
        async with asking(world.methods()) as (_, client):
            said = await kill(client)
            (ruling,) = [f for f in world.recorded if isinstance(f, KillRuling)]
            (switch,) = [f for f in world.recorded if isinstance(f, KillSwitch)]
            mark = len(world.recorded)
            # The switch has stopped it: whatever it wishes now is refused.
            world.next = min(world.next, len(world.events) - 1)
            live = {c for c, *_ in world.driver.arena.trade.live_orders()}
            now = await status(client)

            assert said.accepted
            assert (ruling.id, ruling.epoch) == (said.ruling, said.epoch)
            assert ("stated:ada", "a drill") == (switch.by, switch.reason)
            assert "dice" not in live
            assert ["Contender dice"] == list(now.engaged)
            assert 1 == now.kill_epoch
            assert mark == len(world.recorded)

    run(talk())


def status(client: Client) -> object:
    stub = sessions_pb2_grpc.SessionsStub(client.channel)
    return client.ask(stub.GetStatus, sessions_pb2.GetStatusRequest())


def test_the_same_token_is_the_same_command_and_other_content_is_refused(world: World) -> None:
    async def talk() -> None:
        async with asking(world.methods()) as (_, client):
            answers = await asyncio.gather(*(kill(client) for _ in range(5)))
            other = await refusal(kill(client, reason="another"))
            stranger = await refusal(kill(client, requested_by="eve"))
            verb = await refusal(release(client, token="t1"))

        assert [answers[0]] * 5 == answers
        assert 1 == sum(isinstance(f, KillSwitch) for f in world.recorded)
        for said in (other, stranger, verb):
            assert (Code.ALREADY_EXISTS, "TOKEN_USED") == (said.code, said.reason)
            assert {"verb": "Kill", "scope": "Contender", "name": "dice"} == said.facts

    run(talk())


def test_a_switch_is_released_by_a_second_person_with_a_new_token(world: World) -> None:
    async def talk() -> None:
        async with asking(world.methods()) as (_, client):
            await kill(client)
            same = await refusal(release(client, token="t2", requested_by="ada"))
            free = await release(client, token="t3")
            twice = await refusal(release(client, token="t4"))
            now = await status(client)

        assert (Code.FAILED_PRECONDITION, "RULING_REFUSED") == (same.code, same.reason)
        assert "a second person: ada engaged it" in same.text
        assert "1" == same.facts["epoch"]
        assert (True, 2) == (free.accepted, free.epoch)
        assert "it is not engaged" in twice.text
        assert [] == list(now.engaged)

    run(talk())


def test_a_pause_keeps_the_driver_from_the_next_event(world: World) -> None:
    async def talk() -> None:
        async with asking(world.methods()) as (_, client):
            stub = control_pb2_grpc.ControlStub(client.channel)
            asked = {"scope": ARENA, "reason": "lunch", "requested_by": "ada"}
            await client.ask(stub.Pause, control_pb2.PauseRequest(token="p1", **asked))
            waiting = asyncio.ensure_future(world.control.may_go_on())
            one = await refusal(
                client.ask(
                    stub.Pause,
                    control_pb2.PauseRequest(
                        token="p2", **asked | {"scope": CONTENDER, "name": "dice"}
                    ),
                )
            )

            assert world.control.paused
            assert not waiting.done()
            assert "paused as a whole" in one.text
            await client.ask(stub.Resume, control_pb2.ResumeRequest(token="p3", **asked))
            await waiting
            assert not world.control.paused

    run(talk())


@dataclass
class Rules:
    """Who rules when the test lets him."""

    go: asyncio.Event
    asked: int = 0
    error: Exception | None = None

    async def submit(self, command: Command) -> Ruling:
        self.asked += 1
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return Ruling(True, self.asked, "", NO_ID)


COMMAND = Command(
    Verb.KILL,
    KillScope.ARENA,
    "",
    (),
    KillAction.CANCEL_ALL,
    "why",
    "t1",
    Identity("ada", proven=False),
)


def test_a_command_goes_on_when_its_caller_is_gone_and_is_found_again() -> None:
    async def talk() -> None:
        rules = Rules(asyncio.Event())
        once = Once(rules.submit)
        first = asyncio.ensure_future(once.submit(COMMAND))
        await asyncio.sleep(0)
        first.cancel()
        second = asyncio.ensure_future(once.submit(COMMAND))
        rules.go.set()

        assert 1 == (await second).epoch
        assert first.cancelled()
        assert 1 == rules.asked

    run(talk())


def test_a_command_that_did_nothing_may_be_given_again() -> None:
    async def talk() -> None:
        rules = Rules(asyncio.Event(), error=RefusalError(Code.UNAVAILABLE, "NOT_READY", "later"))
        rules.go.set()
        once = Once(rules.submit)
        with pytest.raises(RefusalError):
            await once.submit(COMMAND)
        rules.error = None

        assert 2 == (await once.submit(COMMAND)).epoch
        other = msgspec.structs.replace(COMMAND, reason="other")
        with pytest.raises(RefusalError, match="named another command"):
            await once.submit(other)

    run(talk())


def test_the_status_of_a_session_names_its_pods_and_what_they_wait_for(world: World) -> None:
    async def talk() -> None:
        async with asking(world.methods()) as (_, client):
            said = await status(client)

        assert ["line-0", "serving"] == [pod.name for pod in said.pods]
        assert sessions_pb2.POD_STATE_STARTING == said.pods[1].state
        assert ("bundles", 3) == (said.pods[1].text, said.pods[1].lag_count)
        assert ("event → belief", 20) == (said.latencies[0].span, said.latencies[0].p99_ns)
        assert (world.view.as_of, 7) == (said.watermark, said.lease_until)

    run(talk())


@pytest.mark.parametrize(
    ("asked", "code", "field", "words"),
    [
        (lambda c: portfolio(c, "dicee"), Code.NOT_FOUND, "contender", "did you mean 'dice'?"),
        (lambda c: portfolio(c, ""), Code.INVALID_ARGUMENT, "contender", "is missing"),
        (lambda c: portfolio(c, "Dice"), Code.INVALID_ARGUMENT, "contender", "a name"),
        (lambda c: portfolio(c, "d" * 41), Code.INVALID_ARGUMENT, "contender", "at most 40"),
        (lambda c: orders(c, symbol="AAB"), Code.NOT_FOUND, "symbol", "did you mean 'AAA'?"),
        (lambda c: orders(c, page_size=1001), Code.INVALID_ARGUMENT, "page_size", "1000"),
        (lambda c: orders(c, page_token="zz"), Code.INVALID_ARGUMENT, "page_token", "no token"),
        (lambda c: kill(c, scope=0), Code.INVALID_ARGUMENT, "scope", "KILL_SCOPE_ARENA"),
        (lambda c: kill(c, scope=99), Code.INVALID_ARGUMENT, "scope", "99 is none of them"),
        (lambda c: kill(c, scope=ARENA), Code.INVALID_ARGUMENT, "name", "the arena has none"),
        (lambda c: kill(c, name="dicee"), Code.NOT_FOUND, "name", "did you mean 'dice'?"),
        (lambda c: kill(c, action=7), Code.INVALID_ARGUMENT, "action", "7 is none of them"),
        (lambda c: kill(c, reason=""), Code.INVALID_ARGUMENT, "reason", "is missing"),
        (lambda c: kill(c, reason="a\nb"), Code.INVALID_ARGUMENT, "reason", "printed"),
        (lambda c: kill(c, token="a b"), Code.INVALID_ARGUMENT, "token", "a token"),
        (lambda c: kill(c, requested_by=""), Code.INVALID_ARGUMENT, "requested_by", "missing"),
        (
            lambda c: kill(c, requested_by="stated:a"),
            Code.INVALID_ARGUMENT,
            "requested_by",
            "no name",
        ),
        (
            lambda c: kill(c, instruments=["AAA", "AAA"]),
            Code.INVALID_ARGUMENT,
            "instruments[1]",
            "twice",
        ),
        (lambda c: kill(c, instruments=["ABA"]), Code.NOT_FOUND, "instruments[0]", "AAA"),
    ],
)
def test_a_wrong_field_is_named_with_its_path_and_what_to_do(
    world: World, asked: object, code: Code, field: str, words: str
) -> None:
    async def talk() -> None:
        before = world.digests()
        async with asking(world.methods()) as (_, client):
            said = await refusal(asked(client))

        assert code == said.code
        assert field in [problem.where for problem in said.problems]
        assert words in said.text
        assert before == world.digests()

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


def why(client: Client, **fields: object) -> object:
    stub = explain_pb2_grpc.ExplainStub(client.channel)
    return client.ask(stub.Why, explain_pb2.WhyRequest(**fields), seconds=15)


def test_a_fill_and_a_held_opinion_are_explained_from_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TITANFLOW_HOME", str(tmp_path / "home"))
    plan, result = small_session(tmp_path)
    from kit import read_journal

    _, facts = read_journal(result.session.journal)
    fill = next(fact for fact in facts if isinstance(fact, Fill))
    names = Vocabulary(
        tuple(e.name for e in plan.ground.entrants),
        tuple(i.symbol for i in plan.ground.instruments),
        (),
    )
    historian = JournalHistorian(names, result.session.journal, plan.folder)

    async def talk() -> None:
        async with asking(ExplainAnswers(historian).methods()) as (_, client):
            story = await why(client, id=fill.id.hex()[:16])
            decision = {"contender": "cross", "symbol": "AAA", "at": fill.seen}
            held = await why(client, decision=decision)
            nothing = await refusal(why(client, id="0123456789"))
            early = await refusal(why(client, decision=decision | {"at": 1}))
            nobody = await refusal(why(client, decision=decision | {"contender": "crosss"}))
            missing = await refusal(why(client))
            short = await refusal(why(client, id="abc"))
            wrong = await refusal(why(client, id="xyzzy"))

        assert fill.id == story.subject.fill.id
        assert "fill" in [fact.WhichOneof("fact") for fact in story.chain]
        assert fill.contender == story.verdict.contender
        assert story.features
        assert ("recipe", 64) == (story.lineage[0].name, len(story.lineage[0].value))
        assert "cross" == held.signal.contender
        assert held.sentence
        assert (Code.NOT_FOUND, "did you mean 'cross'?") == (nobody.code, nobody.text[-21:])
        assert Code.NOT_FOUND == nothing.code == early.code
        assert str(tmp_path) not in nothing.text + early.text
        for said, field in ((missing, "question"), (short, "id"), (wrong, "id")):
            assert (Code.INVALID_ARGUMENT, field) == (said.code, said.problems[0].where)

    run(talk())
