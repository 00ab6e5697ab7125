"""What does a session of pods come to when it is derived again? The same journal, and its report.

One pass over the journal takes every turn again from its recorded inputs (`recompute`), and keeps
what a report shows. `replay --from` also writes what came out as a journal of its own.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from titanflow.adapters.codec import Turn
from titanflow.core.base.errors import InvariantError
from titanflow.core.base.ident import Id
from titanflow.core.facts import Fact, Fill, Quarantine, Split, Standing
from titanflow.core.scoring.leaderboard import Score
from titanflow.runtime import session as sessions
from titanflow.runtime.chronicle import new_card
from titanflow.runtime.docket import docket_of
from titanflow.runtime.journal import Head, TurnRecord, Writer, facts_of, read_head
from titanflow.runtime.place import replace
from titanflow.runtime.plan import Plan, plan_from_head
from titanflow.runtime.recompute import Desk, Recomputation
from titanflow.runtime.record import FILLS_SHOWN, INCIDENTS_SHOWN, report_meta
from titanflow.runtime.report import ReportData, write_report
from titanflow.runtime.scribe import recorded
from titanflow.runtime.session import Card, Session, standing_row
from titanflow.runtime.shard import GATEWAY
from titanflow.runtime.sim import INPUTS, Driver, Outcome
from titanflow.runtime.verify import Finding, Result, verify


class Account:
    """Keeps what a report of a session of pods shows, while it is derived again."""

    def __init__(self, write_to: Path | None = None) -> None:
        self.facts: Counter[str] = Counter()
        self.events = 0
        self.standings: tuple[Standing, ...] = ()
        self.fills: deque[Fill] = deque(maxlen=FILLS_SHOWN)
        self.incidents: deque[Fact] = deque(maxlen=INCIDENTS_SHOWN)
        self._path = write_to
        self.writer: Writer | None = None
        self._work: Recomputation | None = None
        self._plan: Plan | None = None
        self._head: Head | None = None
        self._driver: Driver | None = None

    def begin(self, head: Head, plan: Plan, work: Recomputation) -> None:
        """Take what the session stands on."""
        self._head, self._plan, self._work = head, plan, work
        if self._path is not None:
            self.writer = Writer(self._path, head)

    def hear(self, record: TurnRecord, turn: Turn) -> None:
        """Take one turn."""
        facts = recorded(turn.facts)
        if self.writer is not None:
            self.writer.turn(record, facts)
        for fact in facts:
            self._note(fact)
        if record.pod == GATEWAY:
            self.events += len(facts)

    def _note(self, fact: Fact) -> None:
        self.facts[type(fact).__name__] += 1
        if isinstance(fact, Fill):
            self.fills.append(fact)
        elif isinstance(fact, Split | Quarantine):
            self.incidents.append(fact)
        elif isinstance(fact, Standing):
            self.standings = (*self.standings, fact)

    def simulate(self, journal: Path, folder: Path | None) -> None:
        """Run a session of one thread again, from the inputs that its journal holds."""
        head = read_head(journal)
        plan = plan_from_head(head, folder)
        self._head, self._plan = head, plan
        self._driver = driver = Driver(plan)
        self.writer = Writer(self._path or journal, head)
        opening: frozenset[Id] = frozenset()
        for fact in facts_of(journal):
            if not opening:
                opening = frozenset(self._take(driver.begin(fact.at)))
            if fact.id not in opening and isinstance(fact, INPUTS):
                self.events += 1
                self._take(driver.step(fact))
        self._take(driver.end())

    def _take(self, facts: Sequence[Fact]) -> Iterator[Id]:
        assert self.writer is not None
        for fact in facts:
            self.writer.append(fact)
            self._note(fact)
        return iter([fact.id for fact in facts])

    @property
    def checked(self) -> int:
        """Give how many checks of invariants the pods made."""
        if self._driver is not None:
            return self._driver.invariants.checked
        return sum(
            desk.shard.invariants.checked
            for desk in self._desks()
            if desk.shard.invariants is not None
        )

    @property
    def outcome(self) -> Outcome:
        """Give what the session came to."""
        facts = dict(sorted(self.facts.items()))
        return Outcome(self.events, facts, self.checked, 0, self.standings)

    def card(self, card: Card, digest: str) -> Card:
        """Return the card of a session that was found right, with what it came to."""
        return msgspec.structs.replace(
            card,
            status="Completed",
            digest=digest,
            events=self.events,
            facts=dict(sorted(self.facts.items())),
            checked=self.checked,
            standings=tuple(standing_row(each) for each in self.standings),
        )

    @property
    def plan(self) -> Plan:
        """Give the plan that the session's head describes."""
        if self._plan is None:
            raise InvariantError("the journal was not derived again")
        return self._plan

    def write_report(self, path: Path, session: str, digest: str) -> None:
        """Write the session as one self-contained HTML page."""
        if self._head is None:
            raise InvariantError("the journal was not derived again")
        ground = self.plan.ground
        days, equity = self._score().curves()
        write_report(
            path,
            ReportData(
                arena=ground.arena,
                session=session,
                currency=ground.currency,
                contenders=tuple(e.name for e in ground.entrants),
                days=days,
                equity=equity,
                standings=self.standings,
                fills=tuple(self.fills),
                fills_total=self.facts["Fill"],
                incidents=tuple(self.incidents),
                tick_sizes={i.symbol: i.tick_size for i in ground.instruments},
                meta=report_meta(self._head, digest, self.outcome, self._mode()),
            ),
        )

    def _score(self) -> Score:
        if self._driver is not None:
            return self._driver.arena.score
        for desk in self._desks():
            if "score" in desk.shard.pod.stages:
                return desk.shard.stages.score
        raise InvariantError("no pod of the session scores")

    def _mode(self) -> str:
        kind = "simulation" if self._driver is not None else "pods"
        return f"{kind} on recorded market data"

    def _desks(self) -> list[Desk]:
        return [] if self._work is None else list(self._work.desks.values())


class Again(msgspec.Struct, frozen=True):
    """A session derived again: what was found, and the new session with what came out."""

    finding: Finding
    account: Account
    session: Session | None
    digest: str


def replay_from(source: Session, folder: Path | None) -> Again:
    """Derive a session again into a new session.

    Raises: AdapterError when the new journal cannot be written.
    """
    arena = source.card().arena
    session = sessions.create(arena)
    session.write_card(new_card(session, arena, str(folder or "")))
    account = Account(session.journal)
    finding = verify(source.journal, folder, listener=account)
    if finding.result is Result.VERIFIED and account.writer is None:
        account.simulate(source.journal, folder)
    if finding.result is not Result.VERIFIED or account.writer is None:
        if account.writer is not None:
            account.writer.abandon()
        sessions.remove(session)
        return Again(finding, account, None, "")
    digest = account.writer.close()
    session.write_card(account.card(session.card(), digest))
    kept = docket_of(source.path)
    if kept.exists():
        # It is no part of the journal, and pauses in it can be derived from nothing.
        replace(docket_of(session.path), kept.read_bytes())
    return Again(finding, account, session, digest)
