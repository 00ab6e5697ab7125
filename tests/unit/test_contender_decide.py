"""Do beliefs become the right intents, whoever speaks, and does everyone know what they own?"""

import msgspec
import pytest

from titanflow.core.base.errors import InvariantError, SpecError, TitanFlowError
from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.contender.decide import Decide
from titanflow.core.contender.protocol import Opinion, Side, TimeInForce, Wish, lean
from titanflow.core.contender.rehearsal import CAPITAL, TICK_SIZE, ground_of
from titanflow.core.contender.rules import Random, SmaCrossover
from titanflow.core.facts import (
    Belief,
    Entry,
    Fill,
    Order,
    OrderUpdate,
    Split,
    Verdict,
)
from titanflow.core.perception.features import FeatureSchema
from titanflow.core.spec.words import (
    Account,
    IntentAction,
    Liquidity,
    OrderType,
    OrdStatus,
    Origin,
    Outcome,
    Tier,
)

NAME = "rehearsal"
DAY = 86_400 * 10**9


class Says:
    """Answers with what it was told to answer."""

    features = ()

    def __init__(self, *answers):
        self.answers = list(answers)
        self.news = []

    def decide(self, view):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def learn(self, view, news):
        self.news.append((type(news).__name__, view.position_lots))


BUY, SELL = lean(1.0), lean(-1.0)


def stage(*contenders, names=(NAME,), schema=(), **changes) -> Decide:
    ground = ground_of(["AAPL"])
    (entrant,) = ground.entrants
    entrants = tuple(
        msgspec.structs.replace(entrant, index=at, name=name, **changes)
        for at, name in enumerate(names)
    )
    return Decide(
        msgspec.structs.replace(ground, entrants=entrants), FeatureSchema(schema), contenders
    )


def belief(number: int, ticks: int = 10_000, features=()) -> Belief:
    ident = derive(NO_ID, b"belief", number)
    return Belief(ident, NO_ID, number * DAY, number * DAY, "AAPL", ticks, 1.0, features)


def verdict(intent, outcome=Outcome.ALLOW) -> Verdict:
    return Verdict(
        derive(intent.id, b"gate", 0), intent.id, intent.at, intent.at, intent.contender, "AAPL",
        outcome, -1, "", "", 0, 0, intent.action, intent.side, intent.quantity_lots,
        intent.order_type, intent.limit_ticks, intent.time_in_force, intent.post_only,
        intent.client_order_id, intent.target, Origin.CONTENDER, 10_000, 0,
    )  # fmt: skip


def order(intent) -> Order:
    return Order(
        derive(intent.id, b"trade", 0), intent.id, intent.at, intent.at, intent.contender, "AAPL",
        intent.client_order_id, intent.side, intent.order_type, intent.quantity_lots,
        intent.limit_ticks, intent.time_in_force, intent.post_only, intent.at,
    )  # fmt: skip


def fill(placed: Order, lots: int, ticks: int, leaves: int = 0) -> Fill:
    status = OrdStatus.PARTIALLY_FILLED if leaves else OrdStatus.FILLED
    return Fill(
        derive(placed.id, b"fill", leaves), NO_ID, placed.at, placed.at, placed.id,
        placed.contender, "AAPL", placed.client_order_id, placed.side, lots, ticks, 0,
        Liquidity.TAKER, NO_ID, status, placed.quantity_lots - leaves, leaves,
    )  # fmt: skip


