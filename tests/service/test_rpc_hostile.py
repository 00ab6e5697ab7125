"""Can a caller break a server, or change anything, with a request that is none?

Generated requests go over real connections to every method: noise, messages with wild values, and
good messages with flipped bytes. A command among them always has one fault at least, so that
whatever happens is an effect that must not be.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from rpc_kit import World, asking, run

from titanflow.adapters.rpc.refusal import Code
from titanflow.rpc.inference import inference_pb2
from titanflow.rpc.v1 import (
    control_pb2,
    explain_pb2,
    portfolio_pb2,
    sessions_pb2,
    standings_pb2,
)
from titanflow.wire.v1 import words_pb2

CASES = 5_000
AT_ONCE = 40
SEED = 20261125

FILES = (control_pb2, explain_pb2, portfolio_pb2, sessions_pb2, standings_pb2, inference_pb2)
METHODS = [
    method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
FORBIDDEN = {Code.INTERNAL, Code.UNKNOWN, Code.UNAVAILABLE, Code.DATA_LOSS, Code.ABORTED}
"""What a request of any content must never lead to."""

WORDS = (
    "dice", "hold", "house", "AAA", "BBB", "main", "adder", "features", "FP32", "a" * 64, "t-1",
    "", " ", "dicee", "DICE", "stated:ada", "../../etc/passwd", "'; drop table", "\x00", "\u202e",
    "🜁" * 50, "x" * 5_000, "%n%s", "{0.__class__}", "NaN", "-1", "9" * 400, "\r\nSet: x",
)  # fmt: skip
INTEGERS = (0, 1, -1, 2, 99, 1_000, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63), 2**64 - 1)
FLOATS = (0.0, -0.0, 1.5, float("nan"), float("inf"), -float("inf"), 3.4e38, 1e-45)
BOUNDS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_ENUM: (-(2**31), 2**31 - 1),
}


def value(chance: random.Random, field: FieldDescriptor, depth: int) -> Any:
    """Return a wild value of a field's type."""
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_MESSAGE:
        return message(chance, GetMessageClass(field.message_type), depth + 1)
    if kind == FieldDescriptor.CPPTYPE_STRING:
        word = chance.choice(WORDS)
        return word.encode() if field.type == FieldDescriptor.TYPE_BYTES else word
    if kind in {FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE}:
        return chance.choice(FLOATS)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return chance.random() < 0.5
    least, most = BOUNDS[kind]
    return chance.choice([n for n in INTEGERS if least <= n <= most])


def message(chance: random.Random, kind: type, depth: int = 0) -> Any:
    """Return a message with wild values in some of its fields."""
    made = kind()
    for field in kind.DESCRIPTOR.fields:
        if chance.random() < 0.3 or depth > 3:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        if not field.is_repeated:
            found = value(chance, field, depth)
            if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
                getattr(made, field.name).CopyFrom(found)
            else:
                setattr(made, field.name, found)
        else:
            count = chance.choice((0, 1, 1, 2, 3, 70))
            getattr(made, field.name).extend(value(chance, field, depth) for _ in range(count))
    return made


def good(name: str) -> Any:
    """Return a request that is answered, or would be a command."""
    match name:
        case "GetPortfolio":
            return portfolio_pb2.GetPortfolioRequest(contender="dice")
        case "ListOpenOrders":
            return portfolio_pb2.ListOpenOrdersRequest(contender="dice", symbol="AAA", page_size=3)
        case "Why":
            decision = explain_pb2.Decision(contender="dice", symbol="AAA", at=10**18)
            return explain_pb2.WhyRequest(decision=decision)
        case "ModelInfer":
            asked = inference_pb2.ModelInferRequest(model_name="adder", id="q")
            tensor = asked.inputs.add(name="features", datatype="FP32", shape=[1, 3])
            tensor.contents.fp32_contents.extend([1, 2, 3])
            return asked
        case "Kill" | "Release" | "Pause" | "Resume":
            scope, by = words_pb2.KILL_SCOPE_CONTENDER, "ada"
            fields = {"scope": scope, "name": "dice", "reason": "r", "token": "t"}
            kind = getattr(control_pb2, f"{name}Request")
            asked = kind(**fields, requested_by=by)
            if name == "Kill":
                asked.action = words_pb2.KILL_ACTION_CANCEL_ALL
            return asked
    return None


def nearly_good(chance: random.Random, name: str, kind: type) -> Any:
    """Return a good request with at most one field that is wild."""
    made = good(name)
    if made is None:
        return message(chance, kind)
    wild = message(chance, kind)
    fields = [field for field, _ in wild.ListFields()]
    if fields and chance.random() < 0.8:
        field = chance.choice(fields)
        made.ClearField(field.name)
        part = kind()
        part.MergeFrom(wild)
        for other in fields:
            if other.name != field.name:
                part.ClearField(other.name)
        made.MergeFrom(part)
    return made


def spoil(chance: random.Random, made: Any) -> None:
    """Give a command one fault at least."""
    if made.DESCRIPTOR.file.name.endswith("control.proto"):
        fault = chance.randrange(4)
        if fault == 0:
            made.token = chance.choice(("", "a b", "t" * 65, "ä"))
        elif fault == 1:
            made.reason = chance.choice(("", "a\nb", "r" * 257))
        elif fault == 2:
            made.scope = chance.choice((0, 5, 99, -1))
        else:
            made.requested_by = chance.choice(("", "stated:ada", "a b", "b" * 65))


