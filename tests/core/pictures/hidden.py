"""Marks in places that only their formats' specifications know, each in a file that opens as before."""

import random
import re
import struct
import zlib
from collections.abc import Callable, Iterator

from tests.core.pictures.private import MARK, index_of_pictures, segment, text
from tests.core.pictures.samples import SRGB, chunk, encode, scene

_SECRET = MARK + b"-HIDDEN"


def junk_behind() -> bytes:
    """A profile with more than itself."""
    return SRGB + _SECRET


def private_tag() -> bytes:
    """A profile with a serial number in a tag of a maker's own, and a mark in its header."""
    (count,) = struct.unpack_from(">I", SRGB, 128)
    table = SRGB[132 : 132 + 12 * count]
    moved = b"".join(struct.pack(">4sII", name, at + 12, size) for name, at, size in struct.iter_unpack(">4sII", table))
    own = struct.pack(">4sII", b"mmod", len(SRGB) + 12, len(_SECRET))
    head = struct.pack(">I", len(SRGB) + 12 + len(_SECRET)) + SRGB[4:100] + _SECRET.ljust(28, b"\0")
    return head + struct.pack(">I", count + 1) + moved + own + SRGB[132 + 12 * count :] + _SECRET


PROFILES: dict[str, Callable[[], bytes]] = {
    "no profile at all": lambda: _SECRET * 20,
    "junk behind": junk_behind,
    "a private tag": private_tag,
}


def with_profile(kind: str, profile: bytes) -> bytes:
    """A picture that says this is its profile."""
    return encode(scene(90, 60), kind, icc_profile=profile)


def tiff(compression: int, pixels: list[bytes], *more: tuple[int, int, int, bytes], behind: bytes = b"") -> bytes:
    """A TIFF of 64 by 48 pixels in these strips of 16 rows; a tag in `more` takes the place of the usual one."""
    places, sizes, at = [], [], 8
    for strip in pixels:
        places.append(at)
        sizes.append(len(strip))
        at += len(strip)
    longs = f"<{len(pixels)}I"
    photometric = 6 if compression == 7 else 2
    usual = [
        *(
            (tag, 3, 1, struct.pack("<H", n))
            for tag, n in ((256, 64), (257, 48), (259, compression), (262, photometric))
        ),
        *((tag, 3, 1, struct.pack("<H", n)) for tag, n in ((277, 3), (278, 16))),
        (258, 3, 3, struct.pack("<3H", 8, 8, 8)),
        (273, 4, len(pixels), struct.pack(longs, *places)),
        (279, 4, len(pixels), struct.pack(longs, *sizes)),
    ]
    fields = [*(field for field in usual if field[0] not in {tag for tag, *_ in more}), *more]
    body, values = b"", b"".join(pixels)
    for tag, kind, count, value in sorted(fields):
        where = value.ljust(4, b"\0")
        if len(value) > 4:
            where = struct.pack("<I", 8 + len(values))
            values += value
        body += struct.pack("<HHI4s", tag, kind, count, where)
    directory = struct.pack("<H", len(fields)) + body + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(values) + len(behind)) + values + behind + directory


def _strips() -> list[bytes]:
    photo = scene(64, 48)
    return [photo.crop((0, y, 64, y + 16)).tobytes() for y in (0, 16, 32)]


def _coded() -> list[bytes]:
    marks = segment(0xE1, b"Exif\0\0" + _SECRET) + segment(0xFE, _SECRET) + segment(0xED, _SECRET)
    files = [encode(scene(64, 48).crop((0, y, 64, y + 16)), "JPEG") for y in (0, 16, 32)]
    return [file[:2] + marks + file[2:] + _SECRET for file in files]


def _tables() -> tuple[int, int, int, bytes]:
    file = encode(scene(64, 48), "JPEG")
    tables = re.findall(rb"\xff\xdb\0\x43.{65}", file, re.DOTALL)
    value = b"\xff\xd8" + segment(0xFE, _SECRET) + b"".join(tables) + segment(0xE1, b"Exif\0\0" + _SECRET) + b"\xff\xd9"
    return 347, 7, len(value), value


def _tile(*more: tuple[int, int, int, bytes]) -> bytes:
    """One tile of the whole picture, which begins the file."""
    pixels = scene(64, 48).tobytes()
    longs = {322: 64, 323: 48, 324: 8, 325: len(pixels)}
    return tiff(1, [pixels], *((tag, 4, 1, struct.pack("<I", n)) for tag, n in longs.items()), *more)


