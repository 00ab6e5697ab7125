"""Are the custom resources those of the models, fit for an API server and for people?"""

from __future__ import annotations

import json
from typing import Any

import crd_kit as kit
import pytest
import yaml

from titanflow.core.spec.resource import RESOURCES, Resource
from titanflow.core.spec.shape import VALIDATIONS
from tools.make_crds import CRDS, crd, structural, text_of, texts
from tools.tree import relative

KINDS = [one.kind for one in RESOURCES]


def every_node(resource: Resource) -> list[tuple[str, dict[str, Any]]]:
    (version,) = crd(resource)["spec"]["versions"]
    parts = version["schema"]["openAPIV3Schema"]["properties"]
    return [node for part in ("spec", "status") for node in kit.nodes(parts[part], part)]


NODES = [(one.kind, path, node) for one in RESOURCES for path, node in every_node(one)]


def test_what_is_committed_is_that_of_the_models() -> None:
    """The resources, the pages on them, and the page on manifests."""
    stale = [relative(path) for path, text in texts().items() if path.read_text("utf-8") != text]

    assert [] == stale, "run `make crds` and read the diff"


@pytest.mark.parametrize("resource", RESOURCES, ids=KINDS)
def test_the_file_says_what_was_meant(resource: Resource) -> None:
    assert crd(resource) == yaml.safe_load(text_of(resource))


def test_there_is_no_other_file() -> None:
    assert sorted(kind.lower() + ".yaml" for kind in KINDS) == sorted(
        p.name for p in CRDS.iterdir()
    )


def test_every_field_is_described() -> None:
    bare = [(kind, path) for kind, path, node in NODES if len(node.get("description", "")) < 5]

    assert [] == bare


def test_a_default_is_told_in_words() -> None:
    """`kubectl explain` shows no default, so the description must."""
    silent = [
        (kind, path)
        for kind, path, node in NODES
        if "default" in node and "Default: " not in node["description"]
    ]

    assert [] == silent


def test_words_are_told_where_kubectl_cuts_them() -> None:
    """On the parent's page it shows four words at most."""
    silent = [
        (kind, path)
        for kind, path, node in NODES
        if len(node.get("enum", ())) > 4 and not all(w in node["description"] for w in node["enum"])
    ]

    assert [] == silent


def test_no_number_has_a_fraction_and_every_one_is_bounded() -> None:
    loose = [
        (kind, path)
        for kind, path, node in NODES
        if node["type"] == "number"
        or (node["type"] == "integer" and not {"minimum", "maximum", "format"} <= set(node))
    ]

    assert [] == loose


def test_every_text_list_and_mapping_is_bounded() -> None:
    """CEL's cost is estimated from the bounds; without one a rule costs too much to be accepted."""

    def is_bounded(node: dict[str, Any]) -> bool:
        match node["type"]:
            case "string":
                return "maxLength" in node or "enum" in node
            case "array":
                return "maxItems" in node
            case "object":
                return "properties" in node or "maxProperties" in node
            case _:
                return True

    assert [] == [(kind, path) for kind, path, node in NODES if not is_bounded(node)]


def test_every_list_says_how_it_is_merged() -> None:
    merged = {"set", "map", "atomic"}

    silent = [
        (kind, path)
        for kind, path, node in NODES
        if node["type"] == "array" and node.get("x-kubernetes-list-type") not in merged
    ]

    assert [] == silent


def test_no_default_stands_inside_a_list() -> None:
    """With one, each client-side apply would find a difference for ever."""
    listed = [(kind, path) for kind, path, node in NODES if "[]" in path and "default" in node]

    assert [] == listed


def test_every_rule_has_a_message_that_says_more_than_the_expression() -> None:
    mute = [
        (kind, path, rule)
        for kind, path, node in NODES
        for rule in node.get(VALIDATIONS, ())
        if len(rule.get("message", "")) < 15 or "\n" in rule["message"]
    ]

    assert [] == mute


def test_a_default_is_what_the_models_take_for_nothing_said() -> None:
    """Else an object read back from a cluster would be another one."""
    for one in RESOURCES:
        for name, part in kit.schema_of(one.kind)["properties"].items():
            if "default" not in part:
                continue
            bare = kit.changed(kit.WHOLE[one.kind][0], {name: kit.REMOVED})
            if name == "currency":
                bare = kit.changed(bare, {f"instruments.{n}.currency": "USD" for n in (0, 1)})
            said = bare | {name: part["default"]}

            told, expected = (
                one.spec.model_validate_json(json.dumps(spec)) for spec in (said, bare)
            )

            assert expected == told, (one.kind, name)


def test_columns_tell_who_leads_whether_it_runs_and_whether_it_is_real() -> None:
    columns = {one.kind: {column.name for column in one.columns} for one in RESOURCES}

    assert {"Leader", "Return", "Ready", "Reason", "Data", "Clock", "Live"} <= columns["Arena"]
    assert {"Rank", "Return", "Ready", "Reason", "Tier", "Killed"} <= columns["Contender"]
    assert {"Ready", "Bound", "Killed"} <= columns["RiskPolicy"]
    assert {"Stable", "Candidate", "Stage", "Ready"} <= columns["ModelBundle"]


@pytest.mark.parametrize("resource", RESOURCES, ids=KINDS)
def test_columns_and_selectable_fields_are_fields(resource: Resource) -> None:
    paths = {path for path, _ in every_node(resource)}
    wanted = [column.path for column in resource.columns] + list(resource.selectable)

    plain = [path.removeprefix(".").partition("[")[0] for path in wanted]

    assert [] == [
        path for path in plain if path not in paths and path != "metadata.creationTimestamp"
    ]


def test_what_an_api_server_cannot_be_told_is_an_error() -> None:
    union = {"properties": {"x": {"anyOf": [{"type": "string"}, {"type": "integer"}]}}}

    with pytest.raises(ValueError, match=r"\.x: a union"):
        structural({"type": "object", **union})
    with pytest.raises(ValueError, match="multipleOf"):
        structural({"type": "integer", "multipleOf": 2})
