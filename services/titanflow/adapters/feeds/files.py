"""How do CSV and Parquet files become columns? Read by name of column, checked by digest.

A file has the columns symbol, time or date, open, high, low, close, volume and perhaps end; others
are ignored, so an adjusted close never enters. A folder is read as one source, in whatever order
its files are called.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from titanflow.adapters.feeds.actions import FOLDER_FILE, actions_file, read_actions
from titanflow.adapters.feeds.provider import Action, Int64s, Origin, RawBars
from titanflow.core.base.errors import AdapterError, Problem, SpecError
from titanflow.core.base.instant import parse_instant
from titanflow.core.spec.source import FileFormat

SOURCE_BYTES_MAX = 8 << 30
"""Most bytes of one source, 8 GiB: a hundred million bars, all of which are held in memory."""
SOURCE_FILES_MAX = 10_000
"""Most files of one source: a file a day for forty years."""
HEADER_BYTES_MAX = 1 << 16
"""Longest header line of a CSV."""

PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume")
SUFFIXES = {FileFormat.CSV: ".csv", FileFormat.PARQUET: ".parquet"}

_UTC = pa.timestamp("ns", tz="UTC")


class Files:
    """Bars from one file or from all files of a folder."""

    def __init__(
        self, name: str, place: Path, form: FileFormat, bar_ns: int, sha256: str | None = None
    ) -> None:
        paths = _paths(place, form)
        extra = actions_file(place)
        digests = [_sha256(path) for path in paths]
        whole = digests if extra is None else [*digests, _sha256(extra)]
        found = whole[0] if len(whole) == 1 and place.is_file() else _combined(whole)
        if sha256 is not None and sha256 != found:
            what = f"its SHA-256 is {found}, the manifest demands {sha256}"
            raise SpecError([Problem(what, str(place), "bring back the data, or change sha256")])
        self._origin = Origin(name, str(place), found)
        self._pieces: dict[str, list[tuple[int, str, RawBars]]] = {}
        for path, digest in zip(paths, digests, strict=True):
            table = _csv(path) if form is FileFormat.CSV else _parquet(path)
            for symbol, bars in _split(path, table, bar_ns):
                first = int(bars.start_ns[0])
                self._pieces.setdefault(symbol, []).append((first, digest, bars))
        self._symbols = tuple(sorted(self._pieces))
        self._actions = read_actions(extra) if extra is not None else ()

    @property
    def origin(self) -> Origin:
        """Give what was read, with its digest."""
        return self._origin

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols that the source has, sorted."""
        return self._symbols

    def bars(self, symbol: str) -> RawBars:
        """Return the bars of one symbol, and let go of them."""
        # Ordered by time and content, so that renaming the files of a folder changes nothing.
        pieces = sorted(self._pieces.pop(symbol, []), key=lambda piece: piece[:2])
        if len(pieces) == 1:
            return pieces[0][2]
        nothing = np.empty(0, dtype=np.int64)
        return RawBars(
            *(
                np.concatenate([nothing.astype(kind), *(getattr(p[2], name) for p in pieces)])
                for name, kind in zip(
                    RawBars.__struct_fields__, (np.int64,) * 2 + (np.float64,) * 5, strict=True
                )
            )
        )

    def actions(self, symbols: Iterable[str]) -> tuple[Action, ...]:
        """Return the splits and dividends of some symbols, from the file of actions."""
        wanted = frozenset(symbols)
        return tuple(action for action in self._actions if action.symbol in wanted)


def _paths(place: Path, form: FileFormat) -> list[Path]:
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise SpecError([Problem("no such file or folder", str(place), "check files.uri")])
    found = sorted(
        path
        for path in place.iterdir()
        if path.suffix == SUFFIXES[form] and path.name != FOLDER_FILE
    )
    if not found:
        do = f"files of format {form} end in {SUFFIXES[form]}"
        raise SpecError([Problem(f"no {form} files here", str(place), do)])
    if len(found) > SOURCE_FILES_MAX:
        raise SpecError([Problem(f"more than {SOURCE_FILES_MAX:,} files", str(place), "join them")])
    return found


def _sha256(path: Path) -> str:
    try:
        if path.stat().st_size > SOURCE_BYTES_MAX:
            what = f"larger than {SOURCE_BYTES_MAX >> 30} GiB"
            raise SpecError([Problem(what, str(path), "split it by time or symbol")])
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AdapterError(f"{path} cannot be read: {error.strerror}") from error


def _combined(digests: list[str]) -> str:
    """Return the digest of a folder: of its files' digests, sorted, one a line."""
    return hashlib.sha256("".join(f"{d}\n" for d in sorted(digests)).encode()).hexdigest()


