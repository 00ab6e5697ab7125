"""Do a session's books follow from its fills? Computed anew, without any code of the ledger."""

from __future__ import annotations

from pathlib import Path

from titanflow.cli import exits
from titanflow.cli.output import Format, emit, fail, say, table
from titanflow.runtime import session as sessions
from titanflow.runtime.reconcile import reconcile_journal


def reconcile(name: str, output: Format) -> None:
    """Compare a session's entries and standings with books of the reconciler's own."""
    session = sessions.find(name)
    folder = session.card().folder
    found = reconcile_journal(session.journal, Path(folder) if folder else None)
    if output is Format.TABLE:
        rows = [
            ("fills", found.fills),
            ("entries compared", found.entries),
            ("standings compared", found.standings),
            ("differences", found.differences),
        ]
        table("", ("What", ">Count"), rows)
        for text in found.texts:
            say(text)
    else:
        told = {
            "session": session.name,
            "fills": found.fills,
            "entries": found.entries,
            "standings": found.standings,
            "differences": found.differences,
            "texts": list(found.texts),
        }
        emit(told, output)
    if found.differences:
        what = f"the books of {session.name} do not follow from its fills"
        fail(f"{what}: {found.differences} differences", exits.MISMATCH)
