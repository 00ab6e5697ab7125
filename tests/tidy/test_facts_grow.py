"""Do facts grow at their end only? Old journals must stay readable.

Facts are encoded as arrays in the order of their fields, so a field that moves or leaves makes an
old record mean something else. `make golden` writes new fields down, and refuses the rest.
"""

from __future__ import annotations

import inspect
import os

import msgspec

from titanflow.core import facts
from tools.tree import ROOT

GOLDEN = ROOT / "tests/golden/facts.txt"


def shapes() -> dict[str, tuple[str, ...]]:
    """Return the fields of every record in the vocabulary, optional ones with a `?`."""
    found = {}
    for name in sorted(facts.__all__):
        record = getattr(facts, name)
        if inspect.isclass(record) and issubclass(record, msgspec.Struct):
            found[name] = tuple(
                field.name + ("" if field.required else "?")
                for field in msgspec.structs.fields(record)
            )
    return found


def written() -> dict[str, tuple[str, ...]]:
    """Return what the golden file holds."""
    lines = GOLDEN.read_text("utf-8").splitlines() if GOLDEN.exists() else []
    return {line.partition(":")[0]: tuple(line.partition(":")[2].split()) for line in lines}


def test_facts_only_grow_at_the_end_and_by_optional_fields() -> None:
    now = shapes()

    for name, former in written().items():
        assert former == now[name][: len(former)], f"{name} lost or moved a field"
        assert all(field.endswith("?") for field in now[name][len(former) :]), name


def test_the_golden_file_knows_every_field() -> None:
    now = shapes()
    if os.environ.get("TITANFLOW_GOLDEN") == "write":
        test_facts_only_grow_at_the_end_and_by_optional_fields()
        lines = [f"{name}: {' '.join(fields)}\n" for name, fields in now.items()]
        GOLDEN.write_text("".join(lines), "utf-8")

    assert now == written(), "run `make golden` and read the diff"
