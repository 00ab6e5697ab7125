"""Can a hostile bundle harm the others? Each is thrown at the serving pod while others ask.

    python -m benchmarks.hostile

The pod runs in a process of its own, every graph in another. In each round others ask an honest
bundle at a steady rate, open loop, in two halves whose order alternates. In the one half something
hostile happens: a bundle is wished for (it must be refused within a second), or one that every
check was made to let through is asked (each call must be contained within a second). The other half
is the control: nobody wishes for anything, or an honest bundle is asked in the place of the hostile
one. Compared are the others' p99; the median over the rounds must be at most 1.25. Ends with 1 when
a bar is missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

import msgspec
import numpy as np
from model_kit import (
    Signer,
    at_random,
    bundle_of,
    graph_bytes,
    loop_forever,
    members,
    not_a_number,
    outside_data,
    rows,
    sixteen_gigabytes,
)

from benchmarks.serving_kit import UNHURRIED, Callers, connected, pod, run_pod, subject
from titanflow.adapters import model_host
from titanflow.adapters.bundles.archive import pack
from titanflow.adapters.bundles.bundle import Bundle
from titanflow.adapters.rpc.client import Client
from titanflow.core.spec.bundle import ServingSpec
from titanflow.rpc.inference import inference_pb2 as inference
from titanflow.rpc.inference.inference_pb2_grpc import GRPCInferenceServiceStub
from titanflow.services.serving.wishes import answered, wish

ROUNDS: Final = 5
HALF_SECONDS: Final = 2.0
RATE: Final = 200.0
"""Requests in a second of the others."""
HOSTILE_RATE: Final = 20.0
"""Requests in a second to a bundle that was let through."""
RATIO_MAX: Final = 1.25
CONTAINED_SECONDS: Final = 1.0
CONTAINED: Final = "let through: contained"
HONEST: Final = "honest"
LET_THROUGH: Final = {
    "loop": loop_forever, "16 GB": sixteen_gigabytes, "NaN": not_a_number, HONEST: graph_bytes,
}  # fmt: skip


def refused(folder: Path) -> dict[str, Path]:
    """Return bundles that must be refused, by kind."""
    signer = Signer(folder / "keys", "hostile")
    graphs = {
        "16 GB": sixteen_gigabytes(),
        "endless loop": loop_forever(),
        "NaN": not_a_number(),
        "random operator": at_random(),
        "external data": outside_data(),
        "pickle": b"\x80\x04\x95 no graph",
    }
    found = {
        name: signer.write(folder / name, pack(members(model, name="bad")))
        for name, model in graphs.items()
    }
    honest = pack(members(name="bad"))
    tampered = signer.write(folder / "tampered", honest)
    tampered.write_bytes(honest[:-1500] + b"\1" + honest[-1499:])
    unsigned = folder / "unsigned.tfb"
    unsigned.write_bytes(honest)
    return {**found, "tampered": tampered, "unsigned": unsigned}


def let_through(name: str, model: bytes) -> Bundle:
    """Return a bundle around any graph, under a name of its own."""
    made = bundle_of(model, name=name)
    return msgspec.structs.replace(made, contract=msgspec.structs.replace(made.contract, name=name))


async def take(folder: Path, path: Path) -> tuple[float, str]:
    """Wish for a bundle; return after how many seconds at which step it was refused."""
    begun = time.perf_counter()
    wished = wish(folder, path)
    while (said := answered(wished)) is None:  # noqa: ASYNC110 - a file announces nothing
        await asyncio.sleep(0.01)
    return time.perf_counter() - begun, said.step


async def nag(client: Client, name: str, seconds: float) -> float:
    """Ask a bundle that was let through at a rate; return the longest time to an answer."""
    stub, taken = GRPCInferenceServiceStub(client.channel), [0.0]
    asked = inference.ModelInferRequest(model_name=name)
    asked.inputs.add(name="features", datatype="FP32", shape=(1, 3))
    asked.raw_input_contents.append(rows(1).astype("<f4").tobytes())

    async def one() -> None:
        begun = time.perf_counter()
        with contextlib.suppress(Exception):  # whatever it is, it is contained
            await stub.ModelInfer(asked, timeout=5)
        taken.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(seconds * HOSTILE_RATE)):
            await asyncio.sleep(max(0.0, begun + number / HOSTILE_RATE - time.perf_counter()))
            group.create_task(one())
    return max(taken)


@dataclass(frozen=True)
class Found:
    """What became of one kind; times of the others are medians of the rounds, in ms."""

    kind: str
    step: str
    """The step that refused it; for one that was let through, `contained`."""
    longest: float
    """Seconds until it was refused, or until its longest call was answered."""
    late: float
    """The others' p99 beside it."""
    control: float
    """The others' p99 beside nothing of the kind."""
    ratio: float

    @property
    def misses(self) -> bool:
        """Say whether a bar was missed."""
        return self.ratio > RATIO_MAX or self.longest > CONTAINED_SECONDS or not self.step

    def line(self) -> str:
        """Return one line for people."""
        how = self.step if self.step == CONTAINED else f"refused at step {self.step}"
        return (
            f"{self.kind:>16}: {how:<32} in {self.longest:5.3f} s at most; others' p99 "
            f"{self.late:6.2f} ms, control {self.control:6.2f} ms, ratio {self.ratio:5.3f}"
            f"{'  MISSED' if self.misses else ''}"
        )


