# Written by tools.make_proto. DO NOT EDIT!
from collections.abc import AsyncIterator

import grpc
import grpc.aio

from titanflow.rpc.v1 import portfolio_pb2 as _portfolio_pb2

class PortfolioStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    GetPortfolio: grpc.aio.UnaryUnaryMultiCallable[_portfolio_pb2.GetPortfolioRequest, _portfolio_pb2.GetPortfolioResponse]
    ListOpenOrders: grpc.aio.UnaryUnaryMultiCallable[_portfolio_pb2.ListOpenOrdersRequest, _portfolio_pb2.ListOpenOrdersResponse]

class PortfolioServicer:
    async def GetPortfolio(
        self, request: _portfolio_pb2.GetPortfolioRequest, context: grpc.aio.ServicerContext[_portfolio_pb2.GetPortfolioRequest, _portfolio_pb2.GetPortfolioResponse]
    ) -> _portfolio_pb2.GetPortfolioResponse: ...
    async def ListOpenOrders(
        self, request: _portfolio_pb2.ListOpenOrdersRequest, context: grpc.aio.ServicerContext[_portfolio_pb2.ListOpenOrdersRequest, _portfolio_pb2.ListOpenOrdersResponse]
    ) -> _portfolio_pb2.ListOpenOrdersResponse: ...

def add_PortfolioServicer_to_server(
    servicer: PortfolioServicer, server: grpc.aio.Server
) -> None: ...
