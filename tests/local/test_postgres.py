"""Postgres from the wheel: survives kills, cleans up after itself, runs as root and as anybody else."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local import postgres as module
from local.postgres import Postgres
from local.process import Identity, StartError, free_ports

ROOT = Path(__file__).resolve().parents[2]
IDENTITIES: tuple[Identity, ...] = (
    ("namespace", "nobody") if os.geteuid() == 0 else (module.identity_for(module.binaries() / "postgres"),)
)

KEEP_RUNNING = """
import sys, time
from pathlib import Path
from local.postgres import Postgres
server = Postgres(Path(sys.argv[1]), None, "password", durable=False).start()
with server.connection() as connection:
    connection.run("CREATE TABLE IF NOT EXISTS kept (number int)")
    connection.run("INSERT INTO kept VALUES (1)")
print(server.pid, flush=True)
time.sleep(60)
"""

AS_ORDINARY_USER = """
import os, sys
from pathlib import Path
import pg8000.native, psutil
from local.postgres import Postgres
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
sys.executable = sys.argv[2]
with Postgres(Path(sys.argv[1]), None, "password", durable=False) as server:
    with server.connection() as connection:
        connection.run("CREATE TABLE kept (number int)")
    print(os.geteuid(), psutil.Process(server.pid).uids().effective)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Postgres]:
    made = Postgres(tmp_path, None, "a password", durable=False)
    yield made
    made.stop()


def count(server: Postgres) -> int:
    with server.connection() as connection:
        (row,) = connection.run("SELECT count(*) FROM kept")
    return int(row[0])


def test_a_kill_loses_no_committed_row(server: Postgres) -> None:
    server.start()
    with server.connection() as connection:
        connection.run("CREATE TABLE kept (number int)")
        for number in range(50):
            connection.run("INSERT INTO kept VALUES (:number)", number=number)
    server.kill()
    # what the crash left behind still says that a server is ready
    assert "ready" in (server.data / "postmaster.pid").read_text()
    server.start()
    assert server.pid is not None
    assert count(server) == 50


def test_rows_are_on_disk_before_the_commit_returns(tmp_path: Path) -> None:
    with Postgres(tmp_path, None, "password") as durable, durable.connection() as connection:
        settings = dict(connection.run("SELECT name, setting FROM pg_settings"))
    assert (settings["fsync"], settings["synchronous_commit"], settings["full_page_writes"]) == ("on", "on", "on")
    assert settings["listen_addresses"] == "127.0.0.1"
    assert settings["password_encryption"] == "scram-sha-256"


def test_a_wrong_password_is_refused(server: Postgres) -> None:
    from pg8000.exceptions import DatabaseError

    server.start()
    stranger = Postgres(server.directory, server.port, "another")
    with pytest.raises(DatabaseError, match="28P01"), stranger.connection():
        pass


def test_text_sorts_the_same_on_every_system(server: Postgres) -> None:
    server.start()
    with server.connection() as connection:
        rows = connection.run("SELECT x FROM (VALUES ('b'), ('A'), ('a'), ('ä'), ('Z')) AS v (x) ORDER BY x")
        assert connection.run("SHOW server_encoding") == [["UTF8"]]
    assert [row[0] for row in rows] == ["A", "Z", "a", "b", "ä"]


def test_a_chosen_port_that_another_program_takes_is_replaced(
    server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taker:
        taken = taker.getsockname()[1]
        chosen = iter([[taken], [taken]])
        monkeypatch.setattr(module, "free_ports", lambda count: next(chosen, None) or free_ports(count))
        server.start()
        assert server.port != taken
        assert f":{server.port}/" in server.url
    port = server.port
    server.stop()
    server.start()
    assert server.port == port  # its clients know it


def test_an_initdb_that_was_cut_off_is_done_again(server: Postgres) -> None:
    leftover = server.directory / "initdb-cut" / "data"
    leftover.mkdir(parents=True)
    (leftover / "PG_VERSION").write_text("18")
    server.start()
    assert server.pid is not None


def test_databases_are_copied_and_dropped_with_their_connections(server: Postgres) -> None:
    server.start()
    with server.connection() as connection:
        connection.run("CREATE TABLE kept (number int)")
    server.create("copy", template="safelight")
    server.create("copy")
    with server.connection("copy") as connection:
        assert connection.run("SELECT count(*) FROM kept") == [[0]]
    holder = server.connection("copy")
    with holder as held:
        server.drop("copy")
        server.drop("copy")
        assert held is not None
    with server.connection() as connection:
        assert connection.run("SELECT 1 FROM pg_database WHERE datname = 'copy'") == []


def test_the_servers_end_follows_its_starters(tmp_path: Path) -> None:
    pids = []
    for _ in range(2):  # the second start finds what the kill left
        starter = subprocess.Popen(
            [sys.executable, "-c", KEEP_RUNNING, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT
        )
        assert starter.stdout is not None
        pids.append(int(starter.stdout.readline()))
        starter.send_signal(signal.SIGKILL)
        starter.wait()
        starter.stdout.close()
    for pid in pids:
        if psutil.pid_exists(pid):
            psutil.Process(pid).wait(5)
    with Postgres(tmp_path, None, "password", durable=False) as server:
        assert count(server) == 2


@pytest.mark.parametrize("identity", IDENTITIES)
def test_root_runs_it_as_somebody_else(identity: Identity, server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    home = server.directory.parent
    assert home.stat().st_mode & 0o077 == 0, "nobody must not be able to enter it, and need not"
    monkeypatch.setattr(module, "identity_for", lambda _program: identity)
    server.start()
    assert server.pid is not None
    status = Path(f"/proc/{server.pid}/uid_map")
    if identity == "namespace":
        assert status.read_text().split() == ["65534", str(os.geteuid()), "1"]
    if identity == "nobody":
        assert psutil.Process(server.pid).uids().effective == 65534


def test_an_ordinary_user_runs_it_unchanged() -> None:
    directory = Path(tempfile.mkdtemp())
    launcher = sys.executable
    if os.geteuid() == 0:
        os.chown(directory, 65534, 65534)
        launcher = shutil.which("python3", path=os.defpath) or launcher  # ours may lie where only root can read
    try:
        command = [sys.executable, "-c", AS_ORDINARY_USER, str(directory), launcher]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        user, effective = done.stdout.split()
        assert user == effective != "0"
    finally:
        shutil.rmtree(directory)


def test_without_a_wheel_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(StartError, match="DATABASE_URL"):
        module.binaries()
