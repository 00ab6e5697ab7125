"""Is a kernel the same bar by bar, as an array, from a snapshot, and as its definition reads?"""

import math
from collections.abc import Callable

import numpy as np
import pytest
import window_oracle as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from stock_bars import stock_columns

from titanflow.native import window

FEWER = settings(max_examples=30)
"""Each property runs for 18 kernels."""

Columns = dict[str, list[float]]

KERNELS: dict[str, tuple[Callable[[int], window.Kernel], str, Callable[[Columns, int], list]]] = {
    "sma": (window.Sma, "close", lambda b, n: oracle.sma(b["close"], n)),
    "ema": (window.Ema, "close", lambda b, n: oracle.ema(b["close"], n)),
    "stddev": (window.Stddev, "close", lambda b, n: oracle.stddev(b["close"], n)),
    "bollinger": (
        lambda n: window.Bollinger(n, -1.5),
        "close",
        lambda b, n: oracle.bollinger(b["close"], n, -1.5),
    ),
    "rsi": (window.Rsi, "close", lambda b, n: oracle.rsi(b["close"], n)),
    "momentum": (window.Momentum, "close", lambda b, n: oracle.momentum(b["close"], n)),
    "roc": (window.Roc, "close", lambda b, n: oracle.roc(b["close"], n)),
    "highest": (window.Highest, "high", lambda b, n: oracle.highest(b["high"], n)),
    "lowest": (window.Lowest, "low", lambda b, n: oracle.lowest(b["low"], n)),
    "donchian_high": (
        lambda n: window.Highest(n, skip=1),
        "high",
        lambda b, n: oracle.before(oracle.highest(b["high"], n)),
    ),
    "donchian_low": (
        lambda n: window.Lowest(n, skip=1),
        "low",
        lambda b, n: oracle.before(oracle.lowest(b["low"], n)),
    ),
    **{
        f"macd_{part}": (
            lambda n, part=part: window.Macd(n, n + 3, n, part),
            "close",
            lambda b, n, part=part: oracle.macd(b["close"], n, n + 3, n)[part],
        )
        for part in range(3)
    },
    "atr": (window.Atr, "high low close", lambda b, n: oracle.atr(*_range(b), n)),
    "williams": (window.Williams, "high low close", lambda b, n: oracle.williams(*_range(b), n)),
    "adx": (window.Adx, "high low close", lambda b, n: oracle.adx(*_range(b), n)),
    "obv": (
        lambda _: window.Obv(),
        "close volume",
        lambda b, _: oracle.obv(b["close"], b["volume"]),
    ),
}


def _range(bars: Columns) -> tuple[list[float], list[float], list[float]]:
    return bars["high"], bars["low"], bars["close"]


@st.composite
def walks(draw: st.DrawFn) -> Columns:
    """Draw bars in cents: rises, falls, standstills and jumps."""
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(1, 100_000), st.integers(0, 300), st.integers(0, 300), st.integers(0, 9)
            ),
            min_size=1,
            max_size=60,
        )
    )
    bars: Columns = {"high": [], "low": [], "close": [], "volume": []}
    for close, above, below, volume in rows:
        bars["close"].append(close / 100)
        bars["high"].append((close + above) / 100)
        bars["low"].append(max(close - below, 1) / 100)
        bars["volume"].append(volume * 100.0)
    return bars


def bits(values: object) -> bytes:
    return np.asarray(values, np.float64).tobytes()


def columns(bars: Columns, sources: str) -> list[np.ndarray]:
    return [np.array(bars[name]) for name in sources.split()]


@pytest.mark.parametrize("name", KERNELS)
@FEWER
@given(bars=walks(), n=st.integers(2, 12))
def test_a_kernel_equals_its_definition(name: str, bars: Columns, n: int) -> None:
    make, sources, definition = KERNELS[name]

    ours = make(n).batch(*columns(bars, sources))

    for expected, actual in zip(definition(bars, n), ours, strict=True):
        assert math.isnan(expected) == math.isnan(actual)
        if not math.isnan(expected):
            assert expected == pytest.approx(actual, rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("name", KERNELS)
@FEWER
@given(bars=walks(), n=st.integers(2, 12))
def test_bar_by_bar_equals_the_whole_array_to_the_bit(name: str, bars: Columns, n: int) -> None:
    make, sources, _ = KERNELS[name]
    arrays = columns(bars, sources)
    streaming = make(n)

    pushed = [streaming.push(*values) for values in zip(*arrays, strict=True)]

    whole = make(n)
    assert bits(whole.batch(*arrays)) == bits(pushed)
    assert whole.dump() == streaming.dump()


@pytest.mark.parametrize("name", KERNELS)
@FEWER
@given(bars=walks(), n=st.integers(2, 12), part=st.floats(0, 1))
def test_a_kernel_goes_on_from_its_snapshot(name: str, bars: Columns, n: int, part: float) -> None:
    make, sources, _ = KERNELS[name]
    arrays = columns(bars, sources)
    cut = int(len(arrays[0]) * part)
    first, second = make(n), make(n)
    first.batch(*(array[:cut] for array in arrays))

    second.load(first.dump())

    rest = [array[cut:] for array in arrays]
    assert first.dump() == second.dump()
    assert bits(first.batch(*rest)) == bits(second.batch(*rest))


@pytest.mark.parametrize("name", KERNELS)
def test_the_lookback_is_the_bar_of_the_first_value(name: str) -> None:
    make, sources, _ = KERNELS[name]
    kernel = make(7)
    values = kernel.batch(*(stock_columns()[source] for source in sources.split()))

    assert kernel.lookback == int(np.argmin(np.isnan(values))) + 1
    assert not np.isnan(values[kernel.lookback :]).any()


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_s_memory_does_not_grow(name: str) -> None:
    make, sources, _ = KERNELS[name]
    kernel = make(7)
    before = len(kernel.dump())

    kernel.batch(*(stock_columns()[source] for source in sources.split()))

    assert before == len(kernel.dump())


@given(price=st.integers(1, 10**7), count=st.integers(30, 50))
def test_a_flat_price_gives_no_nan_once_warm(price: int, count: int) -> None:
    flat = np.full(count, price / 100)

    for make, sources, _ in KERNELS.values():
        kernel = make(5)
        values = kernel.batch(*([flat] * len(sources.split())))
        assert np.isfinite(values[kernel.lookback - 1 :]).all()


def test_a_mean_does_not_depend_on_how_long_the_tape_ran() -> None:
    close = stock_columns()["close"]
    long, short = window.Sma(20).batch(close), window.Sma(20).batch(close[-50:])

    assert bits(long[-31:]) == bits(short[-31:])
