"""What is an Arena? The ground: what is traded, on which data, with what capital, at what cost.

It is alike for all contenders. Fields follow the custom resource Arena; see `spec.common` for how
fields that are not built yet are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from titanflow.core.base.instant import parse_instant
from titanflow.core.spec.common import (
    Currency,
    Fault,
    InstantString,
    KillSwitchSpec,
    PositiveDecimal,
    SpecModel,
    refuse,
    worded,
)
from titanflow.core.spec.instrument import FeesSpec, InstrumentSpec
from titanflow.core.spec.source import SourceSpec
from titanflow.core.spec.words import LimitFill, QueueModel, RankBy, SelfMatchPrevention


class SeasonSpec(SpecModel):
    """The stretch of market time that is competed over."""

    name: Annotated[
        str,
        StringConstraints(min_length=1, max_length=40),
        worded(
            r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?",
            "a season's name has letters, digits and . _ -, such as 2026-q4",
        ),
    ] = Field(
        default="1",
        description="Label of the season, such as 2026-q4. Default: 1.",
    )
    start: InstantString | None = Field(
        default=None,
        description="First event time, inclusive, RFC 3339. Default: the first event.",
    )
    end: InstantString | None = Field(
        default=None, description="End of event time, exclusive, RFC 3339. Default: the last event."
    )

    @model_validator(mode="after")
    def _ordered(self) -> SeasonSpec:
        if self.start and self.end and parse_instant(self.start) >= parse_instant(self.end):
            refuse(self, [(("end",), "season.start must be before season.end")])
        return self


def _speed(speed: int) -> int:
    if speed:
        raise ValueError("only 0, as fast as the machine goes, is built yet")
    return speed


class ReplaySpec(SpecModel):
    """How a replay runs."""

    words_not_built: ClassVar[Mapping[str, frozenset[str]]] = {"atEnd": frozenset({"Restart"})}

    speed: Annotated[int, AfterValidator(_speed)] = Field(
        default=0,
        ge=0,
        le=100_000_000,
        description="Seconds of market time in one second of wall time; only 0, as fast as the "
        "machine goes, is built yet. Default: 0.",
    )
    at_end: Literal["Stop"] = Field(
        default="Stop", description="When the data ends: Stop closes the session. Default: Stop."
    )


class ClockSpec(SpecModel):
    """Where time comes from."""

    words_not_built: ClassVar[Mapping[str, frozenset[str]]] = {"kind": frozenset({"Live"})}

    kind: Literal["Replay"] = Field(
        default="Replay", description="Replay takes time from recorded events. Default: Replay."
    )
    replay: ReplaySpec = Field(
        default_factory=ReplaySpec, description="For kind Replay. Default: to the end, then stop."
    )


class FillsSpec(SpecModel):
    """How simulated venues fill orders."""

    words_not_built: ClassVar[Mapping[str, frozenset[str]]] = {"queue": frozenset({"Exact"})}

    feed_latency_micros: int = Field(
        default=0,
        ge=0,
        le=60_000_000,
        description="Delay from a market event to the contender, in microseconds. Default: 0.",
    )
    order_latency_micros: int = Field(
        default=1000,
        ge=0,
        le=60_000_000,
        description="Delay from an allowed intent to the venue, in microseconds. Default: 1000.",
    )
    response_latency_micros: int = Field(
        default=0,
        ge=0,
        le=60_000_000,
        description="Delay from the venue's answer to the contender, in microseconds; the slower "
        "of feed and response is added to the way of the order. Default: 0.",
    )
    jitter_micros: int = Field(
        default=0,
        ge=0,
        le=60_000_000,
        description="Largest random addition to each delay, in microseconds; drawn by the seed. "
        "Default: 0.",
    )
    slippage_bps: int = Field(
        default=1,
        ge=0,
        le=1000,
        description="Price that a taker loses beyond the bar's price, in basis points. Default: 1.",
    )
    participation_bps: int = Field(
        default=1000,
        ge=1,
        le=10_000,
        description="Largest part of the traded volume of one bar that all contenders together "
        "may take, in basis points: 1000 is 10 %. Default: 1000.",
    )
    queue: QueueModel = Field(
        default=QueueModel.PRO_RATA,
        description="Where a resting order stands at its price: ProRata in the middle of the "
        "market's volume, Optimistic before it, Pessimistic behind it. Default: ProRata.",
    )
    limit_fill: LimitFill = Field(
        default=LimitFill.THROUGH,
        description="When a bar fills a resting limit order: Through needs the price to trade "
        "past the limit, Touch only to reach it. Default: Through.",
    )


class BorrowSpec(SpecModel):
    """Selling short."""

    allowed: bool = Field(
        default=True,
        description="Whether contenders may be short at all; a RiskPolicy may still forbid it. "
        "Default: true.",
    )
    fee_bps_per_year: int = Field(
        default=50,
        ge=0,
        le=100_000,
        description="Borrow fee on the value of a short position, in basis points per year, "
        "posted daily. Default: 50.",
    )


class RankingSpec(SpecModel):
    """How standings are ordered."""

    by: RankBy = Field(
        default=RankBy.RETURN, description="The measure that ranks; all are shown. Default: Return."
    )
    min_fills: int = Field(
        default=30,
        ge=0,
        le=1_000_000,
        description='Fills that a contender needs before it is ranked; below it "not enough '
        'data". Default: 30.',
    )


class ArenaSpec(SpecModel):
    """The ground: what is traded, on which data, with what capital, at what cost."""

    not_built: ClassVar[frozenset[str]] = frozenset(
        {"suspend", "funding", "margin", "thinking", "journal", "topology"}
    )

    display_name: str | None = Field(
        default=None, max_length=80, description="Name for people. Default: the object's name."
    )
    instruments: tuple[InstrumentSpec, ...] = Field(
        min_length=1, max_length=512, description="What can be traded."
    )
    sources: tuple[SourceSpec, ...] = Field(
        min_length=1,
        max_length=8,
        description="Suppliers of market events; one for now (fallback is not built yet).",
    )
    season: SeasonSpec = Field(
        default_factory=SeasonSpec,
        description="The stretch of market time that is competed over. Default: all of the data.",
    )
    clock: ClockSpec = Field(
        default_factory=ClockSpec, description="Where time comes from. Default: Replay."
    )
    seed: int = Field(
        default=1,
        ge=0,
        le=9_007_199_254_740_991,
        description="Seed of all chance in the arena. Default: 1.",
    )
    capital: PositiveDecimal = Field(
        default="100000",
        description="Starting capital of each contender, in units of currency, as a decimal "
        "string. Default: 100000.",
    )
    currency: Currency = Field(
        default="USD", description="Currency of the books and of all money amounts. Default: USD."
    )
    fees: FeesSpec = Field(default_factory=FeesSpec, description="What a fill costs.")
    fills: FillsSpec = Field(
        default_factory=FillsSpec, description="How simulated venues fill orders."
    )
    borrow: BorrowSpec = Field(default_factory=BorrowSpec, description="Selling short.")
    self_match_prevention: SelfMatchPrevention = Field(
        default=SelfMatchPrevention.CANCEL_AGGRESSIVE,
        description="What happens when an order would meet the same contender's own (FIX 2964). "
        "Default: CancelAggressive.",
    )
    ranking: RankingSpec = Field(
        default_factory=RankingSpec, description="How standings are ordered."
    )
    kill_switch: KillSwitchSpec = Field(
        default_factory=KillSwitchSpec,
        description="Stops trading of all contenders in this arena at once and stays latched.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> ArenaSpec:
        faults: list[Fault] = []
        seen: dict[str, int] = {}
        for index, instrument in enumerate(self.instruments):
            first = seen.setdefault(instrument.symbol, index)
            if first != index:
                text = f"{instrument.symbol} is already the symbol of instruments[{first}]"
                faults.append((("instruments", index, "symbol"), text))
            if instrument.currency != self.currency:
                text = (
                    f"{instrument.symbol} is priced in {instrument.currency}, the arena's books "
                    f"are in {self.currency}: several currencies are not built yet"
                )
                faults.append((("instruments", index, "currency"), text))
        if len(self.sources) > 1:
            text = "several sources (fallback) are not built yet: keep one"
            faults.append((("sources", 1), text))
        for index, symbol in enumerate(self.kill_switch.instruments):
            if symbol not in seen:
                faults.append(
                    (("killSwitch", "instruments", index), f"{symbol} is not traded here")
                )
        refuse(self, faults)
        return self
