"""Which request led to which? Each call carries a W3C trace context, and hands it on.

Only the header `traceparent` is read and written (W3C Trace Context, level 1, 2021): a trace's id,
the id of the span that called, and whether the trace is recorded. Ids of traces name no fact and
settle nothing, so they may come from chance. No SDK is needed; the ids are those that any will
understand.
"""

from __future__ import annotations

import os
import re
from contextvars import ContextVar
from typing import Final

import msgspec

HEADER: Final = "traceparent"
SAMPLED: Final = 1

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class Trace(msgspec.Struct, frozen=True):
    """Where a piece of work belongs: 32 and 16 hexadecimal digits; `parent` is empty for a root."""

    trace_id: str
    span_id: str
    parent: str = ""
    flags: int = 0

    @property
    def header(self) -> str:
        """Give the header that hands this on."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    def child(self) -> Trace:
        """Return a new span below this one."""
        return Trace(self.trace_id, _chance(8), self.span_id, self.flags)


def read_trace(header: str) -> Trace | None:
    """Return the caller's span; None for a header that is none, as the standard demands.

    >>> read_trace("00-" + "ab" * 16 + "-" + "cd" * 8 + "-01").flags
    1
    >>> read_trace("00-" + "0" * 32 + "-" + "cd" * 8 + "-01") is None
    True
    """
    match = _PARENT.fullmatch(header) if len(header) <= 512 else None
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest) or not int(trace_id, 16) * int(span_id, 16):
        return None
    return Trace(trace_id, span_id, flags=int(flags, 16) & SAMPLED)


def new_trace() -> Trace:
    """Return the root of a new trace; it is not recorded unless somebody asks for it."""
    return Trace(_chance(16), _chance(8))


CURRENT: Final[ContextVar[Trace | None]] = ContextVar("trace", default=None)
"""The span of the work that goes on here."""


def current() -> Trace:
    """Return the span of the work that goes on here, or a new root."""
    return CURRENT.get() or new_trace()


def _chance(size: int) -> str:
    found = bytes(size)
    while not any(found):
        found = os.urandom(size)
    return found.hex()
