"""How does a folder of YAML become an arena? Read, validated and refused with all mistakes at once.

Only `*.yaml` and `*.yml` directly in the folder are read, or one file of several documents. What
the files are called and in which order documents stand changes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from titanflow.adapters.registry.document import FILE_BYTES_MAX, Flaw, Node, documents
from titanflow.adapters.registry.words import Fault, Place, nearest, path_of, say
from titanflow.core.base.errors import Problem, SpecError
from titanflow.core.base.ident import canonical, digest
from titanflow.core.spec.arena import ArenaSpec
from titanflow.core.spec.bundle import BundleSpec
from titanflow.core.spec.common import API_VERSION, Metadata, SpecModel, problems_of
from titanflow.core.spec.compile import CONTENDERS_MAX
from titanflow.core.spec.contender import ContenderSpec
from titanflow.core.spec.policy import PolicySpec
from titanflow.core.spec.words import Tier

DOCUMENTS_MAX = 20_000
"""Most documents of a folder: twice as many as contenders fit one arena."""
PROBLEMS_MAX = 200
"""Most problems that are listed; who has more than that has made one mistake many times."""

KINDS: dict[str, type[SpecModel]] = {
    "Arena": ArenaSpec,
    "Contender": ContenderSpec,
    "RiskPolicy": PolicySpec,
    "ModelBundle": BundleSpec,
}

_TOP = ("apiVersion", "kind", "metadata", "spec")
_PLACED = re.compile(r"(Arena|Contender|RiskPolicy|ModelBundle)/(\S+)(?: (\S+))?")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")

S = TypeVar("S", bound=SpecModel)


class Manifest(msgspec.Struct, Generic[S], frozen=True):
    """One object: its kind, what it is called, what it demands, and the file it stands in."""

    kind: str
    metadata: Metadata
    spec: S
    file: str
    node: Node

    @property
    def name(self) -> str:
        """Give the object's name."""
        return self.metadata.name

    @property
    def labels(self) -> Mapping[str, str]:
        """Give the object's labels."""
        return self.metadata.labels

    def content(self) -> dict[str, object]:
        """Return what the manifest says, as a manifest again; notes and defaults apart."""
        metadata = {"name": self.name, "labels": dict(self.labels)}
        return {
            "apiVersion": API_VERSION,
            "kind": self.kind,
            "metadata": metadata,
            "spec": self.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
        }

    def digest(self) -> str:
        """Return the digest of what the manifest says, in hexadecimal; notes are left out."""
        return digest(canonical(self.content())).hex()


class Loaded(msgspec.Struct, frozen=True):
    """All manifests of a folder; contenders, policies, bundles in the order of their names."""

    folder: Path
    """Where relative files of the manifests begin."""
    files: tuple[str, ...]
    arena: Manifest[ArenaSpec]
    contenders: tuple[Manifest[ContenderSpec], ...]
    policies: tuple[Manifest[PolicySpec], ...]
    bundles: tuple[Manifest[BundleSpec], ...]
    digests: dict[str, str]
    """Digest of each manifest, by `Kind/name`, sorted."""

    @property
    def digest(self) -> str:
        """Give the digest of all manifests, whatever their files are called."""
        return digest(canonical(self.digests)).hex()

    @property
    def manifests(self) -> tuple[Manifest[Any], ...]:
        """Give every manifest: arena, contenders, policies, bundles."""
        return (self.arena, *self.contenders, *self.policies, *self.bundles)

    def specs(self) -> dict[str, tuple[ContenderSpec, Mapping[str, str]]]:
        """Return spec and labels of each contender, as `compile_ground` takes them."""
        return {m.name: (m.spec, m.labels) for m in self.contenders}

    def locate(self, kind: str, name: str, path: str = "") -> str:
        """Return `file:line` of a path such as `spec.recipe.rules.parameters.fast`."""
        for manifest in self.manifests:
            if manifest.kind == kind and manifest.name == name:
                steps = tuple(m[1] or int(m[2]) for m in _STEP.finditer(path))
                return f"{manifest.file}:{manifest.node.line_of(steps)}"
        return str(self.folder)

    def located(self, error: SpecError) -> SpecError:
        """Return *error* with each place of the form `Kind/name path` turned into file and line."""
        return SpecError([self._placed(problem) for problem in error.problems])

    def _placed(self, problem: Problem) -> Problem:
        match = _PLACED.fullmatch(problem.where)
        if match is None:
            return problem
        place = self.locate(match[1], match[2], match[3] or "")
        where = f"{place}: {match[3]}" if match[3] else place
        return Problem(problem.what, where, problem.do)


