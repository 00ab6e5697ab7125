"""Where do the files of a session of pods lie? Beside its journal, in `live`, while it runs.

`live` holds the streams, the keys, the snapshots and the logs. When a session has ended everything
that counts is in the journal, and `live` goes.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from titanflow.adapters.bus.keys import Key, make, read
from titanflow.adapters.bus.permissions import HOST
from titanflow.adapters.bus.streams import Pod, Topology
from titanflow.adapters.rpc.tls import TlsFiles
from titanflow.core.base.errors import AdapterError
from titanflow.runtime.authority import files_of


class Settings(msgspec.Struct, frozen=True):
    """How a live session runs: what `up` was asked for, kept so that a restart asks for nothing."""

    manifests: str
    """The folder of the manifests, absolute."""
    speed: float
    """Seconds of market time in a second; 0 is lock step, as fast as that goes."""
    tls: str = ""
    """The folder of certificates, absolute; empty where pods speak plainly on this machine."""


class Live:
    """The folder of one live session."""

    def __init__(self, session: Path) -> None:
        self.session = session
        self.path = session / "live"
        self.nats = self.path / "nats"

    @property
    def exists(self) -> bool:
        """Say whether the session has not ended, or left its files."""
        return (self.path / "topology.json").exists()

    def make(self, topology: Topology, settings: Settings) -> None:
        """Make the folder, with a key for everybody.

        Raises: AdapterError if it cannot be written.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True)
            (self.path / "pods").mkdir()
            for pod in topology.pods:
                self.key(pod.name, is_new=True)
            self.key(HOST, is_new=True)
            replace(self.path / "settings.json", msgspec.json.encode(settings))
            # Last, because it says that everything is there.
            replace(self.path / "topology.json", msgspec.json.encode(topology))
        except OSError as error:
            raise AdapterError(f"cannot make {self.path}: {error.strerror}") from error

    def topology(self) -> Topology:
        """Return the session's topology."""
        return msgspec.json.decode((self.path / "topology.json").read_bytes(), type=Topology)

    def settings(self) -> Settings:
        """Return how the session was started."""
        return msgspec.json.decode((self.path / "settings.json").read_bytes(), type=Settings)

    def key(self, user: str, *, is_new: bool = False) -> Key:
        """Return the key of one user.

        Raises: AdapterError if it cannot be read.
        """
        path = self.path / "keys" / f"{user}.nk"
        return make(path) if is_new else read(path)

    def keys(self, topology: Topology) -> dict[str, str]:
        """Return the public key of everybody, for the server's configuration."""
        names = [HOST, *(pod.name for pod in topology.pods)]
        return {name: self.key(name).public for name in names}

    def tls(self, name: str) -> TlsFiles | None:
        """Return the certificate files of a pod or person; None if the session speaks plainly.

        Raises: SpecError if *name* can be no name of a certificate.
        """
        folder = self.settings().tls
        return files_of(Path(folder), name) if folder else None

    def pod(self, pod: Pod | str) -> Path:
        """Return the folder of one pod, made if it is not there."""
        path = self.path / "pods" / (pod if isinstance(pod, str) else pod.name)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def remove(self) -> None:
        """Delete the folder: streams, keys, snapshots and logs."""
        shutil.rmtree(self.path, ignore_errors=True)


def replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, and on the disk when this returns: its name as well."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
