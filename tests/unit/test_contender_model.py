"""Does an answer become the right opinion, and what is no answer a HOLD with its reason?"""

import math

import msgspec
import pytest
from model_kit import FEATURES, OUTPUT, contract

from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.base.instant import NS_PER_DAY, parse_instant
from titanflow.core.contender.decide import Decide
from titanflow.core.contender.model import BundleContender, answer_to
from titanflow.core.contender.protocol import ContenderError, Opinion
from titanflow.core.contender.rehearsal import ground_of
from titanflow.core.contender.rules import BuyAndHold
from titanflow.core.facts import Ask, Belief, Intent, Signal
from titanflow.core.perception.features import FeatureSchema
from titanflow.core.spec.bundle import Output
from titanflow.core.spec.words import OutputKind, Reply, Side

START = parse_instant("2020-01-20T00:00:00Z")
PLAIN = contract(explained=False)
PROBABLE = Output(OutputKind.PROBABILITY, 86_400, 0.5, 0.02, 0.1)
VALUES = (1.0, -2.0, 30.0)


def belief(number: int = 0, *values: float, symbol: str = "AAPL") -> Belief:
    at = START + number * NS_PER_DAY
    told = values or VALUES
    ident = derive(NO_ID, symbol.encode(), number + 1)
    return Belief(ident, NO_ID, at, at, symbol, 10_000, 1.0, told)


class Room:
    """Decide with some contenders, and what was said in it."""

    def __init__(self, *contenders, symbols=("AAPL",)) -> None:
        ground = ground_of(list(symbols))
        (entrant,) = ground.entrants
        entrants = tuple(
            msgspec.structs.replace(entrant, index=at, name=f"c{at}")
            for at in range(len(contenders))
        )
        self.heard: list[Signal] = []
        self.contenders = contenders
        self.ground = msgspec.structs.replace(ground, entrants=entrants)
        self.decide = self.make()

    def make(self) -> Decide:
        return Decide(self.ground, FeatureSchema(FEATURES), self.contenders, self.heard.append)

    def ask(self, number: int = 0, *values: float) -> Ask:
        said = self.decide.handle(belief(number, *values))
        (question,) = [fact for fact in said if isinstance(fact, Ask)]
        return question

    def answer(self, question: Ask, *numbers: float, parts=(), reply=Reply.OK, text=""):
        return self.decide.handle(answer_to(question, reply, numbers, parts, text))


def opinion_on(told, *numbers: float, **more) -> Signal:
    room = Room(BundleContender(told, more.pop("min_confidence", 0.0)))
    room.answer(room.ask(), *numbers, **more)
    (signal,) = room.heard
    return signal


def test_it_asks_about_its_features_in_the_order_of_its_contract() -> None:
    turned = contract(features=tuple(reversed(FEATURES)))
    room = Room(BundleContender(turned))

    question = room.ask()

    assert tuple(reversed(VALUES)) == question.features
    assert turned.digest == question.bundle
    assert belief().id == question.cause
    assert not room.heard  # nothing is thought before the answer


@pytest.mark.parametrize(
    ("value", "side", "strength"),
    [
        (0.5, Side.BUY, 0.5),
        (5.0, Side.BUY, 1.0),
        (0.1, Side.BUY, 0.1),
        (0.099, Side.HOLD, 0.0),
        (-0.099, Side.HOLD, 0.0),
        (-0.5, Side.SELL, -0.5),
        (-9.0, Side.SELL, -1.0),
    ],
)
def test_an_expected_return_is_followed_by_its_distance(value, side, strength) -> None:
    signal = opinion_on(PLAIN, value)

    assert (side, strength) == (signal.side, signal.strength)
    assert value == signal.score
    assert OUTPUT.horizon_seconds == signal.horizon_seconds


@pytest.mark.parametrize(
    ("value", "side", "strength", "confidence"),
    [
        (0.6, Side.BUY, 1.0, 0.6),
        (0.55, Side.BUY, 0.5, 0.55),
        (0.51, Side.HOLD, 0.0, 0.51),
        (0.47, Side.SELL, 0.0, 0.53),
        (1.0, Side.BUY, 1.0, 1.0),
        (0.0, Side.SELL, 0.0, 1.0),
    ],
)
def test_a_probability_is_told_in_log_odds(value, side, strength, confidence) -> None:
    signal = opinion_on(msgspec.structs.replace(PLAIN, output=PROBABLE), value)

    assert side is signal.side
    assert abs(strength - signal.strength) < 1e-9
    assert abs(confidence - signal.confidence) < 1e-9
    if 0.0 < value < 1.0:
        assert abs(math.log(value / (1 - value)) - signal.score) < 1e-9


def test_too_little_confidence_is_a_hold() -> None:
    probable = msgspec.structs.replace(PLAIN, output=PROBABLE)

    signal = opinion_on(probable, 0.55, min_confidence=0.6)

    assert Side.HOLD is signal.side
    assert "is below 0.6" in signal.explanation.text


def test_parts_add_up_to_the_score_and_name_the_features() -> None:
    parts = (0.25, -0.5, 1.0, 0.125)

    signal = opinion_on(contract(), 0.875, parts=parts)

    told = signal.explanation
    assert 0.125 == told.base
    assert list(zip(FEATURES, VALUES, parts[:3], strict=True)) == [
        (part.name, part.value, part.contribution) for part in told.parts
    ]
    assert abs(told.base + sum(p.contribution for p in told.parts) - signal.score) <= 1e-9
    assert abs(signal.score - 0.875) <= 1e-9


