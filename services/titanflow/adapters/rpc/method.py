"""What is a question? A method's path, the types of its messages, and who answers.

Handlers are plain functions of a message and a `Caller`; they never see the library. Several
handlers may share a service: where the ledger answers one question of it and execution another, a
pod that hosts both answers both.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Any, Final, Generic, TypeAlias, TypeVar

import grpc
import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from titanflow.adapters.rpc.caller import Caller, caller_of
from titanflow.adapters.rpc.refusal import absent
from titanflow.core.base.errors import InvariantError

Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
# The library's classes take their types in stubs only, hence the quotes.
Answer = Callable[[Q, Caller], Awaitable[A]]
Answers = Callable[[Q, Caller], AsyncGenerator[A]]

DESCRIPTOR_KEY: Final = "descriptor"


class Method(Generic[Q, A]):
    """One question, and who answers it: at once, or as a stream.

    Raises: InvariantError if the service has no such method, or it streams otherwise.
    """

    def __init__(
        self,
        service: ServiceDescriptor,
        name: str,
        *,
        answer: Answer[Q, A] | None = None,
        answers: Answers[Q, A] | None = None,
    ) -> None:
        described = service.methods_by_name.get(name)
        if described is None:
            raise InvariantError(f"{service.full_name} has no method {name}")
        if described.client_streaming or described.server_streaming != (answers is not None):
            raise InvariantError(f"{service.full_name}.{name} streams otherwise")
        if (answer is None) == (answers is None):
            raise InvariantError(f"{service.full_name}.{name} needs one answer")
        self.service, self.name = service, name
        self.question = GetMessageClass(described.input_type)
        self._answer, self._answers = answer, answers

    def handler(self) -> grpc.RpcMethodHandler[Any, Any]:
        """Return it as the library wants it."""
        if self._answers is not None:
            return grpc.unary_stream_rpc_method_handler(
                self._stream, self.question.FromString, _bytes
            )
        return grpc.unary_unary_rpc_method_handler(self._unary, self.question.FromString, _bytes)

    async def _unary(self, request: Q, context: Context) -> A:
        assert self._answer is not None
        return await self._answer(request, caller_of(context))

    async def _stream(self, request: Q, context: Context) -> AsyncGenerator[A]:
        assert self._answers is not None
        answers = self._answers(request, caller_of(context))
        try:
            async for message in answers:
                yield message
        finally:
            # At once: what the handler holds must not wait for the collector of garbage.
            await answers.aclose()


AnyMethod = Method[Any, Any]


def handlers_of(methods: Iterable[AnyMethod]) -> dict[str, dict[str, Any]]:
    """Return the handlers by service and method; those of a service that nobody answers refuse.

    Raises: InvariantError if a method has two handlers.
    """
    found: dict[str, dict[str, Any]] = {}
    for method in methods:
        service = method.service
        handlers = found.setdefault(service.full_name, {DESCRIPTOR_KEY: service})
        if method.name in handlers:
            raise InvariantError(f"{service.full_name}.{method.name} has two handlers")
        handlers[method.name] = method.handler()
    for name, handlers in found.items():
        for rest in handlers.pop(DESCRIPTOR_KEY).methods_by_name:
            handlers.setdefault(rest, _nobody(f"{name}.{rest}"))
    return found


def _bytes(message: Message) -> bytes:
    return message.SerializeToString()


def _nobody(path: str) -> grpc.RpcMethodHandler[Any, Any]:
    async def refuse(request: bytes, context: Context) -> bytes:  # noqa: ARG001
        raise absent(f"{path} is not answered by this pod: ask another one")

    return grpc.unary_unary_rpc_method_handler(refuse)
