"""How does a command reach pods, and when is it answered? As a fact on the stream of control.

A kill or release is said as one turn, by its token; risk takes it in, rules, and the ruling stands
in a turn of risk: only then is the command answered. Execution takes the request in as well.
A process that starts again reads its own turns, so that a token is the same command for ever, and
goes on with the docket: every ruling that it hears is entered there, by whomever it was asked for,
before the command is answered. What the docket does not hold yet is heard again.
A pause is no fact, since it changes when decisions are made and not which: it is passed on to the
gateway, which is asked like anybody else, and stands in the docket alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import msgspec

from titanflow.adapters.bus.client import RULED, Bus
from titanflow.adapters.bus.errors import BusError
from titanflow.adapters.bus.streams import Pod, Topology, consumers, output_subject, stream_name
from titanflow.adapters.codec import Turn, decode_turn, encode_turn
from titanflow.adapters.rpc.ports import Command, Names, Ruling, Verb
from titanflow.adapters.rpc.refusal import RefusalError, conflict, not_ready, refused, shown
from titanflow.adapters.rpc.trace import current
from titanflow.core.base.errors import InvariantError, TitanFlowError
from titanflow.core.base.ident import NO_ID, Id, derive
from titanflow.core.facts import KillRuling, KillSwitch
from titanflow.core.governance.docket import (
    DocketEntry,
    DocketKind,
    Matter,
    ruled,
    subject_of,
)
from titanflow.core.spec.words import KillScope
from titanflow.runtime.docket import Docket
from titanflow.runtime.timing import Beside

PassOn = Callable[[Command], Awaitable[Ruling]]
"""Asks the gateway for a pause, or for its end."""
_SAME_PAUSE: Final = ("kind", "subject", "by", "reason")
_SAME: Final = ("scope", "name", "engaged", "instruments", "action", "reason", "by")


class Governance:
    """Rules on no command itself: says it, and hears and enters what risk says to it."""

    def __init__(
        self,
        bus: Bus,
        topology: Topology,
        pod: Pod,
        names: Names,
        pass_on: PassOn,
        docket: Docket,
        switches: Iterable[KillSwitch] = (),
    ) -> None:
        """Take the parts; *switches* are those that the manifests engage."""
        self.names = names
        self.number = 0
        """Turns said: one for each command."""
        self.at = docket.at
        """Latest event time that was heard of; whoever hears beats sets it."""
        self._bus, self._pod, self._pass_on, self._docket = bus, pod, pass_on, docket
        self._stream = stream_name(topology.arena, pod.output)
        self._subject = output_subject(topology, pod)
        self._hears = [
            each.stream
            for each in consumers(topology)
            if each.user == pod.name and each.name == pod.name
        ]
        self._gates = max(len(topology.hosting("gate")), 1)
        self._last = 0
        self._ready = False
        self._saying = asyncio.Lock()
        self._failed: asyncio.Future[TitanFlowError] | None = None
        self._requests: dict[str, KillSwitch] = {}
        """By token."""
        self._asked: dict[Id, KillSwitch] = {each.id: each for each in switches}
        """What people and manifests ask for, by id; the sentinel's requests are not heard here."""
        self._rulings: dict[Id, asyncio.Future[DocketEntry]] = {}
        """By the id of the request; done when the ruling is in the record and in the docket."""

    @property
    def epoch(self) -> int:
        """Give the kill epoch of the last ruling heard."""
        return self._docket.epoch

    @property
    def engaged(self) -> tuple[str, ...]:
        """Give the kill switches that are engaged, such as `Contender macd`."""
        return self._docket.engaged

    async def run(self, stopping: asyncio.Event, waits_for: Callable[[str], None]) -> None:
        """Hear rulings until *stopping* is set.

        Raises: BusError and its kinds, AdapterError, DocketFullError: the process ends, and starts
        again by the same path.
        """
        self._failed = asyncio.get_running_loop().create_future()
        waits_for("its own commands of before")
        await self._recover()
        self._ready = True
        waits_for("")
        hearing = [asyncio.create_task(self._hear(stream)) for stream in self._hears]
        stop = asyncio.create_task(stopping.wait())
        waiting: list[asyncio.Future[Any]] = [stop, self._failed, *hearing]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if self._failed.done():
                raise self._failed.result()
            for task in hearing:
                if task.done():
                    task.result()
        finally:
            for each in (stop, *hearing):
                each.cancel()
            await asyncio.gather(stop, *hearing, return_exceptions=True)

    async def submit(self, command: Command) -> Ruling:
        """Say a command, and return when there is a ruling in the record; see `ports.Governor`."""
        if command.verb in {Verb.PAUSE, Verb.RESUME}:
            return await self._pause(command)
        if not self._ready:
            raise not_ready("its own commands of before")
        request = self._request(command)
        async with self._saying:
            known = self._requests.get(command.token)
            if known is None:
                self._demand_new(command, request.id)
                if not self.at:
                    raise not_ready("the first event of the market")
                await self._say(request)
            elif any(getattr(known, name) != getattr(request, name) for name in _SAME):
                raise _used(command, known)
        entry = await asyncio.shield(self._rulings[request.id])
        ruling = entry.matter
        what = f"{command.verb.value} of {command.scope.value} {command.name}".strip()
        return Ruling(
            ruling.accepted, ruling.epoch, ruling.text or what, Id(bytes.fromhex(ruling.ruling))
        )

    async def _pause(self, command: Command) -> Ruling:
        """Let the gateway rule on a pause, or on its end, and enter that; the same token once."""
        ident = _ident(command)
        matter = Matter(
            kind=DocketKind(command.verb.value),
            subject=subject_of(command.scope, command.name),
            by=str(command.by),
            reason=command.reason,
            at=self.at,
            accepted=True,
            text="",
            proposal=ident.hex(),
        )
        known = self._docket.on(ident.hex())
        if known is not None and all(
            getattr(known.matter, name) == getattr(matter, name) for name in _SAME_PAUSE
        ):
            return Ruling(known.matter.accepted, 0, known.matter.text, ident)
        self._demand_new(command, ident)
        ruling = await self._pass_on(command)
        # Its event time is that of its answer.
        matter = msgspec.structs.replace(
            matter, at=self.at, accepted=ruling.accepted, text=ruling.text
        )
        try:
            self._docket.append(matter)
        except TitanFlowError as error:
            self._fail(error)
            raise
        return Ruling(ruling.accepted, ruling.epoch, ruling.text, ident)

    def _request(self, command: Command) -> KillSwitch:
        return KillSwitch(
            _ident(command),
            NO_ID,
            self.at,
            self.at,
            command.scope,
            command.name,
            engaged=command.verb is Verb.KILL,
            instruments=command.instruments,
            action=command.action,
            reason=command.reason,
            by=str(command.by),
            reset_token=command.token,
        )

    async def _say(self, request: KillSwitch) -> None:
        """Put one request on the stream.

        Raises: BusError if it may be there or not; then this process ends, and the next one knows.
        """
        turn = Turn(self._pod.name, self.number + 1, request.at, (), (request,), request.at)
        beside = Beside(current(), 0).headers(turn.facts)
        name = f"{self._pod.name}/{request.id.hex()}"
        # Risk may answer before the server's own acknowledgement is here.
        self._expect(request)
        try:
            published = await self._bus.publish_turn(
                self._stream, self._subject, encode_turn(turn), name, self._last, beside=beside
            )
        except BusError as error:
            self._fail(error)
            raise
        self._note(turn, published.sequence)

    def _demand_new(self, command: Command, ident: Id) -> None:
        """Refuse a command whose token named another one, or that the docket has no room for.

        There is always room for what stops trading, short of the last `docket.RESERVE` entries.
        """
        known = self._docket.on(ident.hex()) or self._requests.get(command.token)
        if known is not None:
            raise _used(command, known)
        if command.verb is not Verb.KILL and not self._docket.has_room:
            raise refused("DOCKET_FULL", "the docket is full: only trading may still be stopped")

    def _fail(self, error: TitanFlowError) -> None:
        """Let the process end: it no longer knows what is stored."""
        if self._failed is not None and not self._failed.done():
            self._failed.set_result(error)

    def _note(self, turn: Turn, sequence: int) -> None:
        """Take note of a turn that stands in the stream."""
        self._last, self.number = sequence, turn.number
        for fact in turn.facts:
            if not isinstance(fact, KillSwitch):
                raise InvariantError(f"{self._pod.name} has said a {type(fact).__name__}")
            self._requests[fact.reset_token] = fact
            self._expect(fact)

    def _expect(self, request: KillSwitch) -> None:
        self._asked[request.id] = request
        if request.id not in self._rulings:
            waiting = self._rulings[request.id] = asyncio.get_running_loop().create_future()
            entry = self._docket.on(request.id.hex())
            if entry is not None and self._is_ruled(request):
                waiting.set_result(entry)

    def _is_ruled(self, request: KillSwitch) -> bool:
        """Say whether every shard of risk that must rule on a request has; one does on one's own.

        They rule alike, since all hear the same requests in the same order.
        """
        due = 1 if request.scope is KillScope.CONTENDER else self._gates
        return self._docket.answers(request.id.hex()) >= due

    async def _recover(self) -> None:
        stored = await self._bus.last(self._stream, self._subject)
        if stored is None:
            return
        own = self._bus.consume(self._stream, f"{self._pod.name}-turns", after=0)
        async for message in own:
            self._note(decode_turn(message.data), message.sequence)
            await message.ack()
            if message.sequence >= stored.sequence:
                break
        await own.close()

    async def _hear(self, stream: str) -> None:
        """Hear the turns of risk; only those that hold rulings are decoded."""
        # The last turn that an entry is of may hold more rulings than were entered.
        after = max(self._docket.heard(stream) - 1, 0)
        async for message in self._bus.consume(stream, self._pod.name, after=after):
            if RULED in message.headers:
                turn = decode_turn(message.data)
                self.at = max(self.at, turn.at)
                for fact in turn.facts:
                    if isinstance(fact, KillRuling):
                        self._take(fact, stream, message.sequence)
            await message.ack()

    def _take(self, ruling: KillRuling, stream: str, sequence: int) -> None:
        """Enter a ruling, unless it was; whoever waits for it hears it then.

        The sync holds up everything here, beats too: a disk that takes longer than a lease lets
        trading stop, as it must, because then nobody could be answered either.
        """
        if self._docket.holds(ruling.id.hex()):
            return
        entry = self._docket.append(ruled(self._asked.get(ruling.cause), ruling, stream, sequence))
        waiting, request = self._rulings.get(ruling.cause), self._asked.get(ruling.cause)
        if waiting is None or waiting.done():
            return
        if request is None or self._is_ruled(request):
            waiting.set_result(entry)


def _ident(command: Command) -> Id:
    """Return the id of a request, which is that of its token."""
    return derive(NO_ID, b"command:" + command.token.encode(), 0)


def _used(command: Command, known: KillSwitch | DocketEntry) -> RefusalError:
    """Return the refusal of a token that named another command."""
    if isinstance(known, KillSwitch):
        verb = (Verb.KILL if known.engaged else Verb.RELEASE).value
        scope, name = known.scope.value, known.name
    else:
        verb = known.matter.kind.value
        scope, _, name = known.matter.subject.partition(" ")
    text = f"the token {shown(command.token)} named another command before"
    return conflict(text, {"verb": verb, "scope": scope, "name": name})
