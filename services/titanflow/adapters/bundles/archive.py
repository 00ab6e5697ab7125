"""How is a bundle packed? As one plain tar that is the same bytes whenever it is made again.

Three members, in the order of their names: `golden.f32`, `manifest.json`, `model.onnx`. No times,
no owners, no links, no folders, no extensions. Reading accepts exactly what writing makes: after
the members are taken out they are packed again, and the result must be the archive itself. Nothing
is ever written to disk on the way.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from titanflow.adapters.bundles.refusal import BundleRefusedError, Step

SUFFIX: Final = ".tfb"
ARCHIVE_BYTES_MAX: Final = 64 << 20
"""Largest archive that is read where a manifest names no size."""
GOLDEN, MANIFEST, MODEL = "golden.f32", "manifest.json", "model.onnx"
MEMBER_BYTES_MAX: Final = {GOLDEN: 16 << 20, MANIFEST: 1 << 20, MODEL: ARCHIVE_BYTES_MAX}
"""Largest size of each member; other members are refused."""

_BLOCK: Final = 512
_KINDS: Final = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"5": "a folder",
    b"6": "a pipe",
    b"L": "a long name",
    b"K": "a long link",
    b"S": "a sparse file",
    b"g": "a header of extensions",
    b"x": "a header of extensions",
}


class Members(msgspec.Struct, frozen=True):
    """What lies in an archive."""

    golden: bytes
    manifest: bytes
    model: bytes


def sha256_of(archive: bytes) -> str:
    """Return the digest by which an archive is called, in hexadecimal."""
    return hashlib.sha256(archive).hexdigest()


def file_name(name: str, digest: str) -> str:
    """Return what an archive's file is called.

    >>> file_name("direction", "ab12")
    'direction-ab12.tfb'
    """
    return f"{name}-{digest}{SUFFIX}"


def pack(members: Members) -> bytes:
    """Return the archive of *members*."""
    parts: list[bytes] = []
    for name, content in (
        (GOLDEN, members.golden),
        (MANIFEST, members.manifest),
        (MODEL, members.model),
    ):
        parts += [_header(name, len(content)), content, bytes(-len(content) % _BLOCK)]
    return b"".join([*parts, bytes(2 * _BLOCK)])


def unpack(archive: bytes) -> Members:
    """Return the members of an archive.

    Raises: BundleRefusedError if it is anything but what `pack` makes.
    """
    found: dict[str, bytes] = {}
    place = 0
    while place + _BLOCK <= len(archive) and any(archive[place : place + _BLOCK]):
        name, size = _read_header(archive[place : place + _BLOCK])
        if name in found:
            raise _refused(f"member {name!r} stands twice")
        start = place + _BLOCK
        if start + size > len(archive):
            raise _refused(f"member {name!r} is cut off")
        found[name] = archive[start : start + size]
        place = start + size + (-size % _BLOCK)
    missing = [name for name in MEMBER_BYTES_MAX if name not in found]
    if missing:
        raise _refused(f"it lacks {', '.join(missing)}")
    members = Members(found[GOLDEN], found[MANIFEST], found[MODEL])
    if pack(members) != archive:
        raise _refused("it holds the right members in another form than `bundle build` gives them")
    return members


def _refused(what: str) -> BundleRefusedError:
    return BundleRefusedError(Step.ARCHIVE, what)


def _header(name: str, size: int) -> bytes:
    fields = [
        name.encode().ljust(100, b"\0"),
        b"0000644\0",
        b"0000000\0",
        b"0000000\0",
        b"%011o\0" % size,
        b"00000000000\0",
        b" " * 8,
        b"0",
        bytes(100),
        b"ustar\x0000",
        bytes(32),
        bytes(32),
        b"0000000\0",
        b"0000000\0",
        bytes(155),
        bytes(12),
    ]
    checksum = sum(b"".join(fields))
    fields[6] = b"%06o\0 " % checksum
    return b"".join(fields)


def _read_header(header: bytes) -> tuple[str, int]:
    """Return name and size of a member, judged before its content is looked at."""
    kind = header[156:157]
    if kind in _KINDS:
        raise _refused(f"it holds {_KINDS[kind]}; a bundle has plain files only")
    name = header[:100].rstrip(b"\0").decode("ascii", "backslashreplace")
    if name.startswith("/") or ".." in name.split("/") or header[345] != 0:
        raise _refused(f"member {name!r} would lie outside of the archive")
    if name not in MEMBER_BYTES_MAX:
        raise _refused(f"unknown member {name!r}; a bundle has {', '.join(MEMBER_BYTES_MAX)}")
    try:
        size = int(header[124:135], 8)
    except ValueError:
        raise _refused(f"the size of member {name!r} is unreadable") from None
    if not 0 <= size <= MEMBER_BYTES_MAX[name]:
        limit = MEMBER_BYTES_MAX[name]
        raise _refused(f"member {name!r} has {size:,} bytes, at most {limit:,} are read")
    if header != _header(name, size):
        raise _refused(f"the header of member {name!r} says more than name and size")
    return name, size
