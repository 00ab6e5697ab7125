"""Does every function fit a screen and every file a mind? Limits of the style guide."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

from tools.tree import ROOT, ending, relative

FUNCTION_LINES_MAX = 60
CORE_FILE_LINES_MAX = 400
FILE_LINES_MAX = 600

EXCEPTIONS = tomllib.loads((ROOT / "tests/tidy/exceptions.toml").read_text("utf-8"))

_CYTHON_FUNCTION = re.compile(
    r"(?P<indent> *)(?:def|cdef|cpdef)\s+(?P<head>[^=#]*?)(?P<name>\w+)\s*\("
)


def python_functions(path: Path) -> dict[str, int]:
    """Return lines per function of a Python file, decorators left out."""
    lengths = {}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lengths[f"{relative(path)}::{node.name}"] = (node.end_lineno or 0) - node.lineno + 1
    return lengths


def cython_functions(path: Path) -> dict[str, int]:
    """Return lines per function of a Cython file, judged by indentation."""
    lengths = {}
    lines = path.read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        match = _CYTHON_FUNCTION.match(line)
        if match is None:
            continue
        indent, last = len(match["indent"]), number
        for later in range(number + 1, len(lines)):
            text = lines[later]
            depth = len(text) - len(text.lstrip())
            # A closing bracket at the margin still belongs to the signature.
            if text.strip() and depth <= indent and not text.lstrip().startswith(")"):
                break
            last = later if text.strip() else last
        lengths[f"{relative(path)}::{match['name']}"] = last - number + 1
    return lengths


def test_a_function_has_at_most_60_lines() -> None:
    lengths: dict[str, int] = {}
    for path in ending(".py"):
        lengths |= python_functions(path)
    for path in ending(".pyx"):
        lengths |= cython_functions(path)

    too_long = {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES_MAX}

    assert too_long.keys() == EXCEPTIONS["long_functions"].keys(), too_long


def test_a_file_has_at_most_400_lines_in_core_and_600_elsewhere() -> None:
    too_long = {}
    for path in ending(".py", ".pyx", ".pxd", ".pyi"):
        lines = len(path.read_text("utf-8").splitlines())
        core = relative(path).startswith("services/titanflow/core/")
        if lines > (CORE_FILE_LINES_MAX if core else FILE_LINES_MAX):
            too_long[relative(path)] = lines

    assert too_long.keys() == EXCEPTIONS["long_files"].keys(), too_long


def test_every_exception_has_a_reason() -> None:
    reasons = [reason for table in EXCEPTIONS.values() for reason in table.values()]

    assert all(len(reason) > 20 for reason in reasons)


def test_the_cython_ruler_measures_what_the_python_ruler_measures() -> None:
    for path in ending(".py")[:40]:
        by_indentation = cython_functions(path)
        measured = {n: lines for n, lines in python_functions(path).items() if n in by_indentation}

        assert measured == {name: by_indentation[name] for name in measured}
