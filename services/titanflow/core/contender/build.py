"""How does a recipe become a contender? The only place that knows all kinds of recipe.

Rules are made from their parameters, which are strings in the manifest; a Python class is imported
and called with its parameters as keyword strings. Every mistake is a SpecError that names the
contender, the field and the remedy, and all mistakes of all contenders are told at once. A place is
`Contender/name path`; whoever read the files can say which line that is.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from titanflow.core.base.errors import Problem, SpecError
from titanflow.core.contender.blame import told
from titanflow.core.contender.model import BundleContender
from titanflow.core.contender.protocol import Contender
from titanflow.core.contender.rules import ASCENDING, RULES, Parameter
from titanflow.core.perception.features import FeatureSchema, parse_feature
from titanflow.core.spec.ground import Entrant, Ground
from titanflow.core.spec.words import RecipeKind

_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,5})(?:\.[0-9]{1,2})?")


def build(entrant: Entrant) -> Contender:
    """Return the contender that an entrant's recipe describes.

    Raises: SpecError with every mistake found, placed as `Contender/name path`.
    """
    where = f"Contender/{entrant.name} spec.recipe"
    if entrant.kind is RecipeKind.RULES:
        contender: Contender = _rule(entrant, f"{where}.rules")
    elif entrant.kind is RecipeKind.MODEL:
        assert entrant.contract is not None  # the ground is not compiled without it
        contender = BundleContender(entrant.contract, entrant.min_confidence)
        where = f"{where}.model"
    else:
        contender = _python(entrant, f"{where}.python")
        where = f"{where}.python.entryPoint"
    _check_features(contender.features, where)
    return contender


def build_all(ground: Ground) -> tuple[Contender, ...]:
    """Return the contenders of a ground, in the order of its entrants.

    Raises: SpecError with the mistakes of all of them.
    """
    contenders, problems = draft_all(ground)
    if problems:
        raise SpecError(problems)
    return contenders


def draft_all(ground: Ground) -> tuple[tuple[Contender, ...], list[Problem]]:
    """Return the contenders that can be built, and what is wrong with the others."""
    problems: list[Problem] = []
    contenders: list[Contender] = []
    for entrant in ground.entrants:
        if entrant.kind is RecipeKind.MODEL and entrant.contract is None:
            continue  # compiling the ground has said so
        try:
            contenders.append(build(entrant))
        except SpecError as error:
            problems += error.problems
    return tuple(contenders), problems


def schema_of(contenders: Sequence[Contender]) -> FeatureSchema:
    """Return the schema with every feature that a contender looks at."""
    return FeatureSchema.merged([contender.features for contender in contenders])


def _check_features(features: tuple[object, ...], where: str) -> None:
    if type(features) is not tuple or not all(isinstance(name, str) for name in features):
        what = f"features must be a tuple of names, got {features!r:.80}"
        raise SpecError([Problem(what, where, 'write features = ("sma_20",)')])
    problems: list[Problem] = []
    for position, name in enumerate(features):
        try:
            parse_feature(str(name))
        except SpecError as error:
            problems += [
                Problem(f"features[{position}]: {found.what}", where, found.do)
                for found in error.problems
            ]
    if problems:
        raise SpecError(problems)


def _nearest(name: str, names: Sequence[str]) -> str:
    """Return what to do instead of *name*."""
    close = get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"valid: {', '.join(names)}" if names else "it takes none"


def _rule(entrant: Entrant, where: str) -> Contender:
    if entrant.rule not in RULES:
        what = f"rule {entrant.rule!r} does not exist"
        raise SpecError([Problem(what, f"{where}.name", _nearest(entrant.rule, list(RULES)))])
    make, parameters = RULES[entrant.rule]
    known = {parameter.name: parameter for parameter in parameters}
    problems: list[Problem] = []
    values = {p.name: _value(p, p.default) for p in parameters}
    for name, text in entrant.parameters:
        place = f"{where}.parameters.{name}"
        if name not in known:
            what = f"rule {entrant.rule} has no parameter {name!r}"
            problems.append(Problem(what, place, _nearest(name, list(known))))
            continue
        value = _value(known[name], text)
        if value is None:
            problems.append(
                Problem(f"{text!r} is not {_form(known[name])}", place, _do(known[name], text))
            )
        else:
            values[name] = value
    lower, upper = ASCENDING.get(entrant.rule, ("", ""))
    # A default may be standing where a misspelt parameter was meant: then nothing can be said.
    given = dict(entrant.parameters)
    sure = [n for n in (lower, upper) if not problems or _fits(known.get(n), given.get(n))]
    if lower and len(sure) == 2 and not values[lower] < values[upper]:  # type: ignore[operator]
        what = f"{lower} ({values[lower]}) must be below {upper} ({values[upper]})"
        do = f"the defaults are {known[lower].default} and {known[upper].default}"
        problems.append(Problem(what, f"{where}.parameters.{lower}", do))
    if problems:
        raise SpecError(problems)
    return make(**values)


def _value(parameter: Parameter, text: str) -> int | float | bool | None:
    """Return a parameter's value, None if *text* is none."""
    if parameter.flag:
        return {"true": True, "false": False}.get(text)
    if _NUMBER.fullmatch(text) is None or (parameter.whole and "." in text):
        return None
    value = int(text) if parameter.whole else float(text)
    return value if parameter.low <= value <= parameter.high else None


