"""Where does market data come from, as a manifest says it?"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from titanflow.core.spec.common import Rule, SpecModel, field_of
from titanflow.core.spec.shape import Name, Sha256, Shaped, worded


class BundledSpec(SpecModel):
    """Data inside the package."""

    dataset: Annotated[
        str,
        StringConstraints(min_length=1, max_length=63),
        worded(
            r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?",
            "a data set's name has lower-case letters, digits and - .",
        ),
    ] = Field(
        description="Name of the data set; `titanflow data list` shows them.",
    )


class FileFormat(StrEnum):
    """How files are written."""

    PARQUET = "Parquet"
    CSV = "CSV"


def _uri(text: str) -> None:
    if text.startswith(("s3://", "https://", "pvc://")):
        raise ValueError(f"{text.partition(':')[0]}:// is not built yet: use file://")
    if not text.startswith("file://") or len(text) == len("file://"):
        raise ValueError("write file:///folder/x, or file://./x for a place beside the manifest")


class FilesSpec(SpecModel):
    """CSV or Parquet files."""

    not_built: ClassVar[frozenset[str]] = frozenset({"secretRef"})
    words_not_built: ClassVar[Mapping[str, frozenset[str]]] = {
        "format": frozenset({"DBN", "LOBSTER"})
    }

    uri: Annotated[
        str,
        StringConstraints(max_length=1024),
        Shaped(
            _uri,
            "self.matches('^file://.')",
            "write file:///folder/x, or file://./x for a place beside the manifest; other places "
            "are not built yet",
            pattern="^file://.",
        ),
    ] = Field(
        description="Folder or file: file:///data/x, or file://./x beside the manifest.",
    )
    format: FileFormat = Field(
        default=FileFormat.PARQUET, description="Parquet or CSV. Default: Parquet."
    )
    sha256: Sha256 | None = Field(
        default=None,
        description="Digest of the file, or of the folder's sorted list of digests; other content "
        "is refused. Default: not checked, but recorded.",
    )


def one_of(*fields: str, of: str) -> Rule:
    """Return the rule that exactly the field of a kind is set, of *fields* in camelCase."""

    def broken(model: SpecModel) -> bool:
        kind: str = field_of(model, "kind")
        own = kind[0].lower() + kind[1:]
        return [field for field in fields if field_of(model, field) is not None] != [own]

    cel = " && ".join(f"(self.kind == '{f[0].upper()}{f[1:]}') == has(self.{f})" for f in fields)
    text = f"set exactly the field of {of} that belongs to its kind (one of: {', '.join(fields)})"
    return Rule(cel, text, broken=broken)


class SourceSpec(SpecModel):
    """One supplier of market events."""

    constraints: ClassVar[tuple[Rule, ...]] = (one_of("bundled", "files", of="a source"),)

    not_built: ClassVar[frozenset[str]] = frozenset(
        {"staleAfterSeconds", "tape", "synthetic", "exchange", "vendor", "chain"}
    )
    words_not_built: ClassVar[Mapping[str, frozenset[str]]] = {
        "kind": frozenset({"Tape", "Synthetic", "Exchange", "Vendor", "Chain"}),
        "grain": frozenset({"Trades", "Quotes", "BookL2", "BookL3"}),
    }

    name: Name = Field(description="Name of the source.")
    kind: Literal["Bundled", "Files"] = Field(
        description="Bundled: data inside the package. Files: CSV or Parquet."
    )
    grain: Literal["Bars"] = Field(
        default="Bars", description="Finest events to take; bars for now. Default: Bars."
    )
    bar_seconds: int = Field(
        default=86_400,
        ge=1,
        le=31_536_000,
        description="Length of a bar in seconds: 60, 3600, 86400. Default: 86400.",
    )
    bundled: BundledSpec | None = Field(default=None, description="For kind Bundled.")
    files: FilesSpec | None = Field(default=None, description="For kind Files.")
