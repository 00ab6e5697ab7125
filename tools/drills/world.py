"""What happens to an arena of pods when everything that can break does? One seed is one course.

The real pods (`Host`, `Gateway`, `Chronicle` on the real `Bus`, `Reader` and `Link`) run in one
thread on a loop whose clock is virtual, against `jetstream.Server`. The seed draws the topology,
how bad the links are, and what breaks when: processes die at any point of their work or between,
second copies start while the first lives on, links freeze, the server dies, the power goes. Who
died is started again, as `titanflow up` does, until the session has ended. `judge` then says what
is wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import shutil
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Final
from unittest.mock import patch

from titanflow.adapters.bus import link
from titanflow.adapters.bus.client import Bus
from titanflow.adapters.bus.errors import BusError, Fenced, Taken
from titanflow.adapters.bus.keys import Key, make
from titanflow.adapters.bus.link import Patience
from titanflow.adapters.bus.streams import Pod, Topology, seat, streams
from titanflow.runtime import chronicle, gateway
from titanflow.runtime import pod as pods
from titanflow.runtime.chronicle import Chronicle, new_card
from titanflow.runtime.gateway import Gateway
from titanflow.runtime.journal import Head
from titanflow.runtime.plan import Plan
from titanflow.runtime.pod import Host
from titanflow.runtime.recompute import head_of
from titanflow.runtime.session import Session
from titanflow.runtime.shard import GATEWAY, Shard
from tools.drills.jetstream import FakeClient, Server, Weather

PATIENCE: Final = Patience(
    connect_s=0.5, ping_s=1.0, attempt_s=0.2, budget_s=4.0, down_s=5.0,
    again_first_s=0.01, again_most_s=0.1, beat_s=0.3, pull_s=20.0,
)  # fmt: skip
VIRTUAL_SECONDS_MAX: Final = 600.0
"""A session of ten days takes some ten seconds of virtual time; one that takes so long is stuck."""
STEPS_MAX: Final = 3_000_000
"""Callbacks of one run; a run without faults takes some ten thousand."""
AS_FAST_AS_IT_GOES: Final = 1e18
CONTENDERS: Final = ("dice", "cross", "channel")
PODS: Final = {
    "colocated": (
        Pod("signal", ("perceive", "decide")),
        Pod("trade", ("trade", "gate", "post", "score"), writes_journal=True),
    ),
    "split": (
        Pod("perception", ("perceive",)),
        Pod("signal", ("decide",)),
        Pod("risk", ("gate",)),
        Pod("execution", ("trade",)),
        Pod("ledger", ("post", "score"), writes_journal=True),
    ),
    "apart": (
        Pod("perception", ("perceive",)),
        *(Pod(f"signal-{name}", ("decide",), contenders=(name,)) for name in CONTENDERS),
        Pod("trade", ("trade", "gate", "post", "score"), writes_journal=True),
    ),
    "whole": (
        Pod("line", ("trade", "gate", "post", "score", "perceive", "decide"), writes_journal=True),
    ),
}
"""The pods of each topology beside the gateway; leases are a matter of wall time, not of these."""
KINDS: Final = tuple(PODS)
_HERE: ContextVar[Process] = ContextVar("process")


class Stuck(Exception):  # noqa: N818 - a state, said as such
    """Nothing will ever happen again, or too much happens."""


class Died(BaseException):
    """The process that runs this was killed."""


@dataclass
class Faults:
    """What one seed breaks. Counts are of the whole run; shares are of one chance."""

    kind: str = "colocated"
    lock_step: bool = True
    weather: Weather = field(default_factory=Weather)
    snapshot_turns: int = 2048
    deaths: int = 0
    """Processes that may still die."""
    at_points: float = 0.0
    """Share of the points of work at which the process dies."""
    deaths_every_s: float = 0.0
    """Mean time between deaths in between; 0 is never."""
    copies: int = 0
    """Second copies of a pod that are still to be started."""
    freezes: int = 0
    server_deaths: int = 0
    power_cuts: int = 0
    pauses_s: float = 0.05
    """How long a process may stay down."""


def topology_of(arena: str, kind: str, *, lock_step: bool) -> Topology:
    """Return the topology of one kind."""
    pods_of = (Pod(GATEWAY, role="gateway"), *PODS[kind])
    return Topology(arena, pods_of, replay_clock=True, lock_step=lock_step)


def draw(seed: int) -> Faults:
    """Return what *seed* breaks: some of everything, never the same."""
    chance = Random(seed)
    pick = chance.random
    faults = Faults(kind=chance.choice(KINDS), lock_step=pick() < 0.6)
    faults.weather.delay_s = chance.choice((0.0005, 0.005, 0.03))
    faults.weather.lost = chance.choice((0.0, 0.0, 0.01, 0.05))
    faults.weather.again = chance.choice((0.0, 0.05, 0.2))
    faults.snapshot_turns = chance.choice((1, 2, 7, 2048))
    if pick() < 0.8:
        faults.deaths = chance.randrange(1, 12)
        faults.at_points = chance.choice((0.0, 0.01, 0.05))
        faults.deaths_every_s = chance.choice((0.0, 0.05, 0.5))
    faults.copies = chance.choice((0, 0, 1, 3))
    faults.freezes = chance.choice((0, 0, 1, 3))
    faults.server_deaths = chance.choice((0, 0, 0, 1, 2))
    faults.power_cuts = chance.choice((0, 0, 0, 1))
    faults.pauses_s = chance.choice((0.0, 0.05, 1.0))
    return faults


class Disk:
    """The snapshots' files: whole or not at all, kept over deaths, perhaps not over a power cut."""

    def __init__(self) -> None:
        self.files: dict[str, list[bytes]] = {}

    def forget_last(self, chance: Random) -> None:
        """Lose a rename that was not on the disk yet."""
        for name, versions in self.files.items():
            if chance.random() < 0.5:
                self.files[name] = versions[:-1]


