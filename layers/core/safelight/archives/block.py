"""A piece of an object on its way into an archive."""

import asyncio

from safelight.archives.memory import Window
from safelight.archives.plan import Entry

_BATCH = 64 * 1024
"""Bytes that are worth a write to the client: one costs about as much as copying these."""


class Block:
    """Memory for bytes `start` to `stop` of an entry's object, filled from the front while it is read from the front.

    `prefix` are archive bytes that belong right before them; sharing the memory saves a write to the client.
    The memory (`capacity` bytes of `window`) is taken when the store begins to deliver, and not while waiting.
    One task fills (`room`, `advance`, `begin`, `finish`), one reads (`began`, `take`).
    """

    def __init__(self, entry: Entry, start: int, stop: int, prefix: bytes, window: Window, capacity: int) -> None:
        self.entry = entry
        self.start = start
        self.stop = stop
        self.capacity = capacity
        self._window = window
        self._buffer: bytearray | None = None
        self._memory = memoryview(b"")
        self._prefix = prefix
        self._size = len(prefix) + stop - start
        self._filled = len(prefix)
        self._taken = 0
        self._began = self._done = False
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def position(self) -> int:
        """The object's byte that is needed next."""
        return self.start + self._filled - len(self._prefix)

    def room(self) -> memoryview:
        """Where the next bytes go."""
        return self._memory[self._filled :]

    def advance(self, count: int) -> None:
        """`count` bytes were put at the front of `room`."""
        self._filled += count
        if self._is_worth_it():
            self._wake()

    def begin(self) -> None:
        """The store has agreed to deliver. Said again when a broken delivery goes on."""
        if not self._began:
            self._began = True
            self._buffer = self._window.borrow(self.capacity)
            self._memory = memoryview(self._buffer)[: self._size]
            self._memory[: len(self._prefix)] = self._prefix
        self._wake()

    def finish(self, error: BaseException | None) -> None:
        """Nothing more will come: all bytes are there, or `error` says why not."""
        self._done = True
        self._error = error
        self._wake()

    async def began(self) -> None:
        """Wait until the store has agreed to deliver. Raises what made it fail."""
        while not (self._began or self._done):
            await self._wait()
        if self._error is not None:
            raise self._error

    async def take(self) -> memoryview:
        """All bytes that came since the last call, once they are worth it or the last; empty after them.

        Raises what made it fail, once the bytes that did come are handed out.
        """
        while not self._is_worth_it():
            if self._error is not None:
                raise self._error
            if self._taken == self._size:
                return self._memory[:0]
            await self._wait()
        piece = self._memory[self._taken : self._filled]
        self._taken = self._filled
        return piece

    def release(self) -> None:
        """The reader needs no byte of it any more."""
        self._memory.release()
        if self._buffer is not None:
            self._window.give_back(self._buffer)
            self._buffer = None

    def _is_worth_it(self) -> bool:
        if self._filled == len(self._prefix):
            return False  # what belongs before an object is not sent until the store delivers it
        waiting = self._filled - self._taken
        return waiting >= _BATCH or (waiting > 0 and (self._done or self._filled == self._size))

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
