"""Does a recipe become a contender, and is every mistake told with its place and its remedy?"""

import sys
import textwrap

import msgspec
import pytest

from titanflow.core.base.errors import SpecError
from titanflow.core.contender import rules
from titanflow.core.contender.build import build, build_all, schema_of
from titanflow.core.contender.rehearsal import ground_of
from titanflow.core.spec.words import RecipeKind

ENTRANT = msgspec.structs.replace(ground_of(["AAPL"]).entrants[0], name="mine")


def rule(name: str, **parameters: str):
    return msgspec.structs.replace(
        ENTRANT, kind=RecipeKind.RULES, rule=name, parameters=tuple(sorted(parameters.items()))
    )


def python(entry_point: str, **parameters: str):
    return msgspec.structs.replace(
        ENTRANT, rule=entry_point, parameters=tuple(sorted(parameters.items()))
    )


def problems(entrant) -> list[str]:
    with pytest.raises(SpecError) as caught:
        build(entrant)
    return [str(problem) for problem in caught.value.problems]


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module that can be imported, and forget it after."""

    def write(text: str) -> str:
        (tmp_path / "some_contender.py").write_text(textwrap.dedent(text))
        return "some_contender"

    monkeypatch.syspath_prepend(str(tmp_path))
    yield write
    sys.modules.pop("some_contender", None)


GOOD = """
class Good:
    "Does nothing."
    def __init__(self, window="5", name=""):
        if not window.isdigit():
            raise ValueError("window must be a number")
        self.features = (f"sma_{window}",)
    def decide(self, view):
        return None
