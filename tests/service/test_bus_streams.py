"""Does the server have exactly the streams and consumers that are declared?"""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from titanflow.adapters.bus.ensure import compare, ensure
from titanflow.adapters.bus.errors import Fenced, StreamFull
from titanflow.adapters.bus.permissions import HOST
from titanflow.adapters.bus.streams import (
    DUPLICATES_NS,
    STORE_BYTES,
    Pod,
    Topology,
    check,
    consumers,
    streams,
)
from titanflow.core.base.errors import SpecError


def shaped(topology, **changes):
    return msgspec.structs.replace(topology, **changes)


def test_ensure_makes_everything_once_and_finds_no_drift(arena):
    async def run():
        async with arena.bus(HOST) as host:
            first = await ensure(host.ask, arena.topology)
            second = await ensure(host.ask, arena.topology)
        return first, second

    asyncio.run(arena.prepare())
    first, second = asyncio.run(run())

    assert ((), (), ()) == (first.created, first.grown, first.drift)
    assert first == second


def test_the_server_echoes_every_declared_setting(arena):
    async def run():
        async with arena.bus(HOST) as host:
            answers = [
                await host.ask(f"$JS.API.STREAM.INFO.{each.name}")
                for each in streams(arena.topology)
            ]
        return [json.loads(answer)["config"] for answer in answers]

    asyncio.run(arena.prepare())
    found = asyncio.run(run())

    for each, config in zip(streams(arena.topology), found, strict=True):
        declared = each.config()
        assert declared == {name: config.get(name, "default") for name in declared}
        assert ("new", "file", DUPLICATES_NS) == (
            config["discard"],
            config["storage"],
            config["duplicate_window"],
        )


@pytest.mark.parametrize("replay_clock", [False, True])
def test_only_the_market_of_a_replay_clock_is_written_late(arena, replay_clock):
    gateway = (Pod("gateway", role="gateway"),)
    topology = Topology(
        "late" + "-yes" * replay_clock, gateway, replay_clock=replay_clock, lock_step=True
    )

    async def run():
        async with arena.bus(HOST) as host:
            report = await ensure(host.ask, topology)
            modes = {}
            for each in streams(topology):
                answer = json.loads(await host.ask(f"$JS.API.STREAM.INFO.{each.name}"))
                modes[each.name] = answer["config"].get("persist_mode", "default")
                await host.ask(f"$JS.API.STREAM.DELETE.{each.name}")
        return report, modes

    report, modes = asyncio.run(run())

    assert () == report.drift
    market = f"TF_{topology.arena}_MARKET"
    assert ("async" if replay_clock else "default") == modes.pop(market)
    assert {"default"} == set(modes.values())


def test_drift_is_told_in_words_and_nothing_is_edited(arena):
    name = "TF_demo_CONTROL"

    async def run():
        async with arena.bus(HOST) as host:
            info = json.loads(await host.ask(f"$JS.API.STREAM.INFO.{name}"))["config"]
            changed = {**info, "max_age": 3600 * 10**9, "discard": "old"}
            await host.ask(f"$JS.API.STREAM.UPDATE.{name}", json.dumps(changed).encode())
            report = await ensure(host.ask, arena.topology)
            after = json.loads(await host.ask(f"$JS.API.STREAM.INFO.{name}"))["config"]
        return report, after

    asyncio.run(arena.prepare())
    report, after = asyncio.run(run())

    assert {"max_age", "discard"} == {each.field for each in report.drift}
    assert "old" == after["discard"]
    words = str(next(each for each in report.drift if each.field == "discard"))
    assert words.startswith(f"stream {name}: discard is 'old', declared 'new'; nothing was changed")


def test_a_new_contender_makes_streams_and_consumers_grow_by_its_subject(arena):
    newcomer = Pod("signal-gamma", stages=("decide",), contenders=("gamma",))
    wider = shaped(arena.topology, pods=(*arena.topology.pods, newcomer))

    async def run():
        async with arena.bus(HOST) as host:
            report = await ensure(host.ask, wider)
            back = await ensure(host.ask, arena.topology)
        return report, back

    asyncio.run(arena.prepare())
    report, back = asyncio.run(run())

    grown = {"stream TF_demo_DECISION", "consumer risk-0 of TF_demo_DECISION"}
    assert grown | {"consumer gateway of TF_demo_DECISION"} == set(report.grown)
    assert () == report.drift
    assert "consumer signal-gamma of TF_demo_OWN" in report.created
    # What is declared no longer is told, not taken away.
    assert {"subjects", "filter_subjects"} == {each.field for each in back.drift}


