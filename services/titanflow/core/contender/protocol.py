"""What is a contender? Any class with `features` and `decide`: this is the whole SDK.

    class Trend:
        "Buys above the average, sells below."
        features = ("sma_50",)

        def decide(self, view: View) -> Opinion | None:
            return lean(view.close / view["sma_50"] - 1) if view.warm else None

`decide` is asked once after each bar of each instrument that the contender may trade. It answers
with an Opinion, which FixedFraction sizing turns into an order; with explicit wishes, which go to
risk as they are; or with None, which leaves everything as it is. Nothing here can look ahead: a
View holds the belief in hand and the contender's own position, and nothing later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol, cast, runtime_checkable

import msgspec

from titanflow.core.base.chance import chance
from titanflow.core.base.errors import Problem, SpecError
from titanflow.core.base.fixed import MINOR_PER_UNIT
from titanflow.core.contender.holding import Holding, OpenOrder
from titanflow.core.facts import RISK_PREFIX, Belief, Fill, OrderUpdate, Part, Verdict
from titanflow.core.spec.words import IntentAction, Side, TimeInForce

__all__ = [
    "Contender",
    "ContenderError",
    "News",
    "OpenOrder",
    "Opinion",
    "Part",
    "Side",
    "TimeInForce",
    "View",
    "Wish",
    "lean",
]

SUM_TOLERANCE = 1e-9
"""How far base and parts may be from the score that they explain."""

TEXT_MAX = 1_000
"""Most characters of an opinion's text."""
PARTS_MAX = 256
"""Most parts of an explanation."""
PART_NAME_MAX = 128
"""Most characters of a part's name."""
HORIZON_SECONDS_MAX = 2**31 - 1
"""Longest horizon, some 68 years."""

News = Fill | OrderUpdate | Verdict
"""What `learn` hears: facts about the contender's own orders."""


class ContenderError(SpecError):
    """A mistake in a contender's code or answer; it names the contender, the symbol, the time."""

    def __init__(self, what: str, where: str, do: str) -> None:
        super().__init__([Problem(what, where, do)])


class Wish(msgspec.Struct, frozen=True):
    """An explicit wish to place, cancel or replace one order, for those who size themselves.

    Quantities are lots and prices are ticks of the instrument. `limit_ticks` 0 means a market
    order. Without a `client_order_id` the arena makes one. Risk judges a wish like any other.
    """

    side: Side = Side.HOLD
    quantity_lots: int = 0
    limit_ticks: int = 0
    time_in_force: TimeInForce = TimeInForce.DAY
    post_only: bool = False
    client_order_id: str = ""
    action: IntentAction = IntentAction.NEW
    target: str = ""
    """Client order id of the order to cancel or replace."""

    @classmethod
    def market(cls, side: Side, quantity_lots: int, *, client_order_id: str = "") -> Wish:
        """Return a wish for a market order, good for the day."""
        return cls(side, quantity_lots, client_order_id=client_order_id)

    @classmethod
    def limit(
        cls,
        side: Side,
        quantity_lots: int,
        limit_ticks: int,
        *,
        time_in_force: TimeInForce = TimeInForce.DAY,
        post_only: bool = False,
        client_order_id: str = "",
    ) -> Wish:
        """Return a wish for a limit order."""
        return cls(side, quantity_lots, limit_ticks, time_in_force, post_only, client_order_id)

    @classmethod
    def cancel(cls, target: str) -> Wish:
        """Return a wish to cancel the order with the client order id *target*."""
        return cls(action=IntentAction.CANCEL, target=target)

    @classmethod
    def replace(cls, target: str, side: Side, quantity_lots: int, limit_ticks: int) -> Wish:
        """Return a wish to give the order *target* a new quantity and limit."""
        return cls(side, quantity_lots, limit_ticks, action=IntentAction.REPLACE, target=target)


