"""Do pods say what the simulation says? Topologies in one process, joined by lists."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import msgspec
import pytest
from cluster_kit import COLOCATED, SERVICES, SHARDED, SPLIT, WHOLE, Cluster, instants, topology
from kit import small_folder

from titanflow.adapters.bus.streams import Pod
from titanflow.core.base.ident import NO_ID
from titanflow.core.facts import (
    Answer,
    Bar,
    Checkpoint,
    Entry,
    Fact,
    Fill,
    Intent,
    Order,
    OrderUpdate,
    Standing,
    StateChange,
    Verdict,
)
from titanflow.runtime.journal import encode_fact
from titanflow.runtime.plan import Plan, prepare
from titanflow.runtime.recompute import Differs, Recomputation
from titanflow.runtime.scribe import Scribe
from titanflow.runtime.sim import run

EVENTS = 400
TOPOLOGIES = {"whole": WHOLE, "colocated": COLOCATED, "split": SPLIT}
SHARDS = {"sharded": SHARDED, "services": SERVICES}
Told = list[tuple[object, tuple[Fact, ...]]]


def example() -> Plan:
    return prepare(Path("examples/arena"), None)


def unbound() -> Plan:
    """Return the example without aggregate limits, which keep contenders in one shard."""
    plan = example()
    free = {"aggregate": None}
    plan.policies = {name: policy.model_copy(update=free) for name, policy in plan.policies.items()}
    return plan


def play(
    pods: tuple[Pod, ...], *, lock_step: bool, seed: int = 0, of: Callable[[], Plan] = example
) -> Cluster:
    """Play the first events of the example arena, models included."""
    plan = of()
    events = list(islice(plan.events(), EVENTS))
    predictor = plan.predictor()
    assert predictor is not None
    on = topology(pods, lock_step=lock_step, arena=plan.ground.arena)
    cluster = Cluster(plan, on, seed, predictor.predict)
    cluster.run(instants(events, plan.switches(events[0].at)))
    return cluster


def journal_of(cluster: Cluster) -> Told:
    told: Told = []
    scribe = Scribe(lambda record, facts: told.append((record, facts)))
    for ref, turn in cluster.order:
        scribe.take(ref, turn)
    assert 0 == scribe.waiting
    return told


def recompute(cluster: Cluster, told: Told, of: Callable[[], Plan] = example) -> None:
    plan = of()
    work = Recomputation(plan, cluster.topology, islice(plan.events(), EVENTS))
    for record, facts in told:
        work.take(record, facts)
    work.finish()


def simulation() -> list[Fact]:
    plan = example()
    said: list[Fact] = []
    run(plan, islice(plan.events(), EVENTS), said.append)
    return said


def said_in(cluster: Cluster) -> set[bytes]:
    """Return every recorded fact but the checkpoints, which are of pods."""
    recorded = [fact for _, facts in journal_of(cluster) for fact in facts]
    assert any(isinstance(fact, Fill) for fact in recorded)
    return {encode_fact(fact) for fact in recorded if not isinstance(fact, Checkpoint)}


def test_one_pod_that_hosts_all_stages_says_the_facts_of_the_simulation() -> None:
    simulated = {encode_fact(f) for f in simulation() if not isinstance(f, Checkpoint)}

    assert simulated == said_in(play(WHOLE, lock_step=True))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lock_step", [True, False])
@pytest.mark.parametrize(
    "pods", [*TOPOLOGIES.values(), *SHARDS.values()], ids=[*TOPOLOGIES, *SHARDS]
)
def test_every_turn_is_said_again_from_the_record(
    pods: tuple[Pod, ...], *, lock_step: bool, seed: int
) -> None:
    of = unbound if pods in SHARDS.values() else example
    cluster = play(pods, lock_step=lock_step, seed=seed, of=of)

    recompute(cluster, journal_of(cluster), of)
    for shard in cluster.shards.values():
        shard.check()
        assert shard.ended


def as_alone(fact: Fact) -> Fact:
    """Return a fact without what shards count for themselves.

    Each shard of risk has its own kill epoch, and a split numbers the orders that it cancels as
    they came, from several pods.
    """
    if isinstance(fact, Verdict):
        return msgspec.structs.replace(fact, kill_epoch=0)
    if isinstance(fact, OrderUpdate) and fact.text == "SPLIT":
        return msgspec.structs.replace(fact, id=NO_ID)
    return fact


@pytest.fixture(scope="module")
def in_one_piece() -> list[Fact]:
    cluster = play(SPLIT, lock_step=True, of=unbound)
    return [fact for _, facts in journal_of(cluster) for fact in facts]


@pytest.mark.parametrize("pods", SHARDS.values(), ids=SHARDS)
def test_shards_say_what_one_pod_says_and_nothing_twice(
    pods: tuple[Pod, ...], in_one_piece: list[Fact]
) -> None:
    cluster = play(pods, lock_step=True, of=unbound)
    facts = [fact for _, facts in journal_of(cluster) for fact in facts]

    for kind in (Intent, Verdict, Order, Fill, OrderUpdate, Entry, StateChange, Standing):
        alone, cut = (
            {encode_fact(as_alone(f)) for f in said if isinstance(f, kind)}
            for said in (in_one_piece, facts)
        )
        assert alone == cut, kind
    assert len(facts) == len({fact.id for fact in facts})
    for stage in ("gate", "post"):
        own = [cluster.shards[pod.name].stages for pod in cluster.topology.hosting(stage)]
        assert [len(own[0].ground.entrants) // len(own)] * len(own) == [
            len(stages.contenders) for stages in own
        ]
    for pod in cluster.pods:
        if pod.is_part:
            assert any(turn.pod == pod.name and turn.facts for _, turn in cluster.order), pod


def test_an_altered_fill_is_named() -> None:
    cluster = play(COLOCATED, lock_step=True)
    told = journal_of(cluster)
    for n, (record, facts) in enumerate(told):
        place = next((i for i, fact in enumerate(facts) if isinstance(fact, Fill)), None)
        if place is not None:
            fill = facts[place]
            assert isinstance(fill, Fill)
            altered = msgspec.structs.replace(fill, price_ticks=fill.price_ticks + 1)
            told[n] = (record, (*facts[:place], altered, *facts[place + 1 :]))
            break

    with pytest.raises(Differs, match="price_ticks") as caught:
        recompute(cluster, told)
    assert place == caught.value.fact
    assert altered.id.hex()[:12] in caught.value.what


def test_a_shard_goes_on_from_its_snapshot() -> None:
    cluster = play(SPLIT, lock_step=True)
    told = journal_of(cluster)
    plan = example()
    work = Recomputation(plan, cluster.topology, None)
    half = len(told) // 2
    for record, facts in told[:half]:
        work.take(record, facts)

    again = Recomputation(example(), cluster.topology, None)
    again.restore_from(work)
    for record, facts in told[half:]:
        again.take(record, facts)
    again.finish()


def test_without_models_nothing_is_asked(tmp_path: Path) -> None:
    plan = prepare(small_folder(tmp_path / "arena"), None)
    events = list(plan.events())
    on = topology(COLOCATED, lock_step=True, arena=plan.ground.arena)
    cluster = Cluster(plan, on)

    cluster.run(instants(events, plan.switches(events[0].at)))

    said = [fact for _, turn in cluster.order for fact in turn.facts]
    assert not any(isinstance(fact, Answer) for fact in said)
    assert sum(isinstance(fact, Bar) for fact in said) == len(events)
    assert {s.contender for s in said if isinstance(s, Standing)} == {
        entrant.name for entrant in plan.ground.entrants
    }
