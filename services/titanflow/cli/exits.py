"""Which exit code means what? One table, the same for every command."""

from __future__ import annotations

from typing import Final

OK: Final = 0
ERROR: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
REFUSED: Final = 6
UNHEALTHY: Final = 8
MISMATCH: Final = 9
INTERRUPTED: Final = 130
