"""Each of the nine invariants holds in a healthy session, and its breach is noticed and named."""

import ledger_kit as kit
import msgspec
import pytest

from titanflow.core.base.ident import NO_ID
from titanflow.core.facts import Entry, Fact, KillRuling, OrderUpdate
from titanflow.core.health import INVARIANTS, MESSAGES_MAX, REMEMBERED, Invariants
from titanflow.core.spec.words import Account, KillScope, OrdStatus

replace = msgspec.structs.replace


class FakeGate:
    """Risk's projection, as right as the books it is copied from."""

    def __init__(self, post):
        self.post = post
        self.kill_epoch = 0
        self.lots = {}
        self.money = 0
        self.wrong_cash = 0

    def cash(self, c):
        return self.post.balance(c, Account.CASH) + self.wrong_cash

    def position(self, c, i):
        return self.post.position(c, i)

    def reserved(self, c):
        return self.money

    def open_lots(self, c, i):
        return self.lots.get((c, i), (0, 0))


class FakeTrade:
    def __init__(self):
        self.live = []

    def live_orders(self):
        return self.live


class Watched:
    """A line of books with an observer, and the facts of orders around its fills."""

    def __init__(self):
        self.line = kit.Line(kit.ground("A"))
        self.health = Invariants(self.line.ground)
        self.gate, self.trade = FakeGate(self.line.post), FakeTrade()
        self.observe(*self.line.said)

    def observe(self, *facts: Fact) -> None:
        for fact in facts:
            self.health.observe(fact)

    def fill(self, day: int, lots: int, price: int = 100, nth: int = 0):
        """Let an order be allowed, born, accepted and filled."""
        fill = kit.fill(day, lots, price, nth=nth)
        self.observe(kit.verdict(fill), kit.order(fill), accepted(fill), fill)
        self.observe(*self.line.take(fill))
        return fill

    def check(self) -> list[int]:
        self.health.check(self.line.post, self.gate, self.trade)
        return broken(self.health)


def broken(health: Invariants) -> list[int]:
    assert len(health.messages) == health.broken
    return sorted({int(text.split()[1]) for text in health.messages})


def update(of, status: OrdStatus, exec_type: str, cum: int, leaves: int) -> OrderUpdate:
    return OrderUpdate(
        kit.name("update", of.order, status), of.order, of.seen, of.seen, of.order, of.contender,
        of.symbol, of.client_order_id, status, exec_type, of.side, of.quantity_lots, 0, cum,
        leaves, -1, "",
    )  # fmt: skip


def accepted(of) -> OrderUpdate:
    return update(of, OrdStatus.NEW, "0", 0, of.quantity_lots)


def live(watched: Watched, lots: int = 5):
    """Leave one order open at the venue."""
    fill = kit.fill(2, lots, 100, nth=9)
    watched.observe(kit.verdict(fill), kit.order(fill), accepted(fill))
    size = abs(lots)
    watched.trade.live = [("c0", "AAA", fill.side, size, 0, size)]
    watched.gate.lots[0, 0] = (size, 0) if lots > 0 else (0, size)
    watched.gate.money = 500
    return fill


def test_a_healthy_session_breaks_nothing() -> None:
    watched = Watched()
    watched.fill(0, 5)
    watched.fill(0, -8, 110, nth=1)
    watched.line.take(kit.bar(0, 100))
    split = kit.split(1, 3, 2)
    watched.observe(split, *watched.line.take(split))
    live(watched)

    assert [] == watched.check()
    assert watched.health.checked > 40


@pytest.mark.parametrize("lots", [5, -5])
def test_partial_fills_and_a_cancel_break_nothing(lots: int) -> None:
    watched = Watched()
    fill = live(watched, lots)
    part = replace(
        fill, id=kit.name("part"), quantity_lots=2, status=OrdStatus.PARTIALLY_FILLED,
        cum_lots=2, leaves_lots=3,
    )  # fmt: skip
    watched.observe(part, *watched.line.take(part))
    watched.trade.live = [("c0", "AAA", fill.side, 3, 2, 5)]
    watched.gate.lots[0, 0] = (3, 0) if lots > 0 else (0, 3)
    assert [] == watched.check()

    cancel = replace(update(fill, OrdStatus.CANCELED, "4", 2, 0), seen=part.seen)
    watched.observe(cancel)
    watched.trade.live, watched.gate.lots, watched.gate.money = [], {}, 0

    assert [] == watched.check()


