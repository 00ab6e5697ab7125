"""Where do sessions live? In `.titanflow/sessions/<id>`: a journal, and a card that sums it up.

The card (`session.json`) is for people and lists; nothing is believed because it stands there.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import isnan
from pathlib import Path

import msgspec

from titanflow.core.base.errors import AdapterError, NotFoundError, Problem, SpecError
from titanflow.core.base.nearest import close_to
from titanflow.core.facts import Standing

JOURNAL = "journal.tfj"
CARD = "session.json"
LATEST = "@latest"


class Card(msgspec.Struct, frozen=True):
    """What a session was, in one file.

    `status` is Running, Paused, Completed, Interrupted, Failed, or Unknown where the card is lost.
    """

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
            card = msgspec.json.decode((self.path / CARD).read_bytes(), type=Card)
        except (OSError, msgspec.DecodeError):
            return Card(self.name, "?", "?", "", "Unknown")
        if card.status != "Running":
            return card
        # Who was killed, or found the disk full, could not write how it ended.
        return msgspec.structs.replace(card, status=self._state())

    def _state(self) -> str:
        """Return what has become of a session whose card says that it runs."""
        live = self.path / "live"
        if (live / "topology.json").exists():
            try:
                os.kill(int((live / "up.pid").read_text("ascii")), 0)
            except PermissionError:
                return "Running"
            except (OSError, ValueError):
                return "Paused"
            return "Running"
        return "Running" if self._is_held() else "Interrupted"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let others see that the session runs, until the process ends in whatever way."""
        number = os.open(self.path, os.O_RDONLY)
        try:
            # On a file system without locks the session only looks interrupted while it runs.
            with suppress(OSError):
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        finally:
            os.close(number)

    def _is_held(self) -> bool:
        """Say whether a process holds the session, by trying to."""
        number = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(number)
        return False

    def write_card(self, card: Card) -> None:
        """Replace the card, whole or not at all, and on the disk when this returns."""
        from titanflow.runtime.place import replace

        replace(self.path / CARD, msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n")

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
        except OSError as error:
            if isinstance(error, FileExistsError) and path.exists():
                continue
            raise AdapterError(
                f"cannot make {path}: {error.strerror}; set TITANFLOW_HOME to a writable folder"
            ) from error
        return Session(path)
    raise AdapterError(f"a thousand sessions began in one second under {home()}")


def sessions() -> list[Session]:
    """Return all sessions, oldest first.

    Raises: AdapterError if their folder cannot be read.
    """
    root = home() / "sessions"
    try:
        return [Session(p) for p in sorted(root.iterdir()) if p.is_dir()] if root.is_dir() else []
    except OSError as error:
        raise AdapterError(
            f"cannot read {root}: {error.strerror}; set TITANFLOW_HOME to a folder of your own"
        ) from error


def find(name: str) -> Session:
    """Return a session by id, by a unique beginning of it, by path, or `@latest`.

    Raises: NotFoundError if there is none; SpecError if there is more than one.
    """
    direct = Path(name)
    if "/" in name or direct.name == JOURNAL or (direct / JOURNAL).exists():
        path = direct.parent if direct.is_file() else direct
        if (path / JOURNAL).exists():
            return Session(path)
    known = sessions()
    if name == LATEST and known:
        return known[-1]
    begun = [s for s in known if name and s.name.startswith(name)]  # every name begins with ""
    matches = [s for s in known if s.name == name] or begun
    if len(matches) == 1:
        return matches[0]
    where = str(home() / "sessions")
    if matches:
        what = f"{len(matches)} sessions begin with {name!r}"
        raise SpecError([Problem(what, where, "see `titanflow session list`")])
    close = close_to(name, [session.name for session in known])
    do = f"did you mean {close!r}?" if close else "see `titanflow session list`"
    what = f"no session {name!r}" if name != LATEST else "there is no session yet"
    raise NotFoundError([Problem(what, where, do if known else "start one with `titanflow up`")])


def demand_removable(session: Session) -> None:
    """Refuse to delete what runs, and folders that we did not make: they may hold other things.

    Raises: SpecError with the reason.
    """
    root = home() / "sessions"
    if session.path.is_symlink() or session.path.resolve().parent != root.resolve():
        what, do = f"it is no session of {root}", "delete it by hand, or set TITANFLOW_HOME"
        raise SpecError([Problem(what, str(session.path), do)])
    if session.card().status == "Running":
        raise SpecError([Problem("the session is running", session.name, "end it first")])


def remove(session: Session) -> None:
    """Delete a session's folder.

    Raises: SpecError if it runs, or lies elsewhere than our sessions do.
    """
    demand_removable(session)
    shutil.rmtree(session.path)


def standing_row(standing: Standing) -> dict[str, object]:
    """Return a standing as plain data for JSON: numbers that do not exist become null."""
    row = {name: getattr(standing, name) for name in standing.__struct_fields__[4:]}
    return {
        key: (None if isinstance(value, float) and isnan(value) else value)
        for key, value in row.items()
    }
