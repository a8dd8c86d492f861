"""An archive's bytes arrive in order, within the window, or the stream breaks before the central directory."""

import asyncio
import io
import itertools
import os
import random
import zipfile
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.archives.block import Block
from safelight.archives.fetch import Fetcher
from safelight.archives.memory import FLOOR, Share, Window, capacity_for
from safelight.archives.plan import Entry, Plan, plan
from safelight.archives.receipt import receipt
from safelight.archives.stream import ArchiveBroken, open_archive
from safelight.errors import ObjectMissing, StorageUnavailable
from tests.core.archives import readers
from tests.core.archives.faulty import Answer, FaultyStore, Request

KIB, MIB = 1024, 1024 * 1024


class Memory:
    """Objects in memory, delivered in pieces of any size, at any pace, in any order."""

    block_size = MIB
    ahead = None

    def __init__(self, contents: dict[str, bytes], seed: int = 0) -> None:
        self.contents = contents
        self.random = random.Random(seed)
        self.fetched = 0
        self.running = 0

    def hurry(self) -> None:
        """It cannot."""

    async def fill(self, block: Block) -> None:
        """Deliver what the object has."""
        self.running += 1
        try:
            for _ in range(self.random.randrange(4)):
                await asyncio.sleep(0)
            data = self.contents.get(block.entry.key)
            if data is None:
                raise ObjectMissing(block.entry.key)
            block.begin()
            while block.position < block.stop:
                count = min(self.random.choice([1, 1000, 70_000, MIB]), block.stop - block.position)
                block.room()[:count] = data[block.position : block.position + count]
                block.advance(count)
                self.fetched += count
                if self.random.random() < 0.3:
                    await asyncio.sleep(0)
        finally:
            self.running -= 1


async def read(layout: Plan, fetcher: Memory | Fetcher, start: int, stop: int, window: Window) -> bytes:
    """The bytes of a stream."""
    stream = await open_archive(layout, start, stop, fetcher, window)
    try:
        return b"".join([bytes(piece) async for piece in stream])
    finally:
        await stream.aclose()


members = st.lists(st.binary(max_size=300) | st.integers(0, 700_000).map(lambda size: os.urandom(size)), max_size=6)


@settings(deadline=None, max_examples=60)
@given(members, st.data())
def test_any_part_arrives_in_order(contents: list[bytes], data: st.DataObject) -> None:
    entries = [readers.photo(f"{number}.jpg", content) for number, content in enumerate(contents)]
    objects = {entry.key: content for entry, content in zip(entries, contents, strict=True)}
    middle = data.draw(st.integers(0, len(entries)))
    words = b"literal " * data.draw(st.integers(0, 20_000))
    entries.insert(middle, readers.photo("words.txt", words)._replace(data=words))
    layout = plan(entries)
    whole = readers.assembled(layout, objects)
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    window = Window(data.draw(st.sampled_from([64 * KIB, MIB, 16 * MIB])))
    fetcher = Memory(objects, data.draw(st.integers(0, 100)))
    assert asyncio.run(read(layout, fetcher, start, stop, window)) == whole[start:stop]
    assert (window.used, window.shares, fetcher.running) == (0, 0, 0)


def _large(count: int, size: int) -> tuple[list[Entry], dict[str, bytes]]:
    data = os.urandom(size)
    entries = [readers.photo(f"{number}.jpg", data) for number in range(count)]
    return entries, {entry.key: data for entry in entries}


def test_reading_ahead_stays_within_the_window() -> None:
    entries, objects = _large(12, 3 * MIB)
    window, fetcher = Window(4 * MIB), Memory(objects)

    async def slow_client() -> None:
        stream = await open_archive(plan(entries), 0, plan(entries).size, fetcher, window)
        sent = 0
        async for piece in stream:
            sent += len(piece)
            await asyncio.sleep(0)
            assert fetcher.fetched - sent <= window.size
            assert window.used <= window.size
        await stream.aclose()

    asyncio.run(slow_client())


