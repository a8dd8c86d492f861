"""The items of a HEIC or AVIF file: ISO/IEC 14496-12, 8.11 for what they are called and where they lie."""

import struct
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from safelight.splice import splice

from . import abbreviated, coded, derived, essentials, references
from .canvas import Canvas
from .locations import Location, locations
from .walk import Box, walk

BOXES = {b"iinf", b"iloc", b"iref", b"grpl"}
_PICTURES = {b"hvc1", b"av01", b"jpeg"} | derived.KINDS
_OTHERS = {b"Exif", b"mime", b"uri "}
_XMP = b"application/rdf+xml"
_NO_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
_NO_EXIF = b"MM\0*\0\0\0\x08\0\0\0\0\0\0"
_SECOND = {b"mime": b" "}


class _Entry(NamedTuple):
    """Number and kind of an item, the box that says so, and where its names start there."""

    number: int
    kind: bytes
    box: Box
    names: int


def clear(canvas: Canvas, data: bytes, inside: dict[bytes, Box], media: list[Box]) -> None:
    """Keep the items that are pictures, and of the others that they are there."""
    listed = list(_entries(data, inside[b"iinf"]))
    entries = {entry.number: entry for entry in listed}
    if len(entries) != len(listed):
        raise ValueError("an item of two kinds")
    told = list(references.references(data, inside[b"iref"])) if b"iref" in inside else []
    shown = _shown(data, entries, inside[b"pitm"], told)
    iloc, idat = inside[b"iloc"], inside.get(b"idat")
    placed = locations(data, iloc.body, iloc.stop, idat.body if idat else 0)
    if {place.item for place in placed} - entries.keys():
        raise ValueError("an item of no kind")
    homes = [*media, *([idat] if idat else [])]
    if not all(any(box.body <= e.start and e.stop <= box.stop for box in homes) for p in placed for e in p.extents):
        raise ValueError("an item outside the media")
    if sum(e.stop - e.start for p in placed if len(p.extents) > 1 for e in p.extents) > len(data):
        raise ValueError("parts of items that lie upon one another")
    left = shown | {number for number, entry in entries.items() if entry.kind in _OTHERS}
    _names(canvas, data, inside[b"iinf"], entries, left)
    if b"iref" in inside:
        references.clear(canvas, inside[b"iref"], told, left)
    if b"grpl" in inside:
        references.groups(canvas, data, inside[b"grpl"], left)
    table = bytearray(data[iloc.start : iloc.stop])
    lengths = _length_sizes(data, inside[b"iprp"])
    inputs = Counter(one.source for one in told if one.box.kind == b"dimg" for _ in one.targets)
    for place in placed:
        kind = entries[place.item].kind
        if place.item in shown:
            _picture(canvas, data, kind, place, lengths, inputs[place.item])
        else:
            _empty(canvas, data, kind, place, table, iloc.start)
    canvas.put(iloc.start, bytes(table))


def _shown(data: bytes, entries: dict[int, _Entry], pitm: Box, told: list[references.Reference]) -> set[int]:
    """The items that are pictures and no thumbnails. Raises ValueError where one of them needs what is no picture."""
    primary = int.from_bytes(data[pitm.body + 4 : pitm.body + (8 if data[pitm.body] else 6)], "big")
    pictures = {number for number, entry in entries.items() if entry.kind in _PICTURES}
    shown = references.without_thumbnails(pictures, primary, told)
    needed = references.needed(shown, primary, told)
    if needed - shown:
        kinds = sorted({entries[number].kind for number in needed - shown if number in entries})
        raise ValueError(f"a picture needs items {kinds!r} that are not understood")
    return shown


def _picture(canvas: Canvas, data: bytes, kind: bytes, place: Location, lengths: set[int], inputs: int) -> None:
    if kind == b"jpeg":
        [extent] = place.extents
        abbreviated.picture(canvas, data, extent.start, extent.stop)
    elif kind in derived.KINDS:
        left = derived.length(kind, b"".join(data[extent.start : extent.stop] for extent in place.extents), inputs)
        for extent in place.extents:
            canvas.keep(extent.start, min(extent.stop, extent.start + left))
            left -= extent.stop - extent.start
    elif len(place.extents) == 1:
        [extent] = place.extents
        _coded(canvas, data, kind, extent.start, extent.stop, lengths)
    else:
        _scattered(canvas, data, kind, place, lengths)


