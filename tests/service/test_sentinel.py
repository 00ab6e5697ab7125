"""Does a real sentinel see what is missing, stop the arena once, and let only people start it?"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from pods_kit import Pods, pods, until
from rpc_kit import run, status

from titanflow.adapters.rpc.client import Client
from titanflow.core.facts import KillRuling, KillSwitch, Lapse, Verdict
from titanflow.core.governance.docket import DocketKind as Kind
from titanflow.core.spec.words import Outcome
from titanflow.runtime.docket import docket_of, entries_of
from titanflow.runtime.incident import FREEZE_NS
from titanflow.runtime.sentinel import REASON

DAYS = 75
SPEED = 4 * 86_400
"""The market takes some 26 seconds."""


@pytest.fixture
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    words = ("--shape", "split", "--speed", str(SPEED))
    with pods(tmp_path_factory.mktemp("watched"), DAYS, *words) as session:
        yield session


def told(made: Pods) -> list[dict[str, Any]]:
    """Return the incidents in the sentinel's log."""
    lines = made.file("sentinel", "log.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if "incident" in line]


def saw(made: Pods, kind: str, phase: str, about: str = "governance") -> list[dict[str, Any]]:
    wanted = {"incident": kind, "phase": phase, "about": about}
    return [line for line in told(made) if wanted.items() <= line.items()]


def asked(made: Pods, pod: str) -> Any:
    """Return what a pod says of the session."""
    found: list[Any] = []

    async def talk() -> None:
        async with Client(made.address(pod)) as client:
            found.append(await status(client))

    run(talk())
    return found[0]


def test_an_outage_of_governance_freezes_the_arena_once_and_people_release_it(made: Pods) -> None:
    until("trading", lambda: made.turns("execution") > 3)
    assert [] == [each for each in asked(made, "sentinel").incidents if not each.ended_at]

    made.signal("governance", signal.SIGSTOP)
    log = made.file("sentinel", "log.jsonl")
    until("stale", lambda: saw(made, "LeaseStale", "begin"))
    took = until("frozen", lambda: "stops the arena" in log.read_text())
    assert 0.5 * FREEZE_NS / 1e9 <= took <= FREEZE_NS / 1e9 + 3
    assert saw(made, "Silent", "begin")
    # Who starts again in the same outage knows what it said, and says it no more.
    made.signal("sentinel", signal.SIGKILL)
    until("it is back", lambda: int(made.states()["sentinel"]["starts"]) == 2)
    shown = made.call("status").stderr
    assert "this is what the sentinel sees" in shown
    assert "engaged by the sentinel: Arena" in shown

    made.signal("governance", signal.SIGCONT)
    until("fresh", lambda: "fresh again" in made.file("risk", "log.jsonl").read_text())
    # The lease is back and the switch stays.
    assert ["Arena"] == asked(made, "governance").engaged
    words = ("release", "arena", "--reason", "governance is back")
    same = made.call(*words, "--by", "sentinel")
    assert (6, True) == (same.returncode, "a second person" in same.stderr), same.stderr
    released = made.call(*words, "--by", "ada")
    assert 0 == released.returncode, released.stderr
    made.end()

    facts = made.facts()
    requests = [fact for fact in facts if isinstance(fact, KillSwitch)]
    assert [(True, "sentinel"), (False, "stated:sentinel"), (False, "stated:ada")] == [
        (fact.engaged, fact.by) for fact in requests
    ]
    assert REASON == requests[0].reason
    rulings = [fact for fact in facts if isinstance(fact, KillRuling)]
    assert [(True, True), (False, False), (True, False)] == [
        (fact.accepted, fact.engaged and fact.accepted) for fact in rulings
    ]
    entries, _ = entries_of(docket_of(made.session))
    assert [(Kind.FREEZE, "sentinel", REASON), (Kind.RELEASE, "stated:sentinel", words[3])] == [
        (each.matter.kind, each.matter.by, each.matter.reason) for each in entries[1:3]
    ]
    assert [each.id.hex() for each in rulings] == [each.matter.ruling for each in entries[1:]]
    assert 0 == made.call("verify").returncode
    lapses = [fact for fact in facts if isinstance(fact, Lapse) and fact.pod == "risk"]
    assert [True, False] == [fact.stale for fact in lapses]
    assert facts.index(lapses[0]) < facts.index(rulings[0]) < facts.index(lapses[1])
    passed = [
        place
        for place, fact in enumerate(facts)
        if isinstance(fact, Verdict) and fact.outcome is Outcome.ALLOW
    ]
    stopped = range(facts.index(rulings[0]), facts.index(rulings[2]))
    assert not any(place in stopped for place in passed)
    assert any(place > stopped.stop for place in passed)
