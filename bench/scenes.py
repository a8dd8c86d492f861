"""Procedural photographs for the culling benchmark: scenes that differ, and bursts of one scene.

A scene is a light, a horizon, some large things and finer and finer detail, all drawn from its number. A frame of its
burst is the same scene as a hand-held camera would take it again: moved, cropped, lighter or darker, out of focus, with
grain, and saved at another quality.
"""

import io
import random
from functools import lru_cache

from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter

WIDTH, HEIGHT = 900, 600
# The most that a frame differs from the first of its burst: shares of the side, stops of light, px, levels.
SHIFT, CROP, STOPS, BLUR, GRAIN = 0.02, 0.03, 0.4, 2.0, 8.0


@lru_cache(maxsize=1)
def scene(number: int) -> Image.Image:
    """Scene `number`: the same for the same number."""
    dice = random.Random(number)
    image = _light(dice)
    draw = ImageDraw.Draw(image)
    for _ in range(dice.randint(4, 9)):
        _thing(draw, dice)
    detail = Image.new("RGB", image.size, "gray")
    for cells, weight in ((8, 0.9), (24, 0.5), (90, 0.35), (300, 0.25)):
        across, down = cells, max(1, cells * HEIGHT // WIDTH)
        noise = Image.frombytes("RGB", (across, down), dice.randbytes(across * down * 3))
        detail = Image.blend(detail, noise.resize(image.size, Image.Resampling.BICUBIC), weight)
    return Image.blend(image, detail, dice.uniform(0.15, 0.45))


def frame(number: int, shot: int) -> Image.Image:
    """Frame `shot` of the burst of scene `number`; the first, 0, is the scene itself but for its edges."""
    dice = random.Random(number * 1000 + shot)
    crop = CROP if shot == 0 else CROP * dice.uniform(0.5, 1.5)
    shift = 0.0 if shot == 0 else SHIFT
    dx, dy = (dice.uniform(-shift, shift) * side for side in (WIDTH, HEIGHT))
    left, top = WIDTH * (crop + 0.01) + dx, HEIGHT * (crop + 0.01) + dy
    right, bottom = WIDTH * (0.99 - crop) + dx, HEIGHT * (0.99 - crop) + dy
    image = scene(number).crop((int(left), int(top), int(right), int(bottom)))
    if shot == 0:
        return image
    image = ImageEnhance.Brightness(image).enhance(2 ** dice.uniform(-STOPS, STOPS))
    image = image.filter(ImageFilter.GaussianBlur(dice.uniform(0, BLUR)))
    return grainy(image, dice.uniform(0, GRAIN), dice)


def jpeg(image: Image.Image, quality: int) -> bytes:
    """The frame as a file."""
    target = io.BytesIO()
    image.save(target, "JPEG", quality=quality)
    return target.getvalue()


def quality(number: int, shot: int) -> int:
    """At which quality that frame was saved."""
    return random.Random(f"quality {number} {shot}").randint(60, 95)


def grainy(image: Image.Image, sigma: float, dice: random.Random) -> Image.Image:
    """With grain of about `sigma` levels: the sum of three even noises is close enough to Gauss's."""
    if sigma <= 0:
        return image
    for _ in range(3):
        size = image.width * image.height * 3
        noise = Image.frombytes("RGB", image.size, dice.randbytes(size))
        # Even noise over 256 levels deviates by 74; three of them by 128.
        image = ImageChops.add(image, noise.point(lambda value: round((value - 128) * sigma / 128) + 128), offset=-128)
    return image


def _light(dice: random.Random) -> Image.Image:
    # From a plain wall, whose hashes are all alike, to a room with many lights.
    across, down = dice.choice(((2, 2), (3, 3), (5, 3), (6, 4)))
    corners = Image.frombytes("RGB", (across, down), bytes(dice.randint(30, 225) for _ in range(across * down * 3)))
    image = corners.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    if dice.random() < 0.6:
        horizon = int(HEIGHT * dice.uniform(0.3, 0.75))
        ground = Image.new("RGB", (WIDTH, HEIGHT - horizon), tuple(dice.randint(20, 180) for _ in range(3)))
        image.paste(Image.blend(image.crop((0, horizon, WIDTH, HEIGHT)), ground, 0.7), (0, horizon))
    return image


def _thing(draw: ImageDraw.ImageDraw, dice: random.Random) -> None:
    x, y = dice.uniform(0, WIDTH), dice.uniform(0, HEIGHT)
    rx, ry = (dice.uniform(0.05, 0.3) * HEIGHT for _ in range(2))
    colour = tuple(dice.randint(0, 255) for _ in range(3))
    kind = dice.choice(("ellipse", "rectangle", "polygon"))
    box = (x - rx, y - ry, x + rx, y + ry)
    if kind == "ellipse":
        draw.ellipse(box, fill=colour)
    elif kind == "rectangle":
        draw.rectangle(box, fill=colour)
    else:
        draw.polygon([(x + rx * dice.uniform(-1, 1), y + ry * dice.uniform(-1, 1)) for _ in range(5)], fill=colour)
