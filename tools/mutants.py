"""Do the tests notice a fault in the engines that settle money?

`python -m tools.mutants [WORD ...]` plants the faults of tools/faults.toml (those whose name holds
one of the words) one at a time into a copy of the tree, builds the module there and runs its
tests, which must fail. Prints one line for each fault; ends with 1 when one survives, 2 when one
cannot be planted.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tools.copy_tree import PYTHON, copy_tree, environment
from tools.tree import ROOT

WORKERS = 2
"""Copies that are worked on at the same time; as many as the smallest machine has cores."""

TEST_SECONDS_MAX = 90
"""A fault may make a loop endless; the slowest set of tests needs a third of this."""

CAUGHT, SURVIVED, UNUSABLE = "caught", "SURVIVED", "UNUSABLE"


@dataclass(frozen=True)
class Fault:
    """One change of one place that must not go unnoticed."""

    name: str
    module: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def path(self) -> str:
        """Return the name of the file, from the root."""
        return f"native/titanflow/native/{self.file}"


def tests_of(patterns: list[str]) -> tuple[str, ...]:
    """Return the test files that patterns name; each names at least one.

    >>> tests_of(["tests/tidy/test_s?ze.py"])
    ('tests/tidy/test_size.py',)
    """
    found: list[str] = []
    for pattern in patterns:
        matches = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern))
        if not matches:
            raise ValueError(f"no test is called {pattern}")
        found += matches
    return tuple(found)


def read_faults() -> list[Fault]:
    """Return the table of faults; names are unique."""
    table = tomllib.loads((ROOT / "tools/faults.toml").read_text("utf-8"))
    faults = [
        Fault(
            entry["name"],
            entry["module"],
            entry.get("file", f"{entry['module']}.pyx"),
            entry["old"],
            entry["new"],
            tests_of(table["tests"][entry["module"]]),
        )
        for entry in table["fault"]
    ]
    if len({fault.name for fault in faults}) != len(faults):
        raise ValueError("two faults have one name")
    return faults


def run_tests(copy: Path, tests: tuple[str, ...]) -> str:
    """Run *tests* in *copy*; say whether they notice anything."""
    plugins = ["-p", "no:cacheprovider", "-p", "tools.no_shrink"]
    command = [PYTHON, "-m", "pytest", "-x", "-q", *plugins, *tests]
    try:
        done = subprocess.run(
            command,
            cwd=copy,
            env=environment(copy),
            capture_output=True,
            timeout=TEST_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return CAUGHT
    # 1: a test failed; below zero: the process died. Others mean that no test ran.
    if done.returncode == 1 or done.returncode < 0:
        return CAUGHT
    if done.returncode == 0:
        return SURVIVED
    return f"{UNUSABLE}: {done.stdout.decode()[-300:]}"


def build(copy: Path, module: str) -> bool:
    """Build one module of *copy*, unoptimised because that is quicker."""
    done = subprocess.run(
        [PYTHON, "hatch_build.py", module, "--force"],
        cwd=copy,
        env=environment(copy, TITANFLOW_CFLAGS="-O0"),
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def plant(copy: Path, fault: Fault) -> str:
    """Plant one fault in *copy*, run its tests, and put the sound source back."""
    path = copy / fault.path
    sound = path.read_text("utf-8")
    if sound.count(fault.old) != 1:
        return f"{UNUSABLE}: its text stands {sound.count(fault.old)} times in the source"
    path.write_text(sound.replace(fault.old, fault.new), "utf-8")
    try:
        if not build(copy, fault.module):
            return f"{UNUSABLE}: it does not compile"
        return run_tests(copy, fault.tests)
    finally:
        path.write_text(sound, "utf-8")


def sound_modules_pass(copy: Path, faults: list[Fault]) -> bool:
    """Say whether the tests pass without a fault; else they would catch anything."""
    good = True
    for tests in sorted({fault.tests for fault in faults}):
        if (result := run_tests(copy, tests)) != SURVIVED:
            print(f"without any fault, {' '.join(tests)}: {result}")
            good = False
    return good


def main(words: list[str]) -> int:
    """Plant every fault and count the survivors."""
    faults = [f for f in read_faults() if not words or any(word in f.name for word in words)]
    with tempfile.TemporaryDirectory() as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(WORKERS):
            copies.put(copy_tree(Path(folder) / f"tree{number}", built=True))

        def work(fault: Fault) -> str:
            copy, start = copies.get(), time.monotonic()
            objects = list((copy / fault.path).parent.glob(f"{fault.module}.*.so"))
            # The sound object goes back, or the fault would spoil the tests of other modules.
            kept = [(path, path.read_bytes()) for path in objects]
            try:
                result = plant(copy, fault)
            finally:
                for path, content in kept:
                    path.unlink()
                    path.write_bytes(content)
                copies.put(copy)
            print(f"{result:9} {fault.name} ({time.monotonic() - start:.0f} s)", flush=True)
            return result

        first = copies.get()
        if not sound_modules_pass(first, faults):
            return 2
        copies.put(first)
        with ThreadPoolExecutor(WORKERS) as pool:
            results = list(pool.map(work, faults))
    caught, survived = results.count(CAUGHT), results.count(SURVIVED)
    print(f"{len(faults)} faults: {caught} caught, {survived} survived")
    return 1 if survived else 2 if caught < len(faults) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
