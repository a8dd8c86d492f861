"""A gateway in a process of its own, with limits as a test wants them, and clients that send what no library would."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from local.limits import KIB, Limits
from local.process import get, wait_until

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = Path(__file__).parent / "limited" / "template.yaml"
MIB = 1024 * KIB
KINDS = ("buffered", "streamed")
SOCKET_BUFFERS = 16 * MIB
"""More than the kernel keeps of one connection for both sides (net.ipv4.tcp_rmem, tcp_wmem)."""
QUICK = Limits(head_seconds=1, body_seconds=1, write_seconds=1.5, linger_seconds=1, requests_per_second=0)
"""Short times for the tests of times."""
HEAD = b"GET /buffered HTTP/1.1\r\nHost: photos.example\r\n"
CLOSE = b"Connection: close\r\n"
PATIENCE = 60
"""Seconds after which a test gives up."""
SERVE = """
import json, logging, socket, sys
from pathlib import Path
from local.gateway import serve
from local.limits import KIB, Limits
from local.template import Template
logging.basicConfig(level=logging.WARNING)
template, descriptor, limits = sys.argv[1:]
serve(Template(Path(template)), socket.socket(fileno=int(descriptor)), Limits(**json.loads(limits)))
"""
LIMIT_FILES = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, {})
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@dataclass
class Running:
    """A gateway's process."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def get(self, path: str) -> tuple[int, bytes]:
        """What an ordinary client gets on a connection of its own."""
        return get(self.port, path, seconds=PATIENCE)

    def connect(self) -> socket.socket:
        """A new connection."""
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def say(self, request: bytes) -> bytes:
        """All that the gateway sends for these bytes until it closes the connection, which it must."""
        with self.connect() as line:
            with contextlib.suppress(OSError):  # it may close before all is sent
                line.sendall(request)
            return read_all(line)

    def memory(self) -> int:
        """Bytes of memory in use."""
        return int(psutil.Process(self.process.pid).memory_info().rss)


def read_all(line: socket.socket) -> bytes:
    """Everything until the end of the connection, orderly or not."""
    said = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := line.recv(1 << 20):
            said += piece
    return bytes(said)


def status(line: socket.socket) -> int:
    """Read one whole response of a connection that stays; its status."""
    response = http.client.HTTPResponse(line)
    response.begin()
    response.read()
    return response.status


def refusal(answer: bytes, status: int, code: str) -> dict[str, str]:
    """Check that an answer is this problem, once, and that the connection is closed; its headers."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0].split()[:2] == ["HTTP/1.1", str(status)], answer[:500]
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == "no-store"
    assert headers["connection"] == "close"
    assert int(headers["content-length"]) == len(body)
    problem = json.loads(body)
    assert (problem["type"], problem["status"], problem["code"]) == ("about:blank", status, code)
    assert problem["title"]
    assert problem["detail"]
    return headers


def responses(answer: bytes) -> list[int]:
    """The statuses of all responses in what a connection said."""
    found = []

    class Source:
        def __init__(self, data: bytes) -> None:
            self._file = io.BytesIO(data)

        def makefile(self, _mode: str) -> Any:
            return self._file

    source = Source(answer)
    while source.makefile("rb").tell() < len(answer):
        response = http.client.HTTPResponse(source)  # type: ignore[arg-type]  # it only asks for a file
        response._close_conn = lambda: None  # type: ignore[attr-defined]  # the file goes on with the next response
        response.begin()
        response.read()
        found.append(response.status)
    return found


# What the program cannot do without, although the functions of these templates use none of it.
_REQUIRED = {
    "DATABASE_URL": "postgresql://localhost/unused",
    "JWT_SECRET": "a-secret-of-tests-that-is-long-enough",
    "BUCKET": "unused",
}


@contextlib.contextmanager
def running(
    log: Path,
    *,
    limits: Limits | None = None,
    template: Path = TEMPLATE,
    files: tuple[int, int] | None = None,
    environment: dict[str, str] | None = None,
) -> Iterator[Running]:
    """A started gateway. Without `limits` it is the program that the supervisor starts, with its defaults.

    `files` are the soft and the hard limit of open files that it is started with.
    """

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(2048)
        descriptor = str(listener.fileno())
        if limits is None:
            arguments = ["-m", "local.gateway", "--template", str(template), "--fd", descriptor]
        else:
            arguments = ["-c", SERVE, str(template), descriptor, json.dumps(dataclasses.asdict(limits))]
        if files is not None:
            arguments = ["-c", LIMIT_FILES.format(files), *arguments]
        path = os.pathsep.join([str(ROOT), str(ROOT / "layers/core")])
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                env={**os.environ, **_REQUIRED, "PYTHONPATH": path, **(environment or {})},
                pass_fds=[listener.fileno()],
                stdout=output,
                stderr=output,
            )
        port = listener.getsockname()[1]
    made = Running(process, port, log)

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError, http.client.HTTPException):
            return made.get("/buffered")[0] == 200
        return False

    try:
        wait_until(answers, seconds=PATIENCE, what="the gateway")
        yield made
    finally:
        process.terminate()
        process.wait(PATIENCE)


def eventually(holds: Any, what: str) -> None:
    """Wait until it holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def trickle(line: socket.socket, piece: bytes, seconds: float) -> bytes:
    """Send the piece again and again, so many seconds apart, until the gateway answers; all that it says."""
    line.settimeout(seconds)
    for _ in range(200):
        with contextlib.suppress(OSError):
            line.sendall(piece)
        with contextlib.suppress(TimeoutError):
            first = line.recv(65536)
            line.settimeout(60)
            return first + read_all(line)
    raise AssertionError("the gateway waits for ever")
