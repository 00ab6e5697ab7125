"""How fast does the book match? One seeded stream of messages through our books and two peers.

    python -m benchmarks.matching [--messages N] [--repeat N] [--json]

The stream is a random walk: half the messages are limit orders near the touch, 38 % cancel a
random live order, the rest take (marketable limits, a quarter of them market orders). Every
message names an order id, and every book returns what became of the order. Our native book takes
the whole stream, once in batches and once call by call; the readable oracle and the peers take a
prefix, since they are slower. All run one after the other in this process, on one core, each with
its messages made beforehand. The volume traded on the common prefix must be the same for all, or
the run says so.
Peers that are not installed are named: `uv pip install --extra bench`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SEED = 20261124
BATCH = 10_000
"""Messages in one call; their events are summed up before the next, as a caller would."""
PREFIX = 100_000
"""Messages that the slow books take."""
ENTER, CANCEL = 1, 2
LIMIT, MARKET = 0, 1
GTC, IOC = 1, 2
SHARES = (0.50, 0.38, 0.09, 0.03)
"""Limit orders that rest, cancels, marketable limits, market orders."""
TRADED = 2

Rows = np.ndarray[Any, np.dtype[np.int64]]


def stream(count: int, seed: int = SEED) -> Rows:
    """Return messages in the columns of the native book's `apply`."""
    random = np.random.default_rng(seed)
    rows = np.zeros((count, 8), np.int64)
    kind = np.searchsorted(np.cumsum(SHARES)[:-1], random.random(count), side="right")
    side = random.choice(np.array([1, -1]), count)
    steps = random.choice(np.array([-1, 0, 0, 0, 1]), count)
    middle = np.maximum(100_000 + np.cumsum(steps), 1_000)
    away = random.geometric(0.08, count)
    through = random.integers(1, 12, count)
    rows[:, 0] = ENTER
    rows[:, 2] = random.integers(0, 100, count)
    rows[:, 3] = side
    rows[:, 4] = np.where(kind == 0, middle - side * away, middle + side * through)
    rows[:, 5] = random.integers(1, 100, count)
    rows[kind == 3, 4], rows[kind == 3, 6] = 0, MARKET
    rows[:, 7] = np.where(kind >= 2, IOC, GTC)
    rows[:, 1] = np.cumsum(kind != 1) + 1
    cancels = np.flatnonzero(kind == 1)
    rows[cancels, 2:] = 0
    rows[cancels, 0] = CANCEL
    rows[:, 1] = name_targets(rows, kind, random)
    return rows


def name_targets(rows: Rows, kind: Rows, random: np.random.Generator) -> Rows:
    """Return the id of each message: a new one, or for a cancel that of an order sent before.

    A candidate is drawn once, so that a cancel finds its order unless it was filled meanwhile.
    """
    ids = rows[:, 1].copy()
    picks = random.random(len(rows)).tolist()
    candidates: list[int] = []
    for row, what in enumerate(kind.tolist()):
        if what == 0:
            candidates.append(int(ids[row]))
        elif what == 1 and candidates:
            place = int(picks[row] * len(candidates))
            ids[row], candidates[place] = candidates[place], candidates[-1]
            candidates.pop()
        # Old candidates were mostly filled: cancels go to what still lives.
        if len(candidates) > 4_000:
            del candidates[:2_000]
    return ids


def run_native_batch(rows: Rows) -> tuple[float, int, dict[str, Any]]:
    """Feed the native book in batches; return seconds, lots traded, and the state at the end."""
    from titanflow.native.book import Book

    book, volume, events = Book(), 0, 0
    start = time.perf_counter()
    for at in range(0, len(rows), BATCH):
        told = book.apply(rows[at : at + BATCH])
        volume += int(told[:, 3] @ (told[:, 0] == TRADED))
        events += len(told)
    seconds = time.perf_counter() - start
    state = {
        "orders": len(book),
        "levels": len(book.depth(1)) + len(book.depth(-1)),
        "events": events,
    }
    return seconds, volume, state


def run_calls(rows: Rows, make: Callable[[], Any]) -> tuple[float, int, dict[str, Any]]:
    """Feed a book with our interface call by call."""
    book, volume = make(), 0
    messages = rows.tolist()
    start = time.perf_counter()
    for op, ident, owner, side, price, quantity, kind, tif in messages:
        if op == ENTER:
            told = book.enter(ident, owner, side, price, quantity, kind, tif)
            for event in told:
                if event[0] == TRADED:
                    volume += event[3]
        else:
            book.cancel(ident)
    return time.perf_counter() - start, volume, {"orders": len(book)}


def run_native_calls(rows: Rows) -> tuple[float, int, dict[str, Any]]:
    """Feed the native book call by call."""
    from titanflow.native.book import Book

    return run_calls(rows, Book)


