"""How does a recipe become a bundle? Trained, measured beside a naive forecast, compared, packed.

The same recipe, data and library versions give the same bytes. An export is not believed because it
succeeded: the graph must give what the trainer gives for 256 rows that were held out, at two batch
sizes, before it becomes a bundle, and again whenever it is loaded.
"""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from titanflow.adapters.bundles.archive import Members, pack, sha256_of
from titanflow.adapters.bundles.bundle import GOLDEN_ROWS_MIN, Vectors, encode_vectors, read_members
from titanflow.adapters.models import graph_of as proven_graph
from titanflow.adapters.training import rows as rows_module
from titanflow.adapters.training.recipe import Recipe, TargetKind
from titanflow.adapters.training.rows import Rows, Split, load
from titanflow.core import perception
from titanflow.core.base.errors import AdapterError
from titanflow.core.base.instant import NS_PER_SECOND, format_instant, parse_instant
from titanflow.core.perception.features import FeatureSchema
from titanflow.core.spec.bundle import FORMAT, BundleManifest, Golden, Lineage, Output
from titanflow.core.spec.words import OutputKind
from titanflow.native import window

if TYPE_CHECKING:
    import lightgbm

LIBRARIES = ("lightgbm", "numpy", "onnx", "onnxmltools")
DIGITS = 6
"""Significant digits of the measures in a manifest: more would be noise."""


class Trained(msgspec.Struct, frozen=True):
    """A bundle that was made: its archive, what it is called, and its manifest."""

    archive: bytes
    digest: str
    manifest: BundleManifest


def train(recipe: Recipe) -> Trained:
    """Return the bundle that a recipe describes, verified but not signed.

    Raises: AdapterError if the extra [train] is not installed; BundleRefusedError if the graph
    does not give what the trainer gives.
    """
    split = load(recipe)
    booster = _fit(recipe, split.train)
    from titanflow.adapters.training.graph import graph_of

    probability = recipe.target.kind is TargetKind.DIRECTION
    model = graph_of(booster, probability=probability)
    golden = _golden(booster, split.held_out)
    manifest = BundleManifest(
        format=FORMAT,
        name=recipe.bundle.name,
        version=recipe.bundle.version,
        title=recipe.bundle.title,
        features=recipe.features,
        feature_digest=FeatureSchema(recipe.features).digest.hex(),
        output=_output(recipe, split),
        explained=True,
        trade_from=_time(recipe.window.train_until),
        opset={each.domain or "ai.onnx": each.version for each in model.opset_import},
        golden=Golden(len(golden.values)),
        lineage=Lineage(
            data_digest=split.data_digest,
            recipe_digest=recipe.digest(),
            code=_code(),
            libraries={name: metadata.version(name) for name in LIBRARIES},
            trained_from=_time(recipe.window.train_from),
            trained_until=_time(recipe.window.train_until),
        ),
        metrics=_measured(recipe, split, np.asarray(booster.predict(_wide(split.held_out)))),
    )
    members = Members(
        encode_vectors(golden),
        msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1) + b"\n",
        model.SerializeToString(deterministic=True),
    )
    archive = pack(members)
    digest = sha256_of(archive)
    proven_graph(read_members(members, digest))
    return Trained(archive, digest, manifest)


def _fit(recipe: Recipe, rows: Rows) -> lightgbm.Booster:
    try:
        import lightgbm
    except ImportError as error:
        what = f"training needs the extra [train]: pip install 'titanflow[train]' ({error})"
        raise AdapterError(what) from error

    trees = recipe.trees
    objective = "binary" if recipe.target.kind is TargetKind.DIRECTION else "regression"
    parameters = {
        "objective": objective,
        "num_leaves": trees.leaves,
        "learning_rate": trees.learning_rate,
        "min_data_in_leaf": trees.min_rows_in_leaf,
        "feature_fraction": trees.feature_fraction,
        "lambda_l2": trees.l2,
        "seed": recipe.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbose": -1,
    }
    return lightgbm.train(parameters, lightgbm.Dataset(_wide(rows), rows.labels), trees.rounds)


