"""The size of a picture: a header that tells one size here and another to the decoder gains nothing."""

import struct
from collections.abc import Callable

import pytest
import pyvips

from safelight.pictures import facts
from safelight.pictures.errors import UnreadablePicture
from safelight.pictures.headers import PARSERS, Header
from safelight.pictures.render import render
from tests.core.pictures.samples import encode, jpeg, png, scene, tiff

LIMIT = "more than the limit of 200 megapixels"


def bigtiff(*entries: tuple[int, int, int]) -> bytes:
    """A little-endian BigTIFF of one directory of (tag, type, value)."""
    body = b"".join(struct.pack("<HHQQ", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, len(entries)) + body + bytes(8)


@pytest.mark.parametrize(
    ("make", "kinds"), [(tiff, (4, 9, 13)), (bigtiff, (4, 9, 13, 16, 17, 18))], ids=["tiff", "bigtiff"]
)
def test_a_tiff_says_its_size_in_any_type_of_whole_numbers(make: Callable[..., bytes], kinds: tuple[int, ...]) -> None:
    for kind in kinds:
        header = facts.inspect(make((256, kind, 70_000), (257, 3, 90))).header
        assert (header.width, header.height) == (70_000, 90)
        with pytest.raises(UnreadablePicture, match=LIMIT):
            facts.inspect(make((256, kind, 80_000), (257, 3, 5000)))


@pytest.mark.parametrize(
    ("make", "kinds"), [(tiff, (2, 5, 7, 10, 11, 12, 16, 17, 18)), (bigtiff, (2, 5, 11))], ids=["tiff", "bigtiff"]
)
def test_a_tiff_whose_size_is_no_number_is_damaged(make: Callable[..., bytes], kinds: tuple[int, ...]) -> None:
    for kind in kinds:
        with pytest.raises(UnreadablePicture, match="damaged"):
            facts.inspect(make((256, kind, 90), (257, 3, 90)))


def test_of_two_sizes_in_a_tiff_the_first_counts() -> None:
    with pytest.raises(UnreadablePicture, match=LIMIT):
        facts.inspect(tiff((256, 4, 80_000), (256, 3, 10), (257, 3, 5000)))


def test_a_canvas_behind_a_plain_webp_says_nothing() -> None:
    data = encode(scene(64, 48), "WEBP") + b"VP8X" + struct.pack("<I", 10) + bytes(10)
    header = facts.inspect(data).header
    assert (header.width, header.height) == (64, 48)


def grown(kind: str, form: str, width: int, height: int) -> bytes:
    """A file of 64 by 64 px that says another size."""
    data = encode(scene(64, 64), kind)
    size = struct.pack(form, 64, 64)
    assert size in data
    return data.replace(size, struct.pack(form, width, height))


HUGE: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: jpeg(64, 64).replace(struct.pack(">HH", 64, 64), struct.pack(">HH", 10_001, 20_000), 1),
    "png": lambda: png(20_001, 10_000),
    "webp": lambda: grown("WEBP", "<HH", 16_383, 16_383),
    "tiff": lambda: pyvips.Image.black(20_001, 10_000).tiffsave_buffer(compression="deflate"),
    "heic": lambda: grown("HEIF", ">II", 20_001, 10_000),
    "avif": lambda: grown("AVIF", ">II", 20_001, 10_000),
}


@pytest.mark.parametrize("kind", HUGE)
def test_the_size_that_a_decoder_finds_is_judged_before_it_decodes(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = HUGE[kind]()
    monkeypatch.setitem(PARSERS, kind, lambda _: Header(1, 1))
    with pytest.raises(UnreadablePicture, match=LIMIT):
        render(data)


def test_so_is_what_the_decoder_would_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    data = grown("WEBP", "<HH", 12_000, 10_001)
    monkeypatch.setitem(PARSERS, "webp", lambda _: Header(100, 100, working_set=50_000))
    with pytest.raises(UnreadablePicture, match=r"120\.0 is the limit"):
        render(data)
