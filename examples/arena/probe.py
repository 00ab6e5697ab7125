"""A rude contender: it wishes for everything that risk and venue must refuse, in turn.

It is no model of anything. It stands in the example arena so that a session shows refusals, and
each of them can be looked up with `titanflow session facts --kind Verdict --text Deny`.
"""

# ruff: noqa: INP001 - a module of its own, importable from the folder given to -f

from titanflow.core.contender.protocol import Opinion, Side, TimeInForce, View, Wish

PERIOD = 40
"""Bars between two rounds: a year shows everything six times."""

BIG_LOTS = 2_000_000
"""More than any limit of a sensible policy allows, at any price in the data."""

GREEDY_LOTS = 400
"""More than the contenders' share of one bar in the early years, so that a part must wait."""

CLIP_LOTS = 500
"""Most lots that the example's policy lets it send at once."""


class Probe:
    """Sends one rude wish at a time, by the number of bars seen.

    | bar of the round | wish | what it shows |
    |---|---|---|
    | 1 | sell more than it holds | short sales are refused where no policy allows them |
    | 3 | buy at a tenth of the price | the price collar |
    | 5 | buy two million shares | the limit on one order |
    | 7 | buy nothing | a quantity of zero is no order |
    | 9 | post-only buy above the market | it would take, so the venue refuses it |
    | 11, 12 | buy some, then bid for more than the bar gives and sell | the waiting part of its \
own bid is the best one: self-match prevention |
    | 14, 15 | the same client order id twice | the second is a duplicate |
    | 17 | fill-or-kill below the market | all at once, or nothing at all |
    | 19 | cancel what does not exist | the unknown order |
    | 21, 22, 23 | rest, replace, cancel | what a polite contender would do |
    | 25 to 39 | sell what is left, in clips | the position ends where it began |
    """

    features = ()

    def __init__(self, symbol: str = "AAPL", lots: str = "10") -> None:
        self.symbol = symbol
        self.lots = int(lots)

    def decide(self, view: View) -> Opinion | tuple[Wish, ...] | None:
        """Send the wishes that the number of bars seen calls for."""
        if view.symbol != self.symbol:
            return None
        number, bar = divmod(view.bars_seen, PERIOD)
        if bar <= 12:
            return self._refused(view, bar)
        return self._handled(view, bar, f"probe-{number}")

    def _refused(self, view: View, bar: int) -> tuple[Wish, ...]:
        close, lots = view.close_ticks, self.lots
        match bar:
            case 1:
                return (Wish.market(Side.SELL, view.position_lots + lots),)
            case 3:
                return (Wish.limit(Side.BUY, lots, max(1, close // 10)),)
            case 5:
                return (Wish.market(Side.BUY, BIG_LOTS),)
            case 7:
                return (Wish.market(Side.BUY, 0),)
            case 9:
                return (Wish.limit(Side.BUY, lots, close * 105 // 100, post_only=True),)
            case 11:
                return (Wish.market(Side.BUY, lots),)
            case 12 if view.position_lots > 0:
                greedy = Wish.limit(Side.BUY, GREEDY_LOTS, close * 108 // 100)
                return (greedy, Wish.market(Side.SELL, view.position_lots))
        return ()

    def _handled(self, view: View, bar: int, name: str) -> tuple[Wish, ...]:
        lots, below = self.lots, view.close_ticks * 96 // 100
        match bar:
            case 14 | 15:
                return (_rest(lots, below, f"{name}-twice"),)
            case 17:
                return (Wish.limit(Side.BUY, lots, below, time_in_force=TimeInForce.FOK),)
            case 19:
                return (Wish.cancel("no-such-order"),)
            case 21:
                return (_rest(lots, below, f"{name}-polite"),)
            case 22:
                return (Wish.replace(f"{name}-polite", Side.BUY, lots * 2, below),)
            case 23:
                return tuple(Wish.cancel(order.client_order_id) for order in view.open_orders)
            case _ if bar >= 25 and view.position_lots > 0:
                return (Wish.market(Side.SELL, min(view.position_lots, CLIP_LOTS)),)
        return ()


def _rest(lots: int, limit_ticks: int, client_order_id: str) -> Wish:
    return Wish.limit(
        Side.BUY,
        lots,
        limit_ticks,
        time_in_force=TimeInForce.GTC,
        client_order_id=client_order_id,
    )
