"""Which streams, subjects and consumers does an arena have? Declared here, once.

A declaration is a pure function of the topology: the arena's name and its pods.
`ensure` in the module beside makes them on a server; `permissions` derives from them who may what.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from titanflow.core.base.errors import Problem, SpecError

Stage = Literal["perceive", "decide", "gate", "trade", "post", "score"]
Role = Literal["", "gateway", "serving", "governance", "sentinel"]

MIB: Final = 1 << 20
GIB: Final = 1 << 30
SECOND_NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * SECOND_NS
DUPLICATES_NS: Final = 600 * SECOND_NS
"""Ten minutes: longer than any retry or outage that a pod survives; the server keeps the ids in
memory, at some 100 bytes each."""
MESSAGE_BYTES_MAX: Final = 4 * MIB
"""A turn of 10,000 contenders at 400 bytes a fact."""
ACK_WAIT_NS: Final = 5 * SECOND_NS
UNORDERED_IN_FLIGHT: Final = 256
"""For who has no effects to order: files, recovery and watermarks may take many at once."""
STORE_BYTES: Final = 16 * GIB
"""What all streams may hold together; the sum of their limits stays below."""

JOURNALLED: Final = ("MARKET", "DECISION", "ORDER", "LEDGER", "CONTROL")
"""Kinds of stream that a session's journal is written from; OWN holds copies of what is there."""
COMMANDS: Final = frozenset({"governance", "sentinel"})
"""Roles that may command: what they say on their subject of control, risk and execution take in."""
_SOURCES: Final[dict[Stage, tuple[Stage, ...]]] = {
    "perceive": (),
    "decide": ("perceive", "gate", "trade", "post"),
    "gate": ("decide", "trade", "post"),
    "trade": ("gate",),
    "post": ("trade",),
    "score": ("gate", "trade", "post"),
}
"""Whose turns each stage consumes, beside the market; see `turn_sources` for named contenders.
The gateway reads every pod's turns, so that it can keep lock step."""
SHARDED: Final[tuple[Stage, ...]] = ("decide", "gate", "trade", "post")
"""The stages that may be cut into shards: trade by instrument, the others by contender."""
SHARDS_MAX: Final = 64
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class Pod(msgspec.Struct, frozen=True):
    """One pod: its name, which is its NATS user, and what it hosts."""

    name: str
    """A lower-case DNS label, such as `trade-0`."""
    stages: tuple[Stage, ...] = ()
    role: Role = ""
    """What it is where it hosts no stage."""
    contenders: tuple[str, ...] = ()
    """Whose stage `decide` it hosts, if they run apart from the arena's own code and must not hear
    of others; empty where the pod is the arena's own and hosts everybody's."""
    writes_journal: bool = False
    """Whether it also reads every stream whole, to write the session's journal."""
    shard: tuple[int, int] = (0, 1)
    """Which part of its stages it is, of how many: (k, n)."""

    @property
    def is_part(self) -> bool:
        """Say whether other pods host the same stages for other contenders or instruments."""
        return self.shard[1] > 1

    @property
    def output(self) -> str:
        """Give the kind of stream that holds its turns; empty if it takes none."""
        hosted = set(self.stages)
        if self.role == "gateway":
            return "MARKET"
        if hosted & {"gate", "trade"}:
            return "ORDER"
        if hosted & {"post", "score"}:
            return "LEDGER"
        if self.role in COMMANDS:
            return "CONTROL"
        return "DECISION" if hosted else ""


class Topology(msgspec.Struct, frozen=True):
    """An arena's name, its pods, and whether the market can be published again from files."""

    arena: str
    pods: tuple[Pod, ...]
    replay_clock: bool = False
    replicas: int = 1
    leases: bool = False
    """Whether nothing passes without a fresh lease of governance."""
    lock_step: bool = False
    """Whether the market waits for everybody after each instant."""

    @property
    def apart(self) -> tuple[str, ...]:
        """Give the contenders that decide in pods of their own, and so read copies."""
        return tuple(name for pod in self.pods for name in pod.contenders)

    @property
    def in_one_step(self) -> bool:
        """Say whether one message plays a whole instant: in lock step, with one pod that trades.

        Its one turn on the market is all that others must know before they decide. Where several
        pods trade, or copies are made, only the gateway can tell when all has settled.
        """
        trading = self.hosting("trade", "gate", "post")
        return self.lock_step and len(trading) == 1 and not self.apart

    def hosting(self, *stages: Stage) -> tuple[Pod, ...]:
        """Return the pods that host any of *stages*, in order."""
        return tuple(pod for pod in self.pods if set(stages) & set(pod.stages))


