"""What does a model answer? The Open Inference Protocol, with one queue for each version.

A request that names no version is answered by the one that has the name when it comes; its version
is the digest of the bundle, so an answer says exactly what gave it. Rows of many requests share a
call. What is not finite is neither taken nor given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from titanflow.adapters.rpc.batch import Batcher, BatchLimits
from titanflow.adapters.rpc.caller import Caller
from titanflow.adapters.rpc.check import Check, find
from titanflow.adapters.rpc.method import AnyMethod, Method
from titanflow.adapters.rpc.ports import Float32s, ModelCard, ModelFailedError, Models
from titanflow.adapters.rpc.refusal import Code, RefusalError, not_ready, shown
from titanflow.core.spec.bundle import INPUT, PARTS, VALUE
from titanflow.core.spec.words import Reply
from titanflow.rpc.inference import inference_pb2 as inference

PLATFORM: Final = "onnx"
DATATYPE: Final = "FP32"
NAME_MAX: Final = 64
ID_MAX: Final = 128
OUTPUTS_MAX: Final = 2
PARAMETERS_MAX: Final = 16
REQUEST_SECONDS: Final = 5.0
"""Longest wait in the queue."""

FAILURES: Final[Mapping[Reply, tuple[Code, str, float]]] = {
    Reply.TIMEOUT: (Code.DEADLINE_EXCEEDED, "MODEL_TIMEOUT", 0.0),
    Reply.REFUSED: (Code.UNAVAILABLE, "MODEL_REFUSED", 1.0),
    Reply.FAILED: (Code.ABORTED, "MODEL_FAILED", 0.0),
    Reply.INVALID: (Code.DATA_LOSS, "MODEL_INVALID", 0.0),
}
"""How a model's failure is said; a client finds the reply again by the reason."""

_SERVICE: Final = inference.DESCRIPTOR.services_by_name["GRPCInferenceService"]


class Tensor(msgspec.Struct, frozen=True):
    """The rows of one request, and whether they came as bare bytes."""

    rows: Float32s
    raw: bool


