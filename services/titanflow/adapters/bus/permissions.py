"""Who may do what on the bus? The least subjects for each user, derived from the topology.

A user's permission alone is not enough: the server sends its answers (a publish acknowledgement, a
pulled message) to whatever reply subject a request names, and does not ask whether the asker may
publish there. A contender could so have the server write on the subject of risk. Therefore every
pod lives in an account of its own, where no stream listens; the streams live in the account ARENA,
which lends each account exactly the subjects that its user may use. An answer then ends in the
asker's account, whatever subject it names.
Creating a consumer has the same hole (its deliver subject is not checked), so no pod may do that:
consumers are made by `ensure`, with the key of the host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from titanflow.adapters.bus.streams import (
    MESSAGE_BYTES_MAX,
    STORE_BYTES,
    Pod,
    Topology,
    check,
    consumers,
    output_subject,
    stream_name,
    subject,
)
from titanflow.core.base.errors import Problem, SpecError

HOST: Final = "host"
"""The user of whoever runs the arena: it makes streams and consumers, and may do everything."""
ARENA_ACCOUNT: Final = "ARENA"
SYSTEM_ACCOUNT: Final = "SYS"
"""The server's own account; nobody may log in to it."""
CONNECTIONS_MAX: Final = 1024
LOG_BYTES: Final = 8 << 20
LOG_FILES: Final = 4


class User(msgspec.Struct, frozen=True):
    """One pod's rights: what it may publish, and to what it may subscribe."""

    name: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def inbox(user: str) -> str:
    """Return the beginning of the subjects on which a user hears answers.

    >>> inbox("trade-0")
    '_INBOX_trade-0'
    """
    return f"_INBOX_{user}"


def beats_heard(topology: Topology, pod: Pod) -> tuple[str, ...]:
    """Return the pods whose heartbeats *pod* hears: all, or the lease of governance, or none."""
    others = [each for each in topology.pods if each != pod]
    if pod.role in {"governance", "sentinel"}:
        return tuple(each.name for each in others)
    if {"gate", "trade"} & set(pod.stages):
        return tuple(each.name for each in others if each.role == "governance")
    return ()


def users(topology: Topology) -> tuple[User, ...]:
    """Return the rights of every pod; the host's are not listed, it may do everything.

    Raises: SpecError if a pod is called like the host.
    """
    if any(pod.name == HOST for pod in check(topology).pods):
        raise SpecError([Problem(f"a pod is called {HOST!r}", "pods", "that is the host's name")])
    return tuple(_user(topology, pod) for pod in topology.pods)


def _user(topology: Topology, pod: Pod) -> User:
    """Return one pod's rights."""
    arena = topology.arena
    publish = [subject(arena, "beat", pod.name)]
    if pod.output:
        own = output_subject(topology, pod)
        # The last turn on its own subject, whose sequence is the fence of the next one.
        last = f"$JS.API.DIRECT.GET.{stream_name(arena, pod.output)}.{own}"
        publish += [own, last]
    if {"gate", "trade", "post"} & set(pod.stages):
        publish.append(subject(arena, "own", "*"))
    for each in consumers(topology):
        if each.user == pod.name:
            publish += [
                f"$JS.API.CONSUMER.MSG.NEXT.{each.stream}.{each.name}",
                f"$JS.API.CONSUMER.RESET.{each.stream}.{each.name}",
                f"$JS.ACK.{each.stream}.{each.name}.>",
            ]
    subscribe = [f"{inbox(pod.name)}.>"]
    heard = beats_heard(topology, pod)
    everyone = {each.name for each in topology.pods} - {pod.name}
    if set(heard) == everyone:
        subscribe.append(subject(arena, "beat", "*"))
    else:
        subscribe += [subject(arena, "beat", name) for name in heard]
    return User(pod.name, tuple(publish), tuple(subscribe))


def accounts(topology: Topology, keys: Mapping[str, str]) -> dict[str, Any]:
    """Return the accounts of the server's configuration. *keys* holds each user's public key.

    Raises: SpecError if a user has no key.
    """
    everyone = users(topology)
    lost = [name for name in (HOST, *(user.name for user in everyone)) if name not in keys]
    if lost:
        raise SpecError([Problem(f"{name!r} has no key", "keys") for name in lost])
    beats = {user.name: subject(topology.arena, "beat", user.name) for user in everyone}
    heard = {pod.name: beats_heard(topology, pod) for pod in topology.pods}
    lent: dict[str, list[str]] = {}
    found: dict[str, Any] = {}
    for user in everyone:
        borrowed = [name for name in user.publish if name != beats[user.name]]
        for name in borrowed:
            lent.setdefault(name, []).append(user.name)
        rights = {
            "publish": {"allow": list(user.publish)},
            "subscribe": {"allow": list(user.subscribe)},
        }
        imports = [{"service": {"account": ARENA_ACCOUNT, "subject": name}} for name in borrowed]
        # What came in as a service does not go out again as a stream, so a heartbeat goes
        # straight from the pod's account to those who listen.
        to = [ARENA_ACCOUNT, *(name for name, names in heard.items() if user.name in names)]
        found[user.name] = {
            "users": [{"nkey": keys[user.name], "permissions": rights}],
            "imports": imports + _hearing(beats, heard[user.name]),
            "exports": [{"stream": beats[user.name], "accounts": to}],
        }
    arena = {
        "jetstream": "enabled",
        "users": [{"nkey": keys[HOST]}],
        "exports": [_export(name, to) for name, to in lent.items()],
        "imports": _hearing(beats, tuple(beats)),
    }
    return {ARENA_ACCOUNT: arena, **found, SYSTEM_ACCOUNT: {}}


def _hearing(beats: Mapping[str, str], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the imports of the heartbeats of some pods."""
    return [{"stream": {"account": name, "subject": beats[name]}} for name in names]


def _export(name: str, to: list[str]) -> dict[str, Any]:
    """Return one subject that ARENA lends to some accounts."""
    export: dict[str, Any] = {"service": name, "accounts": to}
    if ".CONSUMER.MSG.NEXT." in name:
        export["response_type"] = "stream"  # one request, many messages
    return export


class Place(msgspec.Struct, frozen=True):
    """Where a server runs: its folder, and its ports (-1 for any that is free)."""

    folder: str
    port: int = -1
    monitor_port: int = -1
    host: str = "127.0.0.1"


def render(topology: Topology, keys: Mapping[str, str], place: Place) -> bytes:
    """Return the server's configuration; it holds no secret. JSON is what the server reads too.

    Raises: SpecError if a user has no key.
    """
    config = {
        "server_name": f"titanflow-{topology.arena}",
        "host": place.host,
        "port": place.port,
        "http": f"{place.host}:{place.monitor_port}",
        "ports_file_dir": place.folder,
        "pid_file": f"{place.folder}/nats-server.pid",
        "logfile": f"{place.folder}/nats-server.log",
        "logfile_size_limit": LOG_BYTES,
        "logfile_max_num": LOG_FILES,
        "max_payload": MESSAGE_BYTES_MAX,
        "max_connections": CONNECTIONS_MAX,
        # A client that is gone without a word frees its pulls after three seconds, not after six
        # minutes.
        "ping_interval": "1s",
        "ping_max": 2,
        "jetstream": {
            "store_dir": f"{place.folder}/store",
            "sync_interval": "always",
            "max_file_store": STORE_BYTES,
            "max_memory_store": 0,
        },
        "system_account": SYSTEM_ACCOUNT,
        "accounts": accounts(topology, keys),
    }
    return msgspec.json.format(msgspec.json.encode(config), indent=2) + b"\n"
