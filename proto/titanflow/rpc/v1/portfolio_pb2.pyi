from titanflow.wire.v1 import words_pb2 as _words_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetPortfolioRequest(_message.Message):
    __slots__ = ("contender",)
    CONTENDER_FIELD_NUMBER: _ClassVar[int]
    contender: str
    def __init__(self, contender: _Optional[str] = ...) -> None: ...

class GetPortfolioResponse(_message.Message):
    __slots__ = ("contender", "as_of", "currency", "equity", "cash", "gross_exposure", "net_exposure", "realised", "fees", "state", "positions", "reserved")
    CONTENDER_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    EQUITY_FIELD_NUMBER: _ClassVar[int]
    CASH_FIELD_NUMBER: _ClassVar[int]
    GROSS_EXPOSURE_FIELD_NUMBER: _ClassVar[int]
    NET_EXPOSURE_FIELD_NUMBER: _ClassVar[int]
    REALISED_FIELD_NUMBER: _ClassVar[int]
    FEES_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    contender: str
    as_of: int
    currency: str
    equity: int
    cash: int
    gross_exposure: int
    net_exposure: int
    realised: int
    fees: int
    state: _words_pb2.TradingState
    positions: _containers.RepeatedCompositeFieldContainer[Position]
    reserved: int
    def __init__(self, contender: _Optional[str] = ..., as_of: _Optional[int] = ..., currency: _Optional[str] = ..., equity: _Optional[int] = ..., cash: _Optional[int] = ..., gross_exposure: _Optional[int] = ..., net_exposure: _Optional[int] = ..., realised: _Optional[int] = ..., fees: _Optional[int] = ..., state: _Optional[_Union[_words_pb2.TradingState, str]] = ..., positions: _Optional[_Iterable[_Union[Position, _Mapping[str, object]]]] = ..., reserved: _Optional[int] = ...) -> None: ...

class Position(_message.Message):
    __slots__ = ("symbol", "quantity_lots", "cost", "mark_ticks", "marked_at", "unrealised")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_LOTS_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    MARK_TICKS_FIELD_NUMBER: _ClassVar[int]
    MARKED_AT_FIELD_NUMBER: _ClassVar[int]
    UNREALISED_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    quantity_lots: int
    cost: int
    mark_ticks: int
    marked_at: int
    unrealised: int
    def __init__(self, symbol: _Optional[str] = ..., quantity_lots: _Optional[int] = ..., cost: _Optional[int] = ..., mark_ticks: _Optional[int] = ..., marked_at: _Optional[int] = ..., unrealised: _Optional[int] = ...) -> None: ...

class ListOpenOrdersRequest(_message.Message):
    __slots__ = ("contender", "symbol", "page_size", "page_token")
    CONTENDER_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    contender: str
    symbol: str
    page_size: int
    page_token: str
    def __init__(self, contender: _Optional[str] = ..., symbol: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListOpenOrdersResponse(_message.Message):
    __slots__ = ("as_of", "orders", "next_page_token")
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    as_of: int
    orders: _containers.RepeatedCompositeFieldContainer[OpenOrder]
    next_page_token: str
    def __init__(self, as_of: _Optional[int] = ..., orders: _Optional[_Iterable[_Union[OpenOrder, _Mapping[str, object]]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class OpenOrder(_message.Message):
    __slots__ = ("id", "contender", "symbol", "client_order_id", "status", "side", "order_type", "time_in_force", "post_only", "quantity_lots", "limit_ticks", "cum_lots", "leaves_lots", "created_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    CONTENDER_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    ORDER_TYPE_FIELD_NUMBER: _ClassVar[int]
    TIME_IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    POST_ONLY_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_LOTS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_TICKS_FIELD_NUMBER: _ClassVar[int]
    CUM_LOTS_FIELD_NUMBER: _ClassVar[int]
    LEAVES_LOTS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    contender: str
    symbol: str
    client_order_id: str
    status: _words_pb2.OrdStatus
    side: _words_pb2.Side
    order_type: _words_pb2.OrderType
    time_in_force: _words_pb2.TimeInForce
    post_only: bool
    quantity_lots: int
    limit_ticks: int
    cum_lots: int
    leaves_lots: int
    created_at: int
    def __init__(self, id: _Optional[bytes] = ..., contender: _Optional[str] = ..., symbol: _Optional[str] = ..., client_order_id: _Optional[str] = ..., status: _Optional[_Union[_words_pb2.OrdStatus, str]] = ..., side: _Optional[_Union[_words_pb2.Side, str]] = ..., order_type: _Optional[_Union[_words_pb2.OrderType, str]] = ..., time_in_force: _Optional[_Union[_words_pb2.TimeInForce, str]] = ..., post_only: _Optional[bool] = ..., quantity_lots: _Optional[int] = ..., limit_ticks: _Optional[int] = ..., cum_lots: _Optional[int] = ..., leaves_lots: _Optional[int] = ..., created_at: _Optional[int] = ...) -> None: ...
