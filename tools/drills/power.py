"""F5: what is left when the power goes? The disk as it was at one instant, and nothing else.

The state lies on an ext4 file system in a file. In the middle of the work everybody is stopped, the
file is copied (what only the kernel's cache of the mounted file system held is not in it), and the
copy is mounted and read. A kill alone proves nothing here: the kernel's cache survives it.
The same with the server's default `sync_interval` must show loss, else the cut is none.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from unittest.mock import patch

from titanflow.adapters.bus.client import Bus
from titanflow.adapters.bus.ensure import ensure
from titanflow.adapters.bus.permissions import HOST
from titanflow.adapters.bus.streams import Topology, output_subject, stream_name
from titanflow.core.base.errors import AdapterError
from titanflow.runtime import nats_server
from titanflow.runtime.place import Live
from titanflow.runtime.session import Session
from tools.drills.report import Outcome
from tools.drills.stage import Drilled, Setting, deadline, drive, examine, home, read_stream, set_up

IMAGE_MIB: Final = 512
PER_SECOND: Final = 500
SECONDS: Final = 5.0
PAYLOAD: Final = b"x" * 400


class Disk:
    """An ext4 file system in a file, mounted in a folder."""

    def __init__(self, folder: Path) -> None:
        self.image, self.mounted = folder / "disk.img", folder / "mnt"
        self.mounted.mkdir(parents=True)
        with self.image.open("wb") as file:
            file.truncate(IMAGE_MIB << 20)
        _call("mkfs.ext4", "-q", str(self.image))
        self.mount()

    def mount(self) -> None:
        """Mount the image."""
        # The journal of ext4 is left to commit when it is asked to, or every minute.
        _call("mount", "-o", "loop,commit=60", str(self.image), str(self.mounted))

    def cut(self) -> Path:
        """Return a copy of the disk as it is now; whoever writes must stand still."""
        copy = self.image.with_suffix(".cut")
        _call("cp", "--sparse=always", str(self.image), str(copy))
        return copy

    def replace(self, copy: Path) -> None:
        """Put the copy in place of the disk."""
        self.leave()
        copy.replace(self.image)
        self.mount()

    def leave(self) -> None:
        """Unmount."""
        _call("umount", str(self.mounted))


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[Disk]:
    """Give a mounted disk; it is gone afterwards."""
    made = Disk(folder)
    try:
        yield made
    finally:
        subprocess.run(["umount", "-l", str(made.mounted)], capture_output=True, check=False)


def _call(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{words[0]}: {done.stderr.strip()}")


def why_not(folder: Path) -> str:
    """Return why no power can be cut here; empty if it can."""
    missing = [name for name in ("mkfs.ext4", "mount", "umount") if shutil.which(name) is None]
    if missing:
        return f"there is no {missing[0]}"
    try:
        with disk(folder / "try"):
            return ""
    except OSError as error:
        return f"loop mounts do not work here ({error})"


def power(outcome: Outcome, folder: Path, *, short: bool, seed: int) -> None:
    """Cut the power of bare streams in each mode, and of whole sessions."""
    outcome.pass_figure = (
        "sync_interval always: 0 acknowledged messages lost; default and persist_mode async lose "
        "some; every session goes on to its calm facts"
    )
    outcome.cannot = why_not(folder)
    if outcome.cannot:
        return
    always, sessions = (1, 1) if short else (10, 4)
    lost = {"always": 0, "async": 0, "default": 0}
    acked = dict.fromkeys(lost, 0)
    for n in range(always + 1):
        is_default = n == always
        found = _cut_streams(folder / f"streams-{n}", is_default=is_default)
        for kind, mode in (("ORDER", "always"), ("MARKET", "async")):
            name = "default" if is_default else mode
            told = found[kind]
            acked[name] += told.acked
            lost[name] += told.lost
            outcome.problems += [f"{kind}, {name}: {text}" for text in told.problems]
    outcome.counts = {f"acked, {name}": count for name, count in acked.items()}
    outcome.counts |= {f"lost, {name}": count for name, count in lost.items()}
    outcome.demand("acknowledged messages were lost with always", lost["always"] == 0)
    outcome.demand("nothing was lost with the default: the cut is none", lost["default"] > 0)
    outcome.demand("nothing was lost with persist_mode async", lost["async"] > 0)
    for n in range(sessions):
        _cut_session(outcome, folder / f"session-{n}", after=0.3 + 0.5 * ((n + seed) % 5))


# Bare streams.


@dataclass
class Stream:
    """What was acknowledged on one stream, and what was found."""

    acked: int = 0
    kept: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Give how many acknowledged messages are gone."""
        return max(0, self.acked - self.kept)


def _cut_streams(folder: Path, *, is_default: bool) -> dict[str, Stream]:
    folder.mkdir(parents=True)
    found = {"ORDER": Stream(), "MARKET": Stream()}
    with disk(folder) as made, _sync_by_default(is_default):
        setting = set_up(folder, 10)
        session = Setting(made.mounted, setting.plan, setting.kind).begin()
        live = Live(session.path)
        topology = live.topology()
        server = nats_server.start(live.nats, topology, live.keys(topology))
        asyncio.run(_load(live, topology, found, server.pid))
        copy = made.cut()
        _kill(server)
        made.replace(copy)
        try:
            server = nats_server.start(live.nats, topology, live.keys(topology))
        except AdapterError:
            if not is_default:
                raise
            return found  # the server cannot even read its store
        try:
            asyncio.run(_count(live, topology, found))
        finally:
            server.stop()
    return found


