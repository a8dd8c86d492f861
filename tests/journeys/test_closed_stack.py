"""The whole stack on a machine with other users: no port, socket, file or remembered port of it serves them."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import psutil
import pytest

from local.process import wait_until
from tests.api import PASSWORD, jpeg
from tests.journeys.stack import PARTS, ROOT, Stack, children, command
from tests.local.attack import WHO, beyond_the_known, endpoints_of, run_attacker
from tests.local.impostor import impostor, listen_only

BUCKET = "safelight"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with one photo; started with the umask of most systems."""
    before = os.umask(0o022)
    made = Stack(tmp_path_factory.mktemp("closed") / "home")
    try:
        made.start()
        yield made
    finally:
        os.umask(before)
        made.http.close()
        made.stop()


@pytest.fixture(scope="module")
def photo(stack: Stack) -> bytes:
    """An original whose bytes end with a canary."""
    account = {"email": "anna@example.com", "password": PASSWORD}
    assert stack.ask("POST", "/auth/register", json=account).status_code == 201
    token = stack.ask("POST", "/auth/login", json=account).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    gallery = stack.ask("POST", "/galleries", json={"title": "Closed"}, headers=headers).json()["id"]
    data = jpeg() + secrets.token_hex(32).encode()
    body = {"filename": "a.jpg", "content_type": "image/jpeg", "file_size": len(data)}
    made = stack.ask("POST", f"/galleries/{gallery}/photos", json=body, headers=headers).json()
    form = made["upload"]
    assert stack.ask("POST", form["url"], data=form["fields"], files={"file": ("a.jpg", data)}).status_code == 204
    path = f"/photos/{made['photo']['id']}"
    assert stack.ask("POST", f"{path}/complete", headers=headers).status_code == 200
    wait_until(
        lambda: stack.ask("GET", path, headers=headers).json()["status"] == "ready", seconds=60, what="the photo"
    )
    return data


def test_an_operators_command_leaves_the_roles_as_they_are(stack: Stack) -> None:
    """It is a migration of the stack's own database, with the passwords that the stack uses."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("DATABASE_")}
    path = os.pathsep.join(map(str, (ROOT, ROOT / "layers" / "core")))
    done = subprocess.run(
        [sys.executable, "-m", "local.admin", "boss@example.com"],
        cwd=ROOT,
        env=given | {"PYTHONPATH": path, "SAFELIGHT_HOME": str(stack.home), "BASE_URL": "https://photos.example"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "DATABASE_PASSWORDS" not in done.stdout + done.stderr
    login = {"email": "boss@example.com", "password": done.stdout.splitlines()[-1]}
    assert stack.ask("POST", "/auth/login", json=login).status_code == 200


def part(stack: Stack, name: str) -> int:
    assert stack._process is not None
    [pid] = [pid for pid in children(stack._process.pid) if PARTS[name] in command(pid)]
    return pid


def s3_port(stack: Stack) -> int:
    return int(json.loads((stack.home / "objects/ports.json").read_text())["s3.port"])


@pytest.mark.parametrize("who", WHO)
def test_no_endpoint_of_the_stack_gives_anything(stack: Stack, photo: bytes, who: str) -> None:
    assert stack._process is not None
    ports = json.loads((stack.home / "objects/ports.json").read_text())
    keys = json.loads((stack.home / "secrets.json").read_text())
    found = endpoints_of(stack._process.pid)
    postgres = int((stack.home / "postgres.port").read_text())
    assert {stack.port, postgres, *ports.values()} <= set(found)
    if WHO[who] is None:  # with the home's own rights nothing in it is closed
        found = [endpoint for endpoint in found if not str(endpoint).startswith(str(stack.home))]
    # the API is public, and its own tests are about what it gives; what it must not give are these secrets
    hidden = [photo[-64:].decode(), *keys.values()]
    given = run_attacker(found, WHO[who], secrets=hidden, ports=ports, bucket=BUCKET)
    api = re.compile(rf"https? {stack.port} ")
    beyond = beyond_the_known(given, ports, hidden)
    assert [line for line in beyond if not api.match(line) or any(secret in line for secret in hidden)] == []


@pytest.mark.usefixtures("photo")
def test_no_path_of_the_home_grants_anything_to_others(stack: Stack) -> None:
    assert stack.home.stat().st_mode & 0o077 == 0
    granted = [
        path.relative_to(stack.home)
        for path in stack.home.rglob("*")
        # SeaweedFS gives a new volume's .vif this mode itself; the next start takes it away
        if path.lstat().st_mode & 0o077 and not path.is_symlink() and path.suffix != ".vif"
    ]
    assert granted == []


@pytest.mark.usefixtures("photo")
@pytest.mark.long
def test_a_program_that_takes_the_ports_of_dead_parts_gets_nothing(stack: Stack) -> None:
    assert stack._process is not None
    keys = json.loads((stack.home / "secrets.json").read_text())
    store, database = part(stack, "object store"), part(stack, "database")
    ports = s3_port(stack), int((stack.home / "postgres.port").read_text())
    supervisor = psutil.Process(stack._process.pid)
    supervisor.suspend()  # the impostor is faster than the one who starts the parts again
    try:
        for pid in (store, database):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: all(map(is_free_for_us, ports)), seconds=20, what="the ports")
        with impostor(listen_only, ports[0]) as s3, impostor(listen_only, ports[1]) as postgres:
            supervisor.resume()
            token = {"email": "anna@example.com", "password": PASSWORD}
            for _ in range(3):
                httpx.post(f"{stack.url}/auth/login", json=token, timeout=60)
            time.sleep(4)  # the worker asks for jobs, the supervisor tries to start the parts
            assert s3.bytes == b""
            heard = postgres.bytes
            assert heard, "gateway and worker did ask the database's port"
            for secret in keys.values():
                assert secret.encode() not in heard
            assert b"SELECT" not in heard
            assert stack._process.poll() is None, "the supervisor goes on"
    finally:
        supervisor.resume()
    # once the ports are free again everything comes back on the same ones
    assert stack.ask("POST", "/auth/login", json={"email": "anna@example.com", "password": PASSWORD}).is_success
    wait_until(lambda: answers_signed(stack), seconds=60, what="the store")
    assert ports == (s3_port(stack), int((stack.home / "postgres.port").read_text()))


def is_free_for_us(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def answers_signed(stack: Stack) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{s3_port(stack)}/safelight/x", timeout=5).status_code == 403
    except httpx.TransportError:
        return False


def test_a_taken_store_port_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home")
    stack.start()
    port = s3_port(stack)
    stack.stop()
    with impostor(listen_only, port) as taken:
        with pytest.raises(AssertionError, match=f"Port {port} of 127.0.0.1.*S3_PORT={port + 1} make up"):
            stack.start()
        assert taken.bytes == b""
    assert stack._process is not None
    assert stack._process.wait(30) == 1
    stack._forget()
    stack.http.close()
