"""What is a Contender? Anything that competes: a recipe, a size, a league.

Fields follow the custom resource Contender.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, StringConstraints

from titanflow.core.base.ident import canonical, digest
from titanflow.core.spec.bundle import Version
from titanflow.core.spec.common import FORBIDDEN, Rule, SpecModel
from titanflow.core.spec.shape import DISTINCT, Name, PositiveDecimal, Symbol, worded
from titanflow.core.spec.source import one_of
from titanflow.core.spec.switch import KillSwitchSpec
from titanflow.core.spec.words import Tier

ParameterName = Annotated[
    str,
    worded(
        r"[A-Za-z][A-Za-z0-9_]{0,62}",
        "parameter names are letters, digits and '_', start with a letter and have at most 63 "
        "characters",
    ),
]
ParameterValue = Annotated[str, StringConstraints(max_length=1024)]


class RulesSpec(SpecModel):
    """A built-in rule."""

    words_not_built: ClassVar[Mapping[str, frozenset[str]]] = {
        "name": frozenset(
            {
                "PairsSpread",
                "CrossVenueArbitrage",
                "TriangularArbitrage",
                "FundingArbitrage",
                "DexArbitrage",
                "WhaleFollowing",
                "LiquidationHunting",
                "YieldRotation",
            }
        )
    }

    name: Literal[
        "BuyAndHold",
        "Random",
        "SmaCrossover",
        "RsiReversion",
        "BollingerReversion",
        "DonchianBreakout",
        "TimeSeriesMomentum",
        "Macd",
    ] = Field(description="Which rule; BuyAndHold and Random are the pinned benchmarks.")
    parameters: dict[ParameterName, ParameterValue] = Field(
        default_factory=dict,
        max_length=64,
        description='Parameters of the rule as strings, such as "20"; unset ones take the '
        "rule's defaults.",
    )


class PythonSpec(SpecModel):
    """The user's own class."""

    not_built: ClassVar[frozenset[str]] = frozenset({"bundleRef"})

    entry_point: Annotated[
        str,
        StringConstraints(min_length=3, max_length=256),
        worded(
            r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*",
            "write an entry point as package.module:Class, such as my_contender.trend:Trend",
        ),
    ] = Field(
        description="Class to load, as package.module:Class; the manifests' folder is importable.",
    )
    parameters: dict[ParameterName, ParameterValue] = Field(
        default_factory=dict,
        max_length=64,
        description='Keyword arguments of the class as strings, such as "20". Default: none.',
    )


class BundleRefSpec(SpecModel):
    """Which bundle."""

    name: Name = Field(description="Name of a ModelBundle in the same folder or namespace.")
    pin: Version | None = Field(
        default=None,
        description="Exact version that it must have, such as 1.3.0. Default: whichever it has.",
    )


class ModelSpec(SpecModel):
    """An ONNX bundle."""

    bundle_ref: BundleRefSpec = Field(description="The ModelBundle that answers.")
    min_confidence_bps: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Answers with less confidence become HOLD, in basis points: 6000 is 60 %. "
        "Default: 0.",
    )


class RecipeSpec(SpecModel):
    """The complete behaviour of a contender; content-hashed: same hash, same behaviour."""

    one_unit: ClassVar[bool] = True
    constraints: ClassVar[tuple[Rule, ...]] = (one_of("rules", "python", "model", of="recipe"),)
    not_built: ClassVar[frozenset[str]] = frozenset(
        {"ensemble", "hybrid", "pipeline", "maker", "genome"}
    )
    words_not_built: ClassVar[Mapping[str, frozenset[str]]] = {
        "kind": frozenset({"Ensemble", "Hybrid", "Pipeline", "Maker", "Genome"})
    }

    kind: Literal["Rules", "Python", "Model"] = Field(
        description="Rules, Python or Model; the field of the same name, in lower case, holds the "
        "recipe."
    )
    rules: RulesSpec | None = Field(default=None, description="For kind Rules: a built-in rule.")
    python: PythonSpec | None = Field(
        default=None, description="For kind Python: the user's own class."
    )
    model: ModelSpec | None = Field(
        default=None, description="For kind Model: an ONNX bundle decides."
    )


