"""How is a value written? Shapes to which pydantic and the API server hold a manifest alike.

Each shape has a regular expression and words for people. Pydantic checks it where a folder is read;
the custom resource holds the same expression, and the same words as a CEL rule, because the server
shows a failed pattern without words. Patterns mean the same to Python's `fullmatch` and to RE2
between ^ and $: no look-around, no classes beyond those of ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, StringConstraints
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, ValidationError
from pydantic_core.core_schema import no_info_after_validator_function

from titanflow.core.base.fixed import parse_decimal
from titanflow.core.base.instant import parse_instant

VALIDATIONS = "x-kubernetes-validations"
LIST_TYPE, MAP_KEYS = "x-kubernetes-list-type", "x-kubernetes-list-map-keys"


class Shaped:
    """Holds a string to a rule that pydantic and CEL both state."""

    def __init__(
        self, check: Callable[[str], None], cel: str, message: str, *, pattern: str = ""
    ) -> None:
        self._check, self._cel, self._message, self._pattern = check, cel, message, pattern

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Let pydantic check the string after what is said of it already."""
        return no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Say the same in the schema."""
        told = dict(handler(schema))
        if self._pattern:
            told["pattern"] = self._pattern
        rule = {"rule": self._cel, "message": self._message}
        told[VALIDATIONS] = [*told.get(VALIDATIONS, []), rule]
        return told

    def _checked(self, text: str) -> str:
        self._check(text)
        return text


def worded(pattern: str, message: str) -> Shaped:
    """Return a check that a whole string matches *pattern*, with a message for people."""
    compiled, anchored = re.compile(pattern, re.ASCII), f"^{pattern}$"

    def check(text: str) -> None:
        if compiled.fullmatch(text) is None:
            raise ValueError(message)

    assert "'" not in pattern, "CEL writes patterns between apostrophes"
    return Shaped(check, f"self.matches(r'{anchored}')", message, pattern=anchored)


def _positive(text: str) -> None:
    if parse_decimal(text) == 0:
        raise ValueError("must be greater than zero")


def _calendar(text: str) -> None:
    parse_instant(text)


class _Distinct:
    """Refuses a list that names something twice, as a custom resource's `set` does."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return _listed(dict(handler(schema)), {LIST_TYPE: "set"})

    @staticmethod
    def _check(items: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        twice = [item for place, item in enumerate(items or ()) if item in (items or ())[:place]]
        if twice:
            raise ValueError(f"{twice[0]!s} stands twice")
        return items


class Keyed:
    """Refuses a list with two entries of one key, as a custom resource's list-map does."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Let pydantic check the list after its entries."""
        return no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Make the list a list-map."""
        return _listed(dict(handler(schema)), {LIST_TYPE: "map", MAP_KEYS: [self._key]})

    def _check(self, items: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        first: dict[str, int] = {}
        wrong: list[InitErrorDetails] = []
        for place, item in enumerate(items or ()):
            value = str(getattr(item, self._key))
            if first.setdefault(value, place) != place:
                text = f"{value} is already the {self._key} of entry {first[value]}: join them"
                told = PydanticCustomError("rule", "{text}", {"text": text})
                wrong.append(InitErrorDetails(type=told, loc=(place, self._key), input=None))
        if wrong:
            raise ValidationError.from_exception_data("list", wrong)
        return items


def _listed(schema: dict[str, Any], words: dict[str, Any]) -> dict[str, Any]:
    """Return *schema* with *words* on the list that it holds."""
    for part in schema.get("anyOf", ()):
        if part.get("type") == "array":
            part.update(words)
    if schema.get("type") == "array":
        schema.update(words)
    return schema


DISTINCT = _Distinct()

DECIMAL = r"(0|[1-9][0-9]{0,14})(\.[0-9]{1,8})?"
_HOUR = "([01][0-9]|2[0-3]):[0-5][0-9]"
_DAY = (
    "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|"
    "02-(0[1-9]|[12][0-9]))"
)
_MOMENT = rf"[1-9][0-9]{{3}}-{_DAY}(T{_HOUR}:[0-5][0-9](\.[0-9]{{1,9}})?(Z|[+-]{_HOUR}))?"
_YEAR = "int(self.substring(0, 4))"
_LEAP = f"({_YEAR} % 4 == 0 && ({_YEAR} % 100 != 0 || {_YEAR} % 400 == 0))"


def moment(field: str) -> str:
    """Return CEL for the time that *field* holds: RFC 3339, or a date for its midnight in UTC."""
    return f"timestamp(size({field}) == 10 ? {field} + 'T00:00:00Z' : {field})"


def is_moment(field: str) -> str:
    """Return CEL for: *field* has the shape of a time, so that `moment` of it is no error."""
    return f"{field}.matches(r'^{_MOMENT}$')"


def exceeds(low: str, high: str) -> str:
    """Return CEL for: the amount in field *low* is more than that in *high*.

    What is no number is refused for its shape; an error in another rule would only hide that.
    """
    numbers = f"isQuantity({low}) && isQuantity({high})"
    return f"({numbers} && quantity({low}).isGreaterThan(quantity({high})))"


DecimalString = Annotated[
    str,
    StringConstraints(max_length=24),
    worded(
        DECIMAL,
        "write a decimal string without sign, exponent or separators and with at most 8 decimals, "
        'such as "1000.50"',
    ),
]
"""A decimal string without sign and with at most 8 decimals."""
PositiveDecimal = Annotated[
    DecimalString,
    Shaped(_positive, "self.matches('[1-9]')", "must be greater than zero"),
]
InstantString = Annotated[
    str, StringConstraints(max_length=35), AfterValidator(lambda text: _calendar(text) or text)
]
"""A time in any form that RFC 3339 knows; not for custom resources."""
MomentString = Annotated[
    str,
    StringConstraints(max_length=35),
    worded(_MOMENT, "write a UTC time such as 2026-11-21T09:30:00Z, or a date"),
    Shaped(
        _calendar,
        f"!self.matches('^[1-9][0-9][0-9][0-9]-02-29') || {_LEAP}",
        "this is not a time of the calendar",
    ),
]
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
Sha256 = Annotated[
    str,
    StringConstraints(max_length=64),
    worded(r"[a-f0-9]{64}", "a digest has 64 hexadecimal digits, in lower case"),
]
LabelKey = Annotated[
    str,
    StringConstraints(min_length=1),
    worded(
        r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?"
        r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?",
        "a label's key has letters, digits and - _ . and at most 63 characters, and may have "
        "a DNS name and / before it",
    ),
]
LabelValue = Annotated[
    str,
    StringConstraints(max_length=63),
    worded(
        r"([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?",
        "a label's value has letters, digits and - _ . and begins and ends with a letter or digit",
    ),
]
