"""What is observed of a resource? The status subresource of each kind, written by the operator.

Nothing here is ever an order: whoever wants something writes the spec. Numbers that people read
are strings made for them; whoever computes asks the ledger.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, StringConstraints

from titanflow.core.spec.common import SpecModel
from titanflow.core.spec.shape import DISTINCT, Keyed, Sha256
from titanflow.core.spec.words import Tier

INT32_MAX, EXACT_MAX = 2**31 - 1, 2**53 - 1
"""The API server compares bounds as floats: beyond 2^53 they turn into their negative."""

Short = Annotated[str, StringConstraints(max_length=16)]
Label = Annotated[str, StringConstraints(max_length=40)]
Word = Annotated[str, StringConstraints(max_length=64)]
Object = Annotated[str, StringConstraints(max_length=253)]
Sentence = Annotated[str, StringConstraints(max_length=1024)]


def _said(text: str) -> Any:
    return Field(default=None, description=text)


def _count(text: str) -> Any:
    return Field(default=None, ge=0, le=INT32_MAX, description=text)


def _total(text: str) -> Any:
    return Field(default=None, ge=0, le=EXACT_MAX, description=text)


def _time(text: str) -> Any:
    schema: dict[str, JsonValue] = {"format": "date-time"}
    return Field(default=None, max_length=35, description=text, json_schema_extra=schema)


class Condition(SpecModel):
    """One observation (metav1.Condition)."""

    type: str = Field(
        max_length=316,
        pattern=r"^[A-Za-z]([A-Za-z0-9._/-]*[A-Za-z0-9])?$",
        description="CamelCase name of what is observed, such as Ready.",
    )
    holds: Literal["True", "False", "Unknown"] = Field(
        alias="status", description="True, False, or Unknown while not yet known."
    )
    reason: str = Field(
        min_length=1,
        max_length=1024,
        pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        description="One CamelCase word from a closed list: why the status is what it is.",
    )
    text: str = Field(
        alias="message",
        max_length=32768,
        description="The same for people, with what to do next.",
    )
    observed_generation: int | None = _total("metadata.generation that this is about.")
    last_transition_time: str = Field(
        max_length=35,
        description="When status last flipped.",
        json_schema_extra={"format": "date-time"},
    )


class _Observed(SpecModel):
    """What every status holds."""

    observed_generation: int | None = _total(
        "metadata.generation that the operator has acted on; a smaller one than the object's means "
        "that status is stale."
    )
    conditions: Annotated[tuple[Condition, ...] | None, Keyed("type")] = Field(
        default=None,
        max_length=16,
        description="Observations by type; `kubectl wait --for=condition=Ready` reads them.",
    )


class KillSwitchObserved(SpecModel):
    """The kill switch in effect."""

    engaged: bool | None = _said("true while trading is stopped here, whatever the source.")
    latched: bool | None = _said(
        "Set by an automatic breach; only a new spec.killSwitch.resetToken clears it."
    )
    source: Object | None = _said("Who stopped it: Spec, RiskPolicy/NAME or Breach/LIMIT.")
    epoch: int | None = _total("Counts engagements; part of the reject text KILL:SCOPE:EPOCH.")
    since: str | None = _time("When it took effect.")
    acknowledged_reset_token: Word | None = _said(
        "The last spec.killSwitch.resetToken that risk has acted on."
    )
    acknowledged_by: int | None = _count("Risk and execution pods that confirmed this state.")


class ContendersObserved(SpecModel):
    """How many contenders stand here."""

    total: int | None = _count("All that name this arena.")
    candidate: int | None = _count("In tier Candidate.")
    shadow: int | None = _count("In tier Shadow.")
    paper: int | None = _count("In tier Paper.")
    live: int | None = _count("In tier Live: the ones with real orders.")
    retired: int | None = _count("In tier Retired.")


class LeaderObserved(SpecModel):
    """First in the standings."""

    name: Label | None = _said("Name of the Contender.")
    return_: Short | None = Field(
        default=None,
        alias="return",
        description="Its return since the session began, for people, such as +4.94%.",
    )
    band: Annotated[str, StringConstraints(max_length=4)] | None = _said(
        "Its rank band; contenders in one band do not differ significantly."
    )


class JournalObserved(SpecModel):
    """Head of the session's record."""

    head: Sha256 | None = _said("Digest of the journal up to now, 64 hexadecimal digits.")
    records: int | None = _total("Records that it covers.")
    closed: bool | None = _said("true after the closing record.")


