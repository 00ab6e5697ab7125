"""Is what a pod said something that it may say? Looked at by everybody who hears it.

A pod of named contenders runs their code, and may publish what it likes on its own subject. What
is no turn, or holds what such a pod may not say, counts as an empty turn: it stands in the record
and provokes nothing, so a contender stops nobody but himself. The sentinel
may stop the arena and say nothing else, above all no release: who has its key can start nothing.
All who hear a message judge it by its bytes alone, and so alike. What our other pods say is
trusted: damage there stops who hears it.
"""

from __future__ import annotations

from typing import Final

from titanflow.adapters.bus.link import Counters
from titanflow.adapters.bus.reading import Message
from titanflow.adapters.bus.streams import Pod, Topology, output_subject
from titanflow.adapters.codec import Turn, decode_turn
from titanflow.core.base.errors import WireError
from titanflow.core.facts import Answer, Ask, Checkpoint, Fact, Intent, KillSwitch, Signal
from titanflow.core.spec.words import KillScope, Origin

REFUSED: Final = 0
"""Number of the empty turn that stands for what was refused; the first turn of a pod is 1."""
MAY_SAY: Final[frozenset[type[Fact]]] = frozenset({Answer, Ask, Checkpoint, Intent, Signal})
"""What a pod that only decides may say."""
SENTINEL: Final = "sentinel"
"""The role, and the name by which it engages a switch: nobody of that name may release it."""


def refused(pod: Pod) -> Turn:
    """Return the empty turn that stands for a message of *pod* that is none."""
    return Turn(pod.name, REFUSED, 0, (), (), 0)


class Door:
    """Reads messages; those of contenders' pods and of the sentinel with care."""

    def __init__(self, topology: Topology, counters: Counters) -> None:
        self._bounded = {output_subject(topology, p): p for p in topology.pods if is_bounded(p)}
        self._counters = counters

    def read(self, message: Message) -> Turn:
        """Return the turn in *message*, the empty one if it is none that its pod may say.

        Raises: WireError if a message of one of our own pods is damaged.
        """
        pod = self._bounded.get(message.subject)
        if pod is None:
            return decode_turn(message.data)
        try:
            turn = decode_turn(message.data)
        except WireError:
            turn = refused(pod)
        if not may_say(pod, turn):
            turn = refused(pod)
        self._counters.refused += turn.number == REFUSED
        return turn


def is_bounded(pod: Pod) -> bool:
    """Say whether there is something that a pod may not say."""
    return bool(pod.contenders) or pod.role == SENTINEL


def may_command(pod: Pod, fact: Fact) -> bool:
    """Say whether a pod that commands may say *fact*: the sentinel can only stop everything."""
    if not isinstance(fact, KillSwitch):
        return False
    return pod.role != SENTINEL or (
        fact.engaged
        and fact.scope is KillScope.ARENA
        and not fact.instruments
        and fact.by == SENTINEL
    )


def may_say(pod: Pod, turn: Turn) -> bool:
    """Say whether a turn is one that a bounded pod may say."""
    if pod.role == SENTINEL:
        named = turn.pod == pod.name and turn.number > REFUSED and not turn.inputs
        return named and bool(turn.facts) and all(may_command(pod, fact) for fact in turn.facts)
    return (
        turn.pod == pod.name
        and turn.number > REFUSED
        and bool(turn.inputs)
        and all(_may_say(pod, fact) for fact in turn.facts)
    )


def _may_say(pod: Pod, fact: Fact) -> bool:
    if type(fact) is Checkpoint:
        return True
    if isinstance(fact, Intent) and fact.origin is not Origin.CONTENDER:
        return False  # orders of risk itself pass where a contender's would not
    return type(fact) in MAY_SAY and getattr(fact, "contender", "") in pod.contenders
