"""A small object store that fails on command, on a port of its own, in a thread of its own."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from safelight.archives.plan import Entry
from tests.serving import end_in_a_reset, serving


@dataclass
class Request:
    """One GET as it arrived."""

    key: str
    headers: dict[str, str]
    number: int
    """How many requests for this key came before."""
    connection: int


@dataclass
class Answer:
    """What the store is about to send; a fault changes it."""

    status: int
    headers: dict[str, str]
    body: bytes
    cut: int | None = None
    """Close the connection after so many bytes of the body."""
    reset: bool = False
    """Break the connection with a TCP reset instead of an orderly end; with `cut`, after so many bytes."""
    silence: float = 0.0
    """Seconds before the answer."""
    pause: float = 0.0
    """Seconds after every 16 KiB."""
    raw: bytes | None = None
    """Send this and nothing else."""
    hang_up: bool = False
    """Close the connection after the answer without having announced it."""


@dataclass
class FaultyStore:
    """Objects by key, and for each key a fault: a function that changes the answer to a request."""

    objects: dict[str, tuple[bytes, str]] = field(default_factory=dict, repr=False)
    faults: dict[str, Callable[[Request, Answer], None]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    sent: int = 0
    connections: int = 0
    open: int = 0
    most_open: int = 0
    port: int = 0
    turn: int = 0

    def forget(self) -> None:
        """Begin anew: no object, no fault, and no answer to what was asked before and is still on its way here."""
        self.turn += 1
        self.objects.clear()
        self.faults.clear()
        self.requests.clear()

    def put(self, entry: Entry, data: bytes) -> Entry:
        """Keep `data` under the entry's key and ETag."""
        self.objects[entry.key] = (data, entry.etag)
        return entry

    def sign(self, key: str) -> str:
        """A URL as a signer would make it."""
        return f"http://127.0.0.1:{self.port}/{key}?turn={self.turn}&X-Amz-Signature=secret"

    @contextlib.contextmanager
    def running(self) -> Iterator["FaultyStore"]:
        """Serve until the end of the block."""
        with serving(self._connection) as self.port:
            yield self

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._exchange(number, reader, writer):
                    pass
        finally:
            self.open -= 1
            writer.transport.abort()

    async def _exchange(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        key, _, query = first.split()[1].lstrip("/").partition("?")
        if not query.startswith(f"turn={self.turn}&"):
            return False
        seen = sum(request.key == key for request in self.requests)
        request = Request(key, headers, seen, number)
        self.requests.append(request)
        answer = self._answer(request)
        if fault := self.faults.get(key):
            fault(request, answer)
        return await self._send(answer, writer)

    def _answer(self, request: Request) -> Answer:
        if request.key not in self.objects:
            return Answer(404, {}, b"<Error><Code>NoSuchKey</Code></Error>")
        data, etag = self.objects[request.key]
        if request.headers.get("if-match", etag) != etag:
            return Answer(412, {}, b"<Error><Code>PreconditionFailed</Code></Error>")
        low, _, high = request.headers["range"].removeprefix("bytes=").partition("-")
        start, stop = int(low), min(int(high) + 1, len(data))
        if start >= len(data):
            return Answer(416, {"Content-Range": f"bytes */{len(data)}"}, b"")
        return Answer(206, {"ETag": etag, "Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"}, data[start:stop])

    async def _send(self, answer: Answer, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(answer.silence)
        if answer.raw is not None:
            writer.write(answer.raw)
            await writer.drain()
            return False
        headers = {"Content-Length": str(len(answer.body)), **answer.headers}
        lines = [f"HTTP/1.1 {answer.status} Whatever", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        body = answer.body if answer.cut is None else answer.body[: answer.cut]
        for at in range(0, len(body), 16384):
            writer.write(body[at : at + 16384])
            await writer.drain()
            self.sent += len(body[at : at + 16384])
            if answer.pause:
                await asyncio.sleep(answer.pause)
        if answer.cut is not None or answer.reset or answer.hang_up:
            if answer.reset:
                end_in_a_reset(writer)
            else:
                writer.close()
                await writer.wait_closed()
            return False
        return True
