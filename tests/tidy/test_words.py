"""Does the core speak the glossary's words? Its last column is what they are not to be called."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator

from tools.tree import ROOT, ending, relative

EXCEPTIONS = tomllib.loads((ROOT / "tests/tidy/exceptions.toml").read_text("utf-8"))["words"]
VAGUE = frozenset({"manager", "helper", "util", "utils", "data", "info", "enhanced"})
"""No type or field may be called so, whatever it means."""

_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*")


def banned() -> frozenset[str]:
    """Return the words of the glossary's last column that are no words of ours elsewhere."""
    words, ours = set(VAGUE), {"", "—"}
    for line in (ROOT / "docs/glossary.md").read_text("utf-8").splitlines():
        if line.startswith("| **"):
            column = line.rstrip("| ").rpartition("|")[2]
            names = re.sub(r"\([^)]*\)", "", column).split(",")
            words |= {name.strip().lower().replace(" ", "_") for name in names}
            ours.add(line.split("**")[1].replace(" ", "_"))
    return frozenset(words - ours)


def named() -> Iterator[tuple[str, str]]:
    """Give each type and field of the core as (where, its name in snake case)."""
    for path in ending(".py"):
        if not relative(path).startswith("services/titanflow/core/"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield node.name, "_".join(_CAMEL.findall(node.name.lstrip("_"))).lower()
                for field in node.body:
                    if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                        yield f"{node.name}.{field.target.id}", field.target.id.lstrip("_")


def test_the_glossary_bans_words() -> None:
    words = banned()

    assert {"message", "payload", "strategy", "transaction", "last_price"} <= words


def test_no_type_or_field_in_core_has_a_banned_name() -> None:
    words = banned()

    found = {
        where
        for where, name in named()
        # The last word is the noun: `fill_model` is a model, `model_name` is a name.
        if name in words or name.rpartition("_")[2] in words
    }

    assert sorted(EXCEPTIONS) == sorted(found)
