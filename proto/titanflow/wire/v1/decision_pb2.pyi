from titanflow.wire.v1 import words_pb2 as _words_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Part(_message.Message):
    __slots__ = ("name", "value", "contribution")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: float
    contribution: float
    def __init__(self, name: _Optional[str] = ..., value: _Optional[float] = ..., contribution: _Optional[float] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("base", "parts", "text")
    BASE_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    base: float
    parts: _containers.RepeatedCompositeFieldContainer[Part]
    text: str
    def __init__(self, base: _Optional[float] = ..., parts: _Optional[_Iterable[_Union[Part, _Mapping[str, object]]]] = ..., text: _Optional[str] = ...) -> None: ...

class Signal(_message.Message):
    __slots__ = ("id", "cause", "at", "seen", "contender", "symbol", "side", "score", "strength", "confidence", "horizon_seconds", "explanation")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    CONTENDER_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    STRENGTH_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    HORIZON_SECONDS_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    cause: bytes
    at: int
    seen: int
    contender: str
    symbol: str
    side: _words_pb2.Side
    score: float
    strength: float
    confidence: float
    horizon_seconds: int
    explanation: Explanation
    def __init__(self, id: _Optional[bytes] = ..., cause: _Optional[bytes] = ..., at: _Optional[int] = ..., seen: _Optional[int] = ..., contender: _Optional[str] = ..., symbol: _Optional[str] = ..., side: _Optional[_Union[_words_pb2.Side, str]] = ..., score: _Optional[float] = ..., strength: _Optional[float] = ..., confidence: _Optional[float] = ..., horizon_seconds: _Optional[int] = ..., explanation: _Optional[_Union[Explanation, _Mapping[str, object]]] = ...) -> None: ...

class Intent(_message.Message):
    __slots__ = ("id", "cause", "at", "seen", "contender", "symbol", "action", "side", "quantity_lots", "order_type", "limit_ticks", "time_in_force", "post_only", "client_order_id", "target", "origin", "decided_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    CONTENDER_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_LOTS_FIELD_NUMBER: _ClassVar[int]
    ORDER_TYPE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_TICKS_FIELD_NUMBER: _ClassVar[int]
    TIME_IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    POST_ONLY_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    DECIDED_AT_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    cause: bytes
    at: int
    seen: int
    contender: str
    symbol: str
    action: _words_pb2.IntentAction
    side: _words_pb2.Side
    quantity_lots: int
    order_type: _words_pb2.OrderType
    limit_ticks: int
    time_in_force: _words_pb2.TimeInForce
    post_only: bool
    client_order_id: str
    target: str
    origin: _words_pb2.Origin
    decided_at: int
    def __init__(self, id: _Optional[bytes] = ..., cause: _Optional[bytes] = ..., at: _Optional[int] = ..., seen: _Optional[int] = ..., contender: _Optional[str] = ..., symbol: _Optional[str] = ..., action: _Optional[_Union[_words_pb2.IntentAction, str]] = ..., side: _Optional[_Union[_words_pb2.Side, str]] = ..., quantity_lots: _Optional[int] = ..., order_type: _Optional[_Union[_words_pb2.OrderType, str]] = ..., limit_ticks: _Optional[int] = ..., time_in_force: _Optional[_Union[_words_pb2.TimeInForce, str]] = ..., post_only: _Optional[bool] = ..., client_order_id: _Optional[str] = ..., target: _Optional[str] = ..., origin: _Optional[_Union[_words_pb2.Origin, str]] = ..., decided_at: _Optional[int] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("id", "cause", "at", "seen", "contender", "symbol", "outcome", "reason", "text", "rule", "limit", "actual", "action", "side", "quantity_lots", "order_type", "limit_ticks", "time_in_force", "post_only", "client_order_id", "target", "origin", "reference_ticks", "kill_epoch", "policies", "signal")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    CONTENDER_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_LOTS_FIELD_NUMBER: _ClassVar[int]
    ORDER_TYPE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_TICKS_FIELD_NUMBER: _ClassVar[int]
    TIME_IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    POST_ONLY_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_TICKS_FIELD_NUMBER: _ClassVar[int]
    KILL_EPOCH_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    cause: bytes
    at: int
    seen: int
    contender: str
    symbol: str
    outcome: _words_pb2.Outcome
    reason: int
    text: str
    rule: str
    limit: int
    actual: int
    action: _words_pb2.IntentAction
    side: _words_pb2.Side
    quantity_lots: int
    order_type: _words_pb2.OrderType
    limit_ticks: int
    time_in_force: _words_pb2.TimeInForce
    post_only: bool
    client_order_id: str
    target: str
    origin: _words_pb2.Origin
    reference_ticks: int
    kill_epoch: int
    policies: _containers.RepeatedScalarFieldContainer[str]
    signal: bytes
    def __init__(self, id: _Optional[bytes] = ..., cause: _Optional[bytes] = ..., at: _Optional[int] = ..., seen: _Optional[int] = ..., contender: _Optional[str] = ..., symbol: _Optional[str] = ..., outcome: _Optional[_Union[_words_pb2.Outcome, str]] = ..., reason: _Optional[int] = ..., text: _Optional[str] = ..., rule: _Optional[str] = ..., limit: _Optional[int] = ..., actual: _Optional[int] = ..., action: _Optional[_Union[_words_pb2.IntentAction, str]] = ..., side: _Optional[_Union[_words_pb2.Side, str]] = ..., quantity_lots: _Optional[int] = ..., order_type: _Optional[_Union[_words_pb2.OrderType, str]] = ..., limit_ticks: _Optional[int] = ..., time_in_force: _Optional[_Union[_words_pb2.TimeInForce, str]] = ..., post_only: _Optional[bool] = ..., client_order_id: _Optional[str] = ..., target: _Optional[str] = ..., origin: _Optional[_Union[_words_pb2.Origin, str]] = ..., reference_ticks: _Optional[int] = ..., kill_epoch: _Optional[int] = ..., policies: _Optional[_Iterable[str]] = ..., signal: _Optional[bytes] = ...) -> None: ...
