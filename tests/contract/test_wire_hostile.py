"""Do bytes from somebody who means harm end in a WireError, and in nothing else?

Every case is made from a seed, so that a failure names the bytes and comes again.
"""

from __future__ import annotations

import random
import resource
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count

import msgspec
import pytest
from wire_kit import bits, edge, kinds, mutate, plain, seal, unsealed

from titanflow.adapters.codec import (
    TURN_BYTES_MAX,
    InputRef,
    Turn,
    decode_turn,
    encode_turn,
)
from titanflow.core.base.errors import WireError
from titanflow.core.facts import Bar, Fill
from titanflow.wire.v1 import turn_pb2

SEED = 20261126
CASES_MIN = 5_000
SECONDS_MAX = 60


def valid() -> list[bytes]:
    """Return one turn for each type of fact, and one that has them all."""
    refs = (InputRef("TF_main_MARKET", 9), InputRef("TF_main_ORDER", 2**40))
    facts = [value(kind, count(1)) for kind in kinds() for value in (plain, edge)]
    alone = [encode_turn(Turn("trade-0", 7, 5, refs, (fact,), 4)) for fact in facts]
    return [*alone, encode_turn(Turn("trade-0", 7, 5, refs, tuple(facts), 4))]


def hostile() -> Iterator[bytes]:
    """Give the cases: noise, damage that the checksum sees, and damage that fits it."""
    chance = random.Random(SEED)
    samples = valid()
    for _ in range(1_500):
        noise = chance.randbytes(chance.randrange(200))
        yield noise
        yield seal(noise)
    for data in samples:
        body = unsealed(data)
        cuts = range(len(body)) if len(body) < 500 else range(0, len(body), 37)
        yield from (data[:at] for at in cuts)
        yield from (seal(body[:at]) for at in cuts)
        yield from (mutate(data, chance) for _ in range(20))
        yield from (seal(mutate(body, chance)) for _ in range(120))


def outcome(data: bytes) -> str:
    """Return `refused` or `read`; anything else is the test's failure."""
    try:
        turn = decode_turn(data)
    except WireError as error:
        return "refused" if str(error).startswith("turn") else f"without a place: {error}"
    # What was read is a turn like any other.
    assert bits(turn) == bits(decode_turn(encode_turn(turn)))
    return "read"


def test_thousands_of_hostile_messages_are_refused_or_read_and_nothing_else() -> None:
    began = time.monotonic()
    counts: Counter[str] = Counter()

    for data in hostile():
        try:
            counts[outcome(data)] += 1
        except Exception as error:
            raise AssertionError(f"{error!r} from {data.hex()}") from error

    print(counts)
    assert {"refused", "read"} == counts.keys()
    assert counts["refused"] >= CASES_MIN, counts
    assert counts["read"] >= 10, "damage that fits the checksum must reach the fields"
    assert time.monotonic() - began < SECONDS_MAX


def test_every_flipped_bit_of_a_turn_is_noticed() -> None:
    data = valid()[0]

    for at in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[at // 8] ^= 1 << at % 8

        with pytest.raises(WireError, match=r"checksum|crc32c"):
            decode_turn(bytes(damaged))


def field(number: int, content: bytes) -> bytes:
    """Return a field of wire type 2 with a length below 128."""
    return bytes([number << 3 | 2, len(content)]) + content


HEAD = field(1, b"pod") + b"\x10\x01\x18\x02\x30\x02"
FILL = unsealed(encode_turn(Turn("pod", 1, 1, (), (plain(Fill, count(1)),), 1)))
DEEP = b"\xf3\x01" * 200 + b"\xf4\x01" * 200
"""Groups of field 30 within each other."""

SAID = {
    "empty": (b"", "pod: is missing"),
    "no tag": (HEAD + b"\x07", "no field begins, at byte 11"),
    "number zero": (HEAD + b"\x00\x01", "no field begins, at byte 11"),
    "endless number": (HEAD + b"\x10" + b"\xff" * 11, "number of more than 10 bytes"),
    "cut number": (HEAD + b"\x10\xff", "is cut inside a number"),
    "announced too much": (HEAD + b"\x2a\x7f\x00", "is cut: 127 bytes announced, 7 left"),
    "announced 4 GiB": (HEAD + b"\x2a\xff\xff\xff\xff\x0f", "is cut: 4294967295 bytes announced"),
    "no UTF-8 in the pod": (field(1, b"p\xff"), r"turn\.pod: is no UTF-8 at byte 1"),
    "no UTF-8 in a fact": (
        HEAD + field(5, field(1, field(5, b"\xc0\x80"))),
        r"facts\[0\]\.bar\.symbol",
    ),
    "half a double": (
        HEAD + field(5, field(5, field(8, b"1234567"))),
        r"facts\[0\]\.belief\.features",
    ),
    "unknown kind": (HEAD + field(5, b"\xa2\x06\x00"), r"facts\[0\]: a kind .* \(field 100\)"),
    "no kind": (HEAD + field(5, b""), r"facts\[0\]: a kind .* \(field none\)"),
    "wrong wire type": (HEAD + field(5, field(1, b"\x28\x01")), r"facts\[0\]\.bar\.id: is missing"),
    "second fact": (FILL + field(5, field(11, b"")), r"facts\[1\]\.fill\.id: is missing"),
    "nameless input": (HEAD + field(4, b"\x10\x01"), r"inputs\[0\]\.stream: is missing"),
    "groups in groups": (HEAD + DEEP, "too deep"),
    "open group": (HEAD + b"\xf3\x01", "group without its end"),
    "closed group": (HEAD + b"\xf4\x01", "group without its beginning"),
}


@pytest.mark.parametrize("case", SAID, ids=str)
def test_a_refusal_says_what_is_wrong_and_where(case: str) -> None:
    body, said = SAID[case]

    with pytest.raises(WireError, match=said):
        decode_turn(seal(body))


def test_a_cut_turn_and_a_foreign_message_are_told_at_once() -> None:
    data = valid()[0]

    for foreign in (data[:-1], b"", b"{}", b"PING\r\n", data + b"\0"):
        with pytest.raises(WireError, match="cut, or is no turn"):
            decode_turn(foreign)


def test_of_several_kinds_in_one_fact_the_last_holds_as_protobuf_says() -> None:
    bar = turn_pb2.Turn.FromString(
        unsealed(encode_turn(Turn("pod", 1, 1, (), (plain(Bar, count(1)),), 1)))
    ).facts[0]
    fill = turn_pb2.Turn.FromString(FILL).facts[0]
    both = bar.SerializeToString() + fill.SerializeToString()
    body = HEAD + b"\x2a" + bytes([len(both) & 0x7F | 0x80, len(both) >> 7]) + both

    assert (plain(Fill, count(1)),) == decode_turn(seal(body)).facts


@pytest.mark.parametrize("least", [b"\x2a\x00", b"\x22\x00", b"\x2a\x02\x5a\x00"])
def test_millions_of_least_parts_cost_bounded_memory_and_time(least: bytes) -> None:
    body = HEAD + least * ((TURN_BYTES_MAX - 100) // len(least))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()

    with pytest.raises(WireError, match=r"turn\.(facts|inputs)\[0\]"):
        decode_turn(seal(body))

    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert time.monotonic() - began < 10
    assert grown * 1024 < 48 * TURN_BYTES_MAX


def test_an_input_is_not_changed_by_a_reader() -> None:
    turn = decode_turn(valid()[0])

    with pytest.raises(AttributeError):
        turn.number = 2
    assert isinstance(turn.facts, tuple)
    assert msgspec.structs.asdict(turn)["inputs"] == turn.inputs
