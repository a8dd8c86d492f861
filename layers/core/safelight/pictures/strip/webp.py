"""WebP: RFC 9649 section 2.5 to 2.7."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from safelight.splice import Piece, length

from . import essentials, profile

_PICTURE = {b"VP8 ", b"VP8L"}
_HAS_PROFILE, _HAS_ALPHA, _HAS_EXIF, _MOVES = 0x20, 0x10, 0x08, 0x02
_ANIM = 6
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
    if extended:
        [features] = extended
        if chunks[0].kind != b"VP8X" or len(features) != 10:
            raise ValueError("a header that is not understood")
        pieces = list(_extended(data, features, chunks))
    else:
        # A file without the extended header is its first chunk; readers ignore the rest.
        if chunks[0].kind not in _PICTURE:
            raise ValueError("no picture")
        pieces = list(_whole(chunks[0]))
    yield b"RIFF" + struct.pack("<I", 4 + sum(map(length, pieces))) + b"WEBP"
    yield from pieces


def _extended(data: bytes, features: bytes, chunks: list[_Chunk]) -> Iterator[Piece]:
    told = [essentials.read(data[c.body : c.stop]) for c in chunks if c.kind == b"EXIF"]
    if len(set(told)) > 1:
        raise ValueError("two EXIF blocks that differ")
    block = essentials.build(told[0]) if told else b""
    colours = list(_colours(data, chunks))
    picture = list(_kept(data, chunks, moves=bool(features[0] & _MOVES)))
    flags = features[0] & (_HAS_ALPHA | _MOVES) | (_HAS_EXIF if block else 0) | (_HAS_PROFILE if colours else 0)
    yield b"VP8X" + struct.pack("<IB3x", 10, flags) + features[4:]
    yield from colours
    yield from picture
    if block:
        yield b"EXIF" + struct.pack("<I", len(block)) + block + bytes(len(block) & 1)


def _colours(data: bytes, chunks: list[_Chunk]) -> Iterator[Piece]:
    """The profile, told anew; none where it is no profile."""
    first = next((chunk for chunk in chunks if chunk.kind == b"ICCP"), None)
    made = profile.tidy(data[first.body : first.stop]) if first else None
    if first is None or made is None:
        return
    yield b"ICCP" + struct.pack("<I", made.size)
    for piece in made.pieces:
        yield (first.body + piece[0], first.body + piece[1]) if isinstance(piece, tuple) else piece
    yield bytes(made.size & 1)


def _kept(data: bytes, chunks: list[_Chunk], *, moves: bool) -> Iterator[Piece]:
    """The picture, or the frames. Of what may be there once, readers go by the first."""
    if moves:
        [first, *_] = [chunk for chunk in chunks if chunk.kind == b"ANIM"]
        if first.stop - first.body != _ANIM:
            raise ValueError("an animation that is not understood")
        frames = [chunk for chunk in chunks if chunk.kind == b"ANMF"]
        for frame in frames:
            if not _is_frame([c.kind for c in _chunks(data, frame.body + _FRAME_HEADER, frame.stop)]):
                raise ValueError("a frame with more than a picture")
        picture = [first, *frames]
    else:
        [at, *_] = [n for n, chunk in enumerate(chunks) if chunk.kind in _PICTURE]
        # Transparency stands in front of a lossy picture; a lossless one has its own.
        lossy = chunks[at].kind == b"VP8 "
        picture = [*[chunk for chunk in chunks[:at] if lossy and chunk.kind == b"ALPH"][:1], chunks[at]]
    for chunk in picture:
        yield from _whole(chunk)


def _is_frame(kinds: list[bytes]) -> bool:
    return kinds in ([b"VP8 "], [b"VP8L"], [b"ALPH", b"VP8 "])


def _whole(chunk: _Chunk) -> Iterator[Piece]:
    yield chunk.start, chunk.stop
    yield bytes(chunk.stop - chunk.body & 1)


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
