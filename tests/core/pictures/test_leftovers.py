"""Chunks and segments of a right kind that no decoder looks at: what stands there is no part of the picture."""

import io
import struct

import pytest
import pyvips
from PIL import Image

from safelight.pictures.facts import inspect
from safelight.pictures.render import render
from safelight.pictures.strip import CannotStrip, strip
from safelight.pictures.strip.essentials import Essentials, build
from safelight.pictures.strip.profile import tidy
from tests.core.pictures import hidden
from tests.core.pictures.private import MARK, NOTICE, segment
from tests.core.pictures.samples import chunk, encode, scene
from tests.core.pictures.test_strip import cleaned, pillow, vips

TEXT = MARK * 3  # eighteen bytes: six entries of a palette
P3 = bytes(pyvips.Operation.call("profile_load", "p3"))
LATE = [
    segment(0xDB, b"\3" + (MARK * 11)[:64]),
    segment(0xC4, b"\x13" + bytes([0, 0, 0, 0, 6]).ljust(16, b"\0") + b"CNARYX"),
    segment(0xDD, MARK[:2]),
]


def drawn(mode: str, *more: bytes) -> bytes:
    """A PNG with these chunks in front of its pixels."""
    plain = encode(scene(40, 30).convert(mode), "PNG")
    at = plain.index(b"IDAT") - 4
    return plain[:at] + b"".join(more) + plain[at:]


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
@pytest.mark.parametrize("name", [b"tRNS", b"sBIT", b"bKGD"])
def test_a_png_says_of_its_channels_what_their_number_allows(mode: str, name: bytes) -> None:
    text = TEXT * 15 if (mode, name) == ("P", b"tRNS") else TEXT
    assert len(text) == len(TEXT) or len(text) > 256
    data = drawn(mode, chunk(name, text))
    assert MARK not in cleaned(data)
    assert cleaned(data) == drawn(mode)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_palette_of_a_png_without_one_goes(mode: str) -> None:
    assert cleaned(drawn(mode, chunk(b"PLTE", TEXT))) == drawn(mode)


def test_a_palette_ends_where_its_numbers_end() -> None:
    image = scene(40, 30).convert("L").point(lambda level: level // 128).convert("P")
    image.putpalette([10, 20, 30, 200, 210, 220])
    plain = encode(image, "PNG", bits=1)
    at = plain.index(b"PLTE") - 4
    (size,) = struct.unpack_from(">I", plain, at)
    data = plain[:at] + chunk(b"PLTE", plain[at + 8 : at + 8 + size] + TEXT) + plain[at + 12 + size :]
    clean = cleaned(data)
    assert MARK in data
    assert MARK not in clean
    assert vips(clean) == vips(data) == vips(plain)


@pytest.mark.parametrize("missing", [1, 2, 4])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF", "HEIF"])
def test_a_profile_that_counts_bytes_it_has_not_keeps_its_colours(kind: str, missing: int) -> None:
    profile = struct.pack(">I", len(P3) + missing) + P3[4:]
    data = hidden.with_profile(kind, profile)
    clean = cleaned(data)
    assert render(clean).renditions == render(data).renditions == render(hidden.with_profile(kind, P3)).renditions
    assert render(data).renditions != render(encode(scene(90, 60), kind)).renditions
    with Image.open(io.BytesIO(clean)) as image:
        assert image.info["icc_profile"][:4] == struct.pack(">I", len(P3))
    assert strip(clean, inspect(clean).format).same


def test_a_profile_whose_table_it_has_not_is_none() -> None:
    profile = struct.pack(">I", 134) + P3[4:128] + struct.pack(">I", 0) + b"\0\0"
    assert tidy(profile) is not None
    assert tidy(profile[:131]) is None
    assert tidy(struct.pack(">I", 144) + P3[4:128] + struct.pack(">I", 1) + bytes(10)) is None


def test_readers_of_png_heed_no_profile_that_is_shorter_than_it_says() -> None:
    data = hidden.with_profile("PNG", struct.pack(">I", len(P3) + 2) + P3[4:])
    clean = cleaned(data)
    assert b"iCCP" not in clean
    assert render(clean).renditions == render(data).renditions


@pytest.mark.parametrize("progressive", [False, True])
def test_tables_behind_the_last_scan_of_a_jpeg_go(progressive: bool) -> None:
    plain = encode(scene(90, 60), "JPEG", progressive=progressive)
    data = plain[:-2] + b"".join(LATE) + plain[-2:]
    assert cleaned(data) == plain
    assert pillow(data) == pillow(plain)


@pytest.mark.parametrize("turns", [(6, 3), (1, 6), (8, 1)])
def test_of_two_blocks_the_first_tells_how_a_jpeg_is_turned(turns: tuple[int, int]) -> None:
    plain = encode(scene(90, 60), "JPEG")
    blocks = [segment(0xE1, b"Exif\0\0" + build(Essentials(turn, NOTICE))) for turn in turns]
    data = plain[:20] + b"".join(blocks) + plain[20:]
    assert cleaned(data) == plain[:20] + blocks[0] + plain[20:]
    assert vips(cleaned(data)) == vips(data)
    assert pillow(cleaned(data)) == pillow(data)


def test_tables_behind_the_last_scan_within_a_tiff_go() -> None:
    files = [encode(scene(64, 48).crop((0, y, 64, y + 16)), "JPEG") for y in (0, 16, 32)]
    data = hidden.tiff(7, [file[:-2] + LATE[0] + file[-2:] for file in files])
    clean = cleaned(data)
    assert MARK not in clean
    assert vips(clean) == vips(data)
    assert strip(clean, "tiff").same


@pytest.mark.parametrize("tag", [(278, 4, 1, bytes(4)), (530, 3, 2, bytes(4))], ids=["rows", "samples"])
def test_a_tiff_that_would_be_divided_by_nothing_is_refused(tag: tuple[int, int, int, bytes]) -> None:
    pixels = [encode(scene(64, 16), "JPEG")] * 3
    with pytest.raises(CannotStrip):
        strip(hidden.tiff(7, pixels, tag), "tiff")
