"""What only shows between stages: gate beside the real desk and the real books."""

from risk_kit import DAY, HOUR, SECOND, Line, policy, verdicts

from titanflow.core.spec.words import Outcome


def test_borrow_fees_that_a_fill_brings_are_charged_in_both_books() -> None:
    line = Line(borrow_bps=10_000)
    line.bar(100, after=HOUR)
    line.intent("ann", -1, 10)
    line.bar(100, after=HOUR)
    line.bar(100, after=HOUR)
    line.intent("bob", 1, 5)

    line.bar(100, after=DAY)

    assert line.post.position(0, 0) == -10
    assert line.gate.cash(0) < 10_000 * 10**8 + 10 * 10**8


def test_a_replace_that_arrives_before_a_cancel_changes_what_is_held() -> None:
    line = Line()
    line.bar(100, after=HOUR)
    line.intent("ann", 1, 10, 90, client_order_id="mine")
    line.bar(100, after=HOUR)
    line.replace("ann", "mine", 1, 20, 91)
    line.cancel("ann", "mine")

    line.bar(100, after=HOUR)

    assert (0, 0) == line.gate.open_lots(0, 0)
    assert 0 == line.gate.reserved(0)


def test_a_replace_with_the_other_side_does_not_slip_past_the_limits() -> None:
    line = Line(policy(limits={"maxPositionQuantity": "20"}))
    line.bar(100, after=HOUR)
    line.intent("ann", 1, 15)
    line.bar(100, after=HOUR)
    line.intent("ann", 1, 1, 90, client_order_id="mine")
    line.bar(100, after=HOUR)

    line.replace("ann", "mine", -1, 15, 90)
    line.bar(100, low=80, after=HOUR)

    assert line.gate.position(0, 0) <= 20


def test_a_replace_of_another_instruments_order_holds_nothing() -> None:
    line = Line()
    line.bar(100, after=HOUR)
    line.bar(100, "B", after=SECOND)
    line.intent("ann", 1, 10, 90, client_order_id="mine")

    line.replace("ann", "mine", 1, 40, 90, symbol="B")

    assert (10, 0) == line.gate.open_lots(0, 0)
    assert 10 * 90 * 10**6 == line.gate.reserved(0)


def test_an_order_without_a_side_is_refused() -> None:
    line = Line()
    line.bar(100, after=HOUR)
    line.intent("ann", 1, 10)
    line.bar(100, after=HOUR)

    (verdict,) = verdicts(line.intent("ann", 0, 5))
    line.bar(100, after=HOUR)

    assert Outcome.DENY is verdict.outcome


def test_numbers_at_the_edge_of_64_bits_are_refused_and_not_fatal() -> None:
    line = Line()
    line.bar(100, after=HOUR)
    edges = (2**62 - 1, -(2**62) + 1, 2**61, 2**47, 2**31)
    for side in (1, -1):
        for lots in (1, 7, *edges):
            for limit in (0, 1, *edges):
                (verdict,) = verdicts(line.intent("ann", side, lots, limit))
                if verdict.outcome is Outcome.ALLOW:
                    assert abs(lots) < 10_001
                    line.cancel("ann", verdict.client_order_id)
    line.bar(100, after=HOUR)


def test_the_first_fill_of_a_day_counts_to_that_day() -> None:
    line = Line(policy(limits={"maxDailyLoss": "100"}))
    line.bar(100, after=HOUR)
    line.intent("ann", 1, 1_000, 100)
    line.bar(100, after=HOUR)
    line.intent("ann", -1, 1_000)

    line.bar(80, opening=80, after=DAY)

    assert "HALTED" == line.gate.state(0)


def test_a_loss_that_is_realised_to_the_last_lot_still_halts() -> None:
    line = Line(policy(limits={"maxDrawdownBps": 1_000}))
    line.bar(100, after=HOUR)
    line.intent("ann", 1, 5_000, 100)
    line.bar(100, after=HOUR)
    line.intent("ann", -1, 5_000)

    line.bar(50, opening=50, after=HOUR)

    assert 0 == line.gate.position(0, 0)
    assert "HALTED" == line.gate.state(0)


def test_a_replace_that_is_done_while_a_cancel_is_pending_is_followed_at_once() -> None:
    line = Line()
    line.bar(100, after=HOUR)
    line.intent("ann", 1, 10, 90, client_order_id="mine")
    line.bar(100, after=HOUR)
    line.replace("ann", "mine", 1, 20, 91)
    line.bar(100, after=SECOND // 2)
    line.cancel("ann", "mine")

    line.bar(100, after=SECOND * 7 // 10)

    assert (20, 0) == line.gate.open_lots(0, 0)
    line.bar(100, after=HOUR)
    assert (0, 0) == line.gate.open_lots(0, 0)


def test_a_limit_order_is_not_replaced_by_a_market_order() -> None:
    line = Line()
    line.bar(100, after=HOUR)
    line.intent("ann", 1, 10, 90, client_order_id="mine")
    line.bar(100, after=HOUR)

    (verdict,) = verdicts(line.replace("ann", "mine", 1, 20, 0))
    line.bar(100, after=HOUR)

    assert "characteristic" == verdict.rule


def test_a_price_beyond_the_book_is_refused() -> None:
    line = Line(tick_value=1)
    line.bar(100, after=HOUR)

    (verdict,) = verdicts(line.intent("ann", 1, 1, 2**50))
    line.bar(100, after=HOUR)

    assert "price" == verdict.rule


def test_what_open_orders_may_still_trade_counts_to_the_turnover_of_the_day() -> None:
    line = Line(policy(limits={"maxTurnoverBpsPerDay": 1_000}))
    line.bar(100, after=HOUR)
    line.bar(100, "B", after=SECOND)

    first = verdicts(line.intent("ann", 1, 600))
    second = verdicts(line.intent("ann", 1, 600, symbol="B"))

    assert [Outcome.ALLOW, Outcome.DENY] == [v.outcome for v in first + second]
