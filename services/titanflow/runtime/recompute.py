"""Is what the pods of a session said what their stages say? Every turn is taken again.

Each pod of the head's topology stands up again as the same state machine (`shard.Shard`) and is
given its inputs in the order in which its own turns name them. What it then says must be what the
journal says, byte by byte. Beliefs, which are not recorded, travel between the pods anew; answers
of models are recorded and taken from there; market events are compared with their source. The
commands of governance and of the sentinel are inputs, taken as they stand, if they may give them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from titanflow.adapters.bus.streams import (
    COMMANDS,
    Pod,
    Topology,
    commanded_by,
    copied_from,
    stream_name,
    turn_sources,
)
from titanflow.adapters.codec import InputRef, Turn
from titanflow.core.base.errors import InvariantError, TitanFlowError
from titanflow.core.facts import Answer, Fact, KillSwitch, Lapse
from titanflow.runtime.describe import difference
from titanflow.runtime.door import REFUSED, is_bounded, may_command, refused
from titanflow.runtime.journal import (
    FACT,
    TURN,
    Head,
    JournalError,
    Reader,
    TurnRecord,
    decode_fact,
    decode_turn_record,
    encode_fact,
)
from titanflow.runtime.plan import Plan
from titanflow.runtime.scribe import record_of, recorded
from titanflow.runtime.shard import END, GATEWAY, Shard

KEPT_MAX: Final = 1 << 16
"""Messages kept because a pod has not named them yet; a pod that lags further is a fault."""


class Differs(InvariantError):  # noqa: N818 - it names what was found
    """A turn, or a fact of one, is not what it must be. `fact` is its place, -1 for the turn."""

    def __init__(self, what: str, fact: int = -1) -> None:
        self.fact, self.what = fact, what
        super().__init__(what)


def topology_of(head: bytes) -> Topology:
    """Return the topology in a journal's head."""
    return msgspec.json.decode(head, type=Topology)


def topology_bytes(topology: Topology) -> bytes:
    """Return how a journal's head holds *topology*; equal ones are equal bytes."""
    return msgspec.json.encode(topology, order="deterministic")


def turns_of(path: Path) -> Iterator[tuple[TurnRecord, tuple[Fact, ...]]]:
    """Give the whole turns of a journal, up to its end or to what is damaged."""
    turn: TurnRecord | None = None
    facts: list[Fact] = []
    try:
        for record in Reader(path).records():
            if record.kind == TURN:
                turn, facts = decode_turn_record(record.body), []
            elif record.kind == FACT:
                facts.append(decode_fact(record.body))
            if turn is not None and len(facts) == turn.facts:
                yield turn, tuple(facts)
                turn = None
    except JournalError:
        return


def head_of(plan: Plan, topology: Topology) -> Head:
    """Return the head of the journal of a session of pods."""
    head = plan.head(plan.data())
    return msgspec.structs.replace(head, topology=topology_bytes(topology))


class Desk:
    """One pod again, and the messages that it has not taken yet."""

    def __init__(self, pod: Pod, topology: Topology, plan: Plan) -> None:
        self.shard = Shard(pod, topology, plan)
        sources = (
            *turn_sources(topology, pod),
            *copied_from(topology, pod),
            *commanded_by(topology, pod),
        )
        self.reads = {GATEWAY, *(each.name for each in sources)}
        self.kept: dict[tuple[str, int], Turn] = {}


