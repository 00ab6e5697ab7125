"""What was posted, and who stands where?"""

from __future__ import annotations

from titanflow.core.facts.fact import Fact
from titanflow.core.spec.words import Account, Occasion


class Entry(Fact, frozen=True, array_like=True, tag=True, gc=False):
    """One posting of the double-entry ledger: `amount` minor units from `credit` to `debit`.

    `symbol` names the instrument where there is one, else it is empty. `quantity_lots` is the
    signed change of the position that came with it (first entry of a fill or split only), so that
    positions can be rebuilt from entries alone.
    """

    contender: str
    debit: Account
    credit: Account
    amount: int
    currency: str
    symbol: str
    quantity_lots: int
    occasion: Occasion = Occasion.FILL
    """What it was posted for; `cause` is the very fact."""


class Standing(Fact, frozen=True, array_like=True, tag=True, gc=False):
    """A contender's row on the leaderboard at the end of a session. Money in minor units.

    Fractions (return, drawdown, …) are of equity; ratios per year use 252 session days. A measure
    that cannot be computed yet is NaN and `note` says why.
    """

    contender: str
    tier: str
    rank: int
    """1 is best; 0 for pinned benchmarks and for those not ranked."""
    pinned: bool
    note: str
    equity: int
    capital: int
    total_return: float
    return_low: float
    return_high: float
    sharpe: float
    sortino: float
    calmar: float
    volatility: float
    max_drawdown: float
    win_rate: float
    profit_factor: float
    turnover: float
    exposure: float
    fees: int
    fills: int
    orders: int
    refusals: int
    state: str
