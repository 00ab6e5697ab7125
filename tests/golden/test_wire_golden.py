"""Do messages of version 1 still mean what they meant, and are their shapes what they were?

`wire_v1_turns.json` holds turns in hexadecimal beside what they say. Its lines are for ever: a new
type of fact, or a field that was added to one, brings new lines, and no line is changed. The other
files are shapes of packages; `make golden` writes what the rules of docs/wire.md allow and refuses
the rest.
"""

from __future__ import annotations

import enum
import json
import os
from itertools import count
from typing import Any

import msgspec
import pytest
from wire_kit import edge, kinds, plain

from titanflow.adapters.codec import InputRef, Turn, decode_turn, encode_turn
from titanflow.core import facts
from titanflow.core.facts import Fact
from tools.make_proto import describe
from tools.proto_rules import broken, read, shape_of, write
from tools.tree import ROOT

FOLDER = ROOT / "tests/golden"
TURNS = FOLDER / "wire_v1_turns.json"
SHAPES = {
    "titanflow.wire.v1": FOLDER / "wire_v1.txt",
    "titanflow.rpc.v1": FOLDER / "wire_rpc_v1.txt",
    "inference": FOLDER / "wire_inference.txt",
}
WRITES = os.environ.get("TITANFLOW_GOLDEN") == "write"

Line = dict[str, Any]


def shown(value: object) -> object:
    """Return a value as JSON that loses nothing that people read."""
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, msgspec.Struct):
        return {name: shown(held) for name, held in msgspec.structs.asdict(value).items()}
    if isinstance(value, tuple):
        return [shown(held) for held in value]
    if isinstance(value, bytes):
        return value.hex()
    # JSON knows neither NaN nor infinity, and hexadecimal keeps every bit of the others.
    return value.hex() if isinstance(value, float) else value


def written() -> list[Line]:
    """Return the golden lines."""
    return json.loads(TURNS.read_text("utf-8")) if TURNS.exists() else []


def covers(line: Line, kind: type[Fact]) -> bool:
    """Say whether a line shows every field that a type of fact has today."""
    fields = [field.name for field in msgspec.structs.fields(kind)]
    return line["fact"] == kind.__name__ and list(line["says"]["facts"][0]) == fields


def line_for(kind: type[Fact], way: str) -> Line:
    """Return a new line: a turn with one fact, of plain values or of those at the edge."""
    fact = plain(kind, count(1)) if way == "plain" else edge(kind, count(0))
    turn = Turn("trade-0", 7, 1_000, (InputRef("TF_main_MARKET", 9),), (fact,), 999)
    return {
        "fact": kind.__name__,
        "values": way,
        "hex": encode_turn(turn).hex(),
        "says": shown(turn),
    }


def lines() -> list[Line]:
    """Return the golden lines; where they are written, with what is missing at their end."""
    found = written()
    if WRITES:
        for kind in kinds():
            if not any(covers(line, kind) for line in found):
                found += [line_for(kind, "plain"), line_for(kind, "edge")]
        rows = ",\n".join(json.dumps(line, ensure_ascii=False) for line in found)
        TURNS.write_text(f"[\n{rows}\n]\n", "utf-8")
    return found


LINES = lines()


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line['fact']}-{line['values']}")
def test_a_turn_of_version_1_still_says_what_it_said(line: Line) -> None:
    turn = decode_turn(bytes.fromhex(line["hex"]))
    said, says = shown(turn), line["says"]

    (fact,), (wanted,) = said.pop("facts"), dict(says).pop("facts")
    assert {name: says[name] for name in said} == said
    assert wanted == {name: fact[name] for name in wanted}
    # What was added since has its default.
    for field in msgspec.structs.fields(getattr(facts, line["fact"])):
        if field.name not in wanted:
            assert shown(field.default) == fact[field.name]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_field_of_every_fact_has_golden_lines(kind: type[Fact]) -> None:
    found = [line["values"] for line in LINES if covers(line, kind)]

    assert ["plain", "edge"] == found, "run `make golden` and read the diff"


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_today_s_writer_writes_the_golden_bytes(kind: type[Fact]) -> None:
    for line in LINES:
        if covers(line, kind):
            assert line["hex"] == encode_turn(decode_turn(bytes.fromhex(line["hex"]))).hex()


@pytest.mark.parametrize("package", SHAPES)
def test_a_schema_changes_by_the_rules_only(package: str) -> None:
    now, path = shape_of(describe(), package), SHAPES[package]
    former = read(path.read_text("utf-8")) if path.exists() else {}

    assert [] == broken(former, now), "docs/wire.md says how a schema may change"
    if WRITES:
        path.write_text(write(now), "utf-8")
    assert now == read(path.read_text("utf-8")), "run `make golden` and read the diff"
