"""A face as the cascade sees one: dark eyes and brows under a bright forehead, a bright nose between cheeks."""

from PIL import Image, ImageDraw, ImageFilter

from tests.core.pictures.samples import scene


def portrait(*boxes: tuple[int, int, int], width: int = 1600, height: int = 1067) -> Image.Image:
    """A dim, soft background with a face of size `s` at (x, y) for each box."""
    soft = scene(width, height).filter(ImageFilter.GaussianBlur(20))
    image = soft.point(lambda value: int(value * 0.5 + 60))
    for x, y, size in boxes:
        _face(ImageDraw.Draw(image), x, y, size)
    return image.filter(ImageFilter.GaussianBlur(3))


def _face(draw: ImageDraw.ImageDraw, x: int, y: int, size: int) -> None:
    def oval(cx: float, cy: float, rx: float, ry: float, colour: tuple[int, int, int]) -> None:
        box = [x + (cx - rx) * size, y + (cy - ry) * size, x + (cx + rx) * size, y + (cy + ry) * size]
        draw.ellipse(box, fill=colour)

    oval(0.5, 0.5, 0.40, 0.52, (60, 40, 30))
    oval(0.5, 0.55, 0.34, 0.45, (214, 170, 140))
    for cx in (0.34, 0.66):
        oval(cx, 0.42, 0.11, 0.06, (120, 80, 62))
        oval(cx, 0.43, 0.075, 0.035, (245, 240, 235))
        oval(cx, 0.43, 0.035, 0.035, (40, 25, 20))
        brow = [x + (cx - 0.11) * size, y + 0.34 * size, x + (cx + 0.11) * size, y + 0.34 * size]
        draw.line(brow, fill=(60, 40, 30), width=max(1, int(0.035 * size)))
    oval(0.5, 0.6, 0.05, 0.1, (232, 192, 164))
    for cx in (0.47, 0.53):
        oval(cx, 0.68, 0.02, 0.015, (120, 80, 62))
    oval(0.5, 0.80, 0.13, 0.035, (150, 60, 60))
