from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PodState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POD_STATE_UNSPECIFIED: _ClassVar[PodState]
    POD_STATE_STARTING: _ClassVar[PodState]
    POD_STATE_CATCHING_UP: _ClassVar[PodState]
    POD_STATE_RUNNING: _ClassVar[PodState]
    POD_STATE_DRAINING: _ClassVar[PodState]
    POD_STATE_SILENT: _ClassVar[PodState]
    POD_STATE_FAILED: _ClassVar[PodState]

class IncidentKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INCIDENT_KIND_UNSPECIFIED: _ClassVar[IncidentKind]
    INCIDENT_KIND_SILENT: _ClassVar[IncidentKind]
    INCIDENT_KIND_LEASE_STALE: _ClassVar[IncidentKind]
    INCIDENT_KIND_RESTARTING: _ClassVar[IncidentKind]
    INCIDENT_KIND_STUCK: _ClassVar[IncidentKind]
    INCIDENT_KIND_CLOCK_AHEAD: _ClassVar[IncidentKind]
    INCIDENT_KIND_DEAF: _ClassVar[IncidentKind]
POD_STATE_UNSPECIFIED: PodState
POD_STATE_STARTING: PodState
POD_STATE_CATCHING_UP: PodState
POD_STATE_RUNNING: PodState
POD_STATE_DRAINING: PodState
POD_STATE_SILENT: PodState
POD_STATE_FAILED: PodState
INCIDENT_KIND_UNSPECIFIED: IncidentKind
INCIDENT_KIND_SILENT: IncidentKind
INCIDENT_KIND_LEASE_STALE: IncidentKind
INCIDENT_KIND_RESTARTING: IncidentKind
INCIDENT_KIND_STUCK: IncidentKind
INCIDENT_KIND_CLOCK_AHEAD: IncidentKind
INCIDENT_KIND_DEAF: IncidentKind

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("session", "arena", "watermark", "kill_epoch", "engaged", "lease_until", "pods", "latencies", "incidents")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    ARENA_FIELD_NUMBER: _ClassVar[int]
    WATERMARK_FIELD_NUMBER: _ClassVar[int]
    KILL_EPOCH_FIELD_NUMBER: _ClassVar[int]
    ENGAGED_FIELD_NUMBER: _ClassVar[int]
    LEASE_UNTIL_FIELD_NUMBER: _ClassVar[int]
    PODS_FIELD_NUMBER: _ClassVar[int]
    LATENCIES_FIELD_NUMBER: _ClassVar[int]
    INCIDENTS_FIELD_NUMBER: _ClassVar[int]
    session: str
    arena: str
    watermark: int
    kill_epoch: int
    engaged: _containers.RepeatedScalarFieldContainer[str]
    lease_until: int
    pods: _containers.RepeatedCompositeFieldContainer[PodStatus]
    latencies: _containers.RepeatedCompositeFieldContainer[Latency]
    incidents: _containers.RepeatedCompositeFieldContainer[Incident]
    def __init__(self, session: _Optional[str] = ..., arena: _Optional[str] = ..., watermark: _Optional[int] = ..., kill_epoch: _Optional[int] = ..., engaged: _Optional[_Iterable[str]] = ..., lease_until: _Optional[int] = ..., pods: _Optional[_Iterable[_Union[PodStatus, _Mapping[str, object]]]] = ..., latencies: _Optional[_Iterable[_Union[Latency, _Mapping[str, object]]]] = ..., incidents: _Optional[_Iterable[_Union[Incident, _Mapping[str, object]]]] = ...) -> None: ...

class PodStatus(_message.Message):
    __slots__ = ("name", "stages", "state", "text", "turn", "watermark", "lag_count", "lag_ns", "beat_at", "started_at", "starts", "code")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    WATERMARK_FIELD_NUMBER: _ClassVar[int]
    LAG_COUNT_FIELD_NUMBER: _ClassVar[int]
    LAG_NS_FIELD_NUMBER: _ClassVar[int]
    BEAT_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    name: str
    stages: _containers.RepeatedScalarFieldContainer[str]
    state: PodState
    text: str
    turn: int
    watermark: int
    lag_count: int
    lag_ns: int
    beat_at: int
    started_at: int
    starts: int
    code: str
    def __init__(self, name: _Optional[str] = ..., stages: _Optional[_Iterable[str]] = ..., state: _Optional[_Union[PodState, str]] = ..., text: _Optional[str] = ..., turn: _Optional[int] = ..., watermark: _Optional[int] = ..., lag_count: _Optional[int] = ..., lag_ns: _Optional[int] = ..., beat_at: _Optional[int] = ..., started_at: _Optional[int] = ..., starts: _Optional[int] = ..., code: _Optional[str] = ...) -> None: ...

class Latency(_message.Message):
    __slots__ = ("span", "count", "p50_ns", "p99_ns", "p999_ns", "max_ns")
    SPAN_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    P50_NS_FIELD_NUMBER: _ClassVar[int]
    P99_NS_FIELD_NUMBER: _ClassVar[int]
    P999_NS_FIELD_NUMBER: _ClassVar[int]
    MAX_NS_FIELD_NUMBER: _ClassVar[int]
    span: str
    count: int
    p50_ns: int
    p99_ns: int
    p999_ns: int
    max_ns: int
    def __init__(self, span: _Optional[str] = ..., count: _Optional[int] = ..., p50_ns: _Optional[int] = ..., p99_ns: _Optional[int] = ..., p999_ns: _Optional[int] = ..., max_ns: _Optional[int] = ...) -> None: ...

class Incident(_message.Message):
    __slots__ = ("kind", "pod", "began_at", "ended_at", "text")
    KIND_FIELD_NUMBER: _ClassVar[int]
    POD_FIELD_NUMBER: _ClassVar[int]
    BEGAN_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    kind: IncidentKind
    pod: str
    began_at: int
    ended_at: int
    text: str
    def __init__(self, kind: _Optional[_Union[IncidentKind, str]] = ..., pod: _Optional[str] = ..., began_at: _Optional[int] = ..., ended_at: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...
