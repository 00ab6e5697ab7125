"""How much goes through risk, execution and ledger as pods of their own? Facts, losses, and lag.

    python -m benchmarks.pods [--rate N] [--seconds N] [--rounds N] [--journal] [--json]

The driver speaks for the gateway and for the signal pod: each tick is one message of intents, one
of each contender, and one bar, which fills the orders of an earlier tick. Between them lie three
real pods on a real server: risk (verdicts), execution (orders, their updates and fills), ledger
(entries). No message holds more than 64 facts. Facts are counted as the three pods store them.

First an open loop: ticks are due at their times, however late we are. The lag of a tick runs from
the time at which its intents were due until their orders are heard, and from the time at which the
bar that fills them was due until their entries are heard; both parts together are the lag.
Then the most that goes through, with a window of ticks on their way, in turns with two controls
(`bare_chain`), all with one message in flight on each hop. The bare flow has the same streams, the
same three workers and for each tick the same messages of the same sizes; the ratio is to that. The
straight chain sends one message through three workers, each of the mean size: execution, which
says two turns a tick, is spared a half there.
Everything runs with real-time priority where the system allows it.
Ends with 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop

from benchmarks.bare_chain import Chain, Flow, Route, straight
from benchmarks.lab import BAR_NS, Lab, bars, be_urgent, fdatasync_ms, machine, on_time, quantile
from titanflow.adapters.bus.client import Bus
from titanflow.adapters.bus.reading import BULK
from titanflow.adapters.bus.streams import Pod, Topology, output_subject, stream_name
from titanflow.adapters.codec import InputRef, Turn, decode_turn, encode_turn
from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.facts import Bar, Fact, Intent
from titanflow.core.spec.words import IntentAction, OrderType, Origin, Side, TimeInForce
from titanflow.runtime.shard import GATEWAY

CONTENDERS: Final = tuple(f"c-{number:02}" for number in range(20))
FACTS_MAX: Final = 64
AHEAD: Final = 16
"""Ticks by which intents are ahead of the bars: so late may an order be without missing its bar."""
WINDOW: Final = 12
"""Ticks, or bare messages, on their way where the most is measured."""
RATE: Final = 10_000.0
LAG_P99_MS: Final = 250.0
RATIO: Final = 0.5
"""The bars."""
TICKS: Final = 400
"""Of one round where the most is measured."""
WAIT_SECONDS: Final = 60.0
SETTLED_SECONDS: Final = 0.3
STEADY_SECONDS: Final = 0.5
"""From the first tick until the rate is measured."""
MARKET_FIRST: Final = 4
"""Bars before the first intents."""
WORKERS: Final = ("risk", "execution", "ledger")


def topology(*, journal: bool) -> Topology:
    """Return the split pods; with *journal* the ledger's pod also writes the session's journal."""
    return Topology(
        "main",
        (
            Pod(GATEWAY, role="gateway"),
            Pod("signal", ("decide",)),
            Pod("risk", ("gate",)),
            Pod("execution", ("trade",)),
            Pod("ledger", ("post", "score"), writes_journal=journal),
        ),
    )


class Tick(msgspec.Struct):
    """What one tick publishes: the intents of now, and the bar that fills those of before."""

    number: int
    bar: bytes
    intents: bytes


def ticks(total: int) -> Iterator[Tick]:
    """Give ticks 1 to *total*: in turn everybody buys ten lots, and sells them."""
    times = [bar.at for bar in bars(AHEAD)]
    for number, bar in enumerate(bars(total), 1):
        at = times[0] + (number - 1 + AHEAD) * BAR_NS
        side = Side.BUY if number % 2 else Side.SELL
        intents = tuple(_intent(name, number, at, side) for name in CONTENDERS)
        refs = (InputRef("TF_main_MARKET", number),)
        yield Tick(
            number,
            encode_turn(Turn(GATEWAY, number, bar.at, (), (_calm(bar),), bar.at)),
            encode_turn(Turn("signal", number, at, refs, intents, at)),
        )


def _calm(bar: Bar) -> Bar:
    """Return a bar with volume for everybody."""
    return msgspec.structs.replace(bar, volume_lots=10_000_000)


def _intent(name: str, number: int, at: int, side: Side) -> Intent:
    ident = derive(NO_ID, name.encode(), number)
    return Intent(
        ident, NO_ID, at, at, name, "X", IntentAction.NEW, side, 10, OrderType.MARKET, 0,
        TimeInForce.GTC, False, f"{name}-{number}", "", Origin.CONTENDER, at,
    )  # fmt: skip


class Driver:
    """Publishes ticks and hears what the pods say."""

    def __init__(self, lab: Lab, market: Bus, signal: Bus, total: int) -> None:
        self._places = {
            pod.name: (stream_name("main", pod.output), output_subject(lab.topology, pod))
            for pod in lab.topology.pods[:2]
        }
        self._buses = {GATEWAY: market, "signal": signal}
        self._last = {GATEWAY: 0, "signal": 0}
        self._ticks = ticks(total)
        self.bytes: dict[str, int] = {}
        """Of the last message of each of those that the driver speaks for."""
        self.heard: list[tuple[float, str, int, bytes]] = []
        """When, in which stream, at which sequence, what."""
        self.ordered = self.posted = 0
        """Ticks whose orders, and bars whose entries, have been heard."""
        self._stir = asyncio.Event()

    async def hear(self, bus: Bus, stream: str) -> None:
        """Note every turn of a stream, as the gateway hears them. Decoded when all is over."""
        async for message in bus.consume(stream, GATEWAY, after=0, ack_every=BULK):
            self.heard.append((time.perf_counter(), stream, message.sequence, message.data))
            if message.subject.endswith(".execution"):
                # The one kind of its turns answers a bar, the other risk's verdicts.
                self.ordered += b"TF_main_MARKET" not in message.data
            self.posted += message.subject.endswith(".ledger")
            self._stir.set()
            await message.ack()

    async def publish(self) -> int:
        """Publish the next tick; return its number."""
        tick = next(self._ticks)
        bar, intents = self._say(GATEWAY, tick.bar, tick), self._say("signal", tick.intents, tick)
        await asyncio.gather(bar, intents)
        return tick.number

    async def begin(self) -> None:
        """Let the pods come up and see a market before anybody trades."""
        for _ in range(MARKET_FIRST):
            tick = next(self._ticks)
            await self._say(GATEWAY, tick.bar, tick)
        async with asyncio.timeout(WAIT_SECONDS):
            while len(self.heard) < MARKET_FIRST + 1:  # of execution, and the ledger's opening
                self._stir.clear()
                await self._stir.wait()
            while not self.ordered:  # until risk has seen a price
                await self.publish()
                await self.settle()

    async def settle(self) -> None:
        """Wait until nothing has been heard for a while."""
        count = -1
        while count != len(self.heard):
            count = len(self.heard)
            await asyncio.sleep(SETTLED_SECONDS)

    async def _say(self, pod: str, data: bytes, tick: Tick) -> None:
        stream, subject = self._places[pod]
        self.bytes[pod] = len(data)
        said = await self._buses[pod].publish_turn(
            stream, subject, data, f"{pod}/{tick.number}", self._last[pod]
        )
        self._last[pod] = said.sequence

    async def until(self, ordered: int, posted: int) -> None:
        """Wait until so many ticks have their orders, and so many bars their entries."""
        async with asyncio.timeout(WAIT_SECONDS):
            while self.ordered < ordered or self.posted < posted:
                self._stir.clear()
                await self._stir.wait()


class Story(msgspec.Struct):
    """What the pods said, sorted."""

    facts: Counter[str]
    sizes: dict[str, list[int]]
    """Bytes of each message: of risk, of the ledger, and of the two kinds of execution's."""
    largest: int
    first: float
    last: float
    orders_at: dict[int, float]
    """When the orders of each tick were heard."""
    entries_at: dict[int, float]
    """When the entries of each tick's fills were heard."""
    bar_of: dict[int, int]
    """The bar that filled each tick's orders."""
    fills: Counter[str]
    """How often each order was filled whole, by the contender's name for it."""


