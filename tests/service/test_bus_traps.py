"""Does the bus survive every trap of the client and the server that we know of?

The traps were measured on nats-py 2.16 and nats-server 2.15.1 (ADR 13 lists them); each is set
here for the real server, through a link that misbehaves.
"""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from titanflow.adapters.bus.errors import BusError, Closed, Fenced
from titanflow.adapters.bus.link import Patience

STREAM, SUBJECT = "TF_demo_ORDER", "tf.demo.turn.risk-0"
PRODUCTION = Patience()


async def take(reader, count, seconds=5.0):
    """Return the data of the next messages, each acknowledged."""
    found = []
    async with asyncio.timeout(seconds):
        while len(found) < count:
            message = await anext(reader)
            found.append(message.data)
            await message.ack()
    return found


def numbers(start, stop):
    return [b"%d" % n for n in range(start, stop)]


def test_a_turn_whose_acknowledgement_was_lost_is_stored_once(arena):
    async def run():
        await arena.prepare()
        async with arena.proxied("risk-0") as (proxy, bus):
            proxy.swallows_answer = b'"seq":1'
            first = await bus.publish_turn(STREAM, SUBJECT, b"1", "risk-0/1", 0)
            second = await bus.publish_turn(STREAM, SUBJECT, b"2", "risk-0/2", 1)
        return first, second, bus.counters, await arena.stored(STREAM)

    first, second, counters, count = asyncio.run(run())

    assert (1, True) == (first.sequence, first.is_duplicate)
    assert (2, False) == (second.sequence, second.is_duplicate)
    assert (1, 1, 0) == (counters.duplicates, counters.retries, counters.stolen_ids)
    assert 2 == count


def test_a_copy_whose_acknowledgement_was_lost_is_stored_once(arena):
    async def run():
        await arena.prepare()
        async with arena.proxied("execution-0") as (proxy, bus):
            proxy.swallows_answer = b'"seq":1'
            published = await bus.publish("tf.demo.own.alpha", b"fill", "own/alpha/1")
        return published, await arena.stored("TF_demo_OWN")

    published, count = asyncio.run(run())

    assert (1, True) == (published.sequence, published.is_duplicate)
    assert 1 == count


def test_a_turn_of_another_copy_of_the_pod_fences_this_one(arena):
    async def run():
        await arena.prepare()
        async with arena.bus("risk-0") as one, arena.bus("risk-0") as other:
            await one.publish_turn(STREAM, SUBJECT, b"one", "risk-0/1", 0)
            with pytest.raises(Fenced) as caught:
                await other.publish_turn(STREAM, SUBJECT, b"other", "risk-0/1", 0)
        return caught.value.last, await arena.stored(STREAM)

    assert (1, 1) == asyncio.run(run())


def test_turns_survive_the_death_of_the_server_and_are_known_after_it(arena):
    async def run():
        await arena.prepare()
        async with arena.bus("risk-0") as bus:
            await bus.publish_turn(STREAM, SUBJECT, b"1", "risk-0/1", 0)
            await bus.publish("tf.demo.own.alpha", b"fill", "own/alpha/1")
            arena.server.child.kill()
            arena.server.child.wait()
            arena.start()
            again = await bus.publish_turn(STREAM, SUBJECT, b"1", "risk-0/1", 0)
            copy = await bus.publish("tf.demo.own.alpha", b"fill", "own/alpha/1")
            after = await bus.publish_turn(STREAM, SUBJECT, b"2", "risk-0/2", 1)
        return again, copy, after, bus.counters

    again, copy, after, counters = asyncio.run(run())

    assert (1, True) == (again.sequence, again.is_duplicate)
    assert (1, True) == (copy.sequence, copy.is_duplicate)
    assert (2, False) == (after.sequence, after.is_duplicate)
    assert counters.reconnects >= 1


def test_a_reader_goes_on_soon_after_a_restart_of_the_server(arena):
    async def run():
        await arena.prepare()
        await arena.fill(6)
        async with arena.bus("risk-0") as bus:
            reader = bus.consume("TF_demo_MARKET", "risk-0", after=0)
            before = await take(reader, 3)
            arena.server.child.kill()
            arena.server.child.wait()
            arena.start()
            since = time.monotonic()
            after = await take(reader, 3)
            return before + after, time.monotonic() - since

    found, seconds = asyncio.run(run())

    assert numbers(0, 6) == found
    assert seconds < 1.0