class ServingAnswers:
    """The protocol over who runs the models; *version* is the server's own."""

    def __init__(
        self,
        models: Models,
        version: str,
        limits: BatchLimits = BatchLimits(),  # noqa: B008 - frozen
    ) -> None:
        self._models, self._version, self._limits = models, version, limits
        self._batchers: dict[str, Batcher] = {}

    def methods(self) -> Sequence[AnyMethod]:
        """Return what is answered."""
        return (
            Method(_SERVICE, "ServerLive", answer=self.server_live),
            Method(_SERVICE, "ServerReady", answer=self.server_ready),
            Method(_SERVICE, "ModelReady", answer=self.model_ready),
            Method(_SERVICE, "ServerMetadata", answer=self.server_metadata),
            Method(_SERVICE, "ModelMetadata", answer=self.model_metadata),
            Method(_SERVICE, "ModelInfer", answer=self.model_infer),
        )

    @property
    def batchers(self) -> Mapping[str, Batcher]:
        """Give the queues by digest, for their counts."""
        return self._batchers

    async def retire(self, digest: str) -> None:
        """Answer what a version has taken and forget it; it may then be unloaded.

        No name may stand for it any longer, else the next request opens its queue again.
        """
        batcher = self._batchers.get(digest)
        if batcher is not None:
            await batcher.close()
            self._batchers.pop(digest, None)

    async def close(self) -> None:
        """Answer everything that was taken, and end."""
        await asyncio.gather(*(self.retire(digest) for digest in list(self._batchers)))

    async def server_live(
        self,
        request: inference.ServerLiveRequest,  # noqa: ARG002 - it says nothing
        caller: Caller,  # noqa: ARG002 - everybody may ask
    ) -> inference.ServerLiveResponse:
        """Say that the process lives: it answers."""
        return inference.ServerLiveResponse(live=True)

    async def server_ready(
        self,
        request: inference.ServerReadyRequest,  # noqa: ARG002 - it says nothing
        caller: Caller,  # noqa: ARG002 - everybody may ask
    ) -> inference.ServerReadyResponse:
        """Say whether models may be asked."""
        return inference.ServerReadyResponse(ready=not self._models.waits_for)

    async def server_metadata(
        self,
        request: inference.ServerMetadataRequest,  # noqa: ARG002 - it says nothing
        caller: Caller,  # noqa: ARG002 - everybody may ask
    ) -> inference.ServerMetadataResponse:
        """Say what this server is."""
        return inference.ServerMetadataResponse(name="titanflow", version=self._version)

    async def model_ready(
        self,
        request: inference.ModelReadyRequest,
        caller: Caller,  # noqa: ARG002
    ) -> inference.ModelReadyResponse:
        """Say whether a model may be asked; false also for one that is not here."""
        check = Check()
        check.text("name", request.name, NAME_MAX)
        if request.version:
            check.text("version", request.version, NAME_MAX)
        check.done()
        versions = [card.digest for card in self._models.versions(request.name)]
        ready = request.version in versions if request.version else bool(versions)
        return inference.ModelReadyResponse(ready=ready and not self._models.waits_for)

    async def model_metadata(
        self,
        request: inference.ModelMetadataRequest,
        caller: Caller,  # noqa: ARG002
    ) -> inference.ModelMetadataResponse:
        """Say what goes into a model and what comes out."""
        card = self._card("name", request.name, "version", request.version)
        metadata = inference.ModelMetadataResponse.TensorMetadata
        outputs = [metadata(name=VALUE, datatype=DATATYPE, shape=[-1, 1])]
        if card.parts:
            outputs.append(metadata(name=PARTS, datatype=DATATYPE, shape=[-1, card.parts]))
        return inference.ModelMetadataResponse(
            name=card.name,
            versions=[found.digest for found in self._models.versions(card.name)],
            platform=PLATFORM,
            inputs=[metadata(name=INPUT, datatype=DATATYPE, shape=[-1, card.features])],
            outputs=outputs,
        )

    async def model_infer(
        self, request: inference.ModelInferRequest, caller: Caller
    ) -> inference.ModelInferResponse:
        """Return what a model says about some rows."""
        card = self._card("model_name", request.model_name, "model_version", request.model_version)
        check = Check()
        if len(request.id) > ID_MAX:
            check.refuse("id", f"has {len(request.id)} characters, at most {ID_MAX} are allowed")
        if len(request.parameters) > PARAMETERS_MAX:
            check.refuse("parameters", f"has more than {PARAMETERS_MAX}")
        names = _outputs(check, request, card)
        tensor = _tensor(check, request, card)
        check.done()
        assert tensor is not None
        seconds = REQUEST_SECONDS if caller.seconds is None else caller.seconds
        numbers = await self._ask(card, tensor.rows, min(seconds, REQUEST_SECONDS))
        if not np.isfinite(numbers).all():
            raise _failure(Reply.INVALID, "a number of its answer is not finite")
        return _answer(request.id, card, names, numbers, raw=tensor.raw)

    async def _ask(self, card: ModelCard, rows: Float32s, seconds: float) -> Float32s:
        batcher = self._batchers.get(card.digest)
        if batcher is None:
            batcher = self._batchers[card.digest] = self._open(card)
        deadline = asyncio.get_running_loop().time() + seconds
        try:
            numbers = await batcher.ask(rows, deadline)
        except ModelFailedError as error:
            raise _failure(error.reply, error.text) from error
        if numbers.shape != (len(rows), 1 + card.parts):
            raise _failure(Reply.INVALID, "its answer has another shape than it promised")
        return numbers

    def _open(self, card: ModelCard) -> Batcher:
        async def infer(rows: Float32s) -> Float32s:
            return await self._models.infer(card.digest, rows)

        limits = msgspec.structs.replace(
            self._limits, max_batch=min(card.max_batch, self._limits.max_batch)
        )
        if card.max_delay_seconds is not None:
            limits = msgspec.structs.replace(limits, max_delay_seconds=card.max_delay_seconds)
        return Batcher(infer, limits)

    def _card(self, where: str, name: str, version_where: str, version: str) -> ModelCard:
        """Return the version that is asked for.

        Raises: RefusalError if it is not here, or nothing can be asked yet.
        """
        check = Check()
        check.text(where, name, NAME_MAX)
        if version:
            check.text(version_where, version, NAME_MAX)
        check.done()
        if self._models.waits_for:
            raise not_ready(self._models.waits_for)
        find("model", name, self._models.names(), where)
        versions = {card.digest: card for card in self._models.versions(name)}
        if not version and not versions:
            raise not_ready(f"a version of the model {shown(name)}")
        wanted = version or next(iter(versions))
        return versions[find("version", wanted, versions, version_where)]


