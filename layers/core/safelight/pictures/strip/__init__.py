"""A picture without what it tells about people, as a splice list: no pixel is decoded, none is written anew.

Each format keeps what it takes to show the picture right and drops the rest, by lists of what is kept, so that what
nobody has heard of is dropped, too. Kept: the picture, its colour profile, its orientation, its copyright notice.
Not kept: position, serial numbers, names of owner and artist, maker notes, XMP, IPTC, comments, thumbnails, capture
data, and whatever follows the picture (previews, films, trailers of other programs).
"""

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterable

from safelight.splice import Piece, Splice, splice

from ..types import Clean
from . import boxes, jpeg, png, tiff, webp

STRIPPERS: dict[str, Callable[[bytes], Iterable[Piece]]] = {
    "jpeg": jpeg.strip,
    "png": png.strip,
    "webp": webp.strip,
    "tiff": tiff.strip,
    "heic": boxes.strip,
    "avif": boxes.strip,
}


class CannotStrip(ValueError):
    """This file is not laid out in a way that is understood completely: it must not be handed out as clean."""


def strip(data: bytes, kind: str) -> Splice:
    """The clean file, as pieces of `data`, a picture of that format (`facts.Facts.format`).

    Stripping what it gives again changes nothing. Raises CannotStrip.
    """
    try:
        made = splice(len(data), STRIPPERS[kind](data))
    except (ValueError, LookupError, ArithmeticError, struct.error) as error:
        raise CannotStrip(str(error)) from error
    return Splice(len(data), ((0, len(data)),)) if made.applied(data) == data else made


def clean(data: bytes, kind: str) -> Clean | None:
    """The clean file of a picture, or None where it cannot be made."""
    try:
        return checked_clean(strip(data, kind), data)
    except CannotStrip:
        return None


def checked_clean(made: Splice, data: bytes) -> Clean:
    """A splice list of `data` with the checks of the file it makes."""
    crc32, sha256 = 0, hashlib.sha256()
    for part in made.parts(data):  # never the whole file at once: a hostile list would double the worker's memory
        crc32 = zlib.crc32(part, crc32)
        sha256.update(part)
    return Clean(made, crc32, sha256.hexdigest())
