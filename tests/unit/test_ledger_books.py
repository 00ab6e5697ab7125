"""The stage over the books: what it says, and when a day ends."""

import ledger_kit as kit
import pytest

from titanflow.core.base.errors import InvariantError
from titanflow.core.base.ident import NO_ID
from titanflow.core.facts import Entry
from titanflow.core.ledger.books import FILLS_REMEMBERED, Post
from titanflow.core.spec.words import Account

TICK = 10**6


def told(entries: list[Entry]) -> list[tuple[Account, Account, int, int]]:
    return [(e.debit, e.credit, e.amount, e.quantity_lots) for e in entries]


def test_the_opening_posts_every_capital_once() -> None:
    entries = kit.Line(kit.ground("A", "B")).said

    assert [(Account.CASH, Account.CAPITAL, kit.CAPITAL, 0)] * 2 == told(entries)
    assert ["c0", "c1"] == [e.contender for e in entries]
    assert {NO_ID} == {e.cause for e in entries}
    assert 2 == len({e.id for e in entries})


def test_a_fill_names_itself_as_the_cause_of_its_entries() -> None:
    line = kit.Line(kit.ground())
    fill = kit.fill(0, 5, 100, fee=3)

    entries = line.take(fill)

    assert [
        (Account.INVENTORY, Account.CASH, 500 * TICK, 5),
        (Account.FEES, Account.CASH, 3, 0),
    ] == told(entries)
    assert {(fill.id, fill.at, fill.seen, "AAA", "USD")} == {
        (e.cause, e.at, e.seen, e.symbol, e.currency) for e in entries
    }
    assert 2 == len({e.id for e in entries})


def test_a_fill_that_comes_twice_is_a_broken_promise() -> None:
    line = kit.Line(kit.ground())
    line.take(kit.fill(0, 5, 100))

    with pytest.raises(InvariantError, match="posted before"):
        line.take(kit.fill(0, 5, 100))


def test_memory_of_fills_is_bounded() -> None:
    post = Post(kit.ground())
    for n in range(FILLS_REMEMBERED + 10):
        post.handle(kit.fill(0, 1 if n % 2 else -1, 100, nth=n))

    assert FILLS_REMEMBERED == len(post._fills)


def test_a_name_that_is_not_of_this_arena_is_a_broken_promise() -> None:
    line = kit.Line(kit.ground())

    with pytest.raises(InvariantError, match="ZZZ"):
        line.take(kit.bar(0, 100, "ZZZ"))
    with pytest.raises(InvariantError, match="nobody"):
        line.take(kit.fill(0, 5, 100, contender="nobody"))


def test_a_short_pays_for_every_night_at_the_last_mark() -> None:
    line = kit.Line(kit.ground(borrow_bps=365))
    line.take(kit.fill(0, -10, 100), kit.bar(0, 120))

    entries = line.take(kit.bar(3, 500))

    # 1,200 ticks × 0.0365 × 3 / 365
    assert [(Account.BORROW, Account.CASH, 1_200 * TICK * 3 * 365 // (3_650_000), 0)] == told(
        entries
    )


def test_a_short_opened_today_pays_nothing_for_last_night() -> None:
    line = kit.Line(kit.ground())
    line.take(kit.bar(0, 100))

    entries = line.take(kit.fill(1, -10, 100), kit.bar(1, 120))

    assert [(Account.CASH, Account.INVENTORY, 1_000 * TICK, -10)] == told(entries)


def test_a_short_closed_today_pays_for_last_night_first() -> None:
    line = kit.Line(kit.ground())
    line.take(kit.fill(0, -10, 100), kit.bar(0, 100))

    entries = line.take(kit.fill(1, 10, 100))

    assert [Account.BORROW, Account.INVENTORY] == [e.debit for e in entries]


def test_the_closing_is_taken_before_anything_of_the_new_day() -> None:
    line = kit.Line(kit.ground())
    line.take(kit.bar(0, 100), kit.fill(1, 10, 100), kit.bar(1, 110))

    line.take(kit.fill(2, 10, 500))

    day, equity, gross = line.post.closing()
    assert 2 == line.post.days_closed
    assert kit.DAY0 + 1 == day
    assert [kit.CAPITAL + 100 * TICK] == equity.tolist()
    assert [1_100 * TICK] == gross.tolist()


def test_a_dividend_belongs_to_the_day_that_starts_with_it() -> None:
    line = kit.Line(kit.ground())
    line.take(kit.fill(0, 10, 100), kit.bar(0, 100))

    entries = line.take(kit.dividend(1, 5))

    assert [(Account.CASH, Account.DIVIDENDS, 50, 0)] == told(entries)
    assert [kit.CAPITAL] == line.post.closing()[1].tolist()


def test_a_split_says_the_change_of_every_position() -> None:
    line = kit.Line(kit.ground("A", "B"))
    line.take(kit.fill(0, 3, 100), kit.fill(0, -3, 100, contender="c1"), kit.bar(0, 100))

    entries = [e for e in line.take(kit.split(1, 3, 2)) if e.debit is not Account.BORROW]

    # 4.5 lots become 4, and the half, a third of an old lot, is paid: c1 pays it, rounded up.
    third = 100 * TICK // 3
    assert [
        (Account.CASH, Account.INVENTORY, third, 1),
        (Account.INVENTORY, Account.CASH, third + 1, -1),
    ] == [t for t in told(entries) if Account.REALISED not in t]


def test_dump_and_load_is_identity() -> None:
    line = kit.Line(kit.ground("A", "B"))
    line.take(kit.fill(0, -3, 100), kit.bar(0, 100), kit.bar(1, 110), kit.bar(1, 50, "BBB"))
    other = Post(line.ground)

    other.load(line.post.dump())

    assert line.post.digest() == other.digest()
    assert line.post.handle(kit.bar(2, 90)) == other.handle(kit.bar(2, 90))
    assert line.post.closing()[1].tolist() == other.closing()[1].tolist()
    with pytest.raises(InvariantError, match="posted before"):
        other.handle(kit.fill(0, -3, 100))


def test_an_account_and_a_position_can_be_read() -> None:
    line = kit.Line(kit.ground())
    line.take(kit.fill(0, 3, 100, fee=9))

    assert (3, 300 * TICK) == (line.post.position(0, 0), line.post.cost(0, 0))
    assert 9 == line.post.balance(0, Account.FEES)
    assert 0 == line.post.trial_balance()
    line.post.validate()


def test_a_fact_that_it_does_not_read_is_a_broken_promise() -> None:
    line = kit.Line(kit.ground())

    with pytest.raises(InvariantError, match="does not read Order"):
        line.post.handle(kit.order(kit.fill(0, 1, 100)))
