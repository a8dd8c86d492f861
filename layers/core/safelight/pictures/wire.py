"""What a child answers about a picture: JSON, then the renditions' bytes.

The child handled hostile bytes and may have been taken over by them: every field is validated, everything is bounded.
"""

import hashlib
import math
import re
import zlib
from datetime import UTC, datetime

from safelight import splice
from safelight.sandbox.wire import Garbled, frame, split

from .facts import CONTENT_TYPES, MAX_SIDE
from .measures import checked
from .strip import checked_clean
from .types import SIZES, Camera, Clean, Rendered, Rendition

_MAX_TEXT = 600
_TEXT_KEYS = {"make", "model", "lens", "exposure", "utc_offset", "local_time"}
_NUMBER_KEYS = {"aperture", "iso", "focal_length", "orientation"}
_FLAGS = {"flash"}
_KEYS = {
    "width", "height", "thumbhash", "taken_at", "camera", "format", "metrics", "clean", "renditions",
}  # fmt: skip
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def dump(answer: Rendered | str) -> bytes:
    """The answer as bytes: a picture, or the reason why there is none."""
    if isinstance(answer, str):
        return frame({"reason": answer})
    taken = answer.taken_at
    head = {
        "width": answer.width,
        "height": answer.height,
        "thumbhash": answer.thumbhash,
        "taken_at": taken.isoformat() if taken else None,
        "camera": answer.camera,
        "format": answer.format,
        "metrics": answer.metrics,
        "clean": splice.dump(answer.clean.splice.pieces) if answer.clean else None,
        "renditions": [[r.name, r.width, r.height, len(r.data)] for r in answer.renditions],
    }
    return frame(head) + b"".join(r.data for r in answer.renditions)


def load(raw: bytes | bytearray, data: bytes) -> Rendered | str:
    """The answer in `raw` (all that came through the pipe) about the picture `data`, or the reason it carries.

    The hashes of the original and of the clean file are computed here, not taken from the child.

    Raises `Garbled` for anything that `dump` would not have written.
    """
    try:
        head, body = split(raw)
        if set(head) == {"reason"}:
            return _line(head["reason"])
        return _rendered(head, body, data)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError) as error:
        raise Garbled(str(error)) from error


def _rendered(head: dict[str, object], body: memoryview, data: bytes) -> Rendered:
    if set(head) != _KEYS:
        raise Garbled("keys")
    taken = head["taken_at"]
    table = head["renditions"]
    if not isinstance(table, list) or [row[0] for row in table] != list(SIZES):
        raise Garbled("renditions")
    if head["format"] not in CONTENT_TYPES.values():
        raise Garbled("format")
    return Rendered(
        width=_side(head["width"], MAX_SIDE),
        height=_side(head["height"], MAX_SIDE),
        thumbhash=_line(head["thumbhash"]),
        taken_at=_moment(taken) if taken is not None else None,
        camera=_camera(head["camera"]),
        format=str(head["format"]),
        renditions=_renditions(table, body),
        metrics=checked(head["metrics"]),
        clean=_clean(head["clean"], data),
        sha256=hashlib.sha256(data).hexdigest(),
        crc32=zlib.crc32(data),
    )


def _clean(value: object, data: bytes) -> Clean | None:
    return None if value is None else checked_clean(splice.load(len(data), value), data)


def _renditions(table: list[list[object]], body: memoryview) -> tuple[Rendition, ...]:
    made, at = [], 0
    for name, width, height, size in table:
        if not isinstance(size, int) or not 0 < size <= len(body) - at:
            raise Garbled("rendition size")
        data = bytes(body[at : at + size])
        if not data.startswith(b"\xff\xd8\xff") or not data.endswith(b"\xff\xd9"):
            raise Garbled("rendition data")
        limit = SIZES[str(name)]
        sides = _side(width, limit), _side(height, limit)
        made.append(Rendition(str(name), data, "image/jpeg", *sides, zlib.crc32(data)))
        at += size
    if at != len(body):
        raise Garbled("bytes left over")
    return tuple(made)


def _camera(value: object) -> Camera:
    if not isinstance(value, dict) or not value.keys() <= _TEXT_KEYS | _NUMBER_KEYS | _FLAGS:
        raise Garbled("camera")
    check = {**dict.fromkeys(_TEXT_KEYS, _line), **dict.fromkeys(_NUMBER_KEYS, _number), **dict.fromkeys(_FLAGS, _flag)}
    return {key: check[key](entry) for key, entry in value.items()}


def _moment(value: object) -> datetime:
    moment = datetime.fromisoformat(_line(value))
    moment.astimezone(UTC)
    if moment.tzinfo is None:
        raise Garbled("a time without its zone")
    return moment


def _line(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > _MAX_TEXT or _UNPRINTABLE.search(value):
        raise Garbled("text")
    value.encode()
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise Garbled("flag")
    return value


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Garbled("number")
    if not 0 <= value <= 1e9:
        raise Garbled("number out of range")
    return value


def _side(value: object, limit: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= limit:
        raise Garbled("dimension")
    return value
