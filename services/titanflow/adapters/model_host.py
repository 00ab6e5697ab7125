"""How is a graph run that is not trusted? In a process of its own, with limits, over two pipes.

The child is `python -m titanflow.adapters.model_host`. It takes frames on standard input and gives
frames on standard output: a kind, a length, and either text or bare little-endian single precision;
nothing is unpickled on either side. Before the first frame it gives up what it does not need: bytes
written to files, new processes (unless it is root, whom no kernel keeps from them), core dumps,
privileges; memory and processor time are limited. The parent waits for each call up to a deadline,
kills a child that misses it, and starts another behind the caller's back: until that one is proven,
calls are refused at once. After failures in a row a breaker refuses calls for a while. A child
whose parent is gone reads the end of its input, or runs out of processor time.

On one machine the child can still open sockets: a pod takes that away with its network policy.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from threading import Lock, Thread
from typing import BinaryIO, Final

import msgspec
import numpy as np

from titanflow.adapters.bundles.bundle import Bundle, Float32s
from titanflow.adapters.bundles.refusal import BundleRefusedError, Step
from titanflow.adapters.models import Graph, GraphError, answers_from, by_bundle, judge, rows_of
from titanflow.core.base.breaker import Breaker, BreakerLimits, BreakerState
from titanflow.core.base.errors import AdapterError
from titanflow.core.base.instant import NS_PER_SECOND
from titanflow.core.contender.model import answer_to
from titanflow.core.facts import Answer, Ask
from titanflow.core.spec.bundle import ServingSpec
from titanflow.core.spec.words import Reply

FRAME: Final = struct.Struct("<cI")
"""Kind and length of what follows."""
LOAD, PROVE, RUN, ROWS, READY, ERROR, REFUSED = b"L", b"V", b"P", b"R", b"K", b"E", b"X"
SHAPE: Final = struct.Struct("<II")
FRAME_BYTES_MAX: Final = 80 << 20
FILES_MAX: Final = 64
"""Open files of a child: its pipes, and what the libraries hold open."""
START_SECONDS: Final = 10.0
"""Longest start: importing numpy and onnxruntime, loading a graph, its golden vectors."""
FIRST_CALL_SECONDS: Final = 0.5
"""Longest first row: onnxruntime may still make room for itself."""


class Limits(msgspec.Struct, frozen=True):
    """What a child may take."""

    timeout_seconds: float = 0.05
    """Longest call."""
    memory_bytes: int = 1 << 30
    """Memory beyond what the libraries have taken when they are loaded."""
    start_seconds: float = START_SECONDS
    cpu_seconds: int = 1
    """Processor time of one call, beyond which the kernel kills; whole seconds."""


def limits_of(serving: ServingSpec) -> Limits:
    """Return the limits that a manifest asks for."""
    seconds = serving.timeout_micros / 1_000_000
    return Limits(
        timeout_seconds=seconds, memory_bytes=serving.memory_bytes, cpu_seconds=1 + int(seconds)
    )


class _Load(msgspec.Struct, frozen=True, array_like=True):
    features: int
    explained: bool
    max_batch: int
    memory_bytes: int
    cpu_seconds: int
    model: bytes


class HostFailedError(AdapterError):
    """A call that was not answered: how, and in words."""

    def __init__(self, reply: Reply, what: str) -> None:
        self.reply, self.what = reply, what
        super().__init__(what)


class ModelHost:
    """One bundle's graph in a process of its own. One call at a time; the lock sees to that."""

    def __init__(
        self,
        bundle: Bundle,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        breaker: BreakerLimits = BreakerLimits(),  # noqa: B008 - frozen
    ) -> None:
        self.bundle = bundle
        self.limits = limits
        self.starts = 0
        """How often a child was started."""
        self._breaker = Breaker(breaker)
        self._lock = Lock()
        self._child: _Child | None = None
        self._starter: Thread | None = None
        self._closed = False

    @property
    def breaker(self) -> BreakerState:
        """Give what the breaker would do with a call now."""
        return self._breaker.state(_now())

    @property
    def pid(self) -> int:
        """Give the process id of the child that answers, 0 while there is none."""
        child = self._child
        return 0 if child is None else child.process.pid

    def start(self) -> None:
        """Start the child and wait until its graph is loaded and proven.

        Raises: BundleRefusedError if onnxruntime does not load the graph or it does not give its
        golden vectors; HostFailedError if the child ends or is late.
        """
        with self._lock:
            self._start()

    def run(self, rows: Float32s) -> Float32s:
        """Return a row of numbers for each row of features, as `Graph.run` does.

        Raises: HostFailedError naming what happened; the child was killed unless it answered.
        """
        if self._starter is not None and self._starter.is_alive():
            raise HostFailedError(Reply.REFUSED, "its process is starting again")
        with self._lock:
            if not self._breaker.admits(_now()):
                raise HostFailedError(Reply.REFUSED, "the breaker is open after failures in a row")
            child = self._child
            if child is None:
                self._start_again()
                raise HostFailedError(Reply.REFUSED, "its process is starting again")
            self._breaker = self._breaker.begin()
            try:
                numbers = child.run(rows, _after(self.limits.timeout_seconds))
            except HostFailedError as error:
                self._breaker = self._breaker.fail(_now())
                if child.process.returncode is not None:
                    self._child = None
                    if self._breaker.admits(_now()):
                        self._start_again()
                raise error from None
            self._breaker = self._breaker.succeed()
            return numbers

    def predict(self, asks: Sequence[Ask]) -> list[Answer]:
        """Return one answer to each ask of this bundle; a failure is an answer as well."""
        rows = rows_of(asks, len(self.bundle.manifest.features))
        if rows is None:
            return [answer_to(ask, Reply.REFUSED, text="not its features") for ask in asks]
        answers: list[Answer] = []
        for first in range(0, len(asks), self.bundle.max_batch):
            some = asks[first : first + self.bundle.max_batch]
            try:
                numbers = self.run(rows[first : first + len(some)])
            except HostFailedError as error:
                answers += [answer_to(ask, error.reply, text=error.what) for ask in some]
            else:
                answers += answers_from(numbers, some)
        return answers

    def settle(self) -> None:
        """Wait until a start that is under way has come to its end, good or bad."""
        starter = self._starter
        if starter is not None:
            starter.join()

    def close(self) -> None:
        """Wait for the call under way, then end the child; later calls are refused."""
        self._closed = True
        self.settle()
        with self._lock:
            if self._child is not None:
                self._child.kill()
                self._child = None

    def _start(self) -> None:
        self.starts += 1
        self._child = _Child(self.bundle, self.limits)

    def _start_again(self) -> None:
        if not self._closed:
            self._starter = Thread(target=self._try_start, daemon=True)
            self._starter.start()

    def _try_start(self) -> None:
        with self._lock:
            try:
                self._start()
            except (HostFailedError, BundleRefusedError):
                self._breaker = self._breaker.fail(_now())


