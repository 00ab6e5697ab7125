"""How are sessions, contenders and the machine looked at?"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from math import isnan
from pathlib import Path

import msgspec
import typer

from titanflow.cli import exits
from titanflow.cli.board import print_leaderboard
from titanflow.cli.output import Format, emit, fail, flatten, say, table, tell
from titanflow.cli.show import example_folder
from titanflow.core.base.errors import NotFoundError, Problem
from titanflow.core.base.instant import format_instant
from titanflow.core.base.nearest import nearest
from titanflow.core.facts import Fact, Standing
from titanflow.runtime import session as sessions
from titanflow.runtime.code import code_version
from titanflow.runtime.code import version as package_version
from titanflow.runtime.docket import docket_of
from titanflow.runtime.docket_check import Witness
from titanflow.runtime.journal import FACT, JournalError, Reader, decode_fact, read_head
from titanflow.runtime.verify import Result
from titanflow.runtime.verify import verify as verify_journal

DISK_FREE_MIN = 200 << 20
"""Below this many free bytes `doctor` warns: the example's journal takes about 10 MiB."""
EXIT = {Result.VERIFIED: exits.OK, Result.TORN: exits.UNHEALTHY, Result.MISMATCH: exits.MISMATCH}


def verify(name: str, output: Format) -> None:
    """Verify one session and end with the exit code that says what was found."""
    session = sessions.find(name)
    card = session.card()
    witness = Witness()
    folder = Path(card.folder) if card.folder else None
    finding = verify_journal(session.journal, folder, listener=witness)
    finding = witness.judge(finding, docket_of(session.path))
    if card.digest and finding.digest and card.digest != finding.digest:
        note = f"{sessions.CARD} names another digest, {card.digest}; it was not believed"
        finding = msgspec.structs.replace(finding, notes=(*finding.notes, note))
    if output is Format.TABLE:
        for note in finding.notes:
            say(f"note: {note}")
        tell(_verdict(session.name, finding.result, finding.facts, finding.digest))
        if finding.record >= 0:
            tell(f"record {finding.record}: {finding.text}")
        elif finding.text:
            tell(finding.text)
        if finding.docket:
            tell(f"docket: {finding.entries} entries, chained to {finding.docket}")
    else:
        emit(msgspec.to_builtins(finding) | {"session": session.name}, output)
    raise typer.Exit(EXIT[finding.result])


def _verdict(name: str, result: Result, facts: int, digest: str) -> str:
    if result is Result.VERIFIED:
        return f"{name}: verified, {facts} facts derived again and equal, digest {digest}"
    if result is Result.TORN:
        return f"{name}: cut short; {facts} whole facts derived again and equal"
    return f"{name}: NOT what the arena would have said"


def facts_of(session: sessions.Session) -> list[Fact]:
    """Return the recorded facts of a kind that is small: the standings at the end."""
    found: list[Fact] = []
    try:
        found.extend(
            decode_fact(record.body)
            for record in Reader(session.journal).records()
            if record.kind == FACT and b"Standing" in record.body[:16]
        )
    except JournalError as error:
        say(f"note: the journal is damaged or cut: {error}")
    return found


def leaderboard(name: str, output: Format) -> None:
    """Show the standings that a journal ends with."""
    session = sessions.find(name)
    standings = [fact for fact in facts_of(session) if isinstance(fact, Standing)]
    if not standings:
        fail(f"session {session.name} has no standings: it did not run to its end", exits.NOT_FOUND)
    if output is Format.TABLE:
        print_leaderboard(standings, _currency(session))
    else:
        emit([sessions.standing_row(s) for s in standings], output)


def _currency(session: sessions.Session) -> str:
    for manifest in read_head(session.journal).manifests:
        document = msgspec.json.decode(manifest)
        if document.get("kind") == "Arena":
            return str(document["spec"].get("currency", "USD"))
    return "USD"


def session_list(output: Format) -> None:
    """List sessions with their cards."""
    cards = [session.card() for session in sessions.sessions()]
    if output is not Format.TABLE:
        emit([msgspec.to_builtins(card) for card in cards], output)
        return
    rows = [
        (
            c.session,
            c.arena,
            c.status,
            # A card tells how much there was when its session has ended.
            c.events or "—",
            sum(c.facts.values()) or "—",
            c.digest[:16] or "—",
            c.seconds or "—",
        )
        for c in cards
    ]
    columns = ("Session", "Arena", "Status", ">Events", ">Facts", "Digest", ">Seconds")
    table("", columns, rows)


