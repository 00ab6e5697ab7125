"""What holds for every call, whoever answers it? Room, deadline, trace, count, and typed errors.

One interceptor stands before all handlers, those of the library included. A call without a deadline
gets one; work beyond it is cancelled. Beyond the limit of calls at a time the next is refused at
once instead of queued. A request that is no message is refused with the place of its fault. A
stream whose reader does not take a message in time ends. What a handler raises becomes a status.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeAlias

import grpc
import grpc.aio
import msgspec
from google.protobuf.message import DecodeError
from grpc_status import rpc_status  # type: ignore[import-untyped]

from titanflow.adapters.rpc.meter import Meter
from titanflow.adapters.rpc.method import Context
from titanflow.adapters.rpc.refusal import (
    Code,
    RefusalError,
    invalid,
    overloaded,
    refusal_of,
    slow_reader,
    status_of,
    too_late,
)
from titanflow.adapters.rpc.trace import CURRENT, HEADER, new_trace, read_trace
from titanflow.core.base.errors import InvariantError, Problem

LOG: Final = logging.getLogger("titanflow.rpc")
UNKNOWN: Final = "unknown"
"""The method under which calls of methods that nobody serves are counted."""
ROOMLESS: Final = ("grpc.health.", "grpc.reflection.")
"""Services that take no room: who asks for health must be answered when there is none."""
FIRST: Final = "titanflow.rpc.v1.Control/"
"""The commands, for which there is a reserve."""

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Body = Callable[[], Awaitable[Any]]


class Limits(msgspec.Struct, frozen=True):
    """How much one server takes on. Times are in seconds."""

    default_seconds: float = 5.0
    """Deadline of a call that has none."""
    most_seconds: float = 60.0
    """Longest deadline; a later one is shortened."""
    stream_seconds: float = 3600.0
    """Longest stream, then its reader asks again: no stream outlives rotated certificates long."""
    write_seconds: float = 10.0
    """Longest time in which a stream's reader must take one message."""
    calls_max: int = 256
    """Most calls at a time."""
    reserve: int = 32
    """Room beyond that for commands: no crowd of readers keeps anybody from stopping trading."""
    request_bytes_max: int = 1 << 20
    answer_bytes_max: int = 8 << 20
    metadata_bytes_max: int = 8 << 10


