"""The whole local stack as a person starts it, `python -m local`, with a knife for each of its parts."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2 as httpx
from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection

from local.process import free_ports

ROOT = Path(__file__).resolve().parents[2]
# What tells the parts from each other in their command lines.
PARTS = {"worker": "local.worker", "gateway": "local.gateway", "database": "postgres", "object store": "weed"}


class Stack:
    """One stack with its own home and port. `environment` is added to what it is started with."""

    def __init__(self, home: Path, environment: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.said = ""
        self._added = dict(environment or {})
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=15)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_"))}
        for name in ("DATABASE_URL", "JWT_SECRET", "BUCKET", "BASE_URL", "STAGE", "DATABASE_POOL"):
            kept.pop(name, None)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "local"],
            cwd=ROOT,
            env={**kept, "SAFELIGHT_HOME": str(self.home), "PORT": str(self.port), **self._added},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.said = ""
        for line in self._process.stdout:
            self.said += line.decode()
            if b"is ready at" in line:
                # Nobody reads on, so somebody must: a full pipe would stop it.
                threading.Thread(target=self._process.stdout.read, daemon=True).start()
                return
        raise AssertionError("the stack did not start:\n" + self.said)

    def stop(self) -> None:
        """Ctrl-C."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            assert self._process.wait(60) == 0
        self._forget()

    def kill(self, part: str) -> None:
        """kill -9 of one part, or of the supervisor: the whole `stack`. Returns once all that must die is dead."""
        assert self._process is not None
        below = children(self._process.pid)
        if part == "stack":
            self._process.kill()
            self._process.wait()
            await_death(below)
            self._forget()
            return
        [victim] = [pid for pid in below if PARTS[part] in command(pid)]
        os.kill(victim, signal.SIGKILL)
        await_death([victim])

    def sql(self, statement: str) -> list[Any]:
        """One statement in the stack's database, once it answers."""
        password = json.loads((self.home / "secrets.json").read_text())["database_password"]
        deadline = time.monotonic() + 120
        while True:
            port = int((self.home / "postgres.port").read_text())
            with contextlib.ExitStack() as cleanup:
                try:
                    connection = Connection(
                        "safelight",
                        host="127.0.0.1",
                        port=port,
                        database="safelight",
                        password=password,
                        timeout=10,
                    )
                    cleanup.callback(connection.close)
                    rows: list[Any] = connection.run(statement) or []
                    return rows
                except (InterfaceError, DatabaseError, OSError):
                    assert time.monotonic() < deadline, "the database did not come back"
            time.sleep(0.1)

    def ask(self, method: str, url: str, **options: Any) -> httpx.Response:
        """A request as a patient client makes it: again after a broken connection or a 5xx, for at most two minutes."""
        deadline = time.monotonic() + 120
        while True:
            try:
                answer = self.http.request(method, url, **options)
                if answer.status_code < 500:
                    return answer
                problem = answer.text
            except httpx.TransportError as error:
                problem = repr(error)
            assert time.monotonic() < deadline, f"{method} {url}: {problem}"
            time.sleep(0.2)

    def _forget(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None


def children(pid: int) -> list[int]:
    """The direct children of a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def command(pid: int) -> str:
    """Its command line, empty once it is dead."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def await_death(pids: list[int]) -> None:
    """Wait until none of them runs."""
    deadline = time.monotonic() + 60
    while left := [pid for pid in pids if command(pid)]:
        assert time.monotonic() < deadline, f"still there: {[command(pid) for pid in left]}"
        time.sleep(0.02)


@contextlib.contextmanager
def running_stack(home: Path, environment: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """A started stack, stopped afterwards."""
    stack = Stack(home, environment)
    stack.start()
    try:
        yield stack
    finally:
        stack.http.close()
        stack.stop()
