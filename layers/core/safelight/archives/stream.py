"""An archive's bytes in order, several objects read ahead, within one window of memory for the whole process.

The members' CRC-32 is not computed again on the way. It was computed from the bytes that went into the immutable
original, If-Match pins that object, every length is checked, and TLS protects the way; checking costs 9 to 34 % of the
server's CPU and could only break a download that the reader's own check, or the receipt, finds wrong anyway.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from typing import Protocol

from safelight.archives.block import Block
from safelight.archives.fetch import DISTANT
from safelight.archives.memory import FLOOR, Share, Window
from safelight.archives.plan import Entry, Layout, Literal, Source
from safelight.errors import Conflict, SafelightError

_KIB = 1024
_AHEAD = 64  # blocks per archive, whatever their size
_LITERAL = 256 * _KIB
_PREFIX = 16 * _KIB


class ArchiveBroken(Conflict):
    """A member cannot be delivered: `entry` says which, `__cause__` (an error of the store) why."""

    code = "archive_broken"
    title = "A photo of this archive cannot be read. The photographer is told"

    def __init__(self, entry: Entry, cause: SafelightError) -> None:
        super().__init__(f"The photo “{entry.name}” cannot be read ({cause.code}), and no archive is sent without it.")
        self.entry = entry
        self.reason = cause.code
        self.__cause__ = cause


class Fetches(Protocol):
    """What a stream needs of `fetch.Fetcher`."""

    @property
    def block_size(self) -> int: ...

    @property
    def ahead(self) -> int | None: ...

    def hurry(self) -> None: ...

    async def fill(self, block: Block) -> None: ...


class ArchiveStream:
    """Bytes `start` to `stop` of an archive, or of one photo: iterate once, and `aclose` in every case."""

    def __init__(self, plan: Layout, start: int, stop: int, fetcher: Fetches, window: Window) -> None:
        self._pieces = plan.read(start, stop)
        self._source: Source | None = None  # what is left of the object that is being cut into blocks
        self._prefix = b""  # archive bytes to go right before the next block
        self._exhausted = False
        self._fetcher = fetcher
        self._share = Share(window)
        self._queue: deque[bytes | Block] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._spent: list[Block] = []
        self._closed = False

    async def begin(self) -> None:
        """Start reading and wait until the store has agreed to deliver the first object. Raises ArchiveBroken."""
        self._read_ahead()
        first = next((item for item in self._queue if isinstance(item, Block)), None)
        if first is not None:
            await self._patiently(first, first.began())

    async def __aiter__(self) -> AsyncIterator[bytes | memoryview]:
        while True:
            self._read_ahead()
            if not self._queue:
                if self._exhausted:
                    return
                self._settle()
                continue
            item = self._queue[0]
            if isinstance(item, bytes):
                for at in range(0, len(item), _LITERAL):
                    yield memoryview(item)[at : at + _LITERAL]
                self._queue.popleft()
            elif piece := await self._patiently(item, item.take()):
                yield piece
                # The server may still be sending from a block after taking its last piece, but not after the next.
                self._settle()
            else:
                self._queue.popleft()
                self._spent.append(item)

    async def aclose(self) -> None:
        """Stop all reading, now, and give back the memory."""
        if self._closed:
            return
        self._closed = True
        for task in self._tasks:
            task.cancel()
        self._share.leave()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for block in (*self._spent, *(item for item in self._queue if isinstance(item, Block))):
            block.release()
        self._queue.clear()

    def _read_ahead(self) -> None:
        """Start as many blocks as the window allows."""
        while len(self._queue) < _AHEAD and not (self._queue and isinstance(self._queue[-1], bytes)):
            if self._source is None:
                piece = next(self._pieces, None)
                if isinstance(piece, Source):
                    self._source = piece
                elif isinstance(piece, Literal):
                    self._prefix += piece.data
                else:
                    self._exhausted = True
                if self._prefix and (self._exhausted or len(self._prefix) > _PREFIX):
                    self._queue.append(self._prefix)
                    self._prefix = b""
                if self._exhausted:
                    return
                continue
            source = self._source
            most = min(self._fetcher.block_size, max(self._share.fair // 4, FLOOR))
            ahead = self._fetcher.ahead
            if ahead is not None and self._share.held >= ahead:
                return
            capacity = self._share.take(min(len(self._prefix) + source.stop - source.start, most))
            if not capacity:
                return
            middle = min(source.start + capacity - len(self._prefix), source.stop)
            self._start(Block(source.entry, source.start, middle, self._prefix, self._share.window, capacity))
            self._prefix = b""
            self._source = Source(source.entry, middle, source.stop) if middle < source.stop else None

    def _settle(self) -> None:
        for block in self._spent:
            self._share.give_back(block.capacity)
            block.release()
        self._spent.clear()

    def _start(self, block: Block) -> None:
        task = asyncio.get_running_loop().create_task(self._fetcher.fill(block))
        self._tasks.add(task)
        self._queue.append(block)

        def finished(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            block.finish(None if task.cancelled() else task.exception())

        task.add_done_callback(finished)

    async def _patiently[T](self, block: Block, step: Coroutine[None, None, T]) -> T:
        """What `step` gives; meanwhile the store is asked to hurry. Raises ArchiveBroken where the store failed."""
        alarm = asyncio.get_running_loop().call_later(DISTANT, self._fetcher.hurry)
        try:
            return await step
        except SafelightError as error:
            raise ArchiveBroken(block.entry, error) from error
        finally:
            alarm.cancel()


async def open_archive(plan: Layout, start: int, stop: int, fetcher: Fetches, window: Window) -> ArchiveStream:
    """The running stream of bytes `start` to `stop`, its first object already agreed to by the store.

    Raises ArchiveBroken; close what it returns with `aclose`. Nothing is left running when it raises or is cancelled.
    """
    stream = ArchiveStream(plan, start, stop, fetcher, window)
    try:
        await stream.begin()
    except BaseException:
        await stream.aclose()
        raise
    return stream
