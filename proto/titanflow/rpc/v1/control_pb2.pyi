from titanflow.wire.v1 import words_pb2 as _words_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class KillRequest(_message.Message):
    __slots__ = ("scope", "name", "instruments", "action", "reason", "token", "requested_by")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    scope: _words_pb2.KillScope
    name: str
    instruments: _containers.RepeatedScalarFieldContainer[str]
    action: _words_pb2.KillAction
    reason: str
    token: str
    requested_by: str
    def __init__(self, scope: _Optional[_Union[_words_pb2.KillScope, str]] = ..., name: _Optional[str] = ..., instruments: _Optional[_Iterable[str]] = ..., action: _Optional[_Union[_words_pb2.KillAction, str]] = ..., reason: _Optional[str] = ..., token: _Optional[str] = ..., requested_by: _Optional[str] = ...) -> None: ...

class KillResponse(_message.Message):
    __slots__ = ("accepted", "epoch", "text", "ruling")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    RULING_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    epoch: int
    text: str
    ruling: bytes
    def __init__(self, accepted: _Optional[bool] = ..., epoch: _Optional[int] = ..., text: _Optional[str] = ..., ruling: _Optional[bytes] = ...) -> None: ...

class ReleaseRequest(_message.Message):
    __slots__ = ("scope", "name", "reason", "token", "requested_by")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    scope: _words_pb2.KillScope
    name: str
    reason: str
    token: str
    requested_by: str
    def __init__(self, scope: _Optional[_Union[_words_pb2.KillScope, str]] = ..., name: _Optional[str] = ..., reason: _Optional[str] = ..., token: _Optional[str] = ..., requested_by: _Optional[str] = ...) -> None: ...

class ReleaseResponse(_message.Message):
    __slots__ = ("accepted", "epoch", "text", "ruling")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    RULING_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    epoch: int
    text: str
    ruling: bytes
    def __init__(self, accepted: _Optional[bool] = ..., epoch: _Optional[int] = ..., text: _Optional[str] = ..., ruling: _Optional[bytes] = ...) -> None: ...

class PauseRequest(_message.Message):
    __slots__ = ("scope", "name", "reason", "token", "requested_by")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    scope: _words_pb2.KillScope
    name: str
    reason: str
    token: str
    requested_by: str
    def __init__(self, scope: _Optional[_Union[_words_pb2.KillScope, str]] = ..., name: _Optional[str] = ..., reason: _Optional[str] = ..., token: _Optional[str] = ..., requested_by: _Optional[str] = ...) -> None: ...

class PauseResponse(_message.Message):
    __slots__ = ("accepted", "text")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    text: str
    def __init__(self, accepted: _Optional[bool] = ..., text: _Optional[str] = ...) -> None: ...

class ResumeRequest(_message.Message):
    __slots__ = ("scope", "name", "reason", "token", "requested_by")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    scope: _words_pb2.KillScope
    name: str
    reason: str
    token: str
    requested_by: str
    def __init__(self, scope: _Optional[_Union[_words_pb2.KillScope, str]] = ..., name: _Optional[str] = ..., reason: _Optional[str] = ..., token: _Optional[str] = ..., requested_by: _Optional[str] = ...) -> None: ...

class ResumeResponse(_message.Message):
    __slots__ = ("accepted", "text")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    text: str
    def __init__(self, accepted: _Optional[bool] = ..., text: _Optional[str] = ...) -> None: ...
