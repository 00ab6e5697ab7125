"""Makes the package importable for its own test, as `titanflow -f` does for the arena."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
