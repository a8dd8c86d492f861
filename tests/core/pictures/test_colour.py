"""Colours of wide and of printed pictures, patch by patch, against LittleCMS run by Pillow.

The distance is CIE 1976's: the length between two colours in L*a*b* (D50). 2.3 is what an eye just notices; 3 is
allowed, of which a JPEG of quality 80 takes about one.
"""

import io
import math
import struct
from typing import Any

import pytest
import pyvips
from PIL import Image, ImageCms

from safelight.pictures.render import render
from tests.core.pictures.samples import SRGB, encode, ycck

MOST = 3.0
PATCH, ACROSS = 64, 5
# Skin, foliage, sky, the primaries of the screen and of print, grays, and what lies outside of sRGB in wide spaces.
PATCHES = [
    *((115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177), (103, 189, 170), (214, 126, 44)),
    *((80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64), (224, 163, 46), (56, 61, 150), (70, 148, 73)),
    *((175, 54, 60), (231, 199, 31), (187, 86, 149), (8, 133, 161), (243, 243, 242), (160, 160, 160), (52, 52, 52)),
    *((255, 255, 255), (0, 0, 0), (30, 200, 60), (250, 20, 20)),
]
INKS = [(c, m, y, k) for c in (0, 110, 230) for m in (0, 120) for y in (0, 200) for k in (0, 90)][:25]
CMYK = bytes(pyvips.Operation.call("profile_load", "cmyk"))
P3 = bytes(pyvips.Operation.call("profile_load", "p3"))


def adobe() -> bytes:
    """Adobe RGB (1998) by its specification: sRGB's profile with other primaries and a gamma of 563/256."""
    profile = bytearray(SRGB)
    moved = {
        b"rXYZ": (0.60974, 0.31111, 0.01947),
        b"gXYZ": (0.20528, 0.62567, 0.06087),
        b"bXYZ": (0.14919, 0.06322, 0.74457),
    }
    for at in range(132, 132 + 12 * struct.unpack_from(">I", SRGB, 128)[0], 12):
        name, offset = struct.unpack_from(">4sI", profile, at)
        if name in moved:
            struct.pack_into(">iii", profile, offset + 8, *(round(value * 65_536) for value in moved[name]))
        elif name.endswith(b"TRC"):
            struct.pack_into(">4sIHHi", profile, offset, b"para", 0, 0, 0, round(563 / 256 * 65_536))
    return bytes(profile)


def chart(mode: str, colours: list[Any]) -> Image.Image:
    """Patches that keep JPEG's blocks apart."""
    image = Image.new(mode, (PATCH * ACROSS, PATCH * math.ceil(len(colours) / ACROSS)))
    for index, colour in enumerate(colours):
        image.paste(
            colour,
            (
                index % ACROSS * PATCH,
                index // ACROSS * PATCH,
                (index % ACROSS + 1) * PATCH,
                (index // ACROSS + 1) * PATCH,
            ),
        )
    return image


def centres(image: Image.Image, count: int) -> list[Any]:
    """The colour in the middle of each patch."""
    half = PATCH // 2
    return [image.getpixel((n % ACROSS * PATCH + half, n // ACROSS * PATCH + half)) for n in range(count)]


def converted(image: Image.Image, profile: bytes, to: str) -> Image.Image:
    """By LittleCMS, relative colorimetric."""
    result = ImageCms.profileToProfile(
        image,
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB" if to == "RGB" else "LAB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode=to,
    )
    assert result is not None
    return result


def lab(colours: list[Any]) -> list[tuple[float, float, float]]:
    """sRGB in 8 bits as L*a*b* (IEC 61966-2-1; CIE 15), by formula: Pillow's own L*a*b* is rounded to whole numbers."""
    found = []
    for colour in colours:
        light = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (part / 255 for part in colour)]
        rows = ((0.4361, 0.3851, 0.1431), (0.2225, 0.7169, 0.0606), (0.0139, 0.0971, 0.7141))
        xyz = [sum(a * b for a, b in zip(row, light, strict=True)) / sum(row) for row in rows]
        x, y, z = (v ** (1 / 3) if v > 216 / 24_389 else (24_389 / 27 * v + 16) / 116 for v in xyz)
        found.append((116 * y - 16, 500 * (x - y), 200 * (y - z)))
    return found


def distances(data: bytes, reference: Image.Image, count: int) -> list[float]:
    """Between the patches of `large` and of the reference in sRGB."""
    large = Image.open(io.BytesIO(render(data).renditions[0].data))
    pairs = zip(lab(centres(large, count)), lab(centres(reference, count)), strict=True)
    return [math.dist(one, other) for one, other in pairs]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "HEIF", "AVIF"])
@pytest.mark.parametrize("space", ["Display P3", "Adobe RGB", "sRGB"])
def test_wide_colours(kind: str, space: str) -> None:
    profile = {"Display P3": P3, "Adobe RGB": adobe(), "sRGB": SRGB}[space]
    image = chart("RGB", PATCHES)
    reference = converted(image, profile, "RGB")
    lossless: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": 98, "subsampling": 0},
        "WEBP": {"lossless": True},
        "HEIF": {"quality": -1, "chroma": 444, "matrix_coefficients": 0},
        "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    }
    data = encode(image, kind, icc_profile=profile, **lossless.get(kind, {}))
    found = distances(data, reference, len(PATCHES))
    assert max(found) <= MOST, [round(value, 1) for value in found]
    plain = [
        math.dist(one, other) for one, other in zip(lab(centres(image, 25)), lab(centres(reference, 25)), strict=True)
    ]
    assert (max(plain) > 2 * MOST) == (space != "sRGB"), "without the profile the colours would be others"


@pytest.mark.parametrize("kind", ["TIFF", "JPEG", "JPEG, YCCK"])
@pytest.mark.parametrize("tagged", [True, False])
def test_printed_colours(kind: str, tagged: bool) -> None:
    """With a profile by it; without one by libvips' own of coated paper, the same bytes here."""
    image = chart("CMYK", INKS)
    options: dict[str, Any] = {"quality": 98, "subsampling": 0} if "JPEG" in kind else {}
    data = encode(image, kind[:4], **options, **({"icc_profile": CMYK} if tagged else {}))
    if "YCCK" in kind:
        data = ycck(data)
        image = Image.open(io.BytesIO(data))
        assert image.mode == "CMYK"
    found = distances(data, converted(image, CMYK, "RGB"), len(INKS))
    assert max(found) <= MOST, [round(value, 1) for value in found]
