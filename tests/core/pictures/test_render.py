"""Renditions, read back by Pillow: another decoder than the one that made them."""

import base64
import hashlib
import io
import random
import struct
import zlib
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageCms, ImageStat

from safelight.pictures.errors import UnreadablePicture
from safelight.pictures.render import render
from safelight.pictures.types import SIZES, Rendered
from tests.core.pictures.samples import (
    CANARIES,
    LATITUDE,
    SRGB,
    encode,
    exif,
    jpeg,
    orient,
    png,
    png_bomb,
    quadrants,
    scene,
)

RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)


def images(made: Rendered) -> dict[str, Image.Image]:
    """What Pillow sees in each rendition, fully decoded."""
    opened: dict[str, Image.Image] = {}
    for rendition in made.renditions:
        image = Image.open(io.BytesIO(rendition.data))
        image.load()
        assert image.format == "JPEG"
        assert image.size == (rendition.width, rendition.height)
        opened[rendition.name] = image
    assert list(opened) == list(SIZES)
    return opened


def close(one: Any, other: Any, tolerance: int = 6) -> bool:
    """Whether two colours are the same to the eye of a JPEG encoder."""
    return all(abs(a - b) <= tolerance for a, b in zip(one, other, strict=True))


def corners(image: Image.Image) -> list[Any]:
    """The colours in the middle of the four quadrants, clockwise from the upper left."""
    width, height = image.size
    places = ((1, 1), (3, 1), (3, 3), (1, 3))
    return [image.getpixel((x * width // 4, y * height // 4)) for x, y in places]


def refusal(data: bytes) -> str:
    with pytest.raises(UnreadablePicture) as caught:
        render(data)
    return caught.value.reason


def test_the_set() -> None:
    data = jpeg(3000, 2000)
    made = render(data)
    assert (made.width, made.height, made.format) == (3000, 2000, "jpeg")
    assert (made.sha256, made.crc32) == (hashlib.sha256(data).hexdigest(), zlib.crc32(data))
    assert {name: image.size for name, image in images(made).items()} == {
        "large": (2560, 1707),
        "preview": (1600, 1067),
        "thumb": (400, 267),
        "grayscale": (1600, 1067),
    }
    for rendition in made.renditions:
        assert rendition.content_type == "image/jpeg"
        assert rendition.crc32 == zlib.crc32(rendition.data)
        opened = Image.open(io.BytesIO(rendition.data))
        assert opened.info["progressive"]
        # Quality 80 on the scale of the JPEG group: the first entry of the luminance table, 16, becomes 6.
        assert opened.quantization[0][0] == 6  # type: ignore[attr-defined]  # only JPEG files have tables
    opened_all = images(made)
    assert opened_all["grayscale"].mode == "L"
    assert [opened_all[name].mode for name in ("large", "preview", "thumb")] == ["RGB"] * 3


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (399, 401), (1700, 3), (16_000, 40)])
def test_never_larger_than_the_original_and_never_nothing(size: tuple[int, int]) -> None:
    made = render(encode(scene(*size), "PNG"))
    assert (made.width, made.height) == size
    for rendition in made.renditions:
        limit = SIZES[rendition.name]
        scale = min(1.0, limit / max(size))
        assert max(rendition.width, rendition.height) == min(limit, max(size))
        assert abs(rendition.width - size[0] * scale) <= 1
        assert abs(rendition.height - size[1] * scale) <= 1
    images(made)
    assert base64.b64decode(made.thumbhash, validate=True)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG", "TIFF", "HEIF", "AVIF"])
def test_orientation(orientation: int, kind: str) -> None:
    upright = quadrants(480, 320)
    data = encode(orient(upright, orientation), kind, exif=exif(orientation=orientation))
    made = render(data)
    assert (made.width, made.height) == (480, 320)
    for name, image in images(made).items():
        if name != "grayscale":
            assert all(map(close, corners(image), (RED, GREEN, BLUE, YELLOW), [12] * 4)), corners(image)
        else:
            # The grays of the four, by the eye's weights: yellow brightest, then green, red, blue.
            red, green, blue, yellow = corners(image)
            assert yellow > green > red > blue


@pytest.mark.parametrize("orientation", [0, 9, 255, 65_535])
def test_an_orientation_that_does_not_exist_is_none(orientation: int) -> None:
    made = render(encode(quadrants(), exif=exif(orientation=orientation)))
    assert (made.width, made.height) == (120, 80)
    assert close(corners(images(made)["large"])[0], RED, 12)


def marked(kind: str) -> bytes:
    """A file full of what must not get out: GPS, serial numbers, owner, comment, XMP, a thumbnail of its own."""
    options: dict[str, Any] = {"exif": exif(orientation=6), "icc_profile": SRGB}
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>XMP-CANARY SERIAL-4711-BODY</x:xmpmeta>"
    if kind == "JPEG":
        options |= {"comment": b"COMMENT-CANARY", "xmp": xmp}
    if kind in ("WEBP", "HEIF", "AVIF"):
        options |= {"xmp": xmp}
    data = encode(scene(900, 600), kind, **options)
    if kind == "JPEG":
        iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0cIPTC-CANARY\0"
        data = data[:2] + b"\xff\xed" + struct.pack(">H", 2 + len(iptc)) + iptc + data[2:]
        data += b"IPTC-CANARY trailing film"
    return data


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG", "TIFF", "HEIF", "AVIF"])
def test_nothing_about_place_person_or_machine_is_in_a_rendition(kind: str) -> None:
    data = marked(kind)
    position, big_endian = (b"".join(struct.pack(order + "II", *part) for part in LATITUDE) for order in "<>")
    assert b"OWNER-CANARY" in data
    if kind != "TIFF":  # in which Pillow writes the first directory only
        assert b"SERIAL-4711-BODY" in data
        assert b"SERIAL-0815-LENS" in data
        assert position in data or big_endian in data
    made = render(data)
    assert made.camera["make"] == "Canon"
    told = repr((made.camera, made.taken_at)).encode()
    for rendition in made.renditions:
        for mark in (*CANARIES, position, big_endian, b"Exif", b"GPS", b"http", b"ICC_PROFILE", b"Canon", b"CANARY"):
            assert mark not in rendition.data
        assert segments(rendition.data) <= {0xC0, 0xC2, 0xC4, 0xDA, 0xDB, 0xE0}, "JFIF and the picture, nothing else"
        assert not Image.open(io.BytesIO(rendition.data)).getexif()
    for mark in CANARIES:
        assert mark not in told


def segments(data: bytes) -> set[int]:
    """The kinds of segments in a JPEG."""
    found, at = set(), 2
    while data[at : at + 2] != b"\xff\xd9":
        assert data[at] == 0xFF
        found.add(data[at + 1])
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at - 1 - 1 : at] and data[at] != 0xFF:
            while not (data[at] == 0xFF and data[at + 1] not in (0, *range(0xD0, 0xD8))):
                at += 1
    return found


