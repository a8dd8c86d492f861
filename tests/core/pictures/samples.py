"""Pictures made for the tests, by Pillow: another implementation than the one under test."""

import io
import random
import struct
import zlib
from typing import Any

import pillow_heif
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import IFDRational

pillow_heif.register_heif_opener()

CANARIES = (b"SERIAL-4711-BODY", b"SERIAL-0815-LENS", b"OWNER-CANARY", b"XMP-CANARY", b"COMMENT-CANARY", b"IPTC-CANARY")
# Degrees, minutes, seconds of a position, as EXIF writes them; odd enough to be found again bytewise.
LATITUDE = ((48, 1), (12, 1), (30_187, 1009))
_POSITION = tuple(IFDRational(*part) for part in LATITUDE)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def scene(width: int, height: int, seed: int = 1) -> Image.Image:
    """Something like a photograph: smooth shapes with finer and finer detail."""
    dice = random.Random(seed)
    image = Image.new("RGB", (width, height), "gray")
    for cells, weight in ((5, 0.9), (30, 0.4), (150, 0.2), (900, 0.12)):
        across, down = min(width, cells), max(1, min(height, cells * height // width))
        noise = Image.frombytes("RGB", (across, down), dice.randbytes(across * down * 3))
        image = Image.blend(image, noise.resize((width, height), Image.Resampling.BICUBIC), weight)
    return image


def quadrants(width: int = 120, height: int = 80) -> Image.Image:
    """Red, green, blue and yellow, clockwise from the upper left."""
    image = Image.new("RGB", (width, height))
    for colour, x, y in (("red", 0, 0), ("lime", 1, 0), ("blue", 1, 1), ("yellow", 0, 1)):
        box = (x * width // 2, y * height // 2, (x + 1) * width // 2, (y + 1) * height // 2)
        image.paste(Image.new("RGB", (box[2] - box[0], box[3] - box[1]), colour), box)
    return image


def encode(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """The picture as a file of that kind. HEIF is turned by its container, as EXIF says."""
    if kind == "HEIF" and isinstance(options.get("exif"), Image.Exif):
        options["exif"] = options["exif"].tobytes()
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def jpeg(width: int = 320, height: int = 200, **options: Any) -> bytes:
    """An ordinary JPEG."""
    return encode(scene(width, height), "JPEG", **({"quality": 90} | options))


def exif(**extra: object) -> Image.Exif:
    """An EXIF block with a camera, a time, and everything that must never get out."""
    block = Image.Exif()
    block[0x010F], block[0x0110] = "Canon", "Canon EOS R5"
    block[0x013B], block[0x8298] = "OWNER-CANARY", "OWNER-CANARY"
    block[0x0112] = int(str(extra.get("orientation", 1)))
    details = block.get_ifd(0x8769)
    details[0x829A], details[0x829D] = IFDRational(1, 250), IFDRational(28, 10)
    details[0x8827], details[0x920A] = 400, IFDRational(85, 1)
    details[0x9003], details[0x9291] = str(extra.get("taken", "2026:06:21 18:45:12")), "25"
    details[0xA430], details[0xA431], details[0xA435] = "OWNER-CANARY", "SERIAL-4711-BODY", "SERIAL-0815-LENS"
    details[0xA433], details[0xA434] = "Canon", "RF85mm F1.2 L USM"
    if offset := extra.get("offset"):
        details[0x9011] = str(offset)
    position = block.get_ifd(0x8825)
    position[1], position[2], position[3], position[4] = "N", _POSITION, "E", _POSITION
    return block


def orient(upright: Image.Image, orientation: int) -> Image.Image:
    """How a camera held so that its file says `orientation` stores a picture that is upright when shown."""
    turn = Image.Transpose
    how = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_90,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_270,
    }.get(orientation)
    return upright if how is None else upright.transpose(how)


def ycck(data: bytes) -> bytes:
    """A CMYK JPEG whose Adobe segment says that its first three components are YCbCr (transform 2), as Photoshop's."""
    at = data.index(b"Adobe") + 11
    return data[:at] + b"\x02" + data[at + 1 :]


def chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, body: bytes = b"", *, depth: int = 8, colour: int = 2, extra: bytes = b"") -> bytes:
    """A PNG whose header claims what it is told to claim; `body` is its compressed image data."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def png_bomb(width: int, height: int, *, interlaced: bool = False) -> bytes:
    """A small PNG that unpacks to `width * height * 8` bytes: 16-bit RGBA, every pixel transparent black."""
    squeeze = zlib.compressobj(9)
    row = bytes(1 + width * 8)
    block = squeeze.compress(row) + squeeze.flush(zlib.Z_FULL_FLUSH)
    head, again = block[:2], block[2:]
    # The checksum of n zeros: Adler-32's lower half stays 1, the upper one is n.
    check = (len(row) * height % 65_521) << 16 | 1
    data = png(width, height, head + again * height + b"\x03\0" + struct.pack(">I", check), depth=16, colour=6)
    if not interlaced:
        return data
    header = data[16:28] + b"\x01"
    return data[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + data[33:]


def many_scans(width: int, height: int, copies: int) -> bytes:
    """A progressive JPEG whose last pass over the picture comes `copies` times more."""
    data = encode(Image.new("RGB", (width, height), "teal"), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * copies + b"\xff\xd9"


def tiff(*entries: tuple[int, int, int], following: int = 0) -> bytes:
    """A little-endian TIFF of one directory of (tag, LONG value) pairs."""
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + struct.pack("<I", following)


def avif_header(width: int, height: int, brand: bytes = b"avif") -> bytes:
    """The boxes in front of an AVIF or HEIC picture's data."""

    def box(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", 8 + len(body)) + kind + body

    size = box(b"ispe", struct.pack(">III", 0, width, height))
    return box(b"ftyp", brand + bytes(4) + b"mif1") + box(b"meta", bytes(4) + box(b"iprp", box(b"ipco", size)))
