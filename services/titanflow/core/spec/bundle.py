"""What is a bundle? A signed archive of one ONNX graph, and what the graph promises.

The custom resource ModelBundle (`BundleSpec`) says which archive to serve and who signed it. The
archive's own manifest (`BundleManifest`) says what the graph takes and gives, and where it comes
from. A `Contract` is the part of it that a contender needs; it is written into each journal's head,
so that a session can be derived again where the archive no longer is.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Annotated, ClassVar, Literal

import msgspec
from pydantic import Field, StringConstraints

from titanflow.core.spec.common import FORBIDDEN, Rule, SpecModel
from titanflow.core.spec.shape import Sha256, Shaped, worded
from titanflow.core.spec.words import OutputKind

FORMAT = 1
"""Format of the archives that this version makes and reads."""
INPUT, VALUE, PARTS = "features", "value", "parts"
"""Names of the graph's input, of its output, and of the output that explains it."""
FEATURES_MAX = 256

_URIS_NOT_BUILT = ("oci://", "s3://", "https://", "nats-obj://", "pvc://")

Version = Annotated[
    str,
    StringConstraints(max_length=64),
    worded(
        r"[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?",
        "write a version of three numbers, such as 1.3.0 or 1.3.0-rc.1",
    ),
]


def _uri(text: str) -> None:
    if text.startswith(_URIS_NOT_BUILT):
        raise ValueError(f"{text.partition(':')[0]}:// is not built yet: use file://")
    if not text.startswith("file://") or len(text) == len("file://"):
        raise ValueError("write file:///folder/x.tfb, or file://./x.tfb beside the manifest")


class ArtifactSpec(SpecModel):
    """The content-addressed archive."""

    not_built: ClassVar[frozenset[str]] = frozenset({"secretRef"})

    one_unit: ClassVar[bool] = True

    uri: Annotated[
        str,
        StringConstraints(max_length=1024),
        Shaped(
            _uri,
            "self.matches('^file://.')",
            "write file:///folder/x.tfb, or file://./x.tfb beside the manifest; other places are "
            "not built yet",
            pattern="^file://.",
        ),
    ] = Field(
        description="Where it lies: file:///data/x.tfb, or file://./x.tfb beside the manifest.",
    )
    sha256: Sha256 = Field(
        description="SHA-256 of the archive, 64 hexadecimal digits. Other content is refused.",
    )
    format: Literal["ONNX"] = Field(
        default="ONNX",
        description="Format of the graph inside. Only ONNX; nothing unpickles. Default: ONNX.",
    )
    size_bytes: int | None = Field(
        default=None,
        ge=1,
        le=10_737_418_240,
        description="Size of the archive in bytes; a larger file is refused. Default: 64 MiB.",
    )


class SignatureSpec(SpecModel):
    """Who vouches for the archive."""

    one_unit: ClassVar[bool] = True

    key_id: Annotated[
        str,
        StringConstraints(min_length=1, max_length=64),
        worded(r"[A-Za-z0-9._-]+", "a key's name has letters, digits and . _ -"),
    ] = Field(description="Name of the public key in the trust store: KEYID.pub.")
    ed25519: Annotated[
        str,
        StringConstraints(max_length=88),
        worded(r"[A-Za-z0-9+/]{86}==", "a signature is 64 bytes in standard base64: 88 characters"),
    ] = Field(
        description="Signature of the 32 bytes of the archive's SHA-256, in standard base64 (88 "
        "characters).",
    )


class FeatureSchemaSpec(SpecModel):
    """The feature vector that the graph was trained on."""

    digest: Sha256 = Field(
        description="Digest of the feature schema; must equal that of the running perception, "
        "else the bundle is refused.",
    )
    name: str | None = Field(
        default=None, max_length=64, description="Its name for people, such as daily-v1."
    )


class ServingSpec(SpecModel):
    """How the graph is run."""

    timeout_micros: int = Field(
        default=50_000,
        ge=100,
        le=60_000_000,
        description="Longest answer of a graph in its own process, in microseconds; a later one is "
        "an error and counts for the circuit breaker. A simulation has no clock and waits. "
        "Default: 50000.",
    )
    max_batch: int = Field(
        default=64, ge=1, le=4096, description="Most rows in one call. Default: 64."
    )
    max_batch_delay_micros: int = Field(
        default=500,
        ge=0,
        le=1_000_000,
        description="Longest wait of a first row for others that share its call, in microseconds; "
        "in lock step nobody waits. Default: 500.",
    )
    memory: Annotated[
        str,
        StringConstraints(max_length=16),
        worded(r"[1-9][0-9]*(Mi|Gi)", "write a whole number of Mi or Gi, such as 512Mi"),
    ] = Field(
        default="1Gi",
        description="Memory limit of the process that runs the graph, such as 512Mi or 1Gi. "
        "Default: 1Gi.",
    )

    @property
    def memory_bytes(self) -> int:
        """Give the memory limit in bytes."""
        return int(self.memory[:-2]) << (20 if self.memory.endswith("Mi") else 30)

    @property
    def max_delay_seconds(self) -> float:
        """Give the longest wait for others in seconds."""
        return self.max_batch_delay_micros / 1_000_000