class ArenaObserved(_Observed):
    """What the operator and the ledger observe; written at most every 15 s."""

    session: Word | None = _said("Id of the open session; `titanflow verify` takes it.")
    season: Label | None = _said("Name of the season that the session belongs to.")
    started_at: str | None = _time("When the session was opened.")
    source: Label | None = _said("Name of the source that speaks now.")
    reality: Literal["Real", "Synthetic"] | None = Field(
        default=None,
        alias="data",
        description="What the events are: Real (recorded or live market) or Synthetic (generated).",
    )
    last_event_at: str | None = _time("Event time of the last market event; of a replay, past.")
    lag: Short | None = _said("Age of the oldest event not yet posted, for people, such as 38ms.")
    lag_micros: int | None = _total("The same in microseconds.")
    contenders: ContendersObserved | None = _said("How many contenders stand here.")
    leader: LeaderObserved | None = _said("First in the standings.")
    events: int | None = _total("Market events taken in this session.")
    journal: JournalObserved | None = _said("Head of the session's record.")
    invariants_broken: int | None = _total(
        "Broken invariants found in this session; anything but 0 clears Ready."
    )
    kill_switch: KillSwitchObserved | None = _said("The kill switch in effect.")


class BundleInUseObserved(SpecModel):
    """One bundle in use."""

    name: Label = Field(description="Name of the ModelBundle.")
    version: Word | None = _said("Version in use.")
    candidate_version: Word | None = _said("Version that is rolling out.")
    sha256: Sha256 | None = _said("Digest in use, 64 hexadecimal digits.")


class StandingObserved(SpecModel):
    """Row on the leaderboard, formatted for people; computed from entries and marks only."""

    rank: Annotated[str, StringConstraints(max_length=8)] | None = _said(
        'Place, such as 1, or "-" while there is not enough data.'
    )
    band: Annotated[str, StringConstraints(max_length=4)] | None = _said(
        "Rank band; contenders in one band do not differ significantly."
    )
    return_: Short | None = Field(
        default=None,
        alias="return",
        description="Return since the session began, such as +4.94%.",
    )
    drawdown: Short | None = _said("Largest fall from a peak, such as -4.5%.")
    sharpe: Short | None = _said("Sharpe ratio per year, such as 1.42.")
    fills: Short | None = _said("Number of fills, such as 182.")
    equity: Label | None = _said("Equity, such as 104,940.00 USD.")
    at: str | None = _time("Event time of this row.")


class RiskObserved(SpecModel):
    """The law that a contender trades under."""

    policies: Annotated[tuple[Label, ...] | None, DISTINCT] = Field(
        default=None, max_length=64, description="Names of the RiskPolicies that select it."
    )
    effective_hash: Sha256 | None = _said("Digest of the merged policy, 64 hexadecimal digits.")
    state: Literal["Active", "Reducing", "Halted"] | None = _said(
        "Active: trades. Reducing: only orders that reduce a position. Halted: no orders."
    )
    because: Word | None = _said("Limit that caused Reducing or Halted.")


class ContenderObserved(_Observed):
    """What the operator and the ledger observe; standings at most every 15 s, and on change."""

    replicas: int | None = _count("Pods that exist; the scale subresource reads it.")
    ready_replicas: int | None = _count("Pods that are ready.")
    candidate_replicas: int | None = _count("Pods that run a bundle's candidate version.")
    selector: Annotated[str, StringConstraints(max_length=512)] | None = _said(
        "Label selector of the pods; the scale subresource reads it."
    )
    recipe_hash: Sha256 | None = _said(
        "Content hash of the recipe with bundles resolved, 64 hexadecimal digits."
    )
    tier: Tier | None = _said(
        "Tier in effect; lower than spec.tier while something is missing, such as a policy. "
        "Candidate, Shadow, Paper, Live or Retired."
    )
    bundles: Annotated[tuple[BundleInUseObserved, ...] | None, Keyed("name")] = Field(
        default=None, max_length=18, description="Bundles in use."
    )
    standing: StandingObserved | None = _said("Row on the leaderboard.")
    risk: RiskObserved | None = _said("The law that it trades under.")
    kill_switch: KillSwitchObserved | None = _said("The kill switch in effect.")