class Sheet:
    """One file of a process on the disk; the dead write nothing."""

    def __init__(self, process: Process, name: str) -> None:
        self._process, self._name = process, name

    def read_bytes(self) -> bytes:
        """Return the content.

        Raises: FileNotFoundError if there is none.
        """
        versions = self._process.world.disk.files.get(self._name)
        if not versions:
            raise FileNotFoundError(self._name)
        return versions[-1]

    def write(self, content: bytes) -> None:
        """Replace the content, unless the process is dead."""
        if self._process.is_alive:
            versions = self._process.world.disk.files.setdefault(self._name, [])
            versions[:] = [*versions[-1:], content]


class Process:
    """One process of one pod, as `runtime.process` puts it together."""

    def __init__(self, world: World, pod: Pod, number: int) -> None:
        self.world, self.pod, self.number = world, pod, number
        self.is_alive = True
        self.clients: set[FakeClient] = set()
        self.ended: str | None = None
        self._chronicle: Chronicle | None = None
        _HERE.set(self)  # for the tasks that are made from here on
        self.task = asyncio.create_task(self._run(), name=f"{pod.name}#{number}")

    async def _run(self) -> None:
        try:
            await self._work()
            self.ended = "done"
        except (Fenced, Taken):
            self.ended = "gone"
        except BusError as error:
            self.ended = f"bus: {error}"
        except (Died, asyncio.CancelledError):
            self.ended = "died"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            self.ended = f"fault: {error!r}"
        self.is_alive = False
        self._drop()
        self.world.note(self)

    async def _work(self) -> None:
        world, pod = self.world, self.pod
        bus = Bus(
            lambda: f"sim:{self.number}",
            pod.name,
            world.key,
            patience=PATIENCE,
            seat=seat(world.topology, pod),
            may_lose=pod.role == "gateway",
        )
        async with bus:
            work = [asyncio.create_task(self._main(bus))]
            if pod.writes_journal:
                work.append(asyncio.create_task(self._write(bus)))
            closed = asyncio.create_task(bus.wait_closed())
            left = set(work)
            try:
                while left:
                    done, _ = await asyncio.wait(
                        (*left, closed), return_when=asyncio.FIRST_COMPLETED
                    )
                    if closed in done:
                        raise closed.result()
                    for task in done:
                        task.result()
                    left -= done
            finally:
                for task in (closed, *work):
                    task.cancel()
                    task.add_done_callback(_look_at)
                # Who is killed meanwhile stops waiting; its parts end all the same.
                await asyncio.wait((closed, *work))

    async def _main(self, bus: Bus) -> None:
        world = self.world
        if self.pod.role == "gateway":
            speed = 0.0 if world.topology.lock_step else AS_FAST_AS_IT_GOES
            await Gateway(bus, world.topology, world.plan, speed).run()
            return
        shard = Shard(self.pod, world.topology, world.plan)
        sheet = Sheet(self, self.pod.name)
        await Host(bus, world.topology, shard, sheet, None).run()  # type: ignore[arg-type]

    async def _write(self, bus: Bus) -> None:
        self._chronicle = Chronicle(
            bus, self.world.topology, self.pod, self.world.session, self.world.head
        )
        await self._chronicle.run()

    def kill(self, *, from_within: bool = False) -> None:
        """End the process as the kernel would: nothing of it does anything any more.

        What runs just now is to raise Died, where it is killed from within.
        """
        if not self.is_alive:
            return
        self.is_alive = False
        self._drop()
        if not from_within:
            self.task.cancel()

    def _drop(self) -> None:
        """Lose what only the process knew: its connections and what it had not written yet."""
        for client in list(self.clients):
            client.cut("its process died")
        if self._chronicle is not None and not self._chronicle.digest:
            writer = self._chronicle._writer  # noqa: SLF001 - a dead process flushes nothing
            writer._buffer.clear()  # noqa: SLF001 - as above


