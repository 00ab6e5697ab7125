"""What does the process of one pod do from start to end? Find its place, work, say how it is, stop.

It waits for what it needs and says what it waits for; an interrupt of the operating system ends it
after the input in hand; any fault of the bus or of the stages ends it at once, with a word and a
code, and whoever supervises it starts it anew.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import uvloop

from titanflow.adapters.bus.client import Bus
from titanflow.adapters.bus.errors import Closed, Fenced, Taken
from titanflow.adapters.bus.streams import COMMANDS, Pod, Topology, seat, subject
from titanflow.adapters.rpc.caller import Identity
from titanflow.adapters.rpc.line_view import LineView
from titanflow.adapters.rpc.tls import TlsFiles
from titanflow.core.base.errors import InvariantError, Problem, SpecError, TitanFlowError
from titanflow.core.governance.tiers import tiers_of
from titanflow.runtime import nats_server
from titanflow.runtime.asking import answerer
from titanflow.runtime.chronicle import Chronicle
from titanflow.runtime.clock import Clock
from titanflow.runtime.docket import open_docket
from titanflow.runtime.front import METRICS, Answers, Compose, Front, Shown, view_of, vocabulary
from titanflow.runtime.gateway import Gateway
from titanflow.runtime.governance import Governance, PassOn
from titanflow.runtime.lease import LEASE_SECONDS, RENEWALS, Lease
from titanflow.runtime.logs import log
from titanflow.runtime.metrics import Exposition
from titanflow.runtime.place import Live, replace
from titanflow.runtime.plan import Plan, prepare
from titanflow.runtime.pod import Host
from titanflow.runtime.recompute import head_of
from titanflow.runtime.sentinel import Sentinel
from titanflow.runtime.session import Session
from titanflow.runtime.shard import GATEWAY, Shard
from titanflow.runtime.telling import Parts, Servant, beat_of, count_start, numbers_of
from titanflow.runtime.watchman import Watchman

BEAT_SECONDS: Final = LEASE_SECONDS / RENEWALS
"""A beat of governance renews its lease."""
STOP_SECONDS: Final = 5.0
DONE, FAULT, GONE = 0, 1, 75
"""Exit codes: the session has ended; something is wrong; another copy of the pod has taken over."""

Serve = Callable[[Live, Pod, Topology, Plan, Callable[[str], None]], Servant]
"""Makes the servant of the role serving."""


class Above(msgspec.Struct, frozen=True):
    """What a pod's process is given from above the runtime."""

    serve: Serve | None = None
    compose: Compose = lambda _: Answers(())
    """Makes the answers of a pod from what it shows."""
    pass_on: Callable[[Callable[[], str], TlsFiles | None], PassOn] | None = None
    """Makes what hands a pause to the gateway, whose address is asked for."""


def run(session: Path, name: str, above: Above = Above()) -> int:  # noqa: B008 - frozen
    """Run the pod *name* of the live session in the folder *session*; return the exit code."""
    live = Live(session)
    topology = live.topology()
    pod = next((each for each in topology.pods if each.name == name), None)
    if pod is None:
        names = ", ".join(each.name for each in topology.pods)
        raise SpecError([Problem(f"no pod {name!r}", str(live.path), f"one of: {names}")])
    logging.basicConfig(handlers=[_Told(name)], level=logging.WARNING, force=True)
    # Where there is a serving pod, it alone runs graphs.
    is_served = any(each.role == "serving" for each in topology.pods) and pod.role != "serving"
    plan = prepare(Path(live.settings().manifests), None, runs_graphs=not is_served)
    try:
        uvloop.run(_Process(live, topology, pod, plan, above).run())
    except (Fenced, Taken) as error:
        log(name, f"stops: {error}", "warning")
        return GONE
    except TitanFlowError as error:
        log(name, f"stops: {error}", "error")
        return FAULT
    return DONE


class _Told(logging.Handler):
    """What libraries log, in the pod's own words."""

    def __init__(self, pod: str) -> None:
        super().__init__()
        self._pod = pod

    def emit(self, record: logging.LogRecord) -> None:
        level: Literal["warning", "error"] = (
            "error" if record.levelno >= logging.ERROR else "warning"
        )
        fields = {"logger": record.name}
        if record.exc_info is not None:
            fields["fault"] = self.format(record)
        log(self._pod, record.getMessage(), level, **fields)


