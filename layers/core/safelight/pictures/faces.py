"""Faces in a picture of our own making, found by a child process of its own as everything that opens pictures is.

The child (`cascade`) runs OpenCV, which no other part of the product loads. It is given the preview that `render` made,
never what somebody uploaded.
"""

import json
import signal
import struct
from typing import Any

from . import wire
from .errors import PicturesUnavailable, UnreadablePicture
from .nursery import Nursery

MOST = 100
_MEMORY = 1536 * 1024**2
_CPU_SECONDS = 20
_WALL_SECONDS = 40.0
_BOX = ("x", "y", "width", "height")
_NOT_SEARCHED = "This picture could not be searched for faces."

NURSERY = Nursery("cascade")


def find(data: bytes) -> list[dict[str, float]]:
    """Faces in a JPEG, the surest first: `x`, `y`, `width`, `height` as shares of the picture, and `score`.

    Raises UnreadablePicture (do not retry) and PicturesUnavailable (retry).
    """
    try:
        end = NURSERY.run(data, memory=_MEMORY, cpu_seconds=_CPU_SECONDS, wall_seconds=_WALL_SECONDS)
    except (OSError, MemoryError) as error:
        raise PicturesUnavailable from error
    if not end.began or end.code in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT):
        raise PicturesUnavailable
    if end.code != 0:
        raise UnreadablePicture(_NOT_SEARCHED)
    try:
        (length,) = struct.unpack_from(">I", end.raw, 1)
        return [_face(one) for one in json.loads(end.raw[5 : 5 + length])["faces"][:MOST]]
    except (struct.error, ValueError, TypeError, KeyError, RecursionError) as error:
        raise UnreadablePicture(_NOT_SEARCHED) from error


def answer(faces: list[dict[str, float]]) -> bytes:
    """What the child writes."""
    return wire.frame({"faces": faces})


def _face(given: Any) -> dict[str, float]:
    face = {name: float(given[name]) for name in (*_BOX, "score")}
    if not all(0 <= face[name] <= 1 for name in _BOX) or not -1e6 < face["score"] < 1e6:
        raise ValueError("a box is inside the picture")
    return face