def bytes_for(chance: random.Random, name: str, kind: type) -> bytes:
    """Return one hostile request."""
    way = chance.random()
    if way < 0.15:
        return chance.randbytes(chance.choice((0, 1, 7, 60, 3_000)))
    made = nearly_good(chance, name, kind) if way < 0.5 else message(chance, kind)
    spoil(chance, made)
    data = made.SerializeToString()
    if way < 0.75 or not data:
        return data
    damaged = bytearray(data)
    if kind.DESCRIPTOR.file.name.endswith("control.proto"):
        # A flip may mend a fault; what is cut off at the end has lost its requester.
        return bytes(damaged[: chance.randrange(len(damaged))])
    for _ in range(chance.choice((1, 1, 4))):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


async def send(channel: grpc.aio.Channel, method: Any, data: bytes) -> Code:
    """Return the code of one call; of a stream, that of its first message or of its end."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    try:
        if method.server_streaming:
            call = channel.unary_stream(path)(data, timeout=10)
            async for _ in call:
                break
            call.cancel()
        else:
            await channel.unary_unary(path)(data, timeout=10)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return Code.OK


def test_no_request_breaks_a_server_or_changes_anything(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, bars=30)
    chance = random.Random(SEED)
    cases = []
    for n in range(CASES):
        method = METHODS[n % len(METHODS)]
        cases.append((method, bytes_for(chance, method.name, GetMessageClass(method.input_type))))
    recorded, digests = len(world.recorded), world.digests()
    codes: Counter[tuple[str, Code]] = Counter()

    async def work(channel: grpc.aio.Channel, rest: Any) -> None:
        for n, (method, data) in rest:
            code = await send(channel, method, data)
            assert code not in FORBIDDEN, f"seed {SEED}, case {n}: {method.full_name} {data!r}"
            codes[method.full_name, code] += 1

    async def talk() -> None:
        async with asking(world.methods(), closing=[world.ledger.close]) as (server, client):
            rest = iter(enumerate(cases))
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(work(client.channel, rest))
            assert server.health.ready
            assert 0 == world.ledger.watchers

    with caplog.at_level(logging.ERROR):
        run(talk(), 60)

    assert CASES == codes.total()
    assert [] == caplog.records
    assert {method.full_name for method in METHODS} == {name for name, _ in codes}
    # Not all are turned away at the door: each question is answered now and then.
    answered = {name.rpartition(".")[2] for name, code in codes if code is Code.OK}
    assert {"GetPortfolio", "ListOpenOrders", "ModelInfer", "WatchStandings"} <= answered
    commands = {code for name, code in codes if ".Control." in name}
    assert {Code.INVALID_ARGUMENT, Code.NOT_FOUND} >= commands
    assert recorded == len(world.recorded)
    assert digests == world.digests()
    assert not world.control.paused


def test_strange_metadata_and_methods_are_refused_or_ignored(tmp_path: Path) -> None:
    world = World(tmp_path, bars=2)

    async def talk() -> None:
        async with asking(world.methods()) as (_, client):
            path = "/titanflow.rpc.v1.Sessions/GetStatus"
            odd = [
                (("traceparent", "x" * 1_000),),
                (("traceparent", f"00-{'a' * 32}-{'b' * 16}-01"),) * 3,
                (("traceparent-bin", bytes(300)),),
                (("grpc-status-details-bin", bytes(100)),),
                tuple((f"k{n}", "v" * 20) for n in range(60)),
            ]
            for metadata in odd:
                answer = await client.channel.unary_unary(path)(b"", metadata=metadata, timeout=5)
                assert sessions_pb2.GetStatusResponse.FromString(answer).session
            huge = (("k", "v" * 100_000),)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await client.channel.unary_unary(path)(b"", metadata=huge, timeout=5)
            assert Code.RESOURCE_EXHAUSTED == caught.value.code()
            for method in ("/", "//", "/a", "/a/b/c", "/titanflow.rpc.v1.Sessions/", "/é/ü"):
                with pytest.raises((grpc.aio.AioRpcError, ValueError)) as caught:
                    await client.channel.unary_unary(method)(b"", timeout=5)
                if isinstance(caught.value, grpc.aio.AioRpcError):
                    assert Code.UNIMPLEMENTED == caught.value.code()

    run(talk())


def test_a_flood_of_commands_under_way_has_a_bound() -> None:
    # The bound itself is `TOKENS_REMEMBERED`; here, that what is finished makes room.
    from titanflow.adapters.rpc.ports import Command, Ruling
    from titanflow.core.base.ident import NO_ID
    from titanflow.services.governance import rpc

    async def talk() -> None:
        async def rule(command: Command) -> Ruling:
            return Ruling(True, 1, command.token, NO_ID)

        once = rpc.Once(rule)
        for n in range(rpc.TOKENS_REMEMBERED + 50):
            command = _command(f"t{n}")
            assert f"t{n}" == (await once.submit(command)).text

        assert rpc.TOKENS_REMEMBERED == len(once._known)

    run(talk())


def _command(token: str) -> Any:
    from titanflow.adapters.rpc.caller import Identity
    from titanflow.adapters.rpc.ports import Command, Verb
    from titanflow.core.spec.words import KillAction, KillScope

    by = Identity("ada", proven=False)
    return Command(Verb.KILL, KillScope.ARENA, "", (), KillAction.CANCEL_ALL, "why", token, by)
