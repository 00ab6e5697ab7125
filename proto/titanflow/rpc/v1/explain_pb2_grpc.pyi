# Written by tools.make_proto. DO NOT EDIT!
from collections.abc import AsyncIterator

import grpc
import grpc.aio

from titanflow.rpc.v1 import explain_pb2 as _explain_pb2

class ExplainStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    Why: grpc.aio.UnaryUnaryMultiCallable[_explain_pb2.WhyRequest, _explain_pb2.WhyResponse]
    GetTiers: grpc.aio.UnaryUnaryMultiCallable[_explain_pb2.GetTiersRequest, _explain_pb2.GetTiersResponse]

class ExplainServicer:
    async def Why(
        self, request: _explain_pb2.WhyRequest, context: grpc.aio.ServicerContext[_explain_pb2.WhyRequest, _explain_pb2.WhyResponse]
    ) -> _explain_pb2.WhyResponse: ...
    async def GetTiers(
        self, request: _explain_pb2.GetTiersRequest, context: grpc.aio.ServicerContext[_explain_pb2.GetTiersRequest, _explain_pb2.GetTiersResponse]
    ) -> _explain_pb2.GetTiersResponse: ...

def add_ExplainServicer_to_server(
    servicer: ExplainServicer, server: grpc.aio.Server
) -> None: ...
