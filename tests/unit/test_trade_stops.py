"""Does the last hop hear a kill switch by itself, and let go when risk has ruled?"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from trade_kit import Desk, orders, updates

from titanflow.core.base.ident import NO_ID
from titanflow.core.execution.desk import Trade
from titanflow.core.execution.stops import EARLY_REMEMBERED
from titanflow.core.facts import Fact, KillRuling, KillSwitch
from titanflow.core.spec.words import KillAction, KillScope, OrdStatus

MEMBERS = {"house": (1,)}


def desk_with_orders() -> Desk:
    """Return a desk at which ann and bob have an order in A and in B each."""
    desk = Desk()
    desk.trade = Trade(desk.ground, MEMBERS)
    for name in ("ann", "bob"):
        for symbol in "AB":
            desk.order(name, 1, 5, 90, symbol=symbol)
    desk.bar(100)
    return desk


def switch(desk: Desk, **changes: Any) -> KillSwitch:
    request = KillSwitch(
        desk._id(), NO_ID, desk.now, desk.now, KillScope.ARENA, "", True, (),
        KillAction.CANCEL_ALL, "a drill", "ada", "t1",
    )  # fmt: skip
    return msgspec.structs.replace(request, **changes)


def ruling(desk: Desk, request: KillSwitch, *, accepted: bool, epoch: int) -> list[Fact]:
    return desk.take(
        KillRuling(
            desk._id(), request.id, desk.now, desk.now, request.scope, request.name, accepted,
            request.engaged, "", epoch,
        )
    )  # fmt: skip


def rest(desk: Desk) -> list[tuple[str, str]]:
    return sorted((row[0], row[1]) for row in desk.trade.live_orders())


ALL = [("ann", "A"), ("ann", "B"), ("bob", "A"), ("bob", "B")]


@pytest.mark.parametrize(
    ("changes", "stopped"),
    [
        ({}, ALL),
        ({"instruments": ("B",)}, [("ann", "B"), ("bob", "B")]),
        ({"scope": KillScope.CONTENDER, "name": "ann"}, [("ann", "A"), ("ann", "B")]),
        ({"scope": KillScope.CONTENDER, "name": "ann", "instruments": ("A",)}, [("ann", "A")]),
        ({"scope": KillScope.INSTRUMENT, "name": "A"}, [("ann", "A"), ("bob", "A")]),
        ({"scope": KillScope.POLICY, "name": "house"}, [("bob", "A"), ("bob", "B")]),
        ({"action": KillAction.FLATTEN}, ALL),
        # What risk refuses at sight stops nothing.
        ({"scope": KillScope.CONTENDER, "name": "nobody"}, []),
        ({"scope": KillScope.POLICY, "name": "nobody"}, []),
        ({"scope": KillScope.INSTRUMENT, "name": "C"}, []),
        ({"scope": KillScope.INSTRUMENT, "name": "A", "instruments": ("A",)}, []),
        ({"instruments": ("C",)}, []),
        ({"by": ""}, []),
        ({"reason": ""}, []),
        ({"engaged": False}, []),
    ],
)
def test_a_request_cancels_and_bars_its_scope_until_the_ruling(
    changes: dict[str, Any], stopped: list[tuple[str, str]]
) -> None:
    desk = desk_with_orders()
    request = switch(desk, **changes)

    said = desk.take(request)

    assert stopped == sorted((u.contender, u.symbol) for u in updates(said))
    assert {(4, f"KILL:{request.scope}")} >= {(u.reason, u.text) for u in updates(said)}
    assert [pair for pair in ALL if pair not in stopped] == rest(desk)
    # Nothing new passes there, whatever epoch it names; elsewhere it does.
    for name, symbol in ALL:
        answer = desk.order(name, 1, 5, 90, symbol=symbol, kill_epoch=9)
        texts = [u.text for u in updates(answer) if u.status is OrdStatus.REJECTED]
        assert (["KILL:EPOCH"] if (name, symbol) in stopped else []) == texts
        assert 1 == len(orders(answer))
    # After the ruling the epoch decides.
    ruling(desk, request, accepted=True, epoch=1)
    assert ["KILL:EPOCH"] == [u.text for u in updates(desk.order("ann", 1, 5, 90))]
    assert [] == updates(desk.order("ann", 1, 5, 90, kill_epoch=1))


def test_who_only_rejects_cancels_nothing() -> None:
    desk = desk_with_orders()

    assert [] == desk.take(switch(desk, action=KillAction.REJECT_NEW))

    assert ALL == rest(desk)
    assert ["KILL:EPOCH"] == [u.text for u in updates(desk.order("ann", 1, 5, 90))]


def test_a_refused_request_stops_nothing_any_more() -> None:
    desk = desk_with_orders()
    request = switch(desk)
    desk.take(request)

    ruling(desk, request, accepted=False, epoch=0)

    assert [] == updates(desk.order("ann", 1, 5, 90))


def test_a_ruling_that_comes_before_its_request_settles_it() -> None:
    desk = desk_with_orders()
    request = switch(desk)
    ruling(desk, request, accepted=False, epoch=0)

    assert [] == desk.take(request)

    assert ALL == rest(desk)
    assert [] == updates(desk.order("ann", 1, 5, 90))
    # It is settled once: the same words again are another request only by another id.
    assert updates(desk.take(switch(desk)))


def test_while_stopped_a_replacement_is_refused_and_a_cancel_passes() -> None:
    desk = desk_with_orders()
    desk.take(switch(desk, action=KillAction.REJECT_NEW))
    (mine,) = [t for t in desk.trade.tickets() if (t.contender, t.symbol) == ("ann", "A")]

    refused = desk.replace("ann", mine.client_order_id, 3, 91)
    passed = desk.cancel("ann", mine.client_order_id)

    assert ["KILL:EPOCH"] == [u.text for u in updates(refused)]
    assert [OrdStatus.PENDING_CANCEL] == [u.status for u in updates(passed)]


def test_a_snapshot_holds_what_waits_for_its_ruling_and_what_was_ruled_early() -> None:
    desk = desk_with_orders()
    early = switch(desk)
    ruling(desk, early, accepted=False, epoch=0)
    request = switch(desk, scope=KillScope.CONTENDER, name="ann")
    desk.take(request)
    other = Trade(desk.ground, MEMBERS)

    other.load(desk.trade.dump())

    assert desk.trade.digest() == other.digest()
    desk.trade = other
    assert ["KILL:EPOCH"] == [u.text for u in updates(desk.order("ann", 1, 5, 90))]
    assert [] == desk.take(early)
    ruling(desk, request, accepted=False, epoch=0)
    assert [] == updates(desk.order("ann", 1, 5, 90))


def test_early_rulings_are_forgotten_one_by_one() -> None:
    desk = desk_with_orders()
    requests = [switch(desk) for _ in range(EARLY_REMEMBERED + 1)]
    for request in requests:
        ruling(desk, request, accepted=False, epoch=0)

    assert [] == desk.take(requests[-1])
    assert updates(desk.take(requests[0]))
