"""How many answers does the serving pod give, and how soon? Bare onnxruntime stands beside it.

    python -m benchmarks.serving

The pod runs in a process of its own, its graph in another; 1, 8 and 64 callers in this process ask
for one row each, one request after another, by the Open Inference Protocol over one connection.
Bare onnxruntime runs one row after another in this process, with nothing around it: what the same
machine can do without a network, a process and a check. Rounds of all alternate; medians are told.
"""

from __future__ import annotations

import asyncio
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import grpc
import numpy as np
import onnxruntime

from benchmarks.models import bare
from benchmarks.serving_kit import UNHURRIED, Callers, connected, pod, run_pod, subject

CALLERS = (1, 8, 64)
ROUNDS = 5
ROUND_SECONDS = 2.0


def bare_round(session: onnxruntime.InferenceSession, rows: np.ndarray) -> tuple[float, ...]:
    """Return requests in a second, p50 and p99 in ms of bare onnxruntime, a row at a time."""
    taken, begun, number = [], time.perf_counter(), 0
    while time.perf_counter() < begun + ROUND_SECONDS / 2:
        row = rows[number % len(rows)][None]
        start = time.perf_counter()
        session.run(None, {"features": row})
        taken.append(time.perf_counter() - start)
        number += 1
    rate = number / (time.perf_counter() - begun)
    return rate, *(float(np.quantile(taken, share)) * 1e3 for share in (0.5, 0.99))


async def measure(target: str) -> tuple[dict[str, list[tuple[float, ...]]], int]:
    """Return rate, p50 and p99 of each round of each kind, and how many requests were refused."""
    bundle = subject()
    session = bare(bundle.model)
    found: dict[str, list[tuple[float, ...]]] = {}
    async with connected(target) as client:
        callers = Callers(client, bundle)
        await callers.closed(8, 0.5)
        callers.refused.clear()
        for _ in range(ROUNDS):
            found.setdefault("bare", []).append(bare_round(session, bundle.golden.features))
            for count in CALLERS:
                rate = await callers.closed(count, ROUND_SECONDS)
                told = rate, callers.quantile(0.5), callers.quantile(0.99)
                found.setdefault(str(count), []).append(told)
    return found, len(callers.refused)


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name, pod("benchmarks.serving", Path(name)) as target:
        found, refused = asyncio.run(measure(target))
    print(
        f"one row a request; grpcio {grpc.__version__}, onnxruntime {onnxruntime.__version__}, "
        f"Python {platform.python_version()}, {os.cpu_count()} processors, "
        f"load {os.getloadavg()[0]:.1f}; medians of {ROUNDS} rounds of {ROUND_SECONDS:g} s"
    )
    for kind, rounds in found.items():
        rate, middle, late = (statistics.median(each) for each in zip(*rounds, strict=True))
        what = "bare onnxruntime, in process" if kind == "bare" else f"{kind} callers"
        print(f"{what:>28}: {rate:9,.0f} requests/s, p50 {middle:7.3f} ms, p99 {late:7.3f} ms")
    print(f"{refused} requests were not answered")
    return 1 if refused else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--pod"]:
        run_pod(Path(sys.argv[2]), [(subject(), UNHURRIED)])
        sys.exit()
    sys.exit(main())
