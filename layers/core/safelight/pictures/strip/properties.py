"""What the pictures of a HEIC or AVIF file are like: ISO/IEC 23008-12, 6.5; the codecs' own boxes; ICC profiles.

Pictures refer to a property by its number, so each keeps its place, whatever becomes of it.
"""

import re

from . import coded, profile
from .canvas import Canvas
from .walk import Box, free, walk

# Bytes of those that are numbers; what stands behind them is nobody's.
_NUMBERS = {
    b"ispe": 12,
    b"irot": 1,
    b"imir": 1,
    b"clap": 32,
    b"pasp": 8,
    b"lsel": 2,
    b"a1op": 1,
    b"a1lx": 13,
    b"clli": 4,
    b"mdcv": 24,
    b"cclv": 37,
    b"amve": 8,
    b"ndwt": 8,
    b"reve": 20,
}
_NCLX = 11
_AUXILIARY = re.compile(
    rb"urn:mpeg:mpegB:cicp:systems:auxiliary:(?:alpha|depth)|urn:mpeg:hevc:2015:auxid:[0-9]"
    rb"|urn:com:apple:photo:20[0-9]{2}:aux:[a-z]{1,40}"
)


def clear(canvas: Canvas, data: bytes, iprp: Box) -> None:
    """Keep the properties and who refers to them."""
    canvas.keep(iprp.start, iprp.body)
    for box in walk(data, iprp.body, iprp.stop):
        if box.kind == b"ipma":
            _references(data, box)
            canvas.keep(box.start, box.stop)
        elif box.kind == b"ipco":
            canvas.keep(box.start, box.body)
            for held in walk(data, box.body, box.stop):
                _property(canvas, data, held)
        else:
            raise ValueError("a box that is not understood")


def _property(canvas: Canvas, data: bytes, box: Box) -> None:
    kind, start, body, stop = box
    if kind in _NUMBERS:
        canvas.keep(start, min(stop, body + _NUMBERS[kind]))
    elif kind == b"pixi":
        canvas.keep(start, min(stop, body + 5 + data[body + 4]))
    elif kind == b"colr":
        _colours(canvas, data, box)
    elif kind == b"auxC":
        # A name of the kind of picture, then what only an encoder of that kind knows.
        name = data[body + 4 : stop].split(b"\0")[0]
        canvas.keep(start, body + 4 + (len(name) if _AUXILIARY.fullmatch(name) else 0))
    elif kind == b"hvcC":
        canvas.keep(start, body)
        coded.hevc_configuration(canvas, data, body, stop)
    elif kind == b"av1C":
        canvas.keep(start, body + 4)
        coded.av1_units(canvas, data, body + 4, stop)
    elif kind == b"free":
        canvas.keep(start, body)
    else:
        free(canvas, data, box)


def _colours(canvas: Canvas, data: bytes, box: Box) -> None:
    way = data[box.body : box.body + 4]
    whole = profile.tidy(data[box.body + 4 : box.stop]) if way in (b"prof", b"rICC") else None
    if whole:
        canvas.keep(box.start, box.body + 4)
        canvas.place(box.body + 4, whole.pieces)
    elif way == b"nclx":
        canvas.keep(box.start, min(box.stop, box.body + _NCLX))
    else:
        free(canvas, data, box)


def _references(data: bytes, ipma: Box) -> None:
    """Raises ValueError for more than 14496-12, 8.11.14 has there."""
    version, wide = data[ipma.body], data[ipma.body + 3] & 1
    at = ipma.body + 8
    for _ in range(int.from_bytes(data[ipma.body + 4 : at], "big")):
        at += 4 if version else 2
        at += 1 + data[at] * (2 if wide else 1)
        if at > ipma.stop:
            break
    if at != ipma.stop:
        raise ValueError("a table of properties that is not understood")
