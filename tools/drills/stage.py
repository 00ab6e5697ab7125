"""How is a real arena set up, broken and looked at? Real processes, the real NATS server.

A drill runs a session under `Drilled`, the same supervisor as `titanflow up` has, which also kills
what it is told to. `examine` then judges what is stored: streams, journal, and the facts that the
same pods say in one thread where nothing breaks.
"""

from __future__ import annotations

import asyncio
import calendar
import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from titanflow.adapters.bus.client import Bus
from titanflow.adapters.bus.link import Counters
from titanflow.adapters.bus.permissions import HOST
from titanflow.adapters.bus.streams import Topology, stream_name, streams
from titanflow.adapters.codec import Turn
from titanflow.runtime import nats_server
from titanflow.runtime.door import Door
from titanflow.runtime.place import Live
from titanflow.runtime.plan import Plan, prepare
from titanflow.runtime.session import Session
from titanflow.runtime.up import Shape, Supervisor, _Child, begin
from tools.drills import judge
from tools.drills.seeds import RULES, essence_of_calm, write_arena

Rules = Sequence[tuple[str, str, str, int]]
"""Name, rule, parameters and size (basis points) of each contender."""
CRASH: Final = "TITANFLOW_CRASH"
UNKNOWN: Final = -1.0
NEVER: Final = -2.0


@dataclass
class Told:
    """One message as the server stored it: its turn, and when (ns of wall time)."""

    turn: Turn
    stored_at: int


@dataclass
class Kill:
    """One death: which pod, where, when it was seen, and how long until it was back."""

    pod: str
    point: str
    at: float
    seconds: float = UNKNOWN


@dataclass
class Setting:
    """An arena in a folder, ready to run."""

    folder: Path
    plan: Plan
    kind: Shape

    def begin(self, speed: float = 0.0) -> Session:
        """Make a session of pods."""
        with home(self.folder):
            return begin(self.plan, self.kind, speed)[0]


@contextlib.contextmanager
def home(folder: Path) -> Iterator[None]:
    """Keep all state below *folder*."""
    former = os.environ.get("TITANFLOW_HOME")
    os.environ["TITANFLOW_HOME"] = str(folder / "state")
    try:
        yield
    finally:
        if former is None:
            del os.environ["TITANFLOW_HOME"]
        else:
            os.environ["TITANFLOW_HOME"] = former


def set_up(folder: Path, days: int, kind: Shape = "colocated", rules: Rules = RULES) -> Setting:
    """Write an arena into *folder* and read it."""
    written = write_arena(folder / "arena", days, rules=rules)
    return Setting(folder, prepare(written, None), kind)


class Drilled(Supervisor):
    """Supervises like `titanflow up`, and breaks things on the way."""

    def __init__(self, session: Session) -> None:
        self.notices: list[str] = []
        super().__init__(session, self.notices.append)
        self.kills: list[Kill] = []
        self.plans: dict[str, list[str]] = {}
        """For each pod, where its next lives end: `<point>:<n>`."""
        self.planned: dict[str, str] = {}
        self.builds: dict[str, Path] = {}
        """Where the code of a pod lies, if not where ours does."""
        self.rolling: set[str] = set()
        """Pods that were asked to stop, so that they start anew."""
        self.codes: Counter[tuple[str, int]] = Counter()

    def child(self, name: str) -> _Child:
        """Return one pod's process as it is supervised."""
        return next(child for child in self._children if child.pod.name == name)

    @property
    def server(self) -> nats_server.NatsServer:
        """Give the running server."""
        assert self._server is not None
        return self._server

    def _start(self, child: _Child, now: float) -> None:
        plans = self.plans.get(child.pod.name)
        self.planned[child.pod.name] = plans.pop(0) if plans else ""
        os.environ[CRASH] = self.planned[child.pod.name]
        build = self.builds.get(child.pod.name)
        former = os.environ.get("PYTHONPATH", "")
        if build is not None:
            portions = [str(build / name) for name in ("services", "native", "proto")]
            os.environ["PYTHONPATH"] = os.pathsep.join(portions)
        super()._start(child, now)
        os.environ[CRASH], os.environ["PYTHONPATH"] = "", former

    def roll(self, name: str, build: Path | None) -> None:
        """Stop a pod and start it anew, from another build."""
        process = self.child(name).process
        if process is None:
            return
        self.rolling.add(name)
        if build is None:
            self.builds.pop(name, None)
        else:
            self.builds[name] = build
        process.terminate()

    def _ended(self, child: _Child, code: int, now: float) -> None:
        self.codes[child.pod.name, code] += 1
        if child.pod.name in self.rolling:
            self.rolling.discard(child.pod.name)
            child.process, child.due = None, now
            return
        if code < 0:
            for former in self.kills:
                if former.pod == child.pod.name and former.seconds == UNKNOWN:
                    former.seconds = NEVER  # killed again before it was seen at work
            self.kills.append(Kill(child.pod.name, self.planned[child.pod.name], time.monotonic()))
            child.failures = 0  # it was us
        super()._ended(child, code, now)

    def _hear(self, subject: str, data: bytes) -> None:
        super()._hear(subject, data)
        state = msgspec.json.decode(data, type=dict[str, object])
        name = str(state.get("pod"))
        process = self.child(name).process
        if process is None or state.get("pid") != process.pid or state.get("waitsFor"):
            return
        if int(str(state.get("number", 0))) > 0:
            now = time.monotonic()
            for kill in self.kills:
                if kill.pod == name and kill.seconds == UNKNOWN:
                    kill.seconds = now - kill.at


