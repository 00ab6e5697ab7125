"""F1, F20, F21: does a command stop everything, whatever else is broken, and exactly once?

Sessions run at full speed with leases. Commands go to governance over gRPC, as people's do. What
counts is when the server stored what: nothing may be allowed behind the moment at which a kill was
answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from titanflow.adapters.bus.client import Bus
from titanflow.adapters.bus.ensure import ensure
from titanflow.adapters.bus.permissions import HOST
from titanflow.adapters.bus.streams import output_subject, stream_name
from titanflow.adapters.rpc.client import Client
from titanflow.adapters.rpc.refusal import RefusalError
from titanflow.core.facts import Fact, Fill, KillRuling, Lapse, Order, OrderUpdate, Verdict
from titanflow.core.spec.words import IntentAction, OrdStatus, Outcome
from titanflow.rpc.v1 import control_pb2 as control
from titanflow.rpc.v1.control_pb2_grpc import ControlStub
from titanflow.runtime import nats_server
from titanflow.runtime.asking import ADDRESS
from titanflow.runtime.place import Live
from tools.drills.report import Outcome as Result
from tools.drills.risk import PRICE, Risk, policy
from tools.drills.seeds import CROWD
from tools.drills.stage import Drilled, home, read_stream, set_up, stored

SPEED: Final = 86_400.0 * 100
"""So many days of the market in a second."""
CALL_SECONDS: Final = 10.0
EFFECT_SECONDS_MAX: Final = 0.25
CANCEL_SECONDS_MAX: Final = 1.0
LEASE_SECONDS_MAX: Final = 1.25
"""A lease of a second, and the renewal that may have just been heard."""
LEASE_SECONDS_LOOSE: Final = 2.0
"""The most that the short form allows; governance stands still for three seconds."""
COMMANDS: Final = 100
LINKS: Final = 8
_ENDED: Final = frozenset(
    {OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REJECTED, OrdStatus.EXPIRED}
)
Told = list[tuple[int, Fact]]
"""Facts with the time at which the server stored them, ns."""


class Scene:
    """Runs a script beside a session at full speed, and ends the session with it."""

    def __init__(self, folder: Path, days: int) -> None:
        self._setting = set_up(folder, days, rules=CROWD)
        self.supervisor = Drilled(self._setting.begin(SPEED))
        self._task: asyncio.Task[None] | None = None
        self.error: BaseException | None = None

    def play(self, script: Callable[[Scene], Awaitable[None]]) -> Told:
        """Play; return what risk and execution said, in order."""

        def watch() -> None:
            if self._task is None:
                self._task = asyncio.get_running_loop().create_task(self._run(script))
            if self._task.done():
                raise KeyboardInterrupt

        with home(self._setting.folder), contextlib.suppress(KeyboardInterrupt):
            self.supervisor.run(watch)
        if self.error is not None:
            raise self.error
        found = stored(self.supervisor.session, self.supervisor.topology)
        name = f"TF_{self.supervisor.topology.arena}_ORDER"
        return [(each.stored_at, fact) for each in found[name] for fact in each.turn.facts]

    async def _run(self, script: Callable[[Scene], Awaitable[None]]) -> None:
        try:
            await script(self)
        except Exception as error:  # noqa: BLE001 - told when the session is down
            self.error = error

    # What scripts need.

    async def until(self, holds: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait for what no event tells.

        Raises: TimeoutError.
        """
        async with asyncio.timeout(seconds):
            while not holds():  # noqa: ASYNC110 - processes announce nothing
                await asyncio.sleep(0.01)

    def number(self, name: str) -> int:
        """Return how many turns the present process of a pod has told of; 0 if it is not there."""
        process = self.supervisor.child(name).process
        state = self.supervisor.states.get(name, {})
        if process is None or process.poll() is not None or state.get("pid") != process.pid:
            return 0
        return 0 if state.get("waitsFor") else int(str(state.get("number", 0)))

    async def runs(self, ahead: int = 100) -> None:
        """Wait until the session has gone on for a while."""
        await self.until(lambda: self.number("trade") > 0 and self.number("gateway") > 0)
        began = self.number("gateway")
        await self.until(lambda: self.number("gateway") >= began + ahead)

    async def ask(self, method: str, request: Any) -> Any:
        """Return the answer of governance; asked again while it is not there.

        Raises: RefusalError.
        """
        file = self.supervisor.live.pod("governance") / ADDRESS
        until = time.monotonic() + CALL_SECONDS
        while True:
            try:
                async with Client(file.read_text("ascii").strip()) as client:
                    stub = getattr(ControlStub(client.channel), method)
                    return await client.ask(stub, request, CALL_SECONDS)
            except (RefusalError, OSError) as error:
                is_gone = isinstance(error, OSError) or error.code.name == "UNAVAILABLE"
                if not is_gone or time.monotonic() > until:
                    raise
            await asyncio.sleep(0.05)

    def kill(self, name: str) -> None:
        """Kill a pod's process."""
        process = self.supervisor.child(name).process
        if process is not None:
            process.kill()


