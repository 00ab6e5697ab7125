"""How does a pod answer questions? By one server with health, reflection, limits and typed errors.

    server = Server(methods, health, Listen("127.0.0.1", 0))
    await server.start()      # server.port is the port
    await server.stop(grace_seconds=5)

Without TLS it listens on this machine only, unless somebody explicitly allows more. The port is its
own: a second server on it does not start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import grpc
import grpc.aio
import msgspec
from grpc_health.v1 import health_pb2_grpc  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped]

from titanflow.adapters.rpc.guard import Guard, Limits
from titanflow.adapters.rpc.health import SERVICE, Health, HealthServicer
from titanflow.adapters.rpc.meter import Meter
from titanflow.adapters.rpc.method import AnyMethod, handlers_of
from titanflow.adapters.rpc.tls import TlsFiles, is_loopback
from titanflow.core.base.errors import AdapterError, InvariantError, Problem, SpecError

KEEPALIVE_MS = 30_000
STREAMS_MAX = 128
"""Most calls at a time on one connection: one client cannot take all the room."""


class Listen(msgspec.Struct, frozen=True):
    """Where a server listens; port 0 is a free one."""

    host: str = "127.0.0.1"
    port: int = 0
    tls: TlsFiles | None = None
    allows_plain: bool = False
    """Whether everybody who reaches the host may ask, unknown and unencrypted."""


class Server:
    """One server of one process.

    *closing* are called when it stops, so that streams end by themselves.

    Raises: SpecError if it would listen to other machines without TLS.
    """

    def __init__(
        self,
        methods: Iterable[AnyMethod],
        health: Health,
        listen: Listen = Listen(),  # noqa: B008 - frozen
        limits: Limits = Limits(),  # noqa: B008 - frozen
        *,
        closing: Iterable[Callable[[], None]] = (),
        broken: Callable[[InvariantError], None] | None = None,
    ) -> None:
        if listen.tls is None and not listen.allows_plain and not is_loopback(listen.host):
            do = "give TLS files, or allow plain connections explicitly"
            what = f"{listen.host} is reached by other machines, and there is no TLS"
            raise SpecError([Problem(what, "listen.host", do)])
        self.health, self.listen, self.meter = health, listen, Meter()
        self.port = 0
        self._broken = broken
        self._closing = tuple(closing)
        self.guard = Guard(limits, self.meter, self._on_broken)
        handlers = handlers_of(methods)
        self.services = (*sorted(handlers), SERVICE, reflection.SERVICE_NAME)
        self._server = grpc.aio.server(interceptors=[self.guard], options=_options(limits))
        for service, by_name in handlers.items():
            generic = grpc.method_handlers_generic_handler(service, by_name)
            self._server.add_generic_rpc_handlers((generic,))
        health_pb2_grpc.add_HealthServicer_to_server(HealthServicer(health, handlers), self._server)
        reflection.enable_server_reflection(self.services, self._server)

    @property
    def target(self) -> str:
        """Give the address that clients connect to."""
        host = self.listen.host
        return f"[{host}]:{self.port}" if ":" in host.strip("[]") else f"{host}:{self.port}"

    async def start(self) -> None:
        """Begin to listen; whether questions are answered is the business of `health`.

        Raises: AdapterError if the port is taken, SpecError if a TLS file cannot be read.
        """
        host = self.listen.host.strip("[]")
        address = f"[{host}]:{self.listen.port}" if ":" in host else f"{host}:{self.listen.port}"
        try:
            if self.listen.tls is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, self.listen.tls.server())
        except RuntimeError as error:
            raise AdapterError(f"cannot listen on {address}: {error}") from error
        await self._server.start()

    async def stop(self, grace_seconds: float) -> None:
        """Take nothing new, let what has begun come to its end, and cut what takes too long."""
        self.health.close()
        for close in self._closing:
            close()
        await self._server.stop(grace_seconds)

    def _on_broken(self, error: InvariantError) -> None:
        self.health.fail("an invariant is broken")
        if self._broken is not None:
            self._broken(error)


def _options(limits: Limits) -> list[tuple[str, Any]]:
    return [
        ("grpc.max_receive_message_length", limits.request_bytes_max),
        ("grpc.max_send_message_length", limits.answer_bytes_max),
        ("grpc.max_metadata_size", limits.metadata_bytes_max),
        ("grpc.absolute_max_metadata_size", limits.metadata_bytes_max),
        ("grpc.max_concurrent_streams", STREAMS_MAX),
        # A peer that is gone without a word is noticed; ours may look for us as often.
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_MS // 3),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", KEEPALIVE_MS // 3),
        # Two processes on one port would share its calls by chance.
        ("grpc.so_reuseport", 0),
    ]
