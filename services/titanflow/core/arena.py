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

from titanflow.core.base.errors import InvariantError
from titanflow.core.base.ident import derive
from titanflow.core.contender.decide import Decide
from titanflow.core.contender.protocol import Contender
from titanflow.core.execution.desk import Trade
from titanflow.core.facts import Belief, Checkpoint, Fact, Signal, Standing
from titanflow.core.ledger.books import Post
from titanflow.core.perception.belief import Perceive
from titanflow.core.perception.features import FeatureSchema
from titanflow.core.risk.gate import Gate
from titanflow.core.scoring.leaderboard import Score
from titanflow.core.spec.ground import Ground
from titanflow.core.spec.policy import PolicySpec
from titanflow.core.spec.words import Tier
from titanflow.core.stage import Stage

DEPTH_MAX = 16
"""Longest chain of facts within one turn; the longest legal one is 9 (a bar that breaks a limit,
whose flattening order is refused). More means that stages answer each other in a circle."""

RECOMPUTED = (Belief, Signal)
"""Facts that are not recorded: `titanflow why` computes them again, exactly."""

Handle = Callable[[Fact], Sequence[Fact]]


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
        self.trade = Trade(ground)
        self.gate = Gate(ground, policies)
        self.post = Post(ground)
        self.score = Score(ground, self.post)
        self.perceive = Perceive(ground, schema)
        self.decide = Decide(ground, schema, contenders)
        self.line: tuple[Stage, ...] = (
            self.trade,
            self.gate,
            self.post,
            self.score,
            self.perceive,
            self.decide,
        )
        self.turns = 0
        self._routes: dict[type[Fact], tuple[Handle, ...]] = {}

    def open(self, at: int) -> list[Fact]:
        """Return the facts of the opening: every contender's capital is posted."""
        said: list[Fact] = []
        for fact in self.post.open(at):
            said.append(fact)
            self._deliver(fact, said, 0)
        return said

    def take(self, fact: Fact) -> list[Fact]:
        """Deliver one input fact; return it and all recorded facts that followed, in order."""
        said = [fact]
        self._deliver(fact, said, 0)
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
            tuple((stage.name, stage.digest()) for stage in self.line),
        )

    def finish(self, at: int) -> tuple[Standing, ...]:
        """Return the final standings; no fact may be taken after."""
        entrants = self.ground.entrants
        tiers: list[Tier] = [self.gate.effective_tier(e.index) for e in entrants]
        return self.score.finish(at, tiers, [self.gate.state(e.index) for e in entrants])

    def _deliver(self, fact: Fact, said: list[Fact], depth: int) -> None:
        if depth > DEPTH_MAX:
            raise InvariantError(f"facts go round in a circle: {fact!r}")
        kind = type(fact)
        handles = self._routes.get(kind)
        if handles is None:
            handles = self._route(kind)
        for handle in handles:
            for out in handle(fact):
                if type(out) not in RECOMPUTED:
                    said.append(out)
                self._deliver(out, said, depth + 1)

    def _route(self, kind: type[Fact]) -> tuple[Handle, ...]:
        handles = tuple(stage.handle for stage in self.line if kind in stage.consumes)
        self._routes[kind] = handles
        return handles
