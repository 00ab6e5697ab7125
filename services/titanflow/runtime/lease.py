"""May anything pass? Only while governance renews its lease, by a word a few times a second.

A kill switch travels as a fact, and needs the bus and risk to arrive. A lease needs nobody: where
its renewals stop coming, whatever the reason, the pod itself notices within a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final

LEASE_SECONDS: Final = 1.0
RENEWALS: Final = 4
"""Renewals in the time of one lease."""


class Lease:
    """The lease as one pod sees it. `renew` is called for each renewal that is heard."""

    def __init__(self, notice: Callable[[str], None], seconds: float = LEASE_SECONDS) -> None:
        self.is_stale = True
        self._seconds, self._notice = seconds, notice
        self._until = 0.0
        self._renewed_at = monotonic()
        self._renewed = asyncio.Event()

    @property
    def age_seconds(self) -> float:
        """Give how long ago it was renewed; how long this process waits, where it never was."""
        return max(0.0, monotonic() - self._renewed_at)

    def renew(self) -> None:
        """Take one renewal."""
        self._until = asyncio.get_running_loop().time() + self._seconds
        self._renewed_at = monotonic()
        self._renewed.set()

    async def first(self) -> None:
        """Wait for the first renewal: a pod does not begin without one."""
        if not self._renewed.is_set():
            self._notice("waits for the lease of governance")
        await self._renewed.wait()
        self.is_stale = False

    async def change(self) -> bool:
        """Wait until the lease goes stale (return True) or is fresh again (return False)."""
        loop = asyncio.get_running_loop()
        while not self.is_stale:
            left = self._until - loop.time()
            if left <= 0:
                self.is_stale = True
                self._renewed.clear()
                self._notice("the lease of governance is stale: nothing passes")
                return True
            await asyncio.sleep(left)
        await self._renewed.wait()
        self.is_stale = False
        self._notice("the lease of governance is fresh again")
        return False
