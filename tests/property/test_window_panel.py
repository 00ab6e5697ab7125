"""Does one call for all kernels of an instrument say what each says alone?"""

import numpy as np
import pytest
from stock_bars import stock_columns

from titanflow.native import window


def panel() -> window.Panel:
    return window.Panel(
        [window.Sma(20), window.Rsi(14), window.Atr(14), window.Obv(), window.Highest(20, skip=1)]
    )


@pytest.fixture(scope="module")
def bars() -> np.ndarray:
    columns = stock_columns()
    return np.column_stack([columns[name] for name in window.SOURCES])[:400]


def test_a_panel_says_what_its_kernels_say(bars) -> None:
    _, high, low, close, volume = bars.T.copy()

    said = panel().batch(bars)

    assert np.array_equal(window.Sma(20).batch(close), said[:, 0], equal_nan=True)
    assert np.array_equal(window.Rsi(14).batch(close), said[:, 1], equal_nan=True)
    assert np.array_equal(window.Atr(14).batch(high, low, close), said[:, 2], equal_nan=True)
    assert np.array_equal(window.Obv().batch(close, volume), said[:, 3], equal_nan=True)
    assert np.array_equal(window.Highest(20, skip=1).batch(high), said[:, 4], equal_nan=True)


def test_a_panel_fed_bar_by_bar_equals_the_whole_array_to_the_bit(bars) -> None:
    streaming = panel()

    pushed = np.array([streaming.push(*row) for row in bars])

    assert panel().batch(bars).tobytes() == pushed.tobytes()


def test_a_panel_goes_on_from_its_snapshot(bars) -> None:
    first, second = panel(), panel()
    first.batch(bars[:123])

    second.load(first.dump())

    assert first.digest() == second.digest()
    assert first.batch(bars[123:]).tobytes() == second.batch(bars[123:]).tobytes()


def test_an_empty_panel_says_nothing() -> None:
    assert window.Panel([]).push(1.0, 1.0, 1.0, 1.0, 1.0) == ()


def test_a_panel_refuses_what_is_no_kernel_and_one_kernel_twice() -> None:
    kernel = window.Sma(3)

    with pytest.raises(TypeError, match="Kernel"):
        window.Panel([3])
    with pytest.raises(ValueError, match="only once"):
        window.Panel([kernel, kernel])


@pytest.mark.parametrize("spoil", [lambda s: s[:-1], lambda s: s + b"x", lambda s: b""])
def test_a_snapshot_of_another_length_is_refused(spoil) -> None:
    with pytest.raises(ValueError, match="bytes is needed"):
        panel().load(spoil(panel().dump()))
    with pytest.raises(ValueError, match="bytes is needed"):
        window.Sma(3).load(spoil(window.Sma(3).dump()))


def test_a_snapshot_of_other_parameters_is_refused() -> None:
    with pytest.raises(ValueError, match="other parameters"):
        window.Bollinger(20, -2.0).load(window.Bollinger(20, 2.0).dump())


def test_a_snapshot_with_a_wild_ring_is_refused() -> None:
    snapshot = bytearray(window.Sma(3).dump())
    snapshot[64:72] = (3).to_bytes(8, "little")

    with pytest.raises(ValueError, match="ring starts at 3"):
        window.Sma(3).load(bytes(snapshot))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: window.Sma(0), "from 1 to 1000"),
        (lambda: window.Sma(1001), "from 1 to 1000"),
        (lambda: window.Rsi(1), "from 2 to 1000"),
        (lambda: window.Macd(26, 12, 9, 0), "fast must be below slow"),
        (lambda: window.Macd(12, 26, 9, 3), "part from 0 to 2"),
        (lambda: window.Sma(3, "colour"), "source out of"),
    ],
)
def test_a_kernel_refuses_parameters_that_make_no_sense(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_kernel_refuses_a_wrong_number_of_inputs() -> None:
    with pytest.raises(TypeError, match="3 values"):
        window.Atr(3).push(1.0)
    with pytest.raises(TypeError, match="3 arrays"):
        window.Atr(3).batch(np.ones(3))
    with pytest.raises(TypeError, match="equal length"):
        window.Obv().batch(np.ones(3), np.ones(4))
