"""PNG third edition: section 5 for the chunks, 11.3 for those beside the picture itself."""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from safelight.splice import Piece

from . import essentials

_SIGNATURE = 8
# The picture, its frames where it moves, its colours, its proportions.
_KEPT = {
    *(b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"acTL", b"fcTL", b"fdAT"),
    *(b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"bKGD", b"pHYs"),
}


class _Chunk(NamedTuple):
    kind: bytes
    start: int
    stop: int


def strip(data: bytes) -> Iterator[Piece]:
    """The signature and the chunks that are kept, up to the end of the picture; EXIF made anew before the pixels."""
    chunks = list(_chunks(data))
    told = [essentials.read(data[c.start + 8 : c.stop - 4]) for c in chunks if c.kind == b"eXIf"]
    if len(told) > 1:
        raise ValueError("two EXIF blocks")
    kept = [chunk for chunk in chunks if chunk.kind in _KEPT]
    pixels = next(n for n, chunk in enumerate(kept) if chunk.kind == b"IDAT")
    yield 0, _SIGNATURE
    for number, (kind, start, stop) in enumerate(kept):
        if zlib.crc32(data[start + 4 : stop - 4]) != int.from_bytes(data[stop - 4 : stop], "big"):
            # A damaged length could have swallowed its neighbours.
            raise ValueError(f"the checksum of {kind!r} is wrong")
        if number == pixels and told:
            yield _exif(told[0])
        yield start, stop


def _chunks(data: bytes) -> Iterator[_Chunk]:
    at, kind = _SIGNATURE, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        stop = at + 12 + length
        if stop > len(data):
            raise ValueError("a chunk beyond the end")
        yield _Chunk(kind, at, stop)
        at = stop


def _exif(told: essentials.Essentials) -> bytes:
    block = essentials.build(told)
    if not block:
        return b""
    body = b"eXIf" + block
    return struct.pack(">I", len(block)) + body + struct.pack(">I", zlib.crc32(body))
