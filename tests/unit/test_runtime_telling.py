"""Are numbers told as they are: latencies of the last minute, silent pods, the page of metrics?"""

from __future__ import annotations

import re

import msgspec
import pytest

from titanflow.adapters.bus.client import BEGAN, RULED, SENT
from titanflow.adapters.bus.streams import Pod, Topology
from titanflow.adapters.rpc.ports import PodState
from titanflow.adapters.rpc.trace import HEADER, read_trace
from titanflow.runtime.metrics import PREFIX, TABLE, Exposition, bars
from titanflow.runtime.timing import SLICE_NS, SLICES, Beside, Histogram, Lag, Lately
from titanflow.runtime.watchman import SILENT_NS, Watchman, services_of
from tools.tree import ROOT

TOPOLOGY = Topology(
    "main",
    (
        Pod("gateway", role="gateway"),
        Pod("governance", role="governance"),
        Pod("risk", ("gate",)),
        Pod("ledger", ("post", "score")),
    ),
    leases=True,
)


def test_durations_are_forgotten_after_a_minute_and_kept_in_the_whole() -> None:
    lately = Lately()
    lately.add(40_000, SLICE_NS)
    lately.add(3_000_000, 3 * SLICE_NS)

    assert 2 == lately.lately(4 * SLICE_NS).count
    assert 3_000_000 == lately.lately((SLICES + 2) * SLICE_NS).quantile(0.5)
    assert 0 == lately.lately((SLICES + 3) * SLICE_NS).count
    assert {"count": 2, "p50": 50_000, "p99": 3_000_000, "p999": 3_000_000, "max": 3_000_000} == (
        lately.whole.brief()
    )


def test_a_lag_has_an_age_only_while_something_waits() -> None:
    assert 5 == Lag(3, 10).age_ns(15)
    assert 0 == Lag(0, 10).age_ns(15)
    assert 0 == Lag(3, 20).age_ns(15)


def test_what_goes_beside_a_turn_is_handed_on() -> None:
    market = {HEADER: f"00-{'ab' * 16}-{'cd' * 8}-01", SENT: "17"}
    belief = Beside.after(market, is_market=True).headers(())
    verdict = Beside.after(belief, is_market=False)

    assert ("17", 17) == (belief[BEGAN], verdict.began)
    traces = [read_trace(headers[HEADER]) for headers in (market, belief)]
    assert traces[0].trace_id == traces[1].trace_id == verdict.trace.trace_id
    assert traces[0].span_id != traces[1].span_id
    assert RULED not in belief
    assert 0 == Beside.after({SENT: "-1"}, is_market=True).began
    assert BEGAN not in Beside.after({}, is_market=False).headers(())


def beat(pod: str, **more: object) -> bytes:
    return msgspec.json.encode({"pod": pod, "address": "127.0.0.1:7", **more})


def test_a_pod_that_says_nothing_is_silent_and_a_span_is_that_of_the_slowest() -> None:
    now = [1_000]
    watchman = Watchman("s-1", TOPOLOGY, TOPOLOGY.pods, lambda: now[0])
    span = {"count": 1, "p50": 1, "p99": 2, "p999": 3, "max": 4}
    watchman.hear("tf.main.beat.risk", beat("risk", watermark=70, at=80, spans={"verdict": span}))
    watchman.hear("tf.main.beat.risk", b"no beat")
    # Who claims to be another is not believed: its address would be asked in the other's place.
    watchman.hear("tf.main.beat.risk", beat("gateway", at=2**62))
    now[0] += SILENT_NS + 1
    slow = span | {"p99": 9, "p999": 9, "max": 9}
    watchman.hear(
        "tf.main.beat.ledger",
        beat("ledger", watermark=60, at=75, spans={"entry": span, "verdict": slow}),
    )

    said = watchman.session()

    states = {pod.name: pod.state for pod in said.pods}
    assert (PodState.SILENT, PodState.RUNNING) == (states["risk"], states["ledger"])
    assert PodState.STARTING == states["gateway"]
    assert (60, 80) == (said.watermark, watchman.at)
    assert [("event → verdict", 2, 9), ("event → entry", 1, 2)] == [
        (each.name, each.count, each.p99_ns) for each in said.spans
    ]
    assert ("127.0.0.1:7", "") == (watchman.address("risk"), watchman.address("gateway"))
    assert [("gateway",), ("governance",), ("risk",), ("ledger",)] == [
        services_of(pod) for pod in TOPOLOGY.pods
    ]


def test_the_page_of_metrics_is_the_table() -> None:
    page = (ROOT / "docs/metrics.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith(f"| `{PREFIX}")]
    drawn = []
    for metric in TABLE:
        name = PREFIX + metric.name + ("_total" if metric.kind == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "—"
        drawn.append(f"| `{name}` | {metric.kind} | {labels} | {metric.help} |")

    told = [row for row in rows if row.count("|") == 5]
    assert drawn == told


def test_a_histogram_is_exported_with_sums_that_agree() -> None:
    histogram = Histogram()
    for duration in (5_000, 15_000, 6_000_000_000):
        histogram.add(duration)
    exposition = Exposition("risk", lambda: [("apply_seconds", {(): bars(histogram)})])

    (family,) = exposition.collect()

    values = {
        (sample.name.removeprefix(PREFIX), sample.labels.get("le", "")): sample.value
        for sample in family.samples
    }
    assert 1 == values["apply_seconds_bucket", "1e-05"]
    assert 2 == values["apply_seconds_bucket", "5"]
    assert 3 == values["apply_seconds_bucket", "+Inf"] == values["apply_seconds_count", ""]
    assert pytest.approx(6.00002) == values["apply_seconds_sum", ""]
    assert all(re.fullmatch(r"[a-z_]+", metric.name) for metric in TABLE)
