from titanflow.wire.v1 import words_pb2 as _words_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Order(_message.Message):
    __slots__ = ("id", "cause", "at", "seen", "contender", "symbol", "client_order_id", "side", "order_type", "quantity_lots", "limit_ticks", "time_in_force", "post_only", "arrives_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    CONTENDER_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    ORDER_TYPE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_LOTS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_TICKS_FIELD_NUMBER: _ClassVar[int]
    TIME_IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    POST_ONLY_FIELD_NUMBER: _ClassVar[int]
    ARRIVES_AT_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    cause: bytes
    at: int
    seen: int
    contender: str
    symbol: str
    client_order_id: str
    side: _words_pb2.Side
    order_type: _words_pb2.OrderType
    quantity_lots: int
    limit_ticks: int
    time_in_force: _words_pb2.TimeInForce
    post_only: bool
    arrives_at: int
    def __init__(self, id: _Optional[bytes] = ..., cause: _Optional[bytes] = ..., at: _Optional[int] = ..., seen: _Optional[int] = ..., contender: _Optional[str] = ..., symbol: _Optional[str] = ..., client_order_id: _Optional[str] = ..., side: _Optional[_Union[_words_pb2.Side, str]] = ..., order_type: _Optional[_Union[_words_pb2.OrderType, str]] = ..., quantity_lots: _Optional[int] = ..., limit_ticks: _Optional[int] = ..., time_in_force: _Optional[_Union[_words_pb2.TimeInForce, str]] = ..., post_only: _Optional[bool] = ..., arrives_at: _Optional[int] = ...) -> None: ...

class OrderUpdate(_message.Message):
    __slots__ = ("id", "cause", "at", "seen", "order", "contender", "symbol", "client_order_id", "status", "exec_type", "side", "quantity_lots", "limit_ticks", "cum_lots", "leaves_lots", "reason", "text")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    CONTENDER_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    EXEC_TYPE_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_LOTS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_TICKS_FIELD_NUMBER: _ClassVar[int]
    CUM_LOTS_FIELD_NUMBER: _ClassVar[int]
    LEAVES_LOTS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    cause: bytes
    at: int
    seen: int
    order: bytes
    contender: str
    symbol: str
    client_order_id: str
    status: _words_pb2.OrdStatus
    exec_type: str
    side: _words_pb2.Side
    quantity_lots: int
    limit_ticks: int
    cum_lots: int
    leaves_lots: int
    reason: int
    text: str
    def __init__(self, id: _Optional[bytes] = ..., cause: _Optional[bytes] = ..., at: _Optional[int] = ..., seen: _Optional[int] = ..., order: _Optional[bytes] = ..., contender: _Optional[str] = ..., symbol: _Optional[str] = ..., client_order_id: _Optional[str] = ..., status: _Optional[_Union[_words_pb2.OrdStatus, str]] = ..., exec_type: _Optional[str] = ..., side: _Optional[_Union[_words_pb2.Side, str]] = ..., quantity_lots: _Optional[int] = ..., limit_ticks: _Optional[int] = ..., cum_lots: _Optional[int] = ..., leaves_lots: _Optional[int] = ..., reason: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class Fill(_message.Message):
    __slots__ = ("id", "cause", "at", "seen", "order", "contender", "symbol", "client_order_id", "side", "quantity_lots", "price_ticks", "fee", "liquidity", "counter", "status", "cum_lots", "leaves_lots")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    CONTENDER_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_LOTS_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    FEE_FIELD_NUMBER: _ClassVar[int]
    LIQUIDITY_FIELD_NUMBER: _ClassVar[int]
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CUM_LOTS_FIELD_NUMBER: _ClassVar[int]
    LEAVES_LOTS_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    cause: bytes
    at: int
    seen: int
    order: bytes
    contender: str
    symbol: str
    client_order_id: str
    side: _words_pb2.Side
    quantity_lots: int
    price_ticks: int
    fee: int
    liquidity: _words_pb2.Liquidity
    counter: bytes
    status: _words_pb2.OrdStatus
    cum_lots: int
    leaves_lots: int
    def __init__(self, id: _Optional[bytes] = ..., cause: _Optional[bytes] = ..., at: _Optional[int] = ..., seen: _Optional[int] = ..., order: _Optional[bytes] = ..., contender: _Optional[str] = ..., symbol: _Optional[str] = ..., client_order_id: _Optional[str] = ..., side: _Optional[_Union[_words_pb2.Side, str]] = ..., quantity_lots: _Optional[int] = ..., price_ticks: _Optional[int] = ..., fee: _Optional[int] = ..., liquidity: _Optional[_Union[_words_pb2.Liquidity, str]] = ..., counter: _Optional[bytes] = ..., status: _Optional[_Union[_words_pb2.OrdStatus, str]] = ..., cum_lots: _Optional[int] = ..., leaves_lots: _Optional[int] = ...) -> None: ...
