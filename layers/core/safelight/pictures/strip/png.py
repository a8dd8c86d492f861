"""PNG third edition: section 5 for the chunks, 11.3 for those beside the picture itself."""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from safelight.splice import Piece

from . import deflate, essentials, profile

_SIGNATURE = 8
_HEAD, _CHECK = 8, 4
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# The picture, its frames where it moves, its colours, its proportions: how many bytes each of them is.
_CRITICAL = {b"IHDR": {13}, b"PLTE": {*range(3, 769, 3)}, b"IEND": {0}}
_SIZES = {
    b"acTL": {8},
    b"fcTL": {26},
    b"cHRM": {32},
    b"gAMA": {4},
    b"sRGB": {1},
    b"cICP": {4},
    b"mDCV": {24},
    b"cLLI": {8},
    b"pHYs": {9},
}
# Those that say something of each channel, by the picture's colour type; another length no reader heeds.
_PALETTE = 3
_BY_COLOUR: dict[int, dict[bytes, set[int]]] = {
    0: {b"tRNS": {2}, b"sBIT": {1}, b"bKGD": {2}},
    2: {b"tRNS": {6}, b"sBIT": {3}, b"bKGD": {6}},
    _PALETTE: {b"sBIT": {3}, b"bKGD": {1}},
    4: {b"sBIT": {2}, b"bKGD": {2}},
    6: {b"sBIT": {4}, b"bKGD": {6}},
}
_MANY = {b"IDAT", b"fcTL", b"fdAT"}
_NUMBERED = 4  # bytes in front of the data of a frame
_PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
_MAX_PROFILE = 8_000_000
_MAX_PACKED = 32_000
_NAME = b"ICC Profile\0\0"


class _Chunk(NamedTuple):
    kind: bytes
    start: int
    stop: int

    @property
    def body(self) -> slice:
        return slice(self.start + _HEAD, self.stop - _CHECK)


class _Stream(NamedTuple):
    """Pixels that unpack to `limit` bytes, in chunks: the number of each, and where its body and its pixels lie."""

    limit: int
    parts: list[tuple[int, int, int, int]]


def strip(data: bytes) -> Iterator[Piece]:
    """The signature and the chunks that are kept, up to the end of the picture; EXIF made anew before the pixels."""
    chunks = list(_chunks(data))
    told = [essentials.read(data[chunk.body]) for chunk in chunks if chunk.kind == b"eXIf"]
    if len(told) > 1:
        raise ValueError("two EXIF blocks")
    kept = list(_kept(data, chunks))
    pixels = [chunk.kind for chunk in kept].index(b"IDAT")
    tail = _tails(data, kept)
    yield 0, _SIGNATURE
    for number, chunk in enumerate(kept):
        kind, start, stop = chunk
        if zlib.crc32(data[start + 4 : stop - 4]) != int.from_bytes(data[stop - 4 : stop], "big"):
            # A damaged length could have swallowed its neighbours.
            raise ValueError(f"the checksum of {kind!r} is wrong")
        if number == pixels and told:
            yield _exif(told[0])
        if kind == b"iCCP":
            yield from _colours(data, chunk)
        elif number in tail:
            yield from _shortened(data, chunk, tail[number])
        else:
            yield start, stop


