"""Painted landscapes for the demonstration gallery: light, ridges and water out of arithmetic, nothing downloaded."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pyvips

type Colour = tuple[int, int, int]

CAMERA = "Imaginary 12"
RIGHT_TOP = 6
"""EXIF orientation (CIPA DC-008, tag 0x0112): the camera was held upright, a viewer turns the picture by 90 degrees."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What to paint. `sun` is where it stands, in parts of width and height; `water` is the height of the shore."""

    title: str
    width: int
    height: int
    zenith: Colour
    horizon: Colour
    land: Colour
    sun: tuple[float, float] | None = None
    sun_colour: Colour = (255, 240, 205)
    ridges: int = 4
    water: float | None = None
    stars: bool = False
    turned: bool = False
    """Stored lying on its side with an EXIF orientation, as a camera held upright does."""


SCENES = (
    Scene("First light", 2400, 1600, (38, 52, 94), (255, 176, 122), (34, 30, 58), (0.68, 0.56), (255, 236, 190), 5),
    Scene("The quiet lake", 2400, 1600, (92, 150, 190), (238, 226, 206), (44, 74, 82), (0.3, 0.3), water=0.62),
    Scene(
        "Ember hour", 1600, 2400, (74, 28, 62), (255, 120, 64), (38, 14, 28), (0.5, 0.6), (255, 214, 140), turned=True
    ),
    Scene("Northern summer", 2400, 1350, (40, 96, 150), (190, 224, 224), (26, 62, 54), (0.8, 0.22), ridges=6),
    Scene(
        "Two moons short", 1800, 1800, (8, 10, 30), (44, 54, 104), (6, 8, 18), (0.72, 0.24), (228, 232, 246), stars=True
    ),
    Scene("Salt road", 2700, 1080, (118, 168, 204), (250, 236, 208), (176, 128, 92), (0.18, 0.28), ridges=3),
    Scene("Harbour wall", 2400, 1600, (196, 122, 134), (255, 214, 176), (74, 58, 88), (0.55, 0.52), water=0.6),
    Scene("Pine fog", 1600, 2000, (150, 166, 172), (222, 226, 220), (40, 56, 52), ridges=7, turned=True),
    Scene("After the storm", 2400, 1600, (46, 58, 78), (226, 196, 132), (30, 36, 44), (0.24, 0.58), (255, 232, 168)),
    Scene("Blue valley", 2000, 1500, (28, 60, 124), (150, 190, 226), (14, 34, 74), ridges=6),
    Scene(
        "Copper bay", 2400, 1350, (60, 34, 70), (244, 146, 92), (32, 20, 44), (0.74, 0.5), (255, 206, 140), water=0.64
    ),
    Scene("Last train", 1600, 2400, (10, 14, 40), (92, 62, 118), (10, 8, 24), (0.3, 0.2), (240, 226, 246), stars=True),
)


def paint(scene: Scene, *, taken: str, seed: int) -> bytes:
    """The scene as a JPEG with EXIF. `taken` is EXIF's `YYYY:MM:DD HH:MM:SS`; the same seed gives the same picture."""
    rng = random.Random(seed)  # noqa: S311 - brush strokes, no secret
    width, height = scene.width, scene.height
    grid = pyvips.Image.xyz(width, height).cast("float")
    x, y = grid[0], grid[1]
    picture = _blend(_flat(grid, scene.zenith), _flat(grid, scene.horizon), (y / (0.72 * height)) ** 1.2)
    if scene.stars:
        night = pyvips.Image.gaussnoise(width, height, seed=seed)
        picture += (night > 128 + 3.6 * 30).ifthenelse(255, 0).gaussblur(1.5) * (1 - y / height) * 8
    if scene.sun is not None:
        away = ((x - scene.sun[0] * width) ** 2 + (y - scene.sun[1] * height) ** 2) ** 0.5
        radius = 0.045 * min(width, height)
        glow = (away / (-7 * radius)).exp() * 0.75
        picture = _blend(picture, _flat(grid, scene.sun_colour), glow)
        picture = _blend(picture, _flat(grid, scene.sun_colour), (away - radius) * -0.5)
    shore = scene.water or 1.0
    for number in range(scene.ridges):
        near = (number + 1) / scene.ridges
        base, rise = height * (0.46 + (shore - 0.46) * near * 0.9), height * 0.1 * (1.2 - near * 0.6)
        line = _ridge(rng, width, height, base, rise)
        haze = [near * land + (1 - near) * sky for land, sky in zip(scene.land, scene.horizon, strict=True)]
        picture = _blend(picture, _flat(grid, haze), y - line)
    if scene.water is not None:
        picture = _reflect(picture, x, y, scene, rng)
    picture += pyvips.Image.gaussnoise(width, height, mean=0, sigma=2.2, seed=seed + 1)
    picture = picture.cast("uchar").copy(interpretation="srgb")
    return _jpeg(picture, scene, taken)


def _ridge(rng: random.Random, width: int, height: int, base: float, rise: float) -> Any:
    """A line of hills: long waves with sharper ones on them, in pixels from the top."""
    x = pyvips.Image.xyz(width, 1).cast("float")[0]
    line = x * 0 + base + rise
    for octave in range(6):
        degrees = x * (360 * 1.1 * 1.9**octave / width) + rng.uniform(0, 360)
        line -= degrees.math("sin").abs() * (rise / 1.75**octave)
    # the same in every row: computed once
    return line.copy_memory().replicate(1, height)


def _reflect(picture: Any, x: Any, y: Any, scene: Scene, rng: random.Random) -> Any:
    """Below the shore the picture stands on its head, darker and broken by small waves."""
    assert scene.water is not None
    shore = scene.water * scene.height
    depth = (y - shore).abs()
    waves = (y * 9 + (x * 0.35 + rng.uniform(0, 360)).math("sin") * 30).math("sin") * (depth * 0.03 + 1)
    mirrored = picture.mapim((x * (1 - 80 / scene.width) + 40 + waves).bandjoin(shore - depth * 1.15 + waves * 0.4))
    water = mirrored * 0.78 + [scene.zenith[0] * 0.14, scene.zenith[1] * 0.14, scene.zenith[2] * 0.16]
    return _blend(picture, water, y - shore)


def _flat(grid: Any, colour: Any) -> Any:
    return pyvips.Image.black(grid.width, grid.height, bands=3).linear([1, 1, 1], list(colour)).cast("float")


def _blend(below: Any, above: Any, weight: Any) -> Any:
    """`above` over `below`; a weight under 0 or over 1 counts as 0 or 1, so a distance in pixels is a smooth edge."""
    share = (weight * 255).cast("uchar").cast("float") / 255  # the cast to bytes clips
    return below + (above - below) * share


def _jpeg(picture: Any, scene: Scene, taken: str) -> bytes:
    if scene.turned:
        picture = picture.rot270()
    picture = picture.copy()
    picture.set_type(pyvips.GValue.gint_type, "orientation", RIGHT_TOP if scene.turned else 1)
    for name, text in (
        ("exif-ifd0-Make", "Safelight"),
        ("exif-ifd0-Model", CAMERA),
        ("exif-ifd0-ImageDescription", scene.title),
        ("exif-ifd2-DateTimeOriginal", taken),
    ):
        picture.set_type(pyvips.GValue.gstr_type, name, text)
    data: bytes = picture.jpegsave_buffer(Q=88, optimize_coding=True)
    return data
