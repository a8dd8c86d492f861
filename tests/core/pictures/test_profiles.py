"""Which embedded profiles mean nothing but sRGB."""

import io
import struct

import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from safelight.pictures.profiles import is_srgb
from safelight.pictures.render import render
from tests.core.pictures.samples import SRGB, encode, scene

VIPS_SRGB = bytes(pyvips.Operation.call("profile_load", "srgb"))


def tag(profile: bytes, name: bytes) -> int:
    """Where a tag's data is."""
    (count,) = struct.unpack_from(">I", profile, 128)
    table = (struct.unpack_from(">4sII", profile, 132 + 12 * n) for n in range(count))
    return next(int(offset) for found, offset, _ in table if found == name)


def changed(name: bytes, at: int, form: str, *values: int | bytes) -> bytes:
    """sRGB with something else in one of its tags."""
    profile = bytearray(SRGB)
    struct.pack_into(form, profile, tag(SRGB, name) + at, *values)
    return bytes(profile)


@pytest.mark.parametrize("profile", [SRGB, VIPS_SRGB], ids=["littlecms", "libvips"])
def test_srgb_in_both_its_forms(profile: bytes) -> None:
    assert is_srgb(profile)


OTHERS = {
    "nothing": b"",
    "rubbish": b"not a profile" * 40,
    "cut off": SRGB[:300],
    "wider red (Display P3)": changed(b"rXYZ", 8, ">iii", 33757, 15807, -72),
    "a gamma of 2.2 (Adobe RGB's curve)": changed(b"rTRC", 0, ">4sIIH", b"curv", 0, 1, 563),
    "another exponent": changed(b"gTRC", 12, ">i", round(2.2 * 65536)),
    "another function": changed(b"rTRC", 8, ">H", 0),
    "no curve": changed(b"rTRC", 0, ">4s", b"text"),
    "not of colours in red, green and blue": SRGB[:16] + b"GRAY" + SRGB[20:],
    "Lab": ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
    "CMYK": bytes(pyvips.Operation.call("profile_load", "cmyk")),
    "P3": bytes(pyvips.Operation.call("profile_load", "p3")),
}


@pytest.mark.parametrize("name", OTHERS)
def test_everything_else_is_converted(name: str) -> None:
    assert not is_srgb(OTHERS[name])


@given(st.lists(st.tuples(st.integers(0, len(SRGB) - 1), st.integers(0, 255)), max_size=8), st.integers(0, len(SRGB)))
def test_a_damaged_profile_is_no_error(edits: list[tuple[int, int]], length: int) -> None:
    profile = bytearray(SRGB)
    for at, value in edits:
        profile[at] = value
    is_srgb(bytes(profile[:length]))


def test_display_p3_is_converted_as_another_engine_does_it() -> None:
    """A photo tagged Display P3, patch by patch: within 3 of 255 of what LittleCMS, run by Pillow, makes of it."""
    profile = OTHERS["P3"]
    image = scene(64, 64)
    wanted = ImageCms.profileToProfile(
        image,
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    assert wanted is not None
    # Flat patches, since JPEG smears neighbours into each other.
    for x in range(4, 64, 12):
        colour, expected = image.getpixel((x, x)), wanted.getpixel((x, x))
        assert isinstance(colour, tuple)
        assert isinstance(expected, tuple)
        made = render(encode(Image.new("RGB", (48, 48), colour), "PNG", icc_profile=profile))
        got = Image.open(io.BytesIO(made.renditions[0].data)).getpixel((20, 20))
        assert isinstance(got, tuple)
        assert all(abs(a - b) <= 3 for a, b in zip(got, expected, strict=True)), (colour, got, expected)


def test_the_shortcut_and_the_conversion_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(scene(300, 200), quality=95, icc_profile=SRGB)
    short = render(data)
    monkeypatch.setattr("safelight.pictures.decode.is_srgb", lambda _: False)
    long = render(data)
    pairs = zip(short.renditions, long.renditions, strict=True)
    for one, other in ((Image.open(io.BytesIO(a.data)), Image.open(io.BytesIO(b.data))) for a, b in pairs):
        strips = zip(one.convert("RGB").tobytes(), other.convert("RGB").tobytes(), strict=True)
        assert max(abs(a - b) for a, b in strips) <= 8