def story(heard: list[tuple[float, str, int, bytes]]) -> Story:
    """Return what was heard, decoded."""
    told = Story(Counter(), {}, 0, heard[0][0], heard[-1][0], {}, {}, {}, Counter())
    filled: dict[int, set[int]] = {}
    for at, _, sequence, data in heard:
        turn = decode_turn(data)
        says = "fills" if turn.inputs[-1].stream == "TF_main_MARKET" else "orders"
        kind = says if turn.pod == "execution" else turn.pod
        told.sizes.setdefault(kind, []).append(len(data))
        told.largest = max(told.largest, len(turn.facts))
        told.facts.update(type(fact).__name__ for fact in turn.facts)
        found = {_tick_of(fact) for fact in turn.facts if type(fact).__name__ == "Order"}
        told.orders_at.update(dict.fromkeys(found, at))
        names = [f.client_order_id for f in turn.facts if type(f).__name__ == "Fill"]  # type: ignore[attr-defined] # fills
        if names:
            told.fills.update(names)
            filled[sequence] = {int(name.rpartition("-")[2]) for name in names}
            market = [ref.sequence for ref in turn.inputs if ref.stream == "TF_main_MARKET"]
            told.bar_of.update(dict.fromkeys(filled[sequence], market[-1]))
        if turn.pod == "ledger" and turn.facts:
            for ref in turn.inputs:
                for tick in filled.get(ref.sequence, ()) if ref.stream == "TF_main_ORDER" else ():
                    told.entries_at.setdefault(tick, at)
    return told


