"""Is the generated code what the .proto files say, and do schemas change by the rules only?

The rules are in docs/wire.md; `tools.proto_rules.broken` is the function that knows them.
"""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tools import make_proto
from tools.make_proto import PROTO
from tools.proto_rules import broken, packages, read, shape_of, write
from tools.tree import ROOT

STUBS = sorted(PROTO.rglob("*_pb2_grpc.pyi"))


@pytest.fixture(scope="module")
def described() -> FileDescriptorSet:
    return make_proto.describe()


def test_generated_code_is_fresh() -> None:
    assert [] == make_proto.stale(), "run `python -m tools.make_proto`"


def test_a_stale_file_and_a_file_without_source_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    source = 'syntax = "proto3"; package a; message One { int32 x = 1; } '
    (folder / "one.proto").write_text(source, "utf-8")
    for name, text in make_proto.generate(tmp_path).items():
        (tmp_path / name).write_text(text, "utf-8")
    fresh = make_proto.stale(tmp_path)

    (folder / "one.proto").write_text(source.replace("int32", "int64"), "utf-8")
    (folder / "gone_pb2.py").write_text("", "utf-8")

    assert [] == fresh
    assert ["a/gone_pb2.py", "a/one_pb2.py"] == make_proto.stale(tmp_path)


def test_check_ends_well_on_fresh_code_and_changes_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.make_proto", "--check"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )

    assert (0, b"") == (done.returncode, done.stdout)


def test_every_package_has_a_golden_shape(described: FileDescriptorSet) -> None:
    assert ["inference", "titanflow.rpc.v1", "titanflow.wire.v1"] == packages(described)


@pytest.mark.parametrize("path", STUBS, ids=lambda path: path.stem)
def test_a_stub_names_what_its_module_has(path: Path) -> None:
    module = importlib.import_module(".".join(path.relative_to(PROTO).with_suffix("").parts))

    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            assert hasattr(module, node.name)
        if isinstance(node, ast.ClassDef) and node.name.endswith("Servicer"):
            methods = {each.name for each in node.body}
            assert methods == {n for n in vars(getattr(module, node.name)) if n[0] != "_"}


FORMER = """\
message a.Fill
  1: bytes id
  2: a.Side side
  3: sint64 fee
  reserved 9: number
  reserved tax: name
enum a.Side
  0: SIDE_UNSPECIFIED
  1: SIDE_BUY
service a.Books
  Get: a.Ask -> a.Answer
"""

CHANGES = {
    "nothing": ("", "", []),
    "a new field": ("  reserved 9", "  4: bool maker\n  reserved 9", []),
    "a new value": ("1: SIDE_BUY", "1: SIDE_BUY\n  2: SIDE_SELL", []),
    "a new method": ("a.Answer", "a.Answer\n  List: a.Ask -> stream a.Answer", []),
    "a new message": ("enum a.Side", "message a.New\nenum a.Side", []),
    "renumbered": ("3: sint64", "5: sint64", ["message a.Fill: fee had number 3 and has 5"]),
    "renamed": ("fee", "cost", ["message a.Fill: 3 was sint64 fee and is sint64 cost"]),
    "retyped": ("sint64", "int64", ["message a.Fill: 3 was sint64 fee and is int64 fee"]),
    "repeated": (
        "sint64",
        "repeated sint64",
        ["message a.Fill: 3 was sint64 fee and is repeated sint64 fee"],
    ),
    "removed": (
        "  3: sint64 fee\n",
        "",
        ["message a.Fill: 3 (sint64 fee) is gone, and its number and name are not both reserved"],
    ),
    "half reserved": (
        "  3: sint64 fee\n",
        "  reserved 3: number\n",
        ["message a.Fill: 3 (sint64 fee) is gone, and its number and name are not both reserved"],
    ),
    "removed and reserved": (
        "  3: sint64 fee\n",
        "  reserved 3: number\n  reserved fee: name\n",
        [],
    ),
    "used again": (
        "  reserved 9: number",
        "  9: bool maker\n  reserved 9: number",
        ["message a.Fill: 9 was reserved and is used again (bool maker)"],
    ),
    "named again": (
        "  reserved 9",
        "  4: bool tax\n  reserved 9",
        ["message a.Fill: tax was reserved and is used again (number 4)"],
    ),
    "freed": ("  reserved 9: number\n", "", ["message a.Fill: 9 is no longer reserved"]),
    "message gone": ("message a.Fill", "message a.Filled", ["message a.Fill: is gone"]),
    "value gone": ("  1: SIDE_BUY\n", "", ["enum a.Side: 1 (SIDE_BUY) is gone"]),
    "value moved": ("1: SIDE_BUY", "2: SIDE_BUY", ["enum a.Side: SIDE_BUY had number 1 and has 2"]),
    "value renamed": ("SIDE_BUY", "SIDE_BID", ["enum a.Side: 1 was SIDE_BUY and is SIDE_BID"]),
    "method gone": (
        "  Get: a.Ask -> a.Answer\n",
        "",
        ["service a.Books: Get (a.Ask -> a.Answer) is gone"],
    ),
    "method changed": (
        "-> a.Answer",
        "-> stream a.Answer",
        ["service a.Books: Get was a.Ask -> a.Answer and is a.Ask -> stream a.Answer"],
    ),
}


@pytest.mark.parametrize("case", CHANGES, ids=str)
def test_a_change_is_judged_by_the_rules(case: str) -> None:
    before, after, wanted = CHANGES[case]
    assert before in FORMER

    assert wanted == broken(read(FORMER), read(FORMER.replace(before, after, 1)))


def test_a_shape_is_read_as_it_was_written(described: FileDescriptorSet) -> None:
    for package in packages(described):
        shape = shape_of(described, package)

        assert shape == read(write(shape))
        assert [] == broken(shape, shape)


def test_a_shape_holds_what_was_reserved() -> None:
    described = FileDescriptorSet()
    file = described.file.add(name="a.proto", package="a")
    message = file.message_type.add(name="Fill")
    message.reserved_range.add(start=3, end=5)
    message.reserved_name.append("tax")

    assert read(
        "message a.Fill\n  reserved 3: number\n  reserved 4: number\n  reserved tax: name\n"
    ) == (shape_of(described, "a"))
    message.reserved_range.add(start=10, end=5_000)
    with pytest.raises(ValueError, match="reserves more than"):
        shape_of(described, "a")
