"""How do many watch one board? One task reads it, and each watcher has a short queue of its own.

A watcher gets the newest board when it is due, so boards in between are left out and the last one
never is. One whose queue is full reads too slowly: he is sent away with a reason, and waited for by
nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from titanflow.adapters.rpc.ports import Board, Books
from titanflow.adapters.rpc.refusal import ended, overloaded, slow_reader

QUEUE_MAX: Final = 4
"""Boards that wait for one reader; at the shortest interval that is half a second of delay."""
WATCHERS_MAX: Final = 64
LEAST_SECONDS: Final = 0.1
"""Shortest time between two boards."""


class Watcher:
    """One reader's queue."""

    def __init__(self, interval_seconds: float) -> None:
        self._interval = interval_seconds
        self._queue: asyncio.Queue[Board] = asyncio.Queue(QUEUE_MAX)
        self._end: Exception | None = None
        self._ended = asyncio.Event()
        self._revision = -1
        self.due = 0.0
        """When he may have the next board, by the loop's clock."""

    def behind(self, board: Board) -> bool:
        """Say whether he was not offered this board yet."""
        return self._end is None and self._revision < board.revision

    def offer(self, board: Board, now: float) -> None:
        """Put a board into his queue if it is new and he is due."""
        if not self.behind(board) or now < self.due:
            return
        if self._queue.full():
            self.end(slow_reader(f"{QUEUE_MAX} boards wait, and none was taken"))
            return
        self._queue.put_nowait(board)
        self._revision, self.due = board.revision, now + self._interval
        if board.final:
            self.end(ended("the session has ended; this was the last board"))

    def end(self, reason: Exception) -> None:
        """Let him go with a reason, after what is in his queue."""
        self._end = self._end or reason
        self._ended.set()

    async def take(self) -> Board:
        """Return the next board.

        Raises: the reason of the end.
        """
        if self._queue.empty() and self._end is None:
            getting = asyncio.ensure_future(self._queue.get())
            ending = asyncio.ensure_future(self._ended.wait())
            try:
                await asyncio.wait((getting, ending), return_when=asyncio.FIRST_COMPLETED)
                if getting.done():
                    return getting.result()
            finally:
                getting.cancel()
                ending.cancel()
        if not self._queue.empty():
            return self._queue.get_nowait()
        assert self._end is not None
        raise self._end


class Boards:
    """All watchers of one server."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._watchers: set[Watcher] = set()
        self._pump: asyncio.Task[None] | None = None
        self._newest: Board | None = None
        self._closed = False

    @property
    def watchers(self) -> int:
        """Give how many watch."""
        return len(self._watchers)

    async def watch(self, interval_seconds: float) -> AsyncGenerator[Board]:
        """Give the board now, and after each change when it is due.

        Raises: RefusalError at the end, with its reason; what reading the board raises.
        """
        if len(self._watchers) >= WATCHERS_MAX:
            raise overloaded(f"{WATCHERS_MAX} watch already", 5.0)
        watcher = Watcher(interval_seconds)
        self._watchers.add(watcher)
        if self._closed:
            self._send_home(watcher)
        elif self._pump is None:
            self._pump = asyncio.create_task(self._run())
        elif self._newest is not None:
            watcher.offer(self._newest, asyncio.get_running_loop().time())
        try:
            while True:
                yield await watcher.take()
        finally:
            self._watchers.discard(watcher)
            if not self._watchers and self._pump is not None:
                self._pump.cancel()
                self._pump = self._newest = None

    def close(self) -> None:
        """Send all watchers home: the server stops."""
        self._closed = True
        for watcher in self._watchers:
            self._send_home(watcher)

    @staticmethod
    def _send_home(watcher: Watcher) -> None:
        watcher.end(overloaded("the server stops: watch another one, or this one later", 1.0))

    async def _run(self) -> None:
        try:
            board = await self._books.board()
            while True:
                board = await self._round(board)
        except Exception as error:  # noqa: BLE001 - each watcher hears it, and his call ends
            for watcher in self._watchers:
                watcher.end(error)
            self._pump = self._newest = None

    async def _round(self, board: Board) -> Board:
        """Offer a board until there is a newer one; return that."""
        loop = asyncio.get_running_loop()
        self._newest = board
        while True:
            now = loop.time()
            for watcher in self._watchers:
                watcher.offer(board, now)
            waiting = [watcher.due - now for watcher in self._watchers if watcher.behind(board)]
            limit = asyncio.timeout(min(waiting, default=None))
            try:
                async with limit:
                    newer = await self._books.later_board(board.revision)
            except TimeoutError:
                if not limit.expired():
                    raise
                continue
            await asyncio.sleep(LEAST_SECONDS)
            return newer
