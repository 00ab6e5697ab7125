"""Why did that happen? Collects what led to one fact and what followed, and recomputes the rest.

Beliefs, signals and HOLD decisions are not in the journal: the session is run again from its own
inputs up to the decision, and what the contender then thinks is what it thought. What a model was
asked is computed again as well, and what it answered is taken from the journal. Nothing here
guesses: each number is in the journal or follows from it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from titanflow.core.base.errors import NotFoundError, Problem, SpecError
from titanflow.core.base.fixed import format_decimal
from titanflow.core.base.ident import Id
from titanflow.core.base.instant import (
    NS_PER_DAY,
    NS_PER_SECOND,
    format_instant,
    parse_instant,
)
from titanflow.core.base.nearest import nearest
from titanflow.core.contender.decide import Decide
from titanflow.core.facts import Answer as ModelAnswer
from titanflow.core.facts import (
    Ask,
    Belief,
    Entry,
    Fact,
    Fill,
    Intent,
    Order,
    OrderUpdate,
    Signal,
    StateChange,
    Verdict,
)
from titanflow.core.risk.gate import Gate
from titanflow.core.risk.rules import RULES
from titanflow.core.risk.verdict import Asked
from titanflow.core.spec.words import Origin, Outcome
from titanflow.runtime.journal import Head, facts_of, read_head
from titanflow.runtime.plan import Plan, plan_from_head
from titanflow.runtime.recompute import Desk, Recomputation, topology_of, turns_of
from titanflow.runtime.sentence import sentence_of, stands_alone
from titanflow.runtime.sim import INPUTS, Driver

FOLLOWERS_MAX = 200
"""Most facts shown after a decision; a replace chain longer than that is cut, and says so."""


class Answer(msgspec.Struct, frozen=True):
    """Everything known about one decision; absent parts are None or empty."""

    subject: Fact
    signal: Signal | None
    belief: Belief | None
    intent: Intent | None
    verdict: Verdict | None
    chain: tuple[Fact, ...]
    """Recorded facts that led to it and followed from it, in order of the journal."""
    features: tuple[str, ...]
    lineage: tuple[tuple[str, str], ...]
    sentence: str
    checks: tuple[Check, ...] = ()
    """Every question that risk asked about the intent, in the order of the rules."""
    ask: Ask | None = None
    """What the model of a bundle was asked, where one was."""
    reply: ModelAnswer | None = None
    """What it answered."""


class Check(msgspec.Struct, frozen=True):
    """One question of risk: by which rule, what it compared, and whether it refused.

    `limit` is -1 where there is no limit; both numbers are in the rule's unit.
    """

    rule: str
    limit: int
    actual: int
    refused: bool


class Question(msgspec.Struct, frozen=True):
    """Which decision: by id, or by contender, symbol and time."""

    ident: str = ""
    contender: str = ""
    symbol: str = ""
    at: str = ""


def explain(path: Path, folder: Path | None, question: Question) -> Answer:
    """Answer one question about the journal at *path*.

    Raises: NotFoundError if nothing fits the question; SpecError if it is none, or if more than one
    fact fits it.
    """
    head = read_head(path)
    plan = plan_from_head(head, folder)
    subject: Fact
    witness = _Witness()
    if question.ident:
        subject = _find(path, question.ident.lower())
        if isinstance(subject, ModelAnswer):
            moment = _Moment(subject.contender, subject.symbol, subject.at, subject.at)
            related = _followers(path, _think(path, plan, moment, witness))
        else:
            related = _related(path, subject)
    else:
        subject = _think(path, plan, _moment(question), witness)
        related = _followers(path, subject)
    intent = next((f for f in related if isinstance(f, Intent)), None)
    verdict = next((f for f in related if isinstance(f, Verdict)), None)
    if question.ident and intent is not None:
        moment = _Moment(intent.contender, intent.symbol, intent.at, intent.at)
        if intent.origin is Origin.CONTENDER:
            _think(path, plan, moment, witness)
        else:
            # Nobody thought it, but risk asked about it.
            _run_again(path, plan, moment, witness)
            witness.signal = witness.belief = None
    signal = witness.signal
    return Answer(
        subject=subject,
        signal=signal,
        belief=witness.belief,
        intent=intent,
        verdict=verdict,
        chain=tuple(related),
        features=head.features,
        lineage=_lineage(head, plan, subject),
        sentence=_sentence(subject, witness, verdict, related),
        checks=() if verdict is None else witness.checks.get(verdict.id, ()),
        ask=witness.ask,
        reply=witness.reply,
    )


class _Moment(msgspec.Struct, frozen=True):
    contender: str
    symbol: str
    start: int
    end: int


def _moment(question: Question) -> _Moment:
    missing = [n for n in ("contender", "symbol", "at") if not getattr(question, n)]
    if missing:
        raise SpecError(
            [
                Problem(
                    "no decision named",
                    "why",
                    "give an id (see `titanflow session facts`) or all of --contender, --symbol "
                    "and --at",
                )
            ]
        )
    try:
        at = parse_instant(question.at)
    except ValueError as error:
        raise SpecError([Problem(str(error), "--at")]) from error
    whole_day = len(question.at) == len("2000-01-01")
    return _Moment(
        question.contender, question.symbol, at, at + NS_PER_DAY - 1 if whole_day else at
    )


def _find(path: Path, prefix: str) -> Fact:
    if len(prefix) < 4 or any(c not in "0123456789abcdef" for c in prefix):
        raise SpecError([Problem(f"{prefix!r} is no id", "why", "give at least 4 hex digits")])
    found: dict[str, Fact] = {}
    for fact in facts_of(path):
        if fact.id.hex().startswith(prefix):
            found[fact.id.hex()] = fact
            if len(found) > 1:
                break
    if len(found) == 1:
        return next(iter(found.values()))
    do = "see `titanflow session facts`"
    if not found:
        what = f"no recorded fact has an id that begins with {prefix}"
        raise NotFoundError([Problem(what, str(path), do)])
    what = f"several recorded facts have an id that begins with {prefix}"
    raise SpecError([Problem(what, str(path), "give more of its digits")])


def _related(path: Path, subject: Fact) -> list[Fact]:
    """Return the subject's story in the journal's order: from its intent to its entries."""
    root = _root(path, subject)
    if root is None:
        return _consequences(path, subject)
    return _story(path, root)


def _root(path: Path, subject: Fact) -> Id | None:
    """Return the id of the intent behind *subject*, or None if no intent is."""
    fact: Fact | None = subject
    if isinstance(fact, Entry):
        fact = _by_id(path, fact.cause)
    if isinstance(fact, Fill | OrderUpdate):
        fact = _by_id(path, fact.order)
    if isinstance(fact, Order):
        fact = _by_id(path, fact.cause)
    if isinstance(fact, Verdict):
        return fact.cause
    return fact.id if isinstance(fact, Intent) else None


def _by_id(path: Path, ident: Id) -> Fact | None:
    return next((fact for fact in facts_of(path) if fact.id == ident), None)


def _story(path: Path, root: Id) -> list[Fact]:
    """Return the intent *root* and all that followed: verdict, order, updates, fills, entries."""
    wanted = {root}
    orders: set[Id] = set()
    story: list[Fact] = []
    for fact in facts_of(path):
        follows = fact.id == root or (
            fact.cause in wanted and isinstance(fact, Verdict | Order | Entry | StateChange)
        )
        if follows or getattr(fact, "order", None) in orders:
            wanted.add(fact.id)
            if isinstance(fact, Order):
                orders.add(fact.id)
            story.append(fact)
            if len(story) >= FOLLOWERS_MAX:
                break
    return story


def _consequences(path: Path, subject: Fact) -> list[Fact]:
    """Return *subject* and what it led to at once, for facts that no intent is behind."""
    found = [f for f in facts_of(path) if subject.id in (f.id, f.cause)]
    return found[:FOLLOWERS_MAX]


def _followers(path: Path, signal: Fact) -> list[Fact]:
    """Return the stories of all intents that came of *signal*."""
    roots = [f.id for f in facts_of(path) if isinstance(f, Intent) and f.cause == signal.id]
    return [fact for root in roots for fact in _story(path, root)]


class _Witness:
    """Hears, while a session runs again, one contender's last signal and what risk asked then."""

    def __init__(self) -> None:
        self.signal: Signal | None = None
        self.belief: Belief | None = None
        self.checks: dict[Id, tuple[Check, ...]] = {}
        self.ask: Ask | None = None
        self.reply: ModelAnswer | None = None
        self.restraint = ""
        """Why the signal asked for no order, if it did not."""

    def attend(self, decide: Decide, gate: Gate, moment: _Moment) -> None:
        """Listen to the stages for what is said in *moment*."""

        def thought(signal: Signal, belief: Belief) -> None:
            if moment.start <= signal.at <= moment.end:
                self.signal, self.belief = signal, belief
                self.restraint = decide.restraint(signal)
                if self.reply is not None and self.reply.id != signal.cause:
                    self.ask = self.reply = None

        def met(ask: Ask, reply: ModelAnswer) -> None:
            if moment.start <= ask.at <= moment.end:
                self.ask, self.reply = ask, reply

        def judged(verdict: Verdict, asked: Asked) -> None:
            mine = (verdict.contender, verdict.symbol) == (moment.contender, moment.symbol)
            if mine and moment.start <= verdict.at <= moment.end:
                self.checks[verdict.id] = tuple(
                    Check(rule.name, limit, actual, refused=rule.name == verdict.rule)
                    for rule in RULES
                    for number, limit, actual in asked
                    if number == rule.number
                )

        decide.listen(moment.contender, moment.symbol, thought, met)
        gate.listen(judged)


