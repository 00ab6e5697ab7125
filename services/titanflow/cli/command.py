"""How is a running arena commanded and asked from a terminal? Through its governance, over gRPC.

A command names itself by a token, so it may be asked again until there is an answer: the same token
is the same command. Refusals are told in the words of who refused.
"""

from __future__ import annotations

import asyncio
import getpass
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

from titanflow.adapters.rpc.client import Client
from titanflow.adapters.rpc.refusal import Code, RefusalError
from titanflow.adapters.rpc.tls import TlsFiles
from titanflow.cli import exits
from titanflow.cli.output import Format, emit, flatten, say, table
from titanflow.core.base.errors import Problem, SpecError
from titanflow.core.base.instant import format_instant
from titanflow.core.spec.words import KillAction, KillScope
from titanflow.rpc.v1 import control_pb2 as control
from titanflow.rpc.v1 import explain_pb2 as explain
from titanflow.rpc.v1 import sessions_pb2 as sessions
from titanflow.rpc.v1.control_pb2_grpc import ControlStub
from titanflow.rpc.v1.explain_pb2_grpc import ExplainStub
from titanflow.rpc.v1.sessions_pb2_grpc import SessionsStub
from titanflow.runtime.asking import ADDRESS
from titanflow.runtime.place import Live
from titanflow.runtime.session import Session

A = TypeVar("A")

GOVERNANCE, SENTINEL = "governance", "sentinel"
WAIT_SECONDS = 10.0
"""How long governance is looked for: it may be starting again."""
CALL_SECONDS = 10.0
PAUSE_SECONDS = 0.1
STATUS_SECONDS = 1.0
NOWHERE = "127.0.0.1:1"
"""Where nobody listens: for a governance that has not said yet where it does."""
_NO_ONE = (Code.UNAVAILABLE, Code.CANCELLED)
_CODES = {
    Code.INVALID_ARGUMENT: exits.USAGE,
    Code.NOT_FOUND: exits.NOT_FOUND,
    Code.UNAVAILABLE: exits.UNHEALTHY,
    Code.DEADLINE_EXCEEDED: exits.UNHEALTHY,
    Code.INTERNAL: exits.ERROR,
}
"""Exit codes; every other refusal is REFUSED."""


def kill(
    session: Session, place: tuple[str, str], action: str, instruments: Sequence[str], said: Said
) -> None:
    """Engage a kill switch."""
    scope, name = _scope(place[0]), place[1]
    words = {each.value.lower(): each for each in KillAction}
    if action.lower() not in words:
        known = ", ".join(each.value for each in KillAction)
        raise SpecError([Problem(f"no action {action!r}", "--action", f"one of: {known}")])
    request = control.KillRequest(
        scope=f"KILL_SCOPE_{scope.name}",
        name=name,
        instruments=instruments,
        action=f"KILL_ACTION_{words[action.lower()].name}",
        reason=said.reason,
        token=said.token,
        requested_by=said.by,
    )
    answer = _ask(
        session, lambda c: c.ask(ControlStub(c.channel).Kill, request, CALL_SECONDS), said
    )
    said.tell("kill", scope, name, {"epoch": answer.epoch, "ruling": answer.ruling.hex()})


def release(session: Session, place: tuple[str, str], said: Said) -> None:
    """Release a kill switch."""
    scope, name = _scope(place[0]), place[1]
    request = control.ReleaseRequest(
        scope=f"KILL_SCOPE_{scope.name}",
        name=name,
        reason=said.reason,
        token=said.token,
        requested_by=said.by,
    )
    answer = _ask(
        session, lambda c: c.ask(ControlStub(c.channel).Release, request, CALL_SECONDS), said
    )
    said.tell("release", scope, name, {"epoch": answer.epoch, "ruling": answer.ruling.hex()})


def pause(session: Session, said: Said) -> None:
    """Let no new instant of the market begin."""
    request = control.PauseRequest(
        scope="KILL_SCOPE_ARENA", reason=said.reason, token=said.token, requested_by=said.by
    )
    answer = _ask(
        session, lambda c: c.ask(ControlStub(c.channel).Pause, request, CALL_SECONDS), said
    )
    said.tell("pause", KillScope.ARENA, "", {"text": answer.text})


def resume(session: Session, said: Said) -> None:
    """Let the market go on."""
    request = control.ResumeRequest(
        scope="KILL_SCOPE_ARENA", reason=said.reason, token=said.token, requested_by=said.by
    )
    answer = _ask(
        session, lambda c: c.ask(ControlStub(c.channel).Resume, request, CALL_SECONDS), said
    )
    said.tell("resume", KillScope.ARENA, "", {"text": answer.text})


class Said:
    """What every command says of itself; what is left out is filled in."""

    def __init__(self, reason: str, by: str, token: str, output: Format) -> None:
        self.reason, self.output = reason, output
        self.by = by or getpass.getuser()
        # Sorts by time, as the tokens of releases must.
        self.token = token or format_instant(time.time_ns())

    def tell(self, verb: str, scope: KillScope, name: str, more: dict[str, Any]) -> None:
        """Show what came of it."""
        row = {"command": verb, "scope": scope.value, "name": name, "by": self.by}
        row |= {"token": self.token} | more
        if self.output is Format.TABLE:
            table("", ("Command", "Recorded"), flatten(row))
        else:
            emit(row, self.output)


