"""One decode feeds every rendition."""

import base64
import hashlib
import zlib

import pyvips
from thumbhash import rgba_to_thumb_hash

from . import exif, heic, metrics, reasons
from .decode import decode
from .errors import UnreadablePicture
from .facts import Facts, inspect
from .strip import clean
from .types import SIZES, Rendered, Rendition

_QUALITY = 80
_HASH_SIDE = 32

pyvips.cache_set_max(0)


def render(data: bytes, *, hashed: bool = True) -> Rendered:
    """Renditions and facts of a picture, in this process and without limits: `child.render` is this behind a wall.

    Renditions are progressive JPEGs of quality 80 in sRGB, upright, transparency on white, never larger than the
    original, with no metadata. Raises `UnreadablePicture` for anything that is not a whole, acceptable photo. Hashes
    of the original are left out where nobody would believe them.
    """
    facts = inspect(data)
    try:
        return _render(data, facts, hashed=hashed)
    except (pyvips.Error, heic.UndecodableHeic) as error:
        raise UnreadablePicture(reasons.of(str(error), facts.format)) from error


def _render(data: bytes, facts: Facts, *, hashed: bool) -> Rendered:
    made = decode(data, facts)
    taken_at, camera = exif.read(made.exif) if made.exif else (None, {})
    preview = _shrink(made.image, SIZES["preview"])
    images = {
        "large": made.image,
        "preview": preview,
        "thumb": _shrink(preview, SIZES["thumb"]),
        "grayscale": preview.colourspace("b-w"),
    }
    return Rendered(
        width=made.width,
        height=made.height,
        thumbhash=_thumbhash(images["thumb"]),
        taken_at=taken_at,
        camera=camera,
        format=facts.format,
        renditions=tuple(_rendition(name, images[name]) for name in SIZES),
        metrics=metrics.measure(preview),
        clean=clean(data, facts.format),
        sha256=hashlib.sha256(data).hexdigest() if hashed else "",
        crc32=zlib.crc32(data) if hashed else 0,
    )


def _shrink(image: pyvips.Image, side: int) -> pyvips.Image:
    return image.thumbnail_image(side, height=side, size="down").copy_memory()


def _rendition(name: str, image: pyvips.Image) -> Rendition:
    data: bytes = image.jpegsave_buffer(Q=_QUALITY, interlace=True, optimize_coding=True, keep="none")
    return Rendition(name, data, "image/jpeg", image.width, image.height, zlib.crc32(data))


def _thumbhash(image: pyvips.Image) -> str:
    """Source: https://evanw.github.io/thumbhash/ (about 25 bytes that a browser turns into a blurred picture)."""
    small = image.thumbnail_image(_HASH_SIDE, height=_HASH_SIDE, size="down").bandjoin(255)
    code = rgba_to_thumb_hash(small.width, small.height, bytes(small.write_to_memory()))
    return base64.b64encode(bytes(code)).decode("ascii")
