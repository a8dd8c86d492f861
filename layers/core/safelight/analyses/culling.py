"""Which photos of a gallery show the same thing: bursts and near-duplicates, found without comparing all with all.

Two photos belong together when they were taken within `BURST_SECONDS` of one another and both their hashes differ in
no more bits than `BURST` says, or, whenever they were taken, than `ALIKE` says. The thresholds are those of the table
in docs/analyses.md. Pairs are joined closest first (Kruskal's order), and a group may not creep: everyone in it is
within `CHAIN` of its first frame, and a burst does not last longer than `SPAN_SECONDS`.

Near-duplicates are looked up as in multi-index hashing (Norouzi, Punjani and Fleet, "Fast Search in Hamming Space with
Multi-Index Hashing", CVPR 2012): of four parts of 16 bits, one must differ in at most one bit when all differ in
at most seven.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bits:
    """In how many bits of each hash two photos may differ."""

    dhash: int
    phash: int


BURST_SECONDS = 10.0
SPAN_SECONDS = 60.0
BURST, ALIKE, CHAIN = Bits(13, 16), Bits(7, 12), Bits(18, 22)
# With how many others a photo is compared at most, per list it is in: a gallery of equal pictures stays affordable.
COMPARED = 100

# Every fourth bit, so that a flat sky does not put half of a gallery into one list.
_PARTS = [sum(1 << bit for bit in range(part, 64, 4)) for part in range(4)]
_FLIPS = [[0, *(1 << bit for bit in range(part, 64, 4))] for part in range(4)]


@dataclass(frozen=True, slots=True)
class Frame:
    """A photo as culling sees it; `at` is when it was taken, in seconds, if the camera said so.

    `sharpness` is comparable within a group only; `clipped` is the share of the pixels that are black or blown out.
    """

    index: int
    dhash: int
    phash: int
    at: float | None
    sharpness: float
    clipped: float


def groups(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Those that belong together, two at least, each group and the groups in the order of `index`."""
    ordered = sorted(frames, key=lambda frame: frame.index)
    places = _Places(ordered)
    bursts = dict.fromkeys(_bursts(ordered), True)
    pairs = bursts | {pair: False for pair in _alike(ordered) if pair not in bursts}
    closest = sorted((_distance(ordered[i], ordered[j]), i, j, burst) for (i, j), burst in pairs.items())
    for _, i, j, burst in closest:
        places.join(i, j, burst=burst)
    found: dict[int, list[Frame]] = defaultdict(list)
    for place, frame in enumerate(ordered):
        found[places.root(place)].append(frame)
    return sorted((group for group in found.values() if len(group) > 1), key=lambda group: group[0].index)


def ranked(group: Sequence[Frame]) -> list[tuple[Frame, float]]:
    """The frames with their score (0..1), the best first: sharpness of the sharpest, less what is clipped beyond the
    least clipped; twice, and half of the score at most, since no frame is saved by its light alone."""
    most = max(frame.sharpness for frame in group)
    least = min(frame.clipped for frame in group)

    def score(frame: Frame) -> float:
        relative = frame.sharpness / most if most > 0 else 1.0
        return round(relative * (1 - min(0.5, 2 * (frame.clipped - least))), 3)

    scored = [(frame, score(frame)) for frame in group]
    return sorted(scored, key=lambda one: (-one[1], one[0].clipped, one[0].index))


def _distance(one: Frame, other: Frame) -> int:
    return (one.dhash ^ other.dhash).bit_count()


def _within(one: Frame, other: Frame, bits: Bits) -> bool:
    return _distance(one, other) <= bits.dhash and (one.phash ^ other.phash).bit_count() <= bits.phash


def _bursts(ordered: Sequence[Frame]) -> Iterator[tuple[int, int]]:
    timed = sorted((frame.at, place) for place, frame in enumerate(ordered) if frame.at is not None)
    for at, (when, place) in enumerate(timed):
        for later, other in timed[at + 1 : at + 1 + COMPARED]:
            if later - when > BURST_SECONDS:
                break
            if _within(ordered[place], ordered[other], BURST):
                yield min(place, other), max(place, other)


def _alike(ordered: Sequence[Frame]) -> Iterator[tuple[int, int]]:
    # Equal ones first, as a chain: each is then one entry of the lists.
    first: dict[tuple[int, int], int] = {}
    last: dict[tuple[int, int], int] = {}
    for place, frame in enumerate(ordered):
        both = (frame.dhash, frame.phash)
        if both in last:
            yield last[both], place
        first.setdefault(both, place)
        last[both] = place
    for mask, flips in zip(_PARTS, _FLIPS, strict=True):
        lists: dict[int, list[int]] = defaultdict(list)
        for (dhash, _), place in first.items():
            lists[dhash & mask].append(place)
        for (dhash, _), place in first.items():
            left = COMPARED
            for flip in flips:
                others = lists.get(dhash & mask ^ flip)
                if not others or left <= 0:
                    continue
                after = bisect_right(others, place)
                for other in others[after : after + left]:
                    left -= 1
                    if _within(ordered[place], ordered[other], ALIKE):
                        yield place, other


class _Places:
    """A union-find (Tarjan) whose sets know when they begin and end and which frame is their first."""

    def __init__(self, ordered: Sequence[Frame]) -> None:
        self._frames = ordered
        self._parent = list(range(len(ordered)))
        self._span = [(frame.at, frame.at) for frame in ordered]
        self._members = {place: [place] for place in range(len(ordered))}

    def root(self, place: int) -> int:
        while self._parent[place] != place:
            self._parent[place] = place = self._parent[self._parent[place]]
        return place

    def join(self, one: int, other: int, *, burst: bool) -> None:
        first, second = sorted((self.root(one), self.root(other)))
        if first == second:
            return
        begin = self._frames[first]
        if not all(_within(begin, self._frames[member], CHAIN) for member in self._members[second]):
            return
        times = [at for span in (self._span[first], self._span[second]) for at in span if at is not None]
        if burst and max(times) - min(times) > SPAN_SECONDS:
            return
        self._parent[second] = first
        self._members[first] += self._members.pop(second)
        self._span[first] = (min(times), max(times)) if times else (None, None)
