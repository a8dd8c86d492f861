"""A store as far away as S3: every answer begins after 30 ms, and one connection carries 80 MB/s, either way.

`python -m bench.distant PORT DIRECTORY`. It answers what streaming and building archives ask of S3. Small objects
are kept as files below the directory; parts of multipart uploads are counted and thrown away, so that the disk limits
nothing. `GET /received` says how many bytes of parts came since it was last asked. Signatures are not looked at.
"""

import asyncio
import hashlib
import os
import socket
import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote

ANSWER = 0.030
"""Seconds before an answer begins."""
BYTES_PER_SECOND = 80_000_000
"""On one connection."""
_PIECE = 256 * 1024
_BEGUN = b"<InitiateMultipartUploadResult><UploadId>only</UploadId></InitiateMultipartUploadResult>"
_MADE = b'<CompleteMultipartUploadResult><ETag>"made"</ETag></CompleteMultipartUploadResult>'
_GONE = b"<DeleteResult/>"


class Store:
    """The objects of one directory, and how many bytes of parts came; `validated`: its answers carry an ETag."""

    def __init__(self, root: Path, *, validated: bool = True) -> None:
        self.root = root
        self.validated = validated
        self.received = 0

    async def serve(self, port: int) -> None:
        """Until the process ends."""
        loop = asyncio.get_running_loop()
        listener = socket.create_server(("127.0.0.1", port), backlog=256)
        listener.setblocking(False)
        tasks = set()
        while True:
            connection, _ = await loop.sock_accept(listener)
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = asyncio.create_task(_Connection(self, connection).run())
            tasks.add(task)
            task.add_done_callback(tasks.discard)


class _Connection:
    def __init__(self, store: Store, connection: socket.socket) -> None:
        self._store = store
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._pending = b""

    async def run(self) -> None:
        with self._socket:
            try:
                while head := await self._head():
                    await self._exchange(head)
            except OSError:
                return  # the client went away

    async def _head(self) -> str:
        while b"\r\n\r\n" not in self._pending:
            received = await self._loop.sock_recv(self._socket, 65536)
            if not received:
                return ""
            self._pending += received
        head, _, self._pending = self._pending.partition(b"\r\n\r\n")
        return head.decode("latin-1")

    async def _exchange(self, head: str) -> None:
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ")
        path, _, query = target.partition("?")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("expect") == "100-continue":
            await self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = int(headers.get("content-length", 0))
        if method == "PUT" and "partNumber=" in query:
            await self._sink(length)
            await self._answer(200, b"", f'ETag: "{query}"\r\n')
            return
        body = await self._body(length)
        file = self._store.root / unquote(path).lstrip("/")
        if path == "/received":
            await self._answer(200, str(self._store.received).encode())
            self._store.received = 0
        elif method == "PUT":
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(body)
            await self._answer(200, b"", 'ETag: "kept"\r\n')
        elif method == "GET" and file.is_file():
            await self._deliver(file, headers.get("range", ""))
        elif method == "POST":
            await self._answer(200, {"uploads": _BEGUN, "delete": _GONE}.get(query.partition("=")[0], _MADE))
        else:
            await self._answer(204 if method == "DELETE" else 404, b"")

    async def _sink(self, length: int) -> None:
        """As fast as the line is; who sends faster is held back by TCP."""
        began, got = self._loop.time(), len(self._pending)
        self._pending = b""
        buffer = bytearray(_PIECE)
        view = memoryview(buffer)
        while got < length:
            count = await self._loop.sock_recv_into(self._socket, view[: min(_PIECE, length - got)])
            if not count:
                raise ConnectionError("cut off")
            got += count
            await self._pace(began, got)
        self._store.received += length

    async def _body(self, length: int) -> bytes:
        while len(self._pending) < length:
            received = await self._loop.sock_recv(self._socket, _PIECE)
            if not received:
                raise ConnectionError("cut off")
            self._pending += received
        body, self._pending = self._pending[:length], self._pending[length:]
        return body

    async def _deliver(self, file: Path, wanted: str) -> None:
        await asyncio.sleep(ANSWER)
        with file.open("rb") as source:
            size = os.fstat(source.fileno()).st_size
            start, stop, status, extra = 0, size, "200 OK", ""
            if wanted:
                low, _, high = wanted.removeprefix("bytes=").partition("-")
                start, stop, status = int(low), min(int(high) + 1, size), "206 Partial Content"
                extra = f"Content-Range: bytes {start}-{stop - 1}/{size}\r\n"
            validator = f'ETag: "{etag(file)}"\r\n' if self._store.validated else ""
            facts = f"{validator}Last-Modified: Fri, 20 Nov 2026 00:00:00 GMT\r\n"
            await self._send(f"HTTP/1.1 {status}\r\nContent-Length: {stop - start}\r\n{facts}{extra}\r\n".encode())
            began, at = self._loop.time(), start
            while at < stop:
                at += await self._loop.sock_sendfile(self._socket, source, at, min(_PIECE, stop - at))
                await self._pace(began, at - start)

    async def _pace(self, began: float, moved: int) -> None:
        ahead = moved / BYTES_PER_SECOND - (self._loop.time() - began)
        if ahead > 0.001:
            await asyncio.sleep(ahead)

    async def _answer(self, status: int, body: bytes, extra: str = "") -> None:
        await asyncio.sleep(ANSWER)
        await self._send(f"HTTP/1.1 {status} -\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode() + body)

    async def _send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._socket, data)


@cache
def etag(file: Path) -> str:
    """As S3 has it for what was put in one piece; nothing is ever replaced here by something else."""
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()


if __name__ == "__main__":
    asyncio.run(Store(Path(sys.argv[2])).serve(int(sys.argv[1])))
