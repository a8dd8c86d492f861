"""What is kept of a colour profile: what colours need, and the profile's own name and copyright.

Source: ICC.1:2022, 7.2 (header), 7.3 (tag table), 9.2 (tags), 10 (their types). A profile that a maker of screens or a
calibration program wrote may tell a serial number, a measurement or a machine's name in tags beyond those.
"""

import struct

from safelight.splice import Splice, splice

from .canvas import Canvas

_HEADER, _ENTRY = 128, 12
_TABLE = _HEADER + 4
_IDENTITY, _RESERVED = 84, 100
# More than this no colour engine reads.
_MAX_TAGS = 100
_TAGS = {
    *(b"desc", b"cprt", b"dmnd", b"dmdd", b"wtpt", b"bkpt", b"lumi", b"chad", b"chrm", b"cicp", b"meas", b"tech"),
    *(b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC", b"gamt", b"view", b"vued", b"rig0", b"rig2"),
    *(b"A2B0", b"A2B1", b"A2B2", b"B2A0", b"B2A1", b"B2A2", b"D2B0", b"D2B1", b"D2B2", b"D2B3"),
    *(b"B2D0", b"B2D1", b"B2D2", b"B2D3", b"pre0", b"pre1", b"pre2", b"ciis", b"clrt", b"clot"),
}
# Writers that count the filling behind the last tag and leave it out: colour engines read such a profile all the same.
MISSING = 4
_FUNCTIONS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}
# Bytes that a type takes, where they can be told: what stands behind them is nobody's.
_LENGTHS = {b"XYZ ": 20, b"sf32": 44, b"sig ": 12, b"meas": 36, b"view": 36, b"cicp": 12}


def tidy(profile: bytes, missing: int = MISSING) -> Splice | None:
    """The profile up to the size it tells, only with tags that are known; None where it is no profile.

    It may lack `missing` of the bytes that it tells. What is left out becomes zero, so that nothing moves.
    Raises ValueError where tags lie upon the table.
    """
    if len(profile) < _TABLE or profile[36:40] != b"acsp":
        return None
    size, count = int.from_bytes(profile[:4], "big"), int.from_bytes(profile[_HEADER:_TABLE], "big")
    table = _TABLE + _ENTRY * count
    if not table <= min(size, len(profile)) or size > len(profile) + missing or count > _MAX_TAGS:
        return None
    told, size = size, min(size, len(profile))
    entries = [struct.unpack_from(">4sII", profile, at) for at in range(_TABLE, table, _ENTRY)]
    kept = [entry for entry in entries if entry[0] in _TAGS and entry[2] >= 8 and entry[1] + entry[2] <= size]
    canvas = Canvas()
    for _, start, length in kept:
        canvas.keep(start, start + _used(profile[start : start + length]))
    listed = struct.pack(">I", len(kept)) + b"".join(struct.pack(">4sII", *entry) for entry in kept)
    canvas.put(_HEADER, listed.ljust(table - _HEADER, b"\0"))
    canvas.keep(4, _RESERVED)
    if told == size:
        canvas.keep(0, 4)
    else:
        canvas.put(0, struct.pack(">I", size))
    whole = splice(len(profile), canvas.pieces(profile, size))
    if whole.applied(profile) == profile:
        return Splice(len(profile), ((0, len(profile)),))
    # The checksum of what it was before would be wrong: none is told.
    return splice(len(profile), (*whole.cut(0, _IDENTITY), _RESERVED - _IDENTITY, *whole.cut(_RESERVED, size)))


def _used(tag: bytes) -> int:
    if tag[:4] == b"curv":
        size = 12 + 2 * int.from_bytes(tag[8:12], "big")
    elif tag[:4] == b"para":
        size = 12 + 4 * _FUNCTIONS.get(int.from_bytes(tag[8:10], "big"), 7)
    else:
        size = _LENGTHS.get(tag[:4], len(tag))
    return min(len(tag), size)
