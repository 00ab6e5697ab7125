"""What does a contender think and wish, and what does risk answer?"""

from __future__ import annotations

import msgspec

from titanflow.core.base.ident import NO_ID, Id
from titanflow.core.facts.fact import Fact
from titanflow.core.spec.words import (
    IntentAction,
    OrderType,
    Origin,
    Outcome,
    Side,
    TimeInForce,
)


class Part(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one input added to a score."""

    name: str
    value: float
    contribution: float


class Explanation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Why a score is what it is: base plus the contributions of the parts, within 1e-9."""

    base: float
    parts: tuple[Part, ...]
    text: str


class Signal(Fact, frozen=True, array_like=True, tag=True, gc=False):
    """A contender's opinion of one instrument. Recomputed on demand, not stored.

    strength is in [-1, 1], confidence in [0, 1]; side HOLD means: leave the position as it is.
    """

    contender: str
    symbol: str
    side: Side
    score: float
    strength: float
    confidence: float
    horizon_seconds: int
    explanation: Explanation


RISK_PREFIX = "risk-"
"""How client order ids of risk's own orders begin; nobody else's may."""


class Intent(Fact, frozen=True, array_like=True, tag=True, gc=False):
    """A wish to place, cancel or replace one order. `cause` is the signal, or risk's own fact.

    `client_order_id` is the contender's name for the order, unique for the contender. Cancel and
    Replace name their order in `target` (a client order id); Replace carries the new quantity and
    limit. `limit_ticks` is 0 for market orders.
    """

    contender: str
    symbol: str
    action: IntentAction
    side: Side
    quantity_lots: int
    order_type: OrderType
    limit_ticks: int
    time_in_force: TimeInForce
    post_only: bool
    client_order_id: str
    target: str
    origin: Origin
    decided_at: int
    """When it was decided; an intent that waited too long is stale."""


class Verdict(Fact, frozen=True, array_like=True, tag=True, gc=False):
    """Risk's answer to one intent (`cause`), with all that is needed to recompute it.

    `reason` is FIX OrdRejReason(103), -1 when allowed; `text` is our own word for it, such as
    MAX_POSITION; `rule` names the check that spoke; `limit` and `actual` are what it compared, in
    the check's own unit. The intent's fields are repeated, so that the desk needs this fact only.
    """

    contender: str
    symbol: str
    outcome: Outcome
    reason: int
    text: str
    rule: str
    limit: int
    actual: int
    action: IntentAction
    side: Side
    quantity_lots: int
    order_type: OrderType
    limit_ticks: int
    time_in_force: TimeInForce
    post_only: bool
    client_order_id: str
    target: str
    origin: Origin
    reference_ticks: int
    """The reference price that the checks used; 0 when there was none."""
    kill_epoch: int
    """The kill epoch at the time of the verdict; the desk refuses an older one."""
    policies: tuple[str, ...] = ()
    """Names of the policies whose merged limits held."""
    signal: Id = NO_ID
    """The signal behind the intent."""


def verdict_on(
    intent: Intent,
    ident: Id,
    outcome: Outcome,
    *,
    reason: int = -1,
    text: str = "",
    rule: str = "",
    limit: int = 0,
    actual: int = 0,
    reference_ticks: int = 0,
    kill_epoch: int = 0,
    policies: tuple[str, ...] = (),
) -> Verdict:
    """Return the verdict on *intent*: what it asks for is repeated in its answer."""
    return Verdict(
        ident,
        intent.id,
        intent.at,
        intent.seen,
        intent.contender,
        intent.symbol,
        outcome,
        reason,
        text,
        rule,
        limit,
        actual,
        intent.action,
        intent.side,
        intent.quantity_lots,
        intent.order_type,
        intent.limit_ticks,
        intent.time_in_force,
        intent.post_only,
        intent.client_order_id,
        intent.target,
        intent.origin,
        reference_ticks,
        kill_epoch,
        policies,
        intent.cause,
    )
