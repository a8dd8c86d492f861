"""What a file is, judged by its header alone."""

import contextlib
import re
import struct
import tracemalloc
from collections.abc import Callable

import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.pictures import child, facts
from safelight.pictures.errors import UnreadablePicture
from tests.core.pictures.samples import avif_header, encode, jpeg, many_scans, png, png_bomb, scene, tiff

WHOLE: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: jpeg(300, 200),
    "png": lambda: encode(scene(300, 200), "PNG"),
    "webp": lambda: encode(scene(300, 200), "WEBP"),
    "tiff": lambda: encode(scene(300, 200), "TIFF"),
    "avif": lambda: encode(scene(300, 200), "AVIF"),
}


def refusal(data: bytes, content_type: str | None = None) -> str:
    with pytest.raises(UnreadablePicture) as caught:
        facts.inspect(data, content_type)
    return caught.value.reason


@pytest.mark.parametrize("kind", WHOLE)
def test_each_format_is_known_by_its_bytes(kind: str) -> None:
    found = facts.inspect(WHOLE[kind](), f"image/{kind}; charset=binary")
    assert found.format == kind
    assert (found.header.width, found.header.height, found.header.frames) == (300, 200, 1)


@pytest.mark.parametrize("options", [{"lossless": True}, {"exact": True, "exif": b"Exif\0\0II*\0"}])
def test_every_kind_of_webp_header(options: dict[str, object]) -> None:
    header = facts.inspect(encode(scene(301, 77), "WEBP", **options)).header
    assert (header.width, header.height) == (301, 77)


def test_a_big_endian_tiff_and_a_bigtiff() -> None:
    for prefix, head, entry, end in (
        (b"MM\0*", struct.pack(">IH", 8, 2), ">HHIHH", bytes(4)),
        (b"MM\0+", struct.pack(">HHQQ", 8, 0, 16, 2), ">HHQHHI", bytes(8)),
    ):
        pad = (0,) if prefix == b"MM\0*" else (0, 0)
        body = b"".join(struct.pack(entry, tag, 3, 1, size, *pad) for tag, size in ((256, 640), (257, 480)))
        header = facts.inspect(prefix + head + body + end).header
        assert (header.width, header.height) == (640, 480)


