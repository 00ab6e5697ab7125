"""Does every code block of the documentation run as it stands?

A block's language says what is done with it: `bash` blocks are commands, `python` blocks are
executed, `yaml` blocks are manifests. Commands that start with `make` are looked up, for they run
in continuous integration; `titanflow` commands run here, one after the other for each page, in a
copy of the examples with one session recorded beforehand. A block that shows output is `text`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tools.tree import ROOT, ending, relative

COMMAND_SECONDS_MAX = 120
NEEDS_NETWORK = ("git ", "pip ", "uv ", "uvx ", "kubectl ", "cd ")
"""Commands about installing, which continuous integration does by other means."""

SHELL = ("bash", "sh")
KNOWN = {*SHELL, "", "python", "yaml", "text", "json", "toml", "csv", "html", "make"}
"""A block without a language is a drawing."""

_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(path: Path) -> list[tuple[str, str]]:
    """Return (language, text) of each block of a page."""
    return [(language.strip(), text) for language, text in _BLOCK.findall(path.read_text("utf-8"))]


def pages(*languages: str) -> list[Path]:
    """Return the pages that hold a block of one of *languages*."""
    return [page for page in ending(".md") if any(lang in languages for lang, _ in blocks(page))]


def commands(path: Path) -> list[str]:
    """Return the commands of a page, without comments and continuation lines joined."""
    found = []
    for language, text in blocks(path):
        if language in SHELL:
            joined = text.replace("\\\n", " ")
            found += [line.strip() for line in joined.splitlines()]
    return [line for line in found if line and not line.startswith("#")]


@pytest.mark.parametrize("path", ending(".md"), ids=relative)
def test_every_block_says_its_language(path: Path) -> None:
    languages = {language for language, _ in blocks(path)}

    assert languages - KNOWN == set()


@pytest.mark.parametrize("path", pages("python"), ids=relative)
def test_python_blocks_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TITANFLOW_HOME", str(tmp_path))
    names: dict[str, object] = {"__name__": "page"}

    for language, text in blocks(path):
        if language == "python":
            exec(compile(text, relative(path), "exec"), names)


@pytest.mark.parametrize("path", pages("yaml"), ids=relative)
def test_yaml_blocks_are_well_formed(path: Path) -> None:
    for language, text in blocks(path):
        if language == "yaml":
            assert list(yaml.safe_load_all(text))


def targets() -> set[str]:
    """Return the verbs of the Makefile."""
    text = (ROOT / "Makefile").read_text("utf-8")
    return set(re.findall(r"^([a-z]+):.*##", text, re.MULTILINE))


@pytest.mark.parametrize("path", pages(*SHELL), ids=relative)
def test_every_make_verb_of_a_page_exists(path: Path) -> None:
    verbs = {
        word
        for line in commands(path)
        if line.startswith("make")
        for word in shlex.split(line, comments=True)[1:]
        if "=" not in word and not word.startswith("-")
    }

    assert verbs - targets() == set()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that looks like a checkout where one session was recorded."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(ROOT / "examples", folder / "examples")
    (folder / ".venv").symlink_to(sys.prefix)
    run(folder, "titanflow replay -f examples/arena")
    return folder


def run(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Run one line as a reader would, with our own command on the path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["sh", "-c", line],
        cwd=folder,
        env={**os.environ, "PATH": path, "TITANFLOW_HOME": str(folder / ".titanflow")},
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )


@pytest.mark.parametrize("path", pages(*SHELL), ids=relative)
def test_every_command_of_a_page_works(path: Path, place: Path) -> None:
    for line in commands(path):
        if line.startswith(("make", *NEEDS_NETWORK)):
            continue

        done = run(place, line)

        # 6 and 9 are answers: a check that fails, a record that differs.
        assert done.returncode in {0, 6, 9}, f"{line}\n{done.stdout}\n{done.stderr}"
