"""Stage 4, gate: does an intent pass, and what state is trading in?

It hears every intent and answers with one verdict; it keeps its own projection of cash, positions,
open orders and marks, and asks nobody. It fails closed: unknown contender, unknown instrument, no
policy, no fresh reference price all mean no. When prices break a limit it changes the trading
state in the same turn, and cancels or flattens as the policies demand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from titanflow.core.base.errors import InvariantError
from titanflow.core.base.ident import NO_ID, Id, derive, digest
from titanflow.core.base.instant import session_day
from titanflow.core.base.recent import Recent
from titanflow.core.facts import (
    Bar,
    CancelOrders,
    Entry,
    Fact,
    Fill,
    Intent,
    KillRuling,
    KillSwitch,
    Order,
    OrderUpdate,
    Split,
    StateChange,
    Verdict,
)
from titanflow.core.risk.exposure import Hold, Holds
from titanflow.core.risk.kill import SEVERITY, KillBoard
from titanflow.core.risk.policy import (
    TIFS,
    TYPES,
    check_policies,
    houses_of,
    law_of,
    selects,
)
from titanflow.core.risk.rules import BY_NUMBER
from titanflow.core.spec.ground import Ground
from titanflow.core.spec.policy import PolicySpec
from titanflow.core.spec.words import (
    Account,
    BreachAction,
    IntentAction,
    KillAction,
    KillScope,
    OrderType,
    OrdStatus,
    Origin,
    Outcome,
    RejectReason,
    Side,
    Tier,
    TimeInForce,
    TradingState,
)
from titanflow.native.gate import Gate as NativeGate

if TYPE_CHECKING:
    from titanflow.native.gate import Change

CLIENT_IDS_REMEMBERED = 4096
"""Client order ids remembered for each contender; a reused older one is not noticed."""
SENT_REMEMBERED = 4096
"""Orders remembered for duplicateWindowSeconds over all contenders, after expired ones went."""
STATES = (TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED)
_TYPE_BIT = {word: number for number, word in enumerate(TYPES)}
_TIF_BIT = {word: number for number, word in enumerate(TIFS)}
_KILL_SCOPE = 2
_CHARACTERISTIC = 11
_PRICE = 13
_TICKS_MAX = 2**46
"""The book's own bound; a higher price would stop the session there."""
_REPLACED = "5"
"""ExecType(150) of a change that holds whatever else is asked for meanwhile."""
_WITHOUT_FILL = frozenset({Account.BORROW, Account.DIVIDENDS})
"""Accounts whose entries move cash even where a fill brought them: the first fill of a day makes
the books charge for the days before."""
_PENDING = (OrdStatus.PENDING_CANCEL, OrdStatus.PENDING_REPLACE)


