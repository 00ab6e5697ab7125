"""Does the watch see what is wrong, no later and no sooner, and judge only whom it can hear?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titanflow.adapters.bus.streams import Pod, Topology
from titanflow.adapters.rpc.ports import Incident, IncidentKind
from titanflow.runtime.beat import Beat
from titanflow.runtime.incident import (
    AHEAD_NS,
    DEAF_NS,
    FREEZE_NS,
    HISTORY_MAX,
    LEASE_NS,
    RESTARTS_NS,
    SHOWN_MAX,
    START_NS,
    STUCK_NS,
    Moment,
    Watch,
)
from titanflow.runtime.watchman import SILENT_NS

STEP = 250_000_000
"""A beat, and a look, each quarter second."""
UTC = 10**18
PODS = ("gateway", "governance", "trade")
TOPOLOGY = Topology(
    "main",
    (
        Pod("gateway", role="gateway"),
        Pod("governance", role="governance"),
        Pod("sentinel", role="sentinel"),
        Pod("trade", ("gate", "trade", "post", "score")),
    ),
    leases=True,
)
LEASE, SILENT = IncidentKind.LEASE_STALE, IncidentKind.SILENT


class World:
    """A watch, its clock, and pods that beat while they are alive."""

    def __init__(self, topology: Topology = TOPOLOGY, *, has_frozen: bool = False) -> None:
        self.now = 5
        self.alive = {"sentinel", *PODS}
        self.said = {name: Beat(name, starts=1) for name in self.alive}
        self.watch = Watch(topology, "sentinel", self.moment, has_frozen=has_frozen)
        self.frozen: list[int] = []
        self.changed: list[Incident] = []

    @property
    def moment(self) -> Moment:
        return Moment(self.now, UTC + self.now)

    def run(self, nanoseconds: int) -> list[Incident]:
        """Let time pass; return what began and what was over."""
        first = len(self.changed)
        for _ in range(max(1, nanoseconds // STEP)):
            self.now += STEP
            for name in sorted(self.alive):
                self.watch.hear(name, self.said[name], self.moment)
            self.look()
        return self.changed[first:]

    def look(self) -> None:
        self.changed += self.watch.look(self.moment)
        if self.watch.must_freeze(self.now):
            self.frozen.append(self.now)
            self.watch.has_frozen = True

    def say(self, pod: str, **more: object) -> None:
        self.said[pod] = Beat(pod, **{"starts": 1, **more})  # type: ignore[arg-type]

    def open(self) -> set[tuple[IncidentKind, str]]:
        return {(each.kind, each.pod) for each in self.watch.open}


def test_a_session_in_which_all_beat_has_no_incident() -> None:
    world = World()

    assert [] == world.run(120 * 10**9)
    assert [] == world.frozen


def test_a_pod_that_says_nothing_is_silent_until_it_is_heard_again() -> None:
    world = World()
    world.run(10**9)
    world.alive.discard("trade")
    assert [] == world.run(SILENT_NS)
    (begun,) = world.run(STEP)
    assert (SILENT, "trade", UTC + world.now, 0) == (
        begun.kind,
        begun.pod,
        begun.began_at,
        begun.ended_at,
    )
    world.alive.add("trade")
    (over,) = world.run(STEP)

    assert (begun.began_at, UTC + world.now) == (over.began_at, over.ended_at)
    assert ((), (over,)) == (world.watch.open, world.watch.shown)


def test_an_outage_of_governance_is_stale_then_silent_then_freezes_once() -> None:
    world = World()
    world.run(10**9)
    since = world.now
    world.alive.discard("governance")
    world.run(LEASE_NS + STEP)
    assert {(LEASE, "governance")} == world.open()
    assert world.watch.is_stale
    world.run(60 * 10**9)
    assert {(LEASE, "governance"), (SILENT, "governance")} == world.open()
    assert [since + FREEZE_NS + STEP] == world.frozen

    world.alive.add("governance")
    world.run(STEP)
    assert set() == world.open()
    world.alive.discard("governance")
    world.run(2 * FREEZE_NS)
    assert 2 == len(world.frozen)


def test_an_outage_shorter_than_a_restart_freezes_nothing() -> None:
    world = World()
    world.run(10**9)
    world.alive.discard("governance")
    world.run(FREEZE_NS)
    world.alive.add("governance")
    world.run(FREEZE_NS)

    assert [] == world.frozen
    assert 1 == world.watch.begun[LEASE]


def test_without_leases_a_silent_governance_is_silent_and_nothing_else() -> None:
    world = World(Topology("main", TOPOLOGY.pods))
    world.run(10**9)
    world.alive.discard("governance")
    world.run(20 * 10**9)

    assert {(SILENT, "governance")} == world.open()
    assert [] == world.frozen
    assert 0 == world.watch.lease_age_ns(world.now)


@pytest.mark.parametrize(("has_frozen", "times"), [(False, 1), (True, 0)])
def test_who_starts_in_an_outage_waits_longer_and_repeats_nothing(
    has_frozen: bool, times: int
) -> None:
    world = World(has_frozen=has_frozen)
    world.alive.discard("governance")
    world.run(START_NS - STEP)
    assert ([], set()) == (world.frozen, world.open())
    world.run(20 * 10**9)

    assert times == len(world.frozen)
    assert {(LEASE, "governance"), (SILENT, "governance")} == world.open()


@pytest.mark.parametrize("way", ["no beat comes", "the process stands still"])
def test_who_is_deaf_judges_nobody_and_begins_anew(way: str) -> None:
    world = World()
    world.run(10**9)
    alive = set(world.alive)
    if way == "no beat comes":
        world.alive.clear()
        world.run(30 * 10**9)
        world.alive = {"sentinel"}
    else:
        world.now += 30 * 10**9
        world.look()
    assert {(IncidentKind.DEAF, "sentinel")} == world.open()
    assert [] == world.frozen
    # Whoever comes a moment later than the first was not silent for that.
    world.run(LEASE_NS)
    assert set() == world.open()
    world.alive = alive
    world.run(10 * 10**9)
    assert ([], set()) == (world.frozen, world.open())


def test_deafness_in_an_outage_only_delays_the_freeze() -> None:
    world = World()
    world.run(10**9)
    world.alive.discard("governance")
    world.run(2 * 10**9)
    world.now += 2 * DEAF_NS
    world.look()
    # What was wrong before stays so.
    assert (LEASE, "governance") in world.open()
    since = world.now
    world.run(FREEZE_NS)
    assert [] == world.frozen
    world.run(STEP)
    assert [since + FREEZE_NS + STEP] == world.frozen


def test_three_starts_in_a_minute_are_an_incident_and_two_are_none() -> None:
    world = World()
    for starts in (1, 2, 3):
        world.say("trade", starts=starts)
        world.run(5 * 10**9)
    assert set() == world.open()
    world.say("trade", starts=4)
    world.run(STEP)
    assert {(IncidentKind.RESTARTING, "trade")} == world.open()
    world.run(RESTARTS_NS)
    assert set() == world.open()


@pytest.mark.parametrize(
    ("former", "latter", "stuck"),
    [
        ({"lag_count": 3}, {"lag_count": 3}, True),
        ({"lag_count": 3, "number": 7}, {"lag_count": 9, "number": 7}, True),
        ({"lag_count": 3, "number": 7}, {"lag_count": 3, "number": 8}, False),
        ({"lag_count": 3}, {"lag_count": 3, "watermark": 1}, False),
        ({"lag_count": 3}, {"lag_count": 0}, False),
        ({"lag_count": 3}, {"lag_count": 3, "state": "CatchingUp"}, False),
        ({"lag_count": 3}, {"lag_count": 3, "started_at": 9}, False),
    ],
)
def test_a_pod_is_stuck_that_runs_has_to_read_and_does_not_move(
    former: dict[str, object], latter: dict[str, object], stuck: bool
) -> None:
    world = World()
    world.say("trade", **former)
    world.run(STUCK_NS)
    assert set() == world.open()
    world.say("trade", **latter)
    world.run(2 * STEP)

    assert ({(IncidentKind.STUCK, "trade")} if stuck else set()) == world.open()


def test_a_clock_that_is_ahead_is_one_incident_until_it_is_well_again() -> None:
    world = World()
    for ahead_ns in (AHEAD_NS, AHEAD_NS + 1, AHEAD_NS, AHEAD_NS // 2 + 1, AHEAD_NS // 2):
        world.now += STEP
        world.watch.hear("sentinel", world.said["sentinel"], world.moment)
        beat = Beat("trade", said_at=UTC + world.now + ahead_ns)
        for name in ("governance", "gateway"):
            world.watch.hear(name, world.said[name], world.moment)
        world.watch.hear("trade", beat, world.moment)
        world.look()

    assert [0, world.now] == [max(0, each.ended_at - UTC) for each in world.changed]
    assert {IncidentKind.CLOCK_AHEAD} == {each.kind for each in world.changed}


def test_a_pod_that_said_that_it_ends_is_missed_only_after_a_while() -> None:
    world = World()
    world.say("trade", state="Draining")
    world.run(10**9)
    world.alive.discard("trade")
    world.run(START_NS)
    assert set() == world.open()
    world.run(STEP)
    assert {(SILENT, "trade")} == world.open()


def test_strangers_are_not_heard_and_the_past_is_bounded() -> None:
    world = World()
    world.run(10**9)
    world.watch.hear("eve", Beat("eve"), world.moment)
    for _ in range(HISTORY_MAX + 5):
        world.alive.discard("trade")
        world.run(SILENT_NS + 2 * STEP)
        world.alive.add("trade")
        world.run(STEP)

    assert HISTORY_MAX + 5 == world.watch.begun[SILENT]
    assert HISTORY_MAX == len(world.watch.past)
    assert SHOWN_MAX == len(world.watch.shown)
    assert world.watch.shown[0] == world.watch.past[-1]


STEPS = st.lists(
    st.tuples(
        st.sets(st.sampled_from((*PODS, "sentinel"))),
        st.sampled_from((STEP, LEASE_NS, 3 * LEASE_NS, FREEZE_NS)),
        st.booleans(),
    ),
    max_size=30,
)


@given(STEPS)
def test_whatever_happens_ends_follow_begins_and_one_outage_freezes_once(
    steps: list[tuple[set[str], int, bool]],
) -> None:
    world = World()
    heard = True
    for alive, nanoseconds, stalls in steps:
        world.alive = alive
        if stalls:
            world.now += nanoseconds
            world.look()
            continue
        before = len(world.frozen)
        world.run(nanoseconds)
        if "governance" in alive:
            assert before == len(world.frozen)
            heard = True
        elif len(world.frozen) > before:
            # Not before it was gone for long enough, and once until it is heard again.
            assert (1, True) == (len(world.frozen) - before, heard)
            heard = False
        elif not heard:
            assert before == len(world.frozen)

    running: dict[tuple[IncidentKind, str], Incident] = {}
    for each in world.changed:
        key = (each.kind, each.pod)
        if each.ended_at:
            assert running.pop(key).began_at == each.began_at <= each.ended_at
        else:
            assert key not in running
            running[key] = each
    assert set(running) == world.open()
