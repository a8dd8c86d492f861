"""Messages among the coded parts of a HEVC or AV1 picture, which are no part of it.

Sources: ITU-T H.265, 7.3.1 (units), 7.4.2.2 (their types), D (SEI); ISO/IEC 14496-15, 8.3.3.1 (hvcC); AV1 5.3 to 5.8.
A unit that is a message becomes one that decoders are told to pass over, of the same length, and its content zero.
"""

from .canvas import Canvas

_PARAMETERS, _FILLER = {32, 33, 34}, 38
_SLICES = {*range(10), *range(16, 22)}
_UNIT = 2
_HVCC = 22
_DELIMITER, _PADDING = 2, 15
_CODED = {1, 3, 4, 6, 7}  # sequence header, frame header, tiles, frame, frame header again


def hevc_configuration(canvas: Canvas, data: bytes, at: int, stop: int) -> None:
    """Keep the parameter sets of a `hvcC` box."""
    canvas.keep(at, at + _HVCC + 1)
    arrays, at = data[at + _HVCC], at + _HVCC + 1
    for _ in range(arrays):
        head, count = at, int.from_bytes(data[at + 1 : at + 3], "big")
        kind = data[at] & 0x3F
        if kind in _PARAMETERS:
            canvas.keep(head, head + 1)
        else:
            canvas.put(head, bytes([_FILLER]))
        canvas.keep(head + 1, head + 3)
        at += 3
        for _ in range(count):
            canvas.keep(at, at + 2)
            start, at = at + 2, at + 2 + int.from_bytes(data[at : at + 2], "big")
            if at > stop:
                raise ValueError("a parameter set beyond the end")
            _unit(canvas, data, start, at)


def hevc_units(canvas: Canvas, data: bytes, at: int, stop: int, size: int) -> None:
    """Keep the units of a picture, each of which has its length in front, a number of `size` bytes."""
    while at < stop:
        canvas.keep(at, at + size)
        start, at = at + size, at + size + int.from_bytes(data[at : at + size], "big")
        if at > stop:
            raise ValueError("a unit beyond the end")
        _unit(canvas, data, start, at)


def _unit(canvas: Canvas, data: bytes, start: int, stop: int) -> None:
    if stop - start < _UNIT:
        raise ValueError("a unit that is none")
    kind = data[start] >> 1 & 0x3F
    if kind in _PARAMETERS | _SLICES:
        canvas.keep(start, stop)
    else:
        canvas.put(start, bytes([_FILLER << 1, 1]))


def av1_units(canvas: Canvas, data: bytes, at: int, stop: int) -> None:
    """Keep the units of a picture or of its `av1C` box."""
    while at < stop:
        head = data[at]
        kind, extended, sized = head >> 3 & 15, head >> 2 & 1, head >> 1 & 1
        body = at + 1 + extended
        size, body = _leb128(data, body) if sized else (stop - body, body)
        if body + size > stop or head & 0x80:
            raise ValueError("a unit beyond the end")
        if kind in _CODED or (kind == _DELIMITER and not size):
            canvas.keep(at, body + size)
        else:
            canvas.put(at, bytes([head & 0x07 | _PADDING << 3]))
            canvas.keep(at + 1, body)
            # AV1 5.8.1: a padding ends with a one; decoders call a picture damaged that has none.
            canvas.put(body + size - 1, b"\x80" if size else b"")
        at = body + size


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where the bytes behind it start: AV1 4.10.5."""
    value = 0
    for n in range(8):
        value |= (data[at + n] & 0x7F) << 7 * n
        if not data[at + n] & 0x80:
            return value, at + n + 1
    raise ValueError("a number without end")