def _chosen(path: Path, names: Iterable[str]) -> dict[str, str]:
    """Return our name of each column that is read: time, end, symbol, prices, volume."""
    by_name = {name.strip().lower(): name for name in names}
    wanted = ["symbol", *NUMBERS]
    time = next((name for name in ("time", "date") if name in by_name), None)
    missing = [name for name in wanted if name not in by_name]
    if time is None:
        missing.append("time (or date)")
    if missing or time is None:
        what = f"columns are missing: {', '.join(missing)}"
        do = "wanted are symbol, time or date, open, high, low, close, volume and perhaps end"
        raise SpecError([Problem(what, str(path), do)])
    chosen = {by_name[name]: name for name in wanted}
    chosen[by_name[time]] = "time"
    if "end" in by_name:
        chosen[by_name["end"]] = "end"
    return chosen


def _csv(path: Path) -> pa.Table:
    try:
        with path.open("rb") as file:
            header = file.readline(HEADER_BYTES_MAX).decode("utf-8-sig")
        chosen = _chosen(path, next(csv.reader([header]), []))
        types = {
            column: pa.float64() if name in NUMBERS else pa.string()
            for column, name in chosen.items()
        }
        options = pa_csv.ConvertOptions(column_types=types, include_columns=list(chosen))
        table = pa_csv.read_csv(path, convert_options=options)
    except OSError as error:
        raise AdapterError(f"{path} cannot be read: {error.strerror or error}") from error
    except (pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
        raise SpecError([Problem(f"this is not a CSV of bars: {error}", str(path))]) from error
    return table.rename_columns([chosen[column] for column in table.column_names])


def _parquet(path: Path) -> pa.Table:
    try:
        chosen = _chosen(path, pa_parquet.read_schema(path).names)
        table = pa_parquet.read_table(path, columns=list(chosen))
    except OSError as error:
        raise AdapterError(f"{path} cannot be read: {error.strerror or error}") from error
    except pa.ArrowException as error:
        raise SpecError([Problem(f"this is not a Parquet of bars: {error}", str(path))]) from error
    return table.rename_columns([chosen[column] for column in table.column_names])


def _split(path: Path, table: pa.Table, bar_ns: int) -> Iterable[tuple[str, RawBars]]:
    """Yield the bars of each symbol of a file, in the file's order."""
    if not table.num_rows:
        return
    start = _instants(path, table["time"])
    end = _instants(path, table["end"]) if "end" in table.column_names else start + bar_ns
    numbers = [_floats(path, name, table[name]) for name in NUMBERS]
    symbols = table["symbol"].combine_chunks().cast(pa.string()).dictionary_encode()
    if symbols.null_count:
        raise SpecError([Problem("a row without symbol", str(path))])
    codes = symbols.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(symbols.dictionary) + 1))
    for code, symbol in enumerate(symbols.dictionary.to_pylist()):
        rows = order[bounds[code] : bounds[code + 1]]
        yield symbol, RawBars(start[rows], end[rows], *(values[rows] for values in numbers))


def _floats(
    path: Path, name: str, column: pa.ChunkedArray
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if not (
        pa.types.is_floating(column.type)
        or pa.types.is_integer(column.type)
        or pa.types.is_decimal(column.type)
    ):
        raise SpecError([Problem(f"column {name} holds {column.type}, not numbers", str(path))])
    values: np.ndarray[tuple[int], np.dtype[np.float64]] = column.cast(
        pa.float64(), safe=False
    ).to_numpy()
    return values


def _instants(path: Path, column: pa.ChunkedArray) -> Int64s:
    """Return a column of times as nanoseconds."""
    kind = column.type
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise SpecError([Problem(f"row {row + 1} has no time", str(path))])
    try:
        if pa.types.is_timestamp(kind) and kind.tz is None:
            do = "give the column a time zone, such as UTC"
            raise SpecError([Problem("times have no zone", str(path), do)])
        if pa.types.is_date(kind):
            column = column.cast(pa.timestamp("ns")).cast(pa.int64())
        elif pa.types.is_timestamp(kind):
            column = column.cast(_UTC).cast(pa.int64())
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return _parsed(path, column)
        else:
            raise SpecError([Problem(f"times are written as {kind}", str(path), "use a timestamp")])
    except pa.ArrowException as error:
        raise SpecError([Problem(f"a time cannot be counted: {error}", str(path))]) from error
    numbers: Int64s = column.to_numpy()
    return numbers


def _parsed(path: Path, column: pa.ChunkedArray) -> Int64s:
    try:
        numbers: Int64s = column.cast(_UTC).cast(pa.int64()).to_numpy()
        return numbers
    except pa.ArrowException:
        pass  # a bare date or a mistake: the slow way tells which
    encoded = column.combine_chunks().dictionary_encode()
    instants = np.empty(len(encoded.dictionary), dtype=np.int64)
    for code, text in enumerate(encoded.dictionary.to_pylist()):
        try:
            instants[code] = parse_instant(text)
        except (ValueError, OverflowError) as error:
            row = pc.index(encoded.indices, code).as_py()
            what = f"row {row + 1}: {text!r} is no time: {error}"
            raise SpecError([Problem(what, str(path))]) from error
    found: Int64s = instants[encoded.indices.to_numpy()]
    return found