class Opinion(msgspec.Struct, frozen=True):
    """What a contender thinks of one instrument, and why.

    `strength` is the wished position as a part of the full one, in [-1, 1]; negative is short and
    zero is flat. BUY goes with zero or more, SELL with zero or less; HOLD leaves the position as
    it is. `score` is the number that the explanation adds up to: base plus all contributions.
    """

    side: Side
    strength: float
    score: float
    base: float = 0.0
    parts: tuple[Part, ...] = ()
    text: str = ""
    confidence: float = 1.0
    horizon_seconds: int = 0
    wishes: tuple[Wish, ...] = ()
    """Explicit orders; with any of them there is no automatic sizing."""

    def problem(self) -> str:
        """Return what is wrong with the opinion, or an empty string."""
        what = self._words_problem()
        if what:
            return what
        parts = [part.contribution for part in self.parts]
        if type(self.side) is not Side:
            return f"side must be a Side, got {self.side!r}"
        if not all(map(math.isfinite, (self.strength, self.score, self.confidence, self.base))):
            return "strength, score, confidence and base must be finite"
        if not -1.0 <= self.strength <= 1.0 or not 0.0 <= self.confidence <= 1.0:
            return "strength must be in [-1, 1] and confidence in [0, 1]"
        if self.strength * self.side < 0.0 or (self.side == 0 and self.strength != 0.0):
            return f"strength {self.strength} does not go with side {Side(self.side).name}"
        total = math.fsum([self.base, *parts])
        if not abs(total - self.score) <= SUM_TOLERANCE:
            return f"base and parts add up to {total}, but the score is {self.score}"
        return ""

    def _words_problem(self) -> str:
        """Return what is wrong with text, parts and horizon, all of which are recorded."""
        what = text_problem("text", self.text, TEXT_MAX)
        if what or len(self.parts) > PARTS_MAX:
            return what or f"{len(self.parts)} parts are more than {PARTS_MAX}"
        # Whatever a user's code has put there.
        for part in cast("tuple[object, ...]", self.parts):
            if not isinstance(part, Part):
                return f"a part must be a Part, got {type(part).__name__}"
            what = text_problem("name of a part", part.name, PART_NAME_MAX)
            if what:
                return what
            if not math.isfinite(part.value) or not math.isfinite(part.contribution):
                return f"value and contribution of part {part.name!r} must be finite"
        if type(self.horizon_seconds) is not int:
            return f"horizon_seconds must be int, got {self.horizon_seconds!r}"
        if not 0 <= self.horizon_seconds <= HORIZON_SECONDS_MAX:
            return f"horizon_seconds must be 0 to {HORIZON_SECONDS_MAX}"
        return ""


def text_problem(what: str, text: object, most: int) -> str:
    """Return what is wrong with a text that will be recorded, or an empty string.

    >>> text_problem("text", "a" * 5, 4)
    'text has 5 characters, more than 4'
    """
    if type(text) is not str:
        return f"{what} must be str, got {text!r:.100}"
    if len(text) > most:
        return f"{what} has {len(text)} characters, more than {most}"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"{what} holds half a character (U+{ord(text[error.start]):04X}), which is no text"
    return ""


def lean(
    score: float,
    *,
    parts: Mapping[str, tuple[float, float]] | None = None,
    text: str = "",
    short: bool = False,
) -> Opinion:
    """Return the opinion that follows the sign of *score*: BUY above zero, SELL below, else HOLD.

    BUY wishes the full position; SELL wishes none, or the full short one with *short*. *parts* maps
    a name to its value and to what it contributed to the score; what is left over is the base.

    >>> lean(0.02).side.name, lean(-0.02).strength, lean(-0.02, short=True).strength
    ('BUY', 0.0, -1.0)
    """
    side = Side.BUY if score > 0 else Side.SELL if score < 0 else Side.HOLD
    strength = 1.0 if side is Side.BUY else -1.0 if short and side is Side.SELL else 0.0
    told = tuple(Part(name, *pair) for name, pair in (parts or {}).items())
    base = math.fsum([score, *(-part.contribution for part in told)])
    return Opinion(side, strength, score, base, told, text)


