"""A session with a model: its answers are recorded, checked against the asks, and suffice."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from kit import read_journal, write_journal
from model_kit import FEATURES, model_folder

from titanflow.core.base.errors import SpecError
from titanflow.core.facts import Answer, Ask, Fact, Fill, Intent, Standing
from titanflow.core.spec.words import Reply
from titanflow.runtime.plan import prepare
from titanflow.runtime.record import Result, record_session
from titanflow.runtime.rehearse import check_contender
from titanflow.runtime.sim import Driver
from titanflow.runtime.verify import Result as Found
from titanflow.runtime.verify import verify
from titanflow.runtime.why import Question, explain


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TITANFLOW_HOME", str(tmp_path / "state"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return model_folder(tmp_path / "arena")


@pytest.fixture
def session(folder: Path) -> Result:
    return record_session(prepare(folder, None))


def answers_of(facts: list[Fact]) -> list[int]:
    return [number for number, fact in enumerate(facts) if isinstance(fact, Answer)]


def test_it_trades_on_its_answers_and_verifies(session: Result) -> None:
    _, facts = read_journal(session.session.journal)
    answers = [fact for fact in facts if isinstance(fact, Answer)]

    finding = verify(session.session.journal, session.plan.folder)

    assert Found.VERIFIED is finding.result, finding.text
    assert ["what models answered is taken as given: graphs are not run again"] == list(
        finding.notes
    )
    assert {Reply.OK} == {answer.reply for answer in answers}
    assert {"line-a", "line-b"} == {answer.contender for answer in answers}
    assert {"line-a", "line-b"} <= {f.contender for f in facts if isinstance(f, Fill)}
    assert not [fact for fact in facts if isinstance(fact, Ask)]


def test_two_sessions_are_equal_bytes(session: Result) -> None:
    other = record_session(prepare(session.plan.folder, None))

    assert session.session.journal.read_bytes() == other.session.journal.read_bytes()


def test_verification_and_why_need_neither_the_bundle_nor_a_runtime(
    session: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = session.plan.folder
    for path in [*folder.glob("*.tfb*"), *folder.glob("keys/*"), folder / "bundle.yaml"]:
        path.unlink()
    for name in ("onnxruntime", "onnx"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "titanflow.adapters.models", raising=False)
    monkeypatch.delitem(sys.modules, "titanflow.adapters.bundles.checks", raising=False)

    finding = verify(session.session.journal, folder)
    _, facts = read_journal(session.session.journal)
    answer = next(fact for fact in facts if isinstance(fact, Answer))

    assert Found.VERIFIED is finding.result, finding.text
    assert explain(session.session.journal, folder, Question(answer.id.hex())).reply == answer


def forged(session: Result, tmp_path: Path, facts: list[Fact]) -> tuple[Found, str]:
    head, _ = read_journal(session.session.journal)
    write_journal(tmp_path / "forged", head, facts)
    finding = verify(tmp_path / "forged", session.plan.folder)
    return finding.result, finding.text


def test_an_answer_that_is_left_out_is_named(session: Result, tmp_path: Path) -> None:
    _, facts = read_journal(session.session.journal)
    for place in (answers_of(facts)[0], answers_of(facts)[-1]):
        found, text = forged(session, tmp_path, facts[:place] + facts[place + 1 :])
        (tmp_path / "forged").unlink()

        assert Found.MISMATCH is found
        assert "line-" in text


def test_the_last_answers_may_not_be_left_out(session: Result, tmp_path: Path) -> None:
    _, facts = read_journal(session.session.journal)
    last = answers_of(facts)[-1]
    rest = [fact for fact in facts[last:] if isinstance(fact, Standing)]

    found, text = forged(session, tmp_path, facts[:last] + rest)

    assert Found.MISMATCH is found
    assert "is missing" in text


@pytest.mark.parametrize("where", ["after an answer", "at the start"])
def test_an_answer_that_nobody_asked_for_is_named(
    session: Result, tmp_path: Path, where: str
) -> None:
    _, facts = read_journal(session.session.journal)
    place = answers_of(facts)[-1]
    at = place + 1 if where == "after an answer" else 0
    invented = msgspec.structs.replace(facts[place], at=facts[at].at, seen=facts[at].seen)

    assert Found.MISMATCH is forged(session, tmp_path, [*facts[:at], invented, *facts[at:]])[0]


@pytest.mark.parametrize(
    "change",
    [
        {"bundle": "cd" * 32},
        {"id": bytes(16)},
        {"cause": bytes(16)},
        {"contender": "hold"},
        {"symbol": "BBB"},
        {"at": 1},
        {"seen": 1},
        {"outputs": (9.0,)},
    ],
)
def test_an_answer_that_was_altered_is_named(
    session: Result, tmp_path: Path, change: dict[str, object]
) -> None:
    _, facts = read_journal(session.session.journal)
    place = answers_of(facts)[0]
    facts[place] = msgspec.structs.replace(facts[place], **change)

    # An output that was altered is not asked again: what followed from it no longer fits.
    assert Found.MISMATCH is forged(session, tmp_path, facts)[0]


def test_answers_in_another_order_are_named(session: Result, tmp_path: Path) -> None:
    _, facts = read_journal(session.session.journal)
    places = answers_of(facts)
    first = next(a for a, b in pairwise(places) if facts[a].at == facts[b].at)
    second = places[places.index(first) + 1]
    facts[first], facts[second] = facts[second], facts[first]

    found, text = forged(session, tmp_path, facts)

    assert Found.MISMATCH is found
    assert "does not answer the ask" in text


def test_an_intent_is_explained_by_features_answer_parts_and_digest(session: Result) -> None:
    _, facts = read_journal(session.session.journal)
    intent = next(f for f in facts if isinstance(f, Intent) and f.contender == "line-a")

    told = explain(session.session.journal, session.plan.folder, Question(intent.id.hex()))

    assert told.ask is not None
    assert told.reply is not None
    assert told.signal is not None
    assert told.ask.id == told.reply.cause
    assert told.reply.id == told.signal.cause
    assert told.signal.id == intent.cause
    assert list(FEATURES) == [part.name for part in told.signal.explanation.parts]
    assert told.ask.features == tuple(part.value for part in told.signal.explanation.parts)
    total = told.signal.explanation.base + sum(
        part.contribution for part in told.signal.explanation.parts
    )
    assert abs(total - told.signal.score) <= 1e-9
    assert ("bundle line 1.0.0", told.ask.bundle) in told.lineage


class Silent:
    """A predictor that never answers in time."""

    def predict(self, asks):
        from titanflow.core.contender.model import answer_to

        return [answer_to(ask, Reply.TIMEOUT, text="too late") for ask in asks]


def test_without_answers_it_holds_and_says_so(folder: Path) -> None:
    plan = prepare(folder, None)
    plan.predictor = Silent  # type: ignore[method-assign]
    result = record_session(plan)
    _, facts = read_journal(result.session.journal)
    late = next(fact for fact in facts if isinstance(fact, Answer))

    told = explain(result.session.journal, folder, Question(late.id.hex()))

    assert not [f for f in facts if isinstance(f, Intent) and f.contender.startswith("line-")]
    assert "TIMEOUT too late" in told.sentence
    assert Found.VERIFIED is verify(result.session.journal, folder).result


def test_every_invariant_holds_after_every_turn(folder: Path) -> None:
    plan = prepare(folder, None)
    driver, predictor = Driver(plan, check_turns=1), plan.predictor()
    assert predictor is not None
    events = list(plan.events())
    driver.begin(events[0].at)

    for event in events:
        driver.step(event)
        for answer in predictor.predict(tuple(driver.open)):
            driver.step(answer)
    driver.end()

    assert 0 == driver.invariants.broken


@pytest.mark.parametrize(
    ("changes", "place", "words"),
    [
        ({"sha256": "00" * 32}, "spec.signature", "not signed by key 'tester'"),
        ({"version": "1.0.1"}, "spec.version", "the archive has 1.0.0"),
        ({"digest": "00" * 32}, "spec.featureSchema.digest", "the archive has"),
        ({"file": "none.tfb"}, "spec.artifact.uri", "no such file"),
        ({"pin": ", pin: 2.0.0"}, "spec.recipe.model.bundleRef.pin", "has version 1.0.0"),
    ],
)
def test_a_bundle_that_is_not_what_its_manifest_says_is_refused_at_its_line(
    tmp_path: Path, changes: dict[str, str], place: str, words: str
) -> None:
    folder = model_folder(tmp_path / "arena", **changes)

    with pytest.raises(SpecError) as caught:
        prepare(folder, None)

    text = str(caught.value)
    assert place in text
    assert words in text
    assert ".yaml:" in text


def test_a_tampered_archive_is_refused(folder: Path) -> None:
    (path,) = folder.glob("*.tfb")
    content = bytearray(path.read_bytes())
    content[-1500] ^= 1
    path.write_bytes(bytes(content))

    with pytest.raises(SpecError, match="step hash"):
        prepare(folder, None)


def test_a_bundle_that_nobody_trusts_is_refused(folder: Path) -> None:
    for path in folder.glob("keys/*"):
        path.unlink()

    with pytest.raises(SpecError, match="not trusted"):
        prepare(folder, None)


def test_a_bundle_that_is_missing_is_named_with_those_that_are_there(folder: Path) -> None:
    path = folder / "line-a.yaml"
    path.write_text(path.read_text().replace("name: line}", "name: lime}"))

    with pytest.raises(
        SpecError, match="no ModelBundle 'lime' in this folder; did you mean 'line'"
    ):
        prepare(folder, None)


def test_a_contender_by_a_bundle_passes_every_check(folder: Path) -> None:
    results = check_contender(prepare(folder, None), "line-a")

    assert all(result.passed for result in results), results
