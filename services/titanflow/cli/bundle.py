"""How are bundles made, signed, judged and looked at?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import msgspec
import typer

from titanflow.adapters.bundles.archive import (
    ARCHIVE_BYTES_MAX,
    GOLDEN,
    MANIFEST,
    MODEL,
    Members,
    pack,
    sha256_of,
)
from titanflow.adapters.bundles.bundle import Bundle, open_bundle, read_members
from titanflow.adapters.bundles.refusal import BundleRefusedError, Step
from titanflow.adapters.bundles.signing import (
    KEYS,
    Signature,
    Trust,
    generate,
    read_signature,
    sign,
    write_signature,
)
from titanflow.adapters.bundles.store import list_bundles, read_archive, write_archive
from titanflow.adapters.registry.folder import load_folder
from titanflow.cli import exits
from titanflow.cli.output import Format, emit, fail, flatten, say, table
from titanflow.cli.show import example_folder
from titanflow.core.base.errors import AdapterError, Problem, SpecError
from titanflow.core.spec.bundle import BundleManifest, ServingSpec
from titanflow.runtime import session as sessions
from titanflow.runtime.place import Live
from titanflow.runtime.session import home

BUNDLES = "bundles"
"""Folder of bundles among this machine's state."""
USE_SECONDS: Final = 30.0
"""Longest wait for what the serving pod says of a bundle."""


class Wanted(msgspec.Struct, frozen=True):
    """A bundle to be judged: its file, who vouches for it, whose keys are believed."""

    path: Path
    signature: Signature
    trust: Trust
    size_max: int
    serving: ServingSpec

    def open(self, archive: bytes) -> Bundle:
        """Return the bundle in *archive*, verified but for load and golden vectors.

        Raises: BundleRefusedError
        """
        return open_bundle(
            archive,
            self.signature,
            self.trust,
            size_max=self.size_max,
            max_batch=self.serving.max_batch,
        )


def keygen(key_id: str, folder: Path | None) -> None:
    """Make a pair of keys."""
    private, public = generate(folder or home() / KEYS, key_id)
    typer.echo(f"private key: {private} (keep it to yourself)")
    typer.echo(f"public key:  {public} (put it into the folder {KEYS} beside manifests)")


def build(folder: Path, out: Path | None) -> None:
    """Pack model.onnx, manifest.json and golden.f32 of a folder, after every other check."""
    members = Members(*(read_archive(_file(folder / name)) for name in (GOLDEN, MANIFEST, MODEL)))
    archive = pack(members)
    digest = sha256_of(archive)
    try:
        bundle = read_members(members, digest)
        _prove(bundle, ServingSpec())
    except BundleRefusedError as error:
        fail(str(error), exits.REFUSED)
    path = write_archive(out or home() / BUNDLES, bundle.contract.name, archive)
    typer.echo(str(path))
    say(f"next: titanflow bundle sign {path} --key KEY.key")


def _file(path: Path) -> Path:
    if not path.is_file():
        fail(f"{path}: no such file", exits.NOT_FOUND)
    return path


def sign_file(path: Path, key: Path, key_id: str) -> None:
    """Sign an archive; its content is not looked at."""
    digest = sha256_of(read_archive(_file(path)))
    signature = sign(digest, _file(key), key_id)
    typer.echo(str(write_signature(path, signature)))


def verify(name: str, folder: Path | None, keys: list[Path], output: Format) -> None:
    """Take every step of verification and say which one refuses."""
    step, text, bundle = Step.SIGNATURE, "", None
    try:
        wanted = find(name, folder, keys)
        archive = read_archive(wanted.path, wanted.size_max)
        bundle = wanted.open(archive)
        _prove(bundle, wanted.serving)
    except BundleRefusedError as error:
        step, text = error.step, error.what
    steps = list(Step)
    failed = steps.index(step) if text else len(steps)
    rows = [
        (s.value, "✓" if n < failed else "✗" if n == failed else "·", text if n == failed else "")
        for n, s in enumerate(steps)
    ]
    if output is Format.TABLE:
        table("Verification", ("Step", "", "What"), rows)
    else:
        emit(
            {
                "bundle": None if bundle is None else bundle.contract.digest,
                "verified": not text,
                "step": step.value if text else None,
                "text": text,
            },
            output,
        )
    say(f"refused: {text}" if text else "verified")
    raise typer.Exit(exits.REFUSED if text else exits.OK)


