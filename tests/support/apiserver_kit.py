"""A real API server for tests: kube-apiserver and etcd on the loopback, with a folder of their own.

The binaries come from where `make cluster` keeps them, or from the folder that TITANFLOW_KUBE_BIN
names. It is never another cluster: the server is started here and asked under its own address.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

READY_S = 90.0
"""It takes 4 s on two free cores."""
STOP_S = 10.0
_PR_SET_PDEATHSIG = 1


class Answer(NamedTuple):
    """What the server answered."""

    code: int
    body: Any
    warnings: tuple[str, ...]

    @property
    def words(self) -> str:
        """Give its message, or nothing."""
        return str(self.body.get("message", "")) if isinstance(self.body, dict) else ""

    @property
    def causes(self) -> list[tuple[str, str, str]]:
        """Give field, reason and message of each cause of a refusal."""
        causes = self.body.get("details", {}).get("causes", [])
        return [(c.get("field", ""), c.get("reason", ""), c.get("message", "")) for c in causes]


class ApiServer:
    """A running server; made by `running`."""

    def __init__(self, folder: Path, bin_folder: Path, port: int, token: str) -> None:
        self.folder, self._bin, self.port, self._token = folder, bin_folder, port, token
        self.kubeconfig = folder / "kubeconfig"
        self._link: http.client.HTTPSConnection | None = None

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        kind: str = "application/json",
        token: str = "",
    ) -> Answer:
        """Ask the server; *body* is sent as JSON, which YAML readers take as well."""
        if self._link is None:
            context = ssl.create_default_context(cafile=self.folder / "certs/apiserver.crt")
            self._link = http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=30, context=context
            )
        headers = {"Authorization": f"Bearer {token or self._token}", "Content-Type": kind}
        text = None if body is None else json.dumps(body)
        try:
            self._link.request(method, path, text, headers)
            answer = self._link.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self._link.close()
            self._link = None
            raise
        warnings = tuple(answer.headers.get_all("Warning") or ())
        is_json = "json" in answer.headers.get_content_type()
        return Answer(answer.status, json.loads(content) if is_json else content.decode(), warnings)

    def kubectl(self, *words: str, ok: bool = True, text: str = "") -> str:
        """Run kubectl against this server; return what it printed.

        Raises: AssertionError with its complaint if it fails (or, without *ok*, if it does not).
        """
        done = subprocess.run(
            [str(self._bin / "kubectl"), f"--kubeconfig={self.kubeconfig}", *words],
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "HOME": str(self.folder)},
        )
        assert (done.returncode == 0) == ok, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def close(self) -> None:
        """Let go of the connection."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def is_ready(self) -> bool:
        """Say whether it answers that it is ready."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.ask("GET", "/readyz").code == 200
        return False


def binaries() -> Path:
    """Return the folder of etcd, kube-apiserver and kubectl.

    Raises: AssertionError if they are not there, with what to do: no test is skipped.
    """
    told = os.environ.get("TITANFLOW_KUBE_BIN", "")
    folder = Path(told) if told else _kept()
    missing = [n for n in ("etcd", "kube-apiserver", "kubectl") if not (folder / n).exists()]
    assert not missing, f"{folder} lacks {', '.join(missing)}: run `make cluster` first"
    return folder


def _kept() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "titanflow/kube/bin"


@contextlib.contextmanager
def running(folder: Path) -> Iterator[ApiServer]:
    """Start etcd and an API server that keep everything in *folder*; stop them at the end.

    They also end when this process does, however it ends.
    """
    bin_folder, children = binaries(), []
    etcd, peer, port = _free_ports(3)
    token = secrets.token_urlsafe(24)
    _write_secrets(folder, token)
    server = ApiServer(folder, bin_folder, port, token)
    try:
        children.append(_start(bin_folder, folder, _etcd(folder, etcd, peer)))
        children.append(_start(bin_folder, folder, _apiserver(folder, etcd, port)))
        _await(server, children)
        _write_kubeconfig(server, token)
        yield server
    finally:
        server.close()
        for child in reversed(children):
            _stop(child)


def _etcd(folder: Path, port: int, peer: int) -> list[str]:
    here, other = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    return [
        "etcd",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={here}",
        f"--advertise-client-urls={here}",
        f"--listen-peer-urls={other}",
        f"--initial-advertise-peer-urls={other}",
        f"--initial-cluster=default={other}",
        "--unsafe-no-fsync",  # the data is thrown away
    ]


def _apiserver(folder: Path, etcd: int, port: int) -> list[str]:
    return [
        "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'certs'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={folder / 'accounts.key'}",
        f"--service-account-key-file={folder / 'accounts.key'}",
        "--service-cluster-ip-range=198.18.128.0/24",
        "--endpoint-reconciler-type=none",
        "--disable-admission-plugins=ServiceAccount",  # nobody makes the accounts
    ]


def _write_secrets(folder: Path, token: str) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    for name, content in (
        ("accounts.key", pem),
        ("tokens.csv", f'{token},admin,1,"system:masters"\n'.encode()),
    ):
        (folder / name).touch(0o600)
        (folder / name).write_bytes(content)


def _write_kubeconfig(server: ApiServer, token: str) -> None:
    place = {
        "server": f"https://127.0.0.1:{server.port}",
        "certificate-authority": str(server.folder / "certs/apiserver.crt"),
    }
    told = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "titanflow-test",
        "clusters": [{"name": "titanflow-test", "cluster": place}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [
            {"name": "titanflow-test", "context": {"cluster": "titanflow-test", "user": "admin"}}
        ],
    }
    server.kubeconfig.touch(0o600)
    server.kubeconfig.write_text(json.dumps(told), "utf-8")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _start(bin_folder: Path, folder: Path, command: list[str]) -> subprocess.Popen[bytes]:
    libc = ctypes.CDLL(None)

    def die_with_parent() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    with (folder / f"{command[0]}.log").open("ab") as log:
        return subprocess.Popen(
            [str(bin_folder / command[0]), *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
        )


def _await(server: ApiServer, children: list[subprocess.Popen[bytes]]) -> None:
    until = time.monotonic() + READY_S
    certificate = server.folder / "certs/apiserver.crt"
    while time.monotonic() < until:
        ended = [child for child in children if child.poll() is not None]
        if ended or (certificate.exists() and server.is_ready()):
            break
        time.sleep(0.1)
    else:
        ended = children
    logs = "\n".join(_tail(path) for path in server.folder.glob("*.log"))
    assert not ended, f"the API server is not ready after {READY_S:.0f} s:\n{logs}"


def _tail(path: Path) -> str:
    return f"{path.name}: " + "\n".join(path.read_text("utf-8", "replace").splitlines()[-15:])


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
