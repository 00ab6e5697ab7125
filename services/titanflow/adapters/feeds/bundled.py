"""Which data come inside the package? Data sets with source, licence, digest and their splits.

Each is a Parquet file and a JSON file of the same name in `titanflow/data`. The JSON says where the
data come from and holds the corporate actions; a Parquet file that differs from the digest in it
is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from titanflow.adapters.feeds.files import Files
from titanflow.adapters.feeds.provider import Action, Origin, RawBars, SplitAction
from titanflow.adapters.registry.words import nearest
from titanflow.core.base.errors import AdapterError, Problem, SpecError
from titanflow.core.base.instant import parse_instant
from titanflow.core.spec.source import FileFormat

FOLDER = Path(__file__).parents[2] / "data"


class SplitRecord(msgspec.Struct, frozen=True):
    """A split in a data set: on which day, in which ratio, who says so, what the prices show."""

    symbol: str
    ex_date: str
    numerator: int
    denominator: int
    source: str
    close_before: str
    open_after: str
    ratio: str
    """close_before / open_after as measured in the data; near numerator / denominator."""


class Span(msgspec.Struct, frozen=True):
    """How many bars of a symbol there are, and over which dates."""

    rows: int
    first: str
    last: str


class Dataset(msgspec.Struct, frozen=True):
    """What a bundled data set is, and where it comes from."""

    name: str
    title: str
    file: str
    sha256: str
    rows: int
    bar_seconds: int
    currency: str
    symbols: dict[str, Span]
    source: str
    source_package: str
    source_file_sha256: str
    licence: str
    licence_statement: str
    splits: tuple[SplitRecord, ...]
    notes: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Give the place of the Parquet file."""
        return FOLDER / self.file


def list_datasets() -> list[Dataset]:
    """Return the bundled data sets in the order of their names.

    Raises: AdapterError if the package is damaged.
    """
    if not FOLDER.is_dir():
        raise AdapterError(f"{FOLDER} is missing: install TitanFlow again")
    return [_read(path) for path in sorted(FOLDER.glob("*.json"))]


def dataset(name: str) -> Dataset:
    """Return one bundled data set.

    Raises: SpecError if there is none of that name.
    """
    known = {found.name: found for found in list_datasets()}
    if name not in known:
        what = f"no bundled data set {name!r}"
        raise SpecError([Problem(what, "bundled.dataset", nearest(name, known))])
    return known[name]


class Bundled:
    """A provider of one bundled data set."""

    def __init__(self, name: str, set_name: str, bar_ns: int) -> None:
        self._set = dataset(set_name)
        self._files = Files(name, self._set.path, FileFormat.PARQUET, bar_ns)
        found = self._files.origin.sha256
        if found != self._set.sha256:
            raise AdapterError(
                f"{self._set.path} was changed: its SHA-256 is {found}, not {self._set.sha256}; "
                "install TitanFlow again"
            )

    @property
    def origin(self) -> Origin:
        """Give what was read; the place is the data set's name, alike on every machine."""
        origin = self._files.origin
        return Origin(origin.name, f"bundled {self._set.name}", origin.sha256)

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols of the data set."""
        return self._files.symbols()

    def bars(self, symbol: str) -> RawBars:
        """Return the bars of one symbol, and let go of them."""
        return self._files.bars(symbol)

    def actions(self, symbols: Iterable[str]) -> tuple[Action, ...]:
        """Return the splits of some symbols."""
        wanted = frozenset(symbols)
        return tuple(
            SplitAction(s.symbol, parse_instant(s.ex_date), s.numerator, s.denominator, s.source)
            for s in self._set.splits
            if s.symbol in wanted
        )


def _read(path: Path) -> Dataset:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Dataset)
    except (OSError, msgspec.DecodeError) as error:
        raise AdapterError(f"{path} is damaged: {error}; install TitanFlow again") from error
