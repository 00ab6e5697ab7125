"""F17 over gRPC: what can a stranger do with all that may be sent to the pods' ports?

Thousands of questions and commands that are none: bytes that are no message, ten megabytes, nested
without end, words that are no text, numbers at their ends, methods that nobody has. Every one must
be answered with a code of the caller's fault, no command may have an effect, no pod may stop, and
the session must go on.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from titanflow.adapters.rpc.client import Client
from titanflow.core.facts import Fact, KillRuling, KillSwitch
from titanflow.rpc.inference import inference_pb2 as inference
from titanflow.rpc.v1 import control_pb2 as control
from titanflow.rpc.v1 import explain_pb2 as explain
from titanflow.rpc.v1 import portfolio_pb2 as portfolio
from titanflow.rpc.v1 import sessions_pb2 as sessions
from titanflow.rpc.v1 import standings_pb2 as standings
from titanflow.runtime.asking import ADDRESS
from tools.drills.control import Scene
from tools.drills.report import Outcome as Result
from tools.drills.report import quantile

COUNT: Final = 5_000
DAYS: Final = 40_000
"""More than the session can play while it is asked."""
AT_A_TIME: Final = 8
CALL_SECONDS: Final = 5.0
HUGE: Final = 10 << 20
ELSEWHERE_EACH: Final = 12
"""One question of so many is about what perhaps nobody answers."""
HUGE_EACH: Final = 250
"""One question of so many has ten megabytes."""
PODS: Final = ("governance", "trade", "signal", "gateway")
FILES: Final = (control, explain, portfolio, sessions, standings, inference)
COMMANDS: Final = control.DESCRIPTOR.services_by_name["Control"].full_name
OURS: Final = frozenset({"UNKNOWN", "INTERNAL", "DATA_LOSS", "UNAVAILABLE", "CANCELLED"})
"""Codes that say that the fault is the pod's own."""
TEXTS: Final = (
    "", " ", "main", "dice", "\x00", "\u200b", "\u202edice", "A" * 5_000, "../../etc/passwd",
    "'; DROP TABLE orders; --", "NaN", "☃" * 70, "\r\nx: y", "${jndi:ldap://x}", "2025-13-45", "-1",
)  # fmt: skip
WHOLE: Final = (0, 1, -1, 2**31 - 1, -(2**31))
LARGE: Final = (*WHOLE, 2**63 - 1, -(2**63), 2**62)
BROKEN: Final = (0.0, -0.0, 1e308, float("inf"), float("nan"))


