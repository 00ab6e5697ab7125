"""How large is an environment that holds TitanFlow and what it needs, and nothing else?

`python -m tools.base_size VENV` measures the files of an environment, prints the largest packages
and ends with 1 above the limit.
"""

from __future__ import annotations

import sys
from pathlib import Path

LIMIT_MB = 450
"""Two thirds of it are PyArrow, onnxruntime and NumPy; what grows beyond belongs into an extra."""

MB = 1_000_000


def size(path: Path) -> int:
    """Return the bytes of the files below *path*, links not followed."""
    if path.is_symlink() or path.is_file():
        return path.lstat().st_size
    return sum(each.lstat().st_size for each in path.rglob("*") if not each.is_dir())


def main(environment: Path) -> int:
    """Print the sizes and say whether the environment is small enough."""
    packages = next(environment.glob("lib/python3*/site-packages"))
    sizes = sorted(((size(path), path.name) for path in packages.iterdir()), reverse=True)
    for each, name in sizes[:6]:
        print(f"{each / MB:7.1f} MB  {name}")
    total = size(environment) / MB
    print(f"{total:7.1f} MB  in all, at most {LIMIT_MB}")
    return 0 if total <= LIMIT_MB else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
