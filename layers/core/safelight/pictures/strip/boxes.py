"""HEIC and AVIF: ISO/IEC 14496-12 for boxes, 23008-12 for items; everything stays in its place.

The pictures of such a file are items, whose bytes the `iloc` box places. Items that are no picture (EXIF, XMP and
whatever else) get the shortest content that is well-formed; the rest of their bytes, and of all that no picture needs,
becomes zero. How a picture is turned is told by the container.
"""

from collections.abc import Iterator

from safelight.splice import Piece

from . import items, properties
from .canvas import Canvas
from .walk import Box, free, walk

# Brands of pictures, of files in general, and of the cameras' extensions. Another four letters could be a name.
_BRANDS = {
    *(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"heif", b"mif1", b"mif2", b"mif3"),
    *(b"msf1", b"miaf", b"avif", b"avis", b"avio", b"MA1A", b"MA1B", b"MiHB", b"MiHA", b"MiHE", b"MiHM", b"MiPr"),
    *(b"tmap", b"1pic", b"unif", b"iso4", b"iso5", b"iso6", b"iso8", b"isom", b"mp41", b"mp42"),
}
# "In this file", as every writer says it that says it at all.
_HERE = bytes.fromhex("0000001c64726566 00000000 00000001 0000000c75726c20 00000001")


def strip(data: bytes) -> Iterator[Piece]:
    """The file, of the same length, with nothing in it but its pictures."""
    canvas = Canvas()
    top = list(walk(data, 0, len(data)))
    media = [box for box in top if box.kind == b"mdat"]
    if (
        [box.kind for box in top].count(b"meta") != 1
        or top[0].kind != b"ftyp"
        or any(box.kind in (b"moov", b"moof", b"ftyp") for box in top[1:])
    ):
        raise ValueError("not a still picture")
    for box in top:
        if box.kind == b"ftyp":
            _brands(canvas, data, box)
        elif box.kind == b"mdat":
            canvas.keep(box.start, box.body)
        elif box.kind == b"meta":
            _meta(canvas, data, box, media)
        else:
            free(canvas, data, box)
    yield from canvas.pieces(data, len(data))


def _brands(canvas: Canvas, data: bytes, box: Box) -> None:
    major = data[box.body : box.body + 4]
    if major not in _BRANDS or (box.stop - box.body) % 4:
        raise ValueError("a file that says it is another")
    canvas.keep(box.start, box.body + 4)
    for at in range(box.body + 8, box.stop, 4):
        if data[at : at + 4] in _BRANDS:
            canvas.keep(at, at + 4)
        else:
            canvas.put(at, major)


def _meta(canvas: Canvas, data: bytes, meta: Box, media: list[Box]) -> None:
    canvas.keep(meta.start, meta.body + 4)
    inside = {box.kind: box for box in walk(data, meta.body + 4, meta.stop)}
    for box in walk(data, meta.body + 4, meta.stop):
        if inside[box.kind] != box and box.kind != b"free":
            raise ValueError(f"two boxes {box.kind!r}")
        if box.kind in _KEPT:
            _KEPT[box.kind](canvas, data, box)
        elif box.kind == b"dinf" and data[box.body : box.stop] == _HERE:
            canvas.keep(box.start, box.stop)
        elif box.kind not in items.BOXES:
            free(canvas, data, box)
    items.clear(canvas, data, inside, media)


def _handler(canvas: Canvas, data: bytes, hdlr: Box) -> None:
    """14496-12, 8.4.3: version, a number, "pict"; then a name, which may be that of a program or a person."""
    if data[hdlr.body + 8 : hdlr.body + 12] != b"pict":
        raise ValueError("not a still picture")
    canvas.keep(hdlr.start, hdlr.body + 4)
    canvas.keep(hdlr.body + 8, hdlr.body + 12)


def _primary(canvas: Canvas, data: bytes, pitm: Box) -> None:
    canvas.keep(pitm.start, min(pitm.stop, pitm.body + (8 if data[pitm.body] else 6)))


def _media(canvas: Canvas, _data: bytes, idat: Box) -> None:
    canvas.keep(idat.start, idat.body)


_KEPT = {
    b"hdlr": _handler,
    b"pitm": _primary,
    b"iprp": properties.clear,
    b"idat": _media,
}
