"""How does a market get onto the bus? Instant by instant, at a pace, each time one message.

At a speed the gateway publishes by the clock. In lock step (speed 0) it publishes an instant, waits
until the trading side has settled, says so by a watermark (at which the contenders decide), waits
until their decisions have settled too, and goes on. Its own stream says where it was when it starts
again; the tape is read anew and what was published is not published twice.
While it is paused no new instant begins; what has begun comes to its end, and at a speed the clock
stands still meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from titanflow.adapters.bus.client import Bus
from titanflow.adapters.bus.reading import BULK, Message
from titanflow.adapters.bus.streams import Topology, consumers, output_subject, stream_name
from titanflow.adapters.codec import InputRef, Turn, decode_turn, encode_turn
from titanflow.adapters.rpc.trace import new_trace
from titanflow.core.base.errors import InvariantError
from titanflow.core.facts import Fact
from titanflow.runtime.door import Door
from titanflow.runtime.pace import Pacer
from titanflow.runtime.plan import Plan
from titanflow.runtime.pod import reached
from titanflow.runtime.scribe import Causal
from titanflow.runtime.shard import END, FLUSH, GATEWAY
from titanflow.runtime.timing import Beside

FLUSHES_MAX: Final = 1000
"""Rounds of a free run's end; a chain of consequences has a few links."""


def instants(events: Iterable[Fact]) -> Iterator[list[Fact]]:
    """Give events in groups of one time."""
    group: list[Fact] = []
    for fact in events:
        if group and fact.at != group[-1].at:
            yield group
            group = []
        group.append(fact)
    if group:
        yield group


