"""The clean file: nothing about people in it, and the very same picture."""

import hashlib
import io
import itertools
import random
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress

import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from safelight.pictures import exif
from safelight.pictures.errors import UnreadablePicture
from safelight.pictures.facts import inspect
from safelight.pictures.profiles import is_srgb
from safelight.pictures.render import render
from safelight.pictures.strip import CannotStrip, strip
from safelight.pictures.strip.essentials import Essentials, build
from safelight.splice import MAX_LITERAL, MAX_PIECES, Splice
from tests.core.pictures import boxed, hidden, private
from tests.core.pictures.samples import SRGB, encode, scene

MADE = {name: make() for name, make in private.FILES.items()}


def cleaned(data: bytes) -> bytes:
    return strip(data, inspect(data).format).applied(data)


def pillow(data: bytes) -> tuple[str, tuple[int, int], str]:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        upright = ImageOps.exif_transpose(image)
        return upright.mode, upright.size, hashlib.sha256(upright.tobytes()).hexdigest()


def vips(data: bytes) -> tuple[int, int, str]:
    image = pyvips.Image.new_from_buffer(data, "").autorot()
    return image.width, image.height, hashlib.sha256(image.write_to_memory()).hexdigest()


def assert_private(clean: bytes) -> None:
    """No mark, by a search through the bytes, nor through what an independent reader finds in them."""
    assert private.MARK not in clean
    assert not any(place in clean for place in private.POSITIONS)
    with Image.open(io.BytesIO(clean)) as image:
        told = image.getexif()
        details, gps = told.get_ifd(0x8769), told.get_ifd(0x8825)
        info = {key: value for key, value in image.info.items() if key not in ("exif", "icc_profile")}
        assert not gps
        assert not set(details) - {0xA001, 0xA005}
        assert "CANARY" not in repr((dict(told), details, info))
        assert not {"comment", "photoshop", "mp", "mpoffset", "parsed_exif"} & info.keys()
        assert info.get("xmp") in (None, b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>')


@pytest.mark.parametrize("name", MADE)
def test_the_picture_is_the_same_and_says_nothing(name: str) -> None:
    data = MADE[name]
    assert private.MARK in data
    clean = cleaned(data)
    assert_private(clean)
    assert pillow(clean) == pillow(data)
    if inspect(data).format != "heic":  # for which libvips has no decoder here
        assert vips(clean) == vips(data)


@pytest.mark.parametrize("name", MADE)
def test_colours_and_copyright_stay(name: str) -> None:
    with Image.open(io.BytesIO(MADE[name])) as before, Image.open(io.BytesIO(cleaned(MADE[name]))) as after:
        assert after.info.get("icc_profile") == before.info.get("icc_profile")
        assert after.getexif()[0x8298] == private.NOTICE


@pytest.mark.parametrize("name", MADE)
def test_cleaning_again_changes_nothing(name: str) -> None:
    clean = cleaned(MADE[name])
    assert strip(clean, inspect(clean).format).same


def test_a_plain_file_is_clean_already() -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        data = encode(scene(90, 60), kind, icc_profile=SRGB)
        assert strip(data, inspect(data).format) == Splice(len(data), ((0, len(data)),))


def test_adobe_rgb_without_a_profile_is_still_told() -> None:
    with Image.open(io.BytesIO(cleaned(MADE["jpeg, adobe rgb by a sign"]))) as image:
        details = image.getexif().get_ifd(0x8769)
        assert details[0xA001] == 0xFFFF
        assert image.getexif().get_ifd(0xA005)[1] == "R03"


def test_a_splice_list_is_small() -> None:
    for data in MADE.values():
        made = strip(data, inspect(data).format)
        assert len(made.pieces) < 25
        assert sum(len(piece) for piece in made.pieces if isinstance(piece, bytes)) < 2000


def test_only_the_first_picture_of_several_is_kept() -> None:
    """A JPEG with another one behind it (MPF) and a TIFF of two pages."""
    assert cleaned(MADE["jpeg, baseline"]).count(b"\xff\xd8\xff") == 1
    with Image.open(io.BytesIO(cleaned(MADE["tiff"]))) as image:
        assert getattr(image, "n_frames", 1) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:2],
        lambda data: data.replace(b"\xff\xd9", b"\xff\x00"),
        lambda data: data.replace(b"\xff\xdb\x00\x43", b"\xff\xdb\x00\x44", 1),
        lambda data: data.replace(b"\xff\xda", b"\xff\xd8", 1),
        lambda data: data[:2] + private.segment(0xE1, b"Exif\0\0" + private.block(6)) + data[2:],
        lambda data: data[:2] + private.segment(0xF0, b"CANARY") + data[2:],
        lambda data: data[:2] + b"\xff\xe1\x00\x01" + data[2:],
    ],
)
def test_a_jpeg_that_is_not_understood_is_refused(damage: Callable[[bytes], bytes]) -> None:
    plain = encode(scene(40, 30), "JPEG")
    data = plain[:20] + private.segment(0xE1, b"Exif\0\0" + build(Essentials(3))) + plain[20:]
    assert strip(data, "jpeg").same
    assert damage(data) != data
    with pytest.raises(CannotStrip):
        strip(damage(data), "jpeg")


