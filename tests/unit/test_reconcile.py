"""Does the reconciler find what does not follow from the fills, and nothing else?"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from kit import ARENA, POLICY, bars_csv, contender, read_journal, small_session

from titanflow.core.base.ident import NO_ID, derive
from titanflow.core.base.instant import NS_PER_DAY
from titanflow.core.facts import Bar, Dividend, Entry, Fact, Fill, Split, Standing
from titanflow.core.spec.words import Occasion
from titanflow.runtime.plan import Plan, prepare
from titanflow.runtime.reconcile import TOLD_MAX, reconcile, reconcile_journal
from titanflow.runtime.sim import run

BORROW = "  borrow: {allowed: true, feeBpsPerYear: 5000}\n"
DAYS = 80


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("session")
        patch.setenv("TITANFLOW_HOME", str(root / "home"))
        plan, result = small_session(root)
        return plan, result.session.journal


def with_shorts(folder: Path) -> tuple[Plan, list[Fact]]:
    """Return a session with shorts that pay for borrowing, splits and dividends."""
    folder.mkdir()
    (folder / "bars.csv").write_text(bars_csv(DAYS))
    (folder / "arena.yaml").write_text(ARENA + BORROW)
    (folder / "policy.yaml").write_text(POLICY)
    for name in ("up", "down"):
        rule = contender(name, "SmaCrossover", 'fast: "2", slow: "5", short: "true"')
        (folder / f"{name}.yaml").write_text(rule)
    plan = prepare(folder, None)
    said: list[Fact] = []
    run(plan, with_actions(list(plan.events())), said.append)
    return plan, said


def with_actions(events: list[Fact]) -> list[Fact]:
    """Return bars with a split of AAA and a dividend of BBB every ten days."""
    found: list[Fact] = []
    for n, fact in enumerate(events):
        assert isinstance(fact, Bar)
        day = fact.at - NS_PER_DAY
        ident = derive(NO_ID, b"test", n)
        if fact.symbol == "AAA" and n % 20 == 18:
            found.append(Split(ident, NO_ID, day, day, "AAA", 3, 2, "test"))
        if fact.symbol == "AAA" and n % 20 == 8:
            found.append(Dividend(ident, NO_ID, day, day, "BBB", 7_000_000, "test"))
        found.append(fact)
    return found


def altered(facts: list[Fact], kind: type[Fact], which: int, **values: object) -> list[Fact]:
    """Return *facts* with values of one of them changed."""
    places = [n for n, fact in enumerate(facts) if type(fact) is kind]
    place = places[which]
    return [
        *facts[:place], msgspec.structs.replace(facts[place], **values), *facts[place + 1 :]
    ]  # fmt: skip


def test_a_right_record_has_no_difference(session: tuple[Plan, Path]) -> None:
    plan, journal = session

    found = reconcile_journal(journal, plan.folder)

    assert () == found.texts
    assert 0 == found.differences
    assert found.fills > 20
    assert found.entries > found.fills
    assert len(plan.ground.entrants) == found.standings


def test_borrowing_splits_and_dividends_follow_too(tmp_path: Path) -> None:
    plan, facts = with_shorts(tmp_path / "arena")
    occasions = {fact.occasion for fact in facts if isinstance(fact, Entry)}
    assert {Occasion.BORROW, Occasion.SPLIT, Occasion.DIVIDEND, Occasion.FILL} <= occasions

    found = reconcile(plan.ground, facts)

    assert () == found.texts
    assert 2 == found.standings


@pytest.mark.parametrize("occasion", list(Occasion))
def test_an_entry_of_any_occasion_that_is_a_cent_off_is_named(
    tmp_path: Path, occasion: Occasion
) -> None:
    plan, facts = with_shorts(tmp_path / "arena")
    entries = [fact for fact in facts if isinstance(fact, Entry)]
    which = next(n for n, fact in enumerate(entries) if fact.occasion is occasion)

    found = reconcile(plan.ground, altered(facts, Entry, which, amount=entries[which].amount + 1))

    assert 1 == found.differences
    assert entries[which].cause.hex()[:12] in found.texts[0]


def test_a_fill_that_was_altered_is_named(session: tuple[Plan, Path]) -> None:
    plan, journal = session
    facts = read_journal(journal)[1]
    fill = next(fact for fact in facts if isinstance(fact, Fill))

    found = reconcile(plan.ground, altered(facts, Fill, 0, fee=fill.fee + 1))

    assert any(fill.id.hex()[:12] in text for text in found.texts)
    assert any(f"{fill.contender}: fees of the standing" in text for text in found.texts)


def test_a_fill_that_was_never_posted_is_named(session: tuple[Plan, Path]) -> None:
    plan, journal = session
    facts = read_journal(journal)[1]
    fill = next(fact for fact in facts if isinstance(fact, Fill))
    left = [fact for fact in facts if not isinstance(fact, Entry) or fact.cause != fill.id]

    found = reconcile(plan.ground, left)

    assert any(f"fill {fill.id.hex()[:12]} of {fill.contender} was never" in t for t in found.texts)


def test_a_fill_that_was_posted_twice_is_named(session: tuple[Plan, Path]) -> None:
    plan, journal = session
    facts = read_journal(journal)[1]
    last = [fact for fact in facts if isinstance(fact, Entry)][-1]
    again = [fact for fact in facts if isinstance(fact, Entry) and fact.cause == last.cause]
    other = next(fact for fact in facts if isinstance(fact, Fill) and fact.id != last.cause)
    between = [fact for fact in facts if isinstance(fact, Entry) and fact.cause == other.id]

    found = reconcile(plan.ground, [*facts, *again, *between])

    assert any(last.cause.hex()[:12] in text and "was posted" in text for text in found.texts)


def test_a_fill_that_stands_twice_is_named(session: tuple[Plan, Path]) -> None:
    plan, journal = session
    facts = read_journal(journal)[1]
    place = next(n for n, fact in enumerate(facts) if isinstance(fact, Fill))

    found = reconcile(plan.ground, [*facts[: place + 1], *facts[place:]])

    assert "stands twice" in found.texts[0]


@pytest.mark.parametrize("field", ["equity", "fees", "fills"])
def test_a_standing_that_is_one_off_is_named(session: tuple[Plan, Path], field: str) -> None:
    plan, journal = session
    facts = read_journal(journal)[1]
    standing = next(fact for fact in facts if isinstance(fact, Standing))

    found = reconcile(
        plan.ground, altered(facts, Standing, 0, **{field: getattr(standing, field) + 1})
    )

    assert 1 == found.differences
    assert found.texts[0].startswith(f"{standing.contender}: {field} of the standing")


def test_only_the_first_differences_are_told(session: tuple[Plan, Path]) -> None:
    plan, journal = session
    facts = [fact for fact in read_journal(journal)[1] if not isinstance(fact, Entry)]
    fills = [fact for fact in facts if isinstance(fact, Fill)]
    many = [
        msgspec.structs.replace(fills[0], id=derive(NO_ID, b"many", n)) for n in range(TOLD_MAX)
    ]

    found = reconcile(plan.ground, [*facts, *many])

    assert found.differences > TOLD_MAX == len(found.texts)
