"""Where do benchmarks of pods run? In a folder with a market, a real server, keys and real pods.

What is shared by `latency`, `pods` and `bare_chain`: the arena, the clock that calls on time, the
quantiles, and how fast the disk is at this minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import statistics
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Final, Self

from benchmarks.replay import series
from titanflow.adapters.bus.client import Bus
from titanflow.adapters.bus.ensure import ensure
from titanflow.adapters.bus.permissions import HOST
from titanflow.adapters.bus.streams import Topology
from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.base.instant import format_instant
from titanflow.core.facts import Bar
from titanflow.runtime import nats_server
from titanflow.runtime.place import Live, Settings
from titanflow.runtime.up import spawn

BAR_NS: Final = 60 * 10**9
START_NS: Final = 1_600_000_000 * 10**9
PROBES: Final = 200
STOP_SECONDS: Final = 10.0
_SPIN_S: Final = 0.00008
"""Sleep ends about so late; for so long the clock looks instead."""

ARENA: Final = """\
apiVersion: titanflow.io/v1alpha1
kind: Arena
metadata: {name: main}
spec:
  seed: 7
  capital: "100000000"
  instruments:
    - {symbol: X, venue: XSIM, assetClass: Crypto, currency: USD, tickSize: "0.01", lotSize: "1"}
  sources:
    - {name: bars, kind: Files, barSeconds: 60, files: {uri: "file://./bars.csv", format: CSV}}
  fees: {makerPpm: 100, takerPpm: 500}
---
apiVersion: titanflow.io/v1alpha1
kind: RiskPolicy
metadata: {name: house}
spec:
  selector: {}
  limits:
    maxIntentAgeSeconds: 86400
    maxOrdersPerSecond: 1000
    maxReferenceAgeSeconds: 86400
    priceCollarBps: 5000
    maxOrderNotional: "100000000"
    maxOpenOrders: 1000
    maxPositionNotional: "100000000"
    maxGrossExposure: "100000000"
    maxDailyLoss: "90000000"
    maxDrawdownBps: 9900
"""
CONTENDER: Final = """\
---
apiVersion: titanflow.io/v1alpha1
kind: Contender
metadata: {{name: {name}}}
spec:
  tier: Paper
  recipe: {recipe}
  sizing: {{kind: FixedFraction, fixedFraction: {{fractionBps: {fraction}}}}}
"""
DICE: Final = '{kind: Rules, rules: {name: Random, parameters: {period: "20"}}}'
"""An opinion once in twenty bars: of ten such, some order follows every third bar."""
STEADY: Final = '{kind: Python, python: {entryPoint: "steady:Steady"}}'
"""An order on every second bar, so that the trading side has one turn a bar: orders, then fills."""
CODE: Final = """\
from titanflow.core.contender.protocol import Side, View, Wish


class Steady:
    features = ()

    def decide(self, view: View) -> tuple[Wish, ...]:
        number, rest = divmod(view.bars_seen, 2)
        # It holds enough to sell, however late it hears of what it has bought.
        side = Side.BUY if number < 50 or number % 2 else Side.SELL
        return () if rest else (Wish.market(side, 10),)
"""


def write_arena(folder: Path, names: Sequence[str], recipe: str) -> Path:
    """Write an arena of contenders of one recipe; return where it lies.

    The market of a benchmark is `bars`; the file holds its first bars, because an arena has one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["symbol,time,open,high,low,close,volume"]
    for bar in bars(2):
        cells = (bar.open_ticks, bar.high_ticks, bar.low_ticks, bar.close_ticks)
        prices = ",".join(f"{ticks / 100:.2f}" for ticks in cells)
        rows.append(f"X,{format_instant(bar.at)},{prices},{bar.volume_lots}")
    (folder / "bars.csv").write_text("\n".join(rows) + "\n")
    (folder / "steady.py").write_text(CODE)
    text = ARENA
    for number, name in enumerate(names):
        text += CONTENDER.format(name=name, recipe=recipe, fraction=100 + number)
    (folder / "arena.yaml").write_text(text)
    return folder


