"""What does the serving pod do? It proves bundles, answers by them, and takes another when told.

Every graph runs in a process of its own. A bundle that is refused, or whose process does not come
up, is said in the log: its contenders hear that it is not served and hold, and all others go on.
A name moves to a new version when that is proven; the former one answers what it has taken and is
ended, unless the session's contenders ask it: they go by the digest that stands in the record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from titanflow.adapters.bundles.bundle import Bundle
from titanflow.adapters.bundles.judge import Judge
from titanflow.adapters.bundles.refusal import BundleRefusedError, Step
from titanflow.adapters.bundles.signing import KEYS, Trust, read_signature
from titanflow.adapters.bundles.store import read_archive
from titanflow.adapters.bus.streams import Pod, Topology
from titanflow.adapters.model_host import HostFailedError, Hosts, Limits, limits_of
from titanflow.adapters.rpc.batch import BatchLimits
from titanflow.adapters.rpc.health import Health
from titanflow.adapters.rpc.host_models import HostModels
from titanflow.adapters.rpc.method import AnyMethod
from titanflow.adapters.rpc.server import Listen, Server
from titanflow.adapters.rpc.tls import TlsFiles
from titanflow.core.base.errors import AdapterError
from titanflow.core.spec.bundle import ServingSpec
from titanflow.runtime.asking import ADDRESS
from titanflow.runtime.code import version
from titanflow.runtime.front import HEALTH
from titanflow.runtime.place import Live, replace
from titanflow.runtime.plan import Plan
from titanflow.runtime.session import home
from titanflow.services.serving.rpc import ServingAnswers
from titanflow.services.serving.wishes import (
    LOOK_SECONDS,
    Answered,
    answer,
    answered,
    wishes,
)

ATTEMPTS_MAX: Final = 3
"""Starts of a proven bundle's process; on a busy machine the first may be late."""
PATIENT_SECONDS: Final = 0.8
"""Least time for an answer in lock step, where market time stands still while it is waited for."""
GRACE_SECONDS: Final = 2.0

Told = Callable[[str], None]


class ServingPod:
    """The models of one pod and how they change.

    *pinned* are digests that are never retired. *is_patient* says that market time stands still
    while an answer is waited for.
    """

    def __init__(
        self,
        trust: Trust,
        told: Told,
        *,
        pinned: Sequence[str] = (),
        specs: Mapping[str, ServingSpec] | None = None,
        is_patient: bool = False,
    ) -> None:
        self.hosts = Hosts()
        self.models = HostModels(self.hosts)
        self.answers = ServingAnswers(self.models, version(), BatchLimits())
        self.health = Health()
        self._judge = Judge()
        self._trust, self._told = trust, told
        self._pinned, self._specs = frozenset(pinned), dict(specs or {})
        self._is_patient = is_patient
        self._served: set[Path] = set()
        """Wishes whose bundles were served in this life of the pod."""

    def methods(self) -> Sequence[AnyMethod]:
        """Return what is answered."""
        return self.answers.methods()

    async def open(self, bundles: Sequence[tuple[Bundle, ServingSpec]]) -> None:
        """Serve the bundles of the arena; one that cannot be served is said and left out."""
        for bundle, spec in bundles:
            name = bundle.contract.name
            self.models.waits_for = f"bundle {name}"
            self.health.wait("bundles", f"bundle {name}")
            try:
                await self._start(bundle, spec)
            except BundleRefusedError as error:
                self._told(f"bundle {name} is not served: {error}")
        self.models.waits_for = ""
        self.health.reached("bundles")
        if not self._is_patient:  # else the first wish may wait for it
            await asyncio.to_thread(self._judge.start)

    async def use(self, path: Path) -> Answered:
        """Serve the bundle in a file under its name, if it passes every step.

        Requests under way are answered by who has taken them. A refusal is an answer.
        """
        try:
            archive = await asyncio.to_thread(read_archive, path)
            # The signature lies beside, and the maker's manifest says the rest.
            signature = await asyncio.to_thread(read_signature, path)
            bundle = await asyncio.to_thread(self._judge.judge, archive, signature, self._trust)
            return await self.take(bundle)
        except BundleRefusedError as error:
            self._told(f"{path.name}: {error}")
            return Answered(step=error.step.value, text=error.what)
        except AdapterError as error:
            self._told(f"{path.name}: {error}")
            return Answered(step=Step.SIZE.value, text=str(error))

    async def take(self, bundle: Bundle) -> Answered:
        """Serve a bundle that was judged under its name, and end who had the name before.

        Raises: BundleRefusedError; then nothing has changed.
        """
        name, digest = bundle.contract.name, bundle.contract.digest
        former = await self._start(bundle, self._specs.get(name, ServingSpec()))
        if former not in ("", digest, *self._pinned):
            await self.models.retire(former, self.answers.retire)
        self._told(f"model {name} is {digest[:12]} now")
        return Answered(name, digest, former)

    async def look(self, folder: Path) -> None:
        """Take each wish in a folder that was not taken yet, in order.

        A wish that was granted in a former life of the pod is granted again: the names stand as
        they stood.
        """
        for path in await asyncio.to_thread(lambda: list(wishes(folder))):
            if path in self._served:
                continue
            self._served.add(path)
            former = answered(path)
            if former is None or not former.step:
                said = await self.use(path)
                if former is None:
                    answer(path, said)

    def state(self) -> dict[str, object]:
        """Return how it goes, for the pod's beat."""
        now: dict[str, object] = {}
        for name in self.models.names():
            for place, card in enumerate(self.models.versions(name)):
                host, batcher = self.hosts.host(card.digest), self.answers.batchers.get(card.digest)
                now[name if place == 0 else f"{name}@{card.digest[:12]}"] = {
                    "digest": card.digest,
                    "breaker": host.breaker.value if host is not None else "",
                    "starts": host.starts if host is not None else 0,
                    "calls": batcher.calls if batcher is not None else 0,
                    "rows": batcher.rows if batcher is not None else 0,
                }
        return {"models": now}

    async def close(self) -> None:
        """Answer everything that was taken, and end all processes."""
        await self.answers.close()
        await self.models.close()
        await asyncio.to_thread(self._judge.close)

    async def _start(self, bundle: Bundle, spec: ServingSpec) -> str:
        """Serve a bundle and return the digest that had its name.

        Raises: BundleRefusedError
        """
        limits = self._limits(spec)
        delay = 0.0 if self._is_patient else spec.max_delay_seconds
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                return await self.models.serve(bundle, limits, delay)
            except HostFailedError as error:
                if attempt == ATTEMPTS_MAX or bundle.contract.digest not in self._pinned:
                    raise BundleRefusedError(Step.GOLDEN, error.what) from error
        raise AssertionError

    def _limits(self, spec: ServingSpec) -> Limits:
        limits = limits_of(spec)
        if not self._is_patient:
            return limits
        seconds = max(limits.timeout_seconds, PATIENT_SECONDS)
        return msgspec.structs.replace(limits, timeout_seconds=seconds)


