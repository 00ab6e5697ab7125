"""Does serving speak the Open Inference Protocol, join requests, and replace versions unnoticed?"""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc.aio
import numpy as np
import pytest
from rpc_kit import NumpyModels, asking, refusal, run, serving, until

from titanflow.adapters.bundles.signing import KEYS, Trust
from titanflow.adapters.bundles.store import open_file
from titanflow.adapters.model_host import Hosts, Limits
from titanflow.adapters.models import Graphs
from titanflow.adapters.rpc.asker import RemotePredictor
from titanflow.adapters.rpc.batch import Batcher, BatchLimits
from titanflow.adapters.rpc.client import Client
from titanflow.adapters.rpc.host_models import HostModels
from titanflow.adapters.rpc.refusal import Code, RefusalError
from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.facts import Ask
from titanflow.core.spec.words import Reply
from titanflow.rpc.inference import inference_pb2, inference_pb2_grpc
from titanflow.services.serving.rpc import ServingAnswers
from tools.tree import ROOT

A, B = "a" * 64, "b" * 64
BASE = {A: 10.0, B: 11.0}
"""What each version of the test's model adds."""


def stub(client: Client) -> inference_pb2_grpc.GRPCInferenceServiceStub:
    return inference_pb2_grpc.GRPCInferenceServiceStub(client.channel)


def request(rows: object, *, raw: bool = True, **fields: object) -> inference_pb2.ModelInferRequest:
    table = np.asarray(rows, np.float32)
    asked = inference_pb2.ModelInferRequest(**{"model_name": "adder", "id": "q"} | fields)
    tensor = asked.inputs.add(name="features", datatype="FP32", shape=table.shape)
    if raw:
        asked.raw_input_contents.append(table.astype("<f4").tobytes())
    else:
        tensor.contents.fp32_contents.extend(table.ravel().tolist())
    return asked


def infer(client: Client, rows: object, **fields: object) -> object:
    return client.ask(stub(client).ModelInfer, request(rows, **fields))


def numbers(answer: object, place: int = 0) -> list[list[float]]:
    shape = list(answer.outputs[place].shape)
    if answer.raw_output_contents:
        flat = np.frombuffer(answer.raw_output_contents[place], "<f4")
    else:
        flat = np.array(answer.outputs[place].contents.fp32_contents, np.float32)
    return flat.reshape(shape).tolist()


def served(models: NumpyModels, **limits: object) -> ServingAnswers:
    return ServingAnswers(models, "1.0", BatchLimits(**limits))


@pytest.mark.parametrize("raw", [True, False])
def test_a_model_answers_in_the_form_in_which_it_was_asked(raw: bool) -> None:
    async def talk() -> None:
        async with asking(served(NumpyModels()).methods()) as (_, client):
            said = await infer(client, [[1, 2, 3], [4, 5, 6]], raw=raw)

        assert ("adder", A, "q") == (said.model_name, said.model_version, said.id)
        assert ["value", "parts"] == [output.name for output in said.outputs]
        assert [[16.0], [25.0]] == numbers(said)
        assert [[1, 2, 3, 10], [4, 5, 6, 10]] == numbers(said, 1)
        assert raw == bool(said.raw_output_contents)
        assert raw != said.outputs[0].HasField("contents")

    run(talk())


def test_only_the_outputs_that_are_asked_for_come_back() -> None:
    async def talk() -> None:
        async with asking(served(NumpyModels()).methods()) as (_, client):
            wanted = [inference_pb2.ModelInferRequest.InferRequestedOutputTensor(name="parts")]
            said = await infer(client, [[1, 2, 3]], outputs=wanted)

        assert ["parts"] == [output.name for output in said.outputs]
        assert [[1, 2, 3, 10]] == numbers(said)

    run(talk())


