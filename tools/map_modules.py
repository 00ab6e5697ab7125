"""What does each module answer? Draws docs/map.md from the first sentence of every module.

`python -m tools.map_modules` writes the page; a tidy test compares it, so no module is missing
and none is listed that is gone.
"""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

from tools.tree import ROOT, dotted, modules, relative

PAGE = ROOT / "docs/map.md"

HEAD = """\
# Map

Every module and the question that it answers, in the order of the layers.
A module may import what stands below its own layer, never what stands above; `make check` says so.
This page is drawn from the modules' own first sentences by `make golden`.

A newcomer's rule: what is deterministic lives in `services/titanflow/core`.
What is hot lives in `native`, and what touches the world in the rest of `services`.
"""

LAYERS = (
    ("titanflow.cli", "The command"),
    ("titanflow.services", "The services: one folder each"),
    ("titanflow.runtime", "The runtime: drivers, journal, replay"),
    ("titanflow.adapters", "Adapters: files, manifests, the bus, models"),
    ("titanflow.wire", "The wire: facts as protobuf"),
    ("titanflow.rpc", "Questions between services"),
    ("titanflow.core", "The core: pure and deterministic"),
    ("titanflow.native", "Native: compiled once, for every driver"),
)


def paragraph(path: Path) -> str:
    """Return the docstring at the top of a Python or Cython module."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        return ast.get_docstring(ast.parse(text)) or ""
    match = re.search(r'"""(.*?)"""', text, re.DOTALL)
    return textwrap.dedent(match[1]) if match else ""


def answer(path: Path) -> str:
    """Return the first sentence of a module's paragraph, and its answer if it is a question."""
    first = " ".join(paragraph(path).split("\n\n")[0].split())
    sentences = re.split(r"(?<=[.?])\s+(?=[A-Z`])", first)
    taken = sentences[:2] if sentences[0].endswith("?") else sentences[:1]
    return " ".join(taken).replace("|", "\\|")


def draw() -> str:
    """Return the page."""
    parts = [HEAD]
    for root, title in LAYERS:
        rows = [
            f"| [`{dotted(path)}`](../{relative(path)}) | {answer(path)} |"
            for path in sorted(modules(), key=dotted)
            if (dotted(path) == root or dotted(path).startswith(root + "."))
            and "_pb2" not in path.name  # generated
        ]
        if rows:
            table = "\n".join(["| module | what it answers |", "|---|---|", *rows])
            parts.append(f"\n## {title}\n\n{table}\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(draw(), "utf-8")
