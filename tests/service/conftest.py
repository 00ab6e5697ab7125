"""Shared set-up of the service tests: the real server, an arena in split pods, a hostile link."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from titanflow.adapters.bus import keys as key_files
from titanflow.adapters.bus.client import Bus
from titanflow.adapters.bus.ensure import ensure
from titanflow.adapters.bus.keys import Key
from titanflow.adapters.bus.link import Patience
from titanflow.adapters.bus.permissions import HOST
from titanflow.adapters.bus.streams import Consumer, Pod, Topology
from titanflow.runtime import nats_server
from titanflow.runtime.nats_server import NatsServer

SPLIT = Topology(
    "demo",
    (
        Pod("gateway", role="gateway"),
        Pod("perception-0", stages=("perceive",)),
        Pod("signal-alpha", stages=("decide",), contenders=("alpha",)),
        Pod("signal-beta", stages=("decide",), contenders=("beta",)),
        Pod("risk-0", stages=("gate",)),
        Pod("execution-0", stages=("trade",)),
        Pod("ledger-0", stages=("post", "score"), writes_journal=True),
        Pod("serving", role="serving"),
        Pod("governance", role="governance"),
        Pod("sentinel", role="sentinel"),
    ),
)
QUICK = Patience(
    connect_s=0.5,
    ping_s=0.1,
    attempt_s=0.3,
    budget_s=3.0,
    down_s=3.0,
    again_first_s=0.01,
    again_most_s=0.05,
    beat_s=0.1,
    pull_s=1.0,
)
"""The bus's patience, shortened so that tests of its end take no time."""


class Proxy:
    """A link between client and server that can be made to misbehave."""

    def __init__(self, address: str) -> None:
        self._target = int(address.rpartition(":")[2])
        self.swallows_answer: bytes = b""
        """The next bytes from the server that hold this vanish."""
        self.swallows_request: bytes = b""
        """The next bytes from the client that hold this vanish."""
        self.delay_s = 0.0
        self.links = 0
        self._frozen = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def freeze(self) -> None:
        """Make the links of now half open: bytes and farewells vanish, and nobody is told."""
        self._frozen = self.links

    def cut(self) -> None:
        """Break every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def say_to_server(self, text: bytes) -> None:
        self._writers[-1].write(text)

    def say_to_client(self, text: bytes) -> None:
        self._writers[-2].write(text)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        self.links += 1
        number = self.links
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers += [writer, far_writer]
        await asyncio.gather(
            self._copy(number, reader, far_writer, "swallows_request"),
            self._copy(number, far_reader, writer, "swallows_answer"),
        )

    async def _copy(
        self, number: int, source: asyncio.StreamReader, target: asyncio.StreamWriter, trap: str
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(65536):
                prey = getattr(self, trap)
                if prey and prey in chunk:
                    setattr(self, trap, b"")
                elif number > self._frozen:
                    await asyncio.sleep(self.delay_s)
                    target.write(chunk)
                    await target.drain()
        if number > self._frozen:
            target.transport.abort()


class Arena:
    """A running server with everybody's keys."""

    patience = QUICK

    def __init__(self, folder: Path, topology: Topology = SPLIT) -> None:
        self.folder, self.topology = folder, topology
        names = (HOST, *(pod.name for pod in topology.pods))
        self.keys: dict[str, Key] = {
            name: key_files.make(folder / "keys" / f"{name}.nk") for name in names
        }
        self.server = self.start()

    @property
    def public(self) -> dict[str, str]:
        return {name: key.public for name, key in self.keys.items()}

    def start(self) -> NatsServer:
        self.server = nats_server.start(self.folder / "nats", self.topology, self.public)
        return self.server

    def bus(
        self,
        user: str,
        address: str = "",
        patience: Patience = QUICK,
        notice: Callable[[str], None] | None = None,
        seat: Consumer | None = None,
    ) -> Bus:
        return Bus(
            lambda: address or nats_server.address(self.folder / "nats"),
            user,
            self.keys[user],
            patience=patience,
            notice=notice,
            seat=seat,
        )

    @contextlib.asynccontextmanager
    async def proxied(
        self,
        user: str,
        patience: Patience = QUICK,
        notice: Callable[[str], None] | None = None,
        seat: Consumer | None = None,
    ) -> AsyncIterator[tuple[Proxy, Bus]]:
        """Connect one user through a proxy of its own."""
        async with (
            Proxy(self.server.address) as proxy,
            self.bus(user, proxy.address, patience, notice, seat) as bus,
        ):
            yield proxy, bus

    async def stored(self, stream: str) -> int:
        """Return how many messages a stream holds."""
        async with self.bus(HOST) as host:
            info = json.loads(await host.ask(f"$JS.API.STREAM.INFO.{stream}"))
        return info["state"]["messages"]

    async def fill(self, count: int, start: int = 0) -> None:
        """Publish market events, numbered from *start*."""
        async with self.bus("gateway") as bus:
            for n in range(start, start + count):
                await bus.publish_turn("TF_demo_MARKET", "tf.demo.market", b"%d" % n, f"g/{n}", n)

    @staticmethod
    async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
        """Wait for what no event announces."""
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - counters and servers announce nothing
                await asyncio.sleep(0.005)

    async def prepare(self) -> None:
        """Make every stream and consumer, empty."""
        async with self.bus(HOST) as host:
            for kind in ("MARKET", "DECISION", "ORDER", "LEDGER", "OWN", "CONTROL", "WORK"):
                await host.ask(f"$JS.API.STREAM.DELETE.TF_{self.topology.arena}_{kind}")
            report = await ensure(host.ask, self.topology)
            assert () == report.drift


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """Run one server for a module; each test begins with `await arena.prepare()`."""
    made = Arena(tmp_path_factory.mktemp("arena"))
    yield made
    made.server.stop()
