"""What may one part read of another without importing it? The shapes of what stages show.

Stages talk in facts. Where a reading is needed that no fact carries (the equity at the end of a
day, the state that an invariant compares), the reader names the shape here, and the driver that
wires the stages hands over the object. Nothing here can change anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from titanflow.core.facts import Answer, Ask
from titanflow.core.spec.words import Account, Side

IntArray = NDArray[np.int64]
"""Money in minor units, lots or day numbers."""
FloatArray = NDArray[np.float64]


class Books(Protocol):
    """What scoring reads of the books. Contenders and instruments are named by index."""

    @property
    def day(self) -> int:
        """Give the session day that the books are in; -1 before the first event."""
        ...

    @property
    def days_closed(self) -> int:
        """Give how many session days have ended; `closing` is the state at the last end."""
        ...

    def closing(self) -> tuple[int, IntArray, IntArray]:
        """Return the last ended day, and every contender's equity and gross exposure then."""
        ...

    def equities(self) -> IntArray:
        """Return every contender's equity now (contenders,)."""
        ...

    def gross(self) -> IntArray:
        """Return every contender's gross exposure now (contenders,)."""
        ...

    def position(self, contender: int, instrument: int) -> int:
        """Return the lots held; negative is short."""
        ...

    def balance(self, contender: int, account: Account) -> int:
        """Return an account's balance; debit is positive."""
        ...


class Predictor(Protocol):
    """What answers asks: graphs in this process, or a serving pod."""

    def predict(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        """Return one answer to each ask, in their order; a failure is an answer as well."""
        ...


class BooksHealth(Protocol):
    """What the invariants read of the books."""

    def trial_balance(self) -> int:
        """Return the sum of all balances; zero, or the books are broken."""
        ...

    def position(self, contender: int, instrument: int) -> int:
        """Return the lots held; negative is short."""
        ...

    def cost(self, contender: int, instrument: int) -> int:
        """Return the cost of the position."""
        ...

    def balance(self, contender: int, account: Account) -> int:
        """Return an account's balance; debit is positive."""
        ...


class GateHealth(Protocol):
    """What the invariants read of risk's own projection."""

    @property
    def kill_epoch(self) -> int:
        """Give how many kill switch rulings were accepted."""
        ...

    def cash(self, contender: int) -> int:
        """Return the cash that risk believes in."""
        ...

    def position(self, contender: int, instrument: int) -> int:
        """Return the lots that risk believes in."""
        ...

    def reserved(self, contender: int) -> int:
        """Return the money held for open orders."""
        ...

    def open_lots(self, contender: int, instrument: int) -> tuple[int, int]:
        """Return the lots of open buy orders and of open sell orders."""
        ...


LiveOrder = tuple[str, str, Side, int, int, int]
"""contender, symbol, side, leaves, cum, quantity (all in lots)"""


class TradeHealth(Protocol):
    """What the invariants read of the desk."""

    def live_orders(self) -> Iterable[LiveOrder]:
        """Return every order that has not ended."""
        ...
