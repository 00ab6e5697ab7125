"""Where does the docket of a session lie, and how does it survive? In a file beside the journal.

Governance alone writes it while the session runs: a whole line and a sync for each entry, before
anybody is answered. What a crash has torn off the end was promised to nobody; it is cut at the next
start, and heard again from the streams. Every other damage stops the process that finds it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from titanflow.core.base.errors import AdapterError
from titanflow.core.governance.docket import (
    ENTRIES_MAX,
    LINE_BYTES_MAX,
    RESERVE,
    DocketEntry,
    DocketError,
    DocketKind,
    Matter,
    append,
    check,
    decode,
    encode,
    opened,
)
from titanflow.core.governance.tiers import tiers_of
from titanflow.runtime.plan import Plan

FILE: Final = "docket.jsonl"
_TURNS: Final = {DocketKind.KILL: True, DocketKind.FREEZE: True, DocketKind.RELEASE: False}
"""Kinds about switches, and whether one is engaged after them."""


def first_of(plan: Plan) -> Matter:
    """Return the matter that the docket of a session on *plan* begins with."""
    ground = plan.ground
    return opened(ground.arena, plan.loaded.digest, tiers_of(ground, plan.policies))


def open_docket(session: Path, plan: Plan, notice: Callable[[str], None]) -> Docket:
    """Open the docket of the session in the folder *session* to write in it.

    Raises: as `Docket`.
    """
    return Docket(docket_of(session), first_of(plan), notice)


def docket_of(session: Path) -> Path:
    """Return where the docket of the session in the folder *session* lies."""
    return session / FILE


class Docket:
    """A docket that is written; it begins with *first*, or goes on where that stands first."""

    def __init__(self, path: Path, first: Matter, notice: Callable[[str], None]) -> None:
        """Open the file.

        Raises: DocketError if it is damaged, or another session's; AdapterError if it cannot be
        read or written.
        """
        self.epoch = 0
        self.at = 0
        """Latest event time of an entry."""
        self._path = path
        self._last: DocketEntry | None = None
        self._first: Matter | None = None
        self._engaged: dict[str, None] = {}
        self._rulings: set[str] = set()
        self._proposals: dict[str, DocketEntry] = {}
        self._answers: dict[str, int] = {}
        self._heard: dict[str, int] = {}
        try:
            self._size = self._read(notice)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            os.ftruncate(self._file, self._size)
        except OSError as error:
            raise AdapterError(f"cannot open {path}: {error.strerror}") from error
        if self._last is None:
            self.append(first)
            _sync_folder(path.parent)
        elif self._first != first:
            raise DocketError(0, "the session was opened with other manifests or tiers")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    @property
    def count(self) -> int:
        """Give how many entries there are."""
        return 0 if self._last is None else self._last.number + 1

    @property
    def engaged(self) -> tuple[str, ...]:
        """Give the kill switches that are engaged, such as `Contender macd`."""
        return tuple(self._engaged)

    @property
    def has_room(self) -> bool:
        """Say whether there is room beyond what is kept for stopping."""
        return self.count < ENTRIES_MAX - RESERVE

    def heard(self, stream: str) -> int:
        """Return the sequence of the last message of *stream* that holds a ruling entered here."""
        return self._heard.get(stream, 0)

    def holds(self, ruling: str) -> bool:
        """Say whether the ruling with this id is entered."""
        return ruling in self._rulings

    def on(self, proposal: str) -> DocketEntry | None:
        """Return the entry on the request with this id, if it was ruled on."""
        return self._proposals.get(proposal)

    def answers(self, proposal: str) -> int:
        """Return how many rulings on the request with this id are entered: one of each shard."""
        return self._answers.get(proposal, 0)

    def append(self, matter: Matter) -> DocketEntry:
        """Write an entry, and return it when it is on the disk.

        Raises: DocketFullError; AdapterError if the disk does not take it: then it may be torn, and
        this docket must be opened anew.
        """
        entry = append(self._last, matter)
        line = encode(entry)
        try:
            if os.write(self._file, line) != len(line):
                raise AdapterError(f"{self._path} has taken a part of an entry: is the disk full?")
            os.fsync(self._file)
        except OSError as error:
            raise AdapterError(f"cannot write {self._path}: {error.strerror}") from error
        self._size += len(line)
        self._note(entry)
        return entry

    def _read(self, notice: Callable[[str], None]) -> int:
        """Take note of what is there; return the bytes of all whole lines."""
        size = 0
        for item in read_docket(self._path):
            if isinstance(item, DocketEntry):
                size += len(encode(item))
                self._first = self._first or item.matter
                self._note(item)
            else:
                notice(f"the docket was torn at its end: {item}; it is cut to entry {self.count}")
        return size

    def _note(self, entry: DocketEntry) -> None:
        matter = entry.matter
        self._last = entry
        if matter.ruling:
            self._rulings.add(matter.ruling)
        if matter.proposal:
            self._proposals[matter.proposal] = entry
            self._answers[matter.proposal] = self.answers(matter.proposal) + 1
        if matter.stream:
            self._heard[matter.stream] = max(self.heard(matter.stream), matter.sequence)
        self.at = max(self.at, matter.at)
        if matter.accepted and matter.kind in _TURNS:
            self.epoch = max(self.epoch, matter.epoch)
            if _TURNS[matter.kind]:
                self._engaged[matter.subject] = None
            else:
                self._engaged.pop(matter.subject, None)


def read_docket(path: Path) -> Iterator[DocketEntry | str]:
    """Give the entries of a file, each checked; at last, where its end is torn, a word on that.

    Raises: DocketError at the first entry that differs; OSError if the file cannot be read. A file
    that is not there is empty.
    """
    last: DocketEntry | None = None
    if not path.exists():
        return
    with path.open("rb") as file:
        while line := file.readline(LINE_BYTES_MAX + 1):
            number = 0 if last is None else last.number + 1
            is_whole = line.endswith(b"\n")
            if not is_whole and len(line) <= LINE_BYTES_MAX:
                yield f"{len(line)} bytes of entry {number}"
                return
            entry = decode(line, number)
            check(last, entry)
            yield entry
            last = entry


def entries_of(path: Path) -> tuple[tuple[DocketEntry, ...], str]:
    """Return the entries of a file, and a word on its torn end, empty where it is whole.

    Raises: as `read_docket`.
    """
    found: list[DocketEntry] = []
    torn = ""
    for item in read_docket(path):
        if isinstance(item, DocketEntry):
            found.append(item)
        else:
            torn = item
    return tuple(found), torn


def _sync_folder(folder: Path) -> None:
    """Let a new file's name be on the disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems sync no folders
            os.fsync(number)
    finally:
        os.close(number)