def update(placed: Order, status: OrdStatus, leaves: int = 0, **changes) -> OrderUpdate:
    made = OrderUpdate(
        derive(placed.id, b"update", leaves), NO_ID, placed.at, placed.at, placed.id,
        placed.contender, "AAPL", placed.client_order_id, status, "4", placed.side,
        placed.quantity_lots, placed.limit_ticks, 0, leaves, -1, "",
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def entry(amount: int, debit=Account.INVENTORY, credit=Account.CASH) -> Entry:
    return Entry(NO_ID, NO_ID, 1, 1, NAME, debit, credit, amount, "USD", "AAPL", 0)


def allow(decide: Decide, intent) -> Order:
    """Let an intent pass risk, and place its order."""
    placed = order(intent)
    decide.handle(placed)
    decide.handle(verdict(intent))
    return placed


def buy(decide: Decide, intent, ticks: int = 10_000) -> Order:
    """Let an intent pass and be filled at once, and post the money."""
    placed = allow(decide, intent)
    money = intent.quantity_lots * ticks * TICK_SIZE
    accounts = (Account.INVENTORY, Account.CASH)
    debit, credit = accounts if intent.side is Side.BUY else accounts[::-1]
    decide.handle(entry(money, debit, credit))
    decide.handle(fill(placed, intent.quantity_lots, ticks))
    return placed


def view_of(decide: Decide):
    return decide._by_name[NAME, "AAPL"].view


def test_an_opinion_becomes_a_sized_market_order_for_the_day() -> None:
    now = belief(1)

    (intent,) = stage(Says(BUY)).handle(now)

    assert (intent.side, intent.quantity_lots) == (Side.BUY, 100)
    assert (intent.order_type, intent.time_in_force) == (OrderType.MARKET, TimeInForce.DAY)
    assert intent.id == derive(now.id, b"decide:rehearsal", 1)
    assert intent.cause == derive(now.id, b"decide:rehearsal", 0)
    assert intent.client_order_id == intent.id[:8].hex()
    assert (intent.at, intent.seen, intent.decided_at) == (DAY, DAY, DAY)
    assert (intent.action, intent.origin) == (IntentAction.NEW, Origin.CONTENDER)


@pytest.mark.parametrize("answer", [None, lean(0.0), SELL, (), []])
def test_hold_none_and_flat_without_a_position_trade_nothing(answer) -> None:
    assert not stage(Says(answer)).handle(belief(1))


def test_a_contender_with_an_open_order_waits_until_it_ended() -> None:
    decide = stage(Says(BUY))
    (intent,) = decide.handle(belief(1))
    placed = allow(decide, intent)

    assert not decide.handle(belief(2))
    decide.handle(update(placed, OrdStatus.EXPIRED))

    (again,) = decide.handle(belief(3))
    assert again.quantity_lots == 100
    assert view_of(decide).open_orders == ()


def test_a_denied_intent_is_asked_for_again() -> None:
    decide = stage(Says(BUY))
    (intent,) = decide.handle(belief(1))

    decide.handle(verdict(intent, Outcome.DENY))

    assert len(decide.handle(belief(2))) == 1


def test_position_cash_and_equity_follow_fills_and_entries() -> None:
    decide = stage(Says(BUY))
    (intent,) = decide.handle(belief(1))

    buy(decide, intent, 10_000)
    decide.handle(belief(2, 11_000))

    view = view_of(decide)
    assert (view.position_lots, view.side, view.bars_held, view.bars_seen) == (100, Side.BUY, 1, 2)
    assert view.equity == 100_000 + 100 * 10.0
    assert view.lot_value == 110.0
    assert view.close == 110.0


def test_the_opening_entry_does_not_count_capital_twice() -> None:
    decide = stage(Says(None))

    decide.handle(entry(CAPITAL, Account.CASH, Account.CAPITAL))
    decide.handle(entry(5 * 10**8, Account.FEES, Account.CASH))
    decide.handle(entry(3 * 10**8, Account.CASH, Account.DIVIDENDS))
    decide.handle(belief(1))

    assert view_of(decide).equity == 99_998.0


def test_selling_flat_closes_the_whole_position() -> None:
    decide = stage(Says(BUY, SELL))
    buy(decide, decide.handle(belief(1))[0])

    (intent,) = decide.handle(belief(2))

    assert (intent.side, intent.quantity_lots) == (Side.SELL, 100)


def test_a_price_that_breathes_trades_nothing_and_one_that_runs_does() -> None:
    decide = stage(Says(BUY))
    buy(decide, decide.handle(belief(1))[0])

    assert not decide.handle(belief(2, 11_500))
    (intent,) = decide.handle(belief(3, 15_000))

    assert intent.side is Side.SELL


def test_a_buy_spends_no_more_than_the_free_cash() -> None:
    decide = stage(Says(BUY), fraction_bps=5000)
    decide.handle(entry(90_000 * 10**8))
    decide._seats[NAME].inventory = 90_000 * 10**8

    (intent,) = decide.handle(belief(1))

    # Half of the equity would be 500 lots; 1 % of the cash is kept for fees.
    assert intent.quantity_lots == 99


def test_money_reserved_for_an_open_order_is_not_spent_twice() -> None:
    decide = stage(Says(BUY), fraction_bps=5000)
    decide._seats[NAME].reserved = 90_000 * 10**8

    (intent,) = decide.handle(belief(1))

    assert intent.quantity_lots == 99


def test_a_partly_filled_order_counts_until_it_ended() -> None:
    decide = stage(Says(BUY))
    placed = allow(decide, decide.handle(belief(1))[0])
    seat = decide._seats[NAME]

    decide.handle(fill(placed, 40, 10_000, leaves=60))

    assert view_of(decide).position_lots == 40
    assert view_of(decide).open_orders[0].leaves_lots == 60
    assert seat.reserved == 60 * 10_000 * TICK_SIZE
    decide.handle(update(placed, OrdStatus.CANCELED))
    assert (view_of(decide).open_orders, seat.reserved) == ((), 0)


def test_a_replaced_order_is_known_by_its_new_name() -> None:
    decide = stage(Says((Wish.limit(Side.BUY, 10, 9_000, client_order_id="one"),)))
    placed = allow(decide, decide.handle(belief(1))[0])

    decide.handle(
        update(
            placed, OrdStatus.NEW, 20, client_order_id="two", quantity_lots=20, limit_ticks=9_500
        )
    )

    (known,) = view_of(decide).open_orders
    assert (known.client_order_id, known.leaves_lots, known.price_ticks) == ("two", 20, 9_500)
    assert decide._seats[NAME].reserved == 20 * 9_500 * TICK_SIZE
    decide.handle(update(placed, OrdStatus.CANCELED, client_order_id="two"))
    assert view_of(decide).open_orders == ()


def test_a_rejected_double_does_not_end_the_order_that_it_doubles() -> None:
    decide = stage(Says((Wish.limit(Side.BUY, 10, 9_000, client_order_id="one"),)))
    first = allow(decide, decide.handle(belief(1))[0])
    second = order(decide.handle(belief(2))[0])

    decide.handle(second)
    decide.handle(update(second, OrdStatus.REJECTED))

    assert [first.id] == [known.order for known in view_of(decide).open_orders]


def test_an_order_that_the_desk_rejects_before_the_verdict_is_heard_leaves_nothing() -> None:
    decide = stage(Says(BUY))
    (intent,) = decide.handle(belief(1))
    placed = order(intent)

    decide.handle(placed)
    decide.handle(update(placed, OrdStatus.REJECTED))
    decide.handle(verdict(intent))

    assert (view_of(decide).open_orders, decide._seats[NAME].reserved) == ((), 0)
    assert len(decide.handle(belief(2))) == 1


def test_a_refused_cancel_of_an_unknown_order_ends_nothing() -> None:
    decide = stage(Says((Wish.limit(Side.BUY, 10, 9_000, client_order_id="one"),)))
    placed = allow(decide, decide.handle(belief(1))[0])

    decide.handle(update(placed, OrdStatus.REJECTED, order=NO_ID))

    assert len(view_of(decide).open_orders) == 1


def test_open_orders_stay_in_the_order_in_which_they_were_sent() -> None:
    wishes = tuple(Wish.limit(Side.BUY, 10, 9_000 + n, client_order_id=str(n)) for n in range(3))
    decide = stage(Says(wishes))
    placed = [allow(decide, intent) for intent in decide.handle(belief(1))]

    decide.handle(fill(placed[0], 4, 9_000, leaves=6))
    decide.handle(update(placed[1], OrdStatus.PENDING_CANCEL, 10))

    assert ["0", "1", "2"] == [known.client_order_id for known in view_of(decide).open_orders]


@pytest.mark.parametrize(("lots", "expected"), [(101, 151), (-101, -151), (1, 1)])
def test_a_split_scales_the_position_toward_zero_and_leaves_equity(lots, expected) -> None:
    decide = stage(Says(None))
    decide.handle(belief(1, 9_000))
    speaker = decide._by_name[NAME, "AAPL"]
    speaker.holding.lots = lots
    speaker.holding.see(belief(2, 9_000))
    before = view_of(decide).equity

    decide.handle(Split(NO_ID, NO_ID, 3, 3, "AAPL", 3, 2, "test"))

    assert view_of(decide).position_lots == expected
    # The fraction of a lot is paid in cash by the books.
    assert abs(view_of(decide).equity - before) <= 60.0


def test_a_turned_position_starts_its_bars_anew() -> None:
    decide = stage(Says(BUY, None, None, lean(-1.0, short=True), None))
    buy(decide, decide.handle(belief(1))[0])
    decide.handle(belief(2))
    decide.handle(belief(3))
    assert view_of(decide).bars_held == 2

    (intent,) = decide.handle(belief(4))
    buy(decide, intent)
    decide.handle(belief(5))

    assert (intent.side, intent.quantity_lots) == (Side.SELL, 200)
    assert (view_of(decide).side, view_of(decide).bars_held) == (Side.SELL, 1)


def test_explicit_wishes_become_intents_as_they_stand() -> None:
    wishes = (
        Wish.limit(Side.BUY, 10, 9_900, time_in_force=TimeInForce.GTC, post_only=True),
        Wish.market(Side.SELL, 0, client_order_id="mine"),
        Wish.cancel("other"),
        Wish.replace("other", Side.BUY, 5, 9_800),
    )

    intents = stage(Says(wishes)).handle(belief(1))

    assert [intent.action.value for intent in intents] == ["New", "New", "Cancel", "Replace"]
    assert [intent.order_type.value for intent in intents] == ["Limit", "Market", "Market", "Limit"]
    assert (intents[0].time_in_force, intents[0].post_only) == (TimeInForce.GTC, True)
    assert intents[1].client_order_id == "mine"
    assert [intent.target for intent in intents[2:]] == ["other", "other"]
    assert len({intent.id for intent in intents}) == 4
    assert len({intent.cause for intent in intents}) == 1


def test_wishes_beside_an_opinion_take_the_place_of_sizing() -> None:
    opinion = msgspec.structs.replace(BUY, wishes=(Wish.market(Side.BUY, 7),))

    (intent,) = stage(Says(opinion)).handle(belief(1))

    assert intent.quantity_lots == 7


def test_the_order_of_speaking_is_drawn_and_does_not_depend_on_the_order_of_names() -> None:
    names = ("ann", "bob", "cid")
    one = stage(*[Says(BUY)] * 3, names=names)
    other = stage(*[Says(BUY)] * 3, names=names[::-1])

    orders = [tuple(i.contender for i in one.handle(belief(n))) for n in range(60)]

    assert orders == [tuple(i.contender for i in other.handle(belief(n))) for n in range(60)]
    assert {first for first, _, _ in orders} == set(names)


def test_a_retired_contender_is_not_asked() -> None:
    assert not stage(Says(BUY), tier=Tier.RETIRED).handle(belief(1))


@pytest.mark.parametrize(
    ("change", "expected"),
    [({"max_lots": 30}, 30), ({"min_lots": 101}, None), ({"min_notional": 10_001 * 10**8}, None)],
)
def test_sizing_keeps_the_instrument_s_bounds(change, expected) -> None:
    ground = ground_of(["AAPL"])
    instruments = tuple(msgspec.structs.replace(i, **change) for i in ground.instruments)
    ground = msgspec.structs.replace(ground, instruments=instruments)

    intents = Decide(ground, FeatureSchema([]), [Says(BUY)]).handle(belief(1))

    assert ([expected] if expected else []) == [intent.quantity_lots for intent in intents]


def test_a_contender_hears_of_its_own_orders() -> None:
    contender = Says(BUY, None)
    decide = stage(contender)
    (intent,) = decide.handle(belief(1))

    placed = allow(decide, intent)
    decide.handle(update(placed, OrdStatus.NEW, 100))
    decide.handle(fill(placed, 100, 10_000))

    assert contender.news == [("Verdict", 0), ("OrderUpdate", 0), ("Fill", 100)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (ZeroDivisionError("oh"), "decide() failed: ZeroDivisionError: oh"),
        (3, "decide() answered with a int"),
        (lean(float("nan")), "must be finite"),
        (Opinion(Side.BUY, float("inf"), 0.0), "must be finite"),
        (Opinion(Side.BUY, 1.5, 0.0), "strength must be in [-1, 1]"),
        (Opinion(Side.BUY, 1.0, 0.0, confidence=2.0), "confidence in [0, 1]"),
        (Opinion(Side.SELL, 1.0, 0.0), "does not go with side SELL"),
        (Opinion(Side.HOLD, 1.0, 0.0), "does not go with side HOLD"),
        (Opinion(Side.BUY, 1.0, 0.5), "add up to 0.0, but the score is 0.5"),
        (Opinion(1, 1.0, 0.0), "side must be a Side"),
        (Opinion(Side.BUY, "1", 0.0), "the opinion is malformed"),
        (("buy",), "a wish must be a Wish, got str"),
        ((Wish.market(Side.BUY, 2.0),), "quantity_lots of a wish must be int, got 2.0"),
        ((Wish.market(Side.BUY, True),), "quantity_lots of a wish must be int, got True"),
        ((Wish.market(1, 2),), "side of a wish must be Side"),
        ((Wish.market(Side.BUY, 2**63),), "numbers must be below"),
        ((Wish.cancel("x" * 65),), "has 65 characters, more than 64"),
        ((Wish.market(Side.BUY, 1),) * 101, "101 wishes are more than 100"),
    ],
)
def test_a_mistake_of_a_contender_names_it_with_symbol_and_time(answer, expected) -> None:
    with pytest.raises(TitanFlowError) as caught:
        stage(Says(answer)).handle(belief(1))

    assert "contender 'rehearsal' on AAPL at 1970-01-02T00:00:00Z" in str(caught.value)
    assert expected in str(caught.value)


