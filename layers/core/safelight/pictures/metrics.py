"""The figures of a picture, by libvips: no numpy, about as long as one of its renditions takes.

Everything is taken of an 800 px copy, so that photos of different cameras compare. docs/analyses.md has the formulas.
"""

import array
import math

import pyvips

from . import palette
from .measures import COLUMNS, PALETTE, SIDE, VERSION, Metrics

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
    edges, noise = _filtered(gray)
    columns, rows, tiles = _tiles(edges)
    return {
        "sharpness": _percentile(tiles, 0.9),
        "tiles": {"columns": columns, "rows": rows, "sharpness": tiles},
        **_tones(gray),
        "noise": _noise(noise),
        "colourfulness": _colourfulness(small),
        "palette": _palette(small),
        "dhash": f"{dhash(gray):032x}",
        "phash": f"{phash(gray):016x}",
        "version": VERSION,
    }


def _filtered(gray: pyvips.Image) -> tuple[pyvips.Image, pyvips.Image]:
    """The Laplacian [0 1 0; 1 -4 1; 0 1 0] and Immerkaer's [1 -2 1; -2 4 -2; 1 -2 1] of a picture, as float.

    By adding the picture to itself, moved by a pixel: whole numbers, so the same as a convolution, in half of its time.
    Beyond the edge, the edge goes on.
    """
    wide, high = gray.width, gray.height
    framed = gray.embed(1, 1, wide + 2, high + 2, extend="copy").copy_memory()
    # In memory what is read more than once: it would be made again each time.
    beside = (framed.crop(0, 0, wide, high + 2) + framed.crop(2, 0, wide, high + 2)).copy_memory()
    sides = beside.crop(0, 1, wide, high) + framed.crop(1, 0, wide, high) + framed.crop(1, 2, wide, high)
    corners = beside.crop(0, 0, wide, high) + beside.crop(0, 2, wide, high)
    edges = (sides - gray * 4).copy_memory()
    return edges, corners - gray * 4 - edges * 2


def _tiles(edges: pyvips.Image) -> tuple[int, int, list[float]]:
    """Standard deviation of the Laplacian in each tile, row by row; tiles are about square, 12 along the long side."""
    side = max(max(edges.width, edges.height) / COLUMNS, _LEAST_TILE)
    columns, rows = max(1, round(edges.width / side)), max(1, round(edges.height / side))
    wide, high = edges.width // columns, edges.height // rows
    left, top = (edges.width - wide * columns) // 2, (edges.height - high * rows) // 2
    whole = edges.crop(left, top, wide * columns, high * rows)
    means, squares = (
        array.array("f", bytes(each.shrink(wide, high).write_to_memory())) for each in (whole, whole * whole)
    )
    found = zip(means, squares, strict=True)
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


def _noise(filtered: pyvips.Image) -> float:
    if filtered.width < 3 or filtered.height < 3:
        return 0.0
    inner = filtered.crop(1, 1, filtered.width - 2, filtered.height - 2)
    return round(float(inner.abs().avg()) * math.sqrt(math.pi / 2) / 6, 3)


def _colourfulness(image: pyvips.Image) -> float:
    # Of every second pixel each way: the figure moves by less than it is rounded to in words.
    few = image.subsample(2, 2).copy_memory() if min(image.width, image.height) > 1 else image
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
    """Of 9 x 8 means, whether each is darker than its right neighbour; of 8 x 9, whether it is darker than the one
    below: 128 bits, rows first, the upper left first."""
    # Each by its own reduction: cells of a common smaller copy tell fewer scenes apart.
    across, down = (
        bytes(gray.thumbnail_image(wide, height=high, size="force").write_to_memory())
        for wide, high in ((9, 8), (8, 9))
    )
    bits = 0
    for row in range(0, 72, 9):
        for at in range(row, row + 8):
            bits = bits << 1 | (across[at] < across[at + 1])
    for at in range(64):
        bits = bits << 1 | (down[at] < down[at + 8])
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
