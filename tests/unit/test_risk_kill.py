"""Does a kill switch stop what it reaches, stay engaged, and yield to a second person only?"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from gate_kit import Bench, policy, scene

from titanflow.core.facts import CancelOrders, Intent, KillRuling, StateChange
from titanflow.core.risk import kill
from titanflow.core.risk.kill import person
from titanflow.core.spec.words import (
    IntentAction,
    KillAction,
    KillScope,
    Outcome,
    RejectReason,
    TradingState,
)

K = KillScope
REACH: list[tuple[KillScope, str, dict[str, Any], set[str], int]] = [
    (K.ARENA, "", {}, {"annA", "annB", "bobA", "bobB"}, RejectReason.EXCHANGE_CLOSED),
    (K.ARENA, "main", {"instruments": ("A",)}, {"annA", "bobA"}, RejectReason.EXCHANGE_CLOSED),
    (K.CONTENDER, "ann", {}, {"annA", "annB"}, RejectReason.BROKER_OPTION),
    (K.CONTENDER, "ann", {"instruments": ("B",)}, {"annB"}, RejectReason.BROKER_OPTION),
    (K.INSTRUMENT, "A", {}, {"annA", "bobA"}, RejectReason.BROKER_OPTION),
    (K.POLICY, "first", {}, {"annA", "annB"}, RejectReason.BROKER_OPTION),
    (K.POLICY, "first", {"instruments": ("A",)}, {"annA"}, RejectReason.BROKER_OPTION),
]


def make_bench() -> Bench:
    first = policy(selector={"matchLabels": {"team": "red"}})
    ground = scene(entrant={"labels": (("team", "red"),)})
    return Bench(policies={"first": first, "house": policy()}, ground=ground)


def denied(bench: Bench) -> dict[str, Any]:
    asked = {
        f"{who}{symbol}": bench.ask(1, 1, contender=who, symbol=symbol)
        for who in ("ann", "bob")
        for symbol in "AB"
    }
    return {name: verdict for name, verdict in asked.items() if verdict.outcome is Outcome.DENY}


@pytest.mark.parametrize(("scope", "name", "more", "reached", "reason"), REACH)
def test_a_switch_stops_exactly_what_it_reaches_and_releases_it(
    scope: KillScope, name: str, more: dict[str, Any], reached: set[str], reason: int
) -> None:
    bench = make_bench()

    said = bench.kill(scope, name, **more)
    refusals = denied(bench)
    cancel = bench.ask(1, 0, action=IntentAction.CANCEL, target="o")
    released = bench.kill(scope, name, engaged=False)[0]

    assert isinstance(said[0], KillRuling)
    assert said[0].accepted
    assert said[0].epoch == 1
    assert reached == refusals.keys()
    assert {(reason, f"KILL:{scope}:1", 1)} == {
        (v.reason, v.text, v.kill_epoch) for v in refusals.values()
    }
    assert Outcome.ALLOW is cancel.outcome
    assert isinstance(released, KillRuling)
    assert released.accepted
    assert {} == denied(bench)
    assert 2 == bench.gate.kill_epoch


def test_engaging_cancels_and_flattens_what_it_reaches() -> None:
    bench = make_bench()
    bench.hold(1, 5)
    bench.hold(-1, 3, contender="bob")

    one = bench.kill(K.INSTRUMENT, "A", action=KillAction.FLATTEN)
    two = bench.kill(K.CONTENDER, "bob", action=KillAction.REJECT_NEW)
    three = bench.kill(K.CONTENDER, "ann", instruments=("B",))

    assert [("", "A")] == [(f.contender, f.symbol) for f in one if isinstance(f, CancelOrders)]
    assert [("ann", -1, 5), ("bob", 1, 3)] == [
        (f.contender, f.side, f.quantity_lots) for f in one if isinstance(f, Intent)
    ]
    assert 1 == len(two)
    assert [("ann", "B")] == [(f.contender, f.symbol) for f in three if isinstance(f, CancelOrders)]
    # The closing orders were never sent on, so the next bar asks for them again; a release ends it.
    assert ["ann", "bob"] == [f.contender for f in bench.bar(100) if isinstance(f, Intent)]
    bench.kill(K.INSTRUMENT, "A", engaged=False)
    assert [] == list(bench.bar(100))


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"engaged": True, "by": ""}, "needs the name of who"),
    ({}, {"engaged": True, "reason": ""}, "needs a reason"),
    ({}, {"engaged": True, "instruments": ("A",)}, "only be widened"),
    ({"instruments": ("A",)}, {"engaged": True, "instruments": ("B",)}, "only be widened"),
    ({}, {"engaged": True, "action": KillAction.REJECT_NEW}, "only become severer"),
    ({}, {"engaged": False, "by": ""}, "a second person"),
    ({}, {"engaged": False, "by": "alice"}, "alice engaged it"),
    ({"reset_token": "t1"}, {"engaged": False, "reset_token": "t1"}, "new reset token"),
    ({"reset_token": "t1"}, {"engaged": False, "reset_token": "t0"}, "new reset token"),
    ({}, {"engaged": False, "name": "bob"}, "not engaged"),
    ({}, {"engaged": True, "name": "eve"}, "no contender is called 'eve'"),
    ({}, {"engaged": True, "instruments": ("Z",)}, "no instrument is called 'Z'"),
    ({}, {"engaged": True, "scope": K.INSTRUMENT, "name": "A", "instruments": ("A",)},
     "takes no list"),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second", "text"), REFUSED)
def test_a_request_is_refused_in_words_and_changes_nothing(
    first: dict[str, Any], second: dict[str, Any], text: str
) -> None:
    bench = make_bench()
    bench.kill(K.CONTENDER, "ann", **first)
    before = bench.gate.digest()

    request = {"scope": K.CONTENDER, "name": "ann", **second}
    ruling = bench.kill(request.pop("scope"), request.pop("name"), **request)

    assert 1 == len(ruling)
    assert isinstance(ruling[0], KillRuling)
    assert (False, 1) == (ruling[0].accepted, ruling[0].epoch)
    assert text in ruling[0].text
    assert before == bench.gate.digest()


def test_a_switch_may_be_widened_and_made_severer_and_keeps_who_engaged_it() -> None:
    bench = make_bench()
    bench.kill(K.CONTENDER, "ann", instruments=("A",))

    bench.kill(K.CONTENDER, "ann", instruments=("A", "B"), by="carol")
    bench.kill(K.CONTENDER, "ann", action=KillAction.FLATTEN, by="carol")

    assert {"annA", "annB"} == denied(bench).keys()
    no = bench.kill(K.CONTENDER, "ann", engaged=False, by="alice")[0]
    yes = bench.kill(K.CONTENDER, "ann", engaged=False, by="carol")[0]
    assert isinstance(no, KillRuling)
    assert not no.accepted
    assert isinstance(yes, KillRuling)
    assert yes.accepted


def test_an_old_token_does_not_release_a_switch_that_is_engaged_again() -> None:
    bench = make_bench()
    bench.kill(K.CONTENDER, "ann")
    bench.kill(K.CONTENDER, "ann", engaged=False, reset_token="t5")
    bench.kill(K.CONTENDER, "ann")

    old = bench.kill(K.CONTENDER, "ann", engaged=False, reset_token="t5")[0]
    new = bench.kill(K.CONTENDER, "ann", engaged=False, reset_token="t6")[0]

    assert isinstance(old, KillRuling)
    assert not old.accepted
    assert isinstance(new, KillRuling)
    assert new.accepted


def test_the_arena_has_one_switch_however_it_is_called() -> None:
    bench = make_bench()
    bench.kill(K.ARENA, "")

    released = bench.kill(K.ARENA, "main", engaged=False)[0]

    assert isinstance(released, KillRuling)
    assert released.accepted
    assert {} == denied(bench)


def test_the_severest_switch_gives_the_words() -> None:
    bench = make_bench()
    bench.kill(K.POLICY, "first", action=KillAction.REJECT_NEW)
    bench.kill(K.CONTENDER, "ann", action=KillAction.FLATTEN)
    bench.kill(K.INSTRUMENT, "A")

    assert "KILL:Contender:2" == bench.ask(1, 1).text


def test_a_breach_with_on_breach_kill_latches_the_contenders_switch() -> None:
    bench = Bench({"maxDrawdownBps": 1000}, onBreach="Kill")
    bench.hold(1, 50_000)

    said = bench.bar(80)

    assert ["StateChange", "KillRuling", "CancelOrders"] == [type(f).__name__ for f in said]
    assert "KILL:Contender:1" == bench.ask(-1, 1).text
    change = bench.kill(K.CONTENDER, "ann", engaged=False)[1]
    assert isinstance(change, StateChange)
    assert ("HALTED", "ACTIVE", "RELEASED") == (change.former, change.state, change.text)
    assert Outcome.ALLOW is bench.ask(-1, 1).outcome


def test_a_breach_keeps_the_severest_action_of_an_engaged_switch() -> None:
    board = kill.KillBoard(0, {})
    board.engage_for_breach("ann", "DRAWDOWN")
    severer = msgspec.structs.replace(board.switches["Contender:ann"], action=KillAction.FLATTEN)
    board.switches["Contender:ann"] = severer

    board.engage_for_breach("ann", "DRAWDOWN")

    assert KillAction.FLATTEN is board.switches["Contender:ann"].action


def test_a_release_lifts_reducing_even_of_a_flat_contender() -> None:
    bench = Bench({"reduceAtDrawdownBps": 500})
    bench.hold(1, 50_000)
    bench.bar(90)
    bench.fill(bench.order(-1, 50_000), 50_000, price=90)
    assert TradingState.REDUCING is bench.gate.state(0)

    bench.kill(K.CONTENDER, "ann")
    bench.kill(K.CONTENDER, "ann", engaged=False)

    assert TradingState.ACTIVE is bench.gate.state(0)


def test_a_runaway_halt_is_lifted_by_a_release_and_counts_anew() -> None:
    bench = Bench({"haltAfterRefusals": 2})
    bench.ask(1, 0), bench.ask(1, 0)
    assert TradingState.HALTED is bench.gate.state(0)

    bench.kill(K.CONTENDER, "ann")
    bench.kill(K.CONTENDER, "ann", engaged=False)

    assert TradingState.ACTIVE is bench.gate.state(0)
    assert 1 == len(bench.say(1, 0))


def test_the_number_of_switches_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill, "SWITCHES_MAX", 1)
    bench = make_bench()
    bench.kill(K.CONTENDER, "ann")

    ruling = bench.kill(K.CONTENDER, "bob")[0]

    assert isinstance(ruling, KillRuling)
    assert (False, "more than 1 switches") == (ruling.accepted, ruling.text)


@pytest.mark.parametrize(
    "spelling",
    ["alice", " Alice ", "stated:alice", "STATED: Alice", "al\u200bice", "al\u00adice",
     "\ufeffalice", "\uff41lice", "alice\u2060", "ali\x00ce", "alice\u200e",
     "\u202aalice\u202c", "al\ufe0fice",
     "alice\u3164", "stated:\u200balice", "sta\u200bted:alice"],
)  # fmt: skip
def test_another_spelling_is_no_second_person(spelling: str) -> None:
    assert person("alice") == person(spelling)


@pytest.mark.parametrize("other", ["alise", "alice b", "alic\u00e9", "bob", "alice2"])
def test_another_name_is_a_second_person(other: str) -> None:
    assert person("alice") != person(other)


def test_a_name_of_unseen_characters_is_none() -> None:
    assert "" == person("\u200b \u00ad\u3164")


def test_spaces_of_any_kind_and_number_are_one() -> None:
    assert person("ada king") == person("Ada\u00a0\u2003 King") == person("ada\t\nking")
    assert person("ada king") != person("adaking")
