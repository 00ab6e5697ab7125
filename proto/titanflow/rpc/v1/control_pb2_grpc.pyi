# Written by tools.make_proto. DO NOT EDIT!
from collections.abc import AsyncIterator

import grpc
import grpc.aio

from titanflow.rpc.v1 import control_pb2 as _control_pb2

class ControlStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    Kill: grpc.aio.UnaryUnaryMultiCallable[_control_pb2.KillRequest, _control_pb2.KillResponse]
    Release: grpc.aio.UnaryUnaryMultiCallable[_control_pb2.ReleaseRequest, _control_pb2.ReleaseResponse]
    Pause: grpc.aio.UnaryUnaryMultiCallable[_control_pb2.PauseRequest, _control_pb2.PauseResponse]
    Resume: grpc.aio.UnaryUnaryMultiCallable[_control_pb2.ResumeRequest, _control_pb2.ResumeResponse]

class ControlServicer:
    async def Kill(
        self, request: _control_pb2.KillRequest, context: grpc.aio.ServicerContext[_control_pb2.KillRequest, _control_pb2.KillResponse]
    ) -> _control_pb2.KillResponse: ...
    async def Release(
        self, request: _control_pb2.ReleaseRequest, context: grpc.aio.ServicerContext[_control_pb2.ReleaseRequest, _control_pb2.ReleaseResponse]
    ) -> _control_pb2.ReleaseResponse: ...
    async def Pause(
        self, request: _control_pb2.PauseRequest, context: grpc.aio.ServicerContext[_control_pb2.PauseRequest, _control_pb2.PauseResponse]
    ) -> _control_pb2.PauseResponse: ...
    async def Resume(
        self, request: _control_pb2.ResumeRequest, context: grpc.aio.ServicerContext[_control_pb2.ResumeRequest, _control_pb2.ResumeResponse]
    ) -> _control_pb2.ResumeResponse: ...

def add_ControlServicer_to_server(
    servicer: ControlServicer, server: grpc.aio.Server
) -> None: ...
