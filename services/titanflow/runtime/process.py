"""What does the process of one pod do from start to end? Find its place, work, say how it is, stop.

It waits for what it needs and says what it waits for; an interrupt of the operating system ends it
after the input in hand; any fault of the bus or of the stages ends it at once, with a word and a
code, and whoever supervises it starts it anew.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, Protocol

from titanflow.adapters.bus.client import Bus
from titanflow.adapters.bus.errors import Closed, Fenced, Taken
from titanflow.adapters.bus.streams import Pod, Topology, seat, subject
from titanflow.core.base.errors import InvariantError, Problem, SpecError, TitanFlowError
from titanflow.runtime import nats_server
from titanflow.runtime.asking import answerer
from titanflow.runtime.chronicle import Chronicle
from titanflow.runtime.gateway import Gateway
from titanflow.runtime.lease import LEASE_SECONDS, RENEWALS, Lease
from titanflow.runtime.place import Live
from titanflow.runtime.plan import Plan, prepare
from titanflow.runtime.pod import Host
from titanflow.runtime.recompute import head_of
from titanflow.runtime.session import Session
from titanflow.runtime.shard import Shard

BEAT_SECONDS: Final = LEASE_SECONDS / RENEWALS
"""A beat of governance renews its lease."""
STOP_SECONDS: Final = 5.0
DONE, FAULT, GONE = 0, 1, 75
"""Exit codes: the session has ended; something is wrong; another copy of the pod has taken over."""


def log(pod: str, said: str, **fields: object) -> None:
    """Write one line of JSON for machines and people: time, pod, what was said, and numbers."""
    line = {"time": round(time.time(), 3), "pod": pod, "said": said, **fields}
    sys.stderr.write(json.dumps(line) + "\n")
    sys.stderr.flush()


class Servant(Protocol):
    """What a pod does that hosts no stage and whose part is known above the runtime."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until *stopping* is set."""
        ...

    def state(self) -> dict[str, object]:
        """Return how it goes, for the pod's beat."""
        ...


Serve = Callable[[Live, Pod, Topology, Plan, Callable[[str], None]], Servant]
"""Makes the servant of the role serving."""


def run(session: Path, name: str, serve: Serve | None = None) -> int:
    """Run the pod *name* of the live session in the folder *session*; return the exit code."""
    live = Live(session)
    topology = live.topology()
    pod = next((each for each in topology.pods if each.name == name), None)
    if pod is None:
        names = ", ".join(each.name for each in topology.pods)
        raise SpecError([Problem(f"no pod {name!r}", str(live.path), f"one of: {names}")])
    plan = prepare(Path(live.settings().manifests), None)
    try:
        asyncio.run(_Process(live, topology, pod, plan, serve).run())
    except (Fenced, Taken) as error:
        log(name, f"stops: {error}")
        return GONE
    except TitanFlowError as error:
        log(name, f"stops: {error}")
        return FAULT
    return DONE


