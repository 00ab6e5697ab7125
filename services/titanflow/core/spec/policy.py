"""What is a RiskPolicy? The law a contender trades under: whom it binds, and what it demands.

All policies that select a contender hold at once and the strictest value of each field wins
(`risk.policy` merges them). Fields follow the custom resource RiskPolicy; an unset limit says
nothing. Money is in the policy's currency, as decimal strings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from titanflow.core.base.fixed import parse_decimal
from titanflow.core.spec.common import REQUIRED, Rule, SpecModel, field_of
from titanflow.core.spec.selector import SelectorSpec
from titanflow.core.spec.shape import (
    DISTINCT,
    Currency,
    DecimalString,
    Keyed,
    Symbol,
    exceeds,
)
from titanflow.core.spec.switch import KillSwitchSpec
from titanflow.core.spec.words import BreachAction, OrderType, TimeInForce

_MONEY = "as a decimal string"


def _ordered(*pairs: tuple[str, str]) -> tuple[Rule, ...]:
    """Return the rules that of each pair of amounts the first must not exceed the second."""
    return tuple(_order(low, high) for low, high in pairs)


def _order(low: str, high: str) -> Rule:
    def broken(model: SpecModel) -> bool:
        return _exceeds(field_of(model, low), field_of(model, high))

    return Rule(
        f"!has(self.{low}) || !has(self.{high}) || !{exceeds(f'self.{low}', f'self.{high}')}",
        f"{low} must not exceed {high}",
        low,
        broken=broken,
    )


def _exceeds(low: str | None, high: str | None) -> bool:
    return low is not None and high is not None and parse_decimal(low) > parse_decimal(high)


def _needs(field: str, other: str) -> Rule:
    def broken(model: SpecModel) -> bool:
        return field_of(model, field) is not None and field_of(model, other) is None

    return Rule(
        f"!has(self.{field}) || has(self.{other})",
        f"{field} needs {other}",
        field,
        REQUIRED,
        broken,
    )


_ORDERS = _ordered(
    ("minOrderQuantity", "maxOrderQuantity"),
    ("minOrderNotional", "maxOrderNotional"),
    ("maxOrderNotional", "maxPositionNotional"),
    ("maxOrderQuantity", "maxPositionQuantity"),
)


def _amount(text: str) -> Any:
    return Field(default=None, description=f"{text} Default: says nothing.")


def _number(text: str, low: int, high: int) -> Any:
    return Field(default=None, ge=low, le=high, description=f"{text} Default: says nothing.")


class OrderLimitsSpec(SpecModel):
    """Limits on one order and one position; they may be set for single instruments too."""

    min_order_quantity: DecimalString | None = _amount(
        f"Smallest order, in units of the instrument, {_MONEY}. Refused: 13 IncorrectQuantity."
    )
    max_order_quantity: DecimalString | None = _amount(
        f"Largest order, in units of the instrument, {_MONEY} (fat finger). "
        "Refused: 26 ExceededClipSizeLimit."
    )
    min_order_notional: DecimalString | None = _amount(
        f"Smallest order value, {_MONEY}. Refused: 13 IncorrectQuantity, MIN_NOTIONAL."
    )
    max_order_notional: DecimalString | None = _amount(
        f"Largest order value, {_MONEY} (fat finger). Refused: 27 ExceededMaxNotionalOrderAmt."
    )
    price_collar_bps: int | None = _number(
        "Largest distance of a limit price from the reference price, in basis points. "
        "Refused: 16 PriceExceedsCurrentPriceBand.",
        1,
        10_000,
    )
    max_reference_age_seconds: int | None = _number(
        "Oldest reference price, in seconds of event time; an older or missing one refuses every "
        "order. Refused: 19 ReferencePriceNotAvailable.",
        1,
        31_536_000,
    )
    max_position_quantity: DecimalString | None = _amount(
        "Largest position on either side, open orders included, in units of the instrument, "
        f"{_MONEY}. Refused: 3 OrderExceedsLimit, MAX_POSITION."
    )
    max_position_notional: DecimalString | None = _amount(
        f"Largest position on either side, open orders included, in money, {_MONEY}. "
        "Refused: 3 OrderExceedsLimit, MAX_POSITION."
    )
    max_concentration_bps: int | None = _number(
        "Largest part of equity in one instrument, open orders included, in basis points. "
        "Refused: 3 OrderExceedsLimit, CONCENTRATION.",
        1,
        100_000,
    )
    allow_short: bool | None = Field(
        default=None,
        description="false forbids short positions. Refused: 22 ShortSellNotPermitted. Default: "
        "says nothing; the arena's borrow.allowed holds.",
    )


class InstrumentLimitsSpec(OrderLimitsSpec):
    """Limits of one instrument, in place of the same fields of limits, in this policy only."""

    not_built: ClassVar[frozenset[str]] = frozenset({"maxOrdersPerSecond", "maxOpenOrders"})
    constraints: ClassVar[tuple[Rule, ...]] = _ORDERS

    symbol: Symbol = Field(description="Symbol of the Arena.")
    tradable: bool = Field(
        default=True,
        description="false forbids the instrument (restricted list). Refused: 1 UnknownSymbol. "
        "Default: true.",
    )


def _reduces_late(limits: LimitsSpec) -> bool:
    reduce, halt = limits.reduce_at_drawdown_bps, limits.max_drawdown_bps
    return reduce is not None and halt is not None and reduce >= halt


class LimitsSpec(OrderLimitsSpec):
    """Limits of each selected contender."""

    not_built: ClassVar[frozenset[str]] = frozenset(
        {
            "maxLagSeconds",
            "valueAtRisk",
            "stopLossBps",
            "takeProfitBps",
            "sizeByRegime",
            "minLiquidationDistanceBps",
            "maxThinkingCostPerDay",
            "explorationBudgetBps",
            "explorationEveryDecisions",
        }
    )
    words_not_built: ClassVar[Mapping[str, frozenset[str]]] = {
        "orderTypes": frozenset({"Stop", "StopLimit", "TrailingStop"}),
        "timeInForce": frozenset({"GTD"}),
    }
    says_something: ClassVar[bool] = True
    constraints: ClassVar[tuple[Rule, ...]] = (
        *_ORDERS,
        *_ordered(
            ("maxOrderNotional", "maxGrossExposure"),
            ("maxPositionNotional", "maxGrossExposure"),
            ("maxNetExposure", "maxGrossExposure"),
        ),
        Rule(
            "!has(self.reduceAtDrawdownBps) || !has(self.maxDrawdownBps) || "
            "self.reduceAtDrawdownBps < self.maxDrawdownBps",
            "reduceAtDrawdownBps must be below maxDrawdownBps",
            "reduceAtDrawdownBps",
            broken=_reduces_late,
        ),
        _needs("maxOrderBurst", "maxOrdersPerSecond"),
        _needs("refusalWindowSeconds", "haltAfterRefusals"),
    )

    max_open_orders: int | None = _number(
        "Most open orders of the contender. Refused: 3 OrderExceedsLimit, MAX_NUM_ORDERS.",
        1,
        1_000_000,
    )
    max_intent_age_seconds: int | None = _number(
        "Oldest order, in seconds of event time, from the decision to the last bar of the arena "
        "that risk has heard when it arrives. In a simulation and in lock step none is late; at a "
        "speed, one may be. Refused: 8 StaleOrder, STALE.",
        1,
        86_400,
    )
    duplicate_window_seconds: int | None = _number(
        "An order with the instrument, side, quantity and price of one sent within this many "
        "seconds is refused: 6 DuplicateOrder. A reused id is always refused.",
        1,
        86_400,
    )
    max_orders_per_second: int | None = _number(
        "Most orders, replaces and cancels in a second (refill of the token bucket). "
        "Refused: 99 Other, THROTTLE.",
        1,
        1_000_000,
    )
    max_order_burst: int | None = _number(
        "Size of the token bucket: most orders at once; without it, maxOrdersPerSecond.",
        1,
        1_000_000,
    )
    max_orders_per_day: int | None = _number(
        "Most orders, replaces and cancels in a session day. Refused: 99 Other, THROTTLE.",
        1,
        100_000_000,
    )
    max_orders_per_fill: int | None = _number(
        "Most orders for each fill, over the session day and after the first 100 "
        "(order-to-trade ratio). Refused: 99 Other, ORDER_RATIO.",
        1,
        100_000,
    )
    halt_after_refusals: int | None = _number(
        "Refusals within refusalWindowSeconds that stop the contender until a kill switch of it "
        "is released (runaway protection).",
        1,
        1_000_000,
    )
    refusal_window_seconds: int | None = _number(
        "Seconds for haltAfterRefusals; without it, 60.", 1, 31_536_000
    )
    order_types: Annotated[tuple[OrderType, ...] | None, DISTINCT] = Field(
        default=None,
        min_length=1,
        max_length=5,
        description="Order types that are allowed (FIX 40). Refused: 11 "
        "UnsupportedOrderCharacteristic. Default: says nothing.",
    )
    time_in_force: Annotated[tuple[TimeInForce, ...] | None, DISTINCT] = Field(
        default=None,
        min_length=1,
        max_length=5,
        description="Times in force that are allowed (FIX 59). Refused: 11 "
        "UnsupportedOrderCharacteristic. Default: says nothing.",
    )
    max_gross_exposure: DecimalString | None = _amount(
        f"Most long plus short value, open orders at their worst, {_MONEY}. "
        "Refused: 3 OrderExceedsLimit, GROSS."
    )
    max_net_exposure: DecimalString | None = _amount(
        "Most long minus short value on either side, open orders at their worst, "
        f"{_MONEY}. Refused: 3 OrderExceedsLimit, NET."
    )
    max_leverage_bps: int | None = _number(
        "Most gross exposure, in basis points of equity: 10000 is one time, which also holds "
        "without it. Refused: 25 InsufficientCreditLimit.",
        1,
        10_000,
    )
    min_free_cash: DecimalString | None = _amount(
        f"Cash that must stay free of positions and reservations, {_MONEY}. "
        "Refused: 25 InsufficientCreditLimit."
    )
    max_turnover_bps_per_day: int | None = _number(
        "Most traded value in a session day, in basis points of equity. "
        "Refused: 3 OrderExceedsLimit, TURNOVER.",
        1,
        10_000_000,
    )
    max_daily_loss: DecimalString | None = _amount(
        f"Loss of a session day, {_MONEY}, realised and not, costs included, at which the "
        "contender is HALTED until the next day. Refused: 21 AlgorithmRiskThresholdBreached."
    )
    reduce_at_drawdown_bps: int | None = _number(
        "Fall from the equity peak, in basis points, at which the contender is REDUCING: only "
        "orders that reduce a position pass. Refused: 21 AlgorithmRiskThresholdBreached.",
        1,
        10_000,
    )
    max_drawdown_bps: int | None = _number(
        "Fall from the equity peak, in basis points, at which the contender is HALTED and "
        "onBreach applies. Refused: 21 AlgorithmRiskThresholdBreached.",
        1,
        10_000,
    )


class AggregateSpec(SpecModel):
    """Limits of all selected contenders together (the house)."""

    not_built: ClassVar[frozenset[str]] = frozenset({"correlated"})
    says_something: ClassVar[bool] = True
    constraints: ClassVar[tuple[Rule, ...]] = _ordered(
        ("maxNetExposure", "maxGrossExposure"),
        ("maxInstrumentExposure", "maxGrossExposure"),
    )

    max_gross_exposure: DecimalString | None = _amount(
        f"Most long plus short value of all, open orders at their worst, {_MONEY}. "
        "Refused: 20 NotionalValueExceedsThreshold."
    )
    max_net_exposure: DecimalString | None = _amount(
        f"Most long minus short value of all on either side, {_MONEY}. "
        "Refused: 20 NotionalValueExceedsThreshold."
    )
    max_instrument_exposure: DecimalString | None = _amount(
        f"Most value of all in one instrument on either side, {_MONEY}. "
        "Refused: 20 NotionalValueExceedsThreshold."
    )
    max_daily_loss: DecimalString | None = _amount(
        f"Loss of all in a session day, {_MONEY}, at which all are HALTED until the next."
    )
    max_orders_per_second: int | None = _number(
        "Most orders, replaces and cancels of all in a second. Refused: 99 Other, THROTTLE.",
        1,
        1_000_000,
    )


def _order_beyond_the_house(policy: PolicySpec) -> bool:
    house = policy.aggregate.max_gross_exposure if policy.aggregate is not None else None
    return _exceeds(policy.limits.max_order_notional, house)


class PolicySpec(SpecModel):
    """The law a contender trades under; of several, the strictest value of each field wins."""

    not_built: ClassVar[frozenset[str]] = frozenset({"schedule"})
    words_not_built: ClassVar[Mapping[str, frozenset[str]]] = {"enforcement": frozenset({"DryRun"})}
    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.aggregate) || !has(self.aggregate.maxGrossExposure) || "
            "!has(self.limits.maxOrderNotional) || !"
            + exceeds("self.limits.maxOrderNotional", "self.aggregate.maxGrossExposure"),
            "limits.maxOrderNotional must not exceed aggregate.maxGrossExposure",
            "limits.maxOrderNotional",
            broken=_order_beyond_the_house,
        ),
    )

    display_name: str | None = Field(
        default=None, max_length=80, description="Name for people. Default: the object's name."
    )
    selector: SelectorSpec = Field(
        description="Contenders that the policy binds; {} binds all of them."
    )
    currency: Currency | None = Field(
        default=None,
        description="Currency of all money here. A contender whose arena has another is refused "
        "every order (fail closed). Default: the arena's currency.",
    )
    enforcement: Literal["Enforce"] = Field(
        default="Enforce", description="Enforce refuses. Default: Enforce."
    )
    limits: LimitsSpec = Field(description="Limits of each selected contender.")
    instruments: Annotated[tuple[InstrumentLimitsSpec, ...], Keyed("symbol")] = Field(
        default=(),
        max_length=256,
        description="Limits for single instruments; a value here takes the place of the same "
        "field of limits, in this policy only. Default: none.",
    )
    aggregate: AggregateSpec | None = Field(
        default=None,
        description="Limits of all selected contenders together. Default: none.",
    )
    on_breach: BreachAction = Field(
        default=BreachAction.REDUCE,
        description="What happens, beside refusing orders, when prices break a limit of a whole "
        "portfolio (daily loss, drawdown). Reduce: orders that reduce a position still pass. "
        "CancelAll: cancels resting orders. Flatten: also closes positions. Kill: latches the "
        "kill switch. Default: Reduce.",
    )
    kill_switch: KillSwitchSpec = Field(
        default_factory=KillSwitchSpec,
        description="Stops trading of all selected contenders at once and stays latched. "
        "Default: not engaged.",
    )
