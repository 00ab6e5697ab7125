"""How long from a market event to its order? In one process, and across pods on a real server.

    python -m benchmarks.latency [--only process|pods] [--rounds N] [--seconds N] [--json]

In process: one pod that hosts the whole line takes 5,000 bars a second, each for ten contenders,
and every bar leads to perception, ten decisions, risk's verdicts, orders, fills of former orders
and their entries. Across pods: the gateway publishes 500 bars a second, the pod of perception and
signals reads them, the pod of the trading side reads those and says the orders: three durable
messages in a row, each on the disk before the next is made. Beside it, in turns of a few seconds,
runs a bare chain on the same server with messages of the same sizes (`bare_chain`).

Both are open loops: a bar is due at a time, however late we are, and its latency runs from that
time. Medians over the rounds are compared. Ends with 1 when a bar is missed.
Where the system allows it everything here runs with real-time priority, the bare chain too, because
others who work on the machine would be measured otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import uvloop

from benchmarks.bare_chain import Chain, straight
from benchmarks.lab import (
    DICE,
    Lab,
    bars,
    be_urgent,
    fdatasync_ms,
    machine,
    on_time,
    quantile,
    wait_until,
    write_arena,
)
from titanflow.adapters.bus.client import Bus
from titanflow.adapters.bus.reading import Message
from titanflow.adapters.bus.streams import Pod, Topology
from titanflow.adapters.codec import InputRef, Turn, decode_turn
from titanflow.core.facts import Order
from titanflow.runtime.gateway import Gateway
from titanflow.runtime.plan import Plan, prepare
from titanflow.runtime.shard import GATEWAY, Shard

CONTENDERS: Final = tuple(f"dice-{number}" for number in range(10))
PROCESS_RATE: Final = 5_000
PROCESS_P99_US: Final = 250.0
"""The bar in process."""
PODS_RATE: Final = 500
PODS_RATIO: Final = 1.5
"""The bar across pods: the median, as a multiple of the bare chain's."""
WARM_UP: Final = 1_000
"""Bars before the first that counts."""
SHARES: Final = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
WAIT_SECONDS: Final = 60.0

WHOLE: Final = Topology(
    "main",
    (
        Pod(GATEWAY, role="gateway"),
        Pod("line", ("trade", "gate", "post", "score", "perceive", "decide")),
    ),
)
PODS: Final = Topology(
    "main",
    (
        Pod(GATEWAY, role="gateway"),
        Pod("signal", ("perceive", "decide")),
        Pod("trade", ("trade", "gate", "post", "score")),
    ),
)
"""As `titanflow up` colocates; the market is durable here too."""


def in_process(plan: Plan, seconds: float) -> dict[str, Any]:
    """Return the latencies of one round, in µs, and beside them those of a line that does nothing.

    The idle line is called on the same times on the same machine: what it shows is the noise.
    """
    shard = Shard(WHOLE.pods[1], WHOLE, plan)
    count = round(PROCESS_RATE * seconds)
    inputs = [
        (Turn(GATEWAY, n, bar.at, (), (bar,), bar.at), InputRef("TF_main_MARKET", n))
        for n, bar in enumerate(bars(WARM_UP + count), 1)
    ]
    for turn, ref in inputs[:WARM_UP]:
        shard.take(turn, ref)
        shard.finish()
    gc.collect()
    gc.freeze()
    orders, late = [], 0
    noise = _idle(round(PROCESS_RATE * min(seconds, 1.0)))
    begun = time.perf_counter() + 0.01
    for place, (turn, ref) in enumerate(inputs[WARM_UP:]):
        due = begun + place / PROCESS_RATE
        late += time.perf_counter() > due
        wait_until(due)
        shard.take(turn, ref)
        said = shard.finish()
        took = time.perf_counter() - due
        if said is not None and any(type(fact) is Order for fact in said.facts):
            orders.append(took * 1e6)
    gc.unfreeze()
    return {
        "events": count,
        "with_orders": len(orders),
        "late": late,
        **{name: round(quantile(orders, share), 1) for name, share in SHARES.items()},
        "noise_p99": round(quantile(noise, 0.99), 1),
    }


