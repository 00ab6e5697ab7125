"""How is a question refused? By a code, a reason that programs read, and words for people.

A handler raises a `RefusalError`, or anything else of our own tree of errors, which `TABLE` turns
into one. It travels as google.rpc.Status: ErrorInfo (domain titanflow.io), BadRequest where fields
are wrong, RetryInfo where asking again makes sense. `read_refusal` gives the caller the same
object back. Errors that are nobody's expectation tell their caller nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import grpc
import grpc.aio
import msgspec
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import (  # type: ignore[import-untyped]
    BadRequest,
    ErrorInfo,
    RetryInfo,
)
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from titanflow.adapters.bundles.refusal import BundleRefusedError
from titanflow.adapters.bus.errors import BusError, Fenced, Forbidden, StreamFull
from titanflow.core.base.errors import (
    AdapterError,
    InvariantError,
    Problem,
    SpecError,
    TitanFlowError,
    WireError,
)
from titanflow.core.base.instant import NS_PER_SECOND

Code = grpc.StatusCode
"""The codes of gRPC; handlers name them through the functions below."""

DOMAIN: Final = "titanflow.io"
DETAILS_KEY: Final = "grpc-status-details-bin"
TEXT_MAX: Final = 200
"""Characters of a text in a status: all of it together must fit into 8 KiB of metadata."""
PROBLEMS_MAX: Final = 8
"""Most fields named in one refusal, for the same reason."""
SHOWN_MAX: Final = 40
"""Characters of a caller's own word that come back to him."""


class RefusalError(TitanFlowError):
    """A question that is not answered: by which code, for which reason, and what to do.

    `reason` is one word in capitals that never changes its meaning; `facts` are names and values
    for programs; `retry_seconds` is how long to wait before asking again, 0 for never.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        text: str,
        *,
        problems: Sequence[Problem] = (),
        facts: Mapping[str, str] | None = None,
        retry_seconds: float = 0.0,
    ) -> None:
        self.code, self.reason, self.text = code, reason, plain(text)
        self.problems = tuple(problems)[:PROBLEMS_MAX]
        self.facts = dict(facts or {})
        self.retry_seconds = retry_seconds
        super().__init__(self.text)

    def __repr__(self) -> str:
        return f"RefusalError({self.code.name}, {self.reason}, {self.text!r})"


def invalid(problems: Sequence[Problem]) -> RefusalError:
    """Return the refusal of a question whose fields are wrong, each with its path."""
    shown = "; ".join(str(problem) for problem in problems[:PROBLEMS_MAX])
    return RefusalError(Code.INVALID_ARGUMENT, "FIELDS_INVALID", shown, problems=problems)


def not_found(what: str, where: str, do: str = "") -> RefusalError:
    """Return the refusal of a question about something that is not there."""
    problem = Problem(what, where, do)
    return RefusalError(Code.NOT_FOUND, "NOT_FOUND", str(problem), problems=[problem])


def not_ready(waits_for: str, retry_seconds: float = 1.0) -> RefusalError:
    """Return the refusal of a question that comes too early: *waits_for* says before what."""
    text = f"not ready: waits for {waits_for}"
    facts = {"waits_for": waits_for}
    return RefusalError(
        Code.UNAVAILABLE, "NOT_READY", text, facts=facts, retry_seconds=retry_seconds
    )


def overloaded(text: str, retry_seconds: float = 0.1) -> RefusalError:
    """Return the refusal of a question that there is no room for."""
    return RefusalError(Code.RESOURCE_EXHAUSTED, "OVERLOADED", text, retry_seconds=retry_seconds)


def too_late(text: str) -> RefusalError:
    """Return the refusal of a question whose deadline is over."""
    return RefusalError(Code.DEADLINE_EXCEEDED, "TOO_LATE", text)


def conflict(text: str, facts: Mapping[str, str]) -> RefusalError:
    """Return the refusal of a command whose token named another one before."""
    return RefusalError(Code.ALREADY_EXISTS, "TOKEN_USED", text, facts=facts)


def refused(reason: str, text: str, facts: Mapping[str, str] | None = None) -> RefusalError:
    """Return the refusal of a command that was understood, and that the rules forbid."""
    return RefusalError(Code.FAILED_PRECONDITION, reason, text, facts=facts)


def denied(text: str) -> RefusalError:
    """Return the refusal of a caller who may not ask this."""
    return RefusalError(Code.PERMISSION_DENIED, "DENIED", text)


def unproven(text: str) -> RefusalError:
    """Return the refusal of a caller whose name cannot be believed."""
    return RefusalError(Code.UNAUTHENTICATED, "IDENTITY_INVALID", text)


def ended(text: str) -> RefusalError:
    """Return the end of a stream after which nothing can come."""
    return RefusalError(Code.OUT_OF_RANGE, "ENDED", text)


def slow_reader(text: str) -> RefusalError:
    """Return the end of a stream whose reader fell behind."""
    return RefusalError(Code.RESOURCE_EXHAUSTED, "SLOW_READER", text, retry_seconds=1.0)


def absent(text: str) -> RefusalError:
    """Return the refusal of a question that this pod does not answer."""
    return RefusalError(Code.UNIMPLEMENTED, "NOT_HERE", text)


class Rule(msgspec.Struct, frozen=True):
    """How one type of error is said: `tells` whether its own words may be."""

    code: grpc.StatusCode
    reason: str
    tells: bool = True
    retry_seconds: float = 0.0


TABLE: Final[Mapping[type[BaseException], Rule]] = {
    SpecError: Rule(Code.INVALID_ARGUMENT, "SPEC_INVALID"),
    BundleRefusedError: Rule(Code.FAILED_PRECONDITION, "BUNDLE_REFUSED"),
    WireError: Rule(Code.DATA_LOSS, "WIRE_DAMAGED"),
    Fenced: Rule(Code.ABORTED, "FENCED"),
    Forbidden: Rule(Code.PERMISSION_DENIED, "SUBJECT_FORBIDDEN"),
    StreamFull: Rule(Code.RESOURCE_EXHAUSTED, "STREAM_FULL", retry_seconds=5.0),
    BusError: Rule(Code.UNAVAILABLE, "BUS_UNAVAILABLE", retry_seconds=1.0),
    AdapterError: Rule(Code.UNAVAILABLE, "WORLD_FAILED", retry_seconds=1.0),
    # A broken promise of our own: the process is about to end, and its state is nobody's business.
    InvariantError: Rule(Code.INTERNAL, "INVARIANT_BROKEN", tells=False),
    TitanFlowError: Rule(Code.UNKNOWN, "UNKNOWN"),
    MemoryError: Rule(Code.RESOURCE_EXHAUSTED, "MEMORY", tells=False, retry_seconds=1.0),
    Exception: Rule(Code.INTERNAL, "UNEXPECTED", tells=False),
}
"""Our tree of errors; the nearest type of an error's ancestors decides."""

