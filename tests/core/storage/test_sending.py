"""Parts that are sent while they are read: to the real store, and to stores that break in every way."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from safelight import storage
from safelight.errors import ObjectMissing, StorageUnavailable
from safelight.storage import Credentials, Signer
from safelight.storage.light import Refused
from safelight.storage.sending import Sender

if TYPE_CHECKING:
    from safelight.config import Settings

KEY = "archives/über all.zip"
SIZE = 6 * 1024 * 1024
DATA = bytes(range(256)) * (SIZE // 256)

type Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def pieces(data: bytes = DATA, step: int = 100_000) -> AsyncIterator[bytes | memoryview]:
    for at in range(0, len(data), step):
        yield memoryview(data)[at : at + step]


def send(sender: Sender, upload_id: str, data: bytes = DATA, *, size: int | None = None, number: int = 1) -> str:
    told = len(data) if size is None else size
    return asyncio.run(sender.put(KEY, upload_id, number, told, pieces(data)))


def test_parts_in_any_order_and_twice_make_the_object(bucket_settings: Settings) -> None:
    assert bucket_settings.bucket
    uploads, sender = storage.multipart(), storage.sender()
    upload_id = uploads.begin(KEY, "application/zip")
    last = send(sender, upload_id, b"the end", number=2)
    first = send(sender, upload_id)
    assert send(sender, upload_id) == first == f'"{hashlib.md5(DATA, usedforsecurity=False).hexdigest()}"'
    uploads.complete(KEY, upload_id, [(2, last), (1, first)])
    data, info = storage.storage().read(KEY)
    assert data == DATA + b"the end"
    assert info.content_type == "application/zip"
    with pytest.raises(ObjectMissing):
        send(sender, upload_id)
    with pytest.raises(ObjectMissing):
        send(sender, "0123_4567")


def test_what_is_not_as_long_as_announced_becomes_no_part(bucket_settings: Settings) -> None:
    assert bucket_settings.bucket
    upload_id = storage.multipart().begin(KEY, "application/zip")
    for size in (SIZE - 1, SIZE + 1):
        with pytest.raises(ValueError, match="announced"):
            send(storage.sender(), upload_id, size=size)


def test_what_breaks_the_pieces_is_raised(bucket_settings: Settings) -> None:
    assert bucket_settings.bucket
    upload_id = storage.multipart().begin(KEY, "application/zip")

    async def broken() -> AsyncIterator[bytes | memoryview]:
        yield DATA[:1000]
        raise LookupError("a photo is gone")

    with pytest.raises(LookupError, match="a photo is gone"):
        asyncio.run(storage.sender().put(KEY, upload_id, 1, SIZE, broken()))


def answering(answer: bytes, *, read: int = SIZE) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(read)
        writer.write(answer)
        await writer.drain()

    return serve


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(30)


async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.readexactly(SIZE)
    await asyncio.sleep(30)


def status(line: str, body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {line}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("serve", "error"),
    [
        pytest.param(answering(status("503 Slow Down")), StorageUnavailable, id="503"),
        pytest.param(answering(status("503 Slow Down"), read=5), StorageUnavailable, id="503 before the end"),
        pytest.param(answering(status("500 Error")), StorageUnavailable, id="500"),
        pytest.param(answering(status("400 Bad", b"<Code>RequestTimeout</Code>")), StorageUnavailable, id="S3 waited"),
        pytest.param(answering(status("403 Forbidden")), Refused, id="403"),
        pytest.param(answering(status("404 None", b"<Code>NoSuchBucket</Code>")), Refused, id="no bucket"),
        pytest.param(answering(status("404 None", b"<Code>NoSuchUpload</Code>")), ObjectMissing, id="no upload"),
        pytest.param(answering(status("200 OK")), StorageUnavailable, id="no ETag"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\nETag: x\r\n\r\n", read=9), StorageUnavailable, id="a hasty yes"),
        pytest.param(answering(b"SSH-2.0\r\n\r\n"), StorageUnavailable, id="not HTTP"),
        pytest.param(answering(b"HTTP/1.1 2"), StorageUnavailable, id="cut off"),
        pytest.param(answering(b""), StorageUnavailable, id="closed at the end"),
        pytest.param(answering(b"", read=0), StorageUnavailable, id="closed at once"),
        pytest.param(silent, StorageUnavailable, id="takes nothing"),
        pytest.param(mute, StorageUnavailable, id="says nothing"),
    ],
)
def test_a_store_that_breaks(serve: Serve, error: type[Exception]) -> None:
    async def attempt() -> str:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await serve(reader, writer)
            except (EOFError, OSError):
                return  # the sender hung up
            finally:
                writer.transport.abort() if serve is silent else writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            signer = Signer(Credentials("KEY", "secret"), "us-east-1", "bucket", f"http://127.0.0.1:{port}")
            try:
                return await Sender(signer, patience=0.5).put(KEY, "upload", 1, SIZE, pieces())
            finally:
                for task in asyncio.all_tasks() - {asyncio.current_task()}:
                    task.cancel()

    with pytest.raises(error):
        asyncio.run(attempt())


def test_nobody_listens() -> None:
    signer = Signer(Credentials("KEY", "secret"), "us-east-1", "bucket", "http://127.0.0.1:9")
    with pytest.raises(StorageUnavailable):
        send(Sender(signer), "upload")
