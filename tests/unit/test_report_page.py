"""The report is whole: nothing from elsewhere, nothing unescaped, nothing only in colour."""

import re
from html.parser import HTMLParser
from math import nan
from pathlib import Path

import ledger_kit as kit
import msgspec
import numpy as np
import pytest

from titanflow.core.base.errors import AdapterError
from titanflow.core.base.ident import NO_ID
from titanflow.core.facts import Quarantine
from titanflow.runtime import report_style
from titanflow.runtime.report import ReportData, _money, headline, render, write_report
from titanflow.runtime.report_chart import POINTS_MAX, thin

replace = msgspec.structs.replace
EVIL = '<script>alert("x")</script>'
VOID = {"meta", "line", "circle", "polyline", "br"}


@pytest.fixture(scope="module")
def session() -> ReportData:
    line = kit.Line(kit.ground("A", "BuyAndHold", "C"))
    fills = [kit.fill(0, 10 * (n + 1), 100, contender=f"c{n}", nth=n) for n in range(3)]
    line.take(*fills)
    for day in range(40):
        line.take(kit.bar(day, 100 + 3 * day - 9 * (day % 2)))
    standings = line.finish(40)
    days, equity = line.score.curves()
    at = kit.end_of(0)
    return ReportData(
        arena="main",
        session="s-1",
        currency="USD",
        contenders=("c0", "c1", "c2"),
        days=days,
        equity=equity,
        standings=tuple(standings.values()),
        fills=tuple(fills),
        fills_total=7,
        incidents=(kit.split(1, 3, 2), Quarantine(NO_ID, NO_ID, at, at, "BBB", "spike", EVIL)),
        tick_sizes={"AAA": 10**6},
        meta=(("Seed", "7"), (EVIL, EVIL)),
    )


class Page(HTMLParser):
    """Checks nesting, and keeps what the tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert [] == self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert tag == self.open.pop()

    def handle_data(self, text):
        self.text += text

    def named(self, tag: str) -> list[dict]:
        return [attrs for name, attrs in self.tags if name == tag]


def test_the_page_loads_and_runs_nothing(session: ReportData) -> None:
    page = render(session)

    assert not re.search(r"https?:|\bsrc=|<script|<link|@import|url\(|\bon\w+=", page)
    assert "default-src 'none'" in page


def test_what_people_typed_is_escaped(session: ReportData) -> None:
    rows = tuple(replace(s, contender=EVIL, note=EVIL) for s in session.standings[:1])
    fills = tuple(replace(f, client_order_id=EVIL) for f in session.fills)
    evil = replace(
        session, arena=EVIL, session=EVIL, currency=EVIL, contenders=(EVIL, "c1", "c2"),
        standings=rows, fills=fills,
    )  # fmt: skip

    page = render(evil)

    assert "<script" not in page
    assert EVIL in Page(page).text


def test_the_page_is_well_formed_and_can_be_heard(session: ReportData) -> None:
    page = Page(render(session))

    tables = page.named("table")
    assert len(tables) == len(page.named("caption")) == 6
    assert all("scope" in th for th in page.named("th"))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert sorted(set(ids)) == sorted(ids)
    pictures = page.named("svg")
    assert all("aria-labelledby" in p or p.get("aria-hidden") == "true" for p in pictures)
    for _, attrs in page.tags:
        for name in attrs.get("aria-labelledby", "").split():
            assert name in ids
    assert 1 == len(page.named("h1"))
    assert "en" == page.named("html")[0]["lang"]


def test_the_page_is_the_same_for_the_same_session(session: ReportData) -> None:
    assert render(session) == render(session)


def test_benchmarks_are_dashed_and_pinned(session: ReportData) -> None:
    page = Page(render(session))

    dashed = [p for p in page.named("polyline") if "dashed" in p["class"]]
    assert 2 == len(dashed)
    assert "pinned" in page.text


def test_the_number_of_fills_not_shown_is_told(session: ReportData) -> None:
    assert "The last 3 of 7 fills" in render(session)
    assert "All 3 fills" in render(replace(session, fills_total=3))


def test_incidents_are_told(session: ReportData) -> None:
    text = Page(render(session)).text

    assert "3 for 2; test" in text
    assert "Quarantine: spike" in text


def test_an_empty_session_has_a_page(session: ReportData) -> None:
    empty = replace(
        session, days=np.zeros(0, np.int64), equity=np.zeros((3, 0), np.int64), fills=(),
        fills_total=0, incidents=(),
    )  # fmt: skip

    text = Page(render(empty)).text

    assert "Not enough days to draw." in text
    assert "There are none." in text


def test_a_flat_session_can_be_drawn(session: ReportData) -> None:
    flat = replace(session, equity=np.full_like(session.equity, kit.CAPITAL))

    assert "nan" not in Page(render(flat)).text.lower()


def test_the_headline_says_what_is_sure(session: ReportData) -> None:
    first, second = (s for s in session.standings if s.rank)

    assert "apart" in headline((replace(first, return_low=0.5), replace(second, return_high=0.4)))
    assert "may be chance" in headline(
        (replace(first, return_low=0.3), replace(second, return_high=0.4))
    )
    assert "share the first rank" in headline((first, replace(second, rank=first.rank)))
    assert "only ranked" in headline((first,))
    assert "not enough data" in headline((replace(first, rank=0),))


def test_a_number_without_value_is_a_dash_and_its_note(session: ReportData) -> None:
    row = replace(session.standings[0], return_low=nan, sharpe=nan, note="not enough data: x")

    text = Page(render(replace(session, standings=(row,)))).text

    assert "not enough data: x" in text
    assert "nan" not in text.lower()


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0.00"), (499_999, "0.00"), (500_000, "0.01"), (-500_000, "−0.01"), (-1, "0.00"),
     (123_456_789_000_000, "1,234,567.89")],
)  # fmt: skip
def test_money_is_rounded_for_reading(amount: int, text: str) -> None:
    assert text == _money(amount)


@pytest.mark.parametrize("count", [2, POINTS_MAX, POINTS_MAX + 1, 8_193])
def test_thinned_lines_keep_the_deepest_fall_and_both_ends(count: int) -> None:
    values = [0.0] * count
    values[count // 2] = -1.0
    values[-1] = -0.5

    thinned = thin(values, min)

    assert len(thinned) <= POINTS_MAX
    assert (0.0, -0.5) == (thinned[0], thinned[-1])
    assert min(values) == min(thinned)


def test_the_report_replaces_an_older_one_whole(session: ReportData, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    write_report(path, session)

    assert path.read_text("utf-8") == render(session)
    assert [path] == list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_the_world_s_failure(
    session: ReportData, tmp_path: Path
) -> None:
    with pytest.raises(AdapterError, match="cannot write the report"):
        write_report(tmp_path / "no" / "report.html", session)


def luminance(colour: str) -> float:
    full = colour if len(colour) == 6 else "".join(c * 2 for c in colour)
    parts = [int(full[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: str, b: str) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [report_style._LIGHT, report_style._DARK], ids=["light", "dark"])
def test_every_colour_has_enough_contrast(theme: str) -> None:
    token = dict(re.findall(r"--(\w+):#(\w+)", theme))

    for ground in ("bg", "surface", "raised"):
        for name in ("text", "muted"):
            assert contrast(token[name], token[ground]) >= 4.5, (name, ground)
    for name in ("accent", "gain", "loss", *(f"c{n}" for n in range(1, 9))):
        assert contrast(token[name], token["surface"]) >= 4.5, name
    assert contrast(token["strong"], token["surface"]) >= 3.0
