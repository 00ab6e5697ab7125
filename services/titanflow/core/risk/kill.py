"""Which kill switches are engaged, whom do they stop, and who may release them?

A switch is latched: it stays until a release with a new token by another person. A name that is
only stated and one that a certificate proves may be the same person's, so they count as one
(docs/critique.md says what that leaves open). Every accepted ruling raises the epoch; a verdict
carries the epoch that it was given in, and the desk refuses an older one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

import msgspec

from titanflow.core.facts import KillSwitch
from titanflow.core.spec.words import KillAction, KillScope

SEVERITY = tuple(KillAction)
"""Actions, the severest last."""
SWITCHES_MAX = 30_000
"""Most switches that are remembered, engaged or released: one for each object of a full arena."""


class Switch(msgspec.Struct, frozen=True, array_like=True):
    """One switch: engaged or not, how far it reaches, and who did what last."""

    engaged: bool
    instruments: tuple[str, ...]
    """Symbols that it is narrowed to; empty is all."""
    action: KillAction
    by: str
    reason: str
    token: str
    epoch: int


class KillBoard(msgspec.Struct, array_like=True):
    """All switches of an arena by `Scope:name`, and the epoch."""

    epoch: int
    switches: dict[str, Switch]

    def rule(self, request: KillSwitch) -> str:
        """Apply a request; return why it is refused, or an empty string."""
        key = key_of(request.scope, request.name)
        known = self.switches.get(key)
        refusal = (
            _refuse_engage(request, known) if request.engaged else _refuse_release(request, known)
        )
        if not refusal and known is None and len(self.switches) >= SWITCHES_MAX:
            refusal = f"more than {SWITCHES_MAX} switches"
        if refusal:
            return refusal
        self.epoch += 1
        by, token, instruments = request.by, request.reset_token, request.instruments
        if request.engaged and known is not None:
            # Whoever engaged it first may never release it, however often it was engaged since.
            by = known.by if known.engaged else by
            token = known.token
        self.switches[key] = Switch(
            request.engaged,
            instruments if request.engaged else (),
            request.action,
            by,
            request.reason,
            token,
            self.epoch,
        )
        return ""

    def engage_for_breach(self, contender: str, text: str) -> None:
        """Latch a contender's switch because a limit with onBreach Kill was broken."""
        self.epoch += 1
        key = key_of(KillScope.CONTENDER, contender)
        known = self.switches.get(key)
        action, by = KillAction.CANCEL_ALL, "risk"
        if known is not None and known.engaged:
            # Whoever engaged it may not release it, whatever engaged it since.
            action, by = max(action, known.action, key=SEVERITY.index), known.by
        token = known.token if known is not None else ""
        self.switches[key] = Switch(True, (), action, by, text, token, self.epoch)


_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    chr(number) for number in (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10))
}


def key_of(scope: KillScope, name: str) -> str:
    """Return the name under which a switch is kept; an arena has one, whatever it is called."""
    return f"{scope.value}:{'' if scope is KillScope.ARENA else name}"


def person(by: str) -> str:
    """Return who is meant, however the name is spelt, and whether it is proven or only stated.

    Compatible forms are one (NFKC), characters that nobody sees are none, spaces are one, case is
    none. Letters of different scripts that look alike stay different: nothing here knows fonts.

    >>> person("stated:ada") == person(" Ada ") == person("A\u200bda")
    True
    """
    told = "".join(" " if each.isspace() else each for each in unicodedata.normalize("NFKC", by))
    seen = "".join(each for each in told if not _is_unseen(each))
    # Once more: what was between two characters may have kept them from being one.
    words = unicodedata.normalize("NFKC", seen.casefold()).casefold().split()
    return " ".join(words).removeprefix("stated:").strip()


def _is_unseen(character: str) -> bool:
    """Say whether a character leaves no mark: controls, formats, fillers, variation selectors."""
    return unicodedata.category(character) in _UNSEEN or character in _FILLERS


def _refuse_engage(request: KillSwitch, known: Switch | None) -> str:
    if not person(request.by):
        return "engaging needs the name of who stops the trading"
    if not request.reason:
        return "engaging needs a reason"
    if known is None or not known.engaged:
        return ""
    held = frozenset(known.instruments)
    if request.instruments and not (held and held <= frozenset(request.instruments)):
        return "while engaged, a switch may only be widened: release it first"
    if SEVERITY.index(request.action) < SEVERITY.index(known.action):
        return "while engaged, a switch may only become severer: release it first"
    return ""


