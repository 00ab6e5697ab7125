"""Who makes the certificates of a session? An authority in a folder of files, for one machine.

    authority.pem, authority.key     who vouches; the key signs new certificates
    NAME.pem, NAME.key               one pod, or one person

All are PEM; keys are unencrypted PKCS 8 that only the owner of the files may read (mode 0600). Who
has certificates from elsewhere puts the files there himself and leaves `authority.key` out: then
nothing is made here, and what is missing is told by name.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from titanflow.adapters.rpc.tls import TlsFiles
from titanflow.core.base.errors import AdapterError, Problem, SpecError

AUTHORITY: Final = "authority"
HOSTS: Final = ("127.0.0.1", "::1", "localhost")
"""Where the servers of one machine are reached."""
AUTHORITY_DAYS: Final = 3650
DAYS: Final = 365
RENEW_DAYS: Final = 30
"""A certificate with less than that to live is made anew when a session starts."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def files_of(folder: Path, name: str) -> TlsFiles:
    """Return where the files of one pod or person lie.

    Raises: SpecError if *name* can be no name of a certificate.
    """
    if not _NAME.fullmatch(name) or name == AUTHORITY:
        do = "use letters, digits and . _ @ -, at most 64, and not `authority`"
        raise SpecError([Problem(f"{name[:80]!r} is no name of a certificate", "tls", do)])
    return TlsFiles(folder / f"{name}.pem", folder / f"{name}.key", folder / f"{AUTHORITY}.pem")


def is_authority(folder: Path) -> bool:
    """Say whether certificates can be made in a folder: it has an authority's key, or nothing."""
    return (folder / f"{AUTHORITY}.key").exists() or not (folder / f"{AUTHORITY}.pem").exists()


def ensure(folder: Path, names: Iterable[str]) -> list[str]:
    """See that everybody of *names* has a certificate that is good for a while.

    An empty or missing folder becomes an authority. Return the names of those made now.
    Raises: SpecError naming each file that is missing where no authority's key is at hand;
    AdapterError if a file cannot be read or written.
    """
    wanted = list(names)
    late = [name for name in wanted if _is_late(files_of(folder, name).certificate)]
    if not (folder / f"{AUTHORITY}.pem").exists():
        if late != wanted:
            what = f"{folder} has certificates and no {AUTHORITY}.pem"
            raise SpecError([Problem(what, "--tls", "add it, or name an empty folder")])
        _make_authority(folder)
    if late and not is_authority(folder):
        do = f"put them there; only who has {AUTHORITY}.key can make them here"
        raise SpecError(
            [
                Problem(f"{folder / name}.pem is missing, or expires soon", "--tls", do)
                for name in late
            ]
        )
    for name in late:
        issue(folder, name)
    return late


def issue(folder: Path, name: str, hosts: Sequence[str] = HOSTS, days: int = DAYS) -> TlsFiles:
    """Make a key and a certificate of *name*, good at *hosts* for some days; return the files.

    Raises: SpecError if the name is none; AdapterError if the authority's key cannot be read, or
    the folder not written.
    """
    files = files_of(folder, name)
    try:
        signer = load_pem_private_key((folder / f"{AUTHORITY}.key").read_bytes(), None)
        authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise AdapterError(f"{folder}: the authority's files are damaged: {error}") from error
    except OSError as error:
        raise AdapterError(f"cannot read {error.filename}: {error.strerror}") from error
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise AdapterError(f"{folder / AUTHORITY}.key is no key of an elliptic curve")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _builder(subject, authority.subject, key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName([_place(host) for host in hosts]), False)
    )
    _write(folder, name, key, builder.sign(signer, hashes.SHA256()))
    return files


def _make_authority(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "TitanFlow session authority")])
    usage = x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder(name, name, key.public_key(), AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    _write(folder, AUTHORITY, key, builder.sign(key, hashes.SHA256()))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = _now()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # Clocks of other machines may be a little behind.
        .not_valid_before(now - timedelta(minutes=10))
        .not_valid_after(now + timedelta(days=days))
    )


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


def _place(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _is_late(certificate: Path) -> bool:
    """Say whether there is no certificate, or one that ends soon."""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except FileNotFoundError:
        return True
    except ValueError as error:
        raise AdapterError(f"{certificate} is no certificate in PEM: {error}") from error
    return found.not_valid_after_utc < _now() + timedelta(days=RENEW_DAYS)


def _write(
    folder: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
) -> None:
    """Write the key first: a certificate without its key would never be made anew."""
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{name}.key"
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secret)
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    except OSError as error:
        raise AdapterError(f"cannot write into {folder}: {error.strerror}") from error
