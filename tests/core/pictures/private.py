"""Files that carry all that tells about people, each bit marked, wherever cameras and programs put it."""

import io
import itertools
import struct
import zlib
from collections.abc import Callable
from functools import partial

import pyvips
from PIL import Image

from tests.core.pictures.samples import SRGB, chunk, encode, quadrants, scene

MARK = b"CANARY"
NOTICE = "(c) 2026 Anna Berg"
_SECONDS = (30_187, 1009)  # of a position: odd enough to be found again bytewise
POSITIONS = tuple(struct.pack(order + "II", *_SECONDS) for order in "<>")
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description exif:GPSLatitude="48,12.CANARY-XMP" aux:SerialNumber="CANARY-XMP-SERIAL"/></rdf:RDF></x:xmpmeta>'
)
IPTC = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x1a\x1c\x02\x50\0\x15CANARY-IPTC-BYLINE-XX"
TRAILER = b"CANARY-TRAILER" * 20

type Field = tuple[int, int, int, bytes]
"""Tag, type, count, value."""


def text(tag: int, value: bytes) -> Field:
    """An ASCII tag."""
    return tag, 2, len(value) + 1, value + b"\0"


def position() -> list[Field]:
    """A GPS directory."""
    place = struct.pack("<6I", 48, 1, 12, 1, *_SECONDS)
    area = b"ASCII\0\0\0CANARY-GPS-AREA"
    return [
        (0, 1, 4, b"\2\3\0\0"), text(1, b"N"), (2, 5, 3, place), text(3, b"E"), (4, 5, 3, place),
        (0x1B, 7, len(area), area), (0x1C, 7, len(area), area), text(0x1D, b"2026:06:21"),
    ]  # fmt: skip


def details(*, adobe_rgb: bool = False) -> list[Field]:
    """An EXIF directory."""
    note = b"ASCII\0\0\0CANARY-COMMENT"
    colours = struct.pack("<H", 0xFFFF if adobe_rgb else 1)
    return [
        (0x829A, 5, 1, struct.pack("<II", 1, 250)), text(0x9003, b"2026:06:21 18:45:12"), text(0x9011, b"+02:00"),
        (0x927C, 7, 400, b"CANARY-MAKER-NOTE".ljust(400, b"\x07")), (0x9286, 7, len(note), note),
        (0xA001, 3, 1, colours), text(0xA420, b"CANARY-UNIQUE-ID"), text(0xA430, b"CANARY-OWNER"),
        text(0xA431, b"CANARY-BODY-SERIAL"), text(0xA435, b"CANARY-LENS-SERIAL"),
    ]  # fmt: skip


def block(orientation: int = 1, *, adobe_rgb: bool = False) -> bytes:
    """An EXIF block with all directories that there are, a thumbnail among them; little-endian."""
    inner = encode(scene(64, 48, 7), "JPEG", comment=b"CANARY-THUMBNAIL")
    first = [
        text(0x010E, b"CANARY-DESCRIPTION"), text(0x010F, b"Canon"), text(0x0110, b"R5"),
        (0x0112, 3, 1, struct.pack("<H", orientation)), text(0x0131, b"CANARY-SOFTWARE"),
        text(0x013B, b"CANARY-ARTIST"), text(0x013C, b"CANARY-HOST"), text(0x8298, NOTICE.encode()),
        (0x9C9D, 1, 12, b"CANARY-XPAUT"),
    ]  # fmt: skip
    return _tiff(first, details(adobe_rgb=adobe_rgb), position(), inner, adobe_rgb=adobe_rgb)


def _tiff(first: list[Field], exif: list[Field], gps: list[Field], inner: bytes, *, adobe_rgb: bool) -> bytes:
    index = [text(1, b"R03" if adobe_rgb else b"R98"), (2, 7, 4, b"0100")]
    sizes = [2 + 12 * n + 4 for n in (len(first) + 2, len(exif) + 1, len(gps), len(index), 2)]
    ifd0, sub, place, interop, ifd1 = itertools.accumulate(sizes[:-1], initial=8)
    at = ifd1 + sizes[-1]
    parts: list[bytes] = []
    behind = b""

    def directory(fields: list[Field], after: int) -> None:
        nonlocal behind
        body = struct.pack("<H", len(fields))
        for tag, kind, count, value in sorted(fields):
            where = value.ljust(4, b"\0")
            if len(value) > 4:
                where = struct.pack("<I", at + len(behind))
                behind += value + bytes(len(value) & 1)
            body += struct.pack("<HHI", tag, kind, count) + where
        parts.append(body + struct.pack("<I", after))

    directory([*first, (0x8769, 4, 1, struct.pack("<I", sub)), (0x8825, 4, 1, struct.pack("<I", place))], ifd1)
    directory([*exif, (0xA005, 4, 1, struct.pack("<I", interop))], 0)
    directory(gps, 0)
    directory(index, 0)
    thumbnail_at = at + len(behind)
    directory([(0x0201, 4, 1, struct.pack("<I", thumbnail_at)), (0x0202, 4, 1, struct.pack("<I", len(inner)))], 0)
    return b"II*\0" + struct.pack("<I", ifd0) + b"".join(parts) + behind + inner


