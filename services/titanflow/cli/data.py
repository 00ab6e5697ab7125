"""How is market data looked at? What is bundled, and whether a source passes the quality gate."""

from __future__ import annotations

from pathlib import Path

import msgspec
import typer

from titanflow.adapters.feeds.bundled import list_datasets
from titanflow.adapters.feeds.survey import check
from titanflow.cli import exits
from titanflow.cli.output import Format, emit, flatten, say, spelt, table
from titanflow.core.base.errors import NotFoundError, Problem
from titanflow.core.base.nearest import nearest


def data_list(output: Format) -> None:
    """List the bundled data sets."""
    found = list_datasets()
    if output is not Format.TABLE:
        emit([msgspec.to_builtins(d) for d in found], output)
        return
    for one in found:
        table(one.name, ("Field", "Value"), flatten(msgspec.to_builtins(one)))


def data_check(source: str, output: Format) -> None:
    """Judge every bar of a source."""
    known = [found.name for found in list_datasets()]
    if source not in known and not Path(source).exists():
        do = nearest(source, known)
        raise NotFoundError([Problem("no such data set, file or folder", source, do)])
    report = check(source)
    plain = msgspec.to_builtins(report)
    if output is not Format.TABLE:
        emit(plain, output)
    else:
        symbols = plain.pop("symbols")
        table(source, ("Field", "Value"), flatten(plain))
        columns = tuple(symbols[0]) if symbols else ()
        table("", columns, [tuple(map(spelt, s.values())) for s in symbols])
    bad = sum(sum(s.quarantined.values()) for s in report.symbols)
    say(f"{bad} bars quarantined")
    raise typer.Exit(exits.REFUSED if bad else exits.OK)
