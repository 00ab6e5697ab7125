"""What does one order cost through gate, venue and ledger? Sends N orders; callgrind counts.

    python -m benchmarks.order_cost 100000

Intents go straight to the arena's line, one buy or sell of one lot every bar, so that positions,
open orders and everything else stay the same size: what is left to grow would be a leak.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.replay import MINUTE_NS, START_NS, write_folder
from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.facts import Bar, Fact, Intent
from titanflow.core.spec.words import IntentAction, OrderType, Origin, Side, TimeInForce


def main() -> None:
    """Send the orders and say how many filled."""
    count = int(sys.argv[1])
    from titanflow.runtime.plan import prepare
    from titanflow.runtime.sim import Driver

    with tempfile.TemporaryDirectory() as name:
        write_folder(Path(name), 2, 1)
        driver = Driver(prepare(Path(name) / "arena.yaml", None), check_turns=1 << 60)
    arena = driver.arena
    at = START_NS
    arena.open(at)
    filled = 0
    for number in range(count + 1):
        ident = derive(NO_ID, b"bench", number)
        bar = Bar(
            ident,
            NO_ID,
            at + MINUTE_NS,
            at + MINUTE_NS,
            "X",
            at,
            10_000,
            10_010,
            9_990,
            10_000,
            1_000_000,
        )
        at += MINUTE_NS
        said: list[Fact] = arena.take(bar)
        filled += sum(type(fact).__name__ == "Fill" for fact in said)
        side = Side.BUY if number % 2 == 0 else Side.SELL
        intent = Intent(
            derive(ident, b"bench", 1),
            ident,
            at,
            at,
            "sma-0",
            "X",
            IntentAction.NEW,
            side,
            1,
            OrderType.MARKET,
            0,
            TimeInForce.DAY,
            False,
            f"o{number}",
            "",
            Origin.CONTENDER,
            at,
        )
        if number < count:
            arena.take(intent)
    print(f"{count} orders, {filled} fills")


if __name__ == "__main__":
    main()
