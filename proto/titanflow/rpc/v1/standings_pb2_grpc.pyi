# Written by tools.make_proto. DO NOT EDIT!
from collections.abc import AsyncIterator

import grpc
import grpc.aio

from titanflow.rpc.v1 import standings_pb2 as _standings_pb2

class StandingsStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    GetStandings: grpc.aio.UnaryUnaryMultiCallable[_standings_pb2.GetStandingsRequest, _standings_pb2.GetStandingsResponse]
    WatchStandings: grpc.aio.UnaryStreamMultiCallable[_standings_pb2.WatchStandingsRequest, _standings_pb2.GetStandingsResponse]

class StandingsServicer:
    async def GetStandings(
        self, request: _standings_pb2.GetStandingsRequest, context: grpc.aio.ServicerContext[_standings_pb2.GetStandingsRequest, _standings_pb2.GetStandingsResponse]
    ) -> _standings_pb2.GetStandingsResponse: ...
    def WatchStandings(
        self, request: _standings_pb2.WatchStandingsRequest, context: grpc.aio.ServicerContext[_standings_pb2.WatchStandingsRequest, _standings_pb2.GetStandingsResponse]
    ) -> AsyncIterator[_standings_pb2.GetStandingsResponse]: ...

def add_StandingsServicer_to_server(
    servicer: StandingsServicer, server: grpc.aio.Server
) -> None: ...
