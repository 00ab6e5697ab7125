"""Does a ModelBundle follow the custom resource, and is what does nothing yet refused?"""

from __future__ import annotations

from typing import Any

import pytest
from model_kit import contract

from titanflow.core.base.errors import SpecError
from titanflow.core.contender.build import build
from titanflow.core.contender.model import BundleContender
from titanflow.core.spec.arena import ArenaSpec
from titanflow.core.spec.bundle import BundleSpec, ServingSpec
from titanflow.core.spec.common import problems_of
from titanflow.core.spec.compile import compile_ground
from titanflow.core.spec.contender import ContenderSpec
from titanflow.core.spec.words import RecipeKind

SHA = "ab" * 32
GOOD: dict[str, Any] = {
    "version": "1.0.0",
    "artifact": {"uri": "file://./line.tfb", "sha256": SHA},
    "signature": {"keyId": "lab-2026", "ed25519": "A" * 86 + "=="},
    "featureSchema": {"digest": SHA},
}
ARENA = {
    "instruments": [
        {
            "symbol": "AAPL",
            "venue": "XNAS",
            "assetClass": "Equity",
            "currency": "USD",
            "tickSize": "0.01",
            "lotSize": "1",
        }
    ],
    "sources": [{"name": "b", "kind": "Bundled", "bundled": {"dataset": "x"}}],
}


def changed(path: str, value: Any) -> str:
    import json

    told = json.loads(json.dumps(GOOD))
    here = told
    *steps, last = path.split(".")
    for step in steps:
        here = here.setdefault(step, {})
    here[last] = value
    return json.dumps(told)


def test_the_defaults_are_those_of_the_resource() -> None:
    serving = BundleSpec.model_validate(GOOD).serving

    assert (50_000, 64, 1 << 30) == (
        serving.timeout_micros,
        serving.max_batch,
        serving.memory_bytes,
    )
    assert 512 << 20 == ServingSpec.model_validate({"memory": "512Mi"}).memory_bytes


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("version", "1.0", "version of three numbers"),
        ("artifact.uri", "oci://registry/x", "oci:// is not built yet: use file://"),
        ("artifact.uri", "line.tfb", "beside the manifest"),
        ("artifact.sha256", "AB" * 32, "64 hexadecimal digits"),
        ("artifact.format", "Pickle", "ONNX"),
        ("artifact.sizeBytes", 0, "greater than or equal to 1"),
        ("signature.keyId", "a/b", "a key's name"),
        ("signature.ed25519", "AAAA", "88 characters"),
        ("featureSchema.digest", "x", "64 hexadecimal digits"),
        ("serving.timeoutMicros", 10, "greater than or equal to 100"),
        ("serving.maxBatch", 5000, "less than or equal to 4096"),
        ("serving.memory", "lots", "512Mi"),
    ],
)
def test_a_wrong_value_is_refused(path: str, value: Any, words: str) -> None:
    _, errors = problems_of(BundleSpec, changed(path, value))

    assert 1 == len(errors), errors
    assert words in str(errors[0]["msg"])
    assert path.split(".") == [str(step) for step in errors[0]["loc"]]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("rollout", {}),
        ("revisionHistoryLimit", 3),
        ("artifact.secretRef", {"name": "x"}),
    ],
)
def test_what_would_do_nothing_yet_is_refused(path: str, value: Any) -> None:
    found, errors = problems_of(BundleSpec, changed(path, value))

    assert found is None
    assert ["extra_forbidden"] == [error["type"] for error in errors]


def ground(model: dict[str, Any], contracts):
    spec = ContenderSpec.model_validate({"recipe": {"kind": "Model", "model": model}})
    arena = ArenaSpec.model_validate(ARENA)
    return compile_ground("main", arena, {"mine": (spec, {})}, contracts)


def test_a_recipe_finds_its_bundle() -> None:
    told = {"bundleRef": {"name": "line", "pin": "1.0.0"}, "minConfidenceBps": 6000}

    (entrant,) = ground(told, {"line": contract()}).entrants

    made = build(entrant)
    assert (RecipeKind.MODEL, "line", 0.6) == (entrant.kind, entrant.rule, entrant.min_confidence)
    assert isinstance(made, BundleContender)
    assert (contract(), 0.6) == (made.contract, made.min_confidence)


def test_another_archive_is_another_recipe_hash() -> None:
    told = {"bundleRef": {"name": "line"}}

    hashes = {
        ground(told, {"line": contract(digest=digest * 32)}).entrants[0].recipe_hash
        for digest in ("ab", "cd", "ab")
    }

    assert 2 == len(hashes)


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ({"name": "lime"}, "no ModelBundle 'lime' in this folder; did you mean 'line'"),
        ({"name": "line", "pin": "2.0.0"}, "has version 1.0.0, not 2.0.0"),
    ],
)
def test_a_bundle_that_is_not_there_is_named(ref: dict[str, str], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        ground({"bundleRef": ref}, {"line": contract()})


def test_without_any_bundle_the_remedy_is_to_add_one() -> None:
    with pytest.raises(SpecError, match="add a manifest of that kind"):
        ground({"bundleRef": {"name": "line"}}, {})
