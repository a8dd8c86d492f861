"""Faces in a picture of our own making, found by a child process of its own as everything that opens pictures is.

The child (`cascade`) runs OpenCV, which no other part of the product loads. It is given the preview that `render` made,
never what somebody uploaded.
"""

import signal

from safelight.sandbox.errors import SandboxMissing
from safelight.sandbox.nursery import Nursery
from safelight.sandbox.wire import MAX_HEAD, Garbled, Limits, frame, split

from .checks import items, members, number
from .environment import environment
from .errors import PicturesUnavailable, SandboxUnavailable, SandboxViolation, UnreadablePicture

MOST = 100
_LIMITS = Limits(memory=1536 * 1024**2, cpu_seconds=20, wall_seconds=40.0, answer=MAX_HEAD)
_BOX = ("x", "y", "width", "height")
_NOT_SEARCHED = "This picture could not be searched for faces."

NURSERY = Nursery("safelight.pictures.cascade", environment)


def find(data: bytes) -> list[dict[str, float]]:
    """Faces in a JPEG, the surest first: `x`, `y`, `width`, `height` as shares of the picture, and `score`.

    Raises UnreadablePicture (do not retry) and PicturesUnavailable (retry), with the subclasses that `child.render`
    has for the sandbox.
    """
    try:
        end = NURSERY.run(data, _LIMITS)
    except SandboxMissing as error:
        raise SandboxUnavailable(error.reason) from error
    except (OSError, MemoryError) as error:
        raise PicturesUnavailable from error
    if not end.began or end.starved or end.code in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT):
        raise PicturesUnavailable
    if end.violation:
        raise SandboxViolation
    if end.code != 0:
        raise UnreadablePicture(_NOT_SEARCHED)
    try:
        return _load(end.raw)
    except Garbled as error:
        raise UnreadablePicture(_NOT_SEARCHED) from error


def answer(faces: list[dict[str, float]]) -> bytes:
    """What the child writes."""
    return frame({"faces": faces})


def _load(raw: bytes | bytearray) -> list[dict[str, float]]:
    """The faces in all that came through the pipe. Raises Garbled."""
    head, body = split(raw)
    if body:
        raise Garbled("bytes left over")
    return [_face(one) for one in items(members(head, ["faces"])["faces"], 0, MOST)]


def _face(given: object) -> dict[str, float]:
    face = members(given, [*_BOX, "score"])
    box = {name: float(number(face[name], 0, 1)) for name in _BOX}
    return box | {"score": float(number(face["score"], -1e6, 1e6))}
