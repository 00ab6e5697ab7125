"""How do the messages of many streams become one journal? Each after all of its inputs.

Streams are read side by side, in whatever order they arrive. A turn is written when every message
that it names as an input has been written, so a reader meets causes first. Which of several
possible orders was taken is part of the record: the journal's digest is over it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import Final

from titanflow.adapters.codec import InputRef, Turn
from titanflow.core.arena import RECOMPUTED
from titanflow.core.base.errors import InvariantError
from titanflow.core.facts import Fact
from titanflow.runtime.journal import TurnRecord
from titanflow.runtime.shard import GATEWAY

WAITING_MAX: Final = 1 << 16
"""Messages that may wait for their inputs; more means that a stream is not read any more."""

Write = Callable[[TurnRecord, tuple[Fact, ...]], None]


def recorded(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
    """Return the facts that a journal holds; beliefs are recomputed instead."""
    return tuple(fact for fact in facts if type(fact) not in RECOMPUTED)


def record_of(ref: InputRef, turn: Turn) -> TurnRecord:
    """Return how a journal tells of *turn*, whose message stands at *ref*."""
    return TurnRecord(
        turn.pod,
        turn.number,
        ref.stream,
        ref.sequence,
        turn.at,
        turn.watermark,
        tuple((each.stream, each.sequence) for each in turn.inputs),
        len(recorded(turn.facts)),
    )


class Causal:
    """Takes the messages of many streams and hands each on behind all of its inputs.

    *streams* are those that it takes; an input from another counts as there.
    """

    def __init__(
        self, hand_on: Callable[[InputRef, Turn], None], streams: Collection[str] | None = None
    ) -> None:
        self._hand_on, self._streams = hand_on, streams
        self._done: dict[str, int] = {}
        """The last sequence of each stream up to which everything is handed on or skipped."""
        self._queues: dict[str, deque[tuple[InputRef, Turn]]] = {}
        self.waiting = 0
        """How many messages wait for their inputs."""

    def skip_to(self, stream: str, sequence: int) -> None:
        """Take it that *stream* is done up to *sequence*."""
        self._done[stream] = max(self._done.get(stream, 0), sequence)

    def take(self, ref: InputRef, turn: Turn) -> None:
        """Take the next message of its stream; hand on all that can be by now.

        Raises: InvariantError if a stream has a gap, or too much waits.
        """
        queue = self._queues.setdefault(ref.stream, deque())
        last = queue[-1][0].sequence if queue else self._done.get(ref.stream, 0)
        if ref.sequence <= last:
            return
        if ref.sequence != last + 1:
            raise InvariantError(
                f"{ref.stream}: message {last + 1} is missing before {ref.sequence}"
            )
        queue.append((ref, turn))
        self.waiting += 1
        if self.waiting > WAITING_MAX:
            raise InvariantError(f"{self.waiting} messages wait for inputs that do not come")
        while self._advance():
            pass

    def _advance(self) -> bool:
        """Hand on every message that stands first in its stream and has its inputs done."""
        moved = False
        for stream in sorted(self._queues):
            queue = self._queues[stream]
            while queue and self._has_inputs(queue[0][1]):
                ref, turn = queue.popleft()
                self.waiting -= 1
                self._done[stream] = ref.sequence
                self._hand_on(ref, turn)
                moved = True
        return moved

    def _has_inputs(self, turn: Turn) -> bool:
        if turn.pod == GATEWAY:
            # Positions that others must have heard are no causes.
            return True
        return all(
            self._done.get(each.stream, 0) >= each.sequence
            for each in turn.inputs
            if self._streams is None or each.stream in self._streams
        )


class Scribe:
    """Puts messages into causal order and hands them to *write*, as a journal tells of them."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._causal = Causal(self._hand_on)
        self.skip_to, self.take = self._causal.skip_to, self._causal.take
        self.turns = 0

    @property
    def waiting(self) -> int:
        """Give how many messages wait for their inputs."""
        return self._causal.waiting

    def _hand_on(self, ref: InputRef, turn: Turn) -> None:
        self._write(record_of(ref, turn), recorded(turn.facts))
        self.turns += 1
