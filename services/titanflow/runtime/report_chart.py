"""How do curves become pictures? Inline SVG of daily series, in words for those who cannot see it.

Colours are CSS classes of the page (`s1` to `s8`, then grey), so that both themes work. Lines that
belong to benchmarks are dashed. Nothing is read from elsewhere and nothing moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from math import floor, log10

import msgspec

from titanflow.core.base.instant import NS_PER_DAY, format_date

COLOURS = 8
"""Colours that can be told apart; further lines are grey."""
POINTS_MAX = 480
"""Points of a line; the picture has about two pixels for each."""
WIDTH, HEIGHT = 960, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 168, 12, 30
LABEL_STEP = 15
LABEL_CHARACTERS = 18


class Line(msgspec.Struct, frozen=True):
    """One contender's values, one for each day of the chart."""

    name: str
    style: str
    """CSS classes: the colour, and `dashed` for a benchmark."""
    values: tuple[float, ...]


class Chart(msgspec.Struct, frozen=True):
    """A picture of lines over days. *tell* turns a value into text."""

    ident: str
    title: str
    days: tuple[int, ...]
    lines: tuple[Line, ...]
    tell: Callable[[float], str]


def style(place: int, *, dashed: bool) -> str:
    """Return the CSS classes of the line at a place of the leaderboard, counted from 0."""
    colour = f"s{place + 1}" if place < COLOURS else "s0"
    return f"{colour} dashed" if dashed else colour


def thin(values: Sequence[float], pick: Callable[[Sequence[float]], float]) -> tuple[float, ...]:
    """Return at most POINTS_MAX values: the first, then *pick* of each bucket of equal size."""
    size = -(-(len(values) - 1) // (POINTS_MAX - 1))
    if size <= 1:
        return tuple(values)
    return (
        values[0],
        *(pick(values[n : n + size]) for n in range(1, len(values), size)),
    )


def last(values: Sequence[float]) -> float:
    """Return the last value of a bucket."""
    return values[-1]


def svg(chart: Chart) -> str:
    """Return the picture with its description; it scales with the page."""
    if len(chart.days) < 2:
        return '<p class="muted">Not enough days to draw.</p>'
    values = [v for line in chart.lines for v in line.values]
    low, high, step = _range(min(values), max(values))
    span_days = max(chart.days[-1] - chart.days[0], 1)

    def x(day: int) -> float:
        return LEFT + (day - chart.days[0]) / span_days * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    names = f"{chart.ident}-title {chart.ident}-desc"
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{names}">',
        f'<title id="{chart.ident}-title">{escape(chart.title)}</title>',
        f'<desc id="{chart.ident}-desc">{escape(_describe(chart))}</desc>',
        *_grid(chart, (low, high, step), y),
        *_dates(chart, x),
    ]
    for line in reversed(chart.lines):
        points = " ".join(
            f"{x(day):.1f},{y(value):.1f}"
            for day, value in zip(chart.days, line.values, strict=True)
        )
        parts.append(f'<polyline class="line {line.style}" points="{points}"/>')
    parts += _labels(chart, y)
    parts.append("</svg>")
    return "\n".join(parts)


def interval_svg(low: float, value: float, high: float, bounds: tuple[float, float]) -> str:
    """Return a small bar from *low* to *high*, a dot at *value*; the words stand beside it."""
    left, right = bounds
    scale = 96 / (right - left) if right > left else 0.0
    a, b, c, zero = (round(4 + (v - left) * scale, 1) for v in (low, value, high, 0.0))
    return (
        '<svg class="interval" viewBox="0 0 104 16" aria-hidden="true">'
        f'<line class="zero" x1="{zero}" x2="{zero}" y1="1" y2="15"/>'
        f'<line class="bar" x1="{a}" x2="{c}" y1="8" y2="8"/>'
        f'<line class="bar" x1="{a}" x2="{a}" y1="5" y2="11"/>'
        f'<line class="bar" x1="{c}" x2="{c}" y1="5" y2="11"/>'
        f'<circle class="dot" cx="{b}" cy="8" r="3"/></svg>'
    )


def _range(low: float, high: float) -> tuple[float, float, float]:
    """Return a range of whole steps around the values, and the step."""
    if high - low < 1e-9:
        low, high = low - 0.01, high + 0.01
    rough = (high - low) / 5
    power = 10.0 ** floor(log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    return floor(low / step) * step, -floor(-high / step) * step, step


def _grid(
    chart: Chart, scale: tuple[float, float, float], y: Callable[[float], float]
) -> list[str]:
    low, high, step = scale
    parts = []
    for n in range(round((high - low) / step) + 1):
        value = low + n * step
        kind = "axis" if abs(value) < step / 1e6 else "grid"
        at = y(value)
        parts.append(
            f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
            f'<text class="tick" x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">'
            f"{chart.tell(value)}</text>"
        )
    return parts


def _dates(chart: Chart, x: Callable[[int], float]) -> list[str]:
    first, final = chart.days[0], chart.days[-1]
    count = min(5, final - first)
    parts = []
    for n in range(count + 1):
        day = first + (final - first) * n // count
        anchor = "start" if n == 0 else "end" if n == count else "middle"
        parts.append(
            f'<text class="tick" x="{x(day):.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">'
            f"{format_date(day * NS_PER_DAY)}</text>"
        )
    return parts


def _labels(chart: Chart, y: Callable[[float], float]) -> list[str]:
    """Return names at the ends of the coloured lines, pushed apart where they would meet."""
    named = [line for line in chart.lines if not line.style.startswith("s0")]
    named.sort(key=lambda line: -line.values[-1])
    parts = []
    at = float(TOP)
    bottom = HEIGHT - BOTTOM + 4 - LABEL_STEP * len(named)
    for n, line in enumerate(named):
        wanted = min(y(line.values[-1]) + 4, bottom + LABEL_STEP * (n + 1))
        at = max(wanted, at + LABEL_STEP if n else wanted)
        name = line.name
        if len(name) > LABEL_CHARACTERS:
            name = name[: LABEL_CHARACTERS - 1] + "…"
        parts.append(
            f'<text class="name {line.style}" x="{WIDTH - RIGHT + 8}" y="{at:.1f}">'
            f"{escape(name)}</text>"
        )
    return parts


def _describe(chart: Chart) -> str:
    first, final = (format_date(chart.days[n] * NS_PER_DAY) for n in (0, -1))
    ends = "; ".join(f"{line.name} ends at {chart.tell(line.values[-1])}" for line in chart.lines)
    return f"{len(chart.lines)} lines from {first} to {final}. {ends}. The table below says more."
