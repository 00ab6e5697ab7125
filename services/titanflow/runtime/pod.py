"""How does a shard live on the bus? Take, apply, publish one turn, acknowledge; and again.

Start and recovery are one path: load the snapshot if there is a sound one, take again the inputs
that the pod's own later turns name, in their order, compare what comes out with what was published,
and go on from there. A turn is published with the pod's last sequence as its fence, so of two
copies of a pod the second is stopped before its first effect.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final, Protocol

import msgspec

from titanflow.adapters.bus.client import Bus
from titanflow.adapters.bus.reading import Inbox, Message, Reader
from titanflow.adapters.bus.streams import (
    Topology,
    consumers,
    output_subject,
    stream_name,
    subject,
)
from titanflow.adapters.codec import InputRef, Turn, encode_turn
from titanflow.adapters.rpc.trace import CURRENT
from titanflow.core.arena import RECOMPUTED
from titanflow.core.base.errors import InvariantError
from titanflow.core.facts import Answer, Ask, Fact, Lapse, Standing
from titanflow.runtime.door import REFUSED, Door
from titanflow.runtime.lease import Lease
from titanflow.runtime.pace import is_ahead, missing
from titanflow.runtime.place import replace
from titanflow.runtime.shard import GATEWAY, TRADING, Shard
from titanflow.runtime.timing import Beside, Lag, Timing

SNAPSHOT_TURNS: Final = 2048
"""Turns between two snapshots: what must be taken again after a crash, about a second's work."""

Predict = Callable[[Sequence[Ask]], Awaitable[Sequence[Answer]]]
_crash: Final = os.environ.get("TITANFLOW_CRASH", "").split(":")
"""For drills: `<point>:<n>` kills the process when it reaches a point for the nth time."""
_reached: Final[list[str]] = []


def reached(point: str) -> None:
    """Note that the process has come to a point at which a drill may want it to die."""
    if point == _crash[0]:
        _reached.append(point)
        if len(_reached) == int(_crash[1]):
            os.kill(os.getpid(), signal.SIGKILL)


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """A pod's state between two inputs, and where it stands in each stream."""

    last: int
    """Sequence of its last turn."""
    positions: dict[str, int]
    seen: dict[str, int]
    """The last sequence heard of each pod."""
    shard: bytes


def write_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Write a snapshot with its digest, whole or not at all."""
    body = msgspec.msgpack.encode(snapshot)
    replace(path, blake2b(body, digest_size=32).digest() + body)


def read_snapshot(path: Path) -> Snapshot | None:
    """Return the snapshot in a file; None if there is none that is sound.

    A damaged one is put aside, so that it is neither believed nor lost.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, body = content[:32], content[32:]
    if blake2b(body, digest_size=32).digest() == digest:
        with contextlib.suppress(msgspec.DecodeError):
            return msgspec.msgpack.decode(body, type=Snapshot)
    path.replace(path.with_suffix(".damaged"))
    return None


class Watch(Protocol):
    """Who shows to others what a pod's stages hold, between two turns."""

    def begin(self) -> None:
        """Take note that an input is in hand: the stages are not to be read."""
        ...

    def hear(self, said: Iterable[Fact]) -> None:
        """Take the facts of an input that is done, and of its turn that is in the record."""
        ...

    def finish(self, standings: Sequence[Standing]) -> None:
        """Take note that the session has ended, and how."""
        ...


