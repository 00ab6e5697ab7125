"""Is a contender well behaved? Checks that every contender must pass, whoever wrote it.

The idea is river's suite of checks for estimators: an author cannot forget one. They run on bars
that the caller supplies, need no arena, and say what to do about each failure. A contender that
passes may still lose money; one that fails cannot be replayed, restarted or trusted.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import cast

import msgspec

from titanflow.core.base.ident import derive
from titanflow.core.contender.protocol import Contender, Opinion, View, Wish
from titanflow.core.contender.rehearsal import Heard, Rehearsal
from titanflow.core.facts import Bar
from titanflow.core.ports import Predictor

BARS_MIN = 60
"""Fewest bars that say anything; give 200 or more, so that every feature gets warm."""

GROWTH_MAX_BYTES = 4096
"""What a contender may grow over nine further rounds of bars: 8 bytes for each bar of 60 are more
than this, and a full window or a few more names are less."""

OBJECTS_MAX = 4000
"""Most objects that are measured; the search for those already seen takes their number squared."""

CUTS = (0.35, 0.5, 0.8)
"""Where the future is changed, as parts of the tape."""

Factory = Callable[[], Contender]


class _Casting:
    """A factory, and who answers what its contenders ask."""

    def __init__(self, make: Factory, predictor: Predictor | None) -> None:
        self._make, self.predictor = make, predictor

    def __call__(self) -> Contender:
        return self._make()


class CheckResult(msgspec.Struct, frozen=True):
    """What one check found."""

    name: str
    passed: bool
    text: str
    """What is wrong and what to do; empty when the check passed."""


def run_checks(
    factory: Factory, bars: Sequence[Bar], predictor: Predictor | None = None
) -> list[CheckResult]:
    """Return the result of every check, in a fixed order.

    *factory* makes a fresh contender with the same parameters each time. *bars* are in the order of
    time and may be of several instruments. *predictor* answers those that trade by a bundle.

    Raises: ValueError if there are fewer than 60 bars.
    """
    if len(bars) < BARS_MIN:
        raise ValueError(f"at least {BARS_MIN} bars are needed, got {len(bars)}")
    results: list[CheckResult] = []
    casting = _Casting(factory, predictor)
    for name, check in CHECKS.items():
        try:
            text = check(casting, bars)
        except Exception as error:  # noqa: BLE001 - whatever the contender raises is a finding
            text = f"{type(error).__name__}: {error}"
        results.append(CheckResult(name, not text, text))
    return results


def _rehearsal(factory: Factory, contender: Contender, bars: Sequence[Bar]) -> Rehearsal:
    predictor = factory.predictor if isinstance(factory, _Casting) else None
    return Rehearsal(contender, [bar.symbol for bar in bars], predictor)


def _play(factory: Factory, bars: Sequence[Bar]) -> list[Heard]:
    return _rehearsal(factory, factory(), bars).play(bars)


def _differs(one: Sequence[Heard], other: Sequence[Heard]) -> int:
    """Return where two rehearsals part, -1 if nowhere."""
    encode = msgspec.msgpack.encode  # equal bytes: NaN would not equal itself
    pairs = zip(one, other, strict=True)
    return next((at for at, (a, b) in enumerate(pairs) if encode(a) != encode(b)), -1)


def has_docstring(factory: Factory, _: Sequence[Bar]) -> str:
    """The class says what it does."""
    if (type(factory()).__doc__ or "").strip():
        return ""
    return "the class has no docstring; say in one sentence what it does"


def defaults_are_immutable(factory: Factory, _: Sequence[Bar]) -> str:
    """Defaults are not shared between objects."""
    for name, parameter in inspect.signature(type(factory())).parameters.items():
        if isinstance(parameter.default, list | dict | set | bytearray):
            return f"the default of {name!r} is shared by all objects; use a tuple or None"
    return ""


def runs_to_the_end(factory: Factory, bars: Sequence[Bar]) -> str:
    """It answers after every bar, and with opinions that are well formed."""
    _play(factory, bars)
    return ""


def explains_its_scores(factory: Factory, bars: Sequence[Bar]) -> str:
    """Base and parts add up to the score."""
    for signal, _ in _play(factory, bars):
        told = signal.explanation
        total = told.base + sum(part.contribution for part in told.parts)
        if not abs(total - signal.score) <= 1e-9:
            return f"base and parts add up to {total}, the score is {signal.score}; use lean()"
    return ""


def is_deterministic(factory: Factory, bars: Sequence[Bar]) -> str:
    """Two objects made alike decide alike, one after the other."""
    at = _differs(_play(factory, bars), _play(factory, bars))
    if at < 0:
        return ""
    return f"two equal objects differ at bar {at}; use view.chance(), keep nothing in the class"


def does_not_look_ahead(factory: Factory, bars: Sequence[Bar]) -> str:
    """What was decided does not depend on what came after.

    Each tape is played twice, so that whatever was stashed away outside the object is in place.
    """
    for part in CUTS:
        cut = int(len(bars) * part)
        _play(factory, bars)
        known = _play(factory, bars)[:cut]
        changed = _other_future(bars, cut)
        _play(factory, changed)
        at = _differs(known, _play(factory, changed)[:cut])
        if at >= 0:
            return f"the decision at bar {at} changes with bars after {cut - 1}: it looks ahead"
    return ""


def fast_lane_agrees(factory: Factory, bars: Sequence[Bar]) -> str:
    """Where there is a stance, it says the same as decide."""
    slow = _rehearsal(factory, _Watched(factory()), bars).play(bars)
    at = _differs(_play(factory, bars), slow)
    return "" if at < 0 else f"stance() and decide() differ at bar {at}"


def mutates_no_inputs(factory: Factory, bars: Sequence[Bar]) -> str:
    """It changes neither what it looks at nor its own list of features."""
    watched = _Watched(factory())
    _rehearsal(factory, watched, bars).play(bars)
    return watched.text


def has_bounded_memory(factory: Factory, bars: Sequence[Bar]) -> str:
    """It does not grow with the number of bars."""
    contender = factory()
    rehearsal = _rehearsal(factory, contender, bars)
    rehearsal.play(bars)
    first = _size(contender)
    for round_number in range(1, 10):
        rehearsal.play(_later(bars, round_number))
    growth = _size(contender) - first
    if growth <= GROWTH_MAX_BYTES:
        return ""
    return f"it grew by {growth} bytes over {9 * len(bars)} bars; keep windows of fixed length"


def survives_a_restart(factory: Factory, bars: Sequence[Bar]) -> str:
    """Restored in the middle from a snapshot, it goes on as if nothing had happened."""
    middle = len(bars) // 2
    first = _rehearsal(factory, factory(), bars)
    first.play(bars[:middle])
    second = first.resumed(factory())
    if second.decide.digest() != first.decide.digest():
        return "dump() after load() differs from what was loaded"
    at = _differs(first.play(bars[middle:]), second.play(bars[middle:]))
    if at < 0:
        return ""
    return f"restored at bar {middle}, it differs at bar {middle + at}; write dump() and load()"


CHECKS: dict[str, Callable[[Factory, Sequence[Bar]], str]] = {
    "has-docstring": has_docstring,
    "defaults-are-immutable": defaults_are_immutable,
    "runs-to-the-end": runs_to_the_end,
    "explains-its-scores": explains_its_scores,
    "is-deterministic": is_deterministic,
    "does-not-look-ahead": does_not_look_ahead,
    "fast-lane-agrees": fast_lane_agrees,
    "mutates-no-inputs": mutates_no_inputs,
    "has-bounded-memory": has_bounded_memory,
    "survives-a-restart": survives_a_restart,
}
"""Every check by its name, in the order in which they run."""


def _other_future(bars: Sequence[Bar], cut: int) -> list[Bar]:
    """Return *bars* with every rise after *cut* turned into a fall, and the reverse."""
    pivot: dict[str, int] = {}
    for bar in bars[:cut]:
        pivot[bar.symbol] = bar.close_ticks
    out = list(bars[:cut])
    for bar in bars[cut:]:
        square = pivot.setdefault(bar.symbol, bar.open_ticks) ** 2
        out.append(
            msgspec.structs.replace(
                bar,
                open_ticks=max(1, square // bar.open_ticks),
                high_ticks=max(1, square // bar.low_ticks),
                low_ticks=max(1, square // bar.high_ticks),
                close_ticks=max(1, square // bar.close_ticks),
                volume_lots=bar.volume_lots // 2 + 1,
            )
        )
    return out


def _later(bars: Sequence[Bar], round_number: int) -> list[Bar]:
    """Return *bars* again, as many times later."""
    shift = round_number * (bars[-1].at - bars[0].start)
    return [
        msgspec.structs.replace(
            bar,
            id=derive(bar.id, b"later", round_number),
            at=bar.at + shift,
            seen=bar.at + shift,
            start=bar.start + shift,
        )
        for bar in bars
    ]


def _size(root: object) -> int:
    """Return the bytes of an object, what it refers to, and what its class keeps."""
    seen: list[object] = []
    total = 0
    waiting: list[object] = [root, *_kept_by_class(type(root))]
    while waiting and len(seen) < OBJECTS_MAX:
        thing = waiting.pop()
        total += thing.__sizeof__()
        if isinstance(thing, int | float | str | bytes | bytearray | type(None)):
            continue
        if not any(thing is known for known in seen):
            seen.append(thing)
            waiting += [*_inside(thing), *_attributes(thing)]
        else:
            total -= thing.__sizeof__()
    return total


def _kept_by_class(kind: type) -> Iterator[object]:
    for each in kind.__mro__[:-1]:
        for name, value in vars(each).items():
            if not name.startswith("__") and isinstance(value, list | dict | set | bytearray):
                yield value


def _inside(thing: object) -> Iterator[object]:
    if isinstance(thing, dict):
        yield from cast("dict[object, object]", thing)
        yield from cast("dict[object, object]", thing).values()
    elif isinstance(thing, list | tuple | set | frozenset | deque):
        yield from cast("Collection[object]", thing)


def _attributes(thing: object) -> Iterator[object]:
    yield from getattr(thing, "__dict__", {}).values()
    for kind in type(thing).__mro__:
        for name in getattr(kind, "__slots__", ()):
            if hasattr(thing, name):
                yield getattr(thing, name)


class _Watched:
    """A contender that looks over another one's shoulder."""

    def __init__(self, inner: Contender) -> None:
        self.inner = inner
        self.features = inner.features
        self.text = ""
        # One that asks a bundle must be asked as it would be without somebody behind it.
        for name in ("bundle", "ask", "answered"):
            if hasattr(inner, name):
                setattr(self, name, getattr(inner, name))

    def decide(self, view: View) -> Opinion | tuple[Wish, ...] | None:
        """Let the other decide, and compare what it saw before and after."""
        before = self._look(view)
        said = self.inner.decide(view)
        after = self._look(view)
        if before != after and not self.text:
            names = ", ".join(name for name in before if before[name] != after[name])
            self.text = f"decide() changed its inputs at bar {view.bars_seen}: {names}"
        return said

    def _look(self, view: View) -> dict[str, str]:
        # As text, because NaN differs from itself.
        seen = {name: repr(getattr(view, name)) for name in _PROPERTIES}
        seen["features"] = repr([view[name] for name in self.features])
        seen["names of features"] = repr(self.inner.features)
        return seen


_PROPERTIES = tuple(name for name, kind in vars(View).items() if isinstance(kind, property))
