"""Does a record with a word of the sentinel hold, and is one in which it says too much refused?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from cluster_kit import SPLIT, Cluster, instants, topology
from kit import small_folder

from titanflow.adapters.bus.link import Counters
from titanflow.adapters.bus.streams import Pod
from titanflow.adapters.codec import InputRef, Turn, encode_turn
from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.facts import Fact, KillRuling, KillSwitch, Lapse, Verdict
from titanflow.core.spec.words import KillAction, KillScope, Outcome
from titanflow.runtime.door import REFUSED, SENTINEL, Door, may_command, refused
from titanflow.runtime.journal import TurnRecord
from titanflow.runtime.plan import prepare
from titanflow.runtime.recompute import Differs, Recomputation
from titanflow.runtime.scribe import Scribe, record_of

DAYS = 60
MIDDLE = 30
POD = Pod(SENTINEL, role="sentinel")
GOVERNANCE = Pod("governance", role="governance")
STOP = KillSwitch(
    derive(NO_ID, b"freeze:1", 0), NO_ID, 1, 1, KillScope.ARENA, "", engaged=True,
    instruments=(), action=KillAction.CANCEL_ALL, reason="LeaseStale", by=SENTINEL,
    reset_token="1",
)  # fmt: skip
TOO_MUCH: tuple[dict[str, object], ...] = (
    {"engaged": False, "reset_token": "2"},
    {"engaged": False, "reset_token": "2", "by": "ada"},
    {"by": "ada"},
    {"scope": KillScope.CONTENDER, "name": "hold"},
    {"instruments": ("AAPL",)},
)
"""What differs from `STOP` in each thing that the sentinel may not say."""
Told = list[tuple[TurnRecord, tuple[Fact, ...]]]


def turn(*facts: Fact, number: int = 1) -> Turn:
    return Turn(SENTINEL, number, 1, (), facts, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_folder(tmp_path_factory.mktemp("arena"), DAYS)


def play(folder: Path, said: Sequence[Turn]) -> tuple[Cluster, Told]:
    """Play a market in which the sentinel says something in the middle."""
    plan = prepare(folder, None)
    on = topology((*SPLIT, GOVERNANCE, POD), lock_step=False, arena=plan.ground.arena)
    cluster = Cluster(plan, on)

    def market() -> Iterable[list[Fact]]:
        for place, facts in enumerate(instants(plan.events())):
            if place == MIDDLE:
                for each in said:
                    cluster.publish(f"TF_{on.arena}_CONTROL", each)
            yield facts

    cluster.run(market())
    told: Told = []
    scribe = Scribe(lambda record, facts: told.append((record, facts)))
    for ref, each in cluster.order:
        scribe.take(ref, each)
    return cluster, told


def recompute(folder: Path, cluster: Cluster, told: Told) -> None:
    plan = prepare(folder, None)
    work = Recomputation(plan, cluster.topology, plan.events())
    for record, facts in told:
        work.take(record, facts)
    work.finish()


def test_the_latch_is_in_the_record_and_the_record_holds(folder: Path) -> None:
    cluster, told = play(folder, [turn(STOP)])

    recompute(folder, cluster, told)
    facts = [fact for _, said in told for fact in said]
    (ruling,) = [fact for fact in facts if isinstance(fact, KillRuling)]
    assert (True, True, STOP.id) == (ruling.accepted, ruling.engaged, ruling.cause)
    later = [fact for fact in facts[facts.index(ruling) :] if isinstance(fact, Verdict)]
    assert {Outcome.DENY} == {fact.outcome for fact in later}


def test_a_second_word_must_be_the_second(folder: Path) -> None:
    cluster, told = play(folder, [turn(STOP)])
    again = msgspec.structs.replace(STOP, id=derive(NO_ID, b"freeze:2", 0))
    for number, wrong in ((1, True), (2, False), (3, True)):
        ref = InputRef("TF_main_CONTROL", 2)
        said = turn(again, number=number)
        place = 1 + next(i for i, (record, _) in enumerate(told) if record.pod == SENTINEL)
        forged = [*told[:place], (record_of(ref, said), (again,)), *told[place:]]
        if wrong:
            with pytest.raises(Differs, match="is missing before it"):
                recompute(folder, cluster, forged)
        else:
            recompute(folder, cluster, forged)


@pytest.mark.parametrize("more", TOO_MUCH, ids=str)
def test_what_it_may_not_say_counts_for_nothing_and_in_a_record_for_a_fault(
    folder: Path, more: dict[str, object]
) -> None:
    words = msgspec.structs.replace(STOP, **more)
    cluster, told = play(folder, [turn(STOP)])
    forged: Told = [
        (record, (words,) if record.pod == SENTINEL else facts) for record, facts in told
    ]

    with pytest.raises(Differs, match="may not say this KillSwitch"):
        recompute(folder, cluster, forged)
    door = Door(cluster.topology, Counters())
    heard = SimpleNamespace(subject="tf.main.control.sentinel", data=encode_turn(turn(words)))
    assert refused(POD) == door.read(heard)
    assert may_command(GOVERNANCE, words)


def test_what_was_refused_at_the_door_stands_as_an_empty_turn_in_a_record_that_holds(
    folder: Path,
) -> None:
    cluster, told = play(folder, [refused(POD), turn(STOP)])

    assert [REFUSED, 1] == [record.number for record, _ in told if record.pod == SENTINEL]
    recompute(folder, cluster, told)


@pytest.mark.parametrize(
    "said",
    [
        turn(),
        turn(STOP, number=REFUSED),
        turn(STOP, Lapse(NO_ID, NO_ID, 1, 1, SENTINEL, stale=False)),
        Turn("governance", 1, 1, (), (STOP,), 1),
        Turn(SENTINEL, 1, 1, (InputRef("TF_main_MARKET", 1),), (STOP,), 1),
    ],
)
def test_a_turn_of_another_shape_counts_as_an_empty_one(said: Turn) -> None:
    on = topology((*SPLIT, GOVERNANCE, POD), lock_step=False)
    door = Door(on, Counters())

    for data in (encode_turn(said), encode_turn(turn(STOP))[:-3], b""):
        heard = SimpleNamespace(subject="tf.main.control.sentinel", data=data)
        assert refused(POD) == door.read(heard)
    heard = SimpleNamespace(subject="tf.main.control.sentinel", data=encode_turn(turn(STOP)))
    assert turn(STOP) == door.read(heard)
