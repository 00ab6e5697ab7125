"""How does a command speak? Data on stdout as table, JSON or YAML; everything else on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, NoReturn, cast

import typer

from titanflow.cli import exits

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


class Format(StrEnum):
    """How data is written."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def emit(value: object, form: Format) -> None:
    """Write *value* (plain data) as JSON or YAML to stdout."""
    if form is Format.YAML:
        import yaml

        sys.stdout.write(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
        return
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    sys.stdout.write(text + "\n")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a table to stdout; columns whose name begins with '>' are aligned to the right."""
    from rich import box
    from rich.table import Table

    drawn = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in columns:
        drawn.add_column(
            column.lstrip(">"),
            justify="right" if column.startswith(">") else "left",
            overflow="fold",
        )
    for row in rows:
        drawn.add_row(*(_cell(cell) for cell in row))
    console().print(drawn)


def console(*, stderr: bool = False) -> Console:
    """Return a console that is as wide as the terminal, and 160 columns where there is none."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else int(os.environ.get("COLUMNS", "160"))
    return Console(stderr=stderr, width=width, highlight=False, soft_wrap=False)


def _cell(value: object) -> Text:
    from rich.text import Text

    return value if isinstance(value, Text) else Text(one_line(str(value)))


def harmless(text: str) -> str:
    r"""Return text of strangers so that it moves no cursor, hides nothing and can be encoded.

    >>> harmless("a\x1b[2Jb\u202ec")
    'a\\x1b[2Jb\\u202ec'
    """
    return "".join(
        each if each.isprintable() or each in " \n" else each.encode("unicode_escape").decode()
        for each in text
    )


def one_line(text: str) -> str:
    """Return text of strangers as one harmless line."""
    return harmless(text).replace("\n", "\\n")


def tell(text: str) -> None:
    """Write a line of a result to stdout, harmless as `say`."""
    typer.echo(harmless(text))


def say(text: str) -> None:
    """Write a line for people to stderr; what only a terminal would understand is spelt out."""
    typer.echo(harmless(text), err=True)


def fail(text: str, code: int = exits.ERROR) -> NoReturn:
    """Write an error to stderr and end with *code*."""
    say(f"error: {text}")
    raise typer.Exit(code)


def flatten(value: Mapping[str, object]) -> list[tuple[str, object]]:
    """Return the rows of a two-column table of *value*."""
    return [(key, spelt(item)) for key, item in value.items()]


def spelt(value: object) -> object:
    """Return plain data as people write it: no braces, no quotes, a dash for nothing.

    >>> spelt({"AAPL": {"rows": 3}, "FB": {"rows": 4}}), spelt(("a", "b")), spelt({}), spelt(None)
    ('AAPL (rows 3); FB (rows 4)', 'a; b', '—', '—')
    """
    match value:
        case None:
            return "—"
        case dict():
            rows = cast("dict[str, object]", value).items()
            parts = [
                f"{key} ({spelt(item)})" if isinstance(item, dict) else f"{key} {spelt(item)}"
                for key, item in rows
            ]
            deep = any(isinstance(item, dict) for _, item in rows)
            return ("; " if deep else ", ").join(parts) or "—"
        case list() | tuple():
            return "; ".join(str(spelt(item)) for item in cast("list[object]", value)) or "—"
        case _:
            return value