class _Child:
    """A process that runs one graph, proven; whatever goes wrong kills it.

    Raises: BundleRefusedError, HostFailedError.
    """

    def __init__(self, bundle: Bundle, limits: Limits) -> None:
        self._columns = _columns(bundle)
        self._received = bytearray()
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-I", "-m", __spec__.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._into, self._out = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self._into, False)
        deadline = _after(limits.start_seconds)
        try:
            self._load(bundle, limits, deadline)
            self._prove(bundle, limits, deadline)
        except BaseException:
            self.kill()
            raise

    def run(self, rows: Float32s, deadline: int) -> Float32s:
        """Return what the graph gives for one batch."""
        return self._ask(RUN, len(rows), rows, deadline)

    def _ask(self, kind: bytes, batch: int, rows: Float32s, deadline: int) -> Float32s:
        table = np.ascontiguousarray(rows, dtype="<f4")
        self._send(kind, SHAPE.pack(batch, table.shape[1]) + table.tobytes(), deadline)
        kind, body = self._receive(deadline)
        if kind == ERROR:
            raise HostFailedError(Reply.FAILED, body.decode("utf-8", "replace"))
        if kind != ROWS or len(body) != len(rows) * self._columns * 4:
            raise self._killed(Reply.INVALID, "the child gave another shape than it promised")
        return np.frombuffer(body, dtype="<f4").astype(np.float32).reshape(-1, self._columns)

    def _load(self, bundle: Bundle, limits: Limits, deadline: int) -> None:
        order = _Load(
            len(bundle.manifest.features),
            bundle.manifest.explained,
            bundle.max_batch,
            limits.memory_bytes,
            limits.cpu_seconds,
            bundle.model,
        )
        self._send(LOAD, msgspec.msgpack.encode(order), deadline)
        kind, body = self._receive(deadline)
        if kind == REFUSED:
            raise BundleRefusedError(Step.LOAD, body.decode("utf-8", "replace"))
        if kind != READY:
            raise self._killed(Reply.INVALID, "the child did not say that it is ready")

    def _prove(self, bundle: Bundle, limits: Limits, deadline: int) -> None:
        """Compare the child's graph with the golden vectors; the parent judges.

        One row comes first, with a short deadline: a graph that never ends shows it there.
        """
        golden = bundle.golden.features
        soon = _after(max(limits.timeout_seconds, FIRST_CALL_SECONDS))
        try:
            self._ask(PROVE, 1, golden[:1], min(soon, deadline))
            for size in (1, bundle.max_batch):
                found = self._ask(PROVE, size, golden, deadline)
                judge(found, bundle.golden, bundle.manifest.golden.tolerance, size)
        except HostFailedError as error:
            if error.reply is Reply.FAILED:
                raise BundleRefusedError(Step.GOLDEN, error.what) from error
            raise

    def _send(self, kind: bytes, body: bytes, deadline: int) -> None:
        rest = memoryview(FRAME.pack(kind, len(body)) + body)
        while rest:
            left = (deadline - _now()) / NS_PER_SECOND
            if left <= 0 or not select.select([], [self._into], [], left)[1]:
                raise self._killed(Reply.TIMEOUT, "the child did not listen")
            try:
                rest = rest[os.write(self._into, rest) :]
            except BlockingIOError:
                continue
            except OSError:
                raise self._killed(Reply.FAILED, f"the child ended ({self._ending()})") from None

    def _receive(self, deadline: int) -> tuple[bytes, bytes]:
        """Return the next frame, or kill the child at the deadline."""
        received = self._received
        while True:
            if len(received) >= FRAME.size:
                kind, size = FRAME.unpack_from(received)
                if size > FRAME_BYTES_MAX:
                    raise self._killed(Reply.INVALID, "the child gave a frame without end")
                if len(received) >= FRAME.size + size:
                    body = bytes(received[FRAME.size : FRAME.size + size])
                    del received[: FRAME.size + size]
                    return kind, body
            left = (deadline - _now()) / NS_PER_SECOND
            if left <= 0 or not select.select([self._out], [], [], left)[0]:
                raise self._killed(Reply.TIMEOUT, "the answer came too late")
            piece = os.read(self._out, 1 << 20)
            if not piece:
                raise self._killed(Reply.FAILED, f"the child ended ({self._ending()})")
            received += piece

    def _ending(self) -> str:
        try:
            code = self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            return "it closed its pipes"
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _killed(self, reply: Reply, what: str) -> HostFailedError:
        self.kill()
        return HostFailedError(reply, what)

    def kill(self) -> None:
        """End the process now, and wait for its end."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


class Hosts:
    """The bundles that are served here, each in its own process, by digest and by name.

    A new version of a name is started and proven before it takes the name over. The former one goes
    on answering those that ask it by its digest, until it is retired.
    """

    def __init__(self) -> None:
        self._hosts: dict[str, ModelHost] = {}
        self._current: dict[str, str] = {}
        self._lock = Lock()

    def serve(self, bundle: Bundle, limits: Limits = Limits()) -> str:  # noqa: B008 - frozen
        """Serve a bundle under its digest and its name; return the digest that had the name.

        Raises: BundleRefusedError, HostFailedError; then nothing has changed.
        """
        name, digest = bundle.contract.name, bundle.contract.digest
        with self._lock:
            if digest not in self._hosts:
                host = ModelHost(bundle, limits)
                host.start()
                self._hosts[digest] = host
            former = self._current.get(name, "")
            self._current[name] = digest
        return former

    def retire(self, digest: str) -> None:
        """Serve a bundle no longer; the call that is under way comes to its end first."""
        with self._lock:
            host = self._hosts.pop(digest, None)
            self._current = {n: d for n, d in self._current.items() if d != digest}
        if host is not None:
            host.close()

    def named(self, name: str) -> ModelHost | None:
        """Return who runs the bundle that has a name now."""
        return self._hosts.get(self._current.get(name, ""))

    def host(self, digest: str) -> ModelHost | None:
        """Return who runs a bundle."""
        return self._hosts.get(digest)

    def run(self, name: str, rows: Float32s) -> tuple[str, Float32s]:
        """Run the bundle that has a name; return its digest with what it gave.

        A bundle that was retired between look-up and call is looked up again.

        Raises: HostFailedError, also if nothing has the name.
        """
        host = self.named(name)
        while host is not None:
            try:
                return host.bundle.contract.digest, host.run(rows)
            except HostFailedError:
                found = self.named(name)
                if found is host:
                    raise
                host = found
        raise HostFailedError(Reply.REFUSED, f"no bundle {name!r} is served here")

    def predict(self, asks: Sequence[Ask]) -> list[Answer]:
        """Return one answer to each ask, in their order; all that ask one bundle run at once."""
        return by_bundle(asks, self._hosts.get)

    def close(self) -> None:
        """End all processes."""
        for digest in list(self._hosts):
            self.retire(digest)


def _columns(bundle: Bundle) -> int:
    features = len(bundle.manifest.features)
    return 1 + (features + 1 if bundle.manifest.explained else 0)


def _now() -> int:
    return time.monotonic_ns()


def _after(seconds: float) -> int:
    return _now() + int(seconds * NS_PER_SECOND)


# What follows runs in the child.


def _write(pipe: BinaryIO, kind: bytes, body: bytes) -> None:
    pipe.write(FRAME.pack(kind, len(body)) + body)
    pipe.flush()


def _read(pipe: BinaryIO, size: int) -> bytes:
    """Return *size* bytes, or end with the parent."""
    parts = []
    while size:
        piece = pipe.read(size)
        if not piece:
            sys.exit(0)
        parts.append(piece)
        size -= len(piece)
    return b"".join(parts)


def _frame(pipe: BinaryIO) -> tuple[bytes, bytes]:
    kind, size = FRAME.unpack(_read(pipe, FRAME.size))
    return kind, _read(pipe, size)


def _confine(memory_bytes: int) -> None:
    """Give up what a graph does not need, for good."""
    taken = _address_space()
    for what, limit in (
        (resource.RLIMIT_AS, taken + memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, FILES_MAX),
    ):
        _, hard = resource.getrlimit(what)
        bound = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (bound, bound))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS


def _address_space() -> int:
    """Return the bytes of address space in use; where nobody says, what the libraries take."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - no path
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 2 << 30


