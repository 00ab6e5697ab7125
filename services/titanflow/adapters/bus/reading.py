"""How does a pod hear its inputs, each once, in order, whatever happens to the link?

By one standing pull on a durable consumer that takes one message after another: the server sends
the next as soon as the former is acknowledged, as with a push, yet it is us who asked, so a silence
can be told from a lack of messages by the server's heartbeats.
At each start, each new link and each gap the consumer is set to the position that the reader has
reached (CONSUMER.RESET), so nothing waits for the server's `ack_wait`, and a lost acknowledgement
means nothing. A message that comes twice is told by its sequence and not handed out again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import msgspec
from nats.aio.msg import Msg

from titanflow.adapters.bus.errors import BusError
from titanflow.adapters.bus.link import Link, Lost

if TYPE_CHECKING:
    from titanflow.adapters.bus.client import Bus

BATCH: Final = 100_000
"""Messages of one pull: more than come before it is renewed."""
BULK: Final = 64
"""Messages for one acknowledgement, where many may be in flight."""
BULK_S: Final = 1.0
"""Longest time for which an acknowledgement is held back; far below the server's `ack_wait`."""
MISSES_MAX: Final = 3
"""Heartbeats that may miss before a pull counts as dead."""
HEARTBEAT: Final = "100"
_NOBODY: Final = "503"
_ACK_TOKENS: Final = 9
_ACK_TOKENS_FAR: Final = 11
"""A reply subject has nine tokens, or two more (domain, account) in front, or yet one behind."""


class Message:
    """One stored message. Acknowledge it after its effect is stored."""

    __slots__ = ("_reader", "data", "headers", "reply", "sequence", "stream", "subject")

    def __init__(self, reader: Reader, message: Msg, sequence: int) -> None:
        self._reader = reader
        self.stream = reader.stream
        self.sequence = sequence
        self.subject = message.subject
        self.data = message.data
        self.headers: dict[str, str] = message.headers or {}
        self.reply = message.reply
        """Where the acknowledgement goes; the newest, if it was delivered again."""

    @property
    def stored_at(self) -> int:
        """Give when the server stored it, ns UTC."""
        return int(self._tokens()[3])

    @property
    def pending(self) -> int:
        """Give how many messages of the consumer were behind it when it was delivered."""
        return int(self._tokens()[4])

    def _tokens(self) -> list[str]:
        """Return delivered, stream and consumer sequence, time and pending of the reply subject."""
        tokens = self.reply.split(".")
        first = 4 if len(tokens) == _ACK_TOKENS else _ACK_TOKENS_FAR - 5
        return tokens[first : first + 5]

    async def ack(self) -> None:
        """Say that the message needs not come again. It never fails: a lost word is made up for."""
        await self._reader.acknowledge(self)


