"""Does a sentinel on a real server say its word once, and know what stands when it starts?"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from unittest.mock import patch

import msgspec
import pytest

from titanflow.adapters.bus.client import Bus
from titanflow.adapters.bus.streams import Pod, output_subject, seat
from titanflow.adapters.codec import Turn, decode_turn, encode_turn
from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.facts import KillSwitch
from titanflow.core.spec.words import KillAction, KillScope
from titanflow.runtime import sentinel as module
from titanflow.runtime.beat import Beat
from titanflow.runtime.incident import Moment
from titanflow.runtime.sentinel import REASON, Sentinel

STREAM, OWN = "TF_demo_CONTROL", "tf.demo.control.sentinel"
POD = Pod("sentinel", role="sentinel")
FASTER = 20
"""So much faster runs the clock of these tests: five seconds pass in a quarter."""
AT = 1_400_000_000_000_000_000
EVERYBODY = ("sentinel", "governance", "risk-0", "signal-alpha")


def clock() -> Moment:
    return Moment(FASTER * time.monotonic_ns(), time.time_ns())


class Watching:
    """A sentinel at work, and the beats that it hears."""

    def __init__(self, bus: Bus, topology) -> None:
        self.alive = set(EVERYBODY)
        self.sentinel = Sentinel(bus, topology, POD, clock)
        self.stopping = asyncio.Event()

    async def beats(self) -> None:
        while True:
            for name in sorted(self.alive):
                # A contender's pod may claim any time, and any name.
                at = AT if name == "risk-0" else 2**62
                beat = Beat("governance" if name == "signal-alpha" else name, at=at)
                self.sentinel.hear(f"tf.demo.beat.{name}", msgspec.json.encode(beat))
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def watching(arena) -> AsyncIterator[Watching]:
    topology = msgspec.structs.replace(arena.topology, leases=True)
    async with arena.bus("sentinel", seat=seat(topology, POD)) as bus:
        made = Watching(bus, topology)
        beats = asyncio.create_task(made.beats())
        work = asyncio.create_task(made.sentinel.run(made.stopping, lambda _: None))
        try:
            await arena.until(lambda: made.sentinel.watch is not None or work.done())
            yield made
        finally:
            beats.cancel()
            made.stopping.set()
            await asyncio.gather(beats, return_exceptions=True)
            await work


@pytest.fixture(autouse=True)
def quick():
    with patch.object(module, "LOOK_SECONDS", 0.005):
        yield


async def said(arena) -> list[Turn]:
    """Return what the sentinel has said, by its own consumer."""
    count = await arena.stored(STREAM)
    async with arena.bus("sentinel") as bus:
        found = []
        if count:
            async for message in bus.consume(STREAM, "sentinel", after=0):
                if message.subject == OWN:
                    found.append(decode_turn(message.data))
                if not message.pending:
                    break
        return found


async def command(arena) -> None:
    """Let governance say something."""
    request = KillSwitch(
        derive(NO_ID, b"command:t", 0), NO_ID, AT, AT, KillScope.ARENA, "", engaged=False,
        instruments=(), action=KillAction.CANCEL_ALL, reason="seen", by="ada", reset_token="t",
    )  # fmt: skip
    pod = Pod("governance", role="governance")
    place = output_subject(arena.topology, pod)
    async with arena.bus("governance") as bus:
        turn = encode_turn(Turn("governance", 1, AT, (), (request,), AT))
        await bus.publish_turn(STREAM, place, turn, "governance/1", 0)


def test_one_outage_is_one_word_whoever_starts_again(arena):
    async def run():
        await arena.prepare()
        async with watching(arena) as first:
            await asyncio.sleep(0.5)
            assert (0, ()) == (first.sentinel.number, first.sentinel.engaged)
            first.alive.discard("governance")
            await arena.until(lambda: first.sentinel.number == 1)
            await asyncio.sleep(0.5)
            assert ("Arena",) == first.sentinel.engaged
            assert first.sentinel.lease_age_seconds > 5
        async with watching(arena) as second:
            second.alive.discard("governance")
            assert (1, ("Arena",)) == (second.sentinel.number, second.sentinel.engaged)
            await asyncio.sleep(2.5)  # longer than the patience with who was never heard
            assert 1 == second.sentinel.number
            # Governance is heard, and is gone again: that is another outage.
            second.alive.add("governance")
            await arena.until(lambda: not second.sentinel.engaged)
            second.alive.discard("governance")
            await arena.until(lambda: second.sentinel.number == 2)
        return await said(arena)

    first, second = asyncio.run(run())
    (stop,), (later,) = first.facts, second.facts
    assert (1, 2) == (first.number, second.number)
    assert (True, KillScope.ARENA, "sentinel", REASON) == (
        stop.engaged,
        stop.scope,
        stop.by,
        stop.reason,
    )
    assert AT == stop.at == first.at
    assert stop.id != later.id
    assert stop.reset_token < later.reset_token < "2026-01-01T00:00:00Z"


def test_with_a_command_of_governance_behind_it_the_word_may_stand_no_more(arena):
    async def run():
        await arena.prepare()
        async with watching(arena) as first:
            first.alive.discard("governance")
            first.alive.discard("signal-alpha")
            await arena.until(lambda: first.sentinel.number == 1)
        await command(arena)
        async with watching(arena) as second:
            second.alive.discard("governance")
            assert (1, ()) == (second.sentinel.number, second.sentinel.engaged)
            await arena.until(lambda: second.sentinel.number == 2)
        return await said(arena)

    assert [1, 2] == [turn.number for turn in asyncio.run(run())]


def test_without_a_server_nothing_is_judged_and_its_own_beat_comes_back_to_it(arena):
    async def run():
        await arena.prepare()
        async with arena.bus("sentinel") as bus:
            heard = []
            await bus.hear("tf.demo.beat.*", lambda subject, _: heard.append(subject))
            await bus.beat("tf.demo.beat.sentinel", b"{}")
            await arena.until(lambda: "tf.demo.beat.sentinel" in heard)
        async with watching(arena) as deaf:
            deaf.alive.clear()
            await asyncio.sleep(3)
            assert (0, True) == (deaf.sentinel.number, deaf.sentinel.watch.is_deaf)

    asyncio.run(run())
    assert 0 == asyncio.run(arena.stored(STREAM))
