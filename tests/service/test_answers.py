"""Do real pods answer questions and commands, and does a kill switch hold whatever dies?"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import signal
import statistics
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from pods_kit import Pods, pods, until
from rpc_kit import kill, orders, portfolio, refusal, release, run, standings, status

from titanflow.adapters.bus.client import BEGAN, SENT, Bus
from titanflow.adapters.bus.permissions import HOST
from titanflow.adapters.codec import decode_turn
from titanflow.adapters.rpc.client import Client
from titanflow.adapters.rpc.refusal import Code, RefusalError
from titanflow.adapters.rpc.trace import HEADER, read_trace
from titanflow.core.facts import Fill, KillRuling, KillSwitch, Lapse, Order, OrderUpdate, Verdict
from titanflow.core.spec.words import IntentAction, OrdStatus, Outcome
from titanflow.rpc.v1 import (
    control_pb2,
    control_pb2_grpc,
    explain_pb2,
    explain_pb2_grpc,
    standings_pb2,
    standings_pb2_grpc,
)
from titanflow.runtime import nats_server
from titanflow.runtime.metrics import PREFIX, TABLE
from titanflow.runtime.place import Live
from titanflow.wire.v1 import words_pb2

DAY = 86_400
PODS = ("gateway", "governance", "sentinel", "signal", "trade")
ARENA = words_pb2.KILL_SCOPE_ARENA
EFFECT_SECONDS = 1.0  # the bar is 0.25 s on a quiet machine, by `make drill ARGS=F20`
"""From a kill's request to its ruling in the record; median of a few."""
CANCELLED_SECONDS = 1.0


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    """Give a session whose market stands still in the middle, so that a test can look at it."""
    with pods(tmp_path_factory.mktemp("still"), 60, "--speed", str(8 * DAY)) as made:
        until("trading", lambda: made.turns("trade") > 6)
        assert 0 == made.call("pause", "--reason", "to look", "--by", "ada").returncode
        settle(made)
        yield made


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    """Give a session with a pod for each service, under load."""
    words = ("--shape", "split", "--speed", str(20 * DAY))
    with pods(tmp_path_factory.mktemp("split"), 300, *words) as made:
        until("trading", lambda: made.turns("execution") > 10)
        yield made


def settle(made: Pods) -> None:
    """Wait until nobody has anything to say any more."""
    former: dict[str, object] = {}
    while True:
        now = {name: state.get("number") for name, state in made.states().items()}
        if now and now == former:
            return
        former = now
        time.sleep(1.1)  # the supervisor writes once a second what it heard


def ask(address: str, question: Any) -> Any:
    """Return the answer to one question."""
    found: list[Any] = []

    async def talk() -> None:
        async with Client(address) as client:
            found.append(await question(client))

    run(talk())
    return found[0]


def page(made: Pods, pod: str) -> str:
    with urllib.request.urlopen(made.address(pod, "metrics"), timeout=5) as answer:
        return answer.read().decode()


