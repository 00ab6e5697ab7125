"""How is a mistake in a manifest said? What is wrong, where, and the nearest word that is right."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any

from titanflow.core.base.nearest import close_to, nearest
from titanflow.core.spec.common import SpecModel

__all__ = ["Fault", "Place", "aliases", "choices", "find", "meant", "nearest", "path_of", "say"]
__all__ += ["submodel", "unknown_key"]

Place = tuple[str | int, ...]


class Fault(typing.NamedTuple):
    """A mistake: its place in the document, what is wrong, and what to do."""

    place: Place
    what: str
    do: str = ""


def path_of(place: Place) -> str:
    """Return a place as people write it.

    >>> path_of(("spec", "instruments", 0, "tickSize"))
    'spec.instruments[0].tickSize'
    """
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def unknown_key(model: type[SpecModel], key: str) -> tuple[str, str]:
    """Return what to say of a field that *model* does not have."""
    if key in model.not_built:
        return f"{key} is not built yet", "remove it"
    return f"unknown field {key!r}", nearest(key, aliases(model))


def aliases(model: type[SpecModel]) -> dict[str, str]:
    """Return the fields of a model: name in manifests to name in Python."""
    return {field.alias or name: name for name, field in model.model_fields.items()}


def submodel(annotation: Any) -> type[SpecModel] | None:
    """Return the model that an annotation holds, through tuples, unions and dictionaries."""
    if isinstance(annotation, type) and issubclass(annotation, SpecModel):
        return annotation
    for part in typing.get_args(annotation):
        found = submodel(part)
        if found is not None:
            return found
    return None


def choices(annotation: Any) -> list[str]:
    """Return the words that an enumeration or a Literal allows; empty for other types."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(member.value) for member in annotation]
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return [str(word) for word in typing.get_args(annotation)]
    if origin is not None or isinstance(annotation, types.UnionType):
        return [word for part in typing.get_args(annotation) for word in choices(part)]
    return []


class Spot(typing.NamedTuple):
    """What the models know of a place: the innermost field, its model, and the model in it."""

    owner: type[SpecModel]
    field: str
    inner: type[SpecModel] | None

    def annotation(self) -> Any:
        """Return the field's type."""
        return self.owner.model_fields[aliases(self.owner)[self.field]].annotation

    def description(self) -> str:
        """Return what the field's description begins with."""
        text = self.owner.model_fields[aliases(self.owner)[self.field]].description or ""
        return text.partition(";")[0].rstrip(".")


def find(model: type[SpecModel], place: Place) -> Spot:
    """Return the spot of *place*, as deep as the models go."""
    spot = Spot(model, "", model)
    for step in place:
        if isinstance(step, int):
            continue
        if spot.inner is None or step not in aliases(spot.inner):
            break
        owner = spot.inner
        spot = Spot(owner, step, None)
        spot = Spot(owner, step, submodel(spot.annotation()))
    return spot


def say(model: type[SpecModel], error: Mapping[str, Any], base: Place) -> Fault | None:
    """Return one of pydantic's errors in our words; None for one that only echoes others."""
    location = tuple(step for step in error["loc"] if step != "[key]")
    place = base + location
    kind, given, context = error["type"], error.get("input"), error.get("ctx", {})
    if kind == "extra_forbidden":
        owner = find(model, location[:-1]).inner or model
        return Fault(place, *unknown_key(owner, str(location[-1])))
    if kind == "missing":
        return Fault(place, "this field is missing", find(model, location).description())
    if kind in {"literal_error", "enum"}:
        return Fault(place, *_word(find(model, location), given))
    if kind == "string_type" and isinstance(given, int | float):
        text = str(given).lower() if isinstance(given, bool) else str(given)
        return Fault(place, f"a string is expected, not {text}", f'write "{text}" in quotes')
    if kind in _EXPECTED:
        what = f"{_EXPECTED[kind]} is expected, not {_shown(given)}"
        return Fault(place, what, _unquote(kind, given))
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        found = _shown(given)
        if kind.startswith("too_") and isinstance(given, dict | list | tuple):
            found = str(len(given))
            if kind == "too_short" and len(given) >= context[key]:
                return None  # entries were counted after the wrong ones had been dropped
        return Fault(place, f"{words.format(context[key])}, not {found}")
    if kind == "value_error":
        return Fault(place, str(context["error"]))
    return Fault(place, str(error["msg"]))


def meant(model: type[SpecModel], error: Mapping[str, Any]) -> tuple[object, bool] | None:
    """Return the value that was meant in place of a wrong one, and whether that is a guess.

    >>> meant(SpecModel, {"type": "string_type", "loc": ("x",), "input": 20})
    ('20', False)
    """
    given, location = error.get("input"), error["loc"]
    match error["type"], given:
        case "string_type", bool():
            return str(given).lower(), False
        case "string_type", int() | float():
            return str(given), False
        case "int_type" | "int_parsing", str() if _INT.fullmatch(given):
            return int(given), False
        case "bool_type" | "bool_parsing", "true" | "false":
            return given == "true", False
        case "literal_error" | "enum", str():
            spot = find(model, location)
            absent = spot.owner.words_not_built.get(spot.field, frozenset())
            words = [word for word in choices(spot.annotation()) if word not in absent]
            close = None if given in absent else close_to(given, words)
            return None if close is None else (close, True)
        case _:
            return None


_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_EXPECTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_BOUNDS = {
    "greater_than_equal": ("at least {} is expected", "ge"),
    "less_than_equal": ("at most {} is expected", "le"),
    "greater_than": ("more than {} is expected", "gt"),
    "less_than": ("less than {} is expected", "lt"),
    "string_too_short": ("at least {} characters are expected", "min_length"),
    "string_too_long": ("at most {} characters are expected", "max_length"),
    "too_short": ("at least {} entries are expected", "min_length"),
    "too_long": ("at most {} entries are expected", "max_length"),
}


def _shown(given: object) -> str:
    match given:
        case None:
            return "nothing"
        case bool():
            return str(given).lower()
        case str():
            return repr(given) if len(given) <= 40 else f"{given[:37]!r}…"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list" if given else "an empty list"
        case _:
            return str(given)


def _unquote(kind: str, given: object) -> str:
    if not isinstance(given, str):
        return ""
    # Other words for numbers (0x10, 010, twenty digits) are text without quotes as well.
    whole = kind.startswith("int") and re.fullmatch(r"-?(0|[1-9][0-9]{0,15})", given)
    return "write it without quotes" if whole or given in {"true", "false"} else ""


def _word(spot: Spot, given: object) -> tuple[str, str]:
    absent = spot.owner.words_not_built.get(spot.field, frozenset())
    words = [word for word in choices(spot.annotation()) if word not in absent]
    if isinstance(given, str) and given in absent:
        return f"{given} is not built yet", f"built: {', '.join(words)}"
    if not isinstance(given, str):
        return f"a word is expected, not {_shown(given)}", nearest("", words)
    return f"unknown word {given!r}", nearest(given, words)
