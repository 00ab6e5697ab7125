"""How does a session of pods get its journal? One pod reads every stream and writes them as one.

The streams are the record while the session runs; the journal is the record that stays. It can be
written again from the streams at any time, so it needs no sync of its own: what a crash tears off
is read again.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec

from titanflow.adapters.bus.client import Bus
from titanflow.adapters.bus.reading import BULK
from titanflow.adapters.bus.streams import Pod, Topology, consumers
from titanflow.adapters.codec import InputRef
from titanflow.core.facts import Fact, Standing
from titanflow.runtime.door import Door
from titanflow.runtime.journal import Head, TornTail, TurnRecord, Writer, resume
from titanflow.runtime.pod import reached
from titanflow.runtime.scribe import Scribe
from titanflow.runtime.session import Card, Session, standing_row
from titanflow.runtime.shard import END, GATEWAY

FLUSH_SECONDS: Final = 0.2


class Chronicle:
    """Writes the journal of one session, from its streams."""

    def __init__(
        self, bus: Bus, topology: Topology, pod: Pod, session: Session, head: Head
    ) -> None:
        self.digest = ""
        self.turns = 0
        self.facts: Counter[str] = Counter()
        self.events = 0
        self.standings: tuple[Standing, ...] = ()
        self._bus, self._session, self._door = bus, session, Door(topology, bus.counters)
        self._streams = [
            each.stream
            for each in consumers(topology)
            if each.user == pod.name and each.name == f"{pod.name}-journal"
        ]
        self._consumer = f"{pod.name}-journal"
        self._waiting = {each.name for each in topology.pods if each.stages}
        """Pods whose last turn is not written yet."""
        self._end: tuple[str, int] | None = None
        self._closed = asyncio.Event()
        self._scribe = Scribe(self._write)
        self._after = dict.fromkeys(self._streams, 0)
        self._writer, turns = _open(session.journal, head)
        for record in turns:
            self._scribe.skip_to(record.stream, record.sequence)
            self._after[record.stream] = record.sequence
            self._note(record)

    async def run(self) -> str:
        """Write until every pod has said its last turn; return the digest.

        Raises: BusError and its kinds; AdapterError when the disk is full.
        """
        tasks = [asyncio.create_task(self._read(stream)) for stream in self._streams]
        tasks.append(asyncio.create_task(self._flush()))
        closed = asyncio.create_task(self._closed.wait())
        if not self._waiting:
            self._closed.set()
        try:
            done, _ = await asyncio.wait((closed, *tasks), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            self.digest = self._writer.close()
            reached("closed")
            self._finish_card()
        finally:
            for task in (closed, *tasks):
                task.cancel()
            await asyncio.gather(closed, *tasks, return_exceptions=True)
            self._writer.abandon()
        return self.digest

    async def _read(self, stream: str) -> None:
        after = self._after[stream]
        reader = self._bus.consume(stream, self._consumer, after=after, ack_every=BULK)
        async for message in reader:
            self._scribe.take(InputRef(message.stream, message.sequence), self._door.read(message))
            reached("written")
            await message.ack()

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self._writer.flush()

    def _write(self, record: TurnRecord, facts: tuple[Fact, ...]) -> None:
        self._writer.turn(record, facts)
        for fact in facts:
            self.facts[type(fact).__name__] += 1
        if record.pod == GATEWAY:
            self.events += len(facts)
        found = tuple(fact for fact in facts if isinstance(fact, Standing))
        self.standings = found or self.standings
        self._note(record)

    def _note(self, record: TurnRecord) -> None:
        """See who has ended."""
        self.turns += 1
        if record.pod == GATEWAY and record.watermark == END:
            self._end = (record.stream, record.sequence)
        elif self._end in record.inputs:
            self._waiting.discard(record.pod)
            if not self._waiting:
                self._closed.set()

    def _finish_card(self) -> None:
        card = self._session.card()
        began = dt.datetime.fromisoformat(card.created)
        self._session.write_card(
            msgspec.structs.replace(
                card,
                status="Completed",
                digest=self.digest,
                events=self.events,
                facts=dict(sorted(self.facts.items())),
                seconds=round((dt.datetime.now(dt.UTC) - began).total_seconds(), 3),
                standings=tuple(standing_row(each) for each in self.standings),
            )
        )


def _open(path: Path, head: Head) -> tuple[Writer, list[TurnRecord]]:
    """Return the writer of a journal that goes on, or begins; and the turns in it."""
    if path.exists():
        try:
            return resume(path)
        except TornTail:
            path.unlink()  # not even its head was whole
    return Writer(path, head), []


def new_card(session: Session, arena: str, folder: str) -> Card:
    """Return the card of a session that begins now."""
    created = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return Card(session.name, arena, created, folder, "Running")
