"""Who stands where? The stage that turns what happened into standings.

It samples every contender's equity once per session day, counts orders, fills and refusals, and
ranks at the end. It says nothing while the session runs, and reads the books only through
`ports.Books`, after `post` has had each fact. docs/ranks.md explains every column.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, nan

import msgspec
import numpy as np

from titanflow.core.base.errors import InvariantError
from titanflow.core.base.ident import NO_ID, derive, digest
from titanflow.core.facts import (
    Bar,
    Dividend,
    Fact,
    Fill,
    Order,
    Split,
    Standing,
    StateChange,
    Verdict,
)
from titanflow.core.ports import Books, IntArray
from titanflow.core.scoring import bootstrap, measures
from titanflow.core.scoring.tally import Tally
from titanflow.core.spec.ground import Entrant, Ground
from titanflow.core.spec.words import Account, Outcome, RankBy, RecipeKind, Tier, TradingState
from titanflow.native.sample import COLUMNS, Sampler

CURVE_POINTS = 8_192
"""Points kept of each equity curve, 32 years of days; longer sessions are thinned."""
BENCHMARKS = ("BuyAndHold", "Random")
"""Rules that are pinned: what costs no thought, and what has none."""
RANKED_TIERS = (Tier.PAPER, Tier.LIVE)


class Score:
    """Stage 7 of the line."""

    name = "score"
    consumes: frozenset[type[Fact]] = frozenset(
        {Bar, Fill, Verdict, Order, Split, Dividend, StateChange}
    )

    def __init__(self, ground: Ground, books: Books, tiers: Sequence[Tier]) -> None:
        """Take the ground, the books to read, and the tier in force of each contender by index."""
        self._ground = ground
        self._books = books
        self._contenders = ground.entrant_index()
        self._instruments = ground.symbol_index()
        self._tick_values = [i.tick_value for i in ground.instruments]
        self._tallies = [Tally([0] * len(ground.instruments)) for _ in ground.entrants]
        self._sampler = Sampler([e.capital for e in ground.entrants], CURVE_POINTS)
        self._tiers = tuple(tiers)
        self._states = [TradingState.ACTIVE for _ in ground.entrants]
        self._days = 0

    def handle(self, fact: Fact) -> Sequence[Fact]:
        """Take one fact; nothing follows from it."""
        if self._books.days_closed != self._days:
            self._sample()
        if isinstance(fact, Bar):
            return ()
        if isinstance(fact, Fill):
            self._count_fill(fact)
        elif isinstance(fact, Verdict):
            if fact.outcome is Outcome.DENY:
                # A contender that is not of this arena is refused, and nobody's refusals grow.
                c = self._contenders.get(fact.contender)
                if c is not None:
                    self._tallies[c].refusals += 1
        elif isinstance(fact, Order):
            self._tallies[self._contenders[fact.contender]].orders += 1
        elif isinstance(fact, StateChange):
            self._states[self._contenders[fact.contender]] = fact.state
        elif isinstance(fact, Split):
            i = self._instruments[fact.symbol]
            for c, tally in enumerate(self._tallies):
                tally.resync(i, self._books.position(c, i), self._realised(c))
        return ()

    def finish(self, at: int) -> tuple[Standing, ...]:
        """Return the standings: ranked ones by rank, then benchmarks, then the rest by name."""
        if self._books.day >= 0:
            self._sampler.add(self._books.day, self._books.equities(), self._books.gross())
        _, curves = self._sampler.curves()
        equities = self._books.equities().tolist()
        moments = self._sampler.moments()
        rows = [
            self._standing(
                entrant, self._tiers[entrant.index], self._states[entrant.index], at, row
            )
            for entrant, row in zip(
                self._ground.entrants, zip(equities, moments, curves, strict=True), strict=True
            )
        ]
        return self._ranked(rows)

    def state(self, contender: int) -> TradingState:
        """Return the trading state, as the last StateChange said."""
        return self._states[contender]

    def curves(self) -> tuple[IntArray, IntArray]:
        """Return session days (n,) and the equity at their ends (contenders, n), thinned.

        The first day is the one before the session, with the starting capital.
        """
        return self._sampler.curves()

    def digest(self) -> bytes:
        """Return a hash of the state."""
        return digest(self.dump())

    def dump(self) -> bytes:
        """Return the state."""
        return msgspec.msgpack.encode(
            (self._days, self._states, self._tallies, self._sampler.dump())
        )

    def load(self, snapshot: bytes) -> None:
        """Take over the state that `dump` returned."""
        kind = tuple[int, list[TradingState], list[Tally], bytes]
        self._days, self._states, self._tallies, samples = msgspec.msgpack.decode(
            snapshot, type=kind
        )
        self._sampler.load(samples)

    def _sample(self) -> None:
        if self._books.days_closed != self._days + 1:
            raise InvariantError("a session day ended that score did not see")
        self._days += 1
        self._sampler.add(*self._books.closing())

    def _count_fill(self, fill: Fill) -> None:
        c, i = self._contenders[fill.contender], self._instruments[fill.symbol]
        value = fill.quantity_lots * fill.price_ticks * self._tick_values[i]
        self._tallies[c].count_fill(
            i,
            fill.side * fill.quantity_lots,
            self._books.position(c, i),
            (value, fill.fee, self._realised(c)),
        )

    def _realised(self, c: int) -> int:
        return -self._books.balance(c, Account.REALISED)

    def _standing(
        self,
        entrant: Entrant,
        tier: Tier,
        state: TradingState,
        at: int,
        row: tuple[int, np.ndarray[tuple[int], np.dtype[np.float64]], IntArray],
    ) -> Standing:
        equity, values, curve = row
        column = dict(zip(COLUMNS, values.tolist(), strict=True))
        tally = self._tallies[entrant.index]
        days = self._sampler.count
        m = _moments(column, days, equity / entrant.capital)
        pinned = entrant.kind is RecipeKind.RULES and entrant.rule in BENCHMARKS
        note = self._note(entrant, tier, pinned=pinned, ruined=bool(column["ruined"]))
        low, high = nan, nan
        if pinned or not note:
            low, high = bootstrap.interval(curve, seed=self._ground.seed, name=entrant.name)
        trades = tally.wins + tally.losses + tally.evens
        mean_equity = column["equity_sum"] / days if days else nan
        return Standing(
            derive(NO_ID, b"score", entrant.index),
            NO_ID,
            at,
            at,
            contender=entrant.name,
            tier=tier.value,
            rank=0,
            pinned=pinned,
            note=note,
            equity=equity,
            capital=entrant.capital,
            total_return=m.growth - 1.0,
            return_low=low,
            return_high=high,
            sharpe=measures.sharpe(m),
            sortino=measures.sortino(m),
            calmar=measures.calmar(m),
            volatility=measures.volatility(m),
            max_drawdown=measures.max_drawdown(m),
            win_rate=tally.wins / trades if trades else nan,
            profit_factor=tally.gained / tally.lost if tally.lost else nan,
            turnover=tally.traded / mean_equity if mean_equity > 0 else nan,
            exposure=column["exposure_sum"] / days if days else nan,
            fees=tally.fees,
            fills=tally.fills,
            orders=tally.orders,
            refusals=tally.refusals,
            state=state.value,
        )

    def _note(self, entrant: Entrant, tier: Tier, *, pinned: bool, ruined: bool) -> str:
        """Return why a contender is not ranked; empty when it is."""
        fills = self._tallies[entrant.index].fills
        if tier not in RANKED_TIERS:
            return f"not ranked: tier {tier.value}"
        if pinned:
            return "benchmark"
        if ruined:
            return "not ranked: equity fell to zero or below"
        if self._sampler.count < bootstrap.RETURNS_MIN:
            return (
                f"not enough data: {self._sampler.count} of {bootstrap.RETURNS_MIN} daily returns"
            )
        if fills < self._ground.min_fills:
            return f"not enough data: {fills} of {self._ground.min_fills} fills"
        return ""

    def _ranked(self, rows: list[Standing]) -> tuple[Standing, ...]:
        ranked: list[tuple[float, str, Standing]] = []
        rest: list[Standing] = []
        for row in rows:
            value = _measure(row, self._ground.rank_by)
            if row.note:
                rest.append(row)
            elif isnan(value):
                note = f"not ranked: {self._ground.rank_by.value} has no value"
                rest.append(msgspec.structs.replace(row, note=note))
            else:
                ranked.append((-value, row.contender, row))
        ranked.sort(key=lambda item: item[:2])
        out: list[Standing] = []
        for n, (value, _, row) in enumerate(ranked):
            # Equal values share a rank; the name only decides who is shown first.
            tied = n > 0 and value == ranked[n - 1][0]
            out.append(msgspec.structs.replace(row, rank=out[-1].rank if tied else n + 1))
        rest.sort(key=lambda row: (not row.pinned, row.contender))
        return (*out, *rest)


def _moments(column: dict[str, float], days: int, growth: float) -> measures.Moments:
    # After ruin the sums stop, and what they would say is not the truth: only the fall remains.
    count = 0 if column["ruined"] else days
    fall = column["drawdown"] if days else nan
    return measures.Moments(
        count,
        column["mean"],
        column["m2"],
        column["downside2"],
        column["low"],
        column["high"],
        fall,
        growth,
    )


def _measure(row: Standing, rank_by: RankBy) -> float:
    match rank_by:
        case RankBy.RETURN:
            return row.total_return
        case RankBy.SHARPE:
            return row.sharpe
        case RankBy.SORTINO:
            return row.sortino
        case RankBy.CALMAR:
            return row.calmar
