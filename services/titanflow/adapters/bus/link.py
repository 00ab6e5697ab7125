"""What is one connection to the server, from its first byte to its end?

A link is never mended. The client's own reconnecting is switched off: it keeps buffers and
subscriptions of the former connection, waits without end on a half-open one, and gives up after a
server's `-ERR`. A link that ends for whatever reason is thrown away whole, and `Bus` makes a new
one: there is one path to a working link, and it is the one of the start.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from nats import errors as nats_errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from titanflow.adapters.bus.errors import BusError, Closed, Forbidden
from titanflow.adapters.bus.keys import Key
from titanflow.adapters.bus.permissions import inbox

Hear = Callable[[Msg], Awaitable[None]]
_NO_RESPONDERS: Final = "503"
_PLAIN: Final = b"NATS/1.0\r\n"
"""How headers begin that are no word of the server."""
_BLOCKED_S: Final = 0.5
"""If a timeout fires so much late, our own loop stood still, and the link is not to blame."""


class Patience(msgspec.Struct, frozen=True):
    """How long the bus waits for what. All in seconds."""

    connect_s: float = 2.0
    ping_s: float = 1.0
    """A ping every so often; a link is dead when one is unanswered for twice as long."""
    attempt_s: float = 2.0
    """One try of one request; a busy disk makes an acknowledgement wait for a second."""
    budget_s: float = 10.0
    """All tries of one request; far below the ten minutes in which the server knows an id."""
    down_s: float = 30.0
    """Without a link for so long, the process is to exit."""
    again_first_s: float = 0.02
    again_most_s: float = 0.5
    """Back-off between tries, doubled from the first to the most, with keyed jitter."""
    beat_s: float = 0.5
    """The server shows by a heartbeat that a pull is alive; three that miss mean it is not."""
    pull_s: float = 30.0
    """A standing pull is renewed after so long."""


class Counters:
    """What happened, for whoever exports it. All only grow."""

    def __init__(self) -> None:
        self.links = 0
        """Links made; the first one is no reconnect."""
        self.reconnects = 0
        self.errors = 0
        """Errors that the client reported on the side."""
        self.slow_consumers = 0
        self.retries = 0
        self.duplicates = 0
        """Publishes that the server knew already."""
        self.stolen_ids = 0
        """Turns whose id somebody had used up on another subject of the stream."""
        self.redeliveries = 0
        self.gaps = 0
        """Deliveries that were lost on the way and asked for again."""
        self.stalls = 0
        """Pulls that went silent and were asked again."""
        self.beats_dropped = 0
        self.refused = 0
        """Messages of contenders' pods that were no turns of theirs."""


class Lost(BusError):  # noqa: N818 - a state, said as such
    """The link ended, or never came up. The bus mends this by itself; callers do not see it."""


class _Prompt(Client):
    """The client, without its detours: what arrives is handed on at once, what is said leaves.

    As it comes, the client wakes a task for each message that arrives and another for each that
    leaves. Ours only note what they hear, so they run where it is parsed. Should the overridden
    methods get other names in a later version, its own ways are taken, which are right and slower.
    """

    def __init__(self) -> None:
        super().__init__()
        self._hearing: dict[int, Hear] = {}

    async def hear(self, subject: str, callback: Hear) -> Subscription:
        """Subscribe; *callback* must not wait for anything."""
        subscription = await self.subscribe(subject, cb=callback)
        self._hearing[subscription._id] = callback  # noqa: SLF001 - its key in what arrives
        return subscription

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        callback = self._hearing.get(sid)
        if callback is None or sid not in self._subs:
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        self.stats["in_msgs"] += 1
        self.stats["in_bytes"] += len(data)
        try:
            found = await self._process_headers(headers)
            await callback(Msg(self, subject.decode(), reply.decode(), data, found))
        except Exception as error:  # noqa: BLE001 - as the client does it: told, and gone on
            await self._error_cb(error)

    async def _process_headers(self, headers: bytes) -> dict[str, str] | None:
        if not headers or not headers.startswith(_PLAIN):
            return await super()._process_headers(headers)  # a word of the server, or nothing
        lines = headers[len(_PLAIN) : -4].decode("utf-8", "replace").split("\r\n")
        pairs = [line.partition(":") for line in lines]
        return {name.strip(): value.strip() for name, _, value in pairs}

    async def _flush_pending(self, force_flush: bool = False) -> Any:
        if force_flush or self._transport is None or not self.is_connected:
            return await super()._flush_pending(force_flush)
        self._transport.writelines(self._pending)
        self._pending, self._pending_data_size = [], 0
        return None


