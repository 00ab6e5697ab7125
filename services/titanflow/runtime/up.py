"""How does one machine run an arena of pods? A real NATS server and a process for each pod.

Everything is a child of this process and dies with it, however it ends: the kernel sees to that.
A pod that stops is started again, after a pause that grows, a bounded number of times. The state
lies beside the session's journal, so the same command goes on where a former one was interrupted.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from titanflow.adapters.bus.client import Bus
from titanflow.adapters.bus.ensure import ensure
from titanflow.adapters.bus.permissions import HOST
from titanflow.adapters.bus.streams import SHARDS_MAX, Pod, Stage, Topology, check, subject
from titanflow.core.base.errors import AdapterError, InvariantError, Problem, SpecError
from titanflow.core.risk.shares import shares
from titanflow.runtime import nats_server
from titanflow.runtime import session as sessions
from titanflow.runtime.authority import ensure as ensure_certificates
from titanflow.runtime.beat import read_beat
from titanflow.runtime.chronicle import new_card
from titanflow.runtime.door import SENTINEL
from titanflow.runtime.place import Live, Settings, replace
from titanflow.runtime.plan import Plan
from titanflow.runtime.process import DONE, GONE
from titanflow.runtime.session import Session
from titanflow.runtime.shard import GATEWAY

RESTARTS_MAX: Final = 20
"""Starts of one pod in a row without a minute's life; then the arena stops and says so."""
HEALTHY_SECONDS: Final = 60.0
STOP_SECONDS: Final = 10.0
LOG_BYTES: Final = 8 << 20
"""A pod's log is begun anew beyond this, and the former one kept."""
_LOOK_SECONDS: Final = 0.05
_PR_SET_PDEATHSIG: Final = 1

Shape = Literal["colocated", "split", "sharded", "apart", "whole"]
Notice = Callable[[str], None]


def shape(
    arena: str,
    kind: Shape,
    contenders: Sequence[str],
    *,
    lock_step: bool,
    models: bool = False,
    shards: int = 1,
) -> Topology:
    """Return the topology of one machine.

    Colocated has the fewest hops; split has a pod for each stage; apart has one for each contender,
    which then reads the market, beliefs and its own facts only; whole has one for everything.
    Sharded cuts contenders and instruments among *shards* pods that decide, and as many that trade.
    At a speed governance's lease is needed, and a sentinel that watches it; in lock step there is
    no clock that they could fit.
    Where contenders ask *models*, there is a pod that serves them.
    """
    pods: tuple[Pod, ...] = {
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
        "sharded": (
            Pod("perception", ("perceive",)),
            *_shards("signal", ("decide",), shards),
            *_shards("trade", ("trade", "gate", "post"), shards),
            Pod("score", ("score",), writes_journal=True),
        ),
        "apart": (
            Pod("perception", ("perceive",)),
            *(Pod(f"signal-{name}", ("decide",), contenders=(name,)) for name in contenders),
            Pod("trade", ("trade", "gate", "post", "score"), writes_journal=True),
        ),
        "whole": (
            Pod(
                "line",
                ("trade", "gate", "post", "score", "perceive", "decide"),
                writes_journal=True,
            ),
        ),
    }[kind]
    return check(
        Topology(
            arena,
            (*_roles(lock_step=lock_step, models=models), *pods),
            replay_clock=True,
            leases=not lock_step,
            lock_step=lock_step,
        )
    )


def _roles(*, lock_step: bool, models: bool) -> tuple[Pod, ...]:
    roles = [Pod(GATEWAY, role="gateway"), Pod("governance", role="governance")]
    if not lock_step:
        roles.append(Pod(SENTINEL, role="sentinel"))
    if models:
        roles.append(Pod("serving", role="serving"))
    return tuple(roles)


def _shards(name: str, stages: tuple[Stage, ...], count: int) -> tuple[Pod, ...]:
    return tuple(Pod(f"{name}-{k}", stages, shard=(k, count)) for k in range(count))


