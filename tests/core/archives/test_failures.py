"""Hundreds of failures of the store, each at a random place of a random archive: nothing broken ever looks whole."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import random
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from safelight.archives.fetch import Fetcher
from safelight.archives.memory import Window
from safelight.archives.plan import Plan, plan
from safelight.archives.receipt import receipt
from safelight.archives.stream import ArchiveBroken, open_archive
from safelight.photos.damage import REASONS
from tests.core.archives import faults, readers
from tests.core.archives.faulty import FaultyStore

# `make fuzz` takes its time.
ROUNDS, SILENT = (1000, 30) if os.environ.get("FUZZ") else (300, 10)
"""Rounds, and those with a store that falls silent; each of these waits for the end of somebody's patience."""
SHOWN = 20
"""Every so many broken archives one is shown to programs that have nothing to do with Python."""
ATTEMPTS = 2


@pytest.fixture
def store() -> Iterator[FaultyStore]:
    with FaultyStore().running() as running:
        yield running


async def receive(store: FaultyStore, layout: Plan, patience: float) -> tuple[bytes, ArchiveBroken | None]:
    """What a client gets, and why it got no more."""
    fetcher = Fetcher(store.sign, patience=patience, pause=0.001, attempts=ATTEMPTS)
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


def archive_of(store: FaultyStore, chance: random.Random, photos: int) -> tuple[Plan, dict[str, bytes]]:
    """A fresh archive of so many photos, the receipt last; what the photos' objects hold."""
    store.forget()
    contents = {f"{number}.jpg": chance.randbytes(chance.randrange(1, 60_000)) for number in range(photos)}
    entries = [
        store.put(readers.photo(name, data)._replace(sha256=hashlib.sha256(data).hexdigest()), data)
        for name, data in contents.items()
    ]
    return plan([*entries, receipt(entries)]), {entry.key: contents[entry.name] for entry in entries}


def looks_whole(received: bytes) -> bool:
    """Whether Python finds an archive in it."""
    try:
        zipfile.ZipFile(io.BytesIO(received))
    except zipfile.BadZipFile:
        return False
    return True


def rounds(chance: random.Random) -> list[faults.Fault]:
    """Which fault each round injects."""
    chosen = [faults.silent] * SILENT + [chance.choice(faults.CHEAP) for _ in range(ROUNDS - SILENT)]
    chance.shuffle(chosen)
    return chosen


def test_no_failure_makes_an_archive_that_looks_whole(store: FaultyStore, tmp_path: Path) -> None:
    chance = random.Random(20261120)
    seen: Counter[str] = Counter()
    broken = 0
    for fault in rounds(chance):
        # Short patience could run out for any photo while the machine is busy, so then there is only one. The others
        # are given all the time they need: what is tested is not how fast this machine is.
        alone = fault is faults.silent
        layout, contents = archive_of(store, chance, 1 if alone else chance.randint(1, 9))
        victim = chance.choice(layout.entries[:-1])
        expected = fault(store, victim, chance)
        received, error = asyncio.run(receive(store, layout, 0.15 if alone else 30))
        seen[fault.__name__] += 1
        whole = readers.assembled(layout, contents)
        if expected is None:
            assert error is None, fault.__name__
            assert received == whole
            continue
        assert error is not None, fault.__name__
        assert named(error) == victim.name
        assert error.entry == victim
        assert error.reason in expected, (fault.__name__, error.reason)
        assert (error.reason in REASONS) or error.reason == "storage_unavailable"
        assert len(received) < layout.size
        assert whole.startswith(received), "what did come is right, so that it can be resumed"
        assert not looks_whole(received), fault.__name__
        broken += 1
        if broken % SHOWN == 0:
            path = tmp_path / f"{broken}.zip"
            path.write_bytes(received)
            readers.all_refuse(path)
    assert set(seen) == {fault.__name__ for fault in (*faults.CHEAP, faults.silent)}
    assert sum(seen.values()) == ROUNDS
    assert broken > ROUNDS / 2


def named(error: ArchiveBroken) -> str:
    """The photo that the message to whoever operates the service is about."""
    return str(error).partition("“")[2].partition("”")[0]


@pytest.mark.parametrize("photos", [1, 3])
def test_an_archive_cut_at_any_byte_is_refused_by_all(photos: int, tmp_path: Path) -> None:
    """Wherever a client's connection ends, the file it is left with is no archive to anybody."""
    layout, contents = archive_of(FaultyStore(), random.Random(photos), photos)
    whole = readers.assembled(layout, contents)
    directory = whole.rindex(b"PK\1\2")
    cuts = {0, 1, 29, directory, directory + 1, len(whole) - 22, len(whole) - 21, len(whole) - 1}
    for cut in sorted(cuts | set(random.Random(0).sample(range(len(whole)), 500))):
        assert not looks_whole(whole[:cut]), cut
        if cut in cuts:
            path = tmp_path / f"{cut}.zip"
            path.write_bytes(whole[:cut])
            readers.all_refuse(path)
