"""Measures equal empyrical's, and the streaming moments those of the whole series."""

import warnings
from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from titanflow.core.scoring import measures
from titanflow.native.sample import COLUMNS, Sampler

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import empyrical

PAIRS = (
    (measures.sharpe, empyrical.sharpe_ratio),
    (measures.sortino, empyrical.sortino_ratio),
    (measures.calmar, empyrical.calmar_ratio),
    (measures.volatility, empyrical.annual_volatility),
    (measures.max_drawdown, empyrical.max_drawdown),
)
DAY = 1_000
curves = st.lists(st.integers(50_000_000, 200_000_000), min_size=1, max_size=80)


def streamed(curve: list[int], capacity: int = 64) -> measures.Moments:
    sampler = Sampler(curve[:1], capacity)
    for n, equity in enumerate(curve[1:]):
        sampler.add(DAY + n, np.array([equity]), np.array([0]))
    row = dict(zip(COLUMNS, sampler.moments()[0].tolist(), strict=True))
    names = ("mean", "m2", "downside2", "low", "high", "drawdown")
    values = [row[key] if len(curve) > 1 else nan for key in names]
    return measures.Moments(len(curve) - 1, *values, growth=curve[-1] / curve[0])


def returns_of(curve: list[int]) -> np.ndarray:
    equity = np.array(curve, dtype=float)
    return equity[1:] / equity[:-1] - 1.0


def expected_of(function, returns: np.ndarray) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = float(function(returns))
    # Where empyrical says infinite, we say that there is no value.
    return value if np.isfinite(value) else nan


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("seed", range(20))
def test_measures_of_random_series_equal_empyrical(ours, theirs, seed: int) -> None:
    rng = np.random.default_rng(seed)
    curve = (10**10 * np.cumprod(1 + rng.normal(0.0004, 0.01, 30 * (seed + 1)))).astype(np.int64)
    curve = curve.tolist()

    expected = expected_of(theirs, returns_of(curve))

    assert expected == pytest.approx(ours(streamed(curve)), rel=1e-9, abs=1e-9)
    assert expected == pytest.approx(ours(measures.of_returns(returns_of(curve))), abs=1e-9)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda f: f.__name__)
@given(curve=curves)
def test_measures_of_any_series_equal_empyrical(ours, theirs, curve: list[int]) -> None:
    expected = expected_of(theirs, returns_of(curve))
    found = ours(streamed(curve))

    assert expected == pytest.approx(found, rel=1e-9, abs=1e-9, nan_ok=True)


@given(curve=curves)
def test_streaming_equals_whole(curve: list[int]) -> None:
    whole, stream = measures.of_returns(returns_of(curve)), streamed(curve)

    for field in whole.__struct_fields__:
        a, b = getattr(whole, field), getattr(stream, field)
        assert a == pytest.approx(b, rel=1e-9, abs=1e-12, nan_ok=True), field


def test_a_flat_curve_has_no_ratio() -> None:
    m = streamed([10**8] * 30)

    assert 0 == measures.volatility(m)
    assert all(isnan(f(m)) for f in (measures.sharpe, measures.sortino, measures.calmar))


def test_growth_beyond_floats_has_no_calmar() -> None:
    m = measures.Moments(1, 1.0, 0.0, 0.0, 1.0, 1.0, -0.5, 1e300)

    assert isnan(measures.calmar(m))
