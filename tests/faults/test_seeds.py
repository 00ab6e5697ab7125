"""Do the pods lose, double or change anything, whatever breaks? Seeds of a simulation say so.

`tools/drills/world.py` has what a seed breaks. `python -m tools.drill seeds` plays many more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from unittest.mock import patch

import pytest

from titanflow.adapters.bus import client
from titanflow.adapters.bus.client import Bus
from titanflow.adapters.bus.reading import Reader
from titanflow.runtime.gateway import Gateway
from titanflow.runtime.pod import Host
from titanflow.runtime.scribe import Causal
from titanflow.runtime.shard import Shard
from tools.drills.seeds import Seeds
from tools.drills.world import KINDS, Faults

SEEDS = 200
BATCH = 10
FAILED_ONCE = (220, 247, 276, 286, 3884)
"""Seeds that found a fault; those below SEEDS are played anyhow."""
TRIES_MAX = 120
"""Seeds within which a planted fault must show; most show within ten."""


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    return Seeds(tmp_path_factory.mktemp("seeds"))


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_nothing_is_lost_doubled_or_changed(seeds, first):
    failed = [v for v in map(seeds.play, range(first, first + BATCH)) if v.problems]

    assert not failed, "\n".join(map(str, failed))


@pytest.mark.parametrize("seed", FAILED_ONCE)
def test_a_seed_that_failed_once_fails_no_more(seeds, seed):
    verdict = seeds.play(seed)

    assert not verdict.problems, str(verdict)


@pytest.mark.parametrize("seed", [3, 8])
def test_a_seed_is_one_course_of_events(seeds, seed):
    first, second = seeds.play(seed), seeds.play(seed)

    assert first.digest == second.digest != ""
    assert first.counts == second.counts


def test_the_seeds_break_something_everywhere(seeds):
    told: Counter[str] = Counter()
    for seed in range(40):
        told += seeds.play(seed).counts

    points = ("heard", "applied", "published", "acknowledged", "written", "waiting")
    wanted = {f"killed when {point}" for point in points}
    wanted |= {"freeze", "server died", "second copy", "power cut", "gone", "orders", "fills"}
    assert set() == wanted - set(+told)


# The suite must be able to fail. Each of these faults was in the code once, or could be.


def _no_fence():
    return patch.object(client, "EXPECTED_LAST", "X-Expected-By-Nobody")


def _no_seat():
    async def sit(bus, link, seat):
        return

    return patch.object(Bus, "_sit", sit)


def _repeated_messages_are_handed_out():
    def careless(reader):
        if not reader._queue:
            return None
        message = reader._queue.popleft()
        reader._seen = max(reader._seen, message.sequence)
        reader._open[message.sequence] = message
        return message

    return patch.object(Reader, "pop", careless)


def _acknowledgements_are_believed():
    consume = Bus.consume

    def unaware(bus, stream, durable, *, after=None, **more):
        after = None if durable == bus.user else after
        return consume(bus, stream, durable, after=after, **more)

    return patch.object(Bus, "consume", unaware)


def _quiet_inputs_are_forgotten():
    finish = Shard.finish

    def forgetful(shard):
        said = finish(shard)
        shard._quiet.clear()
        return said

    return patch.object(Shard, "finish", forgetful)


def _causes_are_ignored():
    return patch.object(Causal, "_has_inputs", lambda causal, turn: True)


def _own_turns_are_not_taken_again():
    async def again(host, published, former):
        host.last = published.sequence
        host.shard.number += 1

    return patch.object(Host, "_again", again)


def _a_snapshot_is_ahead_of_what_was_published():
    publish = Host._publish

    async def hasty(host, said, *beside):
        host.last += 1
        host.snapshot()
        host.last -= 1
        await publish(host, said, *beside)

    return patch.object(Host, "_publish", hasty)


def _the_gateway_does_not_wait_for_what_is_owed():
    async def hasty(gateway):
        return

    return patch.object(Gateway, "_settled", hasty)


PLANTED: tuple[Callable[[], object], ...] = (
    _no_fence,
    _no_seat,
    _repeated_messages_are_handed_out,
    _acknowledgements_are_believed,
    _quiet_inputs_are_forgotten,
    _causes_are_ignored,
    _own_turns_are_not_taken_again,
    _a_snapshot_is_ahead_of_what_was_published,
    _the_gateway_does_not_wait_for_what_is_owed,
)


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__.strip("_"))
def test_a_planted_fault_is_found(seeds, plant):
    for kind in KINDS:
        seeds.calm(kind)  # what is right must not be planted too
    with plant():
        found = next((v for v in map(seeds.play, range(TRIES_MAX)) if v.problems), None)

    assert found is not None, f"{TRIES_MAX} seeds did not find it"
    assert "TypeError" not in str(found), "the plant itself is broken"
    print(plant.__name__, str(found).splitlines()[0][:200])


def test_a_message_names_its_seed(seeds):
    with _quiet_inputs_are_forgotten():
        told = str(seeds.play(7, Faults()))

    assert told.startswith("seed 7: ")
    assert "--seed 7" in told
