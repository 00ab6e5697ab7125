"""Does a reader hand out every message once, in order, from where it is told to begin?"""

from __future__ import annotations

import asyncio
import json

import pytest

from titanflow.adapters.bus.errors import BusError, Forbidden
from titanflow.adapters.bus.permissions import HOST

STREAM, DURABLE = "TF_demo_MARKET", "risk-0"


async def change(arena, durable=DURABLE, **settings):
    """Change a consumer by hand, as nothing in the arena does."""
    async with arena.bus(HOST) as host:
        path = f"{STREAM}.{durable}"
        config = json.loads(await host.ask(f"$JS.API.CONSUMER.INFO.{path}"))["config"]
        body = {"stream_name": STREAM, "config": {**config, **settings}, "action": "update"}
        answer = json.loads(
            await host.ask(f"$JS.API.CONSUMER.CREATE.{path}", json.dumps(body).encode())
        )
        assert "error" not in answer


async def reached(arena, condition):
    """Return what the server says of the consumer once it meets a condition."""
    async with arena.bus(HOST) as host, asyncio.timeout(5):
        while True:
            info = json.loads(await host.ask(f"$JS.API.CONSUMER.INFO.{STREAM}.{DURABLE}"))
            if condition(info):
                return info


async def take(reader, count, seconds=5.0):
    found = []
    async with asyncio.timeout(seconds):
        while len(found) < count:
            message = await anext(reader)
            found.append(message.sequence)
            await message.ack()
    return found


@pytest.mark.parametrize(("after", "first"), [(0, 1), (3, 4), (7, 8)])
def test_a_reader_begins_behind_the_sequence_of_its_snapshot(arena, after, first):
    async def run():
        await arena.prepare()
        await arena.fill(10)
        async with arena.bus("risk-0") as bus:
            # A former life acknowledged more than the snapshot holds.
            await take(bus.consume(STREAM, DURABLE, after=0), 6)
        async with arena.bus("risk-0") as bus:
            return await take(bus.consume(STREAM, DURABLE, after=after), 11 - first)

    assert list(range(first, 11)) == asyncio.run(run())


def test_without_a_sequence_a_reader_goes_on_behind_what_was_acknowledged(arena):
    async def run():
        await arena.prepare()
        await arena.fill(5)
        async with arena.bus("risk-0") as bus:
            reader = bus.consume(STREAM, DURABLE)
            first = await take(reader, 2)
            unacknowledged = await anext(reader)
            await reader.close()
        async with arena.bus("risk-0") as bus:
            return first, unacknowledged.sequence, await take(bus.consume(STREAM, DURABLE), 3)

    assert ([1, 2], 3, [3, 4, 5]) == asyncio.run(run())


def test_a_message_carries_stream_sequence_subject_data_and_headers(arena):
    async def run():
        await arena.prepare()
        await arena.fill(1)
        async with arena.bus("risk-0") as bus:
            message = await anext(bus.consume(STREAM, DURABLE, after=0))
            return (
                message.stream,
                message.sequence,
                message.subject,
                message.data,
                message.headers["TitanFlow-Turn"],
            )

    assert (STREAM, 1, "tf.demo.market", b"0", "g/0") == asyncio.run(run())


def test_the_next_message_waits_for_the_acknowledgement_of_the_former(arena):
    async def run():
        await arena.prepare()
        await arena.fill(2)
        async with arena.bus("risk-0") as bus:
            reader = bus.consume(STREAM, DURABLE, after=0)
            first = await anext(reader)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await anext(reader)
            await first.ack()
            second = await anext(reader)
            return first.sequence, second.sequence

    assert (1, 2) == asyncio.run(run())


def test_a_message_that_comes_again_is_handed_out_once_and_a_late_acknowledgement_holds(arena):
    async def run():
        await arena.prepare()
        await change(arena, ack_wait=200_000_000)
        await arena.fill(3)
        async with arena.bus("risk-0") as bus:
            reader = bus.consume(STREAM, DURABLE, after=0)
            first = await anext(reader)
            following = asyncio.create_task(anext(reader))
            await arena.until(lambda: bus.counters.redeliveries >= 2)
            assert not following.done()
            await first.ack()
            second = await following
            await second.ack()
            rest = await take(reader, 1)
            return [first.sequence, second.sequence, *rest], bus.counters.gaps

    assert ([1, 2, 3], 0) == asyncio.run(run())


