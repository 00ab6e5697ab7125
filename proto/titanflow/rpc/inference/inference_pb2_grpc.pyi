# Written by tools.make_proto. DO NOT EDIT!
from collections.abc import AsyncIterator

import grpc
import grpc.aio

from titanflow.rpc.inference import inference_pb2 as _inference_pb2

class GRPCInferenceServiceStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    ServerLive: grpc.aio.UnaryUnaryMultiCallable[_inference_pb2.ServerLiveRequest, _inference_pb2.ServerLiveResponse]
    ServerReady: grpc.aio.UnaryUnaryMultiCallable[_inference_pb2.ServerReadyRequest, _inference_pb2.ServerReadyResponse]
    ModelReady: grpc.aio.UnaryUnaryMultiCallable[_inference_pb2.ModelReadyRequest, _inference_pb2.ModelReadyResponse]
    ServerMetadata: grpc.aio.UnaryUnaryMultiCallable[_inference_pb2.ServerMetadataRequest, _inference_pb2.ServerMetadataResponse]
    ModelMetadata: grpc.aio.UnaryUnaryMultiCallable[_inference_pb2.ModelMetadataRequest, _inference_pb2.ModelMetadataResponse]
    ModelInfer: grpc.aio.UnaryUnaryMultiCallable[_inference_pb2.ModelInferRequest, _inference_pb2.ModelInferResponse]

class GRPCInferenceServiceServicer:
    async def ServerLive(
        self, request: _inference_pb2.ServerLiveRequest, context: grpc.aio.ServicerContext[_inference_pb2.ServerLiveRequest, _inference_pb2.ServerLiveResponse]
    ) -> _inference_pb2.ServerLiveResponse: ...
    async def ServerReady(
        self, request: _inference_pb2.ServerReadyRequest, context: grpc.aio.ServicerContext[_inference_pb2.ServerReadyRequest, _inference_pb2.ServerReadyResponse]
    ) -> _inference_pb2.ServerReadyResponse: ...
    async def ModelReady(
        self, request: _inference_pb2.ModelReadyRequest, context: grpc.aio.ServicerContext[_inference_pb2.ModelReadyRequest, _inference_pb2.ModelReadyResponse]
    ) -> _inference_pb2.ModelReadyResponse: ...
    async def ServerMetadata(
        self, request: _inference_pb2.ServerMetadataRequest, context: grpc.aio.ServicerContext[_inference_pb2.ServerMetadataRequest, _inference_pb2.ServerMetadataResponse]
    ) -> _inference_pb2.ServerMetadataResponse: ...
    async def ModelMetadata(
        self, request: _inference_pb2.ModelMetadataRequest, context: grpc.aio.ServicerContext[_inference_pb2.ModelMetadataRequest, _inference_pb2.ModelMetadataResponse]
    ) -> _inference_pb2.ModelMetadataResponse: ...
    async def ModelInfer(
        self, request: _inference_pb2.ModelInferRequest, context: grpc.aio.ServicerContext[_inference_pb2.ModelInferRequest, _inference_pb2.ModelInferResponse]
    ) -> _inference_pb2.ModelInferResponse: ...

def add_GRPCInferenceServiceServicer_to_server(
    servicer: GRPCInferenceServiceServicer, server: grpc.aio.Server
) -> None: ...
