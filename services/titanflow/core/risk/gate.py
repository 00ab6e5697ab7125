"""Stage 4, gate: does an intent pass, and what state is trading in?

It hears every intent and answers with one verdict; it keeps its own projection of cash, positions,
open orders and marks, and asks nobody. It fails closed: unknown contender, unknown instrument, no
policy, no fresh reference price all mean no. When prices break a limit it changes the trading
state in the same turn, and cancels or flattens as the policies demand. docs/risk.md has the checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from titanflow.core.base.errors import InvariantError
from titanflow.core.base.ident import Id, digest
from titanflow.core.base.instant import session_day
from titanflow.core.facts import (
    Bar,
    Entry,
    Fact,
    Fill,
    Intent,
    KillSwitch,
    Lapse,
    Order,
    OrderUpdate,
    Split,
    Verdict,
)
from titanflow.core.risk.exposure import Hold
from titanflow.core.risk.kill import KillBoard
from titanflow.core.risk.reaction import Change, Reaction, ReactionState
from titanflow.core.risk.setting import Setting
from titanflow.core.risk.verdict import (
    CLIENT_IDS_REMEMBERED,
    SENT_REMEMBERED,
    Asked,
    Judge,
    MemoryState,
)
from titanflow.core.spec.ground import Ground
from titanflow.core.spec.policy import PolicySpec
from titanflow.core.spec.words import Account, Occasion, Outcome, TradingState

__all__ = ["CLIENT_IDS_REMEMBERED", "SENT_REMEMBERED", "Gate"]

_WITHOUT_FILL = frozenset({Occasion.BORROW, Occasion.DIVIDEND, Occasion.SPLIT})
"""Occasions whose cash the gate has from nowhere else."""


class _State(msgspec.Struct, array_like=True):
    """The snapshot of the stage."""

    gate: bytes
    holds: list[tuple[Id, Hold]]
    board: KillBoard
    memory: MemoryState
    reaction: ReactionState
    lapsed: bool


class Gate:
    """The stage; *policies* maps the name of each RiskPolicy to its spec.

    Where risk is cut into shards, *shard* is this one's number: what it says is named by it.
    """

    name = "gate"
    consumes: frozenset[type[Fact]] = frozenset(
        {Intent, Fill, Order, OrderUpdate, Bar, Split, Entry, KillSwitch, Lapse}
    )

    def __init__(self, ground: Ground, policies: Mapping[str, PolicySpec], shard: int = 0) -> None:
        self._setting = Setting(ground, policies, shard)
        self._gate = self._setting.gate
        self._judge = Judge(self._setting)
        self._reaction = Reaction(self._setting)
        # Each handler is looked up by the very type that it takes, which the checker cannot see.
        self._handlers: dict[type[Fact], Callable[..., Sequence[Fact]]] = {
            Bar: self._bar,
            Intent: self._intent,
            Fill: self._fill,
            Order: self._order,
            OrderUpdate: self._update,
            Entry: self._entry,
            Split: self._split,
            KillSwitch: self._reaction.on_switch,
            Lapse: self._reaction.on_lapse,
        }

    # What others may read: invariants, standings, `why`.

    @property
    def kill_epoch(self) -> int:
        """Give how many kill switch rulings were accepted."""
        return self._setting.board.epoch

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
        return self._setting.holds.open_lots(contender, instrument)

    def state(self, contender: int) -> TradingState:
        """Return the trading state."""
        return self._setting.state(contender)

    def policies_of(self, contender: int) -> tuple[str, ...]:
        """Return the names of the policies that select the contender."""
        return self._setting.laws[contender].policies

    def listen(self, heard: Callable[[Verdict, Asked], None]) -> None:
        """Let *heard* hear each later verdict with every question that was asked for it.

        Listening changes nothing else.
        """
        self._judge.listener = heard

    def validate(self) -> None:
        """Recompute every sum of the compiled gate.

        Raises: AssertionError naming what is wrong.
        """
        self._gate.validate()

    # The stage.

    def handle(self, fact: Fact) -> Sequence[Fact]:
        """Take one fact; see `consumes`.

        Raises: InvariantError for an order that passed no check.
        """
        handler = self._handlers.get(type(fact))
        return () if handler is None else handler(fact)

    def _bar(self, bar: Bar) -> Sequence[Fact]:
        i = self._setting.symbols[bar.symbol]
        self._setting.now = max(self._setting.now, bar.at)
        changes = self._gate.mark(i, bar.close_ticks, bar.at, session_day(bar.at))
        if not changes and not self._reaction.flattens():
            return ()
        return self._reaction.on_changes(bar, changes) + self._reaction.keep_flattening(bar)

    def _intent(self, intent: Intent) -> Sequence[Fact]:
        verdict = self._judge.answer(intent)
        if verdict.outcome is Outcome.ALLOW:
            return (verdict,)
        return (verdict, *self._reaction.on_refusal(intent))

    def _fill(self, fill: Fill) -> Sequence[Fact]:
        c, i = self._setting.names[fill.contender], self._setting.symbols[fill.symbol]
        self._setting.holds.filled(fill)
        # The first fills of a day come before its first mark, and they are part of the day. `at`
        # may be its very start, which would count to the day before; `seen` is the bar's end.
        changes = self._gate.begin_day(session_day(fill.seen))
        self._gate.fill(c, i, fill.side, fill.quantity_lots, fill.price_ticks, fill.fee)
        return self._reaction.on_changes(fill, changes) if changes else ()

    def _order(self, order: Order) -> Sequence[Fact]:
        self._setting.holds.born(order)
        return ()

    def _update(self, update: OrderUpdate) -> Sequence[Fact]:
        self._setting.holds.follow(update)
        return ()

    def _entry(self, entry: Entry) -> Sequence[Fact]:
        """Follow cash that moves without a fill: dividends, borrow fees, cash in lieu."""
        if entry.occasion not in _WITHOUT_FILL or Account.CASH not in (entry.debit, entry.credit):
            return ()
        changes: Sequence[Change] = ()
        if entry.occasion is Occasion.DIVIDEND:
            # It is due at the very start of its day, which `session_day` counts to the one before.
            changes = self._gate.begin_day(session_day(entry.at + 1))
        amount = entry.amount if entry.debit is Account.CASH else -entry.amount
        self._gate.pay(self._setting.names[entry.contender], amount)
        return self._reaction.on_changes(entry, changes) if changes else ()

    def _split(self, split: Split) -> Sequence[Fact]:
        i = self._setting.symbols[split.symbol]
        self._gate.split(i, split.numerator, split.denominator)
        return ()

    # Snapshots.

    def digest(self) -> bytes:
        """Return a hash of the whole state."""
        return digest(b"gate", self.dump())

    def dump(self) -> bytes:
        """Return the whole state."""
        state = _State(
            self._gate.dump(),
            self._setting.holds.dump(),
            self._setting.board,
            self._judge.dump(),
            self._reaction.dump(),
            self._setting.lapsed,
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
        self._setting.now = self._gate.latest_mark()
        self._setting.holds.load(state.holds)
        self._setting.board = state.board
        self._setting.apply_switches()
        self._judge.load(state.memory)
        self._reaction.load(state.reaction)
        self._setting.lapsed = state.lapsed
