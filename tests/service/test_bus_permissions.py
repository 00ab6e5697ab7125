"""May each user do what is declared, and nothing else? Tried against the real server."""

from __future__ import annotations

import asyncio
import json
import stat

import pytest
from nats.aio.client import Client

from titanflow.adapters.bus import keys as key_files
from titanflow.adapters.bus.client import MSG_ID
from titanflow.adapters.bus.errors import BusError, Closed, Forbidden
from titanflow.adapters.bus.permissions import HOST, Place, inbox, render, users
from titanflow.adapters.bus.streams import Pod, Topology, consumers, streams
from titanflow.core.base.errors import AdapterError, SpecError

SECONDS_MAX = 10


async def connect(arena, user):
    """Return a bare client of one user, and the list of what the server refused it, lower case."""
    refused = []

    async def note(error):
        refused.append(str(error).lower())

    client = Client()
    client._public_nkey = arena.keys[user].public
    await client.connect(
        servers=[arena.server.address],
        signature_cb=arena.keys[user].sign,
        inbox_prefix=inbox(user),
        error_cb=note,
    )
    return client, refused


async def settle(client, refused, subjects, allowed):
    """Wait for the server's refusals: it sends them apart from its other answers."""
    expected = sum(not any(matches(p, s) or p == s for p in allowed) for s in subjects)
    async with asyncio.timeout(SECONDS_MAX):
        while len(refused) < expected:
            await client.flush()
    await client.flush()


def every_subject(topology):
    """Return every subject that means something in the arena, wildcards filled in, and dangers."""
    arena = topology.arena
    named = {name for user in users(topology) for name in (*user.publish, *user.subscribe)}
    found = {name.replace("*", "alpha").replace(">", "probe") for name in named}
    for each in streams(topology):
        found |= {
            f"$JS.API.STREAM.{verb}.{each.name}" for verb in ("CREATE", "UPDATE", "PURGE", "DELETE")
        }
        found |= {f"$JS.API.STREAM.MSG.{verb}.{each.name}" for verb in ("GET", "DELETE")}
        found |= {f"$JS.API.DIRECT.GET.{each.name}", f"$JS.API.STREAM.INFO.{each.name}"}
        found |= set(each.subjects) - {name for name in each.subjects if "*" in name}
    for each in consumers(topology):
        found |= {
            f"$JS.API.CONSUMER.{verb}.{each.stream}.{each.name}"
            for verb in ("CREATE", "DELETE", "INFO", "DURABLE.CREATE")
        }
    found |= {f"tf.{arena}.own.beta", f"tf.{arena}.control.host", f"tf.{arena}.work.train"}
    return sorted(found | {"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$SYS.REQ.SERVER.PING"})


def matches(pattern, subject):
    """Say whether a subject falls under a pattern, as NATS reads it."""
    wanted, tokens = pattern.split("."), subject.split(".")
    for place, token in enumerate(wanted):
        if token == ">":
            return len(tokens) > place
        if place >= len(tokens) or token not in {"*", tokens[place]}:
            return False
    return len(wanted) == len(tokens)


def test_every_user_publishes_exactly_what_is_declared(arena):
    subjects = every_subject(arena.topology)
    # Without their bodies these requests would be harmless; they are not sent to be answered.
    seen = set()

    async def listen(message):
        seen.add((message.data.decode(), message.subject))

    async def run():
        host, _ = await connect(arena, HOST)
        for root in ("tf.>", "$JS.API.>", "$JS.ACK.>"):
            await host.subscribe(root, cb=listen)
        await host.flush()
        found = {}
        for user in users(arena.topology):
            client, refused = await connect(arena, user.name)
            for name in subjects:
                await client.publish(name, user.name.encode())
            await settle(client, refused, subjects, user.publish)
            found[user.name] = refused
            await client.close()
        await host.flush()
        await host.close()
        return found

    asyncio.run(arena.prepare())
    refused = asyncio.run(run())

    for user in users(arena.topology):
        allowed = {s for s in subjects if any(matches(p, s) for p in user.publish)}
        violations = {f'nats: permissions violation for publish to "{s.lower()}"' for s in subjects}
        permitted = {f'nats: permissions violation for publish to "{s.lower()}"' for s in allowed}
        assert violations - permitted == set(refused[user.name]), user.name
        # What is allowed also arrives in the arena, and nothing else does.
        assert allowed == {s for who, s in seen if who == user.name}, user.name


