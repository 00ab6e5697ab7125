"""Which contenders does each shard of an arena look after? A pure function of ground and policies.

Contenders that share an aggregate limit stay together, since one gate must see all of them. Whole
groups go to the shard that has the fewest contenders so far, the lowest number first.
"""

from __future__ import annotations

from titanflow.core.risk.policy import Policies, houses_of
from titanflow.core.spec.ground import Ground


def shares(ground: Ground, policies: Policies, of: int) -> tuple[int, ...]:
    """Return the shard of each contender, by index, where there are *of* shards.

    A group larger than an even share makes its shard the largest; no group is ever cut.
    """
    together = list(range(len(ground.entrants)))
    """The lowest contender that each one is bound to, by way of others."""

    def root(c: int) -> int:
        while together[c] != c:
            together[c] = c = together[together[c]]
        return c

    for house in houses_of(ground, policies):
        for other in house.members[1:]:
            low, high = sorted((root(house.members[0]), root(other)))
            together[high] = low
    groups: dict[int, list[int]] = {}
    for c in range(len(together)):
        groups.setdefault(root(c), []).append(c)
    counts, found = [0] * of, [0] * len(together)
    # The largest first, so that small ones can even out what they leave.
    for members in sorted(groups.values(), key=lambda group: (-len(group), group[0])):
        shard = counts.index(min(counts))
        counts[shard] += len(members)
        for c in members:
            found[c] = shard
    return tuple(found)
