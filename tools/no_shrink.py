"""Does a property fail at all? A pytest plugin that spares hypothesis the search for the smallest.

`make mutants` wants to know only whether a fault is noticed; the smallest example of it would take
most of the time.
"""

from __future__ import annotations

import pytest
from hypothesis import Phase, settings


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """Load the profile of the tests' own set-up without its last phases."""
    phases = (Phase.explicit, Phase.generate)
    settings.register_profile("no-shrink", settings.get_profile("ci"), phases=phases)
    settings.load_profile("no-shrink")
