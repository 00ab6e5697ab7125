"""How do manifests become the ground? Once, in integers, with every contradiction named.

Order of files and documents means nothing: instruments are sorted by symbol, contenders by name.
A problem's place is `Kind/name path`, such as `Arena/main spec.instruments[0].tickSize`; whoever
read the files can say which line that is.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from titanflow.core.base.errors import Problem, SpecError
from titanflow.core.base.fixed import BPS, MINOR_PER_UNIT, MONEY_MAX, parse_decimal
from titanflow.core.base.instant import NS_PER_MICRO, NS_PER_SECOND
from titanflow.core.base.nearest import nearest
from titanflow.core.spec.arena import ArenaSpec, FillsSpec
from titanflow.core.spec.bundle import Contract, Contracts
from titanflow.core.spec.contender import ContenderSpec, ModelSpec, RecipeSpec
from titanflow.core.spec.ground import Entrant, FeeRates, Fills, Ground, Instrument
from titanflow.core.spec.instrument import FeesSpec, InstrumentSpec
from titanflow.core.spec.words import RecipeKind, Tier

CONTENDERS_MAX = 10_000
"""Most contenders of one arena: what the arrays of gate and ledger are sized and tested for."""

Labels = Mapping[str, str]


def compile_ground(
    name: str,
    arena: ArenaSpec,
    contenders: Mapping[str, tuple[ContenderSpec, Labels]],
    bundles: Contracts = MappingProxyType({}),
) -> Ground:
    """Return the ground of the arena called *name*; retired contenders stay out.

    *bundles* are the contracts of the folder's bundles, which recipes of kind Model refer to.

    Raises: SpecError with every problem: units that do not divide, unknown symbols, contenders of
    another arena, none or too many contenders.
    """
    ground, problems = draft_ground(name, arena, contenders, bundles)
    if problems:
        raise SpecError(problems)
    return ground


def draft_ground(
    name: str,
    arena: ArenaSpec,
    contenders: Mapping[str, tuple[ContenderSpec, Labels]],
    bundles: Contracts = MappingProxyType({}),
) -> tuple[Ground, list[Problem]]:
    """Return the ground and every problem with it; with one, it is fit for judging only.

    Recipes and policies can be judged on it, so that all mistakes are told at once.
    """
    problems: list[Problem] = []
    ordered = sorted(enumerate(arena.instruments), key=lambda pair: pair[1].symbol)
    bar_ns = arena.sources[0].bar_seconds * NS_PER_SECOND
    instruments = tuple(
        _instrument(index, spec, (spec.fees or arena.fees, bar_ns), _Place(name, number, problems))
        for index, (number, spec) in enumerate(ordered)
    )
    active = {n: pair for n, pair in contenders.items() if pair[0].tier is not Tier.RETIRED}
    _count(f"Arena/{name}", len(active), problems)
    if parse_decimal(arena.capital) > MONEY_MAX:
        problems.append(_too_much(f"Arena/{name} spec.capital"))
    symbols = {instrument.symbol: instrument.index for instrument in instruments}
    entrants = tuple(
        _entrant(index, contender, pair, (name, arena, symbols, bundles), problems)
        for index, (contender, pair) in enumerate(sorted(active.items()))
    )
    ground = Ground(
        arena=name,
        seed=arena.seed,
        currency=arena.currency,
        instruments=instruments,
        entrants=entrants,
        fills=_fills(arena.fills),
        borrow_allowed=arena.borrow.allowed,
        borrow_bps_per_year=arena.borrow.fee_bps_per_year,
        self_match=arena.self_match_prevention,
        rank_by=arena.ranking.by,
        min_fills=arena.ranking.min_fills,
    )
    return ground, problems


class _Place:
    """Where an instrument stands in the manifest; collects what is wrong with it."""

    def __init__(self, arena: str, number: int, problems: list[Problem]) -> None:
        self._base, self._problems = f"Arena/{arena} spec.instruments[{number}]", problems

    def say(self, what: str, field: str, do: str = "") -> None:
        self._problems.append(Problem(what, f"{self._base}.{field}", do))


def _count(where: str, active: int, problems: list[Problem]) -> None:
    if active > CONTENDERS_MAX:
        what = f"{active:,} contenders: at most {CONTENDERS_MAX:,} fit one arena"
        problems.append(Problem(what, where, "split them over several arenas"))
    if not active:
        problems.append(Problem("no contender", where, "add a manifest of kind Contender"))


def _too_much(where: str) -> Problem:
    return Problem(f"at most {MONEY_MAX // MINOR_PER_UNIT:,} can be counted", where, "use less")


def _fills(fills: FillsSpec) -> Fills:
    return Fills(
        feed_latency_ns=fills.feed_latency_micros * NS_PER_MICRO,
        order_latency_ns=fills.order_latency_micros * NS_PER_MICRO,
        response_latency_ns=fills.response_latency_micros * NS_PER_MICRO,
        jitter_ns=fills.jitter_micros * NS_PER_MICRO,
        slippage_bps=fills.slippage_bps,
        participation_bps=fills.participation_bps,
        queue=fills.queue,
        limit_fill=fills.limit_fill,
    )


def _instrument(
    index: int, spec: InstrumentSpec, terms: tuple[FeesSpec, int], place: _Place
) -> Instrument:
    fees, bar_ns = terms
    tick, lot = parse_decimal(spec.tick_size), parse_decimal(spec.lot_size)
    product = tick * lot * parse_decimal(spec.multiplier)
    tick_value, rest = divmod(product, MINOR_PER_UNIT * MINOR_PER_UNIT)
    if rest or tick_value == 0:
        place.say(
            "tickSize × lotSize × multiplier is no whole number of 0.00000001",
            "tickSize",
            "use a larger tickSize or lotSize: money is counted in steps of 0.00000001",
        )
    lowest = parse_decimal(spec.min_quantity) if spec.min_quantity else lot
    highest = parse_decimal(spec.max_quantity) if spec.max_quantity else 0
    for field, value in (("minQuantity", lowest), ("maxQuantity", highest)):
        if value % lot:
            place.say(f"{field} is no multiple of lotSize", field)
    per_lot = -(-parse_decimal(fees.per_unit) * lot // MINOR_PER_UNIT)
    min_per_order = parse_decimal(fees.min_per_order)
    min_notional = parse_decimal(spec.min_notional) if spec.min_notional else 0
    for field, value in (
        ("tickSize", max(tick, tick_value)),
        ("lotSize", lot),
        ("minQuantity", lowest),
        ("maxQuantity", highest),
        ("minNotional", min_notional),
        ("fees", max(per_lot, min_per_order)),
    ):
        if value > MONEY_MAX:
            place.say(f"at most {MONEY_MAX // MINOR_PER_UNIT:,} can be counted", field, "use less")
    return Instrument(
        index=index,
        symbol=spec.symbol,
        venue=spec.venue,
        currency=spec.currency,
        tick_size=tick,
        lot_size=lot,
        tick_value=max(tick_value, 1),
        min_lots=max(lowest // lot, 1),
        max_lots=highest // lot,
        min_notional=min_notional,
        bar_ns=bar_ns,
        fees=FeeRates(
            maker_ppm=fees.maker_ppm,
            taker_ppm=fees.taker_ppm,
            per_lot=per_lot,
            min_per_order=min_per_order,
        ),
    )


def _entrant(
    index: int,
    name: str,
    pair: tuple[ContenderSpec, Labels],
    stand: tuple[str, ArenaSpec, dict[str, int], Contracts],
    problems: list[Problem],
) -> Entrant:
    spec, labels = pair
    arena_name, arena, symbols, bundles = stand
    where = f"Contender/{name} spec"
    if spec.arena != arena_name:
        what = f"its arena is {spec.arena!r}, here stands {arena_name!r}"
        do = f"write {arena_name}, or move it to another folder"
        problems.append(Problem(what, f"{where}.arena", do))
    named = [("instruments", spec.instruments or ())]
    named.append(("killSwitch.instruments", spec.kill_switch.instruments))
    for field, wanted in named:
        problems.extend(
            Problem(
                f"{symbol} is not traded here",
                f"{where}.{field}[{number}]",
                nearest(symbol, symbols),
            )
            for number, symbol in enumerate(wanted)
            if symbol not in symbols
        )
    capital = parse_decimal(spec.capital or arena.capital)
    if spec.capital and capital > MONEY_MAX:
        problems.append(_too_much(f"{where}.capital"))
    recipe = spec.recipe
    source = recipe.rules or recipe.python
    parameters = source.parameters if source else {}
    contract = _contract(recipe.model, bundles, where, problems) if recipe.model else None
    return Entrant(
        index=index,
        name=name,
        labels=tuple(sorted(labels.items())),
        tier=spec.tier if spec.replicas else Tier.CANDIDATE,
        capital=capital,
        instruments=tuple(sorted(symbols[s] for s in spec.instruments or symbols if s in symbols)),
        kind=RecipeKind(recipe.kind),
        rule=_rule_name(recipe),
        parameters=tuple(sorted(parameters.items())),
        fraction_bps=spec.sizing.fixed_fraction.fraction_bps,
        recipe_hash=spec.recipe_hash(contract.digest if contract else ""),
        contract=contract,
        min_confidence=recipe.model.min_confidence_bps / BPS if recipe.model else 0.0,
    )


def _rule_name(recipe: RecipeSpec) -> str:
    if recipe.rules:
        return recipe.rules.name
    if recipe.python:
        return recipe.python.entry_point
    return recipe.model.bundle_ref.name if recipe.model else ""


def _contract(
    spec: ModelSpec, bundles: Contracts, where: str, problems: list[Problem]
) -> Contract | None:
    """Return the contract of the bundle that a recipe refers to, or say why there is none."""
    place, wanted = f"{where}.recipe.model.bundleRef", spec.bundle_ref
    found = bundles.get(wanted.name)
    if found is None:
        what = f"no ModelBundle {wanted.name!r} in this folder"
        do = nearest(wanted.name, sorted(bundles)) or "add a manifest of that kind"
        problems.append(Problem(what, f"{place}.name", do))
    elif wanted.pin is not None and wanted.pin != found.version:
        what = f"bundle {wanted.name!r} has version {found.version}, not {wanted.pin}"
        problems.append(Problem(what, f"{place}.pin", "pin the version that it has, or none"))
    return found
