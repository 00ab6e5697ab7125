"""The rolling kernels once more, over whole lists and as their definitions read.

Each function takes a list and returns a list of equal length, NaN while there are too few values.
Nothing here is carried from one value to the next unless the definition itself is recursive.
"""

from __future__ import annotations

import math
from itertools import pairwise

NAN = math.nan
Series = list[float]


def windows(x: Series, n: int) -> list[Series | None]:
    """Return for each place the last n values, None where there are fewer."""
    return [x[at - n + 1 : at + 1] if at >= n - 1 else None for at in range(len(x))]


def mean(x: Series) -> float:
    total = 0.0
    for value in x:
        total += value
    return total / len(x)


def deviation(x: Series) -> float:
    middle = mean(x)
    total = 0.0
    for value in x:
        total += (value - middle) * (value - middle)
    return math.sqrt(total / len(x))


def sma(x: Series, n: int) -> Series:
    return [NAN if w is None else mean(w) for w in windows(x, n)]


def stddev(x: Series, n: int) -> Series:
    return [NAN if w is None else deviation(w) for w in windows(x, n)]


def bollinger(x: Series, n: int, width: float) -> Series:
    return [NAN if w is None else mean(w) + width * deviation(w) for w in windows(x, n)]


def highest(x: Series, n: int) -> Series:
    return [NAN if w is None else max(w) for w in windows(x, n)]


def lowest(x: Series, n: int) -> Series:
    return [NAN if w is None else min(w) for w in windows(x, n)]


def before(x: Series) -> Series:
    """Return each value one place later: what was known before the newest bar."""
    return [NAN, *x[:-1]]


def momentum(x: Series, n: int) -> Series:
    return [x[at] - x[at - n] if at >= n else NAN for at in range(len(x))]


def roc(x: Series, n: int) -> Series:
    return [(x[at] / x[at - n] - 1.0) * 100.0 if at >= n else NAN for at in range(len(x))]


def smooth(x: Series, n: int, first: int) -> Series:
    """Return the exponential average, seeded at place *first* with the mean of n values."""
    out: Series = []
    for at, value in enumerate(x):
        if at < first:
            out.append(NAN)
        elif at == first:
            out.append(mean(x[at - n + 1 : at + 1]))
        else:
            out.append(out[-1] + (value - out[-1]) * (2.0 / (n + 1)))
    return out


def ema(x: Series, n: int) -> Series:
    return smooth(x, n, n - 1)


def macd(x: Series, fast: int, slow: int, signal: int) -> tuple[Series, Series, Series]:
    quick, late = smooth(x, fast, slow - 1), smooth(x, slow, slow - 1)
    line = [a - b for a, b in zip(quick, late, strict=True)]
    first = slow + signal - 2
    told = smooth(line, signal, first)
    line = [NAN if at < first else value for at, value in enumerate(line)]
    return line, told, [a - b for a, b in zip(line, told, strict=True)]


def wilder(x: Series, n: int, first: int) -> Series:
    """Return Wilder's average, seeded at place *first* with the mean of n values."""
    out: Series = []
    for at, value in enumerate(x):
        if at < first:
            out.append(NAN)
        elif at == first:
            out.append(mean(x[at - n + 1 : at + 1]))
        else:
            out.append((out[-1] * (n - 1) + value) / n)
    return out


def rsi(x: Series, n: int) -> Series:
    changes = [0.0, *(b - a for a, b in pairwise(x))]
    gains = wilder([max(change, 0.0) for change in changes], n, n)
    losses = wilder([max(-change, 0.0) for change in changes], n, n)
    out: Series = []
    for gain, loss in zip(gains, losses, strict=True):
        whole = gain + loss
        out.append(0.0 if abs(whole) < 1e-14 else 100.0 * (gain / whole))
    return out


def true_ranges(high: Series, low: Series, close: Series) -> Series:
    return [0.0] + [
        max(high[at] - low[at], abs(close[at - 1] - high[at]), abs(close[at - 1] - low[at]))
        for at in range(1, len(close))
    ]


def atr(high: Series, low: Series, close: Series, n: int) -> Series:
    return wilder(true_ranges(high, low, close), n, n)


def williams(high: Series, low: Series, close: Series, n: int) -> Series:
    out: Series = []
    for top, bottom, value in zip(highest(high, n), lowest(low, n), close, strict=True):
        out.append(0.0 if top == bottom else -100.0 * (top - value) / (top - bottom))
    return out


def decayed(x: Series, n: int) -> Series:
    """Return Wilder's running sum: plain over the first n - 1 values, then less one n-th each."""
    out, total = [0.0], 0.0
    for at, value in enumerate(x[1:], start=1):
        total = total + value if at < n else total - total / n + value
        out.append(total)
    return out


def adx(high: Series, low: Series, close: Series, n: int) -> Series:
    plus, minus = [0.0], [0.0]
    for at in range(1, len(close)):
        up, down = high[at] - high[at - 1], low[at - 1] - low[at]
        plus.append(up if up > 0.0 and up > down else 0.0)
        minus.append(down if down > 0.0 and down > up else 0.0)
    ranges = decayed(true_ranges(high, low, close), n)
    rises, falls = decayed(plus, n), decayed(minus, n)
    out: Series = [NAN] * min(2 * n - 1, len(close))
    strengths: Series = []
    for at in range(n, len(close)):
        strength = None
        if abs(ranges[at]) >= 1e-14:
            up, down = 100.0 * (rises[at] / ranges[at]), 100.0 * (falls[at] / ranges[at])
            if abs(up + down) >= 1e-14:
                strength = 100.0 * (abs(down - up) / (up + down))
        if at < 2 * n:
            strengths.append(strength or 0.0)
            if at == 2 * n - 1:
                out.append(mean(strengths))
        else:
            last = out[-1]
            out.append(last if strength is None else (last * (n - 1) + strength) / n)
    return out


def obv(close: Series, volume: Series) -> Series:
    out = [volume[0]]
    for at in range(1, len(close)):
        sign = (close[at] > close[at - 1]) - (close[at] < close[at - 1])
        out.append(out[-1] + sign * volume[at])
    return out
