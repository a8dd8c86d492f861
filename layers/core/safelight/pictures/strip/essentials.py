"""What remains of an EXIF block: how the picture is turned, which colours it means, and whose it is.

Source: CIPA DC-008 (EXIF 3.0) tables 4 to 12; DCF 2.0 for the sign of Adobe RGB (uncalibrated, interoperability R03).
"""

import struct
from typing import NamedTuple

from .. import exif

_ORIENTATION, _COPYRIGHT, _EXIF_IFD = 0x0112, 0x8298, 0x8769
_COLOR_SPACE, _INTEROPERABILITY_IFD = 0xA001, 0xA005
_UNCALIBRATED = 0xFFFF
_ADOBE_RGB = "R03"
_ASCII, _SHORT, _LONG = 2, 3, 4


class Essentials(NamedTuple):
    """`orientation` 1 to 8; `adobe_rgb` when a camera says so without a profile."""

    orientation: int = 1
    copyright: str = ""
    adobe_rgb: bool = False


NOTHING = Essentials()


def read(block: bytes) -> Essentials:
    """Of an EXIF block, with or without its prefix. What is damaged is left out."""
    block = block.removeprefix(b"Exif\0\0")
    tags = exif.select(block, {_ORIENTATION, _COPYRIGHT}, {_COLOR_SPACE, _INTEROPERABILITY_IFD})
    orientation, notice, index = (tags.get(tag) for tag in (_ORIENTATION, _COPYRIGHT, _INTEROPERABILITY_IFD))
    adobe = (
        tags.get(_COLOR_SPACE) == _UNCALIBRATED
        and isinstance(index, int)
        and exif.directory(block, index, {1}).get(1) == _ADOBE_RGB
    )
    return Essentials(
        orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1,
        exif.text(notice),
        adobe,
    )


def build(kept: Essentials) -> bytes:
    """A TIFF structure that says just this; empty when there is nothing to say."""
    if kept == NOTHING:
        return b""
    notice = kept.copyright.encode() + b"\0" if kept.copyright else b""
    count = (kept.orientation > 1) + bool(notice) + kept.adobe_rgb
    behind = 8 + 2 + 12 * count + 4
    entries = [struct.pack(">HHIHxx", _ORIENTATION, _SHORT, 1, kept.orientation)] if kept.orientation > 1 else []
    if notice:
        inside = len(notice) <= 4
        where = notice.ljust(4, b"\0") if inside else struct.pack(">I", behind)
        entries.append(struct.pack(">HHI4s", _COPYRIGHT, _ASCII, len(notice), where))
        notice = b"" if inside else notice + bytes(len(notice) & 1)
    colours = b""
    if kept.adobe_rgb:
        at = behind + len(notice)
        entries.append(struct.pack(">HHII", _EXIF_IFD, _LONG, 1, at))
        colours = struct.pack(">HHHIHxxHHIII", 2, _COLOR_SPACE, _SHORT, 1, _UNCALIBRATED,
                              _INTEROPERABILITY_IFD, _LONG, 1, at + 30, 0)  # fmt: skip
        colours += struct.pack(">HHHI4sI", 1, 1, _ASCII, 4, _ADOBE_RGB.encode() + b"\0", 0)
    head = b"MM\0*" + struct.pack(">IH", 8, count)
    return head + b"".join(entries) + bytes(4) + notice + colours