def test_1_an_entry_from_an_account_to_itself_is_noticed() -> None:
    watched = Watched()
    entry = watched.line.said[0]
    assert isinstance(entry, Entry)

    watched.observe(replace(entry, debit=Account.CASH, credit=Account.CASH))

    assert [1] == broken(watched.health)


def test_1_books_that_do_not_balance_are_noticed() -> None:
    watched = Watched()

    class Crooked(FakeGate):
        trial_balance = staticmethod(lambda: 1)
        cost = staticmethod(watched.line.post.cost)
        balance = staticmethod(watched.line.post.balance)

    watched.health.check(Crooked(watched.line.post), watched.gate, watched.trade)

    assert [1] == broken(watched.health)


def test_2_a_posting_without_an_entry_is_noticed() -> None:
    watched = Watched()
    fill = kit.fill(0, 5, 100, fee=7)
    watched.observe(kit.verdict(fill), kit.order(fill), fill)
    watched.observe(*watched.line.take(fill)[:1])

    assert [2] == watched.check()


def test_2_other_cash_at_the_gate_is_noticed() -> None:
    watched = Watched()
    watched.gate.wrong_cash = 1

    assert [2] == watched.check()


def test_3_a_fill_that_was_not_posted_is_noticed() -> None:
    watched = Watched()
    fill = kit.fill(0, 5, 100)
    watched.observe(kit.verdict(fill), kit.order(fill), fill)

    assert [3] == watched.check()


def test_3_more_filled_than_ordered_is_noticed() -> None:
    watched = Watched()
    fill = kit.fill(0, 5, 100)
    watched.observe(kit.verdict(fill), replace(kit.order(fill), quantity_lots=4), fill)

    assert [3] == broken(watched.health)


def test_3_an_update_that_loses_a_fill_is_noticed() -> None:
    watched = Watched()
    fill = live(watched)

    watched.observe(update(fill, OrdStatus.CANCELED, "4", 1, 0))

    assert [3] == broken(watched.health)


def test_3_an_order_that_the_desk_forgot_is_noticed() -> None:
    watched = Watched()
    live(watched)
    watched.trade.live = []
    watched.gate.lots.clear()
    watched.gate.money = 0

    assert [3] == watched.check()


def test_4_a_hold_that_was_not_released_is_noticed() -> None:
    watched = Watched()
    watched.gate.lots[0, 1] = (0, 3)

    assert [4] == watched.check()


def test_4_money_reserved_for_nothing_is_noticed() -> None:
    watched = Watched()
    watched.gate.money = 1

    assert [4] == watched.check()


def test_5_a_fill_after_the_end_is_noticed() -> None:
    watched = Watched()
    fill = watched.fill(0, 5)

    watched.observe(replace(fill, id=kit.name("late")))

    assert [5] == broken(watched.health)


def test_5_a_second_end_is_noticed() -> None:
    watched = Watched()
    fill = watched.fill(0, 5)

    watched.observe(replace(update(fill, OrdStatus.CANCELED, "4", 5, 0), seen=fill.seen))

    assert [5] == broken(watched.health)


def test_6_a_fill_that_comes_twice_is_noticed() -> None:
    watched = Watched()
    fill = watched.fill(0, 5)

    watched.observe(fill)

    assert [5, 6] == broken(watched.health)


@pytest.mark.parametrize("said", ["nothing", "no"])
def test_6_an_order_that_risk_did_not_allow_is_noticed(said: str) -> None:
    watched = Watched()
    fill = kit.fill(0, 5, 100)
    if said == "no":
        watched.observe(kit.verdict(fill, allow=False))

    watched.observe(kit.order(fill))

    assert [6] == broken(watched.health)


def test_6_a_verdict_allows_one_order_only() -> None:
    watched = Watched()
    fill = kit.fill(0, 5, 100)

    order = kit.order(fill)
    watched.observe(kit.verdict(fill), order, replace(order, id=kit.name("twin")))

    assert [6] == broken(watched.health)