class Arena:
    """The others, and what is thrown at the pod beside them."""

    def __init__(self, client: Client, nagging: Client, folder: Path, seconds: float) -> None:
        self._others, self._nagging, self._folder = Callers(client, subject()), nagging, folder
        self._seconds = seconds
        self.failed = 0

    async def half(self) -> float:
        """Return the others' p99 in ms, whatever else happens."""
        self._others.refused.clear()
        await self._others.opened(RATE, self._seconds)
        self.failed += len(self._others.refused)
        return self._others.quantile(0.99)

    async def wished(self, path: Path) -> tuple[float, float, str]:
        """Return the others' p99 while a bundle is wished for, how long that took, and the step."""
        taking = asyncio.create_task(take(self._folder, path))
        late = await self.half()
        return late, *(await taking)

    async def asked(self, name: str) -> tuple[float, float, str]:
        """Return the others' p99 while a bundle that was let through is asked."""
        nagging = asyncio.create_task(nag(self._nagging, name, self._seconds))
        late = await self.half()
        return late, await nagging, CONTAINED


async def compare(arena: Arena, kind: str, path: Path | None, rounds: int) -> Found:
    """Return what became of one kind: wished for from a path, or asked because it was let in."""
    ratios, controls, lates, times, step = [], [], [], [], ""
    for number in range(rounds):
        told: dict[str, tuple[float, float, str]] = {}
        for half in ("control", "hostile") if number % 2 else ("hostile", "control"):
            if path is None:
                told[half] = await arena.asked(HONEST if half == "control" else kind)
            elif half == "control":
                told[half] = await arena.half(), 0.0, ""
            else:
                told[half] = await arena.wished(path)
        controls.append(told["control"][0])
        lates.append(told["hostile"][0])
        ratios.append(lates[-1] / controls[-1])
        times.append(told["hostile"][1])
        step = told["hostile"][2]
    median = statistics.median
    return Found(kind, step, max(times), median(lates), median(controls), median(ratios))


async def measure(
    target: str, folder: Path, told: Callable[[Found], object], rounds: int, seconds: float
) -> int:
    """Tell what became of each kind; return how many requests of the others had no answer."""
    kinds = refused(folder)
    async with connected(target) as client, connected(target) as nagging:
        arena = Arena(client, nagging, folder, seconds)
        await arena.half()
        asked = [(name, None) for name in LET_THROUGH if name != HONEST]
        for name, path in [*kinds.items(), *asked]:
            told(await compare(arena, name, path, rounds))
    return arena.failed


def main() -> int:
    """Measure, print, judge."""
    print(
        f"others: {RATE:g} requests/s of one row, {ROUNDS} rounds of {HALF_SECONDS:g} s and "
        f"{HALF_SECONDS:g} s; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, "
        f"numpy {np.__version__}; medians of the rounds",
        flush=True,
    )
    missed = 0

    def tell(found: Found) -> None:
        nonlocal missed
        missed += found.misses
        print(found.line(), flush=True)

    with tempfile.TemporaryDirectory() as name, pod("benchmarks.hostile", Path(name)) as target:
        failed = asyncio.run(measure(target, Path(name), tell, ROUNDS, HALF_SECONDS))
    print(f"{failed} requests of the others were not answered")
    return 1 if missed + failed else 0


def serve_all(folder: Path) -> None:
    """Run the pod, with bundles whose golden vectors nobody compares, as if they had passed."""
    prove = model_host._Child._prove  # noqa: SLF001 - nobody else lets anything through

    def lenient(self: object, bundle: Bundle, *rest: object) -> None:
        if bundle.contract.name not in LET_THROUGH:
            prove(self, bundle, *rest)

    model_host._Child._prove = lenient  # noqa: SLF001
    usual = ServingSpec.model_validate({"memory": "256Mi"})
    others = [(let_through(name, make()), usual) for name, make in LET_THROUGH.items()]
    run_pod(folder, [(subject(), UNHURRIED), *others], [folder / "keys"])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--pod"]:
        serve_all(Path(sys.argv[2]))
        sys.exit()
    sys.exit(main())
