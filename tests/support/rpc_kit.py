"""A real server over a real line, on a free port, for tests of questions and answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kit import small_folder

from titanflow.adapters.rpc.client import Client
from titanflow.adapters.rpc.guard import Limits
from titanflow.adapters.rpc.health import Health
from titanflow.adapters.rpc.line_control import LineControl
from titanflow.adapters.rpc.line_view import LineView
from titanflow.adapters.rpc.ports import (
    ModelCard,
    ModelFailedError,
    PodState,
    PodView,
    SessionView,
    Span,
)
from titanflow.adapters.rpc.refusal import RefusalError
from titanflow.adapters.rpc.server import Listen, Server
from titanflow.adapters.rpc.tls import TlsFiles
from titanflow.core.facts import Fact
from titanflow.core.spec.words import Reply
from titanflow.rpc.v1 import (
    control_pb2,
    control_pb2_grpc,
    portfolio_pb2,
    portfolio_pb2_grpc,
    sessions_pb2,
    sessions_pb2_grpc,
    standings_pb2,
    standings_pb2_grpc,
)
from titanflow.runtime.plan import Plan, prepare
from titanflow.runtime.sim import Driver
from titanflow.services.execution.rpc import ExecutionAnswers
from titanflow.services.governance.rpc import ControlAnswers, ExplainAnswers, SessionAnswers
from titanflow.services.ledger.rpc import LedgerAnswers
from titanflow.services.serving.rpc import ServingAnswers
from titanflow.wire.v1 import words_pb2

DAYS = 150
"""Two instruments: 300 bars, of which a world has taken `BARS` when it is asked."""
BARS = 240
SECONDS = 20.0
"""Longest test; a call takes milliseconds."""


class World:
    """A line that was driven over some bars, and everything that answers about it."""

    def __init__(self, folder: Path, bars: int = BARS) -> None:
        self.plan: Plan = prepare(small_folder(folder, DAYS), None)
        self.driver = Driver(self.plan)
        arena = self.driver.arena
        self.view = LineView(
            self.plan.ground,
            self.plan.policies,
            post=arena.post,
            score=arena.score,
            gate=arena.gate,
            trade=arena.trade,
        )
        self.recorded: list[Fact] = []
        self.control = LineControl(self.view, self.step)
        self.events = list(self.plan.events())
        self.hear(self.driver.begin(self.events[0].at))
        self.next = 0
        self.drive(bars)
        self.ledger = LedgerAnswers(self.view)
        self.models = NumpyModels()
        self.serving = ServingAnswers(self.models, "1.0")

    def hear(self, said: Sequence[Fact]) -> None:
        self.recorded += said
        self.view.hear(said)

    def step(self, fact: Fact) -> Sequence[Fact]:
        said = self.driver.step(fact)
        self.hear(said)
        return said

    def drive(self, bars: int) -> None:
        """Take the next bars."""
        for event in self.events[self.next : self.next + bars]:
            self.step(event)
        self.next += bars

    def digests(self) -> object:
        """Return the state of every stage, to see that a question changed nothing."""
        return self.driver.arena.line.digests()

    def session(self) -> SessionView:
        """Return how the session is; see `ports.Watchman`."""
        view = self.view
        pod = PodView(
            "line-0",
            ("risk", "execution", "ledger"),
            PodState.RUNNING,
            "",
            view.revision,
            view.as_of,
            0,
            0,
            view.as_of,
            1,
            1,
            "c0de",
        )
        waiting = PodView("serving", (), PodState.STARTING, "bundles", 0, 0, 3, 5, 0, 1, 2, "c0de")
        span = Span("event → belief", 300, 10, 20, 30, 40)
        return SessionView(
            "s-1", "main", view.as_of, view.kill_epoch, view.engaged, 7, (waiting, pod), (span,)
        )

    def methods(self) -> list[Any]:
        return [
            *self.ledger.methods(),
            *ExecutionAnswers(self.view).methods(),
            *ControlAnswers(self.control).methods(),
            *ExplainAnswers(self).methods(),
            *SessionAnswers(self).methods(),
            *self.serving.methods(),
        ]

    # An explainer that finds nothing; the real one has tests of its own.

    @property
    def names(self) -> Any:
        return self.view.names

    async def why(self, reason: object) -> Any:
        from titanflow.adapters.rpc.refusal import not_found

        raise not_found(f"no fact fits {reason}", "question")


class NumpyModels:
    """Models that add up their features: `value` is the sum, `parts` the features and a base."""

    FEATURES = 3

    def __init__(self) -> None:
        self.waits_for = ""
        self.cards: dict[str, list[ModelCard]] = {}
        self.batches: list[int] = []
        self.gate: asyncio.Event | None = None
        """Where there is one, calls wait for it."""
        self.entered = asyncio.Event()
        self.failure: Reply | None = None
        self.put("adder", "a" * 64)

    def put(self, name: str, digest: str, max_batch: int = 8) -> None:
        """Let a name stand for a new version."""
        card = ModelCard(name, digest, self.FEATURES, self.FEATURES + 1, max_batch)
        self.cards[name] = [card, *self.cards.get(name, [])]

    def drop(self, digest: str) -> None:
        for name, cards in self.cards.items():
            self.cards[name] = [card for card in cards if card.digest != digest]

    def names(self) -> list[str]:
        return list(self.cards)

    def versions(self, name: str) -> list[ModelCard]:
        return self.cards.get(name, [])

    async def infer(self, digest: str, rows: Any) -> Any:
        assert any(card.digest == digest for cards in self.cards.values() for card in cards)
        self.batches.append(len(rows))
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise ModelFailedError(self.failure, "as the test wishes")
        base = np.full((len(rows), 1), float(int(digest[0], 16)), np.float32)
        with np.errstate(over="ignore"):
            return np.hstack([rows.sum(axis=1, keepdims=True) + base, rows, base])


@contextlib.asynccontextmanager
async def serving(
    methods: Sequence[Any],
    limits: Limits = Limits(),  # noqa: B008 - frozen
    listen: Listen = Listen(),  # noqa: B008 - frozen
    *,
    closing: Sequence[Callable[[], None]] = (),
    broken: Callable[[Any], None] | None = None,
    ready: bool = True,
) -> AsyncIterator[Server]:
    """Run a server on a free port."""
    health = Health()
    server = Server(methods, health, listen, limits, closing=closing, broken=broken)
    await server.start()
    if ready:
        health.started()
    try:
        yield server
    finally:
        await server.stop(0.2)


@contextlib.asynccontextmanager
async def asking(methods: Sequence[Any], **options: Any) -> AsyncIterator[tuple[Server, Client]]:
    """Run a server on a free port, and a client of it."""
    async with serving(methods, **options) as server, Client(server.target) as client:
        yield server, client


def run(talk: Coroutine[Any, Any, None], seconds: float = SECONDS) -> None:
    """Run a test's coroutine within its time."""

    async def bounded() -> None:
        async with asyncio.timeout(seconds):
            await talk

    asyncio.run(bounded())


