"""How does a session look while it runs? Progress and leaders on stderr, the result on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from titanflow.cli import exits
from titanflow.cli.board import print_leaderboard
from titanflow.cli.output import Format, console, emit, fail, say
from titanflow.core.base.errors import AdapterError, Problem, SpecError
from titanflow.core.base.fixed import MINOR_PER_UNIT
from titanflow.core.base.instant import format_date
from titanflow.runtime.plan import Plan, prepare
from titanflow.runtime.record import Result, record_session
from titanflow.runtime.sim import Driver, Progress

FRAME_SECONDS = 0.1
LEADERS = 8


def example_folder() -> Path:
    """Return the example arena: in the current checkout, else the copy inside the package."""
    here = Path("examples/arena")
    if here.is_dir():
        return here
    import titanflow.data

    return Path(next(iter(titanflow.data.__path__))) / "example-arena"


def demand_writable(report: Path) -> None:
    """Refuse a page that cannot be written, before the work that it is about.

    Raises: SpecError.
    """
    try:
        is_new = not report.exists()
        with report.open("ab"):
            pass
        if is_new:
            report.unlink()
    except OSError as error:
        what = f"{report} cannot be written: {error.strerror}"
        do = "name a file in a folder that is there"
        raise SpecError([Problem(what, "--report", do)]) from error


def replay(folder: Path | None, output: Format, report: Path | None, controls: Path | None) -> None:
    """Run a session as fast as the machine goes and print what it came to."""
    if report is not None:
        demand_writable(report)
    plan = prepare(folder or example_folder(), controls)
    result = _record(plan, 0.0)
    if report is not None:
        result.write_report(report)
        say(f"report: {report}")
    if output is Format.TABLE:
        print_leaderboard(result.outcome.standings, plan.ground.currency)
        _print_summary(result)
    else:
        emit(result.summary(), output)


def up(folder: Path | None, *, once: bool, seconds: float) -> None:
    """Run the arena with a live view; end with the leaderboard and what to try next."""
    start = time.monotonic()
    path = folder or example_folder()
    plan = prepare(path, None)
    ground = plan.ground
    say(
        f"arena {ground.arena}: {len(ground.entrants)} contenders, {len(ground.instruments)} "
        f"instruments, {len(plan.policies)} policies from {path} "
        f"({time.monotonic() - start:.1f} s)"
    )
    for line in plan.describe_data():
        say(f"data: {line}")
    say("mode: SIMULATION on recorded market data; portfolios are virtual")
    result = _record(plan, 0.0 if once or not sys.stderr.isatty() else seconds)
    page = result.session.path / "report.html"
    result.write_report(page)
    print_leaderboard(result.outcome.standings, ground.currency)
    _print_summary(result)
    say(f"\nreport:  {page}  (open it in a browser)")
    say("\nTry next:")
    say(f"  titanflow verify {result.session.name}   # derive every record again and compare")
    say(f"  titanflow why {plan_example(result)}   # why one decision was made")
    say("  titanflow replay -f examples/my_contender   # your own class against the benchmarks")


def plan_example(result: Result) -> str:
    """Return the id of a decision worth looking at: the last fill, else a place to look."""
    return result.last_fill.hex()[:12] if result.last_fill else "--help"


def _record(plan: Plan, seconds: float) -> Result:
    """Run the session with a live view when somebody is watching."""
    if not sys.stderr.isatty():
        return _ended(lambda: record_session(plan, _plain_progress(plan)))
    from rich.live import Live

    with Live(console=console(stderr=True), auto_refresh=False, transient=True) as live:
        view = _View(plan, seconds, lambda frame: live.update(frame, refresh=True))
        return _ended(lambda: record_session(plan, view.progress))


def _ended(work: Callable[[], Result]) -> Result:
    try:
        return work()
    except KeyboardInterrupt as stop:
        kept = "interrupted; the record up to here is kept: titanflow verify @latest"
        fail(str(stop) or kept, exits.INTERRUPTED)
    except AdapterError as error:
        fail(str(error))


def _plain_progress(plan: Plan) -> Callable[[Progress, Driver], None]:
    """Return a reporter for pipes and logs: one line each tenth of the tape."""
    total = max(plan.events_total, 1)
    told = 0

    def progress(now: Progress, _driver: Driver) -> None:
        nonlocal told
        tenth = now.events * 10 // total
        if tenth > told:
            told = tenth
            say(f"  {min(tenth * 10, 100):3d} %  {format_date(now.at)}  {now.events} events")

    return progress


class _View:
    """The live frame: a bar of progress over the leaders by equity."""

    def __init__(self, plan: Plan, seconds: float, draw: Callable[[Any], None]) -> None:
        self._plan, self._seconds, self._draw = plan, seconds, draw
        self._start = time.monotonic()
        self._next = 0.0

    def progress(self, now: Progress, driver: Driver) -> None:
        """Draw a frame when one is due; hold the replay back where a show was asked for."""
        share = min(now.events / max(self._plan.events_total, 1), 1.0)
        if self._seconds:
            time.sleep(max(0.0, self._start + share * self._seconds - time.monotonic()))
        clock = time.monotonic()
        if clock < self._next:
            return
        self._next = clock + FRAME_SECONDS
        self._draw(self._frame(share, now, driver))

    def _frame(self, share: float, now: Progress, driver: Driver) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        ground = self._plan.ground
        equities = driver.arena.post.equities()
        rows = sorted(ground.entrants, key=lambda e: (-int(equities[e.index]), e.name))[:LEADERS]
        board = Table.grid(padding=(0, 2))
        for entrant in rows:
            equity = int(equities[entrant.index])
            change = equity / entrant.capital - 1
            board.add_row(
                entrant.name,
                Text(f"{equity / MINOR_PER_UNIT:,.2f} {ground.currency}", justify="right"),
                Text(
                    f"{'▲' if change >= 0 else '▼'} {change:+.2%}",
                    style="cyan" if change >= 0 else "dark_orange",
                ),
                driver.arena.gate.state(entrant.index).value,
            )
        title = Text(
            f"SIMULATION  {format_date(now.at)}  {now.events} events  "
            f"{time.monotonic() - self._start:.0f} s"
        )
        return Group(title, ProgressBar(total=1.0, completed=share, width=60), board)


def _print_summary(result: Result) -> None:
    outcome = result.outcome
    facts = sum(outcome.facts.values())
    say(
        f"session: {result.session.path}\n"
        f"journal: {facts} facts from {outcome.events} events, digest {result.digest}\n"
        f"checked: {outcome.checked} invariants, {outcome.broken} broken; "
        f"{result.seconds:.1f} s"
    )