def test_server_and_models_say_what_they_are() -> None:
    async def talk() -> None:
        models = NumpyModels()
        async with asking(served(models).methods()) as (_, client):
            ask, pb = stub(client), inference_pb2
            live = await client.ask(ask.ServerLive, pb.ServerLiveRequest())
            ready = await client.ask(ask.ServerReady, pb.ServerReadyRequest())
            server = await client.ask(ask.ServerMetadata, pb.ServerMetadataRequest())
            model = await client.ask(ask.ModelMetadata, pb.ModelMetadataRequest(name="adder"))
            here, gone = [
                await client.ask(ask.ModelReady, pb.ModelReadyRequest(name=name, version=version))
                for name, version in (("adder", A), ("adder", B))
            ]
            models.waits_for = "its bundles"
            waiting = await client.ask(ask.ServerReady, pb.ServerReadyRequest())
            said = await refusal(infer(client, [[1, 2, 3]]))

        assert (True, True, False) == (live.live, ready.ready, waiting.ready)
        assert ("titanflow", "1.0") == (server.name, server.version)
        assert (True, False) == (here.ready, gone.ready)
        assert ([A], "onnx") == (list(model.versions), model.platform)
        assert [("features", "FP32", [-1, 3])] == [
            (tensor.name, tensor.datatype, list(tensor.shape)) for tensor in model.inputs
        ]
        assert [[-1, 1], [-1, 4]] == [list(tensor.shape) for tensor in model.outputs]
        assert "its bundles" == said.facts["waits_for"]

    run(talk())


def test_requests_of_many_callers_share_calls_and_each_gets_its_own_rows() -> None:
    async def talk() -> None:
        models = NumpyModels()
        models.gate = asyncio.Event()
        answers = served(models, max_batch=8)
        async with asking(answers.methods()) as (_, client):
            first = asyncio.ensure_future(infer(client, [[0, 0, 0]]))
            await models.entered.wait()
            rest = [asyncio.ensure_future(infer(client, [[n, n, n]])) for n in range(1, 17)]
            batcher = answers.batchers[A]
            await until(lambda: batcher._waiting_rows == 16)
            models.gate.set()
            said = [numbers(await one)[0][0] for one in (first, *rest)]

        assert [3.0 * n + 10 for n in range(17)] == said
        assert [1, 8, 8] == models.batches

    run(talk())


def test_a_version_is_replaced_without_a_dropped_request() -> None:
    async def talk() -> None:
        models = NumpyModels()
        models.gate = asyncio.Event()
        answers = served(models)
        async with asking(answers.methods()) as (_, client):
            before = [asyncio.ensure_future(infer(client, [[0, 0, 0]]))]
            await models.entered.wait()
            before += [asyncio.ensure_future(infer(client, [[n, 0, 0]])) for n in (1, 2, 3)]
            await until(lambda: answers.batchers[A]._waiting_rows == 3)
            models.put("adder", B)
            after = [asyncio.ensure_future(infer(client, [[n, 0, 0]])) for n in range(4)]
            retiring = asyncio.ensure_future(answers.retire(A))
            await until(lambda: B in answers.batchers)
            assert not retiring.done()
            models.gate.set()
            await retiring
            models.drop(A)
            said = [await one for one in (*before, *after)]
            gone = await refusal(infer(client, [[1, 2, 3]], model_version=A))
            now = await infer(client, [[1, 2, 3]], model_version=B)

        assert [A] * 4 + [B] * 4 == [one.model_version for one in said]
        for one, n in zip(said, [0, 1, 2, 3] * 2, strict=True):
            assert [[n + BASE[one.model_version]]] == numbers(one)
        assert (Code.NOT_FOUND, "model_version") == (gone.code, gone.problems[0].where)
        assert B == now.model_version
        assert [B] == list(answers.batchers)

    run(talk())


def test_versions_change_under_load_and_every_request_is_answered_by_what_it_says() -> None:
    async def talk() -> None:
        models = NumpyModels()
        answers = served(models, queue_rows=4096)
        asked = 0
        stop = asyncio.Event()

        async def caller(client: Client) -> None:
            nonlocal asked
            while not stop.is_set():
                said = await infer(client, [[1, 1, 1]])
                assert [[3.0 + int(said.model_version[0], 16)]] == numbers(said)
                asked += 1

        async with asking(answers.methods()) as (_, client), asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(caller(client))
            former = A
            for n in range(12):
                digest = f"{n % 6 + 10:x}" + f"{n:063x}"
                models.put("adder", digest)
                seen = asked
                await until(lambda seen=seen: asked >= seen + 20)
                models.cards["adder"] = [c for c in models.cards["adder"] if c.digest != former]
                await answers.retire(former)
                former = digest
            stop.set()

        assert asked >= 240
        assert [former] == list(answers.batchers)

    run(talk())


