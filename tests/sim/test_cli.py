"""The command as a user meets it: what it prints, how it ends, and what it leaves behind."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kit import ARENA, bars_csv, small_folder

COMMAND = [sys.executable, "-m", "titanflow.cli.main"]


def titanflow(home: Path, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"TITANFLOW_HOME": str(home), "NO_COLOR": "1"}
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, env=environment, check=False,
        timeout=120, **options,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_folder(tmp_path / "arena")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_replay_prints_one_json_object_and_verify_confirms_it(folder: Path, home: Path) -> None:
    done = titanflow(home, "replay", "-f", str(folder), "-o", "json")
    said = json.loads(done.stdout)
    checked = titanflow(home, "verify", said["session"], "-o", "json")

    keys = ["session", "journal", "digest", "events", "facts", "invariants", "standings"]
    assert done.returncode == 0, done.stderr
    assert keys == list(said)
    assert said["invariants"]["broken"] == 0
    assert checked.returncode == 0
    assert json.loads(checked.stdout)["digest"] == said["digest"]


def test_verify_ends_with_9_for_a_flip_and_8_for_a_cut(folder: Path, home: Path) -> None:
    said = json.loads(titanflow(home, "replay", "-f", str(folder), "-o", "json").stdout)
    journal = Path(said["journal"])
    data = bytearray(journal.read_bytes())
    journal.write_bytes(data[:-7])
    cut = titanflow(home, "verify")
    data[len(data) // 2] ^= 1
    journal.write_bytes(data)
    flipped = titanflow(home, "verify")

    assert (cut.returncode, flipped.returncode) == (8, 9)
    assert "cut short" in cut.stdout
    assert "record " in flipped.stdout


def test_the_hash_seed_changes_nothing(folder: Path, home: Path) -> None:
    digests = set()
    for seed in ("0", "1", "2"):
        environment = os.environ | {"TITANFLOW_HOME": str(home), "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [*COMMAND, "replay", "-f", str(folder), "-o", "json"],
            capture_output=True, text=True, env=environment, check=True,
        )  # fmt: skip
        digests.add(json.loads(done.stdout)["digest"])

    assert len(digests) == 1


def test_a_wrong_manifest_ends_with_2_and_every_mistake(folder: Path, home: Path) -> None:
    (folder / "hold.yaml").write_text((folder / "hold.yaml").read_text().replace("tier", "teir"))
    (folder / "arena.yaml").write_text(ARENA.replace("seed: 11", "seed: -1"))

    done = titanflow(home, "replay", "-f", str(folder))

    assert done.returncode == 2
    assert "hold.yaml:5" in done.stderr
    assert "tier" in done.stderr
    assert "arena.yaml:5" in done.stderr
    assert not (home / "sessions").exists()


def test_a_full_disk_ends_with_1_and_the_record_verifies_to_its_end(
    folder: Path, home: Path
) -> None:
    (folder / "bars.csv").write_text(bars_csv(4000))

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    done = titanflow(home, "replay", "-f", str(folder), preexec_fn=small_files)
    found = titanflow(home, "verify", "-o", "json")

    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert found.returncode == 8
    assert json.loads(found.stdout)["facts"] > 100


def test_an_interrupt_ends_with_130_and_the_record_verifies_to_its_end(
    folder: Path, home: Path
) -> None:
    (folder / "bars.csv").write_text(bars_csv(20_000))
    environment = os.environ | {"TITANFLOW_HOME": str(home)}

    def hears_interrupts() -> None:
        # A shell that started the tests in the background made everything below it deaf.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    running = subprocess.Popen(
        [*COMMAND, "replay", "-f", str(folder)],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=hears_interrupts,  # noqa: PLW1509 - the tests have no threads
    )  # fmt: skip
    for _ in range(600):
        if any(p.stat().st_size > 300_000 for p in home.glob("sessions/*/journal.tfj")):
            break
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    code = running.wait(60)
    found = titanflow(home, "verify", "-o", "json")

    assert code == 130
    assert found.returncode == 8
    assert json.loads(found.stdout)["facts"] > 100


def test_why_explains_a_fill_and_a_hold(folder: Path, home: Path) -> None:
    titanflow(home, "replay", "-f", str(folder))
    facts = titanflow(home, "session", "facts", "--kind", "Fill", "-o", "json")
    fill = json.loads(facts.stdout)[0]
    told = json.loads(titanflow(home, "why", fill["id"][:12], "-o", "json").stdout)
    moment = ("--contender", "cross", "--symbol", "AAA", "--at", "2020-01-08")
    hold = json.loads(titanflow(home, "why", *moment, "-o", "json").stdout)

    kinds = {fact["kind"] for fact in told["facts"]}
    parts = told["signal"]["explanation"]
    assert {"Intent", "Verdict", "Order", "Fill", "Entry"} <= kinds
    assert told["verdict"]["outcome"] == "Allow"
    assert abs(parts[0] + sum(p[2] for p in parts[1]) - told["signal"]["score"]) <= 1e-9
    assert hold["signal"]["side"] == 0
    assert hold["facts"] == []


def test_a_report_is_one_page_that_loads_nothing(folder: Path, home: Path, tmp_path: Path) -> None:
    page = tmp_path / "out.html"
    done = titanflow(home, "replay", "-f", str(folder), "--report", str(page))
    text = page.read_text()

    assert done.returncode == 0, done.stderr
    assert "<svg" in text
    assert "src=" not in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_up_once_waits_for_nobody_and_names_the_next_commands(folder: Path, home: Path) -> None:
    done = titanflow(home, "up", "--once", "-f", str(folder), stdin=subprocess.DEVNULL)

    assert done.returncode == 0, done.stderr
    assert "Standings" in done.stdout
    assert done.stderr.count("  titanflow ") == 3


def test_sessions_are_listed_measured_and_removed_only_with_yes(folder: Path, home: Path) -> None:
    name = json.loads(titanflow(home, "replay", "-f", str(folder), "-o", "json").stdout)["session"]
    listed = json.loads(titanflow(home, "session", "list", "-o", "json").stdout)
    size = json.loads(titanflow(home, "session", "size", name, "-o", "json").stdout)
    refused = titanflow(home, "session", "rm", name, stdin=subprocess.DEVNULL)
    removed = titanflow(home, "session", "rm", name, "--yes")
    missing = titanflow(home, "verify", name)

    assert [name] == [card["session"] for card in listed]
    assert size["bytes"] > size["journalBytes"] > 0
    assert (refused.returncode, removed.returncode, missing.returncode) == (2, 0, 3)


def test_the_small_commands_work(folder: Path, home: Path) -> None:
    for arguments in (
        ("version",),
        ("doctor",),
        ("data", "list"),
        ("data", "check"),
        ("contender", "list", "-f", str(folder)),
        ("contender", "check", "cross", "-f", str(folder)),
    ):
        done = titanflow(home, *arguments, "-o", "json")

        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        assert json.loads(done.stdout)


def test_help_imports_neither_numpy_nor_pyarrow(home: Path) -> None:
    code = (
        "import sys, runpy\n"
        "sys.argv = ['titanflow', '--help']\n"
        "try:\n    runpy.run_module('titanflow.cli.main', run_name='__main__')\n"
        "except SystemExit:\n    pass\n"
        "print([m for m in ('numpy', 'pyarrow', 'pydantic', 'msgspec') if m in sys.modules])\n"
    )

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip().endswith("[]")