def _failure(reply: Reply, text: str) -> RefusalError:
    code, reason, retry_seconds = FAILURES[reply]
    return RefusalError(code, reason, text, retry_seconds=retry_seconds)


def _outputs(
    check: Check, request: inference.ModelInferRequest, card: ModelCard
) -> tuple[str, ...]:
    """Return the names of the outputs that are asked for."""
    there = (VALUE, PARTS) if card.parts else (VALUE,)
    if len(request.outputs) > OUTPUTS_MAX:
        check.refuse("outputs", f"has {len(request.outputs)} outputs, there are {len(there)}")
        return there
    names = []
    for place, output in enumerate(request.outputs):
        where = f"outputs[{place}].name"
        if output.name not in there:
            check.refuse(where, f"no output is called {shown(output.name)}", f"{', '.join(there)}")
        elif output.name in names:
            check.refuse(where, f"{shown(output.name)} stands twice")
        names.append(output.name)
    return tuple(names) or there


def _tensor(check: Check, request: inference.ModelInferRequest, card: ModelCard) -> Tensor | None:
    """Return the rows of a request; None after what is wrong with them was noted."""
    if len(request.inputs) != 1:
        check.refuse("inputs", f"has {len(request.inputs)} tensors, one is expected: {INPUT}")
        return None
    tensor, where = request.inputs[0], "inputs[0]"
    if tensor.name != INPUT:
        check.refuse(f"{where}.name", f"is {shown(tensor.name)}, the input is called {INPUT}")
    if tensor.datatype != DATATYPE:
        check.refuse(f"{where}.datatype", f"is {shown(tensor.datatype)}, {DATATYPE} is expected")
    shape = tuple(tensor.shape[:3])
    if len(tensor.shape) != 2 or shape[1] != card.features or not 1 <= shape[0] <= card.max_batch:
        what = f"is {list(shape)}, [1 to {card.max_batch}, {card.features}] is expected"
        check.refuse(f"{where}.shape", what)
        return None
    count = shape[0] * shape[1]
    raw = len(request.raw_input_contents) > 0
    if raw and tensor.HasField("contents"):
        check.refuse(f"{where}.contents", "stands beside raw_input_contents: give one of them")
        return None
    if raw:
        place, data = "raw_input_contents[0]", request.raw_input_contents[0]
        if len(request.raw_input_contents) != 1 or len(data) != 4 * count:
            wanted = f"one tensor of {4 * count} bytes is expected"
            check.refuse(place, f"has {len(data)} bytes, {wanted}")
            return None
        values = np.frombuffer(data, "<f4").astype(np.float32)
    else:
        place, numbers = f"{where}.contents.fp32_contents", tensor.contents.fp32_contents
        if len(numbers) != count:
            check.refuse(place, f"has {len(numbers)} numbers, {count} are expected")
            return None
        values = np.fromiter(numbers, np.float32, count)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        check.refuse(f"{place}[{wrong[0]}]", "is no finite number")
    return Tensor(values.reshape(shape), raw)


def _answer(
    ident: str, card: ModelCard, names: Sequence[str], numbers: Float32s, *, raw: bool
) -> inference.ModelInferResponse:
    answer = inference.ModelInferResponse(model_name=card.name, model_version=card.digest, id=ident)
    for name in names:
        part = numbers[:, :1] if name == VALUE else numbers[:, 1:]
        output = answer.outputs.add(name=name, datatype=DATATYPE, shape=part.shape)
        if raw:
            answer.raw_output_contents.append(np.ascontiguousarray(part, "<f4").tobytes())
        else:
            output.contents.fp32_contents.extend(part.ravel().tolist())
    return answer
