"""May this archive be served? Judged in a process of its own, so that no file harms the pod.

A resident process has every library loaded and forks for each archive, at a lower priority and with
limits; the fork looks at the graph, loads it, compares it with its golden vectors, says which step
refuses it, and ends. Whatever a file does to the libraries that look at it (memory, time, a
crash) is the end of that fork alone. Signature and digest come before, in the pod: what nobody
vouches for gets no process either.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import struct
import subprocess
import sys
from threading import Lock
from time import monotonic_ns
from typing import IO, Final

import msgspec

from titanflow.adapters.bundles.archive import ARCHIVE_BYTES_MAX, sha256_of, unpack
from titanflow.adapters.bundles.bundle import BATCH_MAX, Bundle, open_bundle, read_members
from titanflow.adapters.bundles.refusal import BundleRefusedError, Step
from titanflow.adapters.bundles.signing import Signature, Trust
from titanflow.core.base.instant import NS_PER_SECOND

FRAME: Final = struct.Struct("<II")
"""Most rows of a call, and the length of the archive that follows."""
SECONDS: Final = 20.0
"""Longest wait for a verdict; the largest graph that is let in takes some seconds."""
LOOK_SECONDS: Final = 10.0
"""Processor time for the look at a graph."""
RUN_SECONDS: Final = 0.5
"""Processor time for loading a graph and for its golden vectors."""
MEMORY_BYTES: Final = 1 << 30
"""Memory beyond what the libraries have taken."""
LOWER: Final = 5
"""Niceness: those who are asked go first, and who looks still comes to an end in a second."""
WHAT_MAX: Final = 400
"""Characters of a reason: a verdict is written to its pipe in one piece."""


class _Verdict(msgspec.Struct):
    step: str = ""
    what: str = ""


class Judge:
    """The resident process; it is started when it is first needed, and again when it was lost."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = Lock()

    def start(self) -> None:
        """Start the process, so that the first archive does not wait for it."""
        with self._lock:
            self._resident()

    def judge(
        self, archive: bytes, signature: Signature, trust: Trust, *, max_batch: int = BATCH_MAX
    ) -> Bundle:
        """Return the bundle in *archive* after every step of verification.

        Raises: BundleRefusedError naming the first step that it does not pass.
        """
        if len(archive) <= ARCHIVE_BYTES_MAX:
            trust.check(signature)
            if sha256_of(archive) == signature.sha256:
                with self._lock:
                    self._look(archive, max_batch)
        return open_bundle(archive, signature, trust, max_batch=max_batch, is_judged=True)

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._kill()

    def _look(self, archive: bytes, max_batch: int) -> None:
        process = self._resident()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(FRAME.pack(max_batch, len(archive)))
            process.stdin.write(archive)
            process.stdin.flush()
            line = _line(process.stdout)
            verdict = msgspec.json.decode(line, type=_Verdict)
        except (OSError, msgspec.DecodeError):
            self._kill()
            raise BundleRefusedError(Step.GRAPH, "who looked at it is gone") from None
        except TimeoutError:
            self._kill()
            what = f"looking at it takes longer than {SECONDS:g} s"
            raise BundleRefusedError(Step.GRAPH, what) from None
        if verdict.step:
            raise BundleRefusedError(Step(verdict.step), verdict.what)

    def _resident(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._kill()
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-I", "-m", __spec__.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                start_new_session=True,
            )
        return self._process

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _line(pipe: IO[bytes]) -> bytes:
    """Return the next line of a pipe.

    Raises: TimeoutError after SECONDS.
    """
    until, received = monotonic_ns() + int(SECONDS * NS_PER_SECOND), b""
    number = pipe.fileno()
    while not received.endswith(b"\n"):
        left = (until - monotonic_ns()) / NS_PER_SECOND
        if left <= 0 or not select.select([number], [], [], left)[0]:
            raise TimeoutError
        piece = os.read(number, 4096)
        if not piece:
            return b""
        received += piece
    return received


# What follows runs in the resident process, and in its forks.


def main() -> None:
    """Judge the archives on standard input, each in a fork."""
    # Loaded before anything is judged, so that a fork has them at once.
    from titanflow.adapters import models  # noqa: F401
    from titanflow.adapters.bundles import checks  # noqa: F401

    os.nice(LOWER)
    source = sys.stdin.buffer
    while head := source.read(FRAME.size):
        max_batch, size = FRAME.unpack(head)
        archive = source.read(size)
        fork = os.fork()
        if fork == 0:
            _judge(archive, max_batch)
        _, status = os.waitpid(fork, 0)
        if status:
            code = os.waitstatus_to_exitcode(status)
            ending = f"signal {-code}" if code < 0 else f"exit code {code}"
            _say(_Verdict(Step.GRAPH.value, f"who looked at it ended with {ending}"))


def _judge(archive: bytes, max_batch: int) -> None:
    """Say what becomes of an archive, and end."""
    from titanflow.adapters.models import graph_of

    verdict = _Verdict()
    try:
        _confine()
        _grant(LOOK_SECONDS)
        bundle = read_members(unpack(archive), sha256_of(archive), max_batch=max_batch)
        _grant(RUN_SECONDS)
        graph_of(bundle)
    except BundleRefusedError as error:
        verdict = _Verdict(error.step.value, error.what[:WHAT_MAX])
    except MemoryError:
        verdict = _Verdict(Step.GRAPH.value, "looking at it takes more memory than it may")
    except BaseException as error:  # noqa: BLE001 - a fork must not go on as its parent
        verdict = _Verdict(Step.GRAPH.value, f"it made {type(error).__name__}")
    _say(verdict)
    os._exit(0)


def _say(verdict: _Verdict) -> None:
    os.write(sys.stdout.fileno(), msgspec.json.encode(verdict) + b"\n")


def _grant(seconds: float) -> None:
    """Let the fork use so much processor time from now on; then the kernel ends it."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _confine() -> None:
    """Give up what no graph needs."""
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - no path
        taken = int(file.read().split()[0]) * resource.getpagesize()
    for what, limit in (
        (resource.RLIMIT_AS, taken + MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        bound = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (bound, bound))


if __name__ == "__main__":
    main()
