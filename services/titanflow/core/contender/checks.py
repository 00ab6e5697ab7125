"""Is a contender well behaved? Checks that every contender must pass, whoever wrote it.

The idea is river's suite of checks for estimators: an author cannot forget one. They run on bars
that the caller supplies, need no arena, and say what to do about each failure. A contender that
passes may still lose money; one that fails cannot be replayed, restarted or trusted.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from titanflow.core.base.ident import derive
from titanflow.core.contender.footprint import Tracer, fingerprint, size_of
from titanflow.core.contender.protocol import Contender, News, Opinion, View, Wish
from titanflow.core.contender.rehearsal import Heard, Rehearsal
from titanflow.core.facts import Bar
from titanflow.core.ports import Predictor

BARS_MIN = 60
"""Fewest bars that say anything; give 200 or more, so that every feature gets warm."""

GROWTH_MAX_BYTES = 4096
"""What a contender may grow over nine further rounds of bars: 8 bytes for each bar of 60 are more
than this, and a full window or a few more names are less."""

ROUNDS = 9
"""How often the bars come again while growth is measured."""

TRACED_ROUNDS = 4
"""In how many of them allocations are traced, which takes several times as long."""

CUTS = (0.35, 0.5, 0.8)
"""Where the future is changed, as parts of the tape."""

RESTARTS = (67, 131, 257)
"""After how many bars a contender is restored, beside the middle: odd, so that whatever happens
every 2, 5 or 10 bars is not always just done."""

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
    if not hasattr(factory(), "stance"):
        return ""
    slow = _rehearsal(factory, _Watched(factory()), bars).play(bars)
    at = _differs(_play(factory, bars), slow)
    return "" if at < 0 else f"stance() and decide() differ at bar {at}"


def mutates_no_inputs(factory: Factory, bars: Sequence[Bar]) -> str:
    """It changes neither what it looks at nor its own list of features."""
    watched = _Watched(factory())
    _rehearsal(factory, watched, bars).play(bars)
    return watched.text


def has_bounded_memory(factory: Factory, bars: Sequence[Bar]) -> str:
    """Neither it nor what its code keeps elsewhere grows with the number of bars."""
    contender = factory()
    rehearsal = _rehearsal(factory, contender, bars)
    rehearsal.play(bars)
    first = size_of(contender)
    traced_from = ROUNDS - TRACED_ROUNDS
    for round_number in range(1, traced_from):
        rehearsal.play(_later(bars, round_number))
    with Tracer(type(contender)) as tracer:
        # What is kept only until the next bar must have been traced too, else it looks like more.
        rehearsal.play(_later(bars, traced_from))
        tracer.begin()
        for round_number in range(traced_from + 1, ROUNDS + 1):
            rehearsal.play(_later(bars, round_number))
    count, do = ROUNDS * len(bars), "keep windows of fixed length"
    growth = size_of(contender) - first
    if growth > GROWTH_MAX_BYTES:
        return f"it grew by {growth} bytes over {count} bars; {do}"
    if tracer.bytes * ROUNDS > GROWTH_MAX_BYTES * TRACED_ROUNDS:
        count = TRACED_ROUNDS * len(bars)
        what = f"its code kept {tracer.bytes} bytes more after {count} bars, most at {tracer.line}"
        return f"{what}; {do}, and nothing in classes, modules and closures"
    return ""


def survives_a_restart(factory: Factory, bars: Sequence[Bar]) -> str:
    """Restored from a snapshot, wherever that was taken, it goes on as if nothing had happened."""
    for cut in sorted({len(bars) // 2, *(each for each in RESTARTS if each < len(bars))}):
        text = _restarted(factory, bars, cut)
        if text:
            return text
    return ""


def _restarted(factory: Factory, bars: Sequence[Bar], cut: int) -> str:
    contender = factory()
    fresh = fingerprint(contender)
    first = _rehearsal(factory, contender, bars)
    first.play(bars[:cut])
    changed = sorted(name for name, now in fingerprint(contender).items() if fresh.get(name) != now)
    if changed and not hasattr(contender, "dump"):
        return f"it keeps {', '.join(changed)} between bars and has no dump(); write dump(), load()"
    second = first.resumed(factory())
    if second.decide.digest() != first.decide.digest():
        return "dump() after load() differs from what was loaded"
    at = _differs(first.play(bars[cut:]), second.play(bars[cut:]))
    if at < 0:
        return ""
    return f"restored at bar {cut}, it differs at bar {cut + at}; write dump() and load()"


def heard_digests(
    factory: Factory, bars: Sequence[Bar], predictor: Predictor | None = None
) -> list[str]:
    """Return a digest of what was said after each bar, to be compared between processes."""
    encode = msgspec.msgpack.encode
    heard = _play(_Casting(factory, predictor), bars)
    return [hashlib.sha256(encode(each)).hexdigest()[:16] for each in heard]


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


class _Watched:
    """A contender that looks over another one's shoulder. It has no stance: `decide` is asked."""

    def __init__(self, inner: Contender) -> None:
        self.inner = inner
        self.features = inner.features
        self.text = ""
        # What the other does not have must be missing here too: it changes who is asked for what.
        for name in ("bundle", "dump", "load"):
            if hasattr(inner, name):
                setattr(self, name, getattr(inner, name))
        for name in ("ask", "answered", "learn"):
            if hasattr(inner, name):
                setattr(self, name, self._guarded(name, getattr(inner, name)))

    def decide(self, view: View) -> Opinion | tuple[Wish, ...] | None:
        """Let the other decide, and compare what it saw before and after."""
        said: Opinion | tuple[Wish, ...] | None = self._guarded("decide", self.inner.decide)(view)
        return said

    def _guarded(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(view: View, *rest: News | tuple[float, ...] | None) -> Any:
            before = self._look(view, rest)
            said = method(view, *rest)
            after = self._look(view, rest)
            if before != after and not self.text:
                names = ", ".join(each for each in before if before[each] != after[each])
                self.text = f"{name}() changed its inputs at bar {view.bars_seen}: {names}"
            return said

        return call

    def _look(self, view: View, rest: tuple[object, ...]) -> dict[str, str]:
        # As text, because NaN differs from itself.
        seen = {name: repr(getattr(view, name)) for name in _PROPERTIES}
        seen["features"] = repr([view[name] for name in self.features])
        seen["names of features"] = repr(self.inner.features)
        seen["what it was told"] = repr(rest)
        return seen


_PROPERTIES = tuple(name for name, kind in vars(View).items() if isinstance(kind, property))
