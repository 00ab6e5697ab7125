"""Does the short way through the codec say exactly what the long way says?"""

from __future__ import annotations

import contextlib
import random
from itertools import count

import msgspec
import pytest
from hypothesis import given
from wire_kit import bits, edge, kinds, mutate, plain, seal, turns, unsealed

from titanflow.adapters import codec
from titanflow.adapters.codec import InputRef, Turn
from titanflow.core.base.errors import WireError
from titanflow.core.facts import Bar, Belief, Fact
from titanflow.native.wire import Column, Layout, Unfit

SEED = 20261125
CASES = 4_000


def short(turn: Turn) -> bytes:
    return codec._book().layout.encode(turn)


def read(body: bytes) -> Turn:
    return codec._book().layout.decode(body, len(body))


def whole() -> Turn:
    facts = [value(kind, count(1)) for kind in kinds() for value in (plain, edge)]
    return Turn("trade-0", 7, 5, (InputRef("TF_main_MARKET", 2**40),), tuple(facts), 4)


@given(turns())
def test_both_ways_write_the_same_bytes_and_read_the_same_turn(turn: Turn) -> None:
    body = short(turn)

    assert codec._written(turn) == body
    assert bits(turn) == bits(read(body)) == bits(codec._read(seal(body)))


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_the_usual_fact_of_every_type_takes_the_short_way(kind: type[Fact]) -> None:
    for value in (plain, edge):
        turn = Turn("trade-0", 1, 5, (), (value(kind, count(1)),), 4)

        assert bits(turn) == bits(read(short(turn)))


def test_damage_that_the_short_way_takes_means_the_same_on_the_long_way() -> None:
    chance, taken = random.Random(SEED), 0
    body = unsealed(codec.encode_turn(whole()))
    for _ in range(CASES):
        damaged = mutate(body, chance)
        try:
            turn = read(damaged)
        except ValueError:
            continue
        taken += 1
        assert bits(turn) == bits(codec._read(seal(damaged)))
    assert taken > CASES // 20, "or the test proves nothing"


@pytest.mark.parametrize(
    "values",
    [
        {"open_ticks": True},
        {"open_ticks": 2**63},
        {"open_ticks": -(2**63) - 1},
        {"open_ticks": None},
        {"symbol": b"AAPL"},
        {"symbol": "\ud800"},
        {"id": bytes(15)},
        {"id": bytearray(16)},
    ],
    ids=str,
)
def test_other_types_and_values_leave_the_short_way(values: dict[str, object]) -> None:
    bar = msgspec.structs.replace(plain(Bar, count(1)), **values)

    with pytest.raises((ValueError, TypeError)):
        short(Turn("trade-0", 1, 5, (), (bar,), 4))


def test_what_only_the_long_way_takes_is_still_written_and_read() -> None:
    belief = msgspec.structs.replace(plain(Belief, count(1)), adjustment=2)  # a whole number
    turn = Turn("trade-0", 1, 5, (InputRef("s", 2**64 - 1),), [belief], 4)

    again = codec.decode_turn(codec.encode_turn(turn))

    assert "2.0" == repr(again.facts[0].adjustment)
    assert InputRef("s", 2**64 - 1) == again.inputs[0]


def test_a_field_out_of_order_is_read_on_the_long_way() -> None:
    turn = Turn("trade-0", 1, 5, (), (), 4)
    body = short(turn)
    turned = body[-2:] + body[:-2]  # the watermark first

    with pytest.raises(Unfit):
        read(turned)
    assert turn == codec.decode_turn(seal(turned))


@pytest.mark.parametrize("size", [-1, 1_000])
def test_a_size_beyond_the_bytes_is_refused(size: int) -> None:
    with pytest.raises(Unfit):
        codec._book().layout.decode(b"\x0a\x00", size)


def test_a_record_inside_needs_its_layout() -> None:
    with pytest.raises(ValueError, match="inner: a record has a layout"):
        Column("inner", 1, "record")


def test_numbers_in_a_row_are_packed_and_any_end_of_them_is_found() -> None:
    class Row(msgspec.Struct):
        numbers: tuple[int, ...]
        words: tuple[str, ...]

    layout = Layout(
        Row,
        [
            Column("numbers", 1, "sint64", repeated=True),
            Column("words", 2, "string", repeated=True),
        ],
    )
    for row in (Row((), ()), Row((1, -1, 2**62), ("a", "")), Row((0,), ()), Row((), ("x",) * 200)):
        data = layout.encode(row)
        assert row == layout.decode(data, len(data))
        for size in range(len(data)):
            with contextlib.suppress(ValueError):
                assert row != layout.decode(data, size)


def test_bytes_that_are_no_turn_are_refused_with_words_either_way() -> None:
    for data in (b"", seal(b""), seal(b"\x0a\x01"), seal(b"\xff" * 11)):
        with pytest.raises(WireError, match="turn"):
            codec.decode_turn(data)
