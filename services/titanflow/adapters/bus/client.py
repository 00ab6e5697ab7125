"""How does a pod speak on the bus? Through `Bus`: a supervisor around one link after another.

It keeps a link, says when there is none and why, publishes turns so that each is stored once, and
hands out readers (`reading`). What can be mended by trying again is tried within a budget; what
cannot is raised, and the process exits, because start and recovery are one path.
It must never publish while there is no link: a message that waits in a buffer arrives stale.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Final, Self

import msgspec
from nats.aio.msg import Msg

from titanflow.adapters.bus.errors import BusError, Closed, Fenced, StreamFull, Taken
from titanflow.adapters.bus.keys import Key
from titanflow.adapters.bus.link import Counters, Link, Lost, Patience
from titanflow.adapters.bus.reading import HEARTBEAT, Reader
from titanflow.adapters.bus.streams import DAY_NS, Consumer
from titanflow.core.base.chance import chance
from titanflow.core.base.errors import AdapterError

MSG_ID: Final = "Nats-Msg-Id"
TURN_ID: Final = "TitanFlow-Turn"
"""Names the turn like the id does, but means nothing to the server."""
SENT: Final = "TitanFlow-Sent"
"""When a turn was sent, ns UTC by the sender's clock: for measuring only, no fact holds it."""
BEGAN: Final = "TitanFlow-Began"
"""When the market message at its root was sent; a turn hands it on."""
RULED: Final = "TitanFlow-Ruled"
"""On turns that hold rulings on kill switches: who waits for one need not decode the others."""
EXPECTED_LAST: Final = "Nats-Expected-Last-Subject-Sequence"
SERVER_AT_LEAST: Final = (2, 14)
"""The first version that can set a durable consumer to a sequence (CONSUMER.RESET)."""

SEAT_BEAT_S: Final = 0.1
"""The least that the server beats; so much longer takes every new link."""
_SEAT_NS: Final = 30 * DAY_NS
"""A seat is kept so long without a pause; then the link is made anew."""
_WRONG_LAST: Final = frozenset({10071, 10164})
_FULL: Final = frozenset({10077, 10023, 10047})
"""A limit of the stream, the store's share, the store as a whole."""
_UNAVAILABLE: Final = 503


class Published(msgspec.Struct, frozen=True):
    """What became of one publish."""

    sequence: int
    is_duplicate: bool
    """The server had it already: an acknowledgement was lost, or a former life published it."""


class Stored(msgspec.Struct, frozen=True):
    """The last message on a subject."""

    sequence: int
    data: bytes
    headers: dict[str, str]


class _Error(msgspec.Struct, frozen=True):
    code: int
    err_code: int = 0
    description: str = ""


class _Ack(msgspec.Struct, frozen=True):
    seq: int = 0
    duplicate: bool = False
    error: _Error | None = None