class Guard(grpc.aio.ServerInterceptor):
    """Stands before every handler of one server.

    *broken* hears of each InvariantError: the process must end, since its state cannot be trusted.
    """

    def __init__(
        self,
        limits: Limits,
        meter: Meter,
        broken: Callable[[InvariantError], None] | None = None,
    ) -> None:
        self.limits, self.meter = limits, meter
        self._broken = broken
        self._running = 0
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the handler of a method, guarded."""
        path = handler_call_details.method
        wrapped = self._wrapped.get(path)
        if wrapped is not None:
            return wrapped
        handler = await continuation(handler_call_details)
        if handler is None:
            self.meter.begin(UNKNOWN)
            self.meter.end(UNKNOWN, Code.UNIMPLEMENTED.name, 0, timed=False)
            return handler
        # Only methods that are served come here, so their number is bounded.
        self._wrapped[path] = wrapped = self._wrap(path.removeprefix("/"), handler)
        return wrapped

    def _wrap(self, method: str, handler: Handler) -> Handler:
        inner: Any = handler
        # Without a deserializer the library hands over bytes: what is no message is our business.
        read, write = inner.request_deserializer, inner.response_serializer
        if inner.request_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._streams(method, inner.stream_stream, read), None, write
            )
        if inner.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(method, inner.unary_stream, read), None, write
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(method, inner.unary_unary, read), None, write
        )

    def _unary(self, method: str, answer: Any, read: Any) -> Any:
        async def guarded(data: bytes, context: Context) -> Any:
            async def body() -> Any:
                return await answer(_read(read, data), context)

            return await self._run(method, context, body, stream=False)

        return guarded

    def _stream(self, method: str, answers: Any, read: Any) -> Any:
        async def guarded(data: bytes, context: Context) -> None:
            async def body() -> None:
                await self._pump(answers(_read(read, data), context), context)

            await self._run(method, context, body, stream=True)

        return guarded

    def _streams(self, method: str, answers: Any, read: Any) -> Any:
        async def guarded(requests: AsyncIterator[bytes], context: Context) -> None:
            async def asked() -> AsyncIterator[Any]:
                async for data in requests:
                    yield _read(read, data)

            async def body() -> None:
                await self._pump(answers(asked(), context), context)

            await self._run(method, context, body, stream=True)

        return guarded

    async def _pump(self, answers: Any, context: Context) -> None:
        """Write a stream, each message within its time."""
        try:
            async for message in answers:
                limit = asyncio.timeout(self.limits.write_seconds)
                try:
                    async with limit:
                        await context.write(message)
                except TimeoutError:
                    if limit.expired():
                        text = f"no message was taken for {self.limits.write_seconds:g} s"
                        raise slow_reader(text) from None
                    raise
        finally:
            await answers.aclose()

    async def _run(self, method: str, context: Context, body: Body, *, stream: bool) -> Any:
        """Run one call with all that holds for every call; return its answer."""
        begun = time.monotonic_ns()
        token = CURRENT.set(_trace_of(context))
        held = not method.startswith(ROOMLESS)
        self.meter.begin(method)
        code = Code.OK.name
        try:
            room = self.limits.calls_max + self.limits.reserve * method.startswith(FIRST)
            if held and self._running >= room:
                self.meter.shed += 1
                raise overloaded(f"{self._running} calls are under way")  # noqa: TRY301
            self._running += held
            try:
                return await self._in_time(context, body, stream=stream)
            finally:
                self._running -= held
        except asyncio.CancelledError:
            code = Code.CANCELLED.name
            raise
        except grpc.aio.AbortError:
            code = str(context.code())
            raise
        except Exception as error:  # noqa: BLE001 - the outermost place: it becomes a status
            refusal = self._refusal(method, error)
            code = refusal.code.name
            await context.abort_with_status(rpc_status.to_status(status_of(refusal)))
        finally:
            duration = time.monotonic_ns() - begun
            self.meter.end(method, code, duration, timed=not stream)
            CURRENT.reset(token)

    async def _in_time(self, context: Context, body: Body, *, stream: bool) -> Any:
        """Run *body* until the caller's deadline, or ours.

        Raises: RefusalError with DEADLINE_EXCEEDED.
        """
        limits = self.limits
        asked: float | None = context.time_remaining()
        most = limits.stream_seconds if stream else limits.most_seconds
        default = limits.stream_seconds if stream else limits.default_seconds
        seconds = default if asked is None else min(asked, most)
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await body()
        except TimeoutError:
            if not limit.expired():
                raise
            whose = "the call" if asked is not None and asked <= most else "the server"
            raise too_late(f"not done within the {seconds:.3g} s that {whose} allows") from None

    def _refusal(self, method: str, error: Exception) -> RefusalError:
        refusal = refusal_of(error)
        if isinstance(error, InvariantError):
            LOG.critical("%s: a broken invariant", method, exc_info=error)
            if self._broken is not None:
                self._broken(error)
        elif refusal.code in {Code.INTERNAL, Code.UNKNOWN}:
            LOG.error("%s: unexpected", method, exc_info=error)
        return refusal


def _trace_of(context: Context) -> Any:
    for key, value in context.invocation_metadata() or ():
        if key == HEADER and isinstance(value, str):
            parent = read_trace(value)
            return parent.child() if parent is not None else new_trace()
    return new_trace()


def _read(read: Callable[[bytes], Any] | None, data: bytes) -> Any:
    """Return the message in a request.

    Raises: RefusalError if there is none.
    """
    if read is None:
        return data
    try:
        return read(data)
    except DecodeError as error:
        raise invalid([Problem(f"these bytes are no message: {error}", "request")]) from error
