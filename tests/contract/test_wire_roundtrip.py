"""Does every fact come out of the wire as it went in, bit for bit?"""

from __future__ import annotations

import struct
from itertools import count

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_kit import bits, drawn, edge, kinds, plain, seal, turns, unsealed

from titanflow.adapters.codec import TURN_BYTES_MAX, InputRef, Turn, decode_turn, encode_turn
from titanflow.core.base.errors import AdapterError, WireError
from titanflow.core.base.ident import NO_ID
from titanflow.core.facts import Bar, Fact, Fill, Intent, KillSwitch, Signal, Verdict
from titanflow.wire.v1 import order_pb2, turn_pb2

LATER = b"\x82\x19\x04word"
"""A text in field 400, which no message has."""


def one(fact: Fact) -> Turn:
    return Turn("trade-0", 1, 5, (InputRef("TF_main_MARKET", 9),), (fact,), 4)


def sample(kind: type[Fact]) -> Fact:
    return plain(kind, count(1))


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_a_fact_of_any_values_is_read_as_it_was_written(kind: type[Fact]) -> None:
    @settings(max_examples=150)
    @given(st.lists(drawn(kind), min_size=1, max_size=3).map(tuple))
    def holds(facts: tuple[Fact, ...]) -> None:
        turn = msgspec.structs.replace(one(facts[0]), facts=facts)

        data = encode_turn(turn)
        again = decode_turn(data)

        assert bits(turn) == bits(again)
        assert data == encode_turn(again)

    holds()


@given(turns())
def test_a_turn_of_any_facts_is_read_as_it_was_written(turn: Turn) -> None:
    data = encode_turn(turn)

    assert bits(turn) == bits(decode_turn(data))
    assert data == encode_turn(decode_turn(data))


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("start", range(5))
def test_values_at_the_edge_come_through(kind: type[Fact], start: int) -> None:
    turn = one(edge(kind, count(start)))

    assert bits(turn) == bits(decode_turn(encode_turn(turn)))


def test_a_nan_keeps_its_payload() -> None:
    odd = struct.unpack("<d", struct.pack("<Q", 0xFFF8_0000_DEAD_BEEF))[0]

    signal = decode_turn(
        encode_turn(one(msgspec.structs.replace(sample(Signal), score=odd)))
    ).facts[0]

    assert isinstance(signal, Signal)
    assert struct.pack("<Q", 0xFFF8_0000_DEAD_BEEF) == struct.pack("<d", signal.score)


def test_a_turn_without_facts_and_inputs_is_a_turn() -> None:
    turn = Turn("gateway", 1, 0, (), (), -1)

    assert turn == decode_turn(encode_turn(turn))


def test_another_implementation_reads_and_writes_the_same_message() -> None:
    turn = one(sample(Fill))
    data = encode_turn(turn)

    message = turn_pb2.Turn.FromString(data)

    assert message.facts[0].fill.client_order_id == turn.facts[0].client_order_id
    assert data == message.SerializeToString(), "fields are written in the order of their numbers"


def test_fields_of_a_later_version_are_passed_over() -> None:
    turn = one(sample(Signal))
    message = turn_pb2.Turn.FromString(unsealed(encode_turn(turn)))
    signal = message.facts[0].signal
    for part in (message, message.inputs[0], message.facts[0], signal, signal.explanation):
        part.MergeFromString(LATER)

    data = seal(message.SerializeToString())

    assert 5 == data.count(LATER)
    assert turn == decode_turn(data)


def test_a_field_that_an_older_writer_did_not_know_has_its_default() -> None:
    message = turn_pb2.Turn.FromString(unsealed(encode_turn(one(sample(Verdict)))))
    message.facts[0].verdict.ClearField("signal")
    message.facts[0].verdict.ClearField("policies")

    verdict = decode_turn(seal(message.SerializeToString())).facts[0]

    assert msgspec.structs.replace(sample(Verdict), signal=NO_ID, policies=()) == verdict


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_field_without_a_default_must_be_there(kind: type[Fact]) -> None:
    whole = turn_pb2.Turn.FromString(unsealed(encode_turn(one(sample(kind)))))
    name = whole.facts[0].WhichOneof("fact")
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    for side in getattr(whole.facts[0], name).DESCRIPTOR.fields:
        if not side.is_repeated and fields[side.name].required:
            message = turn_pb2.Turn.FromString(whole.SerializeToString())
            getattr(message.facts[0], name).ClearField(side.name)

            with pytest.raises(
                WireError, match=rf"turn\.facts\[0\]\.{name}\.{side.name}: is missing"
            ):
                decode_turn(seal(message.SerializeToString()))


