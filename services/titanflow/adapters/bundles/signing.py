"""Who vouches for a bundle? Whoever signed the SHA-256 of its archive with ed25519.

A signature is detached: `NAME.tfb.sig` is JSON with the key's name, the digest and the signature of
the digest's 32 bytes. Keys are PEM files: `KEY.key` is private (PKCS 8), `KEY.pub` is public. A
trust store is a folder of public keys; what is in it is believed.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from titanflow.adapters.bundles.refusal import BundleRefusedError, Step
from titanflow.core.base.errors import AdapterError, Problem, SpecError

SIGNATURE_SUFFIX = ".sig"
FILE_BYTES_MAX = 4096
"""Largest key or signature file that is read."""
KEYS = "keys"
"""Name of the folder of trusted keys: beside manifests, and among this machine's state."""

_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A signature of one archive."""

    key_id: str
    sha256: str
    ed25519: str
    """64 bytes in standard base64."""


class Trust:
    """The public keys that are believed: files `KEY.pub` in some folders, the first one wins."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self.folders = tuple(folders)

    def key(self, key_id: str) -> Ed25519PublicKey | None:
        """Return the key of that name, None if there is none.

        Raises: AdapterError if the file is there and is no public key of ed25519.
        """
        if _KEY_ID.fullmatch(key_id) is None:
            return None
        for folder in self.folders:
            path = folder / f"{key_id}.pub"
            if path.is_file():
                return _public(path)
        return None

    def check(self, signature: Signature) -> None:
        """Check a signature before anything that it covers is looked at.

        Raises: BundleRefusedError if the key is unknown or the signature is not its own.
        """
        key = self.key(signature.key_id)
        if key is None:
            places = ", ".join(str(folder) for folder in self.folders) or "no folder"
            what = f"key {signature.key_id!r} is not trusted (looked in {places})"
            raise BundleRefusedError(Step.SIGNATURE, what)
        try:
            signed = base64.b64decode(signature.ed25519, validate=True)
            key.verify(signed, bytes.fromhex(signature.sha256))
        except (InvalidSignature, binascii.Error, ValueError):
            what = f"it is not signed by key {signature.key_id!r}"
            raise BundleRefusedError(Step.SIGNATURE, what) from None


def sign(sha256: str, key: Path, key_id: str = "") -> Signature:
    """Return the signature of a digest by the private key in a file.

    The key's name is *key_id*, or the name of the file.

    Raises: SpecError if the file holds no private key of ed25519.
    """
    name = key_id or key.name.removesuffix(".key")
    if _KEY_ID.fullmatch(name) is None:
        raise SpecError([Problem(f"{name!r} is no name of a key", "--key-id", "letters, digits")])
    try:
        private = load_pem_private_key(_read(key), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        do = "make one with `titanflow bundle keygen`"
        raise SpecError([Problem("it holds no private key of ed25519 in PEM", str(key), do)])
    signed = private.sign(bytes.fromhex(sha256))
    return Signature(name, sha256, base64.b64encode(signed).decode())


def generate(folder: Path, key_id: str) -> tuple[Path, Path]:
    """Write a new pair of keys and return their files: the private one, the public one.

    Raises: SpecError if the name is no name, or a key of it is there.
    """
    if _KEY_ID.fullmatch(key_id) is None:
        what = f"{key_id!r} is no name of a key"
        raise SpecError([Problem(what, "keygen", "use letters, digits and . _ -, at most 64")])
    private, public = folder / f"{key_id}.key", folder / f"{key_id}.pub"
    if private.exists() or public.exists():
        raise SpecError([Problem(f"a key {key_id!r} is there", str(folder), "use another name")])
    folder.mkdir(parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
    shown = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    public.write_bytes(shown)
    return private, public


def read_signature(archive: Path) -> Signature:
    """Return the signature that lies beside an archive.

    Raises: BundleRefusedError if there is none, or it is none.
    """
    path = archive.with_name(archive.name + SIGNATURE_SUFFIX)
    if not path.is_file():
        raise BundleRefusedError(Step.SIGNATURE, f"it is not signed: there is no {path.name}")
    try:
        return msgspec.json.decode(_read(path), type=Signature)
    except msgspec.DecodeError as error:
        raise BundleRefusedError(Step.SIGNATURE, f"{path.name} is no signature: {error}") from error


def write_signature(archive: Path, signature: Signature) -> Path:
    """Write a signature beside its archive and return the file."""
    path = archive.with_name(archive.name + SIGNATURE_SUFFIX)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(signature), indent=2) + b"\n")
    return path


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES_MAX)
    except OSError as error:
        raise AdapterError(f"cannot read {path}: {error.strerror}") from error


def _public(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise AdapterError(f"{path} holds no public key of ed25519 in PEM")
    return key
