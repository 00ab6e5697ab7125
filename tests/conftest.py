"""Shared set-up: oracles are importable, and hypothesis never depends on the machine's speed."""

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

for folder in ("oracles", "support"):
    sys.path.insert(0, str(Path(__file__).parent / folder))

settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("ci")