class Stream(msgspec.Struct, frozen=True):
    """One stream as it must be. Ages in nanoseconds, 0 for ever; sizes in bytes, -1 without end."""

    name: str
    subjects: tuple[str, ...]
    why: str
    """What it holds, for people."""
    retention: Literal["limits", "workqueue"] = "limits"
    max_age: int = 0
    max_bytes: int = GIB
    max_msgs: int = -1
    replicas: int = 1
    is_async: bool = False
    """Whether a message may be acknowledged before it is on the disk."""

    def config(self) -> dict[str, object]:
        """Return the declaration in the words of the JetStream API."""
        return {
            "name": self.name,
            "subjects": list(self.subjects),
            "retention": self.retention,
            "discard": "new",
            "max_age": self.max_age,
            "max_bytes": self.max_bytes,
            "max_msgs": self.max_msgs,
            "max_msg_size": MESSAGE_BYTES_MAX,
            "duplicate_window": DUPLICATES_NS,
            "storage": "file",
            "num_replicas": self.replicas,
            "persist_mode": "async" if self.is_async else "default",
            "allow_direct": True,
            "deny_delete": self.retention == "limits",
        }


class Consumer(msgspec.Struct, frozen=True):
    """One durable consumer: whose, of which stream, filtered to which subjects."""

    stream: str
    name: str
    user: str
    filters: tuple[str, ...] = ()
    in_flight: int = 1
    """Messages delivered and not yet acknowledged; 1 keeps the order, whatever is redelivered."""
    is_seat: bool = False
    """Whether it delivers nothing: the one process that the server lets pull from it is the pod."""

    def config(self) -> dict[str, object]:
        """Return the declaration in the words of the JetStream API."""
        return {
            "durable_name": self.name,
            "deliver_policy": "all",
            "ack_policy": "explicit" if self.in_flight == 1 else "all",
            "ack_wait": ACK_WAIT_NS,
            "max_deliver": -1,
            "max_ack_pending": self.in_flight,
            "filter_subjects": list(self.filters),
            **({"max_waiting": 1} if self.is_seat else {}),
        }


def subject(arena: str, *tokens: str) -> str:
    """Return a subject of an arena.

    >>> subject("demo", "turn", "trade-0")
    'tf.demo.turn.trade-0'
    """
    return ".".join(("tf", arena, *tokens))


def stream_name(arena: str, kind: str) -> str:
    """Return the name of a stream: `TF_<arena>_<KIND>`."""
    return f"TF_{arena}_{kind}"


def output_subject(topology: Topology, pod: Pod) -> str:
    """Return the subject on which a pod publishes its turns."""
    if pod.role == "gateway":
        return subject(topology.arena, "market")
    if pod.role in COMMANDS:
        return subject(topology.arena, "control", pod.name)
    return subject(topology.arena, "turn", pod.name)


def check(topology: Topology) -> Topology:
    """Return the topology if its names can be subjects.

    Raises: SpecError with every mistake.
    """
    names = [(topology.arena, "arena")]
    names += [(pod.name, f"pods[{i}].name") for i, pod in enumerate(topology.pods)]
    names += [
        (name, f"pods[{i}].contenders")
        for i, pod in enumerate(topology.pods)
        for name in pod.contenders
    ]
    problems = [
        Problem(f"{name!r} is no lower-case DNS label", where, "use a-z, 0-9 and -")
        for name, where in names
        if not _LABEL.fullmatch(name)
    ]
    pods = [pod.name for pod in topology.pods]
    problems += [
        Problem(f"two pods are called {name!r}", "pods") for name in pods if pods.count(name) > 1
    ]
    problems += [
        Problem(f"{pod.name!r} hosts stages and has a role", "pods", "leave one of them out")
        for pod in topology.pods
        if pod.role and pod.stages
    ]
    problems += [
        Problem(f"{pod.name!r} names contenders and trades", "pods", "let them decide elsewhere")
        for pod in topology.pods
        if pod.contenders and set(pod.stages) - {"perceive", "decide"}
    ]
    problems += _shard_problems(topology)
    if problems:
        raise SpecError(problems)
    return topology


