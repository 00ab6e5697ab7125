"""Whom does a pod ask for its contenders' models? The serving pod, or itself where there is none.

Every ask gets an answer. While serving is away the answers are FAILED or TIMEOUT, and contenders
hold; nothing stops. In lock step, where market time stands still, it is waited for longer, so that
serving may start again without changing what anybody decides.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from titanflow.adapters.bus.streams import Pod, Topology
from titanflow.adapters.rpc.asker import ROWS_MAX, RemotePredictor
from titanflow.adapters.rpc.steady import Steady
from titanflow.adapters.rpc.tls import TlsFiles
from titanflow.core.facts import Answer, Ask
from titanflow.core.ports import Predictor
from titanflow.runtime.place import Live
from titanflow.runtime.plan import Plan

ADDRESS: Final = "address"
"""Name of the file that holds where a pod listens, in the pod's own folder."""
CALL_SECONDS: Final = 2.0
PATIENCE_SECONDS: Final = 10.0
"""How long serving is waited for in lock step, once for each outage."""
START_SECONDS: Final = 30.0
"""How long a start waits for serving; after that the pod goes on, and contenders hold."""


class Here:
    """Answers asks in this process."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    async def ready(self, told: Callable[[str], None]) -> None:
        """Wait for nothing."""

    async def predict(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        """Return the answers, in the order of the asks."""
        return self._predictor.predict(asks)

    async def close(self) -> None:
        """Do nothing."""


class There:
    """Answers asks by the serving pod of a live session."""

    def __init__(
        self, live: Live, serving: Pod, plan: Plan, tls: TlsFiles | None, *, lock_step: bool
    ) -> None:
        file = live.pod(serving) / ADDRESS
        patience = PATIENCE_SECONDS if lock_step else 0.0
        self._steady = Steady(lambda: _read(file), tls, patience_seconds=patience)
        served = plan.served()
        self._predictor = RemotePredictor(
            self._steady,
            {bundle.contract.digest: bundle.contract.name for bundle, _ in served},
            rows_max=min([ROWS_MAX, *(bundle.max_batch for bundle, _ in served)]),
            seconds=CALL_SECONDS,
        )

    async def ready(self, told: Callable[[str], None]) -> None:
        """Wait until serving answers, within START_SECONDS; *told* hears what is waited for."""
        if not await self._steady.ready(START_SECONDS, lambda text: told(f"waits for {text}")):
            told(f"goes on without serving after {START_SECONDS:g} s: contenders by models hold")

    async def predict(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        """Return the answers, in the order of the asks."""
        return await self._predictor.predict(asks)

    async def close(self) -> None:
        """Close the connection."""
        await self._steady.close()


def answerer(live: Live, topology: Topology, pod: Pod, plan: Plan) -> Here | There | None:
    """Return what answers the asks of the contenders that *pod* hosts; None if nobody asks.

    Raises: SpecError if a graph must run here and does not load.
    """
    models = [entrant.name for entrant in plan.ground.entrants if entrant.contract is not None]
    hosted = [name for name in models if not pod.contenders or name in pod.contenders]
    if "decide" not in pod.stages or not hosted:
        return None
    serving = next((each for each in topology.pods if each.role == "serving"), None)
    if serving is not None:
        return There(live, serving, plan, live.tls(pod.name), lock_step=topology.lock_step)
    predictor = plan.predictor()
    return None if predictor is None else Here(predictor)


def _read(file: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return file.read_text("ascii").strip()
    return ""
