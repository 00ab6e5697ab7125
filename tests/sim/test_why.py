"""What `why` answers where no contender decided, and where kill switches stand at the start."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit import contender, read_journal, small_folder

from titanflow.core.facts import Fact, Intent, Order, Verdict
from titanflow.core.risk.rules import RULES
from titanflow.core.spec.words import Origin, Outcome
from titanflow.runtime.plan import Plan, prepare
from titanflow.runtime.record import Result, record_session
from titanflow.runtime.verify import Result as Found
from titanflow.runtime.verify import verify
from titanflow.runtime.why import Question, explain

FLATTEN = """\
- {at: "2020-02-10T00:00:00Z", scope: Contender, name: hold, engaged: true, action: Flatten,
   reason: drill, by: alice}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TITANFLOW_HOME", str(tmp_path / "state"))
    return tmp_path


def session(plan: Plan) -> tuple[Result, list[Fact]]:
    result = record_session(plan)
    return result, read_journal(result.session.journal)[1]


def test_an_order_of_risk_is_explained_without_a_contenders_thought(home: Path) -> None:
    folder = small_folder(home / "arena")
    (home / "controls.yaml").write_text(FLATTEN)
    result, facts = session(prepare(folder, home / "controls.yaml"))
    intent = next(f for f in facts if isinstance(f, Intent) and f.origin is Origin.RISK)
    verdict = next(f for f in facts if isinstance(f, Verdict) and f.cause == intent.id)
    order = next(f for f in facts if isinstance(f, Order) and f.cause == verdict.id)

    answer = explain(result.session.journal, folder, Question(order.id.hex()))

    assert answer.signal is None
    assert answer.intent == intent
    assert "Risk itself closed a position of hold" in answer.sentence
    asked = {check.rule: check for check in answer.checks}
    assert ["reference", "reduces"] == list(asked)
    assert verdict.quantity_lots == asked["reduces"].limit == -asked["reduces"].actual


def test_every_check_is_told_with_limit_and_actual(home: Path) -> None:
    folder = small_folder(home / "arena")
    result, facts = session(prepare(folder, None))
    allowed = next(f for f in facts if isinstance(f, Verdict) and f.outcome is Outcome.ALLOW)

    answer = explain(result.session.journal, folder, Question(allowed.id.hex()))

    asked = {check.rule: (check.limit, check.actual) for check in answer.checks}
    order = [rule.name for rule in RULES]
    assert sorted(asked, key=order.index) == list(asked)
    notional = allowed.quantity_lots * allowed.reference_ticks * 10**6
    assert (50_000 * 10**8, notional) == asked["max-notional"]
    assert (864_000 * 10**9, 0) == asked["reference"]
    assert (-1, notional) == asked["gross"]
    assert not any(check.refused for check in answer.checks)


def test_a_switch_of_a_manifest_is_applied_once_when_the_session_runs_again(home: Path) -> None:
    folder = small_folder(home / "arena")
    stopped = contender("stopped", "SmaCrossover", 'fast: "3", slow: "8"')
    switch = "  killSwitch: {engaged: true, reason: review, engagedBy: alice}\n"
    (folder / "stopped.yaml").write_text(stopped + switch)
    result, facts = session(prepare(folder, None))
    denied = next(
        f
        for f in facts
        if isinstance(f, Verdict) and f.contender == "stopped" and f.outcome is Outcome.DENY
    )

    answer = explain(result.session.journal, folder, Question(denied.id.hex()))

    assert answer.signal is not None
    assert answer.signal.id == denied.signal
    assert "KILL:Contender:1" in answer.sentence


def test_a_session_whose_data_are_gone_is_verified_on_its_own_tape(home: Path) -> None:
    folder = small_folder(home / "arena")
    result, _ = session(prepare(folder, None))
    (folder / "bars.csv").unlink()

    finding = verify(result.session.journal, folder)

    assert finding.result is Found.VERIFIED, finding.text
    assert any("taken as given" in note for note in finding.notes)