def _run_again(path: Path, plan: Plan, moment: _Moment, witness: _Witness) -> None:
    """Run the session again up to the end of *moment*, before *witness*."""
    topology = read_head(path).topology
    if topology:
        _take_turns_again(path, Recomputation(plan, topology_of(topology), None), moment, witness)
        return
    driver = Driver(plan)
    witness.attend(driver.arena.decide, driver.arena.gate, moment)
    opening: set[Id] = set()
    for fact in facts_of(path):
        if not opening:
            # The kill switches of the manifests are recorded inputs, and `begin` applies them.
            opening = {said.id for said in driver.begin(fact.at)}
        if fact.id in opening or not isinstance(fact, INPUTS):
            continue
        if fact.at > moment.end:
            break
        driver.step(fact)


def _take_turns_again(path: Path, work: Recomputation, moment: _Moment, witness: _Witness) -> None:
    """Take the turns of a session of pods again; `_run_again` for those."""
    stages = {
        name: desk.shard.stages
        for desk in work.desks.values()
        for name in desk.shard.pod.stages
        if _hosts(desk, moment.contender)
    }
    witness.attend(stages["decide"].decide, stages["gate"].gate, moment)
    for turn, facts in turns_of(path):
        if work.topology.lock_step and turn.at > moment.end:
            return
        work.take(turn, facts)


