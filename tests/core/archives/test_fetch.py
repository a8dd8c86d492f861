"""The ranged client against a store that fails in every way a store can."""

import asyncio
import os
import ssl
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from safelight.archives.block import Block
from safelight.archives.fetch import DISTANT, Fetcher, renewing
from safelight.archives.memory import Window, capacity_for
from safelight.archives.plan import Entry
from safelight.errors import ObjectChanged, ObjectMissing, ObjectTruncated, SafelightError, StorageUnavailable
from tests.core.archives import readers
from tests.core.archives.faulty import Answer, FaultyStore, Request

DATA = os.urandom(300_000)
PHOTO = readers.photo("a.jpg", DATA)


@pytest.fixture
def store() -> Iterator[FaultyStore]:
    with FaultyStore().running() as running:
        running.put(PHOTO, DATA)
        yield running


async def fetch(fetcher: Fetcher, entry: Entry, start: int = 0, stop: int | None = None) -> bytes:
    """The bytes that one block ends up with."""
    stop = entry.size if stop is None else stop
    block = Block(entry, start, stop, b"before", Window(), capacity_for(stop - start + 6))
    task = asyncio.create_task(fetcher.fill(block))
    task.add_done_callback(lambda task: block.finish(None if task.cancelled() else task.exception()))
    result = b""
    while piece := await block.take():
        result += piece
    await task
    assert result.startswith(b"before")
    return result.removeprefix(b"before")


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait, a second at most, for what happens in another thread."""
    for _ in range(100):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen within a second")


def run[T](store: FaultyStore, deed: Callable[[Fetcher], Awaitable[T]], **options: float) -> T:
    """What `deed` gives, or raises, with a fetcher that does not wait long."""

    async def inside() -> T:
        settings = {"patience": 5.0, "pause": 0.001, **options}
        fetcher = Fetcher(store.sign, **settings)  # type: ignore[arg-type]  # options of one kind
        try:
            return await deed(fetcher)
        finally:
            await fetcher.close()

    return asyncio.run(inside())


def get(store: FaultyStore, start: int = 0, stop: int | None = None, **options: float) -> bytes:
    return run(store, lambda fetcher: fetch(fetcher, PHOTO, start, stop), **options)


def test_a_range_arrives(store: FaultyStore) -> None:
    assert get(store) == DATA
    assert get(store, 5, 200_005) == DATA[5:200_005]
    assert get(store, 299_999) == DATA[-1:]
    (*_, last) = store.requests
    assert last.headers["range"] == "bytes=299999-299999"
    assert last.headers["if-match"] == '"e"'
    assert last.headers["host"] == f"127.0.0.1:{store.port}"


def test_connections_are_kept(store: FaultyStore) -> None:
    async def several(fetcher: Fetcher) -> None:
        for start in range(20):
            assert await fetch(fetcher, PHOTO, start) == DATA[start:]

    run(store, several)
    assert store.connections == 1
    assert len(store.requests) == 20


def test_no_more_connections_than_allowed(store: FaultyStore) -> None:
    async def many(fetcher: Fetcher) -> None:
        assert await asyncio.gather(*(fetch(fetcher, PHOTO) for _ in range(40))) == [DATA] * 40

    run(store, many, connections=4)
    assert store.most_open <= 4


def test_a_distant_store_is_given_more_connections(store: FaultyStore) -> None:
    def slow(_: Request, answer: Answer) -> None:
        answer.silence = 5 * DISTANT

    async def many(fetcher: Fetcher) -> tuple[int, int]:
        near = fetcher.block_size
        await asyncio.gather(*(fetch(fetcher, PHOTO) for _ in range(30)))
        return near, fetcher.block_size

    store.faults[PHOTO.key] = slow
    near, distant = run(store, many, connections=16, few=2)
    assert store.most_open == 16
    assert distant < near


def test_a_block_that_broke_goes_on_at_that_byte(store: FaultyStore) -> None:
    def cut_twice(request: Request, answer: Answer) -> None:
        if request.number < 2:
            answer.cut = 100_000

    store.faults[PHOTO.key] = cut_twice
    assert get(store) == DATA
    assert [request.headers["range"] for request in store.requests] == [
        "bytes=0-299999",
        "bytes=100000-299999",
        "bytes=200000-299999",
    ]
    assert all(request.headers["if-match"] == '"e"' for request in store.requests)


def _reset(request: Request, answer: Answer) -> None:
    if request.number < 3:
        answer.reset, answer.cut = True, 20_000 * request.number


def _unavailable(request: Request, answer: Answer) -> None:
    if request.number < 3:
        answer.status, answer.body = (503, 500, 429)[request.number], b"SlowDown"


def _garbage(request: Request, answer: Answer) -> None:
    texts = [b"\x16\x03\x01 what?\r\n\r\n", b"HTTP/1.1 206 OK\r\nContent-Length: many\r\n\r\n", b"x" * 20_000, b""]
    if request.number < len(texts):
        answer.raw = texts[request.number]


def _no_length(request: Request, answer: Answer) -> None:
    if request.number < 1:
        answer.headers["Transfer-Encoding"] = "chunked"
    elif request.number < 2:
        answer.headers.pop("Content-Range")


def _too_long(request: Request, answer: Answer) -> None:
    if request.number < 1:
        length = len(answer.body)
        answer.raw = (
            f"HTTP/1.1 206 OK\r\nContent-Length: {length}\r\nContent-Range: {answer.headers['Content-Range']}\r\n\r\n"
        ).encode() + answer.body[:0]
        answer.raw += answer.body + b"more than that"


@pytest.mark.parametrize("fault", [_reset, _unavailable, _garbage, _no_length, _too_long])
def test_a_passing_fault_is_overcome(store: FaultyStore, fault: Callable[[Request, Answer], None]) -> None:
    store.faults[PHOTO.key] = fault
    assert get(store) == DATA


def _silent(_: Request, answer: Answer) -> None:
    answer.silence = 30


def _always_503(_: Request, answer: Answer) -> None:
    answer.status = 503


def _forbidden(_: Request, answer: Answer) -> None:
    answer.status = 403


def _redirect(_: Request, answer: Answer) -> None:
    answer.status = 301


def _other_range(_: Request, answer: Answer) -> None:
    answer.headers["Content-Range"] = "bytes 1-300000/300000"


def _ends_early(request: Request, answer: Answer) -> None:
    """The store has lost all but the first 1,000 bytes, and does not know it."""
    start = int(request.headers["range"].removeprefix("bytes=").partition("-")[0])
    answer.cut = max(1000 - start, 0)


def _cut_each_time(_: Request, answer: Answer) -> None:
    """A bad line: every answer brings something."""
    answer.cut = 1000


def _busy_and_then_cut(request: Request, answer: Answer) -> None:
    if request.number == 2:
        answer.cut = 1000
    else:
        answer.status, answer.body = 503, b""


def _reset_each_time(_: Request, answer: Answer) -> None:
    answer.reset, answer.cut = True, 0


def _shorter(_: Request, answer: Answer) -> None:
    answer.body = answer.body[:-1]
    answer.headers["Content-Range"] = "bytes 0-299998/299999"


def _longer(_: Request, answer: Answer) -> None:
    answer.headers["Content-Range"] = "bytes 0-299999/300001"


def _another_etag(_: Request, answer: Answer) -> None:
    """A store that does not know If-Match."""
    answer.headers["ETag"] = '"f"'


def _whole_without_range(_: Request, answer: Answer) -> None:
    answer.status = 200
    answer.headers.pop("Content-Range")


def _gone(_: Request, answer: Answer) -> None:
    answer.status = 404


def _changed(_: Request, answer: Answer) -> None:
    answer.status = 412


def _beyond(_: Request, answer: Answer) -> None:
    answer.status = 416


@pytest.mark.parametrize(
    ("fault", "error", "most"),
    [
        (_silent, StorageUnavailable, 3),
        (_always_503, StorageUnavailable, 3),
        (_forbidden, StorageUnavailable, 1),
        (_redirect, StorageUnavailable, 1),
        (_other_range, StorageUnavailable, 1),
        (_ends_early, ObjectTruncated, 3),
        (_cut_each_time, StorageUnavailable, 3),
        (_busy_and_then_cut, StorageUnavailable, 3),
        (_reset_each_time, StorageUnavailable, 3),
        (_shorter, ObjectTruncated, 1),
        (_longer, ObjectChanged, 1),
        (_another_etag, ObjectChanged, 1),
        (_gone, ObjectMissing, 1),
        (_changed, ObjectChanged, 1),
        (_beyond, ObjectTruncated, 1),
    ],
)
def test_a_lasting_fault_is_named(
    store: FaultyStore, fault: Callable[[Request, Answer], None], error: type[SafelightError], most: int
) -> None:
    store.faults[PHOTO.key] = fault
    with pytest.raises(error) as raised:
        get(store, attempts=3, patience=0.2)
    assert len(store.requests) == most
    if not isinstance(raised.value, StorageUnavailable):
        assert raised.value.key == PHOTO.key  # type: ignore[attr-defined]  # the three object errors have it
    assert "secret" not in f"{raised.value!r}{raised.value.__cause__!r}"


def test_a_whole_object_will_do_where_all_of_it_was_asked_for(store: FaultyStore) -> None:
    store.faults[PHOTO.key] = _whole_without_range
    assert get(store) == DATA


def test_an_object_that_changed_after_a_break_is_noticed(store: FaultyStore) -> None:
    def replaced(request: Request, answer: Answer) -> None:
        if request.number == 0:
            answer.cut = 1000
            store.objects[PHOTO.key] = (os.urandom(300_000), '"f"')

    store.faults[PHOTO.key] = replaced
    with pytest.raises(ObjectChanged):
        get(store)


def test_a_connection_that_was_hung_up_while_idle_costs_no_attempt(store: FaultyStore) -> None:
    def hang_up(_: Request, answer: Answer) -> None:
        answer.hang_up = True

    async def twice(fetcher: Fetcher) -> None:
        for _ in range(3):
            assert await fetch(fetcher, PHOTO) == DATA

    store.faults[PHOTO.key] = hang_up
    run(store, twice, attempts=1)
    assert store.connections == 3


def test_bytes_nobody_asked_for_end_the_connection(store: FaultyStore) -> None:
    async def twice(fetcher: Fetcher) -> None:
        assert await fetch(fetcher, PHOTO, 0, 10) == DATA[:10]
        connection = next(iter(fetcher._idle.values()))[0]
        connection.get_buffer(-1)[:5] = b"hello"
        connection.buffer_updated(5)
        assert not connection.reusable
        assert await fetch(fetcher, PHOTO, 0, 10) == DATA[:10]

    run(store, twice)
    assert store.connections == 2


def test_nobody_there() -> None:
    store = FaultyStore(port=1)
    with pytest.raises(StorageUnavailable):
        get(store, attempts=2)


def test_cancelling_drops_the_connection(store: FaultyStore) -> None:
    def slow(_: Request, answer: Answer) -> None:
        answer.pause = 0.05

    async def begin_and_leave(fetcher: Fetcher) -> None:
        task = asyncio.create_task(fetch(fetcher, PHOTO))
        await eventually(lambda: store.sent > 0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        fill = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in fill:
            task.cancel()
        await asyncio.gather(*fill, return_exceptions=True)
        assert fetcher._busy == 0
        await eventually(lambda: store.open == 0)
        assert store.sent < len(DATA)

    store.faults[PHOTO.key] = slow
    run(store, begin_and_leave)


def test_a_waiter_that_gives_up_lets_the_next_one_in(store: FaultyStore) -> None:
    async def queue(fetcher: Fetcher) -> None:
        blocks = [Block(PHOTO, 0, PHOTO.size, b"", Window(), capacity_for(PHOTO.size)) for _ in range(6)]
        tasks = [asyncio.create_task(fetcher.fill(block)) for block in blocks]
        await asyncio.sleep(0)
        tasks[2].cancel()  # while it waits
        await tasks[0]
        tasks[1].cancel()  # as its turn has come
        done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert [type(result) for result in done[1:3]] == [asyncio.CancelledError] * 2
        assert [done[0], *done[3:]] == [None] * 4
        assert fetcher._busy == 0

    run(store, queue, connections=1)


def test_one_fetcher_serves_one_event_loop_after_another(store: FaultyStore) -> None:
    fetcher = Fetcher(store.sign)

    async def once() -> None:
        try:
            assert await fetch(fetcher, PHOTO) == DATA
        finally:
            await fetcher.close()

    asyncio.run(once())
    asyncio.run(once())


@pytest.mark.parametrize("url", ["ftp://a/b", "http://a", "http://a/b c", "http://a/b\r\nX: y", "http://a b/c", ""])
def test_a_url_that_is_none_is_refused_without_showing_it(
    store: FaultyStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "sign", lambda _: url)
    with pytest.raises(ValueError, match=r"^the signed URL is not one$"):
        get(store)


@pytest.mark.parametrize("etag", ['"a\r\nX: y"', '"a"b"', "a b"])
def test_an_etag_cannot_carry_a_header(store: FaultyStore, etag: str) -> None:
    with pytest.raises(ValueError, match="ETag"):
        run(store, lambda fetcher: fetch(fetcher, PHOTO._replace(etag=etag)))


def test_an_etag_without_quotes_is_quoted(store: FaultyStore) -> None:
    assert run(store, lambda fetcher: fetch(fetcher, PHOTO._replace(etag="e"))) == DATA
    assert store.requests[-1].headers["if-match"] == '"e"'


def test_signing_is_renewed_in_time() -> None:
    made: list[int] = []

    def make() -> Callable[[str], str]:
        made.append(len(made))
        number = made[-1]
        return lambda key: f"{number}:{key}"

    sign = renewing(make, every=0.05)
    assert [sign("a"), sign("b")] == ["0:a", "0:b"]
    time.sleep(0.06)
    assert sign("a") == "1:a"


def test_tls(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = [
        readers.installed("openssl"),
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    subprocess.run([*command, "-keyout", key, "-out", certificate, *subject], check=True, capture_output=True)

    async def inside(trust: ssl.SSLContext | None) -> bytes:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while True:
                    await reader.readuntil(b"\r\n\r\n")
                    size = len(DATA)
                    head = (
                        f"HTTP/1.1 206 OK\r\nContent-Length: {size}\r\nContent-Range: bytes 0-{size - 1}/{size}\r\n\r\n"
                    )
                    writer.write(head.encode() + DATA)
                    await writer.drain()
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        fetcher = Fetcher(lambda key: f"https://127.0.0.1:{port}/{key}", tls=trust, attempts=1)
        try:
            await fetch(fetcher, PHOTO)
            return await fetch(fetcher, PHOTO)
        finally:
            await fetcher.close()
            server.close()
            await asyncio.sleep(0.05)

    assert asyncio.run(inside(ssl.create_default_context(cafile=certificate))) == DATA
    with pytest.raises(StorageUnavailable):
        asyncio.run(inside(None))
