"""One HTTP/1.1 connection to the object store, as little of RFC 9112 as ranged GETs need, with no copy of the body.

A general client costs 0.3 to 1.4 ms of CPU per request and copies every byte twice or more; an archive of many photos
is nothing but requests and bytes. Here the kernel writes the body straight into the memory it is sent from.
"""

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple, cast

from safelight.archives.block import Block
from safelight.errors import SafelightError

_HEAD_LIMIT = 16 * 1024


class Interrupted(Exception):
    """The exchange broke before its end; asking again, from the byte where it broke, may help."""

    def __init__(self, reason: str, *, ended: bool = False, unanswered: bool = False) -> None:
        super().__init__(reason)
        self.ended = ended
        """The store closed the connection in the middle of a body."""
        self.unanswered = unanswered
        """Not one byte of an answer came."""


class Head(NamedTuple):
    """Status and headers (names in lower case) of a response."""

    status: int
    headers: dict[str, str]


class Connection(asyncio.BufferedProtocol):
    """A connection that makes one exchange at a time and can be used again while `reusable`."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._scratch = bytearray(_HEAD_LIMIT)
        self._window = memoryview(self._scratch)
        self._used = 0
        self._block: Block | None = None
        self._left = 0  # bytes of the body still to come
        self._accept: Callable[[Head], None] | None = None
        self._answer: asyncio.Future[None] | None = None
        self._received = 0
        self._asked = 0.0
        self._keep = False  # the store will take another request after this one
        self.reusable = False
        self.idle_since = 0.0
        self.latency = 0.0
        """Seconds from the last request to the first byte of its answer."""

    async def get(self, request: bytes, block: Block, accept: Callable[[Head], None], patience: float) -> None:
        """Send `request` and let the body of its answer flow into `block`.

        `accept` sees the head first and raises to refuse it; then, as on any other failure, the connection ends.
        `patience` is how long, in seconds, the store may be silent. Raises Interrupted, or what `accept` raised.
        """
        loop = asyncio.get_running_loop()
        transport = self._transport
        if transport is None or transport.is_closing():
            raise Interrupted("the connection was closed", unanswered=True)
        self.reusable = False
        self._block, self._accept, self._used, self._left, self._received = block, accept, 0, 0, 0
        self._answer = answer = loop.create_future()
        self._watcher = loop.call_later(patience, self._watch, loop, patience, 0)
        self._asked = loop.time()
        try:
            transport.write(request)
            await answer
        except BaseException:
            self.close()
            raise
        finally:
            self._watcher.cancel()
            self._answer = self._block = self._accept = None
        if not self.reusable:
            self.close()

    def close(self) -> None:
        """Drop the connection at once, with what is still on its way."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    # what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its class

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the event loop's interface
        if self._left and self._block is not None:
            return self._block.room()[: self._left]
        return self._window[self._used :]

    def buffer_updated(self, nbytes: int) -> None:
        block = self._block
        if block is None or self._answer is None or self._answer.done():
            self.close()  # nothing was asked: whatever this is, the next answer cannot be trusted
            return
        self._received += nbytes
        if self._left:
            self._body(block, nbytes)
        else:
            self._used += nbytes
            self._head(block)

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        self._fail(
            Interrupted("the connection broke", ended=exc is None and self._left > 0, unanswered=self._received == 0)
        )

    def _head(self, block: Block) -> None:
        end = self._scratch.find(b"\r\n\r\n", 0, self._used)
        if end < 0:
            if self._used == _HEAD_LIMIT:
                self._fail(Interrupted("the response head is too long"))
            return
        try:
            head = _parse(bytes(self._scratch[:end]))
            accept = self._accept
            assert accept is not None
            accept(head)
            length = int(head.headers["content-length"])
        except (SafelightError, Interrupted, ValueError) as error:
            self._fail(error)
            return
        first, self._used = self._used - end - 4, 0
        if first > length:
            self._fail(Interrupted("the response is longer than it says"))
            return
        self.latency = asyncio.get_running_loop().time() - self._asked
        self._keep = head.headers.get("connection", "").lower() != "close"
        self._left = length
        block.begin()
        if first:
            block.room()[:first] = self._window[end + 4 : end + 4 + first]
            self._body(block, first)

    def _body(self, block: Block, count: int) -> None:
        self._left -= count
        block.advance(count)
        if not self._left and self._answer is not None and not self._answer.done():
            self.reusable = self._keep
            self.idle_since = time.time()
            self._answer.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self.reusable = False
            self._answer.set_exception(error)

    def _watch(self, loop: asyncio.AbstractEventLoop, patience: float, seen: int) -> None:
        if self._received == seen:
            self._fail(Interrupted("the store fell silent"))
        else:
            self._watcher = loop.call_later(patience, self._watch, loop, patience, self._received)


def _parse(head: bytes) -> Head:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if version != "HTTP/1.1" or not rest[:3].isdigit():
        raise Interrupted("the answer is not HTTP/1.1")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Head(int(rest[:3]), headers)
