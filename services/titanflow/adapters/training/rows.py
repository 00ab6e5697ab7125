"""Which rows is a model trained on? What perception believed after each bar, and what came after.

The rows are made by the very stages that serve: the quality gate judges the bars, the stage
`perceive` turns them into beliefs, split by split. A label looks some bars ahead, so a row belongs
to the training only if its label ended before the training window does: what lies between is left
out, and nothing that happened later can reach the training.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from titanflow.adapters.feeds.bundled import dataset
from titanflow.adapters.feeds.tape import MarketFact, iter_events, load_market
from titanflow.adapters.training.recipe import Recipe, TargetKind
from titanflow.core.base.errors import Problem, SpecError
from titanflow.core.base.instant import parse_instant
from titanflow.core.facts import Belief
from titanflow.core.perception.belief import Perceive
from titanflow.core.perception.features import FeatureSchema
from titanflow.core.spec.arena import ArenaSpec
from titanflow.core.spec.compile import compile_ground
from titanflow.core.spec.contender import ContenderSpec
from titanflow.core.spec.ground import Ground

ROWS_MIN = 256
"""Fewest rows to train on and to measure with; as many golden vectors are taken."""


class Rows(msgspec.Struct, frozen=True):
    """Rows in the order of time, then of symbols."""

    at: NDArray[np.int64]
    """When the features were known, ns UTC."""
    label_at: NDArray[np.int64]
    """When the label was known."""
    features: NDArray[np.float32]
    labels: NDArray[np.float64]

    def only(self, mask: NDArray[np.bool_]) -> Rows:
        """Return some of the rows."""
        return Rows(self.at[mask], self.label_at[mask], self.features[mask], self.labels[mask])

    def __len__(self) -> int:
        return len(self.at)


class Split(msgspec.Struct, frozen=True):
    """The rows of a recipe, apart, with the digest of their source."""

    train: Rows
    held_out: Rows
    data_digest: str


def load(recipe: Recipe) -> Split:
    """Return the rows that a recipe asks for.

    Raises: SpecError if there are fewer than 256 of a kind.
    """
    arena = _arena(recipe)
    ground = _ground(arena)
    market = load_market(arena, ground, Path())
    rows = make_rows(recipe, ground, list(iter_events(market, ground)))
    split = divide(recipe, rows, market.origin.sha256)
    for name, part in (("train on", split.train), ("measure with", split.held_out)):
        if len(part) < ROWS_MIN:
            what = f"{len(part)} rows to {name}: at least {ROWS_MIN} are needed"
            raise SpecError([Problem(what, "window", "widen it")])
    return split


def divide(recipe: Recipe, rows: Rows, data_digest: str) -> Split:
    """Return the rows before the end of the training window, and those from then on."""
    start, until, end = (
        parse_instant(text)
        for text in (
            recipe.window.train_from,
            recipe.window.train_until,
            recipe.window.measure_until,
        )
    )
    return Split(
        rows.only((rows.at >= start) & (rows.label_at < until)),
        rows.only((rows.at >= until) & (rows.label_at < end)),
        data_digest,
    )


def make_rows(recipe: Recipe, ground: Ground, events: list[MarketFact]) -> Rows:
    """Return a row for each belief whose features are warm and whose label is known."""
    perceive = Perceive(ground, FeatureSchema(recipe.features))
    beliefs: dict[str, list[tuple[Belief, float]]] = {i.symbol: [] for i in ground.instruments}
    for event in events:
        for belief in perceive.handle(event):
            assert isinstance(belief, Belief)
            close = belief.close_ticks * belief.adjustment
            beliefs[belief.symbol].append((belief, close))
    ahead = recipe.target.bars
    found: list[tuple[int, int, tuple[float, ...], float]] = []
    for series in beliefs.values():
        for (belief, close), (later, then) in zip(series, series[ahead:], strict=False):
            if all(value == value for value in belief.features):  # noqa: PLR0124 - NaN is not
                label = _label(recipe.target.kind, then / close - 1.0)
                found.append((belief.at, later.at, belief.features, label))
    found.sort(key=lambda row: row[0])
    width = len(recipe.features)
    return Rows(
        np.array([row[0] for row in found], dtype=np.int64),
        np.array([row[1] for row in found], dtype=np.int64),
        np.array([row[2] for row in found], dtype=np.float32).reshape(-1, width),
        np.array([row[3] for row in found], dtype=np.float64),
    )


def _label(kind: TargetKind, change: float) -> float:
    return float(change > 0.0) if kind is TargetKind.DIRECTION else change * 100.0


def _arena(recipe: Recipe) -> ArenaSpec:
    known = dataset(recipe.dataset)
    stock = {"venue": "XSIM", "assetClass": "Equity", "tickSize": "0.01", "lotSize": "1"}
    return ArenaSpec.model_validate(
        {
            "currency": known.currency,
            "instruments": [
                {"symbol": symbol, "currency": known.currency, **stock} for symbol in recipe.symbols
            ],
            "sources": [
                {
                    "name": "training",
                    "kind": "Bundled",
                    "barSeconds": known.bar_seconds,
                    "bundled": {"dataset": recipe.dataset},
                }
            ],
        }
    )


def _ground(arena: ArenaSpec) -> Ground:
    nobody = ContenderSpec.model_validate(
        {"arena": "training", "recipe": {"kind": "Rules", "rules": {"name": "BuyAndHold"}}}
    )
    return compile_ground("training", arena, {"nobody": (nobody, {})})