REFUSED = {
    "id of 15 bytes": (Fill, {"id": bytes(15)}, r"facts\[0\]\.fill\.id: has 15 bytes, not 16"),
    "number of 64 bits": (Fill, {"fee": 2**63}, r"facts\[0\]\.fill\.fee: .*out of range"),
    "no member": (Fill, {"side": 7}, r"facts\[0\]\.fill\.side: 7 is no Side"),
    "half a character": (Bar, {"symbol": "\ud800"}, r"facts\[0\]\.bar\.symbol: .*surrogates"),
    "word for a number": (Bar, {"open_ticks": "1"}, r"facts\[0\]\.bar\.open_ticks"),
    "nothing": (Bar, {"open_ticks": None}, r"facts\[0\]\.bar\.open_ticks: None is no value"),
    "no tuple": (KillSwitch, {"instruments": 3}, r"facts\[0\]\.kill_switch"),
    "no record": (Signal, {"explanation": None}, r"signal\.explanation: None is no Explanation"),
    "nothing for many": (Verdict, {"policies": None}, r"facts\[0\]\.verdict"),
}


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_a_value_that_does_not_fit_is_refused_with_its_place(case: str) -> None:
    kind, values, said = REFUSED[case]

    with pytest.raises(WireError, match=said):
        encode_turn(one(msgspec.structs.replace(sample(kind), **values)))


def test_a_turn_that_does_not_fit_is_refused_with_its_place() -> None:
    turn = one(sample(Intent))
    for change, said in (
        ({"number": -1}, r"turn\.number: .*out of range"),
        ({"pod": 3}, r"turn\.pod"),
        ({"at": None}, r"turn\.at: None is no value"),
        ({"at": [1]}, r"turn\.at: "),
        ({"facts": None}, r"turn\.facts: is no tuple"),
        ({"inputs": (InputRef("s", 2**64),)}, r"turn\.inputs\[0\]\.sequence: .*out of range"),
        ({"inputs": (InputRef("s", None),)}, r"turn\.inputs\[0\]\.sequence: None is no value"),
        ({"facts": (sample(Fill), 5)}, r"turn\.facts\[1\]: int has no message; add it to proto"),
    ):
        with pytest.raises(WireError, match=said):
            encode_turn(msgspec.structs.replace(turn, **change))


def test_a_fact_of_somebody_s_own_type_is_refused_with_what_to_do() -> None:
    class Rumour(Fact, frozen=True):
        source: str

    with pytest.raises(WireError, match=r"Rumour has no message; add it .* tools\.make_proto"):
        encode_turn(one(Rumour(NO_ID, NO_ID, 1, 1, "x")))


def test_a_turn_above_the_limit_is_refused_on_both_sides() -> None:
    long = msgspec.structs.replace(sample(Bar), symbol="x" * TURN_BYTES_MAX)

    with pytest.raises(WireError, match="bytes are more than 4194304"):
        encode_turn(one(long))
    with pytest.raises(WireError, match="bytes are more than 4194304"):
        decode_turn(bytes(TURN_BYTES_MAX + 1))


def test_a_turn_at_the_limit_passes() -> None:
    spare = TURN_BYTES_MAX - len(encode_turn(one(sample(Bar)))) - 16
    turn = one(msgspec.structs.replace(sample(Bar), symbol="x" * spare))

    data = encode_turn(turn)

    assert TURN_BYTES_MAX - 32 < len(data) <= TURN_BYTES_MAX
    assert turn == decode_turn(data)


def test_a_wire_error_is_the_world_s_failure() -> None:
    assert issubclass(WireError, AdapterError)


def test_an_enumeration_s_zero_is_no_word() -> None:
    message = turn_pb2.Turn.FromString(unsealed(encode_turn(one(sample(Fill)))))
    for number in (0, 4, 99, -1):
        message.facts[0].fill.side = number

        with pytest.raises(WireError, match=rf"fill\.side: {number} is no Side"):
            decode_turn(seal(message.SerializeToString()))
    assert order_pb2.Fill.DESCRIPTOR.fields_by_name["side"].enum_type.name == "Side"