def test_every_user_subscribes_to_exactly_what_is_declared(arena):
    subjects = [*every_subject(arena.topology), ">", "tf.>", "$JS.API.>", "_INBOX.>", "$SYS.>"]
    subjects += [f"{inbox(pod.name)}.>" for pod in arena.topology.pods]

    async def run():
        found = {}
        for user in users(arena.topology):
            client, refused = await connect(arena, user.name)
            for name in subjects:
                await client.subscribe(name)
            await settle(client, refused, subjects, user.subscribe)
            found[user.name] = refused
            await client.close()
        return found

    refused = asyncio.run(run())

    for user in users(arena.topology):
        denied = [s for s in subjects if not any(matches(p, s) or p == s for p in user.subscribe)]
        expected = {
            f'nats: permissions violation for subscription to "{s.lower()}"' for s in denied
        }
        assert expected == set(refused[user.name]), user.name


def test_only_risk_may_publish_on_the_subject_of_verdicts():
    topology = Topology("demo", tuple(Pod(f"p{i}", ("decide",)) for i in range(3)))
    topology = Topology("demo", (*topology.pods, Pod("risk-0", ("gate",))))

    may = [
        user.name
        for user in users(topology)
        if any(matches(pattern, "tf.demo.turn.risk-0") for pattern in user.publish)
    ]

    assert ["risk-0"] == may


def test_only_governance_and_sentinel_command_and_only_risk_and_execution_hear(arena):
    everyone = users(arena.topology)
    commands = {
        user.name: [name for name in user.publish if name.startswith("tf.demo.control.")]
        for user in everyone
    }
    hearing = {
        each.user
        for each in consumers(arena.topology)
        if each.stream == "TF_demo_CONTROL" and each.name == each.user
    }
    read = {
        each.stream: each.filters for each in consumers(arena.topology) if each.name == "governance"
    }

    assert {
        "governance": ["tf.demo.control.governance"],
        "sentinel": ["tf.demo.control.sentinel"],
    } == {name: found for name, found in commands.items() if found}
    assert {"risk-0", "execution-0", "sentinel"} == hearing
    assert {"TF_demo_ORDER": ("tf.demo.turn.risk-0",)} == read


def test_no_right_of_a_pod_of_contenders_touches_orders_books_control_or_other_contenders(arena):
    allowed = {"MARKET": "tf.demo.market", "DECISION": "tf.demo.turn.perception-0"}
    allowed["OWN"] = "tf.demo.own.alpha"

    read = {
        each.stream.rpartition("_")[2]: each.filters
        for each in consumers(arena.topology)
        if each.name == "signal-alpha"
    }
    alpha = next(user for user in users(arena.topology) if user.name == "signal-alpha")

    assert {kind: (name,) for kind, name in allowed.items()} == read
    assert ("_INBOX_signal-alpha.>",) == alpha.subscribe
    written = [name for name in alpha.publish if name.startswith("tf.")]
    assert ["tf.demo.beat.signal-alpha", "tf.demo.turn.signal-alpha"] == written
    assert not [name for name in alpha.publish if "_ORDER" in name or "_LEDGER" in name]


