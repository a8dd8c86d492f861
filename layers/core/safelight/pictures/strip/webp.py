"""WebP: RFC 9649 section 2.5 to 2.7."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from safelight.splice import Piece, length

from . import essentials

_PICTURE = {b"VP8 ", b"VP8L", b"ALPH"}
_KEPT = _PICTURE | {b"ANIM", b"ANMF", b"ICCP"}
_HAS_EXIF, _HAS_XMP = 0x08, 0x04
_FRAME_HEADER = 16


class _Chunk(NamedTuple):
    kind: bytes
    start: int
    body: int
    stop: int


def strip(data: bytes) -> Iterator[Piece]:
    """The container and the chunks that are kept; sizes and flags are told anew, EXIF made anew behind the picture."""
    (size,) = struct.unpack_from("<I", data, 4)
    chunks = list(_chunks(data, 12, 8 + size))
    extended = [data[c.body : c.stop] for c in chunks if c.kind == b"VP8X"]
    pieces: list[Piece] = []
    if extended:
        [features] = extended
        if chunks[0].kind != b"VP8X" or len(features) != 10:
            raise ValueError("a header that is not understood")
        told = [essentials.read(data[c.body : c.stop]) for c in chunks if c.kind == b"EXIF"]
        if len(set(told)) > 1:
            raise ValueError("two EXIF blocks that differ")
        block = essentials.build(told[0]) if told else b""
        flags = features[0] & ~(_HAS_EXIF | _HAS_XMP) | (_HAS_EXIF if block else 0)
        pieces = [b"VP8X" + struct.pack("<IB", 10, flags) + features[1:], *_kept(data, chunks)]
        if block:
            pieces.append(b"EXIF" + struct.pack("<I", len(block)) + block + bytes(len(block) & 1))
    else:
        # A file without the extended header is its first chunk; readers ignore the rest.
        if chunks[0].kind not in (b"VP8 ", b"VP8L"):
            raise ValueError("no picture")
        pieces = list(_kept(data, chunks[:1]))
    yield b"RIFF" + struct.pack("<I", 4 + sum(map(length, pieces))) + b"WEBP"
    yield from pieces


def _kept(data: bytes, chunks: list[_Chunk]) -> Iterator[Piece]:
    for kind, start, body, stop in chunks:
        if kind == b"ANMF" and any(c.kind not in _PICTURE for c in _chunks(data, body + _FRAME_HEADER, stop)):
            raise ValueError("a frame with more than a picture")
        if kind in _KEPT:
            yield start, stop
            yield bytes(stop - body & 1)


def _chunks(data: bytes, at: int, end: int) -> Iterator[_Chunk]:
    """The chunks from `at`, which must fill the space to `end` exactly."""
    if end > len(data):
        raise ValueError("shorter than it says")
    while at < end:
        kind, size = struct.unpack_from("<4sI", data, at)
        stop = at + 8 + size
        if stop > end or not all(0x20 <= byte < 0x7F for byte in kind):
            raise ValueError("a chunk that is not understood")
        yield _Chunk(kind, at, at + 8, stop)
        at = stop + (size & 1)