class World:
    """One arena in one thread: server, processes, disk, and whoever starts the pods again."""

    def __init__(self, plan: Plan, folder: Path, seed: int, faults: Faults) -> None:
        self.plan, self.seed, self.faults = plan, seed, faults
        self.chance = Random(f"world {seed}")
        self.topology = topology_of(plan.ground.arena, faults.kind, lock_step=faults.lock_step)
        self.server = Server(self.topology, self.chance, faults.weather)
        self.key, self.head = _key(folder.parent), _head(plan, self.topology)
        self.disk = Disk()
        self.folder = folder
        self.session = Session(folder / "session")
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self.lost_late = 0
        """Messages that the server acknowledged and lost: of streams that are written late."""
        self._processes: dict[int, Process] = {}
        self._done: set[str] = set()
        self._starts = 0
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Run until every pod has ended.

        Raises: Stuck if that does not happen.
        """
        self.session.path.mkdir(parents=True)
        self.session.write_card(new_card(self.session, self.topology.arena, ""))
        for each in self.topology.pods:
            self._start(each)
        troubles = asyncio.create_task(self._trouble())
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.call_later(VIRTUAL_SECONDS_MAX, loop.give_up, f"after {VIRTUAL_SECONDS_MAX:g} s")
        over, stuck = asyncio.create_task(self._over.wait()), asyncio.create_task(loop.stuck.wait())
        try:
            await asyncio.wait((over, stuck), return_when=asyncio.FIRST_COMPLETED)
            if not over.done():
                alive = [p.task.get_name() for p in self._processes.values() if p.is_alive]
                raise Stuck(f"{loop.why}; alive: {alive}, done: {sorted(self._done)}")
        finally:
            self._over.set()
            for process in list(self._processes.values()):
                process.kill()
            tasks = [process.task for process in self._processes.values()]
            await _end(troubles, over, stuck, *tasks)

    def note(self, process: Process) -> None:
        """Hear how a process ended; start its pod again if there is more to do."""
        del self._processes[process.number]
        how = process.ended or ""
        self.counts[how.split(":")[0]] += 1
        if self._over.is_set():
            return
        if how.startswith("fault"):
            self.problems.append(f"{process.task.get_name()}: {how}")
            self._over.set()
            return
        name = process.pod.name
        if how == "done":
            self._done.add(name)
            if len(self._done) == len(self.topology.pods):
                self._over.set()
            return
        if name not in self._done and not self._lives(name):
            pause = self.chance.uniform(0, self.faults.pauses_s)
            asyncio.get_running_loop().call_later(pause, self._start, process.pod)

    def reached(self, point: str) -> None:
        """Kill the process that comes to a point of its work, if the dice say so."""
        process = _HERE.get()
        if not process.is_alive:
            raise Died
        self.counts[point] += 1
        if self.faults.deaths > 0 and self.chance.random() < self.faults.at_points:
            self._kill(process, point, from_within=True)
            raise Died

    def server_of(self, address: str) -> tuple[Server, set[FakeClient]]:
        """Return what a client connects to; *address* tells which process it is of."""
        process = self._processes.get(int(address.partition(":")[2]))
        if process is None or not process.is_alive:
            raise ConnectionRefusedError(address)
        return self.server, process.clients

    def _lives(self, name: str) -> bool:
        return any(p.is_alive and p.pod.name == name for p in self._processes.values())

    def _start(self, pod: Pod) -> None:
        if self._over.is_set() or self._lives(pod.name):
            return
        self._start_copy(pod)

    def _start_copy(self, pod: Pod) -> None:
        self._starts += 1
        self._processes[self._starts] = Process(self, pod, self._starts)

    def _kill(self, process: Process, where: str, *, from_within: bool = False) -> None:
        self.faults.deaths -= 1
        self.counts[f"killed when {where}"] += 1
        process.kill(from_within=from_within)
        if process.pod.writes_journal:
            self._tear(process)

    def _tear(self, process: Process) -> None:
        """Cut the journal's tail at any byte, unless another copy of the scribe writes it."""
        path = self.session.journal
        if self._lives(process.pod.name) or not path.exists():
            return
        size = path.stat().st_size
        lost = self.chance.choice(
            (0, 0, self.chance.randrange(400), self.chance.randrange(1 << 16))
        )
        with path.open("r+b") as file:
            file.truncate(max(0, size - lost))

    # Troubles that come of themselves.

    async def _trouble(self) -> None:
        """Make what is to happen happen, at times that the seed draws."""
        faults, chance = self.faults, self.chance
        waits = [
            *((chance.uniform(0, 3), self._second_copy) for _ in range(faults.copies)),
            *((chance.uniform(0, 3), self._freeze) for _ in range(faults.freezes)),
            *((chance.uniform(0, 3), self._server_dies) for _ in range(faults.server_deaths)),
            *((chance.uniform(0, 3), self._power_cut) for _ in range(faults.power_cuts)),
        ]
        loop = asyncio.get_running_loop()
        handles = [loop.call_later(wait, action) for wait, action in waits]
        try:
            while faults.deaths > 0 and faults.deaths_every_s:
                await asyncio.sleep(chance.expovariate(1 / faults.deaths_every_s))
                living = [p for p in self._processes.values() if p.is_alive]
                if living:
                    self._kill(chance.choice(living), "waiting")
            await self._over.wait()
        finally:
            for handle in handles:
                handle.cancel()

    def _second_copy(self) -> None:
        """Start a pod that runs already; perhaps the first is frozen and wakes up later."""
        # Two scribes on one file are a matter of locks, not of the bus.
        pods_of = [
            p for p in self.topology.pods if not p.writes_journal and p.name not in self._done
        ]
        if not pods_of:
            return
        pod = self.chance.choice(pods_of)
        for process in self._processes.values():
            if process.pod == pod and self.chance.random() < 0.8:
                _freeze(process, self.chance.uniform(0.1, 5.0))
        self.counts["second copy"] += 1
        self._start_copy(pod)

    def _freeze(self) -> None:
        living = [p for p in self._processes.values() if p.is_alive]
        if living:
            self.counts["freeze"] += 1
            _freeze(self.chance.choice(living), self.chance.uniform(0.1, 5.0))

    def _server_dies(self) -> None:
        self.counts["server died"] += 1
        self.server.die()
        for each in streams(self.topology):
            if each.is_async:  # it lies in the server's memory for a while
                stream = self.server.streams[each.name]
                lost = self.chance.randrange(min(len(stream.messages), 6) + 1)
                stream.cut(lost)
                self.lost_late += lost
        self._undo({GATEWAY})
        asyncio.get_running_loop().call_later(self.chance.uniform(0.05, 1.0), self._server_up)

    def _undo(self, names: set[str]) -> None:
        """Start again who has ended, because what it said may be gone."""
        for pod in self.topology.pods:
            if pod.name in names & self._done:
                self._done.discard(pod.name)
                asyncio.get_running_loop().call_soon(self._start, pod)

    def _server_up(self) -> None:
        self.server.is_up = True

    def _power_cut(self) -> None:
        """Kill everything; what may be acknowledged before it is synced loses its tail."""
        self.counts["power cut"] += 1
        self._server_dies()
        for process in list(self._processes.values()):
            process.kill()
            if process.pod.writes_journal:
                self._tear(process)
        self.disk.forget_last(self.chance)
        self._undo(self._done)


