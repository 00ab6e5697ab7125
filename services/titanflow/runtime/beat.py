"""What does a heartbeat say? How a pod is, four times a second, for whoever supervises or asks."""

from __future__ import annotations

import msgspec


class BeatSpan(msgspec.Struct, frozen=True):
    """Durations between two stations over the last minute, ns."""

    count: int = 0
    p50: int = 0
    p99: int = 0
    p999: int = 0
    max: int = 0


class Beat(msgspec.Struct, frozen=True, rename="camel"):
    """One heartbeat, as far as others read it; a field that is not there has its default.

    Instants are ns UTC, durations ns; `at` and `watermark` are event times.
    """

    pod: str
    pid: int = 0
    state: str = "Running"
    waits_for: str = ""
    number: int = 0
    said_at: int = 0
    """When it was said, by the pod's own clock."""
    at: int = 0
    watermark: int = 0
    lag_count: int = 0
    lag_ns: int = 0
    started_at: int = 0
    starts: int = 0
    code: str = ""
    address: str = ""
    metrics: str = ""
    spans: dict[str, BeatSpan] = {}
    published: BeatSpan | None = None
    """From a turn to its acknowledgement, since the start of the process."""


def read_beat(data: bytes) -> Beat | None:
    """Return what a heartbeat says; None if it is none."""
    try:
        return msgspec.json.decode(data, type=Beat)
    except msgspec.DecodeError:
        return None