@dataclass
class Mark:
    """One kill: its reach, when it was asked for and answered, and when its release was asked."""

    scope: str
    name: str
    sent: int = 0
    answered: int = 0
    released: int = 0
    again: int = 0
    """When the release was answered."""
    epoch: int = 0
    same_refused: bool = False

    def reaches(self, fact: Fact) -> bool:
        """Say whether a fact is of what was stopped."""
        if self.scope == "ARENA":
            return True
        field_name = "contender" if self.scope == "CONTENDER" else "symbol"
        return getattr(fact, field_name, "") == self.name


def _is_new(fact: Fact) -> bool:
    """Say whether a fact lets a new order through."""
    if isinstance(fact, Order):
        return True
    return (
        isinstance(fact, Verdict)
        and fact.outcome is Outcome.ALLOW
        and fact.action is not IntentAction.CANCEL
    )


def _live(told: Told, upto: int, mark: Mark) -> int:
    """Count the orders within reach that have not ended at a time."""
    live: set[bytes] = set()
    for at, fact in told:
        if at > upto:
            break
        if isinstance(fact, Order) and mark.reaches(fact):
            live.add(fact.id)
        elif isinstance(fact, OrderUpdate | Fill) and fact.status in _ENDED:
            live.discard(fact.order)
    return len(live)


# F20


def kill_switch(outcome: Result, folder: Path, *, short: bool, seed: int) -> None:
    """Kill and release each scope under load; restart everybody in between."""
    del seed
    outcome.pass_figure = (
        f"0 allowed after a kill was answered; effect within {EFFECT_SECONDS_MAX:g} s, nothing "
        f"rests after {CANCEL_SECONDS_MAX:g} s; holds over restarts; two people to release"
    )
    marks = [Mark("ARENA", ""), Mark("CONTENDER", "dice"), Mark("INSTRUMENT", "AAA")]
    scene = Scene(folder, 4_000 if short else 9_000)

    async def script(it: Scene) -> None:
        for n, mark in enumerate(marks[:1] if short else marks):
            await it.runs(250)
            await _kill_and_release(it, mark, f"k{n}", restarts=n == 0)
        await it.runs(250)

    told = scene.play(script)
    played = [mark for mark in marks if mark.answered]
    effects, late, resting, passed_again = [], 0, 0, 0
    for mark in played:
        new = [at for at, fact in told if _is_new(fact) and mark.reaches(fact)]
        late += sum(mark.answered < at < mark.released for at in new)
        last = max((at for at in new if mark.sent < at <= mark.answered), default=mark.sent)
        effects.append((last - mark.sent) / 1e9)
        resting += _live(told, mark.answered + int(CANCEL_SECONDS_MAX * 1e9), mark)
        passed_again += any(at > mark.again for at in new)
    outcome.counts = {
        "kills": len(played),
        "allowed after the answer": late,
        "effect s max": max(effects),
        "answer s max": max((mark.answered - mark.sent) / 1e9 for mark in played),
        "resting after 1 s": resting,
        "releases by the same person refused": sum(mark.same_refused for mark in played),
        "traded again": passed_again,
        "orders in the second before, max": max(_rate(told, mark.sent) for mark in played),
    }
    outcome.demand("something was allowed after the answer", late == 0)
    outcome.demand(
        "the effect took too long", max(effects) <= EFFECT_SECONDS_MAX * outcome.patience
    )
    outcome.demand("orders rest", resting == 0)
    outcome.demand("one person could release", all(mark.same_refused for mark in played))
    outcome.demand("nothing was traded after a release", passed_again == len(played))


