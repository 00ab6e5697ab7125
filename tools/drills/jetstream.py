"""What stands in for the network and the server in a seeded simulation? JetStream in memory.

It speaks what the bus speaks (publish with fence and id, direct get, reset and pull of a durable
consumer, acknowledgements, heartbeats) over connections that delay, lose and break. All that is
above the client library is the real code: `Link`, `Bus` and `Reader`. Time is the event loop's, and
virtual.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from nats import errors as nats_errors
from nats.aio.msg import Msg

from titanflow.adapters.bus.streams import Consumer, Topology, consumers, streams

DUPLICATE, WRONG_LAST = "duplicate", 10071
GRAIN_S: Final = 1e-6
"""What keeps two messages of one connection in order."""
GIVEN_UP_S: Final = 2.0
"""How long the server waits for a client that does not answer its pings."""
Hear = Callable[[Msg], Awaitable[None]]


@dataclass
class Weather:
    """How bad the links are; all shares are of one message in one direction."""

    delay_s: float = 0.001
    lost: float = 0.0
    again: float = 0.0
    """Share of deliveries that the server repeats, as after `ack_wait`."""


@dataclass
class Stored:
    """One message of a stream."""

    subject: str
    data: bytes
    headers: dict[str, str]


class Stream:
    """What was acknowledged to publishers. It survives the server's death; a tail may not."""

    def __init__(self, subjects: tuple[str, ...]) -> None:
        self.subjects = subjects
        self.messages: list[Stored] = []
        self.ids: dict[str, int] = {}
        self.last: dict[str, int] = {}

    def cut(self, count: int) -> None:
        """Lose the last *count* messages, as a power cut does where nothing was synced."""
        kept = self.messages[: len(self.messages) - count]
        self.messages, self.ids, self.last = [], {}, {}
        for each in kept:
            self.add(each)

    def add(self, message: Stored) -> int:
        """Store a message and return its sequence."""
        self.messages.append(message)
        sequence = len(self.messages)
        self.last[message.subject] = sequence
        if "Nats-Msg-Id" in message.headers:
            self.ids[message.headers["Nats-Msg-Id"]] = sequence
        return sequence


@dataclass
class Pull:
    """One standing request for messages."""

    client: FakeClient
    box: str
    expires: float
    beat_s: float
    spoken: float


@dataclass
class Standing:
    """One durable consumer."""

    config: Consumer
    next: int = 1
    delivered: int = 0
    floor: int = 0
    """Everything up to here was acknowledged."""
    pending: dict[int, float] = field(default_factory=dict)
    """When each message that was delivered comes again."""
    again: deque[int] = field(default_factory=deque)
    pulls: deque[Pull] = field(default_factory=deque)

    def reset(self, sequence: int) -> None:
        """Begin at *sequence*, whatever was delivered before."""
        self.next, self.delivered, self.floor = sequence, 0, sequence - 1
        self.pending.clear()
        self.again.clear()


