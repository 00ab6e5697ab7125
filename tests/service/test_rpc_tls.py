"""Does a server under mutual TLS know its callers, and does it send strangers away?"""

from __future__ import annotations

from pathlib import Path

import grpc
import grpc.aio
import pytest
from rpc_kit import Authority, World, refusal, run, serving

from titanflow.adapters.rpc.caller import _common_name
from titanflow.adapters.rpc.client import Client
from titanflow.adapters.rpc.refusal import Code, RefusalError
from titanflow.adapters.rpc.server import Listen
from titanflow.adapters.rpc.tls import TlsFiles, is_loopback
from titanflow.core.base.errors import SpecError
from titanflow.core.facts import KillSwitch
from titanflow.rpc.v1 import control_pb2, control_pb2_grpc, sessions_pb2, sessions_pb2_grpc
from titanflow.wire.v1 import words_pb2


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki", "tests")


def command(kind: type, token: str, stated: str = "", **fields: object) -> object:
    return kind(
        scope=words_pb2.KILL_SCOPE_CONTENDER,
        name="dice",
        reason="a drill",
        token=token,
        requested_by=stated,
        **fields,
    )


def status(client: Client) -> object:
    stub = sessions_pb2_grpc.SessionsStub(client.channel)
    return client.ask(stub.GetStatus, sessions_pb2.GetStatusRequest(), seconds=3)


def test_the_common_name_is_who_commands_whatever_he_states(
    tmp_path: Path, authority: Authority
) -> None:
    async def talk() -> None:
        world = World(tmp_path / "arena", bars=10)
        listen = Listen(tls=authority.issue("governance"))
        action = words_pb2.KILL_ACTION_CANCEL_ALL
        async with (
            serving(world.methods(), listen=listen) as server,
            Client(server.target, authority.issue("ada")) as ada,
            Client(server.target, authority.issue("bob")) as bob,
        ):
            kill = command(control_pb2.KillRequest, "t1", "bob", action=action)
            await ada.ask(control_pb2_grpc.ControlStub(ada.channel).Kill, kill)
            own = command(control_pb2.ReleaseRequest, "t2", "bob")
            said = await refusal(ada.ask(control_pb2_grpc.ControlStub(ada.channel).Release, own))
            other = command(control_pb2.ReleaseRequest, "t3")
            freed = await bob.ask(control_pb2_grpc.ControlStub(bob.channel).Release, other)

        names = [fact.by for fact in world.recorded if isinstance(fact, KillSwitch)]
        assert ["ada", "bob"] == names
        assert "a second person: ada engaged it" in said.text
        assert freed.accepted

    run(talk())


def test_strangers_are_sent_away(tmp_path: Path, authority: Authority) -> None:
    stranger = Authority(tmp_path / "other", "strangers").issue("ada")
    own = authority.issue("expired", days=-1)
    wrong = {
        "another authority": TlsFiles(stranger.certificate, stranger.key, authority.path),
        "expired": own,
    }

    async def talk() -> None:
        world = World(tmp_path / "arena", bars=2)
        async with serving(world.methods(), listen=Listen(tls=authority.issue("pod"))) as server:
            for files in wrong.values():
                async with Client(server.target, files) as client:
                    assert Code.UNAVAILABLE == (await refusal(status(client))).code
            async with Client(server.target) as client:
                assert Code.UNAVAILABLE == (await refusal(status(client))).code
            # TLS, but nothing to show: the library's plain client of any web site.
            roots = grpc.ssl_channel_credentials(authority.path.read_bytes())
            async with grpc.aio.secure_channel(server.target, roots) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await sessions_pb2_grpc.SessionsStub(channel).GetStatus(
                        sessions_pb2.GetStatusRequest(), timeout=3
                    )
                assert Code.UNAVAILABLE == caught.value.code()
            async with Client(server.target, authority.issue("friend")) as client:
                assert (await status(client)).session
            # The library hears of methods only behind the handshake.
            assert {("titanflow.rpc.v1.Sessions/GetStatus", "OK"): 1} == server.meter.calls

    run(talk())


def test_a_client_does_not_speak_to_a_server_that_it_cannot_know(
    tmp_path: Path, authority: Authority
) -> None:
    async def talk() -> None:
        world = World(tmp_path / "arena", bars=2)
        other = Authority(tmp_path / "other", "strangers")
        for files in (other.issue("pod"), authority.issue("old", days=-1)):
            listen = Listen(tls=TlsFiles(files.certificate, files.key, authority.path))
            async with (
                serving(world.methods(), listen=listen) as server,
                Client(server.target, authority.issue("ada")) as client,
            ):
                assert Code.UNAVAILABLE == (await refusal(status(client))).code
                assert {} == server.meter.calls

    run(talk())


@pytest.mark.parametrize("name", ["", "stated:ada", "a b", "x" * 64])
def test_a_certificate_whose_name_we_would_not_write_down_is_nobody(
    tmp_path: Path, authority: Authority, name: str
) -> None:
    async def talk() -> None:
        world = World(tmp_path / "arena", bars=2)
        async with (
            serving(world.methods(), listen=Listen(tls=authority.issue("pod"))) as server,
            Client(server.target, authority.issue("odd", common_name=name)) as client,
        ):
            if len(name) == 64:
                assert (await status(client)).session
                return
            said = await refusal(status(client))

        assert (Code.UNAUTHENTICATED, "IDENTITY_INVALID") == (said.code, said.reason)

    run(talk())


def test_a_connection_under_tls_without_any_name_is_nobody_and_no_stated_one() -> None:
    with pytest.raises(RefusalError, match="it is missing"):
        _common_name({"transport_security_type": [b"ssl"]})

    assert "" == _common_name({"transport_security_type": [b"insecure"]})


def test_files_that_are_no_keys_are_named_before_anything_listens(
    tmp_path: Path, authority: Authority
) -> None:
    good = authority.issue("pod")
    bad = TlsFiles(good.key, tmp_path / "missing", good.authority)

    with pytest.raises(SpecError) as caught:
        bad.server()

    said = [
        (problem.where, problem.what.split(str(tmp_path))[0]) for problem in caught.value.problems
    ]
    assert [("tls.certificate", ""), ("tls.key", "cannot read ")] == said


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("localhost.example.org", False),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("10.0.0.1", False),
    ],
)
def test_loopback_is_told_from_everything_else(host: str, is_own: bool) -> None:
    assert is_own == is_loopback(host)
