"""What a child answers about a picture: JSON, then the renditions' bytes.

The child handled hostile bytes and may have been taken over by them: every field is validated, everything is bounded.
"""

import hashlib
import re
import zlib
from datetime import UTC, datetime

from safelight import splice
from safelight.sandbox.wire import Garbled, frame, split

from .checks import items, members, number, text, whole
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
_PRINTABLE = re.compile(rf"[^\x00-\x1f\x7f-\x9f]{{1,{_MAX_TEXT}}}")
# At most 25 bytes (evanw.github.io/thumbhash), as base64.
_THUMBHASH = re.compile(r"[A-Za-z0-9+/]{6,36}={0,2}")


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
        if isinstance(head, dict) and "reason" in head:
            return _reason(head, body)
        return _rendered(members(head, _KEYS), body, data)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError, MemoryError) as error:
        raise Garbled(str(error)) from error


def _reason(head: dict[str, object], body: memoryview) -> str:
    if body:
        raise Garbled("bytes left over")
    return _line(members(head, ["reason"])["reason"])


def _rendered(head: dict[str, object], body: memoryview, data: bytes) -> Rendered:
    """The picture. The bytes of the renditions are copied last, when all the rest is checked."""
    taken = head["taken_at"]
    kind = _line(head["format"])
    if kind not in CONTENT_TYPES.values():
        raise Garbled("format")
    table = _table(head["renditions"], body)
    return Rendered(
        width=whole(head["width"], 1, MAX_SIDE),
        height=whole(head["height"], 1, MAX_SIDE),
        thumbhash=text(head["thumbhash"], _THUMBHASH),
        taken_at=_moment(taken) if taken is not None else None,
        camera=_camera(head["camera"]),
        format=kind,
        metrics=checked(head["metrics"]),
        clean=_clean(head["clean"], data),
        sha256=hashlib.sha256(data).hexdigest(),
        crc32=zlib.crc32(data),
        renditions=tuple(
            Rendition(name, bytes(view), "image/jpeg", width, height, zlib.crc32(view))
            for name, width, height, view in table
        ),
    )


def _clean(value: object, data: bytes) -> Clean | None:
    return None if value is None else checked_clean(splice.load(len(data), value), data)


def _table(value: object, body: memoryview) -> list[tuple[str, int, int, memoryview]]:
    """Name, width, height and bytes of each rendition."""
    table, at = [], 0
    for row, (name, limit) in zip(items(value, len(SIZES), len(SIZES)), SIZES.items(), strict=True):
        given, width, height, size = items(row, 4, 4)
        if given != name:
            raise Garbled("renditions")
        view = body[at : at + whole(size, 5, len(body) - at)]
        if bytes(view[:3]) != b"\xff\xd8\xff" or bytes(view[-2:]) != b"\xff\xd9":
            raise Garbled("rendition data")
        table.append((name, whole(width, 1, limit), whole(height, 1, limit), view))
        at += len(view)
    if at != len(body):
        raise Garbled("bytes left over")
    return table


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
    line = text(value, _PRINTABLE)
    line.encode()  # a surrogate is no text
    return line


def _flag(value: object) -> bool:
    if type(value) is not bool:
        raise Garbled("flag")
    return value


def _number(value: object) -> int | float:
    return number(value, 0, 1e9)
