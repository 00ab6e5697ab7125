"""Small arenas on disk for tests of whole sessions: a seeded CSV and manifests beside it."""

from __future__ import annotations

import random
from pathlib import Path

from titanflow.core.base.instant import NS_PER_DAY, format_instant, parse_instant
from titanflow.core.facts import Fact
from titanflow.runtime.journal import FACT, Head, Reader, Writer, decode_fact, read_head
from titanflow.runtime.plan import Plan, prepare
from titanflow.runtime.record import Result, record_session

START = parse_instant("2020-01-06T00:00:00Z")

ARENA = """\
apiVersion: titanflow.io/v1alpha1
kind: Arena
metadata: {name: main}
spec:
  seed: 11
  capital: "100000"
  instruments:
    - {symbol: AAA, venue: XSIM, assetClass: Equity, currency: USD, tickSize: "0.01", lotSize: "1"}
    - {symbol: BBB, venue: XSIM, assetClass: Equity, currency: USD, tickSize: "0.01", lotSize: "1"}
  sources:
    - name: bars
      kind: Files
      barSeconds: 86400
      files: {uri: "file://./bars.csv", format: CSV}
  fills: {participationBps: 200, slippageBps: 3, jitterMicros: 500}
  ranking: {minFills: 1}
"""

POLICY = """\
apiVersion: titanflow.io/v1alpha1
kind: RiskPolicy
metadata: {name: house}
spec:
  selector: {}
  limits: {maxOrderNotional: "50000", maxReferenceAgeSeconds: 864000, priceCollarBps: 2000}
"""

RULES = {
    "hold": ("BuyAndHold", ""),
    "dice": ("Random", ""),
    "cross": ("SmaCrossover", 'fast: "3", slow: "8"'),
    "channel": ("DonchianBreakout", 'entry: "6", exit: "3"'),
}


def contender(name: str, rule: str, parameters: str = "", fraction: int = 2000) -> str:
    """Return the manifest of a contender in tier Paper."""
    return f"""\
apiVersion: titanflow.io/v1alpha1
kind: Contender
metadata: {{name: {name}}}
spec:
  tier: Paper
  recipe: {{kind: Rules, rules: {{name: {rule}, parameters: {{{parameters}}}}}}}
  sizing: {{kind: FixedFraction, fixedFraction: {{fractionBps: {fraction}}}}}
"""


def bars_csv(days: int, *, seed: int = 5, symbols: tuple[str, ...] = ("AAA", "BBB")) -> str:
    """Return a CSV of a seeded random walk for each symbol."""
    chance = random.Random(seed)
    rows = ["symbol,time,open,high,low,close,volume"]
    for symbol in symbols:
        price = 10_000
        for day in range(days):
            opened = max(price + chance.randint(-60, 60), 500)
            price = max(opened + chance.randint(-150, 150), 500)
            high = max(opened, price) + chance.randint(0, 50)
            low = min(opened, price) - chance.randint(0, 50)
            time = format_instant(START + day * NS_PER_DAY)
            cells = ",".join(f"{v / 100:.2f}" for v in (opened, high, low, price))
            rows.append(f"{symbol},{time},{cells},{chance.randint(2_000, 90_000)}")
    return "\n".join(rows) + "\n"


def small_folder(folder: Path, days: int = 60) -> Path:
    """Write a whole arena with four contenders into *folder* and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bars.csv").write_text(bars_csv(days))
    (folder / "arena.yaml").write_text(ARENA)
    (folder / "policy.yaml").write_text(POLICY)
    for name, (rule, parameters) in RULES.items():
        (folder / f"{name}.yaml").write_text(contender(name, rule, parameters))
    return folder


def small_session(root: Path, days: int = 60) -> tuple[Plan, Result]:
    """Run the small arena; TITANFLOW_HOME must point into a folder of the test."""
    plan = prepare(small_folder(root / "arena", days), None)
    return plan, record_session(plan)


def read_journal(path: Path) -> tuple[Head, list[Fact]]:
    """Return head and facts of a sound journal."""
    facts = [decode_fact(r.body) for r in Reader(path).records() if r.kind == FACT]
    return read_head(path), facts


def write_journal(path: Path, head: Head, facts: list[Fact]) -> None:
    """Write a journal whose checksums, chain and closing record all fit."""
    writer = Writer(path, head)
    for fact in facts:
        writer.append(fact)
    writer.close()
