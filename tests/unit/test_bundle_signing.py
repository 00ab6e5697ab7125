"""Is only what a trusted key has signed believed, and only exactly that?"""

import base64
import stat

import msgspec
import pytest
from model_kit import Signer, linear_archive

from titanflow.adapters.bundles.archive import sha256_of
from titanflow.adapters.bundles.bundle import open_bundle
from titanflow.adapters.bundles.refusal import BundleRefusedError, Step
from titanflow.adapters.bundles.signing import Trust, generate, read_signature, sign
from titanflow.adapters.bundles.store import list_bundles, open_file
from titanflow.core.base.errors import AdapterError, SpecError

ARCHIVE = linear_archive()


@pytest.fixture
def signer(tmp_path) -> Signer:
    return Signer(tmp_path / "keys")


def refused(archive, signature, trust) -> BundleRefusedError:
    with pytest.raises(BundleRefusedError) as caught:
        open_bundle(archive, signature, trust)
    return caught.value


def test_what_is_signed_is_opened(signer, tmp_path) -> None:
    path = signer.write(tmp_path / "bundles", ARCHIVE)

    bundle = open_file(path, signer.trust)

    assert sha256_of(ARCHIVE) == bundle.contract.digest
    assert ("roc_1", "roc_3", "rsi_5") == bundle.contract.features
    assert ["line"] == [found.name for found in list_bundles(path.parent)]


def test_a_private_key_is_for_its_owner_only(signer) -> None:
    assert 0o600 == stat.S_IMODE(signer.private.stat().st_mode)


def test_a_key_that_is_there_is_not_overwritten(signer, tmp_path) -> None:
    with pytest.raises(SpecError, match="is there"):
        generate(tmp_path / "keys", "tester")


@pytest.mark.parametrize("name", ["", "a/b", "../x", "x" * 65, "a b"])
def test_a_name_that_is_none_makes_no_key(tmp_path, name: str) -> None:
    with pytest.raises(SpecError, match="no name of a key"):
        generate(tmp_path, name)


def test_a_file_without_signature_is_refused(signer, tmp_path) -> None:
    path = signer.write(tmp_path, ARCHIVE)
    path.with_name(path.name + ".sig").unlink()

    with pytest.raises(BundleRefusedError, match="not signed"):
        open_file(path, signer.trust)


def test_a_signature_file_that_is_none_is_refused(signer, tmp_path) -> None:
    path = signer.write(tmp_path, ARCHIVE)
    path.with_name(path.name + ".sig").write_text('{"keyId": 1}')

    with pytest.raises(BundleRefusedError, match="no signature"):
        read_signature(path)


def test_a_key_that_nobody_trusts_is_refused(signer, tmp_path) -> None:
    stranger = Signer(tmp_path / "elsewhere", "stranger")

    error = refused(ARCHIVE, stranger.sign(ARCHIVE), signer.trust)

    assert Step.SIGNATURE is error.step
    assert "not trusted" in error.what


def test_another_key_under_a_trusted_name_is_refused(signer, tmp_path) -> None:
    impostor = Signer(tmp_path / "elsewhere", "tester")

    assert "not signed by" in refused(ARCHIVE, impostor.sign(ARCHIVE), signer.trust).what


def test_a_name_cannot_lead_out_of_the_store(signer) -> None:
    signature = msgspec.structs.replace(signer.sign(ARCHIVE), key_id="../keys/tester")

    assert "not trusted" in refused(ARCHIVE, signature, signer.trust).what


@pytest.mark.parametrize("text", ["", "!!!", base64.b64encode(bytes(64)).decode(), "AAAA"])
def test_a_signature_that_is_wrong_is_refused(signer, text: str) -> None:
    signature = msgspec.structs.replace(signer.sign(ARCHIVE), ed25519=text)

    assert Step.SIGNATURE is refused(ARCHIVE, signature, signer.trust).step


def test_a_tampered_archive_is_refused_before_it_is_parsed(signer) -> None:
    tampered = bytearray(ARCHIVE)
    tampered[-2000] ^= 1

    error = refused(bytes(tampered), signer.sign(ARCHIVE), signer.trust)

    assert Step.HASH is error.step


def test_a_signature_of_another_digest_is_refused(signer) -> None:
    signature = msgspec.structs.replace(signer.sign(ARCHIVE), sha256=sha256_of(b"other"))

    assert Step.SIGNATURE is refused(ARCHIVE, signature, signer.trust).step


def test_an_archive_beyond_the_size_limit_is_refused_first(signer) -> None:
    with pytest.raises(BundleRefusedError) as caught:
        open_bundle(ARCHIVE, signer.sign(b""), Trust([]), size_max=100)

    assert Step.SIZE is caught.value.step


def test_files_that_are_no_keys_are_said_to_be_none(signer, tmp_path) -> None:
    signer.public.write_text("no key")

    with pytest.raises(AdapterError, match="no public key"):
        signer.trust.check(signer.sign(ARCHIVE))
    with pytest.raises(SpecError, match="no private key"):
        sign(sha256_of(ARCHIVE), signer.public)
