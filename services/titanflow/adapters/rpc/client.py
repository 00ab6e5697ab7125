"""How is a question asked? With a deadline always, and again only where asking twice is harmless.

    async with Client(target) as client:
        await client.ready(seconds=10, told=print)
        answer = await client.ask(PortfolioStub(client.channel).GetPortfolio, request)

Retries are the library's own, by the service config below: bounded, for UNAVAILABLE only, with its
throttle, within the call's deadline. A release, a pause and a resume are never repeated for the
caller: he does so himself, with the same token.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from titanflow.adapters.rpc.health import READINESS, SERVING, WAITS_FOR
from titanflow.adapters.rpc.refusal import Code, RefusalError, read_refusal
from titanflow.adapters.rpc.tls import TlsFiles, is_loopback
from titanflow.adapters.rpc.trace import HEADER, current
from titanflow.core.base.errors import Problem, SpecError

Q = TypeVar("Q")
A = TypeVar("A")

IDEMPOTENT: Final = (
    ("titanflow.rpc.v1.Portfolio", ""),
    ("titanflow.rpc.v1.Standings", ""),
    ("titanflow.rpc.v1.Explain", ""),
    ("titanflow.rpc.v1.Sessions", ""),
    ("titanflow.rpc.v1.Control", "Kill"),
    ("inference.GRPCInferenceService", ""),
    ("grpc.health.v1.Health", "Check"),
)
"""Services (all their methods, or one) that may be asked twice. A kill stops what is stopped."""

ATTEMPTS_MAX: Final = 4
"""With waits of about 0.1, 0.2 and 0.4 s: a pod that restarts takes longer, and is waited for."""
CALL_SECONDS: Final = 5.0
ANSWER_BYTES_MAX: Final = 8 << 20
KEEPALIVE_MS: Final = 30_000
"""No shorter than the server allows, which is a third of it."""
CHECK_SECONDS: Final = 1.0
PAUSE_SECONDS: Final = 0.05
"""Between two looks at a server that does not answer yet."""


class Client:
    """One connection to one pod.

    Raises: SpecError if it would speak to another machine without TLS and that was not allowed.
    """

    def __init__(
        self, target: str, tls: TlsFiles | None = None, *, allows_plain: bool = False
    ) -> None:
        host = target.rpartition(":")[0]
        if tls is None and not allows_plain and not is_loopback(host):
            what = f"{host} is another machine, and there is no TLS"
            raise SpecError([Problem(what, "target", "give TLS files, or allow it explicitly")])
        self.target = target
        self.channel = (
            grpc.aio.insecure_channel(target, _options())
            if tls is None
            else grpc.aio.secure_channel(target, tls.client(), _options())
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.channel.close()

    async def ask(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Q, A],
        request: Q,
        seconds: float = CALL_SECONDS,
    ) -> A:
        """Return the answer to one question.

        Raises: RefusalError as the server said it; UNAVAILABLE if there is none.
        """
        try:
            return await method(request, timeout=seconds, metadata=_metadata())
        except grpc.aio.AioRpcError as error:
            raise read_refusal(error) from None

    async def watch(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[Q, A],
        request: Q,
        seconds: float,
    ) -> AsyncIterator[A]:
        """Give the answers of a stream for at most so many seconds.

        Raises: RefusalError as the server said it.
        """
        call = method(request, timeout=seconds, metadata=_metadata())
        try:
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as error:
            raise read_refusal(error) from None
        finally:
            call.cancel()

    async def ready(
        self, seconds: float, told: Callable[[str], None] = lambda _: None, name: str = READINESS
    ) -> None:
        """Wait until the server is ready; *told* hears each time what is waited for.

        Raises: RefusalError with DEADLINE_EXCEEDED, saying what was waited for last.
        """
        waits_for = ""
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                while found := await self._missing(name):
                    if found != waits_for:
                        waits_for = found
                        told(found)
                    await asyncio.sleep(PAUSE_SECONDS)
        except TimeoutError:
            if not limit.expired():
                raise
            waits_for = waits_for or f"{self.target} to answer"
            text = f"waited {seconds:g} s for {waits_for}"
            raise RefusalError(
                Code.DEADLINE_EXCEEDED, "NOT_READY", text, facts={"waits_for": waits_for}
            ) from None

    async def _missing(self, name: str) -> str:
        """Return what the server waits for, or why it does not say; empty if it is ready."""
        call = health_pb2_grpc.HealthStub(self.channel).Check(
            health_pb2.HealthCheckRequest(service=name),
            timeout=CHECK_SECONDS,
            metadata=_metadata(),
        )
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            refusal = read_refusal(error)
            return f"{self.target} to answer ({refusal.text})"
        if answer.status == SERVING:
            return ""
        said = [str(value) for key, value in await call.trailing_metadata() if key == WAITS_FOR]
        return f"{self.target}, which waits for {said[0] if said else 'something'}"


def _metadata() -> grpc.aio.Metadata:
    return grpc.aio.Metadata((HEADER, current().header))


def _options() -> list[tuple[str, Any]]:
    names = [
        {"service": service, "method": method} if method else {"service": service}
        for service, method in IDEMPOTENT
    ]
    config = {
        "methodConfig": [
            {
                "name": names,
                "retryPolicy": {
                    "maxAttempts": ATTEMPTS_MAX,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "0.4s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ],
        "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
    }
    return [
        ("grpc.service_config", json.dumps(config)),
        ("grpc.enable_retries", 1),
        ("grpc.max_receive_message_length", ANSWER_BYTES_MAX),
        # A watcher hears nothing for a long time; so it asks whether the server is still there.
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_MS // 3),
        # A pod that was started anew is found again soon.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]