STRANGERS = {
    "empty": (b"", "empty"),
    "zeros": (bytes(4096), "zeros"),
    "PDF": (b"%PDF-1.7\n" + b"x" * 99, "a PDF"),
    "GIF": (encode(scene(40, 30), "GIF"), "a GIF"),
    "SVG": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
    "HTML": (b"\xef\xbb\xbf \n<!DOCTYPE html><script>alert(1)</script>", "a web page"),
    "ZIP": (b"PK\x03\x04" + bytes(40), "a ZIP archive"),
    "MP4": (b"\0\0\0\x18ftypisom" + bytes(40), "a video"),
    "CR3": (b"\0\0\0\x18ftypcrx " + bytes(40), "camera raw"),
    "RAF": (b"FUJIFILMCCD-RAW 0201", "camera raw"),
    "BMP": (encode(scene(40, 30), "BMP"), "a BMP"),
    "PSD": (b"8BPS\0\1" + bytes(40), "Photoshop"),
    "JXL": (b"\xff\x0a" + bytes(40), "JPEG XL"),
    "program": (b"\x7fELF" + bytes(40), "a program"),
    "noise": (b"\x01\x02\x03 nothing in particular", "not a photo"),
    "DNG": (tiff((256, 4, 160), (257, 4, 120), (50706, 4, 0x401)), "camera raw"),
    "NEF": (tiff((254, 4, 1), (256, 4, 160), (257, 4, 120)), "camera raw"),
    "AVIF film": (avif_header(9, 9, b"avis"), "an animation"),
    "GIF in front of a JPEG": (b"GIF89a" + jpeg(), "a GIF"),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_what_is_not_a_photo_is_named(name: str) -> None:
    data, words = STRANGERS[name]
    reason = refusal(data)
    assert words in reason
    assert reason.endswith(".")
    assert not re.search(r"magic|parse|byte|exception|header \d|0x", reason, re.IGNORECASE)


def test_another_format_than_declared() -> None:
    reason = refusal(encode(scene(40, 30), "PNG"), "image/jpeg")
    assert reason == ("This file was sent as JPEG but it is a PNG. Give its name the ending .png and upload it again.")
    assert "image/x-odd" in refusal(jpeg(), "image/x-odd")
    assert facts.inspect(jpeg(), "IMAGE/JPEG").format == "jpeg"


@pytest.mark.parametrize(
    "data",
    [
        png(0, 100),
        png(100, 0),
        jpeg(64, 64).replace(struct.pack(">HH", 64, 64), struct.pack(">HH", 0, 64), 1),
        tiff((256, 4, 0), (257, 4, 50)),
        avif_header(0, 9),
    ],
)
def test_pictures_without_a_size(data: bytes) -> None:
    assert "no picture in it" in refusal(data)


@pytest.mark.parametrize(
    "data",
    [
        png_bomb(1, 1)[:8] + png(20_000, 20_000)[8:],
        png(150_000, 2),
        tiff((256, 4, 2**31), (257, 4, 2**31)),
        avif_header(65_535, 65_535),
        jpeg(64, 64).replace(struct.pack(">HH", 64, 64), struct.pack(">HH", 65_000, 65_000), 1),
    ],
)
def test_more_pixels_than_the_cap_are_refused_without_memory(data: bytes) -> None:
    tracemalloc.start()
    assert "200 megapixels" in refusal(data)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_the_cap_itself_is_allowed() -> None:
    assert facts.inspect(png(20_000, 10_000)).header.width == 20_000
    refusal(png(20_000, 10_001))


def test_frames() -> None:
    frames = [scene(20, 20, seed) for seed in range(5)]
    for kind in ("WEBP", "PNG", "TIFF"):
        data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
        assert facts.inspect(data).header.frames == 5
    control = struct.pack(">I4sII", 8, b"acTL", 1_000_000, 0) + bytes(4)
    assert "1,000,000 frames" in refusal(png(20, 20, extra=control))


def test_a_tiff_whose_pages_point_at_each_other_ends() -> None:
    assert facts.inspect(tiff((256, 4, 10), (257, 4, 10), following=8)).header.frames == 1


def test_a_tiff_whose_chain_leads_nowhere_still_has_its_first_page() -> None:
    for following in (10_000, 2**32 - 1):
        header = facts.inspect(tiff((256, 4, 10), (257, 4, 10), following=following)).header
        assert (header.width, header.frames) == (10, 1)
    assert "damaged" in refusal(b"II*\0" + struct.pack("<I", 10_000))


def test_a_jpeg_of_hundreds_of_passes() -> None:
    assert 2 <= facts.inspect(encode(scene(64, 64), "JPEG", progressive=True)).header.scans <= 12
    assert "passes" in refusal(many_scans(64, 64, 200))


def test_passes_are_counted_to_the_end_of_the_image_and_no_further() -> None:
    # A phone appends a film to the picture; whatever is in there is not part of it.
    assert facts.inspect(jpeg() + b"\xff\xda\0\2" * 500).header.scans == 1


def test_a_progressive_jpeg_too_large_to_be_held() -> None:
    data = encode(scene(64, 64), "JPEG", progressive=True, subsampling=0)
    grown = data.replace(struct.pack(">HH", 64, 64), struct.pack(">HH", 14_000, 14_000), 1)
    assert "not progressive" in refusal(grown)
    baseline = jpeg(64, 64, subsampling=0).replace(struct.pack(">HH", 64, 64), struct.pack(">HH", 14_000, 14_000), 1)
    assert facts.inspect(baseline).header.working_set == 0


def webp_header(width: int, height: int, *chunks: bytes) -> bytes:
    """A WebP in the extended form up to these chunks, which are empty."""
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sides + b"".join(kind + bytes(4) for kind in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    ("make", "sides", "megapixels"),
    [
        (avif_header, (8000, 6000), "48.0"),
        (webp_header, (12_000, 10_000), "120.0"),
        (lambda width, height: webp_header(width, height, b"ALPH"), (10_000, 10_000), "100.0"),
        (lambda width, height: webp_header(width, height, b"VP8L"), (10_000, 10_000), "100.0"),
        (lambda width, height: webp_header(width, height, b"ANMF", b"ANMF"), (7500, 5000), "37.5"),
    ],
)
def test_the_limit_of_what_is_decoded_whole_is_named(
    make: Callable[[int, int], bytes], sides: tuple[int, int], megapixels: str
) -> None:
    width, height = sides
    assert facts.inspect(make(width, height)).header.width == width
    told = refusal(make(width, height + 100))
    assert "too much memory" in told
    assert f" {megapixels} is the limit for it" in told


def test_an_avif_of_the_most_pixels_is_opened() -> None:
    width, height = 8000, 6000
    plain = (pyvips.Image.black(width, height, bands=3) + 90).cast("uchar").copy(interpretation="srgb")
    data: bytes = plain.heifsave_buffer(compression="av1", effort=0, subsample_mode="off")
    made = child.render(data)
    assert (made.width, made.height) == (width, height)
    size = struct.pack(">II", width, height)
    assert size in data
    assert "48.0 is the limit for it" in refusal(data.replace(size, struct.pack(">II", width, height + 1)))


@pytest.mark.parametrize("kind", WHOLE)
@settings(max_examples=150, deadline=None)
@given(cut=st.integers(0, 400), edits=st.lists(st.tuples(st.integers(0, 399), st.integers(0, 255)), max_size=6))
def test_a_broken_header_is_refused_or_accepted_and_nothing_else(
    kind: str, cut: int, edits: list[tuple[int, int]]
) -> None:
    data = bytearray(SOUND[kind])
    for at, value in edits:
        data[at] = value
    with contextlib.suppress(UnreadablePicture):
        found = facts.inspect(bytes(data[: len(data) - cut] if cut else data))
        assert 1 <= found.header.width * found.header.height <= facts.MAX_PIXELS


SOUND = {kind: make() for kind, make in WHOLE.items()}


def box(kind: bytes, body: bytes, *, wide: bool = False) -> bytes:
    """A box of an AVIF file, with its length in 32 or 64 bits."""
    if wide:
        return struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body
    return struct.pack(">I4s", 8 + len(body), kind) + body


def test_boxes_of_every_length() -> None:
    """The largest of several sizes counts: a grid's tiles have sizes of their own."""
    head = box(b"ftyp", b"avif" + bytes(4) + b"mif1")
    sizes = b"".join(box(b"ispe", struct.pack(">III", 0, *size)) for size in ((512, 512), (4000, 3000), (256, 256)))
    meta = bytes(4) + box(b"iprp", box(b"ipco", sizes, wide=True))
    for data in (
        head + box(b"meta", meta, wide=True),
        head + box(b"mdat", bytes(99)) + struct.pack(">I4s", 0, b"meta") + meta,
    ):
        header = facts.inspect(data).header
        assert (header.width, header.height) == (4000, 3000)
    assert "damaged" in refusal(head + struct.pack(">I4s", 4, b"meta") + meta)
    assert "damaged" in refusal(head + box(b"meta", bytes(4)))


def test_a_property_said_to_be_the_pictures_millions_of_times_counts_once() -> None:
    """Each of the colours is looked up among them, and a list of millions takes long to search."""
    colour = box(b"colr", b"nclx" + struct.pack(">HHHB", 12, 13, 0, 128))
    properties = box(b"ispe", struct.pack(">III", 0, 640, 480)) + colour * 50
    mine = box(
        b"ipma", struct.pack(">II", 0, 10_000) + (struct.pack(">HB", 1, 255) + bytes([0x80 | 51] * 255)) * 10_000
    )
    meta = bytes(4) + box(b"pitm", bytes(4) + b"\0\1") + box(b"iprp", box(b"ipco", properties) + mine)
    data = box(b"ftyp", b"avif" + bytes(4) + b"mif1") + box(b"meta", meta)
    tracemalloc.start()
    assert facts.inspect(data).header.nclx == (12, 13)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    "data",
    [
        b"RIFF\x20\0\0\0WEBPVP8 \x0a\0\0\0" + bytes(10),
        b"RIFF\x20\0\0\0WEBPVP8L\x0a\0\0\0" + bytes(10),
        png(9, 9).replace(b"IHDR", b"JUNK"),
        b"\xff\xd8\xff\xe0\0\x04ab\xff\xd9",
        b"\xff\xd8\xff\xda\0\x04ab\xff\xd9",
        b"\xff\xd8\xff\xc0\0\x0b\x08\0\x09\0\x09\x01\x01\0\0\xff\xda\0\x04ab",
    ],
    ids=["no key frame", "no signature", "no header", "no picture", "a scan first", "no samples"],
)
def test_headers_that_are_none(data: bytes) -> None:
    assert "header cannot be read" in refusal(data)
