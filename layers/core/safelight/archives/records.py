"""The ZIP records, byte for byte: APPNOTE.TXT 6.3.10 by PKWARE, and Info-ZIP's "UT" extra field for UTC times.

Every member is STORED (method 0) and its size and CRC-32 stand in the local header, so no data descriptor
follows it. General-purpose bit 11 says that names are UTF-8. ZIP64 fields appear only where a
value does not fit.
"""

import struct
import time

MAX16 = 0xFFFF
MAX32 = 0xFFFFFFFF

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_UTC_TIME = struct.Struct("<HHBi")

_UTF8 = 1 << 11
_PLAIN, _ZIP64 = 20, 45  # "version needed to extract": 2.0 and 4.5
_UNIX = 3 << 8
_REGULAR_FILE = 0o100644 << 16

_DOS_FIRST = 315_532_800  # 1980-01-01T00:00:00Z, the first moment that a DOS date can tell
_DOS_LAST = 4_354_819_198  # 2107-12-31T23:59:58Z


def has_utc_time(mtime: int) -> bool:
    """Whether the 32-bit "UT" field can hold this time (seconds since 1970)."""
    return -0x80000000 <= mtime <= 0x7FFFFFFF


def local_size(name: bytes, size: int, mtime: int) -> int:
    """Bytes of `local_header` for the same arguments."""
    return _LOCAL.size + len(name) + _UTC_TIME.size * has_utc_time(mtime) + 20 * (size >= MAX32)


def central_size(name: bytes, size: int, mtime: int, offset: int) -> int:
    """Bytes of `central_header` for the same arguments."""
    wide = 16 * (size >= MAX32) + 8 * (offset >= MAX32)
    return _CENTRAL.size + len(name) + _UTC_TIME.size * has_utc_time(mtime) + (4 + wide if wide else 0)


def local_header(name: bytes, size: int, crc32: int, mtime: int) -> bytes:
    """The record before a member's bytes."""
    wide = size >= MAX32
    extra = struct.pack("<HHQQ", 1, 16, size, size) if wide else b""
    extra += _utc_time(mtime)
    clock, date = _dos_time(mtime)
    shown = MAX32 if wide else size
    needed = _ZIP64 if wide else _PLAIN
    head = _LOCAL.pack(b"PK\3\4", needed, _UTF8, 0, clock, date, crc32, shown, shown, len(name), len(extra))
    return head + name + extra


def central_header(name: bytes, size: int, crc32: int, mtime: int, offset: int) -> bytes:
    """The directory's record of a member whose local header starts at `offset`."""
    wide = b""
    if size >= MAX32:
        wide += struct.pack("<QQ", size, size)
    if offset >= MAX32:
        wide += struct.pack("<Q", offset)
    needed = _ZIP64 if wide else _PLAIN
    extra = (struct.pack("<HH", 1, len(wide)) + wide if wide else b"") + _utc_time(mtime)
    clock, date = _dos_time(mtime)
    shown = min(size, MAX32)
    head = _CENTRAL.pack(
        b"PK\1\2", _UNIX | needed, needed, _UTF8, 0, clock, date, crc32, shown, shown, len(name), len(extra),
        0, 0, 0, _REGULAR_FILE, min(offset, MAX32),
    )  # fmt: skip
    return head + name + extra


def end_of_archive(count: int, directory_offset: int, directory_size: int) -> bytes:
    """The records after the central directory, the ZIP64 pair included where a value needs it."""
    tail = b""
    if count >= MAX16 or directory_size >= MAX32 or directory_offset >= MAX32:
        end = directory_offset + directory_size
        tail = _END64.pack(
            b"PK\6\6", 44, _UNIX | _ZIP64, _ZIP64, 0, 0, count, count, directory_size, directory_offset
        ) + _LOCATOR64.pack(b"PK\6\7", 0, end, 1)
    shown = min(count, MAX16)
    return tail + _END.pack(b"PK\5\6", 0, 0, shown, shown, min(directory_size, MAX32), min(directory_offset, MAX32), 0)


def _utc_time(mtime: int) -> bytes:
    return _UTC_TIME.pack(0x5455, 5, 1, mtime) if has_utc_time(mtime) else b""


def _dos_time(mtime: int) -> tuple[int, int]:
    """DOS time and date, in UTC: an archive must not depend on the time zone of the machine that made it."""
    t = time.gmtime(min(max(mtime, _DOS_FIRST), _DOS_LAST))
    return t.tm_hour << 11 | t.tm_min << 5 | t.tm_sec // 2, t.tm_year - 1980 << 9 | t.tm_mon << 5 | t.tm_mday