def check_shards(plan: Plan, kind: Shape, shards: int) -> None:
    """Refuse a number of shards that leaves one of them nothing to do.

    Raises: SpecError saying how many there may be.
    """
    ground = plan.ground
    groups = len(set(shares(ground, plan.policies, len(ground.entrants))))
    most = min(groups, len(ground.instruments), SHARDS_MAX)
    if kind != "sharded" and shards != 1:
        do = "say --shape sharded, or leave it out"
        raise SpecError([Problem(f"the shape {kind} has no shards", "--shards", do)])
    if not 1 <= shards <= most:
        what = (
            f"{shards} shards of {len(ground.instruments)} instruments and {groups} groups of "
            "contenders, which share an aggregate limit"
        )
        raise SpecError([Problem(what, "--shards", f"at least 1, at most {most}")])


def begin(
    plan: Plan, kind: Shape, speed: float, tls: Path | None = None, shards: int = 1
) -> tuple[Session, bool]:
    """Return the session to run, and whether it goes on with a former one.

    A former session of the same arena goes on if it has not ended and has the same manifests.
    With a folder *tls* all questions are asked under mutual TLS, by the certificates there.
    Raises: SpecError if certificates are wanted for a session that goes on without them, or cannot
    be had; AdapterError if something cannot be written.
    """
    check_shards(plan, kind, shards)
    wanted = str(tls.resolve()) if tls is not None else ""
    arena = plan.ground.arena
    manifests = str(plan.folder.resolve())
    for found in reversed(sessions.sessions()):
        live = Live(found.path)
        if live.exists and found.card().arena == arena and found.card().status != "Completed":
            former = live.settings()
            if former.manifests == manifests:
                if wanted not in ("", former.tls):
                    what = f"session {found.name} goes on with --tls {former.tls or 'left out'}"
                    do = "leave --tls as it was, or end the session by `titanflow down --purge`"
                    raise SpecError([Problem(what, "--tls", do)])
                return found, True
            break
    session = sessions.create(arena)
    session.write_card(new_card(session, arena, manifests))
    names = [entrant.name for entrant in plan.ground.entrants]
    models = any(entrant.contract is not None for entrant in plan.ground.entrants)
    topology = shape(arena, kind, names, lock_step=speed == 0, models=models, shards=shards)
    Live(session.path).make(topology, Settings(manifests, speed, wanted))
    return session, False


class _Child:
    """One pod's process, and how often it was started."""

    def __init__(self, pod: Pod) -> None:
        self.pod = pod
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.starts = 0
        self.failures = 0
        self.due = 0.0
        self.is_done = False