TIFFS: dict[str, Callable[[], bytes]] = {
    "segments in strips": lambda: tiff(7, _coded()),
    "segments in tables": lambda: tiff(7, _coded(), _tables()),
    "behind the rows": lambda: tiff(1, [strip + _SECRET for strip in _strips()]),
    "behind a stream": lambda: tiff(8, [zlib.compress(strip) + _SECRET for strip in _strips()]),
    "numbers that are text": lambda: tiff(1, _strips(), (65001, 6, 13, _SECRET), (336, 3, 6, _SECRET[:12])),
    "gaps and private tags": lambda: tiff(1, _strips(), text(65000, _SECRET), (37500, 7, 13, _SECRET), behind=_SECRET),
    "places of strips where there are tiles": lambda: _tile(text(273, _SECRET), text(279, _SECRET)),
    "text in front of the last number": lambda: tiff(1, _strips(), text(270, _SECRET), (284, 3, 1, b"\1\0")),
    "a table nobody asks for": lambda: tiff(1, _strips(), (320, 3, 10, _SECRET.ljust(20))),
}


def png(dice: random.Random) -> bytes:
    """A PNG with marks anywhere between and in its chunks."""
    plain = encode(scene(70, 50), "PNG", icc_profile=SRGB)
    parts = [plain[start:stop] for start, stop in _chunks(plain)]
    marks = [
        chunk(b"tEXt", b"Author\0" + _SECRET),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(_SECRET)),
        chunk(b"iTXt", b"Title\0\1\0\0\0" + zlib.compress(_SECRET)),
        chunk(b"prVt", _SECRET),
        chunk(b"gAMA", _SECRET),
        chunk(b"pHYs", bytes(9)) + chunk(b"pHYs", _SECRET[:9]),
        chunk(b"hIST", _SECRET),
    ]
    colours = next(n for n, part in enumerate(parts) if part[4:8] == b"iCCP")
    parts[colours] = chunk(b"iCCP", _SECRET + b"\0\0" + zlib.compress(SRGB) + _SECRET)
    last = max(n for n, part in enumerate(parts) if part[4:8] == b"IDAT")
    parts[last] = chunk(b"IDAT", parts[last][8:-4] + _SECRET)
    first = next(n for n, part in enumerate(parts) if part[4:8] == b"IDAT")
    for mark in dice.sample(marks[:5], 3) + marks[5:]:
        parts.insert(dice.choice([1, 2, first, len(parts) - 1]), mark)
        first = next(n for n, part in enumerate(parts) if part[4:8] == b"IDAT")
    return plain[:8] + b"".join(parts) + _SECRET


def _chunks(data: bytes) -> Iterator[tuple[int, int]]:
    at = 8
    while at < len(data):
        stop = at + 12 + int.from_bytes(data[at : at + 4], "big")
        yield at, stop
        at = stop


def jpeg(dice: random.Random) -> bytes:
    """A JPEG of several scans with marks before any of its segments, between its scans too, and behind its end."""
    plain = encode(scene(90, 60), "JPEG", progressive=True)
    marks = [
        segment(0xFE, _SECRET),
        segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + _SECRET),
        segment(0xE2, b"MPF\0" + index_of_pictures() + _SECRET),
        segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + _SECRET),
        segment(0xED, b"Photoshop 3.0\0" + _SECRET),
        segment(0xE7, _SECRET),
        b"\xff\xff\xff",
    ]
    starts = [match.start() for match in re.finditer(rb"\xff[\xc2\xc4\xda\xdb]", plain)]
    made, at = b"", 0
    for start in starts:
        made += plain[at:start] + dice.choice(marks)
        at = start
    sign = segment(0xEE, b"Adobe" + MARK + b"\1")
    made = made[:2] + sign + segment(0xFE, _SECRET) + made[2:]
    second = encode(scene(40, 30, 5), "JPEG", comment=_SECRET)
    return made + plain[at:] + second + _SECRET


def webp(dice: random.Random) -> bytes:
    """A WebP with strange chunks, others a second time, and marks in fields that are reserved."""
    plain = encode(scene(90, 60), "WEBP", icc_profile=SRGB, lossless=dice.random() < 0.5)
    secret = struct.pack("<I", len(_SECRET)) + _SECRET + bytes(len(_SECRET) & 1)
    kinds = [*dice.sample([b"ABCD", b"ICCP", b"XMP "], 3), b"EFGH"]
    extra = b"".join(kind + secret for kind in kinds)
    return b"RIFF" + struct.pack("<I", len(plain) - 8 + len(extra)) + plain[8:] + extra + _SECRET


def heif(kind: str, dice: random.Random) -> bytes:
    """A HEIC or AVIF whose names are marks, with boxes of nobody's at its end."""
    plain = encode(scene(90, 60), kind, icc_profile=SRGB)
    at = plain.index(b"hdlr")
    size = int.from_bytes(plain[at - 4 : at], "big")
    room = size - 24  # of its reserved numbers and its name
    data = bytearray(plain)
    data[at + 16 : at + 16 + room] = (_SECRET * 3)[:room]
    data[12:16] = MARK[:4]
    ends = [struct.pack(">I4s", 8 + len(_SECRET), name) + _SECRET for name in (b"free", b"skip", b"udta", b"uuid")]
    return bytes(data) + b"".join(dice.sample(ends, 3))