def use(path: Path, output: Format) -> None:
    """Have the running serving pod take a bundle under its name, and tell what it says."""
    from titanflow.services.serving.wishes import answered, wish

    folder = _serving()
    wished = wish(folder, _file(path))
    until = time.monotonic() + USE_SECONDS
    while (said := answered(wished)) is None:
        if time.monotonic() >= until:
            fail(f"serving has not answered within {USE_SECONDS:g} s; the wish stands", exits.ERROR)
        time.sleep(0.05)
    if output is not Format.TABLE:
        emit(said, output)
    elif not said.step:
        former = f", in place of {said.former[:16]}" if said.former not in ("", said.digest) else ""
        typer.echo(f"model {said.name} is {said.digest[:16]} now{former}")
    if said.step:
        fail(f"bundle refused at step {said.step}: {said.text}", exits.REFUSED)


def _serving() -> Path:
    """Return the folder of the serving pod of the newest live session."""
    lives = [Live(session.path) for session in reversed(sessions.sessions())]
    for live in filter(lambda each: each.exists, lives):
        for pod in live.topology().pods:
            if pod.role == "serving":
                return live.pod(pod)
    what = "no live session here serves models"
    raise AdapterError(f"{what}; start one with `titanflow up`")


def _prove(bundle: Bundle, serving: ServingSpec) -> None:
    """Load the graph and run the golden vectors, in a process with the limits of *serving*.

    Raises: BundleRefusedError
    """
    from titanflow.adapters.model_host import HostFailedError, ModelHost, limits_of

    host = ModelHost(bundle, limits_of(serving))
    try:
        host.start()
    except HostFailedError as error:
        raise BundleRefusedError(Step.GOLDEN, error.what) from error
    finally:
        host.close()


def find(name: str, folder: Path | None, keys: list[Path]) -> Wanted:
    """Return the bundle that is meant: a file, or the name of a ModelBundle in a folder.

    Raises: BundleRefusedError if a file is not signed; SpecError if there is no such bundle.
    """
    path = Path(name)
    if path.is_file():
        around = [path.parent / KEYS, path.parent.parent / KEYS]
        trust = Trust([*keys, *around, home() / KEYS])
        return Wanted(path, read_signature(path), trust, ARCHIVE_BYTES_MAX, ServingSpec())
    place = folder or example_folder()
    loaded = load_folder(place)
    found = {manifest.name: manifest.spec for manifest in loaded.bundles}
    if name not in found:
        if path.suffix or "/" in name:
            fail(f"{name}: no such file", exits.NOT_FOUND)
        fail(f"no ModelBundle {name!r} in {place}: {', '.join(found) or 'none'}", exits.NOT_FOUND)
    spec = found[name]
    text = spec.artifact.uri.removeprefix("file://")
    file = _file(Path(text) if text.startswith("/") else loaded.folder / text)
    signature = Signature(spec.signature.key_id, spec.artifact.sha256, spec.signature.ed25519)
    trust = Trust([*keys, loaded.folder / KEYS, home() / KEYS])
    size_max = spec.artifact.size_bytes or ARCHIVE_BYTES_MAX
    return Wanted(file, signature, trust, size_max, spec.serving)


def list_all(folder: Path | None, output: Format) -> None:
    """List the bundles of a folder of manifests, and those made on this machine."""
    place = folder or example_folder()
    loaded = load_folder(place)
    rows: list[dict[str, object]] = [
        {
            "name": m.name,
            "version": m.spec.version,
            "sha256": m.spec.artifact.sha256,
            "key": m.spec.signature.key_id,
            "where": m.spec.artifact.uri,
        }
        for m in loaded.bundles
    ]
    rows += [
        {
            "name": f.name,
            "version": "",
            "sha256": f.digest,
            "key": "signed" if f.signed else "not signed",
            "where": str(f.path),
        }
        for f in list_bundles(home() / BUNDLES)
    ]
    if output is not Format.TABLE:
        emit(rows, output)
        return
    columns = ("Name", "Version", "SHA-256", "Key", "Where")
    table(
        "",
        columns,
        [(*list(r.values())[:2], str(r["sha256"])[:16], r["key"], r["where"]) for r in rows],
    )


