"""What does a drill tell? Counts, times and whether it passed; a line for people, JSON to keep."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from tools.tree import ROOT

ARTIFACTS: Final = ROOT / "artifacts"


@dataclass
class Outcome:
    """What became of one drill."""

    name: str
    codes: str
    """Which experiments it is, such as `F3`."""
    pass_figure: str
    counts: dict[str, int | float | str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What helps to understand the numbers; kept with them."""
    cannot: str = ""
    """Why it could not be done here; then it has not passed."""
    seconds: float = 0.0
    is_short: bool = False

    @property
    def patience(self) -> float:
        """Give by how much a time may be longer than its bar: bars are for a quiet machine.

        The short forms run among a build's other work; there they must not judge its speed.
        """
        return 4.0 if self.is_short else 1.0

    @property
    def passed(self) -> bool:
        """Say whether it was done and nothing was wrong."""
        return not self.problems and not self.cannot

    def demand(self, what: str, holds: bool) -> None:
        """Note a problem unless *holds*."""
        if not holds:
            self.problems.append(what)

    def line(self) -> str:
        """Return one line for people."""
        word = "cannot" if self.cannot else "passed" if self.passed else "FAILED"
        told = ", ".join(f"{name} {_plain(value)}" for name, value in self.counts.items())
        rest = self.cannot or "; ".join(self.problems[:3])
        line = f"{word}  {self.name} ({self.codes}), {self.seconds:.1f} s: {told}"
        return f"{line}\n        {rest}" if rest else line

    def keep(self) -> Path:
        """Write the evidence and return its place."""
        folder = ARTIFACTS / self.name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / ("short.json" if self.is_short else "full.json")
        content = {**asdict(self), "passed": self.passed, "machine": machine()}
        path.write_text(json.dumps(content, indent=2) + "\n")
        return path


def machine() -> dict[str, str | int | float]:
    """Describe where the numbers come from."""
    return {
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "cores": os.cpu_count() or 0,
        "load": round(os.getloadavg()[0], 2),
    }


def _plain(value: float | str) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def quantile(values: list[float], share: float) -> float:
    """Return a quantile of values, 0 for none."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0