def _hosts(desk: Desk, contender: str) -> bool:
    """Say whether a pod decides or answers for a contender, and not another one like it."""
    pod, stages = desk.shard.pod, desk.shard.stages
    if pod.contenders:
        return contender in pod.contenders
    return not pod.is_part or contender in stages.contenders


def _think(path: Path, plan: Plan, moment: _Moment, witness: _Witness) -> Signal:
    """Run the session again up to *moment* and return what the contender thought then."""
    entrants, symbols = plan.ground.entrant_index(), plan.ground.symbol_index()
    for word, name, known in (
        ("contender", moment.contender, entrants),
        ("instrument", moment.symbol, symbols),
    ):
        if name not in known:
            raise NotFoundError([Problem(f"no {word} {name!r}", "why", nearest(name, known))])
    mine = plan.ground.entrants[entrants[moment.contender]].instruments
    if symbols[moment.symbol] not in mine:
        traded = [plan.ground.instruments[number].symbol for number in mine]
        what = f"{moment.contender} does not trade {moment.symbol}"
        raise NotFoundError([Problem(what, "why", f"it trades: {', '.join(traded)}")])
    _run_again(path, plan, moment, witness)
    if witness.signal is None:
        what = (
            f"{moment.contender} decided nothing on {moment.symbol} between "
            f"{format_instant(moment.start)} and {format_instant(moment.end)}"
        )
        raise NotFoundError([Problem(what, "why", "choose a time at which a bar ended")])
    return witness.signal


