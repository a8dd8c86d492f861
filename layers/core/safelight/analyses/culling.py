"""Which photos of a gallery show the same thing: bursts and near-duplicates, found without comparing all with all.

Two photos belong together when they were taken within `BURST_SECONDS` of one another and their dHashes differ in no
more than `BURST` bits, or, whenever they were taken, when both their hashes differ in no more bits than `ALIKE` says
and they look alike otherwise, too (`looks`). The thresholds are those of the table in docs/analyses.md. Pairs are
joined closest first (Kruskal's order), and a group may not creep: everyone in it is within `CHAIN` bits of its first
frame, and looks like it unless it is of its burst, and a burst does not last longer than `SPAN_SECONDS`. A picture
without contrast has a hash that says nothing: it belongs to no group.

Near-duplicates are looked up as in multi-index hashing (Norouzi, Punjani and Fleet, "Fast Search in Hamming Space with
Multi-Index Hashing", CVPR 2012): of eight parts of 16 bits, one must differ in at most one bit when all differ in
at most fifteen.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

from safelight.analyses.looks import Look, near


@dataclass(frozen=True, slots=True)
class Bits:
    """In how many bits of each hash two photos may differ."""

    dhash: int
    phash: int


BURST_SECONDS = 10.0
SPAN_SECONDS = 60.0
BURST, ALIKE, CHAIN = 22, Bits(15, 12), 28
# Less contrast than four levels of 255 is a wall, a fog or a lens cap: rounding decides its bits.
FLAT = 0.015
# With how many others a photo is compared at most, per list it is in: a gallery of equal pictures stays affordable.
COMPARED = 100

# Every eighth bit, so that a flat sky does not put half of a gallery into one list.
_PARTS = [sum(1 << bit for bit in range(part, 128, 8)) for part in range(8)]
_FLIPS = [[0, *(1 << bit for bit in range(part, 128, 8))] for part in range(8)]


@dataclass(frozen=True, slots=True)
class Frame:
    """A photo as culling sees it; `at` is when it was taken, in seconds, if the camera said so.

    `sharpness` is comparable within a group only; `clipped` is the share of the pixels that are black or blown out;
    `contrast` as measured.
    """

    index: int
    dhash: int
    phash: int
    at: float | None
    sharpness: float
    clipped: float
    contrast: float
    look: Look


def groups(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Those that belong together, two at least, each group and the groups in the order of `index`."""
    ordered = sorted((frame for frame in frames if frame.contrast >= FLAT), key=lambda frame: frame.index)
    joined = _Groups(ordered)
    bursts = dict.fromkeys(_bursts(ordered), True)
    pairs = bursts | {pair: False for pair in _alike(ordered) if pair not in bursts}
    closest = sorted((_distance(ordered[i], ordered[j]), i, j, burst) for (i, j), burst in pairs.items())
    for _, i, j, burst in closest:
        joined.join(i, j, burst=burst)
    found: dict[int, list[Frame]] = defaultdict(list)
    for place, frame in enumerate(ordered):
        found[joined.root(place)].append(frame)
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


def alike(one: Frame, other: Frame) -> bool:
    """Whether two photos are near-duplicates, whenever they were taken."""
    return (
        _distance(one, other) <= ALIKE.dhash
        and (one.phash ^ other.phash).bit_count() <= ALIKE.phash
        and near(one.look, other.look)
    )


def _distance(one: Frame, other: Frame) -> int:
    return (one.dhash ^ other.dhash).bit_count()


def _bursts(ordered: Sequence[Frame]) -> Iterator[tuple[int, int]]:
    timed = sorted((frame.at, place) for place, frame in enumerate(ordered) if frame.at is not None)
    for at, (when, place) in enumerate(timed):
        for later, other in timed[at + 1 : at + 1 + COMPARED]:
            if later - when > BURST_SECONDS:
                break
            if _distance(ordered[place], ordered[other]) <= BURST:
                yield min(place, other), max(place, other)


def _alike(ordered: Sequence[Frame]) -> Iterator[tuple[int, int]]:
    firsts = yield from _equal(ordered)
    for mask, flips in zip(_PARTS, _FLIPS, strict=True):
        lists: dict[int, list[int]] = defaultdict(list)
        for place in firsts:
            lists[ordered[place].dhash & mask].append(place)
        for place in firsts:
            left = COMPARED
            for flip in flips:
                others = lists.get(ordered[place].dhash & mask ^ flip)
                if not others or left <= 0:
                    continue
                after = bisect_right(others, place)
                for other in others[after : after + left]:
                    left -= 1
                    if alike(ordered[place], ordered[other]):
                        yield place, other


def _equal(ordered: Sequence[Frame]) -> Generator[tuple[int, int], None, list[int]]:
    """Those with equal hashes and looks, each with the next; returns the first of each such chain."""
    chains: dict[tuple[int, int], list[list[int]]] = defaultdict(list)
    firsts: list[int] = []
    for place, frame in enumerate(ordered):
        equal = chains[frame.dhash, frame.phash]
        for chain in equal[:COMPARED]:
            if near(ordered[chain[0]].look, frame.look):
                yield chain[1], place
                chain[1] = place
                break
        else:
            equal.append([place, place])
            firsts.append(place)
    return firsts


class _Sets:
    """A union-find (Tarjan); the root of a set is its first."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def root(self, place: int) -> int:
        while self._parent[place] != place:
            self._parent[place] = place = self._parent[self._parent[place]]
        return place

    def join(self, one: int, other: int) -> None:
        first, second = sorted((self.root(one), self.root(other)))
        self._parent[second] = first


class _Groups:
    """Sets of frames that show the same; within them, bursts, which know when they begin and end."""

    def __init__(self, ordered: Sequence[Frame]) -> None:
        self._frames = ordered
        self._groups, self._bursts = _Sets(len(ordered)), _Sets(len(ordered))
        self._members = {place: [place] for place in range(len(ordered))}
        self._span = {place: (frame.at, frame.at) for place, frame in enumerate(ordered) if frame.at is not None}

    def root(self, place: int) -> int:
        return self._groups.root(place)

    def join(self, one: int, other: int, *, burst: bool) -> None:
        shot = {self._bursts.root(one), self._bursts.root(other)} if burst else set()
        times = [at for root in shot for at in self._span[root]]
        if burst and max(times) - min(times) > SPAN_SECONDS:
            return
        first, second = sorted((self.root(one), self.root(other)))
        if first != second:
            if not self._fit(first, self._members[second], shot):
                return
            self._groups.join(first, second)
            self._members[first] += self._members.pop(second)
        if burst:
            self._bursts.join(one, other)
            self._span[self._bursts.root(one)] = min(times), max(times)

    def _fit(self, first: int, joining: list[int], shot: set[int]) -> bool:
        """Whether these may come to the group of that first frame, by a pair of the bursts `shot` if by any."""
        begin = self._frames[first]
        of_its_burst = shot if self._bursts.root(first) in shot else ()
        return all(
            _distance(begin, frame) <= CHAIN
            and (self._bursts.root(place) in of_its_burst or near(begin.look, frame.look))
            for place, frame in ((place, self._frames[place]) for place in joining)
        )