class _Process:
    """The parts of one pod's process."""

    def __init__(
        self, live: Live, topology: Topology, pod: Pod, plan: Plan, serve: Serve | None
    ) -> None:
        self._live, self._topology, self._pod, self._plan = live, topology, pod, plan
        self._serve = serve
        self._servant: Servant | None = None
        self._host: Host | None = None
        self._gateway: Gateway | None = None
        self._chronicle: Chronicle | None = None
        self._stopping = asyncio.Event()
        self._bus = Bus(
            lambda: nats_server.address(live.nats),
            pod.name,
            live.key(pod.name),
            notice=lambda text: log(pod.name, text),
            seat=seat(topology, pod) if pod.output else None,
        )

    async def run(self) -> None:
        """Work until the session has ended, or somebody stops the process."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        async with self._bus:
            work = [asyncio.create_task(self._work())]
            if self._pod.writes_journal:
                work.append(asyncio.create_task(self._write()))
            beat = asyncio.create_task(self._beat())
            closed = asyncio.create_task(self._bus.wait_closed())
            stop = asyncio.create_task(self._stopping.wait())
            try:
                await self._until_done(work, beat, closed, stop)
            finally:
                for task in (beat, closed, stop, *work):
                    task.cancel()
                await asyncio.gather(beat, closed, stop, *work, return_exceptions=True)
        log(self._pod.name, "has ended")

    async def _until_done(
        self,
        work: list[asyncio.Task[None]],
        beat: asyncio.Task[None],
        closed: asyncio.Task[Closed],
        stop: asyncio.Task[Literal[True]],
    ) -> None:
        """Wait for the end of all work, a stop, or the first fault.

        Raises: whatever ended a part.
        """
        waiting = set(work)
        while waiting:
            done, _ = await asyncio.wait(
                (*waiting, beat, closed, stop), return_when=asyncio.FIRST_COMPLETED
            )
            if closed in done:
                raise closed.result()
            if stop in done:
                # The input in hand is finished and a snapshot written.
                await asyncio.wait(work[:1], timeout=STOP_SECONDS)
                return
            for task in done:
                task.result()
            waiting -= done

    def _stop(self) -> None:
        for part in (self._host, self._gateway):
            if part is not None:
                part.stopping.set()
        self._stopping.set()

    async def _work(self) -> None:
        if self._pod.role == "governance":
            await self._stopping.wait()
            return
        if self._pod.role == "serving":
            await self._serving()
            return
        if self._pod.role == "gateway":
            speed = self._live.settings().speed
            self._gateway = Gateway(self._bus, self._topology, self._plan, speed)
            await self._gateway.run()
            return
        shard = Shard(self._pod, self._topology, self._plan)
        snapshots = self._live.pod(self._pod) / "snapshot"
        answers = answerer(self._live, self._topology, self._pod, self._plan)
        if answers is not None:
            await answers.ready(lambda text: log(self._pod.name, text))
        lease = await self._lease() if {"gate", "trade"} & set(self._pod.stages) else None
        predict = answers.predict if answers is not None else None
        self._host = Host(self._bus, self._topology, shard, snapshots, predict, lease)
        try:
            await self._host.run()
        finally:
            if answers is not None:
                await answers.close()

    async def _serving(self) -> None:
        """Answer by models until somebody stops the process.

        Raises: InvariantError if whoever started it gave no servant.
        """
        if self._serve is None:
            raise InvariantError("nothing here can serve models")
        self._servant = self._serve(
            self._live, self._pod, self._topology, self._plan, lambda t: log(self._pod.name, t)
        )
        await self._servant.run(self._stopping)

    async def _lease(self) -> Lease | None:
        """Return the lease that this pod must see fresh; None where the topology has none."""
        if not self._topology.leases:
            return None
        lease = Lease(lambda text: log(self._pod.name, text))
        for each in self._topology.pods:
            if each.role == "governance":
                heard = subject(self._topology.arena, "beat", each.name)
                await self._bus.hear(heard, lambda _subject, _data: lease.renew())
        return lease

    async def _write(self) -> None:
        head = head_of(self._plan, self._topology)
        self._chronicle = Chronicle(
            self._bus, self._topology, self._pod, Session(self._live.session), head
        )
        digest = await self._chronicle.run()
        log(self._pod.name, "the journal is closed", digest=digest)

    async def _beat(self) -> None:
        """Tell four times a second how it goes."""
        place = subject(self._topology.arena, "beat", self._pod.name)
        while True:
            await self._bus.beat(place, json.dumps(self._state()).encode())
            await asyncio.sleep(BEAT_SECONDS)

    def _state(self) -> dict[str, object]:
        state: dict[str, object] = {
            "pod": self._pod.name,
            "pid": os.getpid(),
            "rssKiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            "counters": vars(self._bus.counters),
        }
        if self._servant is not None:
            state |= self._servant.state()
        if self._gateway is not None:
            gateway = self._gateway
            state |= {"number": gateway.number, "at": gateway.at, "events": gateway.published}
        if self._host is not None:
            state |= {"number": self._host.shard.number, "at": self._host.at}
            for name, histogram in vars(self._host.timing).items():
                state[name] = {
                    "count": histogram.count,
                    "p50": histogram.quantile(0.5),
                    "p99": histogram.quantile(0.99),
                    "p999": histogram.quantile(0.999),
                    "max": histogram.largest,
                }
            if "post" in self._pod.stages:
                state["equities"] = self._host.shard.stages.post.equities().tolist()
        if self._chronicle is not None:
            state |= {"turns": self._chronicle.turns, "digest": self._chronicle.digest}
        return state
