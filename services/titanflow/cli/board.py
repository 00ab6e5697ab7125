"""How is a leaderboard written in a terminal? Pinned benchmarks apart, intervals beside returns."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from titanflow.cli.output import table
from titanflow.core.base.fixed import MINOR_PER_UNIT
from titanflow.core.facts import Standing


def print_leaderboard(standings: Sequence[Standing], currency: str) -> None:
    """Write the standings to stdout: ranked ones first, then pinned, then those not ranked."""
    columns = [
        "#",
        "Contender",
        f">Equity ({currency})",
        ">Return",
        ">95 % interval",
        ">Sharpe",
        ">Max DD",
        ">Win",
        ">Fees",
        ">Fills",
        ">Refused",
        "State",
        "Note",
    ]
    table("Standings (simulation; per year = 252 days)", columns, [_row(s) for s in standings])


def _row(standing: Standing) -> list[object]:
    from rich.text import Text

    gain = standing.total_return >= 0
    place = str(standing.rank) if standing.rank else ("pin" if standing.pinned else "–")
    return [
        place,
        standing.contender,
        f"{standing.equity / MINOR_PER_UNIT:,.0f}",
        Text(
            f"{'▲' if gain else '▼'} {standing.total_return:+.1%}",
            style="cyan" if gain else "dark_orange",
        ),
        interval(standing),
        number(standing.sharpe, "{:.2f}"),
        number(standing.max_drawdown, "{:.1%}"),
        number(standing.win_rate, "{:.0%}"),
        f"{standing.fees / MINOR_PER_UNIT:,.0f}",
        str(standing.fills),
        str(standing.refusals),
        standing.state,
        standing.note,
    ]


def interval(standing: Standing) -> str:
    """Return the bootstrap interval of the return in words and numbers."""
    if isnan(standing.return_low):
        return "not enough data"
    return f"{standing.return_low:+.0%} … {standing.return_high:+.0%}"


def number(value: float, form: str) -> str:
    """Return a number in a format, and a dash where there is none."""
    return "–" if isnan(value) else form.format(value)
