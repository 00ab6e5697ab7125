"""How is one contender heard at one instrument, and what does its answer mean in lots?

Whatever a contender's own code does (it fails, it answers nonsense) becomes an error here that
names the contender, the symbol and the time. The sense of a wish is for risk to judge, not for us.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite

from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.base.instant import format_instant
from titanflow.core.contender.blame import told
from titanflow.core.contender.holding import Holding
from titanflow.core.contender.protocol import (
    Contender,
    ContenderError,
    News,
    Opinion,
    View,
    Wish,
    text_problem,
)
from titanflow.core.contender.size import affordable_lots, change_lots, target_lots
from titanflow.core.facts import Answer, Ask, Belief, Signal
from titanflow.core.spec.words import IntentAction, Side, TimeInForce

NUMBER_LIMIT = 2**62
"""Numbers of a wish stay below this, as all integers of the books do."""

CLIENT_ORDER_ID_MAX = 64
"""Longest client order id; FIX engines commonly stop at 64."""

WISHES_MAX = 100
"""Most explicit orders in one answer; a market maker's ladder has a tenth of that."""

FAILURES = (Exception, SystemExit)
"""What a contender's own code may raise at us; an exit is its failure and not the arena's end."""


class Speaker:
    """One contender at one instrument: how to hear it, and what its answer means in lots."""

    __slots__ = (
        "answered",
        "ask",
        "contender",
        "fraction_bps",
        "holding",
        "learn",
        "listener",
        "met",
        "pending",
        "stance",
        "view",
    )

    def __init__(self, contender: Contender, holding: Holding) -> None:
        self.contender = contender
        self.holding = holding
        self.view = View(holding)
        self.fraction_bps = holding.seat.entrant.fraction_bps
        stance = getattr(contender, "stance", None)
        self.stance: Callable[[View], float | None] | None = stance
        learn = getattr(contender, "learn", None)
        self.learn: Callable[[View, News], None] | None = learn
        self.listener: Callable[[Signal, Belief], None] | None = None
        self.met: Callable[[Ask, Answer], None] | None = None
        bundle = getattr(contender, "bundle", None)
        ask = getattr(contender, "ask", None) if isinstance(bundle, str) else None
        self.ask: Callable[[View], tuple[float, ...] | None] | None = ask
        answered = getattr(contender, "answered", None)
        self.answered: Callable[[View, Answer], Opinion] | None = answered
        self.pending = NO_ID
        """The ask that waits for its answer; a later belief takes its place."""

    def where(self, at: int) -> str:
        """Name the contender, the instrument and the time, for an error."""
        holding = self.holding
        symbol = holding.instrument.symbol
        return f"contender {holding.seat.name!r} on {symbol} at {format_instant(at)}"

    def failed(self, method: str, at: int, error: BaseException) -> ContenderError:
        """Return what is told of a method of the contender that raised *error*."""
        what = f"{method}() failed: {told(error, type(self.contender).__module__)}"
        return ContenderError(what, self.where(at), "features are NaN until view.warm")

    def hear(self, belief: Belief) -> Opinion | None:
        """Return the contender's checked opinion.

        Raises: ContenderError if it fails, or answers with what is no opinion.
        """
        try:
            said = self.contender.decide(self.view)
        except FAILURES as error:
            raise self.failed("decide", belief.at, error) from error
        if said is None:
            return None
        if isinstance(said, tuple | list):
            said = Opinion(Side.HOLD, 0.0, 0.0, wishes=tuple(said))
        self._check(said, belief.at)
        return said

    def question(self, belief: Belief) -> Ask | None:
        """Return what the contender asks about a belief, None if nothing.

        Raises: ContenderError if it fails, or asks about what is no tuple of finite numbers.
        """
        if self.ask is None:
            return None
        try:
            features = self.ask(self.view)
            if features is None:
                return None
            sound = all(type(each) is float and isfinite(each) for each in features)
        except FAILURES as error:
            raise self.failed("ask", belief.at, error) from error
        if type(features) is not tuple or not sound:
            what = f"ask() answered with {features!r:.80}"
            do = "return a tuple of finite floats, or None while view.warm is false"
            raise ContenderError(what, self.where(belief.at), do)
        seat = self.holding.seat
        return Ask(
            derive(belief.id, b"ask:" + seat.key, 0),
            belief.id,
            belief.at,
            belief.seen,
            seat.name,
            belief.symbol,
            self.contender.bundle,  # type: ignore[attr-defined]
            features,
        )

    def hear_answer(self, answer: Answer) -> Opinion:
        """Return the contender's checked opinion on an answer.

        Raises: ContenderError if it fails, or forms what is no opinion.
        """
        try:
            said = self.answered(self.view, answer) if self.answered is not None else None
        except FAILURES as error:
            raise self.failed("answered", answer.at, error) from error
        self._check(said, answer.at)
        assert isinstance(said, Opinion)  # by the check
        return said

    def hear_stance(self, at: int) -> float | None:
        """Return a rule's stance, checked; the fast lane of `hear`."""
        assert self.stance is not None
        try:
            strength = self.stance(self.view)
            if strength is None or -1.0 <= strength <= 1.0:
                return strength
        except FAILURES as error:
            raise self.failed("stance", at, error) from error
        what = f"strength must be a number in [-1, 1], got {strength!r}"
        raise ContenderError(what, self.where(at), "answer None while view.warm is false")

    def wishes(self, opinion: Opinion | None) -> tuple[Wish, ...]:
        """Return what an opinion comes to: its own wishes, or what sizing makes of it."""
        if opinion is None:
            return ()
        if opinion.wishes or opinion.side is Side.HOLD:
            return opinion.wishes
        return self.size(opinion.strength)

    def size(self, strength: float) -> tuple[Wish, ...]:
        """Return the market order that brings the position to *strength*, if one is needed."""
        holding = self.holding
        if holding.orders:
            return ()
        seat, instrument, position = holding.seat, holding.instrument, holding.lots
        lot_value = holding.mark_ticks * instrument.tick_value
        target = target_lots(
            float(strength), self.fraction_bps, seat.cash + seat.inventory, lot_value
        )
        if target > position:
            free = seat.cash - seat.reserved
            target = min(target, affordable_lots(position, free, lot_value))
        change = change_lots(target, position)
        lots = abs(change)
        if instrument.max_lots:
            lots = min(lots, instrument.max_lots)
        if lots == 0 or lots < instrument.min_lots or lots * lot_value < instrument.min_notional:
            return ()
        return (Wish(Side.BUY if change > 0 else Side.SELL, lots),)

    def restraint(self, side: Side, strength: float) -> str:
        """Say why an opinion asks for no order now; empty if it asks for one."""
        if side is Side.HOLD:
            return "HOLD asks for none"
        if self.size(strength):
            return ""
        holding = self.holding
        if holding.orders:
            return "an order of it was still open"
        seat, instrument, position = holding.seat, holding.instrument, holding.lots
        lot_value = holding.mark_ticks * instrument.tick_value
        target = target_lots(strength, self.fraction_bps, seat.cash + seat.inventory, lot_value)
        if target == position:
            return f"it wanted a position of {target} lots and had it already"
        free = seat.cash - seat.reserved
        least = min(target, affordable_lots(position, free, lot_value))
        wanted = least if target > position else target
        if wanted == position:
            return f"it wanted {target} lots, had {position}, and no free cash for more"
        if change_lots(wanted, position) == 0:
            return f"it wanted {wanted} lots, had {position}, and lets small differences be"
        return f"{abs(wanted - position)} lots are less than the venue's smallest order"

    def _check(self, said: object, at: int) -> None:
        if not isinstance(said, Opinion):
            what = f"decide() answered with a {type(said).__name__}"
            raise ContenderError(what, self.where(at), "return an Opinion, wishes or None")
        do = "answer None while view.warm is false; lean() makes parts that add up"
        try:
            what = said.problem()
            if not what and (what := _wishes_problem(said.wishes)):
                do = "Wish.market(), Wish.limit(), Wish.cancel() and Wish.replace() make sound ones"
        except (TypeError, AttributeError, ValueError) as error:
            what = f"the opinion is malformed: {error}"
        if what:
            raise ContenderError(what, self.where(at), do)


