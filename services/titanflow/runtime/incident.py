"""What is wrong with the pods? Incidents, drawn from heartbeats and a clock, each with its end.

`Watch` is a state machine that neither reads a clock nor sends anything: it is told of each beat
and of the time, and says what began and what is over. It also says when trading must be stopped for
good, which is the one thing that follows from an incident. Who cannot hear judges nobody: time in
which the watcher was deaf, or stood still, is held against no pod.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from typing import Final

import msgspec

from titanflow.adapters.bus.streams import Topology
from titanflow.adapters.rpc.ports import Incident, IncidentKind, PodState
from titanflow.runtime.beat import Beat
from titanflow.runtime.lease import LEASE_SECONDS
from titanflow.runtime.watchman import SILENT_NS

SECOND_NS: Final = 1_000_000_000
LEASE_NS: Final = int(LEASE_SECONDS * SECOND_NS)
FREEZE_NS: Final = 5 * SECOND_NS
"""Without a renewal for so long the arena's switch is engaged. Five seconds, because governance
that is started again is back within about two; a shorter pause is no reason to call two people, and
nothing passes meanwhile anyhow."""
START_NS: Final = 30 * SECOND_NS
"""Patience with a pod that this watcher has never heard, or that has said that it ends: a start on
a busy machine takes some seconds, and nothing trades before it has heard governance once."""
DEAF_NS: Final = LEASE_NS
"""Without any beat for so long, or without being told the time, the watcher is deaf: it hears its
own four beats a second over the server too."""
STUCK_NS: Final = 10 * SECOND_NS
"""Twice what the slowest turn may take before its input is delivered again (`ack_wait`)."""
RESTARTS_MANY: Final = 3
RESTARTS_NS: Final = 60 * SECOND_NS
"""Three starts within a minute: one is a fault, two may be the same one."""
AHEAD_NS: Final = SECOND_NS
"""Clocks of machines that keep time at all are within a tenth of this."""
HISTORY_MAX: Final = 256
"""Incidents remembered after their end; the log has all of them."""
SHOWN_MAX: Final = 32
"""Incidents of the past in one answer."""


class Moment(msgspec.Struct, frozen=True):
    """An instant on two clocks, ns: ages are taken on the monotonic one, and told on the other."""

    monotonic: int
    utc: int


class _Known(msgspec.Struct):
    """What is known of one pod. Instants are monotonic."""

    starts: deque[int]
    """When each start after the first that was heard of was heard of."""
    heard: int | None = None
    beat: Beat | None = None
    moved: int = 0
    """When it last moved, or had nothing to do."""
    ahead_ns: int = 0

    @property
    def is_leaving(self) -> bool:
        """Say whether it has said that it ends."""
        return self.beat is not None and self.beat.state == PodState.DRAINING


class Watch:
    """The incidents of one topology as the pod *own* sees them, from the moment *began*.

    *has_frozen* says that the switch was engaged for an outage that nobody has seen end.
    """

    def __init__(
        self, topology: Topology, own: str, began: Moment, *, has_frozen: bool = False
    ) -> None:
        self.begun: Counter[IncidentKind] = Counter()
        """How many of each kind have begun."""
        self.past: deque[Incident] = deque(maxlen=HISTORY_MAX)
        self.has_frozen = has_frozen
        """Whether the switch was engaged for the outage that goes on."""
        self._own, self._began = own, began.monotonic
        self._pods = {
            pod.name: _Known(deque(maxlen=RESTARTS_MANY))
            for pod in topology.pods
            if pod.name != own
        }
        self._governance = tuple(
            pod.name for pod in topology.pods if pod.role == "governance" and topology.leases
        )
        """Who renews the lease; nobody where there is none."""
        self._open: dict[tuple[IncidentKind, str], Incident] = {}
        self._told = self._heard = self._listening = began.monotonic
        """When the time was told last; when anybody was heard last; since when nothing is missed
        for want of hearing."""

    @property
    def open(self) -> tuple[Incident, ...]:
        """Give what is wrong now, in the order in which it began."""
        return tuple(self._open.values())

    @property
    def shown(self) -> tuple[Incident, ...]:
        """Give what is wrong now, then what was lately, the latest first."""
        return (*self.open, *tuple(reversed(self.past))[:SHOWN_MAX])

    @property
    def is_deaf(self) -> bool:
        """Say whether nobody can be judged now."""
        return (IncidentKind.DEAF, self._own) in self._open

    @property
    def is_stale(self) -> bool:
        """Say whether the lease counts as not renewed."""
        return any(kind is IncidentKind.LEASE_STALE for kind, _ in self._open)

    def lease_age_ns(self, monotonic: int) -> int:
        """Return how long ago the lease was renewed, time of deafness left out."""
        return max((self._age(self._pods[n], monotonic) for n in self._governance), default=0)

    def hear(self, pod: str, beat: Beat, now: Moment) -> None:
        """Take a heartbeat that came on the subject of *pod*; of strangers none is taken."""
        if pod == self._own:
            self._heard = now.monotonic
            return
        known = self._pods.get(pod)
        if known is None:
            return
        self._heard = known.heard = now.monotonic
        former, known.beat = known.beat, beat
        if former is not None:
            later = min(max(0, beat.starts - former.starts), RESTARTS_MANY)
            known.starts.extend([now.monotonic] * later)
        if former is None or not _stands(former, beat):
            known.moved = now.monotonic
        known.ahead_ns = beat.said_at - now.utc if beat.said_at else 0
        if pod in self._governance:
            self.has_frozen = False

    def look(self, now: Moment) -> tuple[Incident, ...]:
        """Take the time; return the incidents that begin now, and those that are over."""
        late, self._told = now.monotonic - self._told, now.monotonic
        silent_ns = now.monotonic - self._heard
        deaf = max(late, silent_ns) > DEAF_NS
        found: dict[tuple[IncidentKind, str], str]
        if deaf:
            self._listening = now.monotonic
            found = {key: each.text for key, each in self._open.items()}
            found[IncidentKind.DEAF, self._own] = (
                f"hears nobody for {silent_ns / 1e9:.1f} s"
                if silent_ns > DEAF_NS
                else f"stood still for {late / 1e9:.1f} s"
            )
        else:
            found = dict(self._judge(now.monotonic))
        return self._change(found, now.utc)

    def must_freeze(self, monotonic: int) -> bool:
        """Say whether the arena's switch is to be engaged; `has_frozen` says that it is done."""
        if self.has_frozen or self.is_deaf:
            return False
        return any(
            self._age(self._pods[name], monotonic)
            > (START_NS if self._pods[name].heard is None else FREEZE_NS)
            for name in self._governance
        )

    def _judge(self, now: int) -> Iterator[tuple[tuple[IncidentKind, str], str]]:
        """Give what is wrong now."""
        for name, known in self._pods.items():
            age = self._age(known, now)
            if known.heard is None:
                if age > START_NS:
                    yield (IncidentKind.SILENT, name), "no heartbeat since we watch"
            elif age > (START_NS if known.is_leaving else SILENT_NS):
                yield (IncidentKind.SILENT, name), f"no heartbeat for {age / 1e9:.1f} s"
            if name in self._governance and age > (START_NS if known.heard is None else LEASE_NS):
                text = f"the lease was not renewed for {age / 1e9:.1f} s: nothing passes"
                yield (IncidentKind.LEASE_STALE, name), text
            yield from self._judge_words(name, known, now)

    def _judge_words(
        self, name: str, known: _Known, now: int
    ) -> Iterator[tuple[tuple[IncidentKind, str], str]]:
        """Give what is wrong by what a pod says of itself."""
        lately = sum(now - start <= RESTARTS_NS for start in known.starts)
        if lately >= RESTARTS_MANY:
            text = f"{lately} starts within {RESTARTS_NS // SECOND_NS} s"
            yield (IncidentKind.RESTARTING, name), text
        beat = known.beat
        if beat is None:
            return
        stood = now - max(known.moved, self._listening)
        if stood > STUCK_NS and _is_busy(beat):
            text = (
                f"stands at turn {beat.number} for {stood / 1e9:.0f} s, "
                f"with {beat.lag_count} messages to read"
            )
            yield (IncidentKind.STUCK, name), text
        # It ends at half of what began it, so that a clock at the limit is one incident.
        key = IncidentKind.CLOCK_AHEAD, name
        if known.ahead_ns > (AHEAD_NS // 2 if key in self._open else AHEAD_NS):
            yield key, f"its clock is {known.ahead_ns / 1e9:.1f} s ahead of ours"

    def _age(self, known: _Known, now: int) -> int:
        """Return for how long a pod has said nothing that we could have heard."""
        heard = self._began if known.heard is None else known.heard
        return now - max(heard, self._listening)

    def _change(self, found: dict[tuple[IncidentKind, str], str], utc: int) -> tuple[Incident, ...]:
        """Make *found* what is open; return what that changes, ends first."""
        changed: list[Incident] = []
        for key in [key for key in self._open if key not in found]:
            over = msgspec.structs.replace(self._open.pop(key), ended_at=utc)
            self.past.append(over)
            changed.append(over)
        for key, text in found.items():
            if key not in self._open:
                kind, pod = key
                self._open[key] = Incident(kind, pod, utc, 0, text)
                self.begun[kind] += 1
                changed.append(self._open[key])
        return tuple(changed)


def _is_busy(beat: Beat) -> bool:
    return beat.state == PodState.RUNNING and beat.lag_count > 0


def _stands(former: Beat, beat: Beat) -> bool:
    """Say whether a pod had something to read with both beats, and did not move between them."""
    return (
        _is_busy(former)
        and _is_busy(beat)
        and (former.started_at, former.number, former.watermark)
        == (beat.started_at, beat.number, beat.watermark)
    )