def session_show(name: str, output: Format) -> None:
    """Show one card and the head of its journal."""
    session = sessions.find(name)
    card = msgspec.to_builtins(session.card())
    head = read_head(session.journal)
    card |= {
        "code": head.code,
        "seed": head.seed,
        "manifests": head.manifests_digest,
        "data": dict(head.data),
        "python": dict(head.python),
    }
    if output is not Format.TABLE:
        emit(card, output)
        return
    standings = card.pop("standings")
    table("", ("Field", "Value"), flatten(card))
    say(f"{len(standings)} standings: titanflow leaderboard {session.name}")


def session_facts(name: str, only: tuple[str, str, str], limit: int, output: Format) -> None:
    """List facts of a session that fit all the given conditions."""
    session = sessions.find(name)
    kind, contender, text = only
    _demand("kind of fact", kind, [each.__name__ for each in Fact.__subclasses__()])
    if contender:
        manifests = map(msgspec.json.decode, read_head(session.journal).manifests)
        names = [m["metadata"]["name"] for m in manifests if m["kind"] == "Contender"]
        _demand("contender", contender, names)
    rows: list[dict[str, object]] = []
    try:
        for record in Reader(session.journal).records():
            if record.kind != FACT:
                continue
            fact = decode_fact(record.body)
            if kind and type(fact).__name__ != kind:
                continue
            if contender and getattr(fact, "contender", None) != contender:
                continue
            row = plain_fact(fact)
            if text and text not in str(row):
                continue
            rows.append(row)
            if len(rows) >= limit:
                break
    except JournalError as error:
        say(f"note: the journal is damaged or cut: {error}")
    if output is not Format.TABLE:
        emit(rows, output)
        return
    table("", ("Id", "At", "Kind", "What"), [_fact_row(row) for row in rows])


def _demand(word: str, name: str, known: list[str]) -> None:
    """Refuse a name that is given and not known.

    Raises: NotFoundError with the nearest one.
    """
    if name and name not in known:
        raise NotFoundError([Problem(f"no {word} {name!r}", "session facts", nearest(name, known))])


def _fact_row(row: dict[str, object]) -> tuple[object, ...]:
    hidden = ("id", "cause", "at", "seen", "kind")
    what = ", ".join(f"{k}={v}" for k, v in row.items() if k not in hidden and v not in ("", None))
    return str(row["id"])[:12], row["at"], row["kind"], what


def plain_fact(fact: Fact) -> dict[str, object]:
    """Return a fact as plain data: ids in hexadecimal, times in RFC 3339."""
    row: dict[str, object] = {"kind": type(fact).__name__}
    for field in fact.__struct_fields__:
        value = getattr(fact, field)
        if field in ("at", "seen", "start", "arrives_at", "decided_at"):
            row[field] = format_instant(value)
        elif isinstance(value, bytes):
            row[field] = value.hex()
        elif isinstance(value, float) and isnan(value):
            row[field] = None
        elif isinstance(value, str | int | float | bool):
            row[field] = value.value if hasattr(value, "value") else value
        else:
            row[field] = msgspec.to_builtins(value)
    return row


def session_size(name: str, output: Format) -> None:
    """Show bytes per session file and per fact."""
    session = sessions.find(name)
    facts = sum(session.card().facts.values())
    journal = session.journal.stat().st_size
    data: dict[str, object] = {
        "session": session.name,
        "bytes": session.size_bytes(),
        "journalBytes": journal,
        "journalBytesPerFact": round(journal / facts, 1) if facts else None,
    }
    if output is Format.TABLE:
        table("", ("Field", "Value"), flatten(data))
    else:
        emit(data, output)


def session_rm(name: str, *, yes: bool) -> None:
    """Delete a session, after asking where somebody can answer."""
    session = sessions.find(name)
    sessions.demand_removable(session)  # before anybody is asked
    if not yes:
        if not sys.stdin.isatty():
            fail(f"deleting {session.name} cannot be undone: add --yes", exits.USAGE)
        typer.confirm(f"Delete {session.path} for good?", abort=True)
    sessions.remove(session)
    say(f"deleted {session.path}")


