"""The answer as clients meet it: a real uvicorn, real sockets, curl."""

import asyncio
import contextlib
import hashlib
import http.client
import itertools
import os
import random
import socket
import subprocess
import threading
import time
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from safelight.archives.fetch import Fetcher
from safelight.archives.memory import Window
from safelight.archives.plan import Plan, plan
from safelight.archives.ranges import parse_range
from safelight.archives.receipt import receipt
from safelight.errors import SafelightError, Unavailable
from safelight.web.streaming import ArchiveResponse, Sent
from tests.core.archives import readers
from tests.core.archives.faulty import Answer, FaultyStore
from tests.core.archives.faulty import Request as Asked

COUNT, SIZE = 12, 700_000
CONTENTS = {f"{number}.jpg": os.urandom(SIZE) for number in range(COUNT)}
PHOTOS = [
    readers.photo(name, data)._replace(sha256=hashlib.sha256(data).hexdigest()) for name, data in CONTENTS.items()
]


class Service:
    """One archive behind uvicorn, its objects in a store that can fail."""

    def __init__(self, store: FaultyStore) -> None:
        self.store = store
        self.window = Window()
        self.fetcher = Fetcher(store.sign, pause=0.01, patience=2)
        self.plan: Plan = plan([*PHOTOS, receipt(PHOTOS)])
        self.ends: list[Sent] = []
        self.url = ""
        self.whole = readers.assembled(self.plan, {entry.key: CONTENTS[entry.name] for entry in PHOTOS})

    async def answer(self, request: Request) -> Response:
        """What the route of the product does."""
        asked, if_range = request.headers.get("range"), request.headers.get("if-range")
        part = parse_range(asked, if_range, size=self.plan.size, etag=self.plan.etag, method=request.method)
        return ArchiveResponse(
            self.plan,
            part,
            self.fetcher,
            self.window,
            filename="Свадьба “2026”.zip",
            headers={"Cache-Control": "private"},
            ended=self.ends.append,
        )

    async def refuse(self, _: Request, error: Exception) -> Response:
        """The error mapping, in short."""
        assert isinstance(error, SafelightError)
        return JSONResponse({"code": error.code}, 503 if isinstance(error, Unavailable) else 409)

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """What is open at the end of an event loop must be closed on it."""
        yield
        await self.fetcher.close()

    @contextlib.contextmanager
    def running(self, protocol: str) -> Iterator["Service"]:
        """Serve in a thread until the end of the block."""
        routes = [Route("/a.zip", self.answer, methods=["GET", "HEAD"])]
        app = Starlette(routes=routes, exception_handlers={SafelightError: self.refuse}, lifespan=self.lifespan)
        config = uvicorn.Config(app, http=protocol, log_config=None, access_log=False)
        server = uvicorn.Server(config)
        listener = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/a.zip"
        try:
            yield self
        finally:
            server.should_exit = True
            thread.join()
            listener.close()

    def end(self) -> Sent:
        """How the last answer ended; waits a second for it."""
        until = time.monotonic() + 1
        while not self.ends and time.monotonic() < until:
            time.sleep(0.005)
        return self.ends.pop()


@pytest.fixture(params=["httptools", "h11"])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    with FaultyStore().running() as store:
        for entry in PHOTOS:
            store.put(entry, CONTENTS[entry.name])
        with Service(store).running(request.param) as running:
            yield running


def test_the_whole(service: Service, tmp_path: Path) -> None:
    answer = httpx.get(service.url)
    assert answer.status_code == 200
    assert answer.content == service.whole
    assert answer.headers["content-length"] == str(service.plan.size)
    assert answer.headers["etag"] == service.plan.etag
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["cache-control"] == "private"
    assert "content-range" not in answer.headers
    assert service.end() == Sent(service.plan.size, service.plan.size, None)
    path = tmp_path / "a.zip"
    path.write_bytes(answer.content)
    assert readers.python_accepts(path) == [*CONTENTS, "SHA256SUMS.txt"]
    readers.unzip_accepts(path)
    readers.seven_zip_accepts(path)