def test_every_pod_is_ready_and_lists_its_services(still: Pods) -> None:
    own = {
        "gateway": {"Control", "Sessions"},
        "governance": {"Control", "Explain", "Sessions"},
        "sentinel": {"Sessions"},
        "signal": {"Sessions"},
        "trade": {"Portfolio", "Standings", "Sessions"},
    }
    for pod in PODS:
        address = still.address(pod)
        assert still.states()[pod]["address"] == address
        ask(address, lambda c: c.ready(5))
        ask(address, lambda c: c.ready(5, name="liveness"))
        with grpc.insecure_channel(address) as channel:
            names = set(ProtoReflectionDescriptorDatabase(channel).get_services())
        ours = {name.rpartition(".")[2] for name in names if name.startswith("titanflow.")}
        assert own[pod] == ours
        assert {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"} <= names


def test_the_trading_pod_shows_portfolios_orders_and_standings(still: Pods) -> None:
    address = still.address("trade")
    found = ask(address, lambda c: portfolio(c, "hold"))
    assert found.positions
    assert found.equity == found.cash + sum(p.cost + p.unrealised for p in found.positions)
    assert found.as_of == max(p.marked_at for p in found.positions)
    assert Code.NOT_FOUND == ask(address, lambda c: refusal(portfolio(c, "nobody"))).code

    board = ask(address, standings)
    assert {"hold", "dice", "cross", "channel"} == {row.contender for row in board.standings}
    assert not board.final
    assert ask(address, orders).as_of == found.as_of

    async def first(client: Client) -> Any:
        stub = standings_pb2_grpc.StandingsStub(client.channel)
        stream = client.watch(stub.WatchStandings, standings_pb2.WatchStandingsRequest(), 5)
        async for message in stream:
            return message
        raise AssertionError

    assert board == ask(address, first)


def test_governance_explains_an_order_of_the_session_that_still_runs(still: Pods) -> None:
    fill = next(fact for fact in still.facts() if isinstance(fact, Fill))

    async def why(client: Client) -> Any:
        stub = explain_pb2_grpc.ExplainStub(client.channel)
        return await client.ask(stub.Why, explain_pb2.WhyRequest(id=fill.id.hex()), 15)

    story = ask(still.address("governance"), why)
    assert fill.id == story.subject.fill.id
    assert fill.contender == story.verdict.contender
    assert story.sentence


def test_the_status_tells_pods_lag_and_latencies(still: Pods) -> None:
    said = json.loads(still.call("status", "-o", "json").stdout)
    assert said["answered"]
    assert set(PODS) == set(said["states"])
    assert {"Running"} == {state["state"] for state in said["states"].values()}
    assert {0} == {state["lagCount"] for state in said["states"].values()}
    spans = {row["span"]: row for row in said["latencies"]}
    for name in ("signal", "verdict", "order", "ack", "entry"):
        row = spans[f"event → {name}"]
        assert row["count"] > 0
        assert 0 < row["p50Ns"] <= row["p99Ns"] <= row["p999Ns"] <= row["maxNs"]
    assert "event → verdict" in still.call("status").stdout
    # Any pod answers about itself.
    own = ask(still.address("trade"), status)
    assert [("trade", ["execution", "risk", "ledger"])] == [
        (pod.name, sorted(pod.stages, key=["execution", "risk", "ledger"].index))
        for pod in own.pods
    ]


def test_every_pod_exports_numbers_of_the_table_and_together_all_of_them(still: Pods) -> None:
    known = {PREFIX + metric.name for metric in TABLE}
    seen = set()
    for pod in PODS:
        text = page(still, pod)
        for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE):
            base = name.removesuffix("_total") if kind == "counter" else name
            assert base in known, name
            seen.add(base)
        assert f'titanflow_bus_up{{pod="{pod}"}} 1.0' in text
        assert f'pod="{pod}"' in text
    assert known == seen
    trade = page(still, "trade")
    assert float(re.search(r"^titanflow_turns_total\S* (\S+)", trade, re.MULTILINE)[1]) > 0
    assert 'titanflow_line_seconds_bucket{le="+Inf",pod="trade",station="order"}' in trade


def test_a_trace_goes_from_turn_to_turn_and_no_fact_knows_it(still: Pods) -> None:
    async def look() -> tuple[dict[str, str], dict[str, str]]:
        live = Live(still.session)
        async with Bus(lambda: nats_server.address(live.nats), HOST, live.key(HOST)) as bus:
            stored = await bus.last("TF_main_ORDER", "tf.main.turn.trade")
            assert stored is not None
            cause = decode_turn(stored.data).inputs[-1]
            asked = json.dumps({"seq": cause.sequence}).encode()
            said = json.loads(await bus.ask(f"$JS.API.STREAM.MSG.GET.{cause.stream}", asked))
            lines = base64.b64decode(said["message"]["hdrs"]).decode().split("\r\n")
            pairs = [line.partition(": ") for line in lines if ":" in line]
            return stored.headers, {name: value.strip() for name, _, value in pairs}

    turn, cause = asyncio.run(look())
    traces = [read_trace(headers[HEADER]) for headers in (cause, turn)]
    assert traces[0].trace_id == traces[1].trace_id
    assert traces[0].span_id != traces[1].span_id
    assert int(turn[SENT]) >= int(cause[SENT]) >= int(turn[BEGAN]) > 0


