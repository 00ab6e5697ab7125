"""Is the tree put together as the first architecture decision says, and does nothing leak in?"""

from __future__ import annotations

import ast
import hashlib
import importlib
from pathlib import Path

import pytest

import hatch_build
from tools.tree import CARD_ROOTS, dotted, ending, files, modules, relative

# Written in halves, so that this file passes its own test.
ELSEWHERE = ("/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "shared/" + "design", ".li" + "brary/")
TEXT = (".py", ".pyx", ".pxd", ".pyi", ".md", ".toml", ".yaml", ".yml", ".txt", ".in", ".json")
NATIVE = tuple(path for path in modules() if path.suffix == ".pyx")


def test_the_namespace_has_no_init_file() -> None:
    forbidden = {f"{root}/__init__.py" for root in CARD_ROOTS}
    forbidden |= {f"{root}/titanflow/__init__.py" for root in CARD_ROOTS}

    found = forbidden.intersection(map(relative, files()))

    assert set() == found


def test_tests_are_no_package() -> None:
    found = [name for name in map(relative, ending("__init__.py")) if name.startswith("tests/")]

    assert [] == found


def test_test_files_have_unique_names() -> None:
    names = [path.name for path in ending(".py") if relative(path).startswith("tests/")]
    names = [name for name in names if name != "conftest.py"]

    assert sorted(set(names)) == sorted(names)


def test_every_package_in_core_has_an_init_file() -> None:
    folders = {path.parent for path in modules()}
    named = {folder for folder in folders if folder.parent.name in {"core", "titanflow"}}

    missing = [relative(folder) for folder in named if not (folder / "__init__.py").exists()]

    assert [] == missing


def test_every_module_begins_with_a_paragraph() -> None:
    bare = []
    for path in ending(".py"):
        if path.name != "conftest.py" or path.read_text("utf-8").strip():
            paragraph = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
            if len(paragraph) < 20 or not paragraph.rstrip().endswith((".", "?", ")", "`", '"')):
                bare.append(relative(path))
    bare += [
        relative(path)
        for path in ending(".pyx")
        if '"""' not in "".join(path.read_text("utf-8").splitlines(keepends=True)[:6])
    ]

    assert [] == bare


def test_no_file_names_a_place_on_somebody_s_machine() -> None:
    named = []
    for path in files():
        if path.suffix in TEXT or path.name in {"Makefile", "run", ".gitignore"}:
            text = path.read_text("utf-8")
            named += [(relative(path), word) for word in ELSEWHERE if word in text]

    assert [] == named


@pytest.mark.parametrize("path", NATIVE, ids=lambda path: path.stem)
def test_no_native_module_is_stale(path: Path) -> None:
    module = importlib.import_module(dotted(path))

    assert hatch_build.source_sha256(path) == module.SOURCE_SHA256, "run `make native`"


@pytest.mark.parametrize("path", NATIVE, ids=lambda path: path.stem)
def test_every_native_module_has_a_stub(path: Path) -> None:
    assert path.with_suffix(".pyi").exists()


def test_no_two_files_are_equal() -> None:
    seen: dict[str, str] = {}
    twins = []
    for path in files():
        content = path.read_bytes()
        key = hashlib.sha256(content).hexdigest()
        if len(content) > 200 and key in seen:
            twins.append((seen[key], relative(path)))
        seen[key] = relative(path)

    assert [] == twins
