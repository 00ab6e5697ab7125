"""Small graphs, bundles and keys for tests: real ONNX made with onnx.helper, really signed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from kit import small_folder
from onnx import NodeProto, TensorProto
from onnx.helper import (
    make_graph,
    make_model,
    make_node,
    make_opsetid,
    make_tensor,
    make_tensor_value_info,
)

from titanflow.adapters.bundles.archive import Members, pack, sha256_of
from titanflow.adapters.bundles.bundle import Bundle, Vectors, encode_vectors
from titanflow.adapters.bundles.signing import Signature, Trust, generate, sign, write_signature
from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.base.instant import parse_instant
from titanflow.core.facts import Ask
from titanflow.core.perception.features import FeatureSchema
from titanflow.core.spec.bundle import BundleManifest, Contract, Golden, Lineage, Output
from titanflow.core.spec.words import OutputKind

FEATURES = ("roc_1", "roc_3", "rsi_5")
OPSETS = {"ai.onnx": 17}
WEIGHTS = np.array([[0.5], [-0.25], [0.01]], dtype=np.float32)
BASE = np.float32(-0.5)
TRADE_FROM = "2020-01-20T00:00:00Z"
HORIZON = 5 * 86_400

OUTPUT = Output(OutputKind.EXPECTED_RETURN, HORIZON, 0.0, 0.1, 1.0, short=True)


def rows(count: int = 256) -> np.ndarray:
    """Return rows of features, alike whenever they are made."""
    numbers = np.arange(count * 3, dtype=np.float64).reshape(count, 3)
    return (np.sin(numbers) * [2.0, 3.0, 40.0]).astype(np.float32)


def linear_nodes() -> list[NodeProto]:
    """Return a graph whose parts are features times weights, and its output their sum and base."""
    return [
        make_node("Mul", ["features", "weights"], ["products"]),
        make_node("Identity", ["products"], ["each"]),
        make_node("ReduceSum", ["each", "axis"], ["sums"], keepdims=1),
        make_node("Add", ["sums", "base"], ["value"]),
        make_node("Mul", ["sums", "zero"], ["nothing"]),
        make_node("Add", ["nothing", "base"], ["bases"]),
        make_node("Concat", ["each", "bases"], ["parts"], axis=1),
    ]


def constants() -> list[TensorProto]:
    """Return what the linear graph holds."""
    return [
        make_tensor("weights", TensorProto.FLOAT, [1, 3], WEIGHTS.ravel().tolist()),
        make_tensor("base", TensorProto.FLOAT, [1, 1], [float(BASE)]),
        make_tensor("zero", TensorProto.FLOAT, [1, 1], [0.0]),
        make_tensor("axis", TensorProto.INT64, [1], [1]),
    ]


def graph_bytes(
    nodes: list[NodeProto] | None = None,
    tensors: list[TensorProto] | None = None,
    **changes: Any,
) -> bytes:
    """Return an ONNX file with the input and outputs of a bundle; *changes* go to the model."""
    batch = changes.pop("batch", "batch")
    outputs = changes.pop("outputs", ("value", "parts"))
    widths = {"value": 1, "parts": 4}
    graph = make_graph(
        linear_nodes() if nodes is None else nodes,
        "test",
        [make_tensor_value_info("features", TensorProto.FLOAT, [batch, 3])],
        [make_tensor_value_info(n, TensorProto.FLOAT, [batch, widths[n]]) for n in outputs],
        constants() if tensors is None else tensors,
    )
    told = {
        "ir_version": 10,
        "opset_imports": [make_opsetid("", OPSETS["ai.onnx"])],
        **changes,
    }
    return make_model(graph, **told).SerializeToString()


def vectors(count: int = 256) -> Vectors:
    """Return golden vectors of the linear graph, computed without it."""
    features = rows(count)
    parts = np.hstack([features * WEIGHTS.ravel(), np.full((count, 1), BASE)]).astype(np.float32)
    return Vectors(features, parts.sum(axis=1, dtype=np.float64).astype(np.float32), parts)


def manifest(**changes: Any) -> BundleManifest:
    """Return the manifest of the linear graph."""
    told = BundleManifest(
        format=1,
        name="line",
        version="1.0.0",
        title="A line",
        features=FEATURES,
        feature_digest=FeatureSchema(FEATURES).digest.hex(),
        output=OUTPUT,
        explained=True,
        trade_from=TRADE_FROM,
        opset=OPSETS,
        golden=Golden(256),
        lineage=Lineage("", "", "test", {}, "2019-01-01T00:00:00Z", TRADE_FROM),
        metrics={},
    )
    return msgspec.structs.replace(told, **changes)


def members(model: bytes | None = None, numbers: Vectors | None = None, **changes: Any) -> Members:
    """Return the members of an archive."""
    return Members(
        encode_vectors(numbers or vectors()),
        msgspec.json.encode(manifest(**changes)),
        graph_bytes() if model is None else model,
    )


def contract(**changes: Any) -> Contract:
    """Return the contract of the linear graph."""
    told = Contract("line", "1.0.0", "ab" * 32, FEATURES, OUTPUT, True, parse_instant(TRADE_FROM))
    return msgspec.structs.replace(told, **changes)


def bundle_of(model: bytes, golden: Vectors | None = None, **changes: Any) -> Bundle:
    """Return a bundle around any graph, as if every check had let it pass."""
    told = manifest(**changes)
    return Bundle(contract(digest=sha256_of(model)), told, model, golden or vectors(), max_batch=64)


class Signer:
    """A key of a test, who trusts it, and archives signed by it."""

    def __init__(self, folder: Path, name: str = "tester") -> None:
        self.private, self.public = generate(folder, name)
        self.trust = Trust([folder])

    def sign(self, archive: bytes) -> Signature:
        """Return the signature of an archive."""
        return sign(sha256_of(archive), self.private)

    def write(self, folder: Path, archive: bytes, name: str = "line") -> Path:
        """Write an archive and its signature, and return the archive's file."""
        path = folder / f"{name}-{sha256_of(archive)}.tfb"
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(archive)
        write_signature(path, self.sign(archive))
        return path


