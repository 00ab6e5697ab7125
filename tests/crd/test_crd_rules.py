"""Do the models refuse what the API server refuses, rule by rule?

`tests/crd/server` runs the same table through a real API server.
"""

from __future__ import annotations

import crd_kit as kit
import pytest

CASES = kit.cases()
STANDING = [case for case in CASES if case.old is None]


def test_every_rule_has_a_case_and_every_case_a_rule() -> None:
    ruled = {(kind, path, message) for kind in kit.WHOLE for path, message in kit.rules(kind)}
    tried = {(case.kind, case.path, case.message) for case in CASES}

    assert ruled == tried


@pytest.mark.parametrize("kind", kit.WHOLE)
def test_objects_with_every_field_are_taken(kind: str) -> None:
    told = [kit.refusals(kind, spec) for spec in kit.WHOLE[kind]]
    paths = [path for path, _ in kit.nodes(kit.schema_of(kind))]

    assert [[]] * len(told) == told
    assert all(kit.place_in(kind, path) for path in paths)


@pytest.mark.parametrize("case", STANDING, ids=lambda case: case.name)
def test_a_rule_is_kept_by_one_and_broken_by_the_other(case: kit.Case) -> None:
    assert [] == kit.refusals(case.kind, case.good)
    assert [] != kit.refusals(case.kind, case.bad)


OWN_WORDS = (
    "an instrument is priced",
    "killSwitch.instruments names",
    "write file:///",
    "this is not a time",
)
"""Rules of which the loader says more: which symbol, which place, which time."""


@pytest.mark.parametrize(
    "case",
    [case for case in STANDING if not case.message.startswith(OWN_WORDS)],
    ids=lambda case: case.name,
)
def test_both_say_the_same_words(case: kit.Case) -> None:
    said = kit.refusals(case.kind, case.bad)

    assert case.message in said


def test_a_change_of_an_object_is_between_two_good_ones() -> None:
    """What a folder holds has no past; only the server can refuse these."""
    changes = [case for case in CASES if case.old is not None]

    assert len(changes) >= 30
    for case in changes:
        assert [] == kit.refusals(case.kind, case.good)
        assert [] == kit.refusals(case.kind, case.bad)
        assert case.old is not None
        assert [] == kit.refusals(case.kind, case.old)
