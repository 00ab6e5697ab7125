"""What must a pod show, so that its questions are answered? Records, and who gives them.

The handlers in `titanflow.services` stand above the runtime, which implements these protocols over
its stages; so the protocols stand here, below both. What is shown is one state between two turns,
and only of turns that are in the record. Whoever does not know yet raises `not_ready`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from titanflow.adapters.rpc.caller import Identity
from titanflow.core.base.errors import TitanFlowError
from titanflow.core.base.ident import Id
from titanflow.core.facts import Belief, Fact, Intent, Signal, Standing, Verdict
from titanflow.core.spec.words import (
    KillAction,
    KillScope,
    OrderType,
    OrdStatus,
    Reply,
    Side,
    TimeInForce,
    TradingState,
)

Float32s = NDArray[np.float32]


class Names(Protocol):
    """What may be asked about."""

    @property
    def contenders(self) -> Collection[str]:
        """Give the names of all contenders."""
        ...

    @property
    def symbols(self) -> Collection[str]:
        """Give the symbols of all instruments."""
        ...

    @property
    def policies(self) -> Collection[str]:
        """Give the names of all policies."""
        ...


class Holding(msgspec.Struct, frozen=True):
    """A position: lots and ticks are the instrument's own, money is in minor units."""

    symbol: str
    quantity_lots: int
    cost: int
    mark_ticks: int
    marked_at: int
    unrealised: int


class Portfolio(msgspec.Struct, frozen=True):
    """What a contender owns at `as_of` (event time, ns UTC). Money in minor units."""

    contender: str
    as_of: int
    currency: str
    equity: int
    cash: int
    gross_exposure: int
    net_exposure: int
    realised: int
    fees: int
    reserved: int | None
    """None where risk is hosted elsewhere."""
    state: TradingState
    holdings: tuple[Holding, ...]


class Board(msgspec.Struct, frozen=True):
    """Who stands where at `as_of`; `revision` grows with each change."""

    revision: int
    as_of: int
    currency: str
    final: bool
    standings: tuple[Standing, ...]


class LiveOrder(msgspec.Struct, frozen=True):
    """An order that has not ended. Lots and ticks; `created_at` is 0 if nobody here knows."""

    id: Id
    contender: str
    symbol: str
    client_order_id: str
    status: OrdStatus
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    post_only: bool
    quantity_lots: int
    limit_ticks: int
    cum_lots: int
    created_at: int


class Books(Protocol):
    """What the ledger shows."""

    @property
    def names(self) -> Names:
        """Give what may be asked about."""
        ...

    async def portfolio(self, contender: str) -> Portfolio:
        """Return what a known contender owns.

        Raises: RefusalError, such as `not_ready`.
        """
        ...

    async def board(self) -> Board:
        """Return who stands where now."""
        ...

    async def later_board(self, revision: int) -> Board:
        """Wait for a board after *revision* and return the newest; cancelling it is harmless."""
        ...


class Orders(Protocol):
    """What execution shows."""

    @property
    def names(self) -> Names:
        """Give what may be asked about."""
        ...

    async def live_orders(self) -> tuple[int, Sequence[LiveOrder]]:
        """Return event time and all orders that have not ended, in any order."""
        ...


class Verb(StrEnum):
    """What a command does."""

    KILL = "Kill"
    RELEASE = "Release"
    PAUSE = "Pause"
    RESUME = "Resume"


class Command(msgspec.Struct, frozen=True):
    """A command to governance. `token` names it; with the same content again it is the same one.

    `by` is who commands. Whether two persons differ is a matter of `by.name`: a name that is stated
    and one that is proven may be the same person's.
    """

    verb: Verb
    scope: KillScope
    name: str
    instruments: tuple[str, ...]
    action: KillAction
    reason: str
    token: str
    by: Identity


class Ruling(msgspec.Struct, frozen=True):
    """What came of a command: it is in the record, as the fact `id`, and this is the kill epoch."""

    accepted: bool
    epoch: int
    text: str
    id: Id


class Governor(Protocol):
    """Who takes commands."""

    @property
    def names(self) -> Names:
        """Give what may be asked about."""
        ...

    async def submit(self, command: Command) -> Ruling:
        """Rule on a command and return when the ruling is in the record, not before.

        The same token with the same content returns the ruling of the first time, also after a
        restart; the caller has seen to it that it never has other content while a process lives.
        Raises: RefusalError, for example `not_ready`; then the command did nothing.
        """
        ...


