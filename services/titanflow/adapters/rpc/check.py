"""Is what was asked a question at all? Every field is looked at, every fault told with its path.

A `Check` collects what is wrong with one message; `done` refuses it with all of it at once. Names
that are well made and that nobody has are NOT_FOUND, with the nearest word that is one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from enum import Enum
from itertools import islice
from math import isfinite
from typing import Any, Final, TypeVar

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from titanflow.adapters.codec_table import wire_name
from titanflow.adapters.registry.words import nearest
from titanflow.adapters.rpc.refusal import PROBLEMS_MAX, invalid, not_found, shown
from titanflow.core.base.errors import Problem

W = TypeVar("W", bound=Enum)

CONTENDER_MAX: Final = 40
SYMBOL_MAX: Final = 32
SYMBOLS_MAX: Final = 64
REASON_MAX: Final = 256
TOKEN_MAX: Final = 64
NEAREST_AMONG: Final = 1_000
"""Most names among which the nearest is looked for: a wrong one must not cost the server more."""
INSTANT_MAX: Final = 2**63 - 1

NAME: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
SYMBOL: Final = re.compile(r"[A-Z0-9][A-Z0-9._/-]*")
TOKEN: Final = re.compile(r"[0-9A-Za-z:._-]+")
HEX: Final = re.compile(r"[0-9a-f]+")


class Check:
    """What is wrong with one request."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def refuse(self, where: str, what: str, do: str = "") -> None:
        """Note that something is wrong."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(what, where, do))

    def done(self) -> None:
        """End the check.

        Raises: RefusalError with INVALID_ARGUMENT if anything is wrong.
        """
        if self.problems:
            raise invalid(self.problems)

    def text(
        self, where: str, value: str, most: int, *, pattern: re.Pattern[str] | None = None
    ) -> str:
        """Return a text that must be there, at most *most* long, printable and of a *pattern*."""
        if not value:
            self.refuse(where, "is missing")
        elif len(value) > most:
            self.refuse(where, f"has {len(value)} characters, at most {most} are allowed")
        elif pattern is not None and pattern.fullmatch(value) is None:
            self.refuse(where, f"{shown(value)} is not written as {_WRITTEN[pattern]}")
        elif not value.isprintable():
            self.refuse(where, "holds characters that cannot be printed")
        return value

    def name(self, where: str, value: str) -> str:
        """Return a contender's or policy's name."""
        return self.text(where, value, CONTENDER_MAX, pattern=NAME)

    def symbol(self, where: str, value: str) -> str:
        """Return an instrument's symbol."""
        return self.text(where, value, SYMBOL_MAX, pattern=SYMBOL)

    def symbols(self, where: str, values: Sequence[str]) -> tuple[str, ...]:
        """Return symbols, none of them twice."""
        if len(values) > SYMBOLS_MAX:
            self.refuse(where, f"has {len(values)} symbols, at most {SYMBOLS_MAX} are allowed")
            return ()
        seen: set[str] = set()
        for place, value in enumerate(values):
            self.symbol(f"{where}[{place}]", value)
            if value in seen:
                self.refuse(f"{where}[{place}]", f"{shown(value)} stands twice")
            seen.add(value)
        return tuple(values)

    def word(self, where: str, number: int, wrapper: EnumTypeWrapper, words: Collection[W]) -> W:
        """Return the member of an enumeration that a number on the wire names.

        What is wrong gives the first member, which nobody sees: `done` refuses.
        """
        members = {wire_name(member): member for member in words}
        found = wrapper.DESCRIPTOR.values_by_number.get(number)
        if found is not None and found.name in members:
            return members[found.name]
        is_missing = number == 0
        what = "is missing" if is_missing else f"{number} is none of them"
        self.refuse(where, what, f"one of: {', '.join(members)}")
        return next(iter(words))

    def between(self, where: str, value: float, least: float, most: float) -> None:
        """Note a number that is beyond its bounds or no number."""
        if not isfinite(value):
            self.refuse(where, "is no finite number")
        elif not least <= value <= most:
            self.refuse(where, f"is {value}, but lies between {least} and {most}")


_WRITTEN: Final = {
    NAME: "a name: lower-case letters, digits and '-', a letter first",
    SYMBOL: "a symbol: upper-case letters, digits and . _ / -, such as AAPL",
    TOKEN: "a token: letters, digits and : . _ -",
    HEX: "hexadecimal digits, in lower case",
}


def find(kind: str, word: str, known: Collection[str], where: str) -> str:
    """Return a word that is known.

    Raises: RefusalError with NOT_FOUND and the nearest word.
    """
    if word in known:
        return word
    near: Iterable[str] = islice(known, NEAREST_AMONG)
    raise not_found(f"no {kind} is called {shown(word)}", where, nearest(word, near))


def number_of(member: Enum, wrapper: EnumTypeWrapper) -> Any:
    """Return the number on the wire of an enumeration's member."""
    return wrapper.Value(wire_name(member))
