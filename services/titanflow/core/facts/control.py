"""Who stopped what, and in which state is trading? Kill switches, trading states, checkpoints."""

from __future__ import annotations

from titanflow.core.facts.fact import Fact
from titanflow.core.spec.words import KillAction, KillScope, TradingState


class KillSwitch(Fact, frozen=True, array_like=True, tag=True, gc=False):
    """A request to engage or release a kill switch (an input).

    Scope Arena has an empty name, Contender and Policy name one, Instrument names a symbol.
    `instruments` narrows an Arena or Contender switch to some symbols; empty means all. Release
    needs a `reset_token` that sorts after the last one and a `by` other than the one who engaged.
    """

    scope: KillScope
    name: str
    engaged: bool
    instruments: tuple[str, ...]
    action: KillAction
    reason: str
    by: str
    reset_token: str


class KillRuling(Fact, frozen=True, array_like=True, tag=True, gc=False):
    """What came of a KillSwitch request (`cause`): accepted or refused, why, and the new epoch.

    Where risk is cut into shards each rules for its own contenders and counts its own epochs;
    `shard` says which one this is.
    """

    scope: KillScope
    name: str
    accepted: bool
    engaged: bool
    text: str
    epoch: int
    shard: int = 0


class StateChange(Fact, frozen=True, array_like=True, tag=True, gc=False):
    """A contender's trading state changed: ACTIVE, REDUCING or HALTED, and which limit did it."""

    contender: str
    former: TradingState
    state: TradingState
    text: str
    limit: int
    actual: int


class CancelOrders(Fact, frozen=True, array_like=True, tag=True, gc=False):
    """Risk orders the desk to cancel resting orders at once, without latency.

    An empty contender or symbol means all of them. `text` goes into each order's update.
    """

    contender: str
    symbol: str
    text: str


class Lapse(Fact, frozen=True, array_like=True, tag=True, gc=False):
    """In one pod the lease of governance went stale, or is fresh again (an input of that pod).

    Without a fresh lease nothing new passes and resting orders are cancelled; it is no kill switch:
    a fresh lease ends it.
    """

    pod: str
    stale: bool


class Checkpoint(Fact, frozen=True, array_like=True, tag=True, gc=False):
    """The digest of every stage's state after a number of turns: replay must find the same."""

    turn: int
    digests: tuple[tuple[str, bytes], ...]