def load_folder(path: Path) -> Loaded:
    """Return the manifests of a folder or of one file.

    Raises: SpecError with every mistake of every file, and with nothing else.
    """
    files = _files(path)
    reading = _Reading()
    for file in files:
        reading.read(file)
    reading.count(path)
    folder = path if path.is_dir() else path.parent
    return _loaded(reading, folder, tuple(str(file) for file in files))


def load_texts(texts: Sequence[bytes], folder: Path) -> Loaded:
    """Return the manifests of *texts*, each one document; relative files begin at *folder*.

    Raises: SpecError with every mistake of every text, and with nothing else.
    """
    reading = _Reading()
    for number, text in enumerate(texts):
        reading.take(f"manifest {number}", text)
    reading.count(folder)
    return _loaded(reading, folder, ())


def _loaded(reading: _Reading, folder: Path, files: tuple[str, ...]) -> Loaded:
    if reading.problems:
        raise SpecError(_bounded(reading.problems))
    contenders = tuple(reading.of("Contender", ContenderSpec))
    policies = tuple(reading.of("RiskPolicy", PolicySpec))
    bundles = tuple(reading.of("ModelBundle", BundleSpec))
    (arena,) = reading.of("Arena", ArenaSpec)
    everything: tuple[Manifest[Any], ...] = (arena, *contenders, *policies, *bundles)
    return Loaded(
        folder=folder,
        files=files,
        arena=arena,
        contenders=contenders,
        policies=policies,
        bundles=bundles,
        digests={f"{m.kind}/{m.name}": m.digest() for m in everything},
    )


def _bounded(problems: list[Problem]) -> list[Problem]:
    if len(problems) <= PROBLEMS_MAX:
        return problems
    more = f"{len(problems) - PROBLEMS_MAX:,} more problems"
    return [*problems[:PROBLEMS_MAX], Problem(more, "…", "mend these first")]


def _files(path: Path) -> list[Path]:
    try:
        if path.is_file():
            return [path]
        if not path.is_dir():
            raise SpecError(
                [Problem("no such file or folder", str(path), "name a folder of manifests")]
            )
        found = [p for p in path.iterdir() if p.suffix in {".yaml", ".yml"} and p.is_file()]
    except (OSError, ValueError) as error:
        raise SpecError([Problem(f"it cannot be read: {error}", str(path))]) from error
    if not found:
        raise SpecError(
            [Problem("no manifests here", str(path), "add files that end in .yaml or .yml")]
        )
    return sorted(found)


