"""What do all manifests share? The base model, the words of fields, and the kill switch.

Names, units and bounds follow the custom resources `titanflow.io/v1alpha1`. A field that would do
nothing yet is refused in words: it stands in `not_built`, never in the model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError

from titanflow.core.base.fixed import parse_decimal
from titanflow.core.base.instant import parse_instant
from titanflow.core.spec.words import KillAction

API_VERSION = "titanflow.io/v1alpha1"


class SpecModel(BaseModel):
    """The root of all manifest models: frozen, no unknown keys, camelCase names."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=False
    )
    not_built: ClassVar[frozenset[str]] = frozenset()
    """Fields of the resource, in camelCase, that are not built yet."""
    words_not_built: ClassVar[Mapping[str, frozenset[str]]] = {}
    """Words that the resource allows in a field (in camelCase) and that are not built yet."""


Fault = tuple[tuple[str | int, ...], str]
"""Where in the model (camelCase names and list indices), and what is wrong there."""


def refuse(model: BaseModel, faults: Sequence[Fault]) -> None:
    """Do nothing if there are no *faults*; all of them are reported at once, each at its place.

    Raises: ValidationError, which pydantic joins with what else is wrong in the document.
    """
    if faults:
        raise ValidationError.from_exception_data(
            type(model).__name__,
            [
                InitErrorDetails(
                    type=PydanticCustomError("rule", "{text}", {"text": text}),
                    loc=where,
                    input=None,
                )
                for where, text in faults
            ],
        )


M = TypeVar("M", bound=SpecModel)


def problems_of(model: type[M], text: str) -> tuple[M | None, list[dict[str, Any]]]:
    """Return the model that JSON *text* describes, or None and pydantic's errors.

    Reading is strict: a string is never taken for a number or the reverse, as the Kubernetes API
    server has it.
    """
    try:
        return model.model_validate_json(text, strict=True), []
    except ValidationError as error:
        return None, [dict(item) for item in error.errors(include_url=False)]


def worded(pattern: str, message: str) -> AfterValidator:
    """Return a check that a string matches *pattern*, with a message for people."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise ValueError(message)
        return text

    return AfterValidator(check)


def _decimal(text: str) -> str:
    parse_decimal(text)
    return text


def _positive(text: str) -> str:
    if parse_decimal(text) == 0:
        raise ValueError("must be greater than zero")
    return text


def _instant(text: str) -> str:
    parse_instant(text)
    return text


def _label_key(text: str) -> str:
    prefix, slash, name = text.rpartition("/")
    if not _LABEL_NAME.fullmatch(name) or (slash and not _LABEL_PREFIX.fullmatch(prefix)):
        raise ValueError(
            "a label's key has letters, digits and - _ . and at most 63 characters, and may have "
            "a DNS name and / before it"
        )
    return text


T = TypeVar("T")


def _distinct(items: tuple[T, ...] | None) -> tuple[T, ...] | None:
    twice = [item for place, item in enumerate(items or ()) if item in (items or ())[:place]]
    if twice:
        raise ValueError(f"{twice[0]!s} stands twice")
    return items


DISTINCT = AfterValidator(_distinct)
"""Refuses a list that names something twice, as a custom resource's `set` does."""

_LABEL_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_LABEL_PREFIX = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")

