"""Build native/**/*.pyx in place; hatchling then packs the shared objects.

As a script it rebuilds what is stale, without an install: `python hatch_build.py [book gate ...]`.
Each module gets a constant `SOURCE_SHA256`, so that a stale `.so` is noticed (a test compares it).
TITANFLOW_CFLAGS adds compiler flags, such as -O0; results do not depend on them (a test says so).
"""

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ModuleNotFoundError:  # as a script, hatchling may be absent
    BuildHookInterface = object  # type: ignore[assignment,misc]

ROOT = Path(__file__).resolve().parent
# No -march and no -ffast-math: every machine must compute the same bits.
FLAGS = ["-O3", "-ffp-contract=off", "-fwrapv", "-Wno-unused-function", "-Wno-unreachable-code"]
# Two compilers at a time: the smallest machine that we build on has two cores.
WORKERS = min(2, os.cpu_count() or 1)


def source_sha256(path: Path) -> str:
    """Return the digest of a .pyx together with the .pxd files beside it, in hexadecimal."""
    digest = hashlib.sha256(path.read_bytes())
    for header in sorted(path.parent.glob("*.pxd")):
        digest.update(header.read_bytes())
    return digest.hexdigest()


def build(root: Path, names: list[str], build_dir: Path, *, force: bool = False) -> None:
    """Compile the named modules (all when empty) to shared objects beside their sources."""
    import Cython
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    native = root / "native"
    extra = os.environ.get("TITANFLOW_CFLAGS", "").split()
    # A change of flags, directives or Cython must not reuse what others made.
    recipe = hashlib.sha256(Path(__file__).read_bytes() + Cython.__version__.encode())
    recipe.update(" ".join(extra).encode())
    temp = build_dir / ("temp-" + recipe.hexdigest()[:8])
    # The digest in the module covers all .pxd files, so a change of any makes each module anew.
    headers = [str(path.relative_to(root)) for path in sorted(native.rglob("*.pxd"))]
    extensions = []
    for path in sorted(native.rglob("*.pyx")):
        if names and path.stem not in names:
            continue
        module = ".".join(path.relative_to(native).with_suffix("").parts)
        macro = ("TITANFLOW_SOURCE_SHA256", f'"{source_sha256(path)}"')
        extensions.append(
            Extension(
                module,
                [str(path.relative_to(root))],
                depends=["hatch_build.py", *headers],
                extra_compile_args=[*FLAGS, *extra],
                define_macros=[macro, ("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
            )
        )
    before = Path.cwd()
    os.chdir(root)  # Cython and build_ext take relative paths
    try:
        modules = cythonize(
            extensions,
            build_dir=str(temp / "cython"),
            include_path=["native"],  # .pxd files are found without an install, too
            force=force,
            nthreads=min(WORKERS, len(extensions)) if len(extensions) > 1 else 0,
            language_level=3,
            compiler_directives={
                "boundscheck": False,
                "wraparound": False,
                "cdivision": True,
                "initializedcheck": False,
                "embedsignature": True,
            },
            quiet=True,
        )
        distribution = Distribution({"ext_modules": modules, "package_dir": {"": "native"}})
        command: Any = distribution.get_command_obj("build_ext")
        command.inplace, command.build_temp, command.force = True, str(temp), force
        command.parallel = WORKERS
        command.ensure_finalized()
        command.run()
    finally:
        os.chdir(before)


class CythonHook(BuildHookInterface):
    """The hook that hatchling calls for wheels and editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Compile everything and mark the wheel as bound to this platform."""
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        build(root, [], Path("build"))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if not a.startswith("-")]
    build(ROOT, arguments, Path("build"), force="--force" in sys.argv)