def _look_at(task: asyncio.Task[object]) -> None:
    """Take note of how a task ended, so that nobody complains that nobody did."""
    if not task.cancelled():
        task.exception()


async def _end(*tasks: asyncio.Task[object]) -> None:
    """Cancel tasks until they are done; one may miss a word while it closes something."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=1.0)


def _freeze(process: Process, seconds: float) -> None:
    for client in process.clients:
        client.freeze(seconds)


@cache
def _key(folder: Path) -> Key:
    return make(folder / "key.nk")


_heads: dict[tuple[int, Topology], Head] = {}


def _head(plan: Plan, topology: Topology) -> Head:
    if (id(plan), topology) not in _heads:
        _heads[id(plan), topology] = head_of(plan, topology)
    return _heads[id(plan), topology]


# The clock.


class _NoWaiting(selectors.SelectSelector):
    """Lets the virtual clock jump to where the next callback is due."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        loop = self.loop
        loop.now += timeout or 0.0
        loop.steps += 1
        if timeout is None:
            loop.give_up("everybody waits for somebody")
        elif loop.steps % STEPS_MAX == 0:
            loop.give_up(f"not over after {loop.steps} steps")
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that never waits."""

    def __init__(self) -> None:
        self.now, self.steps = 0.0, 0
        self.stuck = asyncio.Event()
        self.why = ""
        selector = _NoWaiting()
        selector.loop = self
        super().__init__(selector)

    def give_up(self, why: str) -> None:
        """Wake who waits for `stuck`.

        Raises: Stuck if he was woken before.
        """
        if self.stuck.is_set():
            raise Stuck(why)
        self.why = why
        self.stuck.set()

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self.now


def _replace(sheet: Sheet, content: bytes) -> None:
    sheet.write(content)


@contextlib.contextmanager
def _planted(world: World) -> Iterator[None]:
    """Put the world in place of the network, the disk and the killer."""
    with (
        patch.object(link, "_Prompt", lambda: FakeClient(world.server_of)),
        patch.object(pods, "replace", _replace),
        patch.object(pods, "SNAPSHOT_TURNS", world.faults.snapshot_turns),
        patch.object(pods, "reached", world.reached),
        patch.object(gateway, "reached", world.reached),
        patch.object(chronicle, "reached", world.reached),
    ):
        yield


def play(plan: Plan, folder: Path, seed: int, faults: Faults) -> World:
    """Run one arena to its end; its journal lies in *folder*, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    loop = VirtualLoop()
    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:

            async def whole() -> World:
                world = World(plan, folder, seed, faults)
                with _planted(world):
                    try:
                        await world.run()
                    except Stuck as error:
                        world.problems.append(f"stuck: {error}")
                return world

            world = runner.run(whole())
    finally:
        loop.close()
    world.counts["virtual ms"] = int(loop.now * 1000)
    world.counts["steps"] = loop.steps
    return world
