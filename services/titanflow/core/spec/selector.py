"""Whom does a policy bind? A selector over contenders: arena, tiers and labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from titanflow.core.spec.common import DISTINCT, Name, SpecModel, refuse
from titanflow.core.spec.words import Tier

LabelText = Annotated[str, StringConstraints(max_length=63)]
LabelKey = Annotated[str, StringConstraints(min_length=1, max_length=316)]


class RequirementSpec(SpecModel):
    """One requirement on a label."""

    key: LabelKey = Field(description="Label key.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="Relation of the label to values: In, NotIn, Exists or DoesNotExist."
    )
    values: tuple[LabelText, ...] = Field(
        default=(), max_length=64, description="Values for In and NotIn. Default: none."
    )

    @model_validator(mode="after")
    def _fits(self) -> RequirementSpec:
        if (self.operator in ("In", "NotIn")) != bool(self.values):
            refuse(self, [(("values",), "values are for In and NotIn, and they need some")])
        return self


class SelectorSpec(SpecModel):
    """Contenders that the policy binds; all given parts must match."""

    arena: Name | None = Field(
        default=None, description="Only contenders of this Arena. Default: of every arena."
    )
    tiers: Annotated[tuple[Tier, ...] | None, DISTINCT] = Field(
        default=None,
        min_length=1,
        max_length=5,
        description="Only contenders in these tiers. Default: in every tier.",
    )
    match_labels: dict[LabelKey, LabelText] = Field(
        default_factory=dict,
        max_length=16,
        description="Labels that the Contender must have. Default: none.",
    )
    match_expressions: tuple[RequirementSpec, ...] = Field(
        default=(),
        max_length=16,
        description="Label requirements, all of which must hold. Default: none.",
    )