async def _kill_and_release(it: Scene, mark: Mark, token: str, *, restarts: bool) -> None:
    scope = f"KILL_SCOPE_{mark.scope}"
    # Tokens of releases must sort behind; times do.
    request = control.KillRequest(
        scope=scope, name=mark.name, action="KILL_ACTION_CANCEL_ALL", reason="drill",
        token=f"{time.time_ns()}-{token}", requested_by="eve",
    )  # fmt: skip
    mark.sent = time.time_ns()
    answer = await it.ask("Kill", request)
    mark.answered, mark.epoch = time.time_ns(), answer.epoch
    await asyncio.sleep(CANCEL_SECONDS_MAX + 0.2)
    if restarts:
        for name in ("trade", "governance", "signal", "gateway"):
            it.kill(name)
        await it.until(lambda: it.number("trade") > 0 and it.number("gateway") > 0)
        await asyncio.sleep(1.0)

    def release(by: str) -> control.ReleaseRequest:
        return control.ReleaseRequest(
            scope=scope, name=mark.name, reason="drill", requested_by=by,
            token=f"{time.time_ns()}-{by}",
        )  # fmt: skip

    try:
        await it.ask("Release", release("eve"))
    except RefusalError:
        mark.same_refused = True
    mark.released = time.time_ns()
    await it.ask("Release", release("joe"))
    mark.again = time.time_ns()


def _rate(told: Told, before: int) -> int:
    """Count the orders of the second before a time."""
    return sum(isinstance(f, Order) and before - 1_000_000_000 < at <= before for at, f in told)


# F21


@dataclass
class _Outage:
    """When something was taken away, and given back."""

    what: str
    began: int = 0
    ended: int = 0
    problems: list[str] = field(default_factory=list)


def without(outcome: Result, folder: Path, *, short: bool, seed: int) -> None:
    """Take governance, then the server, then risk away; trading must stop by itself."""
    del seed
    outcome.pass_figure = (
        f"without governance the last order passes within {LEASE_SECONDS_MAX:g} s and nothing "
        "rests; with the server frozen, or risk dead, nothing passes after a kill's answer"
    )
    outages = [_Outage("governance"), _Outage("server")]
    mark = Mark("ARENA", "")
    scene = Scene(folder, 4_000 if short else 7_000)

    async def script(it: Scene) -> None:
        await it.runs(250)
        await _without_governance(it, outages[0])
        await it.runs(200)
        await _frozen_server(it, outages[1])
        await it.runs(200)
        await _dead_risk(it, mark)

    told = scene.play(script)
    lapses = [(at, fact) for at, fact in told if isinstance(fact, Lapse)]
    gone = outages[0]
    new = [at for at, fact in told if _is_new(fact)]
    lease = min(LEASE_SECONDS_MAX * outcome.patience, LEASE_SECONDS_LOOSE)
    late = [at for at in new if gone.began + lease * 1e9 < at < gone.ended]
    last = max((at for at in new if gone.began < at < gone.ended), default=gone.began)
    everything = Mark("ARENA", "")
    resting = _live(told, gone.began + int(2e9), everything)
    in_lapse = sum(_between_lapses(told))
    after = sum(at > mark.answered for at in new)
    outcome.counts = {
        "stopped without governance after s": (last - gone.began) / 1e9,
        "allowed later": len(late),
        "resting after 2 s": resting,
        "lapses": sum(fact.stale for _, fact in lapses),
        "allowed within a lapse": in_lapse,
        "allowed after the kill of a dead risk was answered": after,
        "answer with risk dead s": (mark.answered - mark.sent) / 1e9,
    }
    outcome.demand("no lapse is in the record", bool(lapses))
    outcome.demand("orders passed without a lease", not late and not in_lapse)
    outcome.demand("orders rest without a lease", resting == 0)
    outcome.demand("orders passed after the kill", after == 0)
    outcome.demand("the kill was not answered", mark.answered > 0)
    outcome.demand("trading did not go on in between", any(gone.ended < at for at in new))


def _between_lapses(told: Told) -> list[int]:
    """Return 1 for every new order that stands between a lapse and its end."""
    found, stale = [], False
    for _, fact in told:
        if isinstance(fact, Lapse):
            stale = fact.stale
        elif stale and _is_new(fact):
            found.append(1)
    return found


async def _without_governance(it: Scene, outage: _Outage) -> None:
    child = it.supervisor.child("governance")
    assert child.process is not None
    child.due = time.monotonic() + 3.5  # nobody starts it before
    outage.began = time.time_ns()
    os.kill(child.process.pid, signal.SIGSTOP)
    await asyncio.sleep(3.0)
    outage.ended = time.time_ns()
    os.kill(child.process.pid, signal.SIGCONT)


async def _frozen_server(it: Scene, outage: _Outage) -> None:
    outage.began = time.time_ns()
    os.kill(it.supervisor.server.pid, signal.SIGSTOP)
    await asyncio.sleep(2.0)
    outage.ended = time.time_ns()
    os.kill(it.supervisor.server.pid, signal.SIGCONT)


