"""Do objects of other schemas, older and newer, still say what they said?"""

from __future__ import annotations

import copy

import crd_kit as kit
import pytest
import yaml
from pydantic import ValidationError

from titanflow.core.spec.contender import ContenderSpec
from titanflow.core.spec.resource import RESOURCES, read_spec
from tools.tree import ROOT

OLDER = ROOT / "tests/crd/older"
"""Objects as they were written under a former schema. A file is never edited: one is added when a
schema changes, because objects outlive the version that took them."""


def test_unknown_fields_are_left_out_and_told() -> None:
    newer = copy.deepcopy(kit.CONTENDER)
    newer |= {"podTemplate": {"spec": {"x": [1]}}}
    newer["recipe"]["rules"]["seed"] = 7  # type: ignore[index]
    newer["killSwitch"]["colour"] = "red"  # type: ignore[index]

    read = read_spec("Contender", newer)

    assert read.spec == read_spec("Contender", kit.CONTENDER).spec
    unknown = ["spec.killSwitch.colour", "spec.podTemplate", "spec.recipe.rules.seed"]
    assert unknown == sorted(read.unknown)


def test_unknown_fields_in_lists_are_left_out() -> None:
    newer = copy.deepcopy(kit.ARENA)
    for instrument in newer["instruments"]:  # type: ignore[attr-defined]
        instrument["calendar"] = "XNYS"

    read = read_spec("Arena", newer)

    assert read.spec == read_spec("Arena", kit.ARENA).spec
    assert ["spec.instruments.0.calendar", "spec.instruments.1.calendar"] == read.unknown


def test_what_no_version_allows_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than zero"):
        read_spec("Contender", kit.CONTENDER | {"capital": "0", "later": 1})


@pytest.mark.parametrize("path", sorted(OLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_an_older_object_loads_and_comes_back_as_it_was(path) -> None:
    models = {one.kind: one.spec for one in RESOURCES}
    told = list(yaml.safe_load_all(path.read_text("utf-8")))

    assert set(models) == {one["kind"] for one in told}
    for one in told:
        spec, unknown = read_spec(one["kind"], one["spec"])
        again = spec.model_dump(mode="json", by_alias=True, exclude_none=True)

        assert [] == unknown
        assert spec == read_spec(one["kind"], again).spec
        assert subset(one["spec"], again)


def subset(small: object, large: object) -> bool:
    """Say whether *large* says all that *small* says, and perhaps defaults besides."""
    match small, large:
        case dict(), dict():
            return all(key in large and subset(part, large[key]) for key, part in small.items())
        case list(), list():
            return len(small) == len(large) and all(map(subset, small, large))
        case _:
            return small == large


def test_a_contender_without_replicas_runs_once() -> None:
    spec, _ = read_spec("Contender", kit.changed(kit.CONTENDER, {"replicas": kit.REMOVED}))

    assert isinstance(spec, ContenderSpec)
    assert 1 == spec.replicas
