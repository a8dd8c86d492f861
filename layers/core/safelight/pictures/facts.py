"""What an uploaded file is, before any decoder sees it.

The first bytes decide the format; what a name, a content type or later bytes claim decides nothing. A refusal is an
`UnreadablePicture` whose reason tells a photographer what to do.
"""

import re
import struct
from dataclasses import dataclass, replace

from .errors import UnreadablePicture
from .headers import PARSERS, Header

MAX_PIXELS = 200_000_000
MAX_SIDE = 100_000
MAX_FRAMES = 100
# An ordinary progressive JPEG has about 10 passes over the picture; each costs as much as a whole baseline decode.
MAX_SCANS = 64
# Bytes a decoder may need to hold at once, well inside the child's address space.
MAX_WORKING_SET = 600_000_000

CONTENT_TYPES = {
    "image/jpeg": "jpeg",
    "image/png": "png",
    "image/webp": "webp",
    "image/tiff": "tiff",
    "image/avif": "avif",
    "image/heic": "heic",
    "image/heif": "heic",
}
_NAMES = {"jpeg": "JPEG", "png": "PNG", "webp": "WebP", "tiff": "TIFF", "heic": "HEIC", "avif": "AVIF"}
_ENDINGS = {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "tiff": ".tif", "heic": ".heic", "avif": ".avif"}

_EXPORT = "Export it as JPEG and upload again."
# (pattern at the first byte, what it is); looked at only when no accepted format matched.
_STRANGERS = [
    (re.compile(rb"\s*%PDF-"), "a PDF"),
    (re.compile(rb"GIF8[79]a"), "a GIF"),
    (re.compile(rb"8BPS"), "a Photoshop document"),
    (re.compile(rb"BM.{4}\0\0\0\0", re.DOTALL), "a BMP"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive"),
    (re.compile(rb"Rar!|7z\xbc\xaf|\x1f\x8b"), "an archive"),
    (re.compile(rb"%!PS|\xc5\xd0\xd3\xc6"), "a PostScript drawing"),
    (re.compile(rb"FUJIFILMCCD-RAW|II[RU]\0|IIRO|IIRS|MMOR|FOVb|....ftypcrx ", re.DOTALL), "a camera raw file"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "), "a JPEG XL picture"),
    (re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"), "a JPEG 2000 picture"),
    (re.compile(rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI ", re.DOTALL), "a video"),
    (re.compile(rb"RIFF....WAVE|ID3|OggS|fLaC", re.DOTALL), "a sound file"),
    (re.compile(rb"\x7fELF|MZ|#!"), "a program"),
]
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<")
_SVG = re.compile(rb"<svg[\s>]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Facts:
    """A file that may be decoded: `format` (jpeg, png, webp, tiff, heic, avif) and what its header says."""

    format: str
    header: Header

    def admit(self, width: int, height: int) -> None:
        """The same judgement of the size in px that the decoder finds, before it decodes: a header may deceive one
        reader and not the other. Raises `UnreadablePicture`."""
        share = width * height / (self.header.width * self.header.height)
        held = int(self.header.working_set * share)
        _judge(replace(self.header, width=width, height=height, working_set=held), _NAMES[self.format])


def inspect(data: bytes, content_type: str | None = None) -> Facts:
    """Judge `data` by its header alone, and that it is what `content_type` declared (when given).

    Raises `UnreadablePicture` for everything that is not an acceptable photo: not one of the formats, another format
    than declared, no or absurd dimensions, more than 200 megapixels, more than 100 frames, or a layout that would take
    too long or too much memory to decode. An animation or a file of several pages within those limits is accepted: its
    first frame is the photo.
    """
    kind = _format(data)
    name = _NAMES[kind]
    if content_type is not None:
        declared = CONTENT_TYPES.get(content_type.split(";")[0].strip().lower())
        if declared != kind:
            raise UnreadablePicture(
                f"This file was sent as {_NAMES[declared] if declared else content_type[:100]} but it is a {name}. "
                f"Give its name the ending {_ENDINGS[kind]} and upload it again."
            )
    try:
        header = PARSERS[kind](data)
    except (ValueError, struct.error, IndexError, KeyError, OverflowError) as error:
        raise UnreadablePicture(
            f"This {name} file is damaged: its header cannot be read. Export the photo again and upload the new file."
        ) from error
    _judge(header, name)
    return Facts(kind, header)


def _format(data: bytes) -> str:
    if not data:
        raise UnreadablePicture("This file is empty. Choose the photo again and upload it.")
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if data[4:8] == b"ftyp":
        brands = _brands(data)
        if data[8:12] in (b"avis", b"msf1", b"hevc", b"hevx"):
            raise UnreadablePicture("This file is an animation, not a photo. " + _EXPORT)
        if brands & {b"avif"}:
            return "avif"
        if brands & {b"heic", b"heix", b"heim", b"heis", b"mif1"}:
            return "heic"
    raise UnreadablePicture(_stranger(data))


def _brands(data: bytes) -> set[bytes]:
    end = min(int.from_bytes(data[:4], "big"), 256)
    return {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}


def _stranger(data: bytes) -> str:
    if not data.strip(b"\0"):
        return "This file holds nothing but zeros: it was not copied completely. Upload it again from the original."
    if _MARKUP.match(data):
        what = "an SVG drawing" if _SVG.search(data[:4096]) else "a web page or other text"
        return f"This file is {what}, not a photo. {_EXPORT}"
    for pattern, what in _STRANGERS:
        if pattern.match(data):
            return f"This file is {what}, not a photo. {_EXPORT}" if "raw" not in what else _RAW
    return f"This file is not a photo in a format that can be shown (JPEG, PNG, WebP, TIFF, HEIC or AVIF). {_EXPORT}"


_RAW = f"This file is a camera raw file, which cannot be shown as it is. {_EXPORT}"


def _judge(header: Header, name: str) -> None:
    width, height = header.width, header.height
    if header.raw:
        raise UnreadablePicture(_RAW)
    if width < 1 or height < 1:
        raise UnreadablePicture(
            f"This {name} file has no picture in it: its size is {width} by {height} pixels. Export the photo again."
        )
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise UnreadablePicture(
            f"This photo has {width:,} by {height:,} pixels, more than the limit of {MAX_PIXELS // 1_000_000} "
            f"megapixels or {MAX_SIDE:,} pixels a side. Export it smaller and upload again."
        )
    if header.frames > MAX_FRAMES:
        raise UnreadablePicture(
            f"This {name} file has {header.frames:,} frames. Upload a single picture, not an animation."
        )
    if header.scans > MAX_SCANS:
        raise UnreadablePicture(
            f"This JPEG is built of {header.scans:,} passes, which would take too long to open. "
            "Export it again as an ordinary JPEG."
        )
    if header.working_set > MAX_WORKING_SET:
        pixels = width * height / 1e6
        limit = pixels * MAX_WORKING_SET / header.working_set
        raise UnreadablePicture(
            f"This {name} photo of {pixels:.1f} megapixels is stored in a way that takes too much memory to open: "
            f"{limit:.1f} is the limit for it. Export it smaller or as a JPEG that is not progressive and upload again."
        )
