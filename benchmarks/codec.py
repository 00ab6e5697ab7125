"""What does a fact cost on the wire? The codec beside msgspec, and beside protobuf alone.

    python -m benchmarks.codec [--facts N] [--repeat N] [--json]

For Fill, Intent and Verdict: nanoseconds for one fact in a turn of N (64), written and read, as the
best of the repeats. `msgspec` is MessagePack as in the journal, with types checked on reading, and
no checksum; `protobuf` is its C implementation alone: making the message of ready values and
serialising it, and parsing it, without reading a single field. The codec cannot be faster than
that. One process, one core, all in turn; the machine is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import timeit
from collections.abc import Callable
from typing import Any

import msgspec

from titanflow.adapters.codec import InputRef, Turn, decode_turn, encode_turn
from titanflow.adapters.codec_table import table_of
from titanflow.core.base.ident import Id, derive
from titanflow.core.facts import Fact, Fill, Intent, Verdict
from titanflow.core.spec.words import (
    IntentAction,
    Liquidity,
    OrderType,
    OrdStatus,
    Origin,
    Outcome,
    Side,
    TimeInForce,
)
from titanflow.wire.v1 import turn_pb2

AT = 1_700_000_000_000_000_000
NAMES = ("momentum-1", "AAPL")
CALLS = 50
"""Turns in one timing; enough that the clock's own cost vanishes."""


def ident(number: int) -> Id:
    """Return an id as the arena makes them."""
    return derive(bytes(16), b"bench", number)


def samples() -> list[Fact]:
    """Return one fact of each type that is measured, with values as they occur."""
    ask = (IntentAction.NEW, Side.BUY, 100, OrderType.LIMIT, 15_000, TimeInForce.GTC, False)
    named = ("momentum-1-000123", "", Origin.CONTENDER)
    head = (ident(1), ident(2), AT, AT, *NAMES)
    done = (Liquidity.TAKER, ident(4), OrdStatus.FILLED, 100, 0)
    return [
        Fill(
            *(ident(1), ident(2), AT, AT, ident(3)),
            *(*NAMES, named[0], Side.BUY, 100, 15_000, 12_345_678),
            *done,
        ),
        Intent(*head, *ask, *named, AT),
        Verdict(
            *(*head, Outcome.ALLOW, -1, "", "", 0, 0),
            *(*ask, *named, 14_990, 0, ("house",), ident(5)),
        ),
    ]


def best(function: Callable[[], object], facts: int, repeat: int) -> float:
    """Return nanoseconds for each of *facts* that one call handles."""
    return min(timeit.repeat(function, number=CALLS, repeat=repeat)) / CALLS / facts * 1e9


def measure(fact: Fact, facts: int, repeat: int) -> dict[str, Any]:
    """Return the row of one type."""
    turn = Turn("trade-0", 1, AT, (InputRef("TF_main_MARKET", 1),), (fact,) * facts, AT)
    data = encode_turn(turn)
    name = turn_pb2.Turn.FromString(data).facts[0].WhichOneof("fact")
    message = getattr(turn_pb2.AnyFact(), name)
    row = table_of(type(fact), message.DESCRIPTOR).pack(fact)
    rows = [{name: row}] * facts
    pack = msgspec.msgpack.Encoder().encode
    unpack = msgspec.msgpack.Decoder(tuple[type(fact), ...])  # type: ignore[misc]
    packed = pack(turn.facts)
    ways: dict[str, Callable[[], object]] = {
        "codec write": lambda: encode_turn(turn),
        "codec read": lambda: decode_turn(data),
        "msgspec write": lambda: pack(turn.facts),
        "msgspec read": lambda: unpack.decode(packed),
        "protobuf write": lambda: turn_pb2.Turn(facts=rows).SerializeToString(),
        "protobuf parse": lambda: turn_pb2.Turn.FromString(data),
    }
    assert turn == decode_turn(data)
    return {
        "fact": type(fact).__name__,
        "bytes": round(len(data) / facts),
        **{way: round(best(call, facts, repeat)) for way, call in ways.items()},
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What does a fact cost on the wire?")
    parser.add_argument("--facts", type=int, default=64, help="facts in one turn")
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [measure(fact, options.facts, options.repeat) for fact in samples()]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    if options.json:
        print(json.dumps({"machine": machine, "facts": options.facts, "rows": rows}))
        return 0
    print(f"ns for one fact in a turn of {options.facts}; {machine}")
    print("  ".join(f"{title:>14}" for title in rows[0]))
    for row in rows:
        print("  ".join(f"{value:>14}" for value in row.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
