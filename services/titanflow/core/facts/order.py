"""What became of an order? Its birth, its changes, its executions, in FIX 5.0 SP2 words."""

from __future__ import annotations

from titanflow.core.base.ident import Id
from titanflow.core.facts.fact import Fact
from titanflow.core.spec.words import Liquidity, OrderType, OrdStatus, Side, TimeInForce


class Order(Fact, frozen=True, array_like=True, tag=True, gc=False):
    """An instruction to one venue, in state PendingNew; its `id` is the order's name for ever."""

    contender: str
    symbol: str
    client_order_id: str
    side: Side
    order_type: OrderType
    quantity_lots: int
    limit_ticks: int
    time_in_force: TimeInForce
    post_only: bool
    arrives_at: int
    """When it reaches the venue: decision plus latency plus jitter, ns UTC."""


class OrderUpdate(Fact, frozen=True, array_like=True, tag=True, gc=False):
    """A change of an order that is no execution: accepted, replaced, canceled, rejected, expired.

    `exec_type` is FIX ExecType(150) as one letter; `reason` is OrdRejReason(103) for a rejection,
    CxlRejReason(102) where a change was refused (`text` begins with CXL_REJECT and `order` is
    zero), ExecRestatementReason(378) for a cancel nobody asked for, else -1. While the order lives
    quantity = cum + leaves; leaves is 0 once it ended.
    """

    order: Id
    contender: str
    symbol: str
    client_order_id: str
    status: OrdStatus
    exec_type: str
    side: Side
    quantity_lots: int
    limit_ticks: int
    cum_lots: int
    leaves_lots: int
    reason: int
    text: str


class Fill(Fact, frozen=True, array_like=True, tag=True, gc=False):
    """One execution (ExecType F) against an order; `status` is the order's state after it.

    `fee` is in minor units of money and never above zero for the contender's gain except as a
    rebate (negative). `counter` is the other contender's order, or NO_ID for the market.
    """

    order: Id
    contender: str
    symbol: str
    client_order_id: str
    side: Side
    quantity_lots: int
    price_ticks: int
    fee: int
    liquidity: Liquidity
    counter: Id
    status: OrdStatus
    cum_lots: int
    leaves_lots: int
