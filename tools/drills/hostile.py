"""F17: what can a contender's own process do to the others, with all that its key lets it publish?

It holds its pod's key, and its pod is not running. First it says thousands of things that are no
turns of its own; nobody may stop, nothing may follow, and the session must end as if it had kept
silent. Then it says turns that are well formed and whose orders are absurd; risk must refuse each.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import google_crc32c
import msgspec

from titanflow.adapters.bus.client import Bus
from titanflow.adapters.bus.errors import BusError, Forbidden
from titanflow.adapters.bus.permissions import HOST
from titanflow.adapters.bus.streams import stream_name, streams, subject
from titanflow.adapters.codec import InputRef, Turn, decode_turn, encode_turn
from titanflow.core.base.errors import WireError
from titanflow.core.base.ident import derive
from titanflow.core.facts import Fact, Intent, Order, Verdict
from titanflow.core.spec.words import IntentAction, OrderType, Origin, Outcome
from titanflow.runtime import nats_server
from titanflow.runtime.door import may_say
from tools.drills.pods import judge_session
from tools.drills.report import Outcome as Result
from tools.drills.stage import Drilled, deadline, drive, home, read_stream, set_up
from tools.drills.world import Faults, play

WHO: Final = "dice"
POD: Final = f"signal-{WHO}"
COUNT: Final = 5_000
LIES: Final = 500
HUGE: Final = 3_000_000
HUGE_COUNT: Final = 20
"""Messages of three megabytes, among the thousands."""
SETTLE_SECONDS: Final = 60.0


# What is said.


class Corpus:
    """Makes hostile messages from honest ones, by seed."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        setting = set_up(folder, 10, "apart")
        world = play(setting.plan, folder / "calm", 0, Faults(kind="apart"))
        turns = [
            decode_turn(each.data)
            for name, stream in world.server.streams.items()
            if not name.endswith("_OWN")
            for each in stream.messages
        ]
        self.chance = chance
        self.pod = next(pod for pod in world.topology.pods if pod.name == POD)
        self.honest = [t for t in turns if t.pod == POD and t.facts]
        self.intents = [f for t in self.honest for f in t.facts if isinstance(f, Intent)]
        others = {type(f): f for t in turns for f in t.facts if not isinstance(f, Intent)}
        self.forbidden: list[Fact] = list(others.values())
        self.kinds: tuple[Callable[[], bytes], ...] = (
            self.noise, self.cut, self.flipped, self.flipped_with_checksum, self.of_another_pod,
            self.forbidden_facts, self.for_another, self.without_inputs, self.as_risk, self.unknown,
        )  # fmt: skip

    def messages(self, count: int) -> Iterator[tuple[str, bytes]]:
        """Give messages that are no turns of this pod, each with what was done to it."""
        for n in range(count):
            make = self.huge if n % (count // HUGE_COUNT) == 0 else self.chance.choice(self.kinds)
            data = make()
            while self.passes(data):  # a flip may leave it a turn
                data = make()
            yield make.__name__, data

    def passes(self, data: bytes) -> bool:
        """Say whether a message is a turn that this pod could say: a flip may leave it one."""
        try:
            return may_say(self.pod, decode_turn(data))
        except WireError:
            return False

    def noise(self) -> bytes:
        """Random bytes."""
        return self.chance.randbytes(self.chance.randrange(1500))

    def huge(self) -> bytes:
        """Three megabytes of nearly a turn."""
        turn = self.one()
        body = encode_turn(turn)[:-6]
        return _sealed(body * (HUGE // len(body)) + b"\x0a\xff\xff\xff\xff\x0f")

    def cut(self) -> bytes:
        """The beginning of a turn."""
        data = encode_turn(self.one())
        return data[: self.chance.randrange(len(data))]

    def flipped(self) -> bytes:
        """A turn with flipped bits."""
        data = bytearray(encode_turn(self.one()))
        for _ in range(self.chance.randint(1, 8)):
            data[self.chance.randrange(len(data))] ^= 1 << self.chance.randrange(8)
        return bytes(data)

    def flipped_with_checksum(self) -> bytes:
        """A turn with flipped bits under a checksum that fits."""
        body = bytearray(encode_turn(self.one())[:-6])
        for _ in range(self.chance.randint(1, 8)):
            body[self.chance.randrange(len(body))] ^= 1 << self.chance.randrange(8)
        return _sealed(bytes(body))

    def of_another_pod(self) -> bytes:
        """A turn in the name of another pod."""
        names = ("gateway", "trade", "governance", "perception", "signal-cross", "", "host", "☃")
        return encode_turn(msgspec.structs.replace(self.one(), pod=self.chance.choice(names)))

    def forbidden_facts(self) -> bytes:
        """A turn with facts that only others may say."""
        facts = (*self.one().facts, self.chance.choice(self.forbidden))
        return encode_turn(msgspec.structs.replace(self.one(), facts=facts))

    def for_another(self) -> bytes:
        """A turn with another contender's intent."""
        intent = msgspec.structs.replace(
            self.chance.choice(self.intents), contender=self.chance.choice(("cross", "", "nobody"))
        )
        return encode_turn(msgspec.structs.replace(self.one(), facts=(intent,)))

    def as_risk(self) -> bytes:
        """A turn with an intent of risk itself, which may close positions of the halted."""
        origin = self.chance.choice([each for each in Origin if each is not Origin.CONTENDER])
        intent = msgspec.structs.replace(self.chance.choice(self.intents), origin=origin)
        return encode_turn(msgspec.structs.replace(self.one(), facts=(intent,)))

    def without_inputs(self) -> bytes:
        """A turn because of nothing."""
        return encode_turn(msgspec.structs.replace(self.one(), inputs=()))

    def unknown(self) -> bytes:
        """A turn with a fact of a kind that nobody knows, deeply nested."""
        inner = b""
        for _ in range(self.chance.randint(1, 60)):
            inner = b"\xfa\x07" + _varint(len(inner)) + inner
        return _sealed(encode_turn(self.one())[:-6] + b"\x2a" + _varint(len(inner)) + inner)

    def one(self) -> Turn:
        """An honest turn."""
        return self.chance.choice(self.honest)

    def lies(self, count: int) -> Iterator[Turn]:
        """Give turns that are well formed, with orders that nobody may pass."""
        numbers = (0, -1, -(2**63), 2**63 - 1, 2**62, 10**12)
        for n in range(1, count + 1):
            intent = msgspec.structs.replace(
                self.chance.choice(self.intents),
                id=derive(self.intents[0].id, b"lie", n),
                action=IntentAction.NEW,
                client_order_id=f"lie{n}",
                order_type=self.chance.choice(list(OrderType)),
            )
            name, value = self.chance.choice(
                [
                    ("quantity_lots", self.chance.choice(numbers)),
                    ("symbol", self.chance.choice(("", "ZZZ", "A" * 300, "\x00", "AAA "))),
                    ("limit_ticks", self.chance.choice(numbers[1:])),
                ]
            )
            if name == "limit_ticks":
                intent = msgspec.structs.replace(intent, order_type=OrderType.LIMIT)
            intent = msgspec.structs.replace(intent, **{name: value})
            inputs = (InputRef(stream_name("main", "MARKET"), 1),)
            yield Turn(POD, n, intent.at, inputs, (intent,), intent.at)


def _sealed(body: bytes) -> bytes:
    """Return a body with the checksum that fits."""
    checksum: int = google_crc32c.value(body)
    return body + b"\xfd\x7f" + checksum.to_bytes(4, "little")


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


# How it is said.


class _Attack:
    """Holds one pod back, says everything with its key, and then does what comes after."""

    def __init__(
        self, supervisor: Drilled, messages: Sequence[bytes], *, tries_others: bool
    ) -> None:
        self.stored = self.forbidden = self.tried = 0
        self.done = asyncio.Event()
        self.error = ""
        self._supervisor, self._messages = supervisor, messages
        self._tries_others = tries_others
        self._task: asyncio.Task[None] | None = None
        supervisor.child(POD).due = float("inf")

    def begin(self) -> None:
        """Begin once the others work."""
        gateway = self._supervisor.states.get("gateway", {})
        if self._task is None and int(str(gateway.get("number", 0))) > 0:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            await self._say()
        except BusError as error:
            self.error = str(error)
        self.done.set()

    async def _say(self) -> None:
        live, arena = self._supervisor.live, self._supervisor.topology.arena
        async with Bus(lambda: nats_server.address(live.nats), POD, live.key(POD)) as bus:
            if self._tries_others:
                await self._try_others(bus)
            mine = subject(arena, "turn", POD)
            for n, data in enumerate(self._messages):
                # The table of ids is the whole stream's: it is filled with those of another pod.
                ident = f"perception/{n}" if n % 3 == 0 else f"hostile/{n}"
                published = await bus.publish(mine, data, ident)
                self.stored += not published.is_duplicate

    async def _try_others(self, bus: Bus) -> None:
        """Try every subject that is not our own."""
        arena = self._supervisor.topology.arena
        names = [each for s in streams(self._supervisor.topology) for each in s.subjects]
        tried = [name.replace("*", WHO) for name in names if POD not in name]
        tried += [f"$JS.API.STREAM.DELETE.{stream_name(arena, 'ORDER')}", f"tf.{arena}.control.x"]
        for name in tried:
            self.tried += 1
            try:
                await bus.publish(name, b"x", f"try/{name}")
            except Forbidden:
                self.forbidden += 1


def hostile(outcome: Result, folder: Path, *, short: bool, seed: int) -> None:
    """Say thousands of things that are no turns, and then turns with absurd orders."""
    outcome.pass_figure = (
        f"{COUNT} messages: 0 effects, no pod stops, 0 lost, 0 drift; every absurd order refused"
    )
    corpus = Corpus(folder / "corpus", random.Random(seed))
    _malformed(outcome, folder / "malformed", corpus, COUNT // 10 if short else COUNT)
    _absurd(outcome, folder / "absurd", corpus, LIES // 5 if short else LIES)


def _malformed(outcome: Result, folder: Path, corpus: Corpus, count: int) -> None:
    setting = set_up(folder, 20, "apart")
    supervisor = Drilled(setting.begin())
    told = list(corpus.messages(count))
    attack = _Attack(supervisor, [data for _, data in told], tries_others=True)
    check = deadline(400)

    def watch() -> None:
        check()
        attack.begin()
        if attack.done.is_set():
            supervisor.child(POD).due = 0.0  # now the honest pod may begin

    drive(setting, supervisor, watch)
    judge_session(outcome, setting, supervisor)
    refusals = {
        name: state["counters"]["refused"]  # type: ignore[index] # a beat's own shape
        for name, state in supervisor.states.items()
        if name in {"trade", "gateway"}
    }
    outcome.counts |= {
        "messages": len(told),
        "kinds": len({name for name, _ in told}),
        "stored": attack.stored,
        "seen as none by trade": int(str(refusals.get("trade", 0))),
        "other subjects tried": attack.tried,
        "of them forbidden": attack.forbidden,
        "pod stops": sum(n for (_, code), n in supervisor.codes.items() if code != 0),
    }
    outcome.demand(f"the attack broke off: {attack.error}", not attack.error)
    outcome.demand("not every message was stored", attack.stored == len(told))
    outcome.demand("somebody stopped", outcome.counts["pod stops"] == 0)
    outcome.demand("a foreign subject was open", attack.forbidden == attack.tried)


def _absurd(outcome: Result, folder: Path, corpus: Corpus, count: int) -> None:
    """Say absurd orders while the market runs; count what risk says."""
    setting = set_up(folder, 400, "apart")
    supervisor = Drilled(setting.begin(speed=86_400.0))
    turns = list(corpus.lies(count))
    attack = _Attack(supervisor, [encode_turn(turn) for turn in turns], tries_others=False)
    told: list[Fact] = []
    reading: list[asyncio.Task[None]] = []
    until = time.monotonic() + SETTLE_SECONDS

    async def read() -> None:
        live = supervisor.live
        async with Bus(lambda: nats_server.address(live.nats), HOST, live.key(HOST)) as bus:
            while _verdicts(told) < len(turns) and time.monotonic() < until:
                told.clear()
                found = await read_stream(bus, stream_name("main", "ORDER"))
                told.extend(f for data, _ in found for f in decode_turn(data).facts)
                await asyncio.sleep(0.2)

    def watch() -> None:
        attack.begin()
        if attack.done.is_set() and not reading:
            reading.append(asyncio.get_running_loop().create_task(read()))
        if (reading and reading[0].done()) or time.monotonic() > until + 30:
            raise KeyboardInterrupt  # a session that waits for a liar has no end

    with home(folder), contextlib.suppress(KeyboardInterrupt):
        supervisor.run(watch)
    verdicts = [f for f in told if isinstance(f, Verdict) and f.contender == WHO]
    reasons = Counter(f.text for f in verdicts)
    outcome.counts |= {
        "absurd orders": len(turns),
        "verdicts": len(verdicts),
        "refused": sum(f.outcome is Outcome.DENY for f in verdicts),
        "orders of it": sum(isinstance(f, Order) and f.contender == WHO for f in told),
        "kinds of refusal": len(reasons),
        "stops": sum(n for (_, code), n in supervisor.codes.items() if code not in {0, -15}),
    }
    outcome.demand("not every absurd order has a verdict", len(verdicts) == len(turns))
    outcome.demand("an absurd order passed", all(f.outcome is Outcome.DENY for f in verdicts))
    outcome.demand("an absurd order came to the venue", outcome.counts["orders of it"] == 0)
    outcome.demand("somebody stopped over an absurd order", outcome.counts["stops"] == 0)


def _verdicts(facts: list[Fact]) -> int:
    return sum(isinstance(fact, Verdict) and fact.contender == WHO for fact in facts)