def _idle(count: int) -> list[float]:
    """Return by how many µs a loop that does nothing else misses its times."""
    begun, missed = time.perf_counter() + 0.01, []
    for place in range(count):
        due = begun + place / PROCESS_RATE
        wait_until(due)
        missed.append((time.perf_counter() - due) * 1e6)
    return missed


class Paced(Gateway):
    """The gateway, publishing so many bars when it is told to, and noting when orders arrive."""

    def __init__(self, bus: Bus, topology: Topology, plan: Plan, total: int) -> None:
        super().__init__(bus, topology, plan, 1.0)
        self.heard: list[tuple[float, bytes]] = []
        self._bars = bars(total)
        self._is_open = asyncio.Event()

    def _note(self, message: Message) -> None:
        self.heard.append((time.perf_counter(), message.data))
        super()._note(message)

    async def _drive(self, *, ended: bool) -> None:
        assert not ended
        self._is_open.set()
        await asyncio.Event().wait()

    async def burst(self, rate: float, count: int) -> dict[int, float]:
        """Publish *count* bars at a rate; return when each was due, by its event time."""
        await self._is_open.wait()
        due: dict[int, float] = {}
        async for at in on_time(rate, count):
            bar = next(self._bars)
            due[bar.at] = at
            await self._say(bar.at, (bar,), bar.at)
        await self._quiet()
        return due

    async def end(self) -> None:
        """Say that this was all, as every gateway does."""
        await self._finish()

    async def _quiet(self) -> None:
        """Wait until nothing has been heard for a while."""
        async with asyncio.timeout(WAIT_SECONDS):
            while self.heard and time.perf_counter() - self.heard[-1][0] < 0.3:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


def order_times(heard: Sequence[tuple[float, bytes]]) -> tuple[dict[int, float], dict[str, int]]:
    """Return when the orders on each bar were heard, and the mean size of each pod's messages."""
    times: dict[int, float] = {}
    sizes: dict[str, list[int]] = {}
    for at, data in heard:
        turn = decode_turn(data)
        has_orders = any(type(fact) is Order for fact in turn.facts)
        if has_orders:
            times[turn.at] = at
        if has_orders or turn.pod != "trade":
            sizes.setdefault(turn.pod, []).append(len(data))
    return times, {pod: round(statistics.mean(each)) for pod, each in sizes.items()}


async def across_pods(folder: Path, rounds: int, seconds: float) -> dict[str, Any]:
    """Return the latencies of pods and of the bare chain, in ms, in alternating rounds."""
    count = round(PODS_RATE * seconds)
    with Lab(folder, PODS, ["steady"]) as lab:
        await lab.prepare()
        plan = prepare(lab.manifests, None)
        async with lab.bus(GATEWAY) as bus:
            gateway = Paced(bus, PODS, plan, WARM_UP + rounds * count)
            running = asyncio.create_task(gateway.run())
            lab.start("signal", "trade")
            await gateway.burst(100, 20)
            await _until_heard(gateway, lab)
            await gateway.burst(200, 400)
            _, sizes = order_times(gateway.heard)
            market = len(_market_message())
            found: list[dict[str, Any]] = []
            async with Chain(lab, straight((market, sizes["signal"], sizes["trade"]))) as chain:
                for _ in range(rounds):
                    gateway.heard.clear()
                    spent = lab.cpu_seconds()
                    due = await gateway.burst(PODS_RATE, count)
                    spent = {k: round(v - spent[k], 2) for k, v in lab.cpu_seconds().items()}
                    times, _ = order_times(gateway.heard)
                    ours = [(times[at] - due[at]) * 1e3 for at in due if at in times]
                    bare = [each * 1e3 for each in await chain.latencies(PODS_RATE, count)]
                    found.append(_row(ours, bare, spent, fdatasync_ms(folder)))
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert not lab.complaints(), lab.complaints()
    return {"rounds": found, "bytes": {GATEWAY: market, **sizes}, "bars": count * rounds}


