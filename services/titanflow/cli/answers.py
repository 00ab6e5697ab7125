"""Which questions does a pod answer? Composed here: the handlers stand above the runtime."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from titanflow.adapters.rpc.client import Client
from titanflow.adapters.rpc.method import AnyMethod
from titanflow.adapters.rpc.ports import Command, Ruling, Verb
from titanflow.adapters.rpc.refusal import not_ready
from titanflow.adapters.rpc.tls import TlsFiles
from titanflow.adapters.rpc.trace import CURRENT, current
from titanflow.core.base.ident import NO_ID, derive
from titanflow.rpc.v1 import control_pb2 as control
from titanflow.rpc.v1.control_pb2_grpc import ControlStub
from titanflow.runtime.front import Answers, Shown
from titanflow.runtime.process import Above
from titanflow.services.execution.rpc import ExecutionAnswers
from titanflow.services.governance.history import JournalHistorian
from titanflow.services.governance.rpc import ControlAnswers, ExplainAnswers, SessionAnswers
from titanflow.services.ledger.rpc import LedgerAnswers
from titanflow.services.serving.pod import Serving

CALL_SECONDS = 5.0


def compose(shown: Shown) -> Answers:
    """Return the answers of a pod that shows *shown*; every pod says how it is."""
    methods: list[AnyMethod] = list(SessionAnswers(shown.watchman).methods())
    closing: list[Callable[[], None]] = []
    if shown.books is not None:
        ledger = LedgerAnswers(shown.books)
        methods += ledger.methods()
        closing.append(ledger.close)
    if shown.orders is not None:
        methods += ExecutionAnswers(shown.orders).methods()
    if shown.governor is not None:
        methods += ControlAnswers(shown.governor, shown.may_command).methods()
    if shown.journal is not None:
        historian = JournalHistorian(shown.names, shown.journal, shown.folder)
        methods += ExplainAnswers(historian, shown.tiers).methods()
    return Answers(methods, closing)


def pass_on(
    address: Callable[[], str], tls: TlsFiles | None
) -> Callable[[Command], Awaitable[Ruling]]:
    """Return what asks the gateway at *address* for a pause, or for its end."""

    async def submit(command: Command) -> Ruling:
        target = address()
        if not target:
            raise not_ready("the gateway")
        CURRENT.set(current().child())
        async with Client(target, tls) as client:
            text = await _ask(client, command)
        ident = derive(NO_ID, b"command:" + command.token.encode(), 0)
        return Ruling(True, 0, text, ident)

    return submit


async def _ask(client: Client, command: Command) -> str:
    """Return what the gateway says to a pause, or to its end.

    Raises: RefusalError, if it refuses.
    """
    stub = ControlStub(client.channel)
    scope = f"KILL_SCOPE_{command.scope.name}"
    name, reason, token, by = command.name, command.reason, command.token, command.by.name
    if command.verb is Verb.PAUSE:
        pause = control.PauseRequest(
            scope=scope, name=name, reason=reason, token=token, requested_by=by
        )
        return (await client.ask(stub.Pause, pause, CALL_SECONDS)).text
    resume = control.ResumeRequest(
        scope=scope, name=name, reason=reason, token=token, requested_by=by
    )
    return (await client.ask(stub.Resume, resume, CALL_SECONDS)).text


ABOVE = Above(Serving, compose, pass_on)
