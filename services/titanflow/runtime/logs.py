"""What does a pod log? One line of JSON for machines and people, on its standard error."""

from __future__ import annotations

import json
import sys
import time
from typing import Literal

from titanflow.adapters.rpc.trace import CURRENT

Level = Literal["info", "warning", "error"]


def log(pod: str, said: str, level: Level = "info", **fields: object) -> None:
    """Write one line: time (s since 1970, UTC), level, pod, what was said, the trace, and numbers.

    The trace's id is there where the line belongs to an input or a call.
    """
    line: dict[str, object] = {
        "time": round(time.time(), 3),
        "level": level,
        "pod": pod,
        "said": said,
    }
    trace = CURRENT.get()
    if trace is not None:
        line["trace"] = trace.trace_id
    sys.stderr.write(json.dumps(line | fields) + "\n")
    sys.stderr.flush()