class Reader:
    """An async iterator over one consumer's messages. One task reads; it may outlive many links."""

    def __init__(
        self, bus: Bus, stream: str, durable: str, after: int | None, ack_every: int = 1
    ) -> None:
        self.stream, self.durable = stream, durable
        self._bus = bus
        self._acknowledged = after
        """The position: everything up to it needs not come again. None until the server says."""
        self._seen = after or 0
        """The last sequence that was handed out."""
        self._open: dict[int, Message] = {}
        """Handed out and not yet acknowledged."""
        self._queue: deque[Message] = deque()
        self._repeats: deque[Message] = deque()
        self._told: Callable[[Reader], None] | None = None
        self._stir = asyncio.Event()
        self._link: Link | None = None
        self._leave: Callable[[], Awaitable[None]] | None = None
        self._era = 0
        """Counts the boxes: what arrives for a former one is not heard."""
        self._delivered = 0
        """The last consumer sequence of this era; they have no gaps."""
        self._heard = 0.0
        self._broken = ""
        """Why the pull must begin anew; empty while all is well."""
        self._is_over = False
        self._is_gone = False
        self._box = ""
        self._failures, self._failing_since = 0, 0.0
        self._every = ack_every
        self._unsaid: Message | None = None
        """The last message whose acknowledgement is held back."""
        self._unsaid_count, self._said_at = 0, 0.0

    def __aiter__(self) -> Reader:
        return self

    async def __anext__(self) -> Message:
        """Return the next message, however long it takes.

        Raises: Closed if the bus closes; BusError if the consumer does not answer, or is gone.
        """
        while True:
            message = self.pop()
            if message is not None:
                return message
            await self._keep()

    def pop(self) -> Message | None:
        """Return the next message if it is here."""
        while self._queue:
            message = self._queue.popleft()
            if message.sequence > self._seen:
                self._seen = message.sequence
                self._open[message.sequence] = message
                return message
            self._repeats.append(message)
            self._stir.set()
        return None

    async def run(self, told: Callable[[Reader], None]) -> None:
        """Keep reading for who pops: *told* is called for each message that has come.

        Raises: as `__anext__`.
        """
        self._told = told
        for _ in self._queue:
            told(self)
        while True:
            await self._keep()

    async def _keep(self) -> None:
        """Answer what came again, then wait for what comes next."""
        while self._repeats:
            await self._repeat(self._repeats.popleft())
        if self._told is not None or not self._queue:
            await self._advance()

    async def close(self) -> None:
        """Stop reading; the consumer stays, with its position."""
        self._era += 1
        if self._leave is not None:
            await self._leave()
            self._leave = None

    async def acknowledge(self, message: Message) -> None:
        """See `Message.ack`."""
        self._open.pop(message.sequence, None)
        first = min(self._open, default=message.sequence + 1)
        self._acknowledged = max(self._acknowledged or 0, first - 1)
        self._unsaid, self._unsaid_count = message, self._unsaid_count + 1
        now = asyncio.get_running_loop().time()
        if self._unsaid_count >= self._every or now - self._said_at > BULK_S:
            await self._say()

    async def _say(self) -> None:
        """Tell the server what was acknowledged last."""
        message, self._unsaid, self._unsaid_count = self._unsaid, None, 0
        self._said_at = asyncio.get_running_loop().time()
        if message is not None and self._link is not None and not self._link.ended.is_set():
            with contextlib.suppress(Lost):
                await self._link.send(message.reply, b"+ACK")

    async def _repeat(self, message: Message) -> None:
        """Treat a message that came again: if it is done say so, else note its new reply."""
        self._bus.counters.redeliveries += 1
        working = self._open.get(message.sequence)
        if working is not None:
            working.reply = message.reply
        elif self._link is not None:
            with contextlib.suppress(Lost):
                await self._link.send(message.reply, b"+ACK")

    async def _advance(self) -> None:
        """Wait for whatever comes next: a message, the end of a pull, of a link, or a silence."""
        if self._is_gone:
            raise BusError(f"{self._name()} was deleted; the journal has what was in it")
        if self._link is None or self._link.ended.is_set() or self._broken:
            await self._attach()
            return
        if self._is_over:
            self._is_over = False
            with contextlib.suppress(Lost):
                await self._pull(self._link, self._box)
        self._stir.clear()
        beat = self._bus.patience.beat_s
        ended = self._link.ended
        try:
            async with asyncio.timeout(beat):
                await self._stir.wait()
        except TimeoutError:
            await self._say()
            silent = asyncio.get_running_loop().time() - self._heard
            if not ended.is_set() and silent > MISSES_MAX * beat:
                self._bus.counters.stalls += 1
                self._broken = f"silent for {silent:.1f} s"

    async def _attach(self) -> None:
        """Set the consumer to our position and begin a new pull on the present link.

        Raises: Closed; BusError if the consumer does not answer within the budget.
        """
        loop, patience = asyncio.get_running_loop(), self._bus.patience
        link = await self._bus.link()
        await self.close()
        self._queue.clear()
        self._broken, self._is_over, self._link = "", False, link
        try:
            self._box = link.box()
            self._leave = await link.listen(self._box, self._hearing(self._era), is_prompt=True)
            await self._reset(link)
            self._delivered, self._heard = 0, loop.time()
            await self._pull(link, self._box)
            self._failures = 0
        except Lost as error:
            self._failing_since = self._failing_since if self._failures else loop.time()
            self._failures += 1
            self._broken = str(error)
            if loop.time() - self._failing_since > patience.budget_s and not link.ended.is_set():
                raise BusError(f"{self._name()} does not answer: {error}") from error
            await asyncio.sleep(self._bus.pause(self._failures, self.durable))

    def _name(self) -> str:
        return f"consumer {self.durable} of stream {self.stream}"

    async def _reset(self, link: Link) -> None:
        """Set the consumer to what follows our position.

        Raises: Lost if nobody answers; BusError if the server refuses.
        """
        position = self._acknowledged
        body = b"" if position is None else msgspec.json.encode({"seq": position + 1})
        subject = f"$JS.API.CONSUMER.RESET.{self.stream}.{self.durable}"
        message = await link.request(subject, body, None, self._bus.patience.attempt_s)
        answer = msgspec.json.decode(message.data, type=dict[str, object])
        if "error" in answer:
            raise BusError(f"{self._name()}: {answer['error']}")
        if position is None and isinstance(answer.get("reset_seq"), int):
            self._acknowledged = int(str(answer["reset_seq"])) - 1

    async def _pull(self, link: Link, box: str) -> None:
        """Ask for messages, from now until the pull expires."""
        patience = self._bus.patience
        body = {
            "batch": BATCH,
            "expires": int(patience.pull_s * 1e9),
            "idle_heartbeat": int(patience.beat_s * 1e9),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self.durable}"
        await link.send(subject, msgspec.json.encode(body), box)

    def _hearing(self, era: int) -> Callable[[Msg], Awaitable[None]]:
        """Return what hears one box."""

        async def hear(message: Msg) -> None:
            if era != self._era:
                return
            self._heard = asyncio.get_running_loop().time()
            if message.reply.startswith("$JS.ACK."):
                self._deliver(message)
            else:
                self._status(message.headers or {})

        return hear

    def _deliver(self, message: Msg) -> None:
        """Queue a message, unless one before it was lost on the way."""
        tokens = message.reply.split(".")
        first = 4 if len(tokens) == _ACK_TOKENS else _ACK_TOKENS_FAR - 5
        sequence, delivered = int(tokens[first + 1]), int(tokens[first + 2])
        if delivered != self._delivered + 1:
            self._gap(delivered)
        if not self._broken:
            self._delivered = delivered
            self._queue.append(Message(self, message, sequence))
            if self._told is not None:
                self._told(self)
                return
        self._stir.set()

    def _status(self, headers: dict[str, str]) -> None:
        """Treat a word of the server about the pull: a heartbeat, or its end."""
        status = headers.get("Status")
        if status == HEARTBEAT:
            last = int(headers.get("Nats-Last-Consumer", "0"))
            if last > self._delivered:
                self._gap(last)
                self._stir.set()
            return
        said = headers.get("Description", "")
        if status == _NOBODY:
            self._broken = "nobody listens"
        self._is_gone = "deleted" in said.lower()
        self._is_over = True
        self._stir.set()

    def _gap(self, delivered: int) -> None:
        """Note that a delivery was lost: nothing behind it is taken before it is here."""
        if not self._broken:
            self._bus.counters.gaps += 1
            self._broken = f"delivery {self._delivered + 1} was lost, {delivered} is here"


class Inbox:
    """The messages of several readers, as they come. A task keeps each, for as long as this is."""

    def __init__(self, readers: Iterable[Reader]) -> None:
        self._told: deque[Reader] = deque()
        """A reader for each message that has come."""
        self._stir = asyncio.Event()
        self._tasks = [asyncio.create_task(reader.run(self._hear)) for reader in readers]
        for task in self._tasks:
            self.stir_after(task)

    def pop(self) -> Message | None:
        """Return the next message; None if there is none yet.

        Raises: whatever ended a reader.
        """
        while self._told:
            message = self._told.popleft().pop()
            if message is not None:
                return message
        for task in self._tasks:
            if task.done():
                task.result()
        return None

    async def stirred(self) -> None:
        """Wait until there may be something to do: nothing was, and no turn of the loop since."""
        self._stir.clear()
        await self._stir.wait()

    def stir_after(self, task: asyncio.Task[Any]) -> None:
        """Let the end of *task* be something to do."""
        task.add_done_callback(lambda _: self._stir.set())

    async def close(self) -> None:
        """Stop reading."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _hear(self, reader: Reader) -> None:
        self._told.append(reader)
        self._stir.set()