def test_a_delivery_lost_on_the_way_is_missed_by_the_heartbeat_and_asked_for_again(arena):
    async def run():
        await arena.prepare()
        await arena.fill(3)
        async with arena.proxied("risk-0") as (proxy, bus):
            reader = bus.consume(STREAM, DURABLE, after=0)
            found = await take(reader, 1)
            proxy.swallows_answer = b"g/2"
            # Well below the five seconds after which the server itself would repeat it.
            found += await take(reader, 2, 2.0)
            return found, bus.counters.gaps, proxy.swallows_answer

    assert ([1, 2, 3], 1, b"") == asyncio.run(run())


def test_what_was_taken_ahead_is_kept_back_when_a_delivery_before_it_was_lost(arena):
    async def run():
        await arena.prepare()
        await change(arena, max_ack_pending=64)
        async with arena.proxied("risk-0") as (proxy, bus):
            reader = bus.consume(STREAM, DURABLE, after=0)
            begun = asyncio.create_task(take(reader, 1))
            await arena.fill(1)
            found = await begun
            proxy.swallows_answer = b"g/1"
            await arena.fill(4, start=1)
            return found + await take(reader, 4, 2.0), bus.counters.gaps

    found, gaps = asyncio.run(run())

    assert [1, 2, 3, 4, 5] == found
    assert gaps >= 1


def test_a_pull_request_lost_on_the_way_is_noticed_by_its_silence(arena):
    async def run():
        await arena.prepare()
        await arena.fill(2)
        async with arena.proxied("risk-0") as (proxy, bus):
            proxy.swallows_request = b"CONSUMER.MSG.NEXT"
            found = await take(bus.consume(STREAM, DURABLE, after=0), 2, 3.0)
            return found, bus.counters.stalls

    found, stalls = asyncio.run(run())

    assert [1, 2] == found
    assert stalls >= 1


def test_a_reader_that_waited_over_many_renewals_of_its_pull_hears_the_next_message_at_once(arena):
    async def run():
        await arena.prepare()
        async with arena.bus("risk-0") as bus:
            reader = bus.consume(STREAM, DURABLE, after=0)
            waiting = asyncio.create_task(take(reader, 3, 10))
            await asyncio.sleep(2.3)  # longer than two pulls of a second each
            await arena.fill(3)
            return await waiting, bus.counters.stalls, bus.counters.gaps

    assert ([1, 2, 3], 0, 0) == asyncio.run(run())


def test_a_consumer_that_was_deleted_is_told_at_once(arena):
    async def run():
        await arena.prepare()
        async with arena.bus("risk-0") as bus, arena.bus(HOST) as host:
            reader = bus.consume(STREAM, DURABLE, after=0)
            waiting = asyncio.create_task(anext(reader))
            await reached(arena, lambda info: info["num_waiting"])
            await host.ask(f"$JS.API.CONSUMER.DELETE.{STREAM}.{DURABLE}")
            with pytest.raises(BusError, match="was deleted"):
                async with asyncio.timeout(3):
                    await waiting

    asyncio.run(run())


def test_a_consumer_that_never_was_is_told_when_the_budget_is_spent(arena):
    async def run():
        await arena.prepare()
        async with arena.bus("risk-0") as bus, arena.bus(HOST) as host:
            await host.ask(f"$JS.API.CONSUMER.DELETE.{STREAM}.{DURABLE}")
            with pytest.raises(BusError, match="does not answer"):
                async with asyncio.timeout(8):
                    await anext(bus.consume(STREAM, DURABLE, after=0))

    asyncio.run(run())


def test_another_pod_s_consumer_is_forbidden(arena):
    async def run():
        await arena.prepare()
        async with arena.bus("signal-alpha") as bus:
            with pytest.raises(Forbidden):
                await anext(bus.consume(STREAM, DURABLE, after=0))

    asyncio.run(run())


def test_every_acknowledgement_reaches_the_server(arena):
    async def run():
        await arena.prepare()
        await arena.fill(20)
        async with arena.bus("risk-0") as bus:
            await take(bus.consume(STREAM, DURABLE, after=0), 20)
            info = await reached(arena, lambda info: info["num_ack_pending"] == 0)
        return info["ack_floor"]["stream_seq"]

    assert 20 == asyncio.run(run())
