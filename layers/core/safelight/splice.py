"""A file made of parts of another: literal bytes, runs of zeros, and ranges of an object that lies elsewhere.

What a photo is without its metadata is written down like this, so that no second copy of an original is kept: a few
hundred bytes say which parts of the object follow one another, and what stands between them.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator
from typing import NamedTuple

MAX_PIECES = 2000
MAX_LITERAL = 64 * 1024
"""Bytes of all literal pieces together: a splice list is small, or there is none."""

type Piece = bytes | int | tuple[int, int]
"""Literal bytes; a number of zero bytes; or bytes `start` up to but not including `stop` of the object."""


class Splice(NamedTuple):
    """A file cut out of an object of `whole` bytes."""

    whole: int
    pieces: tuple[Piece, ...]

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return sum(map(length, self.pieces))

    @property
    def same(self) -> bool:
        """Whether the file is the object itself."""
        return self.pieces == ((0, self.whole),)

    def cut(self, start: int, stop: int) -> Iterator[Piece]:
        """The pieces of the file's bytes `start` up to but not including `stop`."""
        at = 0
        for piece in self.pieces:
            low, high = max(start - at, 0), min(stop - at, length(piece))
            at += length(piece)
            if low >= high:
                continue
            if isinstance(piece, bytes):
                yield piece[low:high]
            elif isinstance(piece, int):
                yield high - low
            else:
                yield piece[0] + low, piece[0] + high

    def applied(self, data: bytes) -> bytes:
        """The file, made of the object's bytes."""
        return b"".join(self.parts(data))

    def parts(self, data: bytes) -> Iterator[bytes | memoryview]:
        """The file, piece by piece."""
        view = memoryview(data)
        for piece in self.pieces:
            yield view[piece[0] : piece[1]] if isinstance(piece, tuple) else bytes(piece)


def splice(whole: int, pieces: Iterable[Piece]) -> Splice:
    """These pieces of an object of `whole` bytes, neighbours joined and empty ones left out.

    Raises ValueError where a piece is not within the object, or the list or its file is longer than it may be: whoever
    wrote the list, the file is never much larger than the object.
    """
    joined: list[Piece] = []
    literal = size = 0
    for piece in pieces:
        if isinstance(piece, tuple) and not 0 <= piece[0] <= piece[1] <= whole:
            raise ValueError(f"bytes {piece[0]} to {piece[1]} are not within an object of {whole}")
        if isinstance(piece, bytes):
            literal += len(piece)
        elif isinstance(piece, int) and not 0 <= piece <= whole:
            raise ValueError("more zeros than the object has bytes")
        size += length(piece)
        if length(piece):
            _join(joined, piece)
        if len(joined) > MAX_PIECES or literal > MAX_LITERAL or size > whole + MAX_LITERAL:
            raise ValueError("too much for a splice list")
    return Splice(whole, tuple(joined))


def length(piece: Piece) -> int:
    """Bytes of one piece."""
    if isinstance(piece, bytes):
        return len(piece)
    return piece if isinstance(piece, int) else piece[1] - piece[0]


def dump(pieces: Iterable[Piece]) -> list[object]:
    """As JSON has it: text (base64), a number, or a pair."""
    return [
        base64.b64encode(p).decode() if isinstance(p, bytes) else p if isinstance(p, int) else list(p) for p in pieces
    ]


def load(whole: int, listed: object) -> Splice:
    """The splice list again. Raises ValueError for anything that `dump` would not have written."""
    if not isinstance(listed, list) or len(listed) > MAX_PIECES:
        raise ValueError("not a splice list")
    return splice(whole, map(_piece, listed))


def _join(joined: list[Piece], piece: Piece) -> None:
    match (joined[-1] if joined else None), piece:
        case (int(first), int(middle)), (int(again), int(last)) if middle == again:
            joined[-1] = first, last
        case bytes(before), bytes(behind):
            joined[-1] = before + behind
        case int(before), int(behind):
            joined[-1] = before + behind
        case _:
            joined.append(piece)


def _piece(value: object) -> Piece:
    match value:
        case str():
            try:
                return base64.b64decode(value, validate=True)
            except binascii.Error as error:
                raise ValueError("not base64") from error
        case bool():
            raise ValueError("not a piece")
        case int():
            return value
        case [int(start), int(stop)] if type(start) is type(stop) is int:  # True is an int, too
            return start, stop
    raise ValueError("not a piece")