def test_a_mistake_in_learn_and_in_stance_is_named_too() -> None:
    class Bad(Says):
        def learn(self, view, news):
            raise RuntimeError("no")

    class Wild(Says):
        def stance(self, view):
            return self.answers[0]

    decide = stage(Bad(BUY))
    (intent,) = decide.handle(belief(1))
    with pytest.raises(SpecError, match=r"learn\(\) failed: RuntimeError: no"):
        decide.handle(verdict(intent))
    with pytest.raises(SpecError, match="strength must be a number"):
        stage(Wild(float("nan"))).handle(belief(1))
    with pytest.raises(SpecError, match=r"stance\(\) failed: TypeError"):
        stage(Wild("up")).handle(belief(1))


def test_a_feature_that_was_not_named_is_an_error_that_lists_those_that_were() -> None:
    class Curious(Says):
        features = ("sma_3",)

        def decide(self, view):
            return lean(view["sma_4"])

    with pytest.raises(SpecError, match="'sma_4' is not among the contender's features"):
        stage(Curious(None), schema=("sma_3",)).handle(belief(1, features=(1.0,)))


def crossing(number: int, fast: float) -> Belief:
    return belief(number, features=(fast, 100.0))


def test_a_listener_hears_every_signal_and_changes_nothing() -> None:
    names = ("sma_20", "sma_100")
    quiet, loud = (stage(SmaCrossover(), schema=names) for _ in range(2))
    heard = []
    loud.listen(NAME, "AAPL", lambda signal, belief: heard.append((signal, belief)))

    for number, fast in enumerate((float("nan"), 101.0, 100.0, 99.0)):
        now = crossing(number, fast)
        assert list(quiet.handle(now)) == list(loud.handle(now))
        assert heard[-1][1] is now

    sides = [signal.side for signal, _ in heard]
    assert sides == [Side.HOLD, Side.BUY, Side.HOLD, Side.SELL]
    assert quiet.digest() == loud.digest()


