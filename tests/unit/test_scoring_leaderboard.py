"""Standings tell what happened, and rank only what can be compared."""

from math import isnan

import ledger_kit as kit
import pytest

from titanflow.core.base.errors import InvariantError
from titanflow.core.scoring.leaderboard import Score
from titanflow.core.spec.words import Account, RankBy, Tier

TICK = 10**6


def run(line: kit.Line, days: int = 30) -> None:
    """Let contender n hold n + 1 lots of a market that goes up, and a little down."""
    for n in range(len(line.ground.entrants)):
        line.take(kit.fill(0, 10 * (n + 1), 100, contender=f"c{n}", nth=n))
    for day in range(days):
        line.take(kit.bar(day, 100 + 3 * day - 7 * (day % 2)))


def test_the_better_ratio_ranks_first() -> None:
    line = kit.Line(kit.ground("A", "B", "C", rank_by=RankBy.RETURN))
    run(line)

    standings = line.finish(30)

    assert ["c2", "c1", "c0"] == list(standings)
    assert [1, 2, 3] == [s.rank for s in standings.values()]
    assert {""} == {s.note for s in standings.values()}


@pytest.mark.parametrize("rank_by", list(RankBy))
def test_every_measure_can_rank(rank_by: RankBy) -> None:
    line = kit.Line(kit.ground("A", "B", rank_by=rank_by))
    run(line)

    standings = line.finish(30)

    assert {1, 2} == {s.rank for s in standings.values()}


def test_equals_share_a_rank_and_stand_by_name() -> None:
    line = kit.Line(kit.ground("A", "B", "C"))
    for n in range(3):
        line.take(kit.fill(0, 20 if n == 1 else 10, 100, contender=f"c{n}", nth=n))
    for day in range(30):
        line.take(kit.bar(day, 100 - 3 * day + 7 * (day % 2)))

    standings = line.finish(30)

    ranks = {name: s.rank for name, s in standings.items()}
    assert ranks["c0"] == ranks["c2"] != ranks["c1"]
    assert sorted(ranks.values()) in ([1, 1, 3], [1, 2, 2])


def test_benchmarks_are_pinned_and_have_an_interval() -> None:
    line = kit.Line(kit.ground("BuyAndHold", "A", "Random", min_fills=1))
    run(line)

    standings = line.finish(30)

    assert ["c1", "c0", "c2"] == list(standings)
    for name in ("c0", "c2"):
        row = standings[name]
        assert (0, True, "benchmark") == (row.rank, row.pinned, row.note)
        assert row.return_low <= row.total_return <= row.return_high


@pytest.mark.parametrize("tier", [Tier.SHADOW, Tier.CANDIDATE])
def test_other_leagues_are_not_ranked(tier: Tier) -> None:
    line = kit.Line(kit.ground("A", "BuyAndHold"), tier)
    run(line)

    standings = line.finish(30)

    assert {0} == {s.rank for s in standings.values()}
    assert {f"not ranked: tier {tier.value}"} == {s.note for s in standings.values()}


def test_too_few_days_are_said_in_words() -> None:
    line = kit.Line(kit.ground())
    run(line, days=12)

    row = line.finish(12)["c0"]

    assert (0, "not enough data: 12 of 20 daily returns") == (row.rank, row.note)
    assert isnan(row.return_low)
    assert not isnan(row.sharpe)


def test_too_few_fills_are_said_in_words() -> None:
    line = kit.Line(kit.ground(min_fills=2))
    run(line)

    assert "not enough data: 1 of 2 fills" == line.finish(30)["c0"].note


def test_a_measure_without_value_does_not_rank() -> None:
    line = kit.Line(kit.ground())
    line.take(kit.fill(0, 10, 100))
    for day in range(30):
        line.take(kit.bar(day, 100))

    assert "not ranked: Sharpe has no value" == line.finish(30)["c0"].note


def test_a_ruined_contender_is_not_ranked() -> None:
    line = kit.Line(kit.ground())
    line.take(kit.fill(0, -10_000, 100))
    for day in range(30):
        line.take(kit.bar(day, 100 * (day + 1)))

    row = line.finish(30)["c0"]

    assert "not ranked: equity fell to zero or below" == row.note
    assert isnan(row.sharpe)
    assert row.total_return < -1
    assert row.max_drawdown < -1


def test_a_session_without_a_bar_has_standings_too() -> None:
    row = kit.Line(kit.ground()).finish(0)["c0"]

    assert (kit.CAPITAL, 0.0, 0) == (row.equity, row.total_return, row.fills)
    assert isnan(row.max_drawdown)


