"""What does a session look like to somebody who was not there? One HTML page, whole in itself.

It loads nothing, runs nothing and says the same for the same session, byte for byte. Every number
comes from the record; what people typed (names, notes, reasons) is escaped. Both themes follow the
reader's system.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import isnan
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from titanflow.core.base.errors import AdapterError
from titanflow.core.base.fixed import MINOR_PER_UNIT, format_decimal
from titanflow.core.base.instant import NS_PER_DAY, format_date, format_instant
from titanflow.core.facts import Fact, Fill, Quarantine, Split, Standing
from titanflow.core.spec.words import Side
from titanflow.runtime.report_chart import Chart, Line, interval_svg, last, style, svg, thin
from titanflow.runtime.report_style import STYLE

CONTENT_RULE = """<meta http-equiv="Content-Security-Policy" \
content="default-src 'none'; style-src 'unsafe-inline'">"""
NONE = "–"
"""What stands where a number has no value."""


class ReportData(msgspec.Struct, frozen=True):
    """All that the page tells. Money in minor units; `equity` is (contenders, days)."""

    arena: str
    session: str
    currency: str
    contenders: tuple[str, ...]
    days: NDArray[np.int64]
    equity: NDArray[np.int64]
    standings: tuple[Standing, ...]
    fills: tuple[Fill, ...]
    """The last ones of the session, oldest first."""
    fills_total: int
    incidents: tuple[Fact, ...]
    tick_sizes: Mapping[str, int]
    meta: tuple[tuple[str, str], ...]
    """Facts about the session, as (name, value)."""


def write_report(path: Path, session: ReportData) -> None:
    """Write the page to *path*, whole or not at all.

    Raises: AdapterError if the file cannot be written.
    """
    temporary = path.with_name(path.name + ".new")
    try:
        temporary.write_text(render(session), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise AdapterError(f"cannot write the report {path}: {error.strerror}") from error


def render(session: ReportData) -> str:
    """Return the page."""
    title = f"TitanFlow · {session.arena} · {session.session}"
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            # The browser itself shall refuse whatever would be loaded from elsewhere.
            CONTENT_RULE,
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
            '<a class="skip" href="#board">Skip to the leaderboard</a>',
            _header(session),
            "<main>",
            _leaderboard(session),
            _curves(session),
            _fills(session),
            _incidents(session),
            _meta(session),
            "</main>\n</body>\n</html>\n",
        ]
    )


def headline(standings: Sequence[Standing]) -> str:
    """Return who leads, whether that means anything, and what the benchmarks made."""
    pinned = [f"{s.contender} {_percent(s.total_return)}" for s in standings if s.pinned]
    beside = f" Benchmarks: {', '.join(pinned)}." if pinned else ""
    return _leader([s for s in standings if s.rank > 0]) + beside


def _leader(ranked: Sequence[Standing]) -> str:
    if not ranked:
        return "Nobody is ranked yet: there is not enough data."
    leader = ranked[0]
    if len(ranked) == 1:
        return f"{leader.contender} is the only ranked contender ({_percent(leader.total_return)})."
    second = ranked[1]
    if second.rank == leader.rank:
        return f"{leader.contender} and {second.contender} share the first rank."
    apart = leader.return_low > second.return_high
    sure = (
        "and the 95 % intervals of their returns are apart."
        if apart
        else "but the 95 % intervals of their returns overlap: the order may be chance."
    )
    return (
        f"{leader.contender} leads with {_percent(leader.total_return)}, before "
        f"{second.contender} with {_percent(second.total_return)}, {sure}"
    )


def _header(session: ReportData) -> str:
    span = ""
    if len(session.days) > 1:
        # The first point is the starting capital, the day before trading.
        first, final = (format_date(int(session.days[n]) * NS_PER_DAY) for n in (1, -1))
        span = f" · {first} to {final}"
    return (
        '<header>\n<p class="brand">TitanFlow <span class="badge">Simulation</span></p>\n'
        f"<h1>Arena {escape(session.arena)}</h1>\n"
        f'<p class="lead">{escape(headline(session.standings))}</p>\n'
        f'<p class="muted">Session <code>{escape(session.session)}</code>{span} · '
        f"amounts in {escape(session.currency)}, simulated money</p>\n</header>"
    )


def _leaderboard(session: ReportData) -> str:
    heads = (
        ">#", "Contender", ">Return", ">95 % interval", ">Sharpe", ">Sortino", ">Calmar",
        ">Volatility", ">Max drawdown", ">Win rate", ">Profit factor", ">Turnover", ">Exposure",
        ">Equity", ">Fees", ">Fills", ">Orders", ">Refusals", "State", "Note",
    )  # fmt: skip
    edges = [v for s in session.standings for v in (s.return_low, s.return_high, s.total_return)]
    known = [v for v in edges if not isnan(v)] or [0.0]
    bounds = (min(0.0, *known), max(0.0, *known))
    rows = [_standing(row, place, bounds) for place, row in enumerate(session.standings)]
    return _section(
        "board",
        "Leaderboard",
        _table(
            "Standings at the end of the session. Ratios per year of 252 days; the interval is a "
            "block bootstrap of daily returns; turnover is traded value over mean equity.",
            heads,
            rows,
        ),
    )


def _standing(s: Standing, place: int, bounds: tuple[float, float]) -> list[str]:
    if isnan(s.return_low):
        interval = _cell(s.note or NONE, "num muted")
    else:
        words = f"{_percent(s.return_low)} to {_percent(s.return_high)}"
        picture = interval_svg(s.return_low, s.total_return, s.return_high, bounds)
        interval = f'<td class="num">{picture} {words}</td>'
    key = f'<svg class="key" viewBox="0 0 20 8" aria-hidden="true"><line class="line \
{style(place, dashed=s.pinned)}" x1="0" x2="20" y1="4" y2="4"/></svg>'
    tone = "gain" if s.total_return > 0 else "loss" if s.total_return < 0 else ""
    return [
        _cell("pinned" if s.pinned else str(s.rank or NONE), "num"),
        f'<th scope="row">{key} {escape(s.contender)}</th>',
        _cell(_percent(s.total_return, arrow=True), f"num {tone}"),
        interval,
        *(_cell(_ratio(v), "num") for v in (s.sharpe, s.sortino, s.calmar)),
        *(_cell(_percent(v, sign=False), "num") for v in (s.volatility, s.max_drawdown)),
        _cell(_percent(s.win_rate, sign=False), "num"),
        _cell(_ratio(s.profit_factor), "num"),
        _cell(NONE if isnan(s.turnover) else f"{s.turnover:,.2f}×", "num"),
        _cell(_percent(s.exposure, sign=False), "num"),
        *(_cell(_money(v), "num") for v in (s.equity, s.fees)),
        *(_cell(f"{v:,}", "num") for v in (s.fills, s.orders, s.refusals)),
        _cell(s.state),
        _cell(s.note or ("" if s.tier == "Paper" else s.tier)),
    ]


def _curves(session: ReportData) -> str:
    index = {name: n for n, name in enumerate(session.contenders)}
    equity = session.equity.astype(np.float64)
    days = tuple(int(d) for d in thin(session.days.tolist(), last)) if len(session.days) else ()
    grown, fallen = [], []
    for place, s in enumerate(session.standings):
        curve = equity[index[s.contender]]
        if len(curve) == 0:
            continue
        look = style(place, dashed=s.pinned)
        change = (curve / s.capital - 1.0).tolist()
        peak = np.maximum.accumulate(curve)
        grown.append(Line(s.contender, look, thin(change, last)))
        fallen.append(Line(s.contender, look, thin((curve / peak - 1.0).tolist(), min)))
    charts = (
        Chart("equity", "Return since the start", days, tuple(grown), _axis),
        Chart("drawdown", "Fall from the highest equity so far", days, tuple(fallen), _axis),
    )
    return "\n".join(
        _section(chart.ident, chart.title, f'<div class="chart">{svg(chart)}</div>{_spread(chart)}')
        for chart in charts
    )


def _spread(chart: Chart) -> str:
    """Return the chart as a table, folded away."""
    rows = [
        [
            f'<th scope="row">{escape(line.name)}</th>',
            *(
                _cell(_percent(v), "num")
                for v in (min(line.values), max(line.values), line.values[-1])
            ),
        ]
        for line in chart.lines
    ]
    heads = ("Contender", ">Lowest", ">Highest", ">Last")
    table = _table(f"{chart.title}, by contender", heads, rows)
    return f"<details><summary>View as table</summary>{table}</details>"


def _fills(session: ReportData) -> str:
    heads = (
        "Time (UTC)", "Contender", "Instrument", "Side", ">Lots", ">Price", ">Fee", "Liquidity",
        "Order",
    )  # fmt: skip
    rows = [_fill(fill, session) for fill in reversed(session.fills)]
    shown = (
        f"All {session.fills_total:,} fills, newest first."
        if len(session.fills) == session.fills_total
        else f"The last {len(session.fills):,} of {session.fills_total:,} fills, newest first; "
        "the journal holds them all."
    )
    return _section("fills", "Fills", _table(shown, heads, rows, tall=True))


def _fill(fill: Fill, session: ReportData) -> list[str]:
    side = "▲ Buy" if fill.side is Side.BUY else "▼ Sell"
    price = format_decimal(fill.price_ticks * session.tick_sizes[fill.symbol])
    return [
        _cell(format_instant(fill.at)),
        f'<th scope="row">{escape(fill.contender)}</th>',
        _cell(fill.symbol),
        _cell(side),
        _cell(f"{fill.quantity_lots:,}", "num"),
        _cell(price, "num"),
        _cell(_money(fill.fee), "num"),
        _cell(fill.liquidity.value),
        f"<td><code>{escape(fill.client_order_id)}</code></td>",
    ]


def _incidents(session: ReportData) -> str:
    heads = ("Time (UTC)", "Instrument", "What", "Detail")
    rows = []
    for fact in session.incidents:
        if isinstance(fact, Split):
            what, detail = "Split", f"{fact.numerator} for {fact.denominator}; {fact.source}"
        elif isinstance(fact, Quarantine):
            what, detail = f"Quarantine: {fact.rule}", fact.detail
        else:
            continue
        rows.append(
            [
                _cell(format_instant(fact.at)),
                f'<th scope="row">{escape(fact.symbol)}</th>',
                _cell(what),
                _cell(detail),
            ]
        )
    caption = "Splits, and bars that the quality gate kept out."
    return _section("incidents", "Market incidents", _table(caption, heads, rows, tall=True))


def _meta(session: ReportData) -> str:
    rows = [
        [f'<th scope="row">{escape(name)}</th>', f"<td><code>{escape(value)}</code></td>"]
        for name, value in session.meta
    ]
    table = _table("What is needed to run it again.", ("Name", "Value"), rows)
    return _section("session", "Session", table)


def _section(ident: str, title: str, body: str) -> str:
    return (
        f'<section aria-labelledby="{ident}-head" id="{ident}">\n'
        f'<h2 id="{ident}-head">{escape(title)}</h2>\n{body}\n</section>'
    )


def _table(
    caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, tall: bool = False
) -> str:
    """Return a table in a region that scrolls by itself, by keyboard too.

    Cells are HTML, *heads* are text; one that begins with ">" stands over numbers.
    """
    if not rows:
        return f'<p class="muted">{escape(caption)} There are none.</p>'
    head = "".join(
        f'<th scope="col" class="num">{escape(h[1:])}</th>'
        if h.startswith(">")
        else f'<th scope="col">{escape(h)}</th>'
        for h in heads
    )
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    kind = "scroll tall" if tall else "scroll"
    return (
        f'<div class="{kind}" role="region" aria-label="{escape(caption)}" tabindex="0">\n'
        f"<table>\n<caption><span>{escape(caption)}</span></caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def _cell(text: str, kind: str = "") -> str:
    return f'<td class="{kind}">{escape(text)}</td>' if kind else f"<td>{escape(text)}</td>"


def _percent(value: float, *, sign: bool = True, arrow: bool = False) -> str:
    if isnan(value):
        return NONE
    text = f"{value * 100:{'+' if sign else ''},.2f} %".replace("-", "−")
    if not arrow or value == 0:
        return text
    return f"{'▲' if value > 0 else '▼'} {text}"


def _axis(value: float) -> str:
    return f"{value * 100:+.3g} %".replace("-", "−") if abs(value) > 1e-9 else "0 %"


def _ratio(value: float) -> str:
    return NONE if isnan(value) else f"{value:,.2f}".replace("-", "−")


def _money(amount: int) -> str:
    """Return an amount to the hundredth, rounded half away from zero: for reading only."""
    cents = (abs(amount) * 200 // MINOR_PER_UNIT + 1) // 2
    sign = "−" if amount < 0 and cents else ""
    return f"{sign}{cents // 100:,}.{cents % 100:02d}"