def test_7_a_fact_from_the_past_is_noticed() -> None:
    watched = Watched()

    watched.observe(kit.bar(1, 100), kit.bar(0, 100))

    assert [7] == broken(watched.health)


@pytest.mark.parametrize("number", [7, 8])
def test_7_and_8_are_told_by_the_record(number: int) -> None:
    watched = Watched()

    watched.health.confirm(number, holds=True, text="")
    assert [] == broken(watched.health)

    watched.health.confirm(number, holds=False, text="chain broken at record 7")
    assert [number] == broken(watched.health)
    assert "chain broken at record 7" in watched.health.messages[0]


def ruling(epoch: int, *, accepted: bool = True) -> KillRuling:
    at = kit.end_of(0)
    return KillRuling(
        kit.name("ruling", epoch), NO_ID, at, at, KillScope.ARENA, "", accepted, True, "", epoch
    )


def test_9_an_order_of_an_old_epoch_is_noticed() -> None:
    watched = Watched()
    fill = kit.fill(2, 5, 100)
    watched.observe(kit.verdict(fill, epoch=0), ruling(1))

    watched.observe(kit.order(fill))

    assert 9 in broken(watched.health)


def test_9_a_refused_ruling_changes_no_epoch() -> None:
    watched = Watched()

    watched.observe(ruling(0, accepted=False))
    assert [] == watched.check()

    watched.observe(ruling(1, accepted=False))
    assert [9] == broken(watched.health)


def test_9_a_gate_in_another_epoch_is_noticed() -> None:
    watched = Watched()
    watched.observe(ruling(1))

    assert [9] == watched.check()

    watched.gate.kill_epoch = 1
    assert 1 == watched.health.broken
    watched.check()
    assert 1 == watched.health.broken


def test_a_stage_that_cannot_be_asked_is_an_error() -> None:
    watched = Watched()

    with pytest.raises(AttributeError):
        watched.health.check(watched.line.post, object(), watched.trade)


def test_every_message_names_its_invariant() -> None:
    watched = Watched()
    watched.gate.money = 1
    watched.check()

    assert watched.health.messages[0].startswith(f"invariant 4 ({INVARIANTS[4]}): c0")
    assert list(range(1, 10)) == list(INVARIANTS)


def test_memory_is_bounded_by_live_orders() -> None:
    watched = Watched()
    health = watched.health
    for n in range(REMEMBERED + 50):
        watched.fill(0, 1 if n % 2 else -1, nth=n)
        unused = kit.fill(0, 1, 100, nth=-n - 1)
        watched.observe(replace(kit.verdict(unused), seen=unused.seen))
    before = health.broken
    for _ in range(MESSAGES_MAX + 5):
        health.confirm(8, holds=False, text="x")

    assert 0 == len(health._live)
    assert REMEMBERED == len(health._ended) == len(health._fills) >= len(health._allowed)
    assert (0, MESSAGES_MAX + 5, MESSAGES_MAX) == (before, health.broken, len(health.messages))


def test_5_an_order_that_is_born_twice_is_noticed() -> None:
    watched = Watched()
    fill = watched.fill(0, 5)

    watched.observe(kit.verdict(fill), kit.order(fill))

    assert [5] == broken(watched.health)


def test_3_a_live_order_whose_lots_do_not_add_up_is_noticed() -> None:
    watched = Watched()
    fill = live(watched)
    watched.trade.live = [("c0", "AAA", fill.side, 4, 0, 5)]
    watched.gate.lots[0, 0] = (4, 0)

    assert [3] == watched.check()


def test_2_a_cost_that_the_entries_do_not_explain_is_noticed() -> None:
    watched = Watched()

    class Crooked(FakeGate):
        trial_balance = staticmethod(watched.line.post.trial_balance)
        balance = staticmethod(watched.line.post.balance)
        cost = staticmethod(lambda _c, _i: 1)

    watched.health.check(Crooked(watched.line.post), watched.gate, watched.trade)

    assert [2] == broken(watched.health)
    assert "not the deposits" in watched.health.messages[0]
