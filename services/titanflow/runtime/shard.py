"""What does one pod do with its inputs, clock and network aside? It turns each into one turn.

A shard hosts some stages of the line. It takes one message at a time, delivers its facts depth
first among the hosted stages, and says everything that followed as one turn, which names the
inputs that it took since its last turn, in their order. That order is all that is needed to do it
again: pods and replays run this same class.

The trading side hears market events first where they trade: books and risk in pods of their own
hold each until the turn of the pod that trades on it has been heard, because fills and cancels of a
bar come before its mark. What perceives without trading holds market events until the gateway's
watermark covers their time: at once where the market runs freely, and after the trading side has
settled where it runs in lock step, so that nobody decides on a bar before he knows his fills in it.
Beliefs from another pod wait in the same way.

A command of governance has no event time of its own: it is taken in at the time of the last input.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final, cast

import msgspec

from titanflow.adapters.bus.streams import Pod, Topology, commanded_by, stream_name
from titanflow.adapters.codec import InputRef, Turn
from titanflow.core.arena import RECOMPUTED, Layout, Line, Part, Stages
from titanflow.core.base.errors import InvariantError
from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.facts import (
    Answer,
    Ask,
    Bar,
    Belief,
    CancelOrders,
    Checkpoint,
    Dividend,
    Entry,
    Fact,
    Fill,
    Intent,
    KillSwitch,
    Lapse,
    Split,
    Verdict,
)
from titanflow.core.health import Invariants
from titanflow.runtime.journal import Recorded
from titanflow.runtime.plan import Plan

GATEWAY: Final = "gateway"
"""The pod whose turns are market events."""
END: Final = 2**63 - 1
"""Watermark of the gateway's last turn: nothing follows."""
FLUSH: Final = END - 1
"""Watermark that asks every pod to name all inputs that it has taken so far."""
CHECK_TURNS: Final = 1024
"""Turns between two checks of the invariants, where a pod hosts trade, gate and post."""
CHECKPOINT_TURNS: Final = 4096
"""Turns between two digests of a pod's stages in the record."""

TRADING: Final = frozenset({"trade", "gate", "post", "score"})
"""The stages of the trading side."""

PROVOKES: Final[dict[str, frozenset[type[Fact]]]] = {
    "trade": frozenset({Verdict, Bar, Split, CancelOrders, KillSwitch}),
    "gate": frozenset({Intent, Fill, Bar, KillSwitch, Entry}),
    "post": frozenset({Fill, Bar, Split, Dividend}),
    "score": frozenset(),
    "perceive": frozenset({Bar}),
    "decide": frozenset({Belief}),
}
"""The types of fact to which a stage may have something to say; it only remembers the others."""


def provoked(stages: Sequence[str]) -> frozenset[type[Fact]]:
    """Return the types of fact to which any of *stages* may have something to say."""
    return frozenset[type[Fact]]().union(*(PROVOKES[name] for name in stages))


def waits_for_watermark(stages: Sequence[str]) -> bool:
    """Say whether a pod with *stages* waits with market events for the gateway's watermark."""
    return bool({"perceive", "decide"} & set(stages)) and not TRADING & set(stages)


def waits_for_trade(pod: Pod) -> bool:
    """Say whether *pod* waits with market events for the pods that trade on them.

    A shard that trades itself lets its own books hear them first, and the rest of it with the rest.
    """
    hosted = set(pod.stages)
    return bool(TRADING - {"trade"} & hosted) and ("trade" not in hosted or pod.is_part)


def _has_beliefs(turn: Turn) -> bool:
    """Say whether somebody may decide because of *turn*."""
    return any(type(fact) is Belief for fact in turn.facts)


def _decodable(turn: Turn) -> list[Recorded | Belief]:
    return cast("list[Recorded | Belief]", list(turn.facts))


class _Held(msgspec.Struct, array_like=True):
    """A market message that waits: where it stands, its time and its events."""

    ref: InputRef
    at: int
    facts: list[Recorded | Belief]


class _State(msgspec.Struct, array_like=True):
    """What a shard remembers, for snapshots."""

    number: int
    at: int
    watermark: int
    ended: bool
    quiet: list[InputRef]
    held: list[_Held]
    traded: dict[str, int]
    stages: list[bytes]