class Server:
    """The server: streams and consumers of one topology."""

    def __init__(self, topology: Topology, chance: Random, weather: Weather) -> None:
        self.streams = {each.name: Stream(each.subjects) for each in streams(topology)}
        self.consumers = {(each.stream, each.name): Standing(each) for each in consumers(topology)}
        self.chance, self.weather = chance, weather
        self.clients: list[FakeClient] = []
        self.is_up = True
        self.ack_wait_s = 1.0
        self.fenced = 0
        self._of = {subject: name for name, s in self.streams.items() for subject in s.subjects}

    # The server's end of a connection.

    def take(self, client: FakeClient, subject: str, data: bytes, reply: str, headers: Any) -> None:
        """Hear one message of a client."""
        tokens = subject.split(".")
        if subject.startswith("$JS.ACK."):
            self._acknowledge(tokens)
        elif subject.startswith("$JS.API.DIRECT.GET."):
            self._direct(client, tokens[4], ".".join(tokens[5:]), reply)
        elif subject.startswith("$JS.API.CONSUMER.RESET."):
            self._reset(client, (tokens[4], tokens[5]), data, reply)
        elif subject.startswith("$JS.API.CONSUMER.MSG.NEXT."):
            self._pull(client, (tokens[5], tokens[6]), json.loads(data), reply)
        elif (name := self._stream_of(subject)) is not None:
            self._publish(client, (name, subject), data, reply, dict(headers or {}))

    def _publish(
        self,
        client: FakeClient,
        where: tuple[str, str],
        data: bytes,
        reply: str,
        headers: dict[str, str],
    ) -> None:
        name, subject = where
        stream = self.streams[name]
        expected = headers.get("Nats-Expected-Last-Subject-Sequence")
        ident = headers.get("Nats-Msg-Id", "")
        if expected is not None and int(expected) != stream.last.get(subject, 0):
            self.fenced += 1
            error = {"code": 400, "err_code": WRONG_LAST, "description": "wrong last sequence"}
            client.send(reply, json.dumps({"error": error}).encode())
            return
        if ident in stream.ids:
            body = {"seq": stream.ids[ident], "duplicate": True}
        else:
            body = {"seq": stream.add(Stored(subject, data, headers))}
            for (its, _), standing in self.consumers.items():
                if its == name:
                    self.deliver(standing)
        client.send(reply, json.dumps(body).encode())

    def _stream_of(self, subject: str) -> str | None:
        """Return the stream that stores a subject; None for what nobody stores."""
        above = subject.rpartition(".")[0] + ".*"
        return self._of.get(subject) or self._of.get(above)

    def _direct(self, client: FakeClient, name: str, subject: str, reply: str) -> None:
        stream = self.streams[name]
        sequence = stream.last.get(subject, 0)
        if not sequence:
            client.send(reply, b"", {"Status": "404"})
            return
        found = stream.messages[sequence - 1]
        client.send(reply, found.data, {**found.headers, "Nats-Sequence": str(sequence)})

    def _reset(self, client: FakeClient, key: tuple[str, str], data: bytes, reply: str) -> None:
        standing = self.consumers[key]
        sequence = json.loads(data)["seq"] if data else standing.floor + 1
        standing.reset(sequence)
        client.send(reply, json.dumps({"reset_seq": sequence}).encode())
        self.deliver(standing)

    def _pull(self, client: FakeClient, key: tuple[str, str], body: Any, box: str) -> None:
        now, beat = asyncio.get_running_loop().time(), body["idle_heartbeat"] / 1e9
        pull = Pull(client, box, now + body["expires"] / 1e9, beat, now)
        standing = self.consumers[key]
        if standing.config.is_seat and self._first(standing) is not None:
            return  # the server refuses without a word
        standing.pulls.append(pull)
        self._beat(standing, pull)
        self.deliver(standing)

    def _acknowledge(self, tokens: list[str]) -> None:
        standing = self.consumers[tokens[2], tokens[3]]
        sequence = int(tokens[5])
        # One that was delivered before a reset counts as well: the server does not tell them apart.
        for each in [*standing.pending, *standing.again]:
            if each == sequence or (each < sequence and standing.config.in_flight > 1):
                standing.pending.pop(each, None)
                if each in standing.again:
                    standing.again.remove(each)
        first = min([*standing.pending, *standing.again, standing.next])
        standing.floor = max(standing.floor, first - 1)
        self.deliver(standing)

    # Delivery.

    def deliver(self, standing: Standing) -> None:
        """Send what a consumer may have in flight to those who asked."""
        messages = self.streams[standing.config.stream].messages
        while self._first(standing) is not None:
            if standing.again:
                sequence = standing.again.popleft()
            else:
                if len(standing.pending) >= standing.config.in_flight:
                    return
                while standing.next <= len(messages) and not self._is_for(
                    standing, messages[standing.next - 1].subject
                ):
                    standing.next += 1
                if standing.next > len(messages):
                    return
                sequence = standing.next
                standing.next += 1
            self._send(standing, sequence, messages[sequence - 1])

    def _send(self, standing: Standing, sequence: int, message: Stored) -> None:
        pull = self._first(standing)
        assert pull is not None, "nobody asked"
        loop = asyncio.get_running_loop()
        standing.delivered += 1
        wait = self.ack_wait_s
        if self.chance.random() < self.weather.again:
            wait = self.chance.uniform(0, 4 * self.weather.delay_s)
        due = loop.time() + wait
        standing.pending[sequence] = due
        loop.call_at(due, self._expire, standing, sequence, due)
        pull.spoken = loop.time()
        reply = (
            f"$JS.ACK.{standing.config.stream}.{standing.config.name}.1.{sequence}."
            f"{standing.delivered}.0.0"
        )
        pull.client.send(pull.box, message.data, message.headers, reply)

    def _expire(self, standing: Standing, sequence: int, due: float) -> None:
        """Deliver again what was not acknowledged in time."""
        if standing.pending.get(sequence) == due and self.is_up:
            del standing.pending[sequence]
            standing.again.append(sequence)
            self.deliver(standing)

    def _first(self, standing: Standing) -> Pull | None:
        """Return the oldest pull that is still heard."""
        while standing.pulls:
            pull = standing.pulls[0]
            if pull.client.listens(pull.box):
                return pull
            standing.pulls.popleft()
        return None

    def _is_for(self, standing: Standing, subject: str) -> bool:
        filters = standing.config.filters
        return not filters or any(
            subject == each or (each.endswith(".*") and subject.startswith(each[:-1]))
            for each in filters
        )

    def _beat(self, standing: Standing, pull: Pull) -> None:
        """Say that a pull lives, or that it has ended."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if pull not in standing.pulls or not pull.client.listens(pull.box):
            return
        if now >= pull.expires - GRAIN_S:
            standing.pulls.remove(pull)
            pull.client.send(pull.box, b"", {"Status": "408", "Description": "Request Timeout"})
            return
        if now - pull.spoken >= pull.beat_s - GRAIN_S:
            pull.spoken = now
            last = {"Status": "100", "Nats-Last-Consumer": str(standing.delivered)}
            pull.client.send(pull.box, b"", last)
        loop.call_at(min(pull.spoken + pull.beat_s, pull.expires), self._beat, standing, pull)

    # Death.

    def die(self) -> None:
        """Stop at once: all links break; consumers may forget acknowledgements."""
        self.is_up = False
        for client in list(self.clients):
            client.cut("the server died", by_server=True)
        for standing in self.consumers.values():
            standing.pulls.clear()
            forgotten = self.chance.randrange(4)
            standing.reset(max(1, standing.floor + 1 - forgotten))


class FakeClient:
    """The client library's `Client`, as far as `Link` uses it, on a connection in memory."""

    def __init__(self, server_of: Callable[[str], tuple[Server, set[FakeClient]]]) -> None:
        self._server_of = server_of
        self._public_nkey = ""
        self._transport = None
        self.last_error: Exception | None = None
        self.is_connected = False
        self._heard: dict[str, Hear] = {}
        self._boxes = 0
        self._up_at = self._down_at = 0.0
        self._frozen_until = 0.0
        self._is_served = False
        """Whether the server has its end open: it closes later than ours, or sooner."""
        self._closed_cb: Callable[[], Awaitable[None]] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    class _Version:
        major, minor = 2, 15

    connected_server_version = _Version()

    async def connect(self, *, servers: list[str], name: str, closed_cb: Any, **_: object) -> None:
        """Make a connection.

        Raises: nats.errors.NoServersError if the server is down.
        """
        self._name, self._closed_cb = name, closed_cb
        self._server, mine = self._server_of(servers[0])
        await asyncio.sleep(self._delay())
        if not self._server.is_up:
            raise nats_errors.NoServersError
        self._server.clients.append(self)
        mine.add(self)
        self.is_connected = self._is_served = True

    def new_inbox(self) -> str:
        """Return a subject of our own."""
        self._boxes += 1
        return f"_INBOX_{self._name}.{self._boxes}"

    async def subscribe(self, subject: str, cb: Hear) -> FakeClient._Subscription:
        """Hear a subject, or with `.*` at its end all that lie one level below."""
        self._heard[subject] = cb
        return self._Subscription(self, subject)

    async def hear(self, subject: str, callback: Hear) -> FakeClient._Subscription:
        """Hear a subject at once."""
        return await self.subscribe(subject, callback)

    class _Subscription:
        def __init__(self, client: FakeClient, subject: str) -> None:
            self._client, self._subject = client, subject

        async def unsubscribe(self) -> None:
            self._client._heard.pop(self._subject, None)  # noqa: SLF001 - two halves of one thing

    def listens(self, subject: str) -> bool:
        """Say whether somebody hears *subject* here."""
        return self._is_served and subject in self._heard

    async def publish(
        self, subject: str, payload: bytes, reply: str = "", headers: Any = None
    ) -> None:
        """Send a message to the server.

        Raises: nats.errors.ConnectionClosedError if the connection has ended.
        """
        if not self.is_connected:
            raise nats_errors.ConnectionClosedError
        if self._is_lost() or not self._is_served:
            return
        self._up_at = self._due(self._up_at)
        asyncio.get_running_loop().call_at(
            self._up_at, self._arrive, subject, payload, reply, headers
        )

    def _arrive(self, subject: str, payload: bytes, reply: str, headers: Any) -> None:
        # What was sent before the sender died arrives all the same.
        if self._server.is_up and self._is_served:
            self._server.take(self, subject, payload, reply, headers)

    def send(
        self, subject: str, data: bytes, headers: dict[str, str] | None = None, reply: str = ""
    ) -> None:
        """Send a message to the client: the server's side of the connection."""
        if not self._is_served or self._is_lost():
            return
        self._down_at = self._due(self._down_at)
        message = Msg(self, subject, reply, data, headers)  # type: ignore[arg-type] # a stand-in
        asyncio.get_running_loop().call_at(self._down_at, self._hear, message)

    def _hear(self, message: Msg) -> None:
        callback = self._heard.get(message.subject) or self._heard.get(
            message.subject.rpartition(".")[0] + ".*"
        )
        if callback is None or not self.is_connected:
            return
        running = callback(message)
        try:
            running.send(None)  # type: ignore[attr-defined] # the bus's callbacks never wait
        except StopIteration:
            return
        raise AssertionError("a callback of the bus waits for something")

    async def rtt(self, patient: float) -> None:
        """Ask whether the server is there.

        Raises: nats.errors.TimeoutError if it does not answer in time.
        """
        late = self._frozen_until - asyncio.get_running_loop().time()
        await asyncio.sleep(min(max(late, 2 * self._delay()), patient))
        if late > patient or not self._server.is_up:
            raise nats_errors.TimeoutError

    def freeze(self, seconds: float) -> None:
        """Let nothing through for a while, as where a process or its link stands still.

        The server gives such a connection up; who stands still hears of it when he wakes up.
        """
        loop = asyncio.get_running_loop()
        self._frozen_until = loop.time() + seconds
        if seconds > GIVEN_UP_S:
            loop.call_later(GIVEN_UP_S, self._give_up)
            loop.call_later(seconds, self.cut, "the server has closed the connection")

    def _give_up(self) -> None:
        """Close the server's end."""
        self._is_served = False
        if self in self._server.clients:
            self._server.clients.remove(self)

    def cut(self, why: str, *, by_server: bool = False) -> None:
        """Break the connection; what is on its way to the client is lost."""
        if by_server:
            self._give_up()
        if not self.is_connected:
            return
        self._leave()
        self.last_error = ConnectionError(why)
        if self._closed_cb is not None:
            task = asyncio.ensure_future(self._closed_cb())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Leave."""
        if self.is_connected:
            self._leave()

    def _leave(self) -> None:
        """Close our end; the farewell reaches the server behind all that was said before."""
        self.is_connected = False
        self._up_at = self._due(self._up_at)
        asyncio.get_running_loop().call_at(self._up_at, self._give_up)

    def _delay(self) -> float:
        return self._server.chance.uniform(GRAIN_S, self._server.weather.delay_s)

    def _due(self, former: float) -> float:
        now = asyncio.get_running_loop().time()
        return max(now + self._delay(), former + GRAIN_S, self._frozen_until)

    def _is_lost(self) -> bool:
        weather = self._server.weather
        return weather.lost > 0 and self._server.chance.random() < weather.lost
