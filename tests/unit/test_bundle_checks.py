"""Is a graph refused for what it would do, before anything runs it, and a decent one let in?"""

import pickle
import random
import time

import msgspec
import numpy as np
import onnx
import pytest
from model_kit import (
    OPSETS,
    OUTPUT,
    at_random,
    constants,
    graph_bytes,
    linear_nodes,
    loop_forever,
    manifest,
    members,
    outside_data,
    sixteen_gigabytes,
    vectors,
)
from onnx import TensorProto
from onnx.helper import make_node, make_opsetid, make_tensor

from titanflow.adapters.bundles.bundle import read_members
from titanflow.adapters.bundles.checks import check_graph
from titanflow.adapters.bundles.refusal import BundleRefusedError, Step
from titanflow.core.spec.bundle import Golden, Lineage

BATCH = 64
SECONDS_MAX = 1.0


def refusal(model: bytes, **changes) -> str:
    start = time.monotonic()
    with pytest.raises(BundleRefusedError) as caught:
        check_graph(model, manifest(**changes), BATCH)
    assert time.monotonic() - start <= SECONDS_MAX
    assert caught.value.step is Step.GRAPH
    return caught.value.what


def test_a_decent_graph_is_let_in() -> None:
    check_graph(graph_bytes(), manifest(), BATCH)


HOSTILE = {
    "loop": (loop_forever, "Loop is not allowed"),
    "sixteen gigabytes": (sixteen_gigabytes, "needs more than"),
    "random": (at_random, "RandomNormalLike is not allowed"),
    "outside data": (outside_data, "lies outside of the file"),
    "outside data, absolute": (lambda: outside_data("/etc/passwd"), "lies outside of the file"),
    "pickle": (lambda: pickle.dumps({"weights": [1.0]}), "is a pickle"),
    "zip": (lambda: b"PK\x03\x04rest", "is a pickle or a zip"),
    "nothing": (lambda: b"", "does nothing"),
    "noise": (lambda: bytes(range(256)), "no ONNX graph"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_graph_is_refused_within_a_second(name: str) -> None:
    make, word = HOSTILE[name]

    assert word in refusal(make())


def replaced(number: int, *nodes) -> bytes:
    plain = linear_nodes()
    return graph_bytes([*plain[:number], *nodes, *plain[number + 1 :]])


def test_if_and_scan_and_custom_operators_are_refused() -> None:
    own = make_node("Add", ["sums", "base"], ["value"], domain="com.example")

    assert "com.example.Add is not allowed" in refusal(replaced(3, own))
    for operator in ("If", "Scan", "Multinomial", "Bernoulli", "StringNormalizer", "Range"):
        found = refusal(replaced(3, make_node(operator, ["sums"], ["value"])))
        assert f"{operator} is not allowed" in found


def test_a_domain_that_is_only_imported_is_refused() -> None:
    imports = [make_opsetid("", 17), make_opsetid("com.example", 1)]

    assert "domain 'com.example'" in refusal(graph_bytes(opset_imports=imports))


@pytest.mark.parametrize("version", [2, 14, 99])
def test_a_format_that_the_runtime_does_not_read_is_refused(version: int) -> None:
    assert "IR version" in refusal(graph_bytes(ir_version=version))


def test_opsets_must_be_known_and_those_of_the_manifest() -> None:
    assert "not in" in refusal(graph_bytes(opset_imports=[make_opsetid("", 99)]))
    assert "not those of its manifest" in refusal(graph_bytes(), opset={"ai.onnx": 18})


def test_functions_of_its_own_are_refused() -> None:
    function = onnx.helper.make_function(
        "com.example", "F", ["x"], ["y"], [make_node("Identity", ["x"], ["y"])], []
    )

    assert "functions" in refusal(graph_bytes(functions=[function]))


def test_a_batch_that_is_fixed_is_refused() -> None:
    assert "must be free" in refusal(graph_bytes(batch=64))


def test_another_input_or_output_than_the_contract_s_is_refused() -> None:
    assert "must give value and parts" in refusal(graph_bytes(outputs=("value",)))
    assert "must give value, in" in refusal(graph_bytes(), explained=False)
    assert "float32 of shape (batch, 2)" in refusal(graph_bytes(), features=("roc_1", "rsi_5"))


def test_an_output_of_another_shape_is_refused() -> None:
    wide = make_node("Concat", ["sums", "sums"], ["value"], axis=1)

    assert "do not fit" in refusal(replaced(3, wide)) or "shape" in refusal(replaced(3, wide))


def test_a_stated_size_is_not_believed() -> None:
    model = onnx.load_model_from_string(sixteen_gigabytes())
    lie = onnx.helper.make_tensor_value_info("wide", TensorProto.FLOAT, [1, 1])
    model.graph.value_info.append(lie)

    assert refusal(model.SerializeToString())


def test_a_size_that_depends_on_the_numbers_is_refused() -> None:
    nodes = linear_nodes()
    nodes[3] = make_node("Add", ["sums", "base"], ["start"])
    nodes += [
        make_node("ReduceMax", ["start"], ["top"], keepdims=0),
        make_node("Cast", ["top"], ["count"], to=TensorProto.INT64),
        make_node("Reshape", ["count", "one"], ["counts"]),
        make_node("Expand", ["zero", "counts"], ["wide"]),
        make_node("ReduceSum", ["wide"], ["all"], keepdims=1),
        make_node("Add", ["start", "all"], ["value"]),
    ]
    tensors = [*constants(), make_tensor("one", TensorProto.INT64, [1], [1])]

    assert "cannot be known before it runs" in refusal(graph_bytes(nodes, tensors))


def test_constants_that_claim_to_be_huge_are_refused() -> None:
    huge = onnx.TensorProto(name="unused", data_type=TensorProto.FLOAT, dims=[1 << 40])

    assert "constants need more" in refusal(graph_bytes(tensors=[*constants(), huge]))


def test_strings_are_refused() -> None:
    text = make_tensor("text", TensorProto.STRING, [1], [b"x"])

    assert "type" in refusal(graph_bytes(tensors=[*constants(), text]))


def tree_node(**changes) -> bytes:
    """Return a graph with one tree in it: a root and two leaves, or what *changes* make of it."""
    told = {
        "n_targets": 1,
        "nodes_treeids": [0, 0, 0],
        "nodes_nodeids": [0, 1, 2],
        "nodes_featureids": [0, 0, 0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_values": [0.5, 0.0, 0.0],
        "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0],
        "target_treeids": [0, 0],
        "target_nodeids": [1, 2],
        "target_ids": [0, 0],
        "target_weights": [1.0, 2.0],
        **changes,
    }
    nodes = linear_nodes()
    nodes[3] = make_node(
        "TreeEnsembleRegressor", ["features"], ["value"], domain="ai.onnx.ml", **told
    )
    imports = [make_opsetid("", 17), make_opsetid("ai.onnx.ml", 3)]
    return graph_bytes(nodes, opset_imports=imports)


TREES = OPSETS | {"ai.onnx.ml": 3}


def test_a_tree_is_let_in() -> None:
    check_graph(tree_node(), manifest(opset=TREES), BATCH)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"nodes_truenodeids": [0, 0, 0]}, "never ends"),
        ({"nodes_truenodeids": [2, 0, 0]}, "never ends"),
        ({"nodes_truenodeids": [9, 0, 0]}, "leads nowhere"),
        ({"nodes_featureids": [7, 0, 0]}, "no feature"),
        ({"nodes_modes": ["BRANCH_MEMBER", "LEAF", "LEAF"]}, "no feature"),
        ({"nodes_nodeids": [0, 1, 1]}, "stands twice"),
        ({"nodes_nodeids": [0, 1]}, "lengths"),
        (
            {
                "nodes_modes": ["LEAF", "BRANCH_LEQ", "BRANCH_LEQ"],
                "nodes_truenodeids": [0, 2, 1],
                "nodes_falsenodeids": [0, 2, 1],
            },
            "never ends",
        ),
    ],
)
def test_a_tree_whose_walk_may_not_end_is_refused(changes, word: str) -> None:
    assert word in refusal(tree_node(**changes), opset=TREES)


