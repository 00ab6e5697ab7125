"""Which code made a session? The version, and a digest of the sources that decide its content."""

from __future__ import annotations

import hashlib
import importlib
import inspect
from functools import cache
from importlib import metadata
from pathlib import Path

import titanflow.core
import titanflow.native

NATIVE_MODULES = ("book", "gate", "ledger", "window")


@cache
def version() -> str:
    """Return the version of the installed package."""
    return metadata.version("titanflow")


@cache
def code_version() -> str:
    """Return version and digest of the core's Python sources and of the compiled modules.

    The compiled modules are named by the digest of their sources, which is built into them, so
    that builds with other compiler flags count as the same code.
    """
    digest = hashlib.sha256()
    root = Path(next(iter(titanflow.core.__path__)))
    for path in sorted(root.rglob("*.py"), key=lambda p: p.relative_to(root).as_posix()):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    for name in NATIVE_MODULES:
        module = importlib.import_module(f"titanflow.native.{name}")
        digest.update(f"{name} {module.SOURCE_SHA256}\n".encode())
    return f"{version()}+{digest.hexdigest()[:16]}"


def source_sha256(entry_point: str) -> str:
    """Return the digest of the file that defines a contender's class, or of nothing if hidden."""
    module = importlib.import_module(entry_point.partition(":")[0])
    try:
        path = inspect.getsourcefile(module)
    except TypeError:
        path = None
    return hashlib.sha256(Path(path).read_bytes() if path else b"").hexdigest()
