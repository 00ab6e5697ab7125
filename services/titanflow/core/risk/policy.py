"""Which limits hold for whom? Policies are selected by label and merged to the strictest.

The smallest maximum wins, the largest minimum, false before true, the common part of lists, the
severest onBreach. Adding a policy can therefore never allow more (a property test says so).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from titanflow.core.base.errors import Problem, SpecError
from titanflow.core.base.fixed import MONEY_MAX, parse_decimal
from titanflow.core.base.instant import NS_PER_SECOND
from titanflow.core.spec.ground import Entrant, Ground, Instrument
from titanflow.core.spec.policy import (
    AggregateSpec,
    InstrumentLimitsSpec,
    LimitsSpec,
    PolicySpec,
)
from titanflow.core.spec.selector import SelectorSpec
from titanflow.core.spec.words import BreachAction, OrderType, Tier, TimeInForce

UNSET = -1
TYPES = tuple(OrderType)
TIFS = tuple(TimeInForce)
REFUSAL_WINDOW_SECONDS = 60
"""What haltAfterRefusals means without refusalWindowSeconds; the custom resource's default."""
GROUPS_MAX = 1000
"""Most policies with aggregate limits in one arena; the compiled gate's own bound."""

Policies = Mapping[str, PolicySpec]


class Law(msgspec.Struct, frozen=True):
    """Everything that holds for one contender, in integers; -1 is unset."""

    policies: tuple[str, ...]
    refused: str
    """Why every order is refused (tier, no policy, currency), or empty."""
    cells: tuple[tuple[int, ...], ...]
    """For each instrument the 15 columns of `native.gate`'s cell limits."""
    limits: tuple[int, ...]
    """The 13 columns of `native.gate`'s contender limits."""
    on_breach: BreachAction
    halt_after: int
    refusal_window_ns: int
    duplicate_window_ns: int


class House(msgspec.Struct, frozen=True):
    """The aggregate limits of one policy and whom they bind."""

    policy: str
    limits: tuple[int, ...]
    members: tuple[int, ...]


def selects(selector: SelectorSpec, arena: str, entrant: Entrant) -> bool:
    """Say whether a policy binds a contender: all given parts must match."""
    labels = dict(entrant.labels)
    if selector.arena not in (None, arena):
        return False
    if selector.tiers is not None and entrant.tier not in selector.tiers:
        return False
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return False
    for need in selector.match_expressions:
        present = need.key in labels
        fits = {
            "In": present and labels.get(need.key) in need.values,
            "NotIn": not present or labels.get(need.key) not in need.values,
            "Exists": present,
            "DoesNotExist": not present,
        }[need.operator]
        if not fits:
            return False
    return True


def members_of(ground: Ground, policies: Policies) -> dict[str, tuple[int, ...]]:
    """Return whom each policy binds, by its name."""
    return {
        name: tuple(e.index for e in ground.entrants if selects(policy.selector, ground.arena, e))
        for name, policy in policies.items()
    }


def check_policies(ground: Ground, policies: Policies) -> None:
    """Refuse policies that name what the arena has not.

    Raises: SpecError with every problem.
    """
    symbols = ground.symbol_index()
    problems = [
        Problem(
            f"{limits.symbol} is not traded in arena {ground.arena}",
            f"RiskPolicy/{name} spec.instruments[{number}].symbol",
            f"one of: {', '.join(symbols)}",
        )
        for name, policy in sorted(policies.items())
        for number, limits in enumerate(policy.instruments)
        if limits.symbol not in symbols and policy.selector.arena in (None, ground.arena)
    ]
    if sum(policy.aggregate is not None for policy in policies.values()) > GROUPS_MAX:
        problems.append(
            Problem(f"more than {GROUPS_MAX} policies with aggregate limits", "RiskPolicy")
        )
    if problems:
        raise SpecError(problems)


def effective_tiers(ground: Ground, policies: Policies) -> tuple[Tier, ...]:
    """Return the tier of each contender: the declared one, or Shadow where no policy selects it."""
    refused = [law_of(ground, entrant, policies).refused for entrant in ground.entrants]
    return tuple(
        Tier.SHADOW if why == "TIER_SHADOW" else entrant.tier
        for entrant, why in zip(ground.entrants, refused, strict=True)
    )


def law_of(ground: Ground, entrant: Entrant, policies: Policies) -> Law:
    """Return the merged limits of one contender."""
    chosen = {
        name: policy
        for name, policy in sorted(policies.items())
        if selects(policy.selector, ground.arena, entrant)
    }
    refused = ""
    if entrant.tier is not Tier.PAPER:
        refused = f"TIER_{entrant.tier.upper()}"
    elif not chosen:
        refused = "TIER_SHADOW"
    elif any(p.currency not in (None, ground.currency) for p in chosen.values()):
        refused = "CURRENCY"
    limits = [policy.limits for policy in chosen.values()]
    severest = max(
        (policy.on_breach for policy in chosen.values()),
        key=list(BreachAction).index,
        default=BreachAction.REDUCE,
    )
    # The longest window is the strictest; one that is not given is the default, not nothing.
    window = _most(
        [
            p.refusal_window_seconds or REFUSAL_WINDOW_SECONDS
            for p in limits
            if p.halt_after_refusals is not None
        ]
    )
    return Law(
        policies=tuple(chosen),
        refused=refused,
        cells=tuple(
            _cell(ground, entrant, instrument, list(chosen.values()))
            for instrument in ground.instruments
        ),
        limits=(*_contender(limits), int(severest is BreachAction.REDUCE)),
        on_breach=severest,
        halt_after=_least([p.halt_after_refusals for p in limits]),
        refusal_window_ns=max(window, 0) * NS_PER_SECOND,
        duplicate_window_ns=max(
            _most([p.duplicate_window_seconds for p in limits]) * NS_PER_SECOND, 0
        ),
    )