def test_clients_that_stopped_do_not_stop_another() -> None:
    entries, objects = _large(6, 3 * MIB)
    layout, window, fetcher = plan(entries), Window(2 * MIB), Memory(objects)

    async def several() -> None:
        stopped = [await open_archive(layout, 0, layout.size, fetcher, window) for _ in range(12)]
        begun = [aiter(stream) for stream in stopped]
        for pieces in begun:
            await anext(pieces)
        whole = await asyncio.wait_for(read(layout, fetcher, 0, layout.size, window), 20)
        assert whole == readers.assembled(layout, objects)
        assert window.used <= window.size + 13 * FLOOR
        for stream in stopped:
            await stream.aclose()
        assert window.used == 0

    asyncio.run(several())


def test_an_archive_alone_may_use_all_and_shares_when_another_comes() -> None:
    window = Window(8 * MIB)
    first = Share(window)
    taken = list(itertools.takewhile(bool, (first.take(MIB) for _ in range(100))))
    assert sum(taken) == 8 * MIB
    second = Share(window)
    assert second.take(MIB) == FLOOR
    assert second.take(MIB) == 0
    for granted in taken[:5]:
        first.give_back(granted)
    assert second.take(MIB) == MIB
    assert first.take(MIB) == MIB
    assert first.take(MIB) == 0
    first.leave()
    second.leave()
    assert (window.used, window.shares) == (0, 0)


def test_a_buffer_is_used_again_but_not_while_a_socket_looks_at_it() -> None:
    window = Window()
    buffer = window.borrow(capacity_for(MIB))
    looking = memoryview(buffer)[5:9]
    window.give_back(buffer)
    assert window.borrow(MIB) is not buffer
    looking.release()
    window.give_back(buffer)
    assert len(buffer) == MIB
    assert window.borrow(MIB) is buffer


def test_the_first_object_is_asked_for_before_anything_is_said() -> None:
    entries, objects = _large(3, 1000)
    del objects[entries[0].key]
    fetcher, window = Memory(objects), Window()
    with pytest.raises(ArchiveBroken, match=r"“0\.jpg” cannot be read \(object_missing\)") as raised:
        asyncio.run(read(plan(entries), fetcher, 0, plan(entries).size, window))
    assert raised.value.entry == entries[0]
    assert isinstance(raised.value.__cause__, ObjectMissing)
    assert (window.used, window.shares, fetcher.running) == (0, 0, 0)


def test_leaving_early_stops_all_reading() -> None:
    entries, objects = _large(30, MIB)
    fetcher, window = Memory(objects), Window()

    async def leave() -> None:
        stream = await open_archive(plan(entries), 0, plan(entries).size, fetcher, window)
        await anext(aiter(stream))
        await stream.aclose()
        await stream.aclose()
        assert fetcher.running == 0
        fetched = fetcher.fetched
        await asyncio.sleep(0.05)
        assert fetcher.fetched == fetched < 30 * MIB

    asyncio.run(leave())
    assert (window.used, window.shares) == (0, 0)


def test_cancelled_before_the_first_answer() -> None:
    entries, objects = _large(3, 1000)
    window = Window()

    class Silent(Memory):
        async def fill(self, block: Block) -> None:
            assert block.position == 0
            await asyncio.Event().wait()

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(plan(entries), Silent(objects), 0, plan(entries).size, window), 0.05)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(leave())
    assert (window.used, window.shares) == (0, 0)


# Faults: whatever happens to a source, what was sent is never an archive that a reader opens.


def _missing(store: FaultyStore, victim: Entry) -> None:
    del store.objects[victim.key]


def _changed(store: FaultyStore, victim: Entry) -> None:
    store.objects[victim.key] = (os.urandom(victim.size), '"another"')


def _changed_unnoticed_by_the_store(store: FaultyStore, victim: Entry) -> None:
    data = os.urandom(victim.size)

    def unaware(_: Request, answer: Answer) -> None:
        answer.status, answer.body, answer.headers["ETag"] = 206, data, '"another"'

    store.faults[victim.key] = unaware