def test_head_reads_nothing(service: Service) -> None:
    answer = httpx.head(service.url, headers={"Range": "bytes=5-9"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(service.plan.size)
    assert answer.headers["etag"] == service.plan.etag
    assert service.store.requests == []


def test_parts(service: Service) -> None:
    size = service.plan.size
    for _ in range(25):
        start = random.randrange(size)
        stop = random.randrange(start, size) + 1
        answer = httpx.get(service.url, headers={"Range": f"bytes={start}-{stop - 1}", "If-Range": service.plan.etag})
        assert answer.status_code == 206
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
        assert answer.headers["content-length"] == str(stop - start)
        assert answer.content == service.whole[start:stop]


def test_the_directory_alone_needs_no_object(service: Service) -> None:
    answer = httpx.get(service.url, headers={"Range": "bytes=-200"})
    assert answer.content == service.whole[-200:]
    assert service.store.requests == []


def test_another_archive_starts_over(service: Service) -> None:
    answer = httpx.get(service.url, headers={"Range": "bytes=5-9", "If-Range": '"older"'})
    assert (answer.status_code, answer.content) == (200, service.whole)


def test_beyond_the_end(service: Service) -> None:
    answer = httpx.get(service.url, headers={"Range": f"bytes={service.plan.size}-"})
    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["content-range"] == f"bytes */{service.plan.size}"
    assert "content-disposition" not in answer.headers
    assert service.store.requests == []


def test_curl_resumes_where_it_was_cut(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    cuts = sorted(random.sample(range(1, service.plan.size), 3))
    for cut in cuts:
        have = path.stat().st_size if path.exists() else 0
        with httpx.stream("GET", service.url, headers={"Range": f"bytes={have}-"}) as answer, path.open("ab") as out:
            for piece in answer.iter_raw():
                out.write(piece[: cut - out.tell()])
                if out.tell() == cut:
                    break
    assert path.stat().st_size == cuts[-1]
    subprocess.run([readers.installed("curl"), "-sS", "-f", "-C", "-", "-o", path, service.url], check=True)
    assert path.read_bytes() == service.whole


def test_eight_parts_at_once(service: Service) -> None:
    size = service.plan.size
    edges = [size * number // 8 for number in range(9)]

    async def all_parts() -> bytes:
        async with httpx.AsyncClient() as client:
            answers = await asyncio.gather(
                *(
                    client.get(service.url, headers={"Range": f"bytes={start}-{stop - 1}"})
                    for start, stop in itertools.pairwise(edges)
                )
            )
        return b"".join(answer.content for answer in answers)

    assert asyncio.run(all_parts()) == service.whole
    until = time.monotonic() + 1
    while service.window.shares and time.monotonic() < until:
        time.sleep(0.01)
    assert (service.window.used, service.window.shares) == (0, 0)


def test_a_connection_is_kept_for_the_next_part(service: Service) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", httpx.URL(service.url).port)
    with contextlib.closing(connection):
        connection.request("GET", "/a.zip", headers={"Range": "bytes=0-9"})
        assert connection.getresponse().read() == service.whole[:10]
        kept = connection.sock
        connection.request("GET", "/a.zip", headers={"Range": "bytes=10-1000000"})
        assert connection.getresponse().read() == service.whole[10:1_000_001]
        assert kept is not None
        assert connection.sock is kept


@pytest.mark.parametrize("victim", [5, COUNT - 1])
def test_a_missing_photo_breaks_the_connection_and_is_named(service: Service, victim: int, tmp_path: Path) -> None:
    del service.store.objects[PHOTOS[victim].key]
    path = tmp_path / "a.zip"
    done = subprocess.run([readers.installed("curl"), "-sS", "-o", path, service.url], check=False, capture_output=True)
    assert done.returncode == 18  # "only part of the file was transferred"
    assert victim * SIZE < path.stat().st_size < service.plan.size
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(path)
    end = service.end()
    assert end.broken is not None
    assert end.broken.entry == PHOTOS[victim]
    assert end.broken.reason == "object_missing"
    assert not end.whole


def test_a_missing_first_photo_is_an_answer_of_its_own(service: Service) -> None:
    del service.store.objects[PHOTOS[0].key]
    answer = httpx.get(service.url)
    assert (answer.status_code, answer.json()) == (409, {"code": "archive_broken"})
    end = service.end()
    assert (end.sent, end.broken and end.broken.entry) == (0, PHOTOS[0])


def test_a_store_that_is_down_is_503(service: Service) -> None:
    def down(_: Asked, answer: Answer) -> None:
        answer.status = 503

    service.store.faults[PHOTOS[0].key] = down
    answer = httpx.get(service.url)
    assert (answer.status_code, answer.json()) == (503, {"code": "storage_unavailable"})


@pytest.mark.parametrize("stage", ["before the first answer", "while reading", "while the client does not read"])
def test_a_client_that_left_stops_all_reading_within_a_second(service: Service, stage: str) -> None:
    def slow(_: Asked, answer: Answer) -> None:
        answer.silence = 30 if stage.startswith("before") else 0
        answer.pause = 0.01 if stage == "while reading" else 0

    big = os.urandom(8_000_000)
    photos = [readers.photo(f"{number}.jpg", big) for number in range(40)]
    for entry in photos:
        service.store.put(entry, big)
        service.store.faults[entry.key] = slow
    service.plan = plan(photos)
    with socket.create_connection(("127.0.0.1", httpx.URL(service.url).port)) as client:
        client.sendall(b"GET /a.zip HTTP/1.1\r\nHost: a\r\n\r\n")
        if not stage.startswith("before"):
            client.recv(1000)
        time.sleep(0.3)
    left = time.monotonic()
    while service.window.shares and time.monotonic() < left + 1:
        time.sleep(0.005)
    assert (service.window.used, service.window.shares) == (0, 0)
    time.sleep(0.1)  # for the store to notice
    sent, asked = service.store.sent, len(service.store.requests)
    time.sleep(0.2)
    assert (service.store.sent, len(service.store.requests)) == (sent, asked)
    end = service.end()
    assert not end.whole
    assert end.broken is None
    assert service.store.sent < service.plan.size / 3


def test_an_empty_archive(service: Service) -> None:
    service.plan = plan([])
    assert httpx.get(service.url).content == b"PK\5\6" + bytes(18)
