"""What if the serving pod is away? It is looked for again, and a breaker spares those who wait.

A serving pod that was started anew may listen elsewhere, so its address is read again after each
failure. After failures in a row calls fail at once for a while, which doubles. Where market time
stands still (lock step) somebody may wait longer: `patience_seconds`, once for each outage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic_ns
from typing import Final

from titanflow.adapters.rpc.client import Client
from titanflow.adapters.rpc.refusal import Code, RefusalError
from titanflow.adapters.rpc.tls import TlsFiles
from titanflow.core.base.breaker import Breaker, BreakerLimits, BreakerState
from titanflow.rpc.inference import inference_pb2 as inference
from titanflow.rpc.inference.inference_pb2_grpc import GRPCInferenceServiceStub

AWAY: Final = "SERVING_AWAY"
"""Reason of a call that reached no server, or was not sent because none had answered before."""
PAUSE_SECONDS: Final = 0.05
"""Between two attempts of somebody who is patient."""
BREAKER: Final = BreakerLimits(failures=3, first_ns=200_000_000, longest_ns=5_000_000_000)
"""A serving pod comes back within seconds; longer pauses would only keep contenders holding."""
_TOO_LATE: Final = ("TOO_LATE", Code.DEADLINE_EXCEEDED.name)
_ABSENT: Final = ("NOT_READY", Code.UNAVAILABLE.name, Code.CANCELLED.name)


class Steady:
    """Asks whichever server is at *address*, which returns an empty text while there is none."""

    def __init__(
        self,
        address: Callable[[], str],
        tls: TlsFiles | None = None,
        *,
        patience_seconds: float = 0.0,
        limits: BreakerLimits = BREAKER,
    ) -> None:
        self._address, self._tls, self._patience = address, tls, patience_seconds
        self._breaker = Breaker(limits)
        self._client: Client | None = None
        self._stub: GRPCInferenceServiceStub | None = None
        self._away_since: float | None = None
        self.failures = 0
        """Calls that were not answered."""

    @property
    def breaker(self) -> BreakerState:
        """Give what the breaker would do with a call now."""
        return self._breaker.state(monotonic_ns())

    async def ready(self, seconds: float, told: Callable[[str], None]) -> bool:
        """Wait until the server is ready; *told* hears what is waited for. Say whether it is."""
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        waits_for = ""
        while clock() < until:
            client = await self._connect()
            missing = "the address of serving"
            if client is not None:
                try:
                    await client.ready(min(1.0, until - clock()))
                except RefusalError as error:
                    missing = error.facts.get("waits_for", error.text)
                else:
                    return True
            if missing != waits_for:
                waits_for = missing
                told(missing)
            await asyncio.sleep(PAUSE_SECONDS)
        return False

    async def infer(
        self, request: inference.ModelInferRequest, seconds: float
    ) -> inference.ModelInferResponse:
        """Return what a model says; wait *seconds* for one attempt.

        Raises: RefusalError as the server said it, or with the reason AWAY.
        """
        clock = asyncio.get_running_loop().time
        while True:
            try:
                answer = await self._attempt(request, seconds)
            except RefusalError as error:
                if error.reason not in (AWAY, *_TOO_LATE):
                    self._away_since = None
                    raise
                if self._away_since is None:
                    self._away_since = clock()
                if clock() >= self._away_since + self._patience:
                    raise
            else:
                self._away_since = None
                return answer
            await asyncio.sleep(PAUSE_SECONDS)

    async def close(self) -> None:
        """Close the connection."""
        client, self._client, self._stub = self._client, None, None
        if client is not None:
            await client.channel.close()

    async def _attempt(
        self, request: inference.ModelInferRequest, seconds: float
    ) -> inference.ModelInferResponse:
        if not self._breaker.admits(monotonic_ns()):
            raise _away("serving is away: the breaker is open after failures in a row")
        self._breaker = self._breaker.begin()
        try:
            answer = await self._ask(request, seconds)
        except RefusalError as error:
            if error.reason not in (AWAY, *_TOO_LATE, *_ABSENT):
                self._breaker = self._breaker.succeed()
                raise
            self._failed()
            if error.reason in _ABSENT:
                raise _away(f"serving is away: {error.text}") from error
            raise
        except BaseException:
            self._failed()  # somebody gave up; the trial must not stay open
            raise
        self._breaker = self._breaker.succeed()
        return answer

    async def _ask(
        self, request: inference.ModelInferRequest, seconds: float
    ) -> inference.ModelInferResponse:
        client = await self._connect()
        if client is None or self._stub is None:
            raise _away("serving is away: nobody says where it listens")
        return await client.ask(self._stub.ModelInfer, request, seconds)

    def _failed(self) -> None:
        self.failures += 1
        self._breaker = self._breaker.fail(monotonic_ns())

    async def _connect(self) -> Client | None:
        """Return a connection to where the server is now."""
        target = self._address()
        if self._client is not None and target in ("", self._client.target):
            return self._client
        if not target:
            return None
        await self.close()
        self._client = Client(target, self._tls)
        self._stub = GRPCInferenceServiceStub(self._client.channel)
        return self._client


def _away(text: str) -> RefusalError:
    return RefusalError(Code.UNAVAILABLE, AWAY, text)