def test_explain_says_what_a_listener_heard_and_changes_nothing() -> None:
    decide = stage(SmaCrossover(), schema=("sma_20", "sma_100"))
    heard = []
    decide.listen(NAME, "AAPL", lambda signal, _: heard.append(signal))
    now = crossing(1, 101.0)
    (intent,) = decide.handle(now)
    before = decide.digest()

    signal = decide.explain(now, NAME)

    assert signal == heard[0]
    assert (signal.id, signal.cause) == (intent.cause, now.id)
    assert signal.explanation.text == "sma_20 is above sma_100"
    assert [part.name for part in signal.explanation.parts] == ["sma_20", "sma_100"]
    assert before == decide.digest()


def test_listening_to_what_is_not_traded_is_answered_with_what_is() -> None:
    with pytest.raises(SpecError, match="it trades: rehearsal AAPL"):
        stage(Says(None)).listen(NAME, "IBM", print)
    with pytest.raises(SpecError, match="check the contender's name"):
        stage(Says(None)).listen("nobody", "AAPL", print)


def test_a_stage_goes_on_from_its_snapshot() -> None:
    first, second = stage(Says(BUY)), stage(Says(BUY))
    placed = allow(first, first.handle(belief(1))[0])
    first.handle(fill(placed, 40, 10_000, leaves=60))

    second.load(first.dump())

    assert first.digest() == second.digest()
    for decide in (first, second):
        decide.handle(fill(placed, 60, 10_100))
    assert list(first.handle(belief(2, 20_000))) == list(second.handle(belief(2, 20_000)))
    assert view_of(first).equity == view_of(second).equity
    assert first.digest() == second.digest()


