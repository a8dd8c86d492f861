"""HEIC as phones and cameras write it: grids, several pictures in a file, ten bits, colours told by numbers."""

import base64
import io
import struct
from typing import Any

import pillow_heif
import pytest
import pyvips
from PIL import Image

from safelight.pictures import child, facts, nclx
from safelight.pictures.errors import UnreadablePicture
from safelight.pictures.render import render
from tests.core.pictures.samples import encode, exif, orient, quadrants, scene

RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)


def large(data: bytes) -> Image.Image:
    """The largest rendition, made behind the wall: HEVC is decoded by a library of its own, with threads of its own."""
    return Image.open(io.BytesIO(child.render(data).renditions[0].data))


def corners(image: Image.Image) -> list[Any]:
    """The colours in the middle of the four quadrants, clockwise from the upper left."""
    width, height = image.size
    places = ((1, 1), (3, 1), (3, 3), (1, 3))
    return [image.getpixel((x * width // 4, y * height // 4)) for x, y in places]


def near(found: list[Any], wanted: tuple[tuple[int, ...], ...], most: int = 12) -> bool:
    """Whether each colour is within `most` of what is wanted."""
    pairs = zip(found, wanted, strict=True)
    return all(abs(a - b) <= most for one, other in pairs for a, b in zip(one, other, strict=True))


def deep(values: list[int], bits: int, **options: Any) -> bytes:
    """A file of `bits` a sample with a column of 16 px for each gray of 16 bits in `values`."""
    row = b"".join(struct.pack("<3H", value, value, value) * 16 for value in values)
    target = io.BytesIO()
    options = {"quality": -1, "bit_depth": bits, "chroma": 444} | options
    pillow_heif.encode("RGB;16", (16 * len(values), 64), row * 64, target, **options)
    return target.getvalue()


def test_the_whole_way() -> None:
    data = encode(scene(900, 600), "HEIF", exif=exif(offset="+02:00"))
    made = child.render(data, "image/heic")
    assert (made.width, made.height, made.format) == (900, 600, "heic")
    assert made.camera["model"] == "Canon EOS R5"
    assert made.taken_at is not None
    assert made.taken_at.isoformat().endswith("+02:00")
    assert base64.b64decode(made.thumbhash, validate=True)
    assert child.render(data, "image/heif") == made


def test_another_content_type() -> None:
    with pytest.raises(UnreadablePicture, match="sent as JPEG but it is a HEIC"):
        child.render(encode(quadrants(), "HEIF"), "image/jpeg")


def test_orientation_in_exif_alone_is_for_information() -> None:
    """ISO/IEC 23008-12 annex A, and what phones' viewers do: only the container's properties turn the picture."""
    stored = quadrants(480, 320)
    data = encode(stored, "HEIF", exif=exif(orientation=1))
    asked = data.replace(b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x01", b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06")
    asked = asked.replace(b"\x12\x01\x03\x00\x01\x00\x00\x00\x01\x00", b"\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00")
    assert asked != data
    assert near(corners(large(asked)), (RED, GREEN, BLUE, YELLOW))


@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_a_grid_of_tiles_is_one_picture(orientation: int) -> None:
    """A phone stores tiles of 512 px; here they are smaller, and the last row and column are cut."""
    data = encode(
        orient(quadrants(600, 400), orientation), "HEIF", tile_size=128, exif=exif(orientation=orientation), quality=90
    )
    assert b"grid" in data
    made = large(data)
    assert made.size == (600, 400)
    assert near(corners(made), (RED, GREEN, BLUE, YELLOW))


def test_of_several_pictures_the_primary_one_counts() -> None:
    others = [Image.new("RGB", (300 + 20 * n, 200), colour) for n, colour in enumerate((RED, GREEN, BLUE))]
    for primary, wanted in enumerate((RED, GREEN, BLUE)):
        data = encode(others[0], "HEIF", save_all=True, append_images=others[1:], primary_index=primary)
        made = large(data)
        assert made.size == (300 + 20 * primary, 200)
        assert near([made.getpixel((20, 20))], (wanted,))


def test_a_thumbnail_inside_is_not_the_picture() -> None:
    assert large(encode(quadrants(480, 320), "HEIF", thumbnails=[64])).size == (480, 320)


@pytest.mark.parametrize("bits", [10, 12])
def test_more_bits_keep_their_tones(bits: int) -> None:
    grays = [0, 32_768, 40_000, 65_535]
    made = large(deep(grays, bits))
    for index, gray in enumerate(grays):
        assert near([made.getpixel((16 * index + 8, 30))], ((gray >> 8,) * 3,), 3)


def test_gray() -> None:
    made = large(encode(scene(200, 120).convert("L"), "HEIF", quality=-1))
    reference = scene(200, 120).convert("L").convert("RGB")
    assert near([made.getpixel((50, 50))], (tuple(reference.getpixel((50, 50))),), 8)  # type: ignore[arg-type]  # RGB


def test_gray_of_ten_bits() -> None:
    target = io.BytesIO()
    pillow_heif.encode("L;16", (64, 64), struct.pack("<H", 30_000) * 4096, target, quality=-1, bit_depth=10)
    assert near([large(target.getvalue()).getpixel((30, 30))], ((30_000 >> 8,) * 3,), 4)


@pytest.mark.parametrize("kind", ["RGBA", "RGBa"])
def test_transparency_becomes_white(kind: str) -> None:
    straight = (200, 0, 0, 128) if kind == "RGBA" else (100, 0, 0, 128)
    target = io.BytesIO()
    pillow_heif.encode(kind, (128, 128), bytes(straight) * 128 * 128, target, quality=-1, chroma=444)
    assert near([large(target.getvalue()).getpixel((60, 60))], ((227, 127, 127),), 6)


def told(kind: str, colour: tuple[int, int, int], primaries: int, transfer: int) -> Any:
    """The colour of a flat file whose container says by numbers what it means."""
    options: dict[str, Any] = {"quality": -1, "chroma": 444} if kind == "HEIF" else {"quality": 100}
    numbers = {
        "color_primaries": primaries,
        "transfer_characteristics": transfer,
        "matrix_coefficients": 6,
        "full_range_flag": 1,
    }
    data = encode(Image.new("RGB", (96, 96), colour), kind, **options, **(numbers if kind == "HEIF" else {}))
    if kind == "AVIF":
        at = data.index(b"nclx") + 4
        data = data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]
    assert facts.inspect(data).header.nclx == (primaries, transfer)
    return large(data).getpixel((40, 40))


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_colours_told_by_numbers(kind: str) -> None:
    # Display P3's (200, 80, 60) by its matrix and sRGB's curve, as CSS Color 4, 10.9 computes it.
    assert near([told(kind, (200, 80, 60), 12, 13)], ((217, 72, 50),), 4)
    assert near([told(kind, (200, 80, 60), 1, 13)], ((200, 80, 60),), 4)
    assert near([told(kind, (200, 80, 60), 2, 2)], ((200, 80, 60),), 4)
    assert near([told(kind, (120, 120, 120), 1, 8)], ((181, 181, 181),), 4)


def test_high_dynamic_range_fits_a_screen() -> None:
    """The reference white of a PQ or HLG picture is nearly white, its gray in the middle, its lamps white."""
    for transfer, white, gray in ((16, 0.58, 0.38), (18, 0.75, 0.38)):
        signals = [0, round(gray * 65_535), round(white * 65_535), 65_535]
        data = deep(signals, 10, color_primaries=9, transfer_characteristics=transfer, matrix_coefficients=9)
        made = large(data)
        shades: list[Any] = [made.convert("L").getpixel((16 * n + 8, 30)) for n in range(4)]
        black, middle, light, peak = shades
        assert black < 4
        assert 75 < middle < 150
        assert 225 < light < 250
        assert peak >= 252


def test_numbers_that_say_nothing_new_make_no_profile() -> None:
    assert nclx.profile(1, 13) is nclx.profile(2, 2) is nclx.profile(1, 1) is nclx.profile(65_535, 65_535) is None


def test_a_codec_that_is_not_there_is_said_so() -> None:
    data = encode(quadrants(), "HEIF").replace(b"hvc1", b"vvc1")
    with pytest.raises(UnreadablePicture, match=r"HEIC picture is stored in a way that cannot be opened here"):
        child.render(data)


def test_a_lying_size_is_refused_before_a_decoder_runs() -> None:
    data = encode(quadrants(64, 64), "HEIF")
    for side, words in ((60_000, "200 megapixels"), (9_000, "too much memory")):
        size = struct.pack(">II", 64, 64)
        assert size in data
        with pytest.raises(UnreadablePicture, match=words):
            facts.inspect(data.replace(size, struct.pack(">II", side, side)))


def test_bytes_and_boxes_cut_anywhere_are_refused() -> None:
    data = encode(scene(128, 96), "HEIF", exif=exif())
    meta = data.index(b"mdat") - 4
    for cut in (12, 40, meta // 2, meta, meta + 8, meta + 100, len(data) - 200):
        with pytest.raises(UnreadablePicture):
            render(data[:cut])


@pytest.mark.parametrize("bits", [10, 12])
def test_avif_of_more_bits(bits: int) -> None:
    ramp = pyvips.Image.identity(ushort=True, size=65_536).resize(1 / 64, vscale=64).cast("ushort")
    gray = ramp.bandjoin([ramp, ramp]).copy(interpretation="rgb16")
    data: bytes = gray.heifsave_buffer(compression="av1", bitdepth=bits, lossless=True)
    assert facts.inspect(data).header.working_set == 17 * 1024 * 64
    made = large(data)
    for x in (100, 500, 900):
        assert near([made.getpixel((x, 30))], ((x // 4,) * 3,), 4)
