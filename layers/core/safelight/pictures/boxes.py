"""The boxes of a HEIF file (HEIC, AVIF), as far as they tell what decoding will cost and what the colours mean.

Sources: ISO/IEC 14496-12 for boxes; ISO/IEC 23008-12 for items (6) and their properties (6.5, 9.3).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_MAX_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class Still:
    """A still picture: the largest size in px that any of its parts claims, most bits a sample, and (primaries,
    transfer) of the primary item by the numbers of ITU-T H.273, unless an ICC profile speaks for it."""

    width: int
    height: int
    bits: int
    nclx: tuple[int, int] | None


def read(data: bytes) -> Still:
    """Raises `ValueError` or `struct.error` where this is no still picture."""
    meta = _inside(memoryview(data), b"meta")[4:]
    container = _inside(meta, b"iprp")
    # Properties are named by their place in this list, counted from one.
    properties = list(_boxes(_inside(container, b"ipco")))
    sizes = [struct.unpack_from(">II", body, 4) for kind, body in properties if kind == b"ispe"]
    if not sizes:
        raise ValueError("no picture size")
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return Still(width, height, _bits(properties), _nclx(properties, _of_primary(meta, container)))


def _bits(properties: list[tuple[bytes, memoryview]]) -> int:
    depths = [8]
    for kind, body in properties:
        if kind == b"pixi":
            depths += body[5 : 5 + body[4]]
        elif kind == b"hvcC":
            depths.append(8 + (body[17] & 7))
        elif kind == b"av1C":
            depths.append(10 if body[2] & 0x40 else 8)
    return max(depths)


def _nclx(properties: list[tuple[bytes, memoryview]], mine: set[int]) -> tuple[int, int] | None:
    colours = [body for index, (kind, body) in enumerate(properties, 1) if kind == b"colr" and index in mine]
    if any(bytes(body[:4]) in (b"prof", b"rICC") for body in colours):
        return None
    coded = next((body for body in colours if bytes(body[:4]) == b"nclx"), None)
    return None if coded is None else struct.unpack_from(">HH", coded, 4)


def _of_primary(meta: memoryview, container: memoryview) -> set[int]:
    """The numbers of the properties that belong to the primary item, each once however often it is said."""
    box = _inside(meta, b"pitm")
    (wanted,) = struct.unpack_from(">I" if box and box[0] else ">H", box, 4) if len(box) > 5 else (None,)
    found = set[int]()
    for kind, body in _boxes(container):
        if kind != b"ipma":
            continue
        wide_item, wide_index = bool(body[0]), bool(body[3] & 1)
        (entries,) = struct.unpack_from(">I", body, 4)
        at = 8
        for _ in range(min(entries, _MAX_STEPS)):
            (item,) = struct.unpack_from(">I" if wide_item else ">H", body, at)
            at += 4 if wide_item else 2
            count, step = body[at], 2 if wide_index else 1
            at += 1
            if item == wanted:
                marks = struct.unpack_from(f">{count}{'H' if wide_index else 'B'}", body, at)
                found |= {mark & (0x7FFF if wide_index else 0x7F) for mark in marks}
            at += count * step
    return found


def _inside(level: memoryview, wanted: bytes) -> memoryview:
    """The body of the first box of a kind, empty where there is none."""
    return next((body for kind, body in _boxes(level) if kind == wanted), level[:0])


def _boxes(level: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    at = 0
    for _ in range(_MAX_STEPS):
        if at + 8 > len(level):
            return
        size, kind = struct.unpack_from(">I4s", level, at)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", level, at + 8), 16
        end = len(level) if size == 0 else at + size
        if end < at + head:
            raise ValueError("a box smaller than its header")
        yield kind, level[at + head : end]
        at = end
