"""F3, F4, F28: does an arena of real processes survive the death of any of them, and a copy?"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from titanflow.adapters.bus.streams import Pod
from titanflow.runtime.process import GONE
from titanflow.runtime.up import Shape, spawn
from tools.drills.report import Outcome, quantile
from tools.drills.stage import Drilled, Setting, deadline, drive, examine, home, set_up

POINTS: Final = ("heard", "applied", "published", "acknowledged")
RECOVERY_SECONDS_MAX: Final = 5.0
GAP_SECONDS_MAX: Final = 1.0
NTH_MAX: Final = 12
"""A life ends at most so many inputs after it began, so that many lives fit into a session."""


def judge_session(outcome: Outcome, setting: Setting, supervisor: Drilled) -> list[int]:
    """Add what the session holds to *outcome*; return when each market message was stored."""
    finding = examine(setting, supervisor.session, supervisor.topology)
    for name in ("lost", "double", "changed", "drift", "orders", "fills", "entries"):
        count = finding.counts[name] + int(outcome.counts.get(name, 0))
        outcome.counts[name] = count
    outcome.problems += finding.problems
    outcome.notes += [text for text in supervisor.notices if "stopped" in text][-40:]
    outcome.demand("no digest", bool(finding.digest))
    outcome.demand("nothing was traded", finding.counts["fills"] > 0)
    return finding.market_times


# F3: kill -9 of every pod at every point.


def kill_pods(outcome: Outcome, folder: Path, *, short: bool, seed: int) -> None:
    """Kill pods at drawn points of their work, again and again, in two topologies."""
    outcome.pass_figure = (
        f"0 lost, 0 double, 0 drift; recovery at most {RECOVERY_SECONDS_MAX:g} s; "
        f"at least {12 if short else 200} kills"
    )
    chance = random.Random(seed)
    shapes: tuple[tuple[Shape, int], ...] = (
        (("colocated", 5),) if short else (("colocated", 36), ("split", 19))
    )
    times: list[float] = []
    places: set[tuple[str, str]] = set()
    kills = 0
    for kind, each in shapes:
        setting = set_up(folder / kind, 60 if short else 420, kind)
        supervisor = Drilled(setting.begin())
        for pod in supervisor.topology.pods:
            if pod.stages or pod.role == "gateway":
                supervisor.plans[pod.name] = _lives(pod, each, chance)
        drive(setting, supervisor, deadline(550))
        judge_session(outcome, setting, supervisor)
        kills += len(supervisor.kills)
        times += [kill.seconds for kill in supervisor.kills if kill.seconds >= 0]
        places |= {(kill.pod, kill.point.partition(":")[0]) for kill in supervisor.kills}
        outcome.problems += [
            f"{pod} ended with {code}" for (pod, code) in supervisor.codes if code > 0
        ]
    outcome.counts |= {
        "kills": kills,
        "places": len(places),
        "recoveries seen": len(times),
        "recovery s p50": quantile(times, 0.5),
        "recovery s max": max(times, default=0.0),
    }
    outcome.demand("too few kills", kills >= (12 if short else 200))
    outcome.demand(
        "a recovery took too long",
        max(times, default=0.0) <= RECOVERY_SECONDS_MAX * outcome.patience,
    )
    outcome.demand("no recovery was seen", bool(times))


def _lives(pod: Pod, count: int, chance: random.Random) -> list[str]:
    """Return where each life of a pod ends: at every point once, and then as chance has it."""
    points = [point for point in POINTS if pod.stages or point in {"applied", "published"}]
    points += ["written"] if pod.writes_journal else []
    drawn = points[:count] + [chance.choice(points) for _ in range(count - len(points))]
    lives = [f"{point}:{chance.randint(1, NTH_MAX)}" for point in drawn]
    return [*lives, "closed:1"] if pod.writes_journal else lives


# F4: kill -9 of the server.


class _ServerKiller:
    """Kills the server again and again, each time when the market has gone on for a while."""

    def __init__(self, supervisor: Drilled, kills: int) -> None:
        self.times: list[int] = []
        """Wall time of each kill, ns."""
        self._supervisor, self._left = supervisor, kills
        self._number, self._check = -1, deadline(500)

    def watch(self) -> None:
        """Kill, if it is time."""
        self._check()
        number = int(str(self._supervisor.states.get("gateway", {}).get("number", 0)))
        if self._left and number > self._number + 8 and self._supervisor.server.is_alive:
            self._left, self._number = self._left - 1, number
            os.kill(self._supervisor.server.pid, signal.SIGKILL)
            self._supervisor.server.child.wait()
            self.times.append(time.time_ns())


def kill_server(outcome: Outcome, folder: Path, *, short: bool, seed: int) -> None:
    """Kill the NATS server while everybody works."""
    del seed
    kills = 3 if short else 20
    outcome.pass_figure = (
        f"0 lost, 0 double, 0 drift; {kills} kills; nine gaps of ten at most {GAP_SECONDS_MAX:g} s"
    )
    setting = set_up(folder, 150 if short else 900)
    supervisor = Drilled(setting.begin())
    killer = _ServerKiller(supervisor, kills)
    drive(setting, supervisor, killer.watch)
    stored = judge_session(outcome, setting, supervisor)
    gaps = [
        (next((at for at in stored if at > killed), killed) - killed) / 1e9
        for killed in killer.times
    ]
    outcome.counts |= {
        "kills": len(killer.times),
        "gap s p50": quantile(gaps, 0.5),
        "gap s p90": quantile(gaps, 0.9),
        "gap s max": max(gaps, default=0.0),
        "pod restarts": sum(supervisor.codes[key] for key in supervisor.codes if key[1] != 0),
    }
    outcome.demand("too few kills", len(killer.times) == kills)
    outcome.demand("gaps are too long", quantile(gaps, 0.9) <= GAP_SECONDS_MAX * outcome.patience)


# F28: two copies of one pod.


class _Copier:
    """Starts second copies; of every other one the first stands still meanwhile."""

    def __init__(self, setting: Setting, supervisor: Drilled, names: list[str]) -> None:
        self.awake: dict[str, int | None] = {}
        """Exit code of each copy that was started beside a living first."""
        self.took_over = self.gone = 0
        self._setting, self._supervisor = setting, supervisor
        self._steps = self._all(names)
        self._check = deadline(400)
        self._ready: Callable[[], bool] = lambda: True

    def watch(self) -> None:
        """Go on as soon as what was waited for is there."""
        self._check()
        while self._ready():
            try:
                self._ready = next(self._steps)
            except StopIteration:
                self._ready = lambda: False

    def _all(self, names: list[str]):  # noqa: ANN202 - a script of waits
        for name in names:
            yield lambda name=name: self._works(name)
            copy = self._copy(name)
            yield lambda copy=copy: copy.poll() is not None
            self.awake[name] = copy.returncode
        for name in names:
            yield lambda name=name: self._works(name)
            child = self._supervisor.child(name)
            first = child.process
            assert first is not None
            os.kill(first.pid, signal.SIGSTOP)
            began = time.monotonic()
            copy = self._copy(name)
            # The server gives the first up after some seconds; then the copy works in its place.
            yield lambda copy=copy, name=name, began=began: self._speaks(name, copy, began)
            self.took_over += copy.poll() is None
            os.kill(first.pid, signal.SIGCONT)
            yield lambda first=first: first.poll() is not None
            self.gone += first.returncode == GONE
            copy.kill()
            copy.wait()

    def _works(self, name: str) -> bool:
        process = self._supervisor.child(name).process
        state = self._supervisor.states.get(name, {})
        alive = process is not None and process.poll() is None
        return alive and state.get("pid") == process.pid and int(str(state.get("number", 0))) > 0

    def _speaks(self, name: str, copy: subprocess.Popen[bytes], began: float) -> bool:
        state = self._supervisor.states.get(name, {})
        is_there = state.get("pid") == copy.pid and int(str(state.get("number", 0))) > 0
        return is_there or copy.poll() is not None or time.monotonic() - began > 20

    def _copy(self, name: str) -> subprocess.Popen[bytes]:
        return spawn(self._supervisor.live, self._supervisor.child(name).pod)


def copies(outcome: Outcome, folder: Path, *, short: bool, seed: int) -> None:
    """Start pods twice: beside a first that works, and beside one that stands still."""
    del seed
    outcome.pass_figure = "each copy beside a living first ends with 75; 0 lost, 0 double, 0 drift"
    setting = set_up(folder, 6000 if short else 7000)
    supervisor = Drilled(setting.begin())
    names = ["signal"] if short else ["gateway", "signal"]
    copier = _Copier(setting, supervisor, names)
    with home(folder):
        drive(setting, supervisor, copier.watch)
    judge_session(outcome, setting, supervisor)
    outcome.counts |= {
        "copies beside the living": len(copier.awake),
        "of them gone": sum(code == GONE for code in copier.awake.values()),
        "copies that took over": copier.took_over,
        "firsts gone when they woke": copier.gone,
    }
    outcome.notes.append(f"exit codes: {dict(supervisor.codes)}")
    outcome.demand(
        "a copy beside the living was not fenced",
        [GONE] * len(names) == list(copier.awake.values()),
    )
    outcome.demand("no copy took over", copier.took_over == len(names))
    outcome.demand(
        "a first that woke up did not go",
        outcome.counts["firsts gone when they woke"] == len(names),
    )
