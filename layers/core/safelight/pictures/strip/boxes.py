"""HEIC and AVIF: ISO/IEC 14496-12 for boxes, 23008-12 for items; everything stays in its place.

The pictures of such a file are items, whose bytes the `iloc` box places. Items that are no picture (EXIF, XMP and
whatever else) get the shortest content that is well-formed; the rest of their bytes, and of all that no picture needs,
becomes zero. How a picture is turned is told by the container.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from safelight.splice import Piece

from . import essentials
from .canvas import Canvas
from .locations import Extent, Location, locations

_PICTURES = {b"hvc1", b"av01", b"grid", b"iden", b"iovl", b"tmap"}
_META = {b"hdlr", b"pitm", b"iinf", b"iloc", b"iref", b"iprp", b"idat", b"dinf", b"grpl"}
_PROPERTIES = {
    *(b"ispe", b"pixi", b"colr", b"hvcC", b"av1C", b"irot", b"imir", b"clap", b"pasp", b"auxC", b"lsel", b"a1op"),
    *(b"a1lx", b"clli", b"mdcv", b"cclv", b"amve", b"ndwt", b"reve", b"free"),
}
_MAX_BOXES = 5000
_MAX_NAME = 64
_NO_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'


class Box(NamedTuple):
    """`kind` and where it starts, where its content does, and where it stops."""

    kind: bytes
    start: int
    body: int
    stop: int


def strip(data: bytes) -> Iterator[Piece]:
    """The file, of the same length, with nothing in it but its pictures."""
    canvas = Canvas()
    top = list(walk(data, 0, len(data)))
    media = [box for box in top if box.kind == b"mdat"]
    if (
        [box.kind for box in top].count(b"meta") != 1
        or top[0].kind != b"ftyp"
        or any(box.kind in (b"moov", b"moof") for box in top)
    ):
        raise ValueError("not a still picture")
    for box in top:
        if box.kind == b"ftyp":
            canvas.keep(box.start, box.stop)
        elif box.kind == b"mdat":
            canvas.keep(box.start, box.body)
        elif box.kind == b"meta":
            _meta(canvas, data, box, media)
        else:
            _free(canvas, data, box)
    yield from canvas.pieces(len(data))


def _meta(canvas: Canvas, data: bytes, meta: Box, media: list[Box]) -> None:
    canvas.keep(meta.start, meta.body + 4)
    inside = {box.kind: box for box in walk(data, meta.body + 4, meta.stop)}
    for box in walk(data, meta.body + 4, meta.stop):
        if inside[box.kind] != box:
            raise ValueError(f"two boxes {box.kind!r}")
        if box.kind not in _META:
            _free(canvas, data, box)
        elif box.kind == b"iprp":
            _properties(canvas, data, box)
        elif box.kind == b"idat":
            canvas.keep(box.start, box.body)
        elif box.kind != b"iloc":
            canvas.keep(box.start, box.stop)
    _items(canvas, data, inside, media)


def walk(data: bytes, at: int, end: int) -> Iterator[Box]:
    """The boxes from `at`, which must fill the space to `end` exactly."""
    for _ in range(_MAX_BOXES):
        if at == end:
            return
        size, kind = struct.unpack_from(">I4s", data, at)
        body = at + 8
        if size == 1:
            (size,), body = struct.unpack_from(">Q", data, body), at + 16
        stop = at + size
        if not body <= stop <= end:  # nor one that says "up to the end", which could swallow any other
            raise ValueError("a box that does not fit")
        yield Box(kind, at, body, stop)
        at = stop
    raise ValueError("too many boxes")


def _free(canvas: Canvas, data: bytes, box: Box) -> None:
    """In its place a box of the same size that is said to hold nothing."""
    canvas.put(box.start, data[box.start : box.start + 4] + b"free" + data[box.start + 8 : box.body])


def _properties(canvas: Canvas, data: bytes, iprp: Box) -> None:
    canvas.keep(iprp.start, iprp.body)
    for box in walk(data, iprp.body, iprp.stop):
        if box.kind not in (b"ipco", b"ipma"):
            raise ValueError("a box that is not understood")
        canvas.keep(box.start, box.body if box.kind == b"ipco" else box.stop)
        for held in walk(data, box.body, box.stop) if box.kind == b"ipco" else ():
            if held.kind not in _PROPERTIES:
                # Pictures refer to properties by number, so its place stays taken.
                _free(canvas, data, held)
            else:
                canvas.keep(held.start, held.body if held.kind == b"free" else held.stop)


def _items(canvas: Canvas, data: bytes, inside: dict[bytes, Box], media: list[Box]) -> None:
    kinds = dict(_kinds(data, inside[b"iinf"]))
    iloc, idat = inside[b"iloc"], inside.get(b"idat")
    placed = locations(data, iloc.body, iloc.stop, idat.body if idat else 0)
    if {place.item for place in placed} - kinds.keys():
        raise ValueError("an item of no kind")
    homes = [*media, *([idat] if idat else [])]
    if not all(any(box.body <= e.start and e.stop <= box.stop for box in homes) for p in placed for e in p.extents):
        raise ValueError("an item outside the media")
    table = bytearray(data[iloc.start : iloc.stop])
    for place in placed:
        if kinds[place.item] in _PICTURES:
            for extent in place.extents:
                canvas.keep(extent.start, extent.stop)
        else:
            _empty(canvas, data, kinds[place.item], place, table, iloc.start)
    canvas.put(iloc.start, bytes(table))


def _empty(canvas: Canvas, data: bytes, kind: bytes, place: Location, table: bytearray, origin: int) -> None:
    """Give an item that is no picture the least content, and tell its length in `table`, which starts at `origin`."""
    [extent] = place.extents
    canvas.drop(extent.start, extent.stop)
    content = _least(kind, data, extent)
    if len(content) > extent.stop - extent.start:
        content = b"\0"
    canvas.put(extent.start, content)
    field = slice(extent.length_at - origin, extent.length_at - origin + extent.length_size)
    table[field] = len(content).to_bytes(extent.length_size, "big")


def _least(kind: bytes, data: bytes, extent: Extent) -> bytes:
    if kind == b"Exif":
        # 23008-12 A.2.1: how far it is to the TIFF header, then the block.
        (skip,) = struct.unpack_from(">I", data, extent.start)
        told = essentials.read(data[extent.start + 4 + skip : extent.stop])
        return bytes(4) + (essentials.build(told) or b"MM\0*\0\0\0\x08\0\0\0\0\0\0")
    return _NO_XMP if kind == b"mime" else b"\0"


def _kinds(data: bytes, iinf: Box) -> Iterator[tuple[int, bytes]]:
    """(number, kind) of each item: 14496-12, 8.11.6."""
    short = data[iinf.body] == 0
    for box in walk(data, iinf.body + (6 if short else 8), iinf.stop):
        version = data[box.body]
        if box.kind != b"infe" or version not in (2, 3) or box.stop - box.start > 2 * _MAX_NAME:
            raise ValueError("an item that is not understood")
        form = ">H2x4s" if version == 2 else ">I2x4s"
        number, kind = struct.unpack_from(form, data, box.body + 4)
        if kind not in _PICTURES and kind not in (b"Exif", b"mime", b"uri "):
            raise ValueError(f"an item {kind!r} that is not understood")
        yield number, kind
