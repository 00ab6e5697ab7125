"""Are the examples in the docstrings true?"""

from __future__ import annotations

import doctest
import importlib

import pytest

from tools.tree import ROOT, dotted, ending, modules, relative

SHIPPED = [dotted(path) for path in modules() if path.suffix == ".py" and ">>>" in path.read_text()]
TOOLS = [
    relative(path).removesuffix(".py").replace("/", ".")
    for path in ending(".py")
    if path.parent == ROOT / "tools" and ">>>" in path.read_text("utf-8")
]


@pytest.mark.parametrize("name", [*SHIPPED, *TOOLS])
def test_the_examples_of_a_module_hold(name: str) -> None:
    module = importlib.import_module(name)

    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)

    assert result.attempted > 0
    assert result.failed == 0


def test_the_core_has_examples() -> None:
    assert len(SHIPPED) >= 3
