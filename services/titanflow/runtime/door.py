"""Is what a contender's own process said a turn at all? Looked at by everybody who hears it.

A pod of named contenders runs their code, and may publish what it likes on its own subject. What
is no turn, or holds what such a pod may not say, counts as an empty turn: it stands in the record
and provokes nothing, so a contender stops nobody but himself. All who hear a message judge it by
its bytes alone, and so alike. What our own pods say is trusted: damage there stops who hears it.
"""

from __future__ import annotations

from typing import Final

from titanflow.adapters.bus.link import Counters
from titanflow.adapters.bus.reading import Message
from titanflow.adapters.bus.streams import Pod, Topology, output_subject
from titanflow.adapters.codec import Turn, decode_turn
from titanflow.core.base.errors import WireError
from titanflow.core.facts import Answer, Ask, Checkpoint, Fact, Intent, Signal
from titanflow.core.spec.words import Origin

REFUSED: Final = 0
"""Number of the empty turn that stands for what was refused; the first turn of a pod is 1."""
MAY_SAY: Final[frozenset[type[Fact]]] = frozenset({Answer, Ask, Checkpoint, Intent, Signal})
"""What a pod that only decides may say."""


def refused(pod: Pod) -> Turn:
    """Return the empty turn that stands for a message of *pod* that is none."""
    return Turn(pod.name, REFUSED, 0, (), (), 0)


class Door:
    """Reads messages; those of contenders' pods with care."""

    def __init__(self, topology: Topology, counters: Counters) -> None:
        self._apart = {output_subject(topology, p): p for p in topology.pods if p.contenders}
        self._counters = counters

    def read(self, message: Message) -> Turn:
        """Return the turn in *message*, the empty one if a contender's is none.

        Raises: WireError if a message of one of our own pods is damaged.
        """
        pod = self._apart.get(message.subject)
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


def may_say(pod: Pod, turn: Turn) -> bool:
    """Say whether a turn is one that a pod of named contenders may say."""
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