def _coded(canvas: Canvas, data: bytes, kind: bytes, start: int, stop: int, lengths: set[int]) -> None:
    if kind == b"hvc1":
        [size] = lengths
        coded.hevc_units(canvas, data, start, stop, size)
    else:
        coded.av1_units(canvas, data, start, stop)


def _scattered(canvas: Canvas, data: bytes, kind: bytes, place: Location, lengths: set[int]) -> None:
    """A picture in several parts, as writers make that place each unit on its own; a unit may lie across them."""
    whole = b"".join(data[extent.start : extent.stop] for extent in place.extents)
    inner = Canvas()
    _coded(inner, whole, kind, 0, len(whole), lengths)
    kept = splice(len(whole), inner.pieces(whole, len(whole)))
    at = 0
    for extent in place.extents:
        behind = at + extent.stop - extent.start
        part = kept.cut(at, behind)
        told = ((piece[0] - at, piece[1] - at) if isinstance(piece, tuple) else piece for piece in part)
        canvas.place(extent.start, told)
        at = behind


def _length_sizes(data: bytes, iprp: Box) -> set[int]:
    """How many bytes the lengths of HEVC units have, by the configurations of their pictures."""
    lists = [box for box in walk(data, iprp.body, iprp.stop) if box.kind == b"ipco"]
    held = [box for one in lists for box in walk(data, one.body, one.stop) if box.kind == b"hvcC"]
    return {(data[box.body + 21] & 3) + 1 for box in held}


def _empty(canvas: Canvas, data: bytes, kind: bytes, place: Location, table: bytearray, origin: int) -> None:
    """Give an item that is no picture the least content, and tell its length in `table`, which starts at `origin`."""
    content = _least(kind, b"".join(data[extent.start : extent.stop] for extent in place.extents))
    for extent in place.extents:
        canvas.drop(extent.start, extent.stop)
        if len(content) > extent.stop - extent.start:
            content = b"\0"
        canvas.put(extent.start, content)
        field = slice(extent.length_at - origin, extent.length_at - origin + extent.length_size)
        table[field] = len(content).to_bytes(extent.length_size, "big")
        content = _SECOND.get(kind, b"\0")


def _least(kind: bytes, content: bytes) -> bytes:
    if kind == b"Exif":
        # 23008-12 A.2.1: how far it is to the TIFF header, then the block.
        told = essentials.read(content[4 + int.from_bytes(content[:4], "big") :])
        return bytes(4) + (essentials.build(told) or _NO_EXIF)
    return _NO_XMP if kind == b"mime" else b"\0"


def _entries(data: bytes, iinf: Box) -> Iterator[_Entry]:
    for box in walk(data, iinf.body + (8 if data[iinf.body] else 6), iinf.stop):
        version = data[box.body]
        if box.kind != b"infe" or version not in (2, 3):
            raise ValueError("an item that is not understood")
        form = ">H2x4s" if version == 2 else ">I2x4s"
        number, kind = struct.unpack_from(form, data, box.body + 4)
        yield _Entry(number, kind, box, box.body + 4 + struct.calcsize(form))


def _names(canvas: Canvas, data: bytes, iinf: Box, entries: dict[int, _Entry], left: set[int]) -> None:
    """The list of items, whose names become empty: 14496-12, 8.11.6."""
    canvas.keep(iinf.start, iinf.body + (8 if data[iinf.body] else 6))
    for number, kind, box, names in entries.values():
        if number in left:
            canvas.keep(box.start, names)
        else:
            canvas.keep(box.start, names - len(kind))
            canvas.put(names - len(kind), references.GONE)
        told = b"\0" + _XMP
        if kind == b"mime" and _XMP in data[names : box.stop] and names + len(told) < box.stop:
            canvas.put(names, told)