SILENT_TEXT: Final = "the server failed; its log says how"


def refusal_of(error: BaseException) -> RefusalError:
    """Return *error* as a refusal."""
    if isinstance(error, RefusalError):
        return error
    kinds = type(error).__mro__
    rule = next((TABLE[kind] for kind in kinds if kind in TABLE), TABLE[Exception])
    problems = error.problems if isinstance(error, SpecError) else ()
    return RefusalError(
        rule.code,
        rule.reason,
        str(error) if rule.tells else SILENT_TEXT,
        problems=problems,
        retry_seconds=rule.retry_seconds,
    )


def status_of(refusal: RefusalError) -> Status:
    """Return a refusal as google.rpc.Status."""
    facts = {plain(name): plain(value) for name, value in refusal.facts.items()}
    details: list[Message] = [ErrorInfo(reason=refusal.reason, domain=DOMAIN, metadata=facts)]
    if refusal.problems:
        fields = [
            BadRequest.FieldViolation(field=plain(p.where), description=plain(_advice(p)))
            for p in refusal.problems
        ]
        details.append(BadRequest(field_violations=fields))
    if refusal.retry_seconds:
        delay = Duration()
        delay.FromNanoseconds(int(refusal.retry_seconds * NS_PER_SECOND))
        details.append(RetryInfo(retry_delay=delay))
    status = Status(code=refusal.code.value[0], message=refusal.text)
    for detail in details:
        status.details.add().Pack(detail)
    return status


def read_refusal(error: grpc.aio.AioRpcError) -> RefusalError:
    """Return what a failed call was refused for; without details where there are none of ours."""
    text = error.details() or error.code().name
    plainly = RefusalError(error.code(), error.code().name, text)
    status = Status()
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                status.ParseFromString(value)
            except DecodeError:
                return plainly
    if status.code != error.code().value[0]:
        return plainly
    info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
    for detail in status.details:
        for message in (info, bad, retry):
            if detail.Is(message.DESCRIPTOR):
                detail.Unpack(message)
    return RefusalError(
        error.code(),
        info.reason or error.code().name,
        status.message,
        problems=[Problem(f.description, f.field) for f in bad.field_violations],
        facts=dict(info.metadata),
        retry_seconds=retry.retry_delay.ToNanoseconds() / NS_PER_SECOND,
    )


def plain(text: str) -> str:
    """Return a text that fits into a status: its first line, in ASCII, of bounded length.

    >>> plain("two lines".replace(" ", chr(10)))
    'two'
    """
    line = next(_lines(text), "")[:TEXT_MAX]
    line = line.encode("ascii", "backslashreplace").decode("ascii")
    line = "".join(c if c.isprintable() else "?" for c in line)
    return line if len(line) <= TEXT_MAX else line[: TEXT_MAX - 1] + "~"


def shown(word: str) -> str:
    """Return a caller's own word as it may be shown to him.

    >>> shown("momentum")
    "'momentum'"
    """
    return ascii(word if len(word) <= SHOWN_MAX else word[:SHOWN_MAX] + "...")


def _lines(text: str) -> Iterator[str]:
    # A text may be megabytes; only its head is looked at.
    yield from (line for line in text[: 4 * TEXT_MAX].splitlines() if line.strip())


def _advice(problem: Problem) -> str:
    return problem.what + (f"; {problem.do}" if problem.do else "")
