"""One part of an archive on its way into the bucket: read and sent at the same time, never whole in memory."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import lru_cache

from safelight import storage
from safelight.archives.manifest import archive_key, load, manifest_key
from safelight.archives.memory import Window
from safelight.archives.plan import Plan
from safelight.archives.source import own_fetcher
from safelight.archives.stream import open_archive
from safelight.config import settings
from safelight.errors import StorageUnavailable

log = logging.getLogger(__name__)

PAUSES = (0.5, 2.0)
"""Seconds before the second and the third time that a part is sent, about; after that the job is tried again."""

type Beat = Callable[[float], None]


@lru_cache(maxsize=2)
def plan_of(digest: str) -> Plan:
    """The plan of an archive that was begun. Kept, because the next job of a warm worker is most often its neighbour.

    A hundred thousand entries take a second to read, and about 100 MB. Raises ValueError for a manifest that is not
    the one that the archive is named after, and what the store raises.
    """
    data, _ = storage.storage().read(manifest_key(digest))
    planned = load(data)
    if planned.digest != digest:
        raise ValueError("the manifest is not the one that the archive is named after")
    return planned


def bring(planned: Plan, upload_id: str, number: int, part_size: int, beat: Beat) -> str:
    """Read part `number` (from 1) and put it where it belongs; its ETag. `beat` hears how much of it (0..1) was read.

    Raises ArchiveBroken, ObjectMissing when the upload is over, StorageUnavailable, and what `beat` raises.
    """
    start = (number - 1) * part_size
    stop = min(start + part_size, planned.size)

    async def run() -> str:
        try:
            return await _bring(planned, upload_id, number, start, stop, beat)
        finally:
            await asyncio.get_running_loop().shutdown_default_executor()

    # A loop of this call's own: `asyncio.run` would take away the one that the thread may have.
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(run())
    finally:
        loop.close()


async def _bring(planned: Plan, upload_id: str, number: int, start: int, stop: int, beat: Beat) -> str:
    sender = storage.sender()
    for pause in (*PAUSES, None):
        try:
            async with aclosing(pieces(planned, start, stop, beat)) as read:
                return await sender.put(archive_key(planned.digest), upload_id, number, stop - start, read)
        except StorageUnavailable:
            if pause is None:
                raise
            log.warning("part not taken, sending it again", extra={"number": number})
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter, no secret
    raise AssertionError("the last attempt returns or raises")


async def pieces(planned: Plan, start: int, stop: int, beat: Beat) -> AsyncGenerator[bytes | memoryview]:
    """Bytes `start` to `stop` of an archive as they come. A piece is valid until the next one is asked for, and longer
    where somebody holds a view of it. Raises ArchiveBroken."""
    fetcher = own_fetcher()
    try:
        stream = await open_archive(planned, start, stop, fetcher, Window(settings().archive_window))
        try:
            done = 0
            async for piece in stream:
                yield piece
                done += len(piece)
                beat(done / (stop - start))
        finally:
            await stream.aclose()
    finally:
        await fetcher.close()
