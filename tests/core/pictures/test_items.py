"""HEIC and AVIF files with items beside their picture, as cameras and programs write them."""

import io
import struct
from collections.abc import Callable

import pytest
from PIL import Image

from safelight.pictures.render import render
from safelight.pictures.strip import CannotStrip, strip
from safelight.pictures.strip.locations import locations
from tests.core.pictures import boxed, private
from tests.core.pictures.samples import encode, scene
from tests.core.pictures.test_strip import cleaned, pillow

KINDS = ["HEIF", "AVIF"]


def add(made: boxed.Still, kind: bytes, content: bytes, *references: tuple[bytes, int], names: bytes = b"\0") -> int:
    """One more item, with references from it; its number."""
    number = max(made.items) + 50
    entry = boxed.box(b"infe", b"\2\0\0\1" + struct.pack(">HH4s", number, 0, kind) + names)
    made.change(
        b"iinf", lambda body: body[:4] + struct.pack(">H", int.from_bytes(body[4:6], "big") + 1) + body[6:] + entry
    )
    more = b"".join(boxed.box(name, struct.pack(">HHH", number, 1, target)) for name, target in references)
    if not any(name == b"iref" for name, _ in made.meta):
        made.meta.append((b"iref", bytes(4)))
    made.change(b"iref", lambda body: body + more)
    made.items[number] = [content]
    return number


def as_first(made: boxed.Still, number: int) -> None:
    """Give an item the properties of the first picture."""

    def also(body: bytes) -> bytes:
        assert (body[0], body[3], body[8:10]) == (0, 0, b"\0\1")
        properties = body[10 : 11 + body[10]]
        return (
            body[:4]
            + struct.pack(">I", int.from_bytes(body[4:8], "big") + 1)
            + body[8:]
            + struct.pack(">H", number)
            + properties
        )

    made.change(b"ipma", also)


def jpeg() -> bytes:
    """A small JPEG that tells everything."""
    return private.planted(encode(scene(48, 32), "JPEG"))


def opened(data: bytes) -> int:
    """How many pictures libheif finds, thumbnails not among them."""
    with Image.open(io.BytesIO(data)) as image:
        return int(getattr(image, "n_frames", 1))


def assert_clean(made: boxed.Still) -> bytes:
    """The clean file, which says nothing and looks the same."""
    data = made.data()
    clean = cleaned(data)
    assert len(clean) == len(data)
    assert private.MARK in data
    assert private.MARK not in clean
    assert pillow(clean) == pillow(data)
    assert render(clean).renditions == render(data).renditions
    assert strip(clean, "heic" if b"hvc1" in clean else "avif").same
    return clean


