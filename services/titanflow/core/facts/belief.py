"""What does perception hold to be true of one instrument now?"""

from __future__ import annotations

from titanflow.core.facts.fact import Fact


class Belief(Fact, frozen=True, array_like=True, tag=True, gc=False):
    """The features of one instrument after one bar, in the order of the arena's feature schema.

    `adjustment` is the product of all split ratios so far: features are computed on
    close × adjustment, so a split leaves no step in them and no later fact is needed to know it.
    A feature that has not seen enough bars is NaN.
    """

    symbol: str
    close_ticks: int
    adjustment: float
    features: tuple[float, ...]
