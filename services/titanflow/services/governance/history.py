"""How is a decision of a session explained while the session runs? From its journal, in a thread.

The session is computed again up to the decision, from what the ledger pod has written so far.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from titanflow.adapters.rpc.ports import Names, Reason, Story
from titanflow.adapters.rpc.refusal import not_found, not_ready, refused
from titanflow.core.base.errors import SpecError
from titanflow.core.base.instant import format_instant
from titanflow.runtime.journal import FACT, JournalError, Reader, decode_fact
from titanflow.runtime.why import Question, explain


class JournalHistorian:
    """Explains by the journal at *path*; *folder* is where Python contenders lie."""

    def __init__(self, names: Names, path: Path, folder: Path | None = None) -> None:
        self.names = names
        self._path, self._folder = path, folder

    async def why(self, reason: Reason) -> Story:
        """Return the story behind one decision; see `ports.Historian`."""
        return await asyncio.to_thread(self._why, reason)

    def _why(self, reason: Reason) -> Story:
        if not self._path.exists():
            raise not_ready("the session's journal")
        at = "" if reason.ident else format_instant(reason.at)
        question = Question(reason.ident, reason.contender, reason.symbol, at)
        try:
            found = explain(self._path, self._folder, question)
        except SpecError as error:
            problem = error.problems[0]
            if reason.ident and self._count(reason.ident) > 1:
                raise refused("AMBIGUOUS", problem.what) from error
            # The place is a path of this machine, and nobody's business elsewhere.
            where = "id" if reason.ident else "decision"
            raise not_found(problem.what, where) from error
        return Story(
            found.subject,
            found.signal,
            found.belief,
            found.intent,
            found.verdict,
            found.chain,
            found.features,
            found.lineage,
            found.sentence,
        )

    def _count(self, prefix: str) -> int:
        """Return how many facts have an id that begins so; 2 stands for more as well."""
        found: set[bytes] = set()
        try:
            for record in Reader(self._path).records():
                if record.kind == FACT:
                    ident = decode_fact(record.body).id
                    if ident.hex().startswith(prefix):
                        found.add(ident)
                        if len(found) > 1:
                            break
        except JournalError:
            return len(found)
        return len(found)
