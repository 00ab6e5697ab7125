"""How are both sides of a connection known? Mutual TLS from three PEM files on each side.

Whoever holds a certificate of the same authority may connect; its common name is who he is. A
server of ours never takes a connection without a certificate where it has files.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path

import grpc
import msgspec

from titanflow.core.base.errors import Problem, SpecError


class TlsFiles(msgspec.Struct, frozen=True):
    """PEM files of one side: its certificate chain, its key, and the authority of the others."""

    certificate: Path
    key: Path
    authority: Path

    def server(self) -> grpc.ServerCredentials:
        """Return the credentials of a server that demands certificates of its clients.

        Raises: SpecError naming each file that cannot be read.
        """
        certificate, key, authority = self._read()
        return grpc.ssl_server_credentials(
            [(key, certificate)], root_certificates=authority, require_client_auth=True
        )

    def client(self) -> grpc.ChannelCredentials:
        """Return the credentials of a client.

        Raises: SpecError naming each file that cannot be read.
        """
        certificate, key, authority = self._read()
        return grpc.ssl_channel_credentials(authority, key, certificate)

    def _read(self) -> tuple[bytes, bytes, bytes]:
        problems, found = [], []
        for name, kind in (
            ("certificate", "CERTIFICATE"),
            ("key", "PRIVATE KEY"),
            ("authority", "CERTIFICATE"),
        ):
            path: Path = getattr(self, name)
            try:
                text = path.read_bytes()
            except OSError as error:
                what = f"cannot read {path}: {error.strerror}"
                problems.append(Problem(what, f"tls.{name}"))
                continue
            if kind.encode() + b"-----" not in text:
                problems.append(Problem(f"{path} holds no {kind} in PEM", f"tls.{name}"))
            found.append(text)
        if problems:
            raise SpecError(problems)
        certificate, key, authority = found
        return certificate, key, authority


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches a host.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
