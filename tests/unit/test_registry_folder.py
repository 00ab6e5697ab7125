"""Is every wrong manifest refused with its file, its line, its path and what to write instead?"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titanflow.adapters.registry import folder as registry
from titanflow.adapters.registry.folder import Loaded, load_folder, load_texts
from titanflow.core.base.errors import Problem, SpecError
from titanflow.core.base.ident import canonical

ARENA = """\
apiVersion: titanflow.io/v1alpha1
kind: Arena
metadata: {name: main}
spec:
  instruments:
    - {symbol: AAPL, venue: XNAS, assetClass: Equity, currency: USD, tickSize: "0.01", lotSize: "1"}
  sources:
    - {name: bundled, kind: Bundled, bundled: {dataset: us-stocks-2000-2013}}
"""
CONTENDER = """\
apiVersion: titanflow.io/v1alpha1
kind: Contender
metadata:
  name: cross
spec:
  recipe:
    kind: Rules
    rules:
      name: SmaCrossover
      parameters:
        fast: "20"
  tier: Paper
"""
POLICY = """\
apiVersion: titanflow.io/v1alpha1
kind: RiskPolicy
metadata: {name: house}
spec: {selector: {}, limits: {maxOrderNotional: "1000"}}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a good folder `f` in the current folder, so that messages hold no absolute path."""
    monkeypatch.chdir(tmp_path)
    found = Path("f")
    found.mkdir()
    (found / "arena.yaml").write_text(ARENA)
    (found / "cross.yaml").write_text(CONTENDER)
    (found / "house.yml").write_text(POLICY)
    return found


def refused(path: Path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_folder(path)
    return [str(problem) for problem in caught.value.problems]


def test_a_good_folder_loads(place: Path) -> None:
    loaded = load_folder(place)

    assert "main" == loaded.arena.name
    assert ["cross"] == [m.name for m in loaded.contenders]
    assert ["house"] == [m.name for m in loaded.policies]
    assert ("f/arena.yaml", "f/cross.yaml", "f/house.yml") == loaded.files
    assert ["Arena/main", "Contender/cross", "RiskPolicy/house"] == sorted(loaded.digests)


# What is replaced in the good contender, by what, and what is said of it.
CONTENDER_FLAWS = [
    (
        "SmaCrossover",
        "SmaCrosover",
        ("9: spec.recipe.rules.name: unknown word 'SmaCrosover'; did you mean 'SmaCrossover'?"),
    ),
    (
        "SmaCrossover",
        "PairsSpread",
        (
            "9: spec.recipe.rules.name: PairsSpread is not built yet; "
            "built: BuyAndHold, Random, SmaCrossover, RsiReversion, BollingerReversion, "
            "DonchianBreakout, TimeSeriesMomentum, Macd"
        ),
    ),
    (
        "parameters:",
        "paramters:",
        ("10: spec.recipe.rules.paramters: unknown field 'paramters'; did you mean 'parameters'?"),
    ),
    (
        '"20"',
        "20",
        (
            "11: spec.recipe.rules.parameters.fast: a string is expected, not 20; "
            'write "20" in quotes'
        ),
    ),
    (
        "fast:",
        "1st:",
        (
            "11: spec.recipe.rules.parameters.1st: parameter names are letters, digits "
            "and '_', start with a letter and have at most 63 characters"
        ),
    ),
    ("tier: Paper", "tier: paper", "12: spec.tier: unknown word 'paper'; did you mean 'Paper'?"),
    (
        "tier: Paper",
        "tier: Live",
        "12: spec.tier: tier Live is not built yet: use Paper",
    ),
    (
        "tier: Paper",
        "tier: 7",
        ("12: spec.tier: a word is expected, not 7; one of: Candidate, Shadow, Paper, Retired"),
    ),
    ("tier: Paper", "suspend: true", "12: spec.suspend: suspend is not built yet; remove it"),
    (
        "tier: Paper",
        "capital: 100000",
        ('12: spec.capital: a string is expected, not 100000; write "100000" in quotes'),
    ),
    (
        "tier: Paper",
        'capital: "-5"',
        (
            "12: spec.capital: write a decimal string without sign, "
            'exponent or separators and with at most 8 decimals, such as "1000.50"'
        ),
    ),
    (
        "tier: Paper",
        "instruments: []",
        ("12: spec.instruments: at least 1 entries are expected, not 0"),
    ),
    ("tier: Paper", "instruments: AAPL", "12: spec.instruments: a list is expected, not 'AAPL'"),
    ("tier: Paper", "sizing: 5", "12: spec.sizing: a mapping is expected, not 5"),
    (
        "tier: Paper",
        'killSwitch: {engaged: "no"}',
        ("12: spec.killSwitch.engaged: true or false is expected, not 'no'"),
    ),
    (
        "tier: Paper",
        "tier: Paper\n  tier: Shadow",
        "13: the key 'tier' stands twice, first in line 12",
    ),
    (
        "tier: Paper",
        "\ttier: Paper",
        (
            "12: this is not YAML: while scanning for the next token "
            "found character that cannot start any token; indent with spaces, not with tabs"
        ),
    ),
    (
        "tier: Paper",
        "tier: !!python/name:os.system x",
        ("12: tags such as tag:yaml.org,2002:python/name:os.system are not taken; remove it"),
    ),
    ("tier: Paper", "<<: {tier: Paper}", "12: merge keys (<<) are not taken; write the fields out"),
    ("tier: Paper", "? [a]\n  : b", "12: a key must be a string"),
    ("tier: Paper", 'displayName: "a\\x7f"', "12: the text holds a control or invisible character"),
    ("tier: Paper", 'displayName: "a\\u200bb"', "12: the text holds a control or invisible"),
    ("tier: Paper", 'displayName: "a\\u202eb"', "12: the text holds a control or invisible"),
    ("tier: Paper", 'replicas: "1"', "12: spec.replicas: a whole number is expected, not '1'; w"),
    ("tier: Paper", "# note\u0085  tier: Shadow", "12: the text holds a control or invisible"),
    ("tier: Paper", "# note\u2028  tier: Shadow", "12: the text holds a control or invisible"),
    ("tier: Paper", "# note\u2029  tier: Shadow", "12: the text holds a control or invisible"),
    ("tier: Paper", 'displayName: "a\\xadb"', "12: the text holds a control or invisible"),
    ("tier: Paper", "tier: *none", "12: the alias *none is not known"),
    ("tier: Paper", "capital: &a [*a]", "12: the alias *a holds itself"),
    ("tier: Paper", "status: {}", "12: spec.status: unknown field 'status'; "),
    (
        "spec:",
        "status: {}\nspec:",
        "5: status: status is written by the arena, not by you; remove it",
    ),
    (
        "name: cross",
        "name: Cross",
        (
            "4: metadata.name: a name has lower-case letters, digits and "
            "'-', starts with a letter and holds no dots"
        ),
    ),
    (
        "name: cross",
        "nme: cross",
        ("3: metadata.name: this field is missing; Name, unique for its kind in the folder"),
    ),
    (
        "kind: Contender",
        "kind: Contendr",
        ("2: kind: unknown word 'Contendr'; did you mean 'Contender'?"),
    ),
    (
        "kind: Contender",
        "kind: Modelbundle",
        ("2: kind: unknown word 'Modelbundle'; did you mean 'ModelBundle'?"),
    ),
    (
        "v1alpha1",
        "v1",
        ("1: apiVersion: unknown version 'titanflow.io/v1'; write titanflow.io/v1alpha1"),
    ),
    ("spec:", "sepc:", "5: sepc: unknown field 'sepc'; did you mean 'spec'?"),
]


@pytest.mark.parametrize(("old", "new", "message"), CONTENDER_FLAWS)
def test_a_flaw_is_refused_at_its_line(place: Path, old: str, new: str, message: str) -> None:
    assert old in CONTENDER
    (place / "cross.yaml").write_text(CONTENDER.replace(old, new, 1))

    said = refused(place)
    assert any(line.startswith(f"f/cross.yaml:{message}") for line in said), said


@pytest.mark.parametrize("number", ["0x1", "01", "99999999999999999999"])
def test_who_wrote_no_quotes_is_not_told_to_remove_them(place: Path, number: str) -> None:
    (place / "cross.yaml").write_text(CONTENDER.replace("tier: Paper", f"replicas: {number}"))

    what = f"f/cross.yaml:12: spec.replicas: a whole number is expected, not '{number}'"
    assert [what] == refused(place)


def test_all_flaws_of_all_files_are_said_at_once(place: Path) -> None:
    (place / "arena.yaml").write_text(ARENA.replace("XNAS", "xnas").replace('"0.01"', "0.01"))
    (place / "cross.yaml").write_text(CONTENDER.replace("Rules", "Rulez").replace("Paper", "Paber"))

    lines = [said.split(" ")[0] for said in refused(place)]

    assert ["f/arena.yaml:6:", "f/arena.yaml:6:", "f/cross.yaml:7:", "f/cross.yaml:12:"] == lines


def test_a_name_may_stand_once_for_each_kind(place: Path) -> None:
    (place / "other.yaml").write_text("---\n" + CONTENDER)
    (place / "policy.yaml").write_text(POLICY.replace("house", "cross"))

    assert [
        (
            "f/other.yaml:5: metadata.name: Contender 'cross' stands already in f/cross.yaml:1; "
            "rename one of them"
        )
    ] == refused(place)


def test_two_arenas_or_none_are_refused(place: Path) -> None:
    (place / "second.yaml").write_text(ARENA.replace("main", "second"))

    assert [
        (
            "f: several arenas in one folder: f/arena.yaml:1, f/second.yaml:1; keep one; give each "
            "its own folder"
        )
    ] == refused(place)
    (place / "second.yaml").unlink()
    (place / "arena.yaml").unlink()
    assert ["f: no arena here; add a manifest of kind Arena"] == refused(place)


def test_nothing_to_read_is_said(place: Path) -> None:
    (place / "empty").mkdir()
    (place / "empty" / "notes.txt").write_text("x")
    (place / "blank.yaml").write_text("# nothing\n---\n---\n")

    assert ["f/empty: no manifests here; add files that end in .yaml or .yml"] == refused(
        place / "empty"
    )
    assert ["f/none: no such file or folder; name a folder of manifests"] == refused(place / "none")
    assert ["f/blank.yaml: no arena here; add a manifest of kind Arena"] == refused(
        place / "blank.yaml"
    )


def test_what_is_not_utf8_is_refused_at_its_line(place: Path) -> None:
    (place / "cross.yaml").write_bytes(CONTENDER.encode().replace(b"Paper", b"P\xe4per"))

    assert ["f/cross.yaml:12: this is not UTF-8; save the file as UTF-8"] == refused(place)[:1]


def test_a_file_above_the_limit_is_read_no_further(place: Path) -> None:
    (place / "cross.yaml").write_text(CONTENDER + "# " + "x" * (1 << 20))

    assert "f/cross.yaml:1: the file is larger than 1 MiB; split it into several" in refused(place)


def test_an_alias_bomb_is_refused_and_costs_nothing(place: Path) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    (place / "bomb.yaml").write_text("\n".join(levels))
    started = time.perf_counter()

    said = refused(place)

    assert ["f/bomb.yaml:5: more than 100,000 values in one document"] == said
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("depth", [40, 900, 200_000])
def test_deep_nesting_is_refused(place: Path, depth: int) -> None:
    (place / "deep.yaml").write_text("a: " + "[" * depth + "]" * depth)

    (said,) = refused(place)

    assert said.startswith("f/deep.yaml:1: ")
    assert "nest" in said


def test_nesting_through_aliases_is_refused(place: Path) -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 60)]
    (place / "deep.yaml").write_text("\n".join(lines))

    assert ["f/deep.yaml:32: nested deeper than 32 levels"] == refused(place)


def test_many_problems_are_cut(place: Path) -> None:
    (place / "many.yaml").write_text("a: 1\n---\n" * 300)

    said = refused(place)

    assert registry.PROBLEMS_MAX + 1 == len(said)
    assert said[-1].endswith("more problems; mend these first")


def test_ten_thousand_and_one_contenders_are_refused(place: Path) -> None:
    row = json.dumps(
        {
            "apiVersion": "titanflow.io/v1alpha1",
            "kind": "Contender",
            "metadata": {"name": "NAME"},
            "spec": {"recipe": {"kind": "Rules", "rules": {"name": "Macd"}}},
        }
    )
    for file in range(4):
        names = [f"c{number:05d}" for number in range(file, 10_000, 4)]
        text = "\n---\n".join(row.replace("NAME", name) for name in names)
        (place / f"many{file}.yaml").write_text(text)

    assert [
        "f: 10,001 contenders: at most 10,000 fit one arena; split them over several arenas"
    ] == refused(place)


def test_file_names_order_and_notes_change_no_digest(place: Path) -> None:
    former = load_folder(place)
    joined = place / "all.yml"
    noted = CONTENDER.replace("name: cross", "name: cross\n  annotations: {by: ann}")
    joined.write_text(f"{POLICY}\n---\n{noted}\n---\n{ARENA}")

    now = load_folder(joined)

    assert former.digest == now.digest
    assert former.digests == now.digests


def test_what_is_said_changes_the_digest(place: Path) -> None:
    former = load_folder(place)
    (place / "cross.yaml").write_text(CONTENDER.replace('"20"', '"21"'))

    now = load_folder(place)

    assert former.digest != now.digest
    assert former.digests["Arena/main"] == now.digests["Arena/main"]


def test_manifests_come_back_from_their_content(place: Path) -> None:
    former = load_folder(place)

    texts = [json.dumps(m.content(), ensure_ascii=False).encode() for m in former.manifests]

    assert former.digest == load_texts(texts, place).digest


def test_places_become_files_and_lines(place: Path) -> None:
    loaded = load_folder(place)
    error = SpecError(
        [
            Problem("a", "Contender/cross spec.recipe.rules.parameters.fast"),
            Problem("b", "Arena/main spec.instruments[0].tickSize", "do"),
            Problem("c", "Contender/cross spec.killSwitch"),
            Problem("d", "elsewhere"),
        ]
    )

    said = [str(problem) for problem in loaded.located(error).problems]

    assert "f/cross.yaml:11" == loaded.locate(
        "Contender", "cross", "spec.recipe.rules.parameters.fast"
    )
    assert [
        "f/cross.yaml:11: spec.recipe.rules.parameters.fast: a",
        "f/arena.yaml:6: spec.instruments[0].tickSize: b; do",
        "f/cross.yaml:5: spec.killSwitch: c",
        "elsewhere: d",
    ] == said


def loads(path: Path, content: bytes) -> Loaded | None:
    path.write_bytes(content)
    try:
        loaded = load_folder(path)
        again = load_texts([canonical(m.content()) for m in loaded.manifests], path.parent)
        assert loaded.digest == again.digest
        return loaded
    except SpecError as error:
        problems = error.problems
    assert all(str(problem).startswith((str(path), "…")) for problem in problems)
    return None


PIECES = [*ARENA.splitlines(keepends=True), *CONTENDER.splitlines(keepends=True)]
PIECES += [
    "---\n",
    "  ",
    "&a ",
    "*a",
    "[",
    "]",
    "{",
    "}",
    ": ",
    "- ",
    "|\n",
    "!!map ",
    "\t",
    "é",
    "'",
]


@given(
    content=st.binary(max_size=200) | st.lists(st.sampled_from(PIECES)).map("".join).map(str.encode)
)
def test_whatever_a_file_holds_it_loads_or_is_refused_in_words(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    loads(tmp_path_factory.getbasetemp() / "fuzz.yaml", content)


@given(data=st.data())
def test_a_good_manifest_with_a_wound_loads_or_is_refused_in_words(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = f"{ARENA}---\n{CONTENDER}---\n{POLICY}"
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 30)))
    wound = data.draw(st.text(max_size=8))

    content = (text[:start] + wound + text[end:]).encode("utf-8", "surrogatepass")

    loads(tmp_path_factory.getbasetemp() / "wound.yaml", content)


def test_what_a_cluster_adds_to_metadata_is_no_mistake(place: Path) -> None:
    """An object that was read from a cluster is a manifest, its status cut off."""
    before = load_folder(place).digests
    extra = (
        "metadata:\n  namespace: arena\n  uid: 0b8f\n  resourceVersion: '7'\n  generation: 2\n"
        "  creationTimestamp: '2026-11-21T09:30:00Z'\n  managedFields: [{manager: kubectl}]\n"
        "  ownerReferences: []\n  finalizers: []\n"
        "  annotations: {kubectl.kubernetes.io/last-applied-configuration: '{}'}\n"
    )
    assert "metadata:\n" in CONTENDER
    (place / "cross.yaml").write_text(CONTENDER.replace("metadata:\n", extra, 1))

    assert before == load_folder(place).digests


def test_one_folder_is_of_one_namespace(place: Path) -> None:
    for name, namespace in (("cross", "arena"), ("other", "elsewhere")):
        text = CONTENDER.replace("metadata:\n", f"metadata:\n  namespace: {namespace}\n", 1)
        (place / f"{name}.yaml").write_text(text.replace("name: cross", f"name: {name}", 1))

    assert any("several namespaces in one folder: arena, elsewhere" in s for s in refused(place))