def test_a_full_stream_refuses_what_is_new_and_keeps_what_it_has(arena):
    name, subject = "TF_demo_CONTROL", "tf.demo.control.governance"

    async def run():
        async with arena.bus(HOST) as host:
            info = json.loads(await host.ask(f"$JS.API.STREAM.INFO.{name}"))["config"]
            small = json.dumps({**info, "max_msgs": 2}).encode()
            await host.ask(f"$JS.API.STREAM.UPDATE.{name}", small)
            await host.publish_turn(name, subject, b"1", "governance/1", 0)
            await host.publish_turn(name, subject, b"2", "governance/2", 1)
            with pytest.raises(StreamFull, match="maximum messages"):
                await host.publish_turn(name, subject, b"3", "governance/3", 2)
            return await host.last(name, subject)

    asyncio.run(arena.prepare())
    last = asyncio.run(run())

    assert (2, b"2") == (last.sequence, last.data)


def test_eight_writers_of_one_subject_store_one_turn_for_each_sequence(arena):
    stream, subject = "TF_demo_ORDER", "tf.demo.turn.risk-0"

    async def write(bus, name):
        stored = 0
        for number in range(10):
            last = await bus.last(stream, subject)
            sequence = 0 if last is None else last.sequence
            try:
                await bus.publish_turn(stream, subject, b"x", f"{name}/{number}", sequence)
                stored += 1
            except Fenced:
                pass
        return stored

    async def run():
        async with arena.bus("risk-0") as bus:
            stored = await asyncio.gather(*(write(bus, f"copy-{i}") for i in range(8)))
            return sum(stored), await bus.last(stream, subject)

    asyncio.run(arena.prepare())
    stored, last = asyncio.run(run())

    assert stored == last.sequence


def test_the_limits_of_all_streams_fit_the_store():
    topology = Topology("demo", (Pod("trade-0", stages=("gate", "trade", "post", "score")),))

    assert sum(each.max_bytes for each in streams(topology)) < STORE_BYTES


def test_a_colocated_pod_hears_itself_inside_and_reads_only_what_comes_from_elsewhere():
    topology = Topology(
        "demo",
        (
            Pod("gateway", role="gateway"),
            Pod("think-0", stages=("perceive", "decide"), contenders=("a", "b")),
            Pod("trade-0", stages=("gate", "trade", "post", "score"), writes_journal=True),
        ),
    )

    read = {(each.user, each.stream, each.filters) for each in consumers(topology)}

    assert ("trade-0", "TF_demo_DECISION", ("tf.demo.turn.think-0",)) in read
    assert ("think-0", "TF_demo_OWN", ("tf.demo.own.a", "tf.demo.own.b")) in read
    assert ("gateway", "TF_demo_ORDER", ("tf.demo.turn.trade-0",)) in read
    assert not [each for each in read if each[0] == "think-0" and "perceive" in str(each[2])]


@pytest.mark.parametrize(
    ("topology", "says"),
    [
        (Topology("De.mo", ()), "'De.mo' is no lower-case DNS label"),
        (Topology("demo", (Pod("a>"),)), "'a>' is no lower-case DNS label"),
        (Topology("demo", (Pod("a"), Pod("a"))), "two pods are called 'a'"),
        (Topology("demo", (Pod("a", contenders=("*",)),)), "'*' is no lower-case DNS label"),
        (Topology("demo", (Pod("a", ("gate",), "gateway"),)), "hosts stages and has a role"),
    ],
)
def test_names_that_could_widen_a_subject_are_refused(topology, says):
    with pytest.raises(SpecError) as caught:
        check(topology)

    assert says in str(caught.value)


def test_a_setting_that_the_server_leaves_out_counts_as_its_default():
    assert [] == compare("stream X", {}, {"persist_mode": "default", "filter_subjects": []})
