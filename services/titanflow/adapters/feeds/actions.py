"""Which corporate actions come with a user's files? A CSV beside the bars.

In a folder of bars it is called `actions.csv`; beside a single file `x.csv` or `x.parquet` it is
`x.actions.csv`. Its header: symbol,date,kind,numerator,denominator,amount,source. A row of kind
split needs numerator and denominator, one of kind dividend an amount for each unit.
"""

from __future__ import annotations

import csv
from pathlib import Path

from titanflow.adapters.feeds.provider import Action, DividendAction, SplitAction
from titanflow.core.base.errors import Problem, SpecError
from titanflow.core.base.fixed import parse_decimal
from titanflow.core.base.instant import parse_instant

FOLDER_FILE = "actions.csv"
ACTIONS_MAX = 100_000
"""Most rows of one file: thirty years of quarterly dividends of 800 instruments."""
RATIO_MAX = 1_000_000
_COLUMNS = {"symbol", "date", "kind", "numerator", "denominator", "amount", "source"}


def actions_file(place: Path) -> Path | None:
    """Return the file of corporate actions that belongs to a file or folder of bars, if any."""
    path = place / FOLDER_FILE if place.is_dir() else place.with_name(f"{place.stem}.actions.csv")
    return path if path.is_file() else None


def read_actions(path: Path) -> tuple[Action, ...]:
    """Return the actions of a file, in its order.

    Raises: SpecError naming file and line of every wrong row.
    """
    problems: list[Problem] = []
    found: list[Action] = []
    splits: dict[tuple[str, int], int] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            unknown = set(rows.fieldnames or ()) ^ _COLUMNS
            if unknown:
                do = f"the header is {','.join(sorted(_COLUMNS))}, in any order"
                raise SpecError([Problem(f"columns: {', '.join(sorted(unknown))}", str(path), do)])
            for number, row in enumerate(rows, start=2):
                if number > ACTIONS_MAX + 1:
                    raise SpecError([Problem(f"more than {ACTIONS_MAX:,} rows", str(path))])
                try:
                    action = _action(row)
                    found.append(action)
                    if isinstance(action, SplitAction):
                        _demand_first(splits, action, number)
                except (ValueError, TypeError) as error:
                    problems.append(Problem(str(error), f"{path}:{number}"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SpecError([Problem(f"it cannot be read: {error}", str(path))]) from error
    if problems:
        raise SpecError(problems)
    return tuple(found)


def _demand_first(splits: dict[tuple[str, int], int], split: SplitAction, line: int) -> None:
    """Refuse a second split of an instrument on one day: a row that stands twice counts twice."""
    first = splits.setdefault((split.symbol, split.ex_ns), line)
    if first != line:
        raise ValueError(f"{split.symbol} is split on this day already, in line {first}")


def _action(row: dict[str, str]) -> Action:
    symbol, ex_ns, source = row["symbol"], parse_instant(row["date"]), row["source"]
    match row["kind"]:
        case "split":
            ratio = int(row["numerator"]), int(row["denominator"])
            if not all(0 < part <= RATIO_MAX for part in ratio):
                raise ValueError(f"numerator and denominator are between 1 and {RATIO_MAX}")
            return SplitAction(symbol, ex_ns, *ratio, source)
        case "dividend":
            amount = parse_decimal(row["amount"])
            if amount == 0:
                raise ValueError("amount must be greater than zero")
            return DividendAction(symbol, ex_ns, amount, source)
        case kind:
            raise ValueError(f"unknown kind {kind!r}; split or dividend")
