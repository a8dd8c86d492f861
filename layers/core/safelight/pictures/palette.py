"""The few colours that say what a picture looks like: weighted k-means in CIELAB, without chance.

Pixels are first gathered into small cells of the colour space; the means begin at the heaviest cell and, one after the
other, at the cell that is farthest from all means so far, weighed (k-means++ with the draw taken out of it). Sources:
CIE 15:2004 for CIELAB; Arthur and Vassilvitskii, "k-means++", SODA 2007; IEC 61966-2-1 for sRGB.
"""

import math

_CELL = 8.0
_ROUNDS = 4
# No mean begins nearer than this (Delta E 1976) to another: that would be one colour to the eye.
_SAME = 8.0

type Colour = tuple[float, float, float]


def dominant(pixels: list[Colour], count: int) -> list[tuple[str, float]]:
    """At most `count` colours of L*a*b* `pixels` as (#rrggbb, share of the pixels), the largest share first."""
    cells: dict[tuple[int, int, int], list[float]] = {}
    for light, a, b in pixels:
        cell = cells.setdefault((int(light // _CELL), int(a // _CELL), int(b // _CELL)), [0.0, 0.0, 0.0, 0.0])
        cell[0] += light
        cell[1] += a
        cell[2] += b
        cell[3] += 1
    weighed = [((s0 / n, s1 / n, s2 / n), n) for s0, s1, s2, n in sorted(cells.values(), key=lambda c: (-c[3], c))]
    means = _begin(weighed, count)
    groups: list[list[tuple[Colour, float]]] = []
    for _ in range(_ROUNDS):
        groups = [[] for _ in means]
        for colour, weight in weighed:
            distances = [_distance(colour, mean) for mean in means]
            groups[distances.index(min(distances))].append((colour, weight))
        groups = [group for group in groups if group]
        moved = [_mean(group) for group in groups]
        if moved == means:
            break
        means = moved
    total = float(len(pixels))
    found = [
        (sum(weight for _, weight in group) / total, _hex(mean)) for mean, group in zip(means, groups, strict=True)
    ]
    return [(colour, round(share, 4)) for share, colour in sorted(found, key=lambda one: (-one[0], one[1]))]


def chroma(colour: str) -> tuple[float, float]:
    """a* and b* of a colour #rrggbb of sRGB, under D65."""
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    x = _root((0.4124564 * red + 0.3575761 * green + 0.1804375 * blue) / 0.95047)
    y = _root(0.2126729 * red + 0.7151522 * green + 0.0721750 * blue)
    z = _root((0.0193339 * red + 0.1191920 * green + 0.9503041 * blue) / 1.08883)
    return 500 * (x - y), 200 * (y - z)


def _begin(weighed: list[tuple[Colour, float]], count: int) -> list[Colour]:
    means = [weighed[0][0]]
    nearest = [_distance(colour, means[0]) for colour, _ in weighed]
    while len(means) < count:
        gain, at = max((distance * weight, -index) for index, ((_, weight), distance) in
                       enumerate(zip(weighed, nearest, strict=True)) if distance > _SAME**2 or not index)  # fmt: skip
        if gain <= 0:
            break
        means.append(weighed[-at][0])
        nearest = [min(old, _distance(colour, means[-1])) for old, (colour, _) in zip(nearest, weighed, strict=True)]
    return means


def _distance(one: Colour, other: Colour) -> float:
    return (one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2 + (one[2] - other[2]) ** 2


def _mean(group: list[tuple[Colour, float]]) -> Colour:
    total = sum(weight for _, weight in group)
    light, a, b = (sum(colour[axis] * weight for colour, weight in group) / total for axis in range(3))
    return light, a, b


def _hex(colour: Colour) -> str:
    """The sRGB of a colour under D65, cut at the edge of the gamut."""
    y = (colour[0] + 16) / 116
    x, z = y + colour[1] / 500, y - colour[2] / 200
    x, y, z = (white * (t**3 if t > 6 / 29 else 3 * (6 / 29) ** 2 * (t - 4 / 29))
               for white, t in ((0.95047, x), (1.0, y), (1.08883, z)))  # fmt: skip
    linear = (
        3.2404542 * x - 1.5371385 * y - 0.4985314 * z,
        -0.9692660 * x + 1.8760108 * y + 0.0415560 * z,
        0.0556434 * x - 0.2040259 * y + 1.0572252 * z,
    )
    return "#" + "".join(f"{_encode(value):02x}" for value in linear)


def _encode(value: float) -> int:
    value = min(1.0, max(0.0, value))
    return round(255 * (12.92 * value if value <= 0.0031308 else 1.055 * math.pow(value, 1 / 2.4) - 0.055))


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else math.pow((value + 0.055) / 1.055, 2.4)


def _root(t: float) -> float:
    return math.cbrt(t) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29