def test_a_snapshot_of_another_arena_is_refused() -> None:
    with pytest.raises(ValueError, match="other contenders"):
        stage(Says(None)).load(stage(Says(None), names=("other",)).dump())
    with pytest.raises(ValueError, match="trades other instruments"):
        stage(Says(None)).load(stage(Says(None), instruments=()).dump())


def test_orders_that_ended_leave_nothing_behind() -> None:
    decide = stage(Random(period=1))
    sizes = set()
    for number in range(400):
        for intent in decide.handle(belief(number)):
            buy(decide, intent)
        sizes.add(len(decide.dump()) // 64)

    assert len(sizes) <= 2


def test_facts_about_strangers_are_let_be_and_unknown_instruments_are_not() -> None:
    decide = stage(Says(BUY))
    before = decide.digest()
    (intent,) = decide.handle(belief(1))
    stranger = msgspec.structs.replace(intent, contender="stranger")

    placed = allow(decide, stranger)
    decide.handle(fill(placed, 1, 1))
    decide.handle(update(placed, OrdStatus.NEW))
    decide.handle(msgspec.structs.replace(entry(1), contender="stranger"))
    decide.handle(Split(NO_ID, NO_ID, 1, 1, "XYZ", 2, 1, "test"))

    assert before != decide.digest()
    assert view_of(decide).open_orders == ()
    with pytest.raises(InvariantError, match="'XYZ'"):
        decide.handle(msgspec.structs.replace(belief(1), symbol="XYZ"))


def test_a_contender_for_each_entrant_is_needed() -> None:
    with pytest.raises(ValueError, match="a contender for each entrant"):
        stage()