def test_a_png_whose_chunk_swallows_its_neighbour_is_refused() -> None:
    data = bytearray(MADE["png"])
    at = data.index(b"IDAT") - 4
    (length,) = struct.unpack_from(">I", data, at)
    struct.pack_into(">I", data, at, length + 12 + 8 + len(b"Location\0CANARY-LATE-TEXT"))
    with pytest.raises(CannotStrip):
        strip(bytes(data), "png")


def test_an_avif_whose_picture_reaches_into_its_metadata_is_refused() -> None:
    data = bytearray(MADE["avif"])
    at = data.index(b"iloc")
    # version 0 of libavif's writer: 4 and 4 bytes, items with one part each; the first item is the picture
    assert data[at + 4] == 0
    picture = at + 4 + 4 + 2 + 2
    assert struct.unpack_from(">H", data, picture)[0] == 1
    (length,) = struct.unpack_from(">I", data, picture + 2 + 2 + 2 + 4)
    struct.pack_into(">I", data, picture + 2 + 2 + 2, struct.unpack_from(">I", data, picture + 2 + 2 + 2)[0] - 40)
    assert length
    with pytest.raises(CannotStrip):
        strip(bytes(data), "avif")


def test_pieces_beyond_a_splice_list_are_refused() -> None:
    moving = encode(
        scene(16, 16),
        "WEBP",
        save_all=True,
        append_images=[scene(16, 16, seed) for seed in range(2, 60)],
        lossless=True,
    )
    assert len(strip(moving, "webp").pieces) <= MAX_PIECES
    data = private.planted(encode(scene(40, 30), "JPEG"))
    split = data.index(b"\xff\xda")
    many = data[:split] + (private.segment(0xDD, b"\0\0") + private.segment(0xFE, b"x")) * 3000 + data[split:]
    with pytest.raises(CannotStrip):
        strip(many, "jpeg")


def mutated(data: bytes, dice: random.Random) -> bytes:
    """A few bytes changed, a part cut out, doubled or swapped: mostly within the headers, where it matters."""
    out = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(min(len(out), dice.choice((64, 2000, len(data))))) if out else 0
        how = dice.random() if out else 1
        if how < 0.6:
            out[at] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
        elif how < 0.75:
            del out[at : at + dice.randint(1, 40)]
        elif how < 0.9:
            out[at:at] = out[at : at + dice.randint(1, 40)]
        else:
            del out[at:]
    return bytes(out)


def notice(clean: bytes, kind: str) -> bytes:
    """The copyright notice in a clean file, by our own reading."""
    at = 0 if kind == "tiff" else max(clean.find(b"MM\0*"), clean.find(b"II*\0"))
    told = exif.select(clean[max(at, 0) :], {0x8298}, set()).get(0x8298)
    return told.encode("latin-1" if kind == "tiff" else "utf-8") if isinstance(told, str) and told else b"\0no notice"


