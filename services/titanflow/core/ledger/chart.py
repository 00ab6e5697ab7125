"""Which accounts are there, and how does a posting read as a fact? The chart of accounts.

Every contender has the same seven accounts in the arena's currency. The compiled books speak of
them by index; this is the one place that knows both.
"""

from __future__ import annotations

from titanflow.core.base.ident import Id, derive
from titanflow.core.facts import Entry
from titanflow.core.spec.words import Account, Occasion
from titanflow.native.ledger import ACCOUNTS as NATIVE_ACCOUNTS

STAGE = b"post"

ACCOUNTS: tuple[Account, ...] = tuple(Account(name) for name in NATIVE_ACCOUNTS)
"""The accounts in the order of their indices."""

INDEX: dict[Account, int] = {account: index for index, account in enumerate(ACCOUNTS)}

_BORROW = INDEX[Account.BORROW]

Posting = tuple[int, int, int, int, int]
"""contender, debit, credit, amount, quantity_lots: as the compiled books return it."""


def entry(
    posting: Posting,
    names: tuple[str, ...],
    where: tuple[str, str],
    when: tuple[Id, int, int],
    ordinal: int,
    occasion: Occasion,
    stage: bytes = STAGE,
) -> Entry:
    """Return *posting* as a fact; *where* is currency and symbol, *when* is cause, at and seen.

    Its id is that of number *ordinal* of what *stage* says because of the cause.

    Whatever the occasion, what is charged for borrowing says so.
    """
    contender, debit, credit, amount, quantity_lots = posting
    if _BORROW in (debit, credit):
        occasion = Occasion.BORROW
    cause, at, seen = when
    return Entry(
        derive(cause, stage, ordinal),
        cause,
        at,
        seen,
        names[contender],
        ACCOUNTS[debit],
        ACCOUNTS[credit],
        amount,
        where[0],
        where[1],
        quantity_lots,
        occasion,
    )
