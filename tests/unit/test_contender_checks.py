"""Is every kind of bad contender caught by the check that is meant for it?"""

import random
from collections import deque
from typing import ClassVar

import msgspec
import pytest
from stock_bars import stock_bars

from titanflow.core.base.ident import derive
from titanflow.core.contender.checks import CHECKS, run_checks
from titanflow.core.contender.protocol import Opinion, Side, Wish, lean
from titanflow.core.facts import Part

BARS = stock_bars()[:200]


def failures(factory, bars=BARS) -> dict[str, str]:
    return {r.name: r.text for r in run_checks(factory, bars) if not r.passed}


class Calm:
    """Buys when the close is above its average; keeps nothing."""

    features = ("sma_5",)

    def decide(self, view):
        return lean(view.close / view["sma_5"] - 1) if view.warm else None


class Counting:
    """Keeps a count, and carries it through a restart."""

    features = ()

    def __init__(self):
        self.count = 0

    def decide(self, view):
        self.count += 1
        return lean(1.0 if self.count % 7 < 4 else -1.0)

    def dump(self):
        return str(self.count).encode()

    def load(self, snapshot):
        self.count = int(snapshot or b"0")


class Quoting:
    """Rests an order and replaces or cancels it, as a market maker would."""

    features = ()

    def decide(self, view):
        if view.open_orders:
            mine = view.open_orders[0].client_order_id
            if view.bars_seen % 3 == 0:
                return (Wish.cancel(mine),)
            return (Wish.replace(mine, Side.BUY, 5, view.close_ticks * 90 // 100),)
        return (Wish.limit(Side.BUY, 10, view.close_ticks * 95 // 100),)


@pytest.mark.parametrize("good", [Calm, Counting, Quoting])
def test_a_good_contender_passes_every_check(good) -> None:
    results = run_checks(good, BARS)

    assert [] == [result for result in results if not result.passed]
    assert list(CHECKS) == [result.name for result in results]


def test_checks_run_on_several_instruments() -> None:
    other = [
        msgspec.structs.replace(bar, symbol="IBM", id=derive(bar.id, b"ibm", 0))
        for bar in BARS[:100]
    ]
    both = sorted([*BARS[:100], *other], key=lambda bar: (bar.at, bar.symbol))

    assert {} == failures(Calm, both)


class RandomlyTrading(Calm):
    """Asks a generator that nobody can repeat."""

    def decide(self, view):
        return lean(random.random() - 0.5)


def test_chance_that_is_not_keyed_is_caught() -> None:
    assert "is-deterministic" in failures(RandomlyTrading)


class Peeking(Calm):
    """Remembers in the class what came next, and looks it up the next time."""

    following = {}  # noqa: RUF012 - the fault that the check must find
    last = None

    def decide(self, view):
        if self.last is not None:
            self.following[self.last] = view.close
        self.last = view.at
        return lean(self.following.get(view.at, view.close) - view.close)


def test_looking_ahead_through_a_store_in_the_class_is_caught() -> None:
    Peeking.following.clear()

    found = failures(Peeking)

    assert "it looks ahead" in found["does-not-look-ahead"]


class Hardwired(Calm):
    """Knows the bars of the test by heart."""

    def decide(self, view):
        closes = {bar.at: bar.close_ticks for bar in Hardwired.tape}
        return lean(float(closes.get(view.at + 3 * 86_400 * 10**9, 0) > view.close_ticks) - 0.5)


def test_looking_ahead_through_a_tape_that_changes_is_caught(monkeypatch) -> None:
    from titanflow.core.contender import checks

    played = checks._play

    def play(factory, bars):
        Hardwired.tape = bars
        return played(factory, bars)

    monkeypatch.setattr(checks, "_play", play)
    Hardwired.tape = BARS

    assert "does-not-look-ahead" in failures(Hardwired)


class Mutating(Calm):
    """Writes into the belief that it is shown."""

    def decide(self, view):
        msgspec.structs.force_setattr(view._belief, "close_ticks", 1)


class MutatingFeatures(Calm):
    """Changes what it says it looks at."""

    def __init__(self):
        self.features = ("sma_5",)

    def decide(self, view):
        self.features = ("sma_6",)


@pytest.mark.parametrize(("bad", "what"), [(Mutating, "close"), (MutatingFeatures, "names")])
def test_changing_what_it_is_shown_is_caught(bad, what) -> None:
    assert what in failures(bad)["mutates-no-inputs"]


class Growing(Calm):
    """Keeps every close."""

    def __init__(self):
        self.closes = []

    def decide(self, view):
        self.closes.append(view.close)
        return super().decide(view)


class GrowingInTheClass(Calm):
    """Keeps every close where an object's size does not show it."""

    closes = set()  # noqa: RUF012 - the fault that the check must find

    def decide(self, view):
        self.closes.add(view.bars_seen * 1.5)
        return super().decide(view)


class Hoarding(Calm):
    """Keeps every close in an attribute of its own and grows a text beside."""

    def __init__(self):
        self.text = ""

    def decide(self, view):
        self.text += f"{view.close} "
        return super().decide(view)


@pytest.mark.parametrize("bad", [Growing, GrowingInTheClass, Hoarding])
def test_growing_with_the_bars_is_caught(bad) -> None:
    assert "has-bounded-memory" in failures(bad)


class Forgetful(Counting):
    """Keeps a count that a restart loses."""

    dump = None
    load = None


class HalfForgetful(Counting):
    """Loads something else than it dumped."""

    def load(self, snapshot):
        self.count = 0


@pytest.mark.parametrize("bad", [Forgetful, HalfForgetful])
def test_losing_what_it_kept_in_a_restart_is_caught(bad) -> None:
    assert "survives-a-restart" in failures(bad)


class Lying(Calm):
    """Explains another score than the one that it gives."""

    def decide(self, view):
        return Opinion(Side.BUY, 1.0, 0.5, parts=(Part("close", view.close, 0.4),))


def test_an_explanation_that_does_not_add_up_is_caught() -> None:
    found = failures(Lying)

    assert "base and parts add up to 0.4, but the score is 0.5" in found["explains-its-scores"]


class Crashing(Calm):
    """Divides by zero one day."""

    def decide(self, view):
        return lean(1 / (view.bars_seen - 50))


def test_an_exception_is_a_finding_with_contender_symbol_and_time() -> None:
    found = failures(Crashing)["runs-to-the-end"]

    assert "'rehearsal' on AAPL at 2000-05-11T00:00:00Z" in found
    assert "ZeroDivisionError" in found


class NotWarm(Calm):
    """Forgets that features are NaN at first."""

    def decide(self, view):
        return lean(view.close / view["sma_5"] - 1)


def test_a_score_that_is_no_number_is_caught() -> None:
    assert "must be finite" in failures(NotWarm)["runs-to-the-end"]


class TwoMinds(Calm):
    """Has a fast lane that says something else."""

    def stance(self, view):
        return 1.0


def test_a_fast_lane_that_disagrees_is_caught() -> None:
    assert "differ at bar" in failures(TwoMinds)["fast-lane-agrees"]


class SharedDefault(Calm):
    """Shares a list between all objects."""

    def __init__(self, windows=[5]):  # noqa: B006 - the fault that the check must find
        self.windows = windows


def test_a_default_that_is_shared_is_caught() -> None:
    assert "'windows' is shared" in failures(SharedDefault)["defaults-are-immutable"]


def test_a_missing_docstring_is_caught() -> None:
    bare = type("Bare", (Calm,), {"__doc__": None})

    assert {"has-docstring"} == failures(bare).keys()


def test_too_few_bars_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 60 bars"):
        run_checks(Calm, BARS[:59])


STORE: list[float] = []


class InModule:
    """Keeps every close in its module."""

    features = ()

    def decide(self, view):
        STORE.append(view.close * 1.5)


class InClassDeque:
    """Keeps every close in a deque of its class."""

    features = ()
    seen: ClassVar = deque()

    def decide(self, view):
        self.seen.append(view.close * 1.5)


def closing_over():
    kept: list[float] = []

    class InClosure:
        """Keeps every close in what its method closes over."""

        features = ()

        def decide(self, view):
            kept.append(view.close * 1.5)

    return InClosure


@pytest.mark.parametrize("bad", [InModule, InClassDeque, closing_over()])
def test_growing_outside_of_the_object_is_caught(bad) -> None:
    found = failures(bad)

    assert "keep windows of fixed length" in found["has-bounded-memory"]


def test_growth_outside_of_the_object_names_the_line() -> None:
    assert "test_contender_checks.py:" in failures(InModule)["has-bounded-memory"]


class Learner:
    """Trades by what it hears of its own fills, and carries that through a restart."""

    features = ()

    def __init__(self):
        self.heard = 0

    def learn(self, view, news):
        del view, news
        self.heard += 1

    def decide(self, view):
        return lean(1.0 if (self.heard + view.bars_seen) % 5 < 3 else -1.0)

    def dump(self):
        return str(self.heard).encode()

    def load(self, snapshot):
        self.heard = int(snapshot or b"0")


def test_a_contender_that_learns_passes_every_check() -> None:
    assert {} == failures(Learner)


class Meddler(Learner):
    """Changes its own list of features when it hears of a fill."""

    features = ("sma_5",)

    def learn(self, view, news):
        type(self).features = ("sma_5",) if self.features != ("sma_5",) else ("sma_9",)


def test_changing_inputs_while_learning_is_caught() -> None:
    assert "learn() changed its inputs" in failures(Meddler).get("mutates-no-inputs", "")


class Rarely:
    """Keeps a count that matters only now and then, and is not carried through a restart."""

    features = ()

    def __init__(self):
        self.count = 0

    def decide(self, view):
        self.count += 1
        return lean(1.0 if view.bars_seen % 100 < 50 else -1.0)


def test_what_changes_and_is_not_carried_is_caught_even_if_nothing_came_of_it() -> None:
    assert (
        "it keeps count between bars and has no dump()" in (failures(Rarely)["survives-a-restart"])
    )


class EveryHundred:
    """Is as new after every hundredth bar: a cut in the middle finds nothing."""

    features = ()

    def __init__(self):
        self.count = 0

    def decide(self, view):
        self.count = (self.count + 1) % 100
        return lean(1.0 if self.count < 50 else -1.0)

    def dump(self):
        return b""

    def load(self, snapshot):
        del snapshot


def test_a_restart_at_odd_places_finds_what_the_middle_does_not() -> None:
    assert "restored at bar 67" in failures(EveryHundred)["survives-a-restart"]
