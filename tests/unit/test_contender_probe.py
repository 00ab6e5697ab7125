"""Does the example's rude contender send what its table says, and is it well behaved itself?"""

import importlib.util

from stock_bars import stock_bars

from titanflow.core.contender.checks import run_checks
from titanflow.core.contender.rehearsal import Rehearsal
from titanflow.core.spec.words import IntentAction, OrderType, Side, TimeInForce
from tools.tree import ROOT


def probe():
    spec = importlib.util.spec_from_file_location("probe", ROOT / "examples/arena/probe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Probe


def test_a_rude_contender_may_be_well_behaved() -> None:
    results = run_checks(probe(), stock_bars()[:260])

    assert [] == [result for result in results if not result.passed]


def test_one_round_shows_everything() -> None:
    heard = Rehearsal(probe()(), ["AAPL"]).play(stock_bars()[:40])
    said = {at + 1: intents for at, (_, intents) in enumerate(heard) if intents}

    assert list(said) == [1, 3, 5, 7, 9, 11, 12, 14, 15, 17, 19, 21, 22, 23, 25]
    (zero,) = said[7]
    (post_only,) = said[9]
    *ladder, sale = said[12]
    assert zero.quantity_lots == 0
    assert post_only.post_only
    assert post_only.limit_ticks > stock_bars()[8].close_ticks
    assert {Side.BUY} == {intent.side for intent in ladder}
    assert sale.side is Side.SELL
    assert len({intent.client_order_id for intent in (*said[14], *said[15])}) == 1
    assert said[17][0].time_in_force is TimeInForce.FOK
    assert [i.action for at in (19, 22) for i in said[at]] == [
        IntentAction.CANCEL,
        IntentAction.REPLACE,
    ]
    assert said[3][0].order_type is OrderType.LIMIT


def test_other_instruments_are_left_alone() -> None:
    heard = Rehearsal(probe()(symbol="IBM"), ["AAPL"]).play(stock_bars()[:40])

    assert not any(intents for _, intents in heard)
