"""Whether an embedded colour profile only says what is assumed anyway.

Most photos that carry a profile carry sRGB. Converting sRGB to sRGB costs a sixth of all the work on a picture and
changes nothing, so such a profile is recognised by its numbers, never by its name. Sources: ICC.1:2022, 9.2 and 10.6
(curveType), 10.18 (parametricCurveType); IEC 61966-2-1 for the curve.
"""

import struct

# sRGB's primaries adapted to D50, as every sRGB profile has them.
_COLORANTS = {
    b"rXYZ": (0.4361, 0.2225, 0.0139),
    b"gXYZ": (0.3851, 0.7169, 0.0971),
    b"bXYZ": (0.1431, 0.0606, 0.7141),
}
_CURVES = (b"rTRC", b"gTRC", b"bTRC")
_TABLES = {b"A2B0", b"A2B1", b"D2B0", b"D2B1"}
_NEAR = 0.0015
_PROBES = tuple(step / 32 for step in range(33))


def is_srgb(profile: bytes) -> bool:
    """True for a matrix profile with the primaries and the tone curve of sRGB (to 0.0015); anything else: False."""
    try:
        if profile[16:24] != b"RGB XYZ " or profile[36:40] != b"acsp":
            return False
        tags = _tags(profile)
        if _TABLES & tags.keys():
            return False
        near = all(
            abs(a - b) < _NEAR
            for name, wanted in _COLORANTS.items()
            for a, b in zip(_xyz(tags[name]), wanted, strict=True)
        )
        return near and all(_follows_srgb(tags[name]) for name in _CURVES)
    except (struct.error, KeyError, ValueError, OverflowError, ZeroDivisionError, TypeError):
        return False


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = (struct.unpack_from(">4sII", profile, 132 + 12 * n) for n in range(min(count, 100)))
    return {name: profile[offset : offset + size] for name, offset, size in entries}


def _xyz(tag: bytes) -> tuple[float, float, float]:
    x, y, z = struct.unpack_from(">iii", tag, 8)
    return x / 65536, y / 65536, z / 65536


def _follows_srgb(tag: bytes) -> bool:
    return all(abs(_curve(tag, x) - _srgb(x)) < _NEAR for x in _PROBES)


def _srgb(x: float) -> float:
    return x / 12.92 if x <= 0.04045 else float(((x + 0.055) / 1.055) ** 2.4)


def _curve(tag: bytes, x: float) -> float:
    if tag[:4] == b"para":
        (kind,) = struct.unpack_from(">H", tag, 8)
        if kind != 3:
            raise ValueError("another function than sRGB's")
        g, a, b, c, d = (value / 65536 for value in struct.unpack_from(">5i", tag, 12))
        return float((a * x + b) ** g) if x >= d else c * x
    if tag[:4] != b"curv":
        raise ValueError("no curve")
    (count,) = struct.unpack_from(">I", tag, 8)
    if count < 256:
        raise ValueError("a plain gamma or no curve")
    position = x * (count - 1)
    low = min(int(position), count - 2)
    first, second = struct.unpack_from(">HH", tag, 12 + 2 * low)
    return float(first + (second - first) * (position - low)) / 65535
