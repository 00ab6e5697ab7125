"""What makes an archive a bundle? Signature and digest first, then its content, then its graph.

The order is the point: nothing is parsed before whoever is trusted has vouched for its bytes, and
nothing is run before it was looked at. To load the graph and compare it with its golden vectors is
the business of `adapters.models`, the only place that runs one.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from titanflow.adapters.bundles.archive import ARCHIVE_BYTES_MAX, Members, sha256_of, unpack
from titanflow.adapters.bundles.refusal import BundleRefusedError, Step
from titanflow.adapters.bundles.signing import Signature, Trust
from titanflow.core.base.errors import SpecError
from titanflow.core.base.instant import parse_instant
from titanflow.core.perception.features import FeatureSchema
from titanflow.core.spec.bundle import FORMAT, BundleManifest, Contract

GOLDEN_ROWS_MIN: Final = 256
"""Fewest golden vectors: fewer would not tell a wrong export from a right one."""
TOLERANCE_MAX: Final = 1e-5
"""Widest tolerance of the golden vectors."""
BATCH_MAX: Final = 64
"""Rows of one call for which the graph's memory is estimated, unless a manifest says another."""

Float32s = NDArray[np.float32]


class Vectors(msgspec.Struct, frozen=True):
    """Golden vectors: rows of features, and what the trainer itself said about them."""

    features: Float32s
    values: Float32s
    parts: Float32s
    """Without columns where the graph does not explain itself."""


class Bundle(msgspec.Struct, frozen=True):
    """A bundle whose signature, content and graph were judged; it was not run yet."""

    contract: Contract
    manifest: BundleManifest
    model: bytes
    golden: Vectors
    max_batch: int = BATCH_MAX


def open_bundle(
    archive: bytes,
    signature: Signature,
    trust: Trust,
    *,
    size_max: int = ARCHIVE_BYTES_MAX,
    max_batch: int = BATCH_MAX,
    is_judged: bool = False,
) -> Bundle:
    """Return the bundle in *archive* after every step but load and golden vectors.

    *is_judged* says that the step graph was taken elsewhere: see `judge`.

    Raises: BundleRefusedError naming the first step that it does not pass.
    """
    if len(archive) > size_max:
        what = f"it has more than the {size_max:,} bytes that are read"
        raise BundleRefusedError(Step.SIZE, what)
    trust.check(signature)
    digest = sha256_of(archive)
    if digest != signature.sha256:
        what = f"its SHA-256 is {digest}, the signature is of {signature.sha256}"
        raise BundleRefusedError(Step.HASH, what)
    return read_members(unpack(archive), digest, max_batch=max_batch, is_judged=is_judged)


def read_members(
    members: Members, digest: str, *, max_batch: int = BATCH_MAX, is_judged: bool = False
) -> Bundle:
    """Return the bundle of members whose bytes are vouched for.

    Raises: BundleRefusedError at the step manifest or graph.
    """
    manifest = _manifest(members.manifest)
    golden = _vectors(manifest, members.golden)
    if not is_judged:
        from titanflow.adapters.bundles.checks import check_graph

        check_graph(members.model, manifest, max_batch)
    contract = Contract(
        manifest.name,
        manifest.version,
        digest,
        manifest.features,
        manifest.output,
        manifest.explained,
        parse_instant(manifest.trade_from),
    )
    return Bundle(contract, manifest, members.model, golden, max_batch)


def _manifest(text: bytes) -> BundleManifest:
    try:
        manifest = msgspec.json.decode(text, type=BundleManifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleRefusedError(Step.MANIFEST, f"manifest.json: {error}") from error
    problem = _problem(manifest)
    if problem:
        raise BundleRefusedError(Step.MANIFEST, problem)
    return manifest


def _problem(manifest: BundleManifest) -> str:
    """Return the first promise of a manifest that cannot be kept, or an empty string."""
    if manifest.format != FORMAT:
        return f"format {manifest.format} is not known; this version reads {FORMAT}"
    if not manifest.features:
        return "it names no feature"
    try:
        found = FeatureSchema(manifest.features).digest.hex()
        until = parse_instant(manifest.lineage.trained_until)
        start = parse_instant(manifest.lineage.trained_from)
        trade = parse_instant(manifest.trade_from)
    except SpecError as error:
        return str(error.problems[0])
    except ValueError as error:
        return str(error)
    if found != manifest.feature_digest:
        return (
            f"its features have the schema digest {found[:16]}… here and "
            f"{manifest.feature_digest[:16]}… where it was made: they mean something else"
        )
    if not start < until <= trade:
        return "trainedFrom must lie before trainedUntil, and tradeFrom not before that"
    if manifest.golden.rows < GOLDEN_ROWS_MIN or not 0 < manifest.golden.tolerance <= TOLERANCE_MAX:
        return f"golden needs {GOLDEN_ROWS_MIN} rows and a tolerance of {TOLERANCE_MAX} at most"
    return manifest.output.problem()


def _vectors(manifest: BundleManifest, content: bytes) -> Vectors:
    """Return the golden vectors: rows of little-endian single precision, features first."""
    features = len(manifest.features)
    columns = features + 1 + (features + 1 if manifest.explained else 0)
    wanted = manifest.golden.rows * columns * 4
    if len(content) != wanted:
        what = f"golden.f32 has {len(content):,} bytes, {manifest.golden.rows} rows need {wanted:,}"
        raise BundleRefusedError(Step.MANIFEST, what)
    table = np.frombuffer(content, dtype="<f4").astype(np.float32).reshape(-1, columns)
    if not np.isfinite(table).all():
        raise BundleRefusedError(Step.MANIFEST, "golden.f32 holds numbers that are not finite")
    return Vectors(
        np.ascontiguousarray(table[:, :features]),
        table[:, features],
        np.ascontiguousarray(table[:, features + 1 :]),
    )


def encode_vectors(golden: Vectors) -> bytes:
    """Return golden vectors as the content of golden.f32."""
    table = np.hstack([golden.features, golden.values[:, None], golden.parts])
    return table.astype("<f4").tobytes()
