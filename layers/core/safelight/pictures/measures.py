"""What is measured of a picture: the shape of the figures, and the check of what a child claims to have measured.

docs/analyses.md has formula, unit, range and source of each. No libvips here: the product reads figures without it.
"""

import re
from typing import Any

from .checks import items, members, number, text, whole

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
    """`value` if it is what `metrics.measure` gives, and nothing else. Raises Garbled."""
    metrics = members(value, [*RANGES, "tiles", "palette", *_HASHES, "version"])
    for name, (least, most) in RANGES.items():
        number(metrics[name], least, most)
    tiles = members(metrics["tiles"], ["columns", "rows", "sharpness"])
    tile_count = whole(tiles["columns"], 1, COLUMNS) * whole(tiles["rows"], 1, COLUMNS)
    for one in items(tiles["sharpness"], tile_count, tile_count):
        number(one, *RANGES["sharpness"])
    for entry in items(metrics["palette"], 1, PALETTE):
        colour = members(entry, ["colour", "share"])
        number(colour["share"], 0.0, 1.0)
        text(colour["colour"], _COLOUR)
    for name, shape in _HASHES.items():
        text(metrics[name], shape)
    whole(metrics["version"], VERSION, VERSION)
    return metrics