class BreachObserved(SpecModel):
    """A limit that was broken."""

    contender: Label | None = _said("Name of the Contender.")
    limit: Word | None = _said("Name of the limit, such as maxDrawdownBps.")
    limit_value: Label | None = _said("The limit.")
    actual: Label | None = _said("What it was.")
    time: str | None = _time("Event time.")


class PolicyObserved(_Observed):
    """What the operator and the risk service observe."""

    bound_contenders: int | None = _count("Number of contenders that it binds.")
    contenders: Annotated[tuple[Label, ...] | None, DISTINCT] = Field(
        default=None, max_length=1024, description="Names of those it binds, the first 1024."
    )
    hash: Sha256 | None = _said("Digest of the spec that risk enforces, 64 hexadecimal digits.")
    refusals: int | None = _total("Orders refused under it in this session.")
    breaches: int | None = _total("Portfolio limits broken under it in this session.")
    last_breach: BreachObserved | None = _said("The latest breach.")
    kill_switch: KillSwitchObserved | None = _said("The kill switch in effect.")


class AnalysisObserved(SpecModel):
    """State of one measure of a rollout."""

    name: Annotated[str, StringConstraints(max_length=63)] = Field(
        description="Name of the measure."
    )
    phase: Literal["Pending", "Running", "Successful", "Failed", "Inconclusive", "Error"] = Field(
        description="Judgement so far: Pending, Running, Successful, Failed, Inconclusive, Error."
    )
    successful: int | None = _count("Measurements passed.")
    failed: int | None = _count("Measurements failed.")
    inconclusive: int | None = _count("Measurements with too few samples.")
    errors: int | None = _count("Measurements without an answer.")
    stable: Label | None = _said("Last value of the stable version.")
    candidate: Label | None = _said("Last value of the candidate.")
    text: Sentence | None = Field(
        default=None, alias="message", description="What it says, for people."
    )


class RolloutObserved(SpecModel):
    """The rollout in progress."""

    stage: (
        Literal["Idle", "Verifying", "Shadow", "Canary", "Promoting", "RollingBack", "Paused"]
        | None
    ) = _said("Where it stands: Idle, Verifying, Shadow, Canary, Promoting, RollingBack or Paused.")
    step_index: int | None = _count("Index of the present step, from 0.")
    step_hash: Word | None = _said("Digest of the steps that the index belongs to.")
    step_started_at: str | None = _time("Begin of the step.")
    started_at: str | None = _time("Begin of the rollout.")
    weight: int | None = Field(
        default=None,
        ge=0,
        le=100,
        description="Part of the decisions that the candidate takes now, in percent.",
    )
    samples: int | None = _total("Decisions of the candidate in this step.")
    analysis: Annotated[tuple[AnalysisObserved, ...] | None, Keyed("name")] = Field(
        default=None, max_length=16, description="State of each measure."
    )


class BundleObserved(_Observed):
    """What the operator observes."""

    stable_version: Word | None = _said("Version that serves.")
    stable_sha256: Sha256 | None = _said("Digest of the version that serves.")
    stable_revision: Object | None = _said("Name of the ControllerRevision that serves.")
    candidate_version: Word | None = _said("Version that is rolling out.")
    rejected_versions: Annotated[tuple[Word, ...] | None, DISTINCT] = Field(
        default=None,
        max_length=50,
        description="Versions that were rolled back; they are not tried again.",
    )
    consumers: int | None = _count("Contenders that refer to the bundle.")
    updated_consumers: int | None = _count("Contenders that serve the stable version.")
    rollout: RolloutObserved | None = _said("The rollout in progress.")
