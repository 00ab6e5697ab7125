"""How do served bundles become models that may be asked? Each host in a thread of its own.

A name moves to a new version when that is loaded and proven; requests in flight end on the former.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from titanflow.adapters.bundles.bundle import Bundle
from titanflow.adapters.model_host import HostFailedError, Hosts, Limits
from titanflow.adapters.rpc.ports import Float32s, ModelCard, ModelFailedError
from titanflow.core.spec.words import Reply


class HostModels:
    """The models of `Hosts`; see `ports.Models`."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self.waits_for = ""
        self._versions: dict[str, list[ModelCard]] = {}
        """By name, the current version first."""
        self._threads: dict[str, ThreadPoolExecutor] = {}

    def names(self) -> Sequence[str]:
        """Return the names of all models."""
        return tuple(self._versions)

    def versions(self, name: str) -> Sequence[ModelCard]:
        """Return the versions of a model, the current one first."""
        return tuple(self._versions.get(name, ()))

    async def serve(
        self, bundle: Bundle, limits: Limits, max_delay_seconds: float | None = None
    ) -> str:
        """Start a version, give it its name, and return the digest that had it before.

        Raises: BundleRefusedError, HostFailedError; then nothing has changed.
        """
        contract = bundle.contract
        former = await asyncio.to_thread(self._hosts.serve, bundle, limits)
        parts = len(contract.features) + 1 if contract.explained else 0
        card = ModelCard(
            contract.name,
            contract.digest,
            len(contract.features),
            parts,
            bundle.max_batch,
            max_delay_seconds,
        )
        others = [c for c in self._versions.get(contract.name, ()) if c.digest != card.digest]
        self._versions[contract.name] = [card, *others]
        if card.digest not in self._threads:
            self._threads[card.digest] = ThreadPoolExecutor(1, f"model-{contract.name}")
        return former

    async def retire(self, digest: str, drained: Callable[[str], Awaitable[None]]) -> None:
        """Serve a former version no longer; *drained* returns when nobody waits for it."""
        for name, cards in self._versions.items():
            self._versions[name] = [card for card in cards if card.digest != digest]
        await drained(digest)
        threads = self._threads.pop(digest, None)
        await asyncio.to_thread(self._hosts.retire, digest)
        if threads is not None:
            threads.shutdown()

    async def infer(self, digest: str, rows: Float32s) -> Float32s:
        """Return what a version gives for a batch.

        Raises: ModelFailedError.
        """
        host, threads = self._hosts.host(digest), self._threads.get(digest)
        if host is None or threads is None:
            raise ModelFailedError(Reply.REFUSED, "this version is served no longer")
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(threads, host.run, rows)
        except HostFailedError as error:
            raise ModelFailedError(error.reply, error.what) from error

    async def close(self) -> None:
        """End all processes and threads."""
        await asyncio.to_thread(self._hosts.close)
        for threads in self._threads.values():
            threads.shutdown()
