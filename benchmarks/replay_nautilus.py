"""The SMA cross of `benchmarks.replay` in nautilus_trader's own terms."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import numpy as np


def run(data: dict[str, np.ndarray], start_ns: int, step_ns: int) -> tuple[int, float]:
    """Return (orders sent, CPU seconds of the engine's run)."""
    from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
    from nautilus_trader.config import LoggingConfig, StrategyConfig
    from nautilus_trader.indicators.averages import SimpleMovingAverage
    from nautilus_trader.model.currencies import USD
    from nautilus_trader.model.data import Bar, BarType
    from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
    from nautilus_trader.model.identifiers import Venue
    from nautilus_trader.model.objects import Money, Price, Quantity
    from nautilus_trader.test_kit.providers import TestInstrumentProvider
    from nautilus_trader.trading.strategy import Strategy

    instrument = TestInstrumentProvider.equity(symbol="X", venue="XSIM")
    bar_type = BarType.from_str(f"{instrument.id}-1-MINUTE-LAST-EXTERNAL")

    class Cross(Strategy):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(StrategyConfig())
            self.fast, self.slow = SimpleMovingAverage(10), SimpleMovingAverage(30)
            self.long = False
            self.sent = 0

        def on_start(self) -> None:
            self.register_indicator_for_bars(bar_type, self.fast)
            self.register_indicator_for_bars(bar_type, self.slow)
            self.subscribe_bars(bar_type)

        def on_bar(self, bar: Any) -> None:  # noqa: ARG002 - the engine's signature
            if not self.indicators_initialized():
                return
            wanted = self.fast.value > self.slow.value
            if wanted == self.long:
                return
            self.long = wanted
            side = OrderSide.BUY if wanted else OrderSide.SELL
            self.submit_order(
                self.order_factory.market(instrument.id, side, Quantity.from_int(1000))
            )
            self.sent += 1

    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        venue=Venue("XSIM"),
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        base_currency=USD,
        starting_balances=[Money(Decimal(1_000_000), USD)],
    )
    engine.add_instrument(instrument)
    names = ("open", "high", "low", "close")
    bars = []
    for index in range(len(data["open"])):
        at = start_ns + step_ns * (index + 1)
        prices = (Price(float(data[name][index]) / 100, 2) for name in names)
        bars.append(Bar(bar_type, *prices, Quantity.from_int(int(data["volume"][index])), at, at))
    engine.add_data(bars)
    strategy = Cross()
    engine.add_strategy(strategy)
    cpu = time.process_time()
    engine.run()
    cpu = time.process_time() - cpu
    return strategy.sent, cpu
