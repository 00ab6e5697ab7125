"""How are the stages wired? Here, once: the one file to read first.

    market event → belief → signal → intent → verdict → order → fill → entry → standing
                  perceive   decide            gate      trade          post     score

A fact is delivered to the stages that consume its type, in the order of `LINE`, depth first: what
a stage says is delivered whole before the next stage hears the fact. So on a bar the orders that
were already at the venue trade first (and their fills reach risk, books and contenders), then the
bar is marked, then contenders see it and decide. An order can thus never trade in the bar that it
was decided on. There is no clock here, no chance that is not keyed, and no way around the gate:
only `trade` makes orders, and it hears nothing but verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from functools import cached_property

import msgspec

from titanflow.core.base.errors import InvariantError
from titanflow.core.base.ident import derive
from titanflow.core.contender.decide import Decide
from titanflow.core.contender.protocol import Contender
from titanflow.core.execution.desk import Trade
from titanflow.core.facts import Ask, Belief, Checkpoint, Fact, KillSwitch, Signal, Standing
from titanflow.core.ledger.books import Post
from titanflow.core.perception.belief import Perceive
from titanflow.core.perception.features import FeatureSchema
from titanflow.core.risk.gate import Gate
from titanflow.core.risk.policy import effective_tiers, members_of
from titanflow.core.risk.shares import shares
from titanflow.core.scoring.leaderboard import Score
from titanflow.core.spec.ground import Ground
from titanflow.core.spec.policy import PolicySpec
from titanflow.core.spec.words import KillScope
from titanflow.core.stage import Stage

DEPTH_MAX = 16
"""Longest chain of facts within one turn; the longest legal one is 9 (a bar that breaks a limit,
whose flattening order is refused). More means that stages answer each other in a circle."""

RECOMPUTED = (Ask, Belief, Signal)
"""Facts that are not recorded: `titanflow why` computes them again, exactly."""

LINE = ("trade", "gate", "post", "score", "perceive", "decide")
"""The stages in the order in which each fact is offered to them."""

Handle = Callable[[Fact], Sequence[Fact]]


class Part(IntEnum):
    """To which stages a fact goes first."""

    WHOLE = 0
    TRADE = 1
    REST = 2
    """All but trade."""


class Layout(msgspec.Struct, frozen=True):
    """How an arena is cut into shards, and which one this is.

    Contenders and what is theirs go by `core.risk.shares`, instruments round by their index.
    """

    number: int = 0
    of: int = 1
    gates: int = 1
    """Shards of risk."""
    decides: bool = False
    """Whether this is a shard of those who decide: they share nothing that must stay together."""


class Narrow:
    """A stage of one shard: it hears what is its shard's, and what is everybody's."""

    def __init__(self, stage: Stage, is_own: Callable[[Fact], bool]) -> None:
        self._stage, self._is_own = stage, is_own
        self.name, self.consumes = stage.name, stage.consumes
        self.digest, self.dump, self.load = stage.digest, stage.dump, stage.load

    def handle(self, fact: Fact) -> Sequence[Fact]:
        """Take one fact; nothing follows from another shard's."""
        return self._stage.handle(fact) if self._is_own(fact) else ()


class Line:
    """Some stages of one arena: all of them in a simulation, a part of them in a pod.

    `silent` are the types of fact that are delivered inside and not told outside. `asked` collects
    asks, which whoever drives the line takes out and answers.
    """

    def __init__(self, stages: Sequence[Stage], silent: Sequence[type[Fact]] = RECOMPUTED) -> None:
        self.stages = tuple(sorted(stages, key=lambda stage: LINE.index(stage.name)))
        self.asked: list[Ask] = []
        self._silent = frozenset(silent)
        self._routes: tuple[dict[type[Fact], tuple[Handle, ...]], ...] = tuple({} for _ in Part)

    @property
    def consumes(self) -> frozenset[type[Fact]]:
        """Give the types of fact that any of the stages reads."""
        return frozenset[type[Fact]]().union(*(stage.consumes for stage in self.stages))

    def deliver(
        self, fact: Fact, said: list[Fact], depth: int = 0, part: Part = Part.WHOLE
    ) -> None:
        """Offer *fact* to the stages and append what follows to *said*, depth first.

        *part* says to which of them; what follows goes to all.
        Raises: InvariantError if the stages answer each other in a circle.
        """
        if depth > DEPTH_MAX:
            raise InvariantError(f"facts go round in a circle: {fact!r}")
        kind = type(fact)
        handles = self._routes[part].get(kind)
        if handles is None:
            handles = self._route(kind, part)
        for handle in handles:
            for out in handle(fact):
                if type(out) not in self._silent:
                    said.append(out)
                if type(out) is Ask:
                    self.asked.append(out)
                self.deliver(out, said, depth + 1)

    def digests(self) -> tuple[tuple[str, bytes], ...]:
        """Return name and digest of each stage."""
        return tuple((stage.name, stage.digest()) for stage in self.stages)

    def _route(self, kind: type[Fact], part: Part) -> tuple[Handle, ...]:
        handles = tuple(
            stage.handle
            for stage in self.stages
            if kind in stage.consumes
            and (part is Part.WHOLE or (part is Part.TRADE) == (stage.name == "trade"))
        )
        self._routes[part][kind] = handles
        return handles