def test_likeness() -> None:
    original = scene(2600, 1700)
    large = images(render(encode(original, quality=95)))["large"]
    reference = original.resize(large.size, Image.Resampling.LANCZOS)
    error = ImageStat.Stat(ImageChops.difference(large, reference)).rms
    assert max(error) < 8


@pytest.mark.parametrize("mode", ["L", "LA", "P", "PA", "RGBA", "1", "I;16", "CMYK"])
def test_colour_modes(mode: str) -> None:
    source = quadrants(200, 160)
    if mode == "I;16":
        image = Image.frombytes("I;16", source.size, b"".join(bytes((0, v)) for v in source.convert("L").tobytes()))
        expected = source.convert("L").convert("RGB")
    else:
        image = source.convert(mode)
        expected = image.convert("RGB")
    kind = "TIFF" if mode == "CMYK" else "PNG"
    if mode == "PA":
        image = source.convert("P")
        image.info["transparency"] = 0
    made = render(encode(image, kind))
    opened = images(made)
    assert opened["large"].mode == "RGB"
    if mode == "CMYK":
        # Inks are not screen colours: each is where it belongs, none is as pure as on a screen.
        expected, tolerance = quadrants(200, 160), 145
    else:
        tolerance = 14
    if mode not in ("PA", "1"):
        for got, wanted in zip(corners(opened["large"]), corners(expected), strict=True):
            assert close(got, wanted, tolerance), (corners(opened["large"]), corners(expected))


