"""Is a built archive what would have been streamed, and do programs that are not ours accept it?"""

import asyncio
import hashlib
import io
import random
import shutil
import subprocess
import zipfile
from contextlib import aclosing
from pathlib import Path

import httpx2 as httpx

from bench.measure import MIB
from safelight.archives.plan import Plan

RANGE = 4 * MIB
SMALL = 2_200_000_000
"""Bytes up to which an archive is also read whole, by everybody."""


def check(planned: Plan, part_size: int, ranges: int, scratch: Path) -> str:
    """A sentence for the report. Raises RuntimeError when anything is not as it must be."""
    told = [same_ranges(planned, part_size, ranges), read_remotely(planned, ranges)]
    if planned.size <= SMALL:
        told += [same_whole(planned), *read_whole(planned, scratch)]
    return "; ".join(told)


def url_of(planned: Plan) -> str:
    """Where the built object is fetched."""
    from safelight import storage
    from safelight.archives.manifest import archive_key

    return storage.signer().get_urls(3600)(archive_key(planned.digest))


def same_ranges(planned: Plan, part_size: int, ranges: int) -> str:
    """SHA-256 of ranges of both forms: the ends, over the seams of parts, and anywhere."""
    chance = random.Random(1)
    last = max(planned.size - RANGE, 0)
    seams = range(part_size, planned.size, part_size)
    starts = {
        0,
        last,
        *(max(min(seam - RANGE // 2, last), 0) for seam in chance.sample(seams, min(len(seams), ranges))),
    }
    starts |= {chance.randrange(last + 1) for _ in range(ranges)}
    if planned.size > 2**32 + RANGE:
        starts.add(2**32 - RANGE // 2)
    with httpx.Client(timeout=120) as client:
        for start in sorted(starts):
            stop = min(start + RANGE, planned.size)
            built = client.get(url_of(planned), headers={"Range": f"bytes={start}-{stop - 1}"}).content
            streamed = asyncio.run(read_range(planned, start, stop))
            if hashlib.sha256(built).digest() != hashlib.sha256(streamed).digest():
                raise RuntimeError(f"bytes {start} to {stop} are not those of the streamed form")
    return f"{len(starts)} ranges of {RANGE // MIB} MiB identical by SHA-256"


async def read_range(planned: Plan, start: int, stop: int) -> bytes:
    """Bytes of the streamed form."""
    from safelight.archives.part import pieces

    async with aclosing(pieces(planned, start, stop, lambda _: None)) as read:
        return b"".join([bytes(piece) async for piece in read])


def same_whole(planned: Plan) -> str:
    """SHA-256 of everything."""

    async def streamed() -> bytes:
        from safelight.archives.part import pieces

        digest = hashlib.sha256()
        async with aclosing(pieces(planned, 0, planned.size, lambda _: None)) as read:
            async for piece in read:
                digest.update(piece)
        return digest.digest()

    digest = hashlib.sha256()
    with httpx.stream("GET", url_of(planned), timeout=120) as answer:
        for piece in answer.iter_bytes(MIB):
            digest.update(piece)
    if digest.digest() != asyncio.run(streamed()):
        raise RuntimeError("the built archive is not the streamed one")
    return "the whole identical by SHA-256"


class Remote(io.RawIOBase):
    """An object as a file that can be read anywhere, by ranged GETs."""

    def __init__(self, url: str, size: int) -> None:
        self._url, self._size, self._at = url, size, 0
        self._client = httpx.Client(timeout=120)
        self.fetched = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "memoryview[int] | bytearray") -> int:  # type: ignore[override]  # any writable buffer
        stop = min(self._at + len(buffer), self._size)
        if self._at >= stop:
            return 0
        data = self._client.get(self._url, headers={"Range": f"bytes={self._at}-{stop - 1}"}).content
        buffer[: len(data)] = data
        self._at += len(data)
        self.fetched += len(data)
        return len(data)

    def close(self) -> None:
        self._client.close()
        super().close()


def read_remotely(planned: Plan, members: int) -> str:
    """Python's zipfile over ranged GETs: the directory, and some members with their CRC-32."""
    with Remote(url_of(planned), planned.size) as raw, zipfile.ZipFile(io.BufferedReader(raw, MIB)) as archive:
        listed = archive.infolist()
        if [info.filename for info in listed] != [entry.name for entry in planned.entries]:
            raise RuntimeError("the directory does not list what was planned")
        wanted = {0, len(listed) - 1, *random.Random(2).sample(range(len(listed)), min(members, len(listed)))}
        for index in wanted:
            if len(archive.read(listed[index])) != planned.entries[index].size:  # reading checks the CRC-32
                raise RuntimeError(f"{listed[index].filename} has another length")
        return f"zipfile lists {len(listed):,} members, {len(wanted)} read well ({raw.fetched / 1e6:.0f} MB fetched)"


def read_whole(planned: Plan, scratch: Path) -> list[str]:
    """What `unzip -t` and `7z t` say, as far as they are there, of the downloaded file."""
    file = scratch / "built.zip"
    with httpx.stream("GET", url_of(planned), timeout=120) as answer, file.open("wb") as out:
        for piece in answer.iter_bytes(MIB):
            out.write(piece)
    told = []
    try:
        for command in (["unzip", "-tqq"], ["7z", "t", "-bso0", "-bsp0"]):
            if shutil.which(command[0]):
                ended = subprocess.run([*command, str(file)], capture_output=True, text=True, check=False)
                if ended.returncode != 0:
                    raise RuntimeError(f"{command[0]}: {ended.stdout}{ended.stderr}"[:500])
                told.append(f"{' '.join(command[:2])} says it is whole")
    finally:
        file.unlink()
    return told
