"""Does docs/streams.md show what is declared?"""

from __future__ import annotations

import os

from titanflow.adapters.bus.reference import EXAMPLE, draw
from tools.tree import ROOT

PAGE = ROOT / "docs/streams.md"
BEGIN, END = "<!-- drawn: begin -->\n", "<!-- drawn: end -->"


def test_the_page_shows_the_streams_consumers_and_users_that_are_declared():
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    drawn, _, after = rest.partition(END)
    if os.environ.get("TITANFLOW_GOLDEN") == "write":
        drawn = f"\n{draw(EXAMPLE)}\n"
        PAGE.write_text(f"{before}{BEGIN}{drawn}{END}{after}", "utf-8")

    assert f"\n{draw(EXAMPLE)}\n" == drawn, "run `make golden` and read the diff"
