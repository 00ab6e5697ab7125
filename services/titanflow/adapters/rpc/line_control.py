"""How does a command reach a line in this process? As an input between two turns, like any other.

This is governance for one process: the kill switch is the gate's own, a pause keeps the driver from
taking the next event. Pods do the same over the control stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from titanflow.adapters.rpc.line_view import LineView
from titanflow.adapters.rpc.ports import Command, Names, Ruling, Verb
from titanflow.adapters.rpc.refusal import not_ready
from titanflow.core.base.errors import InvariantError
from titanflow.core.base.ident import NO_ID, Id, derive
from titanflow.core.facts import Fact, KillRuling, KillSwitch
from titanflow.core.risk.kill import person
from titanflow.core.spec.words import KillScope

Step = Callable[[Fact], Sequence[Fact]]
"""Takes an input into the line, records what is said, and returns it."""


class LineControl:
    """Rules on commands by feeding them to the line between two turns."""

    def __init__(self, view: LineView, step: Step) -> None:
        self._view, self._step = view, step
        self._running = asyncio.Event()
        self._running.set()
        self._engaged_by: dict[tuple[KillScope, str], str] = {}
        """Bare names of who engaged what: a stated and a proven name may be one person's."""

    @property
    def names(self) -> Names:
        """Give what may be commanded."""
        return self._view.names

    @property
    def paused(self) -> bool:
        """Give whether the driver waits."""
        return not self._running.is_set()

    async def may_go_on(self) -> None:
        """Wait while the arena is paused; the driver asks before each event."""
        await self._running.wait()

    async def submit(self, command: Command) -> Ruling:
        """Rule on a command; see `ports.Governor`."""
        if not self._view.revision:
            raise not_ready("the first fact of the session")
        if command.verb in {Verb.PAUSE, Verb.RESUME}:
            return self._pause(command)
        place = command.scope, command.name
        engages = command.verb is Verb.KILL
        if not engages and self._engaged_by.get(place) == person(command.by.name):
            text = f"releasing needs a second person: {command.by.name} engaged it"
            return Ruling(False, self._view.kill_epoch, text, _ident(command))
        ruling = self._switch(command, engages=engages)
        if ruling.accepted and engages:
            self._engaged_by.setdefault(place, person(command.by.name))
        elif ruling.accepted:
            self._engaged_by.pop(place, None)
        return Ruling(
            ruling.accepted,
            ruling.epoch,
            ruling.text or f"{command.verb.value} of {command.scope.value} {command.name}".strip(),
            ruling.id,
        )

    def _switch(self, command: Command, *, engages: bool) -> KillRuling:
        at = self._view.as_of
        switch = KillSwitch(
            _ident(command),
            NO_ID,
            at,
            at,
            command.scope,
            command.name,
            engaged=engages,
            instruments=command.instruments,
            action=command.action,
            reason=command.reason,
            by=str(command.by),
            reset_token=command.token,
        )
        for fact in self._step(switch):
            if isinstance(fact, KillRuling) and fact.cause == switch.id:
                return fact
        raise InvariantError(f"no ruling on the kill switch {switch.id.hex()}")

    def _pause(self, command: Command) -> Ruling:
        ident, epoch = _ident(command), self._view.kill_epoch
        if command.scope is not KillScope.ARENA:
            text = "a line in one process is paused as a whole: use the scope Arena"
            return Ruling(False, epoch, text, ident)
        if command.verb is Verb.PAUSE:
            self._running.clear()
            return Ruling(True, epoch, "no new decision begins", ident)
        self._running.set()
        return Ruling(True, epoch, "decisions go on", ident)


def _ident(command: Command) -> Id:
    return derive(NO_ID, b"command:" + command.token.encode(), 0)