def refuses_or_is_private(data: bytes, kind: str) -> bool:
    """Whether it was refused; otherwise the list must be sound and nothing marked may be in the file."""
    try:
        made = strip(data, kind)
    except CannotStrip:
        return True
    assert made.whole == len(data)
    for piece in made.pieces:
        if isinstance(piece, tuple):
            assert 0 <= piece[0] < piece[1] <= len(data)
    assert len(made.pieces) <= MAX_PIECES
    assert sum(len(piece) for piece in made.pieces if isinstance(piece, bytes)) <= MAX_LITERAL
    clean = made.applied(data)
    assert len(clean) == made.size
    # What a damaged file calls its copyright notice is that: its pointer may lead to any other text.
    clean = clean.replace(notice(clean, kind), b"")
    assert private.MARK not in clean
    assert not any(place in clean for place in private.POSITIONS)
    return False


@pytest.mark.parametrize("name", MADE)
def test_damaged_files_are_refused_or_clean(name: str) -> None:
    data = MADE[name]
    kind = inspect(data).format
    dice = random.Random(name)
    refused = 0
    for _ in range(400):
        refused += refuses_or_is_private(mutated(data, dice), kind)
    assert refused  # the damage does reach what matters


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff", "heic", "avif"])
@given(data=st.binary(max_size=300))
def test_rubbish_is_refused(kind: str, data: bytes) -> None:
    heads = {
        "jpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n", "webp": b"RIFF\x40\0\0\0WEBP", "tiff": b"II*\0\x08\0\0\0",
        "heic": b"\0\0\0\x10ftypheic\0\0\0\0", "avif": b"\0\0\0\x10ftypavif\0\0\0\0",
    }  # fmt: skip
    refuses_or_is_private(heads[kind] + data, kind)


def test_a_damaged_file_that_still_opens_shows_the_same_when_clean() -> None:
    """Where both decode, they decode alike: the splicer never touches the picture itself."""
    dice = random.Random(11)
    compared = 0
    for name in ("jpeg, baseline", "jpeg, progressive", "png", "webp, lossless, turned", "tiff", "avif"):
        for _ in range(60):
            data = mutated(MADE[name], dice)
            try:
                kind = inspect(data).format
                clean = strip(data, kind).applied(data)
                before = vips(data)
            except (CannotStrip, UnreadablePicture, pyvips.Error):
                continue
            assert vips(clean) == before
            compared += 1
    assert compared > 30


def assert_hidden_no_more(data: bytes) -> None:
    """No mark in the clean file, not in what it unpacks to either, and the picture is the same."""
    assert private.MARK in data
    kind = inspect(data).format
    clean = cleaned(data)
    assert private.MARK not in clean
    for start in range(len(clean) - 2):
        if clean[start] == 0x78 and clean[start + 1] in (0x01, 0x5E, 0x9C, 0xDA):
            with suppress(zlib.error):
                assert private.MARK not in zlib.decompressobj().decompress(clean[start:])
    with Image.open(io.BytesIO(clean)) as image:
        assert b"CANARY" not in image.info.get("icc_profile", b"")
    if kind == "heic":
        assert pillow(clean) == pillow(data)
    else:
        assert vips(clean) == vips(data)
    assert strip(clean, kind).same


@pytest.mark.parametrize("name", hidden.TIFFS)
def test_nothing_stays_in_the_strips_and_tables_of_a_tiff(name: str) -> None:
    assert_hidden_no_more(hidden.TIFFS[name]())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF"])
@pytest.mark.parametrize("name", hidden.PROFILES)
def test_a_profile_says_colours_only(kind: str, name: str) -> None:
    data = hidden.with_profile(kind, hidden.PROFILES[name]())
    clean = cleaned(data)
    with Image.open(io.BytesIO(clean)) as image:
        profile = image.info.get("icc_profile")
    assert private.MARK not in clean
    assert pillow(clean) == pillow(data)
    if name == "no profile at all":
        assert not profile
    else:
        assert profile
        assert private.MARK not in profile
        assert is_srgb(profile)
    if profile and name == "junk behind":
        assert profile.rstrip(b"\0") == SRGB.rstrip(b"\0")
    assert strip(clean, inspect(clean).format).same


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (2, 1, 0)])
@pytest.mark.parametrize("name", ["junk behind", "a private tag"])
def test_a_profile_in_parts_says_colours_only(name: str, order: tuple[int, ...]) -> None:
    plain = encode(scene(90, 60), "JPEG")
    data = plain[:20] + private.profile_in_parts(hidden.PROFILES[name](), order) + plain[20:]
    assert_the_same_colours(data)
    with Image.open(io.BytesIO(cleaned(data))) as image:
        profile = image.info["icc_profile"]
    assert is_srgb(profile)
    assert name != "junk behind" or profile == SRGB


