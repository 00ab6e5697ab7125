"""Is an arena cut into shards whole, once, and so that what belongs together stays together?"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from risk_kit import make_ground

from titanflow.adapters.bus.streams import Pod, Topology, check, turn_sources
from titanflow.core.base.errors import SpecError
from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.execution.stops import Stops
from titanflow.core.facts import KillRuling, KillSwitch
from titanflow.core.risk.shares import shares
from titanflow.core.spec.policy import PolicySpec
from titanflow.core.spec.words import KillAction, KillScope
from titanflow.runtime.plan import prepare
from titanflow.runtime.up import check_shards, shape


def bound(ground, members: frozenset[int]) -> PolicySpec:
    """Return a policy with an aggregate limit on some contenders, by their label."""
    names = [ground.entrants[c].name for c in sorted(members)]
    need = {"key": "who", "operator": "In", "values": names}
    return PolicySpec.model_validate(
        {
            "selector": {"matchExpressions": [need]},
            "aggregate": {"maxGrossExposure": "1000"},
            "limits": {"maxOrderNotional": "1000"},
        }
    )


def crowd(count: int):
    names = [f"c{n}" for n in range(count)]
    ground = make_ground()
    entrants = tuple(
        msgspec.structs.replace(ground.entrants[0], index=n, name=name, labels=(("who", name),))
        for n, name in enumerate(names)
    )
    return msgspec.structs.replace(ground, entrants=entrants)


@given(
    count=st.integers(1, 12),
    of=st.integers(1, 5),
    groups=st.lists(st.frozensets(st.integers(0, 11), min_size=1), max_size=4),
)
def test_everybody_has_one_shard_and_no_group_is_cut(
    count: int, of: int, groups: list[frozenset[int]]
) -> None:
    ground = crowd(count)
    found = [frozenset(c % count for c in group) for group in groups]
    policies = {f"p{n}": bound(ground, group) for n, group in enumerate(found)}

    made = shares(ground, policies, of)

    assert count == len(made)
    assert all(0 <= shard < of for shard in made)
    for group in found:
        assert 1 == len({made[c] for c in group})
    if not found:
        sizes = [made.count(shard) for shard in range(of)]
        assert max(sizes) - min(sizes) <= 1


def trading(*shards: tuple[int, int]) -> Topology:
    pods = [Pod(f"t{n}", ("trade", "gate", "post"), shard=each) for n, each in enumerate(shards)]
    return Topology("main", (*pods, Pod("score", ("score",))))


@pytest.mark.parametrize(
    "shards",
    [
        [(0, 2)],
        [(0, 2), (0, 2)],
        [(0, 2), (1, 2), (1, 2)],
        [(0, 1), (1, 2)],
        [(0, 2), (1, 3)],
        [(0, 1), (0, 1), (0, 2)],
    ],
)
def test_shards_that_are_missing_or_there_twice_are_refused(shards: list[tuple[int, int]]) -> None:
    with pytest.raises(SpecError, match="shards of gate are"):
        check(trading(*shards))


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        (Pod("a", ("score",), shard=(0, 2)), "'a' cannot be a shard"),
        (Pod("a", ("perceive",), shard=(0, 2)), "'a' cannot be a shard"),
        (Pod("a", ("decide", "gate"), shard=(0, 2)), "'a' cannot be a shard"),
        (Pod("a", ("decide",), contenders=("x",), shard=(0, 2)), "'a' cannot be a shard"),
        (Pod("a", role="gateway", shard=(0, 2)), "'a' cannot be a shard"),
        (Pod("a", ("gate",), shard=(2, 2)), "'a' is shard 2/2"),
        (Pod("a", ("gate",), shard=(-1, 2)), "'a' is shard -1/2"),
        (Pod("a", ("gate",), shard=(0, 65)), "'a' is shard 0/65"),
    ],
)
def test_what_cannot_be_a_shard_is_refused(pod: Pod, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        check(Topology("main", (pod,)))


def test_a_shard_reads_the_other_shards_of_what_it_hosts_itself() -> None:
    on = check(trading((0, 2), (1, 2)))

    assert ["t1"] == [pod.name for pod in turn_sources(on, on.pods[0])]
    assert ["t0", "t1"] == [pod.name for pod in turn_sources(on, on.pods[2])]


def asked(scope: KillScope, name: str = "") -> KillSwitch:
    ident = derive(NO_ID, f"{scope}{name}".encode(), 0)
    return KillSwitch(
        ident, NO_ID, 1, 1, scope, name, engaged=True, instruments=(),
        action=KillAction.CANCEL_ALL, reason="a drill", by="ada", reset_token="1",
    )  # fmt: skip


def ruled(request: KillSwitch, shard: int) -> KillRuling:
    return KillRuling(
        derive(request.id, b"gate", shard), request.id, 1, 1, request.scope, request.name,
        accepted=True, engaged=True, text="", epoch=1, shard=shard,
    )  # fmt: skip


@pytest.mark.parametrize("early", [0, 1, 2, 3])
def test_a_request_stops_until_every_shard_of_risk_has_ruled(early: int) -> None:
    ground = make_ground()
    stops, request = Stops(ground, {}, gates=3), asked(KillScope.ARENA)
    symbol = ground.instruments[0].symbol

    for shard in range(early):
        stops.rule(ruled(request, shard))
    stops.hear(request)
    for shard in range(early, 3):
        assert stops.over(0, symbol)
        other = Stops(ground, {}, gates=3)
        other.load(stops.dump())
        assert other.over(0, symbol)
        stops.rule(ruled(request, shard))

    assert not stops.over(0, symbol)


def test_about_one_contender_one_shard_rules() -> None:
    ground = make_ground()
    stops, name = Stops(ground, {}, gates=3), ground.entrants[0].name
    request = asked(KillScope.CONTENDER, name)

    stops.hear(request)
    assert stops.over(0, ground.instruments[0].symbol)
    stops.rule(ruled(request, 2))

    assert not stops.over(0, ground.instruments[0].symbol)


def test_the_number_of_shards_must_leave_each_something_to_do() -> None:
    plan = prepare(Path("examples/arena"), None)

    check_shards(plan, "sharded", 2)
    with pytest.raises(SpecError, match="2 groups of contenders, which share an aggregate limit"):
        check_shards(plan, "sharded", 3)
    with pytest.raises(SpecError, match="0 shards"):
        check_shards(plan, "sharded", 0)
    with pytest.raises(SpecError, match="the shape split has no shards"):
        check_shards(plan, "split", 2)
    few = SimpleNamespace(ground=plan.ground, policies={})
    with pytest.raises(SpecError, match="at least 1, at most 5"):
        check_shards(few, "sharded", 6)


def test_a_sharded_topology_is_sound_and_names_its_parts() -> None:
    on = shape("main", "sharded", ["a", "b"], lock_step=False, shards=4)

    assert [f"trade-{k}" for k in range(4)] == [pod.name for pod in on.hosting("gate")]
    assert [(k, 4) for k in range(4)] == [pod.shard for pod in on.hosting("decide")]
    assert ["score"] == [pod.name for pod in on.pods if pod.writes_journal]