def test_every_line_of_a_log_says_when_how_bad_who_and_what(still: Pods) -> None:
    for pod in PODS:
        lines = [json.loads(line) for line in still.file(pod, "log.jsonl").read_text().splitlines()]
        assert lines
        for line in lines:
            assert {"time", "level", "pod", "said"} <= set(line), line
            assert pod == line["pod"]
            assert line["level"] in {"info", "warning", "error"}
            assert abs(line["time"] - time.time()) < 600


def test_a_command_has_words_and_codes_and_survives_governance(still: Pods) -> None:
    named = ("contender", "cross", "--reason", "a drill")
    first = still.call("kill", *named, "--by", "ada", "--token", "t1", "-o", "json")
    assert 0 == first.returncode, first.stderr
    still.signal("governance", signal.SIGKILL)
    # The same token is the same command, also for a process that was not there.
    again = still.call("kill", *named, "--by", "ada", "--token", "t1", "-o", "json")
    assert first.stdout == again.stdout, again.stderr
    other = still.call("kill", *named, "--by", "eve", "--token", "t1")
    assert (6, True) == (other.returncode, "TOKEN_USED" in other.stderr)
    same = still.call("release", *named, "--by", "ada", "--token", "t2")
    assert (6, True) == (same.returncode, "a second person" in same.stderr)
    nobody = still.call("kill", "contender", "crosss", "--reason", "x", "--by", "ada")
    assert (3, True) == (nobody.returncode, "did you mean 'cross'?" in nobody.stderr)
    now = ask(still.address("governance"), status)
    assert (["Contender cross"], 1) == (list(now.engaged), now.kill_epoch)
    assert 2 == next(pod.starts for pod in now.pods if pod.name == "governance")
    assert 'titanflow_kill_engaged{pod="governance",switch="Contender cross"} 1.0' in page(
        still, "governance"
    )


def test_a_kill_survives_every_pod_and_the_record_is_derived_again(still: Pods) -> None:
    for pod in PODS:
        still.signal(pod, signal.SIGKILL)
    until("all are back", lambda: len(still.pids()) == len(PODS) + 1)
    # A pause is over restarts too: nothing has moved.
    until("the gateway speaks", lambda: still.states()["gateway"].get("paused"))
    assert 0 == still.call("resume", "--reason", "seen", "--by", "ada").returncode
    still.end()

    facts = still.facts()
    ruling = next(fact for fact in facts if isinstance(fact, KillRuling))
    judged = [
        fact.outcome
        for fact in facts[facts.index(ruling) :]
        if isinstance(fact, Verdict) and fact.contender == "cross"
    ]
    assert len(judged) > 3
    assert {Outcome.DENY} == set(judged)
    again = still.call("replay", "--from", "@latest", "-o", "json")
    assert 0 == again.returncode, again.stderr


def test_a_kill_under_load_is_quick(split: Pods) -> None:
    took = []

    async def stop(client: Client) -> None:
        for number in range(5):
            began = time.monotonic()
            said = await kill(client, name="cross", token=f"k{2 * number}")
            took.append(time.monotonic() - began)
            assert said.accepted
            await asyncio.sleep(0.2)  # let it try
            await release(client, name="cross", token=f"k{2 * number + 1}")

    ask(split.address("governance"), stop)
    assert statistics.median(took) <= EFFECT_SECONDS, took