class _Process:
    """The parts of one pod's process."""

    def __init__(self, live: Live, topology: Topology, pod: Pod, plan: Plan, above: Above) -> None:
        self._live, self._topology, self._pod, self._plan = live, topology, pod, plan
        self._above = above
        self._stopping = asyncio.Event()
        self._view: LineView | None = None
        self._clock: Clock | None = None
        self._broken: asyncio.Future[InvariantError] | None = None
        bus = Bus(
            lambda: nats_server.address(live.nats),
            pod.name,
            live.key(pod.name),
            notice=self._on_link,
            seat=seat(topology, pod) if pod.output else None,
            may_lose=pod.role == "gateway",
        )
        self._parts = Parts(pod, bus, live.pod(pod), starts=count_start(live.pod(pod)))
        told = topology.pods if pod.role in COMMANDS else (pod,)
        self._watchman = Watchman(live.session.name, topology, told)

    async def run(self) -> None:
        """Work until the session has ended, or somebody stops the process."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        work = self._make()
        await self._open()
        try:
            async with self._parts.bus:
                await self._run(work)
        finally:
            await self._close()
        log(self._pod.name, "has ended")

    async def _run(self, work: Coroutine[Any, Any, None]) -> None:
        """Work while there is a bus."""
        tasks = [asyncio.create_task(work)]
        if self._pod.writes_journal:
            tasks.append(asyncio.create_task(self._write()))
        beat = asyncio.create_task(self._beat())
        closed = asyncio.create_task(self._parts.bus.wait_closed())
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await self._until_done(tasks, beat, closed, stop)
            # Who has ended is not missing.
            self._parts.stopping = True
            await self._say_beat(subject(self._topology.arena, "beat", self._pod.name))
            await asyncio.sleep(0)  # the link writes at the end of the loop's round
        finally:
            for task in (beat, closed, stop, *tasks):
                task.cancel()
            await asyncio.gather(beat, closed, stop, *tasks, return_exceptions=True)

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
        self._parts.stopping = True
        for part in (self._parts.host, self._parts.gateway):
            if part is not None:
                part.stopping.set()
        self._stopping.set()

    # What it is made of.

    def _make(self) -> Coroutine[Any, Any, None]:
        """Make the parts that need no bus yet; return the pod's work."""
        parts = self._parts
        match self._pod.role:
            case "serving":
                return self._serving()
            case "governance":
                parts.governance = self._governance()
                return parts.governance.run(self._stopping, self._waits_for)
            case "gateway":
                speed = self._live.settings().speed
                parts.gateway = Gateway(parts.bus, self._topology, self._plan, speed)
                names = vocabulary(self._plan)
                self._clock = Clock(parts.gateway, names, parts.folder / "pause.json")
                return parts.gateway.run()
            case "":
                shard = Shard(self._pod, self._topology, self._plan)
                self._view = view_of(shard, self._pod, self._plan)
                return self._stages(shard)
            case "sentinel":
                parts.sentinel = self._sentinel()
                return parts.sentinel.run(self._stopping, self._waits_for)

    def _governance(self) -> Governance:
        """Return what takes commands; a pause goes to where the gateway said that it listens."""

        def gateway() -> str:
            return self._watchman.address(GATEWAY)

        made = self._above.pass_on
        tls = self._live.tls(self._pod.name)
        made_up = made(gateway, tls) if made is not None else _nobody
        governance = Governance(
            self._parts.bus,
            self._topology,
            self._pod,
            vocabulary(self._plan),
            made_up,
            open_docket(
                self._live.session, self._plan, lambda text: log(self._pod.name, text, "warning")
            ),
            self._plan.switches(0),
        )
        self._watchman.epoch = lambda: governance.epoch
        self._watchman.engaged = lambda: governance.engaged
        if self._topology.leases:
            lease_ns = int(LEASE_SECONDS * 1e9)
            self._watchman.lease_until = lambda: self._beat_at + lease_ns
        return governance

    def _sentinel(self) -> Sentinel:
        """Return what watches the others; it knows of switches and of the lease what it sees."""
        sentinel = Sentinel(self._parts.bus, self._topology, self._pod)
        watchman, topology = self._watchman, self._topology
        watchman.incidents = lambda: sentinel.incidents
        watchman.engaged = lambda: sentinel.engaged
        if topology.leases:
            heard = next(each.name for each in topology.pods if each.role == "governance")
            lease_ns = int(LEASE_SECONDS * 1e9)
            watchman.lease_until = lambda: watchman.heard_at(heard) + lease_ns
        return sentinel

    _beat_at = 0
    """When this pod's last beat went out, ns UTC."""

    async def _open(self) -> None:
        """Begin to listen, before anything else is there."""
        parts = self._parts
        parts.page = Exposition(self._pod.name, lambda: numbers_of(parts))
        parts.page.start()
        replace(parts.folder / METRICS, f"{parts.page.address}\n".encode())
        if self._pod.role == "serving":
            return  # it has a server of its own
        tls = self._live.tls(self._pod.name)
        parts.front = Front(parts.folder, self._above.compose(self._shown()), tls)
        parts.front.wait_for("bus", "a link to the NATS server")
        if self._pod.stages or self._pod.role in COMMANDS:
            parts.front.wait_for("work", "its work to begin")
        await parts.front.start()
        parts.front.health.started()

    async def _close(self) -> None:
        if self._parts.front is not None:
            await self._parts.front.stop()

    def _shown(self) -> Shown:
        """Return what this pod has to show."""
        hosted, view = set(self._pod.stages), self._view
        is_governance = self._pod.role == "governance"
        return Shown(
            vocabulary(self._plan),
            self._watchman,
            books=view if {"post", "score"} & hosted else None,
            orders=view if "trade" in hosted else None,
            governor=self._parts.governance or self._clock,
            journal=Session(self._live.session).journal if is_governance else None,
            tiers=tiers_of(self._plan.ground, self._plan.policies) if is_governance else (),
            folder=self._plan.folder,
            may_command=self._may_command,
        )

    def _may_command(self, who: Identity) -> bool:
        """Say whether a certificate may command: at the gateway governance's, else no pod's.

        A pod runs code of contenders; its certificate is to be known by, not to stop others.
        """
        if not who.proven:
            return True
        roles = {each.name: each.role for each in self._topology.pods}
        if self._pod.role == "gateway":
            return roles.get(who.name) == "governance"
        return who.name not in roles

    def _on_link(self, text: str) -> None:
        """Hear what the bus says of its link."""
        is_up = self._parts.bus.is_up
        log(self._pod.name, text, "info" if is_up else "warning")
        if self._parts.front is not None:
            self._parts.front.wait_for("bus", "" if is_up else f"the bus: {text}")

    def _waits_for(self, text: str) -> None:
        """Hear what the work waits for."""
        if self._parts.front is not None:
            self._parts.front.wait_for("work", text)

    # What it does.

    async def _stages(self, shard: Shard) -> None:
        """Take the inputs of the stages, to the end of the session."""
        parts = self._parts
        answers = answerer(self._live, self._topology, self._pod, self._plan)
        if answers is not None:
            await answers.ready(lambda text: log(self._pod.name, text))
        if {"gate", "trade"} & set(self._pod.stages):
            parts.lease = await self._lease()
        parts.host = Host(
            parts.bus,
            self._topology,
            shard,
            parts.folder / "snapshot",
            answers.predict if answers is not None else None,
            parts.lease,
            self._view,
            self._waits_for,
        )
        if self._stopping.is_set():
            parts.host.stopping.set()
        try:
            await parts.host.run()
        finally:
            if answers is not None:
                await answers.close()

    async def _serving(self) -> None:
        """Answer by models until somebody stops the process.

        Raises: InvariantError if whoever started it gave no servant.
        """
        if self._above.serve is None:
            raise InvariantError("nothing here can serve models")
        self._parts.servant = self._above.serve(
            self._live, self._pod, self._topology, self._plan, lambda t: log(self._pod.name, t)
        )
        await self._parts.servant.run(self._stopping)

    async def _lease(self) -> Lease | None:
        """Return the lease that this pod must see fresh; None where the topology has none."""
        if not self._topology.leases:
            return None
        lease = Lease(lambda text: log(self._pod.name, text, "warning"))
        for each in self._topology.pods:
            if each.role == "governance":
                heard = subject(self._topology.arena, "beat", each.name)
                await self._parts.bus.hear(heard, lambda _subject, _data: lease.renew())
        return lease

    async def _write(self) -> None:
        head = head_of(self._plan, self._topology)
        chronicle = Chronicle(
            self._parts.bus, self._topology, self._pod, Session(self._live.session), head
        )
        self._parts.chronicle = chronicle
        digest = await chronicle.run()
        log(self._pod.name, "the journal is closed", digest=digest)

    async def _beat(self) -> None:
        """Tell four times a second how it goes; governance and sentinel hear the others too."""
        place = subject(self._topology.arena, "beat", self._pod.name)
        if self._pod.role in COMMANDS:
            await self._parts.bus.hear(subject(self._topology.arena, "beat", "*"), self._hear)
        while True:
            await self._say_beat(place)
            await asyncio.sleep(BEAT_SECONDS)

    async def _say_beat(self, place: str) -> None:
        said = json.dumps(beat_of(self._parts)).encode()
        await self._parts.bus.beat(place, said)
        self._beat_at = time.time_ns()
        self._watchman.hear(place, said)

    def _hear(self, heard: str, data: bytes) -> None:
        self._watchman.hear(heard, data)
        if self._parts.sentinel is not None:
            self._parts.sentinel.hear(heard, data)
        if self._parts.governance is not None:
            self._parts.governance.at = max(self._parts.governance.at, self._watchman.at)


async def _nobody(_: object) -> Any:
    raise InvariantError("nothing here can pause the market")