async def _dead_risk(it: Scene, mark: Mark) -> None:
    """Kill with risk dead: the answer comes when risk is back, and holds from its first turn."""
    it.kill("trade")
    request = control.KillRequest(
        scope="KILL_SCOPE_ARENA", action="KILL_ACTION_CANCEL_ALL", reason="drill",
        token=f"{time.time_ns()}-dead", requested_by="eve",
    )  # fmt: skip
    mark.sent = time.time_ns()
    answer = await it.ask("Kill", request)
    mark.answered, mark.epoch = time.time_ns(), answer.epoch
    await asyncio.sleep(1.5)


# F1


def once(outcome: Result, folder: Path, *, short: bool, seed: int) -> None:
    """Say the same order and the same command a hundred times, at once."""
    del short, seed
    outcome.pass_figure = f"{COMMANDS} times the same: one effect, one answer; changed: refused"
    _same_order(outcome)
    _same_turn(outcome, folder / "bare")
    scene = Scene(folder, 3_000)
    answers: list[Any] = []
    refused: list[str] = []

    async def script(it: Scene) -> None:
        await it.runs(100)
        request = control.KillRequest(
            scope="KILL_SCOPE_CONTENDER", name="dice", action="KILL_ACTION_REJECT_NEW",
            reason="drill", token="same", requested_by="eve",
        )  # fmt: skip
        answers.extend(await asyncio.gather(*(it.ask("Kill", request) for _ in range(COMMANDS))))
        request.reason = "another"
        try:
            await it.ask("Kill", request)
        except RefusalError as error:
            refused.append(error.code.name)
        await asyncio.sleep(0.5)

    told = scene.play(script)
    rulings = sum(isinstance(fact, KillRuling) for _, fact in told)
    outcome.counts |= {
        "same commands": len(answers),
        "rulings": rulings,
        "different answers": len({answer.SerializeToString() for answer in answers}),
        "changed body": refused[0] if refused else "accepted",
    }
    outcome.demand("a command had more than one effect", rulings == 1)
    outcome.demand("answers differ", outcome.counts["different answers"] == 1)
    outcome.demand("a changed command was accepted", bool(refused))


def _same_order(outcome: Result) -> None:
    """Wish for the same order many times: one passes; with another content none does."""
    risk = Risk(policy())
    for symbol in ("A", "B"):
        risk.bar(PRICE, symbol)
    verdicts = [risk.ask("ann", 1, 1, PRICE, client_order_id="same") for _ in range(COMMANDS)]
    other = risk.ask("ann", 1, 2, PRICE, client_order_id="same")
    passed = sum(each.outcome is Outcome.ALLOW for each in verdicts)
    reasons = {each.reason for each in (*verdicts[1:], other)}
    outcome.counts |= {"same orders": COMMANDS, "passed": passed, "reasons": str(sorted(reasons))}
    outcome.demand("an order passed more than once", passed == 1)
    outcome.demand("a changed order passed", other.outcome is Outcome.DENY)
    outcome.demand("refused for another reason than DuplicateOrder(6)", reasons == {6})


def _same_turn(outcome: Result, folder: Path) -> None:
    """Say one turn over many links at once, as a pod whose acknowledgements are lost does."""
    session = set_up(folder, 10).begin()
    live = Live(session.path)
    topology = live.topology()
    server = nats_server.start(live.nats, topology, live.keys(topology))
    pod = next(each for each in topology.pods if each.name == "signal")
    subject, stream = output_subject(topology, pod), stream_name(topology.arena, pod.output)

    async def say() -> tuple[set[int], int]:
        async with contextlib.AsyncExitStack() as stack:

            async def bus(user: str) -> Bus:
                made = Bus(lambda: nats_server.address(live.nats), user, live.key(user))
                return await stack.enter_async_context(made)

            host = await bus(HOST)
            await ensure(host.ask, topology)
            buses = [await bus(pod.name) for _ in range(LINKS)]
            told = await asyncio.gather(
                *(
                    buses[n % LINKS].publish_turn(stream, subject, b"turn", "signal/1", 0)
                    for n in range(COMMANDS)
                )
            )
            return {each.sequence for each in told}, len(await read_stream(host, stream))

    try:
        answers, kept = asyncio.run(say())
    finally:
        server.stop()
    outcome.counts |= {"same turns": COMMANDS, "stored": kept, "sequences told": len(answers)}
    outcome.demand("a turn was stored more than once", kept == 1)
    outcome.demand("answers to one turn differ", answers == {1})
