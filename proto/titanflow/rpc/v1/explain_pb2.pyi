from titanflow.wire.v1 import belief_pb2 as _belief_pb2
from titanflow.wire.v1 import decision_pb2 as _decision_pb2
from titanflow.wire.v1 import turn_pb2 as _turn_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WhyRequest(_message.Message):
    __slots__ = ("id", "decision")
    ID_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    id: str
    decision: Decision
    def __init__(self, id: _Optional[str] = ..., decision: _Optional[_Union[Decision, _Mapping[str, object]]] = ...) -> None: ...

class Decision(_message.Message):
    __slots__ = ("contender", "symbol", "at")
    CONTENDER_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    contender: str
    symbol: str
    at: int
    def __init__(self, contender: _Optional[str] = ..., symbol: _Optional[str] = ..., at: _Optional[int] = ...) -> None: ...

class WhyResponse(_message.Message):
    __slots__ = ("subject", "signal", "belief", "intent", "verdict", "chain", "features", "lineage", "sentence")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    BELIEF_FIELD_NUMBER: _ClassVar[int]
    INTENT_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    LINEAGE_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    subject: _turn_pb2.AnyFact
    signal: _decision_pb2.Signal
    belief: _belief_pb2.Belief
    intent: _decision_pb2.Intent
    verdict: _decision_pb2.Verdict
    chain: _containers.RepeatedCompositeFieldContainer[_turn_pb2.AnyFact]
    features: _containers.RepeatedScalarFieldContainer[str]
    lineage: _containers.RepeatedCompositeFieldContainer[Lineage]
    sentence: str
    def __init__(self, subject: _Optional[_Union[_turn_pb2.AnyFact, _Mapping[str, object]]] = ..., signal: _Optional[_Union[_decision_pb2.Signal, _Mapping[str, object]]] = ..., belief: _Optional[_Union[_belief_pb2.Belief, _Mapping[str, object]]] = ..., intent: _Optional[_Union[_decision_pb2.Intent, _Mapping[str, object]]] = ..., verdict: _Optional[_Union[_decision_pb2.Verdict, _Mapping[str, object]]] = ..., chain: _Optional[_Iterable[_Union[_turn_pb2.AnyFact, _Mapping[str, object]]]] = ..., features: _Optional[_Iterable[str]] = ..., lineage: _Optional[_Iterable[_Union[Lineage, _Mapping[str, object]]]] = ..., sentence: _Optional[str] = ...) -> None: ...

class Lineage(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class GetTiersRequest(_message.Message):
    __slots__ = ("contender",)
    CONTENDER_FIELD_NUMBER: _ClassVar[int]
    contender: str
    def __init__(self, contender: _Optional[str] = ...) -> None: ...

class GetTiersResponse(_message.Message):
    __slots__ = ("tiers",)
    TIERS_FIELD_NUMBER: _ClassVar[int]
    tiers: _containers.RepeatedCompositeFieldContainer[ContenderTier]
    def __init__(self, tiers: _Optional[_Iterable[_Union[ContenderTier, _Mapping[str, object]]]] = ...) -> None: ...

class ContenderTier(_message.Message):
    __slots__ = ("contender", "tier", "declared", "policies", "text")
    CONTENDER_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    DECLARED_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    contender: str
    tier: str
    declared: str
    policies: _containers.RepeatedScalarFieldContainer[str]
    text: str
    def __init__(self, contender: _Optional[str] = ..., tier: _Optional[str] = ..., declared: _Optional[str] = ..., policies: _Optional[_Iterable[str]] = ..., text: _Optional[str] = ...) -> None: ...
