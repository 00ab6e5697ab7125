"""How does a tool work on a copy of the repository, so that the original stays as it is?"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tools.tree import ROOT, files


def copy_tree(target: Path, *, built: bool) -> Path:
    """Copy the repository's files to *target*, with its shared objects if *built*."""
    wanted = [*files(), *(ROOT.glob("native/**/*.so") if built else ())]
    for path in wanted:
        place = target / path.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, place)
    return target


def environment(copy: Path, **more: str) -> dict[str, str]:
    """Return an environment in which `titanflow` is imported from *copy*.

    PYTHONPATH comes before the editable install's roots, and every portion of the namespace in the
    copy is found before the same portion there.
    """
    roots = (copy / root for root in ("native", "services", "operator", "proto"))
    path = os.pathsep.join([str(copy), *map(str, roots)])
    home = str(copy / ".titanflow")
    return {
        **os.environ,
        "PYTHONPATH": path,
        "PYTHONDONTWRITEBYTECODE": "1",
        "TITANFLOW_HOME": home,
        **more,
    }


PYTHON = sys.executable
"""The interpreter for programs that run in a copy: the one that runs the tool."""
