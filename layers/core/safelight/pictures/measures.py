"""What is measured of a picture: the shape of the figures, and the check of what a child claims to have measured.

docs/analyses.md has formula, unit, range and source of each. No libvips here: the product reads figures without it.
"""

import math
import re
from typing import Any

VERSION = 2
# Figures are taken of a copy with this long side, px: what is comparable between photos must not follow the camera.
SIDE = 800
COLUMNS = 12
PALETTE = 5
# Lowest and highest value of each figure.
RANGES = {
    "sharpness": (0.0, 2048.0),
    "brightness": (0.0, 1.0),
    "shadows": (0.0, 1.0),
    "highlights": (0.0, 1.0),
    "contrast": (0.0, 1.0),
    "tonal_range": (0.0, 1.0),
    "noise": (0.0, 2048.0),
    "colourfulness": (0.0, 512.0),
}
_HASHES = {"dhash": re.compile(r"[0-9a-f]{32}"), "phash": re.compile(r"[0-9a-f]{16}")}
_COLOUR = re.compile(r"#[0-9a-f]{6}")

# JSON, as it lies in the database: RANGES' figures, `tiles` {columns, rows, sharpness [row by row]}, `palette`
# [{colour, share}], `dhash`, `phash` and `version`.
type Metrics = dict[str, Any]


def checked(value: object) -> Metrics:
    """`value` if it is what `metrics.measure` gives, and nothing else. Raises ValueError, TypeError or KeyError."""
    if not isinstance(value, dict) or set(value) != {*RANGES, "tiles", "palette", "dhash", "phash", "version"}:
        raise ValueError("metrics")
    for name, (least, most) in RANGES.items():
        _within(value[name], least, most)
    tiles, palette = value["tiles"], value["palette"]
    if set(tiles) != {"columns", "rows", "sharpness"} or type(tiles["columns"]) is not int:
        raise ValueError("tiles")
    if len(tiles["sharpness"]) != tiles["columns"] * tiles["rows"] or not 1 <= len(tiles["sharpness"]) <= COLUMNS**2:
        raise ValueError("tiles")
    for one in tiles["sharpness"]:
        _within(one, *RANGES["sharpness"])
    if not isinstance(palette, list) or not 1 <= len(palette) <= PALETTE:
        raise ValueError("palette")
    for entry in palette:
        _within(entry["share"], 0.0, 1.0)
        if len(entry) != 2 or not _COLOUR.fullmatch(entry["colour"]):
            raise ValueError("palette")
    if value["version"] != VERSION or not all(shape.fullmatch(value[name]) for name, shape in _HASHES.items()):
        raise ValueError("hash")
    return value


def _within(value: object, least: float, most: float) -> None:
    if type(value) not in (int, float) or not isinstance(value, int | float):
        raise TypeError("a figure is a number")
    if not math.isfinite(value) or not least <= value <= most:
        raise ValueError("a figure is out of range")
