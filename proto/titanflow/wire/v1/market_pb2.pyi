from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Bar(_message.Message):
    __slots__ = ("id", "cause", "at", "seen", "symbol", "start", "open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    OPEN_TICKS_FIELD_NUMBER: _ClassVar[int]
    HIGH_TICKS_FIELD_NUMBER: _ClassVar[int]
    LOW_TICKS_FIELD_NUMBER: _ClassVar[int]
    CLOSE_TICKS_FIELD_NUMBER: _ClassVar[int]
    VOLUME_LOTS_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    cause: bytes
    at: int
    seen: int
    symbol: str
    start: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    volume_lots: int
    def __init__(self, id: _Optional[bytes] = ..., cause: _Optional[bytes] = ..., at: _Optional[int] = ..., seen: _Optional[int] = ..., symbol: _Optional[str] = ..., start: _Optional[int] = ..., open_ticks: _Optional[int] = ..., high_ticks: _Optional[int] = ..., low_ticks: _Optional[int] = ..., close_ticks: _Optional[int] = ..., volume_lots: _Optional[int] = ...) -> None: ...

class Split(_message.Message):
    __slots__ = ("id", "cause", "at", "seen", "symbol", "numerator", "denominator", "source")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    NUMERATOR_FIELD_NUMBER: _ClassVar[int]
    DENOMINATOR_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    cause: bytes
    at: int
    seen: int
    symbol: str
    numerator: int
    denominator: int
    source: str
    def __init__(self, id: _Optional[bytes] = ..., cause: _Optional[bytes] = ..., at: _Optional[int] = ..., seen: _Optional[int] = ..., symbol: _Optional[str] = ..., numerator: _Optional[int] = ..., denominator: _Optional[int] = ..., source: _Optional[str] = ...) -> None: ...

class Dividend(_message.Message):
    __slots__ = ("id", "cause", "at", "seen", "symbol", "amount", "source")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    cause: bytes
    at: int
    seen: int
    symbol: str
    amount: int
    source: str
    def __init__(self, id: _Optional[bytes] = ..., cause: _Optional[bytes] = ..., at: _Optional[int] = ..., seen: _Optional[int] = ..., symbol: _Optional[str] = ..., amount: _Optional[int] = ..., source: _Optional[str] = ...) -> None: ...

class Quarantine(_message.Message):
    __slots__ = ("id", "cause", "at", "seen", "symbol", "rule", "detail")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    cause: bytes
    at: int
    seen: int
    symbol: str
    rule: str
    detail: str
    def __init__(self, id: _Optional[bytes] = ..., cause: _Optional[bytes] = ..., at: _Optional[int] = ..., seen: _Optional[int] = ..., symbol: _Optional[str] = ..., rule: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...
