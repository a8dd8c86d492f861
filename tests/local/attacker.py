"""A program that tries every endpoint of a running store or stack, as another user of the machine: for test_attack.

Reads `Plan` as JSON from standard input and writes what it was given, a line of text each, as a JSON list. It becomes
the user `uid` once its modules are loaded, so that it need not be able to read them.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import Any, TypedDict

SECONDS = 20.0
SHELL_SECONDS = 8.0
ORIGIN = "https://evil.example"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
SETTINGS = 4

READS = (
    *("/", "/dir/assign", "/dir/assign?collection={bucket}", "/dir/lookup?volumeId=1", "/dir/status", "/vol/status"),
    *("/collection/info?collection={bucket}", "/cluster/status", "/cluster/healthz", "/raft/stats", "/submit"),
    *("/healthz", "/readyz", "/status", "/ui/index.html", "/stats/disk", "/metrics", "/debug/pprof/"),
    *(
        "/buckets/",
        "/buckets/{bucket}/?limit=9",
        "/buckets/{bucket}/canary",
        "/{bucket}/canary",
        "/{bucket}?list-type=2",
    ),
    *("/etc/iam/identities/", "/topics/.system/log/", "/.tus/", "/?Action=ListUsers&Version=2010-05-08"),
)
CHANGES = (
    *("/admin/volume/mount?volume=1", "/vol/vacuum?garbageThreshold=0.0001", "/vol/grow?count=1&collection=x"),
    "/col/delete?collection={bucket}",
)
# Every endpoint is read before anything is changed, so that an open store is seen to give everything.
ROUNDS = (
    [(method, path) for method in ("GET", "HEAD", "OPTIONS") for path in READS],
    [(method, path) for method in ("PUT", "POST", "PATCH", "DELETE") for path in READS],
    [(method, path) for method in ("GET", "POST", "DELETE") for path in CHANGES],
)
SHELL = """
fs.ls /buckets/{bucket}/
fs.cat /buckets/{bucket}/canary
s3.configure
volume.list
cluster.ps
fs.rm /buckets/{bucket}/canary
lock
volume.vacuum -garbageThreshold=0.0001
collection.delete -collection {bucket} -force
unlock
"""


class Plan(TypedDict):
    """`endpoints` are ports and paths of sockets, `shells` the arguments of `weed shell`, which runs in `folder`."""

    uid: int | None
    bucket: str
    endpoints: list[int | str]
    certificate: list[str] | None
    weed: int | None
    shells: list[list[str]]
    folder: str
    secrets: list[str]


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self.path = path

    def connect(self) -> None:
        """Open it."""
        self.sock = connect_to(self.path)


def connect_to(endpoint: int | str) -> socket.socket:
    """A connection to a port or a socket."""
    if isinstance(endpoint, int):
        return socket.create_connection(("127.0.0.1", endpoint), SECONDS)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(SECONDS)
    sock.connect(endpoint)
    return sock


def speaks_http2(endpoint: int | str) -> bool:
    """Whether a gRPC server answers to clear text."""
    try:
        with connect_to(endpoint) as sock:
            sock.sendall(PREFACE)
            answer = sock.recv(64)
    except OSError:
        return False
    return len(answer) >= 9 and answer[3] == SETTINGS


def ask(connection: http.client.HTTPConnection, method: str, path: str) -> tuple[int, bytes, str | None] | str:
    """Status, body and the origin whose scripts may read it, or the error."""
    try:
        body = b"FORGED" if method in ("PUT", "POST", "PATCH") else None
        connection.request(method, path, body, {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"})
        answer = connection.getresponse()
        found = answer.read(1 << 16)
        return answer.status, found, answer.headers.get("Access-Control-Allow-Origin")
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        connection.close()


def ways(endpoint: int | str, certificate: list[str] | None) -> dict[str, Callable[[], http.client.HTTPConnection]]:
    """How HTTP can be tried there."""
    if isinstance(endpoint, str):
        return {"http": lambda: UnixConnection(endpoint)}
    bare, forged = (ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) for _ in range(2))
    for context in (bare, forged):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    found: dict[str, Callable[[], http.client.HTTPConnection]] = {
        "http": lambda: http.client.HTTPConnection("127.0.0.1", endpoint, timeout=SECONDS),
        "https": lambda: http.client.HTTPSConnection("127.0.0.1", endpoint, timeout=SECONDS, context=bare),
    }
    if certificate:
        forged.load_cert_chain(*certificate)
        found["https with a forged certificate"] = lambda: http.client.HTTPSConnection(
            "127.0.0.1", endpoint, timeout=SECONDS, context=forged
        )
    return found


def try_http(endpoint: int | str, plan: Plan, requests: Iterable[tuple[str, str]]) -> list[str]:
    """Every request that got something: a success, or one of the secrets."""
    given = []
    for way, make in ways(endpoint, plan["certificate"]).items():
        failures = []
        for method, path in requests:
            address = path.format(bucket=plan["bucket"])
            answer = ask(make(), method, address)
            if isinstance(answer, str):
                failures.append(answer)
                if len(failures) == 5 and len(set(failures)) == 1:
                    break  # each connection ends before a request is read
            elif answer[0] < 400 or any(secret.encode() in answer[1] for secret in plan["secrets"]):
                reader = f"a page of {ORIGIN} may read " if answer[2] in ("*", ORIGIN) else ""
                given.append(f"{way} {endpoint} {method} {address}: {reader}{answer[0]} {answer[1]!r}")
    return given


def try_shells(plan: Plan) -> list[str]:
    """What `weed shell` prints, at once in all ways: where it is refused it waits until it is killed."""
    commands = tempfile.TemporaryFile("w+")  # noqa: SIM115 - the shells read it until the end
    commands.write(SHELL.format(bucket=plan["bucket"]))
    commands.flush()
    running = [
        subprocess.Popen(
            [f"/proc/self/fd/{plan['weed']}", "shell", *arguments],
            stdin=os.open(f"/proc/self/fd/{commands.fileno()}", os.O_RDONLY),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=folder,
            env={"HOME": folder},
            pass_fds=[plan["weed"] or 0],
        )
        for arguments in plan["shells"]
        for folder in (plan["folder"], "/")
    ]
    given = []
    end = time.monotonic() + SHELL_SECONDS
    for process in running:
        try:
            output, _ = process.communicate(timeout=end - time.monotonic())
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
        given += [f"shell: {line}" for line in output.splitlines() if line.strip(" >")]
    return given


def main() -> None:
    """Try everything."""
    plan: Plan = json.load(sys.stdin)
    if plan["uid"] is not None:
        "localhost".encode("idna")  # what is loaded late could not be read any more
        os.setgroups([])
        os.setgid(plan["uid"])
        os.setuid(plan["uid"])
    given: list[Any] = []
    given += [f"HTTP/2 in clear text at {endpoint}" for endpoint in plan["endpoints"] if speaks_http2(endpoint)]
    for requests in ROUNDS:
        for endpoint in plan["endpoints"]:
            given += try_http(endpoint, plan, requests)
    if plan["weed"] is not None:
        given += try_shells(plan)
    json.dump(given, sys.stdout)


if __name__ == "__main__":
    main()
