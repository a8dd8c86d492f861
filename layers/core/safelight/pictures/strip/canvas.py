"""A file in which everything stays in its place, and all that is not asked for becomes zero."""

from collections.abc import Iterator

from safelight.splice import Piece


class Canvas:
    """Parts of a file to keep or to overwrite, in any order; parts that are kept may overlap one another."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, int]] = []
        self._put: list[tuple[int, bytes]] = []
        self._dropped: list[tuple[int, int]] = []

    def keep(self, start: int, stop: int) -> None:
        """These bytes of the original."""
        self._kept.append((start, stop))

    def put(self, at: int, data: bytes) -> None:
        """These bytes, whatever was there."""
        self._put.append((at, data))

    def drop(self, start: int, stop: int) -> None:
        """These bytes must not be kept: where a part that is kept reaches into them, the file is refused."""
        self._dropped.append((start, stop))

    def pieces(self, stop: int | None = None) -> Iterator[Piece]:
        """The file, up to `stop` or the last byte that is not zero by us. Raises ValueError for a contradiction."""
        written = sorted((at, at + len(data)) for at, data in self._put)
        merged = _merged(self._kept)
        if _overlap(merged, _merged(self._dropped)) or _overlap(merged, written) or written != _disjoint(written):
            raise ValueError("parts of the file overlap")
        parts: list[tuple[int, int, bytes | None]] = [(start, end, None) for start, end in merged]
        parts += [(at, at + len(data), data) for at, data in self._put if data]
        at = 0
        for start, end, data in sorted(parts, key=lambda part: part[:2]):
            yield start - at
            yield (start, end) if data is None else data
            at = end
        if stop is not None:
            yield stop - at


def _merged(parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(part for part in parts if part[0] < part[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        else:
            merged.append((start, stop))
    return merged


def _disjoint(parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [part for n, part in enumerate(parts) if not n or parts[n - 1][1] <= part[0]]


def _overlap(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> bool:
    """Whether any of these sorted, disjoint parts share a byte."""
    first = second = 0
    while first < len(one) and second < len(other):
        if max(one[first][0], other[second][0]) < min(one[first][1], other[second][1]):
            return True
        if one[first][1] <= other[second][1]:
            first += 1
        else:
            second += 1
    return False
