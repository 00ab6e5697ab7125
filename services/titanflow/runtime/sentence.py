"""What does one fact say, in one sentence? For facts that stand for themselves in a story."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from titanflow.core.base.fixed import format_decimal
from titanflow.core.base.instant import format_instant
from titanflow.core.facts import (
    Bar,
    CancelOrders,
    Checkpoint,
    Dividend,
    Entry,
    Fact,
    KillRuling,
    KillSwitch,
    Lapse,
    Quarantine,
    Split,
    Standing,
)
from titanflow.core.spec.words import Account, KillScope, Occasion
from titanflow.runtime.describe import describe

KINDS_MAX: Final = 4
"""Most kinds of consequences that a sentence counts."""
_OCCASIONS: Final[dict[Occasion, str]] = {
    Occasion.CAPITAL: "the capital to begin with",
    Occasion.FILL: "a fill",
    Occasion.SPLIT: "a split",
    Occasion.DIVIDEND: "a dividend",
    Occasion.BORROW: "borrowed shares",
}


def _split(fact: Split) -> str:
    return (
        f"{fact.symbol} split: {fact.denominator} became {fact.numerator}, by {fact.source}; "
        "positions and prices before it were changed alike"
    )


def _dividend(fact: Dividend) -> str:
    each = format_decimal(fact.amount)
    return f"{fact.symbol} paid a dividend of {each} on each share, by {fact.source}"


def _bar(fact: Bar) -> str:
    return (
        f"A bar of {fact.symbol} from {format_instant(fact.start)} to {format_instant(fact.at)}: "
        f"open {fact.open_ticks}, high {fact.high_ticks}, low {fact.low_ticks}, close "
        f"{fact.close_ticks} ticks, volume {fact.volume_lots} lots"
    )


def _quarantine(fact: Quarantine) -> str:
    return f"A bar of {fact.symbol} was kept out by the rule {fact.rule}: {fact.detail}"


def _reach(fact: KillSwitch | KillRuling) -> str:
    if fact.scope is KillScope.ARENA:
        return "the arena"
    return f"{fact.scope.value.lower()} {fact.name}"


def _kill_switch(fact: KillSwitch) -> str:
    verb = "stop" if fact.engaged else "release"
    only = f", only in {', '.join(fact.instruments)}" if fact.instruments else ""
    why = f": {fact.reason}" if fact.reason else ""
    return f"{fact.by or 'Somebody'} asked to {verb} {_reach(fact)}{only}{why}"


def _kill_ruling(fact: KillRuling) -> str:
    if not fact.accepted:
        return f"The request about {_reach(fact)} was refused: {fact.text}"
    now = "is stopped" if fact.engaged else "may trade again"
    text = f": {fact.text}" if fact.text else ""
    return f"Since kill epoch {fact.epoch} {_reach(fact)} {now}{text}"


def _cancel_orders(fact: CancelOrders) -> str:
    of = f" of {fact.contender}" if fact.contender else ""
    at = f" in {fact.symbol}" if fact.symbol else ""
    return f"Risk had all resting orders{of}{at} cancelled: {fact.text}"


def _lapse(fact: Lapse) -> str:
    if fact.stale:
        return f"Pod {fact.pod} had no fresh lease of governance: from then on nothing new passed"
    return f"Pod {fact.pod} had a fresh lease of governance again"


def _entry(fact: Entry) -> str:
    amount = f"{format_decimal(fact.amount, decimals=2)} {fact.currency}"
    lots = f", and {fact.quantity_lots:+} lots of {fact.symbol}" if fact.quantity_lots else ""
    ways: dict[Account, str] = {fact.credit: "from", fact.debit: "to"}
    told = " ".join(f"{way} {account.value}" for account, way in ways.items())
    return f"In the books of {fact.contender} {amount} went {told}{lots}, for {_for(fact)}"


def _for(fact: Entry) -> str:
    what = _OCCASIONS[fact.occasion]
    return f"{what} of {fact.symbol}" if fact.symbol else what


def _checkpoint(fact: Checkpoint) -> str:
    return f"After turn {fact.turn} the digests of {len(fact.digests)} stages were written down"


def _standing(fact: Standing) -> str:
    place = f"rank {fact.rank}" if fact.rank else "not ranked"
    note = f" ({fact.note})" if fact.note else ""
    equity = format_decimal(fact.equity, decimals=2)
    return f"{fact.contender} ended with {equity}, {fact.total_return:+.2%}, {place}{note}"


_SAYS: Final[dict[type[Fact], Callable[[Any], str]]] = {
    Split: _split,
    Dividend: _dividend,
    Bar: _bar,
    Quarantine: _quarantine,
    KillSwitch: _kill_switch,
    KillRuling: _kill_ruling,
    CancelOrders: _cancel_orders,
    Lapse: _lapse,
    Entry: _entry,
    Checkpoint: _checkpoint,
    Standing: _standing,
}


def stands_alone(fact: Fact) -> bool:
    """Say whether a fact has a sentence of its own, whatever came before and after it."""
    return type(fact) in _SAYS


def sentence_of(fact: Fact, followers: Sequence[Fact] = ()) -> str:
    """Return what a fact says, and how many facts of which kinds it led to at once.

    Kinds that belong to a decision have no sentence of their own: they are named only.
    """
    says = _SAYS.get(type(fact))
    told = describe(fact) if says is None else says(fact)
    kinds = Counter(type(each).__name__ for each in followers if each.id != fact.id)
    led = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(KINDS_MAX))
    return f"{told}. It led to {led}." if led else f"{told}."
