"""A hundred failures of the store under the whole product: what the client sees, and what the photographer is told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from io import BytesIO

import httpx2 as httpx
import pytest

from functions.downloads.app import app
from safelight import storage
from safelight.archives.fetch import Fetcher
from safelight.archives.memory import Window
from safelight.archives.plan import Entry
from safelight.photos.damage import REASONS
from safelight.web.archive import Engine, get_engine
from tests.api import Photographer, client, jpeg, run_jobs, running
from tests.core.archives import faults
from tests.core.archives.faulty import FaultyStore
from tests.functions.support import problem, sql

pytestmark = pytest.mark.usefixtures("shared_api")

PHOTOS, ROUNDS = 6, 100


class Album:
    """A shared gallery; what its archives are made of lies in a store that can fail."""

    def __init__(self, store: FaultyStore) -> None:
        self.store = store
        self.anna = Photographer.registered()
        self.gallery = self.anna.gallery()["id"]
        # One of 2 MB among the small: several blocks, and more than the sockets' buffers hold.
        sizes = [random.randrange(1, 60_000) for _ in range(PHOTOS - 1)]
        for number, size in enumerate([*sizes, 2_000_000]):
            self.anna.upload(self.gallery, jpeg() + os.urandom(size), filename=f"день {number}.jpg")
        run_jobs()
        self.share = self.anna.share(self.gallery)["share_id"]
        self.paths = [(f"/galleries/{self.gallery}/download", self.anna.tokens["access_token"])]
        self.paths.append((f"/s/{self.share}/download/all", ""))
        rows = sql("SELECT filename, file_size, s3_key, etag FROM photos ORDER BY filename")
        self.entries = [Entry(name, size, 0, 0, key, etag) for name, size, key, etag in rows]
        self.contents = {entry.key: storage.storage().read(entry.key)[0] for entry in self.entries}
        self.mend()
        self.whole = self.get(self.paths[0])

    def mend(self) -> None:
        """As if nothing had ever been wrong."""
        self.store.forget()
        for entry in self.entries:
            self.store.put(entry, self.contents[entry.key])
        sql("UPDATE photos SET damaged_at = NULL, damage_reason = NULL WHERE damaged_at IS NOT NULL")

    def get(self, path: tuple[str, str]) -> bytes:
        """All of the archive."""
        answer = client().get(path[0], headers={"Authorization": f"Bearer {path[1]}"} if path[1] else {})
        assert answer.status_code == 200, answer.text
        return answer.content

    def damaged(self) -> list[tuple[str, str]]:
        """Name of and reason for each damaged photo, as the photographer sees them."""
        shown = self.anna.call("GET", f"/galleries/{self.gallery}/photos").json()["items"]
        return [(photo["filename"], photo["damage_reason"]) for photo in shown if photo["damaged_at"]]


class Log(logging.Handler):
    """What is said about archives that broke off: (photo, what is wrong)."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() == "archive broken off":
            self.said.append((record.__dict__["photo"], record.__dict__["reason"]))


@pytest.fixture(scope="module")
def album(shared_api: str) -> Iterator[Album]:
    assert shared_api
    with FaultyStore().running() as store, fetching(store, patience=60):
        yield Album(store)


@contextlib.contextmanager
def fetching(store: FaultyStore, patience: float) -> Iterator[None]:
    """Archives are made from `store`, by a fetcher that gives a silent store `patience` seconds."""
    engine = Engine(Fetcher(store.sign, patience=patience, pause=0.001, attempts=2), Window(), None)
    before = app.dependency_overrides.copy()
    app.dependency_overrides[get_engine] = lambda: engine
    try:
        yield
    finally:
        app.dependency_overrides = before
        asyncio.run_coroutine_threadsafe(engine.fetcher.close(), running[0]._loop).result(10)


@pytest.fixture
def log() -> Iterator[Log]:
    handler = Log()
    logger = logging.getLogger("safelight.web.archive")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def download(path: tuple[str, str]) -> tuple[httpx.Response, bytes, bool]:
    """The answer, the bytes that came, and whether the connection ended before all that were announced."""
    received = bytearray()
    headers = {"Authorization": f"Bearer {path[1]}"} if path[1] else {}
    with client() as browser, browser.stream("GET", path[0], headers=headers) as answer:
        try:
            for piece in answer.iter_raw():
                received += piece
        except httpx.RemoteProtocolError:
            return answer, bytes(received), True
    return answer, bytes(received), False


def break_and_download(album: Album, log: Log, fault: faults.Fault, victim: Entry, chance: random.Random) -> str:
    """One round; how it ended."""
    album.mend()
    log.said.clear()
    expected = fault(album.store, victim, chance)
    answer, received, broken = download(chance.choice(album.paths))
    if expected is None:
        assert (answer.status_code, broken) == (200, False)
        assert received == album.whole
        assert (log.said, album.damaged()) == ([], [])
        return "whole"
    [code] = expected
    if answer.status_code == 200:
        assert broken
        assert int(answer.headers["content-length"]) == len(album.whole) > len(received)
        assert album.whole.startswith(received)
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(BytesIO(received))
        how = "broken"
    else:
        assert victim == album.entries[0], "only what comes first can still be told by a status"
        answer = httpx.Response(answer.status_code, headers=answer.headers, content=received)
        if code == "storage_unavailable":
            problem(answer, 503, "storage_unavailable")
            assert int(answer.headers["retry-after"]) > 0
        else:
            assert f"“{victim.name}”" in problem(answer, 409, "archive_broken")["detail"]
        how = str(answer.status_code)
    told = [(victim.name, REASONS[code])] if code in REASONS else []
    until = time.monotonic() + 20
    while (len(log.said), album.damaged()) != (1, told):  # said and written down after the connection ended
        assert time.monotonic() < until, (fault.__name__, log.said, album.damaged())
        time.sleep(0.005)
    [(photo, reason)] = log.said
    assert photo == victim.name
    assert code in reason
    return how


def test_every_failure_is_seen_by_the_client_and_told_by_name(album: Album, log: Log) -> None:
    chance = random.Random(77)
    chosen = [*faults.CHEAP * (ROUNDS // len(faults.CHEAP) + 1)][:ROUNDS]
    ends = Counter(
        break_and_download(album, log, fault, album.entries[number % PHOTOS], chance)
        for number, fault in enumerate(chosen)
    )
    assert sum(ends.values()) == ROUNDS
    assert ends.keys() == {"whole", "broken", "409", "503"}


@pytest.mark.parametrize("victim", [0, PHOTOS - 1])
def test_a_store_that_falls_silent_is_no_damage(album: Album, log: Log, victim: int) -> None:
    with fetching(album.store, patience=2):
        how = break_and_download(album, log, faults.silent, album.entries[victim], random.Random(victim))
    assert how == ("broken" if victim else "503")
