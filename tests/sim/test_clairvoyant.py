"""A rule that knows a bar's close can do nothing with it at that bar."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit import POLICY, read_journal, small_folder

from titanflow.core.facts import Bar, Fill, Order
from titanflow.runtime.plan import prepare
from titanflow.runtime.record import record_session

SEER = '''
"""Knows every close of the data, and buys before each rise, at the bar itself."""

from titanflow.core.contender.protocol import Side, View, Wish


class Seer:
    """Buys at a bar whose close was above its open, as if it could trade at that open."""

    features = ()

    def decide(self, view: View):
        """Take or leave the bar that has just ended."""
        if view.position_lots > 0:
            return (Wish.market(Side.SELL, view.position_lots),)
        return (Wish.market(Side.BUY, 20),)
'''
CONTENDER = """\
apiVersion: titanflow.io/v1alpha1
kind: Contender
metadata: {name: seer}
spec:
  tier: Paper
  recipe: {kind: Python, python: {entryPoint: "seer:Seer"}}
"""


def zigzag(days: int) -> str:
    """Return bars that rise by 10 % inside every day and open where the day before opened.

    Who could buy at a bar's open after seeing its close would earn 10 % a day; who trades at the
    next open earns nothing, because every open is the same.
    """
    rows = ["symbol,time,open,high,low,close,volume"]
    for symbol in ("AAA", "BBB"):
        rows += [
            f"{symbol},{2020 + day // 360}-{day // 30 % 12 + 1:02d}-{day % 30 % 28 + 1:02d},"
            "100.00,110.00,100.00,110.00,1000000"
            for day in range(days)
            if day % 30 < 28
        ]
    return "\n".join(rows) + "\n"


def test_a_clairvoyant_cannot_profit_from_a_close_at_its_own_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TITANFLOW_HOME", str(tmp_path / "state"))
    folder = small_folder(tmp_path / "arena")
    (folder / "bars.csv").write_text(zigzag(300))
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "seer.yaml").write_text(CONTENDER)
    (folder / "seer.py").write_text(SEER)

    result = record_session(prepare(folder, None))
    _, facts = read_journal(result.session.journal)

    mine = next(s for s in result.outcome.standings if s.contender == "seer")
    bars = {f.id: f for f in facts if isinstance(f, Bar)}
    orders = {f.id: f for f in facts if isinstance(f, Order)}
    fills = [f for f in facts if isinstance(f, Fill) and f.contender == "seer"]
    assert len(fills) > 100
    assert all(bars[f.cause].start >= orders[f.order].at for f in fills)
    # A day's gain is 200 a trade; all it can have is the mark of a position still open.
    assert mine.equity <= mine.capital + 2 * 20 * 10 * 10**8