def _short(store: FaultyStore, victim: Entry) -> None:
    data, etag = store.objects[victim.key]
    store.objects[victim.key] = (data[: len(data) // 2], etag)


def _empty(store: FaultyStore, victim: Entry) -> None:
    store.objects[victim.key] = (b"", victim.etag)


def _cut(store: FaultyStore, victim: Entry) -> None:
    def cut(_: Request, answer: Answer) -> None:
        answer.headers["Content-Length"], answer.cut = str(len(answer.body)), len(answer.body) // 3

    store.faults[victim.key] = cut


def _down(store: FaultyStore, victim: Entry) -> None:
    def down(_: Request, answer: Answer) -> None:
        answer.status = 503

    store.faults[victim.key] = down


def _reset_at_once(store: FaultyStore, victim: Entry) -> None:
    def reset(_: Request, answer: Answer) -> None:
        answer.reset, answer.cut = True, 0

    store.faults[victim.key] = reset


def _silent(store: FaultyStore, victim: Entry) -> None:
    def silent(_: Request, answer: Answer) -> None:
        answer.silence = 10

    store.faults[victim.key] = silent


FAULTS = [_missing, _changed, _changed_unnoticed_by_the_store, _short, _empty, _cut, _down, _reset_at_once, _silent]


@pytest.fixture
def store() -> Iterator[FaultyStore]:
    with FaultyStore().running() as running:
        yield running


@pytest.mark.parametrize("victim", [0, 3, 7])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_source_never_makes_a_readable_archive(
    store: FaultyStore, fault: Callable[[FaultyStore, Entry], None], victim: int
) -> None:
    contents = [os.urandom(random.randrange(1000, 400_000)) for _ in range(8)]
    photos = [readers.photo(f"{number}.jpg", data)._replace(sha256="0" * 64) for number, data in enumerate(contents)]
    for entry, data in zip(photos, contents, strict=True):
        store.put(entry, data)
    layout = plan([*photos, receipt(photos)])
    fault(store, photos[victim])

    async def broken() -> tuple[bytes, ArchiveBroken]:
        fetcher = Fetcher(store.sign, patience=0.05, pause=0.001, attempts=2)
        received = b""
        try:
            stream = await open_archive(layout, 0, layout.size, fetcher, Window())
            try:
                async for piece in stream:
                    received += piece
            finally:
                await stream.aclose()
        except ArchiveBroken as error:
            return received, error
        finally:
            await fetcher.close()
        raise AssertionError("the archive came out whole")

    received, error = asyncio.run(broken())
    assert error.entry == photos[victim]
    assert photos[victim].name in error.detail
    whole_before = sum(photo.size for photo in photos[:victim])
    assert whole_before <= len(received) < layout.size - 1000
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(received))


def test_a_store_that_breaks_every_answer_still_delivers(store: FaultyStore) -> None:
    entries, objects = _large(10, 300_000)
    layout = plan(entries)

    def always_cut(request: Request, answer: Answer) -> None:
        answer.headers["Content-Length"] = str(len(answer.body))
        if request.number < 3:
            answer.cut = 90_000

    for entry in entries:
        store.put(entry, objects[entry.key])
        store.faults[entry.key] = always_cut

    async def whole() -> bytes:
        fetcher = Fetcher(store.sign, pause=0.001)
        try:
            return await read(layout, fetcher, 0, layout.size, Window())
        finally:
            await fetcher.close()

    assert asyncio.run(whole()) == readers.assembled(layout, objects)


def test_an_unavailable_store_is_told_apart() -> None:
    entries, objects = _large(1, 1000)

    class Down(Memory):
        async def fill(self, block: Block) -> None:
            assert block.position == 0
            raise StorageUnavailable

    with pytest.raises(ArchiveBroken) as raised:
        asyncio.run(read(plan(entries), Down(objects), 0, plan(entries).size, Window()))
    assert raised.value.reason == "storage_unavailable"