def test_sixteen_bits_keep_their_tones() -> None:
    """A 16-bit ramp, and one with transparency: tones as in 8 bits, and half-transparent gray on white."""
    rows = b"".join(b"\0" + b"".join(struct.pack(">H", x * 257) * 3 for x in range(256)) for _ in range(32))
    plain = images(render(png(256, 32, zlib.compress(rows), depth=16)))["large"]
    for x in (0, 64, 128, 200, 255):
        assert close(plain.getpixel((x, 16)), (x, x, x), 3)
    rows = b"".join(b"\0" + struct.pack(">HHHH", 0x8080, 0x8080, 0x8080, 0x8000) * 64 for _ in range(32))
    clear = images(render(png(64, 32, zlib.compress(rows), depth=16, colour=6)))["large"]
    assert close(clear.getpixel((30, 16)), (191, 191, 191), 3)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_transparency_becomes_white(kind: str) -> None:
    image = Image.new("RGBA", (900, 600), (10, 20, 30, 0))
    image.paste((200, 0, 0, 128), (0, 0, 450, 600))
    for name, opened in images(render(encode(image, kind))).items():
        left, right = opened.getpixel((opened.width // 4, 100)), opened.getpixel((opened.width * 3 // 4, 100))
        if name != "grayscale":
            assert close(left, (227, 127, 127), 6), left
            assert close(right, (255, 255, 255), 3), right
        else:
            assert right == 255


def test_adobe_cmyk_jpeg() -> None:
    image = Image.new("CMYK", (400, 300), (0, 0, 0, 0))
    image.paste((0, 255, 255, 0), (0, 0, 200, 300))
    large = images(render(encode(image, quality=95)))["large"]
    assert close(large.getpixel((350, 100)), (255, 255, 255), 4)
    red = large.getpixel((50, 100))
    assert isinstance(red, tuple)
    assert red[0] > 180
    assert max(red[1:]) < 80


def test_a_profile_is_applied_and_an_untagged_file_is_taken_as_srgb() -> None:
    """The same numbers with and without a wide profile: an independent colour engine says what they mean."""
    wide = wide_profile()
    image = Image.new("RGB", (64, 64), (200, 80, 60))
    plain = images(render(encode(image, "PNG")))["large"].getpixel((30, 30))
    assert close(plain, (200, 80, 60), 2)
    tagged = images(render(encode(image, "PNG", icc_profile=wide)))["large"].getpixel((30, 30))
    reference = ImageCms.profileToProfile(
        image,
        ImageCms.ImageCmsProfile(io.BytesIO(wide)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    assert reference is not None
    assert not close(reference.getpixel((30, 30)), (200, 80, 60), 10), "the profile makes a difference"
    assert close(tagged, reference.getpixel((30, 30)), 3)


def wide_profile() -> bytes:
    """sRGB's profile with red and green moved to those of Display P3 (its D50-adapted colorants)."""
    profile = bytearray(SRGB)
    count = struct.unpack_from(">I", profile, 128)[0]
    moved = {b"rXYZ": (0.5151, 0.2412, -0.0011), b"gXYZ": (0.2919, 0.6922, 0.0419), b"bXYZ": (0.1571, 0.0666, 0.7841)}
    for entry in range(132, 132 + 12 * count, 12):
        name, offset = struct.unpack_from(">4sI", profile, entry)
        if name in moved:
            struct.pack_into(">iii", profile, offset + 8, *(round(v * 65536) for v in moved[name]))
    return bytes(profile)


@pytest.mark.parametrize("profile", [b"not a profile at all", SRGB[:200], b""])
def test_a_damaged_profile_does_not_cost_the_photo(profile: bytes) -> None:
    made = render(encode(quadrants(), icc_profile=profile))
    assert close(corners(images(made)["large"])[0], RED, 12)


def test_a_gray_picture_with_a_colour_profile() -> None:
    made = render(encode(scene(90, 60).convert("L"), icc_profile=SRGB))
    assert images(made)["large"].mode == "RGB"


@pytest.mark.parametrize("kind", ["WEBP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (60, 40), colour) for colour in (RED, GREEN, BLUE)]
    made = render(encode(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True))
    assert (made.width, made.height) == (60, 40)
    assert close(images(made)["large"].getpixel((30, 20)), RED, 4)


def test_avif() -> None:
    made = render(encode(quadrants(480, 320), "AVIF", quality=90))
    assert made.format == "avif"
    assert all(map(close, corners(images(made)["large"]), (RED, GREEN, BLUE, YELLOW), [14] * 4))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
def test_a_truncated_file_is_refused(kind: str, share: float) -> None:
    options = {"compression": "tiff_lzw"} if kind == "TIFF" else {}
    data = encode(scene(700, 500), kind, **options)
    reason = refusal(data[: int(len(data) * share)])
    assert "damaged" in reason


def test_a_progressive_file_cut_in_its_last_pass_is_refused() -> None:
    data = jpeg(700, 500, progressive=True)
    assert "damaged" in refusal(data[: int(len(data) * 0.97)])


def test_a_file_whose_second_half_was_never_written_is_refused() -> None:
    data = jpeg(700, 500)
    assert "damaged" in refusal(data[: len(data) // 2] + bytes(len(data) // 2))


def test_small_faults_that_programs_and_disks_leave_are_no_reason_to_refuse() -> None:
    data = jpeg(700, 500)
    scan = data.index(b"\xff\xda")
    restarts = jpeg(700, 500, restart_marker_rows=1)
    lost = restarts.index(b"\xff\xd3")
    for slight in (
        data[:scan] + b"\0\0\0" + data[scan:],
        data + bytes(1000),
        data[: scan + 3000] + bytes([data[scan + 3000] ^ 1]) + data[scan + 3001 :],
        data[:2] + b"\xff\xff\xff" + data[2:],
        restarts[:lost] + restarts[lost + 2 :],
    ):
        assert render(slight).width == 700


def test_what_no_decoder_here_opens_is_said_so() -> None:
    assert "cannot be opened here. Export it as JPEG" in refusal(encode(Image.new("LAB", (50, 50)), "TIFF"))


def test_a_file_that_is_two_things_at_once() -> None:
    """The first format is the photo; what hangs on it reaches no rendition."""
    for tail in (b"PK\x03\x04 CANARY.zip" + bytes(200), b"<script>CANARY</script>", jpeg(30, 30), b"%PDF-1.4 CANARY"):
        made = render(jpeg(320, 200) + tail)
        assert (made.width, made.height) == (320, 200)
        assert not any(b"CANARY" in rendition.data for rendition in made.renditions)


def test_noise_after_a_sound_beginning_never_escapes_as_another_error() -> None:
    dice = random.Random(7)
    whole = {kind: encode(scene(160, 120), kind) for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")}
    reasons: list[str] = []
    for data in whole.values():
        for _ in range(25):
            broken = bytearray(data)
            for _ in range(dice.randint(1, 40)):
                broken[dice.randrange(12, len(broken))] = dice.randrange(256)
            try:
                made = render(bytes(broken))
            except UnreadablePicture as error:
                reasons.append(error.reason)
            else:
                images(made)
    assert 20 < len(reasons) < 125
    assert all(reason.endswith(".") for reason in reasons)


def test_a_bomb_within_the_pixel_cap_is_just_a_picture() -> None:
    made = render(png_bomb(1500, 1500))
    assert images(made)["large"].getpixel((9, 9)) == (255, 255, 255)


def test_the_hash_shows_the_colours() -> None:
    from thumbhash import thumb_hash_to_average_rgba

    for colour in ((200, 30, 40), (20, 90, 200), (128, 128, 128)):
        made = render(encode(Image.new("RGB", (300, 200), colour), "PNG"))
        red, green, blue, alpha = thumb_hash_to_average_rgba(list(base64.b64decode(made.thumbhash)))
        assert close([255 * red, 255 * green, 255 * blue, 255 * alpha], [*colour, 255], 12)
        assert len(made.thumbhash) <= 40
