"""What does everyone want now? The stage that asks each contender after each belief.

A contender sees its View and nothing else, and its answer becomes intents: sized by FixedFraction,
or explicit wishes as they stand. Intents are only asked for here; risk answers them. The order in
which contenders of one belief speak is drawn by a keyed chance, so no name is always first. The
hot path asks a rule for its stance alone: signals with explanations are made for who listens, or on
demand (`explain`), and none is stored.

Who trades by a bundle asks first: all asks of one belief leave together, in an order drawn as well,
and each Answer makes its contender speak in a turn of its own. A new belief about an instrument
takes the place of an ask that still waits: an answer to the old one comes too late and is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

import msgspec

from titanflow.core.base.chance import chance_bits
from titanflow.core.base.errors import InvariantError, Problem, SpecError
from titanflow.core.base.ident import NO_ID, Id, derive
from titanflow.core.base.instant import NS_PER_SECOND
from titanflow.core.contender.holding import Holding, OpenOrder, Seat
from titanflow.core.contender.protocol import Contender, Opinion, Wish
from titanflow.core.contender.speaker import FAILURES, Speaker
from titanflow.core.facts import (
    Answer,
    Ask,
    Belief,
    Entry,
    Explanation,
    Fact,
    Fill,
    Intent,
    Order,
    OrderUpdate,
    Signal,
    Split,
    Verdict,
)
from titanflow.core.perception.features import FeatureSchema
from titanflow.core.spec.ground import Ground
from titanflow.core.spec.words import OrderType, Origin, Side, Tier

_STAGE = b"decide:"

_Pending = list[tuple[str, str, Id]]
_HoldingState = tuple[int, int, int, int, list[OpenOrder]]
_SeatState = tuple[str, int, bytes, list[tuple[str, _HoldingState]]]
_State = tuple[list[Belief], list[_SeatState], _Pending]


class Decide:
    """Stage 3: beliefs and answers become intents."""

    name = "decide"
    consumes: frozenset[type[Fact]] = frozenset(
        {Belief, Answer, Fill, Order, OrderUpdate, Verdict, Split, Entry}
    )

    def __init__(
        self,
        ground: Ground,
        schema: FeatureSchema,
        contenders: Sequence[Contender | None],
        tap: Callable[[Signal], None] | None = None,
    ) -> None:
        if len(contenders) != len(ground.entrants):
            raise ValueError("a contender for each entrant is needed, in the same order")
        self._seed = ground.seed
        self._contenders = tuple(each for each in contenders if each is not None)
        self._seats: dict[str, Seat] = {}
        self._speakers: dict[str, list[Speaker]] = {each.symbol: [] for each in ground.instruments}
        self._by_name: dict[tuple[str, str], Speaker] = {}
        self._beliefs: dict[str, Belief] = {}
        for entrant, contender in zip(ground.entrants, contenders, strict=True):
            if contender is None:
                continue  # it decides in a pod of its own
            seat = self._seats[entrant.name] = Seat(entrant, ground.seed)
            index = {name: schema.index[name] for name in contender.features}
            for number in entrant.instruments:
                instrument = ground.instruments[number]
                holding = seat.holdings[instrument.symbol] = Holding(seat, instrument, index)
                speaker = Speaker(contender, holding)
                speaker.listener = None if tap is None else _without_belief(tap)
                self._by_name[entrant.name, instrument.symbol] = speaker
                if entrant.tier is not Tier.RETIRED:
                    self._speakers[instrument.symbol].append(speaker)
        self._handlers: dict[type[Fact], Callable[..., None]] = {
            Fill: self._fill,
            Order: self._order,
            OrderUpdate: self._update,
            Verdict: self._verdict,
            Split: self._split,
            Entry: self._entry,
        }

    def handle(self, fact: Fact) -> Sequence[Fact]:
        """Ask everyone after a Belief, one after an Answer; keep account of everything else."""
        if type(fact) is Belief:
            return self._believe(fact)
        if type(fact) is Answer:
            return self._hear(fact)
        handler = self._handlers.get(type(fact))
        if handler is not None:
            handler(fact)
        return ()

    def listen(
        self,
        contender: str,
        symbol: str,
        heard: Callable[[Signal, Belief], None],
        met: Callable[[Ask, Answer], None] | None = None,
    ) -> None:
        """Let *heard* hear every later signal of one contender about one instrument.

        *met* hears, before the signal, what a bundle was asked and what it answered. Without a
        listener no signal is built. Listening changes nothing else.

        Raises: SpecError if the contender does not trade the instrument.
        """
        speaker = self._by_name.get((contender, symbol))
        if speaker is None:
            pairs = [f"{name} {traded}" for name, traded in self._by_name if name == contender]
            do = f"it trades: {', '.join(pairs)}" if pairs else "check the contender's name"
            raise SpecError([Problem(f"{contender!r} does not trade {symbol!r}", "listen", do)])
        speaker.listener, speaker.met = heard, met

    def restraint(self, signal: Signal) -> str:
        """Say why a signal asks for no order now; empty if it asks for one."""
        return self._by_name[signal.contender, signal.symbol].restraint(
            signal.side, signal.strength
        )

    def _believe(self, belief: Belief) -> Sequence[Fact]:
        speakers = self._speakers.get(belief.symbol)
        if speakers is None:
            raise InvariantError(f"a belief about {belief.symbol!r} reached an arena without it")
        self._beliefs[belief.symbol] = belief
        spoken: list[tuple[Speaker, tuple[Wish, ...]]] = []
        asked: list[tuple[Speaker, Ask]] = []
        for each in speakers:
            each.holding.see(belief)
            if each.ask is not None:
                question = each.question(belief)
                each.pending = NO_ID if question is None else question.id
                if question is not None:
                    asked.append((each, question))
                    continue
            if each.stance is None:
                opinion = each.hear(belief)
                wishes = each.wishes(opinion)
            else:
                stance = each.hear_stance(belief.at)
                opinion = each.hear(belief) if each.listener is not None else None
                wishes = () if stance is None else each.size(stance)
            if each.listener is not None:
                each.listener(_signal(each, belief, opinion), belief)
            if wishes:
                spoken.append((each, wishes))
        if len(spoken) > 1:
            # Deciding shares no state, so only the order in which they speak needs the chance.
            spoken.sort(key=lambda pair: self._turn(belief, pair[0].holding.seat))
        if asked:
            asked.sort(key=lambda pair: self._turn(belief, pair[0].holding.seat))
            return [*_intents(belief, spoken), *(question for _, question in asked)]
        return _intents(belief, spoken) if spoken else ()

    def _hear(self, answer: Answer) -> Sequence[Fact]:
        """Let the contender that asked speak; an answer that nobody waits for changes nothing."""
        speaker = self._by_name.get((answer.contender, answer.symbol))
        if speaker is None or speaker.pending == NO_ID or speaker.pending != answer.cause:
            return ()
        speaker.pending = NO_ID
        opinion = speaker.hear_answer(answer)
        belief = speaker.holding.belief
        if speaker.listener is not None and belief is not None:
            question = speaker.question(belief) if speaker.met is not None else None
            if speaker.met is not None and question is not None:
                speaker.met(question, answer)
            speaker.listener(_signal(speaker, answer, opinion), belief)
        wishes = speaker.wishes(opinion)
        return _intents(answer, [(speaker, wishes)]) if wishes else ()

    def _turn(self, belief: Belief, seat: Seat) -> tuple[int, str]:
        return chance_bits(self._seed, belief.id + seat.key, b"turn"), seat.name

    def explain(self, belief: Belief, contender: str) -> Signal:
        """Return the signal of *contender* for *belief*, given all facts heard so far.

        What a contender keeps for itself is put back as it was, by its own dump and load.
        """
        speaker = self._by_name[contender, belief.symbol]
        former, speaker.holding.belief = speaker.holding.belief, belief
        kept = _dump(speaker.contender)
        try:
            return _signal(speaker, belief, speaker.hear(belief))
        finally:
            speaker.holding.belief = former
            _load(speaker.contender, kept)

    def _holding(self, contender: str, symbol: str) -> Holding | None:
        speaker = self._by_name.get((contender, symbol))
        return speaker.holding if speaker is not None else None

    def _tell(self, contender: str, news: Fill | OrderUpdate | Verdict) -> None:
        speaker = self._by_name[contender, news.symbol]
        if speaker.learn is not None and speaker.holding.belief is not None:
            try:
                speaker.learn(speaker.view, news)
            except FAILURES as error:
                raise speaker.failed("learn", news.at, error) from error

    def _fill(self, fill: Fill) -> None:
        holding = self._holding(fill.contender, fill.symbol)
        if holding is not None:
            holding.fill(fill)
            self._tell(fill.contender, fill)

    def _order(self, order: Order) -> None:
        holding = self._holding(order.contender, order.symbol)
        if holding is not None:
            holding.place(order)

    def _update(self, update: OrderUpdate) -> None:
        holding = self._holding(update.contender, update.symbol)
        if holding is not None:
            holding.update(update)
            self._tell(update.contender, update)

    def _verdict(self, verdict: Verdict) -> None:
        if self._holding(verdict.contender, verdict.symbol) is not None:
            self._tell(verdict.contender, verdict)

    def _split(self, split: Split) -> None:
        for seat in self._seats.values():
            holding = seat.holdings.get(split.symbol)
            if holding is not None:
                holding.split(split)

    def _entry(self, entry: Entry) -> None:
        seat = self._seats.get(entry.contender)
        if seat is not None:
            seat.post(entry)

    def digest(self) -> bytes:
        """Return a hash of all positions, cash, open orders and what contenders keep."""
        return blake2b(self.dump(), digest_size=32).digest()

    def dump(self) -> bytes:
        """Return the state: beliefs in hand, seats, and what contenders dump themselves."""
        seats: list[_SeatState] = [
            (
                seat.name,
                seat.cash,
                _dump(contender),
                [(symbol, holding.state()) for symbol, holding in seat.holdings.items()],
            )
            for seat, contender in zip(self._seats.values(), self._contenders, strict=True)
        ]
        beliefs = [self._beliefs[symbol] for symbol in self._speakers if symbol in self._beliefs]
        pending: _Pending = [
            (*names, speaker.pending)
            for names, speaker in self._by_name.items()
            if speaker.pending != NO_ID
        ]
        return msgspec.msgpack.encode((beliefs, seats, pending))

    def load(self, snapshot: bytes) -> None:
        """Take over the state of a stage with the same ground, schema and contenders."""
        beliefs, seats, pending = msgspec.msgpack.decode(snapshot, type=_State)
        if [name for name, _, _, _ in seats] != list(self._seats):
            raise ValueError("the snapshot belongs to an arena with other contenders")
        self._beliefs = {belief.symbol: belief for belief in beliefs}
        for (name, cash, kept, holdings), contender in zip(seats, self._contenders, strict=True):
            seat = self._seats[name]
            if [symbol for symbol, _ in holdings] != list(seat.holdings):
                raise ValueError(f"the snapshot's {name!r} trades other instruments")
            seat.cash = cash
            for symbol, state in holdings:
                seat.holdings[symbol].restore(state)
                seat.holdings[symbol].belief = self._beliefs.get(symbol)
            _load(contender, kept)
        waiting = {(contender, symbol): ask for contender, symbol, ask in pending}
        for names, speaker in self._by_name.items():
            speaker.pending = waiting.get(names, NO_ID)


def _signal(speaker: Speaker, cause: Belief | Answer, opinion: Opinion | None) -> Signal:
    said = opinion or Opinion(Side.HOLD, 0.0, 0.0, text="no opinion")
    return Signal(
        _signal_id(cause, speaker.holding.seat),
        cause.id,
        cause.at,
        cause.at,
        speaker.holding.seat.name,
        cause.symbol,
        said.side,
        float(said.score),
        float(said.strength),
        float(said.confidence),
        # An opinion without a horizon holds until it is asked again: one bar.
        said.horizon_seconds or speaker.holding.instrument.bar_ns // NS_PER_SECOND,
        Explanation(float(said.base), said.parts, said.text),
    )


def _signal_id(cause: Belief | Answer, seat: Seat) -> Id:
    return derive(cause.id, _STAGE + seat.key, 0)


def _intents(
    cause: Belief | Answer, spoken: list[tuple[Speaker, tuple[Wish, ...]]]
) -> list[Intent]:
    """Return the intents of all who spoke, in their order."""
    intents: list[Intent] = []
    for speaker, wishes in spoken:
        seat = speaker.holding.seat
        signal = _signal_id(cause, seat)
        for n, wish in enumerate(wishes, 1):
            # By the seat, so that it is the same wherever the other contenders decide.
            ident = derive(cause.id, _STAGE + seat.key, n)
            intents.append(
                Intent(
                    ident,
                    signal,
                    cause.at,
                    cause.at,
                    seat.name,
                    cause.symbol,
                    wish.action,
                    wish.side,
                    wish.quantity_lots,
                    OrderType.LIMIT if wish.limit_ticks else OrderType.MARKET,
                    wish.limit_ticks,
                    wish.time_in_force,
                    wish.post_only,
                    wish.client_order_id or ident[:8].hex(),
                    wish.target,
                    Origin.CONTENDER,
                    cause.at,
                )
            )
    return intents


def _dump(contender: Contender) -> bytes:
    dump = getattr(contender, "dump", None)
    kept = dump() if dump is not None else b""
    assert isinstance(kept, bytes), "dump() of a contender returns bytes"
    return kept


def _load(contender: Contender, kept: bytes) -> None:
    load = getattr(contender, "load", None)
    if load is not None:
        load(kept)


def _without_belief(tap: Callable[[Signal], None]) -> Callable[[Signal, Belief], None]:
    return lambda signal, _: tap(signal)
