"""Who may do what on the bus, for people? Tables from the declarations, for docs/streams.md."""

from __future__ import annotations

from typing import Final

from titanflow.adapters.bus.permissions import User, users
from titanflow.adapters.bus.streams import (
    DAY_NS,
    MIB,
    Consumer,
    Pod,
    Stream,
    Topology,
    consumers,
    streams,
)

EXAMPLE: Final = Topology(
    "demo",
    (
        Pod("gateway", role="gateway"),
        Pod("perception-0", stages=("perceive",)),
        Pod("signal-alpha", stages=("decide",), contenders=("alpha",)),
        Pod("risk-0", stages=("gate",)),
        Pod("execution-0", stages=("trade",)),
        Pod("ledger-0", stages=("post", "score"), writes_journal=True),
        Pod("serving", role="serving"),
        Pod("governance", role="governance"),
        Pod("sentinel", role="sentinel"),
    ),
    replay_clock=True,
    lock_step=True,
)
"""Every kind of pod once, each in a process of its own; a replay clock publishes the market."""

_API: Final = "$JS.API."
_NEXT: Final = f"{_API}CONSUMER.MSG.NEXT."
_OF_A_CONSUMER: Final = (_NEXT, f"{_API}CONSUMER.RESET.", "$JS.ACK.")
_LAST: Final = f"{_API}DIRECT.GET."


def draw(topology: Topology) -> str:
    """Return the tables of streams, consumers and users in Markdown."""
    return "\n".join(
        [
            "### Streams",
            "",
            "| stream | subjects | holds | kept | at most | written |",
            "|---|---|---|---|---|---|",
            *map(_stream, streams(topology)),
            "",
            "### Consumers",
            "",
            "| consumer | of | filter | in flight |",
            "|---|---|---|---|",
            *map(_consumer, consumers(topology)),
            "",
            "### Users",
            "",
            "| user | publishes | reads by its consumers | asks the last message of | hears |",
            "|---|---|---|---|---|",
            *map(_user, users(topology)),
            "",
        ]
    )


def _stream(stream: Stream) -> str:
    kept = f"{stream.max_age // DAY_NS} days" if stream.max_age else "for ever"
    if stream.retention == "workqueue":
        kept = f"until done, {kept.replace('days', 'day')} at most"
    most = f"{stream.max_bytes // MIB:,} MiB"
    if stream.max_msgs > 0:
        most += f", {stream.max_msgs:,} messages"
    written = "in the background" if stream.is_async else "before it is acknowledged"
    return _row(f"`{stream.name}`", _code(stream.subjects), stream.why, kept, most, written)


def _consumer(consumer: Consumer) -> str:
    filters = _code(consumer.filters) if consumer.filters else "everything"
    return _row(f"`{consumer.name}`", f"`{consumer.stream}`", filters, str(consumer.in_flight))


def _user(user: User) -> str:
    """Return one user's row. A right of no known kind is shown as it is, never left out."""
    read = [name.removeprefix(_NEXT) for name in user.publish if name.startswith(_NEXT)]
    last = [name.removeprefix(_LAST) for name in user.publish if name.startswith(_LAST)]
    others = [
        name
        for name in user.publish
        if not name.startswith((*_OF_A_CONSUMER, _LAST))
        or (name.startswith("$JS.ACK.") and name[8:-2] not in read)
        or (name.startswith(_OF_A_CONSUMER[1]) and name.removeprefix(_OF_A_CONSUMER[1]) not in read)
    ]
    return _row(
        f"`{user.name}`",
        _code(others),
        _code(tuple(read)),
        _code(tuple(name.partition(".")[2] for name in last)),
        _code(user.subscribe),
    )


def _code(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "—"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
