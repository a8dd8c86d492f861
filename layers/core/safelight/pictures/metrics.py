"""The figures of a picture, by libvips: no numpy, about as long as one of its renditions takes.

Everything is taken of an 800 px copy, so that photos of different cameras compare. docs/analyses.md has the formulas.
"""

import array
import math

import pyvips

from . import palette
from .measures import COLUMNS, PALETTE, SIDE, VERSION, Metrics

_LAPLACE = pyvips.Image.new_from_array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
_IMMERKAER = pyvips.Image.new_from_array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])
# Red minus green, and half of red and green minus blue: Hasler and Suesstrunk's opponent colours.
_OPPONENT = pyvips.Image.new_from_array([[1, -1, 0], [0.5, 0.5, -1]])
_DARK, _BRIGHT = 2, 253
# Smaller ones have no edges of their own.
_LEAST_TILE = 8.0
_COSINES = [[math.cos(math.pi * u * (2 * x + 1) / 64) for x in range(32)] for u in range(8)]


def measure(image: pyvips.Image) -> Metrics:
    """Every figure of an upright 8-bit sRGB picture of any size. The same picture gives the same figures."""
    small = image.thumbnail_image(SIDE, height=SIDE, size="down").copy_memory()
    gray = small.colourspace("b-w").extract_band(0).copy_memory()
    columns, rows, tiles = _tiles(gray)
    return {
        "sharpness": _percentile(tiles, 0.9),
        "tiles": {"columns": columns, "rows": rows, "sharpness": tiles},
        **_tones(gray),
        "noise": _noise(gray),
        "colourfulness": _colourfulness(small),
        "palette": _palette(small),
        "dhash": f"{dhash(gray):016x}",
        "phash": f"{phash(gray):016x}",
        "version": VERSION,
    }


def _tiles(gray: pyvips.Image) -> tuple[int, int, list[float]]:
    """Standard deviation of the Laplacian in each tile, row by row; tiles are about square, 12 along the long side."""
    side = max(max(gray.width, gray.height) / COLUMNS, _LEAST_TILE)
    columns, rows = max(1, round(gray.width / side)), max(1, round(gray.height / side))
    wide, high = gray.width // columns, gray.height // rows
    edges = gray.cast("short").conv(_LAPLACE, precision="integer").cast("float")
    left, top = (gray.width - wide * columns) // 2, (gray.height - high * rows) // 2
    both = edges.bandjoin(edges * edges).crop(left, top, wide * columns, high * rows)
    means = array.array("f", bytes(both.shrink(wide, high).write_to_memory()))
    found = zip(means[::2], means[1::2], strict=True)
    return columns, rows, [round(math.sqrt(max(0.0, square - mean * mean)), 2) for mean, square in found]


def _tones(gray: pyvips.Image) -> dict[str, float]:
    counts = array.array("I", bytes(gray.hist_find().cast("uint").write_to_memory()))
    total = sum(counts)
    mean = sum(level * count for level, count in enumerate(counts)) / total
    variance = sum(count * (level - mean) ** 2 for level, count in enumerate(counts)) / total
    low, high = _level(counts, 0.05 * total), _level(counts, 0.95 * total)
    return {
        "brightness": round(mean / 255, 4),
        "shadows": round(sum(counts[: _DARK + 1]) / total, 5),
        "highlights": round(sum(counts[_BRIGHT:]) / total, 5),
        "contrast": round(math.sqrt(variance) / 255, 4),
        "tonal_range": round((high - low) / 255, 4),
    }


def _level(counts: array.array[int], wanted: float) -> int:
    seen = 0
    for level, count in enumerate(counts):
        seen += count
        if seen >= wanted:
            return level
    return len(counts) - 1


def _noise(gray: pyvips.Image) -> float:
    if gray.width < 3 or gray.height < 3:
        return 0.0
    inner = gray.cast("short").conv(_IMMERKAER, precision="integer").crop(1, 1, gray.width - 2, gray.height - 2)
    return round(float(inner.abs().avg()) * math.sqrt(math.pi / 2) / 6, 3)


def _colourfulness(image: pyvips.Image) -> float:
    # Of every second pixel each way: the figure moves by less than it is rounded to in words.
    few = image.subsample(2, 2) if min(image.width, image.height) > 1 else image
    stats = few.cast("float").recomb(_OPPONENT).stats()
    # Columns 4 and 5 of `stats` are mean and standard deviation, one row for each band; NaN for a single pixel.
    (mean_rg, dev_rg), (mean_yb, dev_yb) = ([stats(x, band)[0] for x in (4, 5)] for band in (1, 2))
    spread = math.hypot(dev_rg, dev_yb) if few.width * few.height > 1 else 0.0
    return round(spread + 0.3 * math.hypot(mean_rg, mean_yb), 2)


def _palette(image: pyvips.Image) -> list[dict[str, str | float]]:
    # Every n-th pixel and not an average of them, which would be a colour that is nowhere in the picture.
    every = max(1, max(image.width, image.height) // 32)
    few = (
        image.subsample(every, every)
        if min(image.width, image.height) >= every
        else image.thumbnail_image(32, height=32, size="down")
    )
    lab = array.array("f", bytes(few.colourspace("lab").cast("float").write_to_memory()))
    pixels = list(zip(lab[::3], lab[1::3], lab[2::3], strict=True))
    return [{"colour": colour, "share": share} for colour, share in palette.dominant(pixels, PALETTE)]


def _percentile(values: list[float], share: float) -> float:
    """The nearest rank: the least value that is not below `share` of them."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def dhash(gray: pyvips.Image) -> int:
    """Of 9 x 8 means, whether each is darker than its right neighbour: 64 bits, the upper left first."""
    means = bytes(gray.thumbnail_image(9, height=8, size="force").write_to_memory())
    bits = 0
    for row in range(0, 72, 9):
        for at in range(row, row + 8):
            bits = bits << 1 | (means[at] < means[at + 1])
    return bits


def phash(gray: pyvips.Image) -> int:
    """Of the 8 x 8 lowest frequencies of a 32 x 32 copy, which are above their median: 64 bits, the lowest first."""
    means = bytes(gray.thumbnail_image(32, height=32, size="force").write_to_memory())
    lines = [[float(value) for value in means[at : at + 32]] for at in range(0, 1024, 32)]
    across = [[sum(map(float.__mul__, line, wave)) for line in lines] for wave in _COSINES]
    waves = [sum(map(float.__mul__, across[u], _COSINES[v])) for v in range(8) for u in range(8)]
    middle = sorted(waves[1:])[31]
    bits = 0
    for wave in waves:
        # A flat picture has no waves but those of rounding.
        bits = bits << 1 | (wave - middle > 0.01)
    return bits
