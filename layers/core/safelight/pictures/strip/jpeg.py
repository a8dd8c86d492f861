"""JPEG: ITU-T T.81 annex B for the segments; JFIF 1.02, ICC.1 annex B.4 and Adobe's APP14 for those that are kept."""

import struct
from collections.abc import Iterator

from safelight.splice import Piece, Splice

from . import essentials, profile
from .segments import APPLICATION, COM, EOI, SOS, Segment, behind, one_picture, walk

_EXIF = b"Exif\0\0"
_PROFILE = b"ICC_PROFILE\0"
_PART = len(_PROFILE) + 2
_LONGEST = 65_533


def strip(data: bytes) -> Iterator[Piece]:
    """Everything up to the first end of image, of application segments only what colours and orientation need.

    Those behind the start of a scan tell nobody anything: a picture's colours are settled by then.
    """
    jfif, told, colours = list[Piece](), list[essentials.Essentials](), list[Segment]()
    signs, kept = list[Piece](), list[Segment]()
    for segment in walk(data):
        marker, body, *_ = segment
        if marker in (COM, EOI):
            continue
        if marker not in APPLICATION:
            kept.append(segment)
        elif any(one.marker == SOS for one in kept):
            continue
        elif marker == 0xE0 and body[:5] == b"JFIF\0" and len(body) >= 14 and not jfif:
            jfif = [_jfif(body)]
        elif marker == 0xE1 and body.startswith(_EXIF):
            told.append(essentials.read(body))
        elif marker == 0xE2 and body.startswith(_PROFILE) and len(body) > _PART:
            colours.append(segment)
        elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            # Version 100, no flags, and the one thing that decoders ask it for: the colours' transform.
            signs = [b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0" + body[11:12]]
    # How the picture is turned, decoders ask the first block.
    if len({one._replace(orientation=1) for one in told}) > 1:
        raise ValueError("two EXIF blocks that differ")
    one_picture(kept)
    yield from (data[:2], *jfif, _exif(told[0] if told else essentials.NOTHING), *_profile(colours), *signs)
    late = behind(kept)
    yield from ((segment.start, segment.stop) for segment in kept if segment.start not in late)
    yield b"\xff\xd9"


def _jfif(body: bytes) -> bytes:
    """The segment without its thumbnail; one that makes no sense only says that it was there."""
    units, across, down = body[7], body[12], body[13]
    sound = units <= 2 and len(body) == 14 + 3 * across * down
    return b"\xff\xe0\x00\x10" + (body[:12] if sound else b"JFIF\0\1\1\0\0\1\0\1") + b"\0\0"


def _exif(told: essentials.Essentials) -> bytes:
    block = essentials.build(told)
    return b"\xff\xe1" + struct.pack(">H", len(block) + 8) + _EXIF + block if block else b""


def _profile(parts: list[Segment]) -> Iterator[Piece]:
    """The segments of a profile; none where they do not belong together, as nobody puts them together then."""
    order = sorted(parts, key=lambda part: part.body[_PART - 2])
    if [(part.body[_PART - 2], part.body[_PART - 1]) for part in order] != [
        (number, len(order)) for number in range(1, len(order) + 1)
    ]:
        return
    kept = profile.tidy(b"".join(part.body[_PART:] for part in order))
    if kept is None:
        return
    if kept.same and order == parts:
        yield from ((part.start, part.stop) for part in parts)
        return
    room = _LONGEST - _PART
    total = -(-kept.size // room)
    for number in range(total):
        start, stop = number * room, min((number + 1) * room, kept.size)
        yield b"\xff\xe2" + struct.pack(">H", stop - start + _PART + 2) + _PROFILE + bytes([number + 1, total])
        yield from _placed(kept, order, start, stop)


def _placed(kept: Splice, parts: list[Segment], start: int, stop: int) -> Iterator[Piece]:
    """These bytes of the profile as pieces of the file."""
    lie = tuple((part.stop - len(part.body) + _PART, part.stop) for part in parts)
    whole = Splice(parts[-1].stop, lie)
    for piece in kept.cut(start, stop):
        yield from whole.cut(*piece) if isinstance(piece, tuple) else (piece,)