def test_a_link_that_is_cut_is_made_anew_and_nothing_is_lost_or_doubled(arena):
    async def run():
        await arena.prepare()
        found = []
        async with arena.proxied("risk-0") as (proxy, bus):
            reader = bus.consume("TF_demo_MARKET", "risk-0", after=0)
            for round_ in range(5):
                await arena.fill(4, start=4 * round_)
                found += await take(reader, 2)
                proxy.cut()
                found += await take(reader, 2)
        return found, bus.counters

    found, counters = asyncio.run(run())

    assert numbers(0, 20) == found
    assert counters.reconnects >= 5


def test_a_half_open_link_is_noticed_and_the_turn_is_stored_once(arena):
    async def run():
        await arena.prepare()
        async with arena.proxied("risk-0") as (proxy, bus):
            await bus.publish_turn(STREAM, SUBJECT, b"1", "risk-0/1", 0)
            proxy.freeze()
            second = await bus.publish_turn(STREAM, SUBJECT, b"2", "risk-0/2", 1)
        return second, bus.counters, proxy.links, await arena.stored(STREAM)

    second, counters, links, count = asyncio.run(run())

    assert 2 == second.sequence
    assert (1, 2, 2) == (counters.reconnects, links, count)


def test_a_half_open_link_is_noticed_within_three_seconds_in_production(arena):
    async def run():
        async with arena.proxied("risk-0", PRODUCTION) as (proxy, bus):
            link = await bus.link(asyncio.get_running_loop().time() + 1)
            proxy.freeze()
            since = time.monotonic()
            async with asyncio.timeout(5):
                await link.ended.wait()
            return time.monotonic() - since

    assert asyncio.run(run()) <= 3.2


def test_a_half_open_link_full_of_bytes_does_not_hold_its_end_up(arena):
    """Closing a socket politely waits for the peer to read; a half-open peer never does."""

    async def run():
        async with arena.proxied("risk-0") as (proxy, bus):
            link = await bus.link(asyncio.get_running_loop().time() + 1)
            for server in proxy._writers:
                server.transport.pause_reading()
            proxy.freeze()
            for _ in range(8):
                await link.send(SUBJECT, bytes(1 << 20))
            since = time.monotonic()
            async with asyncio.timeout(5):
                await link.ended.wait()
                await bus.link(asyncio.get_running_loop().time() + 3)
            return time.monotonic() - since

    assert asyncio.run(run()) < 2.0


def test_a_dead_link_that_still_holds_a_pull_does_not_swallow_messages_for_long(arena):
    """The server goes on sending to a half-open link until its own pings miss."""

    async def run():
        await arena.prepare()
        async with arena.proxied("risk-0") as (proxy, bus):
            reader = bus.consume("TF_demo_MARKET", "risk-0", after=0)
            await arena.fill(1)
            found = await take(reader, 1)
            proxy.freeze()
            waiting = asyncio.create_task(take(reader, 3, 10))
            await arena.until(lambda: bus.counters.reconnects)
            since = time.monotonic()
            await arena.fill(3, start=1)
            found += await waiting
            return found, time.monotonic() - since

    found, seconds = asyncio.run(run())

    assert numbers(0, 4) == found
    assert seconds < 4.0


@pytest.mark.parametrize(
    "garble",
    [
        lambda proxy: proxy.say_to_server(b"GARBLED COMMAND\r\n"),
        lambda proxy: proxy.say_to_server(b"PUB \x00\xff 3\r\nxyz\r\n"),
        lambda proxy: proxy.say_to_client(b"-ERR 'Unknown Protocol Operation'\r\n"),
        lambda proxy: proxy.say_to_client(b"-ERR 'Stale Connection'\r\n"),
        lambda proxy: proxy.say_to_client(b"GARBLED ANSWER\r\n"),
        lambda proxy: proxy.say_to_client(b"INFO {broken\r\n"),
        lambda proxy: proxy.say_to_client(b"MSG x 99 y 5\r\n"),
    ],
    ids=["command", "bytes", "error", "stale", "answer", "info", "short"],
)
def test_a_garbled_link_is_thrown_away_and_made_anew(arena, garble):
    """The client closes for good on `-ERR`, or stops reading without a word."""

    async def run():
        await arena.prepare()
        async with arena.proxied("risk-0") as (proxy, bus):
            reader = bus.consume("TF_demo_MARKET", "risk-0", after=0)
            await arena.fill(2)
            found = await take(reader, 1)
            garble(proxy)
            found += await take(reader, 1)
            published = await bus.publish_turn(STREAM, SUBJECT, b"1", "risk-0/1", 0)
            return found, published.sequence, await arena.stored(STREAM)

    assert (numbers(0, 2), 1, 1) == asyncio.run(run())