class View:
    """What a contender may look at: one belief, and its own position. Read-only.

    `view["sma_20"]` is a feature that the contender named in `features`. Prices are floats in the
    currency, adjusted for splits as features are; what has `ticks` or `lots` in its name is the
    instrument's own integer.
    """

    __slots__ = ("_holding",)

    def __init__(self, holding: Holding) -> None:
        self._holding = holding

    def __getitem__(self, feature: str) -> float:
        holding = self._holding
        try:
            return holding.belief.features[holding.index[feature]]  # type: ignore[union-attr]
        except KeyError:
            raise KeyError(
                f"feature {feature!r} is not among the contender's features "
                f"({', '.join(holding.index) or 'none'}); name it in `features`"
            ) from None

    @property
    def _belief(self) -> Belief:
        belief = self._holding.belief
        assert belief is not None  # nobody is asked before the first bar
        return belief

    @property
    def warm(self) -> bool:
        """Say whether all of the contender's features have seen enough bars."""
        features = self._belief.features
        return all(features[at] == features[at] for at in self._holding.index.values())

    @property
    def contender(self) -> str:
        """Give the contender's own name."""
        return self._holding.seat.name

    @property
    def symbol(self) -> str:
        """Give the instrument."""
        return self._holding.instrument.symbol

    @property
    def at(self) -> int:
        """Give the time of the belief, ns UTC: the only time there is."""
        return self._belief.at

    @property
    def close(self) -> float:
        """Give the close in the currency, adjusted for splits: comparable with features."""
        belief = self._belief
        size = self._holding.instrument.tick_size
        return belief.close_ticks * size / MINOR_PER_UNIT * belief.adjustment

    @property
    def close_ticks(self) -> int:
        """Give the close as it was quoted, in ticks: the unit of limits."""
        return self._belief.close_ticks

    @property
    def position_lots(self) -> int:
        """Give the position; negative is short."""
        return self._holding.lots

    @property
    def side(self) -> Side:
        """Give the side of the position: BUY is long, SELL is short, HOLD is none."""
        lots = self._holding.lots
        return Side.BUY if lots > 0 else Side.SELL if lots < 0 else Side.HOLD

    @property
    def bars_held(self) -> int:
        """Give how many bars of the instrument ended since the position was opened."""
        return self._holding.bars_held

    @property
    def bars_seen(self) -> int:
        """Give how many bars of the instrument there were, this one included."""
        return self._holding.bars_seen

    @property
    def equity(self) -> float:
        """Give cash and positions at the last closes, in the currency."""
        seat = self._holding.seat
        return (seat.cash + seat.inventory) / MINOR_PER_UNIT

    @property
    def lot_value(self) -> float:
        """Give what one lot costs at the close, in the currency."""
        return self.close_ticks * self._holding.instrument.tick_value / MINOR_PER_UNIT

    @property
    def open_orders(self) -> tuple[OpenOrder, ...]:
        """Give the contender's orders of the instrument that have not ended, oldest first.

        Those by which risk closes a position are not among them: they are not the contender's.
        """
        return tuple(
            order
            for order in self._holding.orders.values()
            if not order.client_order_id.startswith(RISK_PREFIX)
        )

    def chance(self, label: bytes) -> float:
        """Return a number in [0, 1) that is the same whenever this arena is run again.

        It depends on the arena's seed, the belief, the contender's name and *label* (at most 16
        bytes): use it in place of a random number generator.
        """
        seat = self._holding.seat
        return chance(seat.seed, self._belief.id + seat.key, label)


@runtime_checkable
class Contender(Protocol):
    """Anything that competes. No base class is needed: these two names are.

    Optional methods, looked up once at the start:

    - `learn(self, view: View, news: News) -> None` hears of the contender's own orders;
    - `dump(self) -> bytes` and `load(self, snapshot: bytes) -> None` carry what the contender keeps
      between bars through a restart; without them it must keep nothing;
    - `stance(self, view: View) -> float | None` is the fast lane that the built-in rules use: the
      strength alone, None for HOLD; `decide` must then agree with it;
    - with `bundle: str`, the digest of a bundle: `ask(self, view) -> tuple[float, ...] | None` asks
      its graph about these numbers in place of deciding, and `answered(self, view, answer) ->
      Opinion` hears what came back; None means that `decide` is asked as usual.
    """

    @property
    def features(self) -> tuple[str, ...]:
        """Name the features that `decide` will look at, such as `sma_20`."""
        ...

    def decide(self, view: View) -> Opinion | tuple[Wish, ...] | None:
        """Answer with an opinion, with explicit wishes, or with None to leave all as it is."""
        ...
