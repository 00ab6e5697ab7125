"""Which changes of an order's state are legal? One table, in the words of FIX 5.0 SP2.

A state is an OrdStatus(39), an event an ExecType(150). Whatever is not in the table must never
happen: it raises InvariantError, and the arena stops instead of trading on a wrong idea.

FIX has an order be accepted before it can be cancelled or replaced. Here both may be asked for
while the order is still on its way, so the pending states also take the acceptance.
"""

from __future__ import annotations

from titanflow.core.base.errors import InvariantError
from titanflow.core.spec.words import OrdStatus

ACCEPTED = "0"
CANCELED = "4"
REPLACED = "5"
PENDING_CANCEL = "6"
REJECTED = "8"
EXPIRED = "C"
PENDING_REPLACE = "E"
TRADED = "F"
STATUS = "I"
"""ExecType(150). `STATUS` reports an order as it is: a cancel or replace was refused at once."""
REFUSED = "I:refused"
"""The venue refused a replace: reported as `I`, but the order leaves its pending state."""

ENDED = frozenset({OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REJECTED, OrdStatus.EXPIRED})
"""States that an order never leaves."""

_COUNTED = None
"""The table's word for: New or PartiallyFilled, as the counts say; before acceptance PendingNew."""

_S = OrdStatus
TRANSITIONS: dict[tuple[OrdStatus, str], OrdStatus | None] = {
    (_S.PENDING_NEW, ACCEPTED): _S.NEW,
    (_S.PENDING_NEW, REJECTED): _S.REJECTED,
    (_S.PENDING_NEW, PENDING_CANCEL): _S.PENDING_CANCEL,
    (_S.PENDING_NEW, PENDING_REPLACE): _S.PENDING_REPLACE,
    (_S.PENDING_NEW, CANCELED): _S.CANCELED,
    (_S.PENDING_NEW, STATUS): _S.PENDING_NEW,
    (_S.NEW, TRADED): _COUNTED,
    (_S.NEW, PENDING_CANCEL): _S.PENDING_CANCEL,
    (_S.NEW, PENDING_REPLACE): _S.PENDING_REPLACE,
    (_S.NEW, CANCELED): _S.CANCELED,
    (_S.NEW, EXPIRED): _S.EXPIRED,
    (_S.NEW, STATUS): _S.NEW,
    (_S.PARTIALLY_FILLED, TRADED): _COUNTED,
    (_S.PARTIALLY_FILLED, PENDING_CANCEL): _S.PENDING_CANCEL,
    (_S.PARTIALLY_FILLED, PENDING_REPLACE): _S.PENDING_REPLACE,
    (_S.PARTIALLY_FILLED, CANCELED): _S.CANCELED,
    (_S.PARTIALLY_FILLED, EXPIRED): _S.EXPIRED,
    (_S.PARTIALLY_FILLED, STATUS): _S.PARTIALLY_FILLED,
    # Fills win the race: a pending order goes on trading and may end filled.
    (_S.PENDING_CANCEL, ACCEPTED): _S.PENDING_CANCEL,
    (_S.PENDING_CANCEL, TRADED): _S.PENDING_CANCEL,
    (_S.PENDING_CANCEL, REPLACED): _S.PENDING_CANCEL,
    (_S.PENDING_CANCEL, REFUSED): _S.PENDING_CANCEL,
    (_S.PENDING_CANCEL, REJECTED): _S.REJECTED,
    (_S.PENDING_CANCEL, CANCELED): _S.CANCELED,
    (_S.PENDING_CANCEL, EXPIRED): _S.EXPIRED,
    (_S.PENDING_CANCEL, STATUS): _S.PENDING_CANCEL,
    (_S.PENDING_REPLACE, ACCEPTED): _S.PENDING_REPLACE,
    (_S.PENDING_REPLACE, TRADED): _S.PENDING_REPLACE,
    (_S.PENDING_REPLACE, REPLACED): _COUNTED,
    (_S.PENDING_REPLACE, REFUSED): _COUNTED,
    (_S.PENDING_REPLACE, PENDING_CANCEL): _S.PENDING_CANCEL,
    (_S.PENDING_REPLACE, REJECTED): _S.REJECTED,
    (_S.PENDING_REPLACE, CANCELED): _S.CANCELED,
    (_S.PENDING_REPLACE, EXPIRED): _S.EXPIRED,
    (_S.PENDING_REPLACE, STATUS): _S.PENDING_REPLACE,
}
"""State and event -> next state. Ended states have no row."""


def next_status(
    status: OrdStatus, exec_type: str, *, accepted: bool, cum: int, leaves: int
) -> OrdStatus:
    """Return the state after an event; the counts are those after it.

    Raises: InvariantError if the table does not know the pair, or the counts contradict it.
    """
    try:
        after = TRANSITIONS[status, exec_type]
    except KeyError:
        raise InvariantError(f"ExecType {exec_type} is illegal in state {status}") from None
    if leaves < 0 or cum < 0 or (leaves == 0 and after not in ENDED and exec_type != TRADED):
        raise InvariantError(f"{cum} lots filled and {leaves} left after ExecType {exec_type}")
    if exec_type == TRADED and leaves == 0:
        return OrdStatus.FILLED
    if after is not None:
        return after
    if cum > 0:
        return OrdStatus.PARTIALLY_FILLED
    return OrdStatus.NEW if accepted else OrdStatus.PENDING_NEW
