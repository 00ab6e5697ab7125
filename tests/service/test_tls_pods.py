"""Under `up --tls`: who asks is who his certificate says, and without one nobody is answered."""

from __future__ import annotations

import getpass
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pods_kit import Pods, pods, until
from rpc_kit import kill, refusal, run, status

from titanflow.adapters.rpc.client import Client
from titanflow.adapters.rpc.refusal import Code
from titanflow.core.base.errors import AdapterError, SpecError
from titanflow.core.facts import KillSwitch
from titanflow.runtime.authority import ensure, files_of, issue
from titanflow.runtime.docket import docket_of

DAY = 86_400
PODS = ("gateway", "governance", "sentinel", "signal", "trade")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    """Give a session under mutual TLS whose market stands still."""
    home = tmp_path_factory.mktemp("tls")
    with pods(home, 60, "--speed", str(8 * DAY), "--tls", "pki") as session:
        until("trading", lambda: session.turns("trade") > 6)
        paused = session.call("pause", "--reason", "to look")
        assert 0 == paused.returncode, paused.stderr
        yield session


def test_every_pod_has_a_certificate_of_its_own_and_only_its_owner_reads_the_key(
    made: Pods,
) -> None:
    folder = made.home / "pki"

    for name in (*PODS, getpass.getuser()):
        files = files_of(folder, name)
        found = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        (common,) = found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        assert name == common.value
        assert 0o600 == stat.S_IMODE(files.key.stat().st_mode)
    assert 0o600 == stat.S_IMODE((folder / "authority.key").stat().st_mode)


def test_without_a_certificate_nobody_is_answered_and_health_is_told_to_all(made: Pods) -> None:
    async def talk() -> None:
        for pod in PODS:
            assert Code.UNAVAILABLE == await asked_bare(made.address(pod), made.home / "pki")
            async with Client(made.address(pod)) as plain:
                assert Code.UNAVAILABLE == (await refusal(status(plain))).code
            async with grpc.aio.insecure_channel(made.address(pod, "health")) as channel:
                stub = health_pb2_grpc.HealthStub(channel)
                answer = await stub.Check(health_pb2.HealthCheckRequest(service="readiness"))
                assert health_pb2.HealthCheckResponse.SERVING == answer.status
            async with Client(made.address(pod, "health")) as plain:
                assert Code.UNIMPLEMENTED == (await refusal(status(plain))).code

    run(talk())


async def asked_bare(address: str, folder: Path) -> Code:
    """Ask for health by TLS with nothing to show; return the code of the refusal."""
    trusted = grpc.ssl_channel_credentials((folder / "authority.pem").read_bytes())
    async with grpc.aio.secure_channel(address, trusted) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    return Code(caught.value.code())


def test_no_certificate_of_a_pod_commands_or_pauses(made: Pods) -> None:
    async def talk() -> None:
        for pod in PODS:
            files = files_of(made.home / "pki", pod)
            async with Client(made.address("governance"), files) as client:
                said = await refusal(kill(client, token=f"by-{pod}", requested_by="ada"))
                assert (Code.PERMISSION_DENIED, "DENIED") == (said.code, said.reason)
                assert pod in said.text

    run(talk())


def test_a_release_needs_the_certificate_of_a_second_person(made: Pods) -> None:
    words = ("arena", "--reason", "a drill")
    assert 0 == made.call("kill", *words).returncode

    again = made.call("release", *words)
    unknown = made.call("release", *words, "--by", "bob")
    issued = made.call("tls", "issue", "bob", "--tls", "pki", "-o", "json")
    released = made.call("release", *words, "--by", "bob")

    assert 6 == again.returncode
    assert "second person" in again.stderr
    assert 2 == unknown.returncode
    assert "titanflow tls issue bob --tls" in unknown.stderr
    assert "pki/bob.key" == json.loads(issued.stdout)[0]["key"]
    assert 0 == released.returncode, released.stderr
    docket = docket_of(made.session).read_text()
    assert "stated:" not in docket
    assert '"bob"' in docket


def test_the_session_ends_verified_with_proven_names_in_its_record(made: Pods) -> None:
    assert 0 == made.call("resume", "--reason", "seen").returncode
    made.end()

    by = {fact.by for fact in made.facts() if isinstance(fact, KillSwitch)}
    assert {getpass.getuser(), "bob"} <= by
    assert not any(name.startswith("stated:") for name in by)


def test_what_is_missing_is_named_where_nobody_can_make_it(tmp_path: Path) -> None:
    ensure(tmp_path, ["trade"])
    (tmp_path / "authority.key").unlink()

    with pytest.raises(SpecError, match=r"risk\.pem is missing"):
        ensure(tmp_path, ["trade", "risk"])
    assert [] == ensure(tmp_path, ["trade"])


def test_a_certificate_that_expires_soon_is_made_anew(tmp_path: Path) -> None:
    ensure(tmp_path, ["trade", "risk"])
    former = issue(tmp_path, "risk", days=2).certificate.read_bytes()

    assert ["risk"] == ensure(tmp_path, ["trade", "risk"])
    assert former != (tmp_path / "risk.pem").read_bytes()


@pytest.mark.parametrize("name", ["", "../x", "a/b", "authority", "x" * 65, "é", "-a"])
def test_a_name_that_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError, match="is no name of a certificate"):
        files_of(tmp_path, name)


def test_damaged_files_of_an_authority_are_told(tmp_path: Path) -> None:
    ensure(tmp_path, ["trade"])
    (tmp_path / "authority.key").write_text("nothing")

    with pytest.raises(AdapterError, match="the authority's files are damaged"):
        ensure(tmp_path, ["risk"])
    (tmp_path / "trade.pem").write_text("nothing")
    with pytest.raises(AdapterError, match="is no certificate"):
        ensure(tmp_path, ["trade"])
