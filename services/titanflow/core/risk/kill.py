"""Which kill switches are engaged, and who may release them?

A switch is latched: it stays until a release with a new token by another person. Identities are
stated names here, not proven ones (docs/critique.md says so). Every accepted ruling raises the
epoch; a verdict carries the epoch that it was given in, and the desk refuses an older one.
"""

from __future__ import annotations

import msgspec

from titanflow.core.facts import KillSwitch
from titanflow.core.spec.words import KillAction, KillScope

SEVERITY = tuple(KillAction)
SWITCHES_MAX = 30_000
"""Most switches that are remembered, engaged or released: one for each object of a full arena."""

Key = tuple[KillScope, str]


class Switch(msgspec.Struct, array_like=True):
    """One switch: engaged or not, how far it reaches, and who did what last."""

    engaged: bool
    instruments: tuple[str, ...]
    action: KillAction
    by: str
    reason: str
    token: str
    epoch: int


class KillBoard(msgspec.Struct, array_like=True):
    """All switches of an arena and the epoch."""

    epoch: int = 0
    switches: dict[str, Switch] = {}

    def rule(self, request: KillSwitch) -> str:
        """Apply a request; return why it is refused, or an empty string."""
        name = key_of(request.scope, request.name)
        known = self.switches.get(name)
        refusal = (
            self._refuse_engage(request, known)
            if request.engaged
            else self._refuse_release(request, known)
        )
        if refusal:
            return refusal
        if known is None and len(self.switches) >= SWITCHES_MAX:
            return f"more than {SWITCHES_MAX} switches"
        self.epoch += 1
        if request.engaged:
            by = known.by if known is not None and known.engaged else request.by
            token = known.token if known is not None else request.reset_token
            switch = Switch(
                True, request.instruments, request.action, by, request.reason, token, self.epoch
            )
        else:
            switch = Switch(
                False,
                (),
                request.action,
                request.by,
                request.reason,
                request.reset_token,
                self.epoch,
            )
        self.switches[name] = switch
        return ""

    def engage_for_breach(self, contender: str, text: str) -> None:
        """Latch a contender's switch because a limit with onBreach Kill was broken."""
        self.epoch += 1
        key = key_of(KillScope.CONTENDER, contender)
        known = self.switches.get(key)
        token = known.token if known is not None else ""
        action = KillAction.CANCEL_ALL
        if known is not None and known.engaged:
            action = max(action, known.action, key=SEVERITY.index)
        self.switches[key] = Switch(True, (), action, "risk", text, token, self.epoch)

    def engaged(self) -> list[tuple[Key, Switch]]:
        """Return the engaged switches, sorted by scope and name."""
        found: list[tuple[Key, Switch]] = []
        for name, switch in sorted(self.switches.items()):
            if switch.engaged:
                scope, _, rest = name.partition(":")
                found.append(((KillScope(scope), rest), switch))
        return found

    def _refuse_engage(self, request: KillSwitch, known: Switch | None) -> str:
        if not request.by:
            return "engaging needs the name of who stops the trading"
        if not request.reason:
            return "engaging needs a reason"
        if known is None or not known.engaged:
            return ""
        narrower = request.instruments and not (
            known.instruments and set(known.instruments) <= set(request.instruments)
        )
        if narrower:
            return "while engaged, a switch may only be widened: release it first"
        if SEVERITY.index(request.action) < SEVERITY.index(known.action):
            return "while engaged, a switch may only become severer: release it first"
        return ""

    def _refuse_release(self, request: KillSwitch, known: Switch | None) -> str:
        if known is None or not known.engaged:
            return "it is not engaged"
        if not request.by:
            return "releasing needs the name of a second person"
        if request.by == known.by:
            return f"releasing needs a second person: {known.by} engaged it"
        if request.reset_token <= known.token:
            return "releasing needs a new reset token that sorts after the last one"
        return ""


def key_of(scope: KillScope, name: str) -> str:
    """Return the name under which a switch is kept; an arena has one, however it is called."""
    return f"{scope.value}:{'' if scope is KillScope.ARENA else name}"
