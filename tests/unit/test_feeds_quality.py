"""Does each rule of the quality gate keep out what it names, and let in everything else?"""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from feed_kit import BUNDLED, START, arena, ground, raw
from hypothesis import given
from hypothesis import strategies as st

from titanflow.adapters.feeds import quality
from titanflow.adapters.feeds.provider import RawBars, SplitAction
from titanflow.adapters.feeds.quality import Judged, Rule, judge
from titanflow.core.base.instant import NS_PER_DAY
from titanflow.native.gate import Gate

INSTRUMENT = ground(arena(("A",), BUNDLED)).instruments[0]
GOOD = (10.0, 11.0, 9.0, 10.5, 100.0)


def rules(judged: Judged) -> list[Rule]:
    return [found.rule for found in judged.quarantined]


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        ((float("nan"), 11, 9, 10, 100), Rule.NOT_FINITE),
        ((10, float("inf"), 9, 10, 100), Rule.NOT_FINITE),
        ((10, 11, 9, 10, float("nan")), Rule.NOT_FINITE),
        ((10, 1e300, 9, 10, 100), Rule.NOT_FINITE),
        ((10, 11, 9, 10, 1e300), Rule.NOT_FINITE),
        ((0, 11, 0, 10, 100), Rule.NOT_POSITIVE),
        ((10, 11, -9, 10, 100), Rule.NOT_POSITIVE),
        ((10, 11, 0.004, 10, 100), Rule.NOT_POSITIVE),
        ((10, 9, 11, 10, 100), Rule.CROSSED),
        ((12, 11, 9, 10, 100), Rule.CROSSED),
        ((10, 11, 9, 8, 100), Rule.CROSSED),
        ((10, 11, 9, 10, -1), Rule.NEGATIVE_VOLUME),
        ((10, 210, 9, 10, 100), Rule.SPIKE),
        ((10, 11, 0.5, 10, 100), Rule.SPIKE),
    ],
)
def test_a_bad_bar_is_kept_out_and_the_next_is_let_in(bad: tuple[float, ...], rule: Rule) -> None:
    judged = judge(raw(GOOD, bad, GOOD), INSTRUMENT, [])

    assert [rule] == rules(judged)
    assert START + 2 * NS_PER_DAY == judged.quarantined[0].at
    assert [1000, 1000] == judged.columns.open_ticks.tolist()


@pytest.mark.parametrize("tick_value", [1, 10**6, 10**12])
def test_the_highest_price_that_is_let_in_can_be_marked(tick_value: int) -> None:
    instrument = msgspec.structs.replace(INSTRUMENT, tick_value=tick_value)
    ticks = min(quality.TICKS_MAX, quality.LOT_VALUE_MAX // tick_value)
    highest, beyond = ((n * instrument.tick_size / 1e8,) * 4 for n in (ticks, ticks * 2))

    assert [] == rules(judge(raw((*highest, 100.0)), instrument, []))
    assert [Rule.NOT_FINITE] == rules(judge(raw((*beyond, 100.0)), instrument, []))
    gate = Gate(1, 1)
    gate.arrays["facts"][0, 0] = tick_value
    gate.mark(0, ticks, START, 1)
    with pytest.raises(OverflowError, match="a mark of"):
        gate.mark(0, ticks * 2, START, 1)


@pytest.mark.parametrize(
    ("days", "rule"),
    [((0, 1, 1, 2), Rule.DUPLICATE_TIME), ((0, 1, 0, 2), Rule.OUT_OF_ORDER)],
)
def test_time_goes_forward(days: tuple[int, ...], rule: Rule) -> None:
    judged = judge(raw(GOOD, GOOD, GOOD, GOOD, days=days), INSTRUMENT, [])

    assert [rule] == rules(judged)
    assert 3 == len(judged.columns)


def test_bars_do_not_overlap_and_last_some_time() -> None:
    bars = raw(GOOD, GOOD, GOOD, GOOD)
    bars.start_ns[1] -= 1
    bars.end_ns[3] = bars.start_ns[3]

    assert [Rule.OVERLAP, Rule.NO_DURATION] == rules(judge(bars, INSTRUMENT, []))


def test_a_wild_bar_does_not_take_the_next_ones_with_it() -> None:
    wild = (1000.0, 1100.0, 900.0, 1000.0, 5.0)

    judged = judge(raw(GOOD, wild, wild, GOOD), INSTRUMENT, [])

    assert [Rule.SPIKE, Rule.SPIKE] == rules(judged)
    assert "after a close of 1050" in judged.quarantined[0].detail


def test_a_split_explains_what_would_be_a_spike() -> None:
    split = SplitAction("A", START + NS_PER_DAY, 50, 1, "test")
    after = (0.20, 0.22, 0.19, 0.21, 100.0)

    assert [] == rules(judge(raw(GOOD, after, after), INSTRUMENT, [split]))
    assert [Rule.SPIKE, Rule.SPIKE] == rules(judge(raw(GOOD, after, after), INSTRUMENT, []))
    assert [Rule.SPIKE] == rules(judge(raw(GOOD, GOOD, after), INSTRUMENT, [split]))[:1]


def test_prices_go_to_the_nearest_tick_and_volume_down_to_whole_lots() -> None:
    judged = judge(raw((10.004, 10.016, 9.996, 10.01, 99.9)), INSTRUMENT, [])
    columns = judged.columns

    assert [1000, 1002, 1000, 1001, 99] == [
        int(getattr(columns, name)[0]) for name in columns.__struct_fields__[2:]
    ]
    assert 3 == judged.off_tick


def test_every_cent_of_a_high_price_is_on_its_tick() -> None:
    cents = np.arange(1, 200_000, 7, dtype=np.int64)
    prices = cents / 100
    at = START + np.arange(len(cents), dtype=np.int64) * NS_PER_DAY
    bars = RawBars(at, at + NS_PER_DAY, prices, prices, prices, prices, prices)

    judged = judge(bars, INSTRUMENT, [])

    assert 0 == judged.off_tick
    good = np.isin(cents, judged.columns.close_ticks)
    assert len(cents) - len(judged.quarantined) == int(good.sum())


PRICE = st.sampled_from([-1.0, 0.0, 0.4, 1.0, 8.0, 9.0, 10.0, 11.0, 250.0, float("nan")])
ROW = st.tuples(PRICE, PRICE, PRICE, PRICE, st.sampled_from([-5.0, 0.0, 100.0]))
MILD = st.tuples(*[st.sampled_from([9.0, 9.5, 10.0])] * 4, st.just(3.0)).map(
    lambda row: (row[0], max(row[:4]), min(row[:4]), row[3], row[4])
)


@given(rows=st.lists(ROW | MILD, min_size=1, max_size=8), data=st.data())
def test_the_quick_judgement_equals_the_slow_one(
    rows: list[tuple[float, ...]], data: st.DataObject
) -> None:
    days = data.draw(st.tuples(*[st.integers(0, 6)] * len(rows)))
    bars = raw(*rows, days=days if data.draw(st.booleans()) else None)

    quick = judge(bars, INSTRUMENT, [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quality, "_spotless", lambda _: False)
        slow = judge(bars, INSTRUMENT, [])

    assert quick.quarantined == slow.quarantined
    for name in msgspec.structs.asdict(quick.columns):
        assert getattr(quick.columns, name).tolist() == getattr(slow.columns, name).tolist()
