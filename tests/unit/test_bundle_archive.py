"""Is an archive the same bytes whenever it is made, and is nothing else accepted as one?"""

import io
import tarfile

import pytest
from model_kit import linear_archive, members

from titanflow.adapters.bundles.archive import (
    MANIFEST,
    MEMBER_BYTES_MAX,
    MODEL,
    Members,
    pack,
    unpack,
)
from titanflow.adapters.bundles.refusal import BundleRefusedError, Step


def refusal(archive: bytes) -> str:
    with pytest.raises(BundleRefusedError) as caught:
        unpack(archive)
    assert caught.value.step is Step.ARCHIVE
    return caught.value.what


def tar(*entries: tuple[str, bytes], kind: bytes = tarfile.REGTYPE, form: int = 0, **more) -> bytes:
    """Return what Python's own tarfile makes of some entries."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=form) as file:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(content)
            for key, value in more.items():
                setattr(info, key, value)
            file.addfile(info, io.BytesIO(content))
    return sink.getvalue()


def test_what_was_packed_is_unpacked() -> None:
    packed = members()

    assert packed == unpack(pack(packed))
    assert pack(packed) == linear_archive()


def test_other_programs_can_read_it() -> None:
    with tarfile.open(fileobj=io.BytesIO(linear_archive())) as file:
        found = {info.name: (info.mtime, info.uid, info.uname, info.mode) for info in file}

    assert ["golden.f32", "manifest.json", "model.onnx"] == list(found)
    assert {(0, 0, "", 0o644)} == set(found.values())


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("/etc/passwd", "outside"),
        ("../model.onnx", "outside"),
        ("a/../../model.onnx", "outside"),
        ("notes.txt", "unknown member"),
        ("./model.onnx", "unknown member"),
        ("model.pkl", "unknown member"),
    ],
)
def test_a_member_that_has_no_place_is_refused(name: str, word: str) -> None:
    assert word in refusal(tar((name, b"x")))


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.DIRTYPE, "folder"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.FIFOTYPE, "pipe"),
    ],
)
def test_whatever_is_no_plain_file_is_refused(kind: bytes, word: str) -> None:
    assert word in refusal(tar((MODEL, b""), kind=kind, linkname="elsewhere"))


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_extensions_are_refused(form: int) -> None:
    assert "refused" in str(BundleRefusedError(Step.ARCHIVE, "x"))
    assert refusal(tar(("x" * 300, b"x"), form=form))


def test_a_member_larger_than_its_limit_is_refused_by_its_header() -> None:
    header = tar((MANIFEST, b""))[:512]
    size = b"%011o\0" % (MEMBER_BYTES_MAX[MANIFEST] + 1)

    assert "at most" in refusal(header[:124] + size + header[136:] + bytes(1024))


def test_the_right_members_in_another_form_are_refused() -> None:
    told = members()
    entries = [("golden.f32", told.golden), (MANIFEST, told.manifest), (MODEL, told.model)]
    same = tar(*entries, form=tarfile.USTAR_FORMAT)

    assert refusal(tar(*entries, form=tarfile.USTAR_FORMAT, mtime=5))
    assert refusal(tar(*reversed(entries), form=tarfile.USTAR_FORMAT))
    assert refusal(linear_archive() + b"more")
    assert refusal(same)  # padded to another block size


@pytest.mark.parametrize("place", [0, 100, 124, 148, 156, 257, 300, 600, -700, -1])
def test_a_changed_byte_changes_the_members_or_is_refused(place: int) -> None:
    archive = bytearray(linear_archive())
    archive[place] ^= 0x41

    try:
        found = unpack(bytes(archive))
    except BundleRefusedError:
        return
    assert found != members()


def test_a_cut_archive_is_refused() -> None:
    archive = linear_archive()

    for size in (0, 511, 512, 2000, len(archive) - 1024, len(archive) - 1):
        assert refusal(archive[:size])


def test_a_member_that_stands_twice_is_refused() -> None:
    archive = pack(Members(b"", b"{}", b"x"))

    assert "twice" in refusal(archive[:512] + archive)
