"""What does a pod tell of itself? Its heartbeat and its numbers, both from the same parts."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from titanflow.adapters.bus.client import Bus
from titanflow.adapters.bus.streams import Pod
from titanflow.adapters.rpc.ports import IncidentKind
from titanflow.runtime.chronicle import Chronicle
from titanflow.runtime.code import code_version, version
from titanflow.runtime.front import Front
from titanflow.runtime.gateway import Gateway
from titanflow.runtime.governance import Governance
from titanflow.runtime.lease import Lease
from titanflow.runtime.metrics import (
    Exposition,
    Values,
    bars,
    memory_bytes,
    of_meter,
)
from titanflow.runtime.pod import Host
from titanflow.runtime.sentinel import Sentinel
from titanflow.runtime.shard import END
from titanflow.runtime.watchman import services_of

EVENT_TIME_MAX = END - 1
"""Watermarks from here on are words of the gateway, not times."""


class Servant(Protocol):
    """What a pod does that hosts no stage and whose part is known above the runtime."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until *stopping* is set."""
        ...

    def state(self) -> dict[str, object]:
        """Return how it goes, for the pod's beat."""
        ...


@dataclass
class Parts:
    """What a pod's process is made of; what it does not have is None."""

    pod: Pod
    bus: Bus
    folder: Path
    started_at: int = field(default_factory=time.time_ns)
    starts: int = 1
    stopping: bool = False
    front: Front | None = None
    page: Exposition | None = None
    host: Host | None = None
    gateway: Gateway | None = None
    governance: Governance | None = None
    sentinel: Sentinel | None = None
    chronicle: Chronicle | None = None
    servant: Servant | None = None
    lease: Lease | None = None


def count_start(folder: Path) -> int:
    """Return how often the pod was started in this session, this time included."""
    file = folder / "starts"
    try:
        former = int(file.read_text("ascii"))
    except (OSError, ValueError):
        former = 0
    file.write_text(f"{former + 1}\n", "ascii")
    return former + 1


def beat_of(parts: Parts) -> dict[str, object]:
    """Return what the pod says of itself four times a second; see `beat.Beat`."""
    said: dict[str, object] = {
        "pod": parts.pod.name,
        "pid": os.getpid(),
        "rssKiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "counters": vars(parts.bus.counters),
        "state": "Running",
        "waitsFor": "",
        "saidAt": time.time_ns(),
        "startedAt": parts.started_at,
        "starts": parts.starts,
        "code": code_version(),
    }
    if parts.front is not None:
        said |= {"address": parts.front.address, "waitsFor": parts.front.health.waits_for}
        if not parts.front.health.ready:
            said["state"] = "Starting" if parts.host is None else "CatchingUp"
    if parts.page is not None:
        said["metrics"] = parts.page.address
    if parts.stopping:
        said["state"] = "Draining"
    if parts.servant is not None:
        said |= parts.servant.state()
    if parts.governance is not None:
        said |= {"number": parts.governance.number, "at": parts.governance.at}
    if parts.sentinel is not None:
        said |= {"number": parts.sentinel.number, "at": parts.sentinel.at}
    if parts.gateway is not None:
        gateway = parts.gateway
        said |= {"number": gateway.number, "at": gateway.at, "events": gateway.published}
        said |= {"watermark": _time(gateway.watermark, gateway.at), "paused": gateway.is_paused}
    if parts.host is not None:
        said |= _of_host(parts.host)
    if parts.chronicle is not None:
        said |= {"turns": parts.chronicle.turns, "digest": parts.chronicle.digest}
    return said


def _of_host(host: Host) -> dict[str, object]:
    now = time.time_ns()
    lags = tuple(host.lags.values())
    said: dict[str, object] = {
        "number": host.shard.number,
        "at": host.at,
        "watermark": _time(host.shard.watermark, host.at),
        "lagCount": sum(lag.pending for lag in lags),
        "lagNs": max((lag.age_ns(now) for lag in lags), default=0),
        "applied": host.timing.applied.brief(),
        "published": host.timing.published.brief(),
        "spans": host.timing.spans(),
    }
    if "score" in host.pod.stages:  # the one that has everybody's books
        said["equities"] = host.shard.stages.post.equities().tolist()
    return said


def numbers_of(parts: Parts) -> Iterator[tuple[str, Values]]:
    """Give the pod's numbers now; the names are those of `metrics.TABLE`."""
    pod, bus = parts.pod, parts.bus
    yield "pod", {(",".join(services_of(pod)), version()): 1}
    yield "pod_starts", {(): parts.starts}
    yield "pod_memory_bytes", {(): memory_bytes()}
    yield "bus_up", {(): bus.is_up}
    yield "bus_events", {(name,): count for name, count in tuple(vars(bus.counters).items())}
    if parts.front is not None:
        yield "pod_ready", {(): parts.front.health.ready}
        yield from of_meter(parts.front.server.meter)
    if parts.host is not None:
        yield from _numbers_of_host(parts.host)
    if parts.lease is not None:
        yield "lease_age_seconds", {(): parts.lease.age_seconds}
        yield "lease_stale", {(): parts.lease.is_stale}
    if parts.gateway is not None:
        gateway = parts.gateway
        yield "turns", {(): gateway.number}
        yield "event_time_seconds", {(): gateway.at / 1e9}
        yield "watermark_seconds", {(): _time(gateway.watermark, gateway.at) / 1e9}
        yield "market_events", {(): gateway.published}
        yield "market_paused", {(): gateway.is_paused}
    if parts.governance is not None:
        yield "turns", {(): parts.governance.number}
        yield "kill_epoch", {(): parts.governance.epoch}
        yield "kill_engaged", {(switch,): 1 for switch in parts.governance.engaged}
    if parts.sentinel is not None:
        yield from _numbers_of_sentinel(parts.sentinel)
    if parts.chronicle is not None:
        yield "journal_turns", {(): parts.chronicle.turns}


def _numbers_of_host(host: Host) -> Iterator[tuple[str, Values]]:
    timing, now = host.timing, time.time_ns()
    lags = dict(host.lags)
    yield "turns", {(): host.shard.number}
    yield "event_time_seconds", {(): host.at / 1e9}
    yield "watermark_seconds", {(): _time(host.shard.watermark, host.at) / 1e9}
    yield "apply_seconds", {(): bars(timing.applied)}
    yield "publish_seconds", {(): bars(timing.published)}
    yield "line_seconds", {(name,): bars(each.whole) for name, each in timing.line.items()}
    yield "consumer_pending_messages", {(name,): lag.pending for name, lag in lags.items()}
    yield "consumer_lag_seconds", {(name,): lag.age_ns(now) / 1e9 for name, lag in lags.items()}
    if "gate" in host.pod.stages:
        yield "kill_epoch", {(): host.shard.stages.gate.kill_epoch}


def _numbers_of_sentinel(sentinel: Sentinel) -> Iterator[tuple[str, Values]]:
    yield "turns", {(): sentinel.number}
    watch = sentinel.watch
    if watch is None:
        return
    yield "lease_age_seconds", {(): sentinel.lease_age_seconds}
    yield "lease_stale", {(): watch.is_stale}
    yield "incidents_open", {(each.kind.value, each.pod): 1 for each in watch.open}
    yield "incidents", {(kind.value,): watch.begun[kind] for kind in IncidentKind}


def _time(watermark: int, at: int) -> int:
    """Return a watermark as an event time: the gateway's last words are later than any."""
    return at if watermark >= EVENT_TIME_MAX else watermark
