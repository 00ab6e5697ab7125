"""Do shards of risk, execution and ledger on a real server make one arena? Stopped as one, too."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest
from pods_kit import Pods, pods, until
from rpc_kit import portfolio, refusal, run

from titanflow.adapters.rpc.client import Client
from titanflow.adapters.rpc.refusal import Code, RefusalError
from titanflow.core.facts import Entry, Fill, KillRuling, Order, Standing
from titanflow.core.spec.words import KillScope

DAY = 86_400
SHARDS = ("trade-0", "trade-1")
CONTENDERS = {"hold", "dice", "cross", "channel"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    """Give a session of two shards whose market stands still in the middle."""
    words = ("--shape", "sharded", "--shards", "2", "--speed", str(8 * DAY))
    with pods(tmp_path_factory.mktemp("shards"), 240, *words) as session:
        until("trading", lambda: all(session.turns(shard) > 6 for shard in SHARDS))
        yield session


def kept_by(made: Pods) -> dict[str, set[str]]:
    """Return whose books each shard shows, and the code of its refusal of the others."""
    found: dict[str, set[str]] = {}

    async def talk() -> None:
        for pod in SHARDS:
            async with Client(made.address(pod)) as client:
                found[pod] = set()
                for name in sorted(CONTENDERS):
                    with suppress(RefusalError):
                        await portfolio(client, name)
                        found[pod].add(name)
                        continue
                    said = await refusal(portfolio(client, name))
                    assert Code.UNIMPLEMENTED == said.code
                    assert f"another shard keeps the books of {name}" in said.text

    run(talk())
    return found


def test_each_shard_keeps_the_books_of_its_contenders_and_one_pod_ranks_all(made: Pods) -> None:
    kept = kept_by(made)

    assert CONTENDERS == kept["trade-0"] | kept["trade-1"]
    assert not kept["trade-0"] & kept["trade-1"]
    assert [2, 2] == [len(names) for names in kept.values()]

    async def talk() -> None:
        async with Client(made.address("score")) as client:
            for name in CONTENDERS:
                assert name == (await portfolio(client, name)).contender
            said = await refusal(portfolio(client, "nobody"))
            assert Code.NOT_FOUND == said.code

    run(talk())


def test_a_killed_shard_goes_on_and_the_others_wait_for_nobody(made: Pods) -> None:
    before = made.turns("trade-1")

    made.signal("trade-1", signal.SIGKILL)

    until("the shard is back", lambda: made.turns("trade-1") > before + 3)


def test_every_shard_rules_on_the_arena_and_one_on_its_own_contender(made: Pods) -> None:
    for words in (("arena",), ("contender", "hold"), ("instrument", "AAA")):
        killed = made.call("kill", *words, "--reason", "a drill", "--by", "ada")
        assert 0 == killed.returncode, killed.stderr
    for words in (("arena",), ("contender", "hold"), ("instrument", "AAA")):
        own = made.call("release", *words, "--reason", "done", "--by", "ada")
        assert 6 == own.returncode
        released = made.call("release", *words, "--reason", "done", "--by", "bob")
        assert 0 == released.returncode, released.stderr


def test_the_session_ends_verified_and_each_fact_is_of_the_shard_that_it_belongs_to(
    made: Pods,
) -> None:
    made.end()

    told = [(turn.pod, fact) for turn, facts in made.record() for fact in facts]
    rulings = [fact for _, fact in told if isinstance(fact, KillRuling)]
    for scope, count in ((KillScope.ARENA, 2), (KillScope.INSTRUMENT, 2), (KillScope.CONTENDER, 1)):
        of_scope = [fact for fact in rulings if fact.scope is scope and fact.accepted]
        assert {True: count, False: count} == {
            engaged: sum(fact.engaged is engaged for fact in of_scope) for engaged in (True, False)
        }, scope
    traded: dict[str, set[str]] = {pod: set() for pod in SHARDS}
    booked: dict[str, set[str]] = {pod: set() for pod in SHARDS}
    for pod, fact in told:
        if isinstance(fact, Order | Fill):
            traded[pod].add(fact.symbol)
        if isinstance(fact, Entry):
            booked[pod].add(fact.contender)
    assert {"trade-0": {"AAA"}, "trade-1": {"BBB"}} == traded
    assert CONTENDERS == booked["trade-0"] | booked["trade-1"]
    assert not booked["trade-0"] & booked["trade-1"]
    standings = [fact for pod, fact in told if isinstance(fact, Standing) and pod == "score"]
    assert CONTENDERS == {fact.contender for fact in standings}
    ids = [fact.id for _, fact in told]
    assert len(ids) == len(set(ids))
    assert 0 == made.call("verify").returncode
    reconciled = made.call("reconcile")
    assert 0 == reconciled.returncode, reconciled.stderr
    fill = next(fact for _, fact in told if isinstance(fact, Fill))
    why = made.call("why", fill.id.hex()[:12])
    assert 0 == why.returncode, why.stderr
    assert fill.contender in why.stdout


def test_a_pod_is_found_by_what_it_hosts_and_its_shard(made: Pods) -> None:
    unknown = made.call("pod", "--session", str(made.session), "--stages", "risk", "--shard", "x")

    assert 2 == unknown.returncode
