"""The vocabulary: immutable records that something happened, one file per family."""

from __future__ import annotations

from titanflow.core.facts.belief import Belief
from titanflow.core.facts.control import (
    CancelOrders,
    Checkpoint,
    KillRuling,
    KillSwitch,
    Lapse,
    StateChange,
)
from titanflow.core.facts.decision import (
    RISK_PREFIX,
    Explanation,
    Intent,
    Part,
    Signal,
    Verdict,
    verdict_on,
)
from titanflow.core.facts.fact import Fact
from titanflow.core.facts.market import Bar, Dividend, MarketEvent, Quarantine, Split
from titanflow.core.facts.money import Entry, Standing
from titanflow.core.facts.order import Fill, Order, OrderUpdate
from titanflow.core.facts.work import Answer, Ask

__all__ = [
    "RISK_PREFIX",
    "Answer",
    "Ask",
    "Bar",
    "Belief",
    "CancelOrders",
    "Checkpoint",
    "Dividend",
    "Entry",
    "Explanation",
    "Fact",
    "Fill",
    "Intent",
    "KillRuling",
    "KillSwitch",
    "Lapse",
    "MarketEvent",
    "Order",
    "OrderUpdate",
    "Part",
    "Quarantine",
    "Signal",
    "Split",
    "Standing",
    "StateChange",
    "Verdict",
    "verdict_on",
]
