"""HEVC pictures in HEIF, which libvips' wheel does not decode: libheif with libde265, from the wheel of pi-heif.

Only that wheel's compiled module is used; the Python package around it would want Pillow, a second set of decoders.
"""

from dataclasses import dataclass

import _pi_heif
import pyvips

from .facts import Facts

_BANDS = {"L": 1, "I": 1, "RGB": 3, "RGBA": 4, "RGBa": 4}


class UndecodableHeic(Exception):
    """What libheif said."""


@dataclass(frozen=True, slots=True)
class Primary:
    """The primary picture upright: `image` reduced and in memory, `width` and `height` px before, its EXIF block."""

    image: pyvips.Image
    width: int
    height: int
    exif: bytes | None


def read(data: bytes, facts: Facts, side: int) -> Primary:
    """The primary picture at most `side` px long. Raises `UndecodableHeic`, `pyvips.Error`, `UnreadablePicture`.

    Turning and mirroring are properties of the container (irot, imir) and done here, once; the orientation in EXIF is
    for information only (ISO/IEC 23008-12, annex A) and stays unheeded. 10 and 12 bits come as 16.
    """
    try:
        pictures = _pi_heif.load_file(data, 0, 0, 0, 1, 1, "", 0)
        primary = next((picture for picture in pictures if picture is not None and picture.primary), None)
        if primary is None:
            raise UndecodableHeic("unsupported")
        facts.admit(*primary.size_mode[0])
        pixels = primary.data  # decodes
        (width, height), mode = primary.size_mode
        profile = primary.color_profile
    except SyntaxError as error:
        raise UndecodableHeic(f"unsupported: {error}") from error
    except (ValueError, RuntimeError, EOFError) as error:
        raise UndecodableHeic(str(error)) from error
    bands, deep = _BANDS[mode.partition(";")[0]], ";" in mode
    image = pyvips.Image.new_from_memory(pixels, width, height, bands, "ushort" if deep else "uchar")
    image = image.copy(interpretation=("grey16" if deep else "b-w") if bands == 1 else ("rgb16" if deep else "srgb"))
    if "a" in mode:
        image = image.unpremultiply().cast(image.format)
    if profile.get("type") in ("prof", "rICC") and profile["data"]:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile["data"])
    # Done here: the pixels are gone with `primary`, whatever still looks at them.
    image = image.thumbnail_image(side, height=side, size="down").copy_memory()
    del primary, pictures
    return Primary(image, width, height, _exif(data))


def _exif(data: bytes) -> bytes | None:
    """By libvips, which reads the boxes though not the picture: `_pi_heif` falls over a block of an odd kind."""
    try:
        header = pyvips.Image.new_from_source(pyvips.Source.new_from_memory(data), "")
    except pyvips.Error:
        return None
    block = header.get("exif-data") if header.get_typeof("exif-data") else None
    return block if isinstance(block, bytes) else None
