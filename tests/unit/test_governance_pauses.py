"""A pause is passed on once for each token, and stands in the docket; a full docket stops nobody
who stops trading.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from titanflow.adapters.bus.streams import Pod, Topology
from titanflow.adapters.rpc.caller import Identity
from titanflow.adapters.rpc.line_view import Vocabulary
from titanflow.adapters.rpc.ports import Command, Ruling, Verb
from titanflow.adapters.rpc.refusal import Code, RefusalError, not_ready
from titanflow.core.base.errors import AdapterError
from titanflow.core.base.ident import NO_ID
from titanflow.core.governance.docket import DocketKind, opened
from titanflow.core.spec.words import KillAction, KillScope
from titanflow.runtime import docket as module
from titanflow.runtime.docket import Docket
from titanflow.runtime.governance import Governance

POD = Pod("governance", role="governance")
TOPOLOGY = Topology("main", (POD, Pod("line", ("gate", "trade", "post", "score"))))


def command(verb: Verb, token: str = "t1", by: str = "ada") -> Command:
    identity = Identity(by, proven=False)
    return Command(verb, KillScope.ARENA, "", (), KillAction.CANCEL_ALL, "lunch", token, identity)


class Gateway:
    """Who is asked for a pause."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None

    async def __call__(self, _: Command) -> Ruling:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return Ruling(True, 0, "no new instant begins", NO_ID)


def governance(path: Path, gateway: Gateway) -> tuple[Governance, Docket]:
    docket = Docket(path, opened("main", "d" * 64, ()), print)
    names = Vocabulary((), (), ())
    return Governance(cast("Any", None), TOPOLOGY, POD, names, gateway, docket), docket


def refusal(made: Governance, asked: Command) -> RefusalError:
    with pytest.raises(RefusalError) as error:
        asyncio.run(made.submit(asked))
    return error.value


def test_a_pause_is_entered_once_also_over_a_restart(tmp_path: Path) -> None:
    gateway, path = Gateway(), tmp_path / "docket.jsonl"
    for _ in range(2):
        made, docket = governance(path, gateway)
        with docket:
            said = [asyncio.run(made.submit(command(Verb.PAUSE))) for _ in range(2)]
            assert said[0] == said[1]
            assert "no new instant begins" == said[0].text
            assert 2 == docket.count
            entry = docket.on(said[0].id.hex())
            assert entry is not None
            assert DocketKind.PAUSE is entry.matter.kind
    assert 1 == gateway.asked


def test_a_token_that_paused_names_nothing_else_later(tmp_path: Path) -> None:
    made, docket = governance(tmp_path / "docket.jsonl", Gateway())
    with docket:
        asyncio.run(made.submit(command(Verb.PAUSE)))
        for other in (command(Verb.RESUME), command(Verb.PAUSE, by="eve")):
            said = refusal(made, other)
            assert (Code.ALREADY_EXISTS, "TOKEN_USED") == (said.code, said.reason)
            assert {"verb": "Pause", "scope": "Arena", "name": ""} == said.facts


def test_what_the_gateway_does_not_answer_is_not_entered(tmp_path: Path) -> None:
    gateway = Gateway()
    gateway.error = not_ready("the gateway")
    made, docket = governance(tmp_path / "docket.jsonl", gateway)
    with docket:
        assert "NOT_READY" == refusal(made, command(Verb.PAUSE)).reason
        assert 1 == docket.count


def test_a_full_docket_refuses_what_does_not_stop_trading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = Gateway()
    made, docket = governance(tmp_path / "docket.jsonl", gateway)
    monkeypatch.setattr(module, "ENTRIES_MAX", module.RESERVE + 1)
    with docket:
        assert "DOCKET_FULL" == refusal(made, command(Verb.PAUSE)).reason
        made._ready = True
        assert "DOCKET_FULL" == refusal(made, command(Verb.RELEASE)).reason
        # It came as far as the first event, which is not there yet.
        assert "NOT_READY" == refusal(made, command(Verb.KILL)).reason
    assert 0 == gateway.asked


def test_an_entry_that_may_be_torn_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, docket = governance(tmp_path / "docket.jsonl", Gateway())

    def full(_: object) -> None:
        raise AdapterError("the disk is full")

    async def talk() -> None:
        made._failed = asyncio.get_running_loop().create_future()
        with pytest.raises(AdapterError):
            await made.submit(command(Verb.PAUSE))
        assert isinstance(made._failed.result(), AdapterError)

    with docket:
        monkeypatch.setattr(docket, "append", full)
        asyncio.run(talk())
