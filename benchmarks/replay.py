"""How fast is a whole session? SMA crossovers with full risk, fills, ledger and journal, one core.

    python -m benchmarks.replay [--bars N] [--contenders N] [--json] [--instructions]

Reports contender-bars per second (one contender deciding on one bar) beside backtesting.py and
nautilus_trader, run one after the other in the same process tree, on the same seeded series and
the same rule, on one core. Peers that are not installed are named, not skipped in silence: `uv pip
install --extra bench`. With --instructions it counts instructions per order with callgrind, for
1,000 and for 100,000 orders: the cost of an order must not grow with the orders already sent.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SEED = 20261124
START_NS = 1_600_000_000 * 10**9
MINUTE_NS = 60 * 10**9

ARENA = """\
apiVersion: titanflow.io/v1alpha1
kind: Arena
metadata: {{name: main}}
spec:
  seed: 7
  capital: "1000000"
  instruments:
    - {{symbol: X, venue: XSIM, assetClass: Crypto, currency: USD, tickSize: "0.01", lotSize: "1"}}
  sources:
    - name: bars
      kind: Files
      grain: Bars
      barSeconds: 60
      files: {{uri: "file://{path}", format: Parquet}}
  fees: {{makerPpm: 100, takerPpm: 500}}
---
apiVersion: titanflow.io/v1alpha1
kind: RiskPolicy
metadata: {{name: house}}
spec:
  selector: {{}}
  limits:
    maxIntentAgeSeconds: 60
    maxOrdersPerSecond: 100
    maxReferenceAgeSeconds: 3600
    priceCollarBps: 1000
    maxOrderNotional: "2000000"
    maxOpenOrders: 100
    maxPositionNotional: "2000000"
    maxGrossExposure: "2000000"
    maxDailyLoss: "900000"
    maxDrawdownBps: 9900
"""
CONTENDER = """\
---
apiVersion: titanflow.io/v1alpha1
kind: Contender
metadata: {{name: sma-{number}}}
spec:
  tier: Paper
  recipe:
    kind: Rules
    rules: {{name: SmaCrossover, parameters: {{fast: "{fast}", slow: "{slow}"}}}}
  sizing: {{kind: FixedFraction, fixedFraction: {{fractionBps: 5000}}}}
"""


def series(count: int) -> dict[str, np.ndarray]:
    """Return a seeded random walk as bars: prices in cents, volume in units."""
    random = np.random.default_rng(SEED)
    close = np.maximum(10_000 + np.cumsum(random.integers(-9, 10, count)), 1_000)
    open_ = np.concatenate(([10_000], close[:-1]))
    high = np.maximum(open_, close) + random.integers(0, 6, count)
    low = np.minimum(open_, close) - random.integers(0, 6, count)
    volume = random.integers(100_000, 1_000_000, count)
    return {"open": open_, "high": high, "low": low, "close": close, "volume": volume}


def write_folder(folder: Path, bars: int, contenders: int) -> None:
    """Write data and manifests of the benchmark's arena."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = series(bars)
    start = START_NS + MINUTE_NS * np.arange(bars)
    columns: dict[str, Any] = {
        "symbol": ["X"] * bars,
        "time": pa.array(start, pa.timestamp("ns", "UTC")),
    }
    columns |= {k: v / 100 for k, v in data.items() if k != "volume"}
    columns["volume"] = data["volume"]
    pq.write_table(pa.table(columns), folder / "bars.parquet")
    text = ARENA.format(path=folder / "bars.parquet")
    for number in range(contenders):
        text += CONTENDER.format(number=number, fast=10 + number % 7, slow=30 + 3 * number)
    (folder / "arena.yaml").write_text(text)


