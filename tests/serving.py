"""A TCP server of a test: on a port of its own, in a thread of its own, and gone without a trace afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator

type Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.contextmanager
def serving(accept: Accept) -> Iterator[int]:
    """Serve 127.0.0.1 until the end of the block; the port."""
    ready, loop, ports = threading.Event(), asyncio.new_event_loop(), list[int]()
    stop = loop.create_future()

    async def serve() -> None:
        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()
        await stop
        await asyncio.sleep(0.02)  # for connections that are being accepted: closing now would leak them
        server.close()
        server.abort_clients()
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
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set_result, None)
        thread.join()


def end_in_a_reset(writer: asyncio.StreamWriter) -> None:
    """Linger on for no time: closing then sends a reset. Without it the client would see an orderly end."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
