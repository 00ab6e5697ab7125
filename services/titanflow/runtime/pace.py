"""When may the next market event be published? In lock step, when the last has settled everywhere.

The gateway hears every pod's turns. Each message is owed an answer by those pods that may have
something to say to it (`shard.PROVOKES`); an answer is a turn that names the message among its
inputs. A pod takes each stream in order, so one number for each pod and stream says it all, and it
does not matter in which order the gateway hears of turns. When nothing is owed, all consequences
have been drawn. In a free run a pod names its
inputs only when it says something, so there this is asked for at the end alone, by a flush.
"""

from __future__ import annotations

from collections.abc import Iterable

from titanflow.adapters.bus.streams import Pod, Topology, copied_from, stream_name, turn_sources
from titanflow.adapters.codec import InputRef, Turn
from titanflow.core.facts import Fact
from titanflow.runtime.shard import (
    END,
    FLUSH,
    Shard,
    provoked,
    waits_for_trade,
    waits_for_watermark,
)


class Pacer:
    """Counts what is owed. Pure: it hears of messages and keeps no clock."""

    def __init__(self, topology: Topology) -> None:
        self._arena = topology.arena
        self._pods = tuple(pod for pod in topology.pods if pod.stages)
        self._provoked = {pod.name: provoked(pod.stages) for pod in self._pods}
        self._owed: dict[tuple[str, str], int] = {}
        """The last message of a stream to which a pod owes an answer."""
        self._named: dict[tuple[str, str], int] = {}
        """The last message of a stream that a pod has named among its inputs."""
        self._last: dict[str, int] = {}
        self._held: set[type[Fact]] = set()
        """Types of market event that wait for the watermark."""
        self._eventful: set[int] = set()
        """Market messages with events that not every trading pod has named yet."""
        self._end: InputRef | None = None
        self._market = stream_name(topology.arena, "MARKET")
        self._trading = {pod.name for pod in topology.hosting("trade")}
        self._after_trade = tuple(pod for pod in self._pods if waits_for_trade(pod))

    @property
    def is_settled(self) -> bool:
        """Say whether every message has been answered by everybody who owes it an answer."""
        return not self.owed()

    @property
    def has_ended(self) -> bool:
        """Say whether every pod has said its last turn."""
        return self._end is not None and self.has_named(self._end)

    def has_named(self, ref: InputRef) -> bool:
        """Say whether every pod has named *ref*, which all of them read, or a later message."""
        return all(self._named.get((pod.name, ref.stream), 0) >= ref.sequence for pod in self._pods)

    def owed(self) -> tuple[tuple[str, str, int], ...]:
        """Return which pod owes an answer to which message of which stream."""
        return tuple(
            (pod, stream, sequence)
            for (pod, stream), sequence in self._owed.items()
            if self._named.get((pod, stream), 0) < sequence
        )

    def sent(self, ref: InputRef, turn: Turn) -> None:
        """Take a turn that the gateway published."""
        kinds = {type(fact) for fact in turn.facts}
        for pod in self._pods:
            if turn.watermark >= FLUSH:
                self._owe(ref, pod)
            elif waits_for_watermark(pod.stages):
                if turn.watermark >= turn.at and (self._held | kinds) & self._provoked[pod.name]:
                    self._owe(ref, pod)
            elif kinds & self._provoked[pod.name]:
                self._owe(ref, pod)
        if kinds:
            self._eventful.add(ref.sequence)
        self._held |= kinds
        if turn.watermark >= turn.at:
            self._held.clear()
        if turn.watermark == END:
            self._end = ref

    def heard(self, ref: InputRef, turn: Turn) -> None:
        """Take a turn of a pod."""
        self._last[turn.pod] = max(self._last.get(turn.pod, 0), ref.sequence)
        for each in turn.inputs:
            key = (turn.pod, each.stream)
            self._named[key] = max(self._named.get(key, 0), each.sequence)
        if turn.pod in self._trading:
            self._trades(ref, turn)
        kinds = {type(fact) for fact in turn.facts}
        for pod in self._pods:
            if pod.name != turn.pod and kinds & self._provoked[pod.name]:
                self._owe(ref, pod)

    def _trades(self, ref: InputRef, turn: Turn) -> None:
        """Owe answers to a turn that lets others hear market events that waited for it."""
        if any(
            each.stream == self._market and each.sequence in self._eventful for each in turn.inputs
        ):
            for pod in self._after_trade:
                if pod.name != turn.pod:
                    self._owe(ref, pod)
        traded = min(self._named.get((name, self._market), 0) for name in self._trading)
        self._eventful = {sequence for sequence in self._eventful if sequence > traded}

    def positions(self) -> tuple[InputRef, ...]:
        """Return where each pod's last turn stands, in the topology's order; sequence 0 is none.

        A pod that gets them with a watermark must have heard these turns, as far as it reads them.
        """
        return tuple(
            InputRef(stream_name(self._arena, pod.output), self._last.get(pod.name, 0))
            for pod in self._pods
        )

    def _owe(self, ref: InputRef, pod: Pod) -> None:
        key = (pod.name, ref.stream)
        self._owed[key] = max(self._owed.get(key, 0), ref.sequence)


def is_ahead(turn: Turn, sequence: int, topology: Topology, shard: Shard) -> bool:
    """Say whether *shard* must hear the trading pod on a market message before the message itself.

    So it is where one message plays an instant: nobody decides on a bar before he knows his fills.
    """
    return (
        topology.in_one_step
        and bool(turn.facts)
        and waits_for_watermark(shard.pod.stages)
        and shard.traded < sequence
    )


def missing(
    positions: Iterable[InputRef], topology: Topology, pod: Pod, seen: dict[str, int]
) -> tuple[str, ...]:
    """Return the pods whose turns at *positions* *pod* reads and has not heard; see `positions`.

    *seen* is the last sequence heard of each pod. Copies are made of every turn in lock step only,
    so only there can they be waited for.
    """
    sources = turn_sources(topology, pod)
    if topology.lock_step:
        sources += copied_from(topology, pod)
    reads = {source.name for source in sources}
    staged = [each for each in topology.pods if each.stages]
    return tuple(
        source.name
        for source, ref in zip(staged, positions, strict=False)
        if source.name in reads and seen.get(source.name, 0) < ref.sequence
    )
