"""The boxes of a HEIC or AVIF file, all of them understood as boxes: ISO/IEC 14496-12, 4.2."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from .canvas import Canvas

_MAX_BOXES = 5000


class Box(NamedTuple):
    """`kind` and where it starts, where its content does, and where it stops."""

    kind: bytes
    start: int
    body: int
    stop: int


def walk(data: bytes, at: int, end: int) -> Iterator[Box]:
    """The boxes from `at`, which must fill the space to `end` exactly."""
    for _ in range(_MAX_BOXES):
        if at == end:
            return
        size, kind = struct.unpack_from(">I4s", data, at)
        body = at + 8
        if size == 1:
            (size,), body = struct.unpack_from(">Q", data, body), at + 16
        # Only the media may say "up to the end": another box could swallow its neighbours.
        stop = end if kind == b"mdat" and not size and end == len(data) else at + size
        if not body <= stop <= end:
            raise ValueError("a box that does not fit")
        yield Box(kind, at, body, stop)
        at = stop
    raise ValueError("too many boxes")


def free(canvas: Canvas, data: bytes, box: Box) -> None:
    """In its place a box of the same size that is said to hold nothing."""
    canvas.put(box.start, data[box.start : box.start + 4] + b"free" + data[box.start + 8 : box.body])