async def until(condition: Callable[[], object]) -> None:
    """Wait for what no event announces; the test's own time bounds it."""
    while not condition():  # noqa: ASYNC110 - counters and queues announce nothing
        await asyncio.sleep(0.001)


async def refusal(asked: Any) -> RefusalError:
    """Return what a question is refused for."""
    try:
        answer = await asked
    except RefusalError as error:
        return error
    raise AssertionError(f"it was answered: {answer}")


def portfolio(client: Client, contender: str) -> object:
    stub = portfolio_pb2_grpc.PortfolioStub(client.channel)
    return client.ask(stub.GetPortfolio, portfolio_pb2.GetPortfolioRequest(contender=contender))


def orders(client: Client, **fields: object) -> object:
    stub = portfolio_pb2_grpc.PortfolioStub(client.channel)
    return client.ask(stub.ListOpenOrders, portfolio_pb2.ListOpenOrdersRequest(**fields))


def standings(client: Client) -> object:
    stub = standings_pb2_grpc.StandingsStub(client.channel)
    return client.ask(stub.GetStandings, standings_pb2.GetStandingsRequest())


def kill(client: Client, **fields: object) -> object:
    asked = {
        "scope": words_pb2.KILL_SCOPE_CONTENDER,
        "name": "dice",
        "action": words_pb2.KILL_ACTION_CANCEL_ALL,
        "reason": "a drill",
        "token": "t1",
        "requested_by": "ada",
    }
    stub = control_pb2_grpc.ControlStub(client.channel)
    return client.ask(stub.Kill, control_pb2.KillRequest(**asked | fields))


def release(client: Client, **fields: object) -> object:
    asked = {
        "scope": words_pb2.KILL_SCOPE_CONTENDER,
        "name": "dice",
        "reason": "the drill is over",
        "token": "t2",
        "requested_by": "bob",
    }
    stub = control_pb2_grpc.ControlStub(client.channel)
    return client.ask(stub.Release, control_pb2.ReleaseRequest(**asked | fields))


def status(client: Client) -> object:
    stub = sessions_pb2_grpc.SessionsStub(client.channel)
    return client.ask(stub.GetStatus, sessions_pb2.GetStatusRequest())


class Authority:
    """A certificate authority of a test's own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._serial = 1
        certificate = self._sign(name, self._key.public_key(), authority=True)
        self.path = self._write("authority.pem", certificate)

    def issue(self, name: str, *, days: float = 1, common_name: str | None = None) -> TlsFiles:
        """Return files of a server or client on this machine; *days* below 0 has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        common = name if common_name is None else common_name
        certificate = self._sign(common, key.public_key(), days=days)
        path = self._write(f"{name}.pem", certificate)
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        key_path = self.folder / f"{name}.key"
        key_path.write_bytes(secret)
        return TlsFiles(path, key_path, self.path)

    def _write(self, name: str, certificate: x509.Certificate) -> Path:
        path = self.folder / name
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def _sign(
        self, common: str, key: Any, *, days: float = 1, authority: bool = False
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        self._serial += 1
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "tests")]
        if common:
            attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common))
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(issuer if authority else x509.Name(attributes))
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(self._serial)
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName(
                    [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")]
                ),
                critical=False,
            )
        )
        return builder.sign(self._key, hashes.SHA256())
