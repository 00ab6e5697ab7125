"""How does an arena of pods look from a terminal? Started, watched, stopped, told about."""

from __future__ import annotations

import getpass
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from titanflow.cli import exits
from titanflow.cli.board import print_leaderboard
from titanflow.cli.output import Format, console, emit, fail, say, table
from titanflow.cli.show import demand_writable, example_folder
from titanflow.core.base.errors import AdapterError, Problem, SpecError
from titanflow.core.base.fixed import MINOR_PER_UNIT
from titanflow.core.base.instant import format_date
from titanflow.runtime import session as sessions
from titanflow.runtime.again import Account, Again, replay_from
from titanflow.runtime.authority import ensure, is_authority
from titanflow.runtime.docket import docket_of
from titanflow.runtime.docket_check import Witness
from titanflow.runtime.place import Live
from titanflow.runtime.plan import Plan, prepare
from titanflow.runtime.up import Shape, Supervisor, begin
from titanflow.runtime.verify import Finding, Result, verify

if TYPE_CHECKING:
    from titanflow.cli.command import Told
    from titanflow.runtime.session import Session

LEADERS = 8
FRAME_SECONDS = 0.1
STOP_SECONDS = 15.0
STAGES = {
    "perception": ("perceive",),
    "signal": ("decide",),
    "risk": ("gate",),
    "execution": ("trade",),
    "ledger": ("post", "score"),
}
"""The services' names of the stages."""


def up(
    folder: Path | None,
    *,
    once: bool,
    speed: float | None,
    shape: str,
    shards: int,
    tls: Path | None,
) -> None:
    """Run an arena of pods to its end, or until an interrupt; then verify and tell."""
    if shape not in get_args(Shape):
        words = ", ".join(get_args(Shape))
        raise SpecError([Problem(f"no shape {shape!r}", "--shape", f"one of: {words}")])
    path = folder or example_folder()
    plan = prepare(path, None)
    ground = plan.ground
    say(
        f"arena {ground.arena}: {len(ground.entrants)} contenders, {len(ground.instruments)} "
        f"instruments, {len(plan.policies)} policies from {path}"
    )
    for line in plan.describe_data():
        say(f"data: {line}")
    if speed is None:
        speed = plan.loaded.arena.spec.clock.replay.speed
    if tls is not None and is_authority(tls):
        ensure(tls, [getpass.getuser()])  # so that who starts it can ask it
    session, goes_on = begin(plan, cast("Shape", shape), speed, tls, shards)
    supervisor = Supervisor(session, lambda text: say(f"  {text}"))
    pods = ", ".join(pod.name for pod in supervisor.topology.pods)
    say(f"session {session.name} {'goes on' if goes_on else 'begins'}: NATS server, {pods}")
    say("mode: REPLAY of recorded market data on real pods; portfolios are virtual")
    if not _run(supervisor, plan, live=not once and sys.stderr.isatty()):
        say("paused; the same command goes on, `titanflow down --purge` forgets it")
        raise SystemExit(exits.INTERRUPTED)
    _tell_end(session, plan)


