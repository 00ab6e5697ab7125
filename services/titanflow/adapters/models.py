"""What runs a graph? onnxruntime, with one thread, in this process: the only place that imports it.

A `Graph` is one loaded session with buffers of its own for each size of a batch, so that a call
neither allocates nor copies more than it must. It is proven against its golden vectors before its
first answer. `Graphs` answers asks of many contenders at once: one call for all that ask the same
bundle. None of it may be shared by threads; who serves many gives each thread its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

from titanflow.adapters.bundles.bundle import Bundle, Float32s, Vectors
from titanflow.adapters.bundles.refusal import BundleRefusedError, Step
from titanflow.core.base.errors import AdapterError
from titanflow.core.contender.model import answer_to
from titanflow.core.facts import Answer, Ask
from titanflow.core.ports import Predictor
from titanflow.core.spec.bundle import INPUT, PARTS, VALUE
from titanflow.core.spec.words import Reply

SILENT: Final = 4
"""Only what is fatal is logged: everything else comes back as an error with the same words."""
PLANS_MAX: Final = 128
"""Most sizes of batch for which a graph keeps buffers."""


class GraphError(AdapterError):
    """A graph that could not be run on some rows."""


class Graph:
    """One graph, ready to run.

    Raises: BundleRefusedError if onnxruntime does not load it.
    """

    def __init__(self, model: bytes, features: int, *, explained: bool, max_batch: int) -> None:
        self.features = features
        self.parts = features + 1 if explained else 0
        self.max_batch = max_batch
        options = onnxruntime.SessionOptions()
        options.log_severity_level = SILENT
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            what = f"onnxruntime does not load it: {_first_line(error)}"
            raise BundleRefusedError(Step.LOAD, what) from error
        self._plans: dict[int, _Plan] = {}

    def run(self, rows: Float32s) -> Float32s:
        """Return a row of numbers for each row of features: the value, then the parts.

        What comes back may be not finite; `finite_rows` tells which.

        Raises: GraphError if the graph fails, or gives another shape than it promised.
        """
        count = len(rows)
        if 0 < count <= self.max_batch:
            plan = self._plans.get(count)
            return (plan or self._plan(count)).run(rows)
        starts = range(0, count + self.max_batch, self.max_batch)
        pieces = [self.run(rows[a:b]) for a, b in pairwise(starts) if a < count]
        empty = np.empty((0, 1 + self.parts), dtype=np.float32)
        return np.concatenate(pieces) if pieces else empty

    def predict(self, asks: Sequence[Ask]) -> list[Answer]:
        """Return one answer to each ask; a failure fails all, a bad number only its own row."""
        rows = rows_of(asks, self.features)
        if rows is None:
            text = f"the graph takes {self.features} features"
            return [answer_to(ask, Reply.REFUSED, text=text) for ask in asks]
        try:
            numbers = self.run(rows)
        except GraphError as error:
            return [answer_to(ask, Reply.FAILED, text=str(error)) for ask in asks]
        return answers_from(numbers, asks)

    def _plan(self, count: int) -> _Plan:
        if len(self._plans) >= PLANS_MAX:
            self._plans.clear()
        plan = self._plans[count] = _Plan(self._session, count, self.features, self.parts)
        return plan

    def prove(self, golden: Vectors, tolerance: float) -> None:
        """Compare the graph with the trainer's own words, one row at a time and in batches.

        Raises: BundleRefusedError at the step golden vectors.
        """
        for size in (1, self.max_batch):
            starts = range(0, len(golden.features) + size, size)
            try:
                pieces = [self.run(golden.features[a:b]) for a, b in pairwise(starts)]
            except GraphError as error:
                raise BundleRefusedError(Step.GOLDEN, str(error)) from error
            judge(np.concatenate(pieces), golden, tolerance, size)


def judge(found: Float32s, golden: Vectors, tolerance: float, size: int) -> None:
    """Compare what a graph gave in batches of *size* with its golden vectors.

    Raises: BundleRefusedError at the step golden vectors.
    """
    if not np.isfinite(found).all():
        raise BundleRefusedError(Step.GOLDEN, "the graph gives numbers that are not finite")
    wanted = np.hstack([golden.values[:, None], golden.parts])
    worst = float(np.abs(found - wanted).max())
    if worst > tolerance:
        what = f"in batches of {size} it is off by {worst:.3g}, at most {tolerance:g}"
        raise BundleRefusedError(Step.GOLDEN, what)


class _Plan:
    """A session's buffers for one size of batch: numbers go in and come out in place."""

    def __init__(
        self, session: onnxruntime.InferenceSession, count: int, features: int, parts: int
    ) -> None:
        self._run = session._sess.run_with_iobinding  # noqa: SLF001 - without its checks of names
        self._into = np.zeros((count, features), dtype=np.float32)
        # Both outputs lie in one buffer, so that they are judged at once.
        self._out = np.zeros(count * (1 + parts), dtype=np.float32)
        self._values, self._rest = self._out[:count], self._out[count:].reshape(count, parts)
        binding = session.io_binding()
        binding.bind_input(INPUT, "cpu", 0, np.float32, self._into.shape, self._into.ctypes.data)
        binding.bind_output(VALUE, "cpu", 0, np.float32, (count, 1), self._out.ctypes.data)
        if parts:
            place = self._rest.ctypes.data
            binding.bind_output(PARTS, "cpu", 0, np.float32, (count, parts), place)
        self._binding = binding
        self._bound = binding._iobinding  # noqa: SLF001 - see above

    def run(self, rows: Float32s) -> Float32s:
        self._into[:] = rows
        try:
            self._run(self._bound, None)
        except Exception as error:
            raise GraphError(f"the graph failed: {_first_line(error)}") from error
        count = len(self._values)
        if count == 1:
            return self._out.reshape(1, -1).copy()
        out = np.empty((count, len(self._out) // count), dtype=np.float32)
        out[:, 0] = self._values
        out[:, 1:] = self._rest
        return out


def finite_rows(numbers: Float32s) -> NDArray[np.bool_] | None:
    """Return which rows are finite, or None when all are."""
    finite = np.isfinite(numbers)
    return None if finite.all() else np.array([row.all() for row in finite])


def graph_of(bundle: Bundle) -> Graph:
    """Return the graph of a bundle, loaded and proven.

    Raises: BundleRefusedError at the step load or golden vectors.
    """
    manifest = bundle.manifest
    graph = Graph(
        bundle.model,
        len(manifest.features),
        explained=manifest.explained,
        max_batch=bundle.max_batch,
    )
    graph.prove(bundle.golden, manifest.golden.tolerance)
    return graph


class Graphs:
    """A predictor of some bundles, in this process.

    Raises: BundleRefusedError if one does not load, or does not give its golden vectors.
    """

    def __init__(self, bundles: Iterable[Bundle]) -> None:
        self._graphs = {bundle.contract.digest: graph_of(bundle) for bundle in bundles}

    def predict(self, asks: Sequence[Ask]) -> list[Answer]:
        """Return one answer to each ask, in their order; all that ask one bundle run at once."""
        return by_bundle(asks, self._one)

    def _one(self, digest: str) -> Predictor | None:
        return self._graphs.get(digest)


def by_bundle(asks: Sequence[Ask], one: Callable[[str], Predictor | None]) -> list[Answer]:
    """Return one answer to each ask, in their order, from the predictor of each bundle's digest."""
    groups: dict[str, list[int]] = {}
    for number, ask in enumerate(asks):
        groups.setdefault(ask.bundle, []).append(number)
    answers: dict[int, Answer] = {}
    for digest, numbers in groups.items():
        some, predictor = [asks[number] for number in numbers], one(digest)
        if predictor is None:
            text = "no such bundle is served here"
            found: Sequence[Answer] = [answer_to(ask, Reply.REFUSED, text=text) for ask in some]
        else:
            found = predictor.predict(some)
        answers.update(zip(numbers, found, strict=True))
    return [answers[number] for number in range(len(asks))]


def rows_of(asks: Sequence[Ask], features: int) -> Float32s | None:
    """Return what the asks ask about as rows; None if one of them has another number of features.

    Numbers beyond single precision become infinite, and their answers INVALID.
    """
    if any(len(ask.features) != features for ask in asks):
        return None
    with np.errstate(over="ignore"):
        return np.array([ask.features for ask in asks], dtype=np.float32)


def answers_from(numbers: Float32s, asks: Sequence[Ask]) -> list[Answer]:
    """Return answers with the numbers that a graph gave, one row for each ask."""
    finite = finite_rows(numbers)
    answers = []
    for position, (row, ask) in enumerate(zip(numbers.tolist(), asks, strict=True)):
        if finite is not None and not finite[position]:
            text = "a number is not finite"
            answers.append(answer_to(ask, Reply.INVALID, text=text))
        else:
            answers.append(answer_to(ask, Reply.OK, (row[0],), tuple(row[1:])))
    return answers


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