def contender_list(folder: Path | None, output: Format) -> None:
    """List the contenders of a folder, with the policies that select them."""
    from titanflow.core.risk.gate import Gate
    from titanflow.core.risk.policy import effective_tiers
    from titanflow.runtime.plan import prepare

    plan = prepare(folder or example_folder(), None)
    gate = Gate(plan.ground, plan.policies)
    tiers = effective_tiers(plan.ground, plan.policies)
    rows = [
        {
            "name": e.name,
            "kind": e.kind.value,
            "recipe": e.rule,
            "parameters": dict(e.parameters),
            "tier": e.tier.value,
            "effectiveTier": tiers[e.index].value,
            "policies": list(gate.policies_of(e.index)),
            "recipeHash": e.recipe_hash,
        }
        for e in plan.ground.entrants
    ]
    if output is not Format.TABLE:
        emit(rows, output)
        return
    columns = ("Contender", "Kind", "Recipe", "Parameters", "Tier", "Policies", "Recipe hash")
    drawn = [
        (
            r["name"],
            r["kind"],
            r["recipe"],
            " ".join(f"{k}={v}" for k, v in dict(plan.ground.entrants[i].parameters).items()),
            r["effectiveTier"],
            " ".join(gate.policies_of(i)) or "none: Shadow",
            str(r["recipeHash"])[:12],
        )
        for i, r in enumerate(rows)
    ]
    table("", columns, drawn)


def contender_check(name: str, folder: Path | None, output: Format) -> None:
    """Run the checks of one contender on its arena's own data."""
    from titanflow.runtime.plan import prepare
    from titanflow.runtime.rehearse import check_contender as check

    plan = prepare(folder or example_folder(), None)
    results = check(plan, name)
    if output is Format.TABLE:
        rows = [("✓" if r.passed else "✗", r.name, r.text) for r in results]
        table(f"checks of {name}", ("", "Check", "Detail"), rows)
    else:
        emit([msgspec.to_builtins(r) for r in results], output)
    passed = Counter(r.passed for r in results)
    say(f"{passed[True]} passed, {passed[False]} failed")
    raise typer.Exit(exits.REFUSED if passed[False] else exits.OK)


def doctor(output: Format) -> None:
    """Check what a session needs from this machine."""
    rows = [_python(), _native(), _state(), _disk(), _dataset()]
    if output is Format.TABLE:
        drawn = [
            ("✓" if ok else "✗", what, seen, "" if ok else fix) for ok, what, seen, fix in rows
        ]
        table("", ("", "What", "Seen", "Do"), drawn)
    else:
        keys = ("ok", "what", "seen", "fix")
        emit([dict(zip(keys, row, strict=True)) for row in rows], output)
    raise typer.Exit(exits.OK if all(row[0] for row in rows) else exits.UNHEALTHY)


Row = tuple[bool, str, str, str]


def _python() -> Row:
    seen = ".".join(str(part) for part in sys.version_info[:3])
    return sys.version_info >= (3, 11), "Python", seen, "install Python 3.11 or newer"


def _native() -> Row:
    try:
        return True, "compiled modules", code_version(), ""
    except ImportError as error:
        return False, "compiled modules", str(error), "run `make native`"


def _state() -> Row:
    root = sessions.home()
    fix = "set TITANFLOW_HOME to a folder that you may write"
    made: list[Path] = []
    try:
        for folder in (*reversed(root.absolute().parents), root.absolute()):
            if not folder.exists():
                folder.mkdir()
                made.append(folder)
        with tempfile.TemporaryFile(dir=root) as file:
            file.write(b"written")
    except OSError as error:
        return False, "state folder", f"{root}: {error.strerror}", fix
    finally:
        for folder in reversed(made):
            with suppress(OSError):  # somebody began a session in it meanwhile
                folder.rmdir()
    return True, "state folder", str(root), fix


def _disk() -> Row:
    # Where the state folder will be: the nearest folder above it that is there.
    for folder in (sessions.home().absolute(), *sessions.home().absolute().parents):
        try:
            free = shutil.disk_usage(folder).free
        except OSError:
            continue
        return free >= DISK_FREE_MIN, "free disk", f"{free >> 20} MiB", "free 200 MiB"
    return False, "free disk", "unknown", "set TITANFLOW_HOME to a folder that you may write"


def _dataset() -> Row:
    from titanflow.adapters.feeds.bundled import list_datasets
    from titanflow.core.base.errors import TitanFlowError

    try:
        return True, "bundled data", ", ".join(d.name for d in list_datasets()), ""
    except TitanFlowError as error:
        return False, "bundled data", str(error), "install TitanFlow again"


def version(output: Format) -> None:
    """Show versions."""
    data: dict[str, object] = {
        "titanflow": package_version(),
        "code": code_version(),
        "python": sys.version.split()[0],
    }
    if output is Format.TABLE:
        tell(f"titanflow {data['titanflow']} ({data['code']}, Python {data['python']})")
    else:
        emit(data, output)
