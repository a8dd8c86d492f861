"""The segments of a JPEG: ITU-T T.81 annex B."""

import re
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

# Within a scan, FF 00 is data and FF D0 to D7 are restarts; libjpeg skips bytes between segments the same way. A
# pattern that starts with one literal byte is searched for thirty times faster than one that starts with "\xff+".
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
SOI, EOI, SOS, COM = 0xD8, 0xD9, 0xDA, 0xFE
APPLICATION = range(0xE0, 0xF0)
_TEM = 0x01
_DHT, _DAC, _DQT, _DNL, _DRI = 0xC4, 0xCC, 0xDB, 0xDC, 0xDD
_FRAMES = {*range(0xC0, 0xD0)} - {_DHT, 0xC8, _DAC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}


class Segment(NamedTuple):
    """`start` at its marker, `stop` behind its length or, of a scan, behind its data."""

    marker: int
    body: bytes
    start: int
    stop: int


def walk(data: bytes) -> Iterator[Segment]:
    """The segments behind the start of a picture, its end the last of them.

    Raises ValueError where there is no end, or another start. What lies between segments is in none of them.
    """
    if data[:2] != b"\xff\xd8":
        raise ValueError("no start of image")
    at = 2
    while match := _MARKER.search(data, at):
        start, at, marker = match.end() - 2, match.end(), match[1][0]
        if marker == EOI:
            yield Segment(EOI, b"", start, at)
            return
        if marker == SOI:
            raise ValueError("a picture within the picture")
        if marker == _TEM:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if length < 2 or at + length > len(data):
            raise ValueError("a segment beyond the end")
        body = data[at + 2 : at + length]
        at += length
        if marker == SOS and (end := _MARKER.search(data, at)):
            at = end.start()
        yield Segment(marker, body, start, at)
    raise ValueError("no end of image")


def one_picture(kept: list[Segment]) -> None:
    """Raises ValueError unless these segments, without comments and those of applications, are one picture."""
    markers = [segment.marker for segment in kept]
    for segment in kept:
        check(segment)
    if sum(marker in _FRAMES for marker in markers) != 1 or SOS not in markers:
        raise ValueError("not one picture")
    scanned = [part for marker, body, *_ in kept if marker == SOS for part in body[1 : 1 + 2 * body[0] : 2]]
    if not _PROGRESSIVE.intersection(markers) and len(set(scanned)) < len(scanned):
        # The second time no decoder would look at it: anything could be there.
        raise ValueError("a component in two scans")


def behind(kept: list[Segment]) -> set[int]:
    """Where the tables start that stand behind the last scan, which no decoder asks for."""
    last = max((n for n, segment in enumerate(kept) if segment.marker == SOS), default=len(kept))
    return {segment.start for segment in kept[last:] if segment.marker in (_DHT, _DAC, _DQT, _DRI)}


def check(segment: Segment) -> None:
    """A segment that is kept holds exactly what its kind holds: nothing travels in a table's place."""
    marker, body = segment.marker, segment.body
    if marker in _FRAMES:
        exact = len(body) == 6 + 3 * body[5]
    elif marker == SOS:
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