def _shard_problems(topology: Topology) -> list[Problem]:
    """Return what is wrong with how stages are cut into shards: each part is there, once."""
    problems: list[Problem] = []
    for pod in topology.pods:
        number, of = pod.shard
        hosted = set(pod.stages)
        whole = hosted & {"perceive", "score"} or ("decide" in hosted and hosted - {"decide"})
        if not 0 <= number < of <= SHARDS_MAX:
            what = f"{pod.name!r} is shard {number}/{of}"
            do = f"count from 0 and below n, at most {SHARDS_MAX}"
            problems.append(Problem(what, "pods", do))
        elif pod.is_part and (whole or pod.contenders or pod.role):
            do = "cut gate, trade and post, or decide alone, into shards"
            problems.append(Problem(f"{pod.name!r} cannot be a shard", "pods", do))
    for stage in SHARDED:
        hosts = [pod for pod in topology.hosting(stage) if not pod.contenders]
        found = sorted(pod.shard for pod in hosts)
        wanted = [(k, len(hosts)) for k in range(len(hosts))]
        if any(pod.is_part for pod in hosts) and found != wanted:
            is_said = ", ".join(f"{k}/{n}" for k, n in found)
            what = f"shards of {stage} are {is_said}"
            problems.append(Problem(what, "pods", "give each of 0/n to n-1/n to one pod"))
    return problems


def streams(topology: Topology) -> tuple[Stream, ...]:
    """Return the streams of an arena. A stream without subjects yet is left out."""
    arena, replicas = check(topology).arena, topology.replicas

    def turns(kind: str) -> tuple[str, ...]:
        found = (output_subject(topology, pod) for pod in topology.pods if pod.output == kind)
        return tuple(sorted(found))

    found = (
        Stream(
            stream_name(arena, "MARKET"),
            (subject(arena, "market"),),
            "market events, all of one instant in a message",
            # In lock step what is lost is said again, byte by byte.
            is_async=topology.replay_clock and topology.lock_step,
        ),
        Stream(
            stream_name(arena, "DECISION"),
            turns("DECISION"),
            "beliefs, signals, intents",
            max_age=7 * DAY_NS,
        ),
        Stream(
            stream_name(arena, "ORDER"),
            turns("ORDER"),
            "verdicts, orders, fills",
            max_bytes=3 * GIB,
        ),
        Stream(
            stream_name(arena, "LEDGER"),
            turns("LEDGER"),
            "entries and standings",
            max_bytes=3 * GIB,
        ),
        Stream(
            stream_name(arena, "OWN"),
            (subject(arena, "own", "*"),),
            "copies of each contender's own facts",
            max_age=7 * DAY_NS,
        ),
        Stream(
            stream_name(arena, "CONTROL"),
            (subject(arena, "control", "*"),),
            "requests to stop, and to release",
            max_bytes=256 * MIB,
        ),
        Stream(
            stream_name(arena, "WORK"),
            (subject(arena, "work", "*"),),
            "jobs, each for one worker",
            retention="workqueue",
            max_age=DAY_NS,
            max_bytes=256 * MIB,
            max_msgs=100_000,
        ),
    )
    return tuple(
        msgspec.structs.replace(each, replicas=replicas) for each in found if each.subjects
    )


