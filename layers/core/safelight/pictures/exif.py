"""Capture time and camera from an EXIF block: a bounds-checked reader of a fixed list of tags.

Only the tags named here are ever looked at. GPS, serial numbers, owner names and maker notes are not on the list, so
they cannot leak from here. Source: CIPA DC-008 (EXIF 3.0), tables 4 to 9; TIFF 6.0 section 2 for the layout.
"""

import re
import struct
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

from .types import Camera

_MAKE, _MODEL, _EXIF_IFD = 0x010F, 0x0110, 0x8769
_ORIENTATION, _EXPOSURE, _F_NUMBER, _ISO, _ISO_LONG, _FLASH, _FOCAL_LENGTH = (
    *(0x0112, 0x829A, 0x829D, 0x8827, 0x8833, 0x9209, 0x920A),
)
_TAKEN, _OFFSET, _SUBSECOND = 0x9003, 0x9011, 0x9291
_LENS_MAKE, _LENS_MODEL = 0xA433, 0xA434
_WANTED_FIRST = {_MAKE, _MODEL, _ORIENTATION}
_WANTED_EXIF = {
    *(_EXPOSURE, _F_NUMBER, _ISO, _ISO_LONG, _FLASH, _FOCAL_LENGTH),
    *(_TAKEN, _OFFSET, _SUBSECOND, _LENS_MAKE, _LENS_MODEL),
}
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_MAX_ENTRIES = 512
_MAX_TEXT = 100
# Controls, line separators, and what turns the direction of the text around it.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")

type Value = str | int | Fraction
type Tags = dict[int, Value]


def read(block: bytes) -> tuple[datetime | None, Camera]:
    """Capture time and camera facts of an EXIF block (with or without its `Exif\\0\\0` prefix) or of a TIFF file.

    The camera has those of: `make`, `model`, `lens` (text), `exposure` (seconds, as photographers write it: "1/250",
    "2.5"), `aperture` (f-number), `iso`, `focal_length` (mm), `flash` (whether it fired), `orientation` (1 to 8, as
    the file says), `local_time` (the camera's clock, ISO 8601 with what it knew of a second) and `utc_offset`
    ("+02:00"). What is absent or damaged is left out: metadata never fails a picture.

    A camera without an offset does not say which moment its clock means, so the time counts as UTC: pictures of one
    camera stay in their order, and `local_time` compares those of several.
    """
    tags = select(block.removeprefix(b"Exif\0\0"), _WANTED_FIRST, _WANTED_EXIF)
    taken_at = _taken_at(tags)
    camera: Camera = {}
    _describe(camera, tags)
    _expose(camera, tags)
    if taken_at is not None:
        camera["local_time"] = taken_at.replace(tzinfo=None).isoformat()
        if _offset(tags) is not None:
            camera["utc_offset"] = taken_at.strftime("%:z")
    return taken_at, camera


def _describe(camera: Camera, tags: Tags) -> None:
    for key, tag in (("make", _MAKE), ("model", _MODEL), ("lens", _LENS_MODEL)):
        if told := text(tags.get(tag)):
            camera[key] = told
    if "lens" in camera and (maker := text(tags.get(_LENS_MAKE))):
        lens = str(camera["lens"])
        camera["lens"] = lens if lens.lower().startswith(maker.lower()) else f"{maker} {lens}"[:_MAX_TEXT]
    if isinstance(turned := tags.get(_ORIENTATION), int) and 1 <= turned <= 8:
        camera["orientation"] = turned


def _expose(camera: Camera, tags: Tags) -> None:
    if exposure := _positive(tags.get(_EXPOSURE), 86_400):
        camera["exposure"] = f"1/{round(1 / exposure)}" if exposure <= Fraction(1, 3) else f"{float(exposure):.3g}"
    if aperture := _positive(tags.get(_F_NUMBER), 1000):
        camera["aperture"] = round(float(aperture), 1)
    # 65535 in the short tag means "see the long one" (EXIF 3.0, PhotographicSensitivity).
    iso = tags.get(_ISO)
    if iso is None or iso == 0xFFFF:
        iso = tags.get(_ISO_LONG, iso)
    if speed := _positive(iso, 100_000_000):
        camera["iso"] = int(speed)
    if length := _positive(tags.get(_FOCAL_LENGTH), 100_000):
        camera["focal_length"] = round(float(length), 1)
    if isinstance(flash := tags.get(_FLASH), int):
        camera["flash"] = bool(flash & 1)


