"""TIFF 6.0 and BigTIFF: the first picture and the tags that show it, all in their place."""

import struct
from collections.abc import Iterator

from safelight.splice import Piece

from . import abbreviated, deflate, profile
from .canvas import Canvas
from .chunks import JPEG, UNPACKED, ZLIB, Layout
from .directories import ASCII, BYTE, LONG, SHORT, UNDEFINED, Directory, Entry, Form, first, form, read

_COPYRIGHT, _PROFILE, _JPEG_TABLES = 33432, 34675, 347
_SIMPLE = {
    *(254, 255, 256, 257, 259, 262, 266, 274, 277, 278, 282, 283, 284, 292, 293, 296, 317, 322, 323, 332, 334, 531),
}
_PER_SAMPLE = {258, 338, 339}  # BitsPerSample, ExtraSamples, SampleFormat
# WhitePoint, PrimaryChromaticities, YCbCrCoefficients, YCbCrSubSampling, ReferenceBlackWhite
_SEVERAL = {318: 2, 319: 6, 529: 3, 530: 2, 532: 8}
_TRANSFER, _COLOUR_MAP = 301, 320
_RATIONAL, _FLOAT, _DOUBLE, _LONG8 = 5, 11, 12, 16
_NUMERIC = {SHORT, LONG, _RATIONAL, _FLOAT, _DOUBLE, _LONG8}
_BLOCKS = {34665, 34853, 40965}  # directories of EXIF, position, interoperability
_MAX_NOTICE = 1000
_MAX_PAGES = 100


def strip(data: bytes) -> Iterator[Piece]:
    """Header, a directory of the tags that are kept, their values, the pixels. All else is zero, or gone at the end."""
    how = form(data)
    page = first(data, how)
    if len({entry.tag for entry in page.entries}) != len(page.entries):
        raise ValueError("a tag twice")
    layout = Layout.read({entry.tag: entry for entry in page.entries}, how, data)
    canvas = Canvas()
    canvas.keep(0, how.header)
    kept = []
    for entry in page.entries:
        if entry.stop > len(data):
            raise ValueError("a value beyond the end")
        if entry.tag in _BLOCKS:
            _drop(canvas, read(data, how, entry.numbers(how, data)[0]))
        said = _value(canvas, data, page, entry) if _keeps(entry, layout) else None
        if said:
            kept.append(said)
        elif not page.holds(entry):
            canvas.drop(entry.start, entry.stop)
    _drop_pages(canvas, data, how, page.following)
    _pixels(canvas, data, layout)
    pointer = struct.calcsize(how.order + how.pointer)
    listed = struct.pack(how.order + how.counter, len(kept)) + b"".join(entry.packed(how) for entry in kept)
    end = page.start + len(listed) + pointer
    canvas.put(page.start, listed + bytes(pointer))
    canvas.drop(end, page.stop + pointer)
    ends = (start + size for start, size, _ in layout.chunks)
    yield from canvas.pieces(data, max(end, *ends, *(entry.stop for entry in kept if not page.holds(entry))))


def _keeps(entry: Entry, layout: Layout) -> bool:
    tag, kind, number = entry.tag, entry.kind, entry.number
    if tag in layout.places:
        return True
    if tag in _SIMPLE or tag in _PER_SAMPLE or tag in _SEVERAL:
        most = _SEVERAL.get(tag, 1) if tag not in _PER_SAMPLE else layout.samples
        return kind in _NUMERIC and number <= most
    if tag in (_TRANSFER, _COLOUR_MAP):
        levels = 1 << layout.bits[0]
        return kind == SHORT and (number == 3 * levels or (tag == _TRANSFER and number == levels))
    if tag == _COPYRIGHT:
        return kind == ASCII and number <= _MAX_NOTICE
    return (tag == _PROFILE or (tag == _JPEG_TABLES and layout.compression == JPEG)) and kind in (BYTE, UNDEFINED)


def _value(canvas: Canvas, data: bytes, page: Directory, entry: Entry) -> Entry | None:
    """Keep the values of an entry; the entry as it is from now on, None where nothing of it is kept."""
    if entry.tag == _PROFILE:
        return _colours(canvas, data, entry)
    if entry.tag == _JPEG_TABLES:
        abbreviated.tables(canvas, data, entry.start, entry.stop)
    elif not page.holds(entry):
        canvas.keep(entry.start, entry.stop)
    return entry


def _colours(canvas: Canvas, data: bytes, entry: Entry) -> Entry | None:
    whole = profile.tidy(data[entry.start : entry.stop])
    if whole is None:
        return None
    canvas.place(entry.start, whole.pieces)
    return entry._replace(number=whole.size, stop=entry.start + whole.size)


def _drop(canvas: Canvas, page: Directory) -> None:
    """No pixel may lie in this directory, nor in what it points to."""
    canvas.drop(page.start, page.stop)
    for entry in page.entries:
        if not page.holds(entry):
            canvas.drop(entry.start, entry.stop)


def _drop_pages(canvas: Canvas, data: bytes, how: Form, at: int) -> None:
    for _ in range(_MAX_PAGES):
        if not at:
            return
        page = read(data, how, at)
        _drop(canvas, page)
        at = page.following
    raise ValueError("too many pages")


def _pixels(canvas: Canvas, data: bytes, layout: Layout) -> None:
    """Keep the strips or tiles, each as far as it is a part of the picture."""
    for start, size, unpacked in layout.chunks:
        stop = start + size
        if stop > len(data):
            raise ValueError("pixels beyond the end")
        if not size:
            continue
        if layout.compression == JPEG:
            abbreviated.picture(canvas, data, start, stop)
            continue
        if layout.compression == UNPACKED:
            stop = min(stop, start + unpacked)
        elif layout.compression in ZLIB:
            stop = start + deflate.used([data[start:stop]], unpacked)
        canvas.keep(start, stop)