@dataclass
class Finding:
    """What was found in a session that has ended."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    digest: str = ""
    market_times: list[int] = field(default_factory=list)


def stored(session: Session, topology: Topology) -> dict[str, list[Told]]:
    """Return everything that the session's streams hold; a server is started on them to read."""
    live = Live(session.path)
    server = nats_server.start(live.nats, topology, live.keys(topology))
    try:
        return asyncio.run(_read_streams(live, topology))
    finally:
        server.stop()


def stored_bytes(session: Session, topology: Topology) -> dict[str, list[bytes]]:
    """Return what the session's streams hold, byte by byte."""
    live = Live(session.path)
    server = nats_server.start(live.nats, topology, live.keys(topology))

    async def read() -> dict[str, list[bytes]]:
        async with Bus(lambda: nats_server.address(live.nats), HOST, live.key(HOST)) as bus:
            return {
                each.name: [data for data, _ in await read_stream(bus, each.name)]
                for each in streams(topology)
            }

    try:
        return asyncio.run(read())
    finally:
        server.stop()


async def _read_streams(live: Live, topology: Topology) -> dict[str, list[Told]]:
    found: dict[str, list[Told]] = {}
    door = Door(topology, Counters())
    async with Bus(lambda: nats_server.address(live.nats), HOST, live.key(HOST)) as bus:
        for each in streams(topology):
            found[each.name] = [
                Told(door.read(message), at)  # type: ignore[arg-type] # it looks at two fields
                for message, at in await read_messages(bus, each.name)
            ]
    return found


@dataclass
class Read:
    """A message as a door looks at it."""

    subject: str
    data: bytes


async def read_stream(bus: Bus, name: str) -> list[tuple[bytes, int]]:
    """Return data and time of every message of a stream, in order."""
    return [(message.data, at) for message, at in await read_messages(bus, name)]


async def read_messages(bus: Bus, name: str) -> list[tuple[Read, int]]:
    """Return every message of a stream and when it was stored, in order."""
    info = msgspec.json.decode(await bus.ask(f"$JS.API.STREAM.INFO.{name}"))
    first, last = info["state"]["first_seq"], info["state"]["last_seq"]
    found = []
    for sequence in range(max(first, 1), last + 1):
        body = msgspec.json.encode({"seq": sequence})
        answer = msgspec.json.decode(await bus.ask(f"$JS.API.STREAM.MSG.GET.{name}", body))
        message = answer["message"]
        data = msgspec.json.decode(msgspec.json.encode(message.get("data", "")), type=bytes)
        found.append((Read(message["subject"], data), _nanoseconds(message["time"])))
    return found


def _nanoseconds(text: str) -> int:
    """Return RFC 3339 time with up to nine decimals as nanoseconds."""
    whole, _, rest = text.rstrip("Z").partition(".")
    seconds = time.strptime(whole, "%Y-%m-%dT%H:%M:%S")
    return calendar.timegm(seconds) * 1_000_000_000 + int(rest.ljust(9, "0"))


def calm(setting: Setting) -> Counter[bytes]:
    """Return the facts of the same pods in one thread, where nothing breaks."""
    return essence_of_calm(setting.plan, setting.folder / "calm", setting.kind)


def examine(setting: Setting, session: Session, topology: Topology) -> Finding:
    """Judge a session that has ended; in lock step against the facts of one thread too."""
    finding = Finding()
    told, finding.digest, finding.problems = judge.read(session.journal)
    if finding.problems:
        return finding
    found = stored(session, topology)
    turns = {name: [each.turn for each in all_of] for name, all_of in found.items()}
    market = stream_name(topology.arena, "MARKET")
    finding.market_times = [each.stored_at for each in found[market]]
    copies = turns.pop(stream_name(topology.arena, "OWN"))
    finding.problems += judge.check_copies(told, copies)
    for counts, problems in (
        judge.compare(told, turns),
        judge.account(fact for _, facts in told for fact in facts),
    ):
        finding.counts.update(counts)
        finding.problems += problems
    finding.problems += judge.recompute(setting.plan, topology, told)
    finding.counts["drift"] = 0
    if topology.lock_step:
        finding.counts["drift"] = judge.drift(judge.essence(told), calm(setting))
        if finding.counts["drift"]:
            finding.problems.append(f"{finding.counts['drift']} facts differ from a calm run's")
    return finding


def drive(setting: Setting, supervisor: Drilled, watch: Callable[[], None]) -> None:
    """Run a session to its end.

    Raises: AdapterError if it stops; TimeoutError by *watch*.
    """
    with home(setting.folder):
        assert supervisor.run(watch), "the session has not ended"


def deadline(seconds: float) -> Callable[[], None]:
    """Return what raises TimeoutError once *seconds* have passed."""
    until = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() > until:
            raise TimeoutError(f"the session has not ended in {seconds:g} s")

    return check
