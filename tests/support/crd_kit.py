"""Objects of every kind with every field, and for each rule one that keeps it and one that breaks.

The table is run through both evaluators: through the models by `tests/crd`, and through a real API
server by `tests/crd/server`. Rules about the shape of one value are found in the schema itself; a
rule between fields has its case here, and a rule without a case fails a test.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from titanflow.core.spec.common import Metadata, SpecModel, problems_of
from titanflow.core.spec.resource import RESOURCES
from titanflow.core.spec.shape import VALIDATIONS
from tools.make_crds import crd

API_VERSION = "titanflow.io/v1alpha1"
MODELS = {one.kind: one.spec for one in RESOURCES}
PLURALS = {one.kind: one.plural for one in RESOURCES}
REMOVED = object()
SHA, OTHER_SHA = "ab" * 32, "cd" * 32

KILL = {
    "engaged": True,
    "instruments": ["AAPL"],
    "action": "CancelAll",
    "reason": "drill",
    "engagedBy": "ann",
    "releasedBy": "bob",
    "resetToken": "2026-11-21T09:30:00Z",
}
ORDER_LIMITS = {
    "minOrderQuantity": "1",
    "maxOrderQuantity": "10",
    "minOrderNotional": "5",
    "maxOrderNotional": "1000",
    "priceCollarBps": 100,
    "maxReferenceAgeSeconds": 60,
    "maxPositionQuantity": "100",
    "maxPositionNotional": "10000",
    "maxConcentrationBps": 5000,
    "allowShort": False,
}
ARENA = {
    "displayName": "Two stocks",
    "instruments": [
        {
            "symbol": "AAPL",
            "venue": "XNAS",
            "venueSymbol": "aapl.us",
            "assetClass": "Equity",
            "currency": "EUR",
            "tickSize": "0.01",
            "lotSize": "1",
            "multiplier": "1",
            "minQuantity": "1",
            "maxQuantity": "1000",
            "minNotional": "5",
            "fees": {"makerPpm": -5, "takerPpm": 50, "perUnit": "0.005", "minPerOrder": "1"},
        },
        {
            "symbol": "IBM",
            "venue": "XNYS",
            "assetClass": "Equity",
            "currency": "EUR",
            "tickSize": "0.01",
            "lotSize": "1",
        },
    ],
    "sources": [
        {
            "name": "bundled",
            "kind": "Bundled",
            "grain": "Bars",
            "barSeconds": 86400,
            "bundled": {"dataset": "us-stocks-2000-2013"},
        }
    ],
    "season": {"name": "2026-q4", "start": "2000-03-01T00:00:00Z", "end": "2013-03-02"},
    "clock": {"kind": "Replay", "replay": {"speed": 0, "atEnd": "Stop"}},
    "seed": 7,
    "capital": "100000",
    "currency": "EUR",
    "fees": {"makerPpm": 10, "takerPpm": 50, "perUnit": "0.005", "minPerOrder": "1"},
    "fills": {
        "feedLatencyMicros": 1,
        "orderLatencyMicros": 1000,
        "responseLatencyMicros": 1,
        "jitterMicros": 1,
        "slippageBps": 2,
        "participationBps": 500,
        "queue": "ProRata",
        "limitFill": "Through",
    },
    "borrow": {"allowed": True, "feeBpsPerYear": 50},
    "selfMatchPrevention": "CancelAggressive",
    "ranking": {"by": "Return", "minFills": 30},
    "killSwitch": KILL,
}
FILES = {"uri": "file://./bars.csv", "format": "CSV", "sha256": SHA}
CONTENDER = {
    "arena": "main",
    "displayName": "Cross",
    "recipe": {"kind": "Rules", "rules": {"name": "SmaCrossover", "parameters": {"fast": "20"}}},
    "sizing": {"kind": "FixedFraction", "fixedFraction": {"fractionBps": 1000}},
    "tier": "Paper",
    "instruments": ["AAPL", "IBM"],
    "capital": "250000",
    "replicas": 1,
    "killSwitch": KILL,
}
POLICY = {
    "displayName": "House",
    "selector": {
        "arena": "main",
        "tiers": ["Paper", "Shadow"],
        "matchLabels": {"desk": "gold"},
        "matchExpressions": [{"key": "desk", "operator": "In", "values": ["gold"]}],
    },
    "currency": "USD",
    "enforcement": "Enforce",
    "limits": {
        **ORDER_LIMITS,
        "maxOpenOrders": 5,
        "maxIntentAgeSeconds": 5,
        "duplicateWindowSeconds": 1,
        "maxOrdersPerSecond": 5,
        "maxOrderBurst": 10,
        "maxOrdersPerDay": 1000,
        "maxOrdersPerFill": 50,
        "haltAfterRefusals": 100,
        "refusalWindowSeconds": 60,
        "orderTypes": ["Market", "Limit"],
        "timeInForce": ["Day", "GTC"],
        "maxGrossExposure": "50000",
        "maxNetExposure": "50000",
        "maxLeverageBps": 10000,
        "minFreeCash": "100",
        "maxTurnoverBpsPerDay": 5000,
        "maxDailyLoss": "1000",
        "reduceAtDrawdownBps": 1500,
        "maxDrawdownBps": 2500,
    },
    "instruments": [{**ORDER_LIMITS, "symbol": "AAPL", "tradable": True}],
    "aggregate": {
        "maxGrossExposure": "1000000",
        "maxNetExposure": "1000000",
        "maxInstrumentExposure": "500000",
        "maxDailyLoss": "30000",
        "maxOrdersPerSecond": 100,
    },
    "onBreach": "Flatten",
    "killSwitch": KILL,
}
BUNDLE = {
    "displayName": "Direction",
    "version": "1.3.0",
    "artifact": {
        "uri": "file://./direction.tfb",
        "sha256": SHA,
        "format": "ONNX",
        "sizeBytes": 1843200,
    },
    "signature": {"keyId": "lab-2026", "ed25519": "A" * 86 + "=="},
    "featureSchema": {"digest": SHA, "name": "daily-v2"},
    "serving": {
        "timeoutMicros": 50000,
        "maxBatch": 64,
        "maxBatchDelayMicros": 500,
        "memory": "512Mi",
    },
}


def changed(spec: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of *spec* with values at dotted paths; REMOVED takes a field out."""
    told = copy.deepcopy(spec)
    for path, value in changes.items():
        here: Any = told
        *steps, last = path.split(".")
        for step in steps:
            here = here[int(step) if step.isdigit() else step]
        key: Any = int(last) if last.isdigit() else last
        if value is REMOVED:
            del here[key]
        else:
            here[key] = value
    return told


