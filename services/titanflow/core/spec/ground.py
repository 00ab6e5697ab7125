"""What do the stages stand on? The arena as integers, compiled once from the manifests.

Stages never read manifests: they take a Ground, so that units are converted and checked in one
place. Lists are sorted by name, because the order of files and of YAML documents means nothing.
"""

from __future__ import annotations

import msgspec

from titanflow.core.spec.bundle import Contract
from titanflow.core.spec.words import (
    LimitFill,
    QueueModel,
    RankBy,
    RecipeKind,
    SelfMatchPrevention,
    Tier,
)


class FeeRates(msgspec.Struct, frozen=True):
    """What a fill costs: parts per million of its value, minor units per unit and per order."""

    maker_ppm: int
    taker_ppm: int
    per_lot: int
    """Minor units of money for each lot filled (rounded up from the fee per unit)."""
    min_per_order: int


class Instrument(msgspec.Struct, frozen=True):
    """One thing that can be traded, in integers."""

    index: int
    symbol: str
    venue: str
    currency: str
    tick_size: int
    """Price step in 1e-8 of the currency."""
    lot_size: int
    """Quantity step in 1e-8 of a unit."""
    tick_value: int
    """Minor units of money that one tick is worth for one lot; exact."""
    min_lots: int
    max_lots: int
    """0 is no limit of the venue."""
    min_notional: int
    bar_ns: int
    """Length of one bar; a bar of a day or more is a whole session."""
    fees: FeeRates


class Fills(msgspec.Struct, frozen=True):
    """How the simulated venue fills; documented in docs/fill-model.md."""

    feed_latency_ns: int
    order_latency_ns: int
    response_latency_ns: int
    jitter_ns: int
    slippage_bps: int
    participation_bps: int
    queue: QueueModel
    limit_fill: LimitFill


class Entrant(msgspec.Struct, frozen=True):
    """One contender as the stages see it."""

    index: int
    name: str
    labels: tuple[tuple[str, str], ...]
    tier: Tier
    """As declared; risk lowers it to Shadow when no policy selects the contender."""
    capital: int
    """Starting capital in minor units."""
    instruments: tuple[int, ...]
    """Indices of the instruments that it may trade, ascending."""
    kind: RecipeKind
    rule: str
    """Name of the rule, entry point of a Python class, or name of the bundle."""
    parameters: tuple[tuple[str, str], ...]
    fraction_bps: int
    """Position at full strength, in basis points of equity (sizing FixedFraction)."""
    recipe_hash: str
    contract: Contract | None = None
    """What the bundle of a recipe of kind Model promises."""
    min_confidence: float = 0.0
    """Answers of the bundle with less confidence become HOLD."""


class Ground(msgspec.Struct, frozen=True):
    """Everything that is alike for all contenders, and the list of them."""

    arena: str
    seed: int
    currency: str
    instruments: tuple[Instrument, ...]
    entrants: tuple[Entrant, ...]
    fills: Fills
    borrow_allowed: bool
    borrow_bps_per_year: int
    self_match: SelfMatchPrevention
    rank_by: RankBy
    min_fills: int

    def symbol_index(self) -> dict[str, int]:
        """Return the index of each symbol."""
        return {instrument.symbol: instrument.index for instrument in self.instruments}

    def entrant_index(self) -> dict[str, int]:
        """Return the index of each contender's name."""
        return {entrant.name: entrant.index for entrant in self.entrants}
