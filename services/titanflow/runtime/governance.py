"""How does a command reach pods, and when is it answered? As a fact on the stream of control.

A kill or release is said as one turn, by its token; risk takes it in, rules, and the ruling stands
in a turn of risk: only then is the command answered. Execution takes the request in as well.
Nothing is kept here that is not in the streams: a process that starts again reads its own turns, so
that a token is the same command for ever, and the rulings on them.
A pause is no fact, since it changes when decisions are made and not which: it is passed on to the
gateway, which is asked like anybody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from titanflow.adapters.bus.client import RULED, Bus
from titanflow.adapters.bus.errors import BusError
from titanflow.adapters.bus.streams import Pod, Topology, consumers, output_subject, stream_name
from titanflow.adapters.codec import Turn, decode_turn, encode_turn
from titanflow.adapters.rpc.ports import Command, Names, Ruling, Verb
from titanflow.adapters.rpc.refusal import conflict, not_ready, shown
from titanflow.adapters.rpc.trace import current
from titanflow.core.base.errors import InvariantError
from titanflow.core.base.ident import NO_ID, Id, derive
from titanflow.core.facts import KillRuling, KillSwitch
from titanflow.core.spec.words import KillScope
from titanflow.runtime.timing import Beside

PassOn = Callable[[Command], Awaitable[Ruling]]
"""Asks the gateway for a pause, or for its end."""
_SAME: Final = ("scope", "name", "engaged", "instruments", "action", "reason", "by")


class Governance:
    """Rules on no command itself: says it, and hears what risk says to it."""

    def __init__(
        self, bus: Bus, topology: Topology, pod: Pod, names: Names, pass_on: PassOn
    ) -> None:
        self.names = names
        self.epoch = 0
        self.number = 0
        """Turns said: one for each command."""
        self.at = 0
        """Latest event time that was heard of; whoever hears beats sets it."""
        self._bus, self._pod, self._pass_on = bus, pod, pass_on
        self._stream = stream_name(topology.arena, pod.output)
        self._subject = output_subject(topology, pod)
        self._hears = [
            each.stream
            for each in consumers(topology)
            if each.user == pod.name and each.name == pod.name
        ]
        self._last = 0
        self._ready = False
        self._saying = asyncio.Lock()
        self._failed: asyncio.Future[BusError] | None = None
        self._requests: dict[str, KillSwitch] = {}
        """By token."""
        self._rulings: dict[Id, asyncio.Future[KillRuling]] = {}
        """By the id of the request; done when the ruling is in the record."""
        self._engaged: dict[str, None] = {}

    @property
    def engaged(self) -> tuple[str, ...]:
        """Give the kill switches that are engaged, such as `Contender macd`."""
        return tuple(self._engaged)

    async def run(self, stopping: asyncio.Event, waits_for: Callable[[str], None]) -> None:
        """Hear rulings until *stopping* is set.

        Raises: BusError and its kinds: the process ends, and starts again by the same path.
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
            return await self._pass_on(command)
        if not self._ready:
            raise not_ready("its own commands of before")
        request = self._request(command)
        async with self._saying:
            known = self._requests.get(command.token)
            if known is None:
                if not self.at:
                    raise not_ready("the first event of the market")
                await self._say(request)
            elif any(getattr(known, name) != getattr(request, name) for name in _SAME):
                text = f"the token {shown(command.token)} named another command before"
                verb = (Verb.KILL if known.engaged else Verb.RELEASE).value
                facts = {"verb": verb, "scope": known.scope.value, "name": known.name}
                raise conflict(text, facts)
        ruling = await asyncio.shield(self._rulings[request.id])
        what = f"{command.verb.value} of {command.scope.value} {command.name}".strip()
        return Ruling(ruling.accepted, ruling.epoch, ruling.text or what, ruling.id)

    def _request(self, command: Command) -> KillSwitch:
        return KillSwitch(
            derive(NO_ID, b"command:" + command.token.encode(), 0),
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
            if self._failed is not None and not self._failed.done():
                self._failed.set_result(error)
            raise
        self._note(turn, published.sequence)

    def _note(self, turn: Turn, sequence: int) -> None:
        """Take note of a turn that stands in the stream."""
        self._last, self.number = sequence, turn.number
        for fact in turn.facts:
            if not isinstance(fact, KillSwitch):
                raise InvariantError(f"{self._pod.name} has said a {type(fact).__name__}")
            self._requests[fact.reset_token] = fact
            self._expect(fact)

    def _expect(self, request: KillSwitch) -> None:
        if request.id not in self._rulings:
            self._rulings[request.id] = asyncio.get_running_loop().create_future()

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
        async for message in self._bus.consume(stream, self._pod.name, after=0):
            if RULED in message.headers:
                turn = decode_turn(message.data)
                self.at = max(self.at, turn.at)
                for fact in turn.facts:
                    if isinstance(fact, KillRuling):
                        self._take(fact)
            await message.ack()

    def _take(self, ruling: KillRuling) -> None:
        if ruling.accepted:
            self.epoch = max(self.epoch, ruling.epoch)
            name = "" if ruling.scope is KillScope.ARENA else ruling.name
            key = f"{ruling.scope.value} {name}".strip()
            if ruling.engaged:
                self._engaged[key] = None
            else:
                self._engaged.pop(key, None)
        waiting = self._rulings.get(ruling.cause)
        if waiting is not None and not waiting.done():
            waiting.set_result(ruling)
