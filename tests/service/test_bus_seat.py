"""Does the server let one process of a pod in at a time, and let the next in when it is gone?"""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from titanflow.adapters.bus.errors import Taken
from titanflow.adapters.bus.link import Patience
from titanflow.adapters.bus.streams import seat

POD = "risk-0"
STREAM, SUBJECT = "TF_demo_ORDER", "tf.demo.turn.risk-0"
QUICK = Patience(ping_s=0.1, attempt_s=0.3, budget_s=2.0, down_s=3.0, again_most_s=0.05)
PATIENT = msgspec.structs.replace(QUICK, budget_s=8.0, down_s=8.0)
"""The server gives a silent client up after three seconds."""


def seat_of(arena):
    return seat(arena.topology, next(p for p in arena.topology.pods if p.name == POD))


def a_process(arena, patience=QUICK):
    return arena.bus(POD, patience=patience, seat=seat_of(arena))


def test_a_second_process_of_a_pod_must_go(arena):
    async def run():
        await arena.prepare()
        async with a_process(arena) as first:
            with pytest.raises(Taken, match="another process of risk-0 is alive"):
                async with a_process(arena):
                    pass
            return first.is_up

    assert asyncio.run(run())


def test_the_seat_is_free_when_its_holder_is_gone(arena):
    async def run():
        await arena.prepare()
        for _ in range(3):
            async with a_process(arena) as bus:
                assert bus.is_up

    began = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - began < 3.0


def test_who_waits_comes_in_when_the_holder_falls_silent(arena):
    async def run():
        await arena.prepare()
        async with arena.proxied(POD, PATIENT, seat=seat_of(arena)) as (proxy, silent):
            proxy.freeze()
            proxy.delay_s = 20.0  # and no new link of it comes up
            async with a_process(arena, PATIENT) as heir:
                return heir.is_up, silent.counters.links

    assert (True, 1) == asyncio.run(run())


def test_who_was_away_while_another_spoke_in_his_place_must_go(arena):
    async def run():
        await arena.prepare()
        async with arena.proxied(POD, PATIENT, seat=seat_of(arena)) as (proxy, first):
            await first.publish_turn(STREAM, SUBJECT, b"1", "risk-0/1", 0)
            # The link breaks; before it is made anew another process sits down, speaks and goes.
            proxy.delay_s = 0.7
            proxy.cut()
            async with a_process(arena) as heir:
                await heir.publish_turn(STREAM, SUBJECT, b"2", "risk-0/2", 1)
            proxy.delay_s = 0.0
            return await first.wait_closed()

    closed = asyncio.run(run())

    assert isinstance(closed, Taken)
    assert "has spoken" in str(closed)
