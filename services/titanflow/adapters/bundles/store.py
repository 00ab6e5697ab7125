"""Where do bundles lie? In files named by their digest, beside the manifests or in a folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from titanflow.adapters.bundles.archive import ARCHIVE_BYTES_MAX, SUFFIX, file_name, sha256_of
from titanflow.adapters.bundles.bundle import Bundle, open_bundle
from titanflow.adapters.bundles.refusal import BundleRefusedError, Step
from titanflow.adapters.bundles.signing import Signature, Trust, read_signature
from titanflow.core.base.errors import AdapterError, Problem, SpecError
from titanflow.core.spec.bundle import BundleSpec

_NAME = re.compile(r"(?P<name>[a-z](?:[-a-z0-9]*[a-z0-9])?)-(?P<digest>[a-f0-9]{64})")


class Found(msgspec.Struct, frozen=True):
    """A file that is called like a bundle; nothing in it was looked at."""

    name: str
    digest: str
    """As the file is called, which says nothing about its content."""
    path: Path
    size_bytes: int
    signed: bool


def list_bundles(folder: Path) -> list[Found]:
    """Return the archives in a folder, by their names; files that are called otherwise are left."""
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        match = _NAME.fullmatch(path.name.removesuffix(SUFFIX))
        if match is not None and path.is_file():
            signed = path.with_name(path.name + ".sig").is_file()
            size = path.stat().st_size
            found.append(Found(match["name"], match["digest"], path, size, signed))
    return found


def read_archive(path: Path, size_max: int = ARCHIVE_BYTES_MAX) -> bytes:
    """Return the bytes of an archive; of one that is too large, not more than shows it.

    Raises: AdapterError if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(size_max + 1)
    except OSError as error:
        raise AdapterError(f"cannot read {path}: {error.strerror}") from error


def write_archive(folder: Path, name: str, archive: bytes) -> Path:
    """Write an archive under its own name and return the file; what is there stays as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name(name, sha256_of(archive))
    if not path.exists():
        temporary = path.with_name(path.name + ".new")
        temporary.write_bytes(archive)
        temporary.replace(path)
    return path


def open_file(path: Path, trust: Trust, *, size_max: int = ARCHIVE_BYTES_MAX) -> Bundle:
    """Return the bundle in a file with its signature beside it, verified but for load and golden.

    Raises: BundleRefusedError, or AdapterError if the file cannot be read.
    """
    archive = read_archive(path, size_max)
    return open_bundle(archive, read_signature(path), trust, size_max=size_max)


def open_bundles(
    specs: Mapping[str, BundleSpec], folder: Path, trust: Trust, *, runs_graphs: bool = True
) -> tuple[Bundle, ...]:
    """Return the bundles that manifests name, verified but for load and golden vectors.

    Relative files begin at *folder*. Who never runs a graph need not look at it.

    Raises: SpecError with what is wrong with each, placed as `ModelBundle/name path`.
    """
    problems: list[Problem] = []
    bundles = []
    for name, spec in sorted(specs.items()):
        try:
            bundles.append(_open(name, spec, folder, trust, runs_graphs=runs_graphs))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    return tuple(bundles)


def _open(name: str, spec: BundleSpec, folder: Path, trust: Trust, *, runs_graphs: bool) -> Bundle:
    where = f"ModelBundle/{name} spec"
    text = spec.artifact.uri.removeprefix("file://")
    path = Path(text) if text.startswith("/") else folder / text
    if not path.is_file():
        raise SpecError([Problem("no such file", f"{where}.artifact.uri", "see `bundle list`")])
    size_max = spec.artifact.size_bytes or ARCHIVE_BYTES_MAX
    signature = Signature(spec.signature.key_id, spec.artifact.sha256, spec.signature.ed25519)
    try:
        bundle = open_bundle(
            read_archive(path, size_max),
            signature,
            trust,
            size_max=size_max,
            max_batch=spec.serving.max_batch,
            is_judged=not runs_graphs,
        )
    except BundleRefusedError as error:
        place = _PLACES.get(error.step, "artifact")
        raise SpecError([Problem(str(error), f"{where}.{place}", _do(error.step))]) from error
    problems = list(_contradictions(name, spec, bundle, where))
    if problems:
        raise SpecError(problems)
    return bundle


_PLACES = {
    Step.SIZE: "artifact.sizeBytes",
    Step.SIGNATURE: "signature",
    Step.HASH: "artifact.sha256",
}


def _do(step: Step) -> str:
    if step is Step.SIGNATURE:
        return "put the signer's public key into the folder keys beside the manifests"
    return "see `titanflow bundle verify`"


def _contradictions(name: str, spec: BundleSpec, bundle: Bundle, where: str) -> Iterator[Problem]:
    """Yield where manifest and archive say different things."""
    inside = bundle.manifest
    told: Sequence[tuple[str, str, str]] = (
        ("version", spec.version, inside.version),
        ("featureSchema.digest", spec.feature_schema.digest, inside.feature_digest),
    )
    if inside.name != name:
        yield Problem(f"the archive holds bundle {inside.name!r}", where, f"call it {inside.name}")
    for field, wanted, found in told:
        if wanted != found:
            what = f"the archive has {found}, the manifest says {wanted}"
            yield Problem(what, f"{where}.{field}", f"write {found}")