def _kept(data: bytes, chunks: list[_Chunk]) -> Iterator[_Chunk]:
    _, _, _, colour, *_ = _header(data, chunks)
    sizes = _SIZES | _BY_COLOUR[colour]
    if colour == _PALETTE:
        [palette] = [chunk for chunk in chunks if chunk.kind == b"PLTE"]
        sizes[b"tRNS"] = {*range(1, 1 + (palette.body.stop - palette.body.start) // 3)}
    seen = set[bytes]()
    for chunk in chunks:
        size = chunk.stop - chunk.start - _HEAD - _CHECK
        if chunk.kind == b"PLTE" and colour != _PALETTE:
            continue  # a suggestion to screens of few colours
        if chunk.kind in _CRITICAL and (chunk.kind in seen or size not in _CRITICAL[chunk.kind]):
            raise ValueError(f"a chunk {chunk.kind!r} that is not understood")
        told = chunk.kind in _CRITICAL or chunk.kind == b"iCCP" or size in sizes.get(chunk.kind, ())
        # Of what may be there once, readers go by the first.
        if chunk.kind in (b"IDAT", b"fdAT") or (told and (chunk.kind in _MANY or chunk.kind not in seen)):
            yield chunk
        seen.add(chunk.kind)


def _header(data: bytes, chunks: list[_Chunk]) -> tuple[int, ...]:
    """Width, height, bits of a channel, colour type, packing, filter, interlace."""
    [header] = [chunk for chunk in chunks if chunk.kind == b"IHDR"]
    return struct.unpack_from(">IIBBBBB", data, header.body.start)


def _chunks(data: bytes) -> Iterator[_Chunk]:
    at, kind = _SIGNATURE, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        stop = at + _HEAD + length + _CHECK
        if stop > len(data):
            raise ValueError("a chunk beyond the end")
        yield _Chunk(kind, at, stop)
        at = stop


def _chunk(body: bytes) -> bytes:
    """A chunk of this kind and content, which follow one another in `body`."""
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def _exif(told: essentials.Essentials) -> bytes:
    block = essentials.build(told)
    return _chunk(b"eXIf" + block) if block else b""


def _colours(data: bytes, chunk: _Chunk) -> Iterator[Piece]:
    """The profile under a name that says nothing; none where it is no profile."""
    body = data[chunk.body]
    name = body.index(b"\0")
    packed = body[name + 2 :]
    unpack = zlib.decompressobj()
    try:
        whole = unpack.decompress(packed, _MAX_PROFILE)
    except zlib.error:
        return
    # Readers of PNG heed no profile that is shorter than it says.
    made = profile.tidy(whole, 0) if unpack.eof else None
    if made is None:
        return
    if made.same and len(unpack.unused_data) == 0:
        head, start = b"iCCP" + _NAME, chunk.body.start + name + 2
        yield struct.pack(">I", len(head) - 4 + len(packed)) + head
        yield start, chunk.body.stop
        yield struct.pack(">I", zlib.crc32(head + packed))
        return
    packed = zlib.compress(made.applied(whole), 9)
    if len(packed) > _MAX_PACKED:
        raise ValueError("a long profile with more than colours in it")
    yield _chunk(b"iCCP" + _NAME + packed)


def _shortened(data: bytes, chunk: _Chunk, size: int) -> Iterator[Piece]:
    """The chunk without what stands behind the end of its stream."""
    start = chunk.start + 4
    stop = chunk.body.start + size
    yield struct.pack(">I", size)
    yield start, stop
    yield struct.pack(">I", zlib.crc32(data[start:stop]))


def _tails(data: bytes, kept: list[_Chunk]) -> dict[int, int]:
    """Which chunks of pixels or colours hold more than the picture has, and how many bytes of their content it has."""
    width, height, depth, colour, _, _, interlaced = _header(data, kept)
    bits = depth * _CHANNELS[colour]
    first = _Stream(_unpacked(width, height, bits, interlaced), [])
    streams = [first]
    for number, chunk in enumerate(kept):
        start, stop = chunk.body.start, chunk.body.stop
        if chunk.kind == b"IDAT":
            first.parts.append((number, start, start, stop))
        elif chunk.kind == b"fcTL":
            across, down = struct.unpack_from(">II", data, start + _NUMBERED)
            streams.append(_Stream(_unpacked(across, down, bits, interlaced), []))
        elif chunk.kind == b"fdAT":
            streams[-1].parts.append((number, start, start + _NUMBERED, stop))
    most = 3 << depth
    tails = {
        n: most for n, chunk in enumerate(kept) if chunk.kind == b"PLTE" and chunk.body.stop - most > chunk.body.start
    }
    for stream in streams:
        rest = deflate.used((data[start:stop] for *_, start, stop in stream.parts), stream.limit)
        for number, body, start, stop in stream.parts:
            if start + rest < stop:
                tails[number] = start - body + rest
            rest = max(start + rest - stop, 0)
    return tails


def _unpacked(width: int, height: int, bits: int, interlaced: int) -> int:
    """Bytes of a picture's rows, each with the filter's byte in front: 7.3 and 8.1."""
    passes = _PASSES if interlaced else [(0, 0, 1, 1)]
    sizes = ((-(-(width - x) // across), -(-(height - y) // down)) for x, y, across, down in passes)
    return sum((1 + -(-wide * bits // 8)) * high for wide, high in sizes if wide > 0 and high > 0)
