"""An archive as the product streams it from the configured store."""

import asyncio

from safelight.archives.memory import Window
from safelight.archives.plan import Entry, plan
from safelight.archives.source import own_fetcher
from safelight.archives.stream import open_archive


def stream(entries: list[Entry], start: int = 0, stop: int | None = None) -> bytes:
    """Bytes `start` to `stop` of the entries' archive; all by default. Raises ArchiveBroken."""
    layout = plan(entries)

    async def read() -> bytes:
        fetcher = own_fetcher()
        try:
            opened = await open_archive(layout, start, layout.size if stop is None else stop, fetcher, Window())
            try:
                return b"".join([bytes(piece) async for piece in opened])
            finally:
                await opened.aclose()
        finally:
            await fetcher.close()

    return asyncio.run(read())
