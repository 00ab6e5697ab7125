"""What is an instrument in a manifest, and what does a fill of it cost?"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints, model_validator

from titanflow.core.base.fixed import parse_decimal
from titanflow.core.spec.common import (
    Currency,
    DecimalString,
    Fault,
    PositiveDecimal,
    SpecModel,
    Symbol,
    refuse,
    worded,
)


class AssetClass(StrEnum):
    """What an instrument is."""

    EQUITY = "Equity"
    CRYPTO = "Crypto"
    FOREX = "Forex"


class FeesSpec(SpecModel):
    """What a fill costs."""

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

    @model_validator(mode="after")
    def _consistent(self) -> FeesSpec:
        faults: list[Fault] = []
        if self.maker_ppm > self.taker_ppm:
            faults.append((("makerPpm",), "makerPpm must not exceed takerPpm"))
        if self.maker_ppm + self.taker_ppm < 0:
            text = (
                "a maker rebate above the taker fee would pay two contenders for trading with "
                "each other: raise takerPpm or lower the rebate"
            )
            faults.append((("makerPpm",), text))
        refuse(self, faults)
        return self


Venue = Annotated[
    str,
    StringConstraints(min_length=1, max_length=32),
    worded(r"[A-Z0-9][A-Z0-9_-]*", "a venue has upper-case letters, digits and _ -, such as XNAS"),
]


class InstrumentSpec(SpecModel):
    """One thing that can be traded."""

    not_built: ClassVar[frozenset[str]] = frozenset({"calendar", "derivative"})
    words_not_built: ClassVar[Mapping[str, frozenset[str]]] = {
        "assetClass": frozenset({"Perpetual", "Future", "Option", "Index"})
    }

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
    fees: FeesSpec | None = Field(
        default=None,
        description="Fees of this instrument in place of spec.fees: all its fields. "
        "Default: spec.fees.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> InstrumentSpec:
        faults: list[Fault] = []
        if (
            self.min_quantity
            and self.max_quantity
            and parse_decimal(self.min_quantity) > parse_decimal(self.max_quantity)
        ):
            faults.append((("minQuantity",), "minQuantity must not exceed maxQuantity"))
        if self.fees is not None:
            # Taking the rest from the arena's fees or from the defaults would both surprise.
            faults += [
                (("fees", field), "an instrument's own fees name makerPpm and takerPpm")
                for field, name in (("makerPpm", "maker_ppm"), ("takerPpm", "taker_ppm"))
                if name not in self.fees.model_fields_set
            ]
        refuse(self, faults)
        return self