class Gateway:
    """Publishes one plan's market events; the only writer of the market stream."""

    def __init__(self, bus: Bus, topology: Topology, plan: Plan, speed: float) -> None:
        self._bus, self._topology, self._plan, self._speed = bus, topology, plan, speed
        pod = next(pod for pod in topology.pods if pod.role == "gateway")
        self._stream = stream_name(topology.arena, pod.output)
        self._subject = output_subject(topology, pod)
        self._pod = pod
        self._door = Door(topology, bus.counters)
        self.stopping = asyncio.Event()
        self.resumed = asyncio.Event()
        self.resumed.set()
        self._begin()

    def _begin(self) -> None:
        """Know nothing: the stream says what was published."""
        self.at = self.watermark = 0
        self.number = 0
        self.published = 0
        """Events published."""
        self.pacer = Pacer(self._topology)
        self._causal = Causal(self._take_note, {self._stream, *self._reads()})
        """What was said of a market event that is not in the stream waits until it is: it was
        published by a former life, and the server lost it."""
        self._last = 0
        self._instants = 0
        self._open = False
        """Whether the last turn held events that no watermark has covered yet."""
        self._heard = asyncio.Event()
        self._clock, self._begun = 0.0, 0
        """When the tape began: on the machine's clock, and in event time."""

    @property
    def is_paused(self) -> bool:
        """Say whether no new instant begins."""
        return not self.resumed.is_set()

    def pause(self) -> None:
        """Let no new instant begin."""
        self.resumed.clear()

    def resume(self) -> None:
        """Go on."""
        self.resumed.set()

    async def run(self) -> None:
        """Publish until the tape ends and everybody has said his last turn.

        The server writes the market of a replay late, so with its death some of it may be gone that
        it had acknowledged. Then all is read and heard anew, and said again.

        Raises: BusError and its kinds; InvariantError if the stream holds another tape.
        """
        stop = asyncio.create_task(self.stopping.wait())
        lost = self._bus.rewound
        try:
            while not stop.done():
                life = asyncio.create_task(self._live())
                rewound = asyncio.create_task(lost.wait())
                try:
                    await asyncio.wait((life, rewound, stop), return_when=asyncio.FIRST_COMPLETED)
                    if life.done() and not lost.is_set():
                        life.result()
                        return
                finally:
                    life.cancel()
                    rewound.cancel()
                    await asyncio.gather(life, rewound, return_exceptions=True)
                lost.clear()
                self._begin()
        finally:
            stop.cancel()

    async def _live(self) -> None:
        """Recover and go on to the end."""
        ended = await self._recover()
        hearing = [asyncio.create_task(self._hear(name)) for name in self._reads()]
        work = asyncio.create_task(self._drive(ended=ended))
        try:
            done, _ = await asyncio.wait((work, *hearing), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (work, *hearing):
                task.cancel()
            await asyncio.gather(work, *hearing, return_exceptions=True)

    def _reads(self) -> list[str]:
        return [
            each.stream
            for each in consumers(self._topology)
            if each.name == self._pod.name and each.user == self._pod.name
        ]

    async def _hear(self, stream: str) -> None:
        """Hear the turns of one stream."""
        reader = self._bus.consume(stream, self._pod.name, after=0, ack_every=BULK)
        try:
            async for message in reader:
                self._note(message)
                await message.ack()
        finally:
            await reader.close()

    def _note(self, message: Message) -> None:
        ref = InputRef(message.stream, message.sequence)
        self._causal.take(ref, self._door.read(message))
        self._heard.set()

    def _take_note(self, ref: InputRef, turn: Turn) -> None:
        note = self.pacer.sent if turn.pod == GATEWAY else self.pacer.heard
        note(ref, turn)

    async def _recover(self) -> bool:
        """Read what was published before; say whether that was all."""
        stored = await self._bus.last(self._stream, self._subject)
        if stored is None:
            return False
        own = self._bus.consume(self._stream, f"{self._pod.name}-turns", after=0)
        try:
            async for message in own:
                self._count(decode_turn(message.data), message.sequence)
                await message.ack()
                if message.sequence >= stored.sequence:
                    break
        finally:
            await own.close()
        return self.watermark == END

    def _count(self, turn: Turn, sequence: int) -> None:
        """Note a turn that stands in the stream."""
        self._last, self.number = sequence, turn.number
        self.at, self.watermark = turn.at, turn.watermark
        self.published += len(turn.facts)
        self._instants += bool(turn.facts)
        self._open = turn.watermark < turn.at
        self._causal.take(InputRef(self._stream, sequence), turn)

    async def _drive(self, *, ended: bool) -> None:
        """Say everything that has not been said yet."""
        if not ended:
            await self._tape()
            await self._finish()
        while not self.pacer.has_ended:
            await self._wait()

    async def _tape(self) -> None:
        lock_step = self._topology.lock_step
        if lock_step:
            await self._settled()  # a former life may have died before it had
        if self._open:
            await self._cover()
        self._clock = time.monotonic()
        for place, facts in enumerate(instants(self._plan.with_controls(self._plan.events()))):
            if place < self._instants_before:
                continue
            at = facts[-1].at
            if place == 0:
                facts = [*self._plan.switches(facts[0].at), *facts]
            if lock_step:
                await self.resumed.wait()
                if self._topology.in_one_step:
                    await self._say(at, facts, at)
                    await self._settled()
                else:
                    await self._say(at, facts, self.watermark)
                    await self._cover()
                continue
            await self._due(at)
            await self._say(at, facts, at)
        if not self._instants:
            raise self._plan.nothing_to_do()

    async def _due(self, at: int) -> None:
        """Wait until the instant at event time *at* is due, and while the market is paused."""
        self._begun = self._begun or at
        while True:
            due = self._clock + (at - self._begun) / 1e9 / self._speed
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not self.is_paused:
                return
            since = time.monotonic()
            await self.resumed.wait()
            self._clock += time.monotonic() - since

    @property
    def _instants_before(self) -> int:
        """Give how many instants stand in the stream already."""
        return self._instants

    async def _cover(self) -> None:
        """Wait until the last instant has settled, let everybody decide, and wait again."""
        await self._settled()
        await self._say(self.at, (), self.at)
        await self._settled()

    async def _finish(self) -> None:
        """Ask for all inputs to be named until nothing is owed, then say that this was all."""
        if not self._topology.lock_step:
            for _ in range(FLUSHES_MAX):
                await self._say(self.at, (), FLUSH)
                flush = InputRef(self._stream, self._last)
                while not self.pacer.has_named(flush):
                    await self._wait()
                if self.pacer.is_settled:
                    break
            else:
                raise InvariantError(f"the pods have not settled after {FLUSHES_MAX} rounds")
        await self._say(self.at, (), END)

    async def _say(self, at: int, facts: Sequence[Fact], watermark: int) -> None:
        inputs = () if facts else self.pacer.positions()
        turn = Turn(GATEWAY, self.number + 1, at, inputs, tuple(facts), watermark)
        reached("applied")
        published = await self._bus.publish_turn(
            self._stream,
            self._subject,
            encode_turn(turn),
            f"{GATEWAY}/{turn.number}",
            self._last,
            beside=Beside(new_trace(), 0).headers(()),
        )
        reached("published")
        self._count(turn, published.sequence)

    async def _settled(self) -> None:
        while not self.pacer.is_settled:
            await self._wait()

    async def _wait(self) -> None:
        """Wait for the next turn of anybody."""
        self._heard.clear()
        await self._heard.wait()
