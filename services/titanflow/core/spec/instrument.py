"""What is an instrument in a manifest, and what does a fill of it cost?"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from titanflow.core.base.fixed import parse_decimal
from titanflow.core.spec.common import Rule, SpecModel
from titanflow.core.spec.shape import (
    Currency,
    DecimalString,
    PositiveDecimal,
    Symbol,
    exceeds,
    worded,
)


class AssetClass(StrEnum):
    """What an instrument is."""

    EQUITY = "Equity"
    CRYPTO = "Crypto"
    FOREX = "Forex"


def _dear_maker(fees: FeesSpec) -> bool:
    return fees.maker_ppm > fees.taker_ppm


def _paid_to_trade(fees: FeesSpec) -> bool:
    return fees.maker_ppm + fees.taker_ppm < 0


class FeesSpec(SpecModel):
    """What a fill costs."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.makerPpm <= self.takerPpm",
            "makerPpm must not exceed takerPpm",
            "makerPpm",
            broken=_dear_maker,
        ),
        Rule(
            "self.makerPpm + self.takerPpm >= 0",
            "a maker rebate above the taker fee would pay two contenders for trading with each "
            "other: raise takerPpm or lower the rebate",
            "makerPpm",
            broken=_paid_to_trade,
        ),
    )

    maker_ppm: int = Field(
        default=100,
        ge=-10_000,
        le=100_000,
        description="Fee of a fill that added liquidity, in parts per million of its value: 100 "
        "is 1 bp. Negative is a rebate. Default: 100.",
    )
    taker_ppm: int = Field(
        default=500,
        ge=0,
        le=100_000,
        description="Fee of a fill that took liquidity, in parts per million of its value. "
        "Default: 500.",
    )
    per_unit: DecimalString = Field(
        default="0",
        description="Fee for each unit filled, in the instrument's currency, as a decimal string, "
        "such as 0.005 for a share. Default: none.",
    )
    min_per_order: DecimalString = Field(
        default="0",
        description="Least fee of an order that was filled at all, in the instrument's currency, "
        "as a decimal string. Default: none.",
    )


class OwnFeesSpec(FeesSpec):
    """What a fill of one instrument costs, in place of spec.fees.

    Taking the rest from the arena's fees or from the defaults would both surprise, so both rates
    are named.
    """

    maker_ppm: int = Field(
        ge=-10_000,
        le=100_000,
        description="Fee of a fill that added liquidity, in parts per million of its value: 100 "
        "is 1 bp. Negative is a rebate.",
    )
    taker_ppm: int = Field(
        ge=0,
        le=100_000,
        description="Fee of a fill that took liquidity, in parts per million of its value.",
    )


Venue = Annotated[
    str,
    StringConstraints(min_length=1, max_length=32),
    worded(r"[A-Z0-9][A-Z0-9_-]*", "a venue has upper-case letters, digits and _ -, such as XNAS"),
]


def _no_quantity_fits(instrument: InstrumentSpec) -> bool:
    least, most = instrument.min_quantity, instrument.max_quantity
    return bool(least and most and parse_decimal(least) > parse_decimal(most))


class InstrumentSpec(SpecModel):
    """One thing that can be traded."""

    not_built: ClassVar[frozenset[str]] = frozenset({"calendar", "derivative"})
    words_not_built: ClassVar[Mapping[str, frozenset[str]]] = {
        "assetClass": frozenset({"Perpetual", "Future", "Option", "Index"})
    }

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.minQuantity) || !has(self.maxQuantity) || !"
            + exceeds("self.minQuantity", "self.maxQuantity"),
            "minQuantity must not exceed maxQuantity",
            "minQuantity",
            broken=_no_quantity_fits,
        ),
    )

    symbol: Symbol = Field(description="Name of the instrument, unique in the arena, such as AAPL.")
    venue: Venue = Field(
        description="Market where it trades, such as XNAS. The arena simulates this venue.",
    )
    venue_symbol: str | None = Field(
        default=None,
        max_length=64,
        description="The data source's own name of it. Default: symbol.",
    )
    asset_class: AssetClass = Field(description="What it is: Equity, Crypto or Forex.")
    currency: Currency = Field(
        description="Currency in which it is priced; for now that of the arena."
    )
    tick_size: PositiveDecimal = Field(
        description="Smallest price step, in units of currency, as a decimal string."
    )
    lot_size: PositiveDecimal = Field(
        description="Smallest quantity step, in units of the instrument, as a decimal string."
    )
    multiplier: PositiveDecimal = Field(
        default="1",
        description="Units of the underlying in one unit, as a decimal string. Default: 1.",
    )
    min_quantity: PositiveDecimal | None = Field(
        default=None,
        description="The venue's smallest order, in units, as a decimal string. Default: lotSize.",
    )
    max_quantity: PositiveDecimal | None = Field(
        default=None,
        description="The venue's largest order, in units, as a decimal string. Default: no limit.",
    )
    min_notional: DecimalString | None = Field(
        default=None,
        description="The venue's smallest order value, in units of currency, as a decimal string. "
        "Default: no limit.",
    )
    fees: OwnFeesSpec | None = Field(
        default=None,
        description="Fees of this instrument in place of spec.fees: all its fields. "
        "Default: spec.fees.",
    )
