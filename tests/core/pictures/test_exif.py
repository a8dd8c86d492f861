"""Capture time and camera."""

import struct
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.pictures import exif
from safelight.pictures.render import render
from safelight.pictures.strip import essentials
from tests.core.pictures import private
from tests.core.pictures.samples import encode, scene
from tests.core.pictures.samples import exif as block

CAMERA = {
    "make": "Canon",
    "model": "Canon EOS R5",
    "lens": "Canon RF85mm F1.2 L USM",
    "exposure": "1/250",
    "aperture": 2.8,
    "iso": 400,
    "focal_length": 85.0,
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_camera_and_time_from_each_format(kind: str) -> None:
    made = render(encode(scene(80, 60), kind, exif=block(offset="+02:00")))
    # An AVIF turns its picture by a property of the container, not by EXIF.
    turned = {} if kind == "AVIF" else {"orientation": 1}
    assert made.camera == CAMERA | turned | {"utc_offset": "+02:00", "local_time": "2026-06-21T18:45:12.250000"}
    assert made.taken_at == datetime(2026, 6, 21, 16, 45, 12, 250_000, tzinfo=UTC)
    assert made.taken_at.utcoffset() == timedelta(hours=2)


def test_without_an_offset_the_wall_clock_is_labelled_utc() -> None:
    made = render(encode(scene(80, 60), exif=block()))
    assert made.taken_at == datetime(2026, 6, 21, 18, 45, 12, 250_000, tzinfo=UTC)
    assert "utc_offset" not in made.camera
    assert made.camera["local_time"] == "2026-06-21T18:45:12.250000"


def test_the_local_time_compares_cameras_with_and_without_an_offset() -> None:
    """Two frames a quarter of a second apart, one camera set to a zone and one not."""
    with_zone, without = (exif.read(block(offset=offset).tobytes())[1] for offset in ("+09:00", None))
    assert with_zone["local_time"] == without["local_time"]


@pytest.mark.parametrize(("value", "fired"), [(0x00, False), (0x01, True), (0x10, False), (0x19, True), (0x18, False)])
def test_whether_the_flash_fired(value: int, fired: bool) -> None:
    assert exif.read(raw((0x9209, 3, (value, 0))))[1] == {"flash": fired}


@pytest.mark.parametrize("turned", range(1, 9))
def test_orientation_as_the_file_says(turned: int) -> None:
    assert exif.read(block(orientation=turned).tobytes())[1]["orientation"] == turned


@pytest.mark.parametrize("nonsense", [0, 9, 65_535])
def test_an_orientation_that_is_none(nonsense: int) -> None:
    assert "orientation" not in exif.read(block(orientation=nonsense).tobytes())[1]


def test_what_tells_about_people_is_never_read() -> None:
    taken, camera = exif.read(block(offset="+02:00").tobytes())
    told = repr((taken, camera))
    assert "SERIAL" not in told
    assert "OWNER" not in told
    assert "48" not in told.replace("18:45", "")


def test_a_tiff_is_its_own_block() -> None:
    made = render(encode(scene(80, 60), "TIFF", exif=block()))
    assert (made.camera["make"], made.camera["model"]) == ("Canon", "Canon EOS R5")


def as_directories(data: bytes) -> bytes:
    """With pointers to the EXIF and interoperability directories that are of the type IFD, as libtiff writes them."""
    for tag in (0x8769, 0xA005):
        pointer = struct.pack("<HHI", tag, 4, 1)
        assert pointer in data
        data = data.replace(pointer, struct.pack("<HHI", tag, 13, 1))
    return data


def test_a_pointer_of_the_type_for_directories() -> None:
    plain = private.block(adobe_rgb=True)
    taken, camera = exif.read(as_directories(plain))
    assert taken is not None
    assert (taken, camera) == exif.read(plain)
    kept = essentials.read(as_directories(plain))
    assert kept.adobe_rgb
    assert kept == essentials.read(plain)


def test_a_picture_that_says_nothing() -> None:
    made = render(encode(scene(80, 60)))
    assert made.taken_at is None
    assert made.camera == {}


@pytest.mark.parametrize(
    "taken",
    ["0000:00:00 00:00:00", "    :  :     :  :  ", "2026-06-21 18:45:12", "yesterday", "2026:02:30 10:00:00", ""],
)
def test_a_time_that_is_none(taken: str) -> None:
    assert exif.read(block(taken=taken).tobytes())[0] is None


@pytest.mark.parametrize("offset", ["+25:00", "Z", "+2", "\x00"])
def test_an_offset_that_is_none(offset: str) -> None:
    taken, camera = exif.read(block(offset=offset).tobytes())
    assert taken is not None
    assert taken.utcoffset() == timedelta(0)
    assert "utc_offset" not in camera


def test_a_time_before_time_is_none() -> None:
    assert exif.read(block(taken="0001:01:01 00:00:00", offset="+13:00").tobytes())[0] is None


@pytest.mark.parametrize(
    ("ratio", "text"),
    [((1, 8000), "1/8000"), ((10, 2500), "1/250"), ((1, 3), "1/3"), ((5, 2), "2.5"), ((30, 1), "30"), ((4, 10), "0.4")],
)
def test_exposure_as_photographers_write_it(ratio: tuple[int, int], text: str) -> None:
    assert exif.read(raw((0x829A, 5, ratio)))[1] == {"exposure": text}


@pytest.mark.parametrize(
    ("entry", "camera"),
    [
        ((0x829A, 5, (1, 0)), {}),
        ((0x829A, 5, (0, 1)), {}),
        ((0x829A, 5, (2**32 - 1, 1)), {}),
        ((0x829D, 5, (0, 10)), {}),
        ((0x920A, 5, (50, 1)), {"focal_length": 50.0}),
        ((0x8827, 3, (0, 0)), {}),
        ((0x8827, 4, (102_400, 0)), {"iso": 102_400}),
        ((0xA433, 2, (0x006B636F, 0)), {}),
    ],
)
def test_values_that_make_no_sense_are_left_out(
    entry: tuple[int, int, tuple[int, int]], camera: dict[str, object]
) -> None:
    assert exif.read(raw(entry))[1] == camera


def test_sensitivity_beyond_sixteen_bits() -> None:
    assert exif.read(raw((0x8827, 3, (65_535, 0)), (0x8833, 4, (204_800, 0))))[1] == {"iso": 204_800}


def test_text_is_made_harmless() -> None:
    image = block()
    image[0x010F], image[0x0110] = "Evil\nCorp\x1b[31m\r", "x" * 5000
    camera = exif.read(image.tobytes())[1]
    assert camera["make"] == "Evil Corp [31m"
    assert camera["model"] == "x" * 100


def test_text_that_turns_around_what_follows_it() -> None:
    assert exif.text("Ca\u202enon\u2066\u200f") == "Ca non"


def test_a_directory_that_points_to_itself_is_read_once() -> None:
    loop = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x8769, 4, 1, 8, 8)
    assert exif.read(loop) == (None, {})


