"""Pods in one process: shards joined by lists in place of streams, for tests of topologies.

Which pod takes which waiting message next is drawn from a seed, so that one seed is one course of
events. Nothing is lost here; `tests/faults` breaks things.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from titanflow.adapters.bus.streams import (
    Pod,
    Topology,
    commanded_by,
    stream_name,
    turn_sources,
)
from titanflow.adapters.codec import InputRef, Turn, decode_turn, encode_turn
from titanflow.core.facts import Answer, Ask, Fact
from titanflow.runtime.pace import Pacer, is_ahead, missing
from titanflow.runtime.plan import Plan
from titanflow.runtime.shard import END, FLUSH, GATEWAY, Shard

SPLIT = (
    Pod("perception", ("perceive",)),
    Pod("signal", ("decide",)),
    Pod("risk", ("gate",)),
    Pod("execution", ("trade",)),
    Pod("ledger", ("post", "score")),
)
COLOCATED = (
    Pod("signal", ("perceive", "decide")),
    Pod("trade", ("gate", "trade", "post", "score")),
)
SHARDED = (
    Pod("perception", ("perceive",)),
    *(Pod(f"signal-{k}", ("decide",), shard=(k, 2)) for k in range(2)),
    *(Pod(f"trade-{k}", ("gate", "trade", "post"), shard=(k, 2)) for k in range(2)),
    Pod("score", ("score",)),
)
SERVICES = (
    Pod("signal", ("perceive", "decide")),
    *(Pod(f"risk-{k}", ("gate",), shard=(k, 2)) for k in range(2)),
    *(Pod(f"execution-{k}", ("trade",), shard=(k, 3)) for k in range(3)),
    *(Pod(f"ledger-{k}", ("post",), shard=(k, 2)) for k in range(2)),
    Pod("score", ("score",)),
)
"""Each service in shards of its own."""
WHOLE = (Pod("all", ("perceive", "decide", "gate", "trade", "post", "score")),)


def topology(pods: Sequence[Pod], *, lock_step: bool, arena: str = "main") -> Topology:
    return Topology(
        arena, (Pod(GATEWAY, role="gateway"), *pods), replay_clock=True, lock_step=lock_step
    )


class Cluster:
    """A topology with its streams and shards; `run` plays a market to the end."""

    def __init__(
        self,
        plan: Plan,
        on: Topology,
        seed: int = 0,
        predict: Callable[[Sequence[Ask]], Sequence[Answer]] | None = None,
    ) -> None:
        self.topology, self.plan = on, plan
        self.chance = random.Random(seed)
        self.predict = predict
        self.streams: dict[str, list[Turn]] = {}
        self.order: list[tuple[InputRef, Turn]] = []
        self.pods = [pod for pod in on.pods if pod.stages]
        self.shards = {pod.name: Shard(pod, on, plan) for pod in self.pods}
        self.taken: dict[str, dict[str, int]] = {pod.name: {} for pod in self.pods}
        self.seen: dict[str, dict[str, int]] = {pod.name: {} for pod in self.pods}
        self.pacer = Pacer(on)
        self.number = 0

    def publish(self, stream: str, turn: Turn) -> InputRef:
        turn = decode_turn(encode_turn(turn))
        told = self.streams.setdefault(stream, [])
        told.append(turn)
        ref = InputRef(stream, len(told))
        self.order.append((ref, turn))
        return ref

    def market(self, at: int, facts: Sequence[Fact], watermark: int) -> None:
        self.number += 1
        inputs = () if facts else self.pacer.positions()
        turn = Turn(GATEWAY, self.number, at, inputs, tuple(facts), watermark)
        ref = self.publish(stream_name(self.topology.arena, "MARKET"), turn)
        self.pacer.sent(ref, turn)

    def next_of(self, pod: Pod, stream: str) -> tuple[InputRef, Turn] | None:
        """Return the next message that a pod reads from a stream, unless it must wait with it."""
        told = self.streams.get(stream, [])
        place = self.taken[pod.name].get(stream, 0)
        others = (*turn_sources(self.topology, pod), *commanded_by(self.topology, pod))
        sources = {GATEWAY, *(each.name for each in others)}
        while place < len(told) and told[place].pod not in sources:
            place += 1
        self.taken[pod.name][stream] = place
        if place == len(told):
            return None
        turn = told[place]
        if turn.pod == GATEWAY and (
            is_ahead(turn, place + 1, self.topology, self.shards[pod.name])
            or missing(turn.inputs, self.topology, pod, self.seen[pod.name])
        ):
            return None
        return InputRef(stream, place + 1), turn

    def step(self) -> bool:
        """Let one pod, drawn by chance, take one message."""
        choices = [
            (pod, found)
            for pod in self.pods
            for stream in sorted(self.streams)
            if (found := self.next_of(pod, stream)) is not None
        ]
        if not choices:
            return False
        pod, (ref, turn) = self.chance.choice(choices)
        self.taken[pod.name][ref.stream] = ref.sequence
        self.seen[pod.name][turn.pod] = ref.sequence
        shard = self.shards[pod.name]
        shard.take(turn, ref)
        while shard.asks:
            assert self.predict is not None
            shard.answer(self.predict(list(shard.asks)))
        said = shard.finish()
        if said is not None:
            own = self.publish(stream_name(self.topology.arena, pod.output), said)
            self.pacer.heard(own, said)
        return True

    def settle(self) -> None:
        while self.step():
            pass

    def run(self, instants: Iterable[Sequence[Fact]]) -> None:
        """Play the market to its end, in lock step or with as many steps between as chance has."""
        at = 0
        for facts in instants:
            former, at = at, facts[-1].at
            if self.topology.lock_step:
                self.market(at, facts, at if self.topology.in_one_step else former)
                self.settle()
                assert self.pacer.is_settled, self.pacer.owed()
                if not self.topology.in_one_step:
                    self.market(at, (), at)
                    self.settle()
                    assert self.pacer.is_settled, self.pacer.owed()
            else:
                self.market(at, facts, at)
                for _ in range(self.chance.randrange(12)):
                    self.step()
        while True:
            self.market(at, (), FLUSH)
            self.settle()
            if self.pacer.is_settled:
                break
        self.market(at, (), END)
        self.settle()
        assert self.pacer.has_ended


def instants(events: Iterable[Fact], first: Sequence[Fact] = ()) -> Iterable[list[Fact]]:
    """Group events by their time; *first* stands before the first."""
    group: list[Fact] = list(first)
    at: int | None = None
    for fact in events:
        if at is not None and fact.at != at:
            yield group
            group = []
        at = fact.at
        group.append(fact)
    if group:
        yield group