class Recomputation:
    """Takes the turns of a journal in their order and says each again."""

    def __init__(self, plan: Plan, topology: Topology, source: Iterator[Fact] | None) -> None:
        self.topology = topology
        self.desks = {pod.name: Desk(pod, topology, plan) for pod in topology.pods if pod.stages}
        self._commanders = {pod.name: pod for pod in topology.pods if pod.role in COMMANDS}
        self._commands = dict.fromkeys(self._commanders, 0)
        """The last turn of each pod that commands."""
        self._bounded = {pod.name: pod for pod in topology.pods if is_bounded(pod)}
        """Whose messages may have been refused."""
        self._source = source
        self._first = deque[Fact]()
        self._switches = plan.switches
        self._market = 0
        self.ended = False

    def take(self, record: TurnRecord, facts: tuple[Fact, ...]) -> Turn:
        """Return the turn that must stand where *record* and *facts* stand.

        Raises: Differs if another turn, or none, must stand here.
        """
        ref = InputRef(record.stream, record.sequence)
        if record.pod == GATEWAY:
            turn = self._from_market(record, facts)
        elif record.number == REFUSED and record.pod in self._bounded:
            turn = refused(self._bounded[record.pod])
        elif record.pod in self._commanders:
            turn = self._from_commander(record, facts)
        else:
            turn = self._from_pod(record, facts)
        found = record_of(ref, turn)
        if found != record:
            raise Differs(_unlike(record, found))
        for place, (has, must) in enumerate(zip(facts, recorded(turn.facts), strict=True)):
            if encode_fact(has) != encode_fact(must):
                raise Differs(difference(has, must), place)
        self._hand_out(ref, turn)
        return turn

    def finish(self) -> None:
        """Check that the session has its end.

        Raises: Differs if a pod has not said its last turn, or the source holds more.
        """
        late = [name for name, desk in self.desks.items() if not desk.shard.ended]
        if late:
            raise Differs(f"the last turn of {late[0]} is missing")
        if self._source is not None and next(self._source, None) is not None:
            raise Differs("the source holds more events than the record")

    def restore_from(self, other: Recomputation) -> None:
        """Take over the state of *other*, by the snapshots that pods make."""
        for name, desk in self.desks.items():
            desk.shard.load(other.desks[name].shard.dump())
            desk.kept = dict(other.desks[name].kept)
        self._market, self.ended = other._market, other.ended
        self._commands = dict(other._commands)

    def _from_market(self, record: TurnRecord, facts: tuple[Fact, ...]) -> Turn:
        """Return the gateway's turn, its events as the source has them."""
        if self.ended:
            raise Differs("the gateway speaks after its end")
        self._market += 1
        if record.number != self._market:
            raise Differs(f"turn {self._market} of the gateway is missing before it")
        must: list[Fact] = []
        for fact in facts:
            must.append(self._from_source(fact, len(must)))
        self.ended = record.watermark == END
        inputs = tuple(InputRef(*each) for each in record.inputs)
        return Turn(GATEWAY, record.number, record.at, inputs, tuple(must), record.watermark)

    def _from_commander(self, record: TurnRecord, facts: tuple[Fact, ...]) -> Turn:
        """Return a command, as it was given.

        Raises: Differs if it is none that this pod may give, or one is missing before it.
        """
        self._commands[record.pod] += 1
        number = self._commands[record.pod]
        if record.number != number:
            raise Differs(f"turn {number} of {record.pod} is missing before it")
        for place, fact in enumerate(facts):
            if not may_command(self._commanders[record.pod], fact):
                raise Differs(f"{record.pod} may not say this {type(fact).__name__}", place)
        if record.stream != stream_name(self.topology.arena, "CONTROL"):
            raise Differs(f"{record.pod} does not speak on {record.stream}")
        return Turn(record.pod, record.number, record.at, (), facts, record.watermark)

    def _from_source(self, fact: Fact, place: int) -> Fact:
        if isinstance(fact, KillSwitch) and self._market == 1:
            switches = self._switches(fact.at)
            if place < len(switches):
                return switches[place]
        if self._source is None:
            return fact
        said = next(self._source, None)
        if said is None:
            raise Differs("the source holds no such event: it has ended", place)
        return said

    def _from_pod(self, record: TurnRecord, facts: tuple[Fact, ...]) -> Turn:
        """Return what the pod says to the inputs that its turn names."""
        desk = self.desks.get(record.pod)
        if desk is None:
            raise Differs(f"the session has no pod {record.pod!r}")
        answers = deque(fact for fact in facts if isinstance(fact, Answer))
        turn: Turn | None = None
        for stream, sequence in record.inputs:
            if turn is not None:
                raise Differs("it names inputs behind the one that made the pod speak")
            message = desk.kept.pop((stream, sequence), None)
            if message is None:
                raise Differs(f"its input, message {sequence} of {stream}, is not there for it")
            turn = self._say(desk, message, InputRef(stream, sequence), answers)
        if turn is None and facts and isinstance(facts[0], Lapse):
            turn = self._notice(desk, facts[0])
        if turn is None:
            raise Differs("the pod has nothing to say to these inputs")
        if answers:
            raise Differs("an answer of it was never asked for", facts.index(answers[0]))
        return turn

    def _notice(self, desk: Desk, lapse: Lapse) -> Turn:
        """Take a lapse of the lease, which only the pod itself could notice."""
        if lapse != desk.shard.lapse(lapse.at, stale=lapse.stale):
            raise Differs("the lapse of the lease has another pod's name or id", 0)
        return desk.shard.local(lapse)

    def _say(self, desk: Desk, message: Turn, ref: InputRef, answers: deque[Answer]) -> Turn | None:
        """Take one message; recorded answers stand in for the models."""
        try:
            desk.shard.take(message, ref)
            while desk.shard.asks:
                wanted = len(desk.shard.asks)
                if len(answers) < wanted:
                    raise Differs("an answer to an ask is missing in it")
                desk.shard.answer([answers.popleft() for _ in range(wanted)])
            return desk.shard.finish()
        except (TitanFlowError, ArithmeticError, LookupError, ValueError) as error:
            if isinstance(error, Differs):
                raise
            raise Differs(f"the stages refuse its input: {error}") from error

    def _hand_out(self, ref: InputRef, turn: Turn) -> None:
        for desk in self.desks.values():
            if turn.pod in desk.reads:
                desk.kept[ref.stream, ref.sequence] = turn
                if len(desk.kept) > KEPT_MAX:
                    del desk.kept[next(iter(desk.kept))]


def _unlike(has: TurnRecord, must: TurnRecord) -> str:
    fields = [
        f"{name} is {getattr(has, name)!r}, must be {getattr(must, name)!r}"
        for name in has.__struct_fields__
        if getattr(has, name) != getattr(must, name)
    ]
    return f"turn {has.number} of {has.pod}: " + "; ".join(fields[:4])
