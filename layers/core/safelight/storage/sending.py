"""One part of a multipart upload, sent while it is still being read: a signed PUT whose body is never whole in memory.

boto3 wants all of a part before it begins, and over plain HTTP reads it once more for its SHA-256. Here the body is not
hashed (`UNSIGNED-PAYLOAD`): on AWS the way is TLS, which notices every changed byte, and a length that is not the one
announced is refused by both ends.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from safelight.errors import ObjectMissing, StorageUnavailable
from safelight.storage.light import Refused
from safelight.storage.signer import Signer

_MIB = 1024 * 1024
_WAITING = _MIB  # bytes that may wait for the network; the kernel has its own
_ANSWER_LIMIT = 64 * 1024
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


class _Answer(NamedTuple):
    status: int
    reason: str
    headers: dict[str, str]
    body: bytes


class Sender:
    """Sends parts to one bucket; one connection each.

    `socket` is the path of a Unix socket that leads to the signer's endpoint. `patience` (seconds): how long
    the store may take no byte of a part, and how long it may think about a whole one.
    """

    def __init__(self, signer: Signer, *, socket: str | None = None, patience: float = 45) -> None:
        self._signer = signer
        self._socket = socket
        self._patience = patience

    async def put(
        self, key: str, upload_id: str, number: int, size: int, pieces: AsyncIterator[bytes | memoryview]
    ) -> str:
        """Write part `number` (from 1) of `size` bytes, again if need be; its ETag.

        Raises ObjectMissing when the upload is over, StorageUnavailable when the store is busy, silent or gone,
        Refused for any other answer, ValueError when `pieces` are not `size` bytes, and whatever `pieces` raise. What
        was sent of a part that broke is no part.
        """
        request = self._request(key, upload_id, number, size)
        try:
            reader, writer = await self._connect()
        except OSError as error:  # TimeoutError and ssl.SSLError among them
            raise StorageUnavailable from error
        answer = asyncio.ensure_future(_read(reader))
        try:
            whole = await self._send(writer, request, size, pieces, answer)
            found = await self._await(answer)
        finally:
            answer.cancel()
            await asyncio.gather(answer, return_exceptions=True)
            writer.transport.abort()
            await asyncio.sleep(0)  # the event loop closes the socket in its next round
        return _etag(found, key, whole=whole)

    def _request(self, key: str, upload_id: str, number: int, size: int) -> bytes:
        query = f"partNumber={number}&uploadId={quote(upload_id, safe='-_.~')}"
        headers = self._signer.headers("PUT", key, query=query)
        headers |= {"content-length": str(size), "connection": "close"}
        lines = [f"PUT {self._signer.address.path(key)}?{query} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        target = urlsplit(self._signer.address.origin)
        secure = target.scheme == "https"
        async with asyncio.timeout(self._patience):
            if self._socket is not None:
                reader, writer = await asyncio.open_unix_connection(self._socket)
            else:
                reader, writer = await asyncio.open_connection(
                    target.hostname, target.port or (443 if secure else 80), ssl=_tls() if secure else None
                )
        writer.transport.set_write_buffer_limits(high=_WAITING)
        return reader, writer

    async def _send(
        self,
        writer: asyncio.StreamWriter,
        request: bytes,
        size: int,
        pieces: AsyncIterator[bytes | memoryview],
        answer: "asyncio.Future[_Answer]",
    ) -> bool:
        """Whether all of it was sent: a store that answers before the end does not want the rest."""
        sent = 0
        if not await self._write(writer, request):
            return False
        async for piece in pieces:
            sent += len(piece)
            if sent > size:
                raise ValueError(f"more than the {size} bytes that were announced")
            if answer.done() or not await self._write(writer, piece):
                return False
        if sent < size:
            raise ValueError(f"{sent} bytes and not the {size} that were announced")
        return True

    async def _write(self, writer: asyncio.StreamWriter, data: bytes | memoryview) -> bool:
        """Raises StorageUnavailable when the store takes nothing; False when it hung up, maybe after an answer."""
        writer.write(data)
        try:
            async with asyncio.timeout(self._patience):
                await writer.drain()
        except TimeoutError as error:
            raise StorageUnavailable from error
        except OSError:
            return False
        return True

    async def _await(self, answer: "asyncio.Future[_Answer]") -> _Answer:
        try:
            async with asyncio.timeout(self._patience):
                return await answer
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            raise StorageUnavailable from error


async def _read(reader: asyncio.StreamReader) -> _Answer:
    """The answer (RFC 9112); its body only as far as it tells why."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    _, status, *reason = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = b""
    if status != "200":
        with contextlib.suppress(OSError):  # the status is known, whatever becomes of the rest
            body = await reader.read(_ANSWER_LIMIT)
    return _Answer(int(status), "".join(reason), headers, body)


def _etag(answer: _Answer, key: str, *, whole: bool) -> str:
    if answer.status == 404 and b"NoSuchUpload" in answer.body:
        raise ObjectMissing(key)
    if answer.status in _BUSY or b"RequestTimeout" in answer.body:  # which S3 says with a 400
        raise StorageUnavailable
    if answer.status == 200 and not (whole and "etag" in answer.headers):
        raise StorageUnavailable
    if answer.status != 200:
        raise Refused("PUT", key, answer.status, answer.reason)
    return answer.headers["etag"]


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
