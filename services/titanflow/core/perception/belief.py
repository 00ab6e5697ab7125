"""What is true of each instrument after each bar? The stage that turns bars into beliefs.

Features are computed on prices × adjustment, where the adjustment is the product of all splits so
far: forward adjustment needs no later fact, so a belief never changes once it is said. It stands
between the market and the contenders and knows neither positions nor contenders.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from titanflow.core.base.errors import InvariantError
from titanflow.core.base.fixed import MINOR_PER_UNIT
from titanflow.core.base.ident import derive
from titanflow.core.facts import Bar, Belief, Fact, Split
from titanflow.core.perception.features import FeatureSchema
from titanflow.core.spec.ground import Ground, Instrument

_STAGE = b"perceive"


class _Sight:
    """What is kept of one instrument: its kernels and its adjustment."""

    __slots__ = ("adjustment", "lot_size", "panel", "push", "tick_size")

    def __init__(self, instrument: Instrument, schema: FeatureSchema) -> None:
        self.panel = schema.panel()
        self.push = self.panel.push
        self.adjustment = 1.0
        self.tick_size = instrument.tick_size
        self.lot_size = instrument.lot_size


class Perceive:
    """Stage 2: one Belief for each Bar."""

    name = "perceive"
    consumes: frozenset[type[Fact]] = frozenset({Bar, Split})

    def __init__(self, ground: Ground, schema: FeatureSchema) -> None:
        self.schema = schema
        self._sights = {each.symbol: _Sight(each, schema) for each in ground.instruments}

    def handle(self, fact: Fact) -> Sequence[Fact]:
        """Answer a Bar with the Belief after it; remember a Split."""
        if type(fact) is Bar:
            return (self._believe(fact),)
        if isinstance(fact, Split):
            self._sight(fact.symbol).adjustment *= fact.numerator / fact.denominator
        return ()

    def _believe(self, bar: Bar) -> Belief:
        sight = self._sight(bar.symbol)
        tick, adjustment = sight.tick_size, sight.adjustment
        # ticks × tick_size is an exact integer, so an unadjusted price is the nearest float.
        features = sight.push(
            bar.open_ticks * tick / MINOR_PER_UNIT * adjustment,
            bar.high_ticks * tick / MINOR_PER_UNIT * adjustment,
            bar.low_ticks * tick / MINOR_PER_UNIT * adjustment,
            bar.close_ticks * tick / MINOR_PER_UNIT * adjustment,
            bar.volume_lots * sight.lot_size / MINOR_PER_UNIT / adjustment,
        )
        return Belief(
            derive(bar.id, _STAGE, 0),
            bar.id,
            bar.at,
            bar.at,
            bar.symbol,
            bar.close_ticks,
            adjustment,
            features,
        )

    def _sight(self, symbol: str) -> _Sight:
        try:
            return self._sights[symbol]
        except KeyError:
            raise InvariantError(f"a fact about {symbol!r} reached an arena without it") from None

    def digest(self) -> bytes:
        """Return a hash of the schema and all kernels."""
        return blake2b(self.schema.digest + self.dump(), digest_size=32).digest()

    def dump(self) -> bytes:
        """Return the state of all kernels and the adjustments."""
        return msgspec.msgpack.encode(
            [
                (symbol, sight.adjustment, sight.panel.dump())
                for symbol, sight in self._sights.items()
            ]
        )

    def load(self, snapshot: bytes) -> None:
        """Take over the state of a stage with the same ground and schema."""
        states = msgspec.msgpack.decode(snapshot, type=list[tuple[str, float, bytes]])
        if [symbol for symbol, _, _ in states] != list(self._sights):
            raise ValueError("the snapshot belongs to an arena with other instruments")
        for symbol, adjustment, panel in states:
            self._sights[symbol].panel.load(panel)
            self._sights[symbol].adjustment = adjustment