WHOLE: dict[str, list[dict[str, Any]]] = {
    "Arena": [
        ARENA,
        changed(
            ARENA,
            {"sources.0.kind": "Files", "sources.0.files": FILES, "sources.0.bundled": REMOVED},
        ),
    ],
    "Contender": [
        CONTENDER,
        changed(
            CONTENDER,
            {
                "recipe": {
                    "kind": "Python",
                    "python": {"entryPoint": "mine.trend:Trend", "parameters": {"window": "50"}},
                }
            },
        ),
        changed(
            CONTENDER,
            {
                "recipe": {
                    "kind": "Model",
                    "model": {
                        "bundleRef": {"name": "direction", "pin": "1.3.0-rc.1"},
                        "minConfidenceBps": 5200,
                    },
                }
            },
        ),
    ],
    "RiskPolicy": [POLICY],
    "ModelBundle": [BUNDLE],
}
"""Of each kind, objects that hold every field between them."""


class Case(NamedTuple):
    """A rule, with an object that keeps it and one that breaks it."""

    kind: str
    path: str
    """Place of the rule in the schema, such as spec.instruments[].tickSize."""
    message: str
    good: dict[str, Any]
    bad: dict[str, Any]
    old: dict[str, Any] | None = None
    """What the object was before, for a rule about changes."""

    @property
    def name(self) -> str:
        """Give its name in reports."""
        return f"{self.kind} {self.path}: {self.message[:40]}"


def schema_of(kind: str) -> dict[str, Any]:
    """Return the schema of a kind's spec."""
    (resource,) = (one for one in RESOURCES if one.kind == kind)
    (version,) = crd(resource)["spec"]["versions"]
    spec: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return spec


