"""Who sees that a pod is missing, and stops trading for good when governance is? The sentinel.

It hears every pod's heartbeat, logs what is wrong, and shows it to whoever asks. When governance
renews no lease for longer than a restart takes, it engages the arena's kill switch, once for each
outage, by a turn of its own, which risk takes in like a command of governance. It never releases:
who hears a command holds it to that (`door`), and so does whoever verifies the record.

What it has said it reads again when it starts. A switch with no command of governance behind it
still stands, because only governance can release one; so it is not engaged again before governance
has been heard.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from titanflow.adapters.bus.client import Bus
from titanflow.adapters.bus.streams import Pod, Topology, output_subject, stream_name
from titanflow.adapters.codec import Turn, encode_turn
from titanflow.adapters.rpc.ports import Incident
from titanflow.adapters.rpc.trace import new_trace
from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.base.instant import format_instant
from titanflow.core.facts import KillSwitch
from titanflow.core.spec.words import KillAction, KillScope
from titanflow.runtime.beat import read_beat
from titanflow.runtime.door import REFUSED, SENTINEL, Door
from titanflow.runtime.incident import FREEZE_NS, SECOND_NS, Moment, Watch
from titanflow.runtime.logs import log
from titanflow.runtime.timing import Beside

LOOK_SECONDS: Final = 0.1
"""An incident is seen at most so much later than it begins; a beat comes each quarter second."""
REASON: Final = f"LeaseStale: no lease of governance for {FREEZE_NS // SECOND_NS} s"
ARENA: Final = "Arena"
"""What an engaged switch of the arena is called in answers."""

Clock = Callable[[], Moment]


def moment() -> Moment:
    """Return this instant."""
    return Moment(time.monotonic_ns(), time.time_ns())


class Sentinel:
    """Watches the pods of one topology, and may stop trading."""

    def __init__(self, bus: Bus, topology: Topology, pod: Pod, clock: Clock = moment) -> None:
        self.number = 0
        """Turns said: one for each time that it stopped trading."""
        self.at = 0
        """Latest event time that the gateway or a trading pod told."""
        self.watch: Watch | None = None
        """None until it knows what it has said before."""
        self._bus, self._topology, self._pod, self._clock = bus, topology, pod, clock
        self._stream = stream_name(topology.arena, pod.output)
        self._subject = output_subject(topology, pod)
        self._door = Door(topology, bus.counters)
        self._timed = {
            each.name
            for each in topology.pods
            if each.role == "gateway" or {"gate", "trade"} & set(each.stages)
        }
        """Whose event times are believed: contenders' pods say what they like."""
        self._last = 0

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """Give what is wrong, then what was lately."""
        return self.watch.shown if self.watch is not None else ()

    @property
    def engaged(self) -> tuple[str, ...]:
        """Give the switch that stands by our word, while nobody is there who could release it."""
        return (ARENA,) if self.watch is not None and self.watch.has_frozen else ()

    @property
    def lease_age_seconds(self) -> float:
        """Give how long ago governance renewed the lease."""
        if self.watch is None:
            return 0.0
        return self.watch.lease_age_ns(self._clock().monotonic) / SECOND_NS

    def hear(self, subject: str, data: bytes) -> None:
        """Take one heartbeat; whose it is, its subject says."""
        beat, pod = read_beat(data), subject.rpartition(".")[2]
        if beat is None or self.watch is None:
            return
        self.watch.hear(pod, beat, self._clock())
        if pod in self._timed:
            self.at = max(self.at, beat.at)

    async def run(self, stopping: asyncio.Event, waits_for: Callable[[str], None]) -> None:
        """Watch until *stopping* is set.

        Raises: BusError and its kinds: the process ends, and starts again by the same path.
        """
        waits_for("what it has said before")
        has_frozen = await self._recover()
        self.watch = Watch(self._topology, self._pod.name, self._clock(), has_frozen=has_frozen)
        waits_for("")
        while not stopping.is_set():
            now = self._clock()
            for incident in self.watch.look(now):
                self._tell(incident)
            # Before any event time nothing has traded, and a command needs one.
            if self.at and self.watch.must_freeze(now.monotonic):
                await self._freeze()
                self.watch.has_frozen = True
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await stopping.wait()
            except TimeoutError:
                continue

    def _tell(self, incident: Incident) -> None:
        """Log the begin or the end of an incident."""
        fields = {"incident": incident.kind.value, "about": incident.pod}
        if incident.ended_at:
            seconds = round((incident.ended_at - incident.began_at) / SECOND_NS, 3)
            said = f"{incident.pod}: {incident.kind.value} is over"
            log(self._pod.name, said, "info", **fields, phase="end", seconds=seconds)
        else:
            said = f"{incident.pod}: {incident.kind.value}: {incident.text}"
            log(self._pod.name, said, "warning", **fields, phase="begin")

    async def _freeze(self) -> None:
        """Engage the arena's switch.

        Raises: BusError if that may be done or not; then the process ends, and the next one knows.
        """
        number = self.number + 1
        # A release needs a token that sorts behind, as every later instant does.
        token = f"{format_instant(self.at)}.{SENTINEL}.{number}"
        request = KillSwitch(
            derive(NO_ID, b"freeze:" + token.encode(), 0),
            NO_ID,
            self.at,
            self.at,
            KillScope.ARENA,
            "",
            engaged=True,
            instruments=(),
            action=KillAction.CANCEL_ALL,
            reason=REASON,
            by=SENTINEL,
            reset_token=token,
        )
        turn = Turn(self._pod.name, number, self.at, (), (request,), self.at)
        published = await self._bus.publish_turn(
            self._stream,
            self._subject,
            encode_turn(turn),
            f"{self._pod.name}/{number}",
            self._last,
            beside=Beside(new_trace(), 0).headers(turn.facts),
        )
        self._last, self.number = published.sequence, number
        log(self._pod.name, f"stops the arena: {REASON}", "error", switch=request.id.hex())

    async def _recover(self) -> bool:
        """Read what was commanded; say whether our last switch stands with none behind it."""
        stored = await self._bus.last(self._stream, self._subject)
        if stored is None:
            return False
        self._last, stands = stored.sequence, False
        reader = self._bus.consume(self._stream, self._pod.name, after=0)
        async for message in reader:
            if message.subject != self._subject:
                stands = False  # governance lived after it, and may have released it
            elif (turn := self._door.read(message)).number != REFUSED:
                stands, self.number = True, turn.number
            is_last = message.sequence >= stored.sequence and not message.pending
            await message.ack()
            if is_last:
                break
        await reader.close()
        return stands