_SHAPE = (
    ("side", Side),
    ("quantity_lots", int),
    ("limit_ticks", int),
    ("time_in_force", TimeInForce),
    ("post_only", bool),
    ("client_order_id", str),
    ("action", IntentAction),
    ("target", str),
)


def _wishes_problem(wishes: Sequence[object]) -> str:
    """Return what is wrong with the shape of explicit wishes; their sense is risk's to judge."""
    if len(wishes) > WISHES_MAX:
        return f"{len(wishes)} wishes are more than {WISHES_MAX}"
    for wish in wishes:
        if not isinstance(wish, Wish):
            return f"a wish must be a Wish, got {type(wish).__name__}"
        for name, kind in _SHAPE:
            value: object = getattr(wish, name)
            # Exactly: a bool or a number of numpy would be another thing in the journal.
            if type(value) is not kind:
                return f"{name} of a wish must be {kind.__name__}, got {value!r}"
        if max(abs(wish.quantity_lots), abs(wish.limit_ticks)) >= NUMBER_LIMIT:
            return f"a wish's numbers must be below {NUMBER_LIMIT}"
        for text in (wish.client_order_id, wish.target):
            what = text_problem("a client order id", text, CLIENT_ORDER_ID_MAX)
            if what or not text.isprintable():
                return what or f"a client order id must be printable, got {text!r}"
    return ""
