from titanflow.wire.v1 import words_pb2 as _words_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Ask(_message.Message):
    __slots__ = ("id", "cause", "at", "seen", "contender", "symbol", "bundle", "features")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    CONTENDER_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    cause: bytes
    at: int
    seen: int
    contender: str
    symbol: str
    bundle: str
    features: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, id: _Optional[bytes] = ..., cause: _Optional[bytes] = ..., at: _Optional[int] = ..., seen: _Optional[int] = ..., contender: _Optional[str] = ..., symbol: _Optional[str] = ..., bundle: _Optional[str] = ..., features: _Optional[_Iterable[float]] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("id", "cause", "at", "seen", "contender", "symbol", "bundle", "reply", "outputs", "parts", "text")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    CONTENDER_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    REPLY_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    cause: bytes
    at: int
    seen: int
    contender: str
    symbol: str
    bundle: str
    reply: _words_pb2.Reply
    outputs: _containers.RepeatedScalarFieldContainer[float]
    parts: _containers.RepeatedScalarFieldContainer[float]
    text: str
    def __init__(self, id: _Optional[bytes] = ..., cause: _Optional[bytes] = ..., at: _Optional[int] = ..., seen: _Optional[int] = ..., contender: _Optional[str] = ..., symbol: _Optional[str] = ..., bundle: _Optional[str] = ..., reply: _Optional[_Union[_words_pb2.Reply, str]] = ..., outputs: _Optional[_Iterable[float]] = ..., parts: _Optional[_Iterable[float]] = ..., text: _Optional[str] = ...) -> None: ...
