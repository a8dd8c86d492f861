"""The directories of a TIFF file: TIFF 6.0 section 2, and BigTIFF."""

import struct
from typing import NamedTuple

BYTE, ASCII, SHORT, LONG, UNDEFINED = 1, 2, 3, 4, 7
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_MAX_ENTRIES = 2000


class Form(NamedTuple):
    """How numbers are written: `pointer` and `counter` are those of a directory, `inline` bytes fit into it."""

    order: str
    pointer: str
    counter: str
    head: str
    inline: int

    @property
    def entry(self) -> int:
        """Bytes of an entry."""
        return struct.calcsize(self.order + self.head) + self.inline

    @property
    def header(self) -> int:
        """Bytes of the file's header."""
        return 16 if self.inline == 8 else 8


class Entry(NamedTuple):
    """A tag, the type and the number of its values, those or where they lie, and that they lie at `start` to `stop`."""

    tag: int
    kind: int
    number: int
    raw: bytes
    start: int
    stop: int

    def numbers(self, form: Form, data: bytes) -> list[int]:
        """Its values, which must be whole numbers."""
        letter = {SHORT: "H", LONG: "I", 13: "I", 16: "Q", 18: "Q"}[self.kind]
        return list(struct.unpack_from(f"{form.order}{self.number}{letter}", data, self.start))

    def packed(self, form: Form) -> bytes:
        """As it stands in a directory."""
        return struct.pack(form.order + form.head, self.tag, self.kind, self.number) + self.raw


class Directory(NamedTuple):
    """The entries of a directory from `start` to `stop`, and where the next one starts, 0 for none."""

    start: int
    stop: int
    entries: list[Entry]
    following: int

    def holds(self, entry: Entry) -> bool:
        """Whether an entry's values stand within the directory itself."""
        return self.start <= entry.start < self.stop


def form(data: bytes) -> Form:
    """How this file writes its numbers."""
    order = "<" if data[:2] == b"II" else ">"
    (version,) = struct.unpack_from(order + "H", data, 2)
    return Form(order, "Q", "Q", "HHQ", 8) if version == 43 else Form(order, "I", "H", "HHI", 4)


def first(data: bytes, form: Form) -> Directory:
    """The directory that the header points to."""
    pointer = struct.calcsize(form.order + form.pointer)
    return read(data, form, struct.unpack_from(form.order + form.pointer, data, form.header - pointer)[0])


def read(data: bytes, form: Form, at: int) -> Directory:
    """The directory there. Raises ValueError or struct.error where there is none."""
    (count,) = struct.unpack_from(form.order + form.counter, data, at)
    if count > _MAX_ENTRIES:
        raise ValueError("a directory without end")
    start = at + struct.calcsize(form.order + form.counter)
    entries = [_entry(data, form, start + n * form.entry) for n in range(count)]
    (following,) = struct.unpack_from(form.order + form.pointer, data, start + count * form.entry)
    return Directory(at, start + count * form.entry, entries, following)


def _entry(data: bytes, form: Form, at: int) -> Entry:
    tag, kind, number = struct.unpack_from(form.order + form.head, data, at)
    inside = at + struct.calcsize(form.order + form.head)
    size = _SIZES[kind] * number
    start = inside if size <= form.inline else struct.unpack_from(form.order + form.pointer, data, inside)[0]
    raw = data[inside : inside + form.inline]
    if size < form.inline:
        raw = raw[:size].ljust(form.inline, b"\0")
    return Entry(tag, kind, number, raw, start, start + size)
