"""Does a real API server keep every rule, with words that say what to do?"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import crd_kit as kit
import pytest
from apiserver_kit import Answer, ApiServer

CASES = kit.cases()


def at(kind: str, name: str = "") -> str:
    place = f"/apis/{kit.API_VERSION}/namespaces/default/{kit.PLURALS[kind]}"
    return f"{place}/{name}" if name else place


def tried(server: ApiServer, kind: str, spec: dict[str, Any], name: str = "one") -> Answer:
    """Ask the server whether it would take an object; nothing is kept."""
    how = "?dryRun=All&fieldValidation=Strict"
    return server.ask("POST", at(kind) + how, kit.manifest(kind, spec, name))


def messages(answer: Answer) -> str:
    return "\n".join(message for _, _, message in answer.causes) or answer.words


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.old is None], ids=lambda case: case.name
)
def test_an_object_that_breaks_a_rule_is_refused_in_its_words(
    server: ApiServer, case: kit.Case
) -> None:
    taken = tried(server, case.kind, case.good)
    refused = tried(server, case.kind, case.bad)

    assert (201, 422) == (taken.code, refused.code), taken.words
    assert case.message in messages(refused)


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.old is not None], ids=lambda case: case.name
)
def test_a_change_that_breaks_a_rule_is_refused_in_its_words(
    server: ApiServer, case: kit.Case
) -> None:
    assert case.old is not None
    made = server.ask("POST", at(case.kind), kit.manifest(case.kind, case.old, "changing"))
    assert 201 == made.code, made.words
    try:
        taken, refused = (
            server.ask("PUT", f"{at(case.kind, 'changing')}?dryRun=All", made.body | {"spec": spec})
            for spec in (case.good, case.bad)
        )
    finally:
        server.ask("DELETE", at(case.kind, "changing"))

    assert (200, 422) == (taken.code, refused.code), taken.words
    assert case.message in messages(refused)


@pytest.mark.parametrize("kind", kit.WHOLE)
def test_a_name_that_is_no_subject_token_is_refused(server: ApiServer, kind: str) -> None:
    spec = kit.WHOLE[kind][0]
    good = ("one", "a", "a" * 40, "my-arena-2")
    bad = ("my.arena", "1st", "a" * 41)

    assert {201} == {tried(server, kind, spec, name).code for name in good}
    for name in bad:
        refused = tried(server, kind, spec, name)

        assert 422 == refused.code
        assert kit.refusals(kind, spec, name) != []
    assert "NATS subject token" in messages(tried(server, kind, spec, "my.arena"))


@pytest.mark.parametrize(
    ("kind", "path", "name"),
    [
        ("Arena", "thinking", "thinking"),
        ("Arena", "clock.sped", "sped"),
        ("Contender", "suspend", "suspend"),
        ("RiskPolicy", "limits.maxOrderNotionl", "maxOrderNotionl"),
        ("ModelBundle", "rollout", "rollout"),
    ],
)
def test_a_field_that_does_nothing_is_unknown(
    server: ApiServer, kind: str, path: str, name: str
) -> None:
    spec = kit.changed(kit.WHOLE[kind][0], {path: {}})

    strict = tried(server, kind, spec)
    warned = server.ask("POST", f"{at(kind)}?dryRun=All", kit.manifest(kind, spec))

    assert 400 == strict.code
    assert f'unknown field "spec.{path}"' in strict.words
    assert 201 == warned.code
    assert any(f"spec.{path}" in text for text in warned.warnings)
    assert name not in json.dumps(warned.body["spec"])
    assert kit.refusals(kind, spec) != []


def variants(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield objects with one value at or beyond a bound of its field, or without the field."""
    for path, node in kit.nodes(kit.schema_of(kind)):
        if path == "spec" or "{}" in path:
            continue
        spec, place = kit.place_in(kind, path)
        if not path.endswith("[]"):
            yield f"{path} is gone", kit.changed(spec, {place: kit.REMOVED})
        for value in values(node):
            shown = repr(value)
            told = f"{path} is {shown if len(shown) < 30 else shown[:25] + '…'}"
            yield told, kit.changed(spec, {place: copy.deepcopy(value)})


