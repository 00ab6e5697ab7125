"""Do the commands for bundles say what they did, and end with the right code?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import yaml
from model_kit import linear_archive, members, not_a_number

from titanflow.adapters.bundles.archive import pack
from titanflow.adapters.bundles.store import write_archive
from titanflow.core.spec.bundle import BundleSpec
from tools.tree import ROOT

EXAMPLE = ROOT / "examples/arena"
OK, USAGE, NOT_FOUND, REFUSED = 0, 2, 3, 6


class Desk:
    """A folder to work in, and the command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str, code: int = OK) -> str:
        """Run the command, check how it ends, and return what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "titanflow.cli.main", *arguments],
            cwd=self.folder,
            env={"TITANFLOW_HOME": str(self.folder / "state"), "PATH": ""},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert code == done.returncode, done.stdout + done.stderr
        return done.stdout + done.stderr

    def json(self, *arguments: str, code: int = OK) -> object:
        """Run the command and return what it wrote as JSON."""
        text = self.run(*arguments, "-o", "json", code=code)
        return json.JSONDecoder().raw_decode(text)[0]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def parts(folder: Path, model: bytes | None = None) -> Path:
    told = members(model)
    folder.mkdir()
    (folder / "model.onnx").write_bytes(told.model)
    (folder / "manifest.json").write_bytes(told.manifest)
    (folder / "golden.f32").write_bytes(told.golden)
    return folder


def test_a_graph_of_one_s_own_is_built_signed_verified_and_shown(desk: Desk) -> None:
    parts(desk.folder / "parts")
    desk.run("bundle", "keygen", "mine")
    archive = desk.run("bundle", "build", "parts").splitlines()[0]
    assert "is not signed" in desk.run("bundle", "verify", archive, code=REFUSED)
    desk.run("bundle", "sign", archive, "--key", "state/keys/mine.key")

    found = desk.json("bundle", "verify", archive)
    shown = desk.json("bundle", "show", archive)
    manifest = yaml.safe_load(desk.run("bundle", "show", archive, "--manifest"))

    assert {"verified": True, "step": None, "text": ""}.items() <= dict(found).items()  # type: ignore[call-overload]
    assert "line" == dict(shown)["name"]  # type: ignore[call-overload]
    assert "1.0.0" == BundleSpec.model_validate(manifest["spec"]).version
    assert "A line" in desk.run("bundle", "show", archive)


def test_a_graph_that_fails_a_check_is_not_built(desk: Desk) -> None:
    parts(desk.folder / "parts", not_a_number())

    assert "not finite" in desk.run("bundle", "build", "parts", code=REFUSED)
    assert "no such file" in desk.run("bundle", "build", "nowhere", code=NOT_FOUND)


def test_the_step_that_refuses_is_named(desk: Desk) -> None:
    path = write_archive(desk.folder / "made", "line", linear_archive())
    desk.run("bundle", "keygen", "mine")
    desk.run("bundle", "sign", str(path), "--key", "state/keys/mine.key")
    bad = write_archive(desk.folder / "made", "line", pack(members(not_a_number())))
    desk.run("bundle", "sign", str(bad), "--key", "state/keys/mine.key")
    path.write_bytes(path.read_bytes()[:-700] + b"x" + path.read_bytes()[-699:])

    assert "hash" == dict(desk.json("bundle", "verify", str(path), code=REFUSED))["step"]  # type: ignore[call-overload]
    found = desk.json("bundle", "verify", str(bad), code=REFUSED)
    assert "golden vectors" == dict(found)["step"]  # type: ignore[call-overload]


def test_bundles_of_the_example_are_listed_and_verified_by_name(desk: Desk) -> None:
    rows = desk.json("bundle", "list", "-f", str(EXAMPLE))

    assert ["direction", "drift"] == [row["name"] for row in rows]  # type: ignore[attr-defined]
    for name in ("direction", "drift"):
        assert "verified" in desk.run("bundle", "verify", name, "-f", str(EXAMPLE))
        assert "Naive" in desk.run("bundle", "show", name, "-f", str(EXAMPLE))


def test_what_is_not_there_is_said_with_what_is(desk: Desk) -> None:
    text = desk.run("bundle", "verify", "lime", "-f", str(EXAMPLE), code=NOT_FOUND)

    assert "direction, drift" in text
    desk.run("bundle", "verify", "none.tfb", "-f", str(EXAMPLE), code=NOT_FOUND)
    desk.run("bundle", "sign", "none.tfb", "--key", "x", code=NOT_FOUND)


def test_a_bundle_is_trained_and_signed_by_one_command(desk: Desk) -> None:
    desk.run("bundle", "keygen", "mine")

    made = desk.json(
        "train", str(ROOT / "examples/models/lightgbm.yaml"), "--key", "state/keys/mine.key"
    )

    told = msgspec.convert(made, dict[str, object])
    assert told["signed"] is True
    assert "verified" in desk.run("bundle", "verify", str(told["bundle"]))
    rows = desk.json("bundle", "list", "-f", str(EXAMPLE))
    assert 3 == len(rows)  # type: ignore[arg-type]
    desk.run("train", "none.yaml", code=USAGE)
