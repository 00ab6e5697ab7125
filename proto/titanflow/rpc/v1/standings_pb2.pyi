from titanflow.wire.v1 import money_pb2 as _money_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetStandingsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchStandingsRequest(_message.Message):
    __slots__ = ("interval_ms",)
    INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    interval_ms: int
    def __init__(self, interval_ms: _Optional[int] = ...) -> None: ...

class GetStandingsResponse(_message.Message):
    __slots__ = ("as_of", "currency", "final", "standings")
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    STANDINGS_FIELD_NUMBER: _ClassVar[int]
    as_of: int
    currency: str
    final: bool
    standings: _containers.RepeatedCompositeFieldContainer[_money_pb2.Standing]
    def __init__(self, as_of: _Optional[int] = ..., currency: _Optional[str] = ..., final: _Optional[bool] = ..., standings: _Optional[_Iterable[_Union[_money_pb2.Standing, _Mapping[str, object]]]] = ...) -> None: ...
