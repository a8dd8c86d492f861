"""Hundreds of failures of the store, each at a random place of a random archive: nothing broken ever looks whole."""

from __future__ import annotations

import asyncio
import hashlib
import io
import random
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from safelight.archives.damage import REASONS
from safelight.archives.fetch import Fetcher
from safelight.archives.memory import Window
from safelight.archives.plan import Entry, Plan, plan
from safelight.archives.receipt import receipt
from safelight.archives.stream import ArchiveBroken, open_archive
from tests.core.archives import readers
from tests.core.archives.faulty import Answer, FaultyStore, Request

ROUNDS = 400
ATTEMPTS = 4

type Fault = Callable[[FaultyStore, Entry, random.Random], set[str] | None]
"""Spoils one object of the store. The codes it may be reported as; None when the archive must come out all the same."""


def gone(store: FaultyStore, victim: Entry, _: random.Random) -> set[str]:
    del store.objects[victim.key]
    return {"object_missing"}


def truncated(store: FaultyStore, victim: Entry, chance: random.Random) -> set[str]:
    data, etag = store.objects[victim.key]
    store.objects[victim.key] = (data[: chance.randrange(len(data))], etag)
    return {"object_truncated"}


def changed(store: FaultyStore, victim: Entry, chance: random.Random) -> set[str]:
    store.objects[victim.key] = (chance.randbytes(victim.size), '"another"')
    return {"object_changed"}


def grown(store: FaultyStore, victim: Entry, chance: random.Random) -> set[str]:
    data, etag = store.objects[victim.key]
    store.objects[victim.key] = (data + chance.randbytes(100), etag)
    return {"object_changed"}


def busy(store: FaultyStore, victim: Entry, _: random.Random) -> set[str]:
    def refuse(_: Request, answer: Answer) -> None:
        answer.status, answer.headers, answer.body = 503, {}, b"<Error><Code>SlowDown</Code></Error>"

    store.faults[victim.key] = refuse
    return {"storage_unavailable"}


def busy_once(store: FaultyStore, victim: Entry, _: random.Random) -> None:
    def refuse(request: Request, answer: Answer) -> None:
        if request.number == 0:
            answer.status, answer.headers, answer.body = 503, {}, b""

    store.faults[victim.key] = refuse


def reset(store: FaultyStore, victim: Entry, _: random.Random) -> set[str]:
    def close(_: Request, answer: Answer) -> None:
        answer.reset, answer.cut = True, 0

    store.faults[victim.key] = close
    return {"storage_unavailable", "object_truncated"}


def cut_once(store: FaultyStore, victim: Entry, chance: random.Random) -> None:
    at = chance.random()

    def cut(request: Request, answer: Answer) -> None:
        if request.number == 0:
            answer.headers["Content-Length"] = str(len(answer.body))
            answer.cut = int(at * len(answer.body))

    store.faults[victim.key] = cut


def silent(store: FaultyStore, victim: Entry, _: random.Random) -> set[str]:
    def wait(_: Request, answer: Answer) -> None:
        answer.silence = 5

    store.faults[victim.key] = wait
    return {"storage_unavailable"}


def slow(store: FaultyStore, victim: Entry, _: random.Random) -> None:
    def dawdle(_: Request, answer: Answer) -> None:
        answer.pause = 0.005

    store.faults[victim.key] = dawdle


FAULTS: list[Fault] = [gone, truncated, changed, grown, busy, busy_once, reset, cut_once, silent, slow]


@pytest.fixture
def store() -> Iterator[FaultyStore]:
    with FaultyStore().running() as running:
        yield running


async def receive(store: FaultyStore, layout: Plan) -> tuple[bytes, ArchiveBroken | None]:
    """What a client gets, and why it got no more."""
    fetcher = Fetcher(store.sign, patience=0.25, pause=0.001, attempts=ATTEMPTS)
    received = bytearray()
    try:
        stream = await open_archive(layout, 0, layout.size, fetcher, Window())
        try:
            async for piece in stream:
                received += piece
        finally:
            await stream.aclose()
    except ArchiveBroken as error:
        return bytes(received), error
    finally:
        await fetcher.close()
    return bytes(received), None


def archive_of(store: FaultyStore, chance: random.Random) -> tuple[Plan, dict[str, bytes]]:
    store.objects.clear()
    store.faults.clear()
    store.requests.clear()
    contents = {
        f"{number}.jpg": chance.randbytes(chance.randrange(1, 60_000)) for number in range(chance.randint(1, 9))
    }
    photos = [
        store.put(readers.photo(name, data)._replace(sha256=hashlib.sha256(data).hexdigest()), data)
        for name, data in contents.items()
    ]
    return plan([*photos, receipt(photos)]), {photo.key: contents[photo.name] for photo in photos}


def test_no_failure_makes_an_archive_that_looks_whole(store: FaultyStore) -> None:
    chance = random.Random(20261120)
    seen: Counter[str] = Counter()
    for _ in range(ROUNDS):
        layout, contents = archive_of(store, chance)
        victim = chance.choice(layout.entries[:-1])
        fault = chance.choice(FAULTS) if chance.random() > 0.02 else silent
        if fault is silent and chance.random() < 0.6:
            fault = gone  # each silence costs a second
        expected = fault(store, victim, chance)
        received, error = asyncio.run(receive(store, layout))
        seen[fault.__name__] += 1
        if expected is None:
            assert error is None, fault.__name__
            assert received == readers.assembled(layout, contents)
            continue
        assert error is not None, fault.__name__
        assert error.entry == victim  # the photographer is told this name
        assert error.reason in expected, (fault.__name__, error.reason)
        assert (error.reason in REASONS) or error.reason == "storage_unavailable"
        assert len(received) < layout.size
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(io.BytesIO(received))
    assert set(seen) == {fault.__name__ for fault in FAULTS}
    assert sum(seen.values()) == ROUNDS
