"""Is a journal right? Everything in it is derived again, and compared byte by byte.

In this order at every record: is it undamaged (header, CRC, chain)? If it is an input, is it what
the source says? If it is the answer of a model, does it answer what the stages asked, in its turn?
If it is anything else, is it what the stages say when they are given the same inputs? The first
record that fails is named. So a fill that was altered, with all checksums made to fit, is found as
surely as a flipped bit. What a model answered is taken as recorded: nobody is asked again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import msgspec

from titanflow.adapters.codec import Turn
from titanflow.core.base.errors import NotFoundError, TitanFlowError
from titanflow.core.facts import Answer, Checkpoint, Fact, KillSwitch, Standing
from titanflow.runtime.code import code_version
from titanflow.runtime.describe import describe, difference
from titanflow.runtime.journal import (
    CLOSE,
    FACT,
    HEAD,
    TURN,
    Head,
    JournalError,
    Reader,
    Record,
    TornTail,
    TurnRecord,
    decode_fact,
    decode_turn_record,
    encode_fact,
)
from titanflow.runtime.plan import Plan, plan_from_head
from titanflow.runtime.recompute import Differs, Recomputation, topology_of
from titanflow.runtime.sim import INPUTS, Driver


class Result(StrEnum):
    """What verification found."""

    VERIFIED = "Verified"
    TORN = "Torn"
    MISMATCH = "Mismatch"


class Finding(msgspec.Struct, frozen=True):
    """The answer for one journal. `record` is the number of the first bad or missing record."""

    result: Result
    facts: int
    digest: str
    record: int = -1
    text: str = ""
    notes: tuple[str, ...] = ()
    docket: str = ""
    """Digest of the docket's last entry, where there is a docket; compared by `docket_check`."""
    entries: int = 0


class Listener(Protocol):
    """Hears a session of pods while it is derived again."""

    def begin(self, head: Head, plan: Plan, work: Recomputation) -> None:
        """Take what the session stands on, before its first turn."""
        ...

    def hear(self, record: TurnRecord, turn: Turn) -> None:
        """Take one turn that was found right."""
        ...


class _DiffersError(Exception):
    """A record is not what it should be."""

    def __init__(self, record: Record, what: str) -> None:
        self.record, self.what = record, what
        super().__init__(what)


class _Work(Protocol):
    """Says for each record of a journal, in order, whether it is what must stand there."""

    def check(self, record: Record) -> None:
        """Compare one record.

        Raises: _DiffersError if another one, or none, must stand here.
        """
        ...

    def finish(self, record: Record) -> None:
        """Check that nothing is missing before the closing record."""
        ...


class _Turns:
    """For a session of pods: each turn is taken again, and its facts compared."""

    def __init__(
        self, work: Recomputation, heard: Callable[[TurnRecord, Turn], None] | None
    ) -> None:
        self._work, self._heard = work, heard
        self._turn: tuple[Record, TurnRecord] | None = None
        self._facts: list[tuple[Record, Fact]] = []

    def check(self, record: Record) -> None:
        """Compare one record; a turn is judged with its last fact."""
        try:
            if record.kind == TURN:
                if self._turn is not None:
                    raise _DiffersError(record, "a turn begins before the former has its facts")
                self._turn = (record, decode_turn_record(record.body))
            elif self._turn is None:
                raise _DiffersError(record, "a fact stands outside of any turn")
            else:
                self._facts.append((record, decode_fact(record.body)))
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise _DiffersError(record, f"cannot be read ({error})") from error
        if self._turn is not None and len(self._facts) >= self._turn[1].facts:
            self._judge(*self._turn)
            self._turn, self._facts = None, []

    def _judge(self, record: Record, turn: TurnRecord) -> None:
        try:
            said = self._work.take(turn, tuple(fact for _, fact in self._facts))
        except Differs as error:
            where = self._facts[error.fact][0] if error.fact >= 0 else record
            raise _DiffersError(where, error.what) from error
        if self._heard is not None:
            self._heard(turn, said)

    def finish(self, record: Record) -> None:
        """Check that every pod has said its last turn."""
        if self._turn is not None:
            raise _DiffersError(record, "the last turn misses facts")
        try:
            self._work.finish()
        except Differs as error:
            raise _DiffersError(record, error.what) from error