def test_with_risk_down_the_last_hop_cancels_and_lets_nothing_pass(split: Pods) -> None:
    governance, execution = split.address("governance"), split.address("execution")
    stop_where_something_rests(split)

    async def talk() -> None:
        async with Client(governance) as client, Client(execution) as desk:
            began = time.monotonic()
            asked = asyncio.create_task(kill(client, scope=ARENA, name="", token="risk-down"))
            while (await orders(desk)).orders:  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.005)
            took = time.monotonic() - began
            assert took <= CANCELLED_SECONDS
            assert not asked.done()
            split.signal("risk", signal.SIGCONT)
            with suppress(RefusalError):  # it may have waited too long
                await asked

    split.signal("risk", signal.SIGSTOP)
    try:
        run(talk())
    finally:
        split.signal("risk", signal.SIGCONT)
    # The same token finds the ruling.
    said = ask(governance, lambda c: kill(c, scope=ARENA, name="", token="risk-down"))
    assert said.accepted
    ask(governance, lambda c: release(c, scope=ARENA, name="", token="risk-up"))
    assert 0 == split.call("resume", "--reason", "seen", "--by", "ada").returncode


def stop_where_something_rests(made: Pods) -> None:
    """Pause the market at an instant at which some order waits for the next bar."""

    async def talk() -> None:
        async with (
            Client(made.address("gateway")) as market,
            Client(made.address("execution")) as desk,
        ):
            stub = control_pb2_grpc.ControlStub(market.channel)
            said = {"scope": ARENA, "reason": "to look", "requested_by": "ada"}
            for number in range(200):
                await market.ask(stub.Pause, control_pb2.PauseRequest(token=f"p{number}", **said))
                await asyncio.sleep(0.2)  # what has begun comes to its end
                if (await orders(desk)).orders:
                    return
                await market.ask(stub.Resume, control_pb2.ResumeRequest(token=f"r{number}", **said))
                await asyncio.sleep(0.06)
            raise AssertionError("no order ever rests")

    run(talk(), seconds=60)


def test_with_the_bus_frozen_nothing_passes_and_the_whole_record_holds(split: Pods) -> None:
    logs = [split.file(pod, "log.jsonl") for pod in ("risk", "execution")]
    split.signal("nats-server", signal.SIGSTOP)
    until("stale", lambda: all("is stale" in log.read_text() for log in logs))
    split.signal("nats-server", signal.SIGCONT)
    until("fresh", lambda: all("fresh again" in log.read_text() for log in logs))
    split.end()

    record = split.record()
    lapses = [fact.stale for _, said in record for fact in said if isinstance(fact, Lapse)]
    assert {True, False} == set(lapses)
    for pod in ("risk", "execution"):
        assert_nothing_passes_while_stopped(record, pod)
    again = split.call("replay", "--from", "@latest", "-o", "json")
    assert 0 == again.returncode, again.stderr
    assert json.loads(again.stdout)["facts"]["KillRuling"] == 12


def assert_nothing_passes_while_stopped(record: Any, pod: str) -> None:
    """Follow one pod's turns: a command holds from the turn that names it, a lapse from its own."""
    commands = {
        (turn.stream, turn.sequence): fact
        for turn, said in record
        for fact in said
        if isinstance(fact, KillSwitch)
    }
    stale, killed, passed = False, set(), 0
    for turn, said in record:
        if turn.pod != pod:
            continue
        for each in turn.inputs:
            switch = commands.get(each)
            if switch is not None and switch.engaged:
                killed.add(switch.name)
            elif switch is not None:
                killed.discard(switch.name)
        refused = {
            fact.order
            for fact in said
            if isinstance(fact, OrderUpdate) and fact.status is OrdStatus.REJECTED
        }
        for fact in said:
            if isinstance(fact, Lapse):
                stale = fact.stale
            is_new = (
                isinstance(fact, Verdict)
                and fact.outcome is Outcome.ALLOW
                and fact.action is IntentAction.NEW
            ) or (isinstance(fact, Order) and fact.id not in refused)
            if is_new:
                passed += 1
                assert not stale, fact
                assert not killed & {"", fact.contender}, fact
    assert passed > 10
    assert len(commands) == 12
