"""What is an Arena? The ground: what is traded, on which data, with what capital, at what cost.

It is alike for all contenders. Fields follow the custom resource Arena; see `spec.common` for how
fields that are not built yet are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from titanflow.core.base.instant import parse_instant
from titanflow.core.spec.common import FORBIDDEN, Fault, Rule, SpecModel
from titanflow.core.spec.instrument import FeesSpec, InstrumentSpec
from titanflow.core.spec.shape import (
    Currency,
    Keyed,
    MomentString,
    PositiveDecimal,
    is_moment,
    moment,
    worded,
)
from titanflow.core.spec.source import SourceSpec
from titanflow.core.spec.switch import KillSwitchSpec
from titanflow.core.spec.words import LimitFill, QueueModel, RankBy, SelfMatchPrevention


def _ends_before_it_starts(season: SeasonSpec) -> bool:
    start, end = season.start, season.end
    return bool(start and end and parse_instant(start) >= parse_instant(end))


class SeasonSpec(SpecModel):
    """The stretch of market time that is competed over."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"!has(self.start) || !{is_moment('self.start')} || "
            f"!has(self.end) || !{is_moment('self.end')} || "
            f"{moment('self.start')} < {moment('self.end')}",
            "season.start must be before season.end",
            "end",
            broken=_ends_before_it_starts,
        ),
    )

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
    start: MomentString | None = Field(
        default=None,
        description="First event time, inclusive, RFC 3339. Default: the first event.",
    )
    end: MomentString | None = Field(
        default=None, description="End of event time, exclusive, RFC 3339. Default: the last event."
    )


class ReplaySpec(SpecModel):
    """How a replay runs."""

    words_not_built: ClassVar[Mapping[str, frozenset[str]]] = {"atEnd": frozenset({"Restart"})}

    speed: int = Field(
        default=0,
        ge=0,
        le=100_000_000,
        description="Seconds of market time in one second of wall time: 86400 is a day each "
        "second, 0 as fast as the machine goes. A simulation has no wall time. Default: 0.",
    )
    at_end: Literal["Stop"] = Field(
        default="Stop", description="When the data ends: Stop closes the session. Default: Stop."
    )


class ClockSpec(SpecModel):
    """Where time comes from."""

    words_not_built: ClassVar[Mapping[str, frozenset[str]]] = {"kind": frozenset({"Live"})}
    unsaid_defaults: ClassVar[frozenset[str]] = frozenset({"replay"})

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


def _fixed(field: str, same: str = "") -> Rule:
    """Return the rule that *field* may only change with the season's name."""
    return Rule(
        f"self.season.name != oldSelf.season.name || {same or f'self.{field} == oldSelf.{field}'}",
        f"{field} is part of the ground and fixed within a season: change season.name to start a "
        "new season",
        field,
        FORBIDDEN,
    )


def _foreign_money(arena: ArenaSpec) -> list[Fault]:
    text = "{} is priced in {}, the arena's books are in {}: several currencies are not built yet"
    return [
        (("instruments", number, "currency"), text.format(i.symbol, i.currency, arena.currency))
        for number, i in enumerate(arena.instruments)
        if i.currency != arena.currency
    ]


def _several_sources(arena: ArenaSpec) -> list[Fault]:
    text = "several sources (fallback) are not built yet: keep one"
    return [(("sources", number), text) for number in range(1, min(len(arena.sources), 2))]


def _untraded(arena: ArenaSpec) -> list[Fault]:
    traded = {instrument.symbol for instrument in arena.instruments}
    return [
        (("killSwitch", "instruments", number), f"{symbol} is not traded here")
        for number, symbol in enumerate(arena.kill_switch.instruments)
        if symbol not in traded
    ]


class ArenaSpec(SpecModel):
    """The ground: what is traded, on which data, with what capital, at what cost."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.instruments.all(i, i.currency == self.currency)",
            "an instrument is priced in another currency than spec.currency: several currencies "
            "are not built yet",
            "instruments",
            broken=_foreign_money,
        ),
        Rule(
            "size(self.sources) <= 1",
            "several sources (fallback) are not built yet: keep one",
            "sources",
            broken=_several_sources,
        ),
        Rule(
            "self.killSwitch.instruments.all(s, self.instruments.exists(i, i.symbol == s))",
            "killSwitch.instruments names a symbol that is not traded here: take it from "
            "spec.instruments",
            "killSwitch.instruments",
            broken=_untraded,
        ),
        *(
            _fixed(field)
            for field in (
                "instruments",
                "sources",
                "seed",
                "capital",
                "currency",
                "fees",
                "fills",
                "borrow",
                "selfMatchPrevention",
            )
        ),
        _fixed(
            "season.start",
            "(has(self.season.start) == has(oldSelf.season.start) && (!has(self.season.start) || "
            "self.season.start == oldSelf.season.start))",
        ),
    )

    not_built: ClassVar[frozenset[str]] = frozenset(
        {"suspend", "funding", "margin", "thinking", "journal", "topology"}
    )

    display_name: str | None = Field(
        default=None, max_length=80, description="Name for people. Default: the object's name."
    )
    instruments: Annotated[tuple[InstrumentSpec, ...], Keyed("symbol")] = Field(
        min_length=1,
        max_length=512,
        description="What can be traded. Part of the ground, which is fixed within a season.",
    )
    sources: tuple[SourceSpec, ...] = Field(
        min_length=1,
        max_length=8,
        description="Suppliers of market events; one for now (fallback is not built yet). Part of "
        "the ground.",
    )
    season: SeasonSpec = Field(
        default_factory=SeasonSpec,
        description="The stretch of market time that is competed over. A new name starts a new "
        "session with fresh books. Default: all of the data.",
    )
    clock: ClockSpec = Field(
        default_factory=ClockSpec, description="Where time comes from. Default: Replay."
    )
    seed: int = Field(
        default=1,
        ge=0,
        le=9_007_199_254_740_991,
        description="Seed of all chance in the arena. Part of the ground. Default: 1.",
    )
    capital: PositiveDecimal = Field(
        default="100000",
        description="Starting capital of each contender, in units of currency, as a decimal "
        "string. Part of the ground. Default: 100000.",
    )
    currency: Currency = Field(
        default="USD",
        description="Currency of the books and of all money amounts. Part of the ground. "
        "Default: USD.",
    )
    fees: FeesSpec = Field(
        default_factory=FeesSpec,
        description="What a fill costs. Part of the ground. Default: 100 ppm and 500 ppm.",
    )
    fills: FillsSpec = Field(
        default_factory=FillsSpec,
        description="How simulated venues fill orders. Part of the ground. Default: its own.",
    )
    borrow: BorrowSpec = Field(
        default_factory=BorrowSpec,
        description="Selling short. Part of the ground. Default: its own.",
    )
    self_match_prevention: SelfMatchPrevention = Field(
        default=SelfMatchPrevention.CANCEL_AGGRESSIVE,
        description="What happens when an order would meet the same contender's own (FIX 2964). "
        "Part of the ground. Default: CancelAggressive.",
    )
    ranking: RankingSpec = Field(
        default_factory=RankingSpec, description="How standings are ordered. Default: by return."
    )
    kill_switch: KillSwitchSpec = Field(
        default_factory=KillSwitchSpec,
        description="Stops trading of all contenders in this arena at once and stays latched. "
        "Default: not engaged.",
    )
