"""Is every hostile bundle refused within a second, at the step that is meant for it?

The whole way as a session takes it: file, signature, digest, archive, manifest, graph, load, golden
vectors. What is let through on purpose meets the process of its own, in test_model_host.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from model_kit import (
    Signer,
    at_random,
    linear_archive,
    loop_forever,
    members,
    not_a_number,
    outside_data,
    sixteen_gigabytes,
)

from titanflow.adapters.bundles.archive import pack
from titanflow.adapters.bundles.refusal import BundleRefusedError, Step
from titanflow.adapters.bundles.store import open_file
from titanflow.adapters.models import graph_of

SECONDS_MAX = 1.0


def signed(model: Callable[[], bytes]) -> Callable[[Path, Signer], Path]:
    return lambda folder, signer: signer.write(folder, pack(members(model())))


def tampered(folder: Path, signer: Signer) -> Path:
    path = signer.write(folder, linear_archive())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    return path


def unsigned(folder: Path, signer: Signer) -> Path:
    path = signer.write(folder, linear_archive())
    path.with_name(path.name + ".sig").unlink()
    return path


def by_a_stranger(folder: Path, signer: Signer) -> Path:
    return Signer(folder / "elsewhere", "stranger").write(folder, linear_archive())


HOSTILE = {
    "16 GB": (signed(sixteen_gigabytes), Step.GRAPH),
    "endless loop": (signed(loop_forever), Step.GRAPH),
    "NaN": (signed(not_a_number), Step.GOLDEN),
    "random operator": (signed(at_random), Step.GRAPH),
    "external data": (signed(outside_data), Step.GRAPH),
    "pickle": (signed(lambda: pickle.dumps(print)), Step.GRAPH),
    "tampered": (tampered, Step.HASH),
    "unsigned": (unsigned, Step.SIGNATURE),
    "by a stranger": (by_a_stranger, Step.SIGNATURE),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_bundle_is_refused_within_a_second(tmp_path: Path, name: str) -> None:
    make, step = HOSTILE[name]
    signer = Signer(tmp_path / "keys")
    path = make(tmp_path / "bundles", signer)
    start = time.monotonic()

    with pytest.raises(BundleRefusedError) as caught:
        graph_of(open_file(path, signer.trust))

    assert step is caught.value.step
    assert time.monotonic() - start <= SECONDS_MAX


def test_a_decent_one_is_let_in(tmp_path: Path) -> None:
    signer = Signer(tmp_path / "keys")
    path = signer.write(tmp_path / "bundles", linear_archive())

    assert graph_of(open_file(path, signer.trust))
