"""How does a session become a record? The driver speaks, the journal writes, the card sums up."""

from __future__ import annotations

import datetime as dt
import shutil
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from titanflow.core.base.errors import AdapterError
from titanflow.core.base.ident import Id
from titanflow.core.facts import Fact, Fill, Quarantine, Split
from titanflow.runtime import session as sessions
from titanflow.runtime.journal import Head, Writer
from titanflow.runtime.plan import Plan
from titanflow.runtime.report import ReportData, write_report
from titanflow.runtime.session import Card, Session, standing_row
from titanflow.runtime.sim import Driver, Outcome, Progress, run

FILLS_SHOWN = 200
"""Fills kept for the report's table."""
INCIDENTS_SHOWN = 200


class Result(msgspec.Struct, frozen=True):
    """A finished session: where it is, what it came to, and what a report needs."""

    session: Session
    plan: Plan
    head: Head
    driver: Driver
    outcome: Outcome
    digest: str
    seconds: float
    fills: tuple[Fill, ...]
    incidents: tuple[Fact, ...]

    @property
    def last_fill(self) -> Id | None:
        """Give the id of the last fill, if there was one."""
        return self.fills[-1].id if self.fills else None

    def summary(self) -> dict[str, object]:
        """Return what `replay -o json` prints; its shape never changes inside a major version."""
        return {
            "session": self.session.name,
            "journal": str(self.session.journal),
            "digest": self.digest,
            "events": self.outcome.events,
            "facts": self.outcome.facts,
            "invariants": {"checked": self.outcome.checked, "broken": self.outcome.broken},
            "standings": [standing_row(s) for s in self.outcome.standings],
        }

    def write_report(self, path: Path) -> None:
        """Write the session as one self-contained HTML page."""
        days, equity = self.driver.arena.score.curves()
        write_report(
            path,
            ReportData(
                arena=self.plan.ground.arena,
                session=self.session.name,
                currency=self.plan.ground.currency,
                contenders=tuple(e.name for e in self.plan.ground.entrants),
                days=days,
                equity=equity,
                standings=self.outcome.standings,
                fills=self.fills,
                fills_total=self.outcome.facts.get("Fill", 0),
                incidents=self.incidents,
                tick_sizes={i.symbol: i.tick_size for i in self.plan.ground.instruments},
                meta=report_meta(
                    self.head, self.digest, self.outcome, "simulation on recorded market data"
                ),
            ),
        )


def report_meta(
    head: Head, digest: str, outcome: Outcome, mode: str
) -> tuple[tuple[str, str], ...]:
    """Return what a report says of a session beside its numbers; *mode* names what it is."""
    return (
        ("Mode", f"{mode}; portfolios are virtual"),
        ("Journal digest", digest),
        ("Seed", str(head.seed)),
        ("Manifests", head.manifests_digest),
        *((f"Data {name}", found) for name, found in head.data),
        ("Code", head.code),
        ("Events", str(outcome.events)),
        ("Facts", str(sum(outcome.facts.values()))),
        ("Invariants", f"{outcome.checked} checked, {outcome.broken} broken"),
    )


def record_session(
    plan: Plan, progress: Callable[[Progress, Driver], None] | None = None
) -> Result:
    """Run *plan* to its end into a new session folder.

    Raises: AdapterError when the disk is full, KeyboardInterrupt on Ctrl-C; either way the
    journal is kept up to its last whole record and can be verified.
    """
    head = plan.head(plan.data())  # before anything is left behind, for the data may be refused
    session = sessions.create(plan.ground.arena)
    try:
        with session.held():
            return _recorded(plan, head, session, progress)
    except BaseException as error:
        if session.journal.exists():
            raise
        # A folder without a record would be @latest, and nothing that can be verified.
        shutil.rmtree(session.path, ignore_errors=True)
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt("interrupted before anything was recorded") from None
        raise


def _recorded(
    plan: Plan,
    head: Head,
    session: Session,
    progress: Callable[[Progress, Driver], None] | None,
) -> Result:
    created = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    card = Card(session.name, plan.ground.arena, created, str(plan.folder.resolve()), "Running")
    session.write_card(card)
    started = time.monotonic()
    writer = Writer(session.journal, head)
    fills: deque[Fill] = deque(maxlen=FILLS_SHOWN)
    incidents: deque[Fact] = deque(maxlen=INCIDENTS_SHOWN)
    append = writer.append

    def sink(fact: Fact) -> None:
        append(fact)
        if type(fact) is Fill:
            fills.append(fact)
        elif type(fact) in (Split, Quarantine):
            incidents.append(fact)

    try:
        outcome, driver = run(plan, plan.events(), sink, progress)
        digest = writer.close()
    except BaseException as error:
        status = "Interrupted" if isinstance(error, KeyboardInterrupt) else "Failed"
        _abandon(writer, session, msgspec.structs.replace(card, status=status))
        raise
    seconds = time.monotonic() - started
    session.write_card(
        msgspec.structs.replace(
            card,
            status="Completed",
            digest=digest,
            events=outcome.events,
            facts=outcome.facts,
            checked=outcome.checked,
            broken=outcome.broken,
            seconds=round(seconds, 3),
            standings=tuple(standing_row(s) for s in outcome.standings),
        )
    )
    return Result(
        session, plan, head, driver, outcome, digest, seconds, tuple(fills), tuple(incidents)
    )


def _abandon(writer: Writer, session: Session, card: Card) -> None:
    """Keep what can be kept; the error that led here is the one to report."""
    with suppress(AdapterError, OSError):
        writer.abandon()
    with suppress(OSError):
        session.write_card(card)