class Serving:
    """One serving pod of a live session, with its server."""

    def __init__(self, live: Live, pod: Pod, topology: Topology, plan: Plan, told: Told) -> None:
        self._folder, self._told = live.pod(pod), told
        self._tls = live.tls(pod.name)
        self._bundles = plan.served()
        self._pod = ServingPod(
            Trust([plan.folder / KEYS, home() / KEYS]),
            told,
            pinned=[bundle.contract.digest for bundle, _ in self._bundles],
            specs={manifest.name: manifest.spec.serving for manifest in plan.loaded.bundles},
            is_patient=topology.lock_step,
        )

    def state(self) -> dict[str, object]:
        """Return how it goes, for the pod's beat."""
        return self._pod.state()

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until *stopping* is set.

        Raises: AdapterError if it cannot listen.
        """
        await serve(self._pod, self._bundles, self._folder, self._told, stopping, self._tls)


async def serve(
    pod: ServingPod,
    bundles: Sequence[tuple[Bundle, ServingSpec]],
    folder: Path,
    told: Told,
    stopping: asyncio.Event,
    tls: TlsFiles | None = None,
) -> None:
    """Run a server over *pod* until *stopping* is set; its address stands in *folder*.

    Raises: AdapterError if it cannot listen.
    """
    clock = asyncio.get_running_loop().time
    started = clock()
    server = await _listen(pod, folder, tls)
    plain = await _plain_health(pod, folder) if tls is not None else None
    stop = asyncio.create_task(stopping.wait())
    try:
        await pod.open(bundles)
        await pod.look(folder)
        pod.health.started()
        told(f"serves at {server.target} after {clock() - started:.2f} s")
        while not stop.done():
            await asyncio.wait((stop,), timeout=LOOK_SECONDS)
            await pod.look(folder)
    finally:
        stop.cancel()
        await server.stop(GRACE_SECONDS)
        if plain is not None:
            await plain.stop(GRACE_SECONDS)
        await pod.close()


async def _plain_health(pod: ServingPod, folder: Path) -> Server:
    """Start the port that tells health to those without a certificate, and say where."""
    server = Server((), pod.health)
    await server.start()
    replace(folder / HEALTH, f"{server.target}\n".encode())
    return server


async def _listen(pod: ServingPod, folder: Path, tls: TlsFiles | None) -> Server:
    """Start the server where the pod listened before, or on a free port, and say where."""
    file = folder / ADDRESS
    former = file.read_text("ascii").strip() if file.exists() else ""
    ports = [int(port) for port in (former.rpartition(":")[2],) if port.isdigit()]
    for port in (*ports, 0):
        server = Server(pod.methods(), pod.health, Listen(port=port, tls=tls))
        try:
            await server.start()
        except AdapterError:
            if port == 0:
                raise
            continue
        replace(file, f"{server.target}\n".encode())
        return server
    raise AssertionError
