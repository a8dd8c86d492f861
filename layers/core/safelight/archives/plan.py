"""The layout of an archive as arithmetic: every byte's place is known before the first object is read.

A photo does not compress, so it is STORED, and its size and CRC-32 are known since it was taken in. The ordered list
of entries therefore decides the archive's length, its ETag and, for any range of it, which bytes of which objects
are needed. Nothing here reads, waits or allocates more than the directory it is asked for.
"""

import hashlib
import json
import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

from safelight import splice as splices
from safelight.archives import records
from safelight.splice import Splice

_VERSION = b"safelight archive layout 1"
_DIRECTORY_PIECE = 64 * 1024
_NUMBERS = struct.Struct("<IQIqIIB")
_OBJECT, _LITERAL, _SPLICE = 0, 1, 2
_ZEROS = bytes(64 * 1024)


class Entry(NamedTuple):
    """One member: `size` in bytes, `mtime` in seconds since 1970, and where its bytes come from.

    Either the bytes are the object `key` of the store, whose ETag must still be `etag`, or what `splice` cuts out of
    that object, or they are `data`.
    `sha256` (hex) is what the receipt tells about it.
    """

    name: str
    size: int
    crc32: int
    mtime: int
    key: str = ""
    etag: str = ""
    data: bytes | None = None
    sha256: str = ""
    splice: Splice | None = None


@dataclass(frozen=True, slots=True)
class Literal:
    """Bytes of the archive that are known already."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes `start` up to but not including `stop` of an entry's object."""

    entry: Entry
    start: int
    stop: int


class Layout(Protocol):
    """A file that is known before it is read: an archive, or one photo."""

    size: int

    @property
    def digest(self) -> str: ...

    @property
    def etag(self) -> str: ...

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Literal | Source]: ...


class Plan:
    """The archive of `entries`, in their order. Raises ValueError for an entry that no archive can hold."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = list(entries)
        self._names = names = [entry.name.encode() for entry in self.entries]
        if len(set(names)) != len(names):
            raise ValueError("two entries have the same name")
        self._offsets = array("Q")  # where each local header starts
        self._directory = array("Q")  # where each central header starts, counted from the directory's start
        at = inside = 0
        for entry, name in zip(self.entries, names, strict=True):
            _check(entry, name)
            self._offsets.append(at)
            self._directory.append(inside)
            inside += records.central_size(name, entry.size, entry.mtime, at)
            at += records.local_size(name, entry.size, entry.mtime) + entry.size
        self._directory_at = at
        self._end_at = at + inside
        self._end = records.end_of_archive(len(names), at, inside)
        self.size = self._end_at + len(self._end)
        """The length of the archive in bytes."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of all that decides the archive's bytes: the same manifest, the same digest."""
        digest = hashlib.sha256(_VERSION)
        for entry, name in zip(self.entries, self._names, strict=True):
            key, etag = entry.key.encode(), entry.etag.encode()
            form = _SPLICE if entry.splice else _OBJECT if entry.data is None else _LITERAL
            digest.update(_NUMBERS.pack(len(name), entry.size, entry.crc32, entry.mtime, len(key), len(etag), form))
            digest.update(name + key + etag)
            if entry.splice is not None:
                listed = json.dumps([entry.splice.whole, splices.dump(entry.splice.pieces)]).encode()
                digest.update(struct.pack("<I", len(listed)) + listed)
            if entry.data is not None:
                digest.update(entry.data)
        return digest.hexdigest()

    @cached_property
    def etag(self) -> str:
        """A strong entity tag (RFC 9110 §8.8.3), quoted."""
        return f'"{self.digest[:40]}"'

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Literal | Source]:
        """The archive's bytes from `start` up to but not including `stop`, in order, nothing outside them touched."""
        stop = self.size if stop is None else stop
        if not 0 <= start <= stop <= self.size:
            raise ValueError(f"bytes {start} to {stop} are not within an archive of {self.size}")
        if start < self._directory_at:
            yield from self._members(start, min(stop, self._directory_at))
        if start < self._end_at and stop > self._directory_at:
            yield from self._central_directory(max(start, self._directory_at), min(stop, self._end_at))
        if stop > self._end_at and start < stop:
            yield Literal(self._end[max(start - self._end_at, 0) : stop - self._end_at])

    def _members(self, start: int, stop: int) -> Iterator[Literal | Source]:
        first = bisect_right(self._offsets, start) - 1
        for index in range(first, len(self.entries)):
            at = self._offsets[index]
            if at >= stop:
                return
            entry, name = self.entries[index], self._names[index]
            body = at + records.local_size(name, entry.size, entry.mtime)
            if start < body:
                header = records.local_header(name, entry.size, entry.crc32, entry.mtime)
                yield Literal(header[max(start - at, 0) : stop - at])
            low, high = max(start - body, 0), min(stop - body, entry.size)
            if low < high:
                yield from content(entry, low, high)

    def _central_directory(self, start: int, stop: int) -> Iterator[Literal]:
        start, stop = start - self._directory_at, stop - self._directory_at
        index = bisect_right(self._directory, start) - 1
        skip = start - self._directory[index]
        left = stop - start
        piece = bytearray()
        while left > len(piece):
            entry, name = self.entries[index], self._names[index]
            header = records.central_header(name, entry.size, entry.crc32, entry.mtime, self._offsets[index])
            piece += header[skip:]
            skip = 0
            index += 1
            if len(piece) >= _DIRECTORY_PIECE:
                yield Literal(bytes(piece[:left]))
                left -= min(len(piece), left)
                piece.clear()
        if left:
            yield Literal(bytes(piece[:left]))


def content(entry: Entry, start: int, stop: int) -> Iterator[Literal | Source]:
    """Bytes `start` up to but not including `stop` of an entry, in order."""
    if entry.data is not None:
        yield Literal(entry.data[start:stop])
    elif entry.splice is None:
        yield Source(entry, start, stop)
    else:
        whole = entry._replace(size=entry.splice.whole, splice=None)  # of the object, which the store is asked for
        for piece in entry.splice.cut(start, stop):
            if isinstance(piece, tuple):
                yield Source(whole, *piece)
            elif isinstance(piece, bytes):
                yield Literal(piece)
            else:
                yield from (Literal(_ZEROS[: piece - at]) for at in range(0, piece, len(_ZEROS)))


def plan(entries: Iterable[Entry]) -> Plan:
    """The layout of an archive of `entries`, in that order. Raises ValueError for an entry that no archive can hold."""
    return Plan(entries)


def _check(entry: Entry, name: bytes) -> None:
    if not 0 < len(name) <= records.MAX16:
        raise ValueError("a name must have 1 to 65,535 bytes")
    if entry.size < 0 or not 0 <= entry.crc32 <= records.MAX32:
        raise ValueError(f"{entry.name!r} has an impossible size or CRC-32")
    known = len(entry.data) if entry.data is not None else entry.splice.size if entry.splice else entry.size
    if known != entry.size:
        raise ValueError(f"{entry.name!r} has {known} bytes, not {entry.size}")
