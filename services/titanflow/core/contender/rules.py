"""Which rules are built in? Eight classics, two of them the benchmarks that everyone must beat.

A rule is a contender like anyone's own class; it looks at nothing but its View and keeps nothing
between bars. `stance` is the whole decision in a few comparisons; the explanation is made only when
someone asks. While a feature still warms up it is NaN, every comparison is false, and the answer is
HOLD. Where `short` is "false" (the default), SELL means: hold none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from titanflow.core.contender.explain import opinion_of
from titanflow.core.contender.protocol import Opinion, Part, View
from titanflow.core.spec.words import Side
from titanflow.native.window import PERIOD_MAX

BUYING_BARS = 20
"""Bars in which BuyAndHold completes its position: the market's volume caps what one bar fills."""


class Parameter(msgspec.Struct, frozen=True):
    """One parameter of a rule: a string in the manifest, a number or a flag here."""

    name: str
    default: str
    low: float
    high: float
    whole: bool = True
    flag: bool = False


def _period(name: str, default: int, low: int = 2) -> Parameter:
    return Parameter(name, str(default), low, PERIOD_MAX)


SHORT = Parameter("short", "false", 0, 1, flag=True)


class Rule(Protocol):
    """A built-in rule: a contender with a fast lane and its reasons."""

    features: tuple[str, ...]

    def stance(self, view: View) -> float | None:
        """Return the strength, or None to hold."""
        ...

    def reasons(self, view: View) -> tuple[float, tuple[Part, ...], str]:
        """Return base and parts of the score, and a sentence. All features are warm."""
        ...

    def decide(self, view: View) -> Opinion:
        """Return the stance with its explanation."""
        ...


class BuyAndHold:
    """Buys at the first chance and never sells: a pinned benchmark."""

    def __init__(self) -> None:
        self.features: tuple[str, ...] = ()

    def stance(self, view: View) -> float | None:
        """Buy until the position has been held for some bars."""
        return 1.0 if view.bars_held < BUYING_BARS else None

    def reasons(self, view: View) -> tuple[float, tuple[Part, ...], str]:
        """Explain: there is one reason, always the same."""
        return 1.0, (), f"buy and hold; held for {view.bars_held} bars"

    def decide(self, view: View) -> Opinion:
        """Return the stance with its explanation."""
        return opinion_of(self, view)


class Random:
    """Buys or sells by lot, on average once in *period* bars: a pinned benchmark."""

    def __init__(self, *, period: int = 20, short: bool = False) -> None:
        self.features: tuple[str, ...] = ()
        self._part = 0.5 / period
        self._down = -1.0 if short else 0.0

    def stance(self, view: View) -> float | None:
        """Draw a number that depends on the belief, and buy or sell when it is small."""
        draw = view.chance(b"random")
        if draw < self._part:
            return 1.0
        return self._down if draw < 2.0 * self._part else None

    def reasons(self, view: View) -> tuple[float, tuple[Part, ...], str]:
        """Show the draw."""
        draw = view.chance(b"random")
        stance = self.stance(view)
        gain = 0.0 if stance is None else 1.0 if stance > 0.0 else -1.0
        part = Part("chance", draw, gain)
        text = f"drew {draw:.4f}; below {self._part:.4f} buys, below {2 * self._part:.4f} sells"
        return 0.0, (part,), text

    def decide(self, view: View) -> Opinion:
        """Return the stance with its explanation."""
        return opinion_of(self, view)


class SmaCrossover:
    """Long while the fast simple average is above the slow one."""

    def __init__(self, *, fast: int = 20, slow: int = 100, short: bool = False) -> None:
        self._fast, self._slow = f"sma_{fast}", f"sma_{slow}"
        self.features: tuple[str, ...] = (self._fast, self._slow)
        self._down = -1.0 if short else 0.0

    def stance(self, view: View) -> float | None:
        """Compare the averages."""
        fast, slow = view[self._fast], view[self._slow]
        if fast > slow:
            return 1.0
        return self._down if fast < slow else None

    def reasons(self, view: View) -> tuple[float, tuple[Part, ...], str]:
        """Explain: the score is how far the fast average is above the slow one."""
        fast, slow = view[self._fast], view[self._slow]
        parts = (Part(self._fast, fast, fast / slow), Part(self._slow, slow, -1.0))
        word = "above" if fast > slow else "below" if fast < slow else "at"
        return 0.0, parts, f"{self._fast} is {word} {self._slow}"

    def decide(self, view: View) -> Opinion:
        """Return the stance with its explanation."""
        return opinion_of(self, view)


