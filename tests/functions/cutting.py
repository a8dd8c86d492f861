"""A bad line: a proxy that breaks connections in the middle of what they carry."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterable, Iterator

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
        ready, loop = threading.Event(), asyncio.new_event_loop()
        stop = loop.create_future()

        async def serve() -> None:
            server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            await stop
            server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0.01)  # for sockets that are being closed

        def run() -> None:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(serve())

        thread = threading.Thread(target=run)
        thread.start()
        ready.wait()
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(stop.set_result, None)
            thread.join()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self._cuts.popleft() if self._cuts else None
        upstream, downstream = await asyncio.open_connection("127.0.0.1", self._to)
        asking = asyncio.create_task(_copy(reader, downstream, None))
        try:
            if await _copy(upstream, writer, left):
                self.broken += 1
                if self.broken % 2:
                    linger = struct.pack("ii", 1, 0)  # closing now sends a reset
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
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
