"""What stops trading at once? The kill switch of an arena, a contender and a policy."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from titanflow.core.spec.common import INVALID, REQUIRED, Rule, SpecModel
from titanflow.core.spec.shape import DISTINCT, Symbol, worded
from titanflow.core.spec.words import KillAction

_STAYS = "!(oldSelf.engaged && self.engaged)"


def _no_reason(switch: KillSwitchSpec) -> bool:
    return switch.engaged and not switch.reason


def _nobody(switch: KillSwitchSpec) -> bool:
    return switch.engaged and not switch.engaged_by


class KillSwitchSpec(SpecModel):
    """Stops trading at once and stays latched until another person releases it."""

    empty_defaults: ClassVar[frozenset[str]] = frozenset({"instruments"})
    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!self.engaged || size(self.reason) > 0",
            "killSwitch.reason is required while killSwitch.engaged is true",
            "reason",
            REQUIRED,
            _no_reason,
        ),
        Rule(
            "!self.engaged || size(self.engagedBy) > 0",
            "killSwitch.engagedBy is required while killSwitch.engaged is true: who stops the "
            "trading",
            "engagedBy",
            REQUIRED,
            _nobody,
        ),
        Rule(
            "!(oldSelf.engaged && !self.engaged) || self.resetToken > oldSelf.resetToken",
            "releasing the kill switch needs a new killSwitch.resetToken that sorts after the old "
            "one; use the UTC time, such as 2026-11-21T09:30:00Z",
            "resetToken",
        ),
        Rule(
            "self.resetToken == oldSelf.resetToken || (size(self.releasedBy) > 0 && "
            "self.releasedBy != oldSelf.engagedBy)",
            "a new killSwitch.resetToken needs killSwitch.releasedBy, a second person: not the one "
            "in engagedBy",
            "releasedBy",
        ),
        Rule(
            "self.resetToken >= oldSelf.resetToken",
            "killSwitch.resetToken never goes back; keep the present one",
            "resetToken",
        ),
        Rule(
            f"{_STAYS} || (self.engagedBy == oldSelf.engagedBy && "
            "self.resetToken == oldSelf.resetToken)",
            "while the kill switch is engaged, engagedBy and resetToken are fixed; release it "
            "first",
            "engagedBy",
        ),
        Rule(
            f"{_STAYS} || size(self.instruments) == 0 || (size(oldSelf.instruments) > 0 && "
            "oldSelf.instruments.all(i, i in self.instruments))",
            "while the kill switch is engaged, its instruments may only be widened (an empty list "
            "is all); release it first",
            "instruments",
        ),
        Rule(
            f"{_STAYS} || self.action == oldSelf.action || self.action == 'Flatten' || "
            "oldSelf.action == 'RejectNew'",
            "while the kill switch is engaged, its action may only become severer (RejectNew, "
            "CancelAll, Flatten)",
            "action",
            INVALID,
        ),
    )

    engaged: bool = Field(
        default=False,
        description="true stops, from the first event on; in a cluster, false with a new "
        "resetToken and releasedBy releases. Default: false.",
    )
    instruments: Annotated[tuple[Symbol, ...], DISTINCT] = Field(
        default=(),
        max_length=64,
        description="Symbols to stop; an empty list stops all. While engaged it may only be "
        "widened. Default: empty.",
    )
    action: KillAction = Field(
        default=KillAction.CANCEL_ALL,
        description="RejectNew refuses new orders; CancelAll also cancels resting orders; Flatten "
        "also closes positions at the market. The severest of all switches wins. "
        "Default: CancelAll.",
    )
    reason: str = Field(
        default="",
        max_length=256,
        description="Why it was engaged, for people; required while engaged. Default: empty.",
    )
    engaged_by: str = Field(
        default="",
        max_length=128,
        description="Who engaged it (a stated name, or the user's in a cluster); required while "
        "engaged, and fixed until release. Default: empty.",
    )
    released_by: str = Field(
        default="",
        max_length=128,
        description="Who released it last, not the one who engaged it. A session that begins has "
        "nothing to release. Default: empty.",
    )
    reset_token: Annotated[
        str, worded(r"[0-9A-Za-z:._-]*", "a token has letters, digits and : . _ -")
    ] = Field(
        default="",
        max_length=64,
        description="Token of the last release; the next needs one that sorts after it, so that an "
        "old manifest cannot re-arm trading. A UTC time will do. Default: empty.",
    )
