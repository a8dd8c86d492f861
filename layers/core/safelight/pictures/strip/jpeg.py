"""JPEG: ITU-T T.81 annex B for the segments; JFIF 1.02, ICC.1 annex B.4 and Adobe's APP14 for those that are kept."""

import re
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from safelight.splice import Piece

from . import essentials

# Within a scan, FF 00 is data and FF D0 to D7 are restarts; libjpeg skips bytes between segments the same way. A
# pattern that starts with one literal byte is searched for thirty times faster than one that starts with "\xff+".
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
_SOI, _EOI, _SOS, _COM, _TEM = 0xD8, 0xD9, 0xDA, 0xFE, 0x01
_DHT, _DAC, _DQT, _DNL, _DRI = 0xC4, 0xCC, 0xDB, 0xDC, 0xDD
_FRAMES = {*range(0xC0, 0xD0)} - {_DHT, 0xC8, _DAC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_APPLICATION = range(0xE0, 0xF0)
_EXIF = b"Exif\0\0"


class _Segment(NamedTuple):
    """`start` at its marker, `stop` behind its length or, of a scan, behind its data."""

    marker: int
    body: bytes
    start: int
    stop: int


def strip(data: bytes) -> Iterator[Piece]:
    """Everything up to the first end of image, of application segments only what colours and orientation need."""
    jfif, told, kept = b"", set[essentials.Essentials](), list[Piece]()
    seen, scanned = list[int](), list[int]()
    for segment in _segments(data):
        marker, body, start, stop = segment
        if marker in _APPLICATION:
            if marker == 0xE0 and body[:5] == b"JFIF\0" and len(body) >= 14 and not jfif:
                jfif = _jfif(body)
                kept.append(jfif)
            elif marker == 0xE1 and body.startswith(_EXIF):
                told.add(essentials.read(body))
            else:
                kept.extend(_application(segment))
        elif marker != _COM:
            _check(marker, body)
            seen.append(marker)
            scanned += body[1 : 1 + 2 * body[0] : 2] if marker == _SOS else b""
            kept.append((start, stop))
    if len(told) > 1:
        raise ValueError("two EXIF blocks that differ")
    if sum(marker in _FRAMES for marker in seen) != 1 or _SOS not in seen:
        raise ValueError("not one picture")
    if not _PROGRESSIVE.intersection(seen) and len(set(scanned)) < len(scanned):
        # The second time no decoder would look at it: anything could be there.
        raise ValueError("a component in two scans")
    first = [kept.pop(0)] if kept[0] == jfif else []
    yield from (data[:2], *first, _exif(told), *kept, b"\xff\xd9")


def _segments(data: bytes) -> Iterator[_Segment]:
    at = 2
    while match := _MARKER.search(data, at):
        start, at, marker = match.end() - 2, match.end(), match[1][0]
        if marker == _EOI:
            return
        if marker == _SOI:
            raise ValueError("a picture within the picture")
        if marker == _TEM:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if length < 2 or at + length > len(data):
            raise ValueError("a segment beyond the end")
        body = data[at + 2 : at + length]
        at += length
        if marker == _SOS and (end := _MARKER.search(data, at)):
            at = end.start()
        yield _Segment(marker, body, start, at)
    raise ValueError("no end of image")


def _jfif(body: bytes) -> bytes:
    """The segment without its thumbnail; one that makes no sense only says that it was there."""
    units, across, down = body[7], body[12], body[13]
    sound = units <= 2 and len(body) == 14 + 3 * across * down
    return b"\xff\xe0\x00\x10" + (body[:12] if sound else b"JFIF\0\1\1\0\0\1\0\1") + b"\0\0"


def _application(segment: _Segment) -> Iterator[Piece]:
    marker, body, start, stop = segment
    if marker == 0xE2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
        yield start, stop
    elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
        yield b"\xff\xee\x00\x0e" + body[:12]


def _exif(told: set[essentials.Essentials]) -> bytes:
    block = essentials.build(next(iter(told), essentials.NOTHING))
    return b"\xff\xe1" + struct.pack(">H", len(block) + 8) + _EXIF + block if block else b""


def _check(marker: int, body: bytes) -> None:
    """A segment that is kept holds exactly what its kind holds: nothing travels in a table's place."""
    if marker in _FRAMES:
        exact = len(body) == 6 + 3 * body[5]
    elif marker == _SOS:
        exact = len(body) == 4 + 2 * body[0]
    elif marker == _DHT:
        exact = _tables(body, lambda at: _code(body[at + 1 : at + 17], body[at + 17 :]) + 17)
    elif marker == _DQT:
        exact = _tables(body, lambda at: 129 if body[at] >> 4 else 65)
    else:
        # Of an arithmetic code, which class and table, then its value.
        conditions = len(body) % 2 == 0 and all(table & 0xEC == 0 for table in body[::2])
        exact = conditions if marker == _DAC else marker in (_DRI, _DNL) and len(body) == 2
    if not exact:
        raise ValueError(f"a segment {marker:02x} that is not understood")


def _code(counts: bytes, symbols: bytes) -> int:
    """How many symbols a Huffman code has, which must be one: T.81 C.2."""
    number = sum(counts)
    if sum(count << 15 - bits for bits, count in enumerate(counts)) > 1 << 16 or len(set(symbols[:number])) < number:
        raise ValueError("not a Huffman code")
    return number


def _tables(body: bytes, size: Callable[[int], int]) -> bool:
    at = 0
    while at < len(body):
        at += size(at)
    return at == len(body) > 0