class Shard:
    """The state machine of one pod.

    For each input: `take`, then `answer` until `asks` is empty, then `finish`.
    """

    def __init__(self, pod: Pod, topology: Topology, plan: Plan) -> None:
        self.pod = pod
        gates = max(len(topology.hosting("gate")), 1)
        layout = Layout(*pod.shard, gates, decides="decide" in pod.stages)
        self.stages = Stages(
            plan.ground,
            plan.policies,
            lambda: plan.build_hosted(self._hosts()),
            plan.schema,
            layout,
        )
        self._own = frozenset(pod.contenders)
        elsewhere = {stage for each in topology.pods if each != pod for stage in each.stages}
        silent: list[type[Fact]] = [
            kind for kind in RECOMPUTED if kind is not Belief or "decide" not in elsewhere
        ]
        # Who scores reads books; where the ledger is elsewhere it keeps its own, and says nothing.
        scores_alone = "score" in pod.stages and "post" not in pod.stages
        hosted = (*pod.stages, "post") if scores_alone else pod.stages
        silent += [Entry] if scores_alone else []
        self.line = Line(self.stages.named(hosted), silent)
        self.takes = self.line.consumes
        self.number = 0
        self.at = 0
        """Latest event time of an input."""
        self.watermark = 0
        self.ended = False
        self.listener: Callable[[Fact], None] | None = None
        """Hears each fact of others when it is delivered; listening changes nothing."""
        self._commanders = frozenset(each.name for each in commanded_by(topology, pod))
        self._answers_all = topology.lock_step
        self._provoked = provoked(pod.stages)
        self._by_watermark = waits_for_watermark(pod.stages)
        self._by_trade = waits_for_trade(pod)
        self._trades_first = self._by_trade and "trade" in pod.stages
        self._traded = {each.name: 0 for each in topology.hosting("trade")}
        """The last market message that each trading pod has answered."""
        others = {stage for each in topology.pods if each != pod for stage in each.stages}
        self._answers_market = "trade" in pod.stages and (
            topology.in_one_step or bool(TRADING & others)
        )
        """Whether others wait for what this pod says to a market message."""
        self._market = stream_name(topology.arena, "MARKET")
        self._held: list[_Held] = []
        self._quiet: list[InputRef] = []
        self._said: list[Fact] = []
        self._input: tuple[InputRef, Turn] | None = None
        self._must_answer = False
        whole = {"trade", "gate", "post"} <= set(pod.stages) and not pod.is_part
        self.invariants = Invariants(plan.ground, in_order=topology.lock_step) if whole else None

    @property
    def quiet(self) -> frozenset[InputRef]:
        """Give the inputs that were taken and that no turn has named yet."""
        return frozenset(self._quiet)

    @property
    def traded(self) -> int:
        """Give the last market message whose answer by every trading pod was taken."""
        return min(self._traded.values(), default=0)

    @property
    def asks(self) -> list[Ask]:
        """Give what must be answered before `finish`."""
        return self.line.asked

    def take(self, turn: Turn, ref: InputRef) -> None:
        """Take one input: the message *turn*, which stands at *ref*."""
        assert self._input is None, "the former input was not finished"
        if turn.pod in self._commanders:
            turn = self._now(turn)
        self.at = max(self.at, turn.at)
        self._input = (ref, turn)
        self._must_answer = False
        if turn.pod != GATEWAY:
            if self._by_watermark and turn.at > self.watermark and _has_beliefs(turn):
                self._held.append(_Held(ref, turn.at, _decodable(turn)))
                return
            self._deliver(turn.facts)
            if turn.pod in self._traded:
                self._note_traded(turn)
                if self._by_trade:
                    self._release_traded()
            return
        if turn.number == 1:
            self._open(turn.at)
        if not turn.facts:
            pass
        elif self._by_watermark or self._by_trade:
            if self._trades_first:
                self._deliver(turn.facts, Part.TRADE)
                self._must_answer |= self._answers_market
            self._held.append(_Held(ref, turn.at, _decodable(turn)))
        else:
            self._deliver(turn.facts)
            self._must_answer |= self._answers_market
        self.watermark = max(self.watermark, turn.watermark)
        if self._trades_first:
            self._traded[self.pod.name] = ref.sequence
        if self._by_watermark:
            self._release_covered()
        elif self._by_trade:
            self._release_traded()
        if turn.watermark >= FLUSH:
            self._must_answer = True
        if turn.watermark == END:
            self._end(turn)

    def _now(self, turn: Turn) -> Turn:
        """Return a command as if it had been given at the time of the last input."""
        at = max(self.at, turn.at)
        facts = tuple(msgspec.structs.replace(fact, at=at, seen=at) for fact in turn.facts)
        return msgspec.structs.replace(turn, at=at, facts=facts)

    def answer(self, answers: Sequence[Answer]) -> None:
        """Take the answers to all of `asks`, in their order.

        Raises: InvariantError if one answers nothing that was asked.
        """
        asked = [ask.id for ask in self.line.asked]
        if [answer.cause for answer in answers] != asked:
            raise InvariantError(
                f"{len(asked)} asks, and {len(answers)} answers that are not to them"
            )
        self.line.asked.clear()
        for answer in answers:
            self._say(answer)

    def local(self, fact: Lapse) -> Turn:
        """Take what this pod has noticed itself, between two inputs, and say the turn on it."""
        assert self._input is None, "an input is in hand"
        self._say(fact)
        return self._turn(fact.at)

    def lapse(self, at: int, *, stale: bool) -> Lapse:
        """Return the fact that the lease went stale, or is fresh again, at event time *at*."""
        ident = derive(NO_ID, f"lease:{self.pod.name}".encode()[:16], self.number)
        return Lapse(ident, NO_ID, at, at, self.pod.name, stale)

    def finish(self) -> Turn | None:
        """Return the turn on the input, or None if there is nothing to say yet."""
        assert self._input is not None, "no input was taken"
        assert not self.line.asked, "asks are open"
        (ref, turn), self._input = self._input, None
        self._quiet.append(ref)
        if not self._said and not self._must_answer:
            return None
        return self._turn(turn.at)

    def _turn(self, at: int) -> Turn:
        """Return everything said since the last turn as one."""
        self.number += 1
        if self.number % CHECK_TURNS == 0 or self.ended:
            self.check()
        if self.number % CHECKPOINT_TURNS == 0:
            self._said.append(self._checkpoint(at))
        facts, self._said = tuple(self._said), []
        inputs, self._quiet = tuple(self._quiet), []
        return Turn(self.pod.name, self.number, at, inputs, facts, self.watermark)

    def _hosts(self) -> Collection[str] | None:
        """Return the contenders that decide here; None where all do."""
        if self.pod.contenders:
            return self.pod.contenders
        return self.stages.contenders if self.pod.is_part else None

    def _open(self, at: int) -> None:
        """Say the capital of this shard's contenders, where it keeps their books."""
        if "post" not in self.pod.stages:
            if "score" in self.pod.stages:
                self.stages.post.open(at)
            return
        for entry in self.stages.post.open(at):
            if not self.pod.is_part or entry.contender in self.stages.contenders:
                self._say(entry)

    def _deliver(self, facts: Sequence[Fact], part: Part = Part.WHOLE) -> None:
        for fact in facts:
            kind = type(fact)
            if kind in self.takes and self._is_mine(fact):
                if self.invariants is not None:
                    self.invariants.observe(fact)
                self._follow(fact, part)
                if part is Part.TRADE:
                    continue  # the rest of the stages hears it later
                if self.listener is not None:
                    self.listener(fact)
                if self._answers_all and kind in self._provoked:
                    self._must_answer = True

    def _is_mine(self, fact: Fact) -> bool:
        """Say whether a fact is nobody's, or of a contender that this pod hosts."""
        return (
            not self._own
            or getattr(fact, "contender", "") in self._own
            or not hasattr(fact, "contender")
        )

    def _say(self, fact: Fact) -> None:
        self._said.append(fact)
        if self.invariants is not None:
            self.invariants.observe(fact)
        self._follow(fact)

    def _follow(self, fact: Fact, part: Part = Part.WHOLE) -> None:
        """Deliver a fact to the stages and keep what they say."""
        before = len(self._said)
        self.line.deliver(fact, self._said, part=part)
        if self.invariants is not None:
            for said in self._said[before:]:
                self.invariants.observe(said)

    def _release_covered(self) -> None:
        """Deliver what the watermark covers by now."""
        while self._held and self._held[0].at <= self.watermark:
            self._deliver(self._held.pop(0).facts)

    def _note_traded(self, turn: Turn) -> None:
        former = self._traded[turn.pod]
        market = [ref.sequence for ref in turn.inputs if ref.stream == self._market]
        self._traded[turn.pod] = max([former, *market])
        if self._answers_all and self._by_trade:
            self._must_answer |= any(held.ref.sequence in market for held in self._held)

    def _release_traded(self) -> None:
        """Deliver the market events that every trading pod has answered."""
        traded = self.traded
        part = Part.REST if self._trades_first else Part.WHOLE
        while self._held and self._held[0].ref.sequence <= traded:
            self._deliver(self._held.pop(0).facts, part)
            # The turns that let it go may have been heard before it came, and none was named yet.
            self._must_answer |= self._answers_all

    def _end(self, turn: Turn) -> None:
        self.ended = True
        self._said.append(self._checkpoint(turn.at))
        if "score" in self.pod.stages:
            self._said += self.stages.score.finish(turn.at)

    def _checkpoint(self, at: int) -> Checkpoint:
        ident = derive(NO_ID, f"pod:{self.pod.name}".encode()[:16], self.number)
        return Checkpoint(ident, NO_ID, at, at, self.number, self.line.digests())

    def check(self) -> None:
        """Check the invariants of the hosted stages now.

        Raises: InvariantError naming each broken one.
        """
        if self.invariants is not None:
            made = self.stages
            self.invariants.check(made.post, made.gate, made.trade)
            if self.invariants.broken:
                raise InvariantError("; ".join(self.invariants.messages))

    def dump(self) -> bytes:
        """Return the whole state between two inputs; the invariants' own memory is not in it."""
        state = _State(
            self.number,
            self.at,
            self.watermark,
            self.ended,
            self._quiet,
            self._held,
            self._traded,
            [stage.dump() for stage in self.line.stages],
        )
        return msgspec.msgpack.encode(state)

    def load(self, snapshot: bytes) -> None:
        """Take over what `dump` returned; the invariants begin anew with what comes.

        Raises: InvariantError if it is of another pod.
        """
        state = msgspec.msgpack.decode(snapshot, type=_State)
        if len(state.stages) != len(self.line.stages):
            raise InvariantError("the snapshot is of a pod with other stages")
        self.number, self.at = state.number, state.at
        self.watermark, self.ended = state.watermark, state.ended
        self._quiet = state.quiet
        self._held, self._traded = state.held, state.traded
        for stage, kept in zip(self.line.stages, state.stages, strict=True):
            stage.load(kept)
        self.invariants = None
