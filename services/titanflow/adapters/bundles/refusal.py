"""Why is a bundle refused? By one step of its verification, which is named, and in words."""

from __future__ import annotations

from enum import StrEnum

from titanflow.core.base.errors import TitanFlowError


class Step(StrEnum):
    """The steps of verification, in the order in which they are taken."""

    SIZE = "size"
    SIGNATURE = "signature"
    HASH = "hash"
    ARCHIVE = "archive"
    MANIFEST = "manifest"
    GRAPH = "graph"
    LOAD = "load"
    GOLDEN = "golden vectors"


class BundleRefusedError(TitanFlowError):
    """A bundle that may not be used: at which step, and what was found."""

    def __init__(self, step: Step, what: str) -> None:
        self.step, self.what = step, what
        super().__init__(f"bundle refused at step {step.value}: {what}")