class Gate:
    """The stage; `policies` maps the name of each RiskPolicy to its spec."""

    name = "gate"
    consumes: frozenset[type[Fact]] = frozenset(
        {Intent, Fill, Order, OrderUpdate, Bar, Split, Entry, KillSwitch}
    )

    def __init__(self, ground: Ground, policies: Mapping[str, PolicySpec]) -> None:
        check_policies(ground, policies)
        self._ground = ground
        self._symbols = ground.symbol_index()
        self._names = ground.entrant_index()
        self._laws = tuple(law_of(ground, entrant, policies) for entrant in ground.entrants)
        self._houses = houses_of(ground, policies)
        self._policies = {
            name: frozenset(
                e.index for e in ground.entrants if selects(p.selector, ground.arena, e)
            )
            for name, p in policies.items()
        }
        self._gate = self._native()
        self._holds = Holds(self._gate)
        self._board = KillBoard(0, {})
        self._clients = [Recent(CLIENT_IDS_REMEMBERED) for _ in ground.entrants]
        self._refusals = [
            deque[int](maxlen=law.halt_after if law.halt_after > 0 else 1) for law in self._laws
        ]
        self._sent: dict[tuple[int, int, int, int, int], int] = {}
        self._flatten: set[tuple[int, int]] = set()
        self._last_fill = NO_ID
        self._ordinal = 0

    def _native(self) -> NativeGate:
        ground = self._ground
        gate = NativeGate(len(ground.entrants), len(ground.instruments), len(self._houses))
        for instrument in ground.instruments:
            fees = instrument.fees
            dearest = max(fees.maker_ppm, fees.taker_ppm, 0)
            gate.set_instrument(
                instrument.index,
                (
                    instrument.tick_value,
                    instrument.min_lots,
                    instrument.max_lots,
                    instrument.min_notional,
                    dearest,
                    fees.per_lot,
                    fees.min_per_order,
                ),
            )
        for entrant, law in zip(ground.entrants, self._laws, strict=True):
            gate.set_contender(entrant.index, law.limits, entrant.capital, not law.refused)
            for index, cell in enumerate(law.cells):
                gate.set_limits(entrant.index, index, cell)
        for number, house in enumerate(self._houses):
            gate.set_group(number, house.limits, house.members)
        return gate

    # What others may read: invariants, standings, `why`.

    @property
    def kill_epoch(self) -> int:
        """Give how many kill switch rulings were accepted."""
        return self._board.epoch

    def cash(self, contender: int) -> int:
        """Return the cash that risk believes in, in minor units."""
        return self._gate.cash(contender)

    def position(self, contender: int, instrument: int) -> int:
        """Return the lots that risk believes in."""
        return self._gate.position(contender, instrument)

    def reserved(self, contender: int) -> int:
        """Return the money held for open buy orders, in minor units."""
        return self._gate.reserved(contender)

    def open_lots(self, contender: int, instrument: int) -> tuple[int, int]:
        """Return the lots of open buy orders and of open sell orders."""
        buy, sell = self._gate.open_lots(contender, instrument)
        extra = self._holds.extra_lots
        return buy - extra(contender, instrument, 1), sell - extra(contender, instrument, -1)

    def state(self, contender: int) -> TradingState:
        """Return the trading state."""
        return STATES[self._gate.trading_state(contender)]

    def effective_tier(self, contender: int) -> Tier:
        """Return the declared tier, or Shadow where no policy selects the contender."""
        tier = self._ground.entrants[contender].tier
        return Tier.SHADOW if self._laws[contender].refused == "TIER_SHADOW" else tier

    def policies_of(self, contender: int) -> tuple[str, ...]:
        """Return the names of the policies that select the contender."""
        return self._laws[contender].policies

    def validate(self) -> None:
        """Recompute every sum of the compiled gate.

        Raises: AssertionError naming what is wrong.
        """
        self._gate.validate()

    # The stage.

    def handle(self, fact: Fact) -> Sequence[Fact]:
        """Take one fact; see `consumes`."""
        self._ordinal = 0
        match fact:
            case Bar():
                return self._mark(fact)
            case Intent():
                return self._answer(fact)
            case Fill():
                return self._fill(fact)
            case Order():
                self._holds.born(fact.cause, fact.id)
            case OrderUpdate():
                done = fact.status not in _PENDING or fact.exec_type == _REPLACED
                if fact.order != NO_ID and done:
                    self._holds.follow(
                        fact.order, fact.leaves_lots, fact.cum_lots, fact.limit_ticks
                    )
            case Entry():
                self._entry(fact)
            case Split():
                self._gate.split(self._symbols[fact.symbol], fact.numerator, fact.denominator)
            case KillSwitch():
                return self._kill(fact)
            case _:
                pass
        return ()

    def _id(self, cause: Fact) -> Id:
        self._ordinal += 1
        return derive(cause.id, b"gate", self._ordinal - 1)

    def _fill(self, fill: Fill) -> Sequence[Fact]:
        c, i = self._names[fill.contender], self._symbols[fill.symbol]
        # The first fills of a day come before its first mark, and they are part of the day.
        changes = self._gate.begin_day(session_day(fill.seen))
        self._last_fill = fill.id
        self._holds.filled(fill.order, fill.leaves_lots, fill.cum_lots)
        self._gate.fill(c, i, fill.side, fill.quantity_lots, fill.price_ticks, fill.fee)
        return self._changed(fill, changes)

    def _entry(self, entry: Entry) -> None:
        """Follow cash that moves without a fill: dividends, borrow fees, cash in lieu."""
        accounts = (entry.debit, entry.credit)
        if entry.cause == self._last_fill and _WITHOUT_FILL.isdisjoint(accounts):
            return
        if Account.CAPITAL in accounts:
            return
        if Account.CASH in accounts:
            amount = entry.amount if entry.debit is Account.CASH else -entry.amount
            self._gate.pay(self._names[entry.contender], amount)

    # Verdicts.

    def _answer(self, intent: Intent) -> Sequence[Fact]:
        c = self._names.get(intent.contender, -1)
        i = self._symbols.get(intent.symbol, -1)
        self._gate.check_nothing()
        if c < 0:
            verdict = self._verdict(intent, 3, "UNKNOWN_CONTENDER", ())
            return (verdict,)
        if i < 0:
            # No order of a contender outside tier Paper passes, whatever it names.
            number, text = (3, "") if self._laws[c].refused else (4, "UNKNOWN_SYMBOL")
            verdict = self._verdict(intent, number, text, self._laws[c].policies)
            return (verdict, *self._refused(intent, c))
        hold: Hold | None = None
        if intent.origin is Origin.RISK:
            number = self._gate.check_risk(c, i, intent.side, intent.quantity_lots)
            text = ""
        elif intent.action is IntentAction.CANCEL:
            number, text = self._gate.check_cancel(c, intent.at), ""
        else:
            number, text, hold = self._check(intent, c, i)
        verdict = self._verdict(intent, number, text, self._laws[c].policies)
        if number:
            return (verdict, *self._refused(intent, c))
        if intent.action is IntentAction.CANCEL:
            return (verdict,)
        price = intent.limit_ticks or self._gate.hold_price(
            c * len(self._ground.instruments) + i, i
        )
        if intent.action is IntentAction.NEW:
            market = intent.order_type is OrderType.MARKET
            lots, name = intent.quantity_lots, intent.client_order_id
            self._holds.open(verdict.id, Hold(c, i, intent.side, price, lots, 0, 0, name, market))
        elif hold is not None:
            self._holds.widen(hold, intent.quantity_lots - hold.cum, price)
        return (verdict,)

    def _check(self, intent: Intent, c: int, i: int) -> tuple[int, str, Hold | None]:
        """Return the rule that refuses a new order or a replacement, its text, and the target."""
        text = self._kill_text(c, i)
        if text and not self._whole_kill(c, i):
            return _KILL_SCOPE, text, None
        is_new = intent.action is IntentAction.NEW
        duplicate = is_new and self._is_duplicate(intent, c, i)
        target = None if is_new else self._holds.by_client.get((c, intent.target))
        hold = self._holds.by_id[target] if target is not None else None
        lots = intent.quantity_lots - (hold.cum if hold is not None else 0)
        if hold is not None:
            self._holds.without(hold)
        number = self._gate.check(
            c,
            i,
            intent.side,
            _TYPE_BIT[intent.order_type],
            _TIF_BIT[intent.time_in_force],
            lots,
            intent.limit_ticks,
            intent.at,
            intent.decided_at,
            duplicate,
        )
        if hold is not None:
            self._holds.again(hold)
            market = intent.order_type is OrderType.MARKET
            asked = (i, intent.side, market)
            if number == 0 and (hold.instrument, hold.side, hold.market) != asked:
                # The checks were asked about another order than the one that would change.
                return _CHARACTERISTIC, "REPLACE_MISMATCH", None
        if number == 0 and intent.side is Side.HOLD:
            return _CHARACTERISTIC, "NO_SIDE", None
        if number == 0 and intent.limit_ticks > _TICKS_MAX:
            return _PRICE, "PRICE", None
        if number == 0 and is_new:
            self._remember(intent, c, i)
        return number, text if number <= _KILL_SCOPE else "", hold

    def _verdict(
        self, intent: Intent, number: int, text: str, policies: tuple[str, ...]
    ) -> Verdict:
        rule = BY_NUMBER.get(number)
        c = self._names.get(intent.contender, -1)
        if number == 3 and not text:
            text = self._laws[c].refused
        instrument = self._symbols.get(intent.symbol, -1)
        return Verdict(
            self._id(intent),
            intent.id,
            intent.at,
            intent.seen,
            intent.contender,
            intent.symbol,
            Outcome.DENY if rule else Outcome.ALLOW,
            self._reason(rule.reason, text) if rule else -1,
            (text or rule.text) if rule else "",
            rule.name if rule else "",
            self._gate.limit if rule else 0,
            self._gate.actual if rule else 0,
            intent.action,
            intent.side,
            intent.quantity_lots,
            intent.order_type,
            intent.limit_ticks,
            intent.time_in_force,
            intent.post_only,
            intent.client_order_id,
            intent.target,
            intent.origin,
            self._gate.reference(instrument) if instrument >= 0 else 0,
            self._board.epoch,
            policies,
            intent.cause,
        )

    def _reason(self, reason: RejectReason, text: str) -> int:
        return int(RejectReason.EXCHANGE_CLOSED if text.startswith("KILL:Arena") else reason)

    def _is_duplicate(self, intent: Intent, c: int, i: int) -> bool:
        if Id(intent.client_order_id.encode()) in self._clients[c]:
            return True
        window = self._laws[c].duplicate_window_ns
        key = (c, i, int(intent.side), intent.quantity_lots, intent.limit_ticks)
        sent = self._sent.get(key)
        return bool(window) and sent is not None and intent.at - sent <= window

    def _remember(self, intent: Intent, c: int, i: int) -> None:
        self._clients[c].add(Id(intent.client_order_id.encode()))
        window = self._laws[c].duplicate_window_ns
        if not window:
            return
        if len(self._sent) >= SENT_REMEMBERED:
            fresh = {
                key: at
                for key, at in self._sent.items()
                if intent.at - at <= self._laws[key[0]].duplicate_window_ns
            }
            self._sent = dict(list(fresh.items())[-SENT_REMEMBERED // 2 :])
        self._sent[c, i, int(intent.side), intent.quantity_lots, intent.limit_ticks] = intent.at

    def _refused(self, intent: Intent, c: int) -> Sequence[Fact]:
        """Count a refusal; too many in a row stop a runaway."""
        law = self._laws[c]
        if law.halt_after < 1 or law.refused or intent.origin is Origin.RISK:
            return ()
        times = self._refusals[c]
        times.append(intent.at)
        if len(times) < law.halt_after or intent.at - times[0] > law.refusal_window_ns:
            return ()
        former = self.state(c)
        if former is TradingState.HALTED:
            return ()
        self._gate.halt_runaway(c, halted=True)
        change = self._change(intent, c, (former, self.state(c)), "RUNAWAY", law.halt_after)
        return (change, *self._stop(intent, c, -1, KillAction.CANCEL_ALL, "RUNAWAY"))

    # Marks and trading states.

    def _mark(self, bar: Bar) -> Sequence[Fact]:
        i = self._symbols[bar.symbol]
        changes = self._gate.mark(i, bar.close_ticks, bar.at, session_day(bar.at))
        if not changes and not self._flatten:
            return ()
        flattening = sorted(c for c, each in self._flatten if each == i)
        said = self._changed(bar, changes)
        # What a breach closes in this very turn is not closed twice.
        begun = {fact.contender for fact in said if isinstance(fact, Intent)}
        said += self._keep_flattening(
            bar, i, [c for c in flattening if self._ground.entrants[c].name not in begun]
        )
        return said

    def _changed(self, cause: Fact, changes: Sequence[Change]) -> list[Fact]:
        """Tell each change of a trading state, and what the policies demand then."""
        said: list[Fact] = []
        for c, former, state, number, limit, actual in changes:
            text = BY_NUMBER[number].text if number else "NEW_DAY"
            states = (STATES[former], STATES[state])
            said.append(self._change(cause, c, states, text, limit, actual))
            if STATES[state] is TradingState.HALTED:
                said += self._breach(cause, c, text)
        return said

    def _change(
        self,
        cause: Fact,
        c: int,
        states: tuple[TradingState, TradingState],
        text: str,
        limit: int,
        actual: int = -1,
    ) -> StateChange:
        actual = limit if actual == -1 else actual
        name = self._ground.entrants[c].name
        return StateChange(
            self._id(cause), cause.id, cause.at, cause.seen, name, *states, text, limit, actual
        )

    def _breach(self, cause: Fact, c: int, text: str) -> list[Fact]:
        """Do what the policies demand when a limit of a whole portfolio is broken."""
        match self._laws[c].on_breach:
            case BreachAction.REDUCE:
                return []
            case BreachAction.CANCEL_ALL:
                return self._stop(cause, c, -1, KillAction.CANCEL_ALL, text)
            case BreachAction.FLATTEN:
                return self._stop(cause, c, -1, KillAction.FLATTEN, text)
            case BreachAction.KILL:
                name = self._ground.entrants[c].name
                self._board.engage_for_breach(name, text)
                self._apply_board()
                ruling = KillRuling(
                    self._id(cause),
                    cause.id,
                    cause.at,
                    cause.seen,
                    KillScope.CONTENDER,
                    name,
                    accepted=True,
                    engaged=True,
                    text=f"BREACH:{text}",
                    epoch=self._board.epoch,
                )
                return [ruling, *self._stop(cause, c, -1, KillAction.CANCEL_ALL, text)]

    def _stop(self, cause: Fact, c: int, i: int, action: KillAction, text: str) -> list[Fact]:
        """Cancel, and close where asked, what one contender has (in one instrument, or all)."""
        if action is KillAction.REJECT_NEW:
            return []
        name = self._ground.entrants[c].name
        symbol = self._ground.instruments[i].symbol if i >= 0 else ""
        said: list[Fact] = [
            CancelOrders(self._id(cause), cause.id, cause.at, cause.seen, name, symbol, text)
        ]
        if action is KillAction.FLATTEN:
            chosen = range(len(self._ground.instruments)) if i < 0 else (i,)
            for each in chosen:
                if self._gate.position(c, each):
                    self._flatten.add((c, each))
                    said.append(self._closing(cause, c, each))
        return said

    def _keep_flattening(self, bar: Bar, i: int, contenders: Sequence[int]) -> list[Fact]:
        """Send another closing order where the bar's cap left a part of a position open."""
        said: list[Fact] = []
        for c in contenders:
            if not self._gate.position(c, i):
                self._flatten.discard((c, i))
            elif self._gate.open_lots(c, i) == (0, 0):
                said.append(self._closing(bar, c, i))
        return said

    def _closing(self, cause: Fact, c: int, i: int) -> Intent:
        position = self._gate.position(c, i)
        ident = self._id(cause)
        return Intent(
            ident,
            cause.id,
            cause.at,
            cause.seen,
            self._ground.entrants[c].name,
            self._ground.instruments[i].symbol,
            IntentAction.NEW,
            Side.SELL if position > 0 else Side.BUY,
            abs(position),
            OrderType.MARKET,
            0,
            TimeInForce.DAY,
            post_only=False,
            client_order_id=f"risk-{ident.hex()[:16]}",
            target="",
            origin=Origin.RISK,
            decided_at=cause.at,
        )

    # Kill switches.

    def _kill(self, request: KillSwitch) -> Sequence[Fact]:
        refusal = self._known(request) or self._board.rule(request)
        ruling = KillRuling(
            self._id(request),
            request.id,
            request.at,
            request.seen,
            request.scope,
            request.name,
            accepted=not refusal,
            engaged=request.engaged,
            text=refusal or request.reason,
            epoch=self._board.epoch,
        )
        if refusal:
            return (ruling,)
        self._apply_board()
        said: list[Fact] = [ruling]
        for c in self._reach(request.scope, request.name):
            if request.engaged:
                text = f"KILL:{request.scope.value}:{self._board.epoch}"
                for i in self._instruments(request):
                    said += self._stop(request, c, i, request.action, text)
            elif request.scope is KillScope.INSTRUMENT:
                self._flatten.discard((c, self._symbols[request.name]))
            else:
                said += self._lift(request, c)
        return said

    def _lift(self, request: KillSwitch, c: int) -> list[Fact]:
        """A release also lifts the latched halts of the contenders that it is about."""
        former = self.state(c)
        self._gate.lift(c)
        self._refusals[c].clear()
        self._flatten = {pair for pair in self._flatten if pair[0] != c}
        if self.state(c) is former:
            return []
        return [self._change(request, c, (former, self.state(c)), "RELEASED", 0)]

    def _known(self, request: KillSwitch) -> str:
        known = {
            KillScope.ARENA: request.name in ("", self._ground.arena),
            KillScope.CONTENDER: request.name in self._names,
            KillScope.INSTRUMENT: request.name in self._symbols,
            KillScope.POLICY: request.name in self._policies,
        }[request.scope]
        if request.scope is KillScope.INSTRUMENT and request.instruments:
            return "the switch of an instrument takes no list of instruments"
        unknown = [s for s in request.instruments if s not in self._symbols]
        if not known:
            return f"no {request.scope.value.lower()} is called {request.name!r}"
        return f"no instrument is called {unknown[0]!r}" if unknown else ""

    def _reach(self, scope: KillScope, name: str) -> Sequence[int]:
        if scope is KillScope.CONTENDER:
            return (self._names[name],)
        if scope is KillScope.POLICY:
            return sorted(self._policies[name])
        return range(len(self._ground.entrants))

    def _instruments(self, request: KillSwitch) -> Sequence[int]:
        if request.scope is KillScope.INSTRUMENT:
            return (self._symbols[request.name],)
        return sorted(self._symbols[s] for s in request.instruments) or (-1,)

    def _apply_board(self) -> None:
        """Tell the compiled gate which whole switches are engaged."""
        arena = False
        contenders = [0] * len(self._ground.entrants)
        instruments = [0] * len(self._ground.instruments)
        for (scope, name), switch in self._board.engaged():
            if switch.instruments:
                continue  # narrow switches are asked by `_kill_text`
            if scope is KillScope.ARENA:
                arena = True
            elif scope is KillScope.INSTRUMENT:
                instruments[self._symbols[name]] = 1
            else:
                for c in self._reach(scope, name):
                    contenders[c] = 1
        self._gate.set_killed(arena, contenders, instruments)

    def _whole_kill(self, c: int, i: int) -> bool:
        """Say whether the compiled gate itself will refuse."""
        return self._gate.is_killed(c, i)

    def _kill_text(self, c: int, i: int) -> str:
        """Return the severest switch that stops this contender in this instrument, or nothing."""
        if not self._board.epoch:
            return ""
        found = ""
        severity = -1
        symbol = self._ground.instruments[i].symbol
        for (scope, name), switch in self._board.engaged():
            if switch.instruments and symbol not in switch.instruments:
                continue
            if scope is KillScope.INSTRUMENT and name != symbol:
                continue
            if c in self._reach(scope, name) and SEVERITY.index(switch.action) > severity:
                severity = SEVERITY.index(switch.action)
                found = f"KILL:{scope.value}:{switch.epoch}"
        return found

    # Snapshots.

    def digest(self) -> bytes:
        """Return a hash of the whole state."""
        return digest(self.dump())

    def dump(self) -> bytes:
        """Return the whole state."""
        state = _State(
            self._gate.dump(),
            sorted(self._holds.by_id.items()),
            self._board,
            [recent.oldest_first() for recent in self._clients],
            [list(times) for times in self._refusals],
            sorted(self._sent.items(), key=lambda item: (item[1], item[0])),
            sorted(self._flatten),
            self._last_fill,
        )
        return msgspec.msgpack.encode(state)

    def load(self, snapshot: bytes) -> None:
        """Take over the state that `dump` returned.

        Raises: InvariantError if it is of another arena.
        """
        state = msgspec.msgpack.decode(snapshot, type=_State)
        try:
            self._gate.load(state.gate)
        except ValueError as error:
            raise InvariantError(str(error)) from error
        self._holds.restore(state.holds)
        self._board = state.board
        self._clients = [Recent(CLIENT_IDS_REMEMBERED, kept) for kept in state.clients]
        for times, kept in zip(self._refusals, state.refusals, strict=True):
            times.clear()
            times.extend(kept)
        self._sent = dict(state.sent)
        self._flatten = set(state.flatten)
        self._last_fill = state.last_fill


class _State(msgspec.Struct, array_like=True):
    """The snapshot of the stage."""

    gate: bytes
    holds: list[tuple[Id, Hold]]
    board: KillBoard
    clients: list[list[Id]]
    refusals: list[list[int]]
    sent: list[tuple[tuple[int, int, int, int, int], int]]
    flatten: list[tuple[int, int]]
    last_fill: Id
