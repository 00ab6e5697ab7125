"""Do the books follow from the fills? An independent reconciler, over the facts of a record.

It has books of its own, in plain integers without end, and shares no code with the compiled ledger.
It takes fills, corporate actions and closes from the record, posts them in the order in which the
ledger did, and demands of the record exactly the entries that must follow, no fewer and no more.
At the end it values the positions and compares equity, fees and fills with the standings.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from titanflow.core.base.ident import NO_ID, Id
from titanflow.core.base.instant import session_day
from titanflow.core.facts import Bar, Dividend, Entry, Fact, Fill, Split, Standing
from titanflow.core.risk.shares import shares
from titanflow.core.spec.ground import Ground
from titanflow.core.spec.words import Account
from titanflow.runtime.journal import FACT, Head, Reader, decode_fact, read_head
from titanflow.runtime.plan import Plan, plan_from_head
from titanflow.runtime.recompute import topology_of

TOLD_MAX: Final = 100
"""Differences told in words; the count goes on."""
_UNIT: Final = 100_000_000
"""Sizes of lots are in 1e-8 of a unit."""
_YEAR_BPS: Final = 10_000 * 365

Posted = tuple[str, Account, Account, int, int]
"""An entry without its id: contender, debit, credit, amount in minor units, change in lots."""
Cause = Fill | Split | Dividend | Bar


class Reconciliation(msgspec.Struct, frozen=True):
    """What was found. Right books have no difference."""

    fills: int
    entries: int
    standings: int
    differences: int
    texts: tuple[str, ...]
    """The first differences, in words."""


class _Tape:
    """What the market has said of one instrument, in its order."""

    def __init__(self) -> None:
        self.mark = 0
        self.days: list[int] = []
        """Session days with anything of it, ascending."""
        self.closes: dict[int, int] = {}
        """The last close of each session day, in ticks."""

    def see(self, day: int) -> bool:
        """Note a day; say whether it is new."""
        is_new = not self.days or self.days[-1] < day
        if is_new:
            self.days.append(day)
        return is_new

    def before(self, day: int) -> tuple[int, int]:
        """Return the last day before *day* and the last mark until then; -1 without one."""
        former = max((each for each in reversed(self.days[-3:]) if each < day), default=-1)
        if former < 0:
            former = max((each for each in self.days if each < day), default=-1)
        closed = max((each for each in self.closes if each <= former), default=-1)
        return former, self.closes.get(closed, 0)


class Reconciler:
    """Takes the facts of a record in their order; `finish` tells."""

    def __init__(self, ground: Ground, names: Collection[str] | None = None) -> None:
        """Take the ground, and whose books one ledger keeps; None is everybody's."""
        self._ground = ground
        self._entrants = [e for e in ground.entrants if names is None or e.name in names]
        self._names = [entrant.name for entrant in self._entrants]
        self._others = {entrant.name for entrant in ground.entrants}.difference(self._names)
        self._kinds = {each.symbol: each for each in ground.instruments}
        self._tapes = {each.symbol: _Tape() for each in ground.instruments}
        self._cash = dict.fromkeys(self._names, 0)
        self._lots = {each.symbol: dict.fromkeys(self._names, 0) for each in ground.instruments}
        self._costs = {each.symbol: dict.fromkeys(self._names, 0) for each in ground.instruments}
        self._charged = {each.symbol: -1 for each in ground.instruments}
        self._causes: dict[Id, Cause] = {}
        """Facts that may still be posted: fills once, the others where they move money."""
        self._marks: dict[Id, int] = {}
        """The mark at which each split found the positions."""
        self._fees = dict.fromkeys(self._names, 0)
        self._fills = dict.fromkeys(self._names, 0)
        self._group: list[Posted] = []
        self._cause = NO_ID
        self._entries = self._standings = self._differences = 0
        self._texts: list[str] = []

    def take(self, fact: Fact) -> None:
        """Take the next fact of the record."""
        if getattr(fact, "contender", "") in self._others:
            return
        if isinstance(fact, Entry):
            self._entry(fact)
        elif isinstance(fact, Fill):
            if fact.id in self._causes:
                self._differ(f"fill {fact.id.hex()[:12]} stands twice in the record")
            self._causes[fact.id] = fact
        elif isinstance(fact, Bar):
            tape = self._tapes[fact.symbol]
            if tape.see(session_day(fact.at)) and self._ground.borrow_bps_per_year:
                self._causes[fact.id] = fact
            tape.mark = tape.closes[session_day(fact.at)] = fact.close_ticks
        elif isinstance(fact, Split | Dividend):
            tape = self._tapes[fact.symbol]
            tape.see(session_day(fact.at + 1))
            self._causes[fact.id] = fact
            if isinstance(fact, Split):
                self._marks[fact.id] = tape.mark
                if tape.mark:
                    tape.mark = max(1, tape.mark * fact.denominator // fact.numerator)
        elif isinstance(fact, Standing):
            self._close_group()
            self._standing(fact)

    def finish(self) -> Reconciliation:
        """Return what was found, when all facts were taken."""
        self._close_group()
        for cause in self._causes.values():
            if isinstance(cause, Fill):
                self._differ(f"fill {cause.id.hex()[:12]} of {cause.contender} was never posted")
        return Reconciliation(
            sum(self._fills.values()),
            self._entries,
            self._standings,
            self._differences,
            tuple(self._texts),
        )

    def _differ(self, text: str) -> None:
        self._differences += 1
        if len(self._texts) < TOLD_MAX:
            self._texts.append(text)

    def _entry(self, entry: Entry) -> None:
        self._entries += 1
        if self._group and entry.cause != self._cause:
            self._close_group()
        self._cause = entry.cause
        self._group.append(
            (entry.contender, entry.debit, entry.credit, entry.amount, entry.quantity_lots)
        )

    def _close_group(self) -> None:
        """Compare the entries of one cause with those that must follow from it."""
        if not self._group:
            return
        found, self._group = self._group, []
        cause = self._causes.pop(self._cause, None)
        name = self._cause.hex()[:12]
        if self._cause == NO_ID:
            must = self._capital()
        elif cause is None:
            self._differ(f"entries of {name}, which is no fill or market event, or was posted")
            return
        else:
            must = self._post(cause)
        if found != must:
            self._differ(f"entries of {name}: the record has {_say(found)}, must be {_say(must)}")

    def _capital(self) -> list[Posted]:
        found = []
        for entrant in self._entrants:
            if entrant.capital:
                self._cash[entrant.name] += entrant.capital
                found.append((entrant.name, Account.CASH, Account.CAPITAL, entrant.capital, 0))
        return found

    def _post(self, cause: Cause) -> list[Posted]:
        """Return what must be posted because of one fact, and post it."""
        match cause:
            case Fill():
                found = self._borrow(cause.symbol, session_day(cause.seen))
                return found + self._fill(cause)
            case Split():
                found = self._borrow(cause.symbol, session_day(cause.at + 1))
                return found + self._split(cause)
            case Dividend():
                found = self._borrow(cause.symbol, session_day(cause.at + 1))
                size = self._kinds[cause.symbol].lot_size
                amounts = {
                    name: lots * size * cause.amount // _UNIT
                    for name, lots in self._lots[cause.symbol].items()
                }
                return found + self._pay(Account.DIVIDENDS, amounts)
            case Bar():
                return self._borrow(cause.symbol, session_day(cause.at))

    def _fill(self, fill: Fill) -> list[Posted]:
        name, symbol = fill.contender, fill.symbol
        lots, costs = self._lots[symbol], self._costs[symbol]
        tick = self._kinds[symbol].tick_value
        side, price = int(fill.side), fill.price_ticks * tick
        held, cost = lots[name], costs[name]
        closed = min(abs(held), fill.quantity_lots) if held * side < 0 else 0
        released = _toward_zero(cost * closed, abs(held)) if closed else 0
        gain = -side * closed * price - released
        lots[name] += side * fill.quantity_lots
        costs[name] += side * (fill.quantity_lots - closed) * price - released
        paid = side * fill.quantity_lots * price
        self._cash[name] -= paid + fill.fee
        self._fees[name] += fill.fee
        self._fills[name] += 1
        found = [_signed(name, Account.INVENTORY, Account.CASH, paid, side * fill.quantity_lots)]
        if gain:
            found.append(_signed(name, Account.INVENTORY, Account.REALISED, gain))
        if fill.fee:
            found.append(_signed(name, Account.FEES, Account.CASH, fill.fee))
        return found

    def _split(self, split: Split) -> list[Posted]:
        symbol, mark = split.symbol, self._marks.pop(split.id)
        lots, costs = self._lots[symbol], self._costs[symbol]
        found = []
        for name in self._names:
            held = lots[name]
            if not held:
                continue
            whole = _toward_zero(held * split.numerator, split.denominator)
            rest = held * split.numerator - whole * split.denominator
            released = _toward_zero(costs[name] * rest, held * split.numerator)
            value = rest * mark * self._kinds[symbol].tick_value
            lieu = value // split.numerator if mark else released
            lots[name], costs[name] = whole, costs[name] - released
            self._cash[name] += lieu
            if whole != held or lieu:
                found.append(_signed(name, Account.CASH, Account.INVENTORY, lieu, whole - held))
            if lieu != released:
                found.append(_signed(name, Account.INVENTORY, Account.REALISED, lieu - released))
        return found

    def _borrow(self, symbol: str, day: int) -> list[Posted]:
        """Return the charge for short positions up to *day*, if it was not charged yet."""
        if day <= self._charged[symbol]:
            return []
        self._charged[symbol] = day
        former, mark = self._tapes[symbol].before(day)
        bps = self._ground.borrow_bps_per_year
        if former < 0 or not bps:
            return []
        tick, costs = self._kinds[symbol].tick_value, self._costs[symbol]
        amounts = {
            name: (lots * mark * tick if mark else costs[name]) * bps * (day - former) // _YEAR_BPS
            for name, lots in self._lots[symbol].items()
            if lots < 0
        }
        return self._pay(Account.BORROW, amounts)

    def _pay(self, account: Account, amounts: dict[str, int]) -> list[Posted]:
        found = []
        for name, amount in amounts.items():
            self._cash[name] += amount
            if amount:
                found.append(_signed(name, Account.CASH, account, amount))
        return found

    def _standing(self, standing: Standing) -> None:
        self._standings += 1
        name = standing.contender
        equity = self._cash[name]
        for symbol, lots in self._lots.items():
            mark, tick = self._tapes[symbol].mark, self._kinds[symbol].tick_value
            equity += lots[name] * mark * tick if mark else self._costs[symbol][name]
        must = {"equity": equity, "fees": self._fees[name], "fills": self._fills[name]}
        for field, value in must.items():
            if getattr(standing, field) != value:
                has = getattr(standing, field)
                self._differ(f"{name}: {field} of the standing is {has}, by its fills {value}")


def reconcile(
    ground: Ground, facts: Iterable[Fact], ledgers: Sequence[Collection[str]] = ()
) -> Reconciliation:
    """Return whether all entries and standings in *facts*, a record, follow from its fills.

    *ledgers* says whose books each shard of the ledger keeps, none that one keeps all. Each posts
    in an order of its own, so each is followed by itself.
    """
    works = [Reconciler(ground, names) for names in ledgers] or [Reconciler(ground)]
    for fact in facts:
        for work in works:
            work.take(fact)
    found = [work.finish() for work in works]
    return Reconciliation(
        sum(each.fills for each in found),
        sum(each.entries for each in found),
        sum(each.standings for each in found),
        sum(each.differences for each in found),
        tuple(text for each in found for text in each.texts)[:TOLD_MAX],
    )


def reconcile_journal(journal: Path, folder: Path | None = None) -> Reconciliation:
    """Return the same for a journal; *folder* is where its contenders' Python code lies.

    Raises: JournalError if the journal is damaged; SpecError if its manifests are not valid now.
    """
    head = read_head(journal)
    plan = plan_from_head(head, folder)
    records = Reader(journal).records()
    facts = (decode_fact(each.body) for each in records if each.kind == FACT)
    return reconcile(plan.ground, facts, _ledgers(plan, head))


def _ledgers(plan: Plan, head: Head) -> list[set[str]]:
    """Return whose books each shard of the ledger keeps."""
    count = len(topology_of(head.topology).hosting("post")) if head.topology else 1
    made = shares(plan.ground, plan.policies, count)
    return [
        {e.name for e in plan.ground.entrants if made[e.index] == number} for number in range(count)
    ]


def _signed(name: str, debit: Account, credit: Account, amount: int, lots: int = 0) -> Posted:
    """Return an entry whose amount is not negative: what is, goes the other way."""
    return (
        (name, debit, credit, amount, lots) if amount >= 0 else (name, credit, debit, -amount, lots)
    )


def _toward_zero(top: int, bottom: int) -> int:
    size = abs(top) // abs(bottom)
    return size if (top >= 0) == (bottom > 0) else -size


def _say(entries: list[Posted]) -> str:
    shown = [
        f"{name} {debit}/{credit} {amount} ({lots:+} lots)"
        for name, debit, credit, amount, lots in entries[:4]
    ]
    return "; ".join(shown) + (" …" if len(entries) > 4 else "") if entries else "none"