@pytest.mark.parametrize("name", boxed.HIDDEN)
def test_nothing_stays_in_the_boxes_and_units_of_a_heic_or_avif(name: str) -> None:
    data = boxed.HIDDEN[name]().data()
    assert_the_same_colours(data)
    with Image.open(io.BytesIO(cleaned(data))) as image:
        assert is_srgb(image.info["icc_profile"])


def assert_the_same_colours(data: bytes) -> None:
    """No mark, the same pixels by another reader and the same renditions by ours, and clean already from then on."""
    assert private.MARK in data
    clean = cleaned(data)
    assert private.MARK not in clean
    assert pillow(clean) == pillow(data)
    assert render(clean).renditions == render(data).renditions
    assert strip(clean, inspect(clean).format).same


@pytest.mark.parametrize("cuts", [(1,), (4, 70), (3, 9, 12, 40, 60)])
@pytest.mark.parametrize("name", ["heic, a message in the picture", "avif, a message in the picture"])
def test_a_picture_in_several_parts(name: str, cuts: tuple[int, ...]) -> None:
    """Older releases of libheif place each unit on its own; a part may also end anywhere within a unit."""
    made = boxed.HIDDEN[name]()
    [content] = made.items[1]
    made.items[1] = [content[start:stop] for start, stop in itertools.pairwise((0, *cuts, len(content)))]
    data = made.data()
    # A cut through the mark itself hides it from a search: what the parts make together is looked through.
    assert private.MARK in b"".join(made.items[1])
    clean = cleaned(data)
    assert private.MARK not in b"".join(boxed.parts(clean)[1])
    assert len(boxed.parts(clean)[1]) == len(cuts) + 1
    assert pillow(clean) == pillow(data)
    assert strip(clean, inspect(clean).format).same


def test_parts_that_lie_upon_one_another_are_refused() -> None:
    made = boxed.still("AVIF")
    content = made.items[1][0]
    made.items[1] = [content[:9], content[9:]]
    data = made.data()
    table = struct.pack(">HHH", 1, 0, 2)
    assert data.count(table) == 1
    first = data.index(table) + len(table)
    whole = struct.pack(">II", data.index(content), len(content))
    lying = data[:first] + whole * 2 + data[first + 16 :]
    assert not strip(data, "avif").same
    with pytest.raises(CannotStrip):
        strip(lying, "avif")


@pytest.mark.parametrize("kind", [22, 31, 41, 63])
def test_units_that_no_decoder_looks_at_become_filling(kind: int) -> None:
    made = boxed.still("HEIF")
    unit = bytes([kind << 1, 1]) + boxed.SECRET
    made.items[1] = [struct.pack(">I", len(unit)) + unit + made.items[1][0]]
    assert private.MARK not in cleaned(made.data())


@pytest.mark.parametrize("kind", [2, 5, 8, 9, 14, 15])
def test_av1_units_that_are_no_picture_become_filling(kind: int) -> None:
    made = boxed.still("AVIF")
    unit = bytes([kind << 3 | 2, len(boxed.SECRET)]) + boxed.SECRET
    made.items[1] = [unit + made.items[1][0]]
    clean = cleaned(made.data())
    assert private.MARK not in clean
    assert vips(clean) == vips(boxed.still("AVIF").data())


@pytest.mark.parametrize("seed", range(20))
def test_a_mark_anywhere_is_found(seed: int) -> None:
    dice = random.Random(seed)
    for data in (hidden.jpeg(dice), hidden.png(dice), hidden.webp(dice)):
        assert_hidden_no_more(data)
    assert_hidden_no_more(hidden.heif("HEIF" if seed % 2 else "AVIF", dice))


@pytest.mark.parametrize("kind", [b"ALPH", b"VP8 ", b"VP8L"])
def test_a_webp_has_one_picture(kind: bytes) -> None:
    plain = encode(scene(90, 60), "WEBP", icc_profile=SRGB)
    second = kind + struct.pack("<I", 12) + private.MARK * 2
    data = b"RIFF" + struct.pack("<I", len(plain) - 8 + len(second)) + plain[8:] + second
    assert strip(data, "webp").applied(data) == plain
