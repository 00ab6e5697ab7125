"""Are all mistakes of a folder told in one round, and nothing that only follows from another?"""

from __future__ import annotations

from pathlib import Path

import pytest

from titanflow.adapters.registry.controls import load_controls
from titanflow.core.base.errors import NotFoundError, SpecError
from titanflow.core.spec.words import KillScope
from titanflow.runtime.plan import prepare

HEAD = "apiVersion: titanflow.io/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\n"
SHARE = "venue: XNAS, assetClass: Equity, currency: USD, tickSize: '0.01', lotSize: '1'"
ARENA = f"""\
spec:
  instruments:
    - {{symbol: AAPL, {SHARE}}}
    - {{symbol: MSFT, {SHARE}}}
  sources:
    - {{name: bundled, kind: Bundled, bundled: {{dataset: us-stocks-2000-2013}}}}
"""
CROSS = "spec: {recipe: {kind: Rules, rules: {name: SmaCrossover, parameters: {PARAMETERS}}}}\n"


def manifest(kind: str, name: str, spec: str) -> str:
    return HEAD.format(kind=kind, name=name) + spec


GOOD = {
    "arena": manifest("Arena", "main", ARENA),
    "good": manifest("Contender", "good", CROSS.replace("PARAMETERS", "")),
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    found = Path("g")
    found.mkdir()
    return found


def said(place: Path, controls: Path | None = None, **files: str) -> list[str]:
    """Return every problem of a folder of good manifests with some put in their place."""
    for name, text in (GOOD | files).items():
        (place / f"{name}.yaml").write_text(text)
    with pytest.raises(SpecError) as caught:
        prepare(place, controls)
    return [str(problem) for problem in caught.value.problems]


def test_mistakes_of_every_step_are_told_in_one_round(place: Path) -> None:
    arena = ARENA.replace("symbol: MSFT", "symbol: ZZZZ").replace("sources", "seed: -1\n  sources")
    first = """\
spec:
  arena: mian
  instruments: [appl, APPL, AAPL]
  recipe: {kind: Rules, rules: {name: SmaCrossover, parameters: {fast: "100", slow: "20"}}}
  tier: Papr
"""
    second = 'spec: {recipe: {kind: Python, python: {entryPoint: "no_such_module:X"}}}\n'
    policy = """\
spec:
  selector: {}
  limits: {maxOrderNotional: "5000", maxPositionNotional: "100", maxDrawdownBps: 0}
  instruments:
    - {symbol: IBM, priceCollarBps: 0}
"""

    found = said(
        place,
        arena=manifest("Arena", "main", arena),
        first=manifest("Contender", "first", first),
        second=manifest("Contender", "second", second),
        policy=manifest("RiskPolicy", "house", policy),
    )

    assert EXPECTED == [line[: len(s)] for line, s in zip(found, EXPECTED, strict=True)], found


EXPECTED = [
    "g/arena.yaml:7: spec.instruments[1].symbol: bundled us-stocks-2000-2013 holds no bars",
    "g/arena.yaml:8: spec.seed: at least 0 is expected, not -1",
    "g/first.yaml:5: spec.arena: its arena is 'mian', here stands 'main'; write main",
    "g/first.yaml:6: spec.instruments[0]: a symbol has upper-case letters",
    "g/first.yaml:6: spec.instruments[1]: APPL is not traded here; did you mean 'AAPL'?",
    "g/first.yaml:7: spec.recipe.rules.parameters.fast: fast (100) must be below slow (20)",
    "g/first.yaml:8: spec.tier: unknown word 'Papr'; did you mean 'Paper'?",
    "g/policy.yaml:6: spec.limits.maxDrawdownBps: at least 1 is expected, not 0",
    "g/policy.yaml:6: spec.limits.maxOrderNotional: maxOrderNotional must not exceed",
    "g/policy.yaml:8: spec.instruments[0].priceCollarBps: at least 1 is expected, not 0",
    "g/policy.yaml:8: spec.instruments[0].symbol: IBM is not traded in arena main",
    "g/second.yaml:4: spec.recipe.python.entryPoint: module 'no_such_module' cannot be",
]


def starts(found: list[str]) -> list[str]:
    """Return place and path of each problem."""
    return [": ".join(line.split(": ")[:2]) for line in found]


@pytest.mark.parametrize("kind", ["Kelly", "VolatilityTarget"])
def test_a_sizing_that_is_not_built_misses_nothing(place: Path, kind: str) -> None:
    good = CROSS.replace("PARAMETERS", "").replace("spec: {", f"spec: {{sizing: {{kind: {kind}}}, ")

    found = said(place, good=manifest("Contender", "good", good))

    assert [
        f"g/good.yaml:4: spec.sizing.kind: {kind} is not built yet; built: FixedFraction"
    ] == found


def test_what_only_follows_from_a_mistake_is_not_told(place: Path) -> None:
    # The symbol and the defaults that stand in for wrong values must accuse nobody.
    arena = ARENA.replace("symbol: AAPL", "symbol: aapl").replace("lotSize: '1'", "lotSize: x", 1)
    good = CROSS.replace("PARAMETERS", "fast: '500', slow: [600]").replace(
        "spec: {", "spec: {instruments: [AAPL], "
    )
    policy = 'spec: {selector: {}, limits: {maxOrderNotional: x, maxPositionNotional: "1"}}\n'

    found = said(
        place,
        arena=manifest("Arena", "main", arena),
        good=manifest("Contender", "good", good),
        policy=manifest("RiskPolicy", "house", policy),
    )

    assert [
        "g/arena.yaml:6: spec.instruments[0].symbol",
        "g/arena.yaml:6: spec.instruments[0].lotSize",
        "g/good.yaml:4: spec.recipe.rules.parameters.slow",
        "g/policy.yaml:4: spec.limits.maxOrderNotional",
    ] == starts(found)


def test_a_misspelt_name_of_a_mapping_hides_nothing_in_it(place: Path) -> None:
    good = CROSS.replace("PARAMETERS", "fast: 100, slow: '20'").replace("recipe", "recpie")

    found = said(place, good=manifest("Contendr", "good", good))

    assert [
        "g/good.yaml:2: kind",
        "g/good.yaml:4: spec.recipe",
        "g/good.yaml:4: spec.recpie",
        "g/good.yaml:4: spec.recpie.rules.parameters.fast",
        "g/good.yaml:4: spec.recpie.rules.parameters.fast",
    ] == starts(found)


def test_a_second_one_of_a_name_is_judged_on(place: Path) -> None:
    again = CROSS.replace("PARAMETERS", "fats: '3'")

    found = said(place, second=manifest("Contender", "good", again))

    assert [
        "g/second.yaml:3: metadata.name",
        "g/second.yaml:4: spec.recipe.rules.parameters.fats",
    ] == starts(found)


def test_recipes_are_judged_where_the_arena_cannot_be_read(place: Path) -> None:
    good = CROSS.replace("PARAMETERS", "fats: '3'").replace("spec: {", "spec: {instruments: [X], ")

    found = said(place, arena="kind: [", good=manifest("Contender", "good", good))

    assert [
        "g/arena.yaml:2: this is not YAML",
        "g/good.yaml:4: spec.recipe.rules.parameters.fats",
    ] == starts(found)


def test_a_wrong_source_is_told_at_its_line(place: Path) -> None:
    arena = ARENA.replace("us-stocks-2000-2013", "us-stocks-2000-2012")

    found = said(place, arena=manifest("Arena", "main", arena), bad="kind: Contendr")

    assert any(
        line.startswith(
            "g/arena.yaml:9: spec.sources[0].bundled.dataset: no bundled data set "
            "'us-stocks-2000-2012'; did you mean 'us-stocks-2000-2013'?"
        )
        for line in found
    ), found


def controls(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    known = {KillScope.CONTENDER: ["good"], KillScope.INSTRUMENT: ["AAPL"]}
    with pytest.raises(SpecError) as caught:
        load_controls(path, known)
    return [str(problem).removeprefix(str(path)) for problem in caught.value.problems]


def test_controls_are_refused_as_manifests_are(tmp_path: Path) -> None:
    text = """\
- {at: "2005-02-01", scope: Contendr, name: good, engaged: true, by: bob, reason: drill}
- at: 2005-99-01
  scope: Contender
  nam: good
  engaged: false
  by: bob
- {at: "2005-02-01", scope: Contender, name: goood, engaged: true, by: bob, reason: x,
   instruments: [APPL]}
"""

    found = controls(tmp_path, text)

    assert ":1: [0].scope: unknown word 'Contendr'; did you mean 'Contender'?" == found[0]
    assert ":2: [1].at: " in found[1]
    assert ":4: [1].nam: unknown field 'nam'; did you mean 'name'?" in found
    assert ":2: [1].resetToken: resetToken is required while engaged is false" in found
    assert ":7: [2].name: no contender is called 'goood'; did you mean 'good'?" in found
    assert ":8: [2].instruments[0]: APPL is not traded here; did you mean 'AAPL'?" in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1", ":1: one list is expected; write a YAML list of requests; see docs/risk.md"),
        ("- [\n", ":2: this is not YAML"),
        ("- 5", ":1: [0]: a mapping is expected, not 5"),
        ("- {}\n" * 1001, ":1001: more than 1,000 requests; write fewer"),
    ],
)
def test_what_is_no_list_of_requests_is_said(tmp_path: Path, text: str, expected: str) -> None:
    assert controls(tmp_path, text)[0].startswith(expected)


def test_controls_that_are_not_there_are_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file") as caught:
        load_controls(tmp_path / "none.yaml")

    assert "Errno" not in str(caught.value)


def test_mistakes_of_controls_are_told_beside_those_of_the_folder(place: Path) -> None:
    path = Path("c.yaml")
    path.write_text("- 5\n")

    found = said(place, path, good=manifest("Contender", "good", "spec: {tier: Papr}\n"))

    assert [
        "g/good.yaml:4: spec.recipe",
        "g/good.yaml:4: spec.tier",
        "c.yaml:1: [0]",
    ] == starts(found)