def _run(supervisor: Supervisor, plan: Plan, *, live: bool) -> bool:
    """Supervise the pods with a view of them; say whether the session has ended."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGTERM, interrupt)
    try:
        if not live:
            return supervisor.run(_Lines(supervisor, plan).watch)
        from rich.live import Live as Screen

        with Screen(console=console(stderr=True), auto_refresh=False, transient=True) as screen:
            view = _View(supervisor, plan, lambda frame: screen.update(frame, refresh=True))
            return supervisor.run(view.watch)
    except KeyboardInterrupt:
        return False
    except AdapterError as error:
        fail(str(error))
    finally:
        signal.signal(signal.SIGTERM, former)


def _tell_end(session: Session, plan: Plan) -> None:
    """Derive the ended session again, and show what it came to."""
    started = time.monotonic()
    account = Account()
    witness, docket = Witness(account), docket_of(session.path)
    finding = verify(session.journal, plan.folder, listener=witness)
    _demand(finding)
    witness.complete(docket, say)
    finding = witness.judge(finding, docket)
    _demand(finding)
    seconds = time.monotonic() - started
    page = session.path / "report.html"
    account.write_report(page, session.name, finding.digest)
    Live(session.path).remove()
    outcome = account.outcome
    # What was counted while the session ran may have begun behind a restart.
    session.write_card(account.card(session.card(), finding.digest))
    print_leaderboard(outcome.standings, plan.ground.currency)
    say(
        f"session: {session.path}\n"
        f"journal: {sum(outcome.facts.values())} facts from {outcome.events} events, "
        f"digest {finding.digest}\n"
        f"verified: every turn of every pod was derived again in {seconds:.1f} s; "
        f"{outcome.checked} invariants checked, {outcome.broken} broken\n"
        f"docket: {finding.entries} entries, chained to {finding.docket}"
    )
    say(f"\nreport:  {page}  (open it in a browser)")
    say("\nTry next:")
    say(f"  titanflow replay --from {session.name}   # derive the session again, to its own digest")
    example = account.fills[-1].id.hex()[:12] if account.fills else "--help"
    say(f"  titanflow why {example}   # why one decision was made")
    say("  titanflow replay -f examples/my_contender   # your own class against the benchmarks")


def _demand(finding: Finding) -> None:
    """Fail unless a session was found right."""
    if finding.result is Result.MISMATCH:
        where = f"record {finding.record}: " if finding.record >= 0 else ""
        fail(f"{where}{finding.text}", exits.MISMATCH)
    if finding.result is Result.TORN:
        fail(f"the journal was not closed: {finding.text}", exits.UNHEALTHY)


def replay_session(name: str, output: Format, report: Path | None) -> None:
    """Derive a session of pods again into a session of its own, and compare the digests."""
    source = sessions.find(name)
    if report is not None:
        demand_writable(report)
    folder = source.card().folder
    again: Again = replay_from(source, Path(folder) if folder else None)
    _demand(again.finding)
    if again.session is None or again.digest != again.finding.digest:
        fail(f"digest {again.digest}, must be {again.finding.digest}", exits.MISMATCH)
    if report is not None:
        again.account.write_report(report, again.session.name, again.digest)
        say(f"report: {report}")
    outcome = again.account.outcome
    if output is Format.TABLE:
        print_leaderboard(outcome.standings, again.account.plan.ground.currency)
        say(f"session: {again.session.path}\ndigest {again.digest}: that of {source.name}")
        return
    emit(
        {
            "session": again.session.name,
            "journal": str(again.session.journal),
            "digest": again.digest,
            "from": source.name,
            "events": outcome.events,
            "facts": outcome.facts,
            "invariants": {"checked": outcome.checked, "broken": outcome.broken},
            "standings": [sessions.standing_row(s) for s in outcome.standings],
        },
        output,
    )


class _Lines:
    """Progress for pipes and logs: a line each tenth of the tape."""

    def __init__(self, supervisor: Supervisor, plan: Plan) -> None:
        self._supervisor, self._total = supervisor, max(plan.events_total, 1)
        self._told = 0

    def watch(self) -> None:
        """Say a line if there is something new."""
        state = self._supervisor.states.get("gateway", {})
        events, at = int(state.get("events", 0)), int(state.get("at", 0))  # type: ignore[call-overload]
        tenth = events * 10 // self._total
        if tenth > self._told:
            self._told = tenth
            say(f"  {min(tenth * 10, 100):3d} %  {format_date(at)}  {events} events")


class _View:
    """The live frame: progress, pods, leaders by equity."""

    def __init__(self, supervisor: Supervisor, plan: Plan, draw: Callable[[Any], None]) -> None:
        self._supervisor, self._plan, self._draw = supervisor, plan, draw
        self._start = time.monotonic()
        self._next = 0.0

    def watch(self) -> None:
        """Draw a frame when one is due."""
        clock = time.monotonic()
        if clock >= self._next:
            self._next = clock + FRAME_SECONDS
            self._draw(self._frame())

    def _frame(self) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        states: dict[str, Any] = dict(self._supervisor.states)
        gateway = states.get("gateway", {})
        events, at = gateway.get("events", 0), gateway.get("at", 0)
        share = min(events / max(self._plan.events_total, 1), 1.0)
        pods = Table.grid(padding=(0, 2))
        for name, state in sorted(states.items()):
            if "applied" in state:
                applied, published = state["applied"]["p50"], state["published"]["p50"]
                pods.add_row(
                    name,
                    f"turn {state.get('number', 0)}",
                    f"apply {applied / 1e6:.2f} ms",
                    f"publish {published / 1e6:.2f} ms (p50)",
                )
        title = Text(
            f"REPLAY ON PODS  {format_date(at) if at else '…'}  {events} events  "
            f"{time.monotonic() - self._start:.0f} s"
        )
        bar = ProgressBar(total=1.0, completed=share, width=60)
        return Group(title, bar, pods, self._leaders(states))

    def _leaders(self, states: dict[str, Any]) -> Any:
        from rich.table import Table
        from rich.text import Text

        ground = self._plan.ground
        board = Table.grid(padding=(0, 2))
        found = [state["equities"] for state in states.values() if "equities" in state]
        if not found:
            return board
        for entrant in sorted(ground.entrants, key=lambda e: (-found[0][e.index], e.name))[
            :LEADERS
        ]:
            equity = found[0][entrant.index]
            change = equity / entrant.capital - 1
            board.add_row(
                entrant.name,
                Text(f"{equity / MINOR_PER_UNIT:,.2f} {ground.currency}", justify="right"),
                Text(
                    f"{'▲' if change >= 0 else '▼'} {change:+.2%}",
                    style="cyan" if change >= 0 else "dark_orange",
                ),
            )
        return board


def pod(session: Path, name: str, stages: str, shard: str) -> None:
    """Run one pod, named or found by what it hosts."""
    from titanflow.cli.answers import ABOVE
    from titanflow.runtime.process import run

    raise SystemExit(run(session, name or _hosting(session, stages, shard), ABOVE))


def _hosting(session: Path, words: str, shard: str) -> str:
    """Return the pod that hosts exactly what *words* name, as the shard *shard* of them."""
    number, _, of = shard.partition("/")
    if not (number.isascii() and number.isdigit() and of.isascii() and of.isdigit()):
        raise SpecError([Problem(f"no shard {shard!r}", "--shard", "say such as 0/4")])
    part = int(number), int(of)
    unknown = [word for word in words.split(",") if word not in STAGES]
    if unknown:
        known = ", ".join(STAGES)
        raise SpecError([Problem(f"no stage {unknown[0]!r}", "--stages", f"of: {known}")])
    wanted = {stage for word in words.split(",") for stage in STAGES[word]}
    if part[1] > 1:
        wanted.discard("score")  # whoever ranks sees everybody, so the shards leave it to one pod
    found = [each for each in Live(session).topology().pods if wanted == set(each.stages)]
    for each in found:
        if each.shard == part:
            return each.name
    if found:
        known = ", ".join(f"{each.shard[0]}/{each.shard[1]}" for each in found)
        raise SpecError([Problem(f"no shard {shard} of {words}", "--shard", f"one of: {known}")])
    raise SpecError([Problem(f"no pod hosts exactly {words}", str(session), "see topology.json")])


def _running() -> tuple[Session, int] | None:
    """Return the session whose supervisor runs here, and its process id."""
    for session in reversed(sessions.sessions()):
        file = Live(session.path).path / "up.pid"
        if file.exists():
            number = int(file.read_text("ascii"))
            try:
                os.kill(number, 0)
            except ProcessLookupError:
                continue
            return session, number
    return None


def running() -> Session:
    """Return the session that runs here; end with words if there is none."""
    found = _running()
    if found is None:
        fail("no arena runs here; start one with `titanflow up`", exits.NOT_FOUND)
    return found[0]


def down(*, purge: bool) -> None:
    """Stop the supervisor; with *purge* delete what unfinished sessions keep."""
    found = _running()
    if found is None:
        say("no arena runs here")
    else:
        session, number = found
        os.kill(number, signal.SIGTERM)
        until = time.monotonic() + STOP_SECONDS
        while time.monotonic() < until and _running() is not None:
            time.sleep(0.05)
        if _running() is not None:
            fail(f"process {number} has not stopped after {STOP_SECONDS:g} s")
        say(f"session {session.name} is paused")
    if purge:
        for each in sessions.sessions():
            live = Live(each.path)
            if live.exists:
                live.remove()
                say(f"session {each.name}: streams, keys, snapshots and logs are deleted")


def status(output: Format) -> None:
    """Show the session that runs here: pods, how far behind they are, latencies, kill switches."""
    from titanflow.cli.command import status_of, tiers_of

    found = _running()
    if found is None:
        fail("no arena runs here; start one with `titanflow up`", exits.NOT_FOUND)
    session, number = found
    file = Live(session.path).path / "status.json"
    states: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    told = status_of(session)
    said = told.best
    tiers = tiers_of(session) if told.governance is not None else []
    if output is not Format.TABLE:
        shown = {"session": session.name, "pid": number, "pods": states} | _session(told)
        emit(shown | {"tiers": tiers}, output)
        return
    table(
        f"{session.name}: apply and publish in ms",
        ("Pod", "Services", "State", ">Process", ">Turns", ">Behind", ">Apply p50", ">p99",
         ">p99.9", ">Publish p50", ">p99", ">p99.9", ">MiB"),
        _pod_rows(states, said),
    )  # fmt: skip
    if said is None:
        say("governance does not answer: these are the pods' last words")
        return
    if told.governance is None:
        say("governance does not answer: this is what the sentinel sees")
    rows = [
        (each.span, each.count, *(f"{ns / 1e6:.2f}" for ns in
         (each.p50_ns, each.p99_ns, each.p999_ns, each.max_ns)))
        for each in said.latencies
        if each.count
    ]  # fmt: skip
    if rows:
        columns = ("From the market event", ">Count", ">p50", ">p99", ">p99.9", ">Most")
        table("the last minute, in ms", columns, rows)
    if tiers:
        rows = [(each["contender"], each["tier"], each["why"]) for each in tiers]
        table("who may trade", ("Contender", "Tier", "Why"), rows)
    if told.governance is not None:
        say(f"kill epoch {said.kill_epoch}; engaged: {', '.join(said.engaged) or 'nothing'}")
    elif said.engaged:
        say(f"engaged by the sentinel: {', '.join(said.engaged)}")
    for each in said.pods:
        if each.text:
            say(f"{each.name} waits for {each.text}")
    for incident in told.incidents:
        seconds = (time.time_ns() - incident.began_at) / 1e9
        say(
            f"incident: {incident.pod}, {_kind(incident.kind)} for {seconds:.1f} s: {incident.text}"
        )


def _pod_rows(states: dict[str, Any], said: Any) -> list[list[object]]:
    told = {each.name: each for each in said.pods} if said is not None else {}
    rows = []
    for name in sorted({*states, *told}):
        state, pod = states.get(name, {}), told.get(name)
        cells: list[object] = [name]
        if pod is None:
            cells += ["", state.get("state", "")]
        else:
            cells += [" ".join(pod.stages), _word(pod.state)]
        cells += [state.get("pid", ""), state.get("number", ""), state.get("lagCount", "")]
        for part in ("applied", "published"):
            times = state.get(part)
            cells += (
                [f"{times[share] / 1e6:.2f}" for share in ("p50", "p99", "p999")]
                if times
                else ["", "", ""]
            )
        cells.append(f"{state.get('rssKiB', 0) / 1024:.0f}")
        rows.append(cells)
    return rows


def _session(told: Told) -> dict[str, Any]:
    """Return what is said by who knows most, as plain data; `answered` means governance."""
    said = told.best
    if said is None:
        return {"answered": False, "by": ""}
    return {
        "answered": told.governance is not None,
        "by": told.by,
        "incidents": [
            {
                "kind": _kind(each.kind),
                "pod": each.pod,
                "beganAt": each.began_at,
                "text": each.text,
            }
            for each in told.incidents
        ],
        "watermark": said.watermark,
        "killEpoch": said.kill_epoch,
        "engaged": list(said.engaged),
        "leaseUntil": said.lease_until,
        "states": {
            each.name: {
                "state": _word(each.state),
                "waitsFor": each.text,
                "lagCount": each.lag_count,
                "lagNs": each.lag_ns,
                "starts": each.starts,
            }
            for each in said.pods
        },
        "latencies": [
            {
                "span": each.span,
                "count": each.count,
                "p50Ns": each.p50_ns,
                "p99Ns": each.p99_ns,
                "p999Ns": each.p999_ns,
                "maxNs": each.max_ns,
            }
            for each in said.latencies
        ],
    }


def _word(state: int) -> str:
    """Return a pod's state in a word, such as `CatchingUp`."""
    from titanflow.rpc.v1.sessions_pb2 import PodState

    return PodState.Name(state).removeprefix("POD_STATE_").title().replace("_", "")


def _kind(kind: int) -> str:
    """Return an incident's kind in a word, such as `LeaseStale`."""
    from titanflow.rpc.v1.sessions_pb2 import IncidentKind

    return IncidentKind.Name(kind).removeprefix("INCIDENT_KIND_").title().replace("_", "")


def logs(pod: str, lines: int) -> None:
    """Print the last lines of one pod's log, or of all."""
    known = [session for session in sessions.sessions() if Live(session.path).exists]
    if not known:
        fail("no live session has logs here", exits.NOT_FOUND)
    folder = Live(known[-1].path).path / "pods"
    names = sorted(path.name for path in folder.iterdir())
    if pod and pod not in names:
        fail(f"no pod {pod!r}; there are: {', '.join(names)}", exits.NOT_FOUND)
    for name in [pod] if pod else names:
        file = folder / name / "log.jsonl"
        if file.exists():
            for line in file.read_text("utf-8", "replace").splitlines()[-lines:]:
                sys.stdout.write(line + "\n")
