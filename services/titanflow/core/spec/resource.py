"""Which kinds of resource are there? Their names, models, columns and what a cluster can ask for.

The custom resources, the pages on them and whoever reads objects take it from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from msgspec.json import encode

from titanflow.core.spec.arena import ArenaSpec
from titanflow.core.spec.bundle import BundleSpec
from titanflow.core.spec.common import SpecModel, problems_of
from titanflow.core.spec.contender import ContenderSpec
from titanflow.core.spec.observed import (
    ArenaObserved,
    BundleObserved,
    ContenderObserved,
    PolicyObserved,
)
from titanflow.core.spec.policy import PolicySpec


class Column(NamedTuple):
    """A column of `kubectl get`."""

    name: str
    path: str
    description: str
    type: str = "string"
    wide: bool = False
    """Whether only `-o wide` shows it."""


class Resource(NamedTuple):
    """One kind of resource."""

    kind: str
    plural: str
    short: str
    description: str
    spec: type[SpecModel]
    observed: type[SpecModel]
    """The model of its status."""
    columns: tuple[Column, ...]
    selectable: tuple[str, ...]
    """Fields of the spec that `--field-selector` may ask for."""
    scales: bool = False
    """Whether `kubectl scale` sets spec.replicas."""


def _condition(kind: str, part: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{part}'


_READY = (
    Column("Ready", _condition("Ready", "status"), "Is all that the spec asks for in place?"),
    Column("Reason", _condition("Ready", "reason"), "Why Ready is what it is."),
)
_AGE = Column("Age", ".metadata.creationTimestamp", "Time since creation.", "date")

RESOURCES: tuple[Resource, ...] = (
    Resource(
        "Arena",
        "arenas",
        "arn",
        "An Arena is the ground on which contenders stand: instruments, data, clock, seed, "
        "capital, costs and fill model, alike for all. One execution of it is a session with a "
        'journal. Contenders without spec.arena stand in the arena "main".',
        ArenaSpec,
        ArenaObserved,
        (
            Column("Clock", ".spec.clock.kind", "Replay (recorded time)."),
            Column("Data", ".status.data", "Real or Synthetic."),
            Column("Contenders", ".status.contenders.total", "How many compete.", "integer"),
            Column("Live", ".status.contenders.live", "How many have real orders.", "integer"),
            Column("Leader", ".status.leader.name", "First in the standings."),
            Column("Return", ".status.leader.return", "The leader's return in this session."),
            Column("Lag", ".status.lag", "Age of the oldest event not yet posted."),
            *_READY,
            Column("Killed", ".status.killSwitch.engaged", "Is trading stopped?", "boolean"),
            Column("Source", ".status.source", "The source that speaks.", wide=True),
            Column("Session", ".status.session", "Id of the open session.", wide=True),
            Column("Season", ".spec.season.name", "Name of the season.", wide=True),
            Column("Band", ".status.leader.band", "The leader's rank band.", wide=True),
            Column("Last Event", ".status.lastEventAt", "Age of the last event.", "date", True),
            Column("Records", ".status.journal.records", "Records so far.", "integer", True),
            _AGE,
        ),
        (".spec.clock.kind", ".spec.season.name"),
    ),
    Resource(
        "Contender",
        "contenders",
        "ctd",
        "A Contender is anything that competes in an Arena: rules, a model, or the user's own "
        "Python. It trades a portfolio of its own under the RiskPolicies that select it.",
        ContenderSpec,
        ContenderObserved,
        (
            Column("Tier", ".spec.tier", "League."),
            Column("Recipe", ".spec.recipe.kind", "Kind of recipe."),
            Column("Rank", ".status.standing.rank", "Place in the standings."),
            Column("Return", ".status.standing.return", "Return in this session."),
            Column("Drawdown", ".status.standing.drawdown", "Largest fall from a peak."),
            *_READY,
            Column(
                "Killed",
                _condition("KillSwitchEngaged", "status"),
                "Is trading stopped by a kill switch?",
            ),
            Column("Arena", ".spec.arena", "Where it stands.", wide=True),
            Column("Band", ".status.standing.band", "Rank band.", wide=True),
            Column("Fills", ".status.standing.fills", "Number of fills.", wide=True),
            Column("Equity", ".status.standing.equity", "Equity.", wide=True),
            Column("Trading", _condition("Trading", "reason"), "Trading, or why not.", wide=True),
            Column("Bundle", ".status.bundles[0].version", "Version of its bundle.", wide=True),
            Column("Replicas", ".status.replicas", "Pods.", "integer", True),
            Column("Policies", ".status.risk.policies", "RiskPolicies that bind it.", wide=True),
            _AGE,
        ),
        (".spec.arena", ".spec.tier", ".spec.recipe.kind", ".spec.recipe.model.bundleRef.name"),
        scales=True,
    ),
    Resource(
        "RiskPolicy",
        "riskpolicies",
        "rp",
        "A RiskPolicy is the law that contenders trade under, enforced outside them by the risk "
        "service. It fails closed: a contender that no policy selects trades nothing above tier "
        "Shadow.",
        PolicySpec,
        PolicyObserved,
        (
            Column("Enforcement", ".spec.enforcement", "Enforce refuses."),
            Column("On Breach", ".spec.onBreach", "What a broken portfolio limit does."),
            Column("Bound", ".status.boundContenders", "Contenders it binds.", "integer"),
            Column("Refusals", ".status.refusals", "Orders refused.", "integer"),
            Column("Breaches", ".status.breaches", "Portfolio limits broken.", "integer"),
            *_READY,
            Column("Killed", ".spec.killSwitch.engaged", "Does it stop trading?", "boolean"),
            Column("Last Breach", ".status.lastBreach.limit", "Latest broken limit.", wide=True),
            Column("By", ".status.lastBreach.contender", "Who broke it.", wide=True),
            Column("Tiers", ".spec.selector.tiers", "Tiers it binds.", wide=True),
            _AGE,
        ),
        (".spec.enforcement",),
    ),
    Resource(
        "ModelBundle",
        "modelbundles",
        "mb",
        "A ModelBundle is a signed, content-addressed archive of an ONNX graph with its feature "
        "schema and evidence, which contenders of kind Model ask.",
        BundleSpec,
        BundleObserved,
        (
            Column("Desired", ".spec.version", "Version asked for."),
            Column("Stable", ".status.stableVersion", "Version that serves."),
            Column("Candidate", ".status.candidateVersion", "Version that is rolling out."),
            Column("Stage", ".status.rollout.stage", "Stage of the rollout."),
            Column("Weight", ".status.rollout.weight", "Candidate's percent.", "integer"),
            *_READY,
            Column("Consumers", ".status.consumers", "Contenders that use it.", "integer", True),
            Column("Samples", ".status.rollout.samples", "Its decisions.", "integer", True),
            _AGE,
        ),
        (".spec.version",),
    ),
)
"""In the order in which manifests are told of."""


class Read(NamedTuple):
    """The spec of an object, and what this version does not know of it."""

    spec: SpecModel
    unknown: list[str]
    """Paths of fields that were left out, such as spec.thinking."""


def read_spec(kind: str, content: Mapping[str, Any]) -> Read:
    """Return the spec of an object that an API server holds, of this or another schema.

    Unknown fields are left out, so that an operator outlives a newer resource; a manifest that a
    person writes is refused for them instead.

    Raises: pydantic's ValidationError for what no version allows; KeyError for an unknown kind.
    """
    model = next(one.spec for one in RESOURCES if one.kind == kind)
    left, unknown = dict(content), list[str]()
    for _ in range(_DEPTH_MAX):
        _, errors = problems_of(model, encode(left).decode())
        strange = [error["loc"] for error in errors if error["type"] == "extra_forbidden"]
        if not strange:
            break
        for place in strange:
            left = _without(left, place)
            unknown.append(".".join(map(str, ("spec", *place))))
    return Read(model.model_validate_json(encode(left).decode(), strict=True), unknown)


_DEPTH_MAX = 16
"""Rounds in which unknown fields are found; a round finds all of them, so two suffice."""


def _without(content: Any, place: tuple[str | int, ...]) -> Any:
    """Return *content* without what stands at *place*."""
    head, *rest = place
    if isinstance(content, Mapping):
        told = {str(key): part for key, part in cast("Mapping[str, Any]", content).items()}
        if rest:
            return told | {str(head): _without(told[str(head)], tuple(rest))}
        return {key: part for key, part in told.items() if key != head}
    items = list(cast("Sequence[Any]", content))
    assert isinstance(head, int)
    items[head] = _without(items[head], tuple(rest))
    return items