def linear_archive(**changes: Any) -> bytes:
    """Return the archive of the linear graph."""
    return pack(members(**changes))


def ask(number: int = 0, *, bundle: str = "ab" * 32, features: tuple[float, ...] = ()) -> Ask:
    """Return an ask of a contender called mine."""
    ident = derive(NO_ID, b"ask", number)
    told = features or tuple(float(value) for value in rows()[number])
    return Ask(ident, NO_ID, 7, 7, "mine", "AAPL", bundle, told)


BUNDLE = """\
apiVersion: titanflow.io/v1alpha1
kind: ModelBundle
metadata: {{name: line}}
spec:
  version: {version}
  artifact: {{uri: "file://./{file}", sha256: {sha256}}}
  signature: {{keyId: tester, ed25519: {signature}}}
  featureSchema: {{digest: {digest}}}
"""

CONTENDER = """\
apiVersion: titanflow.io/v1alpha1
kind: Contender
metadata: {{name: {name}}}
spec:
  tier: Paper
  recipe: {{kind: Model, model: {{bundleRef: {{name: line{pin}}}}}}}
  sizing: {{kind: FixedFraction, fixedFraction: {{fractionBps: 2000}}}}
"""


def model_folder(folder: Path, days: int = 60, **changes: str) -> Path:
    """Write the small arena with two contenders that trade by one signed bundle."""
    small_folder(folder, days)
    archive = linear_archive()
    signer = Signer(folder / "keys")
    path = signer.write(folder, archive)
    told = {
        "version": "1.0.0",
        "file": path.name,
        "sha256": sha256_of(archive),
        "signature": signer.sign(archive).ed25519,
        "digest": manifest().feature_digest,
        **changes,
    }
    pin = told.pop("pin", "")
    (folder / "bundle.yaml").write_text(BUNDLE.format(**told))
    for name in ("line-a", "line-b"):
        (folder / f"{name}.yaml").write_text(CONTENDER.format(name=name, pin=pin))
    return folder


# Graphs that nobody wants to run.


def loop_forever() -> bytes:
    """Return a graph that adds one, a thousand million times."""
    body = make_graph(
        [
            make_node("Identity", ["go"], ["goes_on"]),
            make_node("Add", ["carried", "one"], ["more"]),
        ],
        "body",
        [
            make_tensor_value_info("turn", TensorProto.INT64, []),
            make_tensor_value_info("go", TensorProto.BOOL, []),
            make_tensor_value_info("carried", TensorProto.FLOAT, ["batch", 1]),
        ],
        [
            make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            make_tensor_value_info("more", TensorProto.FLOAT, ["batch", 1]),
        ],
        [make_tensor("one", TensorProto.FLOAT, [1, 1], [1.0])],
    )
    nodes = linear_nodes()
    nodes[3] = make_node("Add", ["sums", "base"], ["start"])
    nodes.append(make_node("Loop", ["turns", "yes", "start"], ["value"], body=body))
    tensors = [
        *constants(),
        make_tensor("turns", TensorProto.INT64, [], [10**12]),
        make_tensor("yes", TensorProto.BOOL, [], [1]),
    ]
    return graph_bytes(nodes, tensors)


def sixteen_gigabytes() -> bytes:
    """Return a graph that makes 16 GB out of one number."""
    nodes = linear_nodes()
    nodes[3] = make_node("Add", ["sums", "base"], ["start"])
    nodes += [
        make_node("ReduceSum", ["start"], ["one"], keepdims=1),
        make_node("Expand", ["one", "huge"], ["wide"]),
        make_node("ReduceMax", ["wide"], ["top"], axes=[1], keepdims=1),
        make_node("Mul", ["top", "zero"], ["nil"]),
        make_node("Add", ["start", "nil"], ["value"]),
    ]
    huge = make_tensor("huge", TensorProto.INT64, [2], [1, 4 * 10**9])
    return graph_bytes(nodes, [*constants(), huge])


def not_a_number() -> bytes:
    """Return a graph that divides nothing by nothing."""
    nodes = linear_nodes()
    nodes[3] = make_node("Div", ["nothing", "nothing"], ["value"])
    nodes[3], nodes[4] = nodes[4], nodes[3]
    return graph_bytes(nodes)


def at_random() -> bytes:
    """Return a graph that draws its answer."""
    nodes = linear_nodes()
    nodes[3] = make_node("RandomNormalLike", ["sums"], ["value"])
    return graph_bytes(nodes)


def outside_data(place: str = "../../secret") -> bytes:
    """Return a graph whose weights lie in another file."""
    model = onnx.load_model_from_string(graph_bytes())
    weights = model.graph.initializer[0]
    weights.ClearField("float_data")
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", place
    return model.SerializeToString()
