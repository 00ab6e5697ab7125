"""In which tier is each contender, and why? Its manifest says one, its policies may leave another.

Risk acts on the same function (`effective_tiers`), so what is told here is what is enforced. It
changes no tier: promotion needs evidence, and that has its own rules.
"""

from __future__ import annotations

import msgspec

from titanflow.core.risk.policy import Policies, effective_tiers, law_of
from titanflow.core.spec.ground import Ground
from titanflow.core.spec.words import Tier


class TierView(msgspec.Struct, frozen=True):
    """The tier in force of one contender, the declared one, whose law it is under, and why."""

    contender: str
    tier: Tier
    declared: Tier
    policies: tuple[str, ...]
    text: str


def tiers_of(ground: Ground, policies: Policies) -> tuple[TierView, ...]:
    """Return the tier of each contender, in the order of the ground."""
    found: list[TierView] = []
    for entrant, tier in zip(ground.entrants, effective_tiers(ground, policies), strict=True):
        law = law_of(ground, entrant, policies)
        text = _why(tier, entrant.tier, law.policies, law.refused)
        found.append(TierView(entrant.name, tier, entrant.tier, law.policies, text))
    return tuple(found)


def _why(tier: Tier, declared: Tier, policies: tuple[str, ...], refused: str) -> str:
    if tier is not declared:
        return f"declared {declared.value}, but no policy selects it"
    bound = f"bound by {', '.join(policies)}" if policies else "no policy selects it"
    if refused == "CURRENCY":
        return f"{bound}; every order is refused: a policy has another currency than the arena"
    if refused:
        return f"declared {declared.value}, so no order reaches the book; {bound}"
    return bound