def houses_of(ground: Ground, policies: Policies) -> tuple[House, ...]:
    """Return the aggregate limits with their members, in the order of the policies' names."""
    return tuple(
        House(
            name,
            _house(policy.aggregate),
            tuple(e.index for e in ground.entrants if selects(policy.selector, ground.arena, e)),
        )
        for name, policy in sorted(policies.items())
        if policy.aggregate is not None
    )


def _least(values: Sequence[int | None]) -> int:
    return min((v for v in values if v is not None), default=UNSET)


def _most(values: Sequence[int | None]) -> int:
    return max((v for v in values if v is not None), default=UNSET)


def _money(text: str | None) -> int | None:
    return None if text is None else min(parse_decimal(text), MONEY_MAX)


def _house(spec: AggregateSpec) -> tuple[int, ...]:
    values = (
        _money(spec.max_gross_exposure),
        _money(spec.max_net_exposure),
        _money(spec.max_instrument_exposure),
        _money(spec.max_daily_loss),
        spec.max_orders_per_second,
    )
    return tuple(UNSET if value is None else value for value in values)


def _contender(limits: Sequence[LimitsSpec]) -> tuple[int, ...]:
    """Return the first 12 columns of the contender limits."""
    rate = _least([p.max_orders_per_second for p in limits])
    bursts = [p.max_order_burst or p.max_orders_per_second for p in limits]
    return (
        rate,
        _least(bursts),
        _least([p.max_orders_per_day for p in limits]),
        _least([p.max_orders_per_fill for p in limits]),
        _least([_money(p.max_gross_exposure) for p in limits]),
        _least([_money(p.max_net_exposure) for p in limits]),
        _least([p.max_leverage_bps for p in limits]),
        _most([_money(p.min_free_cash) for p in limits]),
        _least([p.max_turnover_bps_per_day for p in limits]),
        _least([_money(p.max_daily_loss) for p in limits]),
        _least([p.reduce_at_drawdown_bps for p in limits]),
        _least([p.max_drawdown_bps for p in limits]),
    )


def _mask(limits: Sequence[tuple[object, ...] | None], words: Sequence[object]) -> int:
    """Return a bit for each word that every list allows; -1 when no list says anything."""
    given = [allowed for allowed in limits if allowed is not None]
    if not given:
        return UNSET
    return sum(1 << n for n, word in enumerate(words) if all(word in allowed for allowed in given))


def _cell(
    ground: Ground, entrant: Entrant, instrument: Instrument, policies: Sequence[PolicySpec]
) -> tuple[int, ...]:
    """Return the 15 columns of the limits of one contender in one instrument."""
    own = [_override(policy, instrument.symbol) for policy in policies]
    pairs = list(zip(policies, own, strict=True))

    def each(field: str, read: Callable[[str], int | None] | None = None) -> list[int | None]:
        values: list[int | None] = []
        for policy, override in pairs:
            value = getattr(override, field) if override is not None else None
            if value is None:
                value = getattr(policy.limits, field)
            values.append(value if read is None or value is None else read(value))
        return values

    def lots_up(text: str) -> int:
        return min(-(-parse_decimal(text) // instrument.lot_size), MONEY_MAX)

    def lots_down(text: str) -> int:
        return min(parse_decimal(text) // instrument.lot_size, MONEY_MAX)

    def ns(field: str) -> int:
        least = _least(each(field))
        return least * NS_PER_SECOND if least >= 0 else UNSET

    ages = _least([policy.limits.max_intent_age_seconds for policy in policies])
    short = ground.borrow_allowed and False not in each("allow_short")
    tradable = instrument.index in entrant.instruments and all(
        override is None or override.tradable for override in own
    )
    return (
        ages * NS_PER_SECOND if ages >= 0 else UNSET,
        _most(each("min_order_quantity", lots_up)),
        _least(each("max_order_quantity", lots_down)),
        _most(each("min_order_notional", _money)),
        _least(each("max_order_notional", _money)),
        _least(each("price_collar_bps")),
        ns("max_reference_age_seconds"),
        _least([policy.limits.max_open_orders for policy in policies]),
        _least(each("max_position_quantity", lots_down)),
        _least(each("max_position_notional", _money)),
        _least(each("max_concentration_bps")),
        int(short),
        _mask([policy.limits.order_types for policy in policies], TYPES),
        _mask([policy.limits.time_in_force for policy in policies], TIFS),
        int(tradable),
    )


def _override(policy: PolicySpec, symbol: str) -> InstrumentLimitsSpec | None:
    return next((limits for limits in policy.instruments if limits.symbol == symbol), None)