def consumers(topology: Topology) -> tuple[Consumer, ...]:
    """Return every durable consumer of an arena: what each pod reads, and nothing besides.

    A pod's consumer is called like the pod; `<pod>-turns` reads its own turns again when it
    recovers; `<pod>-journal` reads a stream whole; `<pod>-seat` is for one process at a time.
    """
    found: list[Consumer] = []
    names = {stream.name for stream in streams(topology)}
    for pod in topology.pods:
        in_flight = 1 if pod.stages else UNORDERED_IN_FLIGHT
        for kind, filters in _reads(topology, pod).items():
            name = stream_name(topology.arena, kind)
            found.append(Consumer(name, pod.name, pod.name, filters, in_flight))
        if pod.output:
            name = stream_name(topology.arena, pod.output)
            own = (output_subject(topology, pod),)
            if pod.role != "sentinel":  # what it remembers, it hears as everybody's
                turns = Consumer(name, f"{pod.name}-turns", pod.name, own, UNORDERED_IN_FLIGHT)
                found.append(turns)
            found.append(seat(topology, pod))
        if pod.writes_journal:
            whole = [stream_name(topology.arena, kind) for kind in JOURNALLED]
            found += [
                Consumer(name, f"{pod.name}-journal", pod.name, (), UNORDERED_IN_FLIGHT)
                for name in whole
                if name in names
            ]
    return tuple(found)


def seat(topology: Topology, pod: Pod) -> Consumer:
    """Return the consumer whose only reader is the pod; nothing is ever said on its subject."""
    nothing = subject(topology.arena, "own", f"_{pod.name}")  # no contender has such a name
    name = stream_name(topology.arena, "OWN")
    return Consumer(name, f"{pod.name}-seat", pod.name, (nothing,), is_seat=True)


def turn_sources(topology: Topology, pod: Pod) -> tuple[Pod, ...]:
    """Return the pods whose turns *pod* reads, in order: those of stages that it does not host.

    A pod of named contenders runs their code, so it hears of orders by their own copies only, and
    not by the turns of the trading side, in which everybody's orders are.
    """
    # Of a stage that it hosts in part, the other parts are elsewhere.
    hosted = set[Stage]() if pod.is_part else set(pod.stages)
    needed = {source for stage in pod.stages for source in _SOURCES[stage]} - hosted
    if pod.contenders:
        needed &= {"perceive"}
    return tuple(each for each in topology.pods if each != pod and needed & set(each.stages))


def copied_from(topology: Topology, pod: Pod) -> tuple[Pod, ...]:
    """Return the pods that copy their contenders' own facts to *pod*, in order."""
    return topology.hosting("gate", "trade", "post") if pod.contenders else ()


def commanded_by(topology: Topology, pod: Pod) -> tuple[Pod, ...]:
    """Return the pods whose commands *pod* takes in, in order."""
    if not {"gate", "trade"} & set(pod.stages):
        return ()
    return tuple(each for each in topology.pods if each.role in COMMANDS)


def _reads(topology: Topology, pod: Pod) -> dict[str, tuple[str, ...]]:
    """Return the subjects that a pod reads, by kind of stream.

    A stage that the pod hosts itself is heard inside; one that it does not host is read from every
    pod that does.
    """
    arena, hosted = topology.arena, set(pod.stages)
    reads: dict[str, list[str]] = {"MARKET": [subject(arena, "market")]} if hosted else {}
    for source in turn_sources(topology, pod):
        reads.setdefault(source.output, []).append(output_subject(topology, source))
    if pod.contenders:
        reads["OWN"] = [subject(arena, "own", name) for name in pod.contenders]
    if hosted & {"gate", "trade"} or pod.role == "sentinel":
        reads["CONTROL"] = [subject(arena, "control", "*")]
    if pod.role == "governance":
        # What came of its commands: the rulings are in the turns of who hosts the gate.
        for source in topology.hosting("gate"):
            reads.setdefault(source.output, []).append(output_subject(topology, source))
    if pod.role == "gateway":
        for source in (each for each in topology.pods if each.stages):
            reads.setdefault(source.output, []).append(output_subject(topology, source))
    return {kind: tuple(sorted(names)) for kind, names in sorted(reads.items()) if names}
