"""When is something that failed tried again? After a while that doubles, and by one call at first.

A breaker is closed (calls pass), open (calls are refused) or half open (one call is on trial). It
has no clock: who asks says what time it is, as ns from any start that does not go back.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class BreakerState(StrEnum):
    """What a breaker does with the next call."""

    CLOSED = "Closed"
    OPEN = "Open"
    HALF_OPEN = "HalfOpen"


class BreakerLimits(msgspec.Struct, frozen=True):
    """When a breaker opens, and for how long."""

    failures: int = 3
    """Failures in a row that open it."""
    first_ns: int = 100_000_000
    """How long it is open the first time; each failed trial doubles that."""
    longest_ns: int = 30_000_000_000


class Breaker(msgspec.Struct, frozen=True):
    """One state of a breaker; each event gives the next one."""

    limits: BreakerLimits = BreakerLimits()
    failed: int = 0
    """Failures in a row."""
    opened: int = 0
    """How often it opened since the last success."""
    until: int = 0
    """When an open breaker lets a trial pass."""
    trial: bool = False
    """Whether a call is on trial."""

    def state(self, now: int) -> BreakerState:
        """Return what it does with a call at *now*."""
        if self.opened == 0:
            return BreakerState.CLOSED
        if self.trial or now >= self.until:
            return BreakerState.HALF_OPEN
        return BreakerState.OPEN

    def admits(self, now: int) -> bool:
        """Say whether a call may pass at *now*; who lets it pass says so with `begin`."""
        return self.opened == 0 or (now >= self.until and not self.trial)

    def begin(self) -> Breaker:
        """Return the state while a call is under way."""
        return self if self.opened == 0 else msgspec.structs.replace(self, trial=True)

    def succeed(self) -> Breaker:
        """Return the state after a call that was answered: all is forgiven."""
        return Breaker(self.limits)

    def fail(self, now: int) -> Breaker:
        """Return the state after a call that failed at *now*."""
        failed = self.failed + 1
        if self.opened == 0 and failed < self.limits.failures:
            return msgspec.structs.replace(self, failed=failed)
        wait = min(self.limits.first_ns << min(self.opened, 40), self.limits.longest_ns)
        return Breaker(self.limits, failed, self.opened + 1, now + wait)
