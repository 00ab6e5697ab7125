"""How good was a contender? The measures of daily returns, one formula each.

Everything is computed from moments, so that a session of any length needs no history; `of_returns`
gives the moments of a whole series, and the tests hold both against each other and against
empyrical. A year has 252 session days and the risk-free rate is zero. A measure that has no value
(too few days, no variation, no loss to divide by) is NaN, never infinite.
"""

from __future__ import annotations

from math import isfinite, nan, sqrt

import msgspec
import numpy as np

from titanflow.core.ports import FloatArray

DAYS_PER_YEAR = 252
DECIMALS = 12
"""Digits kept: beyond them are the last bits of `pow`, which differ between C libraries."""


class Moments(msgspec.Struct, frozen=True):
    """What daily returns were like. Fractions of equity; `drawdown` is zero or below."""

    count: int
    mean: float
    m2: float
    """Sum of squared differences from the mean."""
    downside2: float
    """Sum of squared returns below zero."""
    low: float
    high: float
    drawdown: float
    growth: float
    """Last equity over first."""


def of_returns(returns: FloatArray) -> Moments:
    """Return the moments of a whole series of daily returns, oldest first (n,)."""
    if len(returns) == 0:
        return Moments(0, nan, nan, nan, nan, nan, nan, 1.0)
    wealth = np.concatenate([[1.0], np.cumprod(1.0 + returns)])
    mean = float(np.mean(returns))
    return Moments(
        len(returns),
        mean,
        float(np.sum((returns - mean) ** 2)),
        float(np.sum(np.minimum(returns, 0.0) ** 2)),
        float(np.min(returns)),
        float(np.max(returns)),
        float(np.min(wealth / np.maximum.accumulate(wealth) - 1.0)),
        float(wealth[-1]),
    )


def volatility(m: Moments) -> float:
    """Return the sample deviation of daily returns, per year."""
    return _number(_deviation(m) * sqrt(DAYS_PER_YEAR))


def sharpe(m: Moments) -> float:
    """Return mean over deviation of daily returns, per year.

    Source: Sharpe (1994), "The Sharpe Ratio", with a risk-free rate of zero.
    """
    return _ratio(m.mean * sqrt(DAYS_PER_YEAR), _deviation(m))


def sortino(m: Moments) -> float:
    """Return the yearly mean return over the yearly downside risk below zero.

    Source: Rollinger and Hoffman (2013), "Sortino: A 'Sharper' Ratio".
    """
    if m.count < 2:
        return nan
    risk = sqrt(m.downside2 / m.count) * sqrt(DAYS_PER_YEAR)
    return _ratio(m.mean * DAYS_PER_YEAR, risk)


def calmar(m: Moments) -> float:
    """Return the compound yearly return over the deepest fall of daily equity.

    Source: Young (1991), "Calmar Ratio: A Smoother Tool".
    """
    if m.count < 1 or m.growth <= 0:
        return nan
    try:
        yearly = m.growth ** (DAYS_PER_YEAR / m.count) - 1.0
    except OverflowError:
        return nan
    return _ratio(yearly, -m.drawdown)


def max_drawdown(m: Moments) -> float:
    """Return the deepest fall of daily equity from its peak, as a fraction: zero or below."""
    return _number(m.drawdown)


def _deviation(m: Moments) -> float:
    if m.count < 2:
        return nan
    # Equal returns deviate by exactly nothing, whatever rounding left in the sum of squares.
    return 0.0 if m.low == m.high else sqrt(m.m2 / (m.count - 1))


def _ratio(value: float, by: float) -> float:
    return _number(value / by) if by > 0 else nan


def _number(value: float) -> float:
    return round(value, DECIMALS) if isfinite(value) else nan