class Story(msgspec.Struct, frozen=True):
    """Why something happened; absent parts are None or empty."""

    subject: Fact
    signal: Signal | None
    belief: Belief | None
    intent: Intent | None
    verdict: Verdict | None
    chain: tuple[Fact, ...]
    features: tuple[str, ...]
    lineage: tuple[tuple[str, str], ...]
    sentence: str


class Reason(msgspec.Struct, frozen=True):
    """Which decision is to be explained: by the first digits of an id, or by what it was about."""

    ident: str = ""
    contender: str = ""
    symbol: str = ""
    at: int = 0


class Historian(Protocol):
    """Who explains."""

    @property
    def names(self) -> Names:
        """Give what may be asked about."""
        ...

    async def why(self, reason: Reason) -> Story:
        """Return the story behind one decision; it may take as long as the caller waits.

        Raises: RefusalError: NOT_FOUND if nothing fits, FAILED_PRECONDITION if several facts do.
        """
        ...


class PodState(StrEnum):
    """How a pod is."""

    STARTING = "Starting"
    CATCHING_UP = "CatchingUp"
    RUNNING = "Running"
    DRAINING = "Draining"
    SILENT = "Silent"
    FAILED = "Failed"


class PodView(msgspec.Struct, frozen=True):
    """One pod. Instants in ns UTC, `lag_ns` in ns."""

    name: str
    stages: tuple[str, ...]
    state: PodState
    text: str
    turn: int
    watermark: int
    lag_count: int
    lag_ns: int
    beat_at: int
    started_at: int
    starts: int
    code: str


class Span(msgspec.Struct, frozen=True):
    """The time between two stations of the line over the last minute, ns."""

    name: str
    count: int
    p50_ns: int
    p99_ns: int
    p999_ns: int
    max_ns: int


class IncidentKind(StrEnum):
    """What may be wrong with a pod."""

    SILENT = "Silent"
    LEASE_STALE = "LeaseStale"
    RESTARTING = "Restarting"
    STUCK = "Stuck"
    CLOCK_AHEAD = "ClockAhead"
    DEAF = "Deaf"


class Incident(msgspec.Struct, frozen=True):
    """Something that is wrong with a pod. Instants in ns UTC; `ended_at` is 0 while it goes on."""

    kind: IncidentKind
    pod: str
    began_at: int
    ended_at: int
    text: str


class SessionView(msgspec.Struct, frozen=True):
    """How a session is."""

    session: str
    arena: str
    watermark: int
    kill_epoch: int
    engaged: tuple[str, ...]
    lease_until: int
    pods: tuple[PodView, ...]
    spans: tuple[Span, ...]
    incidents: tuple[Incident, ...] = ()
    """What is wrong, then what was lately, the latest first."""


class Watchman(Protocol):
    """Who knows how a session is; answers at once, also while something is wrong."""

    def session(self) -> SessionView:
        """Return how the session is now."""
        ...


class ModelCard(msgspec.Struct, frozen=True):
    """One model that may be asked. `digest` is its version; `parts` is 0 if it explains nothing."""

    name: str
    digest: str
    features: int
    parts: int
    max_batch: int
    max_delay_seconds: float | None = None
    """Longest wait of a first request for others; None leaves it to the server."""


class ModelFailedError(TitanFlowError):
    """A model did not answer a batch: how, and in words."""

    def __init__(self, reply: Reply, text: str) -> None:
        self.reply, self.text = reply, text
        super().__init__(text)


class Models(Protocol):
    """Who runs models. A name stands for its current version; former ones go by their digest."""

    @property
    def waits_for(self) -> str:
        """Give what is waited for before models can be asked; empty if nothing is."""
        ...

    def names(self) -> Sequence[str]:
        """Return the names of all models."""
        ...

    def versions(self, name: str) -> Sequence[ModelCard]:
        """Return the versions of a model that may be asked, the current one first."""
        ...

    async def infer(self, digest: str, rows: Float32s) -> Float32s:
        """Return the value and then the parts of each row: (n, 1 + parts).

        One call at a time for each digest, at most `max_batch` rows.
        Raises: ModelFailedError.
        """
        ...
