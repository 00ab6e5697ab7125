"""What is to be run? Manifests, data and contenders, made ready for the driver, once.

A plan comes from a folder of manifests, or from the head of a journal: the head holds every
manifest and the contract of every bundle, so a session can be derived again where the folder no
longer is. Bundles are opened (and verified) only for a plan that comes from a folder.
"""

from __future__ import annotations

import importlib.util
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import msgspec

from titanflow.adapters.bundles.bundle import Bundle
from titanflow.adapters.bundles.refusal import BundleRefusedError
from titanflow.adapters.feeds.tape import (
    Market,
    check_symbols,
    iter_events,
    load_market,
    open_provider,
    promised_sha256,
)
from titanflow.adapters.registry.controls import load_controls
from titanflow.adapters.registry.folder import Loaded, bounded, line_of, load_texts, read_folder
from titanflow.core.base.errors import AdapterError, NotFoundError, Problem, SpecError
from titanflow.core.base.ident import NO_ID, canonical, derive
from titanflow.core.base.instant import format_date
from titanflow.core.base.nearest import nearest
from titanflow.core.contender.build import build, build_all, draft_all, schema_of
from titanflow.core.contender.protocol import Contender
from titanflow.core.facts import Bar, Fact, KillSwitch
from titanflow.core.perception.features import FeatureSchema
from titanflow.core.ports import Predictor
from titanflow.core.risk.policy import check_policies
from titanflow.core.spec.bundle import Contract, Contracts, ServingSpec
from titanflow.core.spec.compile import draft_ground
from titanflow.core.spec.ground import Ground
from titanflow.core.spec.policy import PolicySpec
from titanflow.core.spec.words import KillScope, RecipeKind
from titanflow.runtime.code import code_version, source_sha256
from titanflow.runtime.journal import Head
from titanflow.runtime.session import home

FORMAT = 1
CHECK_BARS = 400
"""Bars of one instrument that `contender check` plays: twice the longest usual look-back."""


class _Made:
    """What manifests come to: ground, contenders, bundles, and everything that is wrong."""

    def __init__(
        self, loaded: Loaded, contracts: Contracts | None, *, runs_graphs: bool = True
    ) -> None:
        self.problems: list[Problem] = []
        self._runs_graphs = runs_graphs
        self.bundles: Sequence[Bundle] = ()
        if contracts is None:
            self.bundles = self._opened(loaded)
            contracts = {bundle.contract.name: bundle.contract for bundle in self.bundles}
        self.contracts = contracts
        self.policies: Mapping[str, PolicySpec] = {m.name: m.spec for m in loaded.policies}
        self.ground, problems = draft_ground(
            loaded.arena.name, loaded.arena.spec, loaded.specs(), contracts
        )
        self.problems += problems
        try:
            check_policies(self.ground, self.policies)
        except SpecError as error:
            self.problems += error.problems
        self.contenders, problems = draft_all(self.ground)
        self.problems += problems

    def _opened(self, loaded: Loaded) -> Sequence[Bundle]:
        """Return the bundles of a folder, verified; note what is wrong with each of the others."""
        if not loaded.bundles:
            return ()
        from titanflow.adapters.bundles.signing import KEYS, Trust
        from titanflow.adapters.bundles.store import open_bundles

        trust = Trust([loaded.folder / KEYS, home() / KEYS])
        opened: list[Bundle] = []
        for manifest in loaded.bundles:
            try:
                opened += open_bundles(
                    {manifest.name: manifest.spec},
                    loaded.folder,
                    trust,
                    runs_graphs=self._runs_graphs,
                )
            except SpecError as error:
                self.problems += error.problems
        return opened


