"""JPEG within another file: strips and tiles of a TIFF, the tables that they share, and items of a HEIC file.

Source: Adobe Photoshop TIFF Technical Notes (DRAFT TIFF Technical Note #2). Everything stays in its place: of what
does not show the picture, marker and length stay, and its content becomes zero.
"""

from . import segments
from .canvas import Canvas

_HEAD = 4
_ADOBE = b"Adobe"


def picture(canvas: Canvas, data: bytes, start: int, stop: int) -> None:
    """Keep the picture that these bytes of the file are. Raises ValueError where they are none."""
    segments.one_picture(_kept(canvas, data, start, stop))


def tables(canvas: Canvas, data: bytes, start: int, stop: int) -> None:
    """Keep the tables that these bytes of the file are. Raises ValueError where they are none."""
    for segment in _kept(canvas, data, start, stop):
        segments.check(segment)


def _kept(canvas: Canvas, data: bytes, start: int, stop: int) -> list[segments.Segment]:
    found = list(segments.walk(data[start:stop]))
    late = segments.behind(found)
    canvas.keep(start, start + 2)
    kept = []
    for segment in found:
        at, behind = start + segment.start, start + segment.stop
        if segment.marker in segments.APPLICATION or segment.marker == segments.COM:
            canvas.keep(at, at + _HEAD)
            if segment.marker == 0xEE and segment.body.startswith(_ADOBE) and len(segment.body) >= 12:
                canvas.keep(at + _HEAD, at + _HEAD + len(_ADOBE))
                canvas.keep(at + _HEAD + 11, at + _HEAD + 12)
        elif segment.start in late:
            canvas.keep(at, at + 1)
            canvas.put(at + 1, bytes([segments.COM]))
            canvas.keep(at + 2, at + _HEAD)
        else:
            canvas.keep(at, behind)
            kept.append(segment)
    return kept[:-1]