@pytest.mark.parametrize(
    ("told", "numbers", "more", "reason"),
    [
        (PLAIN, (), {"reply": Reply.TIMEOUT, "text": "too late"}, "TIMEOUT too late"),
        (PLAIN, (), {"reply": Reply.REFUSED, "text": ""}, "REFUSED"),
        (PLAIN, (), {}, "0 outputs"),
        (PLAIN, (1.0, 2.0), {}, "2 outputs"),
        (PLAIN, (1.0,), {"parts": (1.0,)}, "1 parts"),
        (contract(), (1.0,), {}, "0 parts, the contract says 1 and 4"),
        (PLAIN, (math.nan,), {}, "not finite"),
        (PLAIN, (math.inf,), {}, "not finite"),
        (contract(), (1.0,), {"parts": (1.0, math.nan, 0.0, 0.0)}, "not finite"),
        (contract(), (1.0,), {"parts": (1.0, 0.5, 0.0, 0.0)}, "its parts make 1.5"),
        (msgspec.structs.replace(PLAIN, output=PROBABLE), (1.2,), {}, "no probability"),
        (msgspec.structs.replace(PLAIN, output=PROBABLE), (-0.1,), {}, "no probability"),
        (
            msgspec.structs.replace(contract(), output=PROBABLE),
            (0.9,),
            {"parts": (0.0, 0.0, 0.0, 0.0)},
            "its parts make 0.5",
        ),
    ],
)
def test_what_is_no_answer_is_a_hold_with_its_reason(told, numbers, more, reason) -> None:
    signal = opinion_on(told, *numbers, **more)

    assert Side.HOLD is signal.side
    assert "no usable answer" in signal.explanation.text
    assert reason in signal.explanation.text


def test_huge_log_odds_are_borne() -> None:
    probable = msgspec.structs.replace(contract(), output=PROBABLE)

    for sign in (1.0, -1.0):
        signal = opinion_on(probable, (sign + 1) / 2, parts=(sign * 1e6, 0.0, 0.0, 0.0))
        assert "probability" in signal.explanation.text


def test_before_its_training_window_ended_it_is_not_asked() -> None:
    room = Room(BundleContender(contract()))

    assert not room.decide.handle(belief(-1))
    assert "it holds until 2020-01-20" in room.heard[0].explanation.text
    assert room.decide.handle(belief(0))


def test_while_features_warm_up_it_is_not_asked() -> None:
    room = Room(BundleContender(contract()))

    assert not room.decide.handle(belief(0, 1.0, math.nan, 2.0))
    assert "warming up: 1 of 6 bars" in room.heard[0].explanation.text


def test_all_asks_of_a_belief_leave_together_after_what_others_wish() -> None:
    room = Room(*(BundleContender(contract()) for _ in range(8)), BuyAndHold())

    said = room.decide.handle(belief())
    later = [room.decide.handle(belief(n)) for n in range(1, 6)]

    kinds = [type(fact) for fact in said]
    assert [Intent] + [Ask] * 8 == kinds
    orders = {tuple(f.contender for f in facts if isinstance(f, Ask)) for facts in [said, *later]}
    assert 1 < len(orders)  # no name is always first


def test_an_answer_makes_an_intent_whose_cause_is_its_signal() -> None:
    room = Room(BundleContender(PLAIN))

    (intent,) = room.answer(room.ask(), 5.0)

    assert Side.BUY is intent.side
    assert room.heard[0].id == intent.cause
    assert room.heard[0].side is Side.BUY


@pytest.mark.parametrize("which", ["twice", "late", "nobody", "other symbol"])
def test_an_answer_that_nobody_waits_for_changes_nothing(which: str) -> None:
    room = Room(BundleContender(PLAIN))
    question = room.ask()
    match which:
        case "twice":
            room.answer(question, 0.0)
        case "late":
            room.ask(1)
        case "nobody":
            question = msgspec.structs.replace(question, contender="nobody")
        case "other symbol":
            question = msgspec.structs.replace(question, symbol="IBM")
    before = room.decide.digest()

    assert not room.answer(question, 5.0)
    assert before == room.decide.digest()


def test_a_pending_ask_survives_a_restart() -> None:
    room = Room(BundleContender(PLAIN))
    question = room.ask()
    snapshot, digest = room.decide.dump(), room.decide.digest()
    room.decide = room.make()
    assert not room.answer(question, 5.0)

    room.decide.load(snapshot)

    assert digest == room.decide.digest()
    assert room.answer(question, 5.0)
    assert digest != room.decide.digest()


class Rude(BundleContender):
    """Asks and hears in ways that nobody should."""

    def __init__(self, asked=None, heard=None) -> None:
        super().__init__(PLAIN)
        self.asked, self.heard = asked, heard

    def ask(self, view):
        if isinstance(self.asked, Exception):
            raise self.asked
        return super().ask(view) if self.asked is None else self.asked

    def answered(self, view, answer):
        if isinstance(self.heard, Exception):
            raise self.heard
        return self.heard


@pytest.mark.parametrize("asked", [[1.0], (1,), (math.nan,), "text", ValueError("no")])
def test_an_ask_that_is_none_is_the_contender_s_mistake(asked) -> None:
    with pytest.raises(ContenderError, match="c0"):
        Room(Rude(asked)).decide.handle(belief())


@pytest.mark.parametrize("heard", ["text", Opinion(Side.BUY, 2.0, 0.0), ValueError("no"), None])
def test_an_opinion_that_is_none_is_the_contender_s_mistake(heard) -> None:
    room = Room(Rude(heard=heard))
    question = room.ask()

    with pytest.raises(ContenderError, match="c0"):
        room.answer(question, 1.0)
