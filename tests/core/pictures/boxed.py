"""A HEIC or AVIF file taken apart and put together again, with more in it than its writer knew."""

import itertools
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Self

from tests.core.pictures.private import MARK
from tests.core.pictures.samples import SRGB, encode, scene

SECRET = MARK + b"-HIDDEN"
type Boxes = list[tuple[bytes, bytes]]
"""(kind, content) of each."""


def box(kind: bytes, body: bytes) -> bytes:
    """A box."""
    return struct.pack(">I4s", 8 + len(body), kind) + body


def boxes(data: bytes) -> Boxes:
    """The boxes that these bytes are."""
    return list(_boxes(data))


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + size]
        at += size


def joined(parts: Boxes) -> bytes:
    """These boxes, one after the other."""
    return b"".join(box(*part) for part in parts)


@dataclass
class Still:
    """The boxes of `meta`, without the table of places, and each item's content in one or several parts; `behind` is
    what follows the last place in that table."""

    brands: bytes
    meta: Boxes
    items: dict[int, list[bytes]]
    behind: bytes = b""

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Taken apart; what these writers write: version 0, places of four bytes, one part an item."""
        top = dict(boxes(data))
        meta = boxes(top[b"meta"][4:])
        table = dict(meta)[b"iloc"]
        base = table[5] >> 4
        assert (table[0], table[4], base in (0, 4)) == (0, 0x44, True)
        items = {}
        for item, _, origin, parts, offset, size in struct.iter_unpack(f">HH{base}sHII", table[8:]):
            assert parts == 1
            start = int.from_bytes(origin, "big") + offset
            items[item] = [data[start : start + size]]
        return cls(top[b"ftyp"], [part for part in meta if part[0] != b"iloc"], items)

    def change(self, kind: bytes, how: Callable[[bytes], bytes]) -> None:
        """Another content of the boxes of that kind, also of properties."""
        self.meta = _changed(self.meta, kind, how)

    def data(self) -> bytes:
        """Put together."""
        parts = list(self.items.values())
        head = box(b"ftyp", self.brands)
        size = sum(8 + 8 * len(extents) for extents in parts) - 2 * len(parts) + len(self.behind)
        at = len(head) + 12 + len(joined(self.meta)) + 8 + 8 + size + 8
        table = struct.pack(">IBBH", 0, 0x44, 0, len(parts))
        for item, extents in self.items.items():
            table += struct.pack(">HHH", item, 0, len(extents))
            places = itertools.accumulate(map(len, extents), initial=at)
            for place, extent in zip(places, extents, strict=False):
                table += struct.pack(">II", place, len(extent))
            at += sum(map(len, extents))
        table += self.behind
        assert len(table) == 8 + size
        meta = box(b"meta", bytes(4) + joined(self.meta) + box(b"iloc", table))
        return head + meta + box(b"mdat", b"".join(itertools.chain.from_iterable(parts)))


def parts(data: bytes) -> dict[int, list[bytes]]:
    """Each item's parts, of a file that `Still.data` made or that was made of one."""
    table = dict(boxes(dict(boxes(data))[b"meta"][4:]))[b"iloc"]
    found, at = {}, 8
    for _ in range(int.from_bytes(table[6:8], "big")):
        item, _, count = struct.unpack_from(">HHH", table, at)
        places = struct.iter_unpack(">II", table[at + 6 : at + 6 + 8 * count])
        found[item] = [data[start : start + size] for start, size in places]
        at += 6 + 8 * count
    return found


def _changed(parts: Boxes, kind: bytes, how: Callable[[bytes], bytes]) -> Boxes:
    return [
        (name, how(body))
        if name == kind
        else (name, joined(_changed(boxes(body), kind, how)) if name in (b"iprp", b"ipco") else body)
        for name, body in parts
    ]


def still(kind: str, *, seen_through: bool = False) -> Still:
    """A picture of a writer's, whose first item it is."""
    photo = scene(90, 60)
    if seen_through:
        photo.putalpha(128)
    return Still.of(encode(photo, kind, icc_profile=SRGB))


SEI = bytes([39 << 1, 1, 5, 16 + len(SECRET)]) + bytes(16) + SECRET + b"\x80"  # user data, of no one known
METADATA = bytes([5 << 3 | 2, 2 + len(SECRET) + 1, 4, 0xB5]) + SECRET + b"\x80"  # an ITU-T T.35 message


def _sei_in_item() -> Still:
    made = still("HEIF")
    made.items[1] = [struct.pack(">I", len(SEI)) + SEI + made.items[1][0]]
    return made


def _sei_in_configuration() -> Still:
    made = still("HEIF")
    more = struct.pack(">BHH", 39, 1, len(SEI)) + SEI
    made.change(b"hvcC", lambda body: body[:22] + bytes([body[22] + 1]) + body[23:] + more)
    return made


def _metadata_in_item() -> Still:
    made = still("AVIF")
    made.items[1] = [METADATA + made.items[1][0]]
    return made


def _metadata_in_configuration() -> Still:
    made = still("AVIF")
    made.change(b"av1C", lambda body: body + METADATA)
    return made


def _named(kind: str) -> Still:
    made = still(kind)
    made.change(
        b"iinf", lambda body: body[:6] + joined([(b"infe", one[:12] + SECRET + b"\0") for _, one in boxes(body[6:])])
    )
    return made


def _elsewhere(kind: str) -> Still:
    made = still(kind)
    address = box(b"url ", bytes(4) + b"file:///" + SECRET + b"\0")
    made.meta.append((b"dinf", box(b"dref", struct.pack(">II", 0, 1) + address)))
    return made


def _grouped(kind: str) -> Still:
    # libavif opens no file whose group has more than its items; libheif does.
    made = still(kind)
    ours, theirs = struct.pack(">III", 0, 77, 1), struct.pack(">III", 0, 78, 4)
    groups = box(b"altr", ours + b"\0\0\0\1") + box(b"CNRY", theirs + SECRET.ljust(16))
    made.meta.append((b"grpl", groups + (box(b"altr", ours + SECRET) if kind == "HEIF" else b"")))
    return made


def _auxiliary(kind: str) -> Still:
    made = still(kind, seen_through=True)
    assert any(b"auxC" in body for name, body in made.meta if name == b"iprp")
    made.change(b"auxC", lambda body: body + SECRET)
    return made


def _tailed(kind: str) -> Still:
    made = still(kind)
    made.change(b"colr", lambda body: body + SECRET)
    return made


HIDDEN: dict[str, Callable[[], Still]] = {
    "heic, a message in the picture": _sei_in_item,
    "heic, a message in the configuration": _sei_in_configuration,
    "avif, a message in the picture": _metadata_in_item,
    "avif, a message in the configuration": _metadata_in_configuration,
}
for _kind, _name in (("HEIF", "heic"), ("AVIF", "avif")):
    for _what, _make in {
        "names of items": _named,
        "data elsewhere": _elsewhere,
        "groups": _grouped,
        "a kind of auxiliary picture": _auxiliary,
        "behind a profile": _tailed,
    }.items():
        HIDDEN[f"{_name}, {_what}"] = partial(_make, _kind)
