"""Can people work with the resources: apply, explain, list, scale, wait, read back, upgrade?"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import crd_kit as kit
import pytest
from apiserver_kit import ApiServer

from titanflow.adapters.registry.folder import load_folder, load_texts
from titanflow.core.spec.resource import RESOURCES, read_spec
from tools.make_crds import crd
from tools.tree import ROOT

EXAMPLE = ROOT / "examples/arena"
NOW = "2026-11-21T09:30:00Z"


@pytest.fixture(scope="module")
def example(server: ApiServer) -> Iterator[ApiServer]:
    """A server with the example arena, as a person puts it there."""
    server.kubectl("create", "namespace", "arena")
    flags = ("--server-side", "--validate=strict", "-n", "arena")
    said = server.kubectl("apply", *flags, "-f", str(EXAMPLE))
    assert said.count("serverside-applied") >= 20, said
    yield server
    server.kubectl("delete", "-n", "arena", "arn,ctd,rp,mb", "--all")


def objects(server: ApiServer, names: str = "arn,ctd,rp,mb") -> list[dict[str, Any]]:
    told = json.loads(server.kubectl("get", names, "-n", "arena", "-o", "json"))
    found: list[dict[str, Any]] = told["items"]
    return found


def status(server: ApiServer, plural: str, name: str, told: dict[str, Any]) -> None:
    place = f"/apis/{kit.API_VERSION}/namespaces/arena/{plural}/{name}/status"
    answer = server.ask("PATCH", place, {"status": told}, kind="application/merge-patch+json")
    assert 200 == answer.code, answer.words


def ready(value: str, reason: str) -> dict[str, Any]:
    told = {"type": "Ready", "status": value, "reason": reason, "message": "all in place"}
    return {"conditions": [told | {"lastTransitionTime": NOW}]}


def test_the_other_example_is_taken(server: ApiServer) -> None:
    flags = ("--server-side", "--validate=strict", "--dry-run=server")

    said = server.kubectl("apply", *flags, "-f", str(ROOT / "examples/my_contender"))

    assert said.count("serverside-applied") >= 3


def test_a_second_apply_changes_nothing(example: ApiServer) -> None:
    before = {o["metadata"]["uid"]: o["metadata"]["resourceVersion"] for o in objects(example)}

    example.kubectl("apply", "--server-side", "-n", "arena", "-f", str(EXAMPLE))

    after = {o["metadata"]["uid"]: o["metadata"]["resourceVersion"] for o in objects(example)}
    assert before == after


def test_a_second_client_side_apply_says_unchanged(server: ApiServer) -> None:
    server.kubectl("create", "namespace", "old-way")
    first = server.kubectl("apply", "--validate=strict", "-n", "old-way", "-f", str(EXAMPLE))
    second = server.kubectl("apply", "-n", "old-way", "-f", str(EXAMPLE))
    server.kubectl("delete", "-n", "old-way", "arn,ctd,rp,mb", "--all")

    assert "created" in first
    assert {"unchanged"} == {line.split()[-1] for line in second.splitlines()}


def test_what_is_read_back_loads_as_what_was_applied(example: ApiServer) -> None:
    """Defaults of the server are those of the models, and its own fields are no mistake."""
    texts = []
    for one in objects(example):
        one.pop("status", None)
        texts.append(json.dumps(one).encode())

    back = load_texts(texts, EXAMPLE)

    assert load_folder(EXAMPLE).digests == back.digests


def test_a_typing_error_is_reported(server: ApiServer, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text((EXAMPLE / "policies.yaml").read_text("utf-8").replace("onBreach", "onBreech"))

    said = server.kubectl("apply", "--validate=strict", "-f", str(file), ok=False)

    assert 'unknown field "spec.onBreech"' in said


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda one: one.kind)
def test_explain_tells_what_a_field_is(server: ApiServer, resource: Any) -> None:
    for path, node in kit.nodes(kit.schema_of(resource.kind)):
        if path.count(".") == 1 and "[" not in path and "{" not in path:
            said = server.kubectl("explain", f"{resource.short}.{path}")

            told = " ".join(said.split())
            assert " ".join(node["description"].split()) in told, path
    assert resource.description[:40] in " ".join(server.kubectl("explain", resource.short).split())


def test_explain_goes_to_the_bottom(server: ApiServer) -> None:
    said = server.kubectl("explain", "arn.spec.instruments.fees.makerPpm")

    assert "parts per million" in said


def test_the_list_answers_who_leads_whether_it_runs_and_whether_it_is_real(
    example: ApiServer,
) -> None:
    leader = {"name": "macd", "return": "+14.94%", "band": "A"}
    told = {"data": "Real", "leader": leader, "lag": "38ms", "contenders": {"total": 4, "live": 0}}
    status(example, "arenas", "main", told | ready("True", "Running"))
    standing = {"rank": "1", "return": "+14.94%", "drawdown": "-4.5%"}
    status(example, "contenders", "macd", {"standing": standing} | ready("True", "Running"))
    status(example, "riskpolicies", "house", {"boundContenders": 14} | ready("True", "Enforced"))
    status(example, "modelbundles", "drift", {"stableVersion": "1.0.0"} | ready("True", "Serving"))

    rows = {
        name: [line.split() for line in example.kubectl("get", name, "-n", "arena").splitlines()]
        for name in ("arn", "ctd", "rp", "mb")
    }

    assert ["NAME", "CLOCK", "DATA", "CONTENDERS", "LIVE", "LEADER", "RETURN"] == rows["arn"][0][:7]
    main = ["main", "Replay", "Real", "4", "0", "macd", "+14.94%", "38ms", "True", "Running"]
    assert main == rows["arn"][1][:10]
    macd = next(row for row in rows["ctd"] if row[0] == "macd")
    assert ["macd", "Paper", "Rules", "1", "+14.94%", "-4.5%", "True", "Running"] == macd[:8]
    house = next(row for row in rows["rp"] if row[0] == "house")
    assert ["house", "Enforce", "CancelAll", "14", "True", "Enforced", "false"] == house[:7]
    assert ["drift", "1.0.0", "1.0.0", "True", "Serving"] == next(
        row for row in rows["mb"] if row[0] == "drift"
    )[:5]


def test_one_word_lists_all_kinds(example: ApiServer) -> None:
    said = example.kubectl("get", "titanflow", "-n", "arena", "-o", "name")

    kinds = {line.partition(".")[0] for line in said.splitlines()}
    assert {one.kind.lower() for one in RESOURCES} == kinds


def test_wait_reads_the_conditions(example: ApiServer) -> None:
    status(example, "contenders", "breakout", ready("True", "Running"))

    for_ready = ("wait", "--for=condition=Ready", "-n", "arena", "ctd/breakout")
    said = example.kubectl(*for_ready, "--timeout=5s")
    status(example, "contenders", "breakout", ready("False", "Waiting"))
    late = example.kubectl(*for_ready, "--timeout=1s", ok=False)

    assert "condition met" in said
    assert "timed out" in late


def test_a_contender_is_scaled(example: ApiServer) -> None:
    status(example, "contenders", "breakout", {"replicas": 1, "selector": "app=x"})
    example.kubectl("scale", "-n", "arena", "ctd/breakout", "--replicas=0")
    place = f"/apis/{kit.API_VERSION}/namespaces/arena/contenders/breakout"

    scale = example.ask("GET", f"{place}/scale").body
    refused = example.kubectl("scale", "-n", "arena", "ctd/breakout", "--replicas=2", ok=False)

    assert (0, 1, "app=x") == (
        scale["spec"].get("replicas", 0), scale["status"]["replicas"], scale["status"]["selector"]
    )  # fmt: skip
    assert 0 == example.ask("GET", place).body["spec"]["replicas"]
    assert "less than or equal to 1" in refused


@pytest.mark.parametrize(
    ("names", "selector", "expected"),
    [
        ("ctd", "spec.recipe.kind=Python", {"probe"}),
        ("ctd", "spec.recipe.model.bundleRef.name=drift", {"tree-drift"}),
        ("ctd", "spec.arena=other", set()),
        ("arn", "spec.season.name=1,spec.clock.kind=Replay", {"main"}),
        ("mb", "spec.version=1.0.0", {"direction", "drift"}),
    ],
)
def test_fields_can_be_selected(
    example: ApiServer, names: str, selector: str, expected: set[str]
) -> None:
    said = example.kubectl(
        "get", names, "-n", "arena", f"--field-selector={selector}", "-o", "name"
    )

    assert expected == {line.rpartition("/")[2] for line in said.splitlines() if "/" in line}


def test_a_status_is_not_written_with_the_spec(example: ApiServer) -> None:
    (one,) = objects(example, "arn")
    spoilt = {**one, "status": {"data": "Synthetic"}}
    place = f"/apis/{kit.API_VERSION}/namespaces/arena/arenas/main"

    answer = example.ask("PUT", f"{place}?dryRun=All", spoilt)

    assert 200 == answer.code
    assert one.get("status") == answer.body.get("status")


def test_whole_statuses_are_taken(example: ApiServer) -> None:
    """The status models and the schema are one; nothing of them is pruned."""
    whole: dict[str, tuple[str, dict[str, Any]]] = {
        "arenas": ("main", {
            "observedGeneration": 1, "session": "20261121T093000-main", "season": "1",
            "startedAt": NOW, "source": "bundled", "data": "Real", "lastEventAt": NOW,
            "lag": "38ms", "lagMicros": 38000, "events": 12,
            "contenders": dict.fromkeys(
                ("total", "candidate", "shadow", "paper", "live", "retired"), 1),
            "leader": {"name": "macd", "return": "+1%", "band": "A"},
            "journal": {"head": kit.SHA, "records": 9, "closed": False}, "invariantsBroken": 0,
            "killSwitch": {
                "engaged": True, "latched": True, "source": "Spec", "epoch": 1, "since": NOW,
                "acknowledgedResetToken": "a", "acknowledgedBy": 3,
            },
        }),
        "modelbundles": ("drift", {
            "stableVersion": "1.0.0", "stableSha256": kit.SHA, "stableRevision": "drift-1.0.0",
            "candidateVersion": "1.1.0", "rejectedVersions": ["1.0.1"], "consumers": 1,
            "updatedConsumers": 1,
            "rollout": {
                "stage": "Canary", "stepIndex": 1, "stepHash": "x", "stepStartedAt": NOW,
                "startedAt": NOW, "weight": 10, "samples": 5,
                "analysis": [{
                    "name": "arena-drawdown", "phase": "Running", "successful": 1, "failed": 0,
                    "inconclusive": 0, "errors": 0, "stable": "1", "candidate": "2", "message": "",
                }],
            },
        }),
    }  # fmt: skip
    for plural, (name, told) in whole.items():
        status(example, plural, name, told)

        place = f"/apis/{kit.API_VERSION}/namespaces/arena/{plural}/{name}"
        held = example.ask("GET", place).body["status"]
        model = next(one.observed for one in RESOURCES if one.plural == plural)
        assert told == {word: held[word] for word in told}
        assert model.model_validate_json(json.dumps(held))


def test_the_largest_arena_is_taken(server: ApiServer) -> None:
    whole = kit.ARENA["instruments"][0]  # type: ignore[index]
    many = [kit.changed(whole, {"symbol": f"S{n:031d}"}) for n in range(512)]
    kill = {"killSwitch.instruments": [one["symbol"] for one in many[-64:]]}
    spec = kit.changed(kit.ARENA, {"instruments": many, **kill})
    place = f"/apis/{kit.API_VERSION}/namespaces/default/arenas"

    began = time.monotonic()
    made = server.ask("POST", place, kit.manifest("Arena", spec, "large"))
    changed = server.ask("PUT", f"{place}/large", made.body | {"spec": spec | {"displayName": "x"}})
    took = time.monotonic() - began
    server.ask("DELETE", f"{place}/large")

    assert (201, 200) == (made.code, changed.code), made.words
    assert took < 20


def test_objects_of_an_older_schema_live_on(bare: ApiServer, server: ApiServer) -> None:
    """A resource is upgraded in place: what was stored before is read, defaulted and changed."""
    (resource,) = (one for one in RESOURCES if one.kind == "Contender")
    older = copy.deepcopy(crd(resource))
    (version,) = older["spec"]["versions"]
    version["subresources"].pop("scale")
    version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"].pop("replicas")
    place = f"/apis/{kit.API_VERSION}/namespaces/default/contenders"
    old_spec = kit.changed(kit.CONTENDER, {"replicas": kit.REMOVED})
    try:
        install(bare, older, lambda spec: "replicas" not in spec)
        made = bare.ask("POST", place, kit.manifest("Contender", old_spec, "elder"))
        assert (201, False) == (made.code, "replicas" in made.body["spec"]), made.words
    finally:
        install(server, crd(resource), lambda spec: "replicas" in spec)

    held = server.ask("GET", f"{place}/elder").body
    told = held | {"spec": held["spec"] | {"displayName": "Still here"}}
    changed = server.ask("PUT", f"{place}/elder", told)
    server.ask("DELETE", f"{place}/elder")

    assert 1 == held["spec"]["replicas"]
    assert 200 == changed.code, changed.words
    assert ([], 1) == (read_spec("Contender", held["spec"]).unknown, 1)
    assert kit.refusals("Contender", old_spec) == []


def install(server: ApiServer, told: dict[str, Any], is_there: Any) -> None:
    """Apply a resource definition and wait until the server goes by it."""
    server.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=json.dumps(told))
    place = f"/apis/{kit.API_VERSION}/namespaces/default/contenders?dryRun=All"
    until = time.monotonic() + 30
    while True:
        answer = server.ask("POST", place, kit.manifest("Contender", kit.CONTENDER, "probe"))
        if answer.code == 201 and is_there(answer.body["spec"]):
            return
        assert time.monotonic() < until, answer
        time.sleep(0.1)


def test_objects_of_former_schemas_are_taken(server: ApiServer) -> None:
    """The same files load in `tests/unit/test_spec_resource.py`."""
    for file in (ROOT / "tests/crd/older").glob("*.yaml"):
        said = server.kubectl("apply", "--server-side", "--dry-run=server", "-f", str(file))

        assert said.count("serverside-applied") >= 8


def test_the_server_ends_with_whoever_started_it(tmp_path: Path) -> None:
    """Also when that is killed: a test run that dies leaves nothing behind."""
    told = (
        "import sys, time; from pathlib import Path; from apiserver_kit import running\n"
        "with running(Path(sys.argv[1])) as server:\n    print('up', flush=True); time.sleep(60)"
    )
    paths = os.pathsep.join((str(ROOT / "tests/support"), str(ROOT)))
    parent = subprocess.Popen(
        [sys.executable, "-c", told, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert parent.stdout is not None
    with parent.stdout:
        assert b"up\n" == parent.stdout.readline()
    started = of_folder(tmp_path)
    parent.kill()
    parent.wait()

    until = time.monotonic() + 10
    while of_folder(tmp_path):
        assert time.monotonic() < until, of_folder(tmp_path)
        time.sleep(0.05)
    assert 2 == len(started)


def of_folder(folder: Path) -> list[str]:
    """Return the servers that work in *folder*."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().decode(errors="replace")
            if str(folder) in words and "python" not in words:
                found.append(path.parent.name)
    return found