def test_beyond_the_queue_requests_are_shed_at_once() -> None:
    async def talk() -> None:
        models = NumpyModels()
        models.gate = asyncio.Event()
        answers = served(models, queue_rows=4)
        async with asking(answers.methods()) as (_, client):
            first = asyncio.ensure_future(infer(client, [[0, 0, 0]]))
            await models.entered.wait()
            held = asyncio.ensure_future(infer(client, [[1, 1, 1]] * 4))
            await until(lambda: answers.batchers[A]._waiting_rows == 4)
            said = await refusal(infer(client, [[2, 2, 2]]))
            models.gate.set()
            await asyncio.gather(first, held)

        assert (Code.RESOURCE_EXHAUSTED, "OVERLOADED") == (said.code, said.reason)
        assert 1 == answers.batchers[A].shed
        assert [1, 4] == models.batches

    run(talk())


def test_a_request_whose_caller_is_gone_is_not_computed() -> None:
    async def talk() -> None:
        models = NumpyModels()
        models.gate = asyncio.Event()
        answers = served(models)
        async with asking(answers.methods()) as (_, client):
            first = asyncio.ensure_future(infer(client, [[0, 0, 0]]))
            await models.entered.wait()
            late = stub(client).ModelInfer(request([[9, 9, 9]] * 3), timeout=0.1)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await late
            second = asyncio.ensure_future(infer(client, [[1, 1, 1]]))
            await until(lambda: len(answers.batchers[A]._queue) == 2)
            models.gate.set()
            await asyncio.gather(first, second)

        assert Code.DEADLINE_EXCEEDED == caught.value.code()
        assert [1, 1] == models.batches

    run(talk())


def test_one_that_would_come_too_late_behind_others_is_refused_at_once() -> None:
    async def talk() -> None:
        loop = asyncio.get_running_loop()

        async def infer(rows: object) -> object:
            await asyncio.sleep(0.05)
            return rows

        batcher = Batcher(infer, BatchLimits(max_batch=1, max_delay_seconds=0))
        rows = np.zeros((1, 1), np.float32)
        for _ in range(10):
            await batcher.ask(rows, loop.time() + 5)
        held = [asyncio.ensure_future(batcher.ask(rows, loop.time() + 5)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(RefusalError) as caught:
            await batcher.ask(rows, loop.time() + 0.02)

        assert not any(one.done() for one in held)
        assert Code.DEADLINE_EXCEEDED == caught.value.code
        await asyncio.gather(*held)
        await batcher.close()
        with pytest.raises(RefusalError, match="no longer"):
            await batcher.ask(rows, loop.time() + 5)

    run(talk())


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply.TIMEOUT, Code.DEADLINE_EXCEEDED),
        (Reply.REFUSED, Code.UNAVAILABLE),
        (Reply.FAILED, Code.ABORTED),
        (Reply.INVALID, Code.DATA_LOSS),
    ],
)
def test_a_model_s_failure_has_its_code_and_reason(reply: Reply, code: Code) -> None:
    async def talk() -> None:
        models = NumpyModels()
        models.failure = reply
        async with asking(served(models).methods()) as (_, client):
            said = await refusal(infer(client, [[1, 2, 3]]))

        assert (code, f"MODEL_{reply.value}") == (said.code, said.reason)

    run(talk())


