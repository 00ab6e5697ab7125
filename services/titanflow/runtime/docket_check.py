"""Does the docket say what the record says? Every ruling in the journal has its entry, and back.

A `Witness` listens while a session of pods is derived again, and writes down what the docket must
hold: how the session opened, and each ruling on a kill switch with its request. Entries on pauses
have nothing in the record to be compared with; the chain alone vouches for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from titanflow.adapters.codec import Turn
from titanflow.core.base.ident import Id
from titanflow.core.facts import KillRuling, KillSwitch
from titanflow.core.governance.docket import DocketEntry, DocketError, DocketKind, Matter, ruled
from titanflow.runtime.docket import Docket, entries_of, first_of
from titanflow.runtime.journal import Head, TurnRecord
from titanflow.runtime.plan import Plan
from titanflow.runtime.recompute import Recomputation
from titanflow.runtime.shard import GATEWAY
from titanflow.runtime.verify import Finding, Listener, Result

SAID_MAX: Final = 400
"""Longest words on a difference: the tiers of an arena would fill a screen."""
_UNRECORDED: Final = frozenset({DocketKind.PAUSE, DocketKind.RESUME})


class Witness:
    """Hears a session of pods; *also* hears it too."""

    def __init__(self, also: Listener | None = None) -> None:
        self.first: Matter | None = None
        """What the docket opens with; None unless it was a session of pods with governance."""
        self.rulings: list[Matter] = []
        """In the order of the record."""
        self._also = also
        self._asked: dict[Id, KillSwitch] = {}
        self._asks: set[str] = set()
        self._reached: dict[str, int] = {}
        """The last message of each stream that the record holds."""

    def begin(self, head: Head, plan: Plan, work: Recomputation) -> None:
        """Take what the session stands on."""
        roles = {pod.name: pod.role for pod in work.topology.pods}
        self._asks = {GATEWAY, *(name for name, role in roles.items() if role == "governance")}
        if "governance" in roles.values():
            self.first = first_of(plan)
        if self._also is not None:
            self._also.begin(head, plan, work)

    def hear(self, record: TurnRecord, turn: Turn) -> None:
        """Take one turn."""
        self._reached[record.stream] = record.sequence
        for fact in turn.facts:
            if isinstance(fact, KillSwitch) and record.pod in self._asks:
                self._asked[fact.id] = fact
            elif isinstance(fact, KillRuling):
                request = self._asked.get(fact.cause)
                self.rulings.append(ruled(request, fact, record.stream, record.sequence))
        if self._also is not None:
            self._also.hear(record, turn)

    def complete(self, path: Path, notice: Callable[[str], None]) -> None:
        """Enter what the record holds and the docket does not.

        A ruling may be the last thing said before everybody is stopped, governance too; so this is
        done once, when a session has ended and nobody writes its docket any more.

        Raises: as `Docket`.
        """
        if self.first is None:
            return
        with Docket(path, self.first, notice) as docket:
            for matter in self.rulings:
                if not docket.holds(matter.ruling):
                    docket.append(matter)

    def judge(self, finding: Finding, path: Path) -> Finding:
        """Return what was found with the docket at *path* taken into account.

        A journal that is wrong already is left at that. One that was cut short may be behind the
        docket, and the docket behind it, at the end.
        """
        if finding.result is Result.MISMATCH or self.first is None:
            return finding
        is_whole = finding.result is Result.VERIFIED
        try:
            entries, torn = entries_of(path)
            if not entries and not torn and not self.rulings:
                return _noted(
                    finding, "the session has no docket, and no ruling that it would hold"
                )
            self._compare(entries, is_whole=is_whole)
        except DocketError as error:
            return msgspec.structs.replace(finding, result=Result.MISMATCH, text=str(error))
        if torn and is_whole:
            text = str(DocketError(len(entries), f"it is torn: {torn}"))
            return msgspec.structs.replace(finding, result=Result.MISMATCH, text=text)
        if torn:
            finding = _noted(finding, f"the docket is torn at its end: {torn}")
        head = entries[-1].hash if entries else ""
        return msgspec.structs.replace(finding, docket=head, entries=len(entries))

    def _compare(self, entries: Sequence[DocketEntry], *, is_whole: bool) -> None:
        """Compare each entry with what it must be.

        Raises: DocketError at the first that differs, or in whose place one is missing.
        """
        due = {matter.ruling: matter for matter in self.rulings}
        entered: dict[str, int] = {}
        for entry in entries:
            matter, number = entry.matter, entry.number
            if matter.kind is DocketKind.OPENED:
                _equal(number, matter, self.first)
            elif matter.kind not in _UNRECORDED:
                if matter.sequence < entered.get(matter.stream, 0):
                    raise DocketError(number, "it stands behind a later ruling")
                entered[matter.stream] = matter.sequence
                must = due.pop(matter.ruling, None)
                is_ahead = matter.sequence > self._reached.get(matter.stream, 0)
                if must is not None or is_whole or not is_ahead:
                    _equal(number, matter, must)
        for matter in due.values():
            if is_whole or matter.sequence < entered.get(matter.stream, 0) or not entries:
                what = f"is missing: ruling {matter.ruling} of {matter.subject} is in the record"
                raise DocketError(len(entries), what)


def _equal(number: int, has: Matter, must: Matter | None) -> None:
    if must is None:
        raise DocketError(number, f"the record holds no ruling {has.ruling or '(none named)'}")
    for name in has.__struct_fields__:
        found, wanted = getattr(has, name), getattr(must, name)
        if found != wanted:
            what = f"{name} is {found!r}, the record says {wanted!r}"
            raise DocketError(
                number, what if len(what) < SAID_MAX else f"{name} is not what it was"
            )


def _noted(finding: Finding, note: str) -> Finding:
    return msgspec.structs.replace(finding, notes=(*finding.notes, note))
