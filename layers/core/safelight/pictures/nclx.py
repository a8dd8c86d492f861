"""An ICC profile for colours that a HEIF file describes by numbers only (ITU-T H.273), so that one engine converts all.

Wide colours (Display P3, BT.2020) keep their place. High dynamic range (PQ of SMPTE ST 2084, HLG of ARIB STD-B67) is
brought to a screen's: everything up to half of the reference white of 203 cd/m2 (ITU-R BT.2408) as it is, what is
brighter rolled off softly, so that neither a white dress nor a lamp in it is lost.
"""

import math
import struct
from collections.abc import Callable
from functools import cache

# Primaries of H.273 table 2 adapted to D50 by Bradford's matrix (ICC.1:2022 annex E): X, Y, Z of red, green, blue.
_SRGB = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
_BT2020 = ((0.6734, 0.2790, -0.0019), (0.1656, 0.6753, 0.0299), (0.1251, 0.0456, 0.7969))
_P3 = ((0.5151, 0.2412, -0.0011), (0.2919, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
_PRIMARIES = {9: _BT2020, 12: _P3}
_D50 = (0.9642, 1.0, 0.8249)
_STEPS = 4096
_REFERENCE_WHITE, _HLG_PEAK = 203.0, 1000.0
_KNEE = 0.5


def _linear(signal: float) -> float:
    return signal


def _gamma_22(signal: float) -> float:
    return float(signal**2.2)


def _gamma_28(signal: float) -> float:
    return float(signal**2.8)


def _srgb(signal: float) -> float:
    """IEC 61966-2-1. Pictures that name the curve of a camera (BT.709 and its like) are shown with it everywhere."""
    return signal / 12.92 if signal <= 0.04045 else float(((signal + 0.055) / 1.055) ** 2.4)


def _pq(signal: float) -> float:
    power = signal ** (1 / 78.84375)
    light = 10_000 * (max(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
    return _soft(light / _REFERENCE_WHITE)


def _hlg(signal: float) -> float:
    scene = signal * signal / 3 if signal <= 0.5 else (math.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return _soft(_HLG_PEAK * scene**1.2 / _REFERENCE_WHITE)


def _soft(light: float) -> float:
    room = 1 - _KNEE
    return light if light <= _KNEE else _KNEE + room * (1 - math.exp((_KNEE - light) / room))


_CURVES: dict[int, Callable[[float], float]] = {4: _gamma_22, 5: _gamma_28, 8: _linear, 16: _pq, 18: _hlg}


@cache
def profile(primaries: int, transfer: int) -> bytes | None:
    """The profile of these numbers; None where they say sRGB, or nothing that is known. Never fails."""
    colorants, curve = _PRIMARIES.get(primaries, _SRGB), _CURVES.get(transfer, _srgb)
    if colorants is _SRGB and curve is _srgb:
        return None
    values = (round(65_535 * min(1.0, curve(step / (_STEPS - 1)))) for step in range(_STEPS))
    tags = {b"desc": b"desc" + struct.pack(">II", 0, 5) + b"nclx\0" + bytes(79), b"wtpt": _xyz(_D50)}
    tags |= {name: _xyz(xyz) for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colorants, strict=True)}
    tags[b"rTRC"] = b"curv" + struct.pack(f">II{_STEPS}H", 0, _STEPS, *values)
    return _assemble(tags)


def _xyz(xyz: tuple[float, float, float]) -> bytes:
    return b"XYZ " + struct.pack(">I3i", 0, *(round(value * 65_536) for value in xyz))


def _assemble(tags: dict[bytes, bytes]) -> bytes:
    """ICC.1:2001-04, 6.1 and 6.2: a monitor's profile, version 2.4; the three channels share a curve."""
    names = [*tags, b"gTRC", b"bTRC"]
    at, table, body = 132 + 12 * len(names), b"", b""
    places: dict[bytes, bytes] = {}
    for name, tag in tags.items():
        padded = tag + bytes(-len(tag) % 4)
        places[name] = struct.pack(">II", at + len(body), len(tag))
        body += padded
    for name in names:
        table += name + places[b"rTRC" if name.endswith(b"TRC") else name]
    head = struct.pack(">II", at + len(body), 0) + struct.pack(">I", 0x02400000) + b"mntrRGB XYZ " + bytes(12)
    head += b"acsp" + bytes(28) + struct.pack(">3i", *(round(value * 65_536) for value in _D50))
    return head.ljust(128, b"\0") + struct.pack(">I", len(names)) + table + body
