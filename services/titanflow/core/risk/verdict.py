"""Does this intent pass? The checks of one intent, in order, and the verdict that says how it went.

The compiled gate asks everything that is a number. Here stand the checks that need names: kill
switches, known contenders and instruments, ids that were used before, and whose order a replace is
about. A replace is judged as if its order were not there and the new one were sent instead.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from titanflow.core.base.recent import RecentNames
from titanflow.core.facts import RISK_PREFIX, Intent, Verdict, verdict_on
from titanflow.core.risk.exposure import Hold
from titanflow.core.risk.policy import TIFS, TYPES
from titanflow.core.risk.rules import (
    ACCOUNT,
    BY_NUMBER,
    CHARACTERISTIC,
    INSTRUMENT,
    KILL_ARENA,
    KILL_SCOPE,
    RISK_ORDER,
)
from titanflow.core.risk.setting import LAPSED, Setting
from titanflow.core.spec.words import IntentAction, KillScope, OrderType, Origin, Outcome

CLIENT_IDS_REMEMBERED = 4096
"""Client order ids remembered for each contender, beside those of live orders; one that was used
before these and reused is not noticed."""
SENT_REMEMBERED = 4096
"""Orders remembered for duplicateWindowSeconds over all contenders, after expired ones went."""

_TYPE_BIT = {word: number for number, word in enumerate(TYPES)}
_TIF_BIT = {word: number for number, word in enumerate(TIFS)}
_NUMBERS = {rule.name: rule.number for rule in BY_NUMBER.values()}
_NO_SIDE = 0
"""What the compiled gate refuses as unsupported, in its place among the checks."""

Sent = tuple[int, int, int, int, int]
"""contender, instrument, side, lots, limit"""


class MemoryState(msgspec.Struct, array_like=True):
    """What is remembered of allowed orders, for snapshots."""

    clients: list[bytes]
    sent: list[tuple[Sent, int]]


Asked = list[tuple[int, int, int]]
"""rule, limit, actual of each question of one check, in the order asked; see docs/risk.md."""


def _is_stoppable(intent: Intent) -> bool:
    """Say whether kill switches are asked: who is stopped may cancel, and risk may close."""
    return intent.origin is not Origin.RISK and intent.action is not IntentAction.CANCEL


class Judge:
    """Answers intents; remembers ids and orders for the duplicate checks."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._clients = [RecentNames(CLIENT_IDS_REMEMBERED) for _ in setting.ground.entrants]
        self._sent: dict[Sent, int] = {}
        self.listener: Callable[[Verdict, Asked], None] | None = None

    def answer(self, intent: Intent) -> Verdict:
        """Check an intent, hold for it if it passes, return the verdict."""
        self._setting.gate.forget()
        verdict = self._answer(intent)
        if self.listener is not None:
            asked = self._setting.gate.asked()
            number = _NUMBERS.get(verdict.rule, 0)
            if number and number not in {each for each, _, _ in asked}:
                # A check that needs names spoke.
                asked.append((number, verdict.limit, verdict.actual))
            self.listener(verdict, asked)
        return verdict

    def _answer(self, intent: Intent) -> Verdict:
        setting = self._setting
        c = setting.names.get(intent.contender, -1)
        i = setting.symbols.get(intent.symbol, -1)
        switch = setting.switches.speaking(c, i) if _is_stoppable(intent) else None
        if switch is not None:
            if c >= 0:
                setting.gate.count(c, intent.at)
            rule = KILL_ARENA if switch[0] is KillScope.ARENA else KILL_SCOPE
            return self._deny(intent, rule, f"KILL:{switch[0].value}:{switch[1]}")
        if c < 0:
            return self._deny(intent, ACCOUNT, "UNKNOWN_CONTENDER")
        if i < 0:
            setting.gate.count(c, intent.at)
            if setting.laws[c].refused:
                return self._deny(intent, ACCOUNT, "")
            return self._deny(intent, INSTRUMENT, "UNKNOWN_SYMBOL")
        gate = setting.gate
        if setting.lapsed and intent.action is not IntentAction.CANCEL:
            return self._deny(intent, KILL_ARENA, LAPSED)
        if intent.origin is Origin.RISK:
            number = gate.check_risk(c, i, intent.side, intent.quantity_lots)
        elif intent.action is IntentAction.CANCEL:
            number = gate.check_cancel(c, intent.at)
            if number == 0 and self._is_risks(c, intent.target):
                return self._deny(intent, RISK_ORDER, "")
        elif intent.action is IntentAction.REPLACE:
            return self._replace(intent, c, i)
        else:
            if intent.client_order_id.startswith(RISK_PREFIX):
                gate.count(c, intent.at)
                return self._deny(intent, RISK_ORDER, "")
            number = self._check(intent, c, i, intent.side, intent.quantity_lots)
        if number:
            return self._deny(intent, number, "", gate.limit, gate.actual)
        verdict = self._verdict(intent, Outcome.ALLOW, -1, "", "")
        if intent.action is IntentAction.NEW:
            self._remember(intent, c, i)
            market = intent.order_type is OrderType.MARKET
            price = gate.hold_price(c, i) if market else intent.limit_ticks
            name, lots = intent.client_order_id, intent.quantity_lots
            is_risks = intent.origin is Origin.RISK
            hold = Hold(c, i, int(intent.side), price, lots, 0, 0, market, name, is_risks)
            setting.holds.open(verdict.id, hold)
        return verdict

    def _replace(self, intent: Intent, c: int, i: int) -> Verdict:
        """Judge a replacement as a new order of what is left of it, without the order itself."""
        holds, gate = self._setting.holds, self._setting.gate
        hold = holds.of_client(c, intent.target)
        if hold is None:
            # The desk will say that there is no such order; nothing is held for it.
            number = self._check(intent, c, i, intent.side, intent.quantity_lots)
            if number:
                return self._deny(intent, number, "", gate.limit, gate.actual)
            return self._verdict(intent, Outcome.ALLOW, -1, "", "")
        lots = intent.quantity_lots - hold.cum
        # The desk keeps instrument, side and type of the order: checks of others would be about
        # another order than the one that changes.
        market = intent.order_type is OrderType.MARKET
        same = (hold.instrument, hold.side, hold.market) == (i, intent.side, market)
        holds.without(hold)
        number = self._check(intent, c, i, intent.side if same else _NO_SIDE, lots)
        holds.again(hold)
        if number == 0 and hold.risk:
            return self._deny(intent, RISK_ORDER, "")
        if number == 0:
            number = gate.check_whole(c, i, intent.quantity_lots, intent.limit_ticks)
        if number == CHARACTERISTIC and not same:
            return self._deny(intent, number, "REPLACE_MISMATCH")
        if number:
            return self._deny(intent, number, "", gate.limit, gate.actual)
        holds.widen(hold, lots, gate.hold_price(c, i) if hold.market else intent.limit_ticks)
        return self._verdict(intent, Outcome.ALLOW, -1, "", "")

    def _is_risks(self, c: int, target: str) -> bool:
        """Say whether a contender's wish is about an order of risk itself."""
        hold = self._setting.holds.of_client(c, target)
        return hold is not None and hold.risk

    def _check(self, intent: Intent, c: int, i: int, side: int, lots: int) -> int:
        """Return the number of the rule that refuses a new order or a replacement, or 0."""
        market = intent.order_type is OrderType.MARKET
        # By the market's time that was heard here: an intent that was long on its way is old, even
        # if it bears the time at which it was decided.
        age = max(self._setting.now, intent.at) - intent.decided_at
        return self._setting.gate.check(
            c,
            i,
            _NO_SIDE if market and intent.post_only else side,
            _TYPE_BIT[intent.order_type],
            _TIF_BIT[intent.time_in_force],
            lots,
            intent.limit_ticks,
            intent.at,
            intent.at - age,
            intent.action is IntentAction.NEW and self._is_duplicate(intent, c, i),
        )

    def _is_duplicate(self, intent: Intent, c: int, i: int) -> bool:
        name = intent.client_order_id
        if name in self._clients[c] or self._setting.holds.of_client(c, name):
            return True
        window = self._setting.laws[c].duplicate_window_ns
        if not window:
            return False
        sent = self._sent.get((c, i, int(intent.side), intent.quantity_lots, intent.limit_ticks))
        return sent is not None and intent.at - sent <= window

    def _remember(self, intent: Intent, c: int, i: int) -> None:
        if intent.origin is Origin.RISK:
            return
        self._clients[c].add(intent.client_order_id)
        laws = self._setting.laws
        if not laws[c].duplicate_window_ns:
            return
        if len(self._sent) >= SENT_REMEMBERED:
            fresh = [
                (key, at)
                for key, at in self._sent.items()
                if intent.at - at <= laws[key[0]].duplicate_window_ns
            ]
            self._sent = dict(fresh[-SENT_REMEMBERED // 2 :])
        key = (c, i, int(intent.side), intent.quantity_lots, intent.limit_ticks)
        self._sent.pop(key, None)
        self._sent[key] = intent.at

    def _deny(
        self, intent: Intent, number: int, text: str, limit: int = 0, actual: int = 0
    ) -> Verdict:
        rule = BY_NUMBER[number]
        if number == ACCOUNT and not text:
            text = self._setting.laws[self._setting.names[intent.contender]].refused
        return self._verdict(
            intent, Outcome.DENY, int(rule.reason), text or rule.text, rule.name, limit, actual
        )

    def _verdict(
        self,
        intent: Intent,
        outcome: Outcome,
        reason: int,
        text: str,
        rule: str,
        limit: int = 0,
        actual: int = 0,
    ) -> Verdict:
        setting = self._setting
        c = setting.names.get(intent.contender, -1)
        i = setting.symbols.get(intent.symbol, -1)
        return verdict_on(
            intent,
            setting.ident(intent),
            outcome,
            reason=reason,
            text=text,
            rule=rule,
            limit=limit,
            actual=actual,
            reference_ticks=setting.gate.reference(i) if i >= 0 else 0,
            kill_epoch=setting.board.epoch,
            policies=setting.laws[c].policies if c >= 0 else (),
        )

    def dump(self) -> MemoryState:
        """Return what is remembered."""
        # In the order of arrival, because the oldest go first.
        return MemoryState([names.dump() for names in self._clients], list(self._sent.items()))

    def load(self, state: MemoryState) -> None:
        """Take over what `dump` returned."""
        self._clients = [RecentNames(CLIENT_IDS_REMEMBERED, kept) for kept in state.clients]
        self._sent = dict(state.sent)
