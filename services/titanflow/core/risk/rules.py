"""Which checks does an order pass, in which order, and what does each say when it refuses?

The numbers are those of `native.gate`, which asks them; the names, FIX reasons and words are here.
The order is that of the table in docs/risk.md. `titanflow why` reads this table.
"""

from __future__ import annotations

import msgspec

from titanflow.core.spec.words import RejectReason as R

KILL_ARENA, KILL_SCOPE, ACCOUNT, INSTRUMENT, CHARACTERISTIC, RISK_ORDER = 1, 2, 3, 4, 11, 37
"""Numbers of the rules that need names, and so are spoken outside the compiled gate too."""


class Rule(msgspec.Struct, frozen=True):
    """One check: its number in the compiled gate, its name, and what a refusal says."""

    number: int
    name: str
    reason: R
    text: str
    unit: str
    """Unit of limit and actual: money (minor units), lots, ticks, bps, ns, count, or none."""
    meaning: str


RULES: tuple[Rule, ...] = (
    Rule(
        1,
        "kill-arena",
        R.EXCHANGE_CLOSED,
        "KILL:Arena",
        "none",
        "no kill switch of the arena is engaged",
    ),
    Rule(
        2,
        "kill-scope",
        R.BROKER_OPTION,
        "KILL",
        "none",
        "no kill switch of the contender, a policy or the instrument is engaged",
    ),
    Rule(
        3,
        "account",
        R.UNKNOWN_ACCOUNT,
        "ACCOUNT",
        "none",
        "the contender is in tier Paper and a policy selects it",
    ),
    Rule(
        4,
        "instrument",
        R.UNKNOWN_SYMBOL,
        "RESTRICTED",
        "none",
        "the contender may trade the instrument",
    ),
    Rule(
        5,
        "duplicate",
        R.DUPLICATE_ORDER,
        "DUPLICATE",
        "none",
        "neither the id nor the same order was sent before",
    ),
    Rule(6, "stale-intent", R.STALE_ORDER, "STALE", "ns", "the intent is fresh"),
    Rule(7, "rate", R.OTHER, "THROTTLE", "count", "messages of the burst that the rate refills"),
    Rule(8, "per-day", R.OTHER, "THROTTLE", "count", "messages in the session day"),
    Rule(9, "order-ratio", R.OTHER, "ORDER_RATIO", "count", "orders for each fill"),
    Rule(10, "group-rate", R.OTHER, "THROTTLE", "count", "messages a second of all together"),
    Rule(
        11,
        "characteristic",
        R.UNSUPPORTED_ORDER_CHARACTERISTIC,
        "UNSUPPORTED",
        "none",
        "order type and time in force are allowed",
    ),
    Rule(
        12,
        "quantity",
        R.INCORRECT_QUANTITY,
        "QUANTITY",
        "lots",
        "the quantity is positive and within the venue's and the policy's bounds",
    ),
    Rule(
        13,
        "price",
        R.INVALID_PRICE_INCREMENT,
        "PRICE",
        "ticks",
        "a limit order has a positive price, a market order none",
    ),
    Rule(
        14,
        "reference",
        R.REFERENCE_PRICE_NOT_AVAILABLE,
        "REFERENCE",
        "ns",
        "there is a fresh reference price",
    ),
    Rule(
        15,
        "collar",
        R.PRICE_EXCEEDS_BAND,
        "COLLAR",
        "bps",
        "the limit price is near the reference price",
    ),
    Rule(
        16,
        "min-notional",
        R.INCORRECT_QUANTITY,
        "MIN_NOTIONAL",
        "money",
        "the order is worth enough",
    ),
    Rule(
        17,
        "clip-size",
        R.EXCEEDED_CLIP_SIZE,
        "CLIP_SIZE",
        "lots",
        "the order's quantity is not too large (fat finger)",
    ),
    Rule(
        18,
        "max-notional",
        R.EXCEEDED_MAX_NOTIONAL,
        "MAX_NOTIONAL",
        "money",
        "the order's value is not too large (fat finger)",
    ),
    Rule(
        19,
        "open-orders",
        R.ORDER_EXCEEDS_LIMIT,
        "MAX_NUM_ORDERS",
        "count",
        "not too many orders are open",
    ),
    Rule(
        20,
        "position-lots",
        R.ORDER_EXCEEDS_LIMIT,
        "MAX_POSITION",
        "lots",
        "the position, open orders included, is not too large in lots",
    ),
    Rule(
        21,
        "position-notional",
        R.ORDER_EXCEEDS_LIMIT,
        "MAX_POSITION",
        "money",
        "the position, open orders included, is not worth too much",
    ),
    Rule(
        22,
        "concentration",
        R.ORDER_EXCEEDS_LIMIT,
        "CONCENTRATION",
        "money",
        "not too much of the equity is in one instrument",
    ),
    Rule(23, "gross", R.ORDER_EXCEEDS_LIMIT, "GROSS", "money", "gross exposure"),
    Rule(24, "net", R.ORDER_EXCEEDS_LIMIT, "NET", "money", "net exposure"),
    Rule(
        25,
        "turnover",
        R.ORDER_EXCEEDS_LIMIT,
        "TURNOVER",
        "money",
        "value traded in the session day",
    ),
    Rule(26, "cash", R.INSUFFICIENT_CREDIT, "CASH", "money", "free cash pays for the order"),
    Rule(
        27,
        "leverage",
        R.INSUFFICIENT_CREDIT,
        "LEVERAGE",
        "money",
        "equity carries the gross exposure",
    ),
    Rule(28, "short", R.SHORT_SELL_NOT_PERMITTED, "SHORT", "lots", "short selling is permitted"),
    Rule(
        31,
        "runaway",
        R.BROKER_OPTION,
        "RUNAWAY",
        "none",
        "the contender is not halted for too many refusals",
    ),
    Rule(
        29,
        "daily-loss",
        R.ALGORITHM_RISK_THRESHOLD,
        "DAILY_LOSS",
        "money",
        "the contender is not halted for the loss of the day",
    ),
    Rule(
        30,
        "drawdown",
        R.ALGORITHM_RISK_THRESHOLD,
        "DRAWDOWN",
        "bps",
        "the contender is neither reducing nor halted for its drawdown",
    ),
    Rule(
        32,
        "group-gross",
        R.NOTIONAL_EXCEEDS_THRESHOLD,
        "HOUSE_GROSS",
        "money",
        "gross exposure of all together",
    ),
    Rule(
        33,
        "group-net",
        R.NOTIONAL_EXCEEDS_THRESHOLD,
        "HOUSE_NET",
        "money",
        "net exposure of all together",
    ),
    Rule(
        34,
        "group-instrument",
        R.NOTIONAL_EXCEEDS_THRESHOLD,
        "HOUSE_INSTRUMENT",
        "money",
        "exposure of all together in the instrument",
    ),
    Rule(35, "reduces", R.OTHER, "NOT_REDUCING", "lots", "risk's own order reduces a position"),
    Rule(
        37,
        "risk-order",
        R.OTHER,
        "ORDER_OF_RISK",
        "none",
        "an order of risk itself is for nobody else to change",
    ),
    Rule(36, "range", R.OTHER, "INTERNAL", "money", "the value fits the books"),
)

BY_NUMBER = {rule.number: rule for rule in RULES}
