"""How is the docket of a session read? From its file, while the session runs and after it."""

from __future__ import annotations

from titanflow.cli import exits
from titanflow.cli.output import Format, emit, fail, say, table
from titanflow.core.base.errors import AdapterError
from titanflow.core.base.instant import format_instant
from titanflow.core.governance.docket import DocketEntry, DocketError
from titanflow.runtime import session as sessions
from titanflow.runtime.docket import docket_of, read_docket

_SHORT = 12


def show(name: str, output: Format) -> None:
    """Show the entries, newest last; end with words at the first that is not right."""
    session = sessions.find(name)
    path = docket_of(session.path)
    if not path.exists():
        fail(f"session {session.name} has no docket: only pods keep one", exits.NOT_FOUND)
    entries: list[DocketEntry] = []
    broken: DocketError | None = None
    try:
        for item in read_docket(path):
            if isinstance(item, DocketEntry):
                entries.append(item)
            else:
                say(f"note: the docket is torn at its end, or being written: {item}")
    except DocketError as error:
        broken = error
    except OSError as error:
        raise AdapterError(f"cannot read {path}: {error.strerror}") from error
    if output is Format.TABLE:
        columns = (">No.", "At", "Asked", "Of", "By", "Reason", "Ruling", "In words", "Fact")
        table("", columns, [_cells(entry) for entry in entries])
        if entries:
            say(f"{len(entries)} entries, chained to {entries[-1].hash}")
    else:
        emit([_plain(entry) for entry in entries], output)
    if broken is not None:
        fail(str(broken), exits.MISMATCH)


def _cells(entry: DocketEntry) -> tuple[object, ...]:
    matter = entry.matter
    return (
        entry.number,
        format_instant(matter.at) if matter.at else "",
        matter.kind.value,
        matter.subject,
        matter.by,
        matter.reason,
        "accepted" if matter.accepted else "refused",
        matter.text,
        matter.ruling[:_SHORT],
    )


def _plain(entry: DocketEntry) -> dict[str, object]:
    matter = entry.matter
    return {
        "number": entry.number,
        "at": format_instant(matter.at) if matter.at else None,
        "kind": matter.kind.value,
        "subject": matter.subject,
        "by": matter.by,
        "reason": matter.reason,
        "accepted": matter.accepted,
        "text": matter.text,
        "epoch": matter.epoch,
        "proposal": matter.proposal,
        "ruling": matter.ruling,
        "stream": matter.stream,
        "sequence": matter.sequence,
        "evidence": dict(matter.evidence),
        "former": entry.former,
        "hash": entry.hash,
    }
