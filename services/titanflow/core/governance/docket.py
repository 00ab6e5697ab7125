"""What was asked of governance, by whom, and what was ruled? The docket: a chain of entries.

Each entry holds the digest of the one before it, so whoever changes, removes, swaps or repeats one
must change every later one as well. Only what was cut off at the end does not show in the chain;
whoever compares the docket with the session's record, or has kept its last digest, finds that too.
An entry is one line of canonical JSON: equal entries are equal bytes, and a line that is not the
one encoding of its entry is refused. Wall-clock time is in no entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from titanflow.core.base.errors import TitanFlowError
from titanflow.core.base.ident import NO_ID, canonical, digest
from titanflow.core.facts import KillRuling, KillSwitch
from titanflow.core.governance.tiers import TierView
from titanflow.core.spec.words import KillScope

ENTRIES_MAX: Final = 100_000
"""Most entries of a docket: some 60 MB, held in memory by who keeps it."""
RESERVE: Final = 10_000
"""Of these, so many are kept for what stops trading: nobody can fill a docket to prevent that."""
LINE_BYTES_MAX: Final = 4 << 20
"""Longest line: the tiers of a full arena take half of it."""
ORIGIN: Final = digest(b"TITANFLOW DOCKET 1").hex()
"""What stands in the first entry where others hold the digest of the one before."""
OPENER: Final = "titanflow up"
"""Who opens a session."""
RISK: Final = "risk"
"""Who engages a switch because a limit with `onBreach: Kill` was broken."""
SENTINEL: Final = "sentinel"
"""Who freezes an arena that governance does not answer for."""
_BREACH: Final = "BREACH:"


class DocketKind(StrEnum):
    """What was asked."""

    OPENED = "Opened"
    KILL = "Kill"
    RELEASE = "Release"
    FREEZE = "Freeze"
    PAUSE = "Pause"
    RESUME = "Resume"


class Matter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an entry is about: a proposal and the ruling on it.

    Defaults are left out of the line, so that a later field changes no older entry's bytes.
    """

    kind: DocketKind
    subject: str
    """Whom it is about: an arena's name where a session opened, else such as `Contender macd`."""
    by: str
    """Who proposed it."""
    reason: str
    at: int
    """Event time of the ruling, ns UTC; 0 before the first event."""
    accepted: bool
    text: str
    """What was ruled, in words."""
    epoch: int = 0
    proposal: str = ""
    """Id of the request, hexadecimal; empty where there was none."""
    ruling: str = ""
    """Id of the fact in the record that holds the ruling, hexadecimal; a pause has none."""
    stream: str = ""
    sequence: int = 0
    """Where that fact stands in the streams of the session."""
    evidence: tuple[tuple[str, str], ...] = ()


class DocketEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One matter in its place; `former` and `hash` are BLAKE2b-256, hexadecimal."""

    number: int
    matter: Matter
    former: str
    hash: str


class DocketError(TitanFlowError):
    """An entry is not what must stand there; `number` is its place, from 0."""

    def __init__(self, number: int, what: str) -> None:
        self.number, self.what = number, what
        super().__init__(f"docket entry {number}: {what}")


class DocketFullError(TitanFlowError):
    """There is no room for another entry."""


def append(last: DocketEntry | None, matter: Matter) -> DocketEntry:
    """Return the entry that takes *matter* into a docket which ends with *last*.

    Raises: DocketFullError beyond `ENTRIES_MAX` entries or `LINE_BYTES_MAX` bytes.
    """
    number = 0 if last is None else last.number + 1
    if number >= ENTRIES_MAX:
        raise DocketFullError(f"the docket has {ENTRIES_MAX} entries, and takes no more")
    former = ORIGIN if last is None else last.hash
    entry = DocketEntry(
        number=number, matter=matter, former=former, hash=_hash(number, matter, former)
    )
    size = len(encode(entry))
    if size > LINE_BYTES_MAX:
        raise DocketFullError(f"an entry of {size} bytes: the longest has {LINE_BYTES_MAX}")
    return entry


def check(last: DocketEntry | None, entry: DocketEntry) -> None:
    """Compare one entry with the one before it.

    Raises: DocketError if it does not belong there.
    """
    number = 0 if last is None else last.number + 1
    if entry.number != number:
        raise DocketError(number, f"entry {entry.number} stands in its place")
    if entry.former != (ORIGIN if last is None else last.hash):
        raise DocketError(number, "it does not follow the entry before it")
    if entry.hash != _hash(number, entry.matter, entry.former):
        raise DocketError(number, "its content is not what its digest says")
    if (entry.matter.kind is DocketKind.OPENED) != (number == 0):
        raise DocketError(number, "the first entry, and no other, opens the session")


def verify(entries: Iterable[DocketEntry], head: str = "") -> DocketError | None:
    """Return what is wrong with the first entry that differs; None if all is right.

    *head* is the digest that the last entry must have, where somebody has kept it.
    """
    last: DocketEntry | None = None
    try:
        for entry in entries:
            check(last, entry)
            last = entry
    except DocketError as error:
        return error
    count = 0 if last is None else last.number + 1
    if head and head != (ORIGIN if last is None else last.hash):
        return DocketError(count, "it is missing, or the docket is another one")
    return None


def encode(entry: DocketEntry) -> bytes:
    """Return an entry as one line, its end included."""
    return canonical(entry) + b"\n"


def decode(line: bytes, number: int) -> DocketEntry:
    """Return the entry in a line, which stands at place *number*.

    Raises: DocketError if it holds none, or is written otherwise than we write.
    """
    if len(line) > LINE_BYTES_MAX:
        raise DocketError(number, f"its line has more than {LINE_BYTES_MAX} bytes")
    try:
        entry = msgspec.json.decode(line, type=DocketEntry)
        is_ours = encode(entry) == line
    except (msgspec.DecodeError, UnicodeError) as error:
        raise DocketError(number, f"its line cannot be read: {error}") from error
    if not is_ours:
        raise DocketError(number, "its line is not written as we write it")
    return entry


def opened(arena: str, manifests: str, tiers: Iterable[TierView]) -> Matter:
    """Return the matter that a session opens with: its manifests' digest, and who is what."""
    evidence = [("manifests", manifests)]
    evidence += [(f"tier of {each.contender}", f"{each.tier.value}: {each.text}") for each in tiers]
    return Matter(
        kind=DocketKind.OPENED,
        subject=arena,
        by=OPENER,
        reason="",
        at=0,
        accepted=True,
        text="the session is opened",
        evidence=tuple(evidence),
    )


def ruled(request: KillSwitch | None, ruling: KillRuling, stream: str, sequence: int) -> Matter:
    """Return the matter of a ruling of risk, which stands in message *sequence* of *stream*.

    *request* is what a person or a manifest asked for. Where there is none, risk itself engaged the
    switch for a breach, or the sentinel asked: its request reaches risk alone, so its reason is
    known by the ruling that accepts it.
    """
    kind, by, reason = DocketKind.FREEZE, SENTINEL, ruling.text if ruling.accepted else ""
    evidence: tuple[tuple[str, str], ...] = ()
    if request is not None:
        kind = DocketKind.KILL if request.engaged else DocketKind.RELEASE
        by, reason = request.by, request.reason
        if request.engaged:
            evidence = (("action", request.action.value),)
            if request.instruments:
                evidence += (("instruments", " ".join(request.instruments)),)
    elif ruling.text.startswith(_BREACH):
        kind, by = DocketKind.KILL, RISK
    has_proposal = request is not None or kind is DocketKind.FREEZE
    return Matter(
        kind=kind,
        subject=subject_of(ruling.scope, ruling.name),
        by=by,
        reason=reason,
        at=ruling.at,
        accepted=ruling.accepted,
        text=ruling.text,
        epoch=ruling.epoch,
        proposal=ruling.cause.hex() if has_proposal and ruling.cause != NO_ID else "",
        ruling=ruling.id.hex(),
        stream=stream,
        sequence=sequence,
        evidence=evidence,
    )


def subject_of(scope: KillScope, name: str) -> str:
    """Return how a switch is called, such as `Contender macd`; the arena's has no name."""
    return f"{scope.value} {'' if scope is KillScope.ARENA else name}".strip()


def _hash(number: int, matter: Matter, former: str) -> str:
    return digest(former.encode(), number.to_bytes(8, "little"), canonical(matter)).hex()
