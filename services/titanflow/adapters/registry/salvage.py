"""What else is wrong with a manifest that is wrong already? The rest is judged as if it was mended.

One wrong field would hide everything that is only judged with it: rules between fields, what other
documents refer to, whether the recipe can be built. So it is mended where it is clear what was
meant, put aside where it is not, and the rest is judged again. What only follows from a mending is
not said. Nothing that was mended ever runs: the folder is refused all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from titanflow.adapters.registry.words import Fault, Place, aliases, find, meant, say
from titanflow.core.base.nearest import close_to
from titanflow.core.spec.common import SpecModel, problems_of

ROUNDS_MAX = 8
"""Most times that one document is judged; manifests are 7 levels deep."""

ERRORS_MAX = 200
"""A part with more mistakes than that is not judged again: most of them are one mistake."""

STAND_INS: dict[tuple[str, str], object] = {
    ("ArenaSpec", "instruments"): [
        {
            "symbol": "X",
            "venue": "X",
            "assetClass": "Equity",
            "currency": "USD",
            "tickSize": "0.01",
            "lotSize": "1",
        }
    ],
    ("ArenaSpec", "sources"): [{"name": "x", "kind": "Bundled", "bundled": {"dataset": "x"}}],
    ("InstrumentSpec", "venue"): "X",
    ("InstrumentSpec", "assetClass"): "Equity",
    ("InstrumentSpec", "currency"): "USD",
    ("InstrumentSpec", "tickSize"): "0.01",
    ("InstrumentSpec", "lotSize"): "1",
    ("ContenderSpec", "recipe"): {"kind": "Rules", "rules": {"name": "BuyAndHold"}},
    ("PolicySpec", "selector"): {},
    ("PolicySpec", "limits"): {"allowShort": True},
    ("RequestSpec", "at"): "2000-01-01",
    ("RequestSpec", "scope"): "Arena",
    ("RequestSpec", "engaged"): False,
    ("RequestSpec", "by"): "x",
}
"""What stands for a required field that cannot be used, by model and field."""

S = TypeVar("S", bound=SpecModel)


class Twig:
    """A value that may be changed and still knows where in the file it stood."""

    __slots__ = ("parts", "place", "value")

    def __init__(self, content: object, place: Place) -> None:
        self.place = place
        self.value: object = None
        self.parts: dict[str, Twig] | list[Twig] | None = None
        if isinstance(content, dict):
            self.parts = {key: Twig(part, (*place, key)) for key, part in content.items()}
        elif isinstance(content, list):
            self.parts = [Twig(part, (*place, at)) for at, part in enumerate(content)]
        else:
            self.value = content

    def plain(self) -> object:
        """Return the value with plain dictionaries and lists."""
        if isinstance(self.parts, dict):
            return {key: part.plain() for key, part in self.parts.items()}
        if isinstance(self.parts, list):
            return [part.plain() for part in self.parts]
        return self.value

    def trail(self, steps: Place) -> list[Twig]:
        """Return the twigs on the way of *steps*, this one first, as far as the way goes."""
        found = [self]
        for step in steps:
            parts = found[-1].parts
            if isinstance(parts, dict) and step in parts:
                found.append(parts[str(step)])
            elif isinstance(parts, list) and isinstance(step, int) and step < len(parts):
                found.append(parts[step])
            else:
                break
        return found

    def drop(self, part: Twig) -> None:
        """Let go of a part; one that is not here is let be."""
        if isinstance(self.parts, dict):
            self.parts = {key: each for key, each in self.parts.items() if each is not part}
        elif isinstance(self.parts, list):
            self.parts = [each for each in self.parts if each is not part]


class Salvage(Generic[S]):
    """One part of a document (its metadata or its spec), judged as often as it takes."""

    def __init__(self, model: type[S], content: object, base: str) -> None:
        self.value: S | None = None
        self.is_mended = False
        """Whether `value` is not what the file says."""
        self._model, self._content, self._base = model, content, base
        self._root = Twig(None, (base,))
        self._aside: list[Place] = []
        """Places, as they stand in the file, of what was put aside."""
        self._guessed: set[Place] = set()
        self._lost = False

    def judge(self) -> Iterator[Fault]:
        """Yield everything that is wrong; afterwards `value` is what could be saved, or None."""
        self.value, errors = problems_of(self._model, json.dumps(self._content))
        if not errors:
            return
        self.is_mended = True
        self._root = Twig(self._content, (self._base,))
        for _ in range(ROUNDS_MAX):
            yield from self._news(errors)
            if len(errors) > ERRORS_MAX:
                return
            # A field that is only misspelt must have its name back before it is called missing.
            errors.sort(key=lambda error: error["type"] != "extra_forbidden")
            trails = [self._root.trail(_steps(error)) for error in errors]
            for error, trail in zip(errors, trails, strict=True):
                if say(self._model, error, ()) is not None:  # what only echoes others is let be
                    self._mend(error, trail)
            if self._lost:
                return
            self.value, errors = problems_of(self._model, json.dumps(self._root.plain()))
            if not errors:
                return

    def restore(self, place: Place) -> Place:
        """Return where in the file *place* of `value` stands."""
        trail = self._root.trail(place[1:])
        return (*trail[-1].place, *place[len(trail) :])

    def hides(self, place: Place, text: str) -> bool:
        """Say whether a mistake at *place* of the file may only follow from what was mended."""
        if place in self._guessed:
            return True
        for gone in self._aside:
            shared = min(len(gone), len(place))
            if gone[:shared] == place[:shared]:
                return True
            beside = gone[:-1] == place[: len(gone) - 1]
            if beside and re.search(rf"\b{re.escape(str(gone[-1]))}\b", text):
                return True
        return False

    def _news(self, errors: list[dict[str, Any]]) -> Iterator[Fault]:
        said = [say(self._model, error, ("",)) for error in errors]
        pairs = [
            (error, fault._replace(place=self.restore(fault.place)))
            for error, fault in zip(errors, said, strict=True)
            if fault is not None
        ]
        # A field that one kind needs is not missing where nobody knows which kind was meant.
        unknown = {fault.place[:-1] for _, fault in pairs if fault.place[-1] == "kind"}
        for error, fault in pairs:
            moot = error["type"] == "missing" and fault.place[:-1] in unknown
            if not self.hides(fault.place, fault.what) and (not moot or fault.place[-1] == "kind"):
                yield fault

    def _mend(self, error: Mapping[str, Any], trail: list[Twig]) -> None:
        steps = _steps(error)
        if error["type"] == "missing":
            self._supply(trail, steps)
            return
        wrong = trail[-1]
        if error["type"] == "extra_forbidden" and len(trail) > 1:
            owner = find(self._model, steps[:-1]).inner or self._model
            if self._rename(trail[-2], wrong, aliases(owner)):
                return
        better = meant(self._model, error)
        if better is None or wrong.place in self._guessed or len(trail) <= len(steps):
            self._put_aside(trail)
            return
        wrong.value, is_guess = better
        if is_guess:
            self._guessed.add(wrong.place)

    def _rename(self, parent: Twig, wrong: Twig, known: Mapping[str, str]) -> bool:
        """Give *wrong* the name that was probably meant, unless that stands there too."""
        assert isinstance(parent.parts, dict)
        key = next((key for key, part in parent.parts.items() if part is wrong), None)
        close = None if key is None else close_to(key, known)
        if key is None or close is None or close in parent.parts:
            return False
        parent.parts[close] = parent.parts.pop(key)
        return True

    def _supply(self, trail: list[Twig], steps: Place) -> None:
        """Let something stand for a missing field, or put aside what misses it."""
        owner = find(self._model, steps[:-1]).inner or self._model
        parent, field = trail[-1], str(steps[-1])
        place = (*parent.place, field)
        stand_in = STAND_INS.get((owner.__name__, field))
        if len(trail) < len(steps) or not isinstance(parent.parts, dict) or field in parent.parts:
            return  # it was put aside, or supplied, for another mistake
        if stand_in is None or self._aside.count(place) > 1:
            self._put_aside(trail)
            return
        self._aside.append(place)
        parent.parts[field] = Twig(stand_in, place)

    def _put_aside(self, trail: list[Twig]) -> None:
        if len(trail) == 1:
            self._lost = True
            return
        self._aside.append(trail[-1].place)
        trail[-2].drop(trail[-1])


def _steps(error: Mapping[str, Any]) -> Place:
    return tuple(step for step in error["loc"] if step != "[key]")