DecimalString = Annotated[str, StringConstraints(max_length=24), AfterValidator(_decimal)]
"""A decimal string without sign and with at most 8 decimals."""
PositiveDecimal = Annotated[DecimalString, AfterValidator(_positive)]
InstantString = Annotated[str, StringConstraints(max_length=35), AfterValidator(_instant)]
Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=40),
    worded(
        r"[a-z]([-a-z0-9]*[a-z0-9])?",
        "a name has lower-case letters, digits and '-', starts with a letter and holds no dots",
    ),
]
Symbol = Annotated[
    str,
    StringConstraints(min_length=1, max_length=32),
    worded(
        r"[A-Z0-9][A-Z0-9._/-]*",
        "a symbol has upper-case letters, digits and . _ / -, such as AAPL or BTC-USD",
    ),
]
Currency = Annotated[
    str,
    StringConstraints(min_length=2, max_length=10),
    worded(r"[A-Z0-9]+", "a currency has upper-case letters and digits, such as USD"),
]
LabelKey = Annotated[str, StringConstraints(min_length=1), AfterValidator(_label_key)]
LabelValue = Annotated[
    str,
    StringConstraints(max_length=63),
    worded(
        r"([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?",
        "a label's value has letters, digits and - _ . and begins and ends with a letter or digit",
    ),
]


def say_something(model: BaseModel) -> list[Fault]:
    """Return the fault of an object without any field, where one is needed to mean anything."""
    return [] if model.model_fields_set else [((), "says nothing: set at least one field")]


_NOTHING_TO_RELEASE = (
    "a session begins with nothing to release; remove it, and send a release with --controls"
)


class KillSwitchSpec(SpecModel):
    """Stops trading at once and stays latched until another person releases it."""

    engaged: bool = Field(
        default=False,
        description="true stops from the first event; while it is false the other fields only "
        "wait. Default: false.",
    )
    instruments: tuple[Symbol, ...] = Field(
        default=(),
        max_length=64,
        description="Symbols to stop; an empty list stops all. Default: empty.",
    )
    action: KillAction = Field(
        default=KillAction.CANCEL_ALL,
        description="RejectNew refuses new orders; CancelAll also cancels resting orders; Flatten "
        "also closes positions at the market. The severest of all switches wins. "
        "Default: CancelAll.",
    )
    reason: str = Field(
        default="",
        max_length=256,
        description="Why it was engaged, for people; required while engaged. Default: empty.",
    )
    engaged_by: str = Field(
        default="",
        max_length=128,
        description="Who engaged it (a stated name); required while engaged. Default: empty.",
    )
    released_by: str = Field(
        default="",
        max_length=128,
        description="Who released it; refused until a manifest can release: a session begins "
        "with nothing to release, and `--controls` takes releases. Default: empty.",
    )
    reset_token: Annotated[
        str, worded(r"[0-9A-Za-z:._-]*", "a token has letters, digits and : . _ -")
    ] = Field(
        default="",
        max_length=64,
        description="Token that the first release must sort after; only with engaged: true. "
        "A UTC time will do. Default: empty.",
    )

    @model_validator(mode="after")
    def _complete(self) -> KillSwitchSpec:
        faults: list[Fault] = []
        if self.engaged and not self.reason:
            text = "killSwitch.reason is required while killSwitch.engaged is true"
            faults.append((("reason",), text))
        if self.engaged and not self.engaged_by:
            text = (
                "killSwitch.engagedBy is required while killSwitch.engaged is true: who stops "
                "the trading"
            )
            faults.append((("engagedBy",), text))
        released = [("releasedBy", self.released_by)]
        if not self.engaged:
            released.append(("resetToken", self.reset_token))
        faults += [
            ((field,), f"killSwitch.{field} would do nothing: {_NOTHING_TO_RELEASE}")
            for field, text in released
            if text
        ]
        if len(set(self.instruments)) < len(self.instruments):
            faults.append((("instruments",), "a symbol stands twice"))
        refuse(self, faults)
        return self


class Metadata(SpecModel):
    """What an object is called."""

    not_built: ClassVar[frozenset[str]] = frozenset({"namespace", "generateName"})

    name: Name = Field(description="Name, unique for its kind in the folder.")
    labels: dict[LabelKey, LabelValue] = Field(
        default_factory=dict,
        max_length=64,
        description="Labels by which policies select contenders. Default: none.",
    )
    annotations: dict[LabelKey, str] = Field(
        default_factory=dict,
        max_length=64,
        description="Notes for tools; they change nothing. Default: none.",
    )
