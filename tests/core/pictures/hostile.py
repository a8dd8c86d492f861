"""Some seven hundred files that somebody could upload: odd, damaged, lying and hostile ones, the same at every run.

`everything` gives each its name, its bytes and, where only one outcome is right, whether it becomes a photo.
"""

import io
import random
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from PIL import Image

from tests.core.pictures.samples import (
    SRGB,
    chunk,
    encode,
    exif,
    jpeg,
    many_scans,
    png,
    png_bomb,
    quadrants,
    scene,
    tiff,
    ycck,
)


class Upload(NamedTuple):
    """A file; `ready` is True or False where only that is right, None where both are."""

    name: str
    data: bytes
    ready: bool | None = None


def everything() -> list[Upload]:
    """The corpus, without two files that are the same."""
    whole = dict(sound())
    uploads = [Upload(f"sound {name}", data, ready=name != "tiff lab") for name, data in whole.items()]
    uploads += [*damaged(whole), *spliced(whole), *jpegs(), *pngs(), *tiffs(), *heifs(), *profiles(), *others()]
    return list({upload.data: upload for upload in uploads}.values())


def sound() -> Iterator[tuple[str, bytes]]:
    """Small pictures in every form that a camera, a phone, a scanner or a program may give them."""
    photo = scene(96, 64)
    clear = photo.convert("RGBA")
    clear.putalpha(photo.convert("L"))
    frames: dict[str, Any] = {"save_all": True, "append_images": [scene(96, 64, n) for n in (2, 3)]}
    yield "jpeg", encode(photo)
    yield "jpeg progressive", encode(photo, progressive=True)
    yield "jpeg 4:4:4 with restarts", encode(photo, subsampling=0, restart_marker_rows=1)
    yield "jpeg gray", encode(photo.convert("L"))
    cmyk = encode(photo.convert("CMYK"))
    yield "jpeg cmyk", cmyk
    yield "jpeg ycck", ycck(cmyk)
    yield "jpeg with all metadata", encode(photo, exif=exif(orientation=6), icc_profile=SRGB, comment=b"x" * 99)
    yield "png", encode(photo, "PNG")
    yield "png alpha", encode(clear, "PNG")
    yield "png palette, transparent", encode(photo.convert("P"), "PNG", transparency=3)
    yield "png 1 bit", encode(photo.convert("1"), "PNG")
    yield "png gray alpha", encode(photo.convert("LA"), "PNG")
    rows = b"".join(b"\0" + struct.pack(">96H", *range(0, 96 * 600, 600)) for _ in range(64))
    yield "png 16 bit", png(96, 64, zlib.compress(rows), depth=16, colour=0)
    yield "png animated", encode(photo, "PNG", **frames)
    yield "png with profile and exif", encode(photo, "PNG", icc_profile=SRGB, exif=exif(orientation=3))
    yield "webp", encode(photo, "WEBP")
    yield "webp lossless", encode(photo, "WEBP", lossless=True)
    yield "webp alpha", encode(clear, "WEBP")
    yield "webp animated", encode(photo, "WEBP", **frames)
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield f"tiff {compression}", encode(photo, "TIFF", compression=compression)
    yield "tiff fax", encode(photo.convert("1"), "TIFF", compression="group4")
    yield "tiff pages", encode(photo, "TIFF", **frames)
    yield "tiff float", encode(photo.convert("L").convert("F"), "TIFF")
    yield "tiff 16 bit", encode(Image.frombytes("I;16", (96, 64), rows[: 96 * 64 * 2]), "TIFF")
    yield "tiff cmyk", encode(photo.convert("CMYK"), "TIFF")
    yield "tiff lab", encode(photo.convert("LAB") if photo.mode == "LAB" else Image.new("LAB", (96, 64)), "TIFF")
    yield "tiff big", encode(photo, "TIFF", big_tiff=True)
    yield "avif", encode(photo, "AVIF")
    yield "avif alpha", encode(clear, "AVIF")
    yield "heic", encode(photo, "HEIF", exif=exif(orientation=6))
    yield "heic alpha", encode(clear, "HEIF")
    yield "heic grid", encode(photo, "HEIF", tile_size=64)
    yield "heic several", encode(photo, "HEIF", **frames)


