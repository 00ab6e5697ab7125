"""Which features are there, and what does a name such as `sma_20` mean?

A feature is one named number with unit, look-back and source. Families take parameters, written
after the name: `sma_20`, `macd_line_12_26_9`, `bollinger_upper_20_2.5`. A name is parsed here and
nowhere else; a name that means nothing is answered with the nearest one that does. Every feature
looks back only: its kernel has seen no bar later than the one in hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import partial

import msgspec

from titanflow.core.base.errors import Problem, SpecError
from titanflow.core.base.ident import canonical, digest
from titanflow.native import window

FEATURES_MAX = 256
"""Most features of one arena; all of them are computed for every bar of every instrument."""

Make = Callable[..., window.Kernel]

_WIDTH = re.compile(r"(?:0\.[0-9]?[1-9]|[1-9][0-9]?(?:\.[0-9]?[1-9])?)")


class Family(msgspec.Struct, frozen=True):
    """Features that differ in their parameters only."""

    name: str
    unit: str
    source: str
    text: str
    """What it is, in one clause."""
    make: Make
    """Makes the kernel from the parameters."""
    periods: tuple[str, ...] = ()
    """Names of the whole-number parameters, in order."""
    least: int = 1
    """Smallest period."""
    width: bool = False
    """Whether a decimal width follows the periods."""
    example: str = ""
    """Parameters of the feature that the documentation shows, as they stand in its name."""

    def pattern(self) -> str:
        """Return the form of the names: `sma_<n>`."""
        words = [*self.periods, "width"] if self.width else list(self.periods)
        return "_".join([self.name, *(f"<{word}>" for word in words)])

    def shown(self) -> str:
        """Return the name that the documentation shows: `sma_20`."""
        return "_".join(part for part in (self.name, self.example) if part)


class Feature(msgspec.Struct, frozen=True):
    """One named number, computed from the bars known at its time."""

    name: str
    unit: str
    lookback: int
    """Bars until its first value; NaN before."""
    source: str
    """Columns of the bar that it reads."""
    text: str
    kernel: Callable[[], window.Kernel]
    """Makes a fresh kernel."""


def _column(name: str, unit: str) -> Family:
    return Family(name, unit, name, f"the bar's {name} itself", partial(window.Sma, 1, name))


def _upper(n: int, width: float) -> window.Kernel:
    return window.Bollinger(n, width)


def _lower(n: int, width: float) -> window.Kernel:
    return window.Bollinger(n, -width)


_MACD = ("fast", "slow", "signal")
_LINE, _SIGNAL, _HIST = (partial(window.Macd, part=part) for part in range(3))
_RANGE = "high, low, close"

FAMILIES: tuple[Family, ...] = (
    _column("open", "price"),
    _column("high", "price"),
    _column("low", "price"),
    _column("close", "price"),
    _column("volume", "units"),
    Family("sma", "price", "close", "simple moving average", window.Sma, ("n",), 1, example="20"),
    Family(
        "ema", "price", "close", "exponential moving average", window.Ema, ("n",), 1, example="20"
    ),
    Family(
        "macd_line", "price", "close", "fast minus slow exponential average", _LINE, _MACD, 2,
        example="12_26_9",
    ),
    Family(
        "macd_signal", "price", "close", "exponential average of the MACD line", _SIGNAL, _MACD, 2,
        example="12_26_9",
    ),
    Family(
        "macd_hist", "price", "close", "MACD line minus its signal", _HIST, _MACD, 2,
        example="12_26_9",
    ),
    Family(
        "bollinger_middle", "price", "close", "simple moving average", window.Sma, ("n",), 2,
        example="20",
    ),
    Family(
        "bollinger_upper", "price", "close", "average plus width standard deviations",
        _upper, ("n",), 2, width=True, example="20_2",
    ),
    Family(
        "bollinger_lower", "price", "close", "average minus width standard deviations",
        _lower, ("n",), 2, width=True, example="20_2",
    ),
    Family(
        "std", "price", "close", "population standard deviation", window.Stddev, ("n",), 2,
        example="20",
    ),
    Family(
        "rsi", "0 to 100", "close", "relative strength index (Wilder)", window.Rsi, ("n",), 2,
        example="14",
    ),
    Family(
        "roc", "percent", "close", "change against n bars before", window.Roc, ("n",), 1,
        example="120",
    ),
    Family(
        "momentum", "price", "close", "difference to n bars before", window.Momentum, ("n",), 1,
        example="10",
    ),
    Family(
        "highest", "price", "high", "largest high of the last n bars", window.Highest, ("n",), 1,
        example="20",
    ),
    Family(
        "lowest", "price", "low", "smallest low of the last n bars", window.Lowest, ("n",), 1,
        example="20",
    ),
    Family(
        "donchian_high", "price", "high", "largest high of the n bars before this one",
        partial(window.Highest, skip=1), ("n",), 1, example="20",
    ),
    Family(
        "donchian_low", "price", "low", "smallest low of the n bars before this one",
        partial(window.Lowest, skip=1), ("n",), 1, example="10",
    ),
    Family(
        "atr", "price", _RANGE, "average true range (Wilder)", window.Atr, ("n",), 1,
        example="14",
    ),
    Family(
        "adx", "0 to 100", _RANGE, "average directional index (Wilder)", window.Adx, ("n",), 2,
        example="14",
    ),
    Family(
        "williams", "-100 to 0", _RANGE, "Williams %R", window.Williams, ("n",), 2,
        example="14",
    ),
    Family("obv", "units", "close, volume", "on-balance volume, running", window.Obv),
    Family(
        "volume_sma", "units", "volume", "simple moving average of the volume",
        partial(window.Sma, source="volume"), ("n",), 1, example="20",
    ),
)  # fmt: skip

_BY_NAME = {family.name: family for family in FAMILIES}


def parse_feature(name: str, where: str = "features") -> Feature:
    """Return the feature that *name* means.

    Raises: SpecError at *where* with the nearest name that means something.

    >>> parse_feature("rsi_14").lookback
    15
    """
    stem, values = _split(name)
    family = _BY_NAME.get(stem)
    if family is None:
        raise SpecError([_unknown(name, stem, values, where)])
    numbers, nearest = _fit(family, values)
    if nearest != name:
        what = f"feature {name!r} is not of the form {family.pattern()} ({_bounds(family)})"
        raise SpecError([Problem(what, where, f"did you mean {nearest!r}?")])

    def make() -> window.Kernel:
        return family.make(*numbers)

    return Feature(name, family.unit, make().lookback, family.source, family.text, make)


def _split(name: str) -> tuple[str, list[str]]:
    """Return the family's name and the words after it that begin with a digit or a sign."""
    words = name.split("_")
    for index, word in enumerate(words):
        if index and word[:1] in "0123456789-+.":
            return "_".join(words[:index]), words[index:]
    return name, []


