"""TIFF as scanners, Photoshop and old programs write it: the right colours, or a sentence that says what to do."""

import io
import math
import struct
from collections.abc import Callable

import pytest
import pyvips
from PIL import Image, ImageCms

from safelight.pictures.errors import UnreadablePicture
from safelight.pictures.render import render
from tests.core.pictures.samples import encode
from tests.core.pictures.test_colour import MOST, PATCHES, centres, chart, lab

CHART = chart("RGB", PATCHES)
WIDTH, HEIGHT = CHART.size
TILE = 64
REFUSED = "is stored in a way that cannot be opened here. Export it as JPEG and upload again."


def tiff(photometric: int, depth: int, parts: list[bytes], *, planes: int = 1, compression: int = 1,
         tiled: bool = False, rows: int = HEIGHT) -> bytes:  # fmt: skip
    """A little-endian TIFF of the chart's size, its numbers in these strips or tiles."""
    places, at = [], 8
    for part in parts:
        places.append(at)
        at += len(part)
    many = f"<{len(parts)}I"
    where, sizes = struct.pack(many, *places), struct.pack(many, *map(len, parts))
    shorts = {256: WIDTH, 257: HEIGHT, 259: compression, 262: photometric, 277: 3, 284: planes}
    shorts |= {322: TILE, 323: TILE} if tiled else {278: rows}
    fields = {tag: (3, 1, struct.pack("<H", value)) for tag, value in shorts.items()}
    fields[258] = 3, 3, struct.pack("<3H", *[depth] * 3)
    fields[324 if tiled else 273] = 4, len(parts), where
    fields[325 if tiled else 279] = 4, len(parts), sizes
    values, body = b"".join(parts), b""
    for tag, (kind, count, value) in sorted(fields.items()):
        short = value.ljust(4, b"\0")
        if len(value) > 4:
            short = struct.pack("<I", 8 + len(values))
            values += value
        body += struct.pack("<HHI4s", tag, kind, count, short)
    return b"II*\0" + struct.pack("<I", 8 + len(values)) + values + struct.pack("<H", len(fields)) + body + bytes(4)


def wide(plane: bytes) -> bytes:
    """Eight bits as sixteen."""
    return struct.pack(f"<{len(plane)}H", *(257 * value for value in plane))


def planes(image: Image.Image = CHART) -> list[bytes]:
    """Red, green, blue, each on its own."""
    return [band.tobytes() for band in image.split()]


def tiles() -> list[bytes]:
    """Each plane's tiles, one after the other."""
    corners = [(x, y) for y in range(0, HEIGHT, TILE) for x in range(0, WIDTH, TILE)]
    return [CHART.crop((x, y, x + TILE, y + TILE)).split()[n].tobytes() for n in range(3) for x, y in corners]


def cielab(depth: int) -> bytes:
    """The chart as LittleCMS has it in L*a*b*, whose last two TIFF writes signed."""
    to = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    converted = ImageCms.applyTransform(CHART, to)
    assert converted is not None
    found = zip(*planes(converted), strict=True)
    if depth == 8:
        return b"".join(struct.pack("<Bbb", light, a - 128, b - 128) for light, a, b in found)
    return b"".join(struct.pack("<Hhh", light * 257, (a - 128) * 256, (b - 128) * 256) for light, a, b in found)


def strips(plane: bytes, bytes_a_row: int) -> list[bytes]:
    """Strips of 64 rows."""
    return [plane[at : at + 64 * bytes_a_row] for at in range(0, len(plane), 64 * bytes_a_row)]


PHOTOS: dict[str, Callable[[], bytes]] = {
    "planes, 8 bits": lambda: tiff(2, 8, planes(), planes=2),
    "planes, 8 bits, strips": lambda: tiff(2, 8, [s for p in planes() for s in strips(p, WIDTH)], planes=2, rows=64),
    "planes, 16 bits": lambda: tiff(2, 16, [wide(plane) for plane in planes()], planes=2),
    "L*a*b*, 16 bits": lambda: tiff(8, 16, [cielab(16)]),
    "L*a*b*, 16 bits, strips": lambda: tiff(8, 16, strips(cielab(16), 6 * WIDTH), rows=64),
}
STRANGE: dict[str, Callable[[], bytes]] = {
    "L*a*b*, 8 bits": lambda: tiff(8, 8, [cielab(8)]),
    "ICC L*a*b*, 8 bits": lambda: tiff(9, 8, [cielab(8)]),
    "tiles of planes, 8 bits": lambda: tiff(2, 8, tiles(), planes=2, tiled=True),
    "tiles of planes, 16 bits": lambda: tiff(2, 16, [wide(tile) for tile in tiles()], planes=2, tiled=True),
    "old-style JPEG": lambda: tiff(6, 8, [encode(CHART, "JPEG", subsampling=0)], compression=6),
}


@pytest.mark.parametrize("name", PHOTOS)
def test_it_becomes_a_photo_of_the_right_colours(name: str) -> None:
    made = render(PHOTOS[name]())
    large = Image.open(io.BytesIO(made.renditions[0].data))
    assert large.size == (WIDTH, HEIGHT)
    pairs = zip(lab(centres(large, len(PATCHES))), lab(PATCHES), strict=True)
    assert max(math.dist(one, other) for one, other in pairs) < MOST
    assert made.clean is not None


@pytest.mark.parametrize("name", STRANGE)
def test_it_is_refused_in_plain_words(name: str) -> None:
    with pytest.raises(UnreadablePicture) as caught:
        render(STRANGE[name]())
    assert caught.value.reason == f"This TIFF picture {REFUSED}"


RED, BLUE = (200, 30, 30), (30, 30, 200)


def plain(width: int, height: int, colour: tuple[int, int, int]) -> pyvips.Image:
    """One colour."""
    return (pyvips.Image.black(width, height, bands=3) + list(colour)).cast("uchar").copy(interpretation="srgb")


def pages(*sizes: tuple[int, int]) -> bytes:
    """The first page red, the others, each half of the one before as in a pyramid, blue."""
    made = [Image.new("RGB", size, RED if n == 0 else BLUE) for n, size in enumerate(sizes)]
    return encode(made[0], "TIFF", compression="tiff_deflate", save_all=True, append_images=made[1:])


def pyramid(width: int, height: int, *, subifd: bool) -> bytes:
    """Smaller copies in pages of their own or within the first."""
    options = {"tile": True, "tile_width": 128, "tile_height": 128, "compression": "deflate"}
    data: bytes = plain(width, height, RED).tiffsave_buffer(pyramid=True, subifd=subifd, **options)
    return data


@pytest.mark.parametrize("size", [(320, 240), (3000, 2000), (6000, 4000)])
@pytest.mark.parametrize("kind", ["pages", "pyramid of pages", "pyramid within the page"])
def test_the_first_page_is_taken_in_full_whatever_smaller_ones_follow(kind: str, size: tuple[int, int]) -> None:
    width, height = size
    halves = [size, (width // 2, height // 2), (width // 4, height // 4)]
    data = pages(*halves) if kind == "pages" else pyramid(width, height, subifd="within" in kind)
    made = render(data)
    assert (made.width, made.height) == size
    scale = min(1.0, 2560 / width)
    large = Image.open(io.BytesIO(made.renditions[0].data)).convert("RGB")
    assert large.size == (round(width * scale), round(height * scale))
    for rendition in made.renditions[:3]:
        [middle] = centres(Image.open(io.BytesIO(rendition.data)).convert("RGB"), 1)
        assert math.dist(middle, RED) < 8
