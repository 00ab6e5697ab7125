"""How does a folder of YAML become an arena? Read, validated and refused with all mistakes at once.

Only `*.yaml` and `*.yml` directly in the folder are read, or one file of several documents. What
the files are called and in which order documents stand changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from titanflow.adapters.registry.document import FILE_BYTES_MAX, Flaw, Node, documents
from titanflow.adapters.registry.salvage import STAND_INS, Salvage
from titanflow.adapters.registry.words import Fault, Place, nearest, path_of
from titanflow.core.base.errors import NotFoundError, Problem, SpecError
from titanflow.core.base.ident import canonical, digest
from titanflow.core.base.nearest import close_to
from titanflow.core.spec.arena import ArenaSpec
from titanflow.core.spec.bundle import BundleSpec
from titanflow.core.spec.common import API_VERSION, Metadata, SpecModel
from titanflow.core.spec.compile import CONTENDERS_MAX
from titanflow.core.spec.contender import ContenderSpec
from titanflow.core.spec.policy import PolicySpec
from titanflow.core.spec.resource import RESOURCES
from titanflow.core.spec.words import Tier

DOCUMENTS_MAX = 20_000
"""Most documents of a folder: twice as many as contenders fit one arena."""
PROBLEMS_MAX = 200
"""Most problems that are listed; who has more than that has made one mistake many times."""

KINDS: dict[str, type[SpecModel]] = {one.kind: one.spec for one in RESOURCES}

_TOP = ("apiVersion", "kind", "metadata", "spec")
_PLACED = re.compile(r"(Arena|Contender|RiskPolicy|ModelBundle)/(\S+)(?: (\S+))?")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_LINE = re.compile(r"(.+?):(\d+)(?::|$)")
_SYMBOL = re.compile(r"spec\.(killSwitch\.)?instruments\[\d+\](\.symbol)?")
_STAND_IN, _SYMBOLS = "no arena", "symbols of the arena"
"""Doubts beside kinds: the arena is one of ours; its symbols may be others."""

S = TypeVar("S", bound=SpecModel)


class Manifest(msgspec.Struct, Generic[S], frozen=True):
    """One object: its kind, what it is called, what it demands, and the file it stands in."""

    kind: str
    metadata: Metadata
    spec: S
    file: str
    node: Node
    salvage: Salvage[S] | None = None
    """How the spec was mended, where it was wrong."""

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
                return f"{manifest.file}:{manifest.node.line_of(_steps(path))}"
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


class Draft:
    """A folder as far as it could be read, and everything that is wrong with it so far."""

    def __init__(self, loaded: Loaded, problems: list[Problem], doubts: frozenset[str]) -> None:
        self.loaded = loaded
        """Good and mended manifests; nothing runs on it while there are problems."""
        self.problems = problems
        self._doubts = doubts
        """Kinds of which the folder may hold more, or other names, than could be read."""

    def accept(self) -> Loaded:
        """Return the manifests.

        Raises: SpecError with everything that is wrong.
        """
        if self.problems:
            raise SpecError(bounded(self.problems))
        return self.loaded

    def judged(self, problems: Sequence[Problem]) -> list[Problem]:
        """Return what was found on `loaded` as file and line, without what mending brought up."""
        placed = (self._placed(problem) for problem in problems)
        return [problem for problem in placed if problem is not None]

    def _placed(self, problem: Problem) -> Problem | None:
        match = _PLACED.fullmatch(problem.where)
        if match is None:
            return problem
        kind, name, path = match[1], match[2], match[3] or ""
        mine = (m for m in self.loaded.manifests if (m.kind, m.name) == (kind, name))
        manifest = next(mine, None)
        if manifest is None or self._moot(kind, path):
            return None
        place = _steps(path)
        if manifest.salvage is not None:
            place = manifest.salvage.restore(place)
            if manifest.salvage.hides(place, problem.what):
                return None
        where = f"{manifest.file}:{manifest.node.line_of(place)}"
        return Problem(problem.what, f"{where}: {path_of(place)}" if path else where, problem.do)

    def _moot(self, kind: str, path: str) -> bool:
        """Say whether nobody can tell while other documents are as they are."""
        doubts = self._doubts
        if kind == "Arena":
            return _STAND_IN in doubts or (not path and "Contender" in doubts)
        if path == "spec.arena":
            return "Arena" in doubts
        if _SYMBOL.fullmatch(path):
            return _SYMBOLS in doubts
        return path.startswith("spec.recipe.model.bundleRef") and "ModelBundle" in doubts


def read_folder(path: Path) -> Draft:
    """Return what can be read of a folder or of one file, with every mistake of every document.

    Raises: SpecError if there is no such folder, or no manifest in it.
    """
    files = _files(path)
    reading = _Reading()
    for file in files:
        reading.read(file)
    reading.count(path)
    folder = path if path.is_dir() else path.parent
    return _draft(reading, folder, tuple(str(file) for file in files))


def load_folder(path: Path) -> Loaded:
    """Return the manifests of a folder or of one file.

    Raises: SpecError with every mistake of every file, and with nothing else.
    """
    return read_folder(path).accept()


def load_texts(texts: Sequence[bytes], folder: Path) -> Loaded:
    """Return the manifests of *texts*, each one document; relative files begin at *folder*.

    Raises: SpecError with every mistake of every text, and with nothing else.
    """
    reading = _Reading()
    for number, text in enumerate(texts):
        reading.take(f"manifest {number}", text)
    reading.count(folder)
    return _draft(reading, folder, ()).accept()


def _draft(reading: _Reading, folder: Path, files: tuple[str, ...]) -> Draft:
    contenders = tuple(reading.of("Contender", ContenderSpec))
    policies = tuple(reading.of("RiskPolicy", PolicySpec))
    bundles = tuple(reading.of("ModelBundle", BundleSpec))
    arenas = tuple(reading.of("Arena", ArenaSpec))
    arena = arenas[0] if arenas else _stand_in_arena(folder)
    everything: tuple[Manifest[Any], ...] = (arena, *contenders, *policies, *bundles)
    loaded = Loaded(
        folder=folder,
        files=files,
        arena=arena,
        contenders=contenders,
        policies=policies,
        bundles=bundles,
        digests={f"{m.kind}/{m.name}": m.digest() for m in everything},
    )
    doubts = set(reading.doubts)
    if not arenas:
        doubts |= {_STAND_IN, "Arena"}
    if "Arena" in doubts or not _symbols_stand(arena):
        doubts.add(_SYMBOLS)
    return Draft(loaded, reading.problems, frozenset(doubts))


def _stand_in_arena(folder: Path) -> Manifest[ArenaSpec]:
    """Return an arena for a folder without a usable one, so that recipes can be judged."""
    fields = {name: STAND_INS["ArenaSpec", name] for name in ("instruments", "sources")}
    spec = ArenaSpec.model_validate(fields)
    return Manifest("Arena", Metadata(name="arena"), spec, str(folder), Node(1))


def _symbols_stand(arena: Manifest[ArenaSpec]) -> bool:
    """Say whether the symbols of the arena are as they stand in its file."""
    if arena.salvage is None:
        return True
    node = arena.node
    for step in ("spec", "instruments"):
        if not isinstance(node.parts, dict) or step not in node.parts:
            return False
        node = node.parts[step]
    places = [("spec", "instruments", at, "symbol") for at in range(len(node.parts or ()))]
    return bool(places) and not any(arena.salvage.hides(place, "") for place in places)


def line_of(problem: Problem) -> tuple[str, int]:
    """Return file and line of a problem, to sort by; what has no line comes first."""
    match = _LINE.match(problem.where)
    return (match[1], int(match[2])) if match is not None else ("", 0)


def bounded(problems: list[Problem]) -> list[Problem]:
    """Return the first of *problems*, and how many more there are."""
    if len(problems) <= PROBLEMS_MAX:
        return problems
    more = f"{len(problems) - PROBLEMS_MAX:,} more problems"
    return [*problems[:PROBLEMS_MAX], Problem(more, "…", "mend these first")]


def _steps(path: str) -> Place:
    return tuple(m[1] or int(m[2]) for m in _STEP.finditer(path))


def _files(path: Path) -> list[Path]:
    try:
        if path.is_file():
            return [path]
        if not path.is_dir():
            raise NotFoundError(
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
        self.doubts: set[str] = set()
        """Kinds of which there may be more, or other names, than what was found."""
        self._found: dict[tuple[str, str], Manifest[Any]] = {}
        self._seen: dict[str, list[str]] = {kind: [] for kind in KINDS}
        self._namespaces: set[str] = set()
        self._documents = 0
        self._active = 0

    def of(self, kind: str, model: type[S]) -> Iterator[Manifest[S]]:
        for (found, _), manifest in sorted(self._found.items()):
            if found == kind:
                assert isinstance(manifest.spec, model)
                yield manifest

    def read(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                content = file.read(FILE_BYTES_MAX + 1)
        except OSError as error:
            self.problems.append(Problem(f"it cannot be read: {error.strerror}", str(path)))
            self.doubts |= KINDS.keys()
            return
        self.take(str(path), content)

    def take(self, name: str, content: bytes) -> None:
        for found in documents(content):
            if isinstance(found, Flaw):
                self._say(name, found.line, found.what, found.do)
                self.doubts |= KINDS.keys()
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
            self.doubts.add("Contender")
        if len(self._namespaces) > 1:
            what = "several namespaces in one folder: " + ", ".join(sorted(self._namespaces))
            self.problems.append(Problem(what, where, "keep one; give each its own folder"))
        arenas = self._seen["Arena"]
        if len(arenas) > 1:
            what = "several arenas in one folder: " + ", ".join(arenas)
            self.problems.append(Problem(what, where, "keep one; give each its own folder"))
            self.doubts.add("Arena")
        if not arenas and "Arena" not in self.doubts:
            self.problems.append(Problem("no arena here", where, "add a manifest of kind Arena"))
        seen = self._seen["Contender"]
        if not seen and "Contender" not in self.doubts and self._documents:
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
            self.doubts |= KINDS.keys()
            return
        faults = list(_head(content))
        kind = _meant_kind(content.get("kind"))
        model = KINDS.get(kind or "")
        metadata = _part(content, "metadata", Metadata)
        spec = _part(content, "spec", model) if model is not None else None
        for part in (metadata, spec):
            if part is not None:
                faults.extend(part.judge())
        for fault in sorted(faults, key=lambda f: node.line_of(f.place)):
            self._say(file, node.line_of(fault.place), fault.what, fault.do, fault.place)
        if kind is None:
            self.doubts |= KINDS.keys()
        else:
            self._register(file, node, kind, (metadata, spec))

    def _register(
        self,
        file: str,
        node: Node,
        kind: str,
        parts: tuple[Salvage[Metadata] | None, Salvage[Any] | None],
    ) -> None:
        self._seen[kind].append(f"{file}:{node.line}")
        metadata = parts[0].value if parts[0] is not None else None
        salvage = parts[1]
        spec = salvage.value if salvage is not None else None
        if isinstance(spec, ContenderSpec) and spec.tier is not Tier.RETIRED:
            self._active += 1
        if metadata is None or spec is None:
            self.doubts.add(kind)
        if metadata is not None and metadata.namespace is not None:
            self._namespaces.add(metadata.namespace)
        name = metadata.name if metadata is not None else f"?{len(self._found)}"
        first = self._found.get((kind, name))
        if first is not None:
            place = ("metadata", "name")
            what = f"{kind} {name!r} stands already in {first.file}:{first.node.line}"
            self._say(file, node.line_of(place), what, "rename one of them", place)
            name = f"{name}#{len(self._found)}"
        if spec is None or (kind == "ModelBundle" and (metadata is None or first is not None)):
            return  # a bundle under another name would contradict its archive
        # Under a name of its own even a second one, or one without a name, is judged on.
        called = (metadata or Metadata(name="x")).model_copy(update={"name": name})
        wounds = salvage if salvage is not None and salvage.is_mended else None
        self._found[kind, name] = Manifest(kind, called, spec, file, node, wounds)


def _meant_kind(kind: object) -> str | None:
    """Return the kind that a document is of, or was probably meant to be."""
    if not isinstance(kind, str):
        return None
    return kind if kind in KINDS else close_to(kind, KINDS)


def _part(content: Mapping[str, object], part: str, model: type[S]) -> Salvage[S] | None:
    """Return metadata or spec of a document, also under a misspelt name; None if there is none."""
    if part in content:
        return Salvage(model, content[part], part)
    near = (key for key in content if key not in _TOP and close_to(key, (part,)))
    key = next(near, None)
    return None if key is None else Salvage(model, content[key], key)


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