class Host:
    """Runs one shard on one bus."""

    def __init__(
        self,
        bus: Bus,
        topology: Topology,
        shard: Shard,
        snapshots: Path,
        predict: Predict | None = None,
        lease: Lease | None = None,
        watch: Watch | None = None,
        waits_for: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Take the parts; *waits_for* hears in words what is waited for, "" for nothing."""
        self.shard, self.pod = shard, shard.pod
        self.timing = Timing(self.pod.stages)
        self.last = 0
        self.lags: dict[str, Lag] = {}
        """How far behind each stream it was with its last message."""
        self._watch, self._waits_for = watch, waits_for
        self._delivered: list[Fact] = []
        if watch is not None:
            shard.listener = self._delivered.append
        self.stopping = asyncio.Event()
        self._bus, self._topology, self._predict, self._lease = bus, topology, predict, lease
        self._door = Door(topology, bus.counters)
        self._stream = stream_name(topology.arena, self.pod.output)
        self._subject = output_subject(topology, self.pod)
        self._own = stream_name(topology.arena, "OWN")
        copies = bool(TRADING & set(self.pod.stages))
        self._apart = frozenset(topology.apart) if copies else frozenset[str]()
        self._snapshots = snapshots
        self._positions: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        self._readers: dict[str, Reader] = {}
        self._since_snapshot = 0

    async def run(self) -> None:
        """Recover, then take inputs until the session ends or `stopping` is set.

        Raises: BusError and its kinds, InvariantError: the process ends, and starts again by the
        same path.
        """
        self._waits_for("its own turns: it takes them again")
        await self._recover()
        if self._watch is not None and self.shard.number:
            self._watch.hear(())
        if self._lease is not None:
            self._waits_for("the lease of governance")
            await self._lease.first()
        self._waits_for("")
        stop = asyncio.create_task(self.stopping.wait())
        lapse = asyncio.create_task(self._next_lapse())
        inbox = Inbox(self._readers.values())
        inbox.stir_after(stop)
        inbox.stir_after(lapse)
        parked: deque[tuple[Message, Turn]] = deque()
        try:
            while not self.shard.ended and not stop.done():
                if lapse.done():
                    await self._notice(stale=lapse.result())
                    lapse = asyncio.create_task(self._next_lapse())
                    inbox.stir_after(lapse)
                message = inbox.pop()
                if message is None:
                    await inbox.stirred()
                    continue
                turn = self._door.read(message)
                if self._must_wait(message, turn) or (
                    parked and parked[0][0].stream == message.stream
                ):
                    parked.append((message, turn))
                else:
                    await self._take(message, turn)
                while parked and not self._must_wait(*parked[0]):
                    await self._take(*parked.popleft())
        finally:
            for task in (stop, lapse):
                task.cancel()
            await inbox.close()
            await asyncio.gather(stop, lapse, return_exceptions=True)
        self.snapshot()

    @property
    def at(self) -> int:
        """Give the event time of the last input."""
        return self.shard.at

    def snapshot(self) -> None:
        """Write down where the pod is; only between two inputs."""
        body = Snapshot(self.last, dict(self._positions), dict(self._seen), self.shard.dump())
        write_snapshot(self._snapshots, body)
        self._since_snapshot = 0

    def _must_wait(self, message: Message, turn: Turn) -> bool:
        """Say whether a market message is ahead of what this pod has heard of others."""
        if turn.pod != GATEWAY:
            return False
        if is_ahead(turn, message.sequence, self._topology, self.shard):
            return True
        return bool(missing(turn.inputs, self._topology, self.pod, self._seen))

    async def _take(self, message: Message, turn: Turn) -> None:
        """Take one input whole."""
        started = time.perf_counter_ns()
        self.lags[message.stream] = Lag(message.pending, message.stored_at)
        beside = Beside.after(message.headers, is_market=turn.pod == GATEWAY)
        CURRENT.set(beside.trace)
        if self._watch is not None:
            self._watch.begin()
        reached("heard")
        said = await self._apply(message, turn)
        reached("applied")
        applied = time.perf_counter_ns()
        self.timing.applied.add(applied - started)
        if said is not None:
            await self._publish(said, beside)
            self.timing.published.add(time.perf_counter_ns() - applied)
            self.timing.said(said.facts, beside.began)
            reached("published")
        self._tell(said)
        await message.ack()
        reached("acknowledged")

    async def _apply(self, message: Message, turn: Turn) -> Turn | None:
        self.shard.take(turn, self._source(message, turn))
        while self.shard.asks:
            if self._predict is None:
                raise InvariantError("a contender asks, and nothing here can answer")
            self.shard.answer(await self._predict(list(self.shard.asks)))
        return self._finish(message, turn)

    def _finish(self, message: Message, turn: Turn) -> Turn | None:
        """Close an input and note where the pod is now."""
        said = self.shard.finish()
        self._positions[message.stream] = message.sequence
        self._seen[turn.pod] = self._source(message, turn).sequence
        return said

    def _tell(self, said: Turn | None) -> None:
        """Let whoever watches hear a turn that is in the record."""
        if self._watch is None:
            return
        facts = said.facts if said is not None else ()
        self._watch.hear((*self._delivered, *facts))
        self._delivered.clear()
        if self.shard.ended:
            self._watch.finish([fact for fact in facts if isinstance(fact, Standing)])

    def _source(self, message: Message, turn: Turn) -> InputRef:
        """Return where an input stands in the record; a copy says what it is a copy of."""
        if message.stream == self._own:
            return turn.inputs[0]
        return InputRef(message.stream, message.sequence)

    async def _next_lapse(self) -> bool:
        """Wait until the lease goes stale, or is fresh again."""
        if self._lease is None:
            await asyncio.Event().wait()
            raise AssertionError
        return await self._lease.change()

    async def _notice(self, *, stale: bool) -> None:
        if self._watch is not None:
            self._watch.begin()
        said = self.shard.local(self.shard.lapse(self.at, stale=stale))
        await self._publish(said, Beside.after({}, is_market=False))
        self._tell(said)

    async def _publish(self, said: Turn, beside: Beside) -> None:
        name = f"{self.pod.name}/{said.number}"
        published = await self._bus.publish_turn(
            self._stream,
            self._subject,
            encode_turn(said),
            name,
            self.last,
            beside=beside.headers(said.facts),
        )
        self.last = published.sequence
        if self._apart:
            await self._copy(said, published.sequence, beside)
        self._since_snapshot += 1
        if self._since_snapshot >= SNAPSHOT_TURNS:
            self.snapshot()

    async def _copy(self, said: Turn, sequence: int, beside: Beside) -> None:
        """Copy each contender's own facts to where it may read them; repeating it does nothing.

        In lock step an empty copy goes out too: who waits for this turn must hear that it was.
        """
        facts: dict[str, list[Fact]] = {name: [] for name in sorted(self._apart)}
        for fact in said.facts:
            name = getattr(fact, "contender", "")
            if name in self._apart and type(fact) not in RECOMPUTED:
                facts[name].append(fact)
        source = (InputRef(self._stream, sequence),)
        headers = beside.headers(())
        await asyncio.gather(
            *(
                self._bus.publish(
                    subject(self._topology.arena, "own", name),
                    encode_turn(
                        Turn(said.pod, said.number, said.at, source, tuple(own), said.watermark)
                    ),
                    f"{said.pod}/{said.number}/{name}",
                    beside=headers,
                )
                for name, own in facts.items()
                if own or self._topology.lock_step
            )
        )

    # Start and recovery.

    async def _recover(self) -> None:
        """Bring the shard to where its own last turn left it."""
        kept = read_snapshot(self._snapshots)
        if kept is not None:
            self.shard.load(kept.shard)
            self.last, self._positions, self._seen = kept.last, kept.positions, kept.seen
        for each in consumers(self._topology):
            if each.name == self.pod.name:
                after = self._positions.get(each.stream, 0)
                self._readers[each.stream] = self._bus.consume(each.stream, each.name, after=after)
        stored = await self._bus.last(self._stream, self._subject)
        if stored is None or stored.sequence <= self.last:
            return
        own = self._bus.consume(self._stream, f"{self.pod.name}-turns", after=self.last)
        async for message in own:
            turn = self._door.read(message)
            if turn.number == REFUSED:
                self.last = message.sequence
            else:
                await self._again(message, turn)
            await message.ack()
            if message.sequence >= stored.sequence:
                break
        await own.close()

    async def _again(self, published: Message, former: Turn) -> None:
        """Take the inputs of one published turn again, and compare what comes out."""
        answers = [fact for fact in former.facts if isinstance(fact, Answer)]
        quiet = self.shard.quiet
        said: Turn | None = None
        for ref in former.inputs:
            if ref in quiet:
                continue  # the snapshot holds it already
            stream = ref.stream if ref.stream in self._readers else self._own
            message = await anext(self._readers[stream])
            turn = self._door.read(message)
            found = self._source(message, turn)
            if found != ref:
                raise InvariantError(
                    f"{self.pod.name}: turn {former.number} names message {ref.sequence} of "
                    f"{ref.stream}, and message {found.sequence} of {found.stream} is next"
                )
            self.shard.take(turn, ref)
            while self.shard.asks:
                count = len(self.shard.asks)
                self.shard.answer(answers[:count])
                answers = answers[count:]
            said = self._finish(message, turn)
            await message.ack()
        if said is None and former.facts and isinstance(former.facts[0], Lapse):
            said = self.shard.local(former.facts[0])
        # Encoded anew: another version may have said fields that this one does not know.
        if said is None or encode_turn(said) != encode_turn(former):
            raise InvariantError(
                f"{self.pod.name}: turn {former.number} comes out otherwise than it was published"
            )
        self.last = published.sequence
        self._tell(said)
        if self._apart:
            beside = Beside.after(published.headers, is_market=False)
            await self._copy(said, published.sequence, beside)
