"""Which numbers does a pod export? The table here is the contract; docs/metrics.md shows it.

Numbers are read when somebody asks for the page, in a thread of its own, from counts that only the
pod's loop changes. Every name begins with `titanflow_`; units are seconds and bytes, as the custom
of Prometheus wants.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from titanflow.adapters.rpc.meter import BOUNDS_NS as CALL_BOUNDS_NS
from titanflow.adapters.rpc.meter import Meter
from titanflow.runtime.timing import BOUNDS_NS, Histogram

NS: Final = 1e9
PREFIX: Final = "titanflow_"


class Metric(msgspec.Struct, frozen=True):
    """One row of the contract."""

    name: str
    """Without prefix; a counter's without its `_total`."""
    kind: str
    labels: tuple[str, ...]
    help: str


TABLE: Final = (
    Metric("pod", "gauge", ("services", "version"), "1; what the pod is"),
    Metric("pod_starts", "counter", (), "starts of the pod in this session, this one included"),
    Metric("pod_memory_bytes", "gauge", (), "resident memory"),
    Metric("pod_ready", "gauge", (), "1 while nothing is waited for"),
    Metric("turns", "counter", (), "turns said in this session"),
    Metric("event_time_seconds", "gauge", (), "event time of the last input, since 1970"),
    Metric("watermark_seconds", "gauge", (), "event time up to which all is handled, since 1970"),
    Metric("apply_seconds", "histogram", (), "from an input in hand to the turn on it"),
    Metric("publish_seconds", "histogram", (), "from a turn to its acknowledgement"),
    Metric("line_seconds", "histogram", ("station",), "from the market event to facts of a kind"),
    Metric("consumer_pending_messages", "gauge", ("stream",), "messages behind the last one read"),
    Metric("consumer_lag_seconds", "gauge", ("stream",), "age of the last one, if others wait"),
    Metric("bus_events", "counter", ("event",), "what happened on the link to the NATS server"),
    Metric("bus_up", "gauge", (), "1 while there is a link"),
    Metric("kill_epoch", "gauge", (), "accepted rulings on kill switches; risk and governance"),
    Metric("kill_engaged", "gauge", ("switch",), "1 for each engaged kill switch; governance"),
    Metric(
        "lease_age_seconds", "gauge", (), "since the lease was renewed; who needs or watches it"
    ),
    Metric("lease_stale", "gauge", (), "1 while nothing passes for want of a lease"),
    Metric(
        "incidents_open", "gauge", ("kind", "about"), "1 for what is wrong with a pod; sentinel"
    ),
    Metric("incidents", "counter", ("kind",), "incidents that began; sentinel"),
    Metric("market_events", "counter", (), "market events published; gateway"),
    Metric("market_paused", "gauge", (), "1 while the market is paused; gateway"),
    Metric("journal_turns", "counter", (), "turns written to the journal; who writes it"),
    Metric("rpc_calls", "counter", ("method", "code"), "finished calls"),
    Metric("rpc_running", "gauge", ("method",), "calls that go on now"),
    Metric("rpc_refused", "counter", (), "calls refused for want of room"),
    Metric("rpc_seconds", "histogram", ("method",), "duration of calls that were answered at once"),
)
"""Every name that a pod may export; one that does not concern it is left out."""

Values = Mapping[Any, Any]
"""A number, or `Bars`, by the values of the labels, a tuple of texts."""
Read = Callable[[], Iterable[tuple[str, Values]]]
"""Gives, by name, the value of each set of labels."""
_BY_NAME: Final = {metric.name: metric for metric in TABLE}


class Exposition(Collector):
    """One pod's page. *read* is called for each look at it."""

    def __init__(self, pod: str, read: Read) -> None:
        self._pod, self._read = pod, read
        self.address = ""

    def start(self) -> None:
        """Serve the page on a free port of this machine, as long as the process lives."""
        registry = CollectorRegistry()
        registry.register(self)
        server, _ = start_http_server(0, addr="127.0.0.1", registry=registry)
        self.address = f"http://127.0.0.1:{server.server_port}/metrics"

    def describe(self) -> Iterator[Any]:
        """Give the families of the table, so that nothing is read before somebody asks."""
        return (_family(metric) for metric in TABLE)

    def collect(self) -> Iterator[Any]:
        """Give what there is to tell now."""
        for name, values in self._read():
            metric = _BY_NAME[name]
            family = _family(metric)
            for labels, value in values.items():
                _add(family, [self._pod, *labels], value)
            yield family


def _family(metric: Metric) -> Any:
    labels = ["pod", *metric.labels]
    kinds = {
        "counter": CounterMetricFamily,
        "gauge": GaugeMetricFamily,
        "histogram": HistogramMetricFamily,
    }
    return kinds[metric.kind](PREFIX + metric.name, metric.help, labels=labels)


def _add(family: Any, labels: Sequence[str], value: Any) -> None:
    if isinstance(family, HistogramMetricFamily):
        buckets, seen = [], 0
        for bound, count in zip((*value.bounds, None), value.counts, strict=True):
            seen += count
            buckets.append(("+Inf" if bound is None else f"{bound / NS:g}", seen))
        family.add_metric(labels, buckets, value.total / NS)
    else:
        family.add_metric(labels, float(value))


class Bars(msgspec.Struct, frozen=True):
    """A histogram at one instant; the sum of its counts is its count, whoever adds meanwhile."""

    bounds: tuple[int, ...]
    counts: tuple[int, ...]
    total: int


def bars(histogram: Histogram) -> Bars:
    """Return what a histogram holds now."""
    return Bars(BOUNDS_NS, tuple(histogram.buckets), histogram.total)


def of_meter(meter: Meter) -> Iterator[tuple[str, Values]]:
    """Give what a server counted."""
    yield "rpc_calls", dict(meter.calls)
    yield "rpc_running", {(method,): count for method, count in tuple(meter.running.items())}
    yield "rpc_refused", {(): meter.shed}
    yield (
        "rpc_seconds",
        {
            (method,): Bars(CALL_BOUNDS_NS, tuple(each.counts), each.sum_ns)
            for method, each in tuple(meter.durations.items())
        },
    )


def memory_bytes() -> int:
    """Return the resident memory of this process; 0 where the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_text("ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