def values(node: dict[str, Any]) -> Iterator[Any]:
    """Yield values at the edges of what a field may hold, and values of other types."""
    match node["type"]:
        case "integer":
            low, high = node["minimum"], node["maximum"]
            yield from (low - 1, low, high, high + 1, "1", True, 1.5)
        case "boolean":
            yield from (True, False, "true", 1)
        case "string" if "enum" in node:
            yield from (*node["enum"], "Other", "", 1)
        case "string":
            yield from ("", "a", "A", "0", "1", 1, True, " ", "é")
            yield from ("A" * node["maxLength"], "a" * (node["maxLength"] + 1))
        case "array":
            yield from ([], "a", {})
        case "object":
            yield from ({}, "a", [])


@pytest.mark.parametrize("kind", kit.WHOLE)
def test_server_and_models_agree_on_the_edges_of_every_field(server: ApiServer, kind: str) -> None:
    differ, refused, taken = [], 0, 0
    for told, spec in variants(kind):
        answer, said = tried(server, kind, spec), kit.refusals(kind, spec)
        assert answer.code in {201, 400, 422}, answer
        refused += answer.code != 201
        taken += answer.code == 201
        if (answer.code == 201) != (said == []):
            differ.append((told, answer.code, messages(answer)[:200], said[:2]))

    assert [] == differ
    assert refused > 40
    assert taken > 20


def test_one_mistake_is_told_without_others_that_follow_from_it(server: ApiServer) -> None:
    spec = kit.changed(kit.POLICY, {"limits.maxOrderNotional": "1,000"})

    causes = tried(server, "RiskPolicy", spec).causes

    assert {"spec.limits.maxOrderNotional"} == {field for field, _, _ in causes}
    assert len(causes) == 2  # the pattern, and the words for it


TIMES = [
    ("2000-02-29", True), ("1900-02-29", False), ("2023-02-29T00:00:00Z", False),
    ("2024-02-29T23:59:59.123456789+14:00", True), ("2001-02-30", False), ("2001-04-31", False),
    ("2001-12-31T24:00:00Z", False), ("2001-12-31T23:59:60Z", False), ("0999-01-01", False),
    ("2001-1-1", False), ("2001-01-01T00:00:00", False), ("2001-01-01T00:00Z", False),
    ("2001-01-01T00:00:00+24:00", False), ("2001-01-01t00:00:00Z", False),
]  # fmt: skip


@pytest.mark.parametrize(("text", "is_time"), TIMES)
def test_a_time_is_one_to_both(server: ApiServer, text: str, is_time: bool) -> None:
    spec = kit.changed(kit.ARENA, {"season": {"name": "1", "start": text}})

    assert (201 if is_time else 422) == tried(server, "Arena", spec).code
    assert is_time == (kit.refusals("Arena", spec) == [])


ORDERS = [
    ("2001-01-01", "2001-01-01T00:00:00Z", False),
    ("2001-01-01", "2001-01-01T00:00:00.000000001Z", True),
    ("2001-01-01T02:00:00+02:00", "2001-01-01T00:00:00Z", False),
    ("2001-01-01T02:00:00+02:01", "2001-01-01T00:00:00Z", True),
]


@pytest.mark.parametrize(("start", "end", "is_good"), ORDERS)
def test_a_season_ends_after_its_start_to_both(
    server: ApiServer, start: str, end: str, is_good: bool
) -> None:
    spec = kit.changed(kit.ARENA, {"season": {"name": "1", "start": start, "end": end}})

    assert (201 if is_good else 422) == tried(server, "Arena", spec).code
    assert is_good == (kit.refusals("Arena", spec) == [])
