"""Is training point in time and deterministic, and does the graph say what the trainer says?"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from titanflow.adapters.bundles.archive import MODEL, Members, pack, unpack
from titanflow.adapters.bundles.bundle import read_members
from titanflow.adapters.bundles.signing import Trust
from titanflow.adapters.bundles.store import list_bundles, open_file, read_archive
from titanflow.adapters.feeds.tape import iter_events, load_market
from titanflow.adapters.models import graph_of
from titanflow.adapters.training import rows as rows_module
from titanflow.adapters.training.recipe import Recipe, read_recipe
from titanflow.adapters.training.rows import divide, load, make_rows
from titanflow.adapters.training.train import Trained, _fit, train
from titanflow.core.base.errors import AdapterError, SpecError
from titanflow.core.base.instant import parse_instant
from titanflow.core.facts import Bar
from tools.tree import ROOT

RECIPES = {
    "direction": ROOT / "examples/models/lightgbm.yaml",
    "drift": ROOT / "examples/models/lightgbm_return.yaml",
}
BUNDLES = ROOT / "examples/arena/bundles"
ARCHIVE_BYTES_MAX = 300_000


@pytest.fixture(scope="module", params=sorted(RECIPES))
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return read_recipe(RECIPES[request.param])


@pytest.fixture(scope="module")
def trained(recipe: Recipe) -> Trained:
    return train(recipe)


def test_it_gives_the_same_bytes_twice(recipe: Recipe, trained: Trained) -> None:
    assert trained == train(recipe)


def test_the_graph_gives_what_the_trainer_gives_at_two_batch_sizes(
    recipe: Recipe, trained: Trained
) -> None:
    split = load(recipe)
    booster = _fit(recipe, split.train)
    bundle = read_members(unpack(trained.archive), trained.digest)
    graph = graph_of(bundle)
    features = split.held_out.features[:1000]
    said = np.asarray(booster.predict(features.astype(np.float64)))
    raw = np.asarray(booster.predict(features.astype(np.float64), raw_score=True))

    for size in (1, 64):
        pieces = [graph.run(features[n : n + size]) for n in range(0, len(features), size)]
        numbers = np.concatenate(pieces).astype(np.float64)

        assert np.abs(numbers[:, 0] - said).max() <= 1e-5
        assert np.abs(numbers[:, 1:].sum(axis=1) - raw).max() <= 1e-5


def test_no_row_of_the_training_reaches_beyond_its_window(recipe: Recipe) -> None:
    split = load(recipe)
    until = parse_instant(recipe.window.train_until)

    assert split.train.label_at.max() < until
    assert split.held_out.at.min() >= until
    assert (split.train.at < split.train.label_at).all()


def test_a_changed_future_changes_no_row_of_the_training(recipe: Recipe) -> None:
    arena = rows_module._arena(recipe)
    ground = rows_module._ground(arena)
    events = list(iter_events(load_market(arena, ground, Path()), ground))
    until = parse_instant(recipe.window.train_until)
    changed = [
        msgspec.structs.replace(fact, close_ticks=fact.close_ticks // 2 + 1)
        if isinstance(fact, Bar) and fact.at >= until
        else fact
        for fact in events
    ]

    before = divide(recipe, make_rows(recipe, ground, events), "")
    after = divide(recipe, make_rows(recipe, ground, changed), "")

    for name in ("at", "label_at", "features", "labels"):
        one, other = getattr(before.train, name), getattr(after.train, name)
        assert one.tobytes() == other.tobytes(), name
    assert before.held_out.labels.tobytes() != after.held_out.labels.tobytes()


def test_it_is_measured_beside_the_naive_forecast(trained: Trained) -> None:
    metrics = trained.manifest.metrics

    assert metrics["model"].keys() == metrics["naive"].keys()
    assert metrics["rows"]["heldOut"] > 1000


def test_its_lineage_names_data_recipe_windows_and_libraries(
    recipe: Recipe, trained: Trained
) -> None:
    lineage = trained.manifest.lineage

    assert recipe.digest() == lineage.recipe_digest
    assert 64 == len(lineage.data_digest)
    assert {"lightgbm", "onnx", "onnxmltools", "numpy"} == set(lineage.libraries)
    assert lineage.trained_until == trained.manifest.trade_from


def test_the_committed_bundle_is_what_the_recipe_makes(recipe: Recipe, trained: Trained) -> None:
    (found,) = [each for each in list_bundles(BUNDLES) if each.name == recipe.bundle.name]
    bundle = open_file(found.path, Trust([ROOT / "examples/arena/keys"]))

    assert found.size_bytes < ARCHIVE_BYTES_MAX
    # The code and the libraries may have moved on since: what they make must not have.
    lineage = bundle.manifest.lineage
    fresh = msgspec.structs.replace(
        trained.manifest,
        lineage=msgspec.structs.replace(
            trained.manifest.lineage, code=lineage.code, libraries=lineage.libraries
        ),
        metrics=bundle.manifest.metrics,
    )
    assert bundle.manifest == fresh
    graphs = [graph_of(bundle), graph_of(read_members(unpack(trained.archive), trained.digest))]
    committed, made = (graph.run(bundle.golden.features) for graph in graphs)
    assert np.abs(committed - made).max() <= 1e-5


def test_an_archive_of_the_example_is_packed_as_it_would_be_today() -> None:
    for found in list_bundles(BUNDLES):
        archive = read_archive(found.path)
        members: Members = unpack(archive)

        assert archive == pack(members)
        assert getattr(members, MODEL.partition(".")[0])


BAD = [
    ("seed: 7", "sead: 7", "sead"),
    ("bars: 5", "bars: 0", "1 to 250 bars"),
    ("rsi_14", "rsy_14", "not registered"),
    ('trainUntil: "2010-01-01"', 'trainUntil: "1999-01-01"', "must follow"),
    ('trainUntil: "2010-01-01"', 'trainUntil: "soon"', "UTC time"),
    ("enter: 0.02", "enter: 0.5", "enter must be"),
    ("leaves: 8", "leaves: 1", "leaves 2 to 256"),
    ("kind: Direction", "kind: Moon", "Moon"),
]


@pytest.mark.parametrize(("former", "wrong", "words"), BAD)
def test_a_mistake_in_a_recipe_is_named(
    tmp_path: Path, former: str, wrong: str, words: str
) -> None:
    text = RECIPES["direction"].read_text("utf-8")
    assert former in text
    (tmp_path / "recipe.yaml").write_text(text.replace(former, wrong), "utf-8")

    with pytest.raises(SpecError) as caught:
        read_recipe(tmp_path / "recipe.yaml")

    assert words in str(caught.value)


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    text = RECIPES["direction"].read_text("utf-8").replace('"2010-01-01"', '"2000-09-01"')
    (tmp_path / "recipe.yaml").write_text(text, "utf-8")

    with pytest.raises(SpecError, match="at least 256"):
        load(read_recipe(tmp_path / "recipe.yaml"))


def test_without_the_extra_the_remedy_is_said(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "lightgbm", None)

    with pytest.raises(AdapterError, match=r"titanflow\[train\]"):
        train(recipe)