def _refuse_release(request: KillSwitch, known: Switch | None) -> str:
    if known is None or not known.engaged:
        return "it is not engaged"
    if not person(request.by):
        return "releasing needs the name of a second person"
    if person(request.by) == person(known.by):
        return f"releasing needs a second person: {known.by} engaged it"
    if request.reset_token <= known.token:
        return "releasing needs a new reset token that sorts after the last one"
    return ""


class _Live(msgspec.Struct, frozen=True):
    """An engaged switch as indices; None is all."""

    scope: KillScope
    contenders: frozenset[int] | None
    instruments: frozenset[int] | None
    severity: int
    epoch: int

    def covers(self, contender: int, instrument: int) -> bool:
        """Say whether the switch stops this contender in this instrument."""
        return (self.contenders is None or contender in self.contenders) and (
            self.instruments is None or instrument in self.instruments
        )


class Switches:
    """The engaged switches, ready to be asked for one contender and one instrument."""

    def __init__(
        self,
        names: Mapping[str, int],
        symbols: Mapping[str, int],
        members: Mapping[str, Sequence[int]],
    ) -> None:
        self._names, self._symbols, self._members = names, symbols, members
        self._live: list[_Live] = []

    def contenders(self, scope: KillScope, name: str) -> Sequence[int]:
        """Return whom a switch of this scope and name is about, ascending."""
        if scope is KillScope.CONTENDER:
            return (self._names[name],)
        if scope is KillScope.POLICY:
            return self._members[name]
        return range(len(self._names))

    def unknown(self, request: KillSwitch) -> str:
        """Return what a request names that is not there, or an empty string."""
        known: Mapping[str, object] = {
            KillScope.ARENA: {request.name: 0},
            KillScope.CONTENDER: self._names,
            KillScope.INSTRUMENT: self._symbols,
            KillScope.POLICY: self._members,
        }[request.scope]
        if request.scope is KillScope.INSTRUMENT and request.instruments:
            return "the switch of an instrument takes no list of instruments"
        if request.name not in known:
            return f"no {request.scope.value.lower()} is called {request.name!r}"
        for symbol in request.instruments:
            if symbol not in self._symbols:
                return f"no instrument is called {symbol!r}"
        return ""

    def take(self, board: KillBoard) -> None:
        """Make the lookup anew, the severest switch first."""
        self._live = []
        for key, switch in sorted(board.switches.items()):
            if not switch.engaged:
                continue
            word, _, name = key.partition(":")
            scope = KillScope(word)
            narrow = (name,) if scope is KillScope.INSTRUMENT else switch.instruments
            everyone = scope in {KillScope.ARENA, KillScope.INSTRUMENT}
            self._live.append(
                _Live(
                    scope,
                    None if everyone else frozenset(self.contenders(scope, name)),
                    frozenset(self._symbols[s] for s in narrow) if narrow else None,
                    SEVERITY.index(switch.action),
                    switch.epoch,
                )
            )
        self._live.sort(key=lambda live: -live.severity)

    def whole(self) -> tuple[bool, list[int], list[int]]:
        """Return what is stopped as a whole: the arena, contenders (0, 1), instruments (0, 1)."""
        arena = False
        contenders, instruments = [0] * len(self._names), [0] * len(self._symbols)
        for live in self._live:
            if live.contenders is None and live.instruments is None:
                arena = True
            elif live.contenders is None and live.instruments is not None:
                for i in sorted(live.instruments):
                    instruments[i] = 1
            elif live.contenders is not None and live.instruments is None:
                for c in sorted(live.contenders):
                    contenders[c] = 1
        return arena, contenders, instruments

    def over(self, contender: int, instrument: int) -> tuple[KillScope, int, KillAction] | None:
        """Return scope, epoch and action of the severest switch that stops this pair."""
        live = next((each for each in self._live if each.covers(contender, instrument)), None)
        return None if live is None else (live.scope, live.epoch, SEVERITY[live.severity])

    def speaking(self, contender: int, instrument: int) -> tuple[KillScope, int] | None:
        """Return scope and epoch of the switch that a refusal names; the arena's comes first.

        Whoever is not known (-1) is stopped by switches over everybody, or everything, only.
        """
        found = [each for each in self._live if each.covers(contender, instrument)]
        if not found:
            return None
        live = next((each for each in found if each.scope is KillScope.ARENA), found[0])
        return live.scope, live.epoch
