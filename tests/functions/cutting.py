"""A bad line: a proxy that breaks connections in the middle of what they carry."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable, Iterator

from tests.serving import end_in_a_reset, serving

_PIECE = 16384


class BadLine:
    """Carries connections to 127.0.0.1:`port`; the next one ends after the next of `cuts` bytes of what comes back.

    Every second one ends in a TCP reset, the others in order. When all cuts are done, the line is good.
    """

    def __init__(self, port: int, cuts: Iterable[int]) -> None:
        self._to = port
        self._cuts = deque(cuts)
        self.port = 0
        self.broken = 0
        """Connections that were cut."""

    @contextlib.contextmanager
    def running(self) -> Iterator[BadLine]:
        """Carry until the end of the block."""
        with serving(self._carry) as self.port:
            yield self

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self._cuts.popleft() if self._cuts else None
        upstream, downstream = await asyncio.open_connection("127.0.0.1", self._to)
        asking = asyncio.create_task(_copy(reader, downstream, None))
        try:
            if await _copy(upstream, writer, left):
                self.broken += 1
                if self.broken % 2:
                    end_in_a_reset(writer)
                    writer.transport.abort()
        finally:
            asking.cancel()
            for end in (writer, downstream):
                end.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int | None) -> bool:
    """Pass on what comes, `left` bytes at most; whether that was too little."""
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(_PIECE):
            writer.write(piece[:left])
            await writer.drain()
            if left is not None:
                left -= len(piece)
                if left <= 0:
                    return True
    return False
