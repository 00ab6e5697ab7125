"""How do people and pods get certificates? From the authority in a folder of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from titanflow.cli.output import Format, emit, table
from titanflow.runtime.authority import DAYS, HOSTS, ensure, issue


def issue_all(names: Sequence[str], folder: Path, hosts: Sequence[str], output: Format) -> None:
    """Make keys and certificates of *names*, anew where they are there already."""
    ensure(folder, ())
    rows = []
    for name in names:
        files = issue(folder, name, tuple(hosts) or HOSTS)
        rows.append({"name": name, "certificate": str(files.certificate), "key": str(files.key)})
    if output is Format.TABLE:
        cells = [(row["name"], row["certificate"], row["key"], f"{DAYS} days") for row in rows]
        table("", ("Name", "Certificate", "Key (secret)", "Good for"), cells)
    else:
        emit(rows, output)
