from titanflow.wire.v1 import words_pb2 as _words_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Entry(_message.Message):
    __slots__ = ("id", "cause", "at", "seen", "contender", "debit", "credit", "amount", "currency", "symbol", "quantity_lots", "occasion")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    CONTENDER_FIELD_NUMBER: _ClassVar[int]
    DEBIT_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_LOTS_FIELD_NUMBER: _ClassVar[int]
    OCCASION_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    cause: bytes
    at: int
    seen: int
    contender: str
    debit: _words_pb2.Account
    credit: _words_pb2.Account
    amount: int
    currency: str
    symbol: str
    quantity_lots: int
    occasion: _words_pb2.Occasion
    def __init__(self, id: _Optional[bytes] = ..., cause: _Optional[bytes] = ..., at: _Optional[int] = ..., seen: _Optional[int] = ..., contender: _Optional[str] = ..., debit: _Optional[_Union[_words_pb2.Account, str]] = ..., credit: _Optional[_Union[_words_pb2.Account, str]] = ..., amount: _Optional[int] = ..., currency: _Optional[str] = ..., symbol: _Optional[str] = ..., quantity_lots: _Optional[int] = ..., occasion: _Optional[_Union[_words_pb2.Occasion, str]] = ...) -> None: ...

class Standing(_message.Message):
    __slots__ = ("id", "cause", "at", "seen", "contender", "tier", "rank", "pinned", "note", "equity", "capital", "total_return", "return_low", "return_high", "sharpe", "sortino", "calmar", "volatility", "max_drawdown", "win_rate", "profit_factor", "turnover", "exposure", "fees", "fills", "orders", "refusals", "state")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    CONTENDER_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    EQUITY_FIELD_NUMBER: _ClassVar[int]
    CAPITAL_FIELD_NUMBER: _ClassVar[int]
    TOTAL_RETURN_FIELD_NUMBER: _ClassVar[int]
    RETURN_LOW_FIELD_NUMBER: _ClassVar[int]
    RETURN_HIGH_FIELD_NUMBER: _ClassVar[int]
    SHARPE_FIELD_NUMBER: _ClassVar[int]
    SORTINO_FIELD_NUMBER: _ClassVar[int]
    CALMAR_FIELD_NUMBER: _ClassVar[int]
    VOLATILITY_FIELD_NUMBER: _ClassVar[int]
    MAX_DRAWDOWN_FIELD_NUMBER: _ClassVar[int]
    WIN_RATE_FIELD_NUMBER: _ClassVar[int]
    PROFIT_FACTOR_FIELD_NUMBER: _ClassVar[int]
    TURNOVER_FIELD_NUMBER: _ClassVar[int]
    EXPOSURE_FIELD_NUMBER: _ClassVar[int]
    FEES_FIELD_NUMBER: _ClassVar[int]
    FILLS_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    cause: bytes
    at: int
    seen: int
    contender: str
    tier: str
    rank: int
    pinned: bool
    note: str
    equity: int
    capital: int
    total_return: float
    return_low: float
    return_high: float
    sharpe: float
    sortino: float
    calmar: float
    volatility: float
    max_drawdown: float
    win_rate: float
    profit_factor: float
    turnover: float
    exposure: float
    fees: int
    fills: int
    orders: int
    refusals: int
    state: str
    def __init__(self, id: _Optional[bytes] = ..., cause: _Optional[bytes] = ..., at: _Optional[int] = ..., seen: _Optional[int] = ..., contender: _Optional[str] = ..., tier: _Optional[str] = ..., rank: _Optional[int] = ..., pinned: _Optional[bool] = ..., note: _Optional[str] = ..., equity: _Optional[int] = ..., capital: _Optional[int] = ..., total_return: _Optional[float] = ..., return_low: _Optional[float] = ..., return_high: _Optional[float] = ..., sharpe: _Optional[float] = ..., sortino: _Optional[float] = ..., calmar: _Optional[float] = ..., volatility: _Optional[float] = ..., max_drawdown: _Optional[float] = ..., win_rate: _Optional[float] = ..., profit_factor: _Optional[float] = ..., turnover: _Optional[float] = ..., exposure: _Optional[float] = ..., fees: _Optional[int] = ..., fills: _Optional[int] = ..., orders: _Optional[int] = ..., refusals: _Optional[int] = ..., state: _Optional[str] = ...) -> None: ...
