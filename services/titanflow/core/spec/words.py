"""Which words may a field hold? The enumerations of manifests and facts, in the field's words.

Orders use FIX 5.0 SP2 as shipped in the QuickFIX specification (OrdStatus 39, OrdType 40,
TimeInForce 59, Side 54, OrdRejReason 103, SelfMatchPreventionInstruction 2964).
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Side(IntEnum):
    """Direction of a signal or an order; also the sign of its quantity."""

    BUY = 1
    HOLD = 0
    SELL = -1


class OrderType(StrEnum):
    """OrdType(40)."""

    MARKET = "Market"
    LIMIT = "Limit"


class TimeInForce(StrEnum):
    """TimeInForce(59)."""

    DAY = "Day"
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class IntentAction(StrEnum):
    """What an intent asks for."""

    NEW = "New"
    CANCEL = "Cancel"
    REPLACE = "Replace"


class Origin(StrEnum):
    """Who wishes: a contender, or risk itself (Flatten)."""

    CONTENDER = "Contender"
    RISK = "Risk"


class Outcome(StrEnum):
    """Risk's answer."""

    ALLOW = "Allow"
    DENY = "Deny"


class OrdStatus(StrEnum):
    """OrdStatus(39)."""

    PENDING_NEW = "PendingNew"
    NEW = "New"
    PARTIALLY_FILLED = "PartiallyFilled"
    FILLED = "Filled"
    PENDING_CANCEL = "PendingCancel"
    PENDING_REPLACE = "PendingReplace"
    CANCELED = "Canceled"
    REJECTED = "Rejected"
    EXPIRED = "Expired"


class Liquidity(StrEnum):
    """LastLiquidityInd(851): added or removed."""

    MAKER = "Maker"
    TAKER = "Taker"


class SelfMatchPrevention(StrEnum):
    """SelfMatchPreventionInstruction(2964)."""

    NONE = "None"
    CANCEL_AGGRESSIVE = "CancelAggressive"
    CANCEL_PASSIVE = "CancelPassive"
    CANCEL_BOTH = "CancelBoth"


class CancelRejectReason(IntEnum):
    """FIX CxlRejReason(102), the reasons that we give: why an order could not be changed."""

    UNKNOWN_ORDER = 1
    BROKER_OPTION = 2
    ALREADY_PENDING = 3
    OTHER = 99


class RejectReason(IntEnum):
    """OrdRejReason(103), the values that TitanFlow uses."""

    BROKER_OPTION = 0
    UNKNOWN_SYMBOL = 1
    EXCHANGE_CLOSED = 2
    ORDER_EXCEEDS_LIMIT = 3
    DUPLICATE_ORDER = 6
    STALE_ORDER = 8
    UNSUPPORTED_ORDER_CHARACTERISTIC = 11
    INCORRECT_QUANTITY = 13
    UNKNOWN_ACCOUNT = 15
    PRICE_EXCEEDS_BAND = 16
    INVALID_PRICE_INCREMENT = 18
    REFERENCE_PRICE_NOT_AVAILABLE = 19
    NOTIONAL_EXCEEDS_THRESHOLD = 20
    ALGORITHM_RISK_THRESHOLD = 21
    SHORT_SELL_NOT_PERMITTED = 22
    INSUFFICIENT_CREDIT = 25
    EXCEEDED_CLIP_SIZE = 26
    EXCEEDED_MAX_NOTIONAL = 27
    OTHER = 99


class Tier(StrEnum):
    """A contender's league."""

    CANDIDATE = "Candidate"
    SHADOW = "Shadow"
    PAPER = "Paper"
    LIVE = "Live"
    RETIRED = "Retired"


class TradingState(StrEnum):
    """What a contender may still do."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class KillScope(StrEnum):
    """How far a kill switch reaches."""

    ARENA = "Arena"
    CONTENDER = "Contender"
    INSTRUMENT = "Instrument"
    POLICY = "Policy"


class KillAction(StrEnum):
    """What an engaged kill switch does; later is severer."""

    REJECT_NEW = "RejectNew"
    CANCEL_ALL = "CancelAll"
    FLATTEN = "Flatten"


class BreachAction(StrEnum):
    """What follows a broken portfolio limit, beside refusals; later is severer."""

    REDUCE = "Reduce"
    CANCEL_ALL = "CancelAll"
    FLATTEN = "Flatten"
    KILL = "Kill"


class QueueModel(StrEnum):
    """Where a resting order stands in the market's volume at its price."""

    PRO_RATA = "ProRata"
    OPTIMISTIC = "Optimistic"
    PESSIMISTIC = "Pessimistic"


class LimitFill(StrEnum):
    """When a bar fills a resting limit order."""

    THROUGH = "Through"
    TOUCH = "Touch"


class RecipeKind(StrEnum):
    """What kind of behaviour competes."""

    RULES = "Rules"
    PYTHON = "Python"
    MODEL = "Model"


class OutputKind(StrEnum):
    """What a model's output means."""

    PROBABILITY = "Probability"
    EXPECTED_RETURN = "ExpectedReturn"


class Reply(StrEnum):
    """How an ask was answered; all but OK make the contender hold."""

    OK = "OK"
    TIMEOUT = "TIMEOUT"
    """It took longer than the bundle's limit."""
    REFUSED = "REFUSED"
    """Nobody was asked: the breaker is open, or the bundle is not served here."""
    FAILED = "FAILED"
    """The graph raised an error, or its process ended."""
    INVALID = "INVALID"
    """What came back has the wrong shape or is not finite."""


class RankBy(StrEnum):
    """The measure that ranks."""

    RETURN = "Return"
    SHARPE = "Sharpe"
    SORTINO = "Sortino"
    CALMAR = "Calmar"


class Account(StrEnum):
    """Accounts of each contender's books; debit balances are positive."""

    CAPITAL = "Capital"
    CASH = "Cash"
    INVENTORY = "Inventory"
    REALISED = "Realised"
    FEES = "Fees"
    BORROW = "Borrow"
    DIVIDENDS = "Dividends"


class Occasion(StrEnum):
    """What an entry was posted for."""

    CAPITAL = "Capital"
    FILL = "Fill"
    SPLIT = "Split"
    DIVIDEND = "Dividend"
    BORROW = "Borrow"
