"""Where the items of a HEIC or AVIF file lie: the `iloc` box, ISO/IEC 14496-12, 8.11.3."""

from typing import NamedTuple

_MAX_ITEMS = 5000
_MAX_EXTENTS = 64


class Extent(NamedTuple):
    """Bytes `start` to `stop` of the file; its length is a number of `length_size` bytes at `length_at`."""

    start: int
    stop: int
    length_at: int
    length_size: int


class Location(NamedTuple):
    """The number of an item and its parts."""

    item: int
    extents: tuple[Extent, ...]


class _Reader:
    def __init__(self, data: bytes, at: int, stop: int) -> None:
        self.data, self.at, self.stop = data, at, stop

    def number(self, size: int) -> int:
        """The next big-endian number of `size` bytes (0 for none)."""
        if self.at + size > self.stop:
            raise ValueError("a table that ends early")
        value = int.from_bytes(self.data[self.at : self.at + size], "big")
        self.at += size
        return value


def locations(data: bytes, at: int, stop: int, idat: int) -> list[Location]:
    """The items' places, from the content of an `iloc` box; `idat` is where that box's content starts, 0 for none.

    Raises ValueError for what is not understood completely: other files, unknown versions, parts without a length.
    """
    read = _Reader(data, at, stop)
    version = read.number(1)
    read.number(3)
    sizes = read.number(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    if version > 2 or length_size not in (4, 8) or {offset_size, base_size, index_size} - {0, 4, 8}:
        raise ValueError("a table of places that is not understood")
    wide = 4 if version == 2 else 2
    count = read.number(wide)
    if count > _MAX_ITEMS:
        raise ValueError("too many items")
    found = []
    for _ in range(count):
        item = read.number(wide)
        method = read.number(2) if version else 0
        if read.number(2) or method > 1 or (method and not idat):
            raise ValueError("an item that lies elsewhere")
        base = read.number(base_size) + (idat if method else 0)
        found.append(Location(item, _extents(read, base, offset_size, length_size, index_size)))
    if any(data[read.at : stop]):
        raise ValueError("more than a table of places")
    if len({place.item for place in found}) != len(found):
        raise ValueError("an item in two places")
    return found


def _extents(read: _Reader, base: int, offset_size: int, length_size: int, index_size: int) -> tuple[Extent, ...]:
    extents = []
    count = read.number(2)
    if count > _MAX_EXTENTS:
        raise ValueError("an item in too many parts")
    for _ in range(count):
        if read.number(index_size) > _MAX_EXTENTS:
            raise ValueError("a part of another item")
        start = base + read.number(offset_size)
        length_at = read.at
        length = read.number(length_size)
        if not length or start + length > len(read.data):
            raise ValueError("an item beyond the end")
        extents.append(Extent(start, start + length, length_at, length_size))
    return tuple(extents)
