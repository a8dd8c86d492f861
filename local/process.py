"""Start child processes that never outlive the process which started them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Literal

Identity = Literal["keep", "namespace", "nobody"]

LAUNCHER = Path(__file__).with_name("launch.py")


class StartError(RuntimeError):
    """A part of the stack did not start; the text says which and where its log is."""


def command_line(
    command: Sequence[str | Path],
    *,
    death_signal: signal.Signals = signal.SIGKILL,
    identity: Identity = "keep",
) -> list[str]:
    """The command wrapped by the launcher, which ends it with `death_signal` when we die.

    Call it from the main thread and run the result there: Linux counts the death of the thread that
    forked as the death of the parent.
    """
    options = {"parent": os.getpid(), "signal": int(death_signal), "identity": identity}
    return [sys.executable, "-I", "-S", str(LAUNCHER), json.dumps(options), *map(str, command)]


def bound_to_starter(command: Sequence[str | Path]) -> list[str]:
    """The command wrapped so that it dies with whichever process starts it, for one that is not ours."""
    options = {"signal": int(signal.SIGKILL), "identity": "keep"}
    return [sys.executable, "-I", "-S", str(LAUNCHER), json.dumps(options), *map(str, command)]


def launch(
    command: Sequence[str | Path],
    *,
    log: IO[bytes] | Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
    identity: Identity = "keep",
    descriptors: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start `command` (absolute path first) in a session of its own, output appended to `log`.

    `descriptors` are open files that it inherits under the same numbers. What it and its log create is closed to other
    users (umask 077).

    Ctrl-C at the terminal therefore reaches the supervisor alone, which stops its children in order.
    """
    if isinstance(log, Path):
        log.touch(0o600)
    output = log.open("ab") if isinstance(log, Path) else log
    try:
        return subprocess.Popen(
            command_line(command, death_signal=death_signal, identity=identity),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            env=None if env is None else dict(env),
            start_new_session=True,
            pass_fds=descriptors,
            umask=0o077,
        )
    finally:
        if isinstance(log, Path):
            output.close()


def stop(
    process: subprocess.Popen[bytes],
    number: signal.Signals = signal.SIGTERM,
    *,
    grace: float = 10.0,
) -> None:
    """Ask the process to end; after `grace` seconds end it and its group. A dead one is fine."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(grace)


def free_ports(count: int) -> list[int]:
    """Distinct TCP ports of 127.0.0.1 that were free a moment ago.

    All are held open while choosing, so no two are equal. Another program may take one before it is
    used: whoever starts a server on them tries again with others.
    """
    sockets: list[socket.socket] = []
    try:
        for _ in range(count):
            sock = socket.socket()
            sockets.append(sock)
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def wait_until(ready: Callable[[], bool], *, seconds: float, what: str, every: float = 0.02) -> None:
    """Poll `ready` until it is true. Raises StartError after `seconds`, naming `what`."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise StartError(f"{what} was not ready after {seconds:.0f} s")
        time.sleep(every)


def tail(log: Path, lines: int = 5) -> str:
    """The last lines of a log, for a message that explains itself."""
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def get(port: int, path: str, *, seconds: float = 5.0) -> tuple[int, bytes]:
    """Status and body of one GET from 127.0.0.1. Raises OSError or http.client.HTTPException when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
