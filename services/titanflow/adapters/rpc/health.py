"""Does the process live, and may it be asked? Two questions, under the standard health service.

`liveness` is SERVING until the process has broken a promise of its own and must be started anew.
`readiness` is SERVING while nothing is waited for; the empty name and the names of our services
mean the same, as is the custom. What is waited for stands in the trailing metadata `waits-for` of
each check. Restarting a pod that only waits would make it wait longer: hence two names.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from titanflow.adapters.rpc.method import Context
from titanflow.adapters.rpc.refusal import not_found, plain, shown

LIVENESS: Final = "liveness"
READINESS: Final = "readiness"
WAITS_FOR: Final = "waits-for"
SERVICE: Final = "grpc.health.v1.Health"

SERVING: Final[int] = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING: Final[int] = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN: Final[int] = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class Health:
    """What a process says of itself. It begins waiting for its start."""

    def __init__(self) -> None:
        self._waits_for: dict[str, str] = {"start": "its start"}
        self._failed = ""
        self._closed = False
        self._changed = asyncio.Event()

    @property
    def waits_for(self) -> str:
        """Give what is waited for, in words; empty if nothing is."""
        if self._failed:
            return f"a new process: {self._failed}"
        return "; ".join(self._waits_for.values())

    @property
    def ready(self) -> bool:
        """Give whether questions may be asked."""
        return not self.waits_for

    @property
    def live(self) -> bool:
        """Give whether the process may go on."""
        return not self._failed

    @property
    def closed(self) -> bool:
        """Give whether the server is stopping."""
        return self._closed

    def wait(self, name: str, text: str) -> None:
        """Say that *name* is waited for, in words; said again, the new words hold."""
        self._waits_for[name] = text
        self._tell()

    def reached(self, name: str) -> None:
        """Say that *name* is waited for no longer."""
        self._waits_for.pop(name, None)
        self._tell()

    def started(self) -> None:
        """Say that the start is over; other things may still be waited for."""
        self.reached("start")

    def fail(self, text: str) -> None:
        """Say that the process must be started anew; there is no way back."""
        self._failed = self._failed or text
        self._tell()

    def close(self) -> None:
        """Say that the server stops: nothing new is taken, and watchers are sent home."""
        self._closed = True
        self.wait("drain", "its end: it finishes what it has begun")

    async def changed(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

    def _tell(self) -> None:
        former, self._changed = self._changed, asyncio.Event()
        former.set()


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """The standard service over a `Health`."""

    def __init__(self, health: Health, services: Iterable[str]) -> None:
        self._health = health
        self._readiness = frozenset({"", READINESS, *services})

    def status(self, service: str) -> int:
        """Return the status of a service by its name."""
        if service == LIVENESS:
            return SERVING if self._health.live else NOT_SERVING
        if service in self._readiness:
            return SERVING if self._health.ready else NOT_SERVING
        return SERVICE_UNKNOWN

    async def Check(self, request: Any, context: Any) -> health_pb2.HealthCheckResponse:  # noqa: N802
        """Answer at once; an unknown name is NOT_FOUND."""
        status = self.status(request.service)
        if status == SERVICE_UNKNOWN:
            raise not_found(f"no service is called {shown(request.service)}", "service")
        if self._health.waits_for:
            context.set_trailing_metadata(((WAITS_FOR, plain(self._health.waits_for)),))
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(  # noqa: N802
        self,
        request: Any,
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Give the status now and after each change, until the server stops."""
        former: int | None = None
        while True:
            status = self.status(request.service)
            if status != former:
                former = status
                yield health_pb2.HealthCheckResponse(status=status)
            if self._health.closed:
                return
            # The status may have changed while the answer was written: then look again at once.
            if self.status(request.service) == status:
                await self._health.changed()