def segment(marker: int, body: bytes) -> bytes:
    """A JPEG segment."""
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def extended_xmp() -> bytes:
    """XMP beyond 64 KB, in two segments of its own."""
    whole = b"CANARY-EXTENDED-XMP " * 5000
    head = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32
    parts = [(at, whole[at : at + 60_000]) for at in range(0, len(whole), 60_000)]
    return b"".join(segment(0xE1, head + struct.pack(">II", len(whole), at) + part) for at, part in parts)


def index_of_pictures() -> bytes:
    """CIPA DC-007: two pictures in one file."""
    pictures = struct.pack("<IIIHH", 0x20030000, 1000, 0, 0, 0) + struct.pack("<IIIHH", 0, 1000, 1000, 0, 0)
    entries = struct.pack("<HHI4s", 0xB000, 7, 4, b"0100") + struct.pack("<HHII", 0xB001, 4, 1, 2)
    entries += struct.pack("<HHII", 0xB002, 7, len(pictures), 50)
    return b"II*\0" + struct.pack("<IH", 8, 3) + entries + bytes(4) + pictures + b"CANARY-MPF-INDEX"


def profile_in_parts(profile: bytes = SRGB, order: tuple[int, ...] = (0, 1, 2)) -> bytes:
    """A colour profile over several segments."""
    size = -(-len(profile) // len(order))
    return b"".join(
        segment(0xE2, b"ICC_PROFILE\0" + bytes([n + 1, len(order)]) + profile[n * size : (n + 1) * size]) for n in order
    )


def planted(plain: bytes, orientation: int = 1, *, profile: bytes = b"", adobe_rgb: bool = False) -> bytes:
    """This JPEG with everything in it, before, between and after its own segments."""
    head = plain[:2]
    rest = plain[2:]
    jfif = b""
    if rest.startswith(b"\xff\xe0"):
        end = 2 + struct.unpack_from(">H", rest, 2)[0]
        jfif, rest = rest[:end], rest[end:]
    preview = encode(scene(80, 60, 9), "JPEG", comment=b"CANARY-PREVIEW")
    before = [
        jfif,
        segment(0xE0, b"JFXX\0\x13" + b"\2\2" + b"CANARY-JFXX!"),
        segment(0xE1, b"Exif\0\0" + block(orientation, adobe_rgb=adobe_rgb)),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP),
        extended_xmp(),
        profile,
        segment(0xE2, b"MPF\0" + index_of_pictures()),
        segment(0xE2, b"FPXR\0CANARY-FLASHPIX"),
        segment(0xEB, b"JP\0\x01CANARY-C2PA"),
        segment(0xEC, b"Ducky\0CANARY-DUCKY"),
        segment(0xED, IPTC),
        segment(0xFE, b"CANARY-COMMENT-SEGMENT"),
    ]
    scan = rest.index(b"\xff\xda")
    between = segment(0xE3, b"CANARY-META-LATE") + segment(0xFE, b"CANARY-LATE-COMMENT")
    film = b"\0\0\0\x18ftypmp42CANARY-MOTION-PHOTO" + bytes(500)
    return head + b"".join(before) + rest[:scan] + between + rest[scan:] + preview + film + TRAILER


def _vips(**options: object) -> bytes:
    image = pyvips.Image.new_from_buffer(encode(scene(333, 217), "PNG"), "")
    data: bytes = image.jpegsave_buffer(Q=85, keep="none", **options)
    return data


def _with_thumbnail_in_jfif() -> bytes:
    plain = encode(scene(120, 90), "JPEG")
    pixels = b"CANARY-JFIF-" * 4
    return plain[:2] + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\x04\x04" + pixels) + plain[20:]


def _turned(orientation: int) -> bytes:
    return planted(encode(quadrants(), "JPEG"), orientation)


JPEGS: dict[str, Callable[[], bytes]] = {
    "baseline": lambda: planted(encode(scene(320, 200), "JPEG", quality=88)),
    "progressive": lambda: planted(encode(scene(320, 200), "JPEG", progressive=True)),
    "grey": lambda: planted(encode(scene(320, 200).convert("L"), "JPEG")),
    "cmyk of adobe": lambda: planted(encode(scene(160, 100).convert("CMYK"), "JPEG")),
    "restart markers": lambda: planted(encode(scene(320, 200), "JPEG", restart_marker_blocks=3)),
    "profile in parts": lambda: planted(encode(scene(320, 200), "JPEG"), profile=profile_in_parts()),
    "adobe rgb by a sign": lambda: planted(encode(scene(320, 200), "JPEG"), adobe_rgb=True),
    "4:4:4": lambda: planted(encode(scene(321, 199), "JPEG", subsampling=0)),
    "libvips": lambda: planted(_vips()),
    "libvips, progressive, optimised": lambda: planted(
        _vips(interlace=True, optimize_coding=True, optimize_scans=True)
    ),
    "libvips, restarts": lambda: planted(_vips(restart_interval=5)),
    "thumbnail in jfif": lambda: planted(_with_thumbnail_in_jfif()),
    "no jfif": lambda: planted(b"\xff\xd8" + encode(scene(90, 60), "JPEG")[20:]),
    "fill bytes": lambda: planted(encode(scene(90, 60), "JPEG").replace(b"\xff\xdb", b"\xff\xff\xff\xdb")),
    **{f"turned {n}": partial(_turned, n) for n in range(1, 9)},
}


