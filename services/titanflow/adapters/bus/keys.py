"""How does a pod prove who it is? By signing the server's nonce with an ed25519 key of its own.

The server's configuration holds public keys only, so nothing that is secret lies in a file that
more than one process reads, in an argument or in a log. The spelling of keys is the one of NATS
(nkeys: https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/nkey_auth):
a prefix, 32 bytes, a CRC16, in base32.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from titanflow.core.base.errors import AdapterError

_SEED: Final = 18 << 3
_USER: Final = 20 << 3
_SEED_BYTES: Final = 32
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Key:
    """One user's key. It shows its public half only; the secret half signs."""

    __slots__ = ("_secret", "public")

    def __init__(self, secret: Ed25519PrivateKey) -> None:
        self._secret = secret
        raw = secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.public = _spell(bytes([_USER]) + raw)

    def __repr__(self) -> str:
        return f"Key({self.public})"

    def sign(self, nonce: str) -> bytes:
        """Return the signature of the server's nonce, in base64."""
        return base64.b64encode(self._secret.sign(nonce.encode()))


def make(path: Path) -> Key:
    """Return the key in *path*, made now if there is none; only its owner may read the file.

    Raises: AdapterError if the file cannot be written or read, or others may read it.
    """
    secret = Ed25519PrivateKey.generate()
    raw = secret.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    text = _spell(bytes([_SEED | (_USER >> 5), (_USER & 31) << 3]) + raw)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read(path)
    except OSError as error:
        raise AdapterError(f"cannot make the key {path}: {error.strerror}") from error
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())  # the server's file names the public half before long
    return Key(secret)


def read(path: Path) -> Key:
    """Return the key in *path*.

    Raises: AdapterError if it cannot be read, is no user's key, or others may read it too.
    """
    try:
        text = path.read_text("ascii").strip()
        mode = path.stat().st_mode
    except (OSError, UnicodeError) as error:
        raise AdapterError(f"cannot read the key {path}: {error}") from error
    if mode & _OTHERS:
        raise AdapterError(f"others may read the key {path}; say `chmod 600 {path}`")
    try:
        raw = base64.b32decode(text + "=" * (-len(text) % 8))
    except binascii.Error:
        raw = b""
    body, check = raw[:-2], raw[-2:]
    spelled = bytes([_SEED | (_USER >> 5), (_USER & 31) << 3])
    if len(body) != _SEED_BYTES + 2 or body[:2] != spelled or check != _crc(body):
        raise AdapterError(f"{path} holds no key of a NATS user; remove it, and one will be made")
    return Key(Ed25519PrivateKey.from_private_bytes(body[2:]))


def _spell(body: bytes) -> str:
    """Return a prefixed key in base32, with its check sum."""
    return base64.b32encode(body + _crc(body)).decode().rstrip("=")


def _crc(body: bytes) -> bytes:
    """Return CRC16 with the polynomial of XMODEM, low byte first."""
    return binascii.crc_hqx(body, 0).to_bytes(2, "little")
