"""A large gallery behind a server that builds archives, and the command in this process."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli import main, patience, source
from safelight.db.engine import transaction
from safelight.jobs import queries
from tests import product
from tests.api import Photographer, jpeg, run_jobs, running
from tests.claims import build_part
from tests.cli.tunnel import Tunnel, tunnel

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home and a folder of the test's own; no pauses."""
    for name in ("XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(patience, "PAUSES", (0.01,) * 4)
    monkeypatch.setattr(source, "POLL_SECONDS", 0.05)


@dataclass
class Large:
    """A photographer's gallery of 12 MiB."""

    anna: Photographer
    gallery: str
    way: Tunnel

    def link(self, **policy: object) -> str:
        """A link through the tunnel."""
        return f"{self.way.url}/s/{self.anna.share(self.gallery, **policy)['share_id']}"

    def add(self, name: str) -> str:
        """One more photo."""
        photo = self.anna.upload(self.gallery, jpeg() + bytes(6 * MIB), filename=name)
        run_jobs()
        return photo

    def archive(self) -> bytes:
        """What a download brings."""
        answer = self.anna.call("GET", f"/galleries/{self.gallery}/download")
        assert answer.status_code == 200
        return answer.content

    def zips(self, link: str) -> int:
        """How many downloads were counted."""
        shown = self.anna.call("GET", f"/share-links/{link.rpartition('/')[2]}").json()
        return int(shown["zip_downloads"])


@pytest.fixture
def large(api: str) -> Iterator[Large]:
    """On a server that streams archives of any size."""
    with tunnel(api) as way:
        anna = Photographer.registered()
        made = Large(anna, anna.gallery(title="Anna & Ben")["id"], way)
        made.add("1.jpg")
        made.add("2.jpg")
        yield made


@pytest.fixture
def built(large: Large, monkeypatch: pytest.MonkeyPatch) -> Large:
    """On a server that streams up to 1 MiB and builds in parts of 5."""
    running[0].forget()
    monkeypatch.setenv("ARCHIVE_STREAM_LIMIT", str(MIB))
    monkeypatch.setenv("ARCHIVE_PART_SIZE", str(5 * MIB))
    monkeypatch.setenv("DATABASE_POOL", "4")
    product.forget()
    return large


def build_parts() -> int:
    """What the worker would do; how many parts."""
    with transaction() as session:
        due: list[uuid.UUID] = [job_id for job_id, _ in queries.due(session, 100)]
    for job_id in due:
        build_part(job_id)
    return len(due)


@pytest.fixture
def building(built: Large) -> Iterator[Large]:
    """The same with a worker at work."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.1):
            build_parts()

    thread = threading.Thread(target=work)
    thread.start()
    yield built
    over.set()
    thread.join(30)


type Command = Callable[..., int]


@pytest.fixture
def safelight() -> Command:
    """The command's exit code."""
    return lambda *arguments: main.main([str(argument) for argument in arguments])