def test_a_contender_reads_the_market_beliefs_and_its_own_copies_and_nothing_else(arena):
    async def read(user, stream, expected):
        async with arena.bus(user) as bus:
            reader = bus.consume(stream, user, after=0)
            got = []
            async with asyncio.timeout(SECONDS_MAX):
                while len(got) < expected:
                    message = await anext(reader)
                    got.append((message.subject, message.data))
                    await message.ack()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await anext(reader)
            await reader.close()
            return got

    async def run():
        async with arena.bus("gateway") as bus:
            await bus.publish_turn("TF_demo_MARKET", "tf.demo.market", b"bar", "gateway/1", 0)
        for pod in ("perception-0", "signal-alpha", "signal-beta"):
            async with arena.bus(pod) as bus:
                subject = f"tf.demo.turn.{pod}"
                await bus.publish_turn("TF_demo_DECISION", subject, pod.encode(), f"{pod}/1", 0)
        async with arena.bus("execution-0") as bus:
            for name in ("alpha", "beta"):
                await bus.publish(f"tf.demo.own.{name}", name.encode(), f"own/{name}/1")
        kinds = {"MARKET": 1, "DECISION": 1, "OWN": 1}
        return [
            await read("signal-alpha", f"TF_demo_{kind}", count) for kind, count in kinds.items()
        ]

    asyncio.run(arena.prepare())
    market, decision, own = asyncio.run(run())

    assert [("tf.demo.market", b"bar")] == market
    assert [("tf.demo.turn.perception-0", b"perception-0")] == decision
    assert [("tf.demo.own.alpha", b"alpha")] == own


def test_a_contender_snoops_in_vain(arena):
    """Other contenders' subjects, the whole of a stream, others' consumers, others' inboxes."""
    others = [
        ("$JS.API.STREAM.MSG.GET.TF_demo_OWN", b'{"seq":1}'),
        ("$JS.API.DIRECT.GET.TF_demo_OWN", b'{"seq":1}'),
        ("$JS.API.DIRECT.GET.TF_demo_DECISION.tf.demo.turn.signal-beta", b""),
        ("$JS.API.CONSUMER.MSG.NEXT.TF_demo_OWN.signal-beta", b"1"),
        ("$JS.API.CONSUMER.CREATE.TF_demo_OWN.mine", b"{}"),
        ("$JS.API.STREAM.NAMES", b""),
        ("tf.demo.turn.risk-0", b"verdict"),
        ("tf.demo.turn.signal-beta", b"intent"),
        ("tf.demo.own.alpha", b"fill"),
    ]

    async def run():
        async with arena.bus("signal-alpha") as bus:
            for subject, body in others:
                with pytest.raises(Forbidden):
                    await bus.ask(subject, body)

    asyncio.run(arena.prepare())
    asyncio.run(run())


@pytest.mark.parametrize(
    "body", [b'{"seq":1}', b'{"last_by_subj":"tf.demo.turn.signal-beta"}', b'{"multi_last":[">"]}']
)
def test_the_request_for_the_last_turn_gives_no_other_turn_whatever_its_body(arena, body):
    async def run():
        for pod in ("signal-beta", "signal-alpha"):
            async with arena.bus(pod) as bus:
                subject = f"tf.demo.turn.{pod}"
                await bus.publish_turn("TF_demo_DECISION", subject, pod.encode(), f"{pod}/1", 0)
        async with arena.bus("signal-alpha") as bus:
            mine = "$JS.API.DIRECT.GET.TF_demo_DECISION.tf.demo.turn.signal-alpha"
            return await bus.ask(mine, body)

    asyncio.run(arena.prepare())

    assert asyncio.run(run()) in {b"signal-alpha", b""}  # its own turn, or a refusal


