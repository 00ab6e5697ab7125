"""Does the supervisor believe a pod only about itself, and survive what is no heartbeat?"""

from pathlib import Path

import msgspec
import pytest
from kit import small_folder

from titanflow.adapters.bus.streams import subject
from titanflow.runtime.plan import prepare
from titanflow.runtime.up import Supervisor, begin

Supervised = tuple[Supervisor, list[str]]


@pytest.fixture
def supervised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Supervised:
    monkeypatch.setenv("TITANFLOW_HOME", str(tmp_path / "state"))
    plan = prepare(small_folder(tmp_path / "arena", 5), None)
    notices: list[str] = []
    return Supervisor(begin(plan, "split", 0.0)[0], notices.append), notices


def hear(supervisor: Supervisor, pod: str, data: bytes) -> None:
    supervisor._hear(subject(supervisor.topology.arena, "beat", pod), data)


def test_a_heartbeat_is_about_the_pod_on_whose_subject_it_comes(supervised: Supervised) -> None:
    supervisor, _ = supervised
    lie = msgspec.json.encode({"pod": "governance", "pid": 7, "number": 3})

    hear(supervisor, "risk", lie)

    assert {"risk": {"pod": "risk", "pid": 7, "number": 3}} == supervisor.states


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xfe", b"[1]", b'{"pid": 7}', b'{"pod": 1}', b'{"pod": "risk", "number": "x"}',
     b'{"pod": "risk"', b"null"],
)  # fmt: skip
def test_what_is_no_heartbeat_does_not_count_and_is_told_once(
    supervised: Supervised, data: bytes
) -> None:
    supervisor, notices = supervised

    for _ in range(3):
        hear(supervisor, "risk", data)

    assert {} == supervisor.states
    assert ["pod risk says heartbeats that are none; they do not count"] == notices


def test_a_heartbeat_of_nobody_is_not_kept(supervised: Supervised) -> None:
    supervisor, notices = supervised

    for number in range(100):
        hear(supervisor, f"stranger-{number}", b'{"pod": "risk"}')

    assert {} == supervisor.states
    assert [] == notices
