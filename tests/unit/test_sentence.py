"""Does each fact that stands alone say in words what it is?"""

import pytest

from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.facts import (
    Bar,
    CancelOrders,
    Checkpoint,
    Dividend,
    Entry,
    Fact,
    KillRuling,
    KillSwitch,
    Lapse,
    Order,
    Quarantine,
    Split,
)
from titanflow.core.spec.words import (
    Account,
    KillAction,
    KillScope,
    Occasion,
    OrderType,
    Side,
    TimeInForce,
)
from titanflow.runtime.sentence import sentence_of, stands_alone

DAY = 86_400 * 10**9
TOP = (derive(NO_ID, b"fact", 1), NO_ID, DAY, DAY)
ORDER = Order(*TOP, "ann", "A", "o1", Side.BUY, OrderType.MARKET, 1, 0, TimeInForce.DAY, False, DAY)


def entry(occasion: Occasion, lots: int = 0, symbol: str = "A") -> Entry:
    return Entry(
        *TOP, "ann", Account.CASH, Account.CAPITAL, 150_000_000, "USD", symbol, lots, occasion
    )


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        (Split(*TOP, "A", 2, 1, "its own page"), "A split: 1 became 2, by its own page"),
        (Dividend(*TOP, "A", 25_000_000, "a page"), "A paid a dividend of 0.25 on each share"),
        (Bar(*TOP, "A", 0, 1, 4, 1, 3, 9), "open 1, high 4, low 1, close 3 ticks, volume 9 lots"),
        (Quarantine(*TOP, "A", "spike", "21 times"), "was kept out by the rule spike: 21 times"),
        (KillSwitch(*TOP, KillScope.CONTENDER, "ann", engaged=True, instruments=("A",),
                    action=KillAction.CANCEL_ALL, reason="drill", by="eve", reset_token="t"),
         "eve asked to stop contender ann, only in A: drill."),
        (KillRuling(*TOP, KillScope.ARENA, "", True, True, "", 7),
         "Since kill epoch 7 the arena is stopped."),
        (KillRuling(*TOP, KillScope.CONTENDER, "ann", True, False, "", 8),
         "Since kill epoch 8 contender ann may trade again."),
        (KillRuling(*TOP, KillScope.ARENA, "", False, True, "a second person", 7),
         "The request about the arena was refused: a second person."),
        (CancelOrders(*TOP, "ann", "A", "KILL:Arena"),
         "Risk had all resting orders of ann in A cancelled: KILL:Arena."),
        (Lapse(*TOP, "risk", True), "Pod risk had no fresh lease of governance"),
        (Lapse(*TOP, "risk", False), "Pod risk had a fresh lease of governance again."),
        (entry(Occasion.CAPITAL, symbol=""),
         "In the books of ann 1.50 USD went from Capital to Cash, for the capital to begin with."),
        (entry(Occasion.FILL, -3), "and -3 lots of A, for a fill of A."),
        (entry(Occasion.BORROW), "for borrowed shares of A."),
        (Checkpoint(*TOP, 4096, (("post", b"x"),)), "After turn 4096 the digests of 1 stages"),
    ],
)  # fmt: skip
def test_a_fact_that_stands_alone_says_what_it_is(fact: Fact, words: str) -> None:
    assert stands_alone(fact)
    assert words in sentence_of(fact)


def test_what_followed_is_counted_by_kind() -> None:
    split = Split(*TOP, "A", 2, 1, "its page")
    led = [split, *(Entry(derive(NO_ID, b"e", n), *TOP[1:], "ann", Account.CASH, Account.CAPITAL,
                          1, "USD", "A", 1, Occasion.SPLIT) for n in range(3))]  # fmt: skip

    assert sentence_of(split, led).endswith("It led to 3 Entry.")


@pytest.mark.parametrize("occasion", list(Occasion))
def test_every_occasion_has_words(occasion: Occasion) -> None:
    assert ", for " in sentence_of(entry(occasion))


def test_a_fact_of_a_decision_is_only_named() -> None:
    assert not stands_alone(ORDER)
    assert sentence_of(ORDER).startswith("Order ")
