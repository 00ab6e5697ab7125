"""How do LightGBM's trees become a graph that explains itself?

onnxmltools writes the trees as one operator that gives the forecast. A second operator over the
same trees gives, at each leaf, what every feature added on the way from the root: the change of a
node's own forecast is credited to the feature that was asked there. These are path contributions,
exact and additive, and not Shapley values. With the forecast of the roots as base they add up to
what the trees say: log-odds for a probability, the forecast itself for a return.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
import onnx
from onnx import ModelProto, NodeProto, TensorProto
from onnx.helper import (
    make_graph,
    make_model,
    make_node,
    make_opsetid,
    make_tensor,
    make_tensor_value_info,
)

from titanflow.core.base.errors import InvariantError
from titanflow.core.spec.bundle import INPUT, PARTS, VALUE

IR_VERSION = 10
"""Old enough for every onnxruntime in use; onnx itself would write one that none reads."""

Tree = dict[str, Any]


class Booster(Protocol):
    """What is needed of LightGBM's booster."""

    def dump_model(self) -> dict[str, Any]:
        """Return the trees as plain data."""
        ...

    def num_feature(self) -> int:
        """Return how many features there are."""
        ...


class Leaf(msgspec.Struct, frozen=True):
    """A leaf as the trees' own numbers give it: what each feature added, and where it began."""

    added: dict[int, float]
    root: float


def graph_of(booster: Booster, *, probability: bool) -> ModelProto:
    """Return the graph with the outputs `value` and `parts`."""
    converted = _converted(booster)
    features = booster.num_feature()
    nodes = list(converted.graph.node)
    initializers = list(converted.graph.initializer)
    if probability:
        nodes.append(make_node("Gather", ["probabilities", "second"], [VALUE], axis=1))
        initializers.append(make_tensor("second", TensorProto.INT64, [1], [1]))
        nodes = _needed(nodes)
    else:
        (former,) = (output.name for output in converted.graph.output)
        nodes.append(make_node("Identity", [former], [VALUE]))
    nodes.append(_explaining(booster, nodes))
    used = {name for node in nodes for name in node.input}
    graph = make_graph(
        nodes,
        "titanflow",
        [make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", features])],
        [
            make_tensor_value_info(VALUE, TensorProto.FLOAT, ["batch", 1]),
            make_tensor_value_info(PARTS, TensorProto.FLOAT, ["batch", features + 1]),
        ],
        [each for each in initializers if each.name in used],
    )
    opsets = [make_opsetid(each.domain, each.version) for each in converted.opset_import]
    return make_model(graph, ir_version=IR_VERSION, opset_imports=opsets, producer_name="titanflow")


def _converted(booster: Booster) -> ModelProto:
    from onnxmltools import convert_lightgbm  # type: ignore[import-untyped]
    from onnxmltools.convert.common.data_types import (  # type: ignore[import-untyped]
        FloatTensorType,
    )

    shape = FloatTensorType(["batch", booster.num_feature()])
    found = convert_lightgbm(booster, "trees", initial_types=[(INPUT, shape)], zipmap=False)
    assert isinstance(found, ModelProto)
    return found


def _needed(nodes: list[NodeProto]) -> list[NodeProto]:
    """Return the nodes that the output `value` needs: the label of a classifier is let go."""
    wanted, kept = {VALUE}, []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]


def _explaining(booster: Booster, nodes: list[NodeProto]) -> NodeProto:
    """Return the operator that gives the parts, over the same splits as the one that forecasts."""
    features = booster.num_feature()
    trees = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    (ensemble,) = (node for node in nodes if node.op_type.startswith("TreeEnsemble"))
    splits = {
        each.name: onnx.helper.get_attribute_value(each)
        for each in ensemble.attribute
        if each.name.startswith("nodes_")
    }
    targets: dict[str, list[Any]] = {
        "target_treeids": [],
        "target_nodeids": [],
        "target_ids": [],
        "target_weights": [],
    }
    place = {
        pair: number
        for number, pair in enumerate(
            zip(splits["nodes_treeids"], splits["nodes_nodeids"], strict=True)
        )
    }
    for number, tree in enumerate(trees):
        for node_id, leaf in _leaves(tree, splits, place, number):
            added = {**leaf.added, features: leaf.root}
            for target in sorted(added):
                targets["target_treeids"].append(number)
                targets["target_nodeids"].append(node_id)
                targets["target_ids"].append(target)
                targets["target_weights"].append(added[target])
    return make_node(
        "TreeEnsembleRegressor",
        [INPUT],
        [PARTS],
        domain="ai.onnx.ml",
        n_targets=features + 1,
        aggregate_function="SUM",
        post_transform="NONE",
        **splits,
        **targets,  # type: ignore[arg-type]
    )


def _leaves(
    tree: Tree, splits: dict[str, Any], place: dict[tuple[int, int], int], number: int
) -> list[tuple[int, Leaf]]:
    """Return every leaf with its node's id in the converted trees, walking both side by side."""
    root = _forecast(tree)
    found: list[tuple[int, Leaf]] = []
    waiting: list[tuple[Tree, int, dict[int, float]]] = [(tree, 0, {})]
    while waiting:
        here, node_id, added = waiting.pop()
        at = place[number, node_id]
        if "split_feature" not in here:
            if splits["nodes_modes"][at] != b"LEAF":
                raise InvariantError("the converted trees have another shape than the trainer's")
            found.append((node_id, Leaf(added, root)))
            continue
        feature = int(here["split_feature"])
        if splits["nodes_featureids"][at] != feature:
            raise InvariantError("the converted trees ask other features than the trainer's")
        ways = (("left_child", "nodes_truenodeids"), ("right_child", "nodes_falsenodeids"))
        for side, ids in ways:
            child = here[side]
            step = _forecast(child) - _forecast(here)
            more = {**added, feature: added.get(feature, 0.0) + step}
            waiting.append((child, int(splits[ids][at]), more))
    return found


def _forecast(node: Tree) -> float:
    return float(node["leaf_value"] if "leaf_value" in node else node["internal_value"])