def nodes(schema: dict[str, Any], path: str = "spec") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every node of a schema with its path."""
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from nodes(part, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


def rules(kind: str) -> Iterator[tuple[str, str]]:
    """Yield place and message of every rule of a kind's spec."""
    for path, node in nodes(schema_of(kind)):
        for rule in node.get(VALIDATIONS, ()):
            yield path, rule["message"]


def place_in(kind: str, path: str) -> tuple[dict[str, Any], str]:
    """Return an object that has a value at a schema's path, and the dotted path of the value."""
    steps = path.removeprefix("spec").replace("[]", ".0").replace("{}", ".*").strip(".").split(".")
    for spec in WHOLE[kind]:
        here: Any = spec
        found = []
        for step in filter(None, steps):
            key: Any = int(step) if step.isdigit() else step
            if step == "*":
                key = next(iter(here))
            if isinstance(here, dict) and key not in here:
                break
            here = here[key]
            found.append(str(key))
        else:
            return spec, ".".join(found)
    raise KeyError(f"no {kind} has a value at {path}: add it to WHOLE")


def refusals(kind: str, spec: dict[str, Any], name: str = "one") -> list[str]:
    """Return what the models say against an object; nothing if they take it."""
    said = []
    parts: list[tuple[type[SpecModel], Any]] = [
        (MODELS[kind], spec),
        (Metadata, {"name": name}),
    ]
    for model, content in parts:
        _, errors = problems_of(model, json.dumps(content))
        said += [str(error["msg"]).removeprefix("Value error, ") for error in errors]
    return said


BAD_TEXT = {
    "a symbol has": "aapl",
    "write a decimal": "1e5",
    "must be greater": "0",
    "a currency has": "usd",
    "a venue has": "xnas",
    "a data set's": "US",
    "a name has": "My.Name",
    "write file:///": "oci://registry.example.com/x",
    "a digest has": "AB" * 32,
    "a season's name": "-x",
    "write a UTC time": "tomorrow",
    "this is not a time": "1900-02-29",
    "a token has": "a b",
    "write an entry point": "my contender",
    "write a version": "1.3",
    "a label's value": "-gold-",
    "a label's key": "-/x",
    "a key's name": "a/b",
    "a signature is": "AAAA",
    "write a whole number of Mi": "lots",
    "parameter names": "1st",
}
"""A text that breaks the rule whose message begins so."""


def shape_cases() -> Iterator[Case]:
    """Yield a case for each rule about one text, or about the keys of a mapping."""
    for kind in WHOLE:
        for path, node in nodes(schema_of(kind)):
            for rule in node.get(VALIDATIONS, ()):
                text = next((t for b, t in BAD_TEXT.items() if rule["message"].startswith(b)), None)
                if text is None:
                    continue
                good, place = place_in(kind, path)
                value = {text: "x"} if node["type"] == "object" else text
                yield Case(kind, path, rule["message"], good, changed(good, {place: value}))


def _between(
    kind: str, path: str, message: str, bad: dict[str, Any], good: dict[str, Any] | None = None
) -> Case:
    base = WHOLE[kind][0]
    return Case(kind, path, message, changed(base, good or {}), changed(base, bad))


def _change(
    kind: str,
    path: str,
    message: str,
    bad: dict[str, Any],
    good: dict[str, Any],
    old: dict[str, Any] | None = None,
) -> Case:
    before = changed(WHOLE[kind][0], old or {})
    return Case(kind, path, message, changed(before, good), changed(before, bad), before)


