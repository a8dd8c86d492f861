"""A file in which everything stays in its place, and all that is not asked for becomes zero."""

from collections.abc import Iterable, Iterator

from safelight.splice import Piece, length

_SHORT = 64


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

    def place(self, at: int, pieces: Iterable[Piece]) -> None:
        """There, these pieces of what was there, which are told from `at` on."""
        stop = at
        for piece in pieces:
            if isinstance(piece, tuple):
                if at + piece[0] != stop:
                    raise ValueError("what is kept must stay in its place")
                self.keep(stop, at + piece[1])
            elif isinstance(piece, bytes):
                self.put(stop, piece)
            stop += length(piece)

    def drop(self, start: int, stop: int) -> None:
        """These bytes must not be kept: where a part that is kept reaches into them, the file is refused."""
        self._dropped.append((start, stop))

    def pieces(self, data: bytes, stop: int) -> Iterator[Piece]:
        """The file made of `data`, up to `stop`. Raises ValueError for a contradiction."""
        written = sorted((at, at + len(data)) for at, data in self._put)
        merged = _merged(self._kept)
        if _overlap(merged, _merged(self._dropped)) or _overlap(merged, written) or written != _disjoint(written):
            raise ValueError("parts of the file overlap")
        parts: list[tuple[int, int, bytes | None]] = [(start, end, None) for start, end in merged]
        parts += [(at, at + len(data), data) for at, data in self._put if data]
        at = 0
        for start, end, literal in sorted(parts, key=lambda part: part[:2]):
            # Zeros that are there already are no reason to begin another piece.
            yield (at, start) if start - at <= _SHORT and not any(data[at:start]) else start - at
            yield (start, end) if literal is None else literal
            at = end
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
