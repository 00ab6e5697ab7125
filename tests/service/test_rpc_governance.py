"""Does governance rule once on each command, explain from the record, and refuse what is none?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from kit import small_session
from rpc_kit import World, asking, kill, orders, portfolio, refusal, release, run, status

from titanflow.adapters.rpc.caller import Identity
from titanflow.adapters.rpc.client import Client
from titanflow.adapters.rpc.line_view import Vocabulary
from titanflow.adapters.rpc.ports import Command, Ruling, Verb
from titanflow.adapters.rpc.refusal import Code, RefusalError
from titanflow.core.base.ident import NO_ID
from titanflow.core.facts import Fill, KillRuling, KillSwitch, Verdict
from titanflow.core.spec.words import KillAction, KillScope, Outcome
from titanflow.rpc.v1 import (
    control_pb2,
    control_pb2_grpc,
    explain_pb2,
    explain_pb2_grpc,
    sessions_pb2,
)
from titanflow.services.governance.history import JournalHistorian
from titanflow.services.governance.rpc import ExplainAnswers, Once
from titanflow.wire.v1 import words_pb2

ARENA, CONTENDER = words_pb2.KILL_SCOPE_ARENA, words_pb2.KILL_SCOPE_CONTENDER
CANCEL_ALL = words_pb2.KILL_ACTION_CANCEL_ALL


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_kill_is_in_the_record_when_it_is_answered_and_stops_the_contender(world: World) -> None:
    async def talk() -> None:
        async with asking(world.methods()) as (_, client):
            said = await kill(client)
            (ruling,) = [f for f in world.recorded if isinstance(f, KillRuling)]
            (switch,) = [f for f in world.recorded if isinstance(f, KillSwitch)]
            now = await status(client)
            live = {contender for contender, *_ in world.driver.arena.trade.live_orders()}
            mark = len(world.recorded)
            world.drive(60)
            later = [f for f in world.recorded[mark:] if isinstance(f, Verdict)]
            outcomes = {f.outcome for f in later if f.contender == "dice"}

            assert said.accepted
            assert (ruling.id, ruling.epoch) == (said.ruling, said.epoch)
            assert ("stated:ada", "a drill") == (switch.by, switch.reason)
            assert "dice" not in live
            assert ["Contender dice"] == list(now.engaged)
            assert 1 == now.kill_epoch
            assert {Outcome.DENY} == outcomes
            assert Outcome.ALLOW in {f.outcome for f in later}

    run(talk())


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
