"""Do the generated services answer over a real connection, under the names others call them by?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count

import grpc
import grpc.aio
import numpy as np
from wire_kit import plain

from titanflow.core.facts import Standing
from titanflow.rpc.inference import inference_pb2, inference_pb2_grpc
from titanflow.rpc.v1 import standings_pb2, standings_pb2_grpc

DEADLINE = 20
"""Seconds; a call here takes milliseconds."""


class Board(standings_pb2_grpc.StandingsServicer):
    async def GetStandings(self, request, context):
        await context.abort(grpc.StatusCode.UNAVAILABLE, "catches up with the record")

    async def WatchStandings(self, request, context) -> AsyncIterator[object]:
        fields = {"contender": "momentum", "rank": 1, "equity": -5}
        for as_of in range(3):
            yield standings_pb2.GetStandingsResponse(as_of=as_of, standings=[fields])


class Doubler(inference_pb2_grpc.GRPCInferenceServiceServicer):
    async def ModelInfer(self, request, context):
        rows = np.frombuffer(request.raw_input_contents[0], "<f4") * 2
        tensor = {"name": "y", "datatype": "FP32", "shape": request.inputs[0].shape}
        return inference_pb2.ModelInferResponse(
            model_name=request.model_name, outputs=[tensor], raw_output_contents=[rows.tobytes()]
        )


def serve(talk: Callable[[grpc.aio.Channel], Awaitable[None]]) -> None:
    """Run both services on a free port and let *talk* call them."""

    async def run() -> None:
        server = grpc.aio.server()
        standings_pb2_grpc.add_StandingsServicer_to_server(Board(), server)
        inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Doubler(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                await asyncio.wait_for(talk(channel), DEADLINE)
        finally:
            await server.stop(None)

    asyncio.run(run())


def test_a_stream_of_boards_holds_facts_of_the_wire() -> None:
    async def talk(channel: grpc.aio.Channel) -> None:
        stub = standings_pb2_grpc.StandingsStub(channel)
        call = stub.WatchStandings(standings_pb2.WatchStandingsRequest(), timeout=DEADLINE)

        boards = [board async for board in call]

        assert [0, 1, 2] == [board.as_of for board in boards]
        assert ("momentum", -5) == (boards[2].standings[0].contender, boards[2].standings[0].equity)
        names = [field.name for field in boards[0].standings[0].DESCRIPTOR.fields]
        assert list(plain(Standing, count(1)).__struct_fields__) == names

    serve(talk)


def test_an_error_of_a_service_has_its_code() -> None:
    async def talk(channel: grpc.aio.Channel) -> None:
        stub = standings_pb2_grpc.StandingsStub(channel)
        try:
            await stub.GetStandings(standings_pb2.GetStandingsRequest(), timeout=DEADLINE)
        except grpc.aio.AioRpcError as error:
            code = error.code()

        assert grpc.StatusCode.UNAVAILABLE == code

    serve(talk)


def test_a_model_is_asked_under_the_public_name_of_the_open_inference_protocol() -> None:
    async def talk(channel: grpc.aio.Channel) -> None:
        # As a client that knows nothing of ours: the method's public path and the bytes.
        ask = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2]}
        rows = np.array([1.5, -2.0], "<f4").tobytes()
        request = inference_pb2.ModelInferRequest(
            model_name="m", inputs=[tensor], raw_input_contents=[rows]
        )

        said = await ask(request.SerializeToString(), timeout=DEADLINE)

        answer = inference_pb2.ModelInferResponse.FromString(said)
        assert [3.0, -4.0] == np.frombuffer(answer.raw_output_contents[0], "<f4").tolist()

    serve(talk)
