"""Which errors exist? One small tree, told apart by whose mistake it is.

Expected outcomes are not errors: a denied intent is a Verdict, a rejected order is an OrderUpdate.
"""

from __future__ import annotations


class TitanFlowError(Exception):
    """The root of every error that TitanFlow raises on purpose."""


class Problem:
    """One mistake of the user: what is wrong, where, and what to do."""

    __slots__ = ("do", "what", "where")

    def __init__(self, what: str, where: str, do: str = "") -> None:
        self.what, self.where, self.do = what, where, do

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f"; {self.do}" if self.do else "")

    def __repr__(self) -> str:
        return f"Problem({self!s})"


class SpecError(TitanFlowError):
    """The user's mistake in a manifest, an option or a file; it carries every problem found."""

    def __init__(self, problems: list[Problem]) -> None:
        if not problems:
            raise ValueError("a SpecError needs at least one problem")
        self.problems = problems
        super().__init__("\n".join(str(p) for p in problems))


class NotFoundError(SpecError):
    """The user named something that is not there: a session, a fact, a contender."""


class AdapterError(TitanFlowError):
    """The world's failure: a file that cannot be read, a disk that is full."""


class WireError(AdapterError):
    """Bytes that are no turn of ours, or a turn that has no bytes; says what is wrong and where."""


class InvariantError(TitanFlowError):
    """A broken promise of our own: crash and restart from the record. Caught only outermost."""
