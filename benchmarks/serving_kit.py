"""Where do benchmarks of serving ask? A serving pod in a process of its own, with the example's
bundle, and callers in this one.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.models import ARENA, bundle
from titanflow.adapters.bundles.bundle import Bundle
from titanflow.adapters.bundles.signing import Trust
from titanflow.adapters.rpc.client import Client
from titanflow.core.spec.bundle import ServingSpec
from titanflow.rpc.inference import inference_pb2 as inference
from titanflow.rpc.inference.inference_pb2_grpc import GRPCInferenceServiceStub
from titanflow.services.serving.pod import ServingPod, serve

START_SECONDS: Final = 30.0
CALL_SECONDS: Final = 5.0
UNHURRIED: Final = ServingSpec.model_validate({"timeoutMicros": 2_000_000})
"""On a machine that others use as well, 50 ms are sometimes not enough for anything."""
ROWS: Final = 256
"""Different rows that are asked about in turn."""


def run_pod(
    folder: Path, bundles: Sequence[tuple[Bundle, ServingSpec]], keys: Sequence[Path] = ()
) -> None:
    """Run a serving pod until the process is ended; for a child process."""
    pod = ServingPod(Trust([*keys, ARENA / "keys"]), print)
    asyncio.run(serve(pod, bundles, folder, print, asyncio.Event()))


@contextlib.contextmanager
def pod(module: str, folder: Path) -> Any:
    """Run `python -m MODULE --pod FOLDER`, which runs a pod there, and give its address."""
    child = subprocess.Popen(
        [sys.executable, "-m", module, "--pod", str(folder)], stdout=subprocess.DEVNULL
    )
    try:
        file, until = folder / "address", time.monotonic() + START_SECONDS
        while not file.exists():
            assert child.poll() is None, "the pod has ended"
            assert time.monotonic() < until, "the pod does not start"
            time.sleep(0.02)
        yield file.read_text("ascii").strip()
    finally:
        child.terminate()
        child.wait()


def requests(subject: Bundle) -> list[inference.ModelInferRequest]:
    """Return requests of one row each about the golden vectors."""
    made = []
    for row in subject.golden.features[:ROWS]:
        asked = inference.ModelInferRequest(model_name=subject.contract.name)
        asked.inputs.add(name="features", datatype="FP32", shape=(1, len(row)))
        asked.raw_input_contents.append(row.astype("<f4").tobytes())
        made.append(asked)
    return made


class Callers:
    """Who asks: connections, requests, and the seconds that answers took."""

    def __init__(self, client: Client, subject: Bundle) -> None:
        self._client, self._requests = client, requests(subject)
        self._stub = GRPCInferenceServiceStub(client.channel)
        self._next = 0
        self.seconds: list[float] = []
        self.refused: list[str] = []

    async def one(self, since: float | None = None) -> None:
        """Ask once; the time counts from *since*, which may lie before now."""
        asked = self._requests[self._next % ROWS]
        self._next += 1
        since = time.perf_counter() if since is None else since
        try:
            await self._client.ask(self._stub.ModelInfer, asked, CALL_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
            self.refused.append(getattr(error, "reason", type(error).__name__))
        self.seconds.append(time.perf_counter() - since)

    async def closed(self, callers: int, seconds: float) -> float:
        """Let some callers ask one after another for a while; return the requests in a second."""
        self.seconds.clear()
        begun = time.perf_counter()

        async def ask() -> None:
            while time.perf_counter() < begun + seconds:
                await self.one()

        await asyncio.gather(*(ask() for _ in range(callers)))
        return len(self.seconds) / (time.perf_counter() - begun)

    async def opened(self, rate: float, seconds: float) -> None:
        """Ask at a rate for a while, whether or not the former requests were answered."""
        self.seconds.clear()
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(int(rate * seconds)):
                due = begun + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(self.one(due))

    def quantile(self, share: float) -> float:
        """Return a quantile of the answers' times in milliseconds."""
        return float(np.quantile(self.seconds, share)) * 1e3


@contextlib.asynccontextmanager
async def connected(target: str) -> AsyncIterator[Client]:
    """Give a connection to a pod that is ready."""
    async with Client(target) as client:
        await client.ready(START_SECONDS)
        yield client


def subject() -> Bundle:
    """Return the example's bundle that is asked."""
    return bundle()
