"""One decode feeds every rendition.

Options that are not obvious, each measured with libvips 8.18 and pyvips 3.2:
- `fail_on` given to `thumbnail_*` is ignored and a cut-off file would pass; only the loader's own option string counts.
- `output_profile` costs a 24 MP picture without a profile four times its processing, for nothing: so it is given only
  where there is a profile other than sRGB, or CMYK, to convert from.
- `linear=True` and shrinking in the JPEG decoder are five times slower and visibly softer, respectively.
"""

import base64
import hashlib
import zlib
from datetime import datetime

import pyvips
from thumbhash import rgba_to_thumb_hash

from . import exif, metrics
from .errors import UnreadablePicture
from .facts import Facts, inspect
from .profiles import is_srgb
from .types import SIZES, Camera, Rendered, Rendition

_QUALITY = 80
_HASH_SIDE = 32
_OUT_OF_MEMORY = ("out of memory", "insufficient memory", "unable to allocate", "cannot allocate")
_UNSUPPORTED = ("unsupported", "support for this compression format has not been built in", "bad labq format")

pyvips.cache_set_max(0)


def render(data: bytes) -> Rendered:
    """Renditions and facts of a picture, in this process and without limits: `child.render` is this behind a wall.

    Renditions are progressive JPEGs of quality 80 in sRGB, upright, transparency on white, never larger than the
    original, with no metadata. Raises `UnreadablePicture` for anything that is not a whole, acceptable photo.
    """
    facts = inspect(data)
    try:
        return _render(data, facts)
    except pyvips.Error as error:
        raise UnreadablePicture(_reason(str(error), facts)) from error


def _render(data: bytes, facts: Facts) -> Rendered:
    source = pyvips.Source.new_from_memory(data)
    header = pyvips.Image.new_from_source(source, "")
    width, height = header.width, header.height
    if _get(header, "orientation") in (5, 6, 7, 8):
        width, height = height, width
    taken_at, camera = _metadata(header, data, facts)

    large = _decode(data, header)
    del header, source
    preview = _shrink(large, SIZES["preview"])
    images = {
        "large": large,
        "preview": preview,
        "thumb": _shrink(preview, SIZES["thumb"]),
        "grayscale": preview.colourspace("b-w"),
    }
    return Rendered(
        width=width,
        height=height,
        thumbhash=_thumbhash(images["thumb"]),
        taken_at=taken_at,
        camera=camera,
        format=facts.format,
        renditions=tuple(_rendition(name, images[name]) for name in SIZES),
        metrics=metrics.measure(preview),
        sha256=hashlib.sha256(data).hexdigest(),
        crc32=zlib.crc32(data),
    )


def _decode(data: bytes, header: pyvips.Image) -> pyvips.Image:
    """The picture at most 2560 px long, upright, 8-bit sRGB without alpha, in memory."""
    side = SIZES["large"]
    colour: dict[str, str] = {}
    profile = _get(header, "icc-profile-data")
    foreign = isinstance(profile, bytes) and not (header.interpretation == "srgb" and is_srgb(profile))
    if foreign or header.interpretation == "cmyk":
        colour = {"output_profile": "srgb", "intent": "relative"}
    image = pyvips.Image.thumbnail_source(
        pyvips.Source.new_from_memory(data),
        side,
        height=side,
        size="down",
        option_string="[fail_on=truncated]",
        **colour,
    )
    if image.interpretation != "srgb":
        image = image.colourspace("srgb")
    if image.hasalpha():
        image = image.flatten(background=[255, 255, 255])
    if image.bands != 3 or image.format != "uchar":
        image = image.extract_band(0, n=3).cast("uchar") if image.bands > 3 else image.cast("uchar")
    return image.copy_memory()


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


def _metadata(header: pyvips.Image, data: bytes, facts: Facts) -> tuple[datetime | None, Camera]:
    block = data if facts.format == "tiff" else _get(header, "exif-data")
    return exif.read(block) if isinstance(block, bytes) else (None, {})


def _get(image: pyvips.Image, field: str) -> object:
    return image.get(field) if image.get_typeof(field) else None


def _reason(message: str, facts: Facts) -> str:
    said = message.lower()
    if any(words in said for words in _OUT_OF_MEMORY):
        return OUT_OF_MEMORY
    if any(words in said for words in _UNSUPPORTED) or facts.format == "heic":
        return (
            f"This {facts.format.upper()} picture is stored in a way that cannot be opened here. "
            "Export it as JPEG and upload again."
        )
    return (
        "This photo is damaged or was not copied completely. Check that it opens on your computer, "
        "then export it again and upload the new file."
    )


OUT_OF_MEMORY = "This photo takes too much memory to open. Export it smaller or as an ordinary JPEG and upload again."