class Bus:
    """One user's way to the server. Use it as `async with`; one event loop, one process."""

    def __init__(
        self,
        address: Callable[[], str],
        user: str,
        key: Key,
        *,
        patience: Patience | None = None,
        tls: ssl.SSLContext | None = None,
        notice: Callable[[str], None] | None = None,
        seat: Consumer | None = None,
        may_lose: bool = False,
    ) -> None:
        """Take the parts; *may_lose* says that our own turns are written late by the server."""
        self.user = user
        self.counters = Counters()
        self.patience = patience or Patience()
        self._address, self._key, self._tls, self._seat = address, key, tls, seat
        self._notice = notice or (lambda _: None)
        self._link: Link | None = None
        self._changed = asyncio.Event()
        """Set while there is a link, and for ever once the bus is closed."""
        self._closed: Closed | None = None
        self._why = "not tried yet"
        self._keeper: asyncio.Task[None] | None = None
        self._listeners: dict[str, Callable[[str, bytes], None]] = {}
        self._stands: tuple[str, int] | None = None
        """Where the last turn on our own subject can be asked for, and its sequence as we know."""
        self.rewound = asyncio.Event()
        """Set when the server has lost turns of ours that it had acknowledged; see *may_lose*."""
        self._may_lose = may_lose
        self._is_taken = False
        """Whether another process had our seat when we looked last."""
        self._saying = ""
        """The turn that may be stored without our knowing."""

    async def __aenter__(self) -> Self:
        """Make the first link; `notice` is told what is waited for.

        Raises: Closed if there is none within `patience.down_s`, or the server refuses the user.
        """
        self._keeper = asyncio.create_task(self._keep())
        try:
            await self._changed.wait()
        except asyncio.CancelledError:
            await self.close()
            raise
        if self._closed is not None:
            await self.close()
            raise self._closed
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave."""
        await self.close()

    async def close(self) -> None:
        """Leave: everybody who waits is told so."""
        self._fail(Closed("closed by us"))
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._link is not None:
            await self._link.close()

    @property
    def is_up(self) -> bool:
        """Say whether there is a link now."""
        return self._closed is None and self._changed.is_set()

    async def wait_closed(self) -> Closed:
        """Return why the bus has closed, once it has; a pod waits for this and exits."""
        if self._keeper is None:
            raise BusError("the bus was not started")
        await asyncio.wait([self._keeper])
        return self._closed or Closed("the supervisor of the link has ended")

    async def publish_turn(
        self,
        stream: str,
        subject: str,
        payload: bytes,
        msg_id: str,
        expected_last: int,
        *,
        beside: Mapping[str, str] | None = None,
    ) -> Published:
        """Store one turn, if nobody has written on *subject* since sequence *expected_last*.

        *beside* are headers that mean nothing to the bus, such as `traceparent`.

        *expected_last* is the sequence that the pod's former turn was given, 0 for the first.
        The fence alone makes it exactly once. The server looks at it before it looks at the id, so
        a turn whose acknowledgement was lost is refused when it is sent again; what lies on the
        subject then tells whose it is. And the id alone proves nothing: the server keeps one table
        of ids for a whole stream, where a contender may have used it up on its own subject.

        Raises: Fenced if somebody else wrote; StreamFull; Forbidden; Closed; BusError if the
        budget is spent, and then the turn may be stored or not: only recovery can tell.
        """
        headers = {
            **(beside or {}),
            MSG_ID: msg_id,
            TURN_ID: msg_id,
            EXPECTED_LAST: str(expected_last),
        }
        self._saying = msg_id
        try:
            published = await self._store(subject, payload, headers)
            if published.is_duplicate:
                self.counters.stolen_ids += 1
                del headers[MSG_ID]
                published = await self._store(subject, payload, headers)
        except Fenced as fence:
            found = await self.last(stream, subject)
            if found is None or found.headers.get(TURN_ID) != msg_id or found.data != payload:
                raise Fenced(str(fence), None if found is None else found.sequence) from fence
            self.counters.duplicates += 1
            return Published(found.sequence, is_duplicate=True)
        self._stands = (_last_of(stream, subject), published.sequence)
        return published

    async def publish(
        self, subject: str, payload: bytes, msg_id: str, *, beside: Mapping[str, str] | None = None
    ) -> Published:
        """Store one message that may be repeated and has no fence, such as a copy.

        Raises: as `publish_turn`, without Fenced.
        """
        published = await self._store(subject, payload, {**(beside or {}), MSG_ID: msg_id})
        self.counters.duplicates += published.is_duplicate
        return published

    async def last(self, stream: str, subject: str) -> Stored | None:
        """Return the last message on *subject*, None if there is none: the fence of the next turn.

        Raises: as `ask`.
        """
        place = _last_of(stream, subject)
        found = _stored(await self._request(place, b"", None))
        self._stands = (place, found.sequence if found is not None else 0)
        return found

    async def ask(self, subject: str, payload: bytes = b"") -> bytes:
        """Return the answer of the server's own interface, asked again within the budget.

        Raises: Forbidden; Closed; BusError if nobody answers.
        """
        return (await self._request(subject, payload, None)).data

    async def beat(self, subject: str, payload: bytes) -> None:
        """Send a heartbeat that nobody stores; without a link it is dropped and counted."""
        try:
            if self._link is not None:
                await self._link.send(subject, payload)
                return
        except Lost:
            pass
        self.counters.beats_dropped += 1

    async def hear(self, subject: str, callback: Callable[[str, bytes], None]) -> None:
        """Call back with (subject, data) for what nobody stores, over every link to come."""
        self._listeners[subject] = callback
        if self._link is not None and self.is_up:
            await self._hear(self._link, subject)

    def consume(
        self, stream: str, durable: str, *, after: int | None = None, ack_every: int = 1
    ) -> Reader:
        """Return a reader of a durable consumer, from the first message behind *after*.

        *after* is the last sequence that the snapshot holds, 0 for the beginning; None goes on
        behind what was acknowledged last. With *ack_every* above 1 the server is told in bulk,
        where the consumer's policy is to take one acknowledgement for all before.
        """
        return Reader(self, stream, durable, after, ack_every)

    async def link(self, deadline: float | None = None) -> Link:
        """Return the link, waiting for one until *deadline* of the loop's clock, if there is one.

        Raises: Closed; BusError at the deadline.
        """
        while True:
            if self._closed is not None:
                raise self._closed
            if self._link is not None and not self._link.ended.is_set():
                return self._link
            self._changed.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._changed.wait()
            except TimeoutError as error:
                kind = Taken if self._is_taken else BusError
                raise kind(f"{self.user}: no link: {self._why}") from error

    async def _store(self, subject: str, payload: bytes, headers: dict[str, str]) -> Published:
        """Publish until it is stored or refused."""
        message = await self._request(subject, payload, headers)
        try:
            ack = msgspec.json.decode(message.data, type=_Ack)
        except msgspec.DecodeError as error:
            raise BusError(f"{subject}: no acknowledgement but {message.data!r}") from error
        if ack.error is None:
            return Published(ack.seq, ack.duplicate)
        said = ack.error.description
        if ack.error.err_code in _WRONG_LAST:
            raise Fenced(f"{subject}: somebody else has written here: {said}")
        if ack.error.err_code in _FULL:
            raise StreamFull(f"{subject}: {said}")
        raise BusError(f"{subject}: {said} ({ack.error.err_code})")

    async def _request(self, subject: str, payload: bytes, headers: dict[str, str] | None) -> Msg:
        """Return the answer. Every try says the same, id and all."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.patience.budget_s
        tries = 0
        while True:
            link = await self.link(deadline)
            tries += 1
            try:
                left = min(self.patience.attempt_s, max(deadline - loop.time(), 0.001))
                message = await link.request(subject, payload, headers, left)
                if not _is_unavailable(message.data):
                    return message
                self._why = "JetStream is not available"
            except Lost as error:
                self._why = str(error)
            self.counters.retries += 1
            pause = self.pause(tries, subject)
            if loop.time() + pause >= deadline:
                raise BusError(
                    f"{subject}: gave up after {tries} tries in {self.patience.budget_s:g} s: "
                    f"{self._why}"
                )
            await asyncio.sleep(pause)

    def pause(self, tries: int, label: str) -> float:
        """Return the seconds to wait after so many tries: doubled, with keyed jitter."""
        most = self.patience.again_most_s
        longest = min(most, self.patience.again_first_s * 2.0 ** min(tries, 16))
        key = f"{self.user} {label} {tries} {self.counters.links}".encode()
        return longest * (0.5 + 0.5 * chance(0, key, b"bus back-off"))

    async def _keep(self) -> None:
        """Keep a link, until the budget without one is spent."""
        try:
            await self._keep_links()
        except Exception as error:
            self._fail(Closed(f"the supervisor of the link failed: {error!r}"))
            raise

    async def _keep_links(self) -> None:
        """See `_keep`."""
        loop = asyncio.get_running_loop()
        healthy, tries = loop.time(), 0
        while True:
            link = Link(self.user, self._key, self.patience, self.counters)
            try:
                await self._open(link)
                since, tries = loop.time(), tries + 1
                await link.ended.wait()
                # A link that dies at once is no sign of health, however often it comes up.
                if loop.time() - since > self.patience.ping_s:
                    healthy, tries = loop.time(), 0
                self._why = link.why
            except Closed as error:
                self._fail(error)
                return
            except (AdapterError, OSError) as error:
                tries += 1
                self._why = str(error)
            finally:
                self._unset(link)
                await link.close()
            down_s = loop.time() - healthy
            if down_s > self.patience.down_s:
                self._fail(Closed(f"{self.user}: no link for {down_s:.1f} s: {self._why}"))
                return
            self._notice(f"waits for a link to the NATS server: {self._why}")
            await asyncio.sleep(self.pause(tries, "link"))

    async def _open(self, link: Link) -> None:
        """Bring one link up, with everything that is to be heard on it."""
        await link.open(self._address(), self._tls)
        if link.version < SERVER_AT_LEAST:
            wanted = ".".join(map(str, SERVER_AT_LEAST))
            raise Closed(f"the NATS server is {link.version}, at least {wanted} is needed")
        for subject in self._listeners:
            await self._hear(link, subject)
        if self._seat is not None:
            await self._sit(link, self._seat)
        self.counters.reconnects += self.counters.links > 0
        self.counters.links += 1
        self._link = link
        self._changed.set()
        self._notice("has a link to the NATS server")

    async def _sit(self, link: Link, seat: Consumer) -> None:
        """Wait for the seat. Who has it is alone: the server lets one pull wait, and refuses more
        without a word; a heartbeat shows that it is ours. It is free again when our link ends.

        Two processes on the same consumers would set each other's positions and so pass over
        messages, before either of them is fenced.

        Raises: Taken if another process keeps it; Lost if the link ends.
        """
        box, ours = link.box(), asyncio.Event()

        async def hear(message: Msg) -> None:
            if (message.headers or {}).get("Status") == HEARTBEAT:
                ours.set()
            elif ours.is_set():
                link.end("the seat was lost")

        await link.listen(box, hear)
        body = {"batch": 1, "expires": _SEAT_NS, "idle_heartbeat": int(SEAT_BEAT_S * 1e9)}
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.patience.budget_s
        while True:
            await link.send(
                f"$JS.API.CONSUMER.MSG.NEXT.{seat.stream}.{seat.name}",
                msgspec.json.encode(body),
                box,
            )
            try:
                async with asyncio.timeout(2.5 * SEAT_BEAT_S):
                    await ours.wait()
            except TimeoutError:
                self._is_taken = True
                self._why = f"another process of {self.user} is alive"
            else:
                self._is_taken = False
                await self._still_stands(link)
                return
            if loop.time() > deadline:
                raise Taken(self._why)
            self._notice(f"waits for its seat: {self._why}")

    async def _still_stands(self, link: Link) -> None:
        """See that nobody spoke for us while the seat was free; before anything is heard again.

        Raises: Taken if somebody did; Closed if the server has lost what it had acknowledged, and
        must not; Lost if the link ends.
        """
        if self._stands is None:
            return
        place, last = self._stands
        found = _stored(await link.request(place, b"", None, self.patience.attempt_s))
        stands = found.sequence if found is not None else 0
        if stands < last and self._may_lose:
            self._stands = (place, stands)
            self.rewound.set()
            return
        if stands < last:
            raise Closed(f"the server has lost turns of {self.user}: {stands} is there, not {last}")
        if found is None or stands == last or found.headers.get(TURN_ID) == self._saying:
            return
        raise Taken(f"another process of {self.user} has spoken")

    def _unset(self, link: Link) -> None:
        """Forget a link that ended."""
        if self._link is link:
            self._link = None
            if self._closed is None:
                self._changed.clear()

    def _fail(self, error: Closed) -> None:
        """Close for good and wake everybody."""
        if self._closed is None:
            self._closed = error
        self._changed.set()

    async def _hear(self, link: Link, subject: str) -> None:
        """Subscribe to one subject on one link."""
        callback = self._listeners[subject]

        async def deliver(message: Msg) -> None:
            callback(message.subject, message.data)

        await link.listen(subject, deliver)


def _last_of(stream: str, subject: str) -> str:
    """Return where to ask for the last message on a subject."""
    return f"$JS.API.DIRECT.GET.{stream}.{subject}"


def _stored(message: Msg) -> Stored | None:
    """Return the message in the answer to a direct get; None if there is none.

    Raises: BusError if it is no such answer.
    """
    headers = dict(message.headers or {})
    if headers.get("Status") == "404":
        return None
    if "Nats-Sequence" not in headers:
        raise BusError(f"{message.subject}: {headers or message.data!r}")
    return Stored(int(headers["Nats-Sequence"]), message.data, headers)


def _is_unavailable(data: bytes) -> bool:
    """Say whether an answer means that JetStream itself is not ready, which passes.

    A full stream is told with the same code, but is no matter of time.
    """
    if b'"error"' not in data[:512]:
        return False
    try:
        error = msgspec.json.decode(data, type=_Ack).error
    except msgspec.DecodeError:
        return False
    return error is not None and error.code == _UNAVAILABLE and error.err_code not in _FULL
