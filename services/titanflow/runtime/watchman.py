"""How is a session? What its pods said of themselves last, and since when they say nothing.

Governance and the sentinel keep one that hears everybody; any other pod has one that knows itself
only. Whose a heartbeat is, its subject says: there the server lets only that pod speak.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from titanflow.adapters.bus.streams import Pod, Topology
from titanflow.adapters.rpc.ports import Incident, PodState, PodView, SessionView, Span
from titanflow.runtime.beat import Beat, read_beat
from titanflow.runtime.timing import LINE

SILENT_NS: Final = 2_000_000_000
"""Without a beat for so long a pod counts as silent: that is eight that miss."""
SERVICES: Final = {
    "perceive": "perception",
    "decide": "signal",
    "gate": "risk",
    "trade": "execution",
    "post": "ledger",
    "score": "ledger",
}
"""What people call the stages."""

Clock = Callable[[], int]


def services_of(pod: Pod) -> tuple[str, ...]:
    """Return the services that a pod hosts, by their names."""
    found = dict.fromkeys(SERVICES[stage] for stage in pod.stages)
    return tuple(found) or (pod.role,)


class Watchman:
    """Hears heartbeats and tells how the session is."""

    def __init__(
        self, session: str, topology: Topology, pods: tuple[Pod, ...], clock: Clock = time.time_ns
    ) -> None:
        self.at = 0
        """Latest event time that any pod told which is not a contender's own."""
        self.epoch: Callable[[], int] = lambda: 0
        self.engaged: Callable[[], tuple[str, ...]] = tuple
        self.lease_until: Callable[[], int] = lambda: 0
        self.incidents: Callable[[], tuple[Incident, ...]] = tuple
        self._strange = {pod.name for pod in topology.pods if pod.contenders}
        self._session, self._topology, self._pods, self._clock = session, topology, pods, clock
        self._heard: dict[str, tuple[int, Beat]] = {}

    def hear(self, subject: str, data: bytes) -> None:
        """Take one heartbeat, if it is that of the pod whose subject it came on."""
        beat = read_beat(data)
        if beat is None or beat.pod != subject.rpartition(".")[2]:
            return
        self._heard[beat.pod] = (self._clock(), beat)
        if beat.pod not in self._strange:
            self.at = max(self.at, beat.at)

    def heard_at(self, pod: str) -> int:
        """Return when a pod was heard last, ns UTC; 0 if it was not."""
        heard = self._heard.get(pod)
        return heard[0] if heard is not None else 0

    def address(self, pod: str) -> str:
        """Return where a pod listens, as it said last; empty if it did not."""
        heard = self._heard.get(pod)
        return heard[1].address if heard is not None else ""

    def session(self) -> SessionView:
        """Return how the session is now; see `ports.Watchman`."""
        return SessionView(
            self._session,
            self._topology.arena,
            self._watermark(),
            self.epoch(),
            self.engaged(),
            self.lease_until(),
            tuple(self._pod(pod) for pod in self._pods),
            self._spans(),
            self.incidents(),
        )

    def _watermark(self) -> int:
        """Return the event time up to which every ledger has posted."""
        posted = [
            self._heard[pod.name][1].watermark if pod.name in self._heard else 0
            for pod in self._topology.hosting("post")
        ]
        return min(posted, default=0)

    def _pod(self, pod: Pod) -> PodView:
        at, beat = self._heard.get(pod.name, (0, Beat(pod.name)))
        state, text = PodState(beat.state), beat.waits_for
        if not at:
            state, text = PodState.STARTING, "its first heartbeat"
        elif self._clock() - at > SILENT_NS:
            state = PodState.SILENT
            text = f"no heartbeat for {(self._clock() - at) / 1e9:.1f} s"
        return PodView(
            pod.name,
            services_of(pod),
            state,
            text,
            beat.number,
            beat.watermark,
            beat.lag_count,
            beat.lag_ns,
            at,
            beat.started_at,
            beat.starts,
            beat.code,
        )

    def _spans(self) -> tuple[Span, ...]:
        """Return the line's spans; where several pods told of one, that of the slowest."""
        found = []
        for name in LINE:
            told = [b.spans[name] for _, b in self._heard.values() if name in b.spans]
            if told:
                slowest = max(told, key=lambda span: span.p99)
                count = sum(span.count for span in told)
                numbers = (slowest.p50, slowest.p99, slowest.p999, slowest.max)
                found.append(Span(f"event → {name}", count, *numbers))
        return tuple(found)