class Plan:
    """One session to be run; building contenders anew for each run keeps runs apart."""

    def __init__(
        self,
        loaded: Loaded,
        controls: tuple[KillSwitch, ...] = (),
        contracts: Contracts | None = None,
        made: _Made | None = None,
    ) -> None:
        self.loaded = loaded
        self.folder = loaded.folder
        self.controls = controls
        made = made or _Made(loaded, contracts)
        if made.problems:
            raise loaded.located(SpecError(made.problems))
        self.policies = made.policies
        self._bundles = made.bundles
        self.contracts = made.contracts
        self.ground: Ground = made.ground
        self._first: tuple[Contender, ...] | None = made.contenders
        self.schema: FeatureSchema = schema_of(self._first)

    def build_contenders(self) -> Sequence[Contender]:
        """Return fresh contenders."""
        first, self._first = self._first, None
        return first if first is not None else build_all(self.ground)

    def build_hosted(self, names: Collection[str] | None) -> Sequence[Contender | None]:
        """Return fresh contenders, None for those that *names* does not hold; None is all names."""
        if names is None:
            return self.build_contenders()
        return [
            build(entrant) if entrant.name in names else None for entrant in self.ground.entrants
        ]

    def predictor(self) -> Predictor | None:
        """Return what answers the asks of this plan's contenders; None if nobody asks.

        Raises: SpecError if a graph does not load, or does not give its golden vectors.
        """
        used = {e.contract.digest for e in self.ground.entrants if e.contract is not None}
        if not used or not self._bundles:
            return None
        from titanflow.adapters.models import Graphs

        try:
            return Graphs(bundle for bundle in self._bundles if bundle.contract.digest in used)
        except BundleRefusedError as error:
            do = "see `titanflow bundle verify`"
            raise SpecError([Problem(str(error), str(self.folder), do)]) from error

    def served(self) -> list[tuple[Bundle, ServingSpec]]:
        """Return the bundles that this plan's contenders ask, and how each is to be run."""
        used = {e.contract.digest for e in self.ground.entrants if e.contract is not None}
        specs = {manifest.name: manifest.spec.serving for manifest in self.loaded.bundles}
        return [
            (bundle, specs[bundle.contract.name])
            for bundle in self._bundles
            if bundle.contract.digest in used
        ]

    @cached_property
    def market(self) -> Market:
        """Give the data: read and judged once."""
        try:
            return load_market(self.loaded.arena.spec, self.ground, self.folder)
        except SpecError as error:
            placed = [_in_source(problem, self.ground.arena) for problem in error.problems]
            raise self.loaded.located(SpecError(placed)) from error

    @property
    def events_total(self) -> int:
        """Give how many input facts the sources hold."""
        return self.market.events_total

    def events(self) -> Iterator[Fact]:
        """Yield the input facts of the sources in order."""
        return iter(iter_events(self.market, self.ground))

    def recorded_events(
        self, data: tuple[tuple[str, str], ...]
    ) -> tuple[Iterator[Fact] | None, str]:
        """Return the input facts if the sources are those that *data* names; else None and why."""
        try:
            now = self.data()
        except (AdapterError, SpecError) as error:
            return None, f"the source of the data is not at hand ({error})"
        if now == data:
            return self.events(), ""
        (name, sha256) = now[0]
        return None, f"the source of the data has changed since: {name} has now sha256 {sha256}"

    def promised_data(self) -> tuple[tuple[str, str], ...] | None:
        """Return name and digest that each source must have, None where nobody has fixed them.

        Raises: SpecError or AdapterError if a bundled data set is not there.
        """
        sha256 = promised_sha256(self.loaded.arena.spec)
        return None if sha256 is None else ((self.loaded.arena.spec.sources[0].name, sha256),)

    def data(self) -> tuple[tuple[str, str], ...]:
        """Return name and digest of each source, as they were read for `market`."""
        origin = self.market.origin
        return ((origin.name, origin.sha256),)

    def head(self, data: tuple[tuple[str, str], ...]) -> Head:
        """Return the head of a session's journal on the sources that *data* names."""
        return Head(
            format=FORMAT,
            arena=self.ground.arena,
            seed=self.ground.seed,
            code=code_version(),
            manifests=tuple(sorted(canonical(m.content()) for m in self.loaded.manifests)),
            manifests_digest=self.loaded.digest,
            data=data,
            python=tuple(
                (point, source_sha256(point))
                for point in sorted(
                    {e.rule for e in self.ground.entrants if e.kind is RecipeKind.PYTHON}
                )
            ),
            features=tuple(self.schema.names),
            bundles=tuple(canonical(contract) for _, contract in sorted(self.contracts.items())),
        )

    def switches(self, at: int) -> list[KillSwitch]:
        """Return the kill switches that the manifests engage, as requests at *at*."""
        found = []
        scopes = {
            "Arena": KillScope.ARENA,
            "Contender": KillScope.CONTENDER,
            "RiskPolicy": KillScope.POLICY,
        }
        active = self.ground.entrant_index()
        for manifest in self.loaded.manifests:
            if manifest.kind not in scopes:
                continue
            switch = manifest.spec.kill_switch
            gone = manifest.kind == "Contender" and manifest.name not in active
            if not switch.engaged or gone:
                continue
            scope = scopes[manifest.kind]
            name = "" if scope is KillScope.ARENA else manifest.name
            ident = derive(NO_ID, f"switch:{scope.value}:{name}".encode(), 0)
            found.append(
                KillSwitch(
                    ident,
                    NO_ID,
                    at,
                    at,
                    scope,
                    name,
                    engaged=True,
                    instruments=switch.instruments,
                    action=switch.action,
                    reason=switch.reason,
                    by=switch.engaged_by,
                    reset_token=switch.reset_token,
                )
            )
        return found

    def with_controls(self, events: Iterable[Fact]) -> Iterator[Fact]:
        """Yield *events* with the kill-switch requests of `--controls` at their times."""
        waiting = list(self.controls)
        for fact in events:
            while waiting and waiting[0].at <= fact.at:
                yield waiting.pop(0)
            yield fact

    def nothing_to_do(self) -> SpecError:
        """Return the error of a session without events."""
        season = self.loaded.arena.spec.season
        where = self.loaded.locate("Arena", self.ground.arena, "spec.season")
        what = f"the source holds no event between {season.start or 'its start'} and "
        return SpecError([Problem(what + (season.end or "its end"), where, "widen spec.season")])

    def describe_data(self) -> list[str]:
        """Return a line for people on each source: how much, from when to when, which digest."""
        market = self.market
        if not len(market.bars):
            return ["no bars"]
        first, last = int(market.bars.end_ns[0]), int(market.bars.end_ns[-1])
        line = (
            f"{market.origin.name} ({market.origin.place}): {len(market.bars)} bars, "
            f"{format_date(first)} to {format_date(last)}, {market.quarantines_total} quarantined, "
            f"sha256 {market.origin.sha256[:16]}"
        )
        return [line]

    def casting(self, name: str) -> tuple[Callable[[], Contender], tuple[Bar, ...]]:
        """Return how to make one contender, and the first bars of its first instrument.

        Raises: SpecError if no contender has this name, or its data is too short.
        """
        entrant = next((e for e in self.ground.entrants if e.name == name), None)
        if entrant is None:
            do = nearest(name, self.ground.entrant_index())
            raise NotFoundError([Problem(f"no contender {name!r}", str(self.folder), do)])
        symbol = self.ground.instruments[entrant.instruments[0]].symbol
        # Who trades by a bundle does nothing before its training window ends: half of the bars
        # lie before that, to warm up.
        start = entrant.contract.trade_from if entrant.contract is not None else 0
        bars: deque[Bar] = deque(maxlen=CHECK_BARS)
        after = 0
        for fact in self.events():
            if isinstance(fact, Bar) and fact.symbol == symbol:
                bars.append(fact)
                after += fact.at >= start
                if after >= (CHECK_BARS // 2 if start else CHECK_BARS):
                    break
        if not bars:
            raise self.nothing_to_do()
        return lambda: build(entrant), tuple(bars)


def prepare(path: Path, controls: Path | None, *, runs_graphs: bool = True) -> Plan:
    """Return the plan of a folder or file of manifests.

    The folder becomes importable, so that Python contenders may lie beside their manifests. Who
    never runs the graph of a bundle need not look at it, and believes its signature.

    Raises: SpecError with every mistake of manifests, recipes, data and controls, all at once.
    """
    draft = read_folder(path)
    loaded = draft.loaded
    _importable(loaded.folder)
    made = _Made(loaded, None, runs_graphs=runs_graphs)
    problems = draft.problems + draft.judged(made.problems)
    if problems:
        problems += draft.judged(_data_problems(loaded))
        problems.sort(key=line_of)
    requests: tuple[KillSwitch, ...] = ()
    if controls is not None:
        try:
            # What is called how can be judged only where everything is as it will be.
            requests = load_controls(controls, None if problems else _names(made))
        except NotFoundError:
            if not problems:
                raise
            problems.append(Problem("no such file", str(controls)))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(bounded(problems))
    return Plan(loaded, requests, made=made)


def _names(made: _Made) -> dict[KillScope, list[str]]:
    """Return what kill switches can be about."""
    return {
        KillScope.CONTENDER: list(made.ground.entrant_index()),
        KillScope.INSTRUMENT: list(made.ground.symbol_index()),
        KillScope.POLICY: list(made.policies),
    }


def _data_problems(loaded: Loaded) -> list[Problem]:
    """Return what is wrong with an arena's data, as far as it shows without reading all of it."""
    arena = loaded.arena
    try:
        check_symbols(arena.name, arena.spec, open_provider(arena.spec, loaded.folder))
    except SpecError as error:
        return [_in_source(problem, arena.name) for problem in error.problems]
    except AdapterError as error:
        return [Problem(str(error), f"Arena/{arena.name} spec.sources[0]")]
    return []


def _in_source(problem: Problem, arena: str) -> Problem:
    """Return a problem of a source with its place in the manifest."""
    source = f"Arena/{arena} spec.sources[0]"
    if problem.where.startswith("Arena/"):
        return problem
    if problem.where.startswith("bundled."):
        return Problem(problem.what, f"{source}.{problem.where}", problem.do)
    return Problem(f"{problem.where}: {problem.what}", f"{source}.files", problem.do)


def plan_from_head(head: Head, folder: Path | None) -> Plan:
    """Return the plan that a journal's head describes; *folder* is where Python code lies.

    Raises: NotFoundError if the module of a Python contender is not there; SpecError if the
    manifests in the head are not valid for this version.
    """
    if head.format != FORMAT:
        raise AdapterError(f"journal format {head.format} is not known; this is {FORMAT}")
    if folder is not None:
        _importable(folder)
    _demand_modules(head, folder)
    texts = [msgspec.json.encode(msgspec.json.decode(text)) for text in head.manifests]
    contracts = [msgspec.json.decode(text, type=Contract) for text in head.bundles]
    return Plan(
        load_texts(texts, folder or Path()), contracts={found.name: found for found in contracts}
    )


def _demand_modules(head: Head, folder: Path | None) -> None:
    """Refuse a session whose Python contenders are not at hand: nobody can say what they say.

    Raises: NotFoundError with each missing module.
    """
    place = str(folder) if folder is not None else "sys.path"
    problems = []
    for point, _ in head.python:
        module = point.partition(":")[0]
        try:
            found = importlib.util.find_spec(module) is not None
        except ModuleNotFoundError:
            found = False
        except (Exception, SystemExit):  # noqa: BLE001 - it is there and fails: building tells how
            found = True
        if not found:
            what = f"the module {module!r} of a contender of this session is missing"
            do = "bring it back: the session stands on its code, and cannot be derived without it"
            problems.append(Problem(what, place, do))
    if problems:
        raise NotFoundError(problems)


def _importable(folder: Path) -> None:
    place = str(folder.resolve())
    if place not in sys.path:
        sys.path.insert(0, place)