"""


@pytest.mark.parametrize("name", rules.RULES)
def test_every_rule_is_built_from_its_defaults(name) -> None:
    built = build(rule(name))

    assert type(built) is rules.RULES[name][0]
    assert schema_of([built]).names == tuple(sorted(built.features))


def test_parameters_arrive_as_numbers() -> None:
    assert build(rule("SmaCrossover", fast="5", slow="9")).features == ("sma_5", "sma_9")
    assert (
        "bollinger_upper_30_2.5"
        in build(rule("BollingerReversion", period="30", width="2.5")).features
    )
    assert build(rule("Macd", signal="5")).features[0] == "macd_line_12_26_5"


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        (
            "SmaCrossver",
            {},
            "rules.name: rule 'SmaCrossver' does not exist; did you mean 'SmaCrossover'?",
        ),
        (
            "SmaCrossover",
            {"fats": "5"},
            (
                "rules.parameters.fats: rule SmaCrossover has no parameter 'fats'; "
                "did you mean 'fast'?"
            ),
        ),
        (
            "BuyAndHold",
            {"fast": "5"},
            "rules.parameters.fast: rule BuyAndHold has no parameter 'fast'; it takes none",
        ),
        (
            "SmaCrossover",
            {"fast": "twenty"},
            (
                "'twenty' is not a whole number from 1 to 1000; "
                'the nearest is "20"; the default is "20"'
            ),
        ),
        (
            "SmaCrossover",
            {"slow": "5000"},
            (
                "'5000' is not a whole number from 2 to 1000; "
                'the nearest is "1000"; the default is "100"'
            ),
        ),
        ("SmaCrossover", {"fast": "2.5"}, "'2.5' is not a whole number"),
        ("SmaCrossover", {"fast": "-3"}, 'the nearest is "1"'),
        ("SmaCrossover", {"fast": "020"}, 'the nearest is "20"'),
        (
            "SmaCrossover",
            {"short": "Yes"},
            '\'Yes\' is not "true" or "false"; the nearest is "true"',
        ),
        ("SmaCrossover", {"fast": "100"}, "fast (100) must be below slow (100)"),
        ("RsiReversion", {"low": "80"}, "low (80) must be below high (70)"),
        ("Macd", {"fast": "30"}, "fast (30) must be below slow (26)"),
        ("BollingerReversion", {"width": "0"}, 'the nearest is "0.01"'),
        ("BollingerReversion", {"width": "2.555"}, "is not a decimal number from 0.01 to 99.99"),
    ],
)
def test_a_wrong_rule_is_answered_with_place_and_remedy(name, parameters, expected) -> None:
    (problem,) = problems(rule(name, **parameters))

    assert problem.startswith("Contender/mine spec.recipe.rules.")
    assert expected in problem


def test_all_mistakes_of_all_contenders_are_told_at_once() -> None:
    ground = ground_of(["AAPL"])
    entrants = (rule("Macd", fats="3", short="maybe"), rule("Macd"), rule("Nothing"))
    ground = msgspec.structs.replace(ground, entrants=entrants)

    with pytest.raises(SpecError) as caught:
        build_all(ground)

    assert len(caught.value.problems) == 3


def test_a_contradiction_is_told_beside_another_mistake_only_where_it_is_sure() -> None:
    both = problems(rule("SmaCrossover", fats="3", fast="100", slow="20"))

    assert ["fats", "fast"] == [line.split(":")[0].rpartition(".")[2] for line in both]
    assert len(problems(rule("SmaCrossover", fats="3", slow="20"))) == 1


def test_all_wrong_parameters_of_a_class_are_told_at_their_places(module) -> None:
    text = GOOD.replace('window="5"', "window, *, depth")
    found = problems(python(f"{module(text)}:Good", windw="3", size="1"))

    parameters = "Contender/mine spec.recipe.python.parameters"
    assert [
        f"{parameters}.size: Good has no parameter 'size'; valid: window, depth, name",
        f"{parameters}.windw: Good has no parameter 'windw'; did you mean 'window'?",
        f"{parameters}: Good needs the parameter 'window'; it takes: window, depth, name",
        f"{parameters}: Good needs the parameter 'depth'; it takes: window, depth, name",
    ] == found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1\n1 / 0", "ZeroDivisionError: division by zero ({file}:2 in <module>)"),
        ("x = 1\ndef (", "SyntaxError: invalid syntax ({file}:2)"),
        ("import sys\nsys.exit(3)", "it called sys.exit(3) ({file}:2 in <module>)"),
    ],
)
def test_a_module_that_fails_is_told_with_file_and_line(module, tmp_path, text, told) -> None:
    (problem,) = problems(python(f"{module(text)}:Good"))

    file = tmp_path / "some_contender.py"
    assert f"cannot be imported: {told.format(file=file)}; " in problem


def test_a_python_class_gets_its_parameters_as_strings(module) -> None:
    built = build(python(f"{module(GOOD)}:Good", window="7"))

    assert built.features == ("sma_7",)


@pytest.mark.parametrize(
    ("text", "entry", "parameters", "expected"),
    [
        (GOOD, "some_contender", {}, "is not of the form module:Class"),
        (GOOD, "no_such_module:Good", {}, "there is no module 'no_such_module'"),
        ("import nothing_like_it", "some_contender:Good", {}, "No module named 'nothing_like_it'"),
        ("1 / 0", "some_contender:Good", {}, "cannot be imported: ZeroDivisionError"),
        ("def (", "some_contender:Good", {}, "cannot be imported: SyntaxError"),
        (GOOD, "some_contender:Goood", {}, "has no class 'Goood'; did you mean 'Good'?"),
        ("Good = 3", "some_contender:Good", {}, "has no class 'Good'"),
        (GOOD, "some_contender:Good", {"windw": "3"}, "did you mean 'window'?"),
        (GOOD, "some_contender:Good", {"window": "x"}, "ValueError: window must be a number"),
        (GOOD, "some_contender:Good", {"window": "0"}, "did you mean 'sma_1'?"),
        ("class Good: pass", "some_contender:Good", {}, "it lacks features and decide"),
        (
            "class Good:\n    features = ()\n    decide = 3",
            "some_contender:Good",
            {},
            "it lacks decide()",
        ),
        (
            "class Good:\n    features = ['sma_3']\n    def decide(self, view): ...",
            "some_contender:Good",
            {},
            "features must be a tuple of names",
        ),
        (
            (
                "class Good:\n    features = ()\n    def __init__(self, must): ...\n"
                "    def decide(self, view): ..."
            ),
            "some_contender:Good",
            {},
            "it takes: must",
        ),
    ],
)
def test_a_wrong_python_class_is_answered_with_place_and_remedy(
    module, text, entry, parameters, expected
) -> None:
    module(text)

    (problem,) = problems(python(entry, **parameters))

    assert problem.startswith("Contender/mine spec.recipe.python")
    assert expected in problem
