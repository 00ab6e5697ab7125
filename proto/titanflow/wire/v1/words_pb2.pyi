from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class Side(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIDE_UNSPECIFIED: _ClassVar[Side]
    SIDE_BUY: _ClassVar[Side]
    SIDE_HOLD: _ClassVar[Side]
    SIDE_SELL: _ClassVar[Side]

class IntentAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INTENT_ACTION_UNSPECIFIED: _ClassVar[IntentAction]
    INTENT_ACTION_NEW: _ClassVar[IntentAction]
    INTENT_ACTION_CANCEL: _ClassVar[IntentAction]
    INTENT_ACTION_REPLACE: _ClassVar[IntentAction]

class OrderType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORDER_TYPE_UNSPECIFIED: _ClassVar[OrderType]
    ORDER_TYPE_MARKET: _ClassVar[OrderType]
    ORDER_TYPE_LIMIT: _ClassVar[OrderType]

class TimeInForce(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIME_IN_FORCE_UNSPECIFIED: _ClassVar[TimeInForce]
    TIME_IN_FORCE_DAY: _ClassVar[TimeInForce]
    TIME_IN_FORCE_GTC: _ClassVar[TimeInForce]
    TIME_IN_FORCE_IOC: _ClassVar[TimeInForce]
    TIME_IN_FORCE_FOK: _ClassVar[TimeInForce]

class Origin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORIGIN_UNSPECIFIED: _ClassVar[Origin]
    ORIGIN_CONTENDER: _ClassVar[Origin]
    ORIGIN_RISK: _ClassVar[Origin]

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_ALLOW: _ClassVar[Outcome]
    OUTCOME_DENY: _ClassVar[Outcome]

class OrdStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORD_STATUS_UNSPECIFIED: _ClassVar[OrdStatus]
    ORD_STATUS_PENDING_NEW: _ClassVar[OrdStatus]
    ORD_STATUS_NEW: _ClassVar[OrdStatus]
    ORD_STATUS_PARTIALLY_FILLED: _ClassVar[OrdStatus]
    ORD_STATUS_FILLED: _ClassVar[OrdStatus]
    ORD_STATUS_PENDING_CANCEL: _ClassVar[OrdStatus]
    ORD_STATUS_PENDING_REPLACE: _ClassVar[OrdStatus]
    ORD_STATUS_CANCELED: _ClassVar[OrdStatus]
    ORD_STATUS_REJECTED: _ClassVar[OrdStatus]
    ORD_STATUS_EXPIRED: _ClassVar[OrdStatus]

class Liquidity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LIQUIDITY_UNSPECIFIED: _ClassVar[Liquidity]
    LIQUIDITY_MAKER: _ClassVar[Liquidity]
    LIQUIDITY_TAKER: _ClassVar[Liquidity]

class Account(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACCOUNT_UNSPECIFIED: _ClassVar[Account]
    ACCOUNT_CAPITAL: _ClassVar[Account]
    ACCOUNT_CASH: _ClassVar[Account]
    ACCOUNT_INVENTORY: _ClassVar[Account]
    ACCOUNT_REALISED: _ClassVar[Account]
    ACCOUNT_FEES: _ClassVar[Account]
    ACCOUNT_BORROW: _ClassVar[Account]
    ACCOUNT_DIVIDENDS: _ClassVar[Account]

class Occasion(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OCCASION_UNSPECIFIED: _ClassVar[Occasion]
    OCCASION_CAPITAL: _ClassVar[Occasion]
    OCCASION_FILL: _ClassVar[Occasion]
    OCCASION_SPLIT: _ClassVar[Occasion]
    OCCASION_DIVIDEND: _ClassVar[Occasion]
    OCCASION_BORROW: _ClassVar[Occasion]

class KillScope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KILL_SCOPE_UNSPECIFIED: _ClassVar[KillScope]
    KILL_SCOPE_ARENA: _ClassVar[KillScope]
    KILL_SCOPE_CONTENDER: _ClassVar[KillScope]
    KILL_SCOPE_INSTRUMENT: _ClassVar[KillScope]
    KILL_SCOPE_POLICY: _ClassVar[KillScope]

class KillAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KILL_ACTION_UNSPECIFIED: _ClassVar[KillAction]
    KILL_ACTION_REJECT_NEW: _ClassVar[KillAction]
    KILL_ACTION_CANCEL_ALL: _ClassVar[KillAction]
    KILL_ACTION_FLATTEN: _ClassVar[KillAction]

class TradingState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRADING_STATE_UNSPECIFIED: _ClassVar[TradingState]
    TRADING_STATE_ACTIVE: _ClassVar[TradingState]
    TRADING_STATE_REDUCING: _ClassVar[TradingState]
    TRADING_STATE_HALTED: _ClassVar[TradingState]

class Reply(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPLY_UNSPECIFIED: _ClassVar[Reply]
    REPLY_OK: _ClassVar[Reply]
    REPLY_TIMEOUT: _ClassVar[Reply]
    REPLY_REFUSED: _ClassVar[Reply]
    REPLY_FAILED: _ClassVar[Reply]
    REPLY_INVALID: _ClassVar[Reply]
SIDE_UNSPECIFIED: Side
SIDE_BUY: Side
SIDE_HOLD: Side
SIDE_SELL: Side
INTENT_ACTION_UNSPECIFIED: IntentAction
INTENT_ACTION_NEW: IntentAction
INTENT_ACTION_CANCEL: IntentAction
INTENT_ACTION_REPLACE: IntentAction
ORDER_TYPE_UNSPECIFIED: OrderType
ORDER_TYPE_MARKET: OrderType
ORDER_TYPE_LIMIT: OrderType
TIME_IN_FORCE_UNSPECIFIED: TimeInForce
TIME_IN_FORCE_DAY: TimeInForce
TIME_IN_FORCE_GTC: TimeInForce
TIME_IN_FORCE_IOC: TimeInForce
TIME_IN_FORCE_FOK: TimeInForce
ORIGIN_UNSPECIFIED: Origin
ORIGIN_CONTENDER: Origin
ORIGIN_RISK: Origin
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_ALLOW: Outcome
OUTCOME_DENY: Outcome
ORD_STATUS_UNSPECIFIED: OrdStatus
ORD_STATUS_PENDING_NEW: OrdStatus
ORD_STATUS_NEW: OrdStatus
ORD_STATUS_PARTIALLY_FILLED: OrdStatus
ORD_STATUS_FILLED: OrdStatus
ORD_STATUS_PENDING_CANCEL: OrdStatus
ORD_STATUS_PENDING_REPLACE: OrdStatus
ORD_STATUS_CANCELED: OrdStatus
ORD_STATUS_REJECTED: OrdStatus
ORD_STATUS_EXPIRED: OrdStatus
LIQUIDITY_UNSPECIFIED: Liquidity
LIQUIDITY_MAKER: Liquidity
LIQUIDITY_TAKER: Liquidity
ACCOUNT_UNSPECIFIED: Account
ACCOUNT_CAPITAL: Account
ACCOUNT_CASH: Account
ACCOUNT_INVENTORY: Account
ACCOUNT_REALISED: Account
ACCOUNT_FEES: Account
ACCOUNT_BORROW: Account
ACCOUNT_DIVIDENDS: Account
OCCASION_UNSPECIFIED: Occasion
OCCASION_CAPITAL: Occasion
OCCASION_FILL: Occasion
OCCASION_SPLIT: Occasion
OCCASION_DIVIDEND: Occasion
OCCASION_BORROW: Occasion
KILL_SCOPE_UNSPECIFIED: KillScope
KILL_SCOPE_ARENA: KillScope
KILL_SCOPE_CONTENDER: KillScope
KILL_SCOPE_INSTRUMENT: KillScope
KILL_SCOPE_POLICY: KillScope
KILL_ACTION_UNSPECIFIED: KillAction
KILL_ACTION_REJECT_NEW: KillAction
KILL_ACTION_CANCEL_ALL: KillAction
KILL_ACTION_FLATTEN: KillAction
TRADING_STATE_UNSPECIFIED: TradingState
TRADING_STATE_ACTIVE: TradingState
TRADING_STATE_REDUCING: TradingState
TRADING_STATE_HALTED: TradingState
REPLY_UNSPECIFIED: Reply
REPLY_OK: Reply
REPLY_TIMEOUT: Reply
REPLY_REFUSED: Reply
REPLY_FAILED: Reply
REPLY_INVALID: Reply
