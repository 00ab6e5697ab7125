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
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.client import JetStreamContext

from benchmarks.lab import Lab, fdatasync_ms, machine, on_time, quantile, stop
from titanflow.adapters.bus.keys import Key, read
from titanflow.adapters.bus.permissions import HOST
from titanflow.adapters.bus.streams import Pod, Stream, Topology

PREFIX: Final = "bare"
WAIT_SECONDS: Final = 60.0
HEAD_BYTES: Final = 8
"""A message begins with its number."""


class Chain:
    """A driver and some workers in a row, on the server of a lab. Use it as `async with`."""

    def __init__(self, lab: Lab, sizes: Sequence[int]) -> None:
        self._lab, self._sizes = lab, sizes
        """Bytes of the message that each hop publishes; the first is the driver's."""
        self._workers: list[subprocess.Popen[bytes]] = []
        self._heard: dict[int, float] = {}
        self._stir = asyncio.Event()
        self._number = 0

    async def __aenter__(self) -> Self:
        key = self._lab.live.key(HOST)
        self._client = await connect(self._lab.server.address, key)
        self._js = self._client.jetstream(timeout=WAIT_SECONDS)
        for hop in range(len(self._sizes)):
            made = Stream(f"BARE_{hop}", (f"{PREFIX}.{hop}",), "nothing").config()
            subject = f"$JS.API.STREAM.CREATE.BARE_{hop}"
            answer = await self._client.request(subject, msgspec.json.encode(made), timeout=5)
            assert b'"error"' not in answer.data, answer.data
        last = len(self._sizes) - 1
        await self._js.subscribe(
            f"{PREFIX}.{last}",
            stream=f"BARE_{last}",
            config=ConsumerConfig(ack_policy=AckPolicy.NONE),
            cb=self._hear,
        )
        for hop in range(1, len(self._sizes)):
            words = ["--hop", str(hop), "--size", str(self._sizes[hop])]
            place = [self._lab.server.address, str(self._lab.live.path / "keys" / f"{HOST}.nk")]
            command = [sys.executable, "-m", "benchmarks.bare_chain", *words, "--at", *place]
            self._workers.append(subprocess.Popen(command))  # noqa: ASYNC220 - it starts at once
        await self.latencies(50, 10)  # everybody is there
        return self

    async def __aexit__(self, *_: object) -> None:
        stop(self._workers)
        await self._client.close()

    async def latencies(self, rate: float, count: int) -> list[float]:
        """Return the seconds from when each message was due until it came out."""
        first, due = self._number, {}
        async for at in on_time(rate, count):
            due[self._number] = at
            await self._publish()
        await self._until(first + count)
        return [self._heard.pop(number) - at for number, at in due.items()]

    async def throughput(self, count: int, window: int) -> float:
        """Return messages a second with *window* of them on their way."""
        begun, first = time.perf_counter(), self._number
        while self._number < first + count:
            await self._publish()
            if self._number - first - len(self._heard) >= window:
                await self._until(self._number - window + 1)
        await self._until(first + count)
        seconds = time.perf_counter() - begun
        self._heard.clear()
        return count / seconds

    async def _publish(self) -> None:
        head = self._number.to_bytes(HEAD_BYTES, "little")
        await self._js.publish(f"{PREFIX}.0", head + bytes(self._sizes[0] - HEAD_BYTES))
        self._number += 1

    async def _until(self, number: int) -> None:
        """Wait until all messages before *number* have come out."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not self._heard or max(self._heard) < number - 1:
                self._stir.clear()
                await self._stir.wait()

    async def _hear(self, message: Msg) -> None:
        self._heard[int.from_bytes(message.data[:HEAD_BYTES], "little")] = time.perf_counter()
        self._stir.set()


async def connect(address: str, key: Key) -> Client:
    """Return a connected client of the host."""
    client = Client()
    client._public_nkey = key.public  # noqa: SLF001 - as in adapters.bus.link
    await client.connect(
        servers=[address], signature_cb=key.sign, connect_timeout=5, max_reconnect_attempts=1
    )
    return client


async def work(address: str, key: Path, hop: int, size: int) -> None:
    """Be one worker: hear the stream before, publish to the own, until somebody stops it."""
    client = await connect(address, read(key))
    js: JetStreamContext = client.jetstream(timeout=WAIT_SECONDS)
    rest = bytes(size - HEAD_BYTES)

    async def take(message: Msg) -> None:
        await js.publish(f"{PREFIX}.{hop}", message.data[:HEAD_BYTES] + rest)
        await message.ack()

    await js.subscribe(
        f"{PREFIX}.{hop - 1}",
        stream=f"BARE_{hop - 1}",
        durable=f"hop-{hop}",
        cb=take,
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
        async with Chain(lab, sizes) as chain:
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
    parser.add_argument("--hop", type=int, help="be this worker")
    parser.add_argument("--at", nargs=2, help="the server's address, the key's file")
    arguments = parser.parse_args()
    if arguments.hop is None:
        asyncio.run(measure(arguments))
        return
    with contextlib.suppress(KeyboardInterrupt):
        address, key = arguments.at
        asyncio.run(work(address, Path(key), arguments.hop, arguments.size))


if __name__ == "__main__":
    main()
