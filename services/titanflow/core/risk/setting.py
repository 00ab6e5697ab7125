"""What do the parts of the gate share? The ground, everyone's merged law, the compiled gate, holds.

Verdicts and reactions both read and change the same compiled state, and name what they say by one
count. This is that common ground, made once from ground and policies; it decides nothing.
"""

from __future__ import annotations

from titanflow.core.base.ident import NO_ID, Id, derive
from titanflow.core.facts import Entry, Fact, Fill, Intent
from titanflow.core.risk.exposure import Holds
from titanflow.core.risk.kill import KillBoard, Switches
from titanflow.core.risk.policy import Policies, check_policies, houses_of, law_of, members_of
from titanflow.core.spec.ground import Ground
from titanflow.core.spec.words import TradingState
from titanflow.native.gate import Gate as NativeGate

_STAGE = b"gate"
_OWN = (Entry, Fill, Intent)
"""Facts of one contender, which one shard only hears."""
LAPSED = "KILL:Lease"
"""What a refusal without a fresh lease says."""
STATES = (TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED)
"""The states by the compiled gate's numbers."""


class Setting:
    """What verdicts and reactions stand on."""

    def __init__(self, ground: Ground, policies: Policies, shard: int = 0) -> None:
        check_policies(ground, policies)
        self.shard = shard
        self._common = f"gate/{shard}".encode() if shard else _STAGE
        """Names what other shards may say something to as well."""
        self.ground = ground
        self.symbols = ground.symbol_index()
        self.names = ground.entrant_index()
        self.laws = tuple(law_of(ground, entrant, policies) for entrant in ground.entrants)
        self.members = members_of(ground, policies)
        self.gate = self._compiled(policies)
        self.holds = Holds(self.gate)
        self.board = KillBoard(0, {})
        self.switches = Switches(self.names, self.symbols, self.members)
        self.lapsed = False
        """Whether there is no fresh lease, so that nothing new may pass."""
        self.now = 0
        """Time of the last bar that was heard, ns: what an intent's age is told by."""
        self._cause = NO_ID
        self._ordinal = 0

    def _compiled(self, policies: Policies) -> NativeGate:
        ground = self.ground
        houses = houses_of(ground, policies)
        gate = NativeGate(len(ground.entrants), len(ground.instruments), len(houses))
        for instrument in ground.instruments:
            fees = instrument.fees
            columns = (
                instrument.tick_value,
                instrument.min_lots,
                instrument.max_lots,
                instrument.min_notional,
                max(fees.maker_ppm, fees.taker_ppm, 0),
                fees.per_lot,
                fees.min_per_order,
            )
            gate.set_instrument(instrument.index, columns)
        for entrant, law in zip(ground.entrants, self.laws, strict=True):
            gate.set_contender(entrant.index, law.limits, entrant.capital, not law.refused)
            for index, cell in enumerate(law.cells):
                gate.set_limits(entrant.index, index, cell)
        for number, house in enumerate(houses):
            gate.set_group(number, house.limits, house.members)
        return gate

    def ident(self, cause: Fact) -> Id:
        """Return the id of the next fact that the gate says because of *cause*."""
        if cause.id != self._cause:
            self._cause, self._ordinal = cause.id, 0
        self._ordinal += 1
        stage = _STAGE if isinstance(cause, _OWN) else self._common
        return derive(cause.id, stage, self._ordinal - 1)

    def state(self, contender: int) -> TradingState:
        """Return the trading state."""
        return STATES[self.gate.trading_state(contender)]

    def apply_switches(self) -> None:
        """Tell the compiled gate and the fast lookup which switches are engaged."""
        self.switches.take(self.board)
        arena, contenders, instruments = self.switches.whole()
        self.gate.set_killed(arena, contenders, instruments)