class RsiReversion:
    """Buys what fell too fast and sells what rose too fast, by the relative strength index."""

    def __init__(
        self, *, period: int = 14, low: int = 30, high: int = 70, short: bool = False
    ) -> None:
        self._rsi = f"rsi_{period}"
        self.features: tuple[str, ...] = (self._rsi,)
        self._low, self._high = low, high
        self._down = -1.0 if short else 0.0

    def stance(self, view: View) -> float | None:
        """Compare the index with its two bounds."""
        rsi = view[self._rsi]
        if rsi < self._low:
            return 1.0
        return self._down if rsi > self._high else None

    def reasons(self, view: View) -> tuple[float, tuple[Part, ...], str]:
        """Explain: the score is 1 at an index of 0 and -1 at 100."""
        rsi = view[self._rsi]
        text = f"{self._rsi} is {rsi:.1f}; below {self._low} buys, above {self._high} sells"
        return 1.0, (Part(self._rsi, rsi, -rsi / 50.0),), text

    def decide(self, view: View) -> Opinion:
        """Return the stance with its explanation."""
        return opinion_of(self, view)


class BollingerReversion:
    """Buys below the lower Bollinger band and sells above the upper one."""

    def __init__(self, *, period: int = 20, width: float = 2.0, short: bool = False) -> None:
        self._middle = f"bollinger_middle_{period}"
        self._upper = f"bollinger_upper_{period}_{width:g}"
        self._lower = f"bollinger_lower_{period}_{width:g}"
        self.features: tuple[str, ...] = (self._lower, self._middle, self._upper)
        self._down = -1.0 if short else 0.0

    def stance(self, view: View) -> float | None:
        """Compare the close with the bands."""
        close = view.close
        if close < view[self._lower]:
            return 1.0
        return self._down if close > view[self._upper] else None

    def reasons(self, view: View) -> tuple[float, tuple[Part, ...], str]:
        """Explain: the score is 1 at the lower band and -1 at the upper one."""
        close, middle = view.close, view[self._middle]
        half = view[self._upper] - middle
        if half <= 0.0:
            return 0.0, (), "the bands have no width"
        parts = (Part(self._middle, middle, middle / half), Part("close", close, -close / half))
        text = f"close is {(close - middle) / half:+.2f} half widths from the middle"
        return 0.0, parts, text

    def decide(self, view: View) -> Opinion:
        """Return the stance with its explanation."""
        return opinion_of(self, view)


class DonchianBreakout:
    """Enters when the close leaves the channel of *entry* bars, exits at the channel of *exit*."""

    def __init__(self, *, entry: int = 20, exit: int = 10, short: bool = False) -> None:  # noqa: A002 - the manifest's word
        self._high, self._low = f"donchian_high_{entry}", f"donchian_low_{entry}"
        self._exit_high, self._exit_low = f"donchian_high_{exit}", f"donchian_low_{exit}"
        self.features: tuple[str, ...] = tuple(
            dict.fromkeys((self._high, self._low, self._exit_high, self._exit_low))
        )
        self._short = short

    def stance(self, view: View) -> float | None:
        """Compare the close with the channels before this bar, given the side held."""
        close = view.close
        if close > view[self._high]:
            return 1.0
        if self._short and close < view[self._low]:
            return -1.0
        side = view.side
        out = (side is Side.BUY and close < view[self._exit_low]) or (
            side is Side.SELL and close > view[self._exit_high]
        )
        return 0.0 if out else None

    def reasons(self, view: View) -> tuple[float, tuple[Part, ...], str]:
        """Explain: the score is how far the close is beyond the edge that it is measured at."""
        close = view.close
        lower = self._exit_low if view.side is Side.BUY else self._low
        edge = lower if close < view[lower] else self._high
        if view.side is Side.SELL and view[self._exit_high] < close <= view[self._high]:
            edge = self._exit_high
        parts = (Part("close", close, close / view[edge]), Part(edge, view[edge], -1.0))
        return 0.0, parts, f"close is {close / view[edge] - 1.0:+.2%} from {edge}"

    def decide(self, view: View) -> Opinion:
        """Return the stance with its explanation."""
        return opinion_of(self, view)