def test_an_answer_that_is_not_finite_is_refused_and_its_neighbours_are_answered() -> None:
    async def talk() -> None:
        models = NumpyModels()
        models.gate = asyncio.Event()
        answers = served(models)
        async with asking(answers.methods()) as (_, client):
            first = asyncio.ensure_future(infer(client, [[0, 0, 0]]))
            await models.entered.wait()
            huge = asyncio.ensure_future(refusal(infer(client, [[3e38, 3e38, 3e38]])))
            small = asyncio.ensure_future(infer(client, [[1, 1, 1]]))
            await until(lambda: len(answers.batchers[A]._queue) == 2)
            models.gate.set()
            said = await huge

            assert "MODEL_INVALID" == said.reason
            assert [[13.0]] == numbers(await small)
            assert [[10.0]] == numbers(await first)
            assert [1, 2] == models.batches

    run(talk())


def tensor(**fields: object) -> inference_pb2.ModelInferRequest:
    """Return a request that is right but for *fields* of its tensor."""
    asked = request([[1, 2, 3]], raw=False)
    for name, value in fields.items():
        if name == "numbers":
            del asked.inputs[0].contents.fp32_contents[:]
            asked.inputs[0].contents.fp32_contents.extend(value)
        elif name == "shape":
            del asked.inputs[0].shape[:]
            asked.inputs[0].shape.extend(value)
        else:
            setattr(asked.inputs[0], name, value)
    return asked


NAN = float("nan")


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (tensor(numbers=[1, NAN, 3]), "inputs[0].contents.fp32_contents[1]"),
        (request([[1, 2, float("inf")]]), "raw_input_contents[0][2]"),
        (tensor(numbers=[1, 2]), "inputs[0].contents.fp32_contents"),
        (tensor(shape=[1, 4]), "inputs[0].shape"),
        (tensor(shape=[-1, 3]), "inputs[0].shape"),
        (tensor(shape=[1 << 62, 3]), "inputs[0].shape"),
        (tensor(shape=[3]), "inputs[0].shape"),
        (tensor(shape=[1] * 500), "inputs[0].shape"),
        (request([[1, 2, 3]] * 9), "inputs[0].shape"),
        (tensor(name="x"), "inputs[0].name"),
        (tensor(datatype="FP64"), "inputs[0].datatype"),
        (inference_pb2.ModelInferRequest(model_name="adder"), "inputs"),
        (request([[1, 2, 3]], model_name=""), "model_name"),
        (request([[1, 2, 3]], id="i" * 129), "id"),
        (request([[1, 2, 3]], outputs=[{"name": "values"}]), "outputs[0].name"),
        (request([[1, 2, 3]], outputs=[{"name": "value"}, {"name": "value"}]), "outputs[1].name"),
    ],
)
def test_a_request_that_is_none_is_refused_with_the_path_of_its_fault(
    asked: inference_pb2.ModelInferRequest, field: str
) -> None:
    async def talk() -> None:
        models = NumpyModels()
        async with asking(served(models).methods()) as (_, client):
            said = await refusal(client.ask(stub(client).ModelInfer, asked))

        assert Code.INVALID_ARGUMENT == said.code
        assert field in [problem.where for problem in said.problems]
        assert [] == models.batches

    run(talk())


def test_an_unknown_model_is_not_found_with_the_nearest_name() -> None:
    async def talk() -> None:
        async with asking(served(NumpyModels()).methods()) as (_, client):
            said = await refusal(infer(client, [[1, 2, 3]], model_name="ader"))

        assert Code.NOT_FOUND == said.code
        assert "did you mean 'adder'?" in said.text

    run(talk())


def ask_of(bundle: object, row: object, name: str = "m", digest: str = "") -> Ask:
    numbers = tuple(float(number) for number in row)
    ident = derive(NO_ID, name.encode(), len(numbers))
    return Ask(ident, NO_ID, 5, 6, name, "AAPL", digest or bundle.contract.digest, numbers)