def _lineage(head: Head, plan: Plan, subject: Fact) -> tuple[tuple[str, str], ...]:
    rows = [
        *((f"data {name}", digest) for name, digest in head.data),
        ("manifests", head.manifests_digest),
        ("code", head.code),
        ("seed", str(head.seed)),
    ]
    contender = getattr(subject, "contender", "")
    for entrant in plan.ground.entrants:
        if entrant.name == contender:
            rows.insert(0, ("recipe", entrant.recipe_hash))
            if (bundle := entrant.contract) is not None:
                rows.insert(1, (f"bundle {bundle.name} {bundle.version}", bundle.digest))
    rows += [(f"python {name}", digest) for name, digest in head.python]
    return tuple(rows)


def in_unit(value: int, unit: str) -> str:
    """Return a number of a rule for people: money in units of the currency, time in seconds."""
    match unit:
        case "money":
            return format_decimal(value, decimals=2)
        case "ns":
            return f"{value / NS_PER_SECOND:g} s"
        case "none":
            return ""
        case _:
            return f"{value} {unit}"


def _compared(name: str, limit: int, actual: int) -> str:
    """Say what a rule (by its name or its text) compared."""
    unit = next((rule.unit for rule in RULES if name in (rule.name, rule.text)), "count")
    if unit == "none":
        return "yes or no"
    return f"limit {in_unit(limit, unit)}, actual {in_unit(actual, unit)}"


def _sentence(
    subject: Fact, witness: _Witness, verdict: Verdict | None, related: list[Fact]
) -> str:
    """Say the story in one or two sentences."""
    if isinstance(subject, StateChange):
        return (
            f"{subject.contender} went from {subject.former.value} to {subject.state.value}: "
            f"{subject.text} ({_compared(subject.text, subject.limit, subject.actual)})."
        )
    signal = witness.signal
    if stands_alone(subject) and signal is None and verdict is None:
        return sentence_of(subject, related)
    parts = []
    if signal is not None:
        thought = signal.explanation.text or "it gave no reason, or sent orders of its own making"
        parts.append(f"{signal.contender} thought {signal.side.name}: {thought}")
        if verdict is None and witness.restraint:
            parts.append(f"No order followed: {witness.restraint}")
    if verdict is not None and verdict.origin is Origin.RISK:
        parts.append(f"Risk itself closed a position of {verdict.contender}: nobody thought it")
    if verdict is not None and verdict.outcome is Outcome.DENY:
        parts.append(
            f"Risk refused it by the rule {verdict.rule}: {verdict.text} "
            f"({_compared(verdict.rule, verdict.limit, verdict.actual)}; "
            f"FIX reason {verdict.reason})"
        )
    fills = [f for f in related if isinstance(f, Fill)]
    if fills:
        lots = sum(f.quantity_lots for f in fills)
        parts.append(f"{len(fills)} fills, {lots} lots")
    ended = [f for f in related if isinstance(f, OrderUpdate | Fill)]
    if ended:
        text = ended[-1].text if isinstance(ended[-1], OrderUpdate) else ""
        parts.append(f"last update: {ended[-1].status.value} {text}".rstrip())
    return ". ".join(parts) + "." if parts else sentence_of(subject)
