"""Was anything lost, doubled or changed? Looks at the streams and the journal of a whole session.

Nothing here asks a pod: what counts is what is stored. The same turns must stand in streams and
journal, once; taking every turn again must give every byte again; the invariants must hold from
the first fact to the last; and where the market runs in lock step, the facts are those of a run in
which nothing broke.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from titanflow.adapters.bus.streams import Topology, stream_name
from titanflow.adapters.codec import InputRef, Turn
from titanflow.core.base.errors import TitanFlowError
from titanflow.core.facts import Checkpoint, Entry, Fact, Fill, Order, Verdict
from titanflow.core.health import Invariants
from titanflow.core.spec.words import IntentAction, Outcome
from titanflow.runtime.door import REFUSED
from titanflow.runtime.journal import JournalError, Reader, TurnRecord, encode_fact
from titanflow.runtime.plan import Plan
from titanflow.runtime.recompute import Differs, Recomputation, turns_of
from titanflow.runtime.scribe import record_of, recorded

Told = list[tuple[TurnRecord, tuple[Fact, ...]]]


def read(journal: Path) -> tuple[Told, str, list[str]]:
    """Return the turns of a journal, its digest, and what is wrong with the file."""
    reader = Reader(journal)
    try:
        for _ in reader.records():
            pass
    except JournalError as error:
        return [], "", [f"journal: {error}"]
    return list(turns_of(journal)), reader.digest, []


def compare(
    told: Told, streams: Mapping[str, Sequence[Turn]], *, loose: str = ""
) -> tuple[Counter[str], list[str]]:
    """Count what is in streams and not in the journal (lost), or more than once (double).

    Of the stream *loose* only the facts must agree: its tail was said anew after a power cut.
    """
    counts: Counter[str] = Counter(lost=0, double=0, changed=0)
    problems: list[str] = []
    seen: dict[tuple[str, int], tuple[TurnRecord, tuple[Fact, ...]]] = {}
    for record, facts in told:
        key = (record.stream, record.sequence)
        if key in seen:
            counts["double"] += 1
            problems.append(f"{key} stands twice in the journal")
        seen[key] = (record, facts)
    for stream, turns in streams.items():
        for n, turn in enumerate(turns, 1):
            found = seen.pop((stream, n), None)
            ref = InputRef(stream, n)
            if found is None:
                counts["lost"] += 1
                problems.append(f"message {n} of {stream} is not in the journal")
            elif _bytes(found[1]) != _bytes(recorded(turn.facts)) or (
                stream != loose and found[0] != record_of(ref, turn)
            ):
                counts["changed"] += 1
                problems.append(f"message {n} of {stream} is another one in the journal")
        numbers = Counter((turn.pod, turn.number) for turn in turns if turn.number != REFUSED)
        twice = [each for each, count in numbers.items() if count > 1]
        counts["double"] += len(twice)
        problems += [f"turn {number} of {pod} stands twice in {stream}" for pod, number in twice]
    problems += [f"the journal has {key}, which no stream has" for key in seen]
    counts["double"] += len(seen)
    return counts, problems


def check_copies(told: Told, copies: Sequence[Turn]) -> list[str]:
    """Return which copies for a contender are not a part of the turn that they copy, or come twice.

    A message holds the facts of one contender, or none.
    """
    facts_at = {(record.stream, record.sequence): facts for record, facts in told}
    problems: list[str] = []
    seen: set[tuple[str, int, tuple[bytes, ...]]] = set()
    for n, copy in enumerate(copies, 1):
        (ref,) = copy.inputs
        source = _bytes(facts_at.get((ref.stream, ref.sequence), ()))
        own = _bytes(copy.facts)
        if any(fact not in source for fact in own):
            problems.append(f"copy {n} holds what message {ref.sequence} of {ref.stream} does not")
        key = (copy.pod, copy.number, tuple(own))
        if own and key in seen:
            problems.append(f"copy {n} of turn {copy.number} of {copy.pod} comes twice")
        seen.add(key)
    return problems


def _bytes(facts: Iterable[Fact]) -> list[bytes]:
    """Return facts such that a number that does not exist equals itself."""
    return [encode_fact(fact) for fact in facts]


def recompute(plan: Plan, topology: Topology, told: Told) -> list[str]:
    """Take every turn again, and watch the invariants on the way; return what is wrong."""
    work = Recomputation(plan, topology, plan.with_controls(plan.events()))
    # A scribe that was away writes what it finds: causes first, but not by time.
    watch = Invariants(plan.ground, in_order=False)
    try:
        for record, facts in told:
            work.take(record, facts)
            for fact in facts:
                watch.observe(fact)
        work.finish()
    except Differs as error:
        return [f"turn {record.number} of {record.pod} is not said again: {error}"]
    except TitanFlowError as error:
        return [f"cannot be taken again: {error}"]

    def stages(name: str) -> object:
        desk = next(d for d in work.desks.values() if name in d.shard.pod.stages)
        return getattr(desk.shard.stages, name)

    watch.check(stages("post"), stages("gate"), stages("trade"))  # type: ignore[arg-type]
    return watch.messages


def account(facts: Iterable[Fact]) -> tuple[Counter[str], list[str]]:
    """Count effects; return those that lack their cause or come twice."""
    counts: Counter[str] = Counter(orders=0, fills=0, entries=0)
    allowed: set[bytes] = set()
    ids: set[bytes] = set()
    orders: set[bytes] = set()
    problems: list[str] = []
    for fact in facts:
        if isinstance(fact, Verdict | Order | Fill | Entry):
            if fact.id in ids:
                problems.append(f"{type(fact).__name__} {fact.id.hex()[:12]} came twice")
            ids.add(fact.id)
        if isinstance(fact, Verdict):
            if fact.outcome is Outcome.ALLOW and fact.action is IntentAction.NEW:
                allowed.add(fact.id)
        elif isinstance(fact, Order):
            counts["orders"] += 1
            orders.add(fact.id)
            if fact.cause not in allowed:
                problems.append(f"order {fact.id.hex()[:12]} has no verdict before it")
        elif isinstance(fact, Fill):
            counts["fills"] += 1
            if fact.order not in orders:
                problems.append(f"fill {fact.id.hex()[:12]} has no order before it")
        elif isinstance(fact, Entry):
            counts["entries"] += 1
    return counts, problems


def essence(told: Told) -> Counter[bytes]:
    """Return every fact of a journal but the checkpoints, which tell where a pod stood."""
    return Counter(
        encode_fact(fact) for _, facts in told for fact in facts if not isinstance(fact, Checkpoint)
    )


def drift(found: Counter[bytes], wanted: Counter[bytes]) -> int:
    """Return in how many facts two sessions differ."""
    return (found - wanted).total() + (wanted - found).total()


def market_of(topology: Topology) -> str:
    """Return the name of the market's stream."""
    return stream_name(topology.arena, "MARKET")
