"""Which requests to stop trading wait for their ruling? The last hop's own ear for kill switches.

A kill switch reaches the desk by itself, and not only through risk: with risk down, what rests is
cancelled and nothing new passes in its scope, until a ruling says otherwise. From then on the epoch
of each verdict says whether risk knew of it. Ruling and request come on different ways, so either
may come first. A request that risk must refuse at sight (it names nobody, or gives no reason) stops
nothing; one that it refuses because the same switch reaches further already may cancel what it
names all the same: at the last hop, who says stop is believed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import msgspec

from titanflow.core.base.ident import Id
from titanflow.core.facts import KillRuling, KillSwitch
from titanflow.core.spec.ground import Ground
from titanflow.core.spec.words import KillScope

EARLY_REMEMBERED = 1024
"""Rulings remembered whose request was not heard yet; in one process there is none."""


class Stop(msgspec.Struct, frozen=True, array_like=True):
    """How far one request reaches: whose orders, in what; None is all."""

    contenders: tuple[int, ...] | None
    symbols: tuple[str, ...] | None
    rulings: int = 1
    """How many rulings it still waits for."""

    def covers(self, contender: int, symbol: str) -> bool:
        """Say whether an order is within reach."""
        return (self.contenders is None or contender in self.contenders) and (
            self.symbols is None or symbol in self.symbols
        )


class StopsState(msgspec.Struct, array_like=True):
    """What is remembered, for snapshots."""

    open: list[tuple[Id, Stop]]
    early: list[Id]


class Stops:
    """The requests without a ruling. *members* says whom each policy binds."""

    def __init__(
        self, ground: Ground, members: Mapping[str, Sequence[int]], gates: int = 1
    ) -> None:
        """Take the ground, whom each policy binds, and how many shards of risk there are.

        Each of them rules for its own contenders, so a request stops until all have ruled; about
        one contender only one does.
        """
        self._gates = gates
        self._names, self._symbols = ground.entrant_index(), ground.symbol_index()
        self._members = members
        self._open: dict[Id, Stop] = {}
        self._early = deque[Id](maxlen=EARLY_REMEMBERED)

    def hear(self, request: KillSwitch) -> Stop | None:
        """Take a request; return what it stops, or None if that is nothing, or ruled on before."""
        due = 1 if request.scope is KillScope.CONTENDER else self._gates
        while request.id in self._early:
            self._early.remove(request.id)
            due -= 1
        if due < 1:
            return None
        stop = self._reach(request)
        if stop is not None:
            stop = self._open[request.id] = msgspec.structs.replace(stop, rulings=due)
        return stop

    def rule(self, ruling: KillRuling) -> None:
        """Take a ruling: with the last one its request stops nothing by itself any more."""
        stop = self._open.get(ruling.cause)
        if stop is None:
            self._early.append(ruling.cause)
        elif stop.rulings > 1:
            self._open[ruling.cause] = msgspec.structs.replace(stop, rulings=stop.rulings - 1)
        else:
            del self._open[ruling.cause]

    def over(self, contender: int, symbol: str) -> bool:
        """Say whether an order would be stopped."""
        return bool(self._open) and any(
            stop.covers(contender, symbol) for stop in self._open.values()
        )

    def dump(self) -> StopsState:
        """Return what is remembered."""
        return StopsState(list(self._open.items()), list(self._early))

    def load(self, state: StopsState) -> None:
        """Take over what `dump` returned."""
        self._open = dict(state.open)
        self._early = deque(state.early, maxlen=EARLY_REMEMBERED)

    def _reach(self, request: KillSwitch) -> Stop | None:
        if not (request.engaged and request.by and request.reason):
            return None
        narrow = request.instruments or None
        if any(symbol not in self._symbols for symbol in request.instruments):
            return None
        match request.scope:
            case KillScope.ARENA:
                return Stop(None, narrow)
            case KillScope.CONTENDER if request.name in self._names:
                return Stop((self._names[request.name],), narrow)
            case KillScope.POLICY if request.name in self._members:
                return Stop(tuple(self._members[request.name]), narrow)
            case KillScope.INSTRUMENT if request.name in self._symbols and narrow is None:
                return Stop(None, (request.name,))
            case _:
                return None
