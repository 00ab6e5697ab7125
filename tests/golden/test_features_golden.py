"""Are features what they were? Every family on the first 150 bars of AAPL, every tenth bar shown.

The last line is a digest over the bits of all 150 bars, so that nothing between the shown bars can
change unseen. `make golden` writes the file anew.
"""

import os
from hashlib import blake2b
from pathlib import Path

import numpy as np
from stock_bars import stock_bars

from titanflow.core.contender.rehearsal import ground_of
from titanflow.core.perception.belief import Perceive
from titanflow.core.perception.features import FAMILIES, FeatureSchema

GOLDEN = Path(__file__).with_name("features_aapl.txt")
BARS = 150


def drawn() -> str:
    names = [family.shown() for family in FAMILIES]
    perceive = Perceive(ground_of(["AAPL"]), FeatureSchema(names))
    rows = [perceive.handle(bar)[0].features for bar in stock_bars()[:BARS]]
    shown = range(9, BARS, 10)
    lines = [f"# AAPL from 2000-03-01; bars {', '.join(str(at + 1) for at in shown)}"]
    for column, name in enumerate(names):
        lines.append(" ".join([name, *(f"{rows[at][column]:.10g}" for at in shown)]))
    bits = blake2b(np.array(rows).astype("<f8").tobytes(), digest_size=16)
    return "\n".join([*lines, f"digest {bits.hexdigest()}"]) + "\n"


def test_features_are_what_they_were() -> None:
    now = drawn()
    if os.environ.get("TITANFLOW_GOLDEN") == "write":
        GOLDEN.write_text(now, "utf-8")

    assert GOLDEN.read_text("utf-8") == now, "run `make golden` and read the diff"