def _taken_at(tags: Tags) -> datetime | None:
    taken_text = tags.get(_TAKEN)
    if not isinstance(taken_text, str):
        return None
    digits = re.match(r"\s*(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)", taken_text, re.ASCII)
    if digits is None:
        return None
    try:
        # Not strptime, which loads a module at its first call: in a sealed process there are none to be had.
        year, month, day, hour, minute, second = map(int, digits.groups())
        taken = datetime(year, month, day, hour, minute, second, tzinfo=_offset(tags) or UTC)
        fraction = tags.get(_SUBSECOND)
        if isinstance(fraction, str) and (part := re.match(r"\d{1,6}", fraction, re.ASCII)):
            taken = taken.replace(microsecond=int(part[0].ljust(6, "0")))
        taken.astimezone(UTC)  # the year 1 with a positive offset has no UTC form, and no column could hold it
    except (ValueError, OverflowError):
        return None
    return taken


def _offset(tags: Tags) -> timezone | None:
    told = tags.get(_OFFSET)
    match = re.match(r"\s*([+-])(\d\d):(\d\d)", told, re.ASCII) if isinstance(told, str) else None
    if match is None:
        return None
    minutes = int(match[2]) * 60 + int(match[3])
    if minutes > 14 * 60:
        return None
    return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))


def text(value: Value | None) -> str:
    """One printable line of at most 100 characters; empty for what is not text."""
    return _UNPRINTABLE.sub(" ", value).strip()[:_MAX_TEXT].strip() if isinstance(value, str) else ""


def _positive(value: Value | None, limit: int) -> Fraction | None:
    if value is None or isinstance(value, str) or not 0 < value <= limit:
        return None
    return Fraction(value)


def select(block: bytes, first: set[int], details: set[int]) -> Tags:
    """These tags of the first directory and, of those in `details`, of the EXIF directory that it points to."""
    if len(block) < 8 or not (order := _ORDERS.get(block[:4])):
        return {}
    (start,) = struct.unpack_from(order + "I", block, 4)
    tags = directory(block, start, first | {_EXIF_IFD})
    sub = tags.pop(_EXIF_IFD, None)
    if isinstance(sub, int):
        tags |= directory(block, sub, details)
    return tags


def directory(block: bytes, start: int, wanted: set[int]) -> Tags:
    """These tags of the directory at `start`."""
    if not (order := _ORDERS.get(block[:4])) or start + 2 > len(block):
        return {}
    (count,) = struct.unpack_from(order + "H", block, start)
    tags: Tags = {}
    for entry in range(start + 2, start + 2 + 12 * min(count, _MAX_ENTRIES), 12):
        if entry + 12 > len(block):
            break
        tag, kind, number = struct.unpack_from(order + "HHI", block, entry)
        if tag in wanted:
            value = _value(block, order, kind, number, entry + 8)
            if value is not None:
                tags[tag] = value
    return tags


def _value(block: bytes, order: str, kind: int, number: int, at: int) -> Value | None:
    """The (first) value of an entry: ASCII and UTF-8 (2, 129), SHORT (3), LONG (4), RATIONAL (5) and
    IFD (13), by which libtiff tells where a directory is; else None."""
    if number == 0:
        return None
    if kind in (2, 129):
        start = at if number <= 4 else struct.unpack_from(order + "I", block, at)[0]
        raw = block[start : start + min(number, 4 * _MAX_TEXT)].split(b"\0", 1)[0]
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.decode("latin-1")
    if kind == 3:
        return int(struct.unpack_from(order + "H", block, at)[0])
    if kind in (4, 13):
        return int(struct.unpack_from(order + "I", block, at)[0])
    if kind == 5:
        (start,) = struct.unpack_from(order + "I", block, at)
        if start + 8 > len(block):
            return None
        top, bottom = struct.unpack_from(order + "II", block, start)
        return Fraction(top, bottom) if bottom else None
    return None