class Told(NamedTuple):
    """How a session is, by those who watch it; None of who does not answer, or is not there."""

    governance: sessions.GetStatusResponse | None
    sentinel: sessions.GetStatusResponse | None

    @property
    def best(self) -> sessions.GetStatusResponse | None:
        """Give who knows most: governance, else the sentinel."""
        return self.governance if self.governance is not None else self.sentinel

    @property
    def by(self) -> str:
        """Give the name of who that is; empty if nobody answers."""
        if self.governance is not None:
            return GOVERNANCE
        return SENTINEL if self.sentinel is not None else ""

    @property
    def incidents(self) -> list[sessions.Incident]:
        """Give what is wrong now; only the sentinel knows."""
        found = self.sentinel.incidents if self.sentinel is not None else ()
        return [each for each in found if not each.ended_at]


def status_of(session: Session) -> Told:
    """Return what governance and the sentinel say of the session."""
    tls = _certificate(session, getpass.getuser())

    async def ask() -> Told:
        asked = (_status(_address(session, pod), tls) for pod in (GOVERNANCE, SENTINEL))
        return Told(*await asyncio.gather(*asked))

    return asyncio.run(ask())


def tiers_of(session: Session) -> list[dict[str, Any]]:
    """Return in which tier each contender is, and why; nothing if governance does not answer."""
    return [
        {
            "contender": each.contender,
            "tier": each.tier,
            "declared": each.declared,
            "policies": list(each.policies),
            "why": each.text,
        }
        for each in asyncio.run(_tiers(_address(session), _certificate(session, getpass.getuser())))
    ]


async def _tiers(address: str, tls: TlsFiles | None) -> Sequence[explain.ContenderTier]:
    if not address:
        return ()
    async with Client(address, tls) as client:
        stub = ExplainStub(client.channel)
        try:
            answer = await client.ask(stub.GetTiers, explain.GetTiersRequest(), STATUS_SECONDS)
        except RefusalError:
            return ()
        return answer.tiers


async def _status(address: str, tls: TlsFiles | None) -> sessions.GetStatusResponse | None:
    if not address:
        return None
    async with Client(address, tls) as client:
        stub = SessionsStub(client.channel)
        try:
            return await client.ask(stub.GetStatus, sessions.GetStatusRequest(), STATUS_SECONDS)
        except RefusalError:
            return None


def _ask(session: Session, question: Callable[[Client], Awaitable[A]], said: Said) -> A:
    """Return the answer of governance; end with words and a code if there is none."""
    try:
        tls = _certificate(session, said.by)
        return asyncio.run(_until_answered(session, tls, question))
    except RefusalError as error:
        _refused(error, said)


def _refused(error: RefusalError, said: Said) -> NoReturn:
    code = _CODES.get(error.code, exits.REFUSED)
    if error.code in _NO_ONE and error.reason != "NOT_READY":
        say("error: governance does not answer; has the session ended?")
    else:
        say(f"error: {error.reason}: {error.text}")
    if code == exits.UNHEALTHY:
        say(f"the same command with --token {said.token} asks again, and does nothing twice")
    raise SystemExit(code)


async def _until_answered(
    session: Session, tls: TlsFiles | None, question: Callable[[Client], Awaitable[A]]
) -> A:
    """Ask until somebody answers; governance may be starting again, elsewhere.

    Raises: RefusalError, as governance said it or because nobody did.
    """
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            async with Client(_address(session) or NOWHERE, tls) as client:
                return await question(client)
        except RefusalError as error:
            if error.code not in _NO_ONE or time.monotonic() >= until:
                raise
        await asyncio.sleep(PAUSE_SECONDS)


def _address(session: Session, pod: str = GOVERNANCE) -> str:
    file: Path = Live(session.path).path / "pods" / pod / ADDRESS
    return file.read_text("ascii").strip() if file.exists() else ""


def _certificate(session: Session, name: str) -> TlsFiles | None:
    """Return the certificate by which somebody asks; None where the session speaks plainly.

    Raises: SpecError if there is none of that name.
    """
    live = Live(session.path)
    files = live.tls(name) if live.exists else None
    if files is not None and not files.certificate.exists():
        what = f"{name} has no certificate for this session: {files.certificate} is not there"
        do = f"titanflow tls issue {name} --tls {files.certificate.parent}, or --by another"
        raise SpecError([Problem(what, "--by", do)])
    return files


def _scope(word: str) -> KillScope:
    found = {each.value.lower(): each for each in KillScope}
    if word.lower() not in found:
        known = ", ".join(found)
        raise SpecError([Problem(f"no scope {word!r}", "scope", f"one of: {known}")])
    return found[word.lower()]