def test_a_closed_trade_carries_its_share_of_both_fees() -> None:
    line = kit.Line(kit.ground())
    fee = 100 * TICK
    line.take(
        kit.fill(0, 10, 100, fee=fee, nth=0),
        # Gain 5 × 21 = 105, less 50 opening and 100 closing fees: a loss of 45.
        kit.fill(0, -5, 121, fee=fee, nth=1),
        # Gain 5 × 50 = 250, less 50 and 100: a win of 100.
        kit.fill(0, -5, 150, fee=fee, nth=2),
        kit.bar(0, 150),
    )

    row = line.finish(0)["c0"]

    assert (0.5, 100 / 45) == (row.win_rate, row.profit_factor)
    assert (3, 3 * fee) == (row.fills, row.fees)


def test_a_fill_across_zero_closes_one_trade_and_opens_the_next() -> None:
    line = kit.Line(kit.ground())
    line.take(
        kit.fill(0, 10, 100, fee=10, nth=0),
        kit.fill(0, -30, 101, fee=30, nth=1),
        kit.fill(0, 20, 101, fee=5, nth=2),
        kit.bar(0, 150),
    )

    tally = line.score._tallies[0]

    assert (1, 10 * TICK - 20, 1, 25) == (tally.wins, tally.gained, tally.losses, tally.lost)
    assert [0, 0] == tally.open_fees


def test_cash_in_lieu_of_a_split_is_no_trade() -> None:
    line = kit.Line(kit.ground())
    line.take(kit.fill(0, 3, 100), kit.bar(0, 200), kit.split(1, 3, 2))

    line.take(kit.fill(1, -4, 133))

    tally = line.score._tallies[0]
    assert (1, 0) == (tally.wins, tally.losses)
    assert tally.gained < -line.post.balance(0, Account.REALISED) <= tally.gained + 40 * TICK


def test_turnover_and_exposure_are_of_daily_equity() -> None:
    line = kit.Line(kit.ground())
    line.take(kit.fill(0, 10, 100), kit.bar(0, 100), kit.bar(1, 100))

    row = line.finish(1)["c0"]

    # 1,000 ticks of 0.01 against 1,000 units of capital.
    assert (0.01, 0.01) == (row.turnover, pytest.approx(row.exposure))


def test_orders_and_refusals_are_counted() -> None:
    line = kit.Line(kit.ground())
    fill = kit.fill(0, 5, 100)
    line.take(kit.verdict(fill), kit.order(fill), kit.verdict(fill, allow=False))

    row = line.finish(0)["c0"]

    assert (1, 1) == (row.orders, row.refusals)


def test_one_sample_a_day_whatever_the_number_of_instruments() -> None:
    line = kit.Line(kit.ground())
    for day in range(4):
        line.take(kit.bar(day, 100), kit.bar(day, 50, "BBB"))
    line.finish(3)

    days, equity = line.score.curves()

    assert [kit.DAY0 + n for n in range(-1, 4)] == days.tolist()
    assert (1, 5) == equity.shape


def test_a_day_that_ended_unseen_is_a_broken_promise() -> None:
    line = kit.Line(kit.ground())
    for day in range(3):
        line.post.handle(kit.bar(day, 100))

    with pytest.raises(InvariantError, match="did not see"):
        line.score.handle(kit.bar(3, 100))


def test_dump_and_load_is_identity() -> None:
    line = kit.Line(kit.ground("A", "B"))
    run(line)
    other = Score(line.ground, line.post, [Tier.PAPER] * 2)

    other.load(line.score.dump())

    assert line.score.digest() == other.digest()
    assert line.score.finish(0) == other.finish(0)


def test_standings_of_equal_sessions_are_equal() -> None:
    first, second = (kit.Line(kit.ground("A", "B")) for _ in range(2))
    run(first)
    run(second)

    assert first.finish(30) == second.finish(30)


def test_opening_fees_of_a_position_that_a_split_paid_out_burden_no_later_trade() -> None:
    line = kit.Line(kit.ground())
    line.take(kit.fill(0, 3, 100, fee=7), kit.bar(0, 100), kit.split(1, 1, 10))

    line.take(kit.fill(1, 1, 1_000, nth=1), kit.fill(1, -1, 1_001, nth=2))

    tally = line.score._tallies[0]
    assert (1, TICK) == (tally.wins, tally.gained)


def test_refusals_of_a_stranger_are_nobody_s() -> None:
    line = kit.Line(kit.ground())

    line.take(kit.verdict(kit.fill(0, 5, 100, contender="nobody"), allow=False))

    assert 0 == line.finish(0)["c0"].refusals
