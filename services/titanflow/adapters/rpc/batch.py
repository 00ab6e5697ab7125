"""How do the requests of many callers become few calls? Rows that wait are joined into one batch.

One model has one `Batcher`, which has one call under way. What comes meanwhile waits in a bounded
queue and goes together as the next batch; after an idle time the first request waits a moment for
others. A request for which there is no room, or that would come too late, is refused at once.
A batcher that is closed finishes what it has taken: so a version is replaced without a dropped
request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
import numpy as np

from titanflow.adapters.rpc.ports import Float32s
from titanflow.adapters.rpc.refusal import invalid, overloaded, too_late
from titanflow.core.base.errors import Problem

SMOOTHING: Final = 0.2
"""Share of the newest call in the estimate of a call's duration."""


class BatchLimits(msgspec.Struct, frozen=True):
    """How requests are joined."""

    max_batch: int = 64
    """Most rows of one call."""
    max_delay_seconds: float = 0.0005
    """Longest wait of a first request for others."""
    queue_rows: int = 1024
    """Most rows that wait."""


class _Job(msgspec.Struct):
    rows: Float32s
    deadline: float
    done: asyncio.Future[Float32s]


class Batcher:
    """The queue of one model; *infer* answers a batch of rows."""

    def __init__(
        self, infer: Callable[[Float32s], Awaitable[Float32s]], limits: BatchLimits
    ) -> None:
        self.limits = limits
        self.calls = self.rows = self.shed = self.late = 0
        """Calls made, rows answered, requests refused for room, requests that came too late."""
        self._infer = infer
        self._queue: deque[_Job] = deque()
        self._waiting_rows = 0
        self._running = False
        self._call_seconds = 0.0
        self._closed = False
        self._arrived, self._enough, self._idle = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._worker: asyncio.Task[None] | None = None

    @property
    def closed(self) -> bool:
        """Give whether nothing more is taken."""
        return self._closed

    async def ask(self, rows: Float32s, deadline: float) -> Float32s:
        """Return the answer to some rows, at most `max_batch`.

        *deadline* is by the loop's clock.
        Raises: RefusalError if there is no room or no time; whatever *infer* raises.
        """
        if not 1 <= len(rows) <= self.limits.max_batch:
            what = f"has {len(rows)} rows, but a request has 1 to {self.limits.max_batch}"
            raise invalid([Problem(what, "inputs[0].shape")])
        if self._closed:
            raise overloaded("this version is served no longer")
        if self._waiting_rows + len(rows) > self.limits.queue_rows:
            self.shed += 1
            raise overloaded(f"{self._waiting_rows} rows wait already", self._wait_seconds())
        loop = asyncio.get_running_loop()
        # The estimate counts only behind others: a first request always tries.
        if self._waiting_rows and loop.time() + self._wait_seconds() > deadline:
            self.late += 1
            raise too_late("those that wait before it take longer than its deadline allows")
        job = _Job(rows, deadline, loop.create_future())
        self._queue.append(job)
        self._waiting_rows += len(rows)
        self._idle.clear()
        self._arrived.set()
        if self._waiting_rows >= self.limits.max_batch:
            self._enough.set()
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await job.done

    async def close(self) -> None:
        """Take nothing more, finish what was taken, and end."""
        self._closed = True
        self._enough.set()
        await self._idle.wait()
        if self._worker is not None:
            self._worker.cancel()
            self._worker = None

    def _wait_seconds(self) -> float:
        """Return how long a request that comes now would take."""
        before = self._waiting_rows // self.limits.max_batch + 1 + self._running
        return before * self._call_seconds

    async def _work(self) -> None:
        waited = False
        while True:
            if not self._queue:
                self._idle.set()
                self._arrived.clear()
                waited = True
                await self._arrived.wait()
            # Behind a call that has just ended the batch has had its time to grow.
            if waited and self.limits.max_delay_seconds and not self._closed:
                await self._grow()
            waited = False
            jobs = self._next_batch()
            if jobs:
                await self._run(jobs)

    async def _grow(self) -> None:
        """Wait a moment for more requests, unless there are enough."""
        if self._waiting_rows >= self.limits.max_batch:
            return
        self._enough.clear()
        try:
            async with asyncio.timeout(self.limits.max_delay_seconds):
                await self._enough.wait()
        except TimeoutError:
            return

    def _next_batch(self) -> list[_Job]:
        """Take what fits into one call; those who are gone or too late are left out."""
        now = asyncio.get_running_loop().time()
        jobs: list[_Job] = []
        room = self.limits.max_batch
        while self._queue and len(self._queue[0].rows) <= room:
            job = self._queue.popleft()
            self._waiting_rows -= len(job.rows)
            if job.done.done():
                continue
            if job.deadline <= now:
                self.late += 1
                job.done.set_exception(too_late("its turn came after its deadline"))
                continue
            room -= len(job.rows)
            jobs.append(job)
        return jobs

    async def _run(self, jobs: Sequence[_Job]) -> None:
        loop = asyncio.get_running_loop()
        rows = jobs[0].rows if len(jobs) == 1 else np.concatenate([job.rows for job in jobs])
        begun = loop.time()
        self._running = True
        found: Float32s | Exception
        try:
            found = answered = await self._infer(rows)
            if len(answered) != len(rows):
                found = RuntimeError(f"{len(answered)} answers to {len(rows)} rows")
        except Exception as error:  # noqa: BLE001 - each caller hears it
            found = error
        finally:
            self._running = False
        took = loop.time() - begun
        self._call_seconds += SMOOTHING * (took - self._call_seconds)
        self.calls += 1
        self.rows += len(rows)
        first = 0
        for job in jobs:
            last = first + len(job.rows)
            if not job.done.done():
                if isinstance(found, Exception):
                    job.done.set_exception(found)
                else:
                    job.done.set_result(found[first:last])
            first = last
