"""What holds for every call of every service? Deadlines, room, health, an orderly end."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from rpc_kit import World, asking, refusal, run, serving, until

from titanflow.adapters.rpc.caller import Caller
from titanflow.adapters.rpc.client import IDEMPOTENT, Client
from titanflow.adapters.rpc.guard import Limits
from titanflow.adapters.rpc.health import Health
from titanflow.adapters.rpc.method import Method
from titanflow.adapters.rpc.refusal import Code, not_ready
from titanflow.adapters.rpc.server import Listen, Server
from titanflow.adapters.rpc.trace import CURRENT, Trace, read_trace
from titanflow.core.base.errors import AdapterError, InvariantError, SpecError
from titanflow.rpc.v1 import control_pb2, control_pb2_grpc, sessions_pb2, sessions_pb2_grpc

SESSIONS = sessions_pb2.DESCRIPTOR.services_by_name["Sessions"]
CONTROL = control_pb2.DESCRIPTOR.services_by_name["Control"]
ASK = sessions_pb2.GetStatusRequest()


class Slow:
    """An answer that takes until it is let go; it knows how it ended."""

    def __init__(self) -> None:
        self.begun, self.go = asyncio.Event(), asyncio.Event()
        self.ended = ""
        self.callers: list[Caller] = []
        self.traces: list[Trace | None] = []

    def methods(self) -> list[object]:
        return [Method(SESSIONS, "GetStatus", answer=self.answer)]

    async def answer(self, request: object, caller: Caller) -> sessions_pb2.GetStatusResponse:
        self.callers.append(caller)
        self.traces.append(CURRENT.get())
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        self.ended = "answered"
        return sessions_pb2.GetStatusResponse(session="s")


def failing(error: Exception) -> list[object]:
    async def answer(request: object, caller: Caller) -> sessions_pb2.GetStatusResponse:
        raise error

    return [Method(SESSIONS, "GetStatus", answer=answer)]


def stub(client: Client) -> sessions_pb2_grpc.SessionsStub:
    return sessions_pb2_grpc.SessionsStub(client.channel)


def status(client: Client, **options: float) -> object:
    return client.ask(stub(client).GetStatus, ASK, **options)


def test_a_call_without_a_deadline_gets_one_and_its_work_is_cancelled() -> None:
    async def talk() -> None:
        slow = Slow()
        async with asking(slow.methods(), limits=Limits(default_seconds=0.05)) as (_, client):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub(client).GetStatus(ASK)

        assert Code.DEADLINE_EXCEEDED == caught.value.code()
        assert "0.05 s that the server allows" in caught.value.details()
        assert "cancelled" == slow.ended

    run(talk())


def test_work_beyond_the_caller_s_deadline_is_cancelled() -> None:
    async def talk() -> None:
        slow = Slow()
        async with asking(slow.methods()) as (server, client):
            said = await refusal(status(client, seconds=0.05))
            await until(lambda: not any(server.meter.running.values()))

        assert Code.DEADLINE_EXCEEDED == said.code
        assert "cancelled" == slow.ended

    run(talk())


def test_a_deadline_is_shortened_to_the_longest_that_is_allowed() -> None:
    async def talk() -> None:
        slow = Slow()
        async with asking(slow.methods(), limits=Limits(most_seconds=0.05)) as (_, client):
            said = await refusal(status(client, seconds=15))

        assert (Code.DEADLINE_EXCEEDED, "TOO_LATE") == (said.code, said.reason)

    run(talk())


def test_beyond_the_limit_calls_are_refused_at_once_but_commands_have_a_reserve() -> None:
    async def talk() -> None:
        slow = Slow()

        async def kill(request: object, caller: Caller) -> control_pb2.KillResponse:
            return control_pb2.KillResponse(accepted=True)

        methods = [*slow.methods(), Method(CONTROL, "Kill", answer=kill)]
        async with asking(methods, limits=Limits(calls_max=2, reserve=1)) as (server, client):
            held = [asyncio.ensure_future(status(client)) for _ in range(2)]
            await until(lambda: len(slow.callers) == 2)
            said = await refusal(status(client))
            control = control_pb2_grpc.ControlStub(client.channel)
            killed = await client.ask(control.Kill, control_pb2.KillRequest())
            health = await health_pb2_grpc.HealthStub(client.channel).Check(
                health_pb2.HealthCheckRequest(), timeout=5
            )
            slow.go.set()
            answers = await asyncio.gather(*held)

            assert (Code.RESOURCE_EXHAUSTED, "OVERLOADED") == (said.code, said.reason)
            assert said.retry_seconds > 0
            assert 1 == server.meter.shed
            assert killed.accepted
            assert health_pb2.HealthCheckResponse.SERVING == health.status
            assert ["s", "s"] == [answer.session for answer in answers]

    run(talk())


def test_a_request_that_is_too_large_is_refused(tmp_path: Path) -> None:
    async def talk() -> None:
        slow = Slow()
        async with asking(slow.methods(), limits=Limits(request_bytes_max=1000)) as (_, client):
            ask = client.channel.unary_unary("/titanflow.rpc.v1.Sessions/GetStatus")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ask(bytes(5000), timeout=5)

        assert Code.RESOURCE_EXHAUSTED == caught.value.code()
        assert [] == slow.callers

    run(talk())


def test_health_has_liveness_and_readiness_apart_and_says_what_is_waited_for() -> None:
    async def talk() -> None:
        async with asking(Slow().methods(), ready=False) as (server, client):
            health = health_pb2_grpc.HealthStub(client.channel)

            async def check(name: str) -> tuple[int, str]:
                call = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
                answer = await call
                said = dict(await call.trailing_metadata())
                return answer.status, str(said.get("waits-for", ""))

            up, down = 1, 2
            assert (up, "its start") == await check("liveness")
            assert (down, "its start") == await check("readiness")
            assert (down, "its start") == await check("")
            assert (down, "its start") == await check("titanflow.rpc.v1.Sessions")
            server.health.wait("record", "the record, 40 of 90 turns")
            server.health.started()
            assert (down, "the record, 40 of 90 turns") == await check("readiness")
            server.health.reached("record")
            assert (up, "") == await check("readiness")
            server.health.fail("an invariant is broken")
            assert down == (await check("liveness"))[0]
            assert (down, "a new process: an invariant is broken") == await check("readiness")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await check("nobody")
            assert Code.NOT_FOUND == caught.value.code()

    run(talk())


def test_a_watcher_of_health_hears_every_change_and_is_sent_home_at_the_end() -> None:
    async def talk() -> None:
        async with asking(Slow().methods(), ready=False) as (server, client):
            health = health_pb2_grpc.HealthStub(client.channel)
            call = health.Watch(health_pb2.HealthCheckRequest(service="readiness"), timeout=15)
            heard = [(await call.read()).status]
            server.health.started()
            heard.append((await call.read()).status)
            stopping = asyncio.ensure_future(server.stop(10))
            while (answer := await call.read()) is not grpc.aio.EOF:
                heard.append(answer.status)
            begun = asyncio.get_running_loop().time()
            await stopping

        assert [2, 1, 2] == heard
        assert asyncio.get_running_loop().time() - begun < 5

    run(talk())


def test_reflection_lists_every_service_with_its_methods(tmp_path: Path) -> None:
    async def talk() -> None:
        world = World(tmp_path, bars=2)
        async with asking(world.methods()) as (_, client):
            call = reflection_pb2_grpc.ServerReflectionStub(client.channel).ServerReflectionInfo
            asked = [
                reflection_pb2.ServerReflectionRequest(list_services=""),
                reflection_pb2.ServerReflectionRequest(
                    file_containing_symbol="titanflow.rpc.v1.Portfolio"
                ),
            ]
            answers = [answer async for answer in call(iter(asked), timeout=5)]

        names = {service.name for service in answers[0].list_services_response.service}
        ours = {
            f"titanflow.rpc.v1.{name}"
            for name in ("Control", "Explain", "Portfolio", "Sessions", "Standings")
        }
        theirs = {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
        assert ours | theirs | {"inference.GRPCInferenceService"} == names
        assert b"GetPortfolio" in answers[1].file_descriptor_response.file_descriptor_proto[0]

    run(talk())


def test_an_orderly_end_lets_calls_finish_and_takes_no_new_one() -> None:
    async def talk() -> None:
        slow = Slow()
        async with serving(slow.methods()) as server, Client(server.target) as client:
            under_way = asyncio.ensure_future(status(client))
            await slow.begun.wait()
            stopping = asyncio.ensure_future(server.stop(10))
            await until(lambda: server.health.closed)
            async with Client(server.target) as late:
                said = await refusal(status(late, seconds=1))
            slow.go.set()
            answer = await under_way
            await stopping

        assert "s" == answer.session
        assert "answered" == slow.ended
        assert said.code in {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED}

    run(talk())


def test_the_end_cuts_what_takes_longer_than_its_grace() -> None:
    async def talk() -> None:
        slow = Slow()
        async with serving(slow.methods()) as server, Client(server.target) as client:
            under_way = asyncio.ensure_future(refusal(status(client)))
            await slow.begun.wait()
            await server.stop(0.05)
            said = await under_way

        assert said.code in {Code.UNAVAILABLE, Code.CANCELLED}
        assert "cancelled" == slow.ended

    run(talk())


def test_a_trace_goes_from_the_caller_to_the_work_and_on() -> None:
    async def talk() -> None:
        slow = Slow()
        slow.go.set()
        header = f"00-{'ab' * 16}-{'cd' * 8}-01"
        async with asking(slow.methods()) as (_, client):
            for value in (header, "00-rubbish", f"00-{'0' * 32}-{'cd' * 8}-01"):
                await stub(client).GetStatus(ASK, timeout=5, metadata=(("traceparent", value),))
            CURRENT.set(Trace("ef" * 16, "12" * 8, flags=1))
            await status(client)

        first, second, third, own = slow.traces
        assert ("ab" * 16, "cd" * 8, 1) == (first.trace_id, first.parent, first.flags)
        assert first.span_id not in {"cd" * 8, second.span_id}
        assert second.trace_id not in {first.trace_id, third.trace_id}
        assert ("ef" * 16, "12" * 8) == (own.trace_id, own.parent)
        assert first == slow.callers[0].trace
        assert Trace(own.trace_id, own.span_id, flags=1) == read_trace(own.header)

    run(talk())


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"ff-{'ab' * 16}-{'cd' * 8}-01",
        f"00-{'ab' * 16}-{'cd' * 8}-01-more",
        f"00-{'AB' * 16}-{'cd' * 8}-01",
        f"00-{'ab' * 16}-{'0' * 16}-01",
        f"00-{'ab' * 16}-{'cd' * 8}-zz",
        "0" * 100_000,
    ],
)
def test_a_header_that_is_no_trace_context_begins_a_new_trace(header: str) -> None:
    assert read_trace(header) is None


def test_calls_are_counted_by_method_and_code(tmp_path: Path) -> None:
    async def talk() -> None:
        slow = Slow()
        slow.go.set()
        async with asking(slow.methods()) as (server, client):
            for _ in range(3):
                await status(client)
            for name in ("Nope", *"abc"):
                ask = client.channel.unary_unary(f"/titanflow.rpc.v1.Sessions/{name}")
                with pytest.raises(grpc.aio.AioRpcError):
                    await ask(b"", timeout=5)
            meter = server.meter

            path = "titanflow.rpc.v1.Sessions/GetStatus"
            assert {(path, "OK"): 3, ("unknown", "UNIMPLEMENTED"): 4} == meter.calls
            assert 3 == meter.durations[path].count
            assert 3 == sum(meter.durations[path].counts)
            assert 0 < meter.durations[path].quantile_ns(0.5) <= meter.durations[path].max_ns
            assert {path: 0, "unknown": 0} == meter.running

    run(talk())


def test_a_broken_invariant_tells_the_caller_nothing_and_ends_liveness(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def talk() -> None:
        heard: list[InvariantError] = []
        error = InvariantError("the secret canary")
        async with asking(failing(error), broken=heard.append) as (server, client):
            said = await refusal(status(client))

            assert [error] == heard
            assert not server.health.live
        assert (Code.INTERNAL, "INVARIANT_BROKEN") == (said.code, said.reason)
        assert "canary" not in repr(said)

    with caplog.at_level(logging.CRITICAL, "titanflow.rpc"):
        run(talk())
    assert "canary" in caplog.text


@pytest.mark.parametrize(
    ("error", "code", "reason", "told"),
    [
        (AdapterError("the disk is full"), Code.UNAVAILABLE, "WORLD_FAILED", "the disk is full"),
        (not_ready("the record"), Code.UNAVAILABLE, "NOT_READY", "not ready: waits for the record"),
        (KeyError("secret"), Code.INTERNAL, "UNEXPECTED", "the server failed; its log says how"),
        (TimeoutError(), Code.INTERNAL, "UNEXPECTED", "the server failed; its log says how"),
    ],
)
def test_an_error_of_ours_has_its_code_reason_and_words(
    error: Exception, code: Code, reason: str, told: str
) -> None:
    async def talk() -> None:
        async with asking(failing(error)) as (_, client):
            call = stub(client).GetStatus
            said = await refusal(client.ask(call, ASK, seconds=5))

        assert (code, reason, told) == (said.code, said.reason, said.text)
        assert (said.retry_seconds > 0) == (code is Code.UNAVAILABLE)

    run(talk())


def test_a_client_waits_until_a_server_is_ready_and_says_for_what() -> None:
    async def talk() -> None:
        told: list[str] = []
        waiting = asyncio.Event()

        def tell(text: str) -> None:
            told.append(text)
            waiting.set()

        async with asking(Slow().methods(), ready=False) as (server, client):
            server.health.wait("start", "the market stream")
            becoming = asyncio.ensure_future(client.ready(10, tell))
            await waiting.wait()
            server.health.started()
            await becoming

        assert [f"{server.target}, which waits for the market stream"] == told

    run(talk())


def test_a_client_that_waits_in_vain_says_what_for() -> None:
    async def talk() -> None:
        async with asking(Slow().methods(), ready=False) as (server, client):
            server.health.wait("start", "the market stream")
            said = await refusal(client.ready(0.3))
        async with Client("127.0.0.1:1") as nobody:
            unheard = await refusal(nobody.ready(0.3))

        assert Code.DEADLINE_EXCEEDED == said.code
        assert f"{server.target}, which waits for the market stream" == said.facts["waits_for"]
        assert "127.0.0.1:1 to answer" in unheard.text

    run(talk())


def test_only_what_is_harmless_is_asked_again() -> None:
    async def talk() -> None:
        calls = {"GetStatus": 0, "Release": 0}

        async def fail(request: object, caller: Caller) -> sessions_pb2.GetStatusResponse:
            calls["GetStatus"] += 1
            if calls["GetStatus"] < 3:
                raise not_ready("the record", 0)
            return sessions_pb2.GetStatusResponse(session="s")

        async def release(request: object, caller: Caller) -> control_pb2.ReleaseResponse:
            calls["Release"] += 1
            raise not_ready("the record", 0)

        methods = [
            Method(SESSIONS, "GetStatus", answer=fail),
            Method(CONTROL, "Release", answer=release),
        ]
        async with asking(methods) as (_, client):
            answer = await status(client)
            control = control_pb2_grpc.ControlStub(client.channel)
            said = await refusal(client.ask(control.Release, control_pb2.ReleaseRequest()))

        assert "s" == answer.session
        assert {"GetStatus": 3, "Release": 1} == calls
        assert "NOT_READY" == said.reason

    run(talk())
    assert {"Release", "Pause", "Resume"}.isdisjoint(method for _, method in IDEMPOTENT)


def test_other_machines_are_listened_to_only_with_tls_or_by_explicit_wish() -> None:
    async def talk() -> None:
        for host in ("0.0.0.0", "::", "10.1.2.3", "example.org"):
            with pytest.raises(SpecError, match=r"listen\.host.*no TLS"):
                Server([], Health(), Listen(host))
            with pytest.raises(SpecError, match="no TLS"):
                Client(f"{host}:1")
        Server([], Health(), Listen("0.0.0.0", allows_plain=True))
        Server([], Health(), Listen("::1"))

    run(talk())


def test_a_second_server_on_a_port_does_not_start() -> None:
    async def talk() -> None:
        async with serving(Slow().methods()) as server:
            second = Server([], Health(), Listen(port=server.port))
            with pytest.raises(AdapterError, match="cannot listen"):
                await second.start()

    run(talk())


def test_a_question_that_another_pod_answers_is_said_to_be_elsewhere(tmp_path: Path) -> None:
    async def talk() -> None:
        world = World(tmp_path, bars=2)
        async with asking(world.ledger.methods()) as (_, client):
            ask = client.channel.unary_unary("/titanflow.rpc.v1.Portfolio/ListOpenOrders")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ask(b"", timeout=5)

        assert Code.UNIMPLEMENTED == caught.value.code()
        assert "is not answered by this pod" in caught.value.details()

    run(talk())


def test_methods_are_checked_when_a_server_is_made() -> None:
    async def answer(request: object, caller: Caller) -> object:
        raise AssertionError

    async def talk() -> None:
        with pytest.raises(InvariantError, match="has no method Nope"):
            Method(SESSIONS, "Nope", answer=answer)
        with pytest.raises(InvariantError, match="streams otherwise"):
            Method(SESSIONS, "GetStatus", answers=answer)
        twice = [Method(SESSIONS, "GetStatus", answer=answer)] * 2
        with pytest.raises(InvariantError, match="two handlers"):
            Server(twice, Health())

    run(talk())
