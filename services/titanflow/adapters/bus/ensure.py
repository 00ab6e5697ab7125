"""Does the server have what is declared? What is missing is made, what differs is told in words.

A stream or a consumer may grow by subjects (a new contender); nothing else is ever edited, because
a limit or a retention that changes can throw facts away. That is for a person to decide.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from titanflow.adapters.bus.errors import BusError
from titanflow.adapters.bus.streams import Topology, consumers, streams

Ask = Callable[[str, bytes], Awaitable[bytes]]
"""Asks one subject and returns the answer; `Bus.ask` is one."""

_NOT_FOUND: Final = 404
_LOSES: Final = frozenset({"retention", "discard", "max_age", "max_bytes", "max_msgs", "storage"})
"""Fields whose change can throw away what is stored, or refuse what comes."""
_BY_DEFAULT: Final[Mapping[str, object]] = {"persist_mode": "default", "filter_subjects": []}
"""What a field means that the server leaves out of its answer."""


class Drift(msgspec.Struct, frozen=True):
    """One difference between what is declared and what the server has."""

    where: str
    field: str
    found: object
    declared: object
    do: str

    def __str__(self) -> str:
        return (
            f"{self.where}: {self.field} is {self.found!r}, declared {self.declared!r}; {self.do}"
        )


class Report(msgspec.Struct, frozen=True):
    """What `ensure` did, and what it found and left alone."""

    created: tuple[str, ...]
    grown: tuple[str, ...]
    drift: tuple[Drift, ...]


class _Part(msgspec.Struct, frozen=True):
    """A stream or a consumer, as the API addresses it."""

    where: str
    info: str
    create: str
    update: str
    field: str
    """The field that may grow."""
    declared: dict[str, Any]
    stream: str = ""
    """Of which stream it is a consumer."""

    def body(self, config: Mapping[str, Any], action: str) -> Mapping[str, Any]:
        """Return the request that creates or updates it."""
        if not self.stream:
            return config
        return {"stream_name": self.stream, "config": config, "action": action}


async def ensure(ask: Ask, topology: Topology) -> Report:
    """Make the streams and consumers of an arena that are missing, and report what differs.

    Raises: BusError if the server refuses, with its reason.
    """
    created: list[str] = []
    grown: list[str] = []
    drift: list[Drift] = []
    for part in _parts(topology):
        found = await _config(ask, part.info)
        if found is None:
            await _call(ask, part.create, part.body(part.declared, "create"))
            created.append(part.where)
            found = await _config(ask, part.info) or {}
        elif _grows(found, part):
            wider = {**found, part.field: part.declared[part.field]}
            await _call(ask, part.update, part.body(wider, "update"))
            grown.append(part.where)
            found = await _config(ask, part.info) or {}
        drift += compare(part.where, found, part.declared)
    return Report(tuple(created), tuple(grown), tuple(drift))


def compare(where: str, found: Mapping[str, Any], declared: Mapping[str, Any]) -> list[Drift]:
    """Return every declared field that the server has otherwise."""
    differences = []
    for field, wanted in declared.items():
        has = found.get(field, _BY_DEFAULT.get(field))
        same = sorted(has or ()) == sorted(wanted) if isinstance(wanted, list) else has == wanted
        if not same:
            what = "change it by hand after a copy" if field in _LOSES else "make it anew"
            do = f"nothing was changed: {what}, or change the declaration"
            differences.append(Drift(where, field, has, wanted, do))
    return differences


def _parts(topology: Topology) -> list[_Part]:
    """Return everything that is declared, streams before their consumers."""
    api = "$JS.API"
    parts = [
        _Part(
            f"stream {stream.name}",
            f"{api}.STREAM.INFO.{stream.name}",
            f"{api}.STREAM.CREATE.{stream.name}",
            f"{api}.STREAM.UPDATE.{stream.name}",
            "subjects",
            stream.config(),
        )
        for stream in streams(topology)
    ]
    for each in consumers(topology):
        create = f"{api}.CONSUMER.CREATE.{each.stream}.{each.name}"
        parts.append(
            _Part(
                f"consumer {each.name} of {each.stream}",
                f"{api}.CONSUMER.INFO.{each.stream}.{each.name}",
                create,
                create,
                "filter_subjects",
                each.config(),
                each.stream,
            )
        )
    return parts


def _grows(found: Mapping[str, Any], part: _Part) -> bool:
    """Say whether the declared subjects hold the found ones and more."""
    has, wanted = set(found.get(part.field) or ()), set(part.declared[part.field])
    return bool(has) and has < wanted


async def _config(ask: Ask, subject: str) -> dict[str, Any] | None:
    """Return the configuration that the server has, None if there is none."""
    answer = msgspec.json.decode(await ask(subject, b""), type=dict[str, Any])
    error = answer.get("error")
    if error is None:
        return dict(answer["config"])
    if error["code"] == _NOT_FOUND:
        return None
    raise BusError(f"{subject}: {error.get('description', error)}")


async def _call(ask: Ask, subject: str, body: Mapping[str, Any]) -> None:
    """Ask for a change.

    Raises: BusError if it is refused.
    """
    answer = msgspec.json.decode(await ask(subject, msgspec.json.encode(body)), type=dict[str, Any])
    if "error" in answer:
        raise BusError(f"{subject}: {answer['error'].get('description', answer['error'])}")
