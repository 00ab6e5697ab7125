"""How is a running serving pod asked to use another bundle? By a folder of wishes and answers.

Whoever wishes puts a signed archive there, the signature first; the pod looks into the folder
several times a second and puts its answer beside each. A folder needs no port and no process id,
and what was served still stands there when the pod starts again. Who may write there decides what
is served, as with the folder of manifests: the signature must be by a trusted key all the same.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from titanflow.adapters.bundles.archive import ARCHIVE_BYTES_MAX, SUFFIX, file_name, sha256_of
from titanflow.adapters.bundles.signing import SIGNATURE_SUFFIX
from titanflow.adapters.bundles.store import read_archive
from titanflow.core.base.errors import AdapterError
from titanflow.runtime.place import replace

FOLDER: Final = "use"
"""Name of the folder, in the pod's own."""
ANSWER_SUFFIX: Final = ".said"
LOOK_SECONDS: Final = 0.1


class Answered(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a wish: served under a name, or refused at a step."""

    name: str = ""
    digest: str = ""
    former: str = ""
    """The digest that had the name before; empty if nothing had it."""
    step: str = ""
    """The step that refused it; empty if it is served."""
    text: str = ""


def wish(folder: Path, archive: Path) -> Path:
    """Put a bundle and its signature into a pod's folder of wishes and return the file there.

    Raises: AdapterError if a file cannot be read or written.
    """
    place = folder / FOLDER
    content = read_archive(archive, ARCHIVE_BYTES_MAX)
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        number = len(list(wishes(folder))) + 1
        path = place / f"{number:06d}-{file_name('wish', sha256_of(content))}"
        signature = archive.with_name(archive.name + SIGNATURE_SUFFIX)
        if signature.exists():
            shutil.copyfile(signature, path.with_name(path.name + SIGNATURE_SUFFIX))
        replace(path, content)
    except OSError as error:
        raise AdapterError(f"cannot write into {place}: {error.strerror}") from error
    return path


def wishes(folder: Path) -> Iterator[Path]:
    """Give the archives of a pod's folder of wishes, in the order in which they came."""
    yield from sorted((folder / FOLDER).glob(f"*{SUFFIX}"))


def answer_file(path: Path) -> Path:
    """Return where the answer to a wish stands."""
    return path.with_name(path.name + ANSWER_SUFFIX)


def answered(path: Path) -> Answered | None:
    """Return the answer to a wish, None while there is none."""
    try:
        return msgspec.json.decode(answer_file(path).read_bytes(), type=Answered)
    except FileNotFoundError:
        return None


def answer(path: Path, said: Answered) -> None:
    """Write the answer to a wish."""
    replace(answer_file(path), msgspec.json.encode(said))
