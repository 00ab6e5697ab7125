"""How is an arena paused? The gateway stops its clock, by command, and over restarts.

A pause stands in a file of the gateway's own folder: it is no part of the record, because it
changes nothing that anybody decides. The last command stands there with its token, so the same
command again is the same one.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from titanflow.adapters.rpc.ports import Command, Names, Ruling, Verb
from titanflow.adapters.rpc.refusal import absent
from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.spec.words import KillScope
from titanflow.runtime.gateway import Gateway
from titanflow.runtime.place import replace


class Pause(msgspec.Struct, frozen=True):
    """Who paused or resumed last, and why."""

    is_paused: bool
    by: str
    reason: str
    token: str


class Clock:
    """Takes pauses of one gateway; its state is in *file*."""

    def __init__(self, gateway: Gateway, names: Names, file: Path) -> None:
        self.names = names
        self._gateway, self._file = gateway, file
        if file.exists() and msgspec.json.decode(file.read_bytes(), type=Pause).is_paused:
            gateway.pause()

    async def submit(self, command: Command) -> Ruling:
        """Pause the market, or let it go on; see `ports.Governor`."""
        if command.verb not in {Verb.PAUSE, Verb.RESUME}:
            raise absent("the gateway stops nobody's trading: ask governance")
        ident = derive(NO_ID, b"command:" + command.token.encode(), 0)
        if command.scope is not KillScope.ARENA:
            text = "the market is paused as a whole: use the scope Arena"
            return Ruling(False, 0, text, ident)
        pauses = command.verb is Verb.PAUSE
        said = Pause(pauses, str(command.by), command.reason, command.token)
        replace(self._file, msgspec.json.encode(said))
        if pauses:
            self._gateway.pause()
            return Ruling(True, 0, "no new instant of the market begins", ident)
        self._gateway.resume()
        return Ruling(True, 0, "the market goes on", ident)