def _arena_cases() -> Iterator[Case]:
    yield _between(
        "Arena", "spec",
        "an instrument is priced in another currency than spec.currency: several currencies are "
        "not built yet",
        {"currency": "USD"},
    )  # fmt: skip
    second = changed(ARENA["sources"][0], {"name": "other"})  # type: ignore[index]
    yield _between(
        "Arena", "spec", "several sources (fallback) are not built yet: keep one",
        {"sources": [ARENA["sources"][0], second]},  # type: ignore[index]
    )  # fmt: skip
    yield _between(
        "Arena", "spec",
        "killSwitch.instruments names a symbol that is not traded here: take it from "
        "spec.instruments",
        {"killSwitch.instruments": ["MSFT"]}, {"killSwitch.instruments": ["IBM"]},
    )  # fmt: skip
    yield _between(
        "Arena", "spec.season", "season.start must be before season.end",
        {"season.end": "2000-03-01"}, {"season.end": "2000-03-01T00:00:01+00:00"},
    )  # fmt: skip
    rebate = (
        "a maker rebate above the taker fee would pay two contenders for trading with each other: "
        "raise takerPpm or lower the rebate"
    )
    for place, path in (("fees", "spec.fees"), ("instruments.0.fees", "spec.instruments[].fees")):
        low, high = f"{place}.makerPpm", f"{place}.takerPpm"
        text = "makerPpm must not exceed takerPpm"
        yield _between("Arena", path, text, {low: 51, high: 50}, {low: 50, high: 50})
        yield _between("Arena", path, rebate, {low: -51, high: 50}, {low: -50, high: 50})
    yield _between(
        "Arena", "spec.instruments[]", "minQuantity must not exceed maxQuantity",
        {"instruments.0.minQuantity": "1000.5"}, {"instruments.0.minQuantity": "1000"},
    )  # fmt: skip
    yield _between(
        "Arena", "spec.sources[]",
        "set exactly the field of a source that belongs to its kind (one of: bundled, files)",
        {"sources.0.files": FILES},
    )  # fmt: skip
    ground: dict[str, dict[str, Any]] = {
        "instruments": {"instruments.1.tickSize": "0.05"},
        "sources": {"sources.0.barSeconds": 3600},
        "seed": {"seed": 8},
        "capital": {"capital": "5"},
        "currency": {"currency": "USD"} | {f"instruments.{n}.currency": "USD" for n in (0, 1)},
        "fees": {"fees.takerPpm": 51},
        "fills": {"fills.slippageBps": 9},
        "borrow": {"borrow.allowed": False},
        "selfMatchPrevention": {"selfMatchPrevention": "CancelBoth"},
        "season.start": {"season.start": REMOVED},
    }
    for field, change in ground.items():
        text = (
            f"{field} is part of the ground and fixed within a season: change season.name to start "
            "a new season"
        )
        yield _change("Arena", "spec", text, change, change | {"season.name": "2027-q1"})


def _contender_cases() -> Iterator[Case]:
    yield _between(
        "Contender", "spec.recipe",
        "set exactly the field of recipe that belongs to its kind (one of: rules, python, model)",
        {"recipe.kind": "Model"},
    )  # fmt: skip
    yield _change(
        "Contender", "spec", "arena is immutable: make a new Contender",
        {"arena": "other"}, {"tier": "Retired"},
    )  # fmt: skip
    yield _change(
        "Contender", "spec", "tier Retired is final: make a new Contender with the same recipe",
        {"tier": "Paper"}, {"displayName": "Gone"}, {"tier": "Retired"},
    )  # fmt: skip


def _policy_cases() -> Iterator[Case]:
    order = [
        ("minOrderQuantity", "maxOrderQuantity"),
        ("minOrderNotional", "maxOrderNotional"),
        ("maxOrderNotional", "maxPositionNotional"),
        ("maxOrderQuantity", "maxPositionQuantity"),
    ]
    limits = [
        *order,
        ("maxOrderNotional", "maxGrossExposure"),
        ("maxPositionNotional", "maxGrossExposure"),
        ("maxNetExposure", "maxGrossExposure"),
    ]
    both = [("maxNetExposure", "maxGrossExposure"), ("maxInstrumentExposure", "maxGrossExposure")]
    for field, path, pairs in (
        ("limits", "spec.limits", limits),
        ("instruments.0", "spec.instruments[]", order),
        ("aggregate", "spec.aggregate", both),
    ):
        for low, high in pairs:
            if field == "aggregate":
                alone = {field: {low: "10.5", high: "10.4"}}, {field: {low: "10.50", high: "10.5"}}
                alone[0]["limits"] = alone[1]["limits"] = {"maxOpenOrders": 1}
            else:
                more = {"symbol": "AAPL"} if field != "limits" else {}
                alone = (
                    {field: {**more, low: "10.5", high: "10.4"}},
                    {field: {**more, low: "10.50", high: "10.5"}},
                )
            yield _between("RiskPolicy", path, f"{low} must not exceed {high}", *alone)
    for field in ("limits", "aggregate"):
        text = "says nothing: set at least one field"
        yield _between("RiskPolicy", f"spec.{field}", text, {field: {}})
    yield _between(
        "RiskPolicy", "spec.limits", "reduceAtDrawdownBps must be below maxDrawdownBps",
        {"limits.reduceAtDrawdownBps": 2500}, {"limits.reduceAtDrawdownBps": 2499},
    )  # fmt: skip
    for field, needed in (
        ("maxOrderBurst", "maxOrdersPerSecond"),
        ("refusalWindowSeconds", "haltAfterRefusals"),
    ):
        text = f"{field} needs {needed}"
        yield _between("RiskPolicy", "spec.limits", text, {f"limits.{needed}": REMOVED})
    yield _between(
        "RiskPolicy", "spec", "limits.maxOrderNotional must not exceed aggregate.maxGrossExposure",
        {"aggregate": {"maxGrossExposure": "999.9"}}, {"aggregate": {"maxGrossExposure": "1000"}},
    )  # fmt: skip
    yield _between(
        "RiskPolicy", "spec.selector.matchExpressions[]",
        "values are for In and NotIn, and they need some",
        {"selector.matchExpressions.0.operator": "Exists"},
        {"selector.matchExpressions.0": {"key": "desk", "operator": "Exists"}},
    )  # fmt: skip


