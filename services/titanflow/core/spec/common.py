"""What do all manifests share? The base model, its rules, and what an object is called.

Names, units and bounds follow the custom resources `titanflow.io/v1alpha1`, which are made from
these models. A field that would do nothing yet is refused in words: it stands in `not_built`,
never in the model. A rule between fields stands once, with two evaluators: CEL for the API server,
a function for everybody else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError

from titanflow.core.spec.shape import VALIDATIONS, LabelKey, LabelValue, Name

API_VERSION = "titanflow.io/v1alpha1"

Fault = tuple[tuple[str | int, ...], str]
"""Where in the model (camelCase names and list indices), and what is wrong there."""

INVALID, REQUIRED, FORBIDDEN = "FieldValueInvalid", "FieldValueRequired", "FieldValueForbidden"
"""Kinds of refusal; the API server's FieldValueDuplicate would swallow the message."""


class Rule(NamedTuple):
    """A rule between the fields of one model."""

    cel: str
    """What must hold of `self`; a rule that names `oldSelf` is about a change of an object."""
    words: str
    """What is wrong and what to do, for people."""
    path: str = ""
    """The field that the words are about, such as season.end; empty is the model itself."""
    reason: str = INVALID
    broken: Callable[[Any], bool | list[Fault]] | None = None
    """Whether a model breaks it, or where it does, with words; None for a rule about changes, of
    which a folder has none."""

    def faults(self, model: BaseModel) -> list[Fault]:
        """Return where *model* breaks the rule."""
        found = self.broken is not None and self.broken(model)
        if isinstance(found, bool):
            place = tuple(self.path.split(".")) if self.path else ()
            return [(place, self.words)] if found else []
        return found

    def schema(self) -> dict[str, str]:
        """Return the rule as a custom resource holds it."""
        told = {"rule": self.cel, "message": self.words, "reason": self.reason}
        return told | ({"fieldPath": f".{self.path}"} if self.path else {})


class SpecModel(BaseModel):
    """The root of all manifest models: frozen, no unknown keys, camelCase names."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=False
    )
    not_built: ClassVar[frozenset[str]] = frozenset()
    """Fields of the resource, in camelCase, that are not built yet."""
    words_not_built: ClassVar[Mapping[str, frozenset[str]]] = {}
    """Words that the resource allows in a field (in camelCase) and that are not built yet."""
    constraints: ClassVar[tuple[Rule, ...]] = ()
    """Rules between the fields."""
    one_unit: ClassVar[bool] = False
    """Whether two writers may not each own a part of it (an atomic map)."""
    says_something: ClassVar[bool] = False
    """Whether one without any field is refused."""
    empty_defaults: ClassVar[frozenset[str]] = frozenset()
    """Fields whose empty default is written out in the resource, because rules look at them."""
    unsaid_defaults: ClassVar[frozenset[str]] = frozenset()
    """Fields whose default is not written out: it would stay where another kind is chosen."""

    @classmethod
    def all_constraints(cls) -> tuple[Rule, ...]:
        """Return the rules, with the one that says that a field is needed."""
        if not cls.says_something:
            return cls.constraints
        cel = " || ".join(f"has(self.{field.alias})" for field in cls.model_fields.values())
        text = "says nothing: set at least one field"
        return (Rule(cel, text, broken=_says_nothing), *cls.constraints)

    @model_validator(mode="after")
    def _hold_the_rules(self) -> Self:
        refuse(self, [fault for rule in self.all_constraints() for fault in rule.faults(self)])
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Add what a custom resource says beside pydantic: rules, merging, whole defaults."""
        told = handler.resolve_ref_schema(handler(schema))
        told["description"] = " ".join((cls.__doc__ or "").split())
        if cls.one_unit:
            told["x-kubernetes-map-type"] = "atomic"
        if cls.all_constraints():
            told[VALIDATIONS] = [rule.schema() for rule in cls.all_constraints()]
        for name, field in cls.model_fields.items():
            alias = field.alias or name
            inner = told["properties"][alias]
            inner.pop("default", None)
            default = None
            if not field.is_required() and alias not in cls.unsaid_defaults:
                default = default_of(field.get_default(call_default_factory=True))
            if default not in (None, {}, []) or alias in cls.empty_defaults:
                inner["default"] = default
            if alias in cls.words_not_built:
                inner["x-not-built"] = sorted(cls.words_not_built[alias])
        return dict(told)


def _says_nothing(model: BaseModel) -> bool:
    return not model.model_fields_set


def field_of(model: SpecModel, alias: str) -> Any:
    """Return the value of a field by its name in manifests."""
    names = {told.alias: name for name, told in type(model).model_fields.items()}
    return getattr(model, names[alias])


def default_of(value: Any) -> Any:
    """Return a default as a manifest would say it."""
    if isinstance(value, SpecModel):
        parts = {
            field.alias or name: default_of(getattr(value, name))
            for name, field in type(value).model_fields.items()
            if field.alias not in value.unsaid_defaults
        }
        return {alias: part for alias, part in parts.items() if part is not None}
    if isinstance(value, tuple):
        return [default_of(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return getattr(value, "value", value)


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


class Metadata(SpecModel):
    """What an object is called."""

    not_built: ClassVar[frozenset[str]] = frozenset({"generateName"})
    written_by_server: ClassVar[frozenset[str]] = frozenset(
        {
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "managedFields",
            "ownerReferences",
            "finalizers",
            "selfLink",
        }
    )
    """Fields of an object that was read from a cluster; a manifest need not drop them."""

    name: Name = Field(description="Name, unique for its kind in the folder or namespace.")
    namespace: Name | None = Field(
        default=None,
        description="Namespace in a cluster; alike for all manifests of a folder. A laptop has "
        "none. Default: that of kubectl.",
    )
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

    @model_validator(mode="before")
    @classmethod
    def _without_the_servers(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        parts: dict[str, Any] = dict(content)  # pyright: ignore[reportUnknownArgumentType]
        return {key: part for key, part in parts.items() if key not in cls.written_by_server}
