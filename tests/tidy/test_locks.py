"""Is what `make` installs pinned by hash, without addresses, and the same in every set?"""

from __future__ import annotations

import re
import tomllib

import pytest

from tools.tree import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))

_PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*)==(\S+)(?: ; (.*?))? \\$", re.MULTILINE)


def pins(name: str) -> set[tuple[str, ...]]:
    """Return (package, version, marker) of each pin in a lock."""
    text = (ROOT / f"requirements/{name}.txt").read_text("utf-8")
    return {match for match in _PIN.findall(text) if match[2] != "sys_platform == 'win32'"}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_a_lock_holds_hashes_and_no_address(path: object) -> None:
    text = (ROOT / "requirements" / str(path)).read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.strip().startswith("#")]

    assert "://" not in text
    assert "index" not in text
    assert all(line.startswith("    --hash=sha256:") or _PIN.match(line) for line in lines)


@pytest.mark.parametrize("name", ["base", "build"])
def test_a_smaller_set_has_the_versions_of_the_test_set(name: str) -> None:
    assert pins(name) - pins("dev") == set()


def test_the_build_set_is_what_the_build_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    lines = (ROOT / "requirements/build.in").read_text("utf-8").splitlines()

    asked = [line for line in lines if line and not line.startswith("#")]

    assert project["build-system"]["requires"] == asked


@pytest.mark.parametrize("name", ["base", "dev"])
def test_a_lock_covers_what_the_project_declares(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = list(project["dependencies"])
    if name == "dev":
        declared += project["optional-dependencies"]["dev"]
    names = {re.split(r"[<>=;\[ ]", entry)[0].lower().replace("_", "-") for entry in declared}

    assert names - {pin[0] for pin in pins(name)} == set()
