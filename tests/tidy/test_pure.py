"""Do integers settle, and does nothing in the core depend on the order of a hash?

The import contracts in pyproject.toml keep clocks, chance and input/output out of the core; here
stands what an import cannot show.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tools.tree import ROOT, ending, relative

SETTLING = ("book", "gate", "ledger")
"""Native modules that settle money; features and beliefs in `window` are floats by design."""

_QUOTED = re.compile(r'"""(?:.|\n)*?"""|"[^"\n]*"|\'[^\'\n]*\'')
_COMMENT = re.compile(r"#[^\n]*")
_FLOATING = re.compile(r"\b(?:long double|double|float|float32|float64|float32_t|float64_t)\b")


def bare_code(text: str) -> str:
    """Return Cython source without strings and comments.

    >>> bare_code('x = 1  # a float')
    'x = 1  '
    """
    return _COMMENT.sub("", _QUOTED.sub('""', text))


@pytest.mark.parametrize("name", SETTLING)
@pytest.mark.parametrize("suffix", [".pyx", ".pxd"])
def test_native_modules_that_settle_money_hold_no_float(name: str, suffix: str) -> None:
    path = ROOT / f"native/titanflow/native/{name}{suffix}"
    text = path.read_text("utf-8") if path.exists() or suffix == ".pyx" else ""

    found = _FLOATING.findall(bare_code(text))

    assert [] == found


@pytest.mark.parametrize("folder", ["core/ledger", "core/base"])
def test_modules_that_settle_money_hold_no_float(folder: str) -> None:
    found = []
    for path in ending(".py"):
        if relative(path).startswith(f"services/titanflow/{folder}/"):
            # Chance informs; it settles nothing.
            tree = ast.parse(path.read_text("utf-8")) if path.name != "chance.py" else ast.parse("")
            for node in ast.walk(tree):
                literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
                named = isinstance(node, ast.Name) and node.id == "float"
                division = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
                if literal or named or division:
                    found.append(f"{relative(path)}:{node.lineno}")

    assert [] == found


def hash_ordered(node: ast.expr) -> bool:
    """Say whether a loop over *node* would follow the order of a hash."""
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"set", "frozenset"}
    )


def test_nothing_in_core_loops_over_a_set() -> None:
    found = []
    for path in ending(".py"):
        if relative(path).startswith("services/titanflow/core/"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                loop = isinstance(node, ast.For | ast.comprehension)
                if loop and hash_ordered(node.iter):
                    found.append(f"{relative(path)}:{node.iter.lineno}")

    assert [] == found


def test_nothing_in_core_calls_hash_id_open_print_or_input() -> None:
    found = []
    for path in ending(".py"):
        if relative(path).startswith("services/titanflow/core/"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
                if call and node.func.id in {"hash", "id", "open", "print", "input"}:
                    found.append(f"{relative(path)}:{node.lineno} {node.func.id}")

    assert [] == found


def test_compiler_flags_keep_every_machine_alike() -> None:
    build = Path(ROOT / "hatch_build.py").read_text("utf-8")

    assert '"-ffp-contract=off"' in build
    assert '"-ffast-math"' not in build
    assert '"-march' not in build