class Corpus:
    """Makes questions that are none, by seed."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        services = [s for file in FILES for s in file.DESCRIPTOR.services_by_name.values()]
        self.methods: list[MethodDescriptor] = [
            m for s in services for m in s.methods if not m.server_streaming
        ]
        self.kinds: tuple[Callable[[MethodDescriptor], bytes], ...] = (
            self.noise, self.cut, self.flipped, self.absurd, self.no_text, self.unknown_field,
            self.other_wire_type, self.deep, self.of_another, self.empty,
        )  # fmt: skip

    def questions(
        self, count: int, served: Mapping[str, Sequence[int]]
    ) -> Iterator[tuple[str, str, bytes]]:
        """Give the kind, the path and the bytes of each, mostly about what somebody answers."""
        known = [method for method in self.methods if served.get(path_of(method))]
        for n in range(count):
            method = self.chance.choice(known if n % ELSEWHERE_EACH else self.methods)
            path = path_of(method)
            if n % HUGE_EACH == 0:
                yield "huge", path, bytes(HUGE)
            elif n % HUGE_EACH == 1:
                yield "no method", f"{path}{self.chance.choice(('s', '/', '%00', '2'))}", b""
            else:
                make = self.chance.choice(self.kinds)
                yield make.__name__, path, self._powerless(method, make(method))

    def _powerless(self, method: MethodDescriptor, data: bytes) -> bytes:
        """Take away what a command needs, lest chance makes one that everybody may give."""
        if method.containing_service.full_name != COMMANDS:
            return data
        message = GetMessageClass(method.input_type)()
        try:
            message.ParseFromString(data)
        except DecodeError:
            return data
        for name in self.chance.sample(("token", "requested_by", "reason"), 2):
            message.ClearField(name)
        return message.SerializeToString()

    def noise(self, method: MethodDescriptor) -> bytes:
        """Random bytes."""
        del method
        return self.chance.randbytes(self.chance.randrange(1, 800))

    def cut(self, method: MethodDescriptor) -> bytes:
        """The beginning of a message."""
        data = self.absurd(method) or b"\x0a\x05abcde"
        return data[: self.chance.randrange(len(data))]

    def flipped(self, method: MethodDescriptor) -> bytes:
        """A message with flipped bits."""
        data = bytearray(self.absurd(method) or b"\x0a\x05abcde")
        for _ in range(self.chance.randint(1, 8)):
            data[self.chance.randrange(len(data))] ^= 1 << self.chance.randrange(8)
        return bytes(data)

    def absurd(self, method: MethodDescriptor) -> bytes:
        """A message whose fields hold what no field should."""
        return self._filled(method.input_type, 3).SerializeToString()

    def no_text(self, method: MethodDescriptor) -> bytes:
        """Bytes that are no UTF-8, where words stand."""
        texts = [f for f in method.input_type.fields if f.type == FieldDescriptor.TYPE_STRING]
        number = self.chance.choice(texts).number if texts else 1
        return _key(number, 2) + b"\x04\xff\xfe\xc0\x80"

    def unknown_field(self, method: MethodDescriptor) -> bytes:
        """Fields that nobody knows."""
        return self.absurd(method) + _key(self.chance.randint(1_000, 100_000), 2) + b"\x03abc"

    def other_wire_type(self, method: MethodDescriptor) -> bytes:
        """Fields as they are, of another type."""
        return b"".join(_key(f.number, 5) + b"\xff\xff\xff\xff" for f in method.input_type.fields)

    def deep(self, method: MethodDescriptor) -> bytes:
        """Groups in groups in groups."""
        del method
        depth = self.chance.choice((50, 500, 50_000))
        return _key(7, 3) * depth

    def of_another(self, method: MethodDescriptor) -> bytes:
        """The message of another method."""
        del method
        return self.absurd(self.chance.choice(self.methods))

    def empty(self, method: MethodDescriptor) -> bytes:
        """Nothing."""
        del method
        return b""

    def _filled(self, kind: Any, depth: int) -> Message:
        message = GetMessageClass(kind)()
        for each in kind.fields:
            if self.chance.random() < 0.3:
                continue
            for _ in range(self.chance.choice((1, 2, 40)) if each.is_repeated else 1):
                self._fill(message, each, depth)
        return message

    def _fill(self, message: Message, each: FieldDescriptor, depth: int) -> None:
        if each.message_type is not None:
            if depth and not each.message_type.GetOptions().map_entry:
                child = getattr(message, each.name)
                inner = child.add() if each.is_repeated else child
                inner.CopyFrom(self._filled(each.message_type, depth - 1))
            return
        value = self._value(each)
        if each.is_repeated:
            getattr(message, each.name).append(value)
        else:
            setattr(message, each.name, value)

    def _value(self, each: FieldDescriptor) -> Any:
        kind = each.cpp_type
        if kind == FieldDescriptor.CPPTYPE_STRING:
            text = self.chance.choice(TEXTS)
            return text if each.type == FieldDescriptor.TYPE_STRING else text.encode()
        if kind == FieldDescriptor.CPPTYPE_ENUM:
            return self.chance.choice((0, 1, 2, 99, -1, 2**31 - 1))
        if kind == FieldDescriptor.CPPTYPE_BOOL:
            return self.chance.random() < 0.5
        if kind in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
            return self.chance.choice(BROKEN)
        numbers = WHOLE if kind in _SMALL else LARGE
        value = self.chance.choice(numbers)
        return abs(value) if kind in _UNSIGNED else value


_UNSIGNED: Final = frozenset({FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64})
_SMALL: Final = frozenset({FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32})


def path_of(method: MethodDescriptor) -> str:
    """Return the path by which gRPC knows a method."""
    return f"/{method.containing_service.full_name}/{method.name}"


def _key(number: int, wire_type: int) -> bytes:
    value, out = number << 3 | wire_type, b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


@dataclass
class Heard:
    """What the pods answered."""

    codes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    ours: list[str] = field(default_factory=list)
    """Answers that blame the pod itself."""
    obeyed: int = 0
    """Commands that were answered with OK."""
    seconds: list[float] = field(default_factory=list)
    """How long refusals took."""


async def ask_all(targets: Sequence[str], corpus: Corpus, count: int, heard: Heard) -> None:
    """Ask the pods in turn, some questions at a time."""
    clients = [Client(target) for target in targets]
    everywhere = range(len(clients))
    served: dict[str, list[int]] = {}

    async def look() -> None:
        for path in map(path_of, corpus.methods):
            codes = [await _ask(client.channel, path, b"") for client in clients]
            served[path] = [n for n, code in enumerate(codes) if code != "UNIMPLEMENTED"]

    async def worker(questions: Iterator[tuple[str, str, bytes]]) -> None:
        for kind, path, data in questions:
            client = clients[corpus.chance.choice(served.get(path) or everywhere)]
            begun = time.perf_counter()
            code = await _ask(client.channel, path, data)
            heard.codes[code] += 1
            heard.kinds[kind] += 1
            if code in OURS:
                heard.ours.append(f"{code} to {kind} of {path}")
            if code != "OK":
                heard.seconds.append(time.perf_counter() - begun)
            elif COMMANDS in path:
                heard.obeyed += 1

    try:
        for client in clients:
            await client.__aenter__()
        await look()
        questions = corpus.questions(count, served)
        await asyncio.gather(*(worker(questions) for _ in range(AT_A_TIME)))
    finally:
        for client in clients:
            await client.__aexit__(None, None, None)


async def _ask(channel: grpc.aio.Channel, path: str, data: bytes) -> str:
    call: Any = channel.unary_unary(path)
    try:
        await call(data, timeout=CALL_SECONDS)
    except grpc.aio.AioRpcError as error:
        return str(error.code().name)
    return "OK"


def tell(outcome: Result, heard: Heard, count: int) -> None:
    """Count what was heard, and demand what must hold."""
    outcome.counts |= {
        "questions": sum(heard.codes.values()),
        "kinds": len(heard.kinds),
        "codes": ", ".join(f"{name} {n}" for name, n in sorted(heard.codes.items())),
        "commands obeyed": heard.obeyed,
        "faults of the pods": len(heard.ours),
        "refusal ms p99": quantile(heard.seconds, 0.99) * 1e3,
    }
    outcome.demand("not every question was answered", sum(heard.codes.values()) == count)
    outcome.demand(f"a pod blamed itself: {heard.ours[:3]}", not heard.ours)
    outcome.demand("a command without its parts was obeyed", heard.obeyed == 0)


def questions(outcome: Result, folder: Path, *, short: bool, seed: int) -> None:
    """Ask everything of the pods of a session at full speed."""
    count = COUNT // 10 if short else COUNT
    outcome.pass_figure = (
        f"{COUNT} questions: each answered as the caller's fault, 0 effects, no pod stops"
    )
    corpus, heard = Corpus(random.Random(seed)), Heard()
    scene = Scene(folder, DAYS)
    went_on: list[int] = []

    async def script(it: Scene) -> None:
        await it.runs(100)
        live = it.supervisor.live
        targets = [(live.pod(name) / ADDRESS).read_text("ascii").strip() for name in PODS]
        await ask_all(targets, corpus, count, heard)
        began = it.number("trade")
        await it.runs(50)
        went_on.append(it.number("trade") - began)

    told: list[Fact] = [fact for _, fact in scene.play(script)]
    tell(outcome, heard, count)
    stops = sum(n for (_, code), n in scene.supervisor.codes.items() if code not in {0, -15})
    rulings = sum(isinstance(fact, KillRuling | KillSwitch) for fact in told)
    outcome.counts |= {"rulings": rulings, "pod stops": stops, "turns after it": sum(went_on)}
    outcome.demand("a question had an effect", rulings == 0)
    outcome.demand("a pod stopped", stops == 0)
    outcome.demand("the session did not go on", sum(went_on) > 0)
