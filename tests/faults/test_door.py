"""Can a contender's own process stop anybody, or make anything happen, by what it says?"""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

from titanflow.adapters.bus.link import Counters
from titanflow.adapters.codec import encode_turn
from titanflow.core.base.errors import WireError
from titanflow.runtime.door import REFUSED, Door
from tools.drills.hostile import POD, Corpus
from tools.drills.world import topology_of

APART = topology_of("main", "apart", lock_step=True)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return Corpus(tmp_path_factory.mktemp("corpus"), random.Random(1))


def message(data: bytes, pod: str = POD) -> SimpleNamespace:
    return SimpleNamespace(subject=f"tf.main.turn.{pod}", data=data)


def test_what_is_no_turn_of_a_contender_counts_as_an_empty_one_of_its_pod(corpus):
    counters = Counters()
    door = Door(APART, counters)

    for kind, data in corpus.messages(400):
        turn = door.read(message(data))
        assert (POD, REFUSED, (), ()) == (turn.pod, turn.number, turn.inputs, turn.facts), kind
    assert 400 == counters.refused


def test_an_honest_turn_passes(corpus):
    door = Door(APART, Counters())

    assert corpus.honest == [door.read(message(encode_turn(each))) for each in corpus.honest]


def test_damage_in_what_our_own_pods_say_stops_who_hears_it(corpus):
    door = Door(APART, Counters())

    with pytest.raises(WireError):
        door.read(message(corpus.cut(), "trade"))
