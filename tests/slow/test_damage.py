"""A journal that was damaged at random is never taken for sound: each flip is found and named."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from kit import small_session

from titanflow.runtime.journal import Reader
from titanflow.runtime.record import Result
from titanflow.runtime.verify import Result as Found
from titanflow.runtime.verify import verify

FLIPS = 1000
SEED = 20261124


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Result:
    root = tmp_path_factory.mktemp("damage")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TITANFLOW_HOME", str(root / "state"))
        return small_session(root, days=25)[1]


def place_of(offsets: list[int], byte: int) -> int:
    """Return the number of the record that holds a byte."""
    return max((n for n, offset in enumerate(offsets) if offset <= byte), default=0)


def test_a_thousand_flipped_bytes_are_all_found_and_named(session: Result, tmp_path: Path) -> None:
    data = session.session.journal.read_bytes()
    offsets = [record.offset for record in Reader(session.session.journal).records()]
    chance = random.Random(SEED)
    for number in range(FLIPS):
        place, bit = chance.randrange(len(data)), 1 << chance.randrange(8)
        damaged = bytearray(data)
        damaged[place] ^= bit
        (tmp_path / "j").write_bytes(damaged)

        finding = verify(tmp_path / "j", session.plan.folder)

        told = f"seed {SEED}, flip {number}: byte {place} bit {bit}: {finding}"
        assert finding.result is Found.MISMATCH, told
        # The closing record is not among the offsets: it is the one after the last.
        assert finding.record in (place_of(offsets, place), len(offsets)), told
