"""Does a block of digests remember names as a plain list of the last ones does?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from titanflow.core.base.recent import RecentNames


@given(
    st.integers(1, 150),
    st.lists(st.integers(0, 400).map(str), max_size=500),
    st.integers(0, 500),
)
def test_it_knows_the_last_names_also_after_a_snapshot(
    limit: int, names: list[str], cut: int
) -> None:
    recent, last = RecentNames(limit), list[str]()
    for place, name in enumerate(names):
        if place == cut:
            recent = RecentNames(limit, recent.dump())
        recent.add(name)
        if name not in last:
            last = [*last, name][-limit:]

    assert len(last) == len(recent)
    assert {name for name in map(str, range(401)) if name in recent} == set(last)
    other = RecentNames(limit)
    for name in last:
        other.add(name)
    assert other.dump() == recent.dump()


def test_a_full_one_takes_no_more_than_its_bound() -> None:
    recent = RecentNames(4096)
    for number in range(10_000):
        recent.add(f"order-{number}")

    assert 4096 == len(recent)
    assert 4096 * 16 == len(recent.dump()) == recent._block.nbytes
    assert "order-5903" not in recent
    assert "order-5904" in recent