class Supervisor:
    """Runs the pods of one session."""

    def __init__(self, session: Session, notice: Notice) -> None:
        self.session = session
        self.live = Live(session.path)
        self.topology = self.live.topology()
        self.states: dict[str, dict[str, object]] = {}
        """What each pod said last of itself."""
        self._notice = notice
        self._children = [_Child(pod) for pod in self.topology.pods]
        self._server: nats_server.NatsServer | None = None
        self._tell_at = 0.0
        self._names = frozenset(pod.name for pod in self.topology.pods)
        self._garbled: set[str] = set()
        """Pods of whose heartbeats it was told that they are none."""

    def run(self, watch: Callable[[], None]) -> bool:
        """Run until the session has ended; say whether it has. *watch* is called again and again.

        Raises: AdapterError if a pod stops too often, or the server does not come up.
        """
        if threading.current_thread() is not threading.main_thread():
            raise InvariantError("children die with the thread that makes them: use the main one")
        if tls := self.live.settings().tls:
            made = ensure_certificates(Path(tls), sorted(self._names))
            if made:
                self._notice(f"certificates in {tls} made for: {', '.join(made)}")
        keys = self.live.keys(self.topology)
        self._server = nats_server.start(self.live.nats, self.topology, keys, self._notice)
        (self.live.path / "up.pid").write_text(f"{os.getpid()}\n")
        try:
            asyncio.run(self._supervise(watch))
        finally:
            self._stop()
        return self._is_over

    @property
    def _is_over(self) -> bool:
        """Say whether the session has ended: those that only serve it have no end of their own."""
        return all(
            child.is_done
            for child in self._children
            if child.pod.stages or child.pod.role == "gateway"
        )

    async def _supervise(self, watch: Callable[[], None]) -> None:
        bus = Bus(lambda: nats_server.address(self.live.nats), HOST, self.live.key(HOST))
        async with bus:
            report = await ensure(bus.ask, self.topology)
            if report.created or report.grown:
                nats_server.keep(self.live.nats)
            for drift in report.drift:
                self._notice(f"drift: {drift}")
            await bus.hear(subject(self.topology.arena, "beat", "*"), self._hear)
            while not self._is_over:
                self._look()
                self._tell()
                watch()
                await asyncio.sleep(_LOOK_SECONDS)

    def _hear(self, on: str, data: bytes) -> None:
        """Take a heartbeat: it is about the pod on whose subject it came, whatever it says."""
        name = on.rpartition(".")[2]
        if name not in self._names:
            return
        if read_beat(data) is None:
            if name not in self._garbled:
                self._garbled.add(name)
                self._notice(f"pod {name} says heartbeats that are none; they do not count")
            return
        state = msgspec.json.decode(data, type=dict[str, object])
        self.states[name] = {**state, "pod": name}

    def _tell(self) -> None:
        """Write down, once a second, what the pods said of themselves."""
        now = time.monotonic()
        if now >= self._tell_at:
            self._tell_at = now + 1.0
            replace(self.live.path / "status.json", msgspec.json.encode(self.states))

    def _look(self) -> None:
        """Start who is to be started, and see who has ended."""
        if self._server is not None and not self._server.is_alive:
            self._notice("the NATS server has stopped; it is started again")
            keys = self.live.keys(self.topology)
            self._server = nats_server.start(self.live.nats, self.topology, keys, self._notice)
            for child in self._children:
                # The last market events may have been in its memory only.
                child.is_done = child.is_done and child.pod.role != "gateway"
        now = time.monotonic()
        for child in self._children:
            if child.is_done:
                continue
            if child.process is None:
                if now >= child.due:
                    self._start(child, now)
                continue
            code = child.process.poll()
            if code is not None:
                self._ended(child, code, now)

    def _start(self, child: _Child, now: float) -> None:
        child.process = spawn(self.live, child.pod)
        child.started, child.starts = now, child.starts + 1

    def _ended(self, child: _Child, code: int, now: float) -> None:
        child.process = None
        if code == DONE:
            child.is_done = True
            return
        name = child.pod.name
        child.failures = 1 if now - child.started > HEALTHY_SECONDS else child.failures + 1
        if child.failures > RESTARTS_MAX:
            log = self.live.pod(name) / "log.jsonl"
            raise AdapterError(
                f"pod {name} has stopped {child.failures} times in a row (exit {code}); "
                f"its log: {log}: {_last_line(log)}"
            )
        pause = 0.0 if child.failures == 1 else min(0.1 * 2.0**child.failures, 5.0)
        child.due = now + pause
        why = (
            "another copy took over"
            if code == GONE
            else _last_line(self.live.pod(name) / "log.jsonl")
        )
        self._notice(f"pod {name} stopped (exit {code}): {why}; starts again")

    def _stop(self) -> None:
        """End everybody: asked first, killed after a while."""
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            process.terminate()
        until = time.monotonic() + STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._server is not None:
            self._server.stop()
        (self.live.path / "up.pid").unlink(missing_ok=True)


def spawn(live: Live, pod: Pod) -> subprocess.Popen[bytes]:
    """Start the process of one pod; it ends when this process ends."""
    folder = live.pod(pod)
    log = folder / "log.jsonl"
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(folder / "log.1.jsonl")
    parent, libc = os.getpid(), ctypes.CDLL(None)

    def die_with_parent() -> None:
        if sys.platform == "linux":
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

    with log.open("ab") as out:
        return subprocess.Popen(  # noqa: S603 - our own program
            [
                sys.executable, "-m", "titanflow.cli.main", "pod", "--session",
                str(live.session), "--name", pod.name,
            ],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,  # an interrupt at the terminal is for the parent
            preexec_fn=die_with_parent,  # noqa: PLW1509 - two system calls, in the main thread
        )  # fmt: skip


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return "it left no log"
    return lines[-1][:400] if lines else "it said nothing"