def test_nothing_is_buffered_while_there_is_no_link_so_nothing_arrives_stale(arena):
    async def run():
        await arena.prepare()
        short = msgspec.structs.replace(arena.patience, budget_s=0.3, down_s=30.0)
        async with arena.proxied("risk-0", short) as (proxy, bus):
            link = await bus.link(asyncio.get_running_loop().time() + 1)
            proxy._target, target = 1, proxy._target
            proxy.cut()
            await link.ended.wait()
            with pytest.raises(BusError, match="no link"):
                await bus.publish_turn(STREAM, SUBJECT, b"stale", "risk-0/1", 0)
            await bus.beat("tf.demo.beat.risk-0", b"stale")
            proxy._target = target
            await bus.link(asyncio.get_running_loop().time() + 3)
            return bus.counters.beats_dropped, await arena.stored(STREAM)

    assert (1, 0) == asyncio.run(run())


def test_the_bus_closes_when_its_budget_without_a_link_is_spent_and_everybody_is_told(arena):
    async def run():
        await arena.prepare()
        said = []
        short = msgspec.structs.replace(arena.patience, down_s=0.3, budget_s=5.0)
        async with arena.proxied("risk-0", short, said.append) as (proxy, bus):
            reader = bus.consume("TF_demo_MARKET", "risk-0", after=0)
            waiting = [asyncio.create_task(anext(reader)), asyncio.create_task(bus.wait_closed())]
            proxy._target = 1
            proxy.cut()
            turn = bus.publish_turn(STREAM, SUBJECT, b"1", "risk-0/1", 0)
            waiting.append(asyncio.create_task(turn))
            async with asyncio.timeout(3):
                return said, await asyncio.gather(*waiting, return_exceptions=True)

    said, results = asyncio.run(run())

    assert [Closed] * 3 == [type(result) for result in results]
    assert "no link for 0." in str(results[1])
    assert any(line.startswith("waits for a link to the NATS server") for line in said)


def test_a_server_that_is_not_there_is_waited_for_and_then_told(arena):
    async def run():
        short = msgspec.structs.replace(arena.patience, down_s=0.2)
        async with arena.bus("risk-0", "nats://127.0.0.1:1", short):
            raise AssertionError

    with pytest.raises(Closed, match="no link for 0"):
        asyncio.run(run())


def test_a_slow_link_delays_and_breaks_nothing(arena):
    async def run():
        await arena.prepare()
        await arena.fill(5)
        async with arena.proxied("risk-0") as (proxy, bus):
            proxy.delay_s = 0.02
            reader = bus.consume("TF_demo_MARKET", "risk-0", after=0)
            found = await take(reader, 5)
            for n in range(3):
                await bus.publish_turn(STREAM, SUBJECT, b"%d" % n, f"risk-0/{n}", n)
            return found, bus.counters.reconnects, bus.counters.gaps

    assert (numbers(0, 5), 0, 0) == asyncio.run(run())


def test_a_slow_listener_is_counted(arena):
    async def run():
        async with arena.bus("sentinel") as bus:
            link = await bus.link(asyncio.get_running_loop().time() + 1)
            hold = asyncio.Event()

            async def wait(_message):
                await hold.wait()

            await link.listen("tf.demo.beat.sentinel", wait)
            subscription = next(
                s for s in link._client._subs.values() if s.subject == "tf.demo.beat.sentinel"
            )
            subscription._pending_queue = asyncio.Queue(2)
            for _ in range(10):
                await bus.beat("tf.demo.beat.sentinel", b"x")
            await arena.until(lambda: bus.counters.slow_consumers)
            hold.set()
            return bus.counters.slow_consumers, bus.counters.errors

    slow, errors = asyncio.run(run())

    assert slow >= 1
    assert errors >= slow


def test_a_handler_that_stops_the_loop_costs_no_link(arena):
    """Pings that were not answered because we ourselves stood still prove nothing."""

    async def run():
        await arena.prepare()
        await arena.fill(3)
        async with arena.bus("risk-0") as bus:
            reader = bus.consume("TF_demo_MARKET", "risk-0", after=0)
            found = await take(reader, 1)
            time.sleep(1.2)  # noqa: ASYNC251 - the point: a stage that computes for long
            found += await take(reader, 2)
            await asyncio.sleep(0.3)
            return found, bus.counters.reconnects

    assert (numbers(0, 3), 0) == asyncio.run(run())


def test_a_message_too_large_is_the_callers_mistake_and_not_tried_again(arena):
    async def run():
        async with arena.bus("risk-0") as bus:
            with pytest.raises(BusError, match="5242880 bytes"):
                await bus.publish_turn(STREAM, SUBJECT, bytes(5 << 20), "risk-0/1", 0)
            return bus.counters.retries

    assert 0 == asyncio.run(run())