def test_no_reply_subject_makes_the_server_write_where_the_asker_may_not(arena):
    """The server does not check a reply against the asker's rights; the account has to stop it."""

    async def run():
        async with arena.bus("gateway") as bus:
            await bus.publish_turn("TF_demo_MARKET", "tf.demo.market", b"bar", "gateway/1", 0)
        client, _ = await connect(arena, "signal-alpha")
        victim = "tf.demo.turn.risk-0"
        await client.publish("tf.demo.turn.signal-alpha", b"mine", reply=victim)
        pull = "$JS.API.CONSUMER.MSG.NEXT.TF_demo_MARKET.signal-alpha"
        await client.publish(pull, b'{"batch":5}', reply=victim)
        reset = "$JS.API.CONSUMER.RESET.TF_demo_MARKET.signal-alpha"
        await client.publish(reset, b'{"seq":1}', reply=victim)
        await client.publish("$JS.ACK.TF_demo_MARKET.signal-alpha.1.1.1.1.0", b"+NXT", reply=victim)
        await client.flush()
        await client.close()
        # The host's answer comes behind whatever the server made of the requests before.
        async with arena.bus(HOST) as host:
            order = json.loads(await host.ask("$JS.API.STREAM.INFO.TF_demo_ORDER"))
            mine = json.loads(await host.ask("$JS.API.STREAM.INFO.TF_demo_DECISION"))
        return order["state"]["messages"], mine["state"]["messages"]

    asyncio.run(arena.prepare())

    assert (0, 1) == asyncio.run(run())


def test_an_id_that_a_contender_used_up_does_not_swallow_another_pod_s_turn(arena):
    async def run():
        async with arena.bus("signal-alpha") as thief, arena.bus("perception-0") as bus:
            stream, subject = "TF_demo_DECISION", "tf.demo.turn.perception-0"
            await thief.publish("tf.demo.turn.signal-alpha", b"theft", "perception-0/1")
            published = await bus.publish_turn(stream, subject, b"belief", "perception-0/1", 0)
            again = await bus.publish_turn(stream, subject, b"belief", "perception-0/1", 0)
            return published, again, await bus.last(stream, subject), bus.counters

    asyncio.run(arena.prepare())
    published, again, last, counters = asyncio.run(run())

    assert (2, False) == (published.sequence, published.is_duplicate)
    assert (2, True) == (again.sequence, again.is_duplicate)
    assert (2, b"belief") == (last.sequence, last.data)
    assert MSG_ID not in last.headers
    assert 1 == counters.stolen_ids


def test_a_contender_cannot_roll_a_stream_up_with_a_header(arena):
    async def run():
        async with arena.bus("signal-alpha") as bus:
            subject = "tf.demo.turn.signal-alpha"
            await bus.publish(subject, b"1", "signal-alpha/1")
            link = await bus.link(asyncio.get_running_loop().time() + 1)
            answer = await link.request(subject, b"2", {"Nats-Rollup": "all"}, 1)
            return json.loads(answer.data)

    asyncio.run(arena.prepare())

    assert "rollup" in asyncio.run(run())["error"]["description"]


def test_a_user_that_the_server_does_not_know_is_refused_at_once(arena, tmp_path):
    async def run():
        bus = arena.bus("signal-alpha")
        bus._key = key_files.make(tmp_path / "stranger.nk")
        async with bus:
            raise AssertionError

    with pytest.raises(Closed, match="does not know 'signal-alpha'"):
        asyncio.run(run())


def test_nobody_may_come_without_a_key(arena):
    async def run():
        client = Client()
        try:
            await client.connect(servers=[arena.server.address], allow_reconnect=False)
        finally:
            client._transport.close()
            await client._transport.wait_closed()

    # The server says why and hangs up; on a busy machine the end of the line may come first.
    with pytest.raises(Exception, match=r"Authorization Violation|reset by peer|Broken pipe|EOF"):
        asyncio.run(run())


def test_sentinel_hears_heartbeats_of_pods_and_other_pods_do_not(arena):
    async def run():
        heard, met = [], asyncio.Event()

        def note(subject, data):
            heard.append((subject, data))
            met.set()

        async with arena.bus("sentinel") as sentinel, arena.bus("risk-0") as risk:
            await sentinel.hear("tf.demo.beat.*", note)
            await sentinel.hear("_INBOX_sentinel.never", note)
            # Interest crosses accounts in its own time; a heartbeat is one of many.
            async with asyncio.timeout(SECONDS_MAX):
                while not met.is_set():
                    await risk.beat("tf.demo.beat.risk-0", b"alive")
                    await asyncio.sleep(0.01)
        return heard[0]

    assert ("tf.demo.beat.risk-0", b"alive") == asyncio.run(run())


