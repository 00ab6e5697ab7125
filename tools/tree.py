"""Which files make up this repository? The tidy tests and tools ask here.

Git answers where there is one, so that files which are not added yet are seen as well; in a copy
without Git the folders are walked.
"""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CARD_ROOTS = ("operator", "services", "native", "proto")
"""The folders whose `titanflow` portions make up the namespace package."""

_BUILT = frozenset({"build", "dist", "__pycache__", "htmlcov", "node_modules"})


def _listed() -> list[Path]:
    listing = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard"],
        capture_output=True,
        check=True,
    )
    return [ROOT / name.decode() for name in listing.stdout.split(b"\0") if name]


def _walked() -> list[Path]:
    def ours(path: Path) -> bool:
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part not in {".ci", ".gitignore"} for part in parts)
        return not hidden and not _BUILT.intersection(parts) and path.suffix not in {".so", ".c"}

    return [path for path in ROOT.rglob("*") if path.is_file() and ours(path)]


@cache
def files() -> tuple[Path, ...]:
    """Return every file of the repository, sorted; built and ignored ones are left out."""
    found = _listed() if (ROOT / ".git").exists() else _walked()
    return tuple(sorted(path for path in found if path.is_file()))


def relative(path: Path) -> str:
    """Return the name of *path* from the root, with slashes.

    >>> relative(ROOT / "tools" / "tree.py")
    'tools/tree.py'
    """
    return path.relative_to(ROOT).as_posix()


def ending(*suffixes: str) -> tuple[Path, ...]:
    """Return the files whose name ends with one of *suffixes*."""
    return tuple(path for path in files() if path.name.endswith(suffixes))


def modules() -> tuple[Path, ...]:
    """Return the modules that are shipped: Python and Cython sources under the card roots."""
    return tuple(
        path for path in ending(".py", ".pyx") if path.relative_to(ROOT).parts[0] in CARD_ROOTS
    )


def dotted(path: Path) -> str:
    """Return the import name of a shipped module.

    >>> dotted(ROOT / "services/titanflow/core/stage.py")
    'titanflow.core.stage'
    """
    parts = path.relative_to(ROOT).with_suffix("").parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