def damaged(whole: dict[str, bytes]) -> Iterator[Upload]:
    """Bytes changed anywhere, in the headers above all; cut off at the borders of structures and in between."""
    for name, data in whole.items():
        dice = random.Random(name)
        for turn in range(7):
            broken = bytearray(data)
            reach = len(data) if turn < 4 else min(len(data), 200)
            for _ in range(dice.choice((1, 1, 4, 30))):
                broken[dice.randrange(2, reach)] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
            yield Upload(f"{name}, bytes changed, {turn}", bytes(broken))
        for cut in dice.sample(borders(data), 5):
            yield Upload(f"{name}, cut at {cut}", data[:cut])
        yield Upload(f"{name}, with a hole", data[: len(data) // 2] + data[len(data) // 2 + 99 :])


def borders(data: bytes) -> list[int]:
    """Where a marker, a chunk or a box begins, and some places where none does."""
    marks = re.finditer(rb"\xff[\xc0-\xfe]|IHDR|IDAT|IEND|VP8|ANMF|ftyp|meta|iloc|iprp|ipco|mdat|ipma", data)
    return sorted({max(1, match.start()) for match in marks} | {len(data) * part // 9 for part in range(1, 9)})


def spliced(whole: dict[str, bytes]) -> Iterator[Upload]:
    """The beginning of one file and the rest of another."""
    names = list(whole)
    dice = random.Random(4)
    for name in names:
        other = dice.choice(names)
        at = dice.choice((12, 60, 200, 400))
        yield Upload(f"the head of {name} on {other}", whole[name][:at] + whole[other][at:])
        yield Upload(f"{name} behind {other}", whole[other] + whole[name])


def sized(data: bytes, width: int, height: int) -> bytes:
    """A JPEG of 64 by 64 px that claims another size."""
    return data.replace(struct.pack(">HH", 64, 64), struct.pack(">HH", height, width), 1)


def segment(marker: int, body: bytes) -> bytes:
    """A JPEG segment."""
    return struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body


def jpegs() -> Iterator[Upload]:
    """Claims about size and coding, passes without end, segments without end."""
    small, progressive = jpeg(64, 64), jpeg(64, 64, progressive=True)
    for width, height in ((0, 64), (64, 0), (0, 0), (65_535, 65_535), (65_500, 3_100)):
        yield Upload(f"jpeg of {width} by {height}", sized(small, width, height), ready=False)
    wide = jpeg(64, 64, progressive=True, subsampling=0)
    yield Upload("jpeg of 14000 by 14000, progressive", sized(wide, 14_000, 14_000), ready=False)
    yield Upload("jpeg that is larger than its data", sized(small, 640, 640))
    yield Upload("jpeg that is smaller than its data", sized(small, 16, 16))
    for marker in range(0xC1, 0xD0):
        if marker not in (0xC4, 0xC8, 0xCC):
            yield Upload(f"jpeg of frame type {marker:x}", small.replace(b"\xff\xc0", bytes((0xFF, marker)), 1))
    for precision in (0, 12, 16, 255):
        deep = small.replace(b"\x08\0\x40\0\x40", bytes((precision, 0, 64, 0, 64)), 1)
        yield Upload(f"jpeg of {precision} bits", deep)
    for copies, ready in ((20, None), (60, False), (3_000, False)):
        yield Upload(f"jpeg of {copies} passes more", many_scans(64, 64, copies), ready)
    frame = small[small.index(b"\xff\xc0") : small.index(b"\xff\xc4")]
    yield Upload("jpeg with two frames", small[:2] + frame + small[2:], ready=False)
    for kind, marker in (("exif", 0xE1), ("profile", 0xE2), ("comment", 0xFE), ("photoshop", 0xED)):
        blocks = segment(marker, b"Exif\0\0" + bytes(65_000)) * 60
        yield Upload(f"jpeg with 4 MB of {kind}", small[:2] + blocks + small[2:], ready=True)
    looped = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 0x8769, 4, 1, 8, 8)
    yield Upload("jpeg with exif that points at itself", small[:2] + segment(0xE1, looped) + small[2:], ready=True)
    endless = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">HHHII", 65_535, 0x9003, 2, 0xFFFFFFFF, 0xFFFFFFFF)
    yield Upload("jpeg with exif without end", small[:2] + segment(0xE1, endless) + small[2:], ready=True)
    yield Upload("jpeg with 3 MB of fill bytes", small[:2] + b"\xff" * 3_000_000 + small[2:])
    tables = segment(0xDB, b"\0" + b"\x01" * 64) * 30_000
    yield Upload("jpeg with 30000 tables", small[:2] + tables + small[2:])
    yield Upload("jpeg without tables", small.replace(b"\xff\xc4", b"\xff\xfe"))
    yield Upload("jpeg with restarts without end", small[:-2] + b"\xff\xd0" * 500_000 + b"\xff\xd9")
    yield Upload("jpeg of ones", b"\xff\xd8" + b"\xff" * 5_000, ready=False)
    first, last = progressive.index(b"\xff\xda"), progressive.rindex(b"\xff\xda")
    yield Upload("progressive jpeg that begins with its last pass", progressive[:first] + progressive[last:])


def pngs() -> Iterator[Upload]:
    """Little that unpacks to much, in the pixels and beside them."""
    row = zlib.compress(b"\0" + bytes(64 * 3)) + b""
    for width, height in ((0, 9), (9, 0), (2**31 - 1, 2**31 - 1), (2**32 - 1, 1), (100_001, 1), (20_001, 10_000)):
        yield Upload(f"png of {width} by {height}", png(width, height, row), ready=False)
    yield Upload("png of 9000 by 9000 in nothing", png(9_000, 9_000, row), ready=False)
    yield Upload("png bomb of 3000 by 3000", png_bomb(3_000, 3_000), ready=True)
    yield Upload("png bomb, interlaced", png_bomb(1_500, 1_500, interlaced=True))
    yield Upload("png bomb, interlaced, of 10000 by 10000", png_bomb(10_000, 10_000, interlaced=True), ready=False)
    good = encode(scene(64, 64), "PNG")
    huge = zlib.compress(bytes(80_000_000), 9)
    for kind, head in ((b"zTXt", b"Comment\0\0"), (b"iCCP", b"icc\0\0"), (b"iTXt", b"Comment\0\1\0\0\0")):
        bomb = good[:33] + chunk(kind, head + huge) + good[33:]
        yield Upload(f"png with 80 MB in {kind.decode()}", bomb, ready=True)
    many = chunk(b"tEXt", b"Comment\0x") * 20_000
    yield Upload("png with 20000 texts", good[:33] + many + good[33:])
    yield Upload(
        "png of a million frames", png(64, 64, extra=chunk(b"acTL", struct.pack(">II", 10**6, 0))), ready=False
    )
    for depth, colour in ((1, 2), (3, 0), (16, 3), (8, 1), (8, 5), (32, 2), (0, 0)):
        yield Upload(
            f"png of depth {depth}, colour {colour}", png(64, 64, row, depth=depth, colour=colour), ready=False
        )
    yield Upload("png with a wrong checksum", good[:29] + b"\0\0\0\0" + good[33:])
    yield Upload("png palette that is missing", png(64, 64, zlib.compress(bytes(65 * 64)), colour=3), ready=False)
    yield Upload("png with a length beyond the file", good[:33] + b"\x7f\xff\xff\xff" + good[37:], ready=False)


def tiffs() -> Iterator[Upload]:
    """Directories in circles, strips out of bounds, codecs out of a museum."""
    size = ((256, 4, 64), (257, 4, 64))
    yield Upload("tiff page that follows itself", tiff(*size, following=8), ready=False)
    pages = io.BytesIO()
    many = [Image.new("1", (4, 4))] * 300
    many[0].save(pages, "TIFF", save_all=True, append_images=many[1:])
    yield Upload("tiff of 300 pages", pages.getvalue(), ready=False)
    plain = ((258, 3, 8), (262, 3, 1), (277, 3, 1), (278, 4, 64))
    for offset, count in ((8, 4_096), (2**32 - 1, 4_096), (8, 2**32 - 1), (0, 0), (2**31, 2**31)):
        data = tiff(*size, *plain, (273, 4, offset), (279, 4, count)) + bytes(2_000)
        yield Upload(f"tiff strip of {count} bytes at {offset}", data)
    for width, height in ((2**31, 2**31), (0, 64), (14_143, 14_143), (100_000, 1)):
        data = tiff((256, 4, width), (257, 4, height), *plain, (273, 4, 8), (279, 4, 4_096)) + bytes(5_000)
        yield Upload(f"tiff of {width} by {height}", data, ready=None if height == 1 else False)
    codecs = (
        0,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        99,
        32_766,
        32_771,
        32_773,
        32_809,
        32_908,
        32_909,
        32_946,
        34_661,
        34_676,
        34_677,
    )
    for codec in (*codecs, 34_712, 34_887, 34_925, 50_000, 50_001, 50_002, 65_535):
        data = tiff(*size, *plain, (259, 3, codec), (273, 4, 200), (279, 4, 4_096))
        yield Upload(f"tiff of codec {codec}", data + random.Random(codec).randbytes(6_000))
    forms = ((64, 3, 1), (32, 3, 1), (24, 1, 1), (1, 1, 1), (12, 1, 1), (8, 1, 200), (8, 1, 65_535), (7, 1, 3))
    for bits, kind, samples in forms:
        entries = (*size, (258, 3, bits), (262, 3, 1), (273, 4, 200), (277, 3, samples), (278, 4, 64), (279, 4, 40_000))
        yield Upload(f"tiff of {samples} samples of {bits} bits", tiff(*entries, (339, 3, kind)) + bytes(40_000))
    for meaning in range(10):
        data = tiff(*size, (258, 3, 8), (262, 3, meaning), (273, 4, 200), (277, 3, 1), (278, 4, 64), (279, 4, 4_096))
        yield Upload(f"tiff of photometric {meaning}", data + bytes(5_000))
    for side in (0, 1, 16, 2**31):
        tiles = ((258, 3, 8), (262, 3, 1), (277, 3, 1), (322, 4, side), (323, 4, side), (324, 4, 200), (325, 4, 256))
        yield Upload(f"tiff of tiles of {side}", tiff(*size, *tiles) + bytes(5_000))
    yield Upload("tiff directory without end", b"II*\0\x08\0\0\0\xff\xff" + bytes(700_000), ready=False)
    yield Upload("tiff of nothing", b"MM\0*" + bytes(400), ready=False)
    yield Upload("bigtiff far away", b"II+\0\x08\0\0\0" + b"\xff" * 8 + bytes(99), ready=False)


def heifs() -> Iterator[Upload]:
    """Sizes, items and boxes that cannot be."""
    for kind in ("HEIF", "AVIF"):
        data = encode(scene(64, 64), kind)
        size = struct.pack(">II", 64, 64)
        for width, height in (
            (0, 64),
            (65_535, 65_535),
            (2**32 - 1, 2**32 - 1),
            (13_000, 13_000),
            (640, 640),
            (16, 16),
        ):
            lying = data.replace(size, struct.pack(">II", width, height))
            yield Upload(f"{kind} of {width} by {height}", lying, None if width in (16, 640) else False)
        for box in (b"pitm", b"iloc", b"iinf", b"iprp", b"ipco", b"ipma", b"ispe", b"hvcC", b"av1C", b"mdat", b"meta"):
            if box in data:
                at = data.index(box)
                yield Upload(f"{kind} without {box.decode()}", data[:at] + b"free" + data[at + 4 :])
                for length in (0, 1, 7, 2**32 - 1):
                    resized = data[: at - 4] + struct.pack(">I", length) + data[at:]
                    yield Upload(f"{kind}, {box.decode()} of {length} bytes", resized)
    grid = encode(scene(96, 64), "HEIF", tile_size=64)
    at = grid.index(b"dimg") + 4
    yield Upload("HEIF grid of itself", grid[: at + 4] + grid[at : at + 2] + grid[at + 6 :], ready=False)
    noted = encode(scene(96, 64), "HEIF", exif=exif())
    yield Upload("HEIF with metadata of no kind", noted.replace(b"Exif\0", b"\xff\xfe\xfd\xfc\0", 1), ready=True)
    deep = b"mdat"
    for _ in range(2_000):
        deep = struct.pack(">I", 8 + len(deep)) + b"iprp" + deep
    start = grid[: grid.index(b"meta") - 4]
    meta = struct.pack(">I", 12 + len(deep)) + b"meta" + bytes(4) + deep
    yield Upload("HEIF in boxes in boxes", start + meta, ready=False)
    yield Upload("HEIF of empty boxes", start + b"\0\0\0\x08free" * 50_000, ready=False)


def profiles() -> Iterator[Upload]:
    """Colour profiles that cannot be, in pictures that are sound: the picture counts."""
    end = 132 + 12 * struct.unpack_from(">I", SRGB, 128)[0]

    def placed(place: bytes) -> bytes:
        """The profile with all its tags in one place."""
        return SRGB[:132] + b"".join(SRGB[at : at + 4] + place for at in range(132, end, 12)) + SRGB[end:]

    forged: dict[str, bytes] = {
        "of 4 billion tags": SRGB[:128] + b"\xff\xff\xff\xff" + SRGB[132:],
        "of no tags": SRGB[:128] + bytes(4) + SRGB[132:],
        "whose tags are all the whole": placed(struct.pack(">II", 0, len(SRGB))),
        "whose tags are out of bounds": placed(b"\xff\xff\xff\xf0\0\0\0\xff"),
        "of inks": SRGB[:16] + b"CMYK" + SRGB[20:],
        "of gray": SRGB[:16] + b"GRAY" + SRGB[20:],
        "of a device link": SRGB[:12] + b"link" + SRGB[16:],
        "that says it is longer": struct.pack(">I", 2**31) + SRGB[4:],
        "of one megabyte": SRGB + bytes(1_000_000),
    }
    for n in range(12):
        dice, broken = random.Random(n), bytearray(SRGB)
        for _ in range(20):
            broken[dice.randrange(128, len(broken))] = dice.randrange(256)
        forged[f"broken, {n}"] = bytes(broken)
    makers: tuple[Callable[[bytes], bytes], ...] = (
        lambda profile: encode(quadrants(), icc_profile=profile),
        lambda profile: encode(quadrants(), "PNG", icc_profile=profile),
        lambda profile: encode(quadrants().convert("CMYK"), icc_profile=profile),
    )
    for what, profile in forged.items():
        for make, kind in zip(makers, ("jpeg", "png", "cmyk jpeg"), strict=True):
            yield Upload(f"{kind} with a profile {what}", make(profile), ready=True)


def others() -> Iterator[Upload]:
    """What is not a photo, what is two things at once, and animations."""
    photo = jpeg(64, 64)
    archive = b"PK\x03\x04\x14\0\0\0\0\0" + bytes(60) + b"PK\x05\x06" + bytes(18)
    film = b"\0\0\0\x18ftypmp42" + bytes(9_000)
    script, document = b"<script>alert(1)</script>", b"%PDF-1.7\n%%EOF"
    for name, tail in (("zip", archive), ("html", script), ("pdf", document), ("film", film)):
        yield Upload(f"jpeg and {name}", photo + tail, ready=True)
        yield Upload(f"{name} and jpeg", tail + photo, ready=False)
    for name, text in (
        ("svg", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'),
        ("xml", b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><svg>&b;</svg>'),
        ("html", b"<!DOCTYPE html><html><script>alert(document.cookie)</script>"),
        ("magick script", b"push graphic-context\nfill 'url(https://example.invalid/x.jpg\"|ls \"-la)'"),
        ("postscript", b"%!PS-Adobe-3.0\n(/etc/passwd) (r) file"),
        ("shell", b"#!/bin/sh\necho"),
        ("program", b"\x7fELF\x02\x01\x01" + bytes(200)),
        ("nothing", b""),
        ("one byte", b"\xff"),
        ("a jpeg's first bytes", b"\xff\xd8\xff"),
        ("zeros", bytes(70_000)),
        ("noise", random.Random(1).randbytes(70_000)),
    ):
        yield Upload(name, text, ready=False)
    for kind in ("BMP", "GIF", "ICO", "TGA", "PPM", "PCX", "SGI", "JPEG2000", "DDS"):
        yield Upload(f"another format, {kind}", encode(scene(64, 64), kind), ready=False)
    still = Image.new("P", (64, 64))
    film = encode(still, "GIF", save_all=True, append_images=[scene(64, 64, n).convert("P") for n in range(30)])
    yield Upload("gif film", film, ready=False)
    yield Upload("gif of 65535 by 65535", film[:6] + b"\xff\xff\xff\xff" + film[10:], ready=False)
    frames = [scene(16, 16, n) for n in range(150)]
    for kind in ("WEBP", "PNG"):
        animation = encode(frames[0], kind, save_all=True, append_images=frames[1:])
        yield Upload(f"{kind} of 150 frames", animation, ready=False)
    webp = encode(scene(64, 64), "WEBP", exif=exif())
    for width, height in ((2**24 - 1, 2**24 - 1), (16_383, 16_383), (1, 1)):
        canvas = struct.pack("<I", width)[:3] + struct.pack("<I", height)[:3]
        at = webp.index(b"VP8X") + 12
        yield Upload(f"webp of {width} by {height}", webp[:at] + canvas + webp[at + 6 :], False if width > 1 else None)
    yield Upload("webp of 4 GB", webp[:4] + b"\xff\xff\xff\xff" + webp[8:])
    yield Upload("avif film", encode(frames[0], "AVIF", save_all=True, append_images=frames[1:4]))
