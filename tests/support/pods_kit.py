"""An arena of real processes on a real NATS server, for tests of what pods answer and survive."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kit import small_folder

from titanflow.core.facts import Fact
from titanflow.runtime.journal import TurnRecord
from titanflow.runtime.recompute import turns_of

COMMAND = [sys.executable, "-m", "titanflow.cli.main"]
WAIT_SECONDS = 90.0


class Pods:
    """One session of pods below a folder."""

    def __init__(self, home: Path, days: int) -> None:
        self.home = home
        small_folder(home / "arena", days)
        self.parent: subprocess.Popen[bytes] | None = None

    def start(self, *words: str) -> None:
        """Start `titanflow up` in the background."""
        with (self.home / "up.log").open("wb") as log:
            self.parent = subprocess.Popen(
                [*COMMAND, "up", "--once", "-f", "arena", *words],
                cwd=self.home,
                env=self._env,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            [*COMMAND, *words],
            cwd=self.home,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
            check=False,
        )

    def end(self) -> None:
        """Wait until the session has ended by itself, verified."""
        assert self.parent is not None
        assert 0 == self.parent.wait(WAIT_SECONDS), (self.home / "up.log").read_text()

    @property
    def session(self) -> Path:
        (found,) = (self.home / "state" / "sessions").iterdir()
        return found

    def file(self, pod: str, name: str) -> Path:
        return self.session / "live" / "pods" / pod / name

    def address(self, pod: str, name: str = "address") -> str:
        return self.file(pod, name).read_text().strip()

    def states(self) -> dict[str, dict[str, object]]:
        """Return what the pods said of themselves last."""
        with suppress(OSError, ValueError):
            return json.loads((self.session / "live" / "status.json").read_text())
        return {}

    def turns(self, pod: str) -> int:
        return int(self.states().get(pod, {}).get("number", 0))

    def facts(self) -> list[Fact]:
        """Return everything in the journal, in order."""
        return [fact for _, said in self.record() for fact in said]

    def record(self) -> list[tuple[TurnRecord, tuple[Fact, ...]]]:
        return list(turns_of(self.session / "journal.tfj"))

    def pids(self, word: str = "") -> list[int]:
        """Return the processes of the session: pods and the server, or those with a word."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            ours = any(str(self.home) in each for each in words)
            is_one = ours and ("pod" in words or "nats-server" in words[0])
            if is_one and (not word or word in words or word in Path(words[0]).name):
                found.append(int(path.name))
        return found

    def signal(self, word: str, number: signal.Signals) -> None:
        for pid in self.pids(word):
            os.kill(pid, number)

    @property
    def _env(self) -> dict[str, str]:
        return {**os.environ, "TITANFLOW_HOME": str(self.home / "state")}


@contextmanager
def pods(home: Path, days: int, *words: str) -> Iterator[Pods]:
    """Run a session; whatever happens, nobody is left behind."""
    made = Pods(home, days)
    made.start(*words)
    try:
        yield made
    finally:
        assert made.parent is not None
        made.parent.kill()
        made.parent.wait()
        for pid in made.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def until(what: str, holds: Callable[[], object], seconds: float = WAIT_SECONDS) -> float:
    """Wait for what no event announces; return how long it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"never: {what}"
        time.sleep(0.01)
    return time.monotonic() - began