def test_the_configuration_holds_no_secret(arena):
    text = (arena.folder / "nats" / "nats-server.conf").read_text()
    seeds = [path.read_text().strip() for path in (arena.folder / "keys").iterdir()]

    assert all(seed not in text for seed in seeds)
    assert all(seed.startswith("SU") for seed in seeds)


def test_a_key_is_made_once_and_is_its_owner_s_alone(tmp_path):
    path = tmp_path / "pods" / "risk-0.nk"

    made, again = key_files.make(path), key_files.make(path)

    assert made.public == again.public
    assert made.public.startswith("U")
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert path.read_text().strip() not in repr(made)


def test_a_key_that_others_may_read_or_that_is_damaged_is_refused(tmp_path):
    path = tmp_path / "risk-0.nk"
    key_files.make(path)
    path.chmod(0o640)
    with pytest.raises(AdapterError, match="chmod 600"):
        key_files.read(path)

    path.chmod(0o600)
    text = path.read_text()
    for damaged in (text[:-3], "A" + text[1:], text.replace(text[20], "A"), "", "ü"):
        path.write_text(damaged)
        if damaged != text:
            with pytest.raises(AdapterError):
                key_files.read(path)


def test_a_user_without_a_key_and_a_pod_called_host_are_mistakes():
    topology = Topology("demo", (Pod("risk-0", ("gate",)),))

    with pytest.raises(SpecError, match="'risk-0' has no key"):
        render(topology, {HOST: "U"}, Place("folder"))
    with pytest.raises(SpecError, match="called 'host'"):
        users(Topology("demo", (Pod(HOST),)))


def test_a_pod_added_by_reload_may_work_at_once(arena, tmp_path):
    newcomer = Pod("signal-gamma", ("decide",), contenders=("gamma",))
    wider = Topology("demo", (*arena.topology.pods, newcomer))
    arena.keys["signal-gamma"] = key_files.make(tmp_path / "signal-gamma.nk")

    async def run():
        async with arena.bus(HOST) as host, arena.bus("signal-alpha") as alpha:
            arena.server.reload(wider, arena.public)
            stream = json.loads(await host.ask("$JS.API.STREAM.INFO.TF_demo_DECISION"))["config"]
            stream["subjects"].append("tf.demo.turn.signal-gamma")
            body = json.dumps(stream).encode()
            await host.ask("$JS.API.STREAM.UPDATE.TF_demo_DECISION", body)
            async with arena.bus("signal-gamma") as bus:
                subject = "tf.demo.turn.signal-gamma"
                made = await bus.publish_turn(
                    "TF_demo_DECISION", subject, b"x", "signal-gamma/1", 0
                )
            subject = "tf.demo.turn.signal-alpha"
            kept = await alpha.publish_turn("TF_demo_DECISION", subject, b"x", "signal-alpha/1", 0)
        arena.server.reload(arena.topology, arena.public)
        return made, kept

    asyncio.run(arena.prepare())
    made, kept = asyncio.run(run())

    assert (1, 2) == (made.sequence, kept.sequence)


def test_a_deleted_stream_is_told_and_not_waited_for_without_end(arena):
    async def run():
        async with arena.bus(HOST) as host, arena.bus("risk-0") as bus:
            await host.ask("$JS.API.STREAM.DELETE.TF_demo_ORDER")
            with pytest.raises(BusError, match="gave up after"):
                await bus.publish_turn("TF_demo_ORDER", "tf.demo.turn.risk-0", b"x", "risk-0/1", 0)

    asyncio.run(arena.prepare())
    asyncio.run(run())