def test_a_directory_of_countless_entries_ends() -> None:
    huge = b"II*\0" + struct.pack("<IH", 8, 65_535) + struct.pack("<HHII", 0x0110, 2, 2**32 - 1, 10) * 600
    assert set(exif.read(huge)[1]) <= {"model"}


def test_text_that_is_no_utf8() -> None:
    image = raw((0xA434, 2, (0x00E96843, 0)), count=4)
    assert exif.read(image)[1] == {"lens": "Ch\xe9"}


@given(st.binary(max_size=400))
def test_rubbish_is_no_metadata(rubbish: bytes) -> None:
    for head in (b"", b"Exif\0\0", b"II*\0\x08\0\0\0", b"Exif\0\0MM\0*\0\0\0\x08"):
        taken, camera = exif.read(head + rubbish)
        assert taken is None or taken.tzinfo is not None
        assert not set(camera) - {*CAMERA, "utc_offset", "local_time", "flash", "orientation"}


@given(st.data())
def test_a_damaged_block_never_fails_a_picture(data: st.DataObject) -> None:
    whole = bytearray(WHOLE)
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=12)):
        whole[at] = data.draw(st.integers(0, 255))
    exif.read(bytes(whole[: data.draw(st.integers(0, len(whole)))]))


WHOLE = block(offset="-03:30").tobytes()


def raw(*entries: tuple[int, int, tuple[int, int]], count: int = 1) -> bytes:
    """A block whose EXIF directory holds these (tag, type, value); a rational's two numbers lie behind it."""
    start = 8 + 2 + 12 + 4
    body, behind = b"", b""
    for tag, kind, (first, second) in sorted(entries):
        value = first
        if kind == 5:
            value = start + 2 + 12 * len(entries) + 4 + len(behind)
            behind += struct.pack("<II", first, second)
        body += struct.pack("<HHII", tag, kind, count, value)
    head = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x8769, 4, 1, start, 0)
    return head + struct.pack("<H", len(entries)) + body + bytes(4) + behind
