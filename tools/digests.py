"""Does the example arena give one digest, whatever may differ between two machines?

Replays it under three hash seeds, with manifests that are read in the reverse order, and with
native modules built at -O0; prints each digest and ends with 1 when two differ.
Run as `python -m tools.digests`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tools.copy_tree import PYTHON, copy_tree, environment

ARENA = "examples/arena"


def find_digest(value: Any) -> str:
    """Return the journal's digest from a command's JSON.

    >>> find_digest({"session": {"digest": "ab"}})
    'ab'
    """
    if isinstance(value, dict):
        if isinstance(value.get("digest"), str):
            return str(value["digest"])
        value = list(value.values())
    found = [find_digest(part) for part in value] if isinstance(value, list) else []
    return next(filter(None, found), "")


def replay(copy: Path, seed: int, folder: str = ARENA) -> str:
    """Replay a folder of manifests in *copy* under a hash seed and return the digest."""
    done = subprocess.run(
        [PYTHON, "-m", "titanflow.cli.main", "replay", "-f", folder, "-o", "json"],
        cwd=copy,
        env=environment(copy, PYTHONHASHSEED=str(seed)),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode())
    return find_digest(json.loads(done.stdout))


def rename_in_reverse(folder: Path) -> None:
    """Rename the manifests of a folder, so that they are read in the reverse order."""
    manifests = sorted(path for path in folder.iterdir() if path.suffix in {".yaml", ".yml"})
    for number, path in enumerate(reversed(manifests)):
        path.rename(folder / f"{number:03d}-{path.name}")


def build(copy: Path, flags: str) -> None:
    """Build the native modules of *copy* with more compiler flags."""
    subprocess.run(
        [PYTHON, "hatch_build.py", "--force"],
        cwd=copy,
        env=environment(copy, TITANFLOW_CFLAGS=flags),
        capture_output=True,
        check=True,
    )


def main() -> int:
    """Print one line for each way and say whether all agree."""
    digests: dict[str, str] = {}

    def note(way: str, copy: Path, seed: int) -> None:
        start = time.monotonic()
        digests[way] = replay(copy, seed)
        print(f"{digests[way]}  {way} ({time.monotonic() - start:.1f} s)", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        copy = copy_tree(Path(folder) / "tree", built=False)
        build(copy, "")
        for seed in (0, 1, 2):
            note(f"hash seed {seed}, -O3", copy, seed)
        rename_in_reverse(copy / ARENA)
        note("manifests in the reverse order", copy, 0)
        build(copy, "-O0")
        note("native modules at -O0", copy, 1)
    same = len(set(digests.values())) == 1 and "" not in digests.values()
    print("one digest" if same else "THE DIGESTS DIFFER")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
