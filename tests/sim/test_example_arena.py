"""The example arena shows what an arena must show, and every one of it can be explained."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit import read_journal

from titanflow.core.facts import Answer, Fact, Fill, OrderUpdate, Split, StateChange, Verdict
from titanflow.core.spec.words import OrdStatus, Outcome, Reply, TradingState
from titanflow.runtime.plan import prepare
from titanflow.runtime.record import Result, record_session
from titanflow.runtime.verify import Result as Found
from titanflow.runtime.verify import verify
from titanflow.runtime.why import Question, explain

EXAMPLE = Path(__file__).parents[2] / "examples/arena"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TITANFLOW_HOME", str(tmp_path_factory.mktemp("example")))
        return record_session(prepare(EXAMPLE, None))


@pytest.fixture(scope="module")
def facts(session: Result) -> list[Fact]:
    return read_journal(session.session.journal)[1]


def test_it_has_nine_contenders_or_more_over_five_instruments(session: Result) -> None:
    assert len(session.outcome.standings) >= 9
    assert len(session.plan.ground.instruments) == 5
    assert session.outcome.broken == 0


def test_it_verifies(session: Result) -> None:
    finding = verify(session.session.journal, session.plan.folder)

    assert finding.result is Found.VERIFIED, finding.text
    assert finding.digest == session.digest


def test_refusals_of_eight_reasons_are_each_explained(session: Result, facts: list[Fact]) -> None:
    first: dict[int, Verdict] = {}
    for fact in facts:
        if isinstance(fact, Verdict) and fact.outcome is Outcome.DENY:
            first.setdefault(fact.reason, fact)

    assert len(first) >= 8, sorted(first)
    for verdict in first.values():
        answer = explain(session.session.journal, EXAMPLE, Question(verdict.id.hex()))
        assert verdict.text in answer.sentence
        assert answer.verdict == verdict
        assert answer.signal is not None
        assert answer.signal.id == verdict.signal
        parts = sum(part.contribution for part in answer.signal.explanation.parts)
        assert abs(answer.signal.explanation.base + parts - answer.signal.score) <= 1e-9


def test_states_splits_partial_fills_and_self_matches_are_explained(
    session: Result, facts: list[Fact]
) -> None:
    wanted = {
        "REDUCING": lambda f: isinstance(f, StateChange) and f.state is TradingState.REDUCING,
        "HALTED": lambda f: isinstance(f, StateChange) and f.state is TradingState.HALTED,
        "Split": lambda f: isinstance(f, Split),
        "fills": lambda f: isinstance(f, Fill) and f.status is OrdStatus.PARTIALLY_FILLED,
        "SELF_MATCH": lambda f: isinstance(f, OrderUpdate) and f.text == "SELF_MATCH",
    }
    for word, shows in wanted.items():
        fact = next((f for f in facts if shows(f)), None)
        assert fact is not None, word

        answer = explain(session.session.journal, EXAMPLE, Question(fact.id.hex()))

        assert fact in answer.chain
        assert answer.lineage
        told = answer.sentence + " ".join(repr(f) for f in answer.chain)
        assert word in told


def test_two_contenders_trade_by_bundles_and_only_after_their_training(
    session: Result, facts: list[Fact]
) -> None:
    contracts = {e.name: e.contract for e in session.plan.ground.entrants if e.contract is not None}
    fills = [f for f in facts if isinstance(f, Fill) and f.contender in contracts]
    answers = [fact for fact in facts if isinstance(fact, Answer)]

    assert ["tree-direction", "tree-drift"] == list(contracts)
    assert set(contracts) == {fill.contender for fill in fills}
    assert {Reply.OK} == {answer.reply for answer in answers}
    for fact in (*fills, *answers):
        contract = contracts[fact.contender]
        assert contract is not None
        assert fact.at >= contract.trade_from


def test_an_answer_is_explained_with_its_features_and_parts(
    session: Result, facts: list[Fact]
) -> None:
    asked = [fact for fact in facts if isinstance(fact, Answer)]
    for fact in (asked[0], asked[-1]):
        answer = explain(session.session.journal, EXAMPLE, Question(fact.id.hex()))

        assert answer.reply == fact
        assert answer.ask is not None
        assert answer.signal is not None
        told = answer.signal.explanation
        assert answer.ask.features == tuple(part.value for part in told.parts)
        total = told.base + sum(part.contribution for part in told.parts)
        assert abs(total - answer.signal.score) <= 1e-9


def test_a_shadow_contender_decides_and_reaches_no_book(facts: list[Fact]) -> None:
    mine = [f for f in facts if getattr(f, "contender", "") == "lawless"]
    verdicts = [f for f in mine if isinstance(f, Verdict)]

    assert verdicts
    assert {"TIER_SHADOW"} == {v.text for v in verdicts}
    assert not [f for f in mine if isinstance(f, Fill | OrderUpdate)]