def _wide(rows: Rows) -> NDArray[np.float64]:
    """Return the features as the trainer takes them: single precision, as the graph will see."""
    return rows.features.astype(np.float64)


def _golden(booster: lightgbm.Booster, rows: Rows) -> Vectors:
    """Return evenly spread rows with what the trainer itself says about them."""
    chosen = np.linspace(0, len(rows) - 1, GOLDEN_ROWS_MIN).astype(int)
    features = rows.features[chosen]
    values = np.asarray(booster.predict(features.astype(np.float64)))
    parts = path_parts(booster, features)
    return Vectors(features, values.astype(np.float32), parts.astype(np.float32))


def path_parts(booster: lightgbm.Booster, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return each feature's path contribution and the base, walking the trainer's own trees."""
    width = features.shape[1]
    parts = np.zeros((len(features), width + 1))
    for tree in booster.dump_model()["tree_info"]:
        root = tree["tree_structure"]
        for number, row in enumerate(features.astype(np.float64)):
            node = root
            parts[number, width] += _forecast(root)
            while "split_feature" in node:
                feature = node["split_feature"]
                left = row[feature] <= node["threshold"]
                child = node["left_child" if left else "right_child"]
                parts[number, feature] += _forecast(child) - _forecast(node)
                node = child
    return parts


def _forecast(node: dict[str, float]) -> float:
    return node["leaf_value"] if "leaf_value" in node else node["internal_value"]


def _output(recipe: Recipe, split: Split) -> Output:
    kinds = {
        TargetKind.DIRECTION: OutputKind.PROBABILITY,
        TargetKind.RETURN: OutputKind.EXPECTED_RETURN,
    }
    labels = split.train
    # Calendar time of the bars ahead, at the median: weekends count.
    horizon = int(np.median(labels.label_at - labels.at)) // NS_PER_SECOND
    return Output(
        kind=kinds[recipe.target.kind],
        horizon_seconds=horizon,
        center=_rounded(float(labels.labels.mean())),
        enter=recipe.output.enter,
        full=recipe.output.full,
        short=recipe.output.short,
    )


def _measured(
    recipe: Recipe, split: Split, forecast: NDArray[np.float64]
) -> dict[str, dict[str, float]]:
    """Return measures on held-out rows: of the model, and of the mean of the training labels."""
    truth = split.held_out.labels
    naive = np.full(len(truth), split.train.labels.mean())
    measure = _of_probability if recipe.target.kind is TargetKind.DIRECTION else _of_return
    return {
        "model": {name: _rounded(value) for name, value in measure(truth, forecast).items()},
        "naive": {name: _rounded(value) for name, value in measure(truth, naive).items()},
        "rows": {"train": float(len(split.train)), "heldOut": float(len(truth))},
    }


def _of_probability(truth: NDArray[np.float64], said: NDArray[np.float64]) -> dict[str, float]:
    sure = np.clip(said, 1e-9, 1 - 1e-9)
    return {
        "accuracy": float(((said > 0.5) == (truth > 0.5)).mean()),
        "brier": float(((said - truth) ** 2).mean()),
        "logLoss": float(-(truth * np.log(sure) + (1 - truth) * np.log(1 - sure)).mean()),
    }


def _of_return(truth: NDArray[np.float64], said: NDArray[np.float64]) -> dict[str, float]:
    return {
        "meanAbsoluteError": float(np.abs(said - truth).mean()),
        "rootMeanSquareError": float(np.sqrt(((said - truth) ** 2).mean())),
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _time(text: str) -> str:
    return format_instant(parse_instant(text))


def _code() -> str:
    """Return version and digest of the sources that decide what a bundle holds."""
    digest = hashlib.sha256()
    folders = [Path(rows_module.__file__).parent, Path(next(iter(perception.__path__)))]
    for path in (each for folder in folders for each in sorted(folder.glob("*.py"))):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    digest.update(window.SOURCE_SHA256.encode())
    return f"{metadata.version('titanflow')}+{digest.hexdigest()[:16]}"
