"""Is a graph in a process of its own kept from harming anyone, whatever it does?

Real processes, real graphs. What the checks would never let in is handed to the host directly.
"""

import os
import select
import signal
import subprocess
import sys
import time

import msgspec
import numpy as np
import pytest
from model_kit import (
    ask,
    bundle_of,
    graph_bytes,
    loop_forever,
    not_a_number,
    rows,
    sixteen_gigabytes,
    vectors,
)

from titanflow.adapters.bundles.refusal import BundleRefusedError, Step
from titanflow.adapters.model_host import HostFailedError, Hosts, Limits, ModelHost, _Child
from titanflow.adapters.models import graph_of
from titanflow.core.base.breaker import BreakerLimits, BreakerState
from titanflow.core.spec.words import Reply
from tools.tree import ROOT

CONTAINED_SECONDS = 5.0  # the bar is 1 s on a quiet machine: benchmarks/hostile.py measures it


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture
def host():
    made = ModelHost(
        bundle_of(graph_bytes()),
        breaker=BreakerLimits(failures=3, first_ns=3_600 * 10**9),
    )
    made.start()
    yield made
    made.close()


@pytest.fixture
def unproven(monkeypatch):
    """Let a child through without golden vectors, as a graph that turns bad later would be."""
    monkeypatch.setattr(_Child, "_prove", lambda *_: None)


def test_it_gives_what_the_graph_gives_in_process(host) -> None:
    graph = graph_of(bundle_of(graph_bytes()))

    for count in (1, 64):
        assert (host.run(rows(count)) == graph.run(rows(count))).all()
    answers = host.predict([ask(n) for n in range(70)])
    assert {Reply.OK} == {answer.reply for answer in answers}
    assert answers == graph.predict([ask(n) for n in range(70)])


def test_its_end_leaves_no_process(host) -> None:
    pid = host.pid

    host.close()

    assert gone(pid)
    with pytest.raises(HostFailedError):
        host.run(rows(1))


def test_a_killed_child_is_an_answer_and_another_one_takes_over(host) -> None:
    os.kill(host.pid, signal.SIGKILL)

    (answer,) = host.predict([ask()])
    host.settle()
    (after,) = host.predict([ask()])

    assert Reply.FAILED is answer.reply
    assert Reply.OK is after.reply
    assert 2 == host.starts


def contained(model: bytes, reply: Reply, limits: Limits) -> ModelHost:
    made = ModelHost(bundle_of(model), limits)
    made.start()
    pid = made.pid
    start = time.monotonic()

    (answer,) = made.predict([ask()])

    assert time.monotonic() - start <= CONTAINED_SECONDS
    assert reply is answer.reply, answer
    if reply is Reply.TIMEOUT:
        assert gone(pid)
    made.close()
    return made


def test_an_endless_loop_is_ended_at_the_deadline(unproven) -> None:
    contained(loop_forever(), Reply.TIMEOUT, Limits())


def test_sixteen_gigabytes_meet_the_memory_limit(unproven) -> None:
    contained(sixteen_gigabytes(), Reply.FAILED, Limits(memory_bytes=256 << 20))


def test_nan_is_an_invalid_answer(unproven) -> None:
    contained(not_a_number(), Reply.INVALID, Limits())


def test_a_loop_whose_parent_is_gone_runs_out_of_processor_time(unproven) -> None:
    made = ModelHost(bundle_of(loop_forever()), Limits(timeout_seconds=20.0, cpu_seconds=1))
    made.start()
    start = time.monotonic()

    (answer,) = made.predict([ask()])

    made.close()
    assert Reply.FAILED is answer.reply
    assert "signal" in answer.text
    assert time.monotonic() - start < 10.0


@pytest.mark.parametrize(
    ("model", "step"),
    [(not_a_number(), Step.GOLDEN), (b"no graph", Step.LOAD)],
    ids=["nan", "noise"],
)
def test_what_is_not_proven_never_starts(model: bytes, step: Step) -> None:
    made = ModelHost(bundle_of(model))

    with pytest.raises(BundleRefusedError) as caught:
        made.start()

    assert step is caught.value.step
    assert 0 == made.pid


def test_an_endless_loop_is_noticed_at_its_first_golden_vector() -> None:
    made = ModelHost(bundle_of(loop_forever()))

    with pytest.raises(HostFailedError) as caught:
        made.start()

    assert Reply.TIMEOUT is caught.value.reply


def test_failures_in_a_row_open_the_breaker_and_a_trial_closes_it(host) -> None:
    for number in range(3):
        os.kill(host.pid, signal.SIGKILL)
        assert Reply.FAILED is host.predict([ask(number)])[0].reply
        host.settle()

    assert BreakerState.OPEN is host.breaker
    assert "breaker is open" in host.predict([ask()])[0].text
    host._breaker = msgspec.structs.replace(host._breaker, until=0)  # the hour is over
    assert Reply.REFUSED is host.predict([ask()])[0].reply  # it starts again
    host.settle()
    assert Reply.OK is host.predict([ask()])[0].reply
    assert BreakerState.CLOSED is host.breaker


def test_a_new_version_takes_a_name_over_and_the_old_one_ends_when_it_is_retired() -> None:
    hosts = Hosts()
    old = bundle_of(graph_bytes())
    new = bundle_of(graph_bytes(doc_string="another file of the same graph"))
    assert "" == hosts.serve(old)
    first, digest = hosts.host(old.contract.digest), old.contract.digest
    assert first is not None

    assert digest == hosts.serve(new)

    by_name, numbers = hosts.run("line", rows(2))
    assert new.contract.digest == by_name
    assert np.abs(numbers[:, 0] - vectors(2).values).max() < 1e-5
    asks = [ask(0, bundle=digest), ask(1, bundle=new.contract.digest), ask(2, bundle="ef" * 32)]
    assert [Reply.OK, Reply.OK, Reply.REFUSED] == [a.reply for a in hosts.predict(asks)]
    hosts.retire(digest)
    assert Reply.REFUSED is hosts.predict(asks)[0].reply
    assert 0 == first.pid
    hosts.close()


def test_a_version_that_is_refused_leaves_the_former_one_in_place() -> None:
    hosts = Hosts()
    good = bundle_of(graph_bytes())
    hosts.serve(good)

    with pytest.raises(BundleRefusedError):
        hosts.serve(bundle_of(not_a_number()))

    assert good.contract.digest == hosts.run("line", rows(1))[0]
    hosts.close()


PARENT = """
import sys
from model_kit import bundle_of, graph_bytes
from titanflow.adapters.model_host import ModelHost
host = ModelHost(bundle_of(graph_bytes()))
host.start()
print(host.pid, flush=True)
sys.stdin.read()
"""


def test_a_child_does_not_outlive_a_parent_that_was_killed() -> None:
    support = str(ROOT / "tests/support")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": support},
        text=True,
    )
    assert parent.stdout is not None
    child = os.pidfd_open(int(parent.stdout.readline()))

    parent.kill()
    parent.communicate()

    ended, _, _ = select.select([child], [], [], 5.0)
    os.close(child)
    assert ended
