"""Does the page on manifests hold every field of the models, as they are now?"""

from __future__ import annotations

import os

from titanflow.adapters.registry.reference import tables
from tools.tree import ROOT

PAGE = ROOT / "docs/manifests.md"
MARK = "## All fields\n\n"


def test_the_page_on_manifests_holds_all_fields() -> None:
    page = PAGE.read_text("utf-8")
    head, mark, _ = page.partition(MARK)
    drawn = head + mark + tables()
    if os.environ.get("TITANFLOW_GOLDEN") == "write":
        PAGE.write_text(drawn, "utf-8")
        page = drawn

    assert mark
    assert drawn == page, "run `make golden` and read the diff"