class _Reading:
    """Collects manifests and problems, file by file."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._found: dict[tuple[str, str], Manifest[SpecModel]] = {}
        self._seen: dict[str, list[str]] = {kind: [] for kind in KINDS}
        self._documents = 0
        self._active = 0

    def of(self, kind: str, model: type[S]) -> Iterator[Manifest[S]]:
        for (found, _), manifest in sorted(self._found.items()):
            if found == kind:
                assert isinstance(manifest.spec, model)
                yield Manifest(kind, manifest.metadata, manifest.spec, manifest.file, manifest.node)

    def read(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                content = file.read(FILE_BYTES_MAX + 1)
        except OSError as error:
            self.problems.append(Problem(f"it cannot be read: {error.strerror}", str(path)))
            return
        self.take(str(path), content)

    def take(self, name: str, content: bytes) -> None:
        for found in documents(content):
            if isinstance(found, Flaw):
                self._say(name, found.line, found.what, found.do)
                continue
            self._documents += 1
            if self._documents <= DOCUMENTS_MAX:
                self._document(name, found)

    def count(self, path: Path) -> None:
        where = str(path)
        if self._documents > DOCUMENTS_MAX:
            what = f"{self._documents:,} documents: at most {DOCUMENTS_MAX:,} are read"
            self.problems.append(Problem(what, where, "split them over several folders"))
        if self._active > CONTENDERS_MAX:
            what = f"{self._active:,} contenders: at most {CONTENDERS_MAX:,} fit one arena"
            self.problems.append(Problem(what, where, "split them over several arenas"))
        arenas = self._seen["Arena"]
        if len(arenas) > 1:
            what = "several arenas in one folder: " + ", ".join(arenas)
            self.problems.append(Problem(what, where, "keep one; give each its own folder"))
        if not arenas and not self.problems:
            self.problems.append(Problem("no arena here", where, "add a manifest of kind Arena"))
        if not self._seen["Contender"] and not self.problems:
            do = "add a manifest of kind Contender"
            self.problems.append(Problem("no contender here", where, do))

    def _say(self, file: str, line: int, what: str, do: str, place: Place = ()) -> None:
        where = f"{file}:{line}: {path_of(place)}" if place else f"{file}:{line}"
        self.problems.append(Problem(what, where, do))

    def _document(self, file: str, node: Node) -> None:
        content = node.plain()
        if not isinstance(content, dict):
            what = "a manifest is a mapping with apiVersion, kind, metadata and spec"
            self._say(file, node.line, what, "")
            return
        faults = list(_head(content))
        kind = content.get("kind")
        model = KINDS.get(kind) if isinstance(kind, str) else None
        metadata = spec = None
        if "metadata" in content:
            metadata = _validated(Metadata, content["metadata"], "metadata", faults)
        if model is not None and "spec" in content:
            spec = _validated(model, content["spec"], "spec", faults)
        for fault in sorted(faults, key=lambda f: node.line_of(f.place)):
            self._say(file, node.line_of(fault.place), fault.what, fault.do, fault.place)
        if model is not None:
            self._register(file, node, str(kind), (metadata, spec))

    def _register(
        self, file: str, node: Node, kind: str, parts: tuple[Metadata | None, SpecModel | None]
    ) -> None:
        metadata, spec = parts
        here = f"{file}:{node.line}"
        self._seen[kind].append(here)
        if isinstance(spec, ContenderSpec) and spec.tier is not Tier.RETIRED:
            self._active += 1
        if metadata is None:
            return
        first = self._found.get((kind, metadata.name))
        if first is not None:
            place = ("metadata", "name")
            what = f"{kind} {metadata.name!r} stands already in {first.file}:{first.node.line}"
            self._say(file, node.line_of(place), what, "rename one of them", place)
            return
        if spec is None:
            spec = SpecModel()
        self._found[kind, metadata.name] = Manifest(kind, metadata, spec, file, node)


def _head(content: Mapping[str, object]) -> Iterator[Fault]:
    """Yield what is wrong beside metadata and spec."""
    for key in content:
        if key == "status":
            yield Fault((key,), "status is written by the arena, not by you", "remove it")
        elif key not in _TOP:
            yield Fault((key,), f"unknown field {key!r}", nearest(key, _TOP))
    for key in _TOP:
        if key not in content:
            yield Fault((key,), "this field is missing", _WANTED[key])
    version, kind = content.get("apiVersion", API_VERSION), content.get("kind", "Arena")
    if version != API_VERSION:
        yield Fault(("apiVersion",), f"unknown version {version!r}", f"write {API_VERSION}")
    if not isinstance(kind, str):
        yield Fault(("kind",), "a word is expected", nearest("", KINDS))
    elif kind not in KINDS:
        yield Fault(("kind",), f"unknown word {kind!r}", nearest(kind, KINDS))


_WANTED = {
    "apiVersion": f"write apiVersion: {API_VERSION}",
    "kind": f"one of: {', '.join(KINDS)}",
    "metadata": "write metadata: {name: …}",
    "spec": "say what you want under spec",
}


def _validated(model: type[S], content: object, part: str, faults: list[Fault]) -> S | None:
    """Return the validated part of a manifest, or add what is wrong with it to *faults*."""
    value, errors = problems_of(model, json.dumps(content))
    said = (say(model, error, (part,)) for error in errors)
    faults.extend(fault for fault in said if fault is not None)
    return value
