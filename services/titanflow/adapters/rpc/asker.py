"""How does a pod ask the models of a serving pod? By the Open Inference Protocol, and in time.

Every ask gets an answer, as in process: what went wrong is an answer as well, and the contender
holds. All that ask one bundle share a request; a number that is not finite spoils its own row only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import numpy as np

from titanflow.adapters.rpc.client import Client
from titanflow.adapters.rpc.ports import Float32s
from titanflow.adapters.rpc.refusal import Code, RefusalError
from titanflow.adapters.rpc.steady import AWAY
from titanflow.core.base.errors import AdapterError
from titanflow.core.contender.model import answer_to
from titanflow.core.facts import Answer, Ask
from titanflow.core.spec.bundle import INPUT, PARTS, VALUE
from titanflow.core.spec.words import Reply
from titanflow.rpc.inference import inference_pb2 as inference
from titanflow.rpc.inference.inference_pb2_grpc import GRPCInferenceServiceStub

ROWS_MAX: Final = 64
"""Rows of one request; a bundle allows that many unless its manifest says fewer."""
SECONDS: Final = 2.0
"""Longest wait for one request, also while serving starts again; then the answer is TIMEOUT."""
REASON: Final = "MODEL_"
"""What the reasons of a model's failure begin with; the reply follows."""
NOT_FINITE: Final = "a number is not finite"


class Infers(Protocol):
    """Who takes a request to a model, such as `steady.Steady`."""

    async def infer(
        self, request: inference.ModelInferRequest, seconds: float
    ) -> inference.ModelInferResponse:
        """Return what a model says.

        Raises: RefusalError
        """
        ...


class Direct:
    """Asks over one connection."""

    def __init__(self, client: Client) -> None:
        self._client, self._stub = client, GRPCInferenceServiceStub(client.channel)

    async def infer(
        self, request: inference.ModelInferRequest, seconds: float
    ) -> inference.ModelInferResponse:
        """Return what a model says.

        Raises: RefusalError
        """
        return await self._client.ask(self._stub.ModelInfer, request, seconds)


class RemotePredictor:
    """Answers asks by a serving pod; *names* gives the model of each bundle's digest."""

    def __init__(
        self,
        infers: Client | Infers,
        names: Mapping[str, str],
        *,
        rows_max: int = ROWS_MAX,
        seconds: float = SECONDS,
    ) -> None:
        self._infers = Direct(infers) if isinstance(infers, Client) else infers
        self._names = dict(names)
        self._rows_max, self._seconds = rows_max, seconds

    async def predict(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        """Return one answer to each ask, in their order."""
        groups: dict[tuple[str, int], list[int]] = {}
        for number, ask in enumerate(asks):
            groups.setdefault((ask.bundle, len(ask.features)), []).append(number)
        pieces = [
            numbers[first : first + self._rows_max]
            for numbers in groups.values()
            for first in range(0, len(numbers), self._rows_max)
        ]
        found = await asyncio.gather(*(self._ask([asks[n] for n in piece]) for piece in pieces))
        answers: dict[int, Answer] = {}
        for piece, some in zip(pieces, found, strict=True):
            answers.update(zip(piece, some, strict=True))
        return [answers[number] for number in range(len(asks))]

    async def _ask(self, asks: Sequence[Ask]) -> list[Answer]:
        """Return the answers of one bundle."""
        with np.errstate(over="ignore"):
            rows = np.array([ask.features for ask in asks], np.float32)
        is_finite = [bool(row.all()) for row in np.isfinite(rows)]
        if not all(is_finite):
            good = [ask for ask, is_good in zip(asks, is_finite, strict=True) if is_good]
            some = iter(await self._ask(good) if good else ())
            return [
                next(some) if is_good else answer_to(ask, Reply.INVALID, text=NOT_FINITE)
                for ask, is_good in zip(asks, is_finite, strict=True)
            ]
        try:
            numbers = await self._infer(asks[0].bundle, rows)
        except RefusalError as error:
            reply = _reply(error)
            if reply is Reply.INVALID and len(asks) > 1:
                return [(await self._ask([ask]))[0] for ask in asks]
            return [answer_to(ask, reply, text=error.text) for ask in asks]
        except AdapterError as error:
            return [answer_to(ask, Reply.INVALID, text=str(error)) for ask in asks]
        return [
            answer_to(ask, Reply.OK, (row[0],), tuple(row[1:]))
            for ask, row in zip(asks, numbers.tolist(), strict=True)
        ]

    async def _infer(self, digest: str, rows: Float32s) -> Float32s:
        """Return value and parts of each row.

        Raises: RefusalError, AdapterError for an answer that is none.
        """
        name = self._names.get(digest)
        if name is None:
            raise RefusalError(Code.NOT_FOUND, "NOT_FOUND", "no such bundle is served here")
        request = inference.ModelInferRequest(model_name=name, model_version=digest)
        request.inputs.add(name=INPUT, datatype="FP32", shape=rows.shape)
        request.raw_input_contents.append(np.ascontiguousarray(rows, "<f4").tobytes())
        answer = await self._infers.infer(request, self._seconds)
        if answer.model_version != digest:
            raise AdapterError("another version answered")
        found = {
            output.name: _table(tuple(output.shape), data, len(rows))
            for output, data in zip(answer.outputs, answer.raw_output_contents, strict=False)
        }
        if VALUE not in found or found[VALUE].shape[1] != 1:
            raise AdapterError("the answer holds no value")
        parts = found.get(PARTS, np.empty((len(rows), 0), np.float32))
        numbers: Float32s = np.hstack([found[VALUE], parts])
        if not np.isfinite(numbers).all():
            raise AdapterError(NOT_FINITE)
        return numbers


def _table(shape: tuple[int, ...], data: bytes, count: int) -> Float32s:
    if len(shape) != 2 or shape[0] != count or shape[1] < 1 or len(data) != 4 * count * shape[1]:
        raise AdapterError("the answer has another shape than it says")
    return np.frombuffer(data, "<f4").astype(np.float32).reshape(shape)


def _reply(error: RefusalError) -> Reply:
    """Return how a refusal counts."""
    word = error.reason.removeprefix(REASON)
    if error.reason.startswith(REASON) and word in Reply.__members__:
        return Reply[word]
    if error.reason == AWAY:
        return Reply.FAILED
    return Reply.TIMEOUT if error.code is Code.DEADLINE_EXCEEDED else Reply.REFUSED