def png(orientation: int = 1, **options: object) -> bytes:
    """A PNG with everything in it."""
    plain = encode(scene(160, 100), "PNG", icc_profile=SRGB, **options)
    extra = (
        chunk(b"eXIf", block(orientation))
        + chunk(b"tEXt", b"Author\0CANARY-TEXT")
        + chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"CANARY-ZTXT"))
        + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
        + chunk(b"tIME", b"\x07\xea\6\x15\x12\x2d\x0c")
        + chunk(b"caBX", b"CANARY-C2PA")
        + chunk(b"prIv", b"CANARY-PRIVATE")
    )
    late = chunk(b"tEXt", b"Location\0CANARY-LATE-TEXT")
    end = len(plain) - 12
    return plain[:33] + extra + plain[33:end] + late + plain[end:] + TRAILER


def webp(orientation: int = 1, **options: object) -> bytes:
    """A WebP with everything in it."""
    plain = encode(scene(160, 100), "WEBP", icc_profile=SRGB, exif=b"Exif\0\0" + block(orientation), xmp=XMP, **options)
    stray = b"CNRY" + struct.pack("<I", 15) + b"CANARY-UNKNOWN!" + b"\0"
    return b"RIFF" + struct.pack("<I", len(plain) - 8 + len(stray)) + plain[8:] + stray + TRAILER


def tiff(orientation: int = 1, **options: object) -> bytes:
    """A TIFF with everything in it, and with a second page."""
    exif = Image.Exif()
    if "compression" in options:  # libtiff, which Pillow takes then, writes no further directories
        exif[0x0112], exif[0x8298] = orientation, NOTICE
    else:
        exif.load(block(orientation))
    tags = {700: XMP, 33723: IPTC, 34377: IPTC, 37510: b"CANARY-USER", 315: "CANARY-ARTIST", 50000: b"CANARY-PRIVATE"}
    for tag, value in tags.items():
        exif[tag] = value
    target = io.BytesIO()
    second = scene(40, 30, 3)
    scene(160, 100).save(target, "TIFF", exif=exif, icc_profile=SRGB, save_all=True, append_images=[second], **options)
    return target.getvalue() + TRAILER


def avif(orientation: int = 1, **options: object) -> bytes:
    """An AVIF with everything in it, and with boxes that nobody asked for."""
    plain = encode(scene(160, 100), "AVIF", icc_profile=SRGB, exif=b"Exif\0\0" + block(orientation), xmp=XMP, **options)
    stray = struct.pack(">I4s", 24 + 46, b"uuid") + b"0123456789abcdef" + b"CANARY-UUID-BOX!".ljust(46, b"x")
    return plain + stray


def heic(orientation: int = 1, **options: object) -> bytes:
    """A HEIC with everything in it, and with boxes that nobody asked for."""
    plain = encode(scene(160, 100), "HEIF", icc_profile=SRGB, exif=b"Exif\0\0" + block(orientation), xmp=XMP, **options)
    return plain + struct.pack(">I4s", 8 + 46, b"mpvd") + b"CANARY-MOTION-PHOTO".ljust(46, b"x")


FILES: dict[str, Callable[[], bytes]] = {
    **{f"jpeg, {name}": make for name, make in JPEGS.items()},
    "png": png,
    "png, turned": lambda: png(6),
    "webp": webp,
    "webp, lossless, turned": lambda: webp(8, lossless=True),
    "webp, moving": lambda: webp(save_all=True, append_images=[scene(160, 100, 5)]),
    "tiff": tiff,
    "tiff, turned": lambda: tiff(6),
    "tiff, lzw": lambda: tiff(compression="tiff_lzw"),
    "tiff, jpeg": lambda: tiff(compression="jpeg"),
    "bigtiff": lambda: tiff(big_tiff=True),
    "bigtiff, pointers of its own": lambda: tiff(big_tiff=True).replace(
        struct.pack("<HHQ", 0x8769, 4, 1), struct.pack("<HHQ", 0x8769, 18, 1)
    ),
    "avif": avif,
    "avif, turned": lambda: avif(6),
    "heic": heic,
    "heic, turned": lambda: heic(6),
    "heic, tiles": lambda: heic(tile_size=64),
}
