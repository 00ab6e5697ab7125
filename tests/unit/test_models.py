"""Does the predictor give what the graph gives, for one and for many, and fail row by row?"""

import msgspec
import numpy as np
import pytest
from model_kit import (
    FEATURES,
    Signer,
    ask,
    bundle_of,
    graph_bytes,
    linear_archive,
    linear_nodes,
    not_a_number,
    rows,
    vectors,
)
from onnx.helper import make_node

from titanflow.adapters.bundles.bundle import open_bundle
from titanflow.adapters.bundles.refusal import BundleRefusedError, Step
from titanflow.adapters.models import Graph, GraphError, Graphs, graph_of
from titanflow.core.spec.words import Reply


@pytest.fixture
def bundle(tmp_path):
    signer, archive = Signer(tmp_path), linear_archive()
    return open_bundle(archive, signer.sign(archive), signer.trust)


def sums(features) -> np.ndarray:
    return features @ np.array([0.5, -0.25, 0.01]) - 0.5


def test_a_graph_that_gives_its_golden_vectors_is_proven(bundle) -> None:
    numbers = graph_of(bundle).run(rows(10))

    assert (10, 5) == numbers.shape
    assert np.abs(numbers[:, 0] - sums(rows(10).astype(float))).max() < 1e-5


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 200])
def test_batches_of_every_size_give_what_single_rows_give(bundle, count: int) -> None:
    graph = graph_of(bundle)

    numbers = graph.run(rows(256)[:count])

    assert (count, 5) == numbers.shape
    assert all((graph.run(rows(256)[n : n + 1])[0] == numbers[n]).all() for n in range(count))


def test_answers_come_in_the_order_of_the_asks_whoever_is_asked(bundle) -> None:
    digest = bundle.contract.digest
    asks = [ask(n, bundle=digest if n % 3 else "cd" * 32) for n in range(10)]

    answers = Graphs([bundle]).predict(asks)

    assert [each.id for each in asks] == [each.cause for each in answers]
    assert [Reply.OK if n % 3 else Reply.REFUSED for n in range(10)] == [a.reply for a in answers]
    for question, answer in zip(asks, answers, strict=True):
        if answer.reply is Reply.OK:
            assert abs(answer.outputs[0] - sums(np.array(question.features))) < 1e-5
            assert abs(sum(answer.parts) - answer.outputs[0]) < 1e-5
            assert answer.bundle == digest
            assert (question.at, question.contender) == (answer.at, answer.contender)


def test_a_number_beyond_single_precision_spoils_its_own_row_only(bundle) -> None:
    digest = bundle.contract.digest
    asks = [ask(0, bundle=digest), ask(1, bundle=digest, features=(1e300, 0.0, 0.0))]

    good, bad = Graphs([bundle]).predict(asks)

    assert Reply.OK is good.reply
    assert Reply.INVALID is bad.reply
    assert bad.outputs == bad.parts == ()
    assert "not finite" in bad.text


def test_an_ask_about_other_features_is_refused(bundle) -> None:
    (answer,) = Graphs([bundle]).predict([ask(bundle=bundle.contract.digest, features=(1.0,))])

    assert Reply.REFUSED is answer.reply


def test_a_graph_that_gives_other_numbers_than_its_trainer_is_refused() -> None:
    golden = vectors()
    wrong = msgspec.structs.replace(golden, values=golden.values + np.float32(1e-4))

    with pytest.raises(BundleRefusedError, match="off by") as caught:
        graph_of(bundle_of(graph_bytes(), wrong))
    assert Step.GOLDEN is caught.value.step


def test_a_graph_that_gives_nan_is_refused() -> None:
    with pytest.raises(BundleRefusedError, match="not finite"):
        graph_of(bundle_of(not_a_number()))


def test_a_graph_that_is_right_for_one_row_and_wrong_for_many_is_refused() -> None:
    nodes = linear_nodes()
    nodes[3] = make_node("Add", ["sums", "base"], ["start"])
    nodes += [  # the mean over the batch, which is the row itself when there is one
        make_node("ReduceMean", ["start"], ["middle"], axes=[0], keepdims=1),
        make_node("Sub", ["start", "middle"], ["rest"]),
        make_node("Mul", ["rest", "zero"], ["nil"]),
        make_node("Add", ["middle", "nil"], ["value"]),
    ]

    with pytest.raises(BundleRefusedError, match="in batches of 64"):
        graph_of(bundle_of(graph_bytes(nodes)))


def test_what_is_no_graph_is_refused_on_loading() -> None:
    with pytest.raises(BundleRefusedError) as caught:
        graph_of(bundle_of(b"no graph"))
    assert Step.LOAD is caught.value.step


def test_a_graph_that_breaks_its_promised_shape_fails() -> None:
    nodes = linear_nodes()
    nodes[3] = make_node("Concat", ["sums", "sums"], ["value"], axis=1)
    graph = Graph(graph_bytes(nodes), len(FEATURES), explained=True, max_batch=4)

    with pytest.raises(GraphError):
        graph.run(rows(2))
    assert Reply.FAILED is graph.predict([ask()])[0].reply
