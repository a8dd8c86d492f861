"""TIFF 6.0 section 2 and 8, and BigTIFF: the first picture and the tags that show it, all in their place."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from safelight.splice import Piece

from .canvas import Canvas

_BYTE, _ASCII, _SHORT, _LONG, _UNDEFINED = 1, 2, 3, 4, 7
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_COPYRIGHT, _PROFILE, _JPEG_TABLES = 33432, 34675, 347
# NewSubfileType to RowsPerStrip, resolution, predictor, colour, tiles, samples; what a picture is made of.
_NUMBERS = {
    *(254, 255, 256, 257, 258, 259, 262, 266, 274, 277, 278, 282, 283, 284, 292, 293, 296, 317, 318, 319),
    *(322, 323, 332, 334, 336, 338, 339, 340, 341, 529, 530, 531, 532),
}
_TABLES = {301, 320}  # TransferFunction, ColorMap
_OFFSETS, _COUNTS = {273, 324}, {279, 325}
_COMPRESSION, _OLD_JPEG = 259, 6
_BLOCKS = {34665, 34853, 40965}  # directories of EXIF, position, interoperability
_FEW = 32
_MAX_NOTICE = 1000
_MAX_ENTRIES = 2000
_MAX_PAGES = 100


class _Form(NamedTuple):
    """How numbers are written: `pointer` and `counter` are those of a directory, `inline` bytes fit into it."""

    order: str
    pointer: str
    counter: str
    head: str
    inline: int

    @property
    def entry(self) -> int:
        return struct.calcsize(self.order + self.head) + self.inline


class _Entry(NamedTuple):
    tag: int
    kind: int
    number: int
    raw: bytes
    start: int
    stop: int

    def numbers(self, form: _Form, data: bytes) -> list[int]:
        """Its values, which must be whole numbers."""
        letter = {_SHORT: "H", _LONG: "I", 13: "I", 16: "Q"}[self.kind]
        return list(struct.unpack_from(f"{form.order}{self.number}{letter}", data, self.start))


def strip(data: bytes) -> Iterator[Piece]:
    """Header, a directory of the tags that are kept, their values, the pixels. All else is zero, or gone at the end."""
    form = _form(data)
    head = 16 if form.inline == 8 else 8
    (at,) = struct.unpack_from(form.order + form.pointer, data, head - struct.calcsize(form.order + form.pointer))
    entries = _directory(data, form, at)
    canvas = Canvas()
    canvas.keep(0, head)
    kept = [entry for entry in entries if _keeps(entry)]
    for entry in entries:
        if entry.stop > len(data):
            raise ValueError("a value beyond the end")
        if _outside(entry, at, form, len(entries)):
            (canvas.keep if entry in kept else canvas.drop)(entry.start, entry.stop)
        if entry.tag in _BLOCKS:
            _drop(canvas, data, form, entry.numbers(form, data)[0])
    _drop_pages(canvas, data, form, _next(data, form, at, len(entries)))
    by_tag = {entry.tag: entry for entry in kept}
    if by_tag[_COMPRESSION].numbers(form, data)[0] == _OLD_JPEG:
        raise ValueError("pixels that are a file of their own")
    for start, size in _pixels(data, form, by_tag):
        if start + size > len(data):
            raise ValueError("pixels beyond the end")
        canvas.keep(start, start + size)
    listed = struct.pack(form.order + form.counter, len(kept))
    listed += b"".join(struct.pack(form.order + form.head, e.tag, e.kind, e.number) + e.raw for e in kept)
    spare = (len(entries) - len(kept)) * form.entry
    canvas.put(at, listed + bytes(struct.calcsize(form.order + form.pointer) + spare))
    yield from canvas.pieces()


def _form(data: bytes) -> _Form:
    order = "<" if data[:2] == b"II" else ">"
    (version,) = struct.unpack_from(order + "H", data, 2)
    return _Form(order, "Q", "Q", "HHQ", 8) if version == 43 else _Form(order, "I", "H", "HHI", 4)


def _directory(data: bytes, form: _Form, at: int) -> list[_Entry]:
    (count,) = struct.unpack_from(form.order + form.counter, data, at)
    if count > _MAX_ENTRIES:
        raise ValueError("a directory without end")
    first = at + struct.calcsize(form.order + form.counter)
    return [_entry(data, form, first + n * form.entry) for n in range(count)]


def _entry(data: bytes, form: _Form, at: int) -> _Entry:
    tag, kind, number = struct.unpack_from(form.order + form.head, data, at)
    inside = at + struct.calcsize(form.order + form.head)
    size = _SIZES[kind] * number
    start = inside if size <= form.inline else struct.unpack_from(form.order + form.pointer, data, inside)[0]
    raw = data[inside : inside + form.inline]
    if size < form.inline:
        raw = raw[:size].ljust(form.inline, b"\0")
    return _Entry(tag, kind, number, raw, start, start + size)


def _outside(entry: _Entry, at: int, form: _Form, count: int) -> bool:
    end = at + struct.calcsize(form.order + form.counter) + count * form.entry
    return not at <= entry.start < end


def _keeps(entry: _Entry) -> bool:
    if entry.tag in _OFFSETS | _COUNTS:
        return True
    if entry.tag in _NUMBERS:
        return entry.kind not in (_BYTE, _ASCII, _UNDEFINED) and entry.number <= _FEW
    if entry.tag in _TABLES:
        return entry.kind == _SHORT
    if entry.tag == _COPYRIGHT:
        return entry.kind == _ASCII and entry.number <= _MAX_NOTICE
    return entry.tag in (_PROFILE, _JPEG_TABLES) and entry.kind in (_BYTE, _UNDEFINED)


def _drop(canvas: Canvas, data: bytes, form: _Form, at: int) -> int:
    """No pixel may lie in this directory, nor in what it points to; the one that follows it, 0 for none."""
    entries = _directory(data, form, at)
    canvas.drop(at, at + struct.calcsize(form.order + form.counter) + len(entries) * form.entry)
    for entry in entries:
        if _outside(entry, at, form, len(entries)):
            canvas.drop(entry.start, entry.stop)
    return _next(data, form, at, len(entries))


def _drop_pages(canvas: Canvas, data: bytes, form: _Form, at: int) -> None:
    for _ in range(_MAX_PAGES):
        if not at:
            return
        at = _drop(canvas, data, form, at)
    raise ValueError("too many pages")


def _next(data: bytes, form: _Form, at: int, count: int) -> int:
    end = at + struct.calcsize(form.order + form.counter) + count * form.entry
    return int(struct.unpack_from(form.order + form.pointer, data, end)[0])


def _pixels(data: bytes, form: _Form, tags: dict[int, _Entry]) -> Iterator[tuple[int, int]]:
    """(offset, bytes) of the strips or tiles."""
    for offsets, counts in ((273, 279), (324, 325)):
        if offsets in tags:
            starts, sizes = tags[offsets].numbers(form, data), tags[counts].numbers(form, data)
            yield from zip(starts, sizes, strict=True)
