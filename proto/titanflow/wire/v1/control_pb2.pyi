from titanflow.wire.v1 import words_pb2 as _words_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class KillSwitch(_message.Message):
    __slots__ = ("id", "cause", "at", "seen", "scope", "name", "engaged", "instruments", "action", "reason", "by", "reset_token")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ENGAGED_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    RESET_TOKEN_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    cause: bytes
    at: int
    seen: int
    scope: _words_pb2.KillScope
    name: str
    engaged: bool
    instruments: _containers.RepeatedScalarFieldContainer[str]
    action: _words_pb2.KillAction
    reason: str
    by: str
    reset_token: str
    def __init__(self, id: _Optional[bytes] = ..., cause: _Optional[bytes] = ..., at: _Optional[int] = ..., seen: _Optional[int] = ..., scope: _Optional[_Union[_words_pb2.KillScope, str]] = ..., name: _Optional[str] = ..., engaged: _Optional[bool] = ..., instruments: _Optional[_Iterable[str]] = ..., action: _Optional[_Union[_words_pb2.KillAction, str]] = ..., reason: _Optional[str] = ..., by: _Optional[str] = ..., reset_token: _Optional[str] = ...) -> None: ...

class KillRuling(_message.Message):
    __slots__ = ("id", "cause", "at", "seen", "scope", "name", "accepted", "engaged", "text", "epoch", "shard")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    ENGAGED_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    cause: bytes
    at: int
    seen: int
    scope: _words_pb2.KillScope
    name: str
    accepted: bool
    engaged: bool
    text: str
    epoch: int
    shard: int
    def __init__(self, id: _Optional[bytes] = ..., cause: _Optional[bytes] = ..., at: _Optional[int] = ..., seen: _Optional[int] = ..., scope: _Optional[_Union[_words_pb2.KillScope, str]] = ..., name: _Optional[str] = ..., accepted: _Optional[bool] = ..., engaged: _Optional[bool] = ..., text: _Optional[str] = ..., epoch: _Optional[int] = ..., shard: _Optional[int] = ...) -> None: ...

class StateChange(_message.Message):
    __slots__ = ("id", "cause", "at", "seen", "contender", "former", "state", "text", "limit", "actual")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    CONTENDER_FIELD_NUMBER: _ClassVar[int]
    FORMER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    cause: bytes
    at: int
    seen: int
    contender: str
    former: _words_pb2.TradingState
    state: _words_pb2.TradingState
    text: str
    limit: int
    actual: int
    def __init__(self, id: _Optional[bytes] = ..., cause: _Optional[bytes] = ..., at: _Optional[int] = ..., seen: _Optional[int] = ..., contender: _Optional[str] = ..., former: _Optional[_Union[_words_pb2.TradingState, str]] = ..., state: _Optional[_Union[_words_pb2.TradingState, str]] = ..., text: _Optional[str] = ..., limit: _Optional[int] = ..., actual: _Optional[int] = ...) -> None: ...

class Lapse(_message.Message):
    __slots__ = ("id", "cause", "at", "seen", "pod", "stale")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    POD_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    cause: bytes
    at: int
    seen: int
    pod: str
    stale: bool
    def __init__(self, id: _Optional[bytes] = ..., cause: _Optional[bytes] = ..., at: _Optional[int] = ..., seen: _Optional[int] = ..., pod: _Optional[str] = ..., stale: _Optional[bool] = ...) -> None: ...

class CancelOrders(_message.Message):
    __slots__ = ("id", "cause", "at", "seen", "contender", "symbol", "text")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    CONTENDER_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    cause: bytes
    at: int
    seen: int
    contender: str
    symbol: str
    text: str
    def __init__(self, id: _Optional[bytes] = ..., cause: _Optional[bytes] = ..., at: _Optional[int] = ..., seen: _Optional[int] = ..., contender: _Optional[str] = ..., symbol: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class Checkpoint(_message.Message):
    __slots__ = ("id", "cause", "at", "seen", "turn", "digests")
    class StageDigest(_message.Message):
        __slots__ = ("stage", "digest")
        STAGE_FIELD_NUMBER: _ClassVar[int]
        DIGEST_FIELD_NUMBER: _ClassVar[int]
        stage: str
        digest: bytes
        def __init__(self, stage: _Optional[str] = ..., digest: _Optional[bytes] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    cause: bytes
    at: int
    seen: int
    turn: int
    digests: _containers.RepeatedCompositeFieldContainer[Checkpoint.StageDigest]
    def __init__(self, id: _Optional[bytes] = ..., cause: _Optional[bytes] = ..., at: _Optional[int] = ..., seen: _Optional[int] = ..., turn: _Optional[int] = ..., digests: _Optional[_Iterable[_Union[Checkpoint.StageDigest, _Mapping[str, object]]]] = ...) -> None: ...
