"""Whom does a policy bind? A selector over contenders: arena, tiers and labels."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from titanflow.core.spec.common import Rule, SpecModel
from titanflow.core.spec.shape import DISTINCT, LabelKey, LabelValue, Name
from titanflow.core.spec.words import Tier


def _values_do_not_fit(requirement: RequirementSpec) -> bool:
    return (requirement.operator in ("In", "NotIn")) != bool(requirement.values)


class RequirementSpec(SpecModel):
    """One requirement on a label."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
            "values are for In and NotIn, and they need some",
            "values",
            broken=_values_do_not_fit,
        ),
    )

    key: Annotated[LabelKey, StringConstraints(max_length=316)] = Field(description="Label key.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="Relation of the label to values: In, NotIn, Exists or DoesNotExist."
    )
    values: tuple[LabelValue, ...] = Field(
        default=(), max_length=64, description="Values for In and NotIn. Default: none."
    )


class SelectorSpec(SpecModel):
    """Contenders that the policy binds; all given parts must match."""

    one_unit: ClassVar[bool] = True

    arena: Name | None = Field(
        default=None, description="Only contenders of this Arena. Default: of every arena."
    )
    tiers: Annotated[tuple[Tier, ...] | None, DISTINCT] = Field(
        default=None,
        min_length=1,
        max_length=5,
        description="Only contenders in these tiers. Default: in every tier.",
    )
    match_labels: dict[LabelKey, LabelValue] = Field(
        default_factory=dict,
        max_length=16,
        description="Labels that the Contender must have. Default: none.",
    )
    match_expressions: tuple[RequirementSpec, ...] = Field(
        default=(),
        max_length=16,
        description="Label requirements, all of which must hold. Default: none.",
    )
