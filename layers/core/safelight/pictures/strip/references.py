"""How the items of a HEIC or AVIF file stand to one another, and which of them show its pictures.

Sources: ISO/IEC 14496-12, 8.11.12 (references) and 8.18.3 (groups); 23008-12, 6.4 (thumbnails, auxiliary and derived
pictures). An item that goes stays in the tables, as one of a kind that no reader knows.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .canvas import Canvas
from .walk import Box, free, walk

GONE = b"free"
_GROUPS = {b"altr", b"ster", b"eqiv"}
_LONGEST_NUMBER = 0xFFFF


class Reference(NamedTuple):
    """Item `source` to each of `targets`."""

    box: Box
    source: int
    targets: tuple[int, ...]


def references(data: bytes, iref: Box) -> Iterator[Reference]:
    """The content of an `iref` box. Raises ValueError for more than belongs there."""
    wide = 4 if data[iref.body] else 2
    for box in walk(data, iref.body + 4, iref.stop):
        count = int.from_bytes(data[box.body + wide : box.body + wide + 2], "big")
        if box.body + wide + 2 + wide * count != box.stop:
            raise ValueError("a reference that is not understood")
        places = [box.body, *range(box.body + wide + 2, box.stop, wide)]
        source, *targets = (int.from_bytes(data[at : at + wide], "big") for at in places)
        yield Reference(box, source, tuple(targets))


def without_thumbnails(pictures: set[int], primary: int, told: Sequence[Reference]) -> set[int]:
    """These items without the thumbnails among them and what only thumbnails are made of."""
    masters = {target for one in told if one.box.kind == b"thmb" for target in one.targets}
    left = pictures - ({one.source for one in told if one.box.kind == b"thmb"} - masters - {primary})
    while True:
        parts, beside = ([one for one in told if one.box.kind == kind] for kind in (b"dimg", b"auxl"))
        used = {target for one in parts if one.source in left for target in one.targets}
        unused = {target for one in parts if one.source in pictures - left for target in one.targets} - used - masters
        unused |= {one.source for one in beside if not left.intersection(one.targets)}
        unused = unused & left - {primary}
        if not unused:
            return left
        left = left - unused


def needed(shown: set[int], primary: int, told: Sequence[Reference]) -> set[int]:
    """The items without which those that are shown would look otherwise."""
    found = {primary}
    for one in told:
        if one.box.kind == b"dimg" and one.source in shown:
            found.update(one.targets)
        elif one.box.kind == b"auxl" and shown.intersection(one.targets):
            found.update((one.source, *one.targets))
    return found


def clear(canvas: Canvas, iref: Box, told: Sequence[Reference], left: set[int]) -> None:
    """Keep the references between items that are `left`; the others become boxes that say nothing."""
    canvas.keep(iref.start, iref.body + 4)
    for box, source, targets in told:
        if left.issuperset((source, *targets)):
            canvas.keep(box.start, box.stop)
        else:
            canvas.keep(box.start, box.start + 4)
            canvas.put(box.start + 4, GONE)
            canvas.keep(box.start + 8, box.stop)


def groups(canvas: Canvas, data: bytes, grpl: Box, left: set[int]) -> None:
    """Pictures that belong together. All go where one says more: nothing else may be there."""
    for box in walk(data, grpl.body, grpl.stop):
        version, name, count = (int.from_bytes(data[at : at + 4], "big") for at in range(box.body, box.body + 12, 4))
        members = {int.from_bytes(data[at : at + 4], "big") for at in range(box.body + 12, box.stop, 4)}
        sound = box.kind in _GROUPS and not version and name <= _LONGEST_NUMBER and members <= left
        if not sound or box.body + 12 + 4 * count != box.stop:
            free(canvas, data, grpl)
            return
    canvas.keep(grpl.start, grpl.stop)
