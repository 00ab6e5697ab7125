"""What does a durable chain cost with nothing in it? nats-py and JetStream, bytes in, bytes out.

    python -m benchmarks.bare_chain [--workers N] [--rate N] [--seconds N]

The control of `latency` and `pods`: the same server with the same settings, streams alike,
as many processes in a row, messages of the same sizes. A worker hears its messages by a durable
push consumer with one message in flight, publishes, waits until that is stored, acknowledges.
No fence, no id, no checksum, no facts: what TitanFlow adds is what lies between.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, Self

import msgspec
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.client import JetStreamContext

from benchmarks.lab import Lab, fdatasync_ms, machine, on_time, quantile, stop
from titanflow.adapters.bus.keys import Key, read
from titanflow.adapters.bus.permissions import HOST
from titanflow.adapters.bus.streams import MIB, Pod, Stream, Topology

PREFIX: Final = "bare"
WAIT_SECONDS: Final = 60.0
HEAD_BYTES: Final = 8
"""A message begins with its number."""


class Route(msgspec.Struct, frozen=True):
    """What a worker does: for each message on *source* it publishes one of *size* on *target*."""

    source: str
    target: str
    size: int


class Flow(msgspec.Struct, frozen=True):
    """A driver, the streams, and workers, each with its routes."""

    streams: dict[str, tuple[str, ...]]
    """The subjects of each stream."""
    sources: dict[str, int]
    """What the driver publishes each time, and the bytes of it."""
    workers: tuple[tuple[Route, ...], ...]
    paced: str
    """The subject on which a message is heard that is no more on its way."""
    last: str

    def stream_of(self, subject: str) -> str:
        """Return the stream that holds a subject."""
        return next(name for name, subjects in self.streams.items() if subject in subjects)


def straight(sizes: Sequence[int]) -> Flow:
    """Return workers in a row; *sizes* are those of the driver's message and of each worker's."""
    names = [f"{PREFIX}.{hop}" for hop in range(len(sizes))]
    return Flow(
        {f"BARE_{hop}": (name,) for hop, name in enumerate(names)},
        {names[0]: sizes[0]},
        tuple((Route(names[hop - 1], names[hop], sizes[hop]),) for hop in range(1, len(sizes))),
        names[-1],
        names[-1],
    )


class Chain:
    """A driver and its workers, on the server of a lab. Use it as `async with`."""

    def __init__(self, lab: Lab, flow: Flow) -> None:
        self._lab, self._flow = lab, flow
        self._workers: list[subprocess.Popen[bytes]] = []
        self._heard: dict[str, dict[int, float]] = {flow.paced: {}, flow.last: {}}
        self._stir = asyncio.Event()
        self._number = 0

    async def __aenter__(self) -> Self:
        key = self._lab.live.key(HOST)
        self._client = await connect(self._lab.server.address, key)
        self._js = self._client.jetstream(timeout=WAIT_SECONDS)
        for name, subjects in self._flow.streams.items():
            made = Stream(name, subjects, "nothing", max_bytes=256 * MIB).config()
            call = f"$JS.API.STREAM.CREATE.{name}"
            answer = await self._client.request(call, msgspec.json.encode(made), timeout=5)
            assert b'"error"' not in answer.data, answer.data
        for subject in self._heard:
            await self._js.subscribe(
                subject,
                stream=self._flow.stream_of(subject),
                config=ConsumerConfig(ack_policy=AckPolicy.NONE),
                cb=self._hear,
            )
        flow = msgspec.json.encode(self._flow).decode()
        place = [self._lab.server.address, str(self._lab.live.path / "keys" / f"{HOST}.nk")]
        for number in range(len(self._flow.workers)):
            words = ["--worker", str(number), "--flow", flow, "--at", *place]
            command = [sys.executable, "-m", "benchmarks.bare_chain", *words]
            self._workers.append(subprocess.Popen(command))  # noqa: ASYNC220 - it starts at once
        await self.latencies(50, 10)  # everybody is there
        return self

    async def __aexit__(self, *_: object) -> None:
        stop(self._workers)
        for name in self._flow.streams:
            await self._client.request(f"$JS.API.STREAM.DELETE.{name}", b"", timeout=5)
        await self._client.close()

    async def latencies(self, rate: float, count: int) -> list[float]:
        """Return the seconds from when each message was due until it came out."""
        first, due = self._number, {}
        async for at in on_time(rate, count):
            due[self._number] = at
            await self._publish()
        await self._until(self._flow.last, first + count)
        heard = self._heard[self._flow.last]
        found = [heard[number] - at for number, at in due.items()]
        self._forget()
        return found

    async def throughput(self, count: int, window: int) -> float:
        """Return messages a second with *window* of them on their way."""
        begun, first = time.perf_counter(), self._number
        for number in range(first, first + count):
            if number - first >= window:
                await self._until(self._flow.paced, number - window + 1)
            await self._publish()
        await self._until(self._flow.last, first + count)
        seconds = time.perf_counter() - begun
        self._forget()
        return count / seconds

    def _forget(self) -> None:
        for heard in self._heard.values():
            heard.clear()

    async def _publish(self) -> None:
        head = self._number.to_bytes(HEAD_BYTES, "little")
        self._number += 1
        await asyncio.gather(
            *(
                self._js.publish(subject, head + bytes(size - HEAD_BYTES))
                for subject, size in self._flow.sources.items()
            )
        )

    async def _until(self, subject: str, number: int) -> None:
        """Wait until all messages before *number* have come out on a subject."""
        heard = self._heard[subject]
        async with asyncio.timeout(WAIT_SECONDS):
            while number - 1 not in heard:
                self._stir.clear()
                await self._stir.wait()

    async def _hear(self, message: Msg) -> None:
        number = int.from_bytes(message.data[:HEAD_BYTES], "little")
        self._heard[message.subject][number] = time.perf_counter()
        self._stir.set()


async def connect(address: str, key: Key) -> Client:
    """Return a connected client of the host."""
    client = Client()
    client._public_nkey = key.public  # noqa: SLF001 - as in adapters.bus.link
    await client.connect(
        servers=[address], signature_cb=key.sign, connect_timeout=5, max_reconnect_attempts=1
    )
    return client


async def work(address: str, key: Path, flow: Flow, number: int) -> None:
    """Be one worker: hear its sources, publish to its targets, until somebody stops it."""
    client = await connect(address, read(key))
    js: JetStreamContext = client.jetstream(timeout=WAIT_SECONDS)
    one = asyncio.Lock()  # as a pod, it does one thing after the other

    def taking(route: Route) -> Callable[[Msg], Awaitable[None]]:
        rest = bytes(route.size - HEAD_BYTES)

        async def take(message: Msg) -> None:
            async with one:
                await js.publish(route.target, message.data[:HEAD_BYTES] + rest)
                await message.ack()

        return take

    for place, route in enumerate(flow.workers[number]):
        await js.subscribe(
            route.source,
            stream=flow.stream_of(route.source),
            durable=f"worker-{number}-{place}",
            cb=taking(route),
            manual_ack=True,
            config=ConsumerConfig(max_ack_pending=1),
        )
    await asyncio.Event().wait()


async def measure(arguments: argparse.Namespace) -> None:
    """Measure a chain alone and print."""
    sizes = [arguments.size] * (arguments.workers + 1)
    topology = Topology("main", (Pod("gateway", role="gateway"),))
    with (
        tempfile.TemporaryDirectory(dir=arguments.folder) as name,
        Lab(Path(name), topology, ["nobody"]) as lab,
    ):
        print(f"{machine()}; fdatasync {fdatasync_ms(Path(name)):.2f} ms")
        async with Chain(lab, straight(sizes)) as chain:
            count = round(arguments.rate * arguments.seconds)
            times = await chain.latencies(arguments.rate, count)
            shown = [f"{quantile(times, share) * 1e3:.2f}" for share in (0.5, 0.99, 0.999)]
            print(f"{arguments.rate:g}/s: p50, p99, p99.9 {' '.join(shown)} ms")
            print(f"window 16: {await chain.throughput(count, 16):.0f} messages/s")


def main() -> None:
    """Be a worker, or measure a chain."""
    parser = argparse.ArgumentParser(description="A durable chain with nothing in it.")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--size", type=int, default=600)
    parser.add_argument("--folder", help="where the store lies; the default is the system's choice")
    parser.add_argument("--worker", type=int, help="be this worker")
    parser.add_argument("--flow", help="of this flow, in JSON")
    parser.add_argument("--at", nargs=2, help="the server's address, the key's file")
    arguments = parser.parse_args()
    if arguments.worker is None:
        uvloop.run(measure(arguments))
        return
    with contextlib.suppress(KeyboardInterrupt):
        address, key = arguments.at
        flow = msgspec.json.decode(arguments.flow, type=Flow)
        uvloop.run(work(address, Path(key), flow, arguments.worker))


if __name__ == "__main__":
    main()