def run_titanflow(bars: int, contenders: int) -> dict[str, Any]:
    """Run a whole session as `titanflow replay` does, journal on."""
    from titanflow.runtime.plan import prepare
    from titanflow.runtime.record import record_session

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_folder(folder, bars, contenders)
        os.environ["TITANFLOW_HOME"] = str(folder / "state")
        plan = prepare(folder / "arena.yaml", None)
        cpu = time.process_time()
        result = record_session(plan)
        cpu = time.process_time() - cpu
    facts = result.outcome.facts
    return {
        "system": "titanflow",
        "bars": bars,
        "contenders": contenders,
        "orders": facts.get("Order", 0),
        "cpu_s": cpu,
        "contender_bars_per_s": bars * contenders / cpu,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def run_backtesting(bars: int) -> dict[str, Any]:
    """Run the same rule in backtesting.py."""
    import warnings

    import pandas as pd
    from backtesting import Backtest, Strategy
    from backtesting.lib import crossover

    warnings.simplefilter("ignore")
    data = series(bars)
    frame = pd.DataFrame({k.capitalize(): v / 100 for k, v in data.items() if k != "volume"})
    frame["Volume"] = data["volume"]
    frame.index = pd.to_datetime(START_NS + MINUTE_NS * np.arange(bars))

    def mean(values: Any, length: int) -> Any:
        return pd.Series(values).rolling(length).mean()

    class Cross(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            self.fast = self.I(mean, self.data.Close, 10)
            self.slow = self.I(mean, self.data.Close, 30)

        def next(self) -> None:
            if crossover(self.fast, self.slow):
                self.position.close()
                self.buy(size=0.5)
            elif crossover(self.slow, self.fast):
                self.position.close()

    test = Backtest(frame, Cross, cash=1_000_000, commission=0.0005, finalize_trades=True)
    cpu = time.process_time()
    stats = test.run()
    cpu = time.process_time() - cpu
    return _peer("backtesting.py", bars, int(stats["# Trades"]) * 2, cpu)


def run_nautilus(bars: int) -> dict[str, Any]:
    """Run the same rule in nautilus_trader's backtest engine."""
    from benchmarks.replay_nautilus import run

    orders, cpu = run(series(bars), START_NS, MINUTE_NS)
    return _peer("nautilus_trader", bars, orders, cpu)


def _peer(name: str, bars: int, orders: int, cpu: float) -> dict[str, Any]:
    return {
        "system": name,
        "bars": bars,
        "contenders": 1,
        "orders": orders,
        "cpu_s": cpu,
        "contender_bars_per_s": bars / cpu,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


CASES = {
    "titanflow": lambda a: run_titanflow(a.bars, a.contenders),
    "titanflow-one": lambda a: run_titanflow(a.bars, 1),
    "backtesting": lambda a: run_backtesting(min(a.bars, 200_000)),
    "nautilus": lambda a: run_nautilus(min(a.bars, 100_000)),
}


def child(case: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one case in a process of its own, pinned to one core, so that peaks do not mix."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.replay",
        "--case",
        case,
        "--bars",
        str(arguments.bars),
        "--contenders",
        str(arguments.contenders),
    ]
    pin = ["taskset", "-c", "0"] if shutil.which("taskset") else []
    done = subprocess.run([*pin, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or "no output").strip().splitlines()
        return {"system": case, "error": lines[-1]}
    return dict(json.loads(done.stdout))


def instructions(orders: int) -> int:
    """Return callgrind's instruction count of a process that sends *orders* orders."""
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is missing: apt-get install valgrind")
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "callgrind.out"
        command = [
            "valgrind",
            "--tool=callgrind",
            f"--callgrind-out-file={out}",
            sys.executable,
            "-m",
            "benchmarks.order_cost",
            str(orders),
        ]
        environment = os.environ | {"PYTHONHASHSEED": "0", "PYTHONMALLOC": "malloc"}
        subprocess.run(command, check=True, capture_output=True, env=environment)
        for line in out.read_text().splitlines():
            if line.startswith(("summary:", "totals:")):
                return int(line.split()[1])
    raise SystemExit("callgrind wrote no total")


def main() -> None:
    """Run the cases and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=100_000)
    parser.add_argument("--contenders", type=int, default=10)
    parser.add_argument("--case", choices=sorted(CASES))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--instructions", action="store_true")
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(CASES[arguments.case](arguments)))
        return
    rows = [child(case, arguments) for case in CASES]
    report: dict[str, Any] = {"cases": rows}
    if arguments.instructions:
        base, small, large = instructions(0), instructions(1_000), instructions(100_000)
        report["instructions_per_order"] = {
            "at_1000": (small - base) / 1_000,
            "at_100000": (large - base) / 100_000,
            "ratio": (large - base) / 100_000 / ((small - base) / 1_000),
        }
    if arguments.json:
        print(json.dumps(report, indent=2))
        return
    ours = next((r["contender_bars_per_s"] for r in rows if r["system"] == "titanflow"), None)
    print(f"SMA cross, one core, seed {SEED}; CPU time of the process, data loading not included")
    for row in rows:
        if "error" in row:
            print(f"  {row['system']:16} not run: {row['error']}")
            continue
        speed = row["contender_bars_per_s"]
        ratio = f"titanflow is {ours / speed:.1f}×" if ours and row["system"] != "titanflow" else ""
        print(
            f"  {row['system']:16} {row['bars']:>8} bars × {row['contenders']:>2} contenders "
            f"{row['orders']:>7} orders {row['cpu_s']:7.2f} s {speed:12,.0f} contender-bars/s "
            f"{row['peak_rss_mib']:6.0f} MiB {ratio}"
        )
    if "instructions_per_order" in report:
        print("  instructions per order:", json.dumps(report["instructions_per_order"]))


if __name__ == "__main__":
    main()
