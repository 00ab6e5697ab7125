"""How does a pod face those who ask? One server for questions, one page of numbers, one address.

The server listens before anything else is there, so that it can say what is waited for. What it
answers is known above the runtime: whoever starts the process composes it from what is shown here.
Addresses stand in files of the pod's folder and in its heartbeat; both change when it starts again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from titanflow.adapters.bus.streams import Pod
from titanflow.adapters.rpc.caller import Identity
from titanflow.adapters.rpc.health import Health
from titanflow.adapters.rpc.line_view import LineView, Vocabulary
from titanflow.adapters.rpc.method import AnyMethod
from titanflow.adapters.rpc.ports import Books, Governor, Names, Orders, Watchman
from titanflow.adapters.rpc.server import Listen, Server
from titanflow.adapters.rpc.tls import TlsFiles
from titanflow.core.governance.tiers import TierView
from titanflow.runtime.asking import ADDRESS
from titanflow.runtime.place import replace
from titanflow.runtime.plan import Plan
from titanflow.runtime.shard import Shard

METRICS: Final = "metrics"
"""Name of the file that holds the address of a pod's numbers."""
HEALTH: Final = "health"
"""Name of the file that says where health is asked plainly; only under TLS."""
GRACE_SECONDS: Final = 0.5


class Shown(msgspec.Struct, frozen=True):
    """What a pod has to show; what it does not host is None."""

    names: Names
    watchman: Watchman
    books: Books | None = None
    orders: Orders | None = None
    governor: Governor | None = None
    journal: Path | None = None
    """Where the session's decisions can be explained from."""
    folder: Path | None = None
    """Where the contenders' own code is."""
    tiers: Sequence[TierView] = ()
    """In which tier each contender is."""
    may_command: Callable[[Identity], bool] = lambda _: True
    """Whether somebody may give commands here."""


class Answers(msgspec.Struct, frozen=True):
    """What a pod answers, and what ends its streams."""

    methods: Sequence[AnyMethod]
    closing: Sequence[Callable[[], None]] = ()


Compose = Callable[[Shown], Answers]


class Front:
    """The server of one pod; *folder* is the pod's own.

    With TLS files a second, plain port tells nothing but health: probes carry no certificates.
    """

    def __init__(self, folder: Path, answers: Answers, tls: TlsFiles | None = None) -> None:
        self.health = Health()
        listen = Listen(tls=tls)
        self.server = Server(answers.methods, self.health, listen, closing=answers.closing)
        self._plain = Server((), self.health) if tls is not None else None
        self._folder = folder

    @property
    def address(self) -> str:
        """Give where questions are answered; empty before the start."""
        return self.server.target if self.server.port else ""

    async def start(self) -> None:
        """Begin to listen, on a free port.

        Raises: AdapterError if that is not possible.
        """
        await self.server.start()
        if self._plain is not None:
            await self._plain.start()
            replace(self._folder / HEALTH, f"{self._plain.target}\n".encode())
        replace(self._folder / ADDRESS, f"{self.address}\n".encode())

    def wait_for(self, name: str, text: str) -> None:
        """Say what is waited for under *name*; an empty text says that it has come."""
        if text:
            self.health.wait(name, text)
        else:
            self.health.reached(name)

    async def stop(self) -> None:
        """End what has begun, and listen no more."""
        await self.server.stop(GRACE_SECONDS)
        if self._plain is not None:
            await self._plain.stop(GRACE_SECONDS)


def vocabulary(plan: Plan) -> Vocabulary:
    """Return the names of a plan."""
    return Vocabulary(
        tuple(entrant.name for entrant in plan.ground.entrants),
        tuple(instrument.symbol for instrument in plan.ground.instruments),
        tuple(plan.policies),
    )


def view_of(shard: Shard, pod: Pod, plan: Plan) -> LineView | None:
    """Return a view of what a pod's stages hold; None if nobody asks for any of it."""
    hosted, made = set(pod.stages), shard.stages
    if not hosted & {"gate", "trade", "post", "score"}:
        return None
    return LineView(
        plan.ground,
        plan.policies,
        post=made.post if hosted & {"post", "score"} else None,
        score=made.score if "score" in hosted else None,
        gate=made.gate if "gate" in hosted else None,
        trade=made.trade if "trade" in hosted else None,
        shown=made.contenders if pod.is_part else None,
    )