@contextlib.contextmanager
def _sync_by_default(is_default: bool) -> Iterator[None]:
    """Leave `sync_interval` to the server's default, if asked to."""
    render = nats_server.render

    def lazy(*args: object) -> bytes:
        config = json.loads(render(*args))  # type: ignore[arg-type]
        del config["jetstream"]["sync_interval"]
        return json.dumps(config).encode()

    with patch.object(nats_server, "render", lazy if is_default else render):
        yield


async def _load(live: Live, topology: Topology, found: dict[str, Stream], pid: int) -> None:
    """Publish at a steady rate on both streams, then stop the server where it stands."""
    async with Bus(lambda: nats_server.address(live.nats), HOST, live.key(HOST)) as host:
        await ensure(host.ask, topology)
    nats_server.keep(live.nats)
    tasks = []
    async with contextlib.AsyncExitStack() as stack:
        for kind, told in found.items():
            pod = next(each for each in topology.pods if each.output == kind)
            bus = Bus(lambda: nats_server.address(live.nats), pod.name, live.key(pod.name))
            await stack.enter_async_context(bus)
            name = stream_name(topology.arena, kind)
            speak = _speak(bus, name, output_subject(topology, pod), told)
            tasks.append(asyncio.create_task(speak))
        await asyncio.sleep(SECONDS)
        os.kill(pid, signal.SIGSTOP)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _speak(bus: Bus, stream: str, subject: str, told: Stream) -> None:
    loop = asyncio.get_running_loop()
    began, last = loop.time(), 0
    while True:
        payload = b"%d " % (last + 1) + PAYLOAD
        published = await bus.publish_turn(stream, subject, payload, f"{subject}/{last + 1}", last)
        last = told.acked = published.sequence
        await asyncio.sleep(max(0.0, began + last / PER_SECOND - loop.time()))


async def _count(live: Live, topology: Topology, found: dict[str, Stream]) -> None:
    """Read what is left; it must be a beginning of what was said."""
    async with Bus(lambda: nats_server.address(live.nats), HOST, live.key(HOST)) as host:
        await ensure(host.ask, topology)  # a stream may be gone altogether
        for kind, told in found.items():
            messages = await read_stream(host, stream_name(topology.arena, kind))
            told.kept = len(messages)
            for n, (data, _) in enumerate(messages, 1):
                if data != b"%d " % n + PAYLOAD:
                    told.problems.append(f"message {n} is another one")


def _kill(server: nats_server.NatsServer) -> None:
    server.child.kill()
    server.child.wait()


# Whole sessions.


class _Cutter:
    """Stops everybody in the middle of a session, and takes the disk."""

    def __init__(self, supervisor: Drilled, made: Disk, after: float) -> None:
        self.copy: Path | None = None
        self.turns = 0
        """Turns that pods said they had said, before the cut."""
        self._supervisor, self._made, self._after = supervisor, made, after
        self._since = 0.0
        self._check = deadline(120)

    def watch(self) -> None:
        """Cut, if it is time.

        Raises: KeyboardInterrupt once it is done.
        """
        self._check()
        states = self._supervisor.states
        numbers = {name: int(str(state.get("number", 0))) for name, state in states.items()}
        if numbers.get("gateway", 0) < 10:
            self._since = time.monotonic()
            return
        if time.monotonic() - self._since < self._after:
            return
        pods = [c.process for c in self._supervisor._children if c.process is not None]  # noqa: SLF001
        processes = [*pods, self._supervisor.server.child]
        for process in processes:
            os.kill(process.pid, signal.SIGSTOP)
        self.turns = sum(numbers.values())
        self.copy = self._made.cut()
        for process in processes:
            process.kill()
            process.wait()
        raise KeyboardInterrupt


def _cut_session(outcome: Outcome, folder: Path, *, after: float) -> None:
    """Cut the power of a session, put the disk back, go on, and judge the whole."""
    folder.mkdir(parents=True)
    with disk(folder) as made:
        setting = set_up(folder, 400)
        on_disk = Setting(made.mounted, setting.plan, setting.kind)
        session = on_disk.begin()
        cutter = _run_until_cut(on_disk, made, session, after)
        assert cutter.copy is not None
        made.replace(cutter.copy)
        again = on_disk.begin()
        outcome.demand("the session was forgotten", again == session)
        supervisor = Drilled(again)
        drive(on_disk, supervisor, deadline(200))
        finding = examine(Setting(folder, setting.plan, setting.kind), again, supervisor.topology)
    outcome.problems += finding.problems
    counts = {"sessions cut": 1, "turns before the cut": cutter.turns}
    counts |= {name: finding.counts[name] for name in ("lost", "double", "drift")}
    for name, count in counts.items():
        outcome.counts[name] = int(outcome.counts.get(name, 0)) + count


def _run_until_cut(setting: Setting, made: Disk, session: Session, after: float) -> _Cutter:
    supervisor = Drilled(session)
    cutter = _Cutter(supervisor, made, after)
    with home(setting.folder), contextlib.suppress(KeyboardInterrupt):
        supervisor.run(cutter.watch)
    return cutter
