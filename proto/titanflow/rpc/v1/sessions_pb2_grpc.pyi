# Written by tools.make_proto. DO NOT EDIT!
from collections.abc import AsyncIterator

import grpc
import grpc.aio

from titanflow.rpc.v1 import sessions_pb2 as _sessions_pb2

class SessionsStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    GetStatus: grpc.aio.UnaryUnaryMultiCallable[_sessions_pb2.GetStatusRequest, _sessions_pb2.GetStatusResponse]

class SessionsServicer:
    async def GetStatus(
        self, request: _sessions_pb2.GetStatusRequest, context: grpc.aio.ServicerContext[_sessions_pb2.GetStatusRequest, _sessions_pb2.GetStatusResponse]
    ) -> _sessions_pb2.GetStatusResponse: ...

def add_SessionsServicer_to_server(
    servicer: SessionsServicer, server: grpc.aio.Server
) -> None: ...
