"""May this archive's graph be run? Judged in a process of its own, so that no file harms the pod.

`python -m titanflow.adapters.bundles.judge` takes an archive on standard input, at a lower
priority and with limits, and says as JSON at which step it is refused. Whatever a file does to the
libraries that look at it (memory, time, a crash) is its own end alone. Signature and digest come
before, in the pod: what nobody vouches for gets no process either.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from typing import Final

import msgspec

from titanflow.adapters.bundles.archive import ARCHIVE_BYTES_MAX, sha256_of, unpack
from titanflow.adapters.bundles.bundle import BATCH_MAX, Bundle, open_bundle, read_members
from titanflow.adapters.bundles.refusal import BundleRefusedError, Step
from titanflow.adapters.bundles.signing import Signature, Trust

SECONDS: Final = 10.0
"""Longest look at a graph; the largest that is let in takes some seconds."""
MEMORY_BYTES: Final = 3 << 30
"""Address space: libraries, the archive, its parsed form, and a copy with all shapes."""
LOWER: Final = 5
"""Niceness: those who are asked go first, and who looks still comes to an end in a second."""


class _Verdict(msgspec.Struct):
    step: str = ""
    what: str = ""


def judge_archive(
    archive: bytes, signature: Signature, trust: Trust, *, max_batch: int = BATCH_MAX
) -> Bundle:
    """Return the bundle in *archive*, its graph looked at in another process.

    Raises: BundleRefusedError naming the first step that it does not pass.
    """
    if len(archive) <= ARCHIVE_BYTES_MAX:
        trust.check(signature)
        if sha256_of(archive) == signature.sha256:
            _look(archive, max_batch)
    return open_bundle(archive, signature, trust, max_batch=max_batch, is_judged=True)


def _look(archive: bytes, max_batch: int) -> None:
    """Let another process look.

    Raises: BundleRefusedError as that process says, or for what became of it.
    """
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-I", "-m", __spec__.name, str(max_batch)],
            input=archive,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        what = f"looking at it takes longer than {SECONDS:g} s"
        raise BundleRefusedError(Step.GRAPH, what) from None
    try:
        verdict = msgspec.json.decode(done.stdout, type=_Verdict)
    except msgspec.DecodeError:
        what = f"who looked at it ended with {done.returncode}"
        raise BundleRefusedError(Step.GRAPH, what) from None
    if verdict.step:
        raise BundleRefusedError(Step(verdict.step), verdict.what)


def main() -> None:
    """Judge the archive on standard input."""
    os.nice(LOWER)
    for what, limit in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, int(SECONDS)),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        bound = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (bound, bound))
    archive = sys.stdin.buffer.read(ARCHIVE_BYTES_MAX + 1)
    verdict = _Verdict()
    try:
        read_members(unpack(archive), sha256_of(archive), max_batch=int(sys.argv[1]))
    except BundleRefusedError as error:
        verdict = _Verdict(error.step.value, error.what)
    except MemoryError:
        verdict = _Verdict(Step.GRAPH.value, "looking at it takes more memory than it may")
    sys.stdout.buffer.write(msgspec.json.encode(verdict))


if __name__ == "__main__":
    main()