def _tick_of(fact: Fact) -> int:
    return int(getattr(fact, "client_order_id", "-0").rpartition("-")[2])


async def open_loop(driver: Driver, rate: float, seconds: float, facts: float) -> dict[str, Any]:
    """Return what came of ticks at their times: facts a second, lag, losses."""
    per_second = rate / facts
    count = round(per_second * seconds)
    start, due = driver.ordered, dict[int, float]()
    driver.heard.clear()
    async for at in on_time(per_second, count):
        due[await driver.publish()] = at
    for _ in range(AHEAD + 4):  # so that the last orders meet their bar
        await driver.publish()
    await driver.until(start + count + AHEAD + 4, 0)
    await driver.settle()
    told = story(driver.heard)
    lags = []
    for tick, at in due.items():
        bar = told.bar_of.get(tick)
        if bar in due and tick in told.entries_at:
            lags.append(told.orders_at[tick] - at + told.entries_at[tick] - due[bar])
    wanted = {f"{name}-{tick}" for tick in due for name in CONTENDERS}
    begin, end = min(due.values()) + STEADY_SECONDS, max(due.values())
    inside = [each for each in driver.heard if begin <= each[0] < end]
    return {
        "facts/s": round(sum(story(inside).facts.values()) / (end - begin)),
        "ticks/s": round(per_second, 1),
        "p50": round(quantile(lags, 0.5) * 1e3, 1),
        "p99": round(quantile(lags, 0.99) * 1e3, 1),
        "max": round(max(lags) * 1e3, 1),
        "lost": len(wanted - told.fills.keys()),
        "double": sum(told.fills[name] > 1 for name in wanted),
        "largest": told.largest,
    }


async def most(driver: Driver, count: int, *, all_posted: bool = True) -> tuple[float, Story]:
    """Return the facts a second that go through with a window of ticks on their way."""
    start, first = driver.ordered, driver.posted
    driver.heard.clear()
    begun = time.perf_counter()
    for done in range(count):
        await driver.until(start + done - WINDOW + 1, 0)
        await driver.publish()
    await driver.until(start + count, first + count if all_posted else 0)
    seconds = time.perf_counter() - begun
    await driver.settle()
    told = story(driver.heard)
    return sum(told.facts.values()) / seconds, told


def bare_flow(driver: Driver, told: Story) -> Flow:
    """Return the same messages with nothing in them: the same streams, workers and sizes."""
    market, decision, risk, orders, fills, entries = (
        f"bare.{name}" for name in ("market", "decision", "risk", "orders", "fills", "entries")
    )
    size = {name: round(statistics.mean(each)) for name, each in told.sizes.items()}
    return Flow(
        {
            "BARE_M": (market,), "BARE_D": (decision,), "BARE_O": (risk, orders, fills),
            "BARE_L": (entries,),
        },
        {market: driver.bytes[GATEWAY], decision: driver.bytes["signal"]},
        (
            (Route(decision, risk, size["risk"]),),
            (Route(risk, orders, size["orders"]), Route(market, fills, size["fills"])),
            (Route(fills, entries, size["ledger"]),),
        ),
        orders,
        entries,
    )  # fmt: skip


