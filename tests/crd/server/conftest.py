"""A real API server with our resources, once for all tests of this folder."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from apiserver_kit import ApiServer, running

from tools.make_crds import CRDS


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server that knows nothing of us."""
    with running(tmp_path_factory.mktemp("apiserver")) as server:
        yield server


@pytest.fixture(scope="session")
def server(bare: ApiServer) -> ApiServer:
    """An API server with the committed resources."""
    bare.kubectl("apply", "--server-side", "-f", str(CRDS))
    bare.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
    until = time.monotonic() + 30
    while bare.ask("GET", "/apis/titanflow.io/v1alpha1/namespaces/default/arenas").code != 200:
        assert time.monotonic() < until, "the resources are not served"
        time.sleep(0.1)
    return bare
