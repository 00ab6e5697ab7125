"""Where do sessions live? In `.titanflow/sessions/<id>`: a journal, and a card that sums it up.

The card (`session.json`) is for people and lists; nothing is believed because it stands there.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from math import isnan
from pathlib import Path

import msgspec

from titanflow.core.base.errors import AdapterError, Problem, SpecError
from titanflow.core.facts import Standing

JOURNAL = "journal.tfj"
CARD = "session.json"
LATEST = "@latest"


class Card(msgspec.Struct, frozen=True):
    """What a session was, in one file; `status` is Running, Completed, Interrupted or Failed."""

    session: str
    arena: str
    created: str
    folder: str
    """The folder of the manifests, absolute: where a contender's own Python code was found."""
    status: str
    digest: str = ""
    events: int = 0
    facts: dict[str, int] = {}
    checked: int = 0
    broken: int = 0
    seconds: float = 0.0
    standings: tuple[dict[str, object], ...] = ()


class Session(msgspec.Struct, frozen=True):
    """A session's folder."""

    path: Path

    @property
    def name(self) -> str:
        """Give the session's id."""
        return self.path.name

    @property
    def journal(self) -> Path:
        """Give the path of the journal."""
        return self.path / JOURNAL

    def card(self) -> Card:
        """Return the card; a session whose card is lost gets one that says so."""
        try:
            return msgspec.json.decode((self.path / CARD).read_bytes(), type=Card)
        except (OSError, msgspec.DecodeError):
            return Card(self.name, "?", "?", "", "Unknown")

    def write_card(self, card: Card) -> None:
        """Replace the card, whole or not at all."""
        temporary = self.path / (CARD + ".new")
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n")
        temporary.replace(self.path / CARD)

    def size_bytes(self) -> int:
        """Return the bytes of all files of the session."""
        return sum(p.stat().st_size for p in self.path.iterdir() if p.is_file())


def home() -> Path:
    """Return the folder of all state: TITANFLOW_HOME, or .titanflow in the current folder."""
    return Path(os.environ.get("TITANFLOW_HOME") or ".titanflow")


def create(arena: str) -> Session:
    """Make the folder of a new session; its id is the UTC time and the arena's name.

    Raises: AdapterError if the folder cannot be made.
    """
    now = dt.datetime.now(dt.UTC)
    base = f"{now:%Y%m%dT%H%M%S}-{arena}"
    for attempt in range(1000):
        path = home() / "sessions" / (base if attempt == 0 else f"{base}-{attempt}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise AdapterError(
                f"cannot make {path}: {error.strerror}; set TITANFLOW_HOME to a writable folder"
            ) from error
        return Session(path)
    raise AdapterError(f"a thousand sessions began in one second under {home()}")


def sessions() -> list[Session]:
    """Return all sessions, oldest first."""
    root = home() / "sessions"
    return [Session(p) for p in sorted(root.iterdir()) if p.is_dir()] if root.is_dir() else []


def find(name: str) -> Session:
    """Return a session by id, by a unique beginning of it, by path, or `@latest`.

    Raises: SpecError if there is none, or more than one.
    """
    direct = Path(name)
    if "/" in name or direct.name == JOURNAL or (direct / JOURNAL).exists():
        path = direct.parent if direct.is_file() else direct
        if (path / JOURNAL).exists():
            return Session(path)
    known = sessions()
    if name == LATEST and known:
        return known[-1]
    matches = [s for s in known if s.name == name] or [s for s in known if s.name.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    what = f"{len(matches)} sessions begin with {name!r}" if matches else f"no session {name!r}"
    raise SpecError([Problem(what, str(home() / "sessions"), "see `titanflow session list`")])


def remove(session: Session) -> None:
    """Delete a session's folder."""
    shutil.rmtree(session.path)


def standing_row(standing: Standing) -> dict[str, object]:
    """Return a standing as plain data for JSON: numbers that do not exist become null."""
    row = {name: getattr(standing, name) for name in standing.__struct_fields__[4:]}
    return {
        key: (None if isinstance(value, float) and isnan(value) else value)
        for key, value in row.items()
    }
