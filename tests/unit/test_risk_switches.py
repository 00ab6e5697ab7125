"""Whom does a kill switch stop, and who may release it?"""

import pytest
from risk_kit import HOUR, Line, Risk, cancels, changes, policy, rulings, verdicts

from titanflow.core.facts import KillRuling, KillSwitch
from titanflow.core.risk.kill import KillBoard
from titanflow.core.spec.words import KillAction, KillScope, Outcome

A, C, I, P = "Arena", "Contender", "Instrument", "Policy"  # noqa: E741


@pytest.fixture
def risk() -> Risk:
    labels = ((("desk", "x"),), (), ())
    bound = policy(selector={"matchLabels": {"desk": "x"}})
    made = Risk(policy(), bound, labels=labels)
    made.bar(100)
    made.bar(100, "B")
    return made


@pytest.mark.parametrize(
    ("scope", "name", "instruments", "stopped"),
    [
        (A, "", (), {"annA", "annB", "bobA", "bobB"}),
        (A, "", ("A",), {"annA", "bobA"}),
        (C, "ann", (), {"annA", "annB"}),
        (C, "ann", ("B",), {"annB"}),
        (I, "A", (), {"annA", "bobA"}),
        (P, "p1", (), {"annA", "annB"}),
        (P, "p1", ("A",), {"annA"}),
        (P, "p0", (), {"annA", "annB", "bobA", "bobB"}),
    ],
)
def test_a_switch_stops_those_that_it_names_and_nobody_else(
    risk: Risk, scope: str, name: str, instruments: tuple[str, ...], stopped: set[str]
) -> None:
    risk.switch(scope, name, instruments=instruments)

    found = {
        who + symbol: risk.ask(who, 1, 1, symbol=symbol)
        for who in ("ann", "bob")
        for symbol in "AB"
    }

    assert stopped == {pair for pair, v in found.items() if v.outcome is Outcome.DENY}
    text = {found[pair].text for pair in stopped}
    assert {f"KILL:{scope}:1"} == text
    assert {2 if scope == A else 0} == {found[pair].reason for pair in stopped}


def test_the_arenas_switch_speaks_then_the_severest(risk: Risk) -> None:
    risk.switch(I, "A", action="RejectNew")
    risk.switch(C, "ann", action="CancelAll")
    assert "KILL:Contender:2" == risk.ask("ann", 1, 1).text

    risk.switch(A)

    assert "KILL:Arena:3" == risk.ask("ann", 1, 1).text


def test_cancels_pass_while_killed(risk: Risk) -> None:
    risk.intent("ann", 1, 5, 90, client_order_id="mine")
    risk.switch(A)

    (verdict,) = verdicts(risk.cancel("ann", "mine"))

    assert Outcome.ALLOW is verdict.outcome


def switch(**parts: object) -> dict[str, object]:
    return {"engaged": True, "action": "CancelAll", "by": "eve", "reason": "r", **parts}


RELEASE = {"engaged": False, "by": "joe", "token": "t1"}


@pytest.mark.parametrize(
    ("before", "request_", "refusal"),
    [
        ([], switch(), ""),
        ([], switch(by=""), "engaging needs the name"),
        ([], switch(reason=""), "engaging needs a reason"),
        ([], RELEASE, "not engaged"),
        ([switch()], RELEASE, ""),
        ([switch()], {**RELEASE, "by": "eve"}, "second person"),
        ([switch()], {**RELEASE, "by": ""}, "second person"),
        ([switch()], {**RELEASE, "token": ""}, "new reset token"),
        ([switch(), RELEASE, switch()], RELEASE, "new reset token"),
        ([switch(), RELEASE, switch()], {**RELEASE, "token": "t2"}, ""),
        ([switch(), switch(by="joe")], RELEASE, ""),
        ([switch(), switch(by="joe")], {**RELEASE, "by": "eve"}, "second person"),
        ([switch()], switch(action="Flatten"), ""),
        ([switch()], switch(action="RejectNew"), "severer"),
        ([switch()], switch(instruments=("A",)), "widened"),
        ([switch(instruments=("A",))], switch(), ""),
        ([switch(instruments=("A",))], switch(instruments=("A", "B")), ""),
        ([switch(instruments=("A",))], switch(instruments=("B",)), "widened"),
        ([switch(), RELEASE], RELEASE, "not engaged"),
    ],
)
def test_the_table_of_rulings(
    risk: Risk, before: list[dict[str, object]], request_: dict[str, object], refusal: str
) -> None:
    for earlier in before:
        assert [True] == [accepted for accepted, _ in rulings(risk.switch(C, "ann", **earlier))]
    epoch = risk.gate.kill_epoch
    assert epoch == len(before)

    (ruling, *_) = risk.switch(C, "ann", **request_)

    assert isinstance(ruling, KillRuling)
    assert ruling.accepted == (not refusal)
    assert refusal in ruling.text
    assert risk.gate.kill_epoch == epoch + ruling.accepted == ruling.epoch


@pytest.mark.parametrize(
    ("scope", "name", "instruments"),
    [(C, "nobody", ()), (I, "Z", ()), (P, "none", ()), (A, "", ("Z",)), (I, "A", ("B",))],
)
def test_a_switch_that_names_nothing_known_is_refused(
    risk: Risk, scope: str, name: str, instruments: tuple[str, ...]
) -> None:
    assert [(False, 0)] == rulings(risk.switch(scope, name, instruments=instruments))
    assert Outcome.ALLOW is risk.ask("ann", 1, 1).outcome