class _Rederivation:
    """Says for each record of a journal, in order, whether it is what must stand there."""

    def __init__(self, plan: Plan, source: Iterator[Fact] | None) -> None:
        self._driver = Driver(plan)
        self._source = source
        self._expected: deque[Fact] = deque()
        self._begun = False
        self._ended = False

    def check(self, record: Record) -> None:
        """Compare one fact record.

        Raises: _DiffersError if another fact, or none, must stand here.
        """
        try:
            fact = decode_fact(record.body)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise _DiffersError(record, f"holds no known fact ({error})") from error
        try:
            self._advance(record, fact)
        except (TitanFlowError, ArithmeticError, LookupError, ValueError) as error:
            raise _DiffersError(record, f"the stages refuse it: {error}") from error
        expected = self._expected.popleft()
        if encode_fact(expected) != record.body:
            raise _DiffersError(record, difference(fact, expected))

    def finish(self, record: Record) -> None:
        """Check that nothing is missing before the closing record."""
        if not self._expected and not self._ended:
            self._end(record)
        if self._expected:
            raise _DiffersError(record, f"{describe(self._expected[0])} is missing before it")

    def _advance(self, record: Record, fact: Fact) -> None:
        """Make sure that something is expected."""
        if not self._begun:
            self._begun = True
            self._expected.extend(self._driver.begin(fact.at))
        if self._expected:
            return
        if isinstance(fact, Checkpoint | Standing) and not self._ended:
            self._end(record)
        elif isinstance(fact, INPUTS) and not self._ended:
            self._from_source(record, fact)
            self._expected.extend(self._driver.step(fact))
        if not self._expected:
            raise _DiffersError(record, f"{describe(fact)} follows from nothing before it")

    def _from_source(self, record: Record, fact: Fact) -> None:
        if self._source is None or isinstance(fact, KillSwitch | Answer):
            return
        said = next(self._source, None)
        if said is None:
            raise _DiffersError(record, f"{describe(fact)} is not in the source, which has ended")
        if said != fact:
            raise _DiffersError(record, difference(fact, said))

    def _end(self, record: Record) -> None:
        self._ended = True
        if self._source is not None:
            rest = next(self._source, None)
            if rest is not None:
                raise _DiffersError(record, f"{describe(rest)} of the source is missing before it")
        try:
            self._expected.extend(self._driver.end())
        except TitanFlowError as error:
            raise _DiffersError(record, f"the stages refuse to end here: {error}") from error


def verify(
    path: Path,
    folder: Path | None = None,
    progress: Callable[[int], None] | None = None,
    listener: Listener | None = None,
) -> Finding:
    """Derive the journal at *path* again and compare; *folder* is where Python contenders are.

    *listener* hears every turn of a session of pods, as it was derived again.

    Raises: NotFoundError if the module of a Python contender is not there.
    """
    reader = Reader(path)
    number = 0
    notes: list[str] = []
    work: _Work | None = None
    try:
        for record in reader.records():
            number = record.number
            if record.kind == HEAD:
                work = _prepare(record, folder, notes, listener)
            elif record.kind in (FACT, TURN) and work is not None:
                work.check(record)
                if progress is not None and number % 4096 == 0:
                    progress(number)
        if work is not None:
            work.finish(Record(number + 1, 0, CLOSE, b""))
    except TornTail as torn:
        return Finding(Result.TORN, reader.facts, "", torn.number, torn.what, tuple(notes))
    except JournalError as error:
        text = f"{error.what} (byte {error.offset})"
        return Finding(Result.MISMATCH, reader.facts, "", error.number, text, tuple(notes))
    except _DiffersError as error:
        return Finding(
            Result.MISMATCH, reader.facts, "", error.record.number, error.what, tuple(notes)
        )
    return Finding(Result.VERIFIED, reader.facts, reader.digest, notes=tuple(notes))


def _check_data(record: Record, head: Head, plan: Plan) -> None:
    """Compare the digests of the data with those that the package or a manifest fixes.

    Others are the head's own word: the sources may be gone, or have changed since.
    """
    try:
        promised = plan.promised_data()
    except TitanFlowError as error:
        raise _DiffersError(record, f"the head's data cannot be judged: {error}") from error
    if promised is not None and promised != head.data:
        raise _DiffersError(
            record, f"the head's data is {head.data!r}; by manifest and package it is {promised!r}"
        )


def _prepare(
    record: Record, folder: Path | None, notes: list[str], listener: Listener | None
) -> _Work:
    try:
        head = msgspec.msgpack.decode(record.body, type=Head)
        plan = plan_from_head(head, folder)
    except NotFoundError:
        raise  # nothing is known to be wrong with the journal
    except (msgspec.DecodeError, TitanFlowError) as error:
        raise _DiffersError(record, f"the head cannot be used: {error}") from error
    if head.code != code_version():
        notes.append(f"recorded by code {head.code}, derived again by {code_version()}")
    _check_data(record, head, plan)
    fresh = plan.head(head.data)
    for name in (
        "format",
        "arena",
        "seed",
        "manifests_digest",
        "python",
        "features",
        "bundles",
    ):
        if getattr(fresh, name) != getattr(head, name):
            raise _DiffersError(
                record,
                f"the head's {name} is {getattr(head, name)!r}; "
                f"from the manifests it is {getattr(fresh, name)!r}",
            )
    source, why = plan.recorded_events(head.data)
    if source is None:
        notes.append(f"{why}: the recorded inputs are taken as given")
    if head.bundles:
        notes.append("what models answered is taken as given: graphs are not run again")
    if not head.topology:
        return _Rederivation(plan, source)
    try:
        work = Recomputation(plan, topology_of(head.topology), source)
    except (msgspec.DecodeError, TitanFlowError) as error:
        raise _DiffersError(record, f"the head's topology cannot be used: {error}") from error
    if listener is not None:
        listener.begin(head, plan, work)
    return _Turns(work, listener.hear if listener is not None else None)