def run_oracle(rows: Rows) -> tuple[float, int, dict[str, Any]]:
    """Feed the readable book of the tests."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/oracles"))
    return run_calls(rows, importlib.import_module("book_oracle").Book)


def peer_price(side: int, price: int, kind: int) -> int:
    """Return a price for books without market orders: one that takes whatever there is."""
    return (10_000_000 if side > 0 else 1) if kind == MARKET else price


def run_pyorderbook(rows: Rows) -> tuple[float, int, dict[str, Any]]:
    """Feed pyorderbook; it has no IOC, so what is left of a taker is cancelled by the adapter."""
    module = importlib.import_module("pyorderbook.book")
    order = importlib.import_module("pyorderbook.order")
    book, volume, live = module.Book(), 0, {}
    messages: list[tuple[int, Any, bool]] = []
    for op, ident, _, side, price, quantity, kind, tif in rows.tolist():
        made = None
        if op == ENTER:
            which = order.Side.BID if side > 0 else order.Side.ASK
            made = order.Order(which, "X", peer_price(side, price, kind), quantity)
        messages.append((ident, made, tif == IOC))
    start = time.perf_counter()
    for ident, made, immediate in messages:
        if made is not None:
            for trade in book.match(made).trades:
                volume += trade.fill_quantity
            if immediate and made.quantity:
                book.cancel(made)
            elif made.quantity:
                live[ident] = made
        else:
            resting = live.pop(ident, None)
            if resting is not None and resting.quantity:
                book.cancel(resting)
    return time.perf_counter() - start, volume, {"orders": len(book.order_map)}


def run_lightmatchingengine(rows: Rows) -> tuple[float, int, dict[str, Any]]:
    """Feed lightmatchingengine; it numbers orders itself and has no IOC, see above."""
    module = importlib.import_module("lightmatchingengine.lightmatchingengine")
    engine, volume, live = module.LightMatchingEngine(), 0, {}
    messages = [
        (
            op == ENTER,
            ident,
            peer_price(side, price, kind),
            quantity,
            1 if side > 0 else 2,
            tif == IOC,
        )
        for op, ident, _, side, price, quantity, kind, tif in rows.tolist()
    ]
    start = time.perf_counter()
    for enters, ident, price, quantity, side, immediate in messages:
        if enters:
            order, trades = engine.add_order("X", price, quantity, side)
            for trade in trades:
                # It reports both sides of a trade; the taker's is one of them.
                if trade.order_id == order.order_id:
                    volume += trade.trade_qty
            if immediate and order.leaves_qty:
                engine.cancel_order(order.order_id, "X")
            elif order.leaves_qty:
                live[ident] = order
        else:
            resting = live.pop(ident, None)
            if resting is not None and resting.leaves_qty:
                engine.cancel_order(resting.order_id, "X")
    return time.perf_counter() - start, volume, {}


CASES: dict[str, tuple[Callable[[Rows], tuple[float, int, dict[str, Any]]], bool]] = {
    "titanflow batch": (run_native_batch, True),
    "titanflow calls": (run_native_calls, True),
    "readable oracle": (run_oracle, False),
    "pyorderbook": (run_pyorderbook, False),
    "lightmatchingengine": (run_lightmatchingengine, False),
}
"""Name -> how to run it, and whether it takes the whole stream."""


def measure(name: str, rows: Rows, repeat: int, reference: int) -> dict[str, Any]:
    """Return the best of *repeat* runs of one case."""
    run, whole = CASES[name]
    part = rows if whole else rows[:PREFIX]
    try:
        # On the prefix first: it warms up, and its volume must be everybody's.
        volume = run(rows[:PREFIX])[1]
        best = min((run(part) for _ in range(repeat)), key=lambda result: result[0])
    except ModuleNotFoundError as missing:
        return {"system": name, "error": f"{missing.name} is not installed"}
    return {
        "system": name,
        "messages": len(part),
        "seconds": best[0],
        "messages_per_s": len(part) / best[0],
        "ns_per_message": best[0] / len(part) * 1e9,
        "same_volume": reference in {0, volume},
        "volume": volume,
        **best[2],
    }


def conditions(count: int) -> dict[str, Any]:
    """Return under which conditions the numbers hold."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(": ")[2] if names else model
    return {
        "seed": SEED,
        "messages": count,
        "shares": dict(zip(("rest", "cancel", "marketable", "market"), SHARES, strict=True)),
        "batch": BATCH,
        "processor": model,
        "python": platform.python_version(),
        "cores_used": 1,
    }


def main() -> None:
    """Run the cases and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rows = stream(arguments.messages)
    results: list[dict[str, Any]] = []
    for name in CASES:
        reference = results[0]["volume"] if results else 0
        results.append(measure(name, rows, arguments.repeat, reference))
    report = {"conditions": conditions(arguments.messages), "cases": results}
    if arguments.json:
        print(json.dumps(report, indent=2))
        return
    ours = results[0]["messages_per_s"]
    print("Order book, one core, best of", arguments.repeat, json.dumps(report["conditions"]))
    for row in results:
        if "error" in row:
            print(f"  {row['system']:20} not run: {row['error']}")
            continue
        flag = "" if row["same_volume"] else "  traded another volume!"
        print(
            f"  {row['system']:20} {row['messages']:>9,} messages {row['seconds']:8.3f} s "
            f"{row['messages_per_s']:>12,.0f} /s {row['ns_per_message']:>9,.0f} ns each  "
            f"batch is {ours / row['messages_per_s']:,.1f}x{flag}"
        )
    print(
        f"  at the end {results[0]['orders']:,} orders on {results[0]['levels']:,} levels; "
        f"{results[0]['events']:,} events returned"
    )


if __name__ == "__main__":
    main()