async def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything on one server."""
    total = 200_000
    with Lab(folder, topology(journal=options.journal), CONTENDERS) as lab:
        await lab.prepare()
        async with lab.bus(GATEWAY) as market, lab.bus("signal") as signal:
            driver = Driver(lab, market, signal, total)
            hearing = [
                asyncio.create_task(driver.hear(market, stream_name("main", kind)))
                for kind in ("ORDER", "LEDGER")
            ]
            try:
                lab.start(*WORKERS)
                await driver.begin()
                await most(driver, 4 * AHEAD, all_posted=False)
                return await _rounds(lab, driver, folder, options)
            except TimeoutError:
                print(lab.complaints(), driver.ordered, driver.posted, file=sys.stderr)
                raise
            finally:
                for task in hearing:
                    task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.gather(*hearing, return_exceptions=True)


async def _rounds(
    lab: Lab, driver: Driver, folder: Path, options: argparse.Namespace
) -> dict[str, Any]:
    _, told = await most(driver, TICKS)
    facts, messages = sum(told.facts.values()) / TICKS, sum(map(len, told.sizes.values()))
    each = sum(told.facts.values()) / messages
    mean = round(sum(map(sum, told.sizes.values())) / messages)
    rows: list[dict[str, Any]] = []
    loops = [await open_loop(driver, options.rate, options.seconds, facts)]
    row = straight([mean] * (1 + len(WORKERS)))
    async with Chain(lab, bare_flow(driver, told)) as flow, Chain(lab, row) as line:
        for _ in range(options.rounds):
            spent, begun = lab.cpu_seconds(), time.perf_counter()
            ours, told = await most(driver, TICKS)
            seconds = time.perf_counter() - begun
            busy = {k: round((v - spent[k]) / seconds, 2) for k, v in lab.cpu_seconds().items()}
            bare = await flow.throughput(TICKS, WINDOW) * facts
            alone = await line.throughput(TICKS, WINDOW) * len(WORKERS) * each
            rows.append(
                {
                    "pods facts/s": round(ours), "bare flow facts/s": round(bare),
                    "ratio": round(ours / bare, 2), "straight facts/s": round(alone),
                    "ratio to that": round(ours / alone, 2),
                    "fdatasync": round(fdatasync_ms(folder), 2), "busy": busy,
                }
            )  # fmt: skip
    loops.append(await open_loop(driver, options.rate, options.seconds, facts))
    return {
        "facts a tick": round(facts, 1), "facts a message": round(each, 1), "bytes": mean,
        "largest message": told.largest, "open loop": loops, "most": rows,
        "ratio": statistics.median(row["ratio"] for row in rows),
    }  # fmt: skip


def main() -> int:
    """Measure, print, and compare with the bars."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=RATE, help="facts a second of the open loop")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each open loop")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="where streams lie; the default is the system's choice")
    parser.add_argument("--journal", action="store_true", help="let the ledger's pod write it")
    parser.add_argument("--ordinary", action="store_true", help="no real-time priority")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    is_urgent = not options.ordinary and be_urgent()
    print(f"{machine()}, real-time priority: {is_urgent}", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        found = uvloop.run(measure(Path(name), options))
    loops = found["open loop"]
    print(
        f"{found['facts a tick']} facts a tick, {found['facts a message']} a message of "
        f"{found['bytes']} bytes, {found['largest message']} in the largest"
    )
    for row in loops:
        print("  open loop: " + ", ".join(f"{name} {value}" for name, value in row.items()))
    for row in found["most"]:
        print("  most: " + ", ".join(f"{name} {value}" for name, value in row.items()))
    print(
        f"  median ratio to the bare flow {found['ratio']:.2f}; "
        f"bars {RATIO:g}, {RATE:g} facts/s, {LAG_P99_MS:g} ms"
    )
    if options.json:
        print(json.dumps(found))
    met = (
        found["ratio"] >= RATIO
        and found["largest message"] <= FACTS_MAX
        and min(row["facts/s"] for row in loops) >= 0.98 * RATE
        and statistics.median(row["p99"] for row in loops) <= LAG_P99_MS
        and not any(row["lost"] or row["double"] for row in loops)
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