def manifest_refusal(told) -> str:
    with pytest.raises(BundleRefusedError) as caught:
        read_members(told, "ab" * 32)
    assert caught.value.step is Step.MANIFEST
    return caught.value.what


LINEAGE = Lineage("", "", "x", {}, "2019-01-01T00:00:00Z", "2020-01-20T00:00:00Z")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"format": 2}, "format 2 is not known"),
        ({"features": ()}, "no feature"),
        ({"features": ("roc_1", "rci_3", "rsi_5")}, "not registered"),
        ({"feature_digest": "00" * 32}, "mean something else"),
        ({"trade_from": "2019-06-01T00:00:00Z"}, "tradeFrom not before"),
        ({"trade_from": "soon"}, "write a UTC time"),
        ({"lineage": msgspec.structs.replace(LINEAGE, trained_from="2021-01-01")}, "trainedFrom"),
        ({"golden": Golden(255)}, "256 rows"),
        ({"golden": Golden(256, 1e-3)}, "tolerance"),
        ({"output": msgspec.structs.replace(OUTPUT, enter=0.0)}, "enter"),
        ({"output": msgspec.structs.replace(OUTPUT, full=0.01)}, "enter"),
        ({"output": msgspec.structs.replace(OUTPUT, horizon_seconds=0)}, "horizonSeconds"),
        ({"explained": False}, "golden.f32 has"),
    ],
)
def test_a_manifest_that_promises_the_impossible_is_refused(changes, word: str) -> None:
    assert word in manifest_refusal(members(**changes))


def test_a_manifest_that_says_more_or_less_is_refused() -> None:
    told = members()

    for text in (b"", b"[]", b"{}", told.manifest.replace(b'"format"', b'"from"')):
        assert "manifest.json" in manifest_refusal(msgspec.structs.replace(told, manifest=text))


def test_golden_vectors_that_are_not_finite_are_refused() -> None:
    golden = vectors()
    values = golden.values.copy()
    values[3] = np.nan

    assert "not finite" in manifest_refusal(
        members(numbers=msgspec.structs.replace(golden, values=values))
    )


def test_a_damaged_file_never_makes_the_judge_stumble() -> None:
    chance = random.Random(5)
    told = members()
    refused = 0
    for _ in range(400):
        content = bytearray(told.model)
        for _ in range(chance.choice([1, 2, 8])):
            place = chance.randrange(len(content))
            if chance.random() < 0.7:
                content[place] = chance.randrange(256)
            else:
                content[place:place] = chance.randbytes(3)
        try:
            read_members(msgspec.structs.replace(told, model=bytes(content)), "ab" * 32)
        except BundleRefusedError:
            refused += 1

    assert refused > 200