class TimeSeriesMomentum:
    """Long after a rise over *lookback* bars.

    Source: Moskowitz, Ooi and Pedersen (2012), "Time series momentum"; sign of the past return.
    """

    def __init__(self, *, lookback: int = 120, short: bool = False) -> None:
        self._roc = f"roc_{lookback}"
        self.features: tuple[str, ...] = (self._roc,)
        self._down = -1.0 if short else 0.0

    def stance(self, view: View) -> float | None:
        """Take the sign of the past return."""
        roc = view[self._roc]
        if roc > 0.0:
            return 1.0
        return self._down if roc < 0.0 else None

    def reasons(self, view: View) -> tuple[float, tuple[Part, ...], str]:
        """Explain: the score is the past return as a fraction."""
        roc = view[self._roc]
        return 0.0, (Part(self._roc, roc, roc / 100.0),), f"{self._roc} is {roc:+.2f} %"

    def decide(self, view: View) -> Opinion:
        """Return the stance with its explanation."""
        return opinion_of(self, view)


class Macd:
    """Long while the MACD line is above its signal."""

    def __init__(
        self, *, fast: int = 12, slow: int = 26, signal: int = 9, short: bool = False
    ) -> None:
        self._line = f"macd_line_{fast}_{slow}_{signal}"
        self._signal = f"macd_signal_{fast}_{slow}_{signal}"
        self.features: tuple[str, ...] = (self._line, self._signal)
        self._down = -1.0 if short else 0.0

    def stance(self, view: View) -> float | None:
        """Compare line and signal."""
        line, signal = view[self._line], view[self._signal]
        if line > signal:
            return 1.0
        return self._down if line < signal else None

    def reasons(self, view: View) -> tuple[float, tuple[Part, ...], str]:
        """Explain: the score is the gap as a fraction of the close."""
        line, signal, close = view[self._line], view[self._signal], view.close
        parts = (Part(self._line, line, line / close), Part(self._signal, signal, -signal / close))
        word = "above" if line > signal else "below" if line < signal else "at"
        return 0.0, parts, f"the MACD line is {word} its signal"

    def decide(self, view: View) -> Opinion:
        """Return the stance with its explanation."""
        return opinion_of(self, view)


_MACD = (_period("fast", 12), _period("slow", 26), _period("signal", 9, low=1), SHORT)

RULES: dict[str, tuple[Callable[..., Rule], tuple[Parameter, ...]]] = {
    "BuyAndHold": (BuyAndHold, ()),
    "Random": (Random, (_period("period", 20, low=1), SHORT)),
    "SmaCrossover": (SmaCrossover, (_period("fast", 20, low=1), _period("slow", 100), SHORT)),
    "RsiReversion": (
        RsiReversion,
        (
            _period("period", 14),
            Parameter("low", "30", 1, 98),
            Parameter("high", "70", 2, 99),
            SHORT,
        ),
    ),
    "BollingerReversion": (
        BollingerReversion,
        (_period("period", 20), Parameter("width", "2", 0.01, 99.99, whole=False), SHORT),
    ),
    "DonchianBreakout": (
        DonchianBreakout,
        (_period("entry", 20, low=1), _period("exit", 10, low=1), SHORT),
    ),
    "TimeSeriesMomentum": (TimeSeriesMomentum, (_period("lookback", 120, low=1), SHORT)),
    "Macd": (Macd, _MACD),
}
"""Each rule by its name in the manifest, with its parameters."""

ASCENDING = {
    "SmaCrossover": ("fast", "slow"),
    "RsiReversion": ("low", "high"),
    "Macd": ("fast", "slow"),
}
"""Pairs of parameters of which the first must be below the second."""