@pytest.mark.parametrize(
    ("scope", "name", "instruments", "expected"),
    [
        (A, "", (), [("", "")]),
        (A, "", ("A", "B"), [("", "A"), ("", "B")]),
        (I, "A", (), [("", "A")]),
        (C, "ann", (), [("ann", "")]),
        (C, "ann", ("B",), [("ann", "B")]),
        (P, "p1", (), [("ann", "")]),
        (P, "p0", (), [("", "")]),
    ],
)
def test_cancel_all_cancels_where_the_switch_reaches(
    risk: Risk, scope: str, name: str, instruments: tuple[str, ...], expected: list[tuple[str, str]]
) -> None:
    said = risk.switch(scope, name, instruments=instruments, action="CancelAll")

    assert expected == cancels(said)


def test_reject_new_cancels_nothing(risk: Risk) -> None:
    assert [] == cancels(risk.switch(A, action="RejectNew"))


def test_flatten_closes_every_position_although_killed_and_again_until_flat() -> None:
    line = Line()
    line.bar(100, after=HOUR)
    line.intent("ann", 1, 50)
    line.intent("bob", -1, 20)
    line.bar(100, after=HOUR)
    line.intent("ann", 1, 5, 90)
    assert (50, -20) == (line.gate.position(0, 0), line.gate.position(1, 0))

    line.switch(A, action="Flatten")
    assert (0, 50) == line.gate.open_lots(0, 0)
    line.bar(100, after=HOUR, volume=30)
    line.bar(100, after=HOUR, volume=30)
    line.bar(100, after=HOUR, volume=30)
    line.bar(100, after=HOUR)

    assert (0, 0) == (line.gate.position(0, 0), line.gate.position(1, 0))
    assert Outcome.DENY is verdicts(line.intent("ann", 1, 1))[0].outcome


def test_a_release_ends_flattening() -> None:
    risk = Risk()
    risk.bar(100)
    risk.buy("ann", 50, 100)
    risk.switch(C, "ann", action="Flatten")
    name = next(n for n in risk.orders if n.startswith("risk-"))
    risk.end(name)

    risk.switch(C, "ann", engaged=False)

    assert [] == verdicts(risk.bar(100))


def test_a_release_of_one_switch_goes_on_flattening_for_another() -> None:
    risk = Risk()
    risk.bar(100)
    risk.buy("ann", 50, 100)
    risk.switch(A, action="Flatten")
    risk.switch(C, "ann", action="Flatten")
    for name in [n for n in risk.orders if n.startswith("risk-")]:
        risk.end(name)

    risk.switch(C, "ann", engaged=False)

    assert [("ann", 50)] == [(v.contender, v.quantity_lots) for v in verdicts(risk.bar(100))]


def test_only_the_release_of_its_own_switch_lifts_a_halt() -> None:
    risk = Risk(policy(limits={"maxDrawdownBps": 100}))
    risk.bar(100)
    risk.buy("ann", 1_000, 100)
    assert [("ann", "ACTIVE", "HALTED", "DRAWDOWN")] == changes(risk.bar(80))

    risk.switch(A)
    assert [] == changes(risk.switch(A, engaged=False))
    assert "HALTED" == risk.gate.state(0)
    risk.switch(C, "ann")

    assert [("ann", "HALTED", "ACTIVE", "RELEASED")] == changes(
        risk.switch(C, "ann", engaged=False)
    )


def test_a_breach_with_kill_latches_the_switch_of_the_contender() -> None:
    risk = Risk(policy(limits={"maxDrawdownBps": 100}, onBreach="Kill"))
    risk.bar(100)
    risk.buy("ann", 1_000, 100)

    said = risk.bar(80)

    assert [(True, 1)] == rulings(said)
    assert [("ann", "")] == cancels(said)
    assert "KILL:Contender:1" == risk.ask("ann", -1, 1).text
    assert [(False, 1)] == rulings(risk.switch(C, "ann", engaged=False, by="risk"))
    assert [(True, 2)] == rulings(risk.switch(C, "ann", engaged=False, by="joe"))
    assert Outcome.ALLOW is risk.ask("ann", -1, 1).outcome


def test_a_board_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("titanflow.core.risk.kill.SWITCHES_MAX", 2)
    board = KillBoard(0, {})
    words = (True, (), KillAction.REJECT_NEW, "r", "eve", "")

    said = [
        board.rule(KillSwitch(b"i", b"c", 0, 0, KillScope.CONTENDER, name, *words))  # type: ignore[arg-type]
        for name in ("a", "b", "c", "a")
    ]

    assert ["", "", "more than 2 switches", ""] == said


def test_a_snapshot_brings_the_switches_back() -> None:
    risk, other = Risk(), Risk()
    risk.bar(100)
    risk.switch(C, "ann")

    other.gate.load(risk.gate.dump())

    assert risk.gate.digest() == other.gate.digest()
    other.now, other.count = risk.now, 1_000
    assert "KILL:Contender:1" == other.ask("ann", 1, 1).text
