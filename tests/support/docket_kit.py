"""Requests, rulings and a small docket in a file, for tests of the docket."""

from __future__ import annotations

from pathlib import Path

from titanflow.core.base.ident import NO_ID, Id
from titanflow.core.facts import KillRuling, KillSwitch
from titanflow.core.governance.docket import Matter, opened, ruled
from titanflow.core.spec.words import KillAction, KillScope
from titanflow.runtime.docket import Docket

FIRST = opened("main", "d" * 64, ())
STREAM = "TF_main_ORDER"


def ident(number: int) -> Id:
    return Id(number.to_bytes(16, "little"))


def request(number: int, *, engaged: bool = True, by: str = "ada") -> KillSwitch:
    return KillSwitch(
        ident(number), NO_ID, 5, 5, KillScope.CONTENDER, "dice", engaged, ("AAA", "BBB"),
        KillAction.FLATTEN, "a drill", by, f"t{number}",
    )  # fmt: skip


def ruling(asked: KillSwitch, number: int, *, accepted: bool = True, text: str = "") -> KillRuling:
    return KillRuling(
        ident(number), asked.id, 7, 7, asked.scope, asked.name, accepted, asked.engaged,
        text or asked.reason, number,
    )  # fmt: skip


def ruled_on(number: int, sequence: int, *, engaged: bool = True, accepted: bool = True) -> Matter:
    asked = request(number, engaged=engaged)
    return ruled(asked, ruling(asked, number + 100, accepted=accepted), STREAM, sequence)


def written(path: Path) -> None:
    with Docket(path, FIRST, print) as docket:
        docket.append(ruled_on(1, 10))
        docket.append(ruled_on(2, 12, engaged=False, accepted=False))
