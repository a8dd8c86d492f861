"""Whether two photos look alike in what their hashes do not see: how bright they are, their colours and their shape.

Hashes compare neighbouring levels of gray. A sky at noon and one at dusk may have the same one, and so may a portrait
cut out of a landscape.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

from safelight.pictures.palette import chroma

# How far two photos of one look are apart at most: a share of the full scale, Delta E within the a*b* plane, and a
# share of the aspect ratio, which rounding to whole pixels changes.
BRIGHTNESS, COLOURS, ASPECT = 0.2, 15.0, 0.02

_chroma = lru_cache(maxsize=65536)(chroma)


@dataclass(frozen=True, slots=True)
class Look:
    """`brightness` and `palette` (colour, share) as measured; `aspect` is width by height, 0 where nobody knows."""

    brightness: float
    palette: tuple[tuple[str, float], ...]
    aspect: float


def near(one: Look, other: Look) -> bool:
    """Whether nothing but the hashes could tell the two apart."""
    return (
        abs(one.brightness - other.brightness) <= BRIGHTNESS
        and abs(one.aspect - other.aspect) <= ASPECT * max(one.aspect, other.aspect)
        and (one.palette == other.palette or colours_apart(one, other) <= COLOURS)
    )


def colours_apart(one: Look, other: Look) -> float:
    """How far a colour of one palette is from the nearest of the other, weighed by its share; the worse way round."""
    first, second = _points(one), _points(other)
    return max(_way(first, second), _way(second, first))


def _points(look: Look) -> list[tuple[tuple[float, float], float]]:
    return [(_chroma(colour), share) for colour, share in look.palette]


def _way(first: list[tuple[tuple[float, float], float]], second: list[tuple[tuple[float, float], float]]) -> float:
    return sum(share * min(math.dist(point, other) for other, _ in second) for point, share in first)