async def _until_heard(gateway: Paced, lab: Lab) -> None:
    """Wait until both pods have spoken."""
    async with asyncio.timeout(WAIT_SECONDS):
        while {decode_turn(data).pod for _, data in gateway.heard} != {"signal", "trade"}:
            assert not lab.complaints(), lab.complaints()
            await asyncio.sleep(0.05)


def _market_message() -> bytes:
    from titanflow.adapters.codec import encode_turn

    bar = next(bars(1))
    return encode_turn(Turn(GATEWAY, 1, bar.at, (), (bar,), bar.at))


def _row(
    ours: Sequence[float], bare: Sequence[float], spent: dict[str, float], disk: float
) -> dict[str, Any]:
    quantiles = {
        f"{who} {name}": round(quantile(values, share), 2)
        for who, values in (("pods", ours), ("bare", bare))
        for name, share in SHARES.items()
    }
    ratio = quantiles["pods p50"] / quantiles["bare p50"]
    return {
        "orders": len(ours), **quantiles, "ratio": round(ratio, 2), "fdatasync": round(disk, 2),
        "cpu_s": spent,
    }  # fmt: skip


def ratio_of(rounds: Sequence[dict[str, Any]]) -> float:
    """Return our p50 over the bare one's, each as its median over the rounds."""
    ours, bare = (
        statistics.median(row[f"{who} p50"] for row in rounds) for who in ("pods", "bare")
    )
    found: float = ours / bare
    return found


def show(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print rows as a table."""
    print(title)
    names = [name for name in rows[0] if name != "cpu_s"]
    print("  " + "  ".join(f"{name:>11}" for name in names))
    for row in rows:
        print("  " + "  ".join(f"{row[name]:>11}" for name in names))


def main() -> int:
    """Measure, print, and compare with the bars."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("process", "pods"))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.5, help="of one round")
    parser.add_argument("--folder", help="where streams lie; the default is the system's choice")
    parser.add_argument("--ordinary", action="store_true", help="no real-time priority")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    is_urgent = not options.ordinary and be_urgent()
    report: dict[str, Any] = {"machine": machine(), "real-time": is_urgent}
    met = True
    print(f"{report['machine']}, real-time priority: {is_urgent}", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        if options.only != "pods":
            plan = prepare(write_arena(Path(name) / "arena", CONTENDERS, DICE), None)
            rows = [in_process(plan, options.seconds) for _ in range(options.rounds)]
            p99 = statistics.median(row["p99"] for row in rows)
            report["process"] = {"rounds": rows, "p99": p99, "bar": PROCESS_P99_US}
            met &= p99 <= PROCESS_P99_US
            show(f"in process, {PROCESS_RATE} bars/s, {len(CONTENDERS)} contenders, µs", rows)
            print(f"  median p99 {p99:.1f} µs; bar {PROCESS_P99_US:g} µs")
        if options.only != "process":
            ran = uvloop.run(across_pods(Path(name), options.rounds, options.seconds))
            ratio = ratio_of(ran["rounds"])
            report["pods"] = {**ran, "ratio": ratio, "bar": PODS_RATIO}
            met &= ratio <= PODS_RATIO
            show(f"across pods, {PODS_RATE} bars/s, three durable messages, ms", ran["rounds"])
            print(
                f"  bytes of a message: {ran['bytes']}; processor s: {ran['rounds'][-1]['cpu_s']}"
            )
            print(f"  ratio of the medians over the rounds {ratio:.2f}; bar {PODS_RATIO:g}")
    if options.json:
        print(json.dumps(report))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