class Link:
    """One connection. It ends once, and says why."""

    def __init__(self, user: str, key: Key, patience: Patience, counters: Counters) -> None:
        self.ended = asyncio.Event()
        self.why = ""
        self._patience, self._counters = patience, counters
        self._user, self._key = user, key
        self._client = _Prompt()
        # The client takes a public nkey only together with a seed, for which it wants a library.
        self._client._public_nkey = key.public  # noqa: SLF001 - the one way to sign by ourselves
        self._waiting: dict[str, tuple[str, asyncio.Future[Msg]]] = {}
        self._count = 0
        self._box = ""
        self._watcher: asyncio.Task[None] | None = None

    async def open(self, address: str, tls: ssl.SSLContext | None) -> None:
        """Connect and begin to watch.

        Raises: Lost if there is no server; Closed if the server does not know this user.
        """
        waits = self._patience
        try:
            async with asyncio.timeout(waits.connect_s + 1):
                await self._client.connect(
                    servers=[address],
                    name=self._user,
                    error_cb=self._on_error,
                    closed_cb=self._on_closed,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=waits.connect_s,  # type: ignore[arg-type] # seconds, any number
                    ping_interval=waits.ping_s,  # type: ignore[arg-type] # seconds, any number
                    max_outstanding_pings=2,
                    signature_cb=self._key.sign,
                    inbox_prefix=inbox(self._user),
                    pending_size=-1,
                    tls=tls,
                )
                self._box = self._client.new_inbox()
                await self._client.hear(f"{self._box}.*", self._on_reply)
        except (OSError, TimeoutError, nats_errors.Error) as error:
            await self.close()
            text = str(error) or type(error).__name__
            if "authorization" in text.lower():
                raise Closed(f"the server at {address} does not know {self._user!r}") from error
            raise Lost(f"no link to {address}: {text}") from error
        if not self._client.is_connected:
            await self.close()
            raise Lost(f"no link to {address}: the greeting was broken")
        self._watcher = asyncio.create_task(self._watch())

    async def request(
        self, subject: str, payload: bytes, headers: dict[str, str] | None, timeout_s: float
    ) -> Msg:
        """Return the answer to one request.

        Raises: Lost if the link ends or nobody answers; Forbidden if the subject is refused;
        BusError if the request itself is wrong.
        """
        self._count += 1
        token = str(self._count)
        future: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._waiting[token] = (subject, future)
        try:
            await self.send(subject, payload, f"{self._box}.{token}", headers)
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError as error:
            raise Lost(f"no answer on {subject} within {timeout_s:g} s") from error
        finally:
            del self._waiting[token]

    async def send(
        self, subject: str, payload: bytes, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Publish without waiting for anything.

        Raises: Lost if the link is down; BusError if the message itself is wrong.
        """
        if self.ended.is_set():
            raise Lost(self.why)
        try:
            await self._client.publish(subject, payload, reply, headers)
        except (
            nats_errors.MaxPayloadError,
            nats_errors.BadSubjectError,
            nats_errors.BadHeaderError,
        ) as error:
            raise BusError(f"{subject}: {error}; the message has {len(payload)} bytes") from error
        except (OSError, nats_errors.Error) as error:
            raise Lost(f"{subject}: {error}") from error

    async def listen(
        self, subject: str, callback: Hear, *, is_prompt: bool = False
    ) -> Callable[[], Awaitable[None]]:
        """Subscribe, and return what ends the subscription.

        A *callback* that is prompt must not wait for anything, and has no queue that could run
        over; others hear each message in a task of their own.

        Raises: Lost if the link is down.
        """
        try:
            if is_prompt:
                subscription = await self._client.hear(subject, callback)
            else:
                subscription = await self._client.subscribe(subject, cb=callback)
        except (OSError, nats_errors.Error) as error:
            raise Lost(f"{subject}: {error}") from error

        async def leave() -> None:
            with contextlib.suppress(OSError, nats_errors.Error):
                await subscription.unsubscribe()

        return leave

    def box(self) -> str:
        """Return a new subject that only this link hears."""
        return self._client.new_inbox()

    @property
    def version(self) -> tuple[int, int]:
        """Give the server's version, major and minor."""
        found = self._client.connected_server_version
        return found.major, found.minor

    async def close(self) -> None:
        """Throw the link away. Takes at most a second, whatever state the connection is in."""
        self.end("closed by us")
        if self._watcher is not None:
            self._watcher.cancel()
        # Closing politely waits for the peer to read what was written, and a half-open peer never
        # will; so the socket goes first.
        writer = getattr(self._client._transport, "_io_writer", None)  # noqa: SLF001 - see above
        if writer is not None:
            writer.transport.abort()
        with contextlib.suppress(Exception):  # whatever is wrong with a link that is thrown away
            async with asyncio.timeout(1):
                await self._client.close()

    def end(self, why: str) -> None:
        """Mark the end, once, and tell everybody who waits for an answer."""
        if self.ended.is_set():
            return
        self.why = why
        self.ended.set()
        for subject, future in self._waiting.values():
            if not future.done():
                future.set_exception(Lost(f"{subject}: {why}"))

    async def _watch(self) -> None:
        """End the link when a ping is not answered, whatever the client thinks of it."""
        loop = asyncio.get_running_loop()
        patient = 2 * self._patience.ping_s
        while not self.ended.is_set():
            await asyncio.sleep(self._patience.ping_s)
            since = loop.time()
            try:
                await self._client.rtt(patient)  # type: ignore[arg-type] # seconds, any number
            except (OSError, nats_errors.Error, RuntimeError, AttributeError) as error:
                if loop.time() - since > patient + _BLOCKED_S:
                    continue
                self.end(f"a ping had no answer within {patient:g} s ({type(error).__name__})")

    async def _on_reply(self, message: Msg) -> None:
        """Hand an answer to who asked."""
        subject, future = self._waiting.get(message.subject.rpartition(".")[2], ("", None))
        if future is None or future.done():
            return
        if message.headers and message.headers.get("Status") == _NO_RESPONDERS:
            future.set_exception(Lost(f"nobody listens on {subject}"))
        else:
            future.set_result(message)

    async def _on_error(self, error: Exception) -> None:
        """Count what the client reports, and hand a refusal to who caused it."""
        self._counters.errors += 1
        if isinstance(error, nats_errors.SlowConsumerError):
            self._counters.slow_consumers += 1
        text = str(error).lower()
        if "permissions violation" in text:
            for subject, future in self._waiting.values():
                if f'"{subject.lower()}"' in text and not future.done():
                    future.set_exception(Forbidden(f"{self._user!r} may not use {subject}"))

    async def _on_closed(self) -> None:
        """Hear that the client gave up: after `-ERR`, at the end of the stream, by its pings."""
        self.end(str(self._client.last_error or "the connection ended"))
