"""Do the kernels show what any chart programme shows? TA-Lib on thirteen years of real bars."""

import numpy as np
import pytest
import talib
from stock_bars import stock_columns

from titanflow.native import window

TOLERANCE = 1e-9
PERIODS = (2, 5, 14, 20, 100, 250)

Array = np.ndarray


def assert_equal(theirs: Array, ours: Array) -> None:
    assert np.array_equal(np.isnan(theirs), np.isnan(ours)), "not warm at the same bar"
    gap = np.abs(theirs - ours) / np.maximum(1.0, np.abs(theirs))
    assert np.nanmax(gap) <= TOLERANCE


@pytest.fixture(scope="module")
def bars() -> dict[str, Array]:
    return stock_columns()


@pytest.mark.parametrize("n", PERIODS)
@pytest.mark.parametrize(
    ("kernel", "function"),
    [
        (window.Sma, talib.SMA),
        (window.Ema, talib.EMA),
        (window.Stddev, talib.STDDEV),
        (window.Rsi, talib.RSI),
        (window.Momentum, talib.MOM),
        (window.Roc, talib.ROC),
    ],
)
def test_a_kernel_of_closes_equals_talib(kernel, function, n, bars) -> None:
    close = bars["close"]

    assert_equal(function(close, n), kernel(n).batch(close))


@pytest.mark.parametrize("n", PERIODS)
@pytest.mark.parametrize(
    ("kernel", "function"),
    [(window.Atr, talib.ATR), (window.Adx, talib.ADX), (window.Williams, talib.WILLR)],
)
def test_a_kernel_of_ranges_equals_talib(kernel, function, n, bars) -> None:
    columns = bars["high"], bars["low"], bars["close"]

    assert_equal(function(*columns, n), kernel(n).batch(*columns))


@pytest.mark.parametrize("n", PERIODS)
def test_bollinger_bands_equal_talib(n, bars) -> None:
    close = bars["close"]

    upper, middle, lower = talib.BBANDS(close, n, 2.5, 2.5)

    assert_equal(upper, window.Bollinger(n, 2.5).batch(close))
    assert_equal(middle, window.Sma(n).batch(close))
    assert_equal(lower, window.Bollinger(n, -2.5).batch(close))


@pytest.mark.parametrize("periods", [(12, 26, 9), (5, 35, 5), (3, 100, 20), (2, 3, 1)])
def test_macd_equals_talib(periods, bars) -> None:
    close = bars["close"]

    for part, theirs in enumerate(talib.MACD(close, *periods)):
        assert_equal(theirs, window.Macd(*periods, part).batch(close))


@pytest.mark.parametrize("n", PERIODS)
def test_extremes_equal_talib_and_donchian_is_one_bar_late(n, bars) -> None:
    high, low = bars["high"], bars["low"]
    top, bottom = talib.MAX(high, n), talib.MIN(low, n)

    assert_equal(top, window.Highest(n).batch(high))
    assert_equal(bottom, window.Lowest(n).batch(low))
    assert_equal(np.append(np.nan, top[:-1]), window.Highest(n, skip=1).batch(high))
    assert_equal(np.append(np.nan, bottom[:-1]), window.Lowest(n, skip=1).batch(low))


def test_on_balance_volume_equals_talib(bars) -> None:
    theirs = talib.OBV(bars["close"], bars["volume"])

    assert_equal(theirs, window.Obv().batch(bars["close"], bars["volume"]))