def _grant(seconds: int) -> None:
    """Let the process use so many more seconds of processor time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    limit = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, hard))


def _serve(source: BinaryIO, sink: BinaryIO) -> None:
    kind, body = _frame(source)
    assert kind == LOAD
    order = msgspec.msgpack.decode(body, type=_Load)
    _confine(order.memory_bytes)
    _grant(order.cpu_seconds)
    try:
        graph = Graph(
            order.model, order.features, explained=order.explained, max_batch=order.max_batch
        )
    except BundleRefusedError as error:
        _write(sink, REFUSED, error.what.encode())
        return
    _write(sink, READY, b"")
    while True:
        kind, body = _frame(source)
        _grant(order.cpu_seconds)
        try:
            numbers = _answer(graph, kind, body)
        except (GraphError, MemoryError) as error:
            _write(sink, ERROR, str(error).encode())
        else:
            _write(sink, ROWS, numbers.astype("<f4").tobytes())


def _answer(graph: Graph, kind: bytes, body: bytes) -> Float32s:
    rows, columns = SHAPE.unpack_from(body)
    table = np.frombuffer(body, dtype="<f4", offset=SHAPE.size).reshape(-1, columns)
    if kind == RUN:
        return graph.run(table)
    # Golden vectors, in batches of `rows`.
    return np.concatenate(
        [graph.run(table[first : first + rows]) for first in range(0, len(table), rows)]
    )


if __name__ == "__main__":
    _serve(sys.stdin.buffer, sys.stdout.buffer)