@pytest.mark.parametrize("kind", KINDS)
def test_a_thumbnail_as_jpeg_goes(kind: str) -> None:
    """As Sony's cameras add one beside a larger one."""
    made = boxed.still(kind)
    number = add(made, b"jpeg", jpeg(), (b"thmb", 1))
    clean = assert_clean(made)
    assert boxed.parts(clean)[number] == [b"\0"]
    assert not any(one in clean for one in (b"jpeg", b"thmb", b"\xff\xd8\xff"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_thumbnail_of_the_same_codec_goes(kind: str) -> None:
    made = boxed.still(kind)
    number = add(
        made, b"hvc1" if kind == "HEIF" else b"av01", made.items[1][0], (b"thmb", 1), names=private.MARK + b"\0"
    )
    as_first(made, number)
    clean = assert_clean(made)
    assert boxed.parts(clean)[number] == [b"\0"]
    assert b"thmb" not in clean
    if kind == "HEIF":
        assert opened(clean) == opened(made.data()) == 1


def test_a_thumbnail_of_tiles_goes_with_its_tiles_and_its_transparency() -> None:
    made = boxed.still("HEIF")
    tile = add(made, b"hvc1", made.items[1][0], names=private.MARK + b"\0")
    as_first(made, tile)
    grid = add(made, b"grid", b"\0\0\0\0" + struct.pack(">HH", 90, 60), (b"dimg", tile), (b"thmb", 1))
    as_first(made, grid)
    assert_clean(made)
    beside = add(made, b"hvc1", made.items[1][0], (b"auxl", grid))
    clean = boxed.parts(cleaned(made.data()))
    assert [clean[number] for number in (tile, grid, beside)] == [[b"\0"]] * 3
    assert clean[1] == made.items[1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [b"iptc", b"CNRY", b"rgan", b"mime", b"uri "])
def test_what_tells_about_a_picture_is_emptied(kind: str, name: bytes) -> None:
    made = boxed.still(kind)
    number = add(made, name, boxed.SECRET * 9, (b"cdsc", 1), names=b"\0text/" + boxed.SECRET + b"\0")
    clean = assert_clean(made)
    assert made.items[number][0] == boxed.SECRET * 9
    assert len(boxed.parts(clean)[number][0]) < 40
    assert name in (b"mime", b"uri ") or name not in clean


def test_a_block_in_two_parts_is_emptied() -> None:
    made = boxed.still("HEIF")
    block = b"\0\0\0\6Exif\0\0" + private.block(6)
    number = add(made, b"Exif", block, (b"cdsc", 1))
    made.items[number] = [block[:300], block[300:]]
    with Image.open(io.BytesIO(assert_clean(made))) as image:
        assert image.getexif()[0x8298] == private.NOTICE


def test_a_picture_as_jpeg_says_nothing_beside_the_picture() -> None:
    made = boxed.still("HEIF")
    number = add(made, b"jpeg", jpeg())
    clean = cleaned(made.data())
    assert private.MARK in made.data()
    assert private.MARK not in clean
    [kept] = boxed.parts(clean)[number]
    assert pillow(kept)[1:] == pillow(jpeg())[1:]


@pytest.mark.parametrize("reference", [b"dimg", b"auxl"])
def test_a_picture_that_needs_an_item_of_no_known_kind_is_refused(reference: bytes) -> None:
    made = boxed.still("HEIF")
    if reference == b"auxl":
        add(made, b"CNRY", boxed.SECRET, (b"auxl", 1))
    else:
        other = add(made, b"CNRY", boxed.SECRET)
        add(made, b"iden", b"\0", (b"dimg", other))
    with pytest.raises(CannotStrip):
        strip(made.data(), "heic")


@pytest.mark.parametrize(
    "damage",
    [
        lambda body: body + boxed.box(b"thmb", struct.pack(">HHH", 1, 2, 1)),
        lambda body: body + boxed.box(b"thmb", struct.pack(">HHH", 1, 1, 1) + boxed.SECRET),
    ],
)
def test_references_that_hold_more_are_refused(damage: Callable[[bytes], bytes]) -> None:
    made = boxed.still("HEIF")
    add(made, b"iptc", boxed.SECRET, (b"cdsc", 1))
    made.change(b"iref", damage)
    with pytest.raises(CannotStrip):
        strip(made.data(), "heic")


def test_an_item_of_two_kinds_is_refused() -> None:
    made = boxed.still("HEIF")
    made.change(
        b"iinf",
        lambda body: body + boxed.box(b"infe", b"\2\0\0\0" + struct.pack(">HH4s", 1, 0, b"uri ") + boxed.SECRET),
    )
    with pytest.raises(CannotStrip):
        strip(made.data(), "heic")


@pytest.mark.parametrize("group", [struct.pack(">III", 0, 77, 1) + private.MARK[:4], b"\0\0\0\0CNRY\0\0\0\1\0\0\0\1"])
def test_groups_hold_pictures_only(group: bytes) -> None:
    made = boxed.still("HEIF")
    made.meta.append((b"grpl", boxed.box(b"altr", group)))
    clean = cleaned(made.data())
    assert private.MARK[:4] not in clean
    assert b"CNRY" not in clean
    made.meta[-1] = (b"grpl", boxed.box(b"altr", struct.pack(">IIII", 0, 77, 1, 1)))
    assert b"altr" in cleaned(made.data())


@pytest.mark.parametrize("kind", KINDS)
def test_media_up_to_the_end_of_the_file(kind: str) -> None:
    made = boxed.still(kind)
    add(made, b"iptc", boxed.SECRET, (b"cdsc", 1))
    data = bytearray(made.data() + boxed.SECRET)
    at = data.index(b"mdat") - 4
    data[at : at + 4] = bytes(4)
    clean = cleaned(bytes(data))
    assert private.MARK not in clean
    assert pillow(clean) == pillow(bytes(data))


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_of_places_holds_places_only(kind: str) -> None:
    made = boxed.still(kind)
    made.behind = boxed.SECRET
    with pytest.raises(CannotStrip):
        strip(made.data(), "heic" if kind == "HEIF" else "avif")
    made.behind = bytes(4)
    add(made, b"iptc", boxed.SECRET, (b"cdsc", 1))
    assert_clean(made)


@pytest.mark.parametrize(("method", "index", "sound"), [(0, 1, True), (0x4750, 1, False), (0, 0x47505320, False)])
def test_numbers_in_a_table_of_places_that_mean_nothing(method: int, index: int, sound: bool) -> None:
    table = struct.pack(">IBBHHHHHIII", 1 << 24, 0x44, 4, 1, 1, method, 0, 1, index, 8, 4)
    if sound:
        [place] = locations(table, 0, len(table), 0)
        assert (place.item, place.extents[0][:2]) == (1, (8, 12))
    else:
        with pytest.raises(ValueError, match=r"another item|elsewhere"):
            locations(table, 0, len(table), 0)


# A grid with sizes of two bytes, and of four; an overlay of one picture; gain maps of one channel, and of three.
DERIVED = [
    (b"grid", b"\0\0\0\0" + struct.pack(">HH", 90, 60)),
    (b"grid", b"\0\1\0\0" + struct.pack(">II", 90, 60)),
    (b"iovl", b"\0\0" + struct.pack(">4H2H2h", 0, 0, 0, 0xFFFF, 90, 60, 5, -5)),
    (b"iovl", b"\0\1" + struct.pack(">4H2I2i", 0, 0, 0, 0xFFFF, 90, 60, 5, -5)),
    (b"iden", b""),
    (b"tmap", bytes(5) + b"\x40" + struct.pack(">14I", *range(1, 15))),
    (b"tmap", bytes(5) + b"\xc0" + struct.pack(">34I", *range(1, 35))),
]


@pytest.mark.parametrize("cut", [3, 99])
@pytest.mark.parametrize(("kind", "content"), DERIVED, ids=[f"{kind.decode()} {len(told)}" for kind, told in DERIVED])
def test_a_picture_made_of_others_says_how_and_no_more(kind: bytes, content: bytes, cut: int) -> None:
    made = boxed.still("HEIF")
    number = add(made, kind, content + boxed.SECRET * 9, (b"dimg", 1))
    as_first(made, number)
    [whole] = made.items[number]
    made.items[number] = [whole[:cut], whole[cut:]]
    assert b"".join(boxed.parts(assert_clean(made))[number]) == content + bytes(len(boxed.SECRET) * 9)


@pytest.mark.parametrize("head", [b"GP", b"\0P"])
@pytest.mark.parametrize("kind", [b"grid", b"iovl"])
def test_a_picture_made_of_others_in_a_way_that_is_not_known_is_refused(kind: bytes, head: bytes) -> None:
    made = boxed.still("HEIF")
    add(made, kind, head + boxed.SECRET, (b"dimg", 1))
    with pytest.raises(CannotStrip):
        strip(made.data(), "heic")
