"""Is it noticed when a contender says something else in another process, or on another day?"""

import time
from pathlib import Path

import pytest
from kit import small_folder

from titanflow.runtime.plan import prepare
from titanflow.runtime.rehearse import NAME, check_contender

SOURCE = '''
import os
import time
from datetime import date, datetime

from titanflow.core.contender.protocol import lean


class Odd:
    """Leans by what is not in the view."""

    features = ()

    def decide(self, view):
        """Lean."""
        return lean(1.0 if LEAN else -1.0)
'''
MANIFEST = """\
apiVersion: titanflow.io/v1alpha1
kind: Contender
metadata: {name: odd}
spec: {tier: Paper, recipe: {kind: Python, python: {entryPoint: "MODULE:Odd"}}}
"""
SOON = time.time() + 86_400
WORDS = "['a', 'bc', 'def', 'ghij', 'klmno', 'pqrstu']"


def checked(folder: Path, module: str, lean: str) -> dict[str, str]:
    """Return what failed, by its check, of a contender that leans as *lean* says."""
    small_folder(folder)
    (folder / f"{module}.py").write_text(SOURCE.replace("LEAN", lean))
    (folder / "odd.yaml").write_text(MANIFEST.replace("MODULE", module))
    results = check_contender(prepare(folder, None), "odd")
    assert NAME == results[-1].name
    return {each.name: each.text for each in results if not each.passed}


@pytest.mark.parametrize(
    ("module", "lean"),
    [
        ("odd_hash", "hash(f'{view.symbol} {view.bars_seen}') % 2"),
        ("odd_set", f"list(set({WORDS}))[view.bars_seen % 6] in {{'a', 'def', 'klmno'}}"),
        ("odd_pid", "(os.getpid() * 2654435761 >> view.bars_seen % 30) % 2"),
        ("odd_date", f"date.today() < date.fromtimestamp({SOON + 30 * 86_400})"),
        ("odd_now", f"datetime.now().timestamp() < {SOON}"),
        ("odd_time", f"time.time() < {SOON}"),
        ("odd_import", f"__import__('calendar').timegm(time.gmtime()) < {SOON}"),
    ],
    # Named: an id with the clock in it differs between the workers that collect it.
    ids=lambda value: value if value.startswith("odd_") else "",
)
def test_what_holds_in_one_process_only_is_caught(tmp_path: Path, module: str, lean: str) -> None:
    found = checked(tmp_path / "arena", module, lean)

    assert {NAME} == set(found)
    assert "says something else at bar" in found[NAME]
    assert "view.chance()" in found[NAME]


def test_the_clock_is_moved_also_where_the_folder_is_relative_or_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lean = f"datetime.now().timestamp() < {SOON}"
    assert {NAME} == set(checked(tmp_path / "arena", "odd_place", lean))
    (tmp_path / "link").symlink_to(tmp_path / "arena")
    monkeypatch.chdir(tmp_path)
    for folder in (Path("arena"), Path("link")):
        results = check_contender(prepare(folder, None), "odd")

        assert [NAME] == [each.name for each in results if not each.passed], folder


def test_what_depends_on_the_view_alone_passes(tmp_path: Path) -> None:
    assert {} == checked(tmp_path / "arena", "odd_calm", "sorted({'b', 'a'})[0] == 'a'")


def test_a_process_that_ends_early_is_told_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    lean = "os.environ.get('PYTHONHASHSEED') != '1' or os._exit(7)"

    found = checked(tmp_path / "arena", "odd_exit", lean)

    assert "another process ended with 7" in found[NAME]


def test_what_a_contender_prints_is_no_answer(tmp_path: Path) -> None:
    assert {} == checked(tmp_path / "arena", "odd_talk", "print('x' * 9) is None")
