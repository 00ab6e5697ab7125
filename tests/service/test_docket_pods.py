"""Does governance keep its docket on a real server, whatever kills it, and is tampering found?"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from pods_kit import Pods, pods, until
from rpc_kit import refusal, run

from titanflow.adapters.rpc.client import Client
from titanflow.adapters.rpc.refusal import Code
from titanflow.core.facts import KillRuling, KillSwitch
from titanflow.core.governance.docket import DocketKind as Kind
from titanflow.core.governance.docket import Matter, append, encode, verify
from titanflow.rpc.v1 import explain_pb2
from titanflow.rpc.v1.explain_pb2_grpc import ExplainStub
from titanflow.runtime.docket import docket_of, entries_of
from titanflow.runtime.docket_check import Witness
from titanflow.runtime.verify import Result
from titanflow.runtime.verify import verify as journal_finding

DAY = 86_400
ADA, BOB = ("--by", "ada"), ("--by", "bob")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    """Give a session whose governance is killed between its commands, and which then ended."""
    with pods(tmp_path_factory.mktemp("docket"), 90, "--speed", str(4 * DAY)) as session:
        until("trading", lambda: session.turns("trade") > 6)
        said(session, 0, "kill", "contender", "dice", *ADA, "--token", "k1")
        said(session, 6, "release", "contender", "dice", *ADA, "--token", "r1")
        until("governance dies", lambda: killed(session))
        # The same token after the death: it is the same command, and not entered twice.
        said(session, 0, "kill", "contender", "dice", *ADA, "--token", "k1")
        said(session, 0, "pause", *ADA, "--token", "p1")
        assert killed(session)
        said(session, 0, "pause", *ADA, "--token", "p1")
        said(session, 6, "kill", "arena", *ADA, "--token", "p1")
        check_tiers(session)
        said(session, 0, "release", "contender", "dice", *BOB, "--token", "r2")
        shown = session.call("docket", "-o", "json")
        assert 0 == shown.returncode
        assert 5 == len(json.loads(shown.stdout))
        said(session, 0, "resume", *BOB, "--token", "p2")
        killed_before_the_ruling(session)
        session.end()
        yield session


def said(session: Pods, code: int, *words: str) -> None:
    ran = session.call(*words, "--reason", f"of {words[0]}")
    assert code == ran.returncode, ran.stderr


def killed(session: Pods) -> bool:
    """Kill governance, and wait until another process is there in its place."""
    (pid,) = session.pids("governance")
    session.signal("governance", signal.SIGKILL)
    until("it is started again", lambda: session.pids("governance") not in ([], [pid]))
    return True


def killed_before_the_ruling(session: Pods) -> None:
    """Let governance die when its command is on the stream, and risk rule while it is away."""
    session.signal("trade", signal.SIGSTOP)
    former = session.turns("governance")
    words = ("kill", "contender", "hold", *ADA, "--token", "k2", "--reason", "of kill")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(session.call, *words)
        until("it is said", lambda: session.turns("governance") > former)
        session.signal("governance", signal.SIGKILL)
        session.signal("trade", signal.SIGCONT)
        assert 0 == asked.result().returncode


def check_tiers(session: Pods) -> None:
    status = json.loads(session.call("status", "-o", "json").stdout)
    tiers = {each["contender"]: each for each in status["tiers"]}
    assert {"hold", "dice", "cross", "channel"} == set(tiers)
    assert ("Paper", ["house"], "bound by house") == (
        tiers["dice"]["tier"],
        tiers["dice"]["policies"],
        tiers["dice"]["why"],
    )

    async def ask(name: str) -> Any:
        async with Client(session.address("governance")) as client:
            stub = ExplainStub(client.channel)
            request = explain_pb2.GetTiersRequest(contender=name)
            return await client.ask(stub.GetTiers, request)

    async def talk() -> None:
        (only,) = (await ask("dice")).tiers
        assert ("dice", "Paper", "Paper") == (only.contender, only.tier, only.declared)
        assert Code.NOT_FOUND == (await refusal(ask("nobody"))).code

    run(talk())


def matters(session: Pods) -> list[Matter]:
    entries, torn = entries_of(docket_of(session.session))
    assert "" == torn
    assert verify(entries) is None
    return [entry.matter for entry in entries]


def test_every_command_has_one_entry_with_the_ruling_that_stands_in_the_journal(made: Pods) -> None:
    found = matters(made)

    assert [
        (Kind.OPENED, "main", "titanflow up", True),
        (Kind.KILL, "Contender dice", "stated:ada", True),
        (Kind.RELEASE, "Contender dice", "stated:ada", False),
        (Kind.PAUSE, "Arena", "stated:ada", True),
        (Kind.RELEASE, "Contender dice", "stated:bob", True),
        (Kind.RESUME, "Arena", "stated:bob", True),
        (Kind.KILL, "Contender hold", "stated:ada", True),
    ] == [(each.kind, each.subject, each.by, each.accepted) for each in found]
    assert "needs a second person" in found[2].text
    assert ("tier of dice", "Paper: bound by house") in found[0].evidence

    rulings = [fact for fact in made.facts() if isinstance(fact, KillRuling)]
    requests = {fact.id: fact for fact in made.facts() if isinstance(fact, KillSwitch)}
    assert [
        (each.id.hex(), each.cause.hex(), each.accepted, each.epoch, each.at) for each in rulings
    ] == [
        (each.ruling, each.proposal, each.accepted, each.epoch, each.at)
        for each in found
        if each.ruling
    ]
    assert [requests[each.cause].by for each in rulings] == [
        each.by for each in found if each.ruling
    ]


def test_a_finished_session_is_verified_with_its_docket(made: Pods) -> None:
    ran = made.call("verify", "-o", "json")
    told = json.loads(ran.stdout)

    assert 0 == ran.returncode, ran.stderr
    assert (7, "Verified") == (told["entries"], told["result"])
    shown = made.call("docket")
    assert 0 == shown.returncode
    assert told["docket"] in shown.stderr
    assert re.search(r"Release +Contender dice +stated:ada +of release +refused", shown.stdout)


def altered(session: Pods, place: int, change: Any) -> list[bytes]:
    """Return the docket with one matter changed and everything behind it chained anew."""
    entries, _ = entries_of(docket_of(session.session))
    lines, last = [], None
    for entry in entries:
        matter = change(entry.matter) if entry.number == place else entry.matter
        last = append(last, matter)
        lines.append(encode(last))
    return lines


def test_an_altered_docket_ends_with_9_and_the_entry_s_number(made: Pods) -> None:
    path = docket_of(made.session)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    fit = altered(made, 4, lambda m: msgspec.structs.replace(m, by="stated:eve"))
    tier = altered(
        made, 0, lambda m: msgspec.structs.replace(m, evidence=(*m.evidence[:-1], ("x", "y")))
    )
    cases = [
        (1, [lines[0], lines[1].replace(b"stated:ada", b"stated:eve"), *lines[2:]]),
        (2, lines[:2] + lines[3:]),
        (3, [*lines[:3], lines[2], *lines[3:]]),
        (4, fit),
        (0, tier),
        (4, lines[:4]),  # what is cut off at the end misses a ruling
        (0, []),
        (7, [*lines, b"{"]),
    ]
    try:
        for place, content in cases:
            path.write_bytes(b"".join(content))
            ran = made.call("verify")
            assert 9 == ran.returncode, (place, ran.stdout)
            assert f"docket entry {place}: " in ran.stdout
        path.write_bytes(b"".join(cases[0][1]))
        ran = made.call("docket")
        assert 9 == ran.returncode
        assert "docket entry 1: " in ran.stderr
        assert "Opened" in ran.stdout
        path.unlink()
        assert 3 == made.call("docket").returncode
        assert 9 == made.call("verify").returncode
    finally:
        path.write_bytes(whole)
    assert 0 == made.call("verify").returncode


def test_what_governance_did_not_live_to_enter_is_entered_from_the_record(made: Pods) -> None:
    path = docket_of(made.session)
    whole = path.read_bytes()
    witness = Witness()
    finding = journal_finding(made.session / "journal.tfj", listener=witness)
    try:
        path.write_bytes(whole[: whole.rindex(b"\n", 0, -1) + 1])
        assert "docket entry 6: is missing" in witness.judge(finding, path).text
        witness.complete(path, print)
        assert whole == path.read_bytes()
        path.unlink()
        witness.complete(path, print)  # all but the pauses
        assert 5 == witness.judge(finding, path).entries
    finally:
        path.write_bytes(whole)
    cut = msgspec.structs.replace(finding, result=Result.TORN)
    assert Result.TORN is witness.judge(cut, path).result
