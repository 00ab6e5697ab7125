"""A contender is in the tier that its manifest says, unless no policy selects it."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit import contender, small_folder

from titanflow.core.governance.tiers import TierView, tiers_of
from titanflow.core.spec.words import Tier
from titanflow.runtime.plan import prepare

HOUSE = """\
apiVersion: titanflow.io/v1alpha1
kind: RiskPolicy
metadata: {name: house}
spec:
  currency: CURRENCY
  selector: {matchExpressions: [{key: free, operator: DoesNotExist}]}
  limits: {maxOrderNotional: "50000"}
"""


def tiers(folder: Path, currency: str = "USD") -> dict[str, TierView]:
    small_folder(folder)
    (folder / "policy.yaml").write_text(HOUSE.replace("CURRENCY", currency))
    free = contender("free", "BuyAndHold").replace(
        "{name: free}", "{name: free, labels: {free: y}}"
    )
    (folder / "free.yaml").write_text(free)
    new = contender("new", "BuyAndHold").replace("tier: Paper", "tier: Candidate")
    (folder / "new.yaml").write_text(new)
    plan = prepare(folder, None)
    return {each.contender: each for each in tiers_of(plan.ground, plan.policies)}


def test_the_tier_in_force_is_told_with_its_reason(tmp_path: Path) -> None:
    found = tiers(tmp_path)

    assert TierView("dice", Tier.PAPER, Tier.PAPER, ("house",), "bound by house") == found["dice"]
    assert (Tier.SHADOW, Tier.PAPER, ()) == (
        found["free"].tier,
        found["free"].declared,
        found["free"].policies,
    )
    assert "declared Paper, but no policy selects it" == found["free"].text
    assert Tier.CANDIDATE == found["new"].tier
    assert "no order reaches the book; bound by house" in found["new"].text


@pytest.mark.parametrize("currency", ["EUR"])
def test_a_policy_of_another_currency_is_named(tmp_path: Path, currency: str) -> None:
    assert "another currency" in tiers(tmp_path, currency)["dice"].text