def _bundle_cases() -> Iterator[Case]:
    for field, words in (
        ("artifact.sha256", "an artifact is immutable under one version"),
        ("featureSchema.digest", "the feature schema is immutable under one version"),
    ):
        bad = {field: OTHER_SHA}
        text = f"{words}: raise spec.version"
        yield _change("ModelBundle", "spec", text, bad, bad | {"version": "1.4.0"})


def _kill_cases(kind: str) -> Iterator[Case]:
    path, here = "spec.killSwitch", "killSwitch."
    idle = {f"{here}engaged": False}
    later, second = {f"{here}resetToken": "2026-11-22"}, {f"{here}releasedBy": "cy"}
    release = idle | later | second
    yield _between(
        kind, path, "killSwitch.reason is required while killSwitch.engaged is true",
        {f"{here}reason": ""}, idle | {f"{here}reason": ""},
    )  # fmt: skip
    yield _between(
        kind, path,
        "killSwitch.engagedBy is required while killSwitch.engaged is true: who stops the trading",
        {f"{here}engagedBy": ""}, idle | {f"{here}engagedBy": ""},
    )  # fmt: skip
    yield _change(
        kind, path,
        "releasing the kill switch needs a new killSwitch.resetToken that sorts after the old one; "
        "use the UTC time, such as 2026-11-21T09:30:00Z",
        idle, release,
    )  # fmt: skip
    yield _change(
        kind, path,
        "a new killSwitch.resetToken needs killSwitch.releasedBy, a second person: not the one in "
        "engagedBy",
        release | {f"{here}releasedBy": "ann"}, release,
    )  # fmt: skip
    yield _change(
        kind, path, "killSwitch.resetToken never goes back; keep the present one",
        {f"{here}resetToken": "2026-11-20"}, {f"{here}engaged": True}, idle,
    )  # fmt: skip
    yield _change(
        kind, path,
        "while the kill switch is engaged, engagedBy and resetToken are fixed; release it first",
        {f"{here}engagedBy": "bob"}, {f"{here}reason": "longer drill"},
    )  # fmt: skip
    yield _change(
        kind, path,
        "while the kill switch is engaged, its instruments may only be widened (an empty list is "
        "all); release it first",
        {f"{here}instruments": ["IBM"]}, {f"{here}instruments": ["AAPL", "IBM"]},
    )  # fmt: skip
    yield _change(
        kind, path,
        "while the kill switch is engaged, its action may only become severer (RejectNew, "
        "CancelAll, Flatten)",
        {f"{here}action": "RejectNew"}, {f"{here}action": "Flatten"},
    )  # fmt: skip


def cases() -> list[Case]:
    """Return a case for every rule of every kind."""
    found = [*shape_cases(), *_arena_cases(), *_contender_cases(), *_policy_cases()]
    found += [*_bundle_cases()]
    for kind in ("Arena", "Contender", "RiskPolicy"):
        found += _kill_cases(kind)
    return found


def manifest(kind: str, spec: dict[str, Any], name: str = "one") -> dict[str, Any]:
    """Return an object as a manifest."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name},
        "spec": copy.deepcopy(spec),
    }
