"""What is a stage? One station of the line: a deterministic state machine over facts.

A stage turns one fact into zero or more facts, and that is all it can do: it never awaits, never
logs, reads no clock and draws no chance that is not keyed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from titanflow.core.facts import Fact


class Stage(Protocol):
    """One station of the line."""

    @property
    def name(self) -> str:
        """Give the stage's name, as in checkpoints and ids."""
        ...

    @property
    def consumes(self) -> frozenset[type[Fact]]:
        """Give the types of fact that the stage reads."""
        ...

    def handle(self, fact: Fact) -> Sequence[Fact]:
        """Take one fact, change the state, return what follows from it, in order."""
        ...

    def digest(self) -> bytes:
        """Return a hash of the state; equal states give equal hashes on every machine."""
        ...

    def dump(self) -> bytes:
        """Return the state, so that `load` brings it back."""
        ...

    def load(self, snapshot: bytes) -> None:
        """Take over the state that `dump` returned."""
        ...
