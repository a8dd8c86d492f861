"""Dimensions, frames and decoding cost from the headers of each accepted format, in pure Python and bounded time.

Every parser takes the whole file and returns a `Header`, or raises `ValueError` (or runs off the end: `struct.error`,
`IndexError`) where the header is not one. Nothing is allocated in proportion to what a header claims.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from . import boxes

_MAX_STEPS = 10_000
_NEXT_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_STANDALONE = {0x01, *range(0xD0, 0xDA)}
_FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_RAW_TAGS = {50706}  # DNGVersion
# The whole numbers of a TIFF by their type, as libtiff takes them for a size, and those that only BigTIFF has room for.
_WHOLE = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I"}
_WIDE = {16: "Q", 17: "q", 18: "Q"}


@dataclass(frozen=True, slots=True)
class Header:
    """`width` by `height` px as stored (before orientation), `frames` (pages), `scans` (passes of a progressive JPEG),
    `raw` (of a camera), `working_set` (bytes a decoder must hold at once beyond a few rows, where the format forces
    it to) and `nclx`: what the colours mean where numbers of ITU-T H.273 (primaries, transfer) say so."""

    width: int
    height: int
    frames: int = 1
    scans: int = 1
    working_set: int = 0
    raw: bool = False
    nclx: tuple[int, int] | None = None


def jpeg(data: bytes) -> Header:
    """ITU-T T.81 annex B: segments up to the frame header, then scan headers up to the end of the image.

    A baseline picture whose first scan holds all components ends with that scan for every decoder, so the rest of the
    file, most of it, is looked through only where there are several.
    """
    at, frame, scans = 2, None, 0
    while match := _NEXT_MARKER.search(data, at):
        at, marker = match.end(), match[1][0]
        if marker == _END_OF_IMAGE:
            break
        if marker in _FRAME_HEADERS:
            if frame:
                raise ValueError("two frame headers")
            frame = _frame(data, at, progressive=marker in _PROGRESSIVE)
        elif marker == _START_OF_SCAN:
            scans += 1
            if frame and not frame.progressive and data[at + 2] == frame.components:
                break
        if marker not in _STANDALONE:
            at += struct.unpack_from(">H", data, at)[0]
    if frame is None or not scans:
        raise ValueError("no image data")
    # A file of several scans is decoded into a buffer of 16-bit coefficients for the whole picture.
    held = int(frame.width * frame.height * frame.samples * 2) if frame.progressive or scans > 1 else 0
    return Header(frame.width, frame.height, scans=scans, working_set=held)


class _Frame(NamedTuple):
    width: int
    height: int
    components: int
    samples: float  # a pixel: 1.5 with 4:2:0
    progressive: bool


def _frame(data: bytes, at: int, *, progressive: bool) -> _Frame:
    """T.81 B.2.2."""
    height, width, count = struct.unpack_from(">HHB", data, at + 3)
    factors = [data[at + 9 + 3 * n] for n in range(count)]
    across, down = [factor >> 4 for factor in factors], [factor & 15 for factor in factors]
    if not factors or not all(across) or not all(down):
        raise ValueError("a component without samples")
    samples = sum(a * d for a, d in zip(across, down, strict=True)) / (max(across) * max(down))
    return _Frame(width, height, count, samples, progressive)


def png(data: bytes) -> Header:
    """PNG third edition, 5 (chunks), 11.2.1 IHDR; the animation control chunk acTL precedes the image data."""
    length, kind, width, height, depth, colour = struct.unpack_from(">I4sIIBB", data, 8)
    interlaced = data[28]
    if kind != b"IHDR" or length != 13:
        raise ValueError("no IHDR")
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    frames, at = 1, 33
    for _ in range(_MAX_STEPS):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"acTL":
            frames = struct.unpack_from(">I", data, at + 8)[0]
        if kind in (b"IDAT", b"IEND"):
            break
        at += 12 + length
    held = width * height * channels * max(8, depth) // 8 if interlaced else 0
    return Header(width, height, frames=frames, working_set=held)


def webp(data: bytes) -> Header:
    """RFC 9649: one VP8 or VP8L chunk, or VP8X with frames. A WebP is decoded whole: to 4 bytes a pixel, beside which
    lossless colours or transparency are held as coded, and an animation holds its canvas and the frame."""
    at, width, height, frames, a_pixel = 12, 0, 0, 0, 5
    for _ in range(_MAX_STEPS):
        if at + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, at)
        body = at + 8
        if kind in (b"VP8L", b"ALPH"):
            a_pixel = max(a_pixel, 6)
        if kind == b"VP8X" and not width:
            width = 1 + int.from_bytes(data[body + 4 : body + 7], "little")
            height = 1 + int.from_bytes(data[body + 7 : body + 10], "little")
        elif kind == b"ANMF":
            frames, a_pixel = frames + 1, 16
        elif kind == b"VP8 " and not width:
            if data[body + 3 : body + 6] != b"\x9d\x01\x2a":
                raise ValueError("no key frame")
            width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, body + 6))
        elif kind == b"VP8L" and not width:
            if data[body] != 0x2F:
                raise ValueError("no VP8L signature")
            (bits,) = struct.unpack_from("<I", data, body + 1)
            width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        at = body + length + (length & 1)
    return Header(width, height, frames=max(1, frames), working_set=a_pixel * width * height)


def tiff(data: bytes) -> Header:
    """TIFF 6.0 section 2 and BigTIFF: size in the first directory, length of the chain, signs of a camera raw file."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    pointer, counter, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    forms = _WHOLE | _WIDE if big else _WHOLE
    (at,) = struct.unpack_from(order + pointer, data, 8 if big else 4)
    first: dict[int, int] = {}
    seen = set[int]()
    while at and at not in seen and len(seen) < _MAX_STEPS:
        if seen and at + entry > len(data):
            break  # the chain leads out of the file: the first picture may be whole
        (count,) = struct.unpack_from(order + counter, data, at)
        start = at + struct.calcsize(order + counter)
        end = start + entry * count
        if not seen:
            if count > _MAX_STEPS:
                raise ValueError("a directory without end")
            for n in range(start, end, entry):
                tag, kind = struct.unpack_from(order + "HH", data, n)
                # Of a tag that is there twice decoders take the first, too.
                if kind in forms and tag not in first:
                    (first[tag],) = struct.unpack_from(order + forms[kind], data, n + (12 if big else 8))
        seen.add(at)
        at = (
            struct.unpack_from(order + pointer, data, end)[0]
            if end + struct.calcsize(order + pointer) <= len(data)
            else 0
        )
    # A raw file's first directory is its small preview (NewSubfileType bit 0), Canon's has a mark of its own.
    raw = bool(_RAW_TAGS & first.keys()) or bool(first.get(254, 0) & 1) or data[8:10] == b"CR"
    return Header(first[256], first[257], frames=len(seen), raw=raw)


def heic(data: bytes) -> Header:
    """HEVC in HEIF: the planes of the decoder, those of the container's reader, and the same as interleaved RGB."""
    return _heif(data, lambda bits: 8 if bits == 8 else 16)


def avif(data: bytes) -> Header:
    """AV1 in HEIF: the decoder's planes, those of libheif and the same as interleaved RGB, as measured in the child
    with 4:4:4 and transparency, which takes the most."""
    return _heif(data, lambda bits: 12.5 if bits == 8 else 17)


def _heif(data: bytes, pixel: Callable[[int], float]) -> Header:
    """The largest size of the `meta` box is the picture, smaller ones are its tiles."""
    still = boxes.read(data)
    held = int(pixel(still.bits) * still.width * still.height)
    return Header(still.width, still.height, working_set=held, nclx=still.nclx)


PARSERS: dict[str, Callable[[bytes], Header]] = {
    "jpeg": jpeg,
    "png": png,
    "webp": webp,
    "tiff": tiff,
    "heic": heic,
    "avif": avif,
}
