from titanflow.wire.v1 import belief_pb2 as _belief_pb2
from titanflow.wire.v1 import control_pb2 as _control_pb2
from titanflow.wire.v1 import decision_pb2 as _decision_pb2
from titanflow.wire.v1 import market_pb2 as _market_pb2
from titanflow.wire.v1 import money_pb2 as _money_pb2
from titanflow.wire.v1 import order_pb2 as _order_pb2
from titanflow.wire.v1 import work_pb2 as _work_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Turn(_message.Message):
    __slots__ = ("pod", "number", "at", "inputs", "facts", "watermark", "crc32c")
    POD_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    WATERMARK_FIELD_NUMBER: _ClassVar[int]
    CRC32C_FIELD_NUMBER: _ClassVar[int]
    pod: str
    number: int
    at: int
    inputs: _containers.RepeatedCompositeFieldContainer[InputRef]
    facts: _containers.RepeatedCompositeFieldContainer[AnyFact]
    watermark: int
    crc32c: int
    def __init__(self, pod: _Optional[str] = ..., number: _Optional[int] = ..., at: _Optional[int] = ..., inputs: _Optional[_Iterable[_Union[InputRef, _Mapping[str, object]]]] = ..., facts: _Optional[_Iterable[_Union[AnyFact, _Mapping[str, object]]]] = ..., watermark: _Optional[int] = ..., crc32c: _Optional[int] = ...) -> None: ...

class InputRef(_message.Message):
    __slots__ = ("stream", "sequence")
    STREAM_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    stream: str
    sequence: int
    def __init__(self, stream: _Optional[str] = ..., sequence: _Optional[int] = ...) -> None: ...

class AnyFact(_message.Message):
    __slots__ = ("bar", "split", "dividend", "quarantine", "belief", "signal", "intent", "verdict", "order", "order_update", "fill", "entry", "standing", "kill_switch", "kill_ruling", "state_change", "cancel_orders", "checkpoint", "ask", "answer", "lapse")
    BAR_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    DIVIDEND_FIELD_NUMBER: _ClassVar[int]
    QUARANTINE_FIELD_NUMBER: _ClassVar[int]
    BELIEF_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    INTENT_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    ORDER_UPDATE_FIELD_NUMBER: _ClassVar[int]
    FILL_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    KILL_SWITCH_FIELD_NUMBER: _ClassVar[int]
    KILL_RULING_FIELD_NUMBER: _ClassVar[int]
    STATE_CHANGE_FIELD_NUMBER: _ClassVar[int]
    CANCEL_ORDERS_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    ASK_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    LAPSE_FIELD_NUMBER: _ClassVar[int]
    bar: _market_pb2.Bar
    split: _market_pb2.Split
    dividend: _market_pb2.Dividend
    quarantine: _market_pb2.Quarantine
    belief: _belief_pb2.Belief
    signal: _decision_pb2.Signal
    intent: _decision_pb2.Intent
    verdict: _decision_pb2.Verdict
    order: _order_pb2.Order
    order_update: _order_pb2.OrderUpdate
    fill: _order_pb2.Fill
    entry: _money_pb2.Entry
    standing: _money_pb2.Standing
    kill_switch: _control_pb2.KillSwitch
    kill_ruling: _control_pb2.KillRuling
    state_change: _control_pb2.StateChange
    cancel_orders: _control_pb2.CancelOrders
    checkpoint: _control_pb2.Checkpoint
    ask: _work_pb2.Ask
    answer: _work_pb2.Answer
    lapse: _control_pb2.Lapse
    def __init__(self, bar: _Optional[_Union[_market_pb2.Bar, _Mapping[str, object]]] = ..., split: _Optional[_Union[_market_pb2.Split, _Mapping[str, object]]] = ..., dividend: _Optional[_Union[_market_pb2.Dividend, _Mapping[str, object]]] = ..., quarantine: _Optional[_Union[_market_pb2.Quarantine, _Mapping[str, object]]] = ..., belief: _Optional[_Union[_belief_pb2.Belief, _Mapping[str, object]]] = ..., signal: _Optional[_Union[_decision_pb2.Signal, _Mapping[str, object]]] = ..., intent: _Optional[_Union[_decision_pb2.Intent, _Mapping[str, object]]] = ..., verdict: _Optional[_Union[_decision_pb2.Verdict, _Mapping[str, object]]] = ..., order: _Optional[_Union[_order_pb2.Order, _Mapping[str, object]]] = ..., order_update: _Optional[_Union[_order_pb2.OrderUpdate, _Mapping[str, object]]] = ..., fill: _Optional[_Union[_order_pb2.Fill, _Mapping[str, object]]] = ..., entry: _Optional[_Union[_money_pb2.Entry, _Mapping[str, object]]] = ..., standing: _Optional[_Union[_money_pb2.Standing, _Mapping[str, object]]] = ..., kill_switch: _Optional[_Union[_control_pb2.KillSwitch, _Mapping[str, object]]] = ..., kill_ruling: _Optional[_Union[_control_pb2.KillRuling, _Mapping[str, object]]] = ..., state_change: _Optional[_Union[_control_pb2.StateChange, _Mapping[str, object]]] = ..., cancel_orders: _Optional[_Union[_control_pb2.CancelOrders, _Mapping[str, object]]] = ..., checkpoint: _Optional[_Union[_control_pb2.Checkpoint, _Mapping[str, object]]] = ..., ask: _Optional[_Union[_work_pb2.Ask, _Mapping[str, object]]] = ..., answer: _Optional[_Union[_work_pb2.Answer, _Mapping[str, object]]] = ..., lapse: _Optional[_Union[_control_pb2.Lapse, _Mapping[str, object]]] = ...) -> None: ...
