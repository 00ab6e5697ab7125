"""Does an arena of pods run on a real server, survive its parent, and prove what it did?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from kit import small_folder

from titanflow.core.facts import Fill, Lapse, Verdict
from titanflow.core.spec.words import Outcome
from titanflow.runtime.journal import Writer, read_head
from titanflow.runtime.recompute import turns_of

DAYS = 25
COMMAND = [sys.executable, "-m", "titanflow.cli.main"]
WAIT_SECONDS = 60.0


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    small_folder(tmp_path / "arena", DAYS)
    yield tmp_path
    for pid in children_of(tmp_path):  # a failing test leaves nothing behind
        os.kill(pid, signal.SIGKILL)


def call(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words],
        cwd=home,
        env={**os.environ, "TITANFLOW_HOME": str(home / "state")},
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )


def start(home: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, *words],
        cwd=home,
        env={**os.environ, "TITANFLOW_HOME": str(home / "state")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def children_of(home: Path) -> list[int]:
    """Return the processes that work in the state of *home*: pods and the NATS server."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(home) in words and ("pod" in words or "nats-server" in words):
            found.append(int(path.name))
    return found


def until(what: str, holds: object) -> None:
    limit = time.monotonic() + WAIT_SECONDS
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < limit, f"never: {what}"
        time.sleep(0.02)


def turns_said(home: Path, pod: str) -> int:
    """Return how many turns a pod has said, by its last word of itself."""
    for path in (home / "state" / "sessions").glob("*/live/status.json"):
        state = json.loads(path.read_text())
        return int(state.get(pod, {}).get("number", 0))
    return 0


def the_session(home: Path) -> Path:
    (session,) = (home / "state" / "sessions").iterdir()
    return session


@pytest.mark.parametrize("shape", ["colocated", "split", "apart", "whole", "sharded"])
def test_a_session_of_pods_ends_verified_and_is_derived_again(home: Path, shape: str) -> None:
    shards = ("--shards", "2") if shape == "sharded" else ()
    ran = call(home, "up", "--once", "-f", "arena", "--shape", shape, *shards)

    assert 0 == ran.returncode, ran.stderr
    assert "every turn of every pod was derived again" in ran.stderr
    session = the_session(home)
    card = json.loads((session / "session.json").read_text())
    again = call(home, "replay", "--from", session.name, "-o", "json")
    assert 0 == again.returncode, again.stderr
    told = json.loads(again.stdout)
    assert card["digest"] == told["digest"]
    assert 2 * DAYS == told["facts"]["Bar"]
    assert told["facts"]["Fill"] > 0
    assert not (session / "live").exists()
    assert [] == children_of(home)


def test_a_fill_altered_with_all_checksums_recomputed_is_named(home: Path) -> None:
    assert 0 == call(home, "up", "--once", "-f", "arena").returncode
    session = the_session(home)
    turns = list(turns_of(session / "journal.tfj"))
    head = read_head(session / "journal.tfj")
    (session / "journal.tfj").unlink()
    writer = Writer(session / "journal.tfj", head)
    altered = None
    for record, facts in turns:
        changed = []
        for fact in facts:
            if altered is None and isinstance(fact, Fill):
                fact = altered = msgspec.structs.replace(fact, fee=fact.fee + 1)
            changed.append(fact)
        writer.turn(record, changed)
    writer.close()

    for words in (("verify",), ("replay", "--from", session.name)):
        found = call(home, *words)
        assert 9 == found.returncode, found.stderr
        assert altered is not None
        assert altered.id.hex()[:12] in found.stdout + found.stderr


def test_no_process_outlives_a_killed_parent_and_the_session_goes_on(home: Path) -> None:
    parent = start(home, "up", "--once", "-f", "arena", "--shape", "split")
    until("all pods run", lambda: len(children_of(home)) == 8)
    status = home / "state" / "sessions"
    until("trading", lambda: any(status.glob("*/journal.tfj")))
    parent.kill()
    parent.wait()

    until("nobody is left", lambda: not children_of(home))
    ran = call(home, "up", "--once", "-f", "arena")
    assert 0 == ran.returncode, ran.stderr
    assert "goes on" in ran.stderr
    assert "every turn of every pod was derived again" in ran.stderr


def test_an_interrupt_pauses_and_down_purges(home: Path) -> None:
    # The manifest's own speed holds: at a speed there is a sentinel, the sixth process.
    arena = home / "arena/arena.yaml"
    arena.write_text(f"{arena.read_text()}\n  clock: {{kind: Replay, replay: {{speed: 86400}}}}\n")
    parent = start(home, "up", "-f", "arena")
    until("all pods run", lambda: len(children_of(home)) == 6)
    until("status", lambda: call(home, "status", "-o", "json").returncode == 0)
    assert 0 == call(home, "down").returncode
    assert 130 == parent.wait(WAIT_SECONDS)
    assert [] == children_of(home)

    assert (the_session(home) / "live").exists()
    assert "trade" in call(home, "logs", "trade", "--lines", "3").stdout
    assert 0 == call(home, "down", "--purge").returncode
    assert not (the_session(home) / "live").exists()


def test_without_its_lease_nothing_passes_and_the_record_says_so(home: Path) -> None:
    # Two days of the market in a second: the session takes longer than what is done to it.
    parent = start(home, "up", "--once", "-f", "arena", "--speed", str(2 * 86_400))
    until("trading", lambda: turns_said(home, "trade") > 3)
    (governance,) = [
        pid
        for pid in children_of(home)
        if "governance" in Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    ]
    os.kill(governance, signal.SIGSTOP)
    log = the_session(home) / "live" / "pods" / "trade" / "log.jsonl"
    until("stale", lambda: "is stale" in log.read_text())
    os.kill(governance, signal.SIGCONT)
    until("fresh", lambda: "fresh again" in log.read_text())
    assert 0 == parent.wait(WAIT_SECONDS)

    facts = [fact for _, said in turns_of(the_session(home) / "journal.tfj") for fact in said]
    lapses = [fact for fact in facts if isinstance(fact, Lapse)]
    assert [True, False] == [lapse.stale for lapse in lapses]
    begun, ended = facts.index(lapses[0]), facts.index(lapses[1])
    assert not any(
        isinstance(fact, Verdict) and fact.outcome is Outcome.ALLOW for fact in facts[begun:ended]
    )
    assert not any(isinstance(fact, Fill) for fact in facts[begun:ended])
    assert 0 == call(home, "verify").returncode