def _words(family: Family) -> tuple[str, ...]:
    return (*family.periods, "width") if family.width else family.periods


def _fit(family: Family, values: list[str]) -> tuple[list[int | float], str]:
    """Return the parameters as numbers, and the nearest valid name of the family."""
    words = _words(family)
    if len(values) != len(words):
        return [], family.shown()
    numbers: list[int | float] = []
    for word, value in zip(words, values, strict=True):
        if word == "width":
            numbers.append(float(value) if _WIDTH.fullmatch(value) else 2.0)
        else:
            digits = re.sub(r"[^0-9].*", "", value)[:7]
            numbers.append(min(max(int(digits or 0), family.least), window.PERIOD_MAX))
    if family.periods == _MACD and numbers[0] >= numbers[1]:
        return [], family.shown()
    return numbers, "_".join([family.name, *(f"{number:g}" for number in numbers)])


def _bounds(family: Family) -> str:
    if not family.periods:
        return "no parameters"
    bounds = f"periods from {family.least} to {window.PERIOD_MAX}"
    if family.width:
        bounds += ", width from 0.01 to 99.99"
    return bounds + (", fast below slow" if family.periods == _MACD else "")


def _unknown(name: str, stem: str, values: list[str], where: str) -> Problem:
    close = get_close_matches(stem.lower(), list(_BY_NAME), n=1, cutoff=0.5)
    do = "see docs/features.md for all of them"
    if close:
        family = _BY_NAME[close[0]]
        _, nearest = _fit(family, values)
        do = f"did you mean {nearest!r}?"
    return Problem(f"feature {name!r} is not registered", where, do)


class FeatureSchema:
    """The features of an arena in their fixed order; equal digests mean equal vectors."""

    __slots__ = ("digest", "features", "index", "names")

    def __init__(self, names: Sequence[str]) -> None:
        problems: list[Problem] = []
        features: list[Feature] = []
        for position, name in enumerate(names):
            where = f"features[{position}]"
            try:
                features.append(parse_feature(name, where))
            except SpecError as error:
                problems += error.problems
            if name in names[:position]:
                problems.append(Problem(f"feature {name!r} stands twice", where, "name it once"))
        if len(names) > FEATURES_MAX:
            what = f"{len(names)} features are more than {FEATURES_MAX}"
            problems.append(Problem(what, "features", "let contenders share periods"))
        if problems:
            raise SpecError(problems)
        self.features = tuple(features)
        self.names = tuple(names)
        self.index = {name: position for position, name in enumerate(names)}
        self.digest = digest(
            canonical([[f.name, f.unit, f.lookback, f.source] for f in self.features])
        )

    @classmethod
    def merged(cls, wanted: Sequence[Sequence[str]]) -> FeatureSchema:
        """Return the schema that holds the names of all lists once, in alphabetical order."""
        return cls(sorted({name for names in wanted for name in names}))

    def panel(self) -> window.Panel:
        """Return fresh kernels for one instrument, in the order of the names."""
        return window.Panel([feature.kernel() for feature in self.features])


def table() -> str:
    """Return the Markdown table of all families, for docs/features.md."""
    lines = ["| name | unit | reads | bars needed | what it is |", "|---|---|---|---|---|"]
    for family in FAMILIES:
        feature = parse_feature(family.shown())
        form = f"`{family.pattern()}`"
        if family.example:
            form += f", such as `{family.shown()}`"
        lines.append(
            f"| {form} | {family.unit} | {family.source} | {feature.lookback} | {family.text} |"
        )
    return "\n".join(lines) + "\n"
