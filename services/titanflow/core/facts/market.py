"""What did the outside market do? Bars and corporate actions, and what the quality gate kept out.

Prices are integer ticks and quantities integer lots of the instrument named by `symbol`.
"""

from __future__ import annotations

from titanflow.core.facts.fact import Fact


class Bar(Fact, frozen=True, array_like=True, tag=True, gc=False):
    """Open, high, low, close and volume of one instrument from `start` to `at`, unadjusted."""

    symbol: str
    start: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    volume_lots: int


class Split(Fact, frozen=True, array_like=True, tag=True, gc=False):
    """One old unit became numerator / denominator new ones, before trading at `at`."""

    symbol: str
    numerator: int
    denominator: int
    source: str


class Dividend(Fact, frozen=True, array_like=True, tag=True, gc=False):
    """`amount` minor units of money for each unit held when trading starts at `at` (ex-date)."""

    symbol: str
    amount: int
    source: str


class Quarantine(Fact, frozen=True, array_like=True, tag=True, gc=False):
    """A bar that the quality gate kept out: which rule it broke, and what it said."""

    symbol: str
    rule: str
    detail: str


MarketEvent = Bar | Split | Dividend | Quarantine
