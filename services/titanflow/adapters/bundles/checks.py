"""May this graph be run? A look at it before any runtime sees it: what it does, and how much.

An ONNX file is not a sandbox: 93 bytes can ask for 16 GB, and a loop can run for ever. So only
operators on a list are let in, in versions that are known; nothing random, nothing that branches or
loops, nothing outside of the file; and with the batch fixed, every value between input and output
must have a known size, which is added up. What still misbehaves meets the limits of the process
that runs it (`adapters.model_host`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Final

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto
from onnx.helper import get_attribute_value, make_tensor_value_info
from onnx.shape_inference import infer_shapes

from titanflow.adapters.bundles.refusal import BundleRefusedError, Step
from titanflow.core.spec.bundle import INPUT, PARTS, VALUE, BundleManifest

IR_MAX: Final = 13
"""Newest format of files that onnxruntime reads; onnx writes 14 unless it is told otherwise."""
NODES_MAX: Final = 10_000
INITIALIZER_BYTES_MAX: Final = 64 << 20
ACTIVATION_BYTES_MAX: Final = 256 << 20
"""Most bytes of all values between input and output, for one whole batch."""
TREE_NODES_MAX: Final = 2_000_000

ML: Final = "ai.onnx.ml"
OPSETS: Final = {"": (7, 23), ML: (1, 5)}
"""Versions of operators, oldest and newest, that are let in."""

_PLAIN = """
Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Concat Constant Conv
Cos CumSum Div Elu Equal Erf Exp Expand Flatten Floor GRU Gather GatherElements Gelu Gemm
GlobalAveragePool Greater GreaterOrEqual HardSigmoid HardSwish Identity LSTM
LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul Max MaxPool Mean Min Mul
Neg Not Or PRelu Pow RNN Reciprocal ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin
ReduceProd ReduceSum ReduceSumSquare Relu Reshape Round Selu Shape Sigmoid Sign Sin Slice
Softmax Softplus Softsign Split Sqrt Squeeze Sub Sum Tanh TopK Transpose Unsqueeze Where
"""

OPERATORS: Final = {
    "": frozenset(_PLAIN.split()),
    ML: frozenset({"Scaler", "TreeEnsembleClassifier", "TreeEnsembleRegressor"}),
}
"""What a graph may do. Missing on purpose: Loop, Scan and If, everything random, whatever makes a
tensor from nothing but its shape, strings, quantised and training operators."""

_GRAPHS: Final = (AttributeProto.GRAPH, AttributeProto.GRAPHS)
_SPARSE: Final = (AttributeProto.SPARSE_TENSOR, AttributeProto.SPARSE_TENSORS)
_BRANCHES: Final = frozenset(
    {b"BRANCH_LEQ", b"BRANCH_LT", b"BRANCH_GTE", b"BRANCH_GT", b"BRANCH_EQ", b"BRANCH_NEQ"}
)


def check_graph(model: bytes, manifest: BundleManifest, max_batch: int) -> None:
    """Judge a graph without running it.

    Raises: BundleRefusedError at the step graph, with the first thing that is not allowed.
    """
    parsed = _parse(model)
    try:
        _check_file(parsed, manifest)
        for node in parsed.graph.node:
            _check_node(node, len(manifest.features))
        _check_tensors(parsed)
        _check_ends(parsed.graph, manifest)
        onnx.checker.check_model(parsed)
        _check_sizes(parsed, manifest, max_batch)
    except BundleRefusedError:
        raise
    except Exception as error:
        # Also what a file made by nobody's exporter does to the code that looks at it.
        raise _refused(f"it is not valid: {_first_line(error)}") from error


def _refused(what: str) -> BundleRefusedError:
    return BundleRefusedError(Step.GRAPH, what)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _parse(model: bytes) -> ModelProto:
    if model[:1] == b"\x80" or model[:2] == b"PK":
        raise _refused("model.onnx is a pickle or a zip, not an ONNX graph; nothing unpickles here")
    try:
        parsed = onnx.load_model_from_string(model)
    except Exception as error:
        raise _refused("model.onnx is no ONNX graph") from error
    if not parsed.graph.node:
        raise _refused("model.onnx is no ONNX graph: it does nothing")
    return parsed


def _check_file(parsed: ModelProto, manifest: BundleManifest) -> None:
    if not 3 <= parsed.ir_version <= IR_MAX:
        raise _refused(f"IR version {parsed.ir_version} is not read; pass ir_version=10")
    if len(parsed.functions) or len(parsed.training_info):
        raise _refused("it holds functions or training information")
    if len(parsed.graph.sparse_initializer) or len(parsed.graph.quantization_annotation):
        raise _refused("it holds sparse or quantised tensors")
    if len(parsed.graph.node) > NODES_MAX:
        raise _refused(f"{len(parsed.graph.node):,} nodes are more than {NODES_MAX:,}")
    opsets = {_domain(each.domain): each.version for each in parsed.opset_import}
    for domain, version in opsets.items():
        if domain not in OPSETS:
            raise _refused(f"domain {domain!r} is not allowed")
        low, high = OPSETS[domain]
        if not low <= version <= high:
            raise _refused(f"opset {version} of {domain or 'ai.onnx'} is not in {low}..{high}")
    if {name or "ai.onnx": version for name, version in opsets.items()} != manifest.opset:
        raise _refused(f"its opsets are not those of its manifest: {manifest.opset}")


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _check_node(node: NodeProto, features: int) -> None:
    domain = _domain(node.domain)
    if node.op_type not in OPERATORS.get(domain, ()):
        raise _refused(f"operator {node.domain or 'ai.onnx'}.{node.op_type} is not allowed")
    for attribute in node.attribute:
        if attribute.type in _GRAPHS:
            raise _refused(f"{node.op_type} holds a graph of its own")
        if attribute.type in _SPARSE:
            raise _refused(f"{node.op_type} holds a sparse tensor")
    if node.op_type.startswith("TreeEnsemble"):
        _check_trees(node, features)


def _tensors(parsed: ModelProto) -> Iterator[TensorProto]:
    yield from parsed.graph.initializer
    for node in parsed.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _check_tensors(parsed: ModelProto) -> None:
    total = 0
    for tensor in _tensors(parsed):
        if tensor.data_location == TensorProto.EXTERNAL or len(tensor.external_data):
            raise _refused(f"tensor {tensor.name!r} lies outside of the file")
        if any(size < 0 for size in tensor.dims):
            raise _refused(f"tensor {tensor.name!r} has a negative size")
        total += prod(tensor.dims) * _width(tensor.data_type)
        if total > INITIALIZER_BYTES_MAX:
            raise _refused(f"its constants need more than {INITIALIZER_BYTES_MAX:,} bytes")


def _width(kind: int) -> int:
    """Return the bytes of one element.

    Raises: BundleRefusedError for types that no model of numbers needs.
    """
    try:
        width = _WIDTHS[kind]
    except KeyError:
        raise _refused(f"values of type {kind} are not allowed") from None
    return width


_WIDTHS: Final[dict[int, int]] = {
    TensorProto.FLOAT: 4,
    TensorProto.DOUBLE: 8,
    TensorProto.FLOAT16: 2,
    TensorProto.INT8: 1,
    TensorProto.UINT8: 1,
    TensorProto.INT32: 4,
    TensorProto.INT64: 8,
    TensorProto.BOOL: 1,
}


def _check_ends(graph: GraphProto, manifest: BundleManifest) -> None:
    """Check that the graph takes and gives what the contract says."""
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [each for each in graph.input if each.name not in constants]
    features = len(manifest.features)
    if [each.name for each in inputs] != [INPUT]:
        names = ", ".join(each.name for each in inputs)
        raise _refused(f"it takes {names or 'nothing'}; it must take {INPUT}")
    shape = _shape(inputs[0])
    if inputs[0].type.tensor_type.elem_type != TensorProto.FLOAT or shape[1:] != [features]:
        raise _refused(f"{INPUT} must be float32 of shape (batch, {features})")
    if shape[0] is not None:
        raise _refused(f"the batch is fixed to {shape[0]}: it must be free")
    wanted = [VALUE, PARTS] if manifest.explained else [VALUE]
    if [each.name for each in graph.output] != wanted:
        raise _refused(f"it must give {' and '.join(wanted)}, in this order")


def _shape(value: ValueInfoProto) -> list[int | None]:
    """Return the sizes of a value; None is one that is free."""
    return [
        each.dim_value if each.HasField("dim_value") else None
        for each in value.type.tensor_type.shape.dim
    ]


def _check_sizes(parsed: ModelProto, manifest: BundleManifest, batch: int) -> None:
    """Infer every shape for a whole batch, believe no shape that the file states, add them up."""
    work = ModelProto()
    work.CopyFrom(parsed)
    graph = work.graph
    del graph.value_info[:]
    features = len(manifest.features)
    constants = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        if value.name not in constants:
            value.CopyFrom(make_tensor_value_info(INPUT, TensorProto.FLOAT, [batch, features]))
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    graph.value_info.extend(_values_of_trees(graph, batch))
    try:
        inferred = infer_shapes(work, check_type=True, strict_mode=True, data_prop=True)
    except Exception as error:
        raise _refused(f"its shapes do not fit: {_first_line(error)}") from error
    known = {each.name: each for each in (*inferred.graph.value_info, *inferred.graph.output)}
    total = 0
    for node in inferred.graph.node:
        for name in filter(None, node.output):
            total += _bytes(name, known.get(name))
            if total > ACTIVATION_BYTES_MAX:
                raise _refused(f"a batch of {batch} needs more than {ACTIVATION_BYTES_MAX:,} bytes")
    wanted = {VALUE: [batch, 1], PARTS: [batch, features + 1]}
    for output in inferred.graph.output:
        kind = output.type.tensor_type.elem_type
        if _shape(output) != wanted[output.name] or kind != TensorProto.FLOAT:
            raise _refused(
                f"{output.name} must be float32 of shape (batch, {wanted[output.name][1]})"
            )


def _bytes(name: str, value: ValueInfoProto | None) -> int:
    shape = [None] if value is None else _shape(value)
    if value is None or not value.type.tensor_type.HasField("shape") or None in shape:
        raise _refused(f"the size of {name!r} cannot be known before it runs")
    if any(size is not None and size < 0 for size in shape):
        raise _refused(f"the size of {name!r} overflows")
    return prod(size or 0 for size in shape) * _width(value.type.tensor_type.elem_type)


def _values_of_trees(graph: GraphProto, batch: int) -> Iterator[ValueInfoProto]:
    """Yield the shapes of what ai.onnx.ml gives, which the inference of shapes does not know."""
    outputs = {each.name for each in graph.output}
    for node in graph.node:
        if node.op_type == "TreeEnsembleRegressor":
            targets = int(_attributes(node).get("n_targets", 0))  # type: ignore[call-overload]
            shapes = [(TensorProto.FLOAT, [batch, targets])]
        elif node.op_type == "TreeEnsembleClassifier":
            labels = _attributes(node).get("classlabels_int64s") or ()
            classes = max(len(labels), 2)  # type: ignore[arg-type]
            shapes = [(TensorProto.INT64, [batch]), (TensorProto.FLOAT, [batch, classes])]
        else:
            continue
        for name, (kind, shape) in zip(node.output, shapes, strict=False):
            if name in outputs:
                for output in graph.output:
                    if output.name == name:
                        output.CopyFrom(make_tensor_value_info(name, kind, shape))
            elif name:
                yield make_tensor_value_info(name, kind, shape)


def _attributes(node: NodeProto) -> dict[str, object]:
    return {each.name: get_attribute_value(each) for each in node.attribute}


def _numbers(attributes: dict[str, object], name: str) -> Sequence[int]:
    found = attributes.get(name, ())
    return found if isinstance(found, list | tuple) else ()


def _check_trees(node: NodeProto, features: int) -> None:
    """Check that every walk through the trees of a node ends in a leaf that is there."""
    told = _attributes(node)
    trees, ids = _numbers(told, "nodes_treeids"), _numbers(told, "nodes_nodeids")
    modes = told.get("nodes_modes", ())
    columns = [_numbers(told, f"nodes_{n}") for n in ("featureids", "truenodeids", "falsenodeids")]
    lengths = {len(trees), len(ids), len(modes), *map(len, columns)}  # type: ignore[arg-type]
    if len(lengths) != 1 or not 0 < len(ids) <= TREE_NODES_MAX:
        raise _refused(f"the lists of {node.op_type} have lengths {sorted(lengths)}")
    place = {pair: number for number, pair in enumerate(zip(trees, ids, strict=True))}
    if len(place) != len(ids):
        raise _refused(f"a node of {node.op_type} stands twice")
    children: list[tuple[int, int] | None] = []
    for tree, mode, feature, true, false in zip(trees, modes, *columns, strict=True):  # type: ignore[call-overload]
        if mode == b"LEAF":
            children.append(None)
            continue
        if mode not in _BRANCHES or not 0 <= feature < features:
            raise _refused(f"a node of {node.op_type} compares what is no feature")
        pair = place.get((tree, true)), place.get((tree, false))
        if pair[0] is None or pair[1] is None:
            raise _refused(f"a node of {node.op_type} leads nowhere")
        children.append((pair[0], pair[1]))
    _check_walks(children, lambda: _refused(f"a walk through {node.op_type} never ends"))


def _check_walks(
    children: list[tuple[int, int] | None], refused: Callable[[], BundleRefusedError]
) -> None:
    """Check that each node is the child of one node at most, and that every root leads to all.

    A node with one parent that no root reaches lies on a circle.
    """
    parents = [0] * len(children)
    for pair in children:
        for child in pair or ():
            parents[child] += 1
            if parents[child] > 1:
                raise refused()
    waiting = [number for number, count in enumerate(parents) if count == 0]
    reached = 0
    while waiting:
        reached += 1
        waiting += children[waiting.pop()] or ()
    if reached != len(children):
        raise refused()
