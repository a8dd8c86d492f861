"""The whole stack as `make up` starts it: comes up, repairs itself, ends with its supervisor, and loses nothing."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from local import demo
from local.addresses import listen
from local.connect import connect
from local.demo import Demo
from local.home import Home
from local.pictures import SCENES
from local.process import StartError, free_ports, wait_until

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 90
"""Seconds; a start takes five on an idle machine."""


class Up:
    """A supervisor in a process of its own."""

    def __init__(self, home: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.home = home
        self.output = home.parent / "output"
        environment = {name: value for name, value in os.environ.items() if name != "MAKELEVEL"}
        environment |= {"PORT": str(port), "SAFELIGHT_HOME": str(home), "LOG_LEVEL": "WARNING"}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "local"], cwd=ROOT, env=environment, stdout=output, stderr=output
            )

    def wait(self) -> None:
        def ready() -> bool:
            assert self.process.poll() is None, self.output.read_text()
            return f"ready at {self.url}" in self.output.read_text()

        wait_until(ready, seconds=PATIENCE, what="the stack")

    def parts(self) -> list[psutil.Process]:
        """Every process that works for this home, whoever its parent is."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid != self.process.pid and str(self.home) in process.environ().get("SAFELIGHT_HOME", ""):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def part(self, name: str) -> psutil.Process:
        (found,) = [part for part in self.parts() if name in " ".join(part.cmdline()[:3])]
        return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    (port,) = free_ports(1)
    return tmp_path_factory.mktemp("up") / "home", port


@pytest.fixture(scope="module")
def up(place: tuple[Path, int]) -> Iterator[Up]:
    stack = Up(*place)
    stack.wait()
    yield stack
    if stack.process.poll() is None:
        stack.process.send_signal(signal.SIGINT)
        stack.process.wait(60)


@pytest.fixture(scope="module")
def share(up: Up) -> str:
    """Path of a share link with two demonstration pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "SCENES", SCENES[:2])
        with Demo(up.url) as shown:
            shown.run()
    return shown.share


def test_it_says_that_it_is_ready_and_is(up: Up) -> None:
    assert httpx.get(f"{up.url}/health").status_code == 200
    assert httpx.get(f"{up.url}/nothing-here").status_code == 404


def test_secrets_are_the_owners_alone(up: Up) -> None:
    assert (up.home / "secrets.json").stat().st_mode & 0o077 == 0


def test_nothing_that_serves_or_works_is_the_owner_of_the_database(up: Up) -> None:
    secrets = json.loads((up.home / "secrets.json").read_text())
    for name, roles in (
        ("gateway", {"safelight_data", "safelight_visits", "safelight_downloads"}),
        ("worker", {"safelight_data", "safelight_pictures"}),
    ):
        environment = up.part(name).environ()
        assert secrets["database_password"] not in "\n".join(environment.values())
        assert set(json.loads(environment["DATABASE_PASSWORDS"])) == roles
        assert ("JWT_SECRET" in environment) == (name == "gateway")
        connection = connect(environment["DATABASE_URL"])
        found = connection.run("SELECT rolname, rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user")
        connection.close()
        assert found == [["safelight_data", False, False]]


def test_the_demonstration_is_shared(up: Up, share: str) -> None:
    shown = httpx.get(up.url + share).json()
    assert len(shown["photos"]) == 2
    assert all(httpx.get(photo["thumbnail_url"]).status_code == 200 for photo in shown["photos"])
    assert httpx.get(f"{up.url}{share}/download/all").content.startswith(b"PK")


def test_a_second_one_with_the_same_home_is_refused(up: Up) -> None:
    with pytest.raises(StartError, match="runs already"):
        Home(up.home).lock()


def test_a_taken_port_is_named(up: Up) -> None:
    with pytest.raises(StartError, match="PORT="):
        listen(int(up.url.rpartition(":")[2]))


@pytest.mark.parametrize("name", ["local.gateway", "local.worker", "/postgres", "/weed"])
def test_a_part_that_was_killed_comes_back(up: Up, share: str, name: str) -> None:
    killed = up.part(name)
    killed.kill()

    def back() -> bool:
        others = [part for part in up.parts() if part.pid != killed.pid and name in " ".join(part.cmdline()[:3])]
        if not others:
            return False
        answer = httpx.get(up.url + share, timeout=20)
        return answer.is_success and httpx.get(answer.json()["photos"][0]["thumbnail_url"]).is_success

    def patiently() -> bool:
        try:
            return back()
        except (httpx.TransportError, psutil.Error):
            return False

    wait_until(patiently, seconds=PATIENCE, what=name, every=0.2)


def test_killing_the_supervisor_leaves_nothing_and_loses_nothing(up: Up, share: str, place: tuple[Path, int]) -> None:
    before = httpx.get(f"{up.url}{share}/download/all").content
    parts = up.parts()
    assert len(parts) >= 4
    up.process.kill()
    up.process.wait()
    wait_until(lambda: not up.parts(), seconds=10, what="the end of all parts")
    again = Up(*place)
    try:
        began = time.monotonic()
        again.wait()
        assert httpx.get(f"{again.url}{share}/download/all").content == before
        assert time.monotonic() - began < PATIENCE
        again.process.send_signal(signal.SIGINT)
        assert again.process.wait(60) == 0
        assert again.parts() == []
    finally:
        if again.process.poll() is None:
            again.process.kill()
    assert "has stopped" in again.output.read_text()


def test_a_listening_socket_is_free_again_after_its_end() -> None:
    (port,) = free_ports(1)
    listen(port).close()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