def show(
    name: str, folder: Path | None, keys: list[Path], output: Format, *, manifest: bool
) -> None:
    """Show what a bundle promises and where it comes from; nothing is run."""
    try:
        wanted = find(name, folder, keys)
        archive = read_archive(wanted.path, wanted.size_max)
        bundle = wanted.open(archive)
    except BundleRefusedError as error:
        fail(str(error), exits.REFUSED)
    if manifest:
        emit(_as_manifest(bundle, wanted, len(archive)), Format.YAML)
        return
    inside = bundle.manifest
    if output is not Format.TABLE:
        emit(
            {
                "sha256": bundle.contract.digest,
                "key": wanted.signature.key_id,
                "sizeBytes": len(archive),
                **msgspec.to_builtins(inside),
            },
            output,
        )
        return
    _draw(inside, bundle, len(archive), wanted.signature.key_id)


def _draw(inside: BundleManifest, bundle: Bundle, size: int, key: str) -> None:
    plain = msgspec.to_builtins(inside)
    heads = [
        ("sha256", bundle.contract.digest),
        ("version", inside.version),
        ("size", f"{size:,} bytes"),
        ("signed by", key),
        ("features", ", ".join(inside.features)),
        ("feature digest", inside.feature_digest),
        ("output", ", ".join(f"{k} {v}" for k, v in plain["output"].items())),
        ("explained", "path contributions" if inside.explained else "no"),
        ("trades from", inside.trade_from),
        ("golden", f"{inside.golden.rows} rows within {inside.golden.tolerance:g}"),
    ]
    table(f"{inside.name}: {inside.title}", ("", ""), heads)
    table("Lineage", ("What", "Which"), flatten(plain["lineage"]))
    measured_table(inside)


def measured_table(inside: BundleManifest) -> None:
    """Write the measures on held-out rows, the naive forecast beside the model."""
    model, naive = inside.metrics.get("model", {}), inside.metrics.get("naive", {})
    rows = [
        (name, f"{value:g}", f"{naive.get(name, float('nan')):g}") for name, value in model.items()
    ]
    counts = inside.metrics.get("rows", {})
    held = f"{counts.get('heldOut', 0):.0f} rows that the training did not see"
    table(f"Measured on {held}", ("Measure", ">Model", ">Naive"), rows)


def _as_manifest(bundle: Bundle, wanted: Wanted, size: int) -> dict[str, Any]:
    """Return the ModelBundle that serves this archive from the folder bundles beside it."""
    return {
        "apiVersion": "titanflow.io/v1alpha1",
        "kind": "ModelBundle",
        "metadata": {"name": bundle.contract.name},
        "spec": {
            "displayName": bundle.manifest.title,
            "version": bundle.contract.version,
            "artifact": {
                "uri": f"file://./{BUNDLES}/{wanted.path.name}",
                "sha256": bundle.contract.digest,
                "sizeBytes": size,
            },
            "signature": {
                "keyId": wanted.signature.key_id,
                "ed25519": wanted.signature.ed25519,
            },
            "featureSchema": {"digest": bundle.manifest.feature_digest},
        },
    }


def train(path: Path, out: Path | None, key: Path | None, output: Format) -> None:
    """Make a bundle from a recipe, and sign it where a key is given."""
    from titanflow.adapters.training.recipe import read_recipe
    from titanflow.adapters.training.train import train as make

    if not path.is_file():
        raise SpecError([Problem("no such recipe", str(path), "see examples/models")])
    try:
        made = make(read_recipe(path))
    except BundleRefusedError as error:
        fail(str(error), exits.REFUSED)
    file = write_archive(out or home() / BUNDLES, made.manifest.name, made.archive)
    if key is not None:
        write_signature(file, sign(made.digest, _file(key)))
    if output is not Format.TABLE:
        found = {"bundle": str(file), "sha256": made.digest, "signed": key is not None}
        emit({**found, "metrics": made.manifest.metrics}, output)
        return
    measured_table(made.manifest)
    typer.echo(str(file))
    if key is None:
        say(f"next: titanflow bundle sign {file} --key KEY.key")
