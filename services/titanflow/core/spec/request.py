"""What is a request to a kill switch? One item of the list that a simulation is given beside it.

It is no manifest: it has a time, and is an input of the session like a bar.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from titanflow.core.spec.common import Fault, SpecModel, refuse
from titanflow.core.spec.shape import InstantString, Symbol
from titanflow.core.spec.words import KillAction, KillScope


class RequestSpec(SpecModel):
    """One request to engage or release a kill switch."""

    at: InstantString = Field(description="When, RFC 3339.")
    scope: KillScope = Field(description="Arena, Contender, Policy or Instrument.")
    engaged: bool = Field(description="true stops, false releases.")
    by: str = Field(min_length=1, max_length=128, description="Who asks for it (a stated name).")
    name: str = Field(default="", max_length=40, description="Which contender, policy or symbol.")
    instruments: tuple[Symbol, ...] = Field(
        default=(), max_length=64, description="Symbols to stop; an empty list stops all."
    )
    action: KillAction = Field(default=KillAction.CANCEL_ALL, description="How severe it is.")
    reason: str = Field(default="", max_length=256, description="Why; needed to engage.")
    reset_token: str = Field(default="", max_length=64, description="Needed to release.")

    @model_validator(mode="after")
    def _complete(self) -> RequestSpec:
        faults: list[Fault] = []
        if self.scope is not KillScope.ARENA and not self.name:
            faults.append((("name",), f"scope {self.scope} needs the name of one"))
        if self.scope is KillScope.ARENA and self.name:
            faults.append((("name",), "scope Arena takes no name: there is one arena"))
        if self.scope is KillScope.INSTRUMENT and self.instruments:
            faults.append((("instruments",), "scope Instrument takes no list of instruments"))
        if self.engaged and not self.reason:
            faults.append((("reason",), "reason is required while engaged is true"))
        if not self.engaged and not self.reset_token:
            faults.append((("resetToken",), "resetToken is required while engaged is false"))
        refuse(self, faults)
        return self
