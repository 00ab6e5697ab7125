"""How does a stance become an opinion that explains itself? The same way for every rule."""

from __future__ import annotations

import math
from typing import Protocol

from titanflow.core.contender.protocol import Opinion, Part, View
from titanflow.core.perception.features import parse_feature
from titanflow.core.spec.words import Side


class Reasoning(Protocol):
    """What is needed of a rule to explain it."""

    features: tuple[str, ...]

    def stance(self, view: View) -> float | None:
        """Return the strength, or None to hold."""
        ...

    def reasons(self, view: View) -> tuple[float, tuple[Part, ...], str]:
        """Return base and parts of the score, and a sentence."""
        ...


def side_of(stance: float | None, view: View) -> Side:
    """Return the side of a stance; none at all (0) closes, so it is opposite to the position."""
    if stance is None:
        return Side.HOLD
    if stance == 0.0:
        return Side.BUY if view.position_lots < 0 else Side.SELL
    return Side.BUY if stance > 0.0 else Side.SELL


def opinion_of(rule: Reasoning, view: View) -> Opinion:
    """Return a rule's stance with its score, parts and sentence."""
    if not view.warm:
        needed = max(parse_feature(name).lookback for name in rule.features)
        text = f"warming up: {view.bars_seen} of {needed} bars"
        return Opinion(Side.HOLD, 0.0, 0.0, text=text)
    stance = rule.stance(view)
    base, parts, text = rule.reasons(view)
    score = math.fsum([base, *(part.contribution for part in parts)])
    return Opinion(side_of(stance, view), stance or 0.0, score, base, parts, text)