def bars(count: int) -> Iterator[Bar]:
    """Give a seeded random walk of one-minute bars of X."""
    columns = {name: values.tolist() for name, values in series(count).items()}
    for i in range(count):
        at = START_NS + (i + 1) * BAR_NS
        yield Bar(
            derive(NO_ID, b"bench", i), NO_ID, at, at, "X", at - BAR_NS,
            columns["open"][i], columns["high"][i], columns["low"][i], columns["close"][i],
            columns["volume"][i],
        )  # fmt: skip


class Lab:
    """A server and pods in one folder; everything ends with the `with` block."""

    def __init__(
        self, folder: Path, topology: Topology, names: Sequence[str], recipe: str = STEADY
    ) -> None:
        manifests = write_arena(folder / "manifests", names, recipe)
        self.topology = topology
        self.live = Live(folder / "session")
        self.live.make(topology, Settings(str(manifests), 0.0))
        self.manifests = manifests
        self._pods: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.server = nats_server.start(
            self.live.nats, self.topology, self.live.keys(self.topology)
        )
        return self

    def __exit__(self, *_: object) -> None:
        stop(self._pods)
        self.server.stop()

    def bus(self, user: str) -> Bus:
        """Return the bus of one user."""
        return Bus(lambda: self.server.address, user, self.live.key(user))

    async def prepare(self) -> None:
        """Make streams and consumers."""
        async with self.bus(HOST) as host:
            report = await ensure(host.ask, self.topology)
        assert not report.drift, report.drift

    def start(self, *names: str) -> None:
        """Start the processes of some pods."""
        for pod in self.topology.pods:
            if pod.name in names:
                self._pods.append(spawn(self.live, pod))

    def complaints(self) -> list[str]:
        """Return the last line of each pod that has ended with a fault."""
        return [
            path.read_text("utf-8", "replace").strip().splitlines()[-1]
            for path in sorted((self.live.path / "pods").glob("*/log.jsonl"))
            if "stops: " in path.read_text("utf-8", "replace")
        ]

    def cpu_seconds(self) -> dict[str, float]:
        """Return the processor time of the server and of each pod until now."""
        found = {"nats-server": cpu_of(self.server.pid)}
        for process in self._pods:
            name = str(process.args[-1])  # type: ignore[index] # a list of words
            found[name] = cpu_of(process.pid)
        return found


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End children: asked first, killed after a while."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_of(pid: int) -> float:
    """Return the seconds that a process has spent on processors; 0 if it is gone."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def be_urgent() -> bool:
    """Run before everybody else from now on, with all children to come; say whether we may."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except (AttributeError, OSError):
        return False
    return True


def wait_until(due: float) -> None:
    """Return at *due*, a time of `time.perf_counter`, or at once if that is over."""
    while (left := due - time.perf_counter()) > 0:
        # Whoever spins all the time uses up its share, and is put aside when it counts.
        if left > _SPIN_S:
            time.sleep(left - _SPIN_S)


async def on_time(rate: float, count: int) -> AsyncIterator[float]:
    """Give *count* times of `time.perf_counter`, *rate* a second, each when it has come.

    A thread sleeps, because the event loop's own timers are a millisecond late. Who is busy when a
    time comes gets it late, and the time says how late: nothing is left out.
    """
    loop = asyncio.get_running_loop()
    due: asyncio.Queue[float] = asyncio.Queue()
    begun = time.perf_counter() + 0.01

    def tick() -> None:
        for i in range(count):
            at = begun + i / rate
            left = at - time.perf_counter()
            if left > 0:
                time.sleep(left)
            with contextlib.suppress(RuntimeError):  # the loop has ended: a benchmark was stopped
                loop.call_soon_threadsafe(due.put_nowait, at)

    threading.Thread(target=tick, daemon=True).start()
    for _ in range(count):
        yield await due.get()


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which *share* of *values* lie; 0 without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def fdatasync_ms(folder: Path) -> float:
    """Return the median time of a small synchronous write in *folder*, in ms."""
    path = folder / "fdatasync.probe"
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    times = []
    for _ in range(PROBES):
        os.write(file, bytes(600))
        begun = time.perf_counter()
        os.fdatasync(file)
        times.append(time.perf_counter() - begun)
    os.close(file)
    path.unlink()
    return statistics.median(times) * 1e3


def machine() -> str:
    """Return what this runs on, and how busy it is."""
    load = os.getloadavg()[0]
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"load {load:.1f}"
    )
