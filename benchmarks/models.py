"""What does our predictor cost beside bare onnxruntime? One row, and a batch of 64, interleaved.

    python -m benchmarks.models

Both run the graph of the example's bundle `direction` with one thread and the same options: the one
by `InferenceSession.run` with nothing around it, the other by `Graph.run`, with its copies in and
out and the check that every number is finite. Rounds alternate, so that both meet the same noise;
the medians over the rounds are compared. A third line shows the whole way from asks to answers, and
a fourth the way through a process of its own. Ends with 1 when a bar is missed.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

from titanflow.adapters.bundles.bundle import Bundle
from titanflow.adapters.bundles.signing import Trust
from titanflow.adapters.bundles.store import list_bundles, open_file
from titanflow.adapters.model_host import ModelHost
from titanflow.adapters.models import SILENT, Graphs, finite_rows, graph_of
from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.facts import Ask

ARENA = Path(__file__).parents[1] / "examples/arena"
ROUNDS = 61
BARS = {1: 1.10, 64: 1.05}
"""Most that our median may be, as a multiple of the bare one, by rows."""
CALLS = {1: 2000, 64: 200}


def bundle() -> Bundle:
    """Return the bundle that is measured."""
    (found,) = [each for each in list_bundles(ARENA / "bundles") if each.name == "direction"]
    return open_file(found.path, Trust([ARENA / "keys"]))


def bare(model: bytes) -> onnxruntime.InferenceSession:
    """Return a session with the options of ours."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = SILENT
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def seconds(call: Callable[[], object], count: int) -> float:
    """Return the time of one call, over *count* calls."""
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def medians(calls: dict[str, Callable[[], object]], count: int) -> dict[str, float]:
    """Return the median time of each call in microseconds, in rounds that alternate."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        seconds(call, count)
    for number in range(ROUNDS):
        names = list(calls) if number % 2 else list(calls)[::-1]
        for name in names:
            found[name].append(seconds(calls[name], count))
    return {name: statistics.median(each) * 1e6 for name, each in found.items()}


def asks(subject: Bundle, count: int) -> list[Ask]:
    """Return asks about the first golden vectors."""
    return [
        Ask(
            derive(NO_ID, b"bench", number),
            NO_ID,
            0,
            0,
            f"c{number}",
            "AAPL",
            subject.contract.digest,
            tuple(float(value) for value in subject.golden.features[number]),
        )
        for number in range(count)
    ]


def main() -> int:
    """Measure, print, judge."""
    subject = bundle()
    graph, graphs, session = graph_of(subject), Graphs([subject]), bare(subject.model)
    host = ModelHost(subject)
    host.start()
    print(
        f"{subject.contract.name} {subject.contract.digest[:12]}, {len(subject.model):,} bytes; "
        f"onnxruntime {onnxruntime.__version__}, numpy {np.__version__}, "
        f"Python {platform.python_version()}, {os.cpu_count()} processors, "
        f"load {os.getloadavg()[0]:.1f}; medians of {ROUNDS} rounds"
    )
    missed = 0
    for rows, most in BARS.items():
        features, questions = subject.golden.features[:rows].copy(), asks(subject, rows)

        def ours(features: np.ndarray = features) -> object:
            numbers = graph.run(features)
            return numbers, finite_rows(numbers)

        def plain(features: np.ndarray = features) -> object:
            return session.run(None, {"features": features})

        def whole(questions: list[Ask] = questions) -> object:
            return graphs.predict(questions)

        def apart(features: np.ndarray = features) -> object:
            return host.run(features)

        told = medians({"bare": plain, "ours": ours}, CALLS[rows])
        told |= medians({"answers": whole}, CALLS[rows] // 10)
        told |= medians({"apart": apart}, CALLS[rows] // 10)
        ratio = told["ours"] / told["bare"]
        missed += ratio > most
        print(
            f"{rows:3d} rows: bare {told['bare']:8.2f} us, ours {told['ours']:8.2f} us, ratio "
            f"{ratio:.3f} (at most {most}); asks to answers {told['answers']:8.2f} us; in a "
            f"process of its own {told['apart']:8.2f} us"
        )
    host.close()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