def _fits(parameter: Parameter | None, text: str | None) -> bool:
    """Say whether a parameter is given, and rightly."""
    return parameter is not None and text is not None and _value(parameter, text) is not None


def _form(parameter: Parameter) -> str:
    if parameter.flag:
        return '"true" or "false"'
    kind = "a whole number" if parameter.whole else "a decimal number"
    return f"{kind} from {parameter.low:g} to {parameter.high:g}"


def _do(parameter: Parameter, text: str) -> str:
    """Return the advice with the nearest valid value."""
    nearest = parameter.default
    if parameter.flag:
        nearest = "true" if text.strip().lower() in {"true", "yes", "on", "1"} else "false"
    elif re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", text):
        bounded = min(max(float(text), parameter.low), parameter.high)
        nearest = f"{round(bounded) if parameter.whole else round(bounded, 2):g}"
    return f'the nearest is "{nearest}"; the default is "{parameter.default}"'


def _python(entrant: Entrant, where: str) -> Contender:
    place = f"{where}.entryPoint"
    module_name, _, class_name = entrant.rule.partition(":")
    if not module_name or not class_name:
        what = f"entry point {entrant.rule!r} is not of the form module:Class"
        raise SpecError([Problem(what, place, "write my_contender.trend:Trend")])
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            what = f"module {module_name!r} cannot be imported: there is no module {error.name!r}"
            do = "the folder given to -f is importable; check the name, and that the file is there"
            raise SpecError([Problem(what, place, do)]) from error
        raise SpecError([_no_import(module_name, place, error)]) from error
    except (Exception, SystemExit) as error:
        raise SpecError([_no_import(module_name, place, error)]) from error
    made = getattr(module, class_name, None)
    if not inspect.isclass(made):
        classes = [n for n, each in vars(module).items() if inspect.isclass(each)]
        what = f"module {module_name!r} has no class {class_name!r}"
        raise SpecError([Problem(what, place, _nearest(class_name, classes))])
    return _call(made, dict(entrant.parameters), where)


def _no_import(module: str, place: str, error: BaseException) -> Problem:
    what = f"module {module!r} cannot be imported: {told(error, module)}"
    return Problem(what, place, "mend the module, or install what it imports")


def _call(made: type, parameters: dict[str, str], where: str) -> Contender:
    """Return an object of the user's class, made with keyword strings."""
    problems = list(_unfit(made, parameters, where))
    if problems:
        raise SpecError(problems)
    try:
        contender = made(**parameters)
    except (Exception, SystemExit) as error:
        what = f"{made.__name__} refused its parameters: {told(error, made.__module__)}"
        do = "parameters arrive as strings; convert them in __init__"
        raise SpecError([Problem(what, f"{where}.parameters", do)]) from error
    if not isinstance(contender, Contender) or not callable(contender.decide):
        missing = [name for name in ("features", "decide") if not hasattr(contender, name)]
        what = f"{made.__name__} is no contender: it lacks {' and '.join(missing) or 'decide()'}"
        do = "a contender has features (names) and decide(self, view)"
        raise SpecError([Problem(what, f"{where}.entryPoint", do)])
    return contender


def _unfit(made: type, parameters: dict[str, str], where: str) -> Iterator[Problem]:
    """Yield which parameters a class does not take, and which it misses."""
    taken = inspect.signature(made).parameters.values()
    names = [each.name for each in taken if each.kind is not inspect.Parameter.VAR_KEYWORD]
    if len(names) == len(taken):
        for name in parameters:
            if name not in names:
                what = f"{made.__name__} has no parameter {name!r}"
                yield Problem(what, f"{where}.parameters.{name}", _nearest(name, names))
    for each in taken:
        variable = each.kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        if each.default is inspect.Parameter.empty and not variable and each.name not in parameters:
            what = f"{made.__name__} needs the parameter {each.name!r}"
            yield Problem(what, f"{where}.parameters", f"it takes: {', '.join(names)}")
