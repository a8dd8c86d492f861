"""How else an archive is streamed from a store in Python: three libraries over boto3, as their documents show it.

All are sent by Starlette's StreamingResponse, which asks a thread for each next chunk. Chunks of 64 KiB are the usual
ones; 1 MiB is what served all three best of 64 KiB, 256 KiB and 1 MiB. Only zipstream-ng tells the length beforehand.
"""

import io
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import stream_zip
import zipstream
from botocore.config import Config
from starlette.responses import StreamingResponse

from bench.archive_sets import Photos
from bench.measure import MIB

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

type Read = Callable[[str], Iterator[bytes]]


def reader(store: str, chunk: int) -> Read:
    """An object in chunks of `chunk` bytes, read by boto3."""
    client: Any = boto3.client(
        "s3",
        endpoint_url=store,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(s3={"addressing_style": "path"}, response_checksum_validation="when_required"),
    )

    def read(key: str) -> Iterator[bytes]:
        yield from client.get_object(Bucket="bucket", Key=key)["Body"].iter_chunks(chunk)

    return read


def by_zipstream(photos: Photos, read: Read) -> StreamingResponse:
    """zipstream-ng with the sizes known, so that it tells the length."""
    archive = zipstream.ZipStream(sized=True)
    for entry in photos.entries():
        archive.add(read(entry.key), entry.name, size=entry.size)
    headers = {"Content-Length": str(len(archive))}
    return StreamingResponse(iter(archive), media_type="application/zip", headers=headers)


def by_stream_zip(photos: Photos, read: Read) -> StreamingResponse:
    """stream-zip, STORED, with size and CRC-32 known, so that it need not hold a member in memory."""

    def members() -> Iterator[stream_zip.MemberFile]:
        for entry in photos.entries():
            method = stream_zip.NO_COMPRESSION_64(entry.size, entry.crc32)
            yield entry.name, datetime.fromtimestamp(entry.mtime, UTC), 0o100644, method, read(entry.key)

    return StreamingResponse(stream_zip.stream_zip(members(), chunk_size=MIB), media_type="application/zip")


class Unseekable(io.RawIOBase):
    """What a ZipFile writes into, to be taken out again piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer") -> int:
        self._pieces.append(bytes(data))
        return len(self._pieces[-1])

    def take(self) -> bytes:
        """All that was written since the last time."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def by_zipfile(photos: Photos, read: Read) -> StreamingResponse:
    """The standard library's zipfile on a stream that cannot seek."""

    def pieces() -> Iterator[bytes]:
        out = Unseekable()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
            for entry in photos.entries():
                info = zipfile.ZipInfo(entry.name, datetime.fromtimestamp(entry.mtime, UTC).timetuple()[:6])
                info.file_size = entry.size
                with archive.open(info, "w") as member:
                    for chunk in read(entry.key):
                        member.write(chunk)
                        yield out.take()
        yield out.take()

    return StreamingResponse(pieces(), media_type="application/zip")


PEERS: dict[str, tuple[Callable[[Photos, Read], StreamingResponse], int]] = {
    "zipstream-ng + boto3": (by_zipstream, 64 * 1024),
    "zipstream-ng, 1 MiB": (by_zipstream, MIB),
    "stream-zip, 1 MiB": (by_stream_zip, MIB),
    "zipfile, 1 MiB": (by_zipfile, MIB),
}
"""The peers and the bytes that each reads at a time."""
