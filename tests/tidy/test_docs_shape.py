"""Is every page well formed, does every link lead somewhere, and is the map complete?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import map_modules
from tools.tree import ROOT, ending, relative

PAGES = ending(".md")

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


def prose(path: Path) -> str:
    """Return a page without its code blocks."""
    return _FENCE.sub("", path.read_text("utf-8"))


def anchors(path: Path) -> set[str]:
    """Return the anchors that a page's headings make."""
    titles = (re.sub(r"[^\w\- ]", "", title.lower()) for title in _HEADING.findall(prose(path)))
    return {title.strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_a_page_has_one_first_heading_at_its_top(path: Path) -> None:
    headings = re.findall(r"^# .+", prose(path), re.MULTILINE)

    assert 1 == len(headings)
    assert path.read_text("utf-8").startswith(headings[0])


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_every_link_leads_somewhere(path: Path) -> None:
    broken = []
    for link in _LINK.findall(prose(path)):
        target, _, anchor = link.partition("#")
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        page = (path.parent / target).resolve() if target else path
        if (
            not page.exists()
            or not page.is_relative_to(ROOT)
            or (anchor and page.suffix == ".md" and anchor not in anchors(page))
        ):
            broken.append(link)

    assert [] == broken


@pytest.mark.parametrize(
    "path", [page for page in PAGES if relative(page).startswith("docs/")], ids=relative
)
def test_every_page_of_the_handbook_can_be_reached(path: Path) -> None:
    name = path.name

    linked = any(name in page.read_text("utf-8") for page in PAGES if page != path)

    assert linked, f"no page links to {relative(path)}"


def test_the_map_names_every_module_and_no_other() -> None:
    page = ROOT / "docs/map.md"

    assert map_modules.draw() == page.read_text("utf-8"), "run `make golden` and read the diff"


def test_decision_records_are_numbered_without_gaps() -> None:
    records = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))

    numbers = [int(path.name[:4]) for path in records]

    assert list(range(1, len(records) + 1)) == numbers


@pytest.mark.parametrize("path", sorted((ROOT / "docs/adr").glob("[0-9]*.md")), ids=relative)
def test_a_decision_record_is_one_page_with_four_parts(path: Path) -> None:
    text = path.read_text("utf-8")

    assert ["Status", "Context", "Decision", "Consequences"] == re.findall(
        r"^## (.+)", text, re.MULTILINE
    )
    assert len(text.splitlines()) <= 60
