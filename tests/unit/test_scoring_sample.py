"""The sampler forgets points of the curve, never the moments."""

import numpy as np
import pytest

from titanflow.native.sample import COLUMNS, Sampler

RUINED = COLUMNS.index("ruined")
DRAWDOWN = COLUMNS.index("drawdown")


def walk(days: int, capacity: int) -> Sampler:
    rng = np.random.default_rng(3)
    sampler = Sampler([10**9, 10**9], capacity)
    equity = np.array([10**9, 10**9])
    for day in range(days):
        equity = equity + rng.integers(-(10**6), 10**6, 2)
        sampler.add(day, equity, np.array([10, 20]))
    return sampler


@pytest.mark.parametrize("days", [0, 1, 7, 8, 9, 15, 16, 17, 100, 1_000])
def test_a_thinned_curve_keeps_the_first_and_the_last_point_and_an_even_stride(days: int) -> None:
    whole_days, whole = walk(days, 2_000).curves()

    sampler = walk(days, 8)
    thin_days, thin = sampler.curves()

    assert sampler.kept <= 8
    picked = np.unique(
        np.append(np.arange(0, len(whole_days), sampler.stride), [days] if days else [])
    )
    picked = picked.astype(int)[: len(thin_days)]
    assert whole_days[picked].tolist() == thin_days.tolist()
    assert whole[:, picked].tolist() == thin.tolist()


def test_moments_do_not_depend_on_the_capacity() -> None:
    assert walk(500, 8).moments().tolist() == walk(500, 1_000).moments().tolist()


def test_ruin_ends_the_moments_but_not_the_fall() -> None:
    sampler = Sampler([100], 8)
    for day, equity in enumerate([50, -50, 100]):
        sampler.add(day, np.array([equity]), np.array([0]))

    row = sampler.moments()[0]
    assert (1.0, -1.5) == (row[RUINED], row[DRAWDOWN])


def test_a_day_that_does_not_follow_is_refused() -> None:
    sampler = walk(3, 8)

    with pytest.raises(ValueError, match="does not follow"):
        sampler.add(2, np.array([1, 1]), np.array([0, 0]))
    with pytest.raises(ValueError, match="one value for each"):
        sampler.add(9, np.array([1]), np.array([0]))


def test_dump_and_load_is_identity() -> None:
    sampler, other = walk(50, 8), Sampler([1, 1], 8)

    other.load(sampler.dump())

    assert sampler.digest() == other.digest()
    for each in (sampler, other):
        each.add(99, np.array([5, 5]), np.array([1, 1]))
    assert sampler.digest() == other.digest()


@pytest.mark.parametrize("snapshot", [b"", bytes(64), walk(3, 16).dump()])
def test_a_snapshot_of_another_sampler_is_refused(snapshot: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut|another sampler"):
        Sampler([1, 1], 8).load(snapshot)
