"""How is a fact named for people, and how do two differ? In words, for errors and stories."""

from __future__ import annotations

from itertools import islice
from math import isnan

from titanflow.core.facts import Fact


def difference(found: Fact, expected: Fact) -> str:
    """Say in words how a recorded fact differs from the one that must stand in its place."""
    if type(found) is not type(expected):
        return f"{describe(found)} stands where {describe(expected)} must be"
    fields = [
        f"{name} is {getattr(found, name)!r}, must be {getattr(expected, name)!r}"
        for name in found.__struct_fields__
        if not _same(getattr(found, name), getattr(expected, name))
    ]
    return f"{describe(expected)}: " + "; ".join(islice(fields, 4))


def _same(one: object, other: object) -> bool:
    """Say whether two fields are equal; what is not a number is equal to itself here."""
    if isinstance(one, float) and isinstance(other, float) and isnan(one) and isnan(other):
        return True
    return one == other


def describe(fact: Fact) -> str:
    """Name a fact for people: its kind, the beginning of its id, and whose it is."""
    owner = getattr(fact, "contender", "") or getattr(fact, "symbol", "")
    return f"{type(fact).__name__} {fact.id.hex()[:12]}" + (f" of {owner}" if owner else "")
