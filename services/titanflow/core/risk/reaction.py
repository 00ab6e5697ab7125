"""What follows when a limit breaks or a switch is pressed? State changes, cancels, closing orders.

Everything is said in the same turn as its cause. Closing orders are intents like others, with
origin Risk: the gate itself answers them, and lets pass only what strictly reduces a position.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from titanflow.core.base.ident import NO_ID
from titanflow.core.facts import (
    RISK_PREFIX,
    Bar,
    CancelOrders,
    Fact,
    Intent,
    KillRuling,
    KillSwitch,
    Lapse,
    StateChange,
)
from titanflow.core.risk.rules import BY_NUMBER
from titanflow.core.risk.setting import LAPSED, STATES, Setting
from titanflow.core.spec.words import (
    BreachAction,
    IntentAction,
    KillAction,
    KillScope,
    OrderType,
    Origin,
    Side,
    TimeInForce,
    TradingState,
)

Change = tuple[int, int, int, int, int, int]
"""contender, former state, state, rule, limit, actual: as the compiled gate tells it."""


class ReactionState(msgspec.Struct, array_like=True):
    """What is remembered, for snapshots."""

    refusals: list[list[int]]
    flatten: list[tuple[int, int]]


class Reaction:
    """Reacts to changes of state, refusals and kill switches."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._refusals = [
            deque[int](maxlen=law.halt_after if law.halt_after > 0 else 1) for law in setting.laws
        ]
        self._flatten: set[tuple[int, int]] = set()
        """Contender and instrument of positions that are being closed; only asked or sorted."""
        self._turn = NO_ID
        self._closed: set[tuple[int, int]] = set()
        """What this turn closes already; only asked."""

    def on_changes(self, cause: Fact, changes: Sequence[Change]) -> list[Fact]:
        """Say what changed and do what the policies demand of a halt."""
        said: list[Fact] = []
        for c, former, state, number, limit, actual in changes:
            text = BY_NUMBER[number].text if number else "NEW_DAY"
            said.append(
                self._change(cause, c, (STATES[former], STATES[state], text, limit, actual))
            )
            if STATES[state] is TradingState.HALTED:
                said += self._breach(cause, c, text)
            elif STATES[former] is TradingState.HALTED:
                # A halt of the day is over: what it wanted closed is the contender's own again.
                self._flatten = {pair for pair in self._flatten if self._must_close(*pair)}
        return said

    def on_refusal(self, intent: Intent) -> list[Fact]:
        """Count a refusal; too many within the window stop a runaway."""
        setting = self._setting
        c = setting.names.get(intent.contender, -1)
        if c < 0 or intent.origin is Origin.RISK:
            return []
        law, former = setting.laws[c], setting.state(c)
        if law.halt_after < 1 or law.refused:
            return []
        times = self._refusals[c]
        times.append(intent.at)
        if len(times) < law.halt_after or intent.at - times[0] > law.refusal_window_ns:
            return []
        if setting.gate.halt_runaway(c):
            return []
        count = law.halt_after
        change = (former, TradingState.HALTED, "RUNAWAY", count, count)
        said: list[Fact] = [] if former is change[1] else [self._change(intent, c, change)]
        return said + self._stop(intent, (c,), (), KillAction.CANCEL_ALL, "RUNAWAY")

    def flattens(self) -> bool:
        """Say whether any position is being closed."""
        return bool(self._flatten)

    def keep_flattening(self, bar: Bar) -> list[Fact]:
        """Send another closing order where a bar's cap left a part of a position open."""
        i = self._setting.symbols[bar.symbol]
        said: list[Fact] = []
        for c in sorted(c for c, each in self._flatten if each == i):
            if not self._setting.gate.position(c, i):
                self._flatten.discard((c, i))
            elif not self._setting.holds.is_closing(c, i):
                said += self._close(bar, c, i)
        return said

    def on_switch(self, request: KillSwitch) -> list[Fact]:
        """Rule on a kill switch request and carry it out."""
        setting = self._setting
        refusal = setting.switches.unknown(request) or setting.board.rule(request)
        said: list[Fact] = [
            KillRuling(
                setting.ident(request),
                request.id,
                request.at,
                request.seen,
                request.scope,
                request.name,
                accepted=not refusal,
                engaged=request.engaged,
                text=refusal or request.reason,
                epoch=setting.board.epoch,
                shard=setting.shard,
            )
        ]
        if refusal:
            return said
        setting.apply_switches()
        reach = setting.switches.contenders(request.scope, request.name)
        if request.engaged:
            symbols = request.instruments
            if request.scope is KillScope.INSTRUMENT:
                symbols = (request.name,)
            text = f"KILL:{request.scope.value}:{setting.board.epoch}"
            return said + self._stop(request, reach, symbols, request.action, text)
        if request.scope is KillScope.CONTENDER:
            said += self._lift(request, reach[0])
        self._flatten = {pair for pair in self._flatten if self._must_close(*pair)}
        return said

    def on_lapse(self, lapse: Lapse) -> list[Fact]:
        """Let nothing new pass without a fresh lease, and cancel what rests."""
        self._setting.lapsed = lapse.stale
        if not lapse.stale:
            return []
        everyone = range(len(self._setting.ground.entrants))
        return self._stop(lapse, everyone, (), KillAction.CANCEL_ALL, LAPSED)

    def _lift(self, request: KillSwitch, c: int) -> list[Fact]:
        """Lift the latched halts of a contender with the release of its own switch."""
        former = self._setting.state(c)
        self._setting.gate.lift(c)
        self._refusals[c].clear()
        state = self._setting.state(c)
        return (
            [] if state is former else [self._change(request, c, (former, state, "RELEASED", 0, 0))]
        )

    def _must_close(self, c: int, i: int) -> bool:
        """Say whether a switch or a halt still wants this position closed."""
        switch = self._setting.switches.over(c, i)
        if switch is not None and switch[2] is KillAction.FLATTEN:
            return True
        flattens = self._setting.laws[c].on_breach is BreachAction.FLATTEN
        return flattens and self._setting.state(c) is TradingState.HALTED

    def _breach(self, cause: Fact, c: int, text: str) -> list[Fact]:
        """Do what the policies demand when a limit of a whole portfolio is broken."""
        match self._setting.laws[c].on_breach:
            case BreachAction.REDUCE:
                return []
            case BreachAction.CANCEL_ALL:
                return self._stop(cause, (c,), (), KillAction.CANCEL_ALL, text)
            case BreachAction.FLATTEN:
                return self._stop(cause, (c,), (), KillAction.FLATTEN, text)
            case BreachAction.KILL:
                name = self._setting.ground.entrants[c].name
                self._setting.board.engage_for_breach(name, text)
                self._setting.apply_switches()
                ruling = KillRuling(
                    self._setting.ident(cause),
                    cause.id,
                    cause.at,
                    cause.seen,
                    KillScope.CONTENDER,
                    name,
                    accepted=True,
                    engaged=True,
                    text=f"BREACH:{text}",
                    epoch=self._setting.board.epoch,
                    shard=self._setting.shard,
                )
                return [ruling, *self._stop(cause, (c,), (), KillAction.CANCEL_ALL, text)]

    def _stop(
        self,
        cause: Fact,
        reach: Sequence[int],
        symbols: Sequence[str],
        action: KillAction,
        text: str,
    ) -> list[Fact]:
        """Cancel, and close where asked, what contenders have in some symbols (none means all)."""
        if action is KillAction.REJECT_NEW:
            return []
        ground = self._setting.ground
        everyone = len(reach) == len(ground.entrants)
        names = [""] if everyone else [ground.entrants[c].name for c in reach]
        said: list[Fact] = [
            CancelOrders(
                self._setting.ident(cause), cause.id, cause.at, cause.seen, name, symbol, text
            )
            for name in names
            for symbol in (symbols or ("",))
        ]
        if action is KillAction.FLATTEN:
            chosen = sorted(self._setting.symbols[symbol] for symbol in symbols)
            for c in reach:
                for i in chosen or range(len(ground.instruments)):
                    if self._setting.gate.position(c, i):
                        self._flatten.add((c, i))
                        said += self._close(cause, c, i)
        return said

    def _change(
        self, cause: Fact, c: int, what: tuple[TradingState, TradingState, str, int, int]
    ) -> StateChange:
        name = self._setting.ground.entrants[c].name
        return StateChange(self._setting.ident(cause), cause.id, cause.at, cause.seen, name, *what)

    def _close(self, cause: Fact, c: int, i: int) -> list[Intent]:
        """Return the order that closes a position, unless this turn has it already."""
        if cause.id != self._turn:
            self._turn, self._closed = cause.id, set()
        if (c, i) in self._closed:
            return []
        self._closed.add((c, i))
        position = self._setting.gate.position(c, i)
        ident = self._setting.ident(cause)
        closing = Intent(
            ident,
            cause.id,
            cause.at,
            cause.seen,
            self._setting.ground.entrants[c].name,
            self._setting.ground.instruments[i].symbol,
            IntentAction.NEW,
            Side.SELL if position > 0 else Side.BUY,
            abs(position),
            OrderType.MARKET,
            0,
            TimeInForce.DAY,
            post_only=False,
            client_order_id=f"{RISK_PREFIX}{ident.hex()[:16]}",
            target="",
            origin=Origin.RISK,
            decided_at=cause.at,
        )
        return [closing]

    def dump(self) -> ReactionState:
        """Return what is remembered."""
        return ReactionState([list(times) for times in self._refusals], sorted(self._flatten))

    def load(self, state: ReactionState) -> None:
        """Take over what `dump` returned."""
        for times, kept in zip(self._refusals, state.refusals, strict=True):
            times.clear()
            times.extend(kept)
        self._flatten = set(state.flatten)