class FixedFractionSpec(SpecModel):
    """A fixed part of equity."""

    fraction_bps: int = Field(
        default=1000,
        ge=1,
        le=10_000,
        description="Position at full strength, in basis points of equity. Default: 1000.",
    )


class SizingSpec(SpecModel):
    """How a signal becomes a position."""

    one_unit: ClassVar[bool] = True
    not_built: ClassVar[frozenset[str]] = frozenset({"volatilityTarget", "kelly"})
    words_not_built: ClassVar[Mapping[str, frozenset[str]]] = {
        "kind": frozenset({"VolatilityTarget", "Kelly"})
    }

    kind: Literal["FixedFraction"] = Field(description="FixedFraction: a fixed part of equity.")
    fixed_fraction: FixedFractionSpec = Field(description="For kind FixedFraction, which needs it.")


def _built(tier: Tier) -> Tier:
    if tier is Tier.LIVE:
        raise ValueError("tier Live is not built yet: use Paper")
    return tier


class ContenderSpec(SpecModel):
    """What competes, where, with what means."""

    not_built: ClassVar[frozenset[str]] = frozenset(
        {"approval", "suspend", "image", "resources", "autoscaling", "podTemplate"}
    )
    words_not_built: ClassVar[Mapping[str, frozenset[str]]] = {"tier": frozenset({"Live"})}
    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.arena == oldSelf.arena",
            "arena is immutable: make a new Contender",
            "arena",
            FORBIDDEN,
        ),
        Rule(
            "oldSelf.tier != 'Retired' || self.tier == 'Retired'",
            "tier Retired is final: make a new Contender with the same recipe",
            "tier",
            FORBIDDEN,
        ),
    )

    arena: Name = Field(
        default="main", description="Name of the Arena it stands in. Default: main."
    )
    display_name: str | None = Field(
        default=None, max_length=80, description="Name for people. Default: the object's name."
    )
    recipe: RecipeSpec = Field(description="The complete behaviour of the contender.")
    sizing: SizingSpec = Field(
        default_factory=lambda: SizingSpec.model_validate(
            {"kind": "FixedFraction", "fixedFraction": {}}
        ),
        description="How a signal becomes a position. Default: FixedFraction of 1000 basis points.",
    )
    tier: Annotated[Tier, AfterValidator(_built)] = Field(
        default=Tier.CANDIDATE,
        description="League. Candidate: checked, does not trade. Shadow: decides, orders never "
        "reach the book. Paper: trades in the simulated venue. Retired: ended for good. "
        "Default: Candidate.",
    )
    instruments: Annotated[tuple[Symbol, ...] | None, DISTINCT] = Field(
        default=None,
        min_length=1,
        max_length=512,
        description="Symbols it may trade. Default: all of the arena.",
    )
    capital: PositiveDecimal | None = Field(
        default=None,
        description="Starting capital, in the arena's currency, as a decimal string. Default: the "
        "arena's capital.",
    )
    replicas: int = Field(
        default=1,
        ge=0,
        le=1,
        description="Whether it runs: 1 does; at 0 it decides nothing, as in tier Candidate, its "
        "books stay, and its pod in a cluster goes. More than one copy is not built yet. "
        "`kubectl scale` sets it. Default: 1.",
    )
    kill_switch: KillSwitchSpec = Field(
        default_factory=KillSwitchSpec,
        description="Stops trading of this contender at once and stays latched. "
        "Default: not engaged.",
    )

    def recipe_hash(self, bundle: str = "") -> str:
        """Return the digest of recipe, sizing and bundle digest (if any), in hexadecimal."""
        behaviour = {
            "recipe": self.recipe.model_dump(mode="json", by_alias=True, exclude_none=True),
            "sizing": self.sizing.model_dump(mode="json", by_alias=True),
        }
        if bundle:
            behaviour["bundle"] = {"sha256": bundle}
        return digest(canonical(behaviour)).hex()
