"""What does the desk remember, and in which words does it say why an order ended?"""

from __future__ import annotations

import msgspec

from titanflow.core.execution.stops import StopsState
from titanflow.core.venue.book import Ticket
from titanflow.core.venue.paper import PaperState

CORPORATE_ACTION = 0
BROKER_OPTION = 4
"""ExecRestatementReason(378): why an order was cancelled that nobody asked to cancel."""
UNASKED = -1
LAPSED = "KILL:Lease"
STOPPED = "KILL:EPOCH"
"""Why a verdict of before a kill switch is refused."""


class DeskState(msgspec.Struct, array_like=True):
    """What the desk remembers, for snapshots."""

    epochs: list[int]
    sent: int
    splits: dict[str, int]
    lapsed: bool
    stops: StopsState
    tickets: list[Ticket]
    papers: list[PaperState]
