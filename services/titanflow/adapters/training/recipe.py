"""What is to be trained? A recipe: data, features, target, windows, and the trees' parameters."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import msgspec

from titanflow.adapters.registry.document import FILE_BYTES_MAX, Flaw, documents
from titanflow.core.base.errors import AdapterError, Problem, SpecError
from titanflow.core.base.ident import canonical, digest
from titanflow.core.base.instant import parse_instant
from titanflow.core.perception.features import FeatureSchema


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One section of a recipe."""


class BundlePart(_Part, frozen=True):
    """What the bundle is called."""

    name: str
    version: str
    title: str


class TargetKind(StrEnum):
    """What is forecast."""

    DIRECTION = "Direction"
    """The probability that the close is higher after `bars` bars."""
    RETURN = "Return"
    """The change of the close over `bars` bars, in percent."""


class TargetPart(_Part, frozen=True):
    """What is forecast, and how far ahead."""

    kind: TargetKind
    bars: int


class WindowPart(_Part, frozen=True):
    """Which bars are for training, and which only for measuring; RFC 3339 times or dates."""

    train_from: str
    train_until: str
    """No feature and no label of the training looks at or beyond it."""
    measure_until: str


class OutputPart(_Part, frozen=True):
    """From where on the forecast is an opinion; its center is measured in the training window."""

    enter: float
    full: float
    short: bool = False


class TreesPart(_Part, frozen=True):
    """Parameters of LightGBM that a recipe may choose."""

    rounds: int
    leaves: int
    learning_rate: float
    min_rows_in_leaf: int
    feature_fraction: float = 1.0
    l2: float = 0.0


class Recipe(_Part, frozen=True):
    """A whole recipe."""

    bundle: BundlePart
    dataset: str
    symbols: tuple[str, ...]
    features: tuple[str, ...]
    target: TargetPart
    window: WindowPart
    output: OutputPart
    trees: TreesPart
    seed: int = 7

    def digest(self) -> str:
        """Return the digest of what the recipe says, whatever its file looks like."""
        return digest(canonical(self)).hex()


def read_recipe(path: Path) -> Recipe:
    """Return the recipe in a YAML file.

    Raises: SpecError with what is wrong in it; AdapterError if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise AdapterError(f"cannot read {path}: {error.strerror}") from error
    found = list(documents(content))
    flaws = [each for each in found if isinstance(each, Flaw)]
    if flaws:
        raise SpecError([Problem(f.what, f"{path}:{f.line}", f.do) for f in flaws])
    if len(found) != 1:
        raise SpecError([Problem(f"{len(found)} documents", str(path), "a recipe is one document")])
    (node,) = found
    assert not isinstance(node, Flaw)
    try:
        recipe = msgspec.convert(node.plain(), Recipe, strict=True)
    except msgspec.ValidationError as error:
        raise SpecError([Problem(str(error), str(path), "see docs/models.md")]) from error
    problems = [Problem(what, f"{path}: {place}", do) for place, what, do in _faults(recipe)]
    if problems:
        raise SpecError(problems)
    return recipe


def _faults(recipe: Recipe) -> list[tuple[str, str, str]]:
    faults = []
    if not recipe.features or not recipe.symbols:
        faults.append(("features", "features and symbols must be named", ""))
    try:
        FeatureSchema(recipe.features)
    except SpecError as error:
        faults += [(p.where, p.what, p.do) for p in error.problems]
    window = recipe.window
    try:
        start, until, end = map(
            parse_instant, (window.train_from, window.train_until, window.measure_until)
        )
        if not start < until < end:
            faults.append(("window", "trainFrom, trainUntil and measureUntil must follow", ""))
    except ValueError as error:
        faults.append(("window", str(error), "write 2010-01-01"))
    trees = recipe.trees
    if not 1 <= recipe.target.bars <= 250:
        faults.append(("target.bars", "1 to 250 bars", ""))
    if not 0.0 < recipe.output.enter <= recipe.output.full:
        faults.append(("output", "enter must be above 0 and at most full", ""))
    if not (1 <= trees.rounds <= 2000 and 2 <= trees.leaves <= 256 and trees.min_rows_in_leaf > 0):
        faults.append(("trees", "rounds 1 to 2000, leaves 2 to 256, minRowsInLeaf above 0", ""))
    return faults