def test_a_pod_that_asks_a_serving_pod_hears_what_it_would_hear_in_process() -> None:
    folder = ROOT / "examples/arena"
    trust = Trust([folder / KEYS])
    bundles = [open_file(path, trust) for path in sorted((folder / "bundles").glob("*.tfb"))]
    asks = [
        ask_of(bundle, row, f"c{n}-{k}")
        for k, bundle in enumerate(bundles)
        for n, row in enumerate(bundle.golden.features[:100])
    ]
    asks += [
        ask_of(bundles[0], bundles[0].golden.features[0][1:], "short"),
        ask_of(bundles[0], bundles[0].golden.features[0], "stranger", "f" * 64),
    ]

    async def talk() -> None:
        models = HostModels(Hosts())
        answers = ServingAnswers(models, "1.0")
        try:
            for bundle in bundles:
                await models.serve(bundle, Limits(timeout_seconds=2.0))
            async with asking(answers.methods()) as (_, client):
                names = {bundle.contract.digest: bundle.contract.name for bundle in bundles}
                said = await RemotePredictor(client, names, seconds=10).predict(asks)
        finally:
            await answers.close()
            await models.close()

        assert Graphs(bundles).predict(asks[:-2]) == said[:-2]
        assert [Reply.REFUSED] * 2 == [answer.reply for answer in said[-2:]]
        assert [ask.id for ask in asks] == [answer.cause for answer in said]

    run(talk())


def test_every_ask_gets_an_answer_whatever_becomes_of_its_model() -> None:
    row = (1.0, 2.0, 3.0)
    asks = [ask_of(None, row, f"c{n}", A) for n in range(3)]

    async def talk() -> None:
        models = NumpyModels()
        async with serving(served(models).methods()) as server:
            client = Client(server.target)
            predictor = RemotePredictor(client, {A: "adder"}, rows_max=2, seconds=0.3)
            good = await predictor.predict(asks)
            odd = [ask_of(None, (3e38, 3e38, 1), "huge", A), ask_of(None, (1e39, 0, 0), "inf", A)]
            mixed = await predictor.predict([asks[0], *odd, asks[1]])
            replies = []
            for failure in (Reply.TIMEOUT, Reply.FAILED, Reply.INVALID, Reply.REFUSED):
                models.failure = failure
                replies.append([answer.reply for answer in await predictor.predict(asks)])
            models.failure, models.gate = None, asyncio.Event()
            late = await predictor.predict(asks)
        gone = await predictor.predict(asks)
        await client.channel.close()

        assert [((16.0,), (1, 2, 3, 10))] * 3 == [(a.outputs, a.parts) for a in good]
        kinds = [answer.reply for answer in mixed]
        assert [Reply.OK, Reply.INVALID, Reply.INVALID, Reply.OK] == kinds
        three = [[reply] * 3 for reply in (Reply.TIMEOUT, Reply.FAILED, Reply.INVALID)]
        assert three == replies[:3]
        assert replies[3][0] in {Reply.REFUSED, Reply.TIMEOUT}
        assert [Reply.TIMEOUT] * 3 == [answer.reply for answer in late]
        assert all(answer.reply is not Reply.OK for answer in gone)

    run(talk())


def test_real_bundles_answer_from_their_own_processes(tmp_path: Path) -> None:
    folder = ROOT / "examples/arena"
    trust = Trust([folder / KEYS])
    bundles = [open_file(path, trust) for path in sorted((folder / "bundles").glob("*.tfb"))]

    async def talk() -> None:
        hosts = Hosts()
        models = HostModels(hosts)
        answers = served(models)
        limits = Limits(timeout_seconds=2.0)
        try:
            for bundle in bundles:
                assert "" == await models.serve(bundle, limits)
            async with asking(answers.methods()) as (_, client):
                for bundle in bundles:
                    rows = bundle.golden.features[:3]
                    said = await infer(client, rows, model_name=bundle.contract.name)

                    wanted = bundle.golden.values[:3].tolist()
                    found = [row[0] for row in numbers(said)]
                    assert wanted == pytest.approx(found, abs=bundle.manifest.golden.tolerance)
                    assert bundle.contract.digest == said.model_version
                digest = bundles[0].contract.digest
                await models.retire(digest, answers.retire)
                gone = await refusal(
                    infer(
                        client, bundles[0].golden.features[:1], model_name=bundles[0].contract.name
                    )
                )
            assert Code.UNAVAILABLE == gone.code
            assert hosts.host(digest) is None
        finally:
            await answers.close()
            await models.close()

    run(talk())