class Stages:
    """Makes the stages of one arena, each when it is asked for, and wires those that must meet.

    `score` reads the books of `post`, so the two are always made together.
    """

    def __init__(
        self,
        ground: Ground,
        policies: Mapping[str, PolicySpec],
        contenders: Callable[[], Sequence[Contender | None]],
        schema: FeatureSchema,
        layout: Layout = Layout(),  # noqa: B008 - frozen
    ) -> None:
        self.ground, self.layout = ground, layout
        self._policies, self._contenders, self._schema = policies, contenders, schema

    @cached_property
    def trade(self) -> Trade:
        """Give the stage of orders and venues."""
        gates = shares(self.ground, self._policies, self.layout.gates)
        return Trade(
            self.ground,
            members_of(self.ground, self._policies),
            shard=self.layout.number,
            gates=gates,
        )

    @cached_property
    def gate(self) -> Gate:
        """Give the stage of risk."""
        return Gate(self.ground, self._policies, self.layout.number)

    @cached_property
    def post(self) -> Post:
        """Give the stage of books."""
        return Post(self.ground, self.layout.number)

    @cached_property
    def score(self) -> Score:
        """Give the stage of standings."""
        return Score(self.ground, self.post, effective_tiers(self.ground, self._policies))

    @cached_property
    def perceive(self) -> Perceive:
        """Give the stage of beliefs."""
        return Perceive(self.ground, self._schema)

    @cached_property
    def decide(self) -> Decide:
        """Give the stage of contenders."""
        return Decide(self.ground, self._schema, self._contenders())

    def named(self, names: Sequence[str]) -> tuple[Stage, ...]:
        """Return the stages of these names.

        Raises: InvariantError for a name that is none.
        """
        unknown = [name for name in names if name not in LINE]
        if unknown:
            raise InvariantError(f"no stage is called {unknown[0]!r}")
        found: tuple[Stage, ...] = tuple(getattr(self, name) for name in names)
        if self.layout.of == 1:
            return found
        return tuple(Narrow(stage, self._owned(stage.name)) for stage in found)

    @cached_property
    def contenders(self) -> frozenset[str]:
        """Give the names of this shard's contenders."""
        bound: Mapping[str, PolicySpec] = {} if self.layout.decides else self._policies
        mine = shares(self.ground, bound, self.layout.of)
        number = self.layout.number
        return frozenset(e.name for e in self.ground.entrants if mine[e.index] == number)

    @cached_property
    def symbols(self) -> frozenset[str]:
        """Give the symbols of this shard's instruments."""
        number, of = self.layout.number, self.layout.of
        return frozenset(i.symbol for i in self.ground.instruments if i.index % of == number)

    def _owned(self, name: str) -> Callable[[Fact], bool]:
        """Return what says whether a stage of this shard hears a fact.

        A switch about one contender is ruled on by its shard alone; about one that nobody knows, by
        the first.
        """
        mine, symbols = self.contenders, self.symbols
        known = frozenset(entrant.name for entrant in self.ground.entrants)
        is_first = self.layout.number == 0
        traded = symbols | {""}

        def trades(fact: Fact) -> bool:
            return getattr(fact, "symbol", "") in traded

        def keeps(fact: Fact) -> bool:
            if isinstance(fact, KillSwitch) and fact.scope is KillScope.CONTENDER:
                return fact.name in mine or (is_first and fact.name not in known)
            contender = getattr(fact, "contender", "")
            return contender in mine or not contender or (is_first and contender not in known)

        return trades if name == "trade" else keeps


class Arena:
    """The whole line for one ground: takes input facts, returns everything that followed."""

    def __init__(
        self,
        ground: Ground,
        policies: Mapping[str, PolicySpec],
        contenders: Sequence[Contender],
        schema: FeatureSchema,
    ) -> None:
        self.ground = ground
        made = Stages(ground, policies, lambda: contenders, schema)
        self.trade, self.gate, self.post = made.trade, made.gate, made.post
        self.score, self.perceive, self.decide = made.score, made.perceive, made.decide
        self.line = Line(made.named(LINE))
        self.turns = 0

    @property
    def asked(self) -> list[Ask]:
        """Give the asks since the driver last took them; each comes back as an Answer."""
        return self.line.asked

    def open(self, at: int) -> list[Fact]:
        """Return the facts of the opening: every contender's capital is posted."""
        said: list[Fact] = []
        for fact in self.post.open(at):
            said.append(fact)
            self.line.deliver(fact, said)
        return said

    def take(self, fact: Fact) -> list[Fact]:
        """Deliver one input fact; return it and all recorded facts that followed, in order."""
        said = [fact]
        self.line.deliver(fact, said)
        self.turns += 1
        return said

    def checkpoint(self, cause: Fact) -> Checkpoint:
        """Return the digests of all stages, to be compared when the session is replayed."""
        return Checkpoint(
            derive(cause.id, b"arena", self.turns),
            cause.id,
            cause.at,
            cause.seen,
            self.turns,
            self.line.digests(),
        )

    def finish(self, at: int) -> tuple[Standing, ...]:
        """Return the final standings; no fact may be taken after."""
        return self.score.finish(at)