class BundleSpec(SpecModel):
    """Which archive to serve, where it lies, who signed it, and how it is run."""

    not_built: ClassVar[frozenset[str]] = frozenset({"rollout", "revisionHistoryLimit"})
    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.version != oldSelf.version || self.artifact.sha256 == oldSelf.artifact.sha256",
            "an artifact is immutable under one version: raise spec.version",
            "artifact.sha256",
            FORBIDDEN,
        ),
        Rule(
            "self.version != oldSelf.version || "
            "self.featureSchema.digest == oldSelf.featureSchema.digest",
            "the feature schema is immutable under one version: raise spec.version",
            "featureSchema.digest",
            FORBIDDEN,
        ),
    )

    display_name: str | None = Field(
        default=None, max_length=80, description="Name for people. Default: the object's name."
    )
    version: Version = Field(
        description="Version to serve, such as 1.0.0; must be that of the archive's manifest."
    )
    artifact: ArtifactSpec = Field(description="The content-addressed archive.")
    signature: SignatureSpec = Field(
        description="Ed25519 signature of the archive's SHA-256, checked before anything is parsed."
    )
    feature_schema: FeatureSchemaSpec = Field(
        description="The feature vector that the graph was trained on."
    )
    serving: ServingSpec = Field(
        default_factory=ServingSpec, description="How the graph is run. Default: its own defaults."
    )


class Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What the graph's number means, and from where on it is an opinion."""

    kind: OutputKind
    horizon_seconds: int
    """How far ahead the number looks, as event time."""
    center: float
    """The number that says nothing: what is above it speaks for buying."""
    enter: float
    """Least distance from the center that wishes a position."""
    full: float
    """Distance from the center that wishes the full position."""
    short: bool = False
    """Whether a number below the center may wish a short position."""

    def problem(self) -> str:
        """Return what is wrong with it, or an empty string."""
        if not all(map(isfinite, (self.center, self.enter, self.full))):
            return "center, enter and full must be finite"
        if not 0.0 < self.enter <= self.full:
            return f"enter must be above 0 and at most full, got {self.enter} and {self.full}"
        if self.kind is OutputKind.PROBABILITY and not 0.0 < self.center < 1.0:
            return f"the center of a probability lies between 0 and 1, got {self.center}"
        if self.horizon_seconds < 1:
            return "horizonSeconds must be at least 1"
        return ""


class Golden(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """How many rows of golden vectors lie in the archive, and how near the graph must come."""

    rows: int
    tolerance: float = 1e-5


class Lineage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What a bundle was made of."""

    data_digest: str
    """SHA-256 of the data that it was trained on; empty if its maker does not say."""
    recipe_digest: str
    code: str
    """Version and digest of the code that made it."""
    libraries: dict[str, str]
    trained_from: str
    """First instant of the training window, as an RFC 3339 time."""
    trained_until: str
    """End of the training window: no label looks at or beyond it."""


class BundleManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The manifest inside an archive."""

    format: int
    name: str
    version: str
    title: str
    features: tuple[str, ...]
    """Names of the features, in the order in which the graph takes them."""
    feature_digest: str
    output: Output
    explained: bool
    """Whether the graph has the output `parts`: one number for each feature, then the base."""
    trade_from: str
    """The contender holds before this time; never before the end of the training window."""
    opset: dict[str, int]
    golden: Golden
    lineage: Lineage
    metrics: dict[str, dict[str, float]]
    """Measures on data that the training did not see: of the model, and of the naive forecast."""


class Contract(msgspec.Struct, frozen=True):
    """What a contender knows of a bundle."""

    name: str
    version: str
    digest: str
    """SHA-256 of the archive."""
    features: tuple[str, ...]
    output: Output
    explained: bool
    trade_from: int
    """ns UTC; before it the contender holds."""


Contracts = Mapping[str, Contract]
"""The contracts of an arena's bundles by their names."""
