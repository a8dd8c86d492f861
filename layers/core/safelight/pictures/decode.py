"""The one decode of a picture: down to the largest rendition, upright, 8-bit sRGB, on white.

Options that are not obvious, each measured with libvips 8.18 and pyvips 3.2:
- `fail_on` given to `thumbnail_*` is ignored and a cut-off file would pass; only the loader's own option string counts.
- A profile is converted from after the reduction, and only where there is one other than sRGB: `output_profile` costs a
  24 MP picture without a profile four times its processing, for nothing.
- Turned last and in memory: `thumbnail` would copy the picture once more to turn it.
- `thumbnail_source` takes a smaller page of a TIFF, or the thumbnail within an AVIF, for the picture's own reduction,
  which it need not be, and of a TIFF one that is too small: these are loaded whole.
- `linear=True` and shrinking in the JPEG decoder are five times slower and visibly softer, respectively.
"""

from contextlib import suppress
from dataclasses import dataclass

import pyvips

from . import heic, nclx
from .facts import Facts
from .profiles import is_srgb
from .types import SIZES

_SIDE = SIZES["large"]
_ON_ITS_SIDE = (5, 6, 7, 8)
_LAB = ("lab", "labs")


@dataclass(frozen=True, slots=True)
class Decoded:
    """`image` in memory, at most 2560 px long; `width` and `height` px of the original as displayed; its EXIF block."""

    image: pyvips.Image
    width: int
    height: int
    exif: bytes | None


def decode(data: bytes, facts: Facts) -> Decoded:
    """Raises `pyvips.Error` and `heic.UndecodableHeic` with what the library said, and `UnreadablePicture` for a size
    that only the decoder finds."""
    if facts.format == "heic":
        whole = heic.read(data, facts, _SIDE)
        image, width, height, exif, orientation = whole.image, whole.width, whole.height, whole.exif, 1
    else:
        header = pyvips.Image.new_from_source(pyvips.Source.new_from_memory(data), "")
        facts.admit(header.width, header.height)
        width, height, exif = header.width, header.height, _block(header, data, facts)
        orientation = _orientation(header, facts)
        image = _reduced(data, header, facts)
    image = _flat(_srgb(image, facts)).copy_memory()
    if orientation in range(2, 9):
        image = _upright(image, orientation).copy_memory()
        width, height = (height, width) if orientation in _ON_ITS_SIDE else (width, height)
    # Done, and not to be done again where `thumbnail_image` meets it.
    image.remove("orientation")
    image.remove("icc-profile-data")
    return Decoded(image, width, height, exif)


def _reduced(data: bytes, header: pyvips.Image, facts: Facts) -> pyvips.Image:
    if header.interpretation == "multiband":
        # ICC L*a*b* and LogLuv in TIFF: their numbers would pass for red, green and blue.
        raise pyvips.Error("colours that are not supported")
    if header.interpretation in _LAB:
        # The white of TIFF's L*a*b* is D50, as Photoshop and libtiff have it; libvips' own arithmetic takes D65.
        light = _whole(data).colourspace("lab").icc_export(output_profile="srgb", pcs="lab", intent="relative", depth=8)
        return light.thumbnail_image(_SIDE, height=_SIDE, size="down", no_rotate=True)
    # Inks do not mix as light does: libvips leaves them before it reduces, by this profile or by one of its own.
    inks = {"output_profile": "srgb", "intent": "relative"} if header.interpretation == "cmyk" else {}
    if facts.format in ("tiff", "avif"):
        return _whole(data).thumbnail_image(_SIDE, height=_SIDE, size="down", no_rotate=True, **inks)
    return pyvips.Image.thumbnail_source(
        pyvips.Source.new_from_memory(data),
        _SIDE,
        height=_SIDE,
        size="down",
        no_rotate=True,
        option_string="[fail_on=truncated]",
        **inks,
    )


def _whole(data: bytes) -> pyvips.Image:
    """The first page in all its pixels, row by row."""
    source = pyvips.Source.new_from_memory(data)
    return pyvips.Image.new_from_source(source, "", access="sequential", fail_on="truncated")


def _srgb(image: pyvips.Image, facts: Facts) -> pyvips.Image:
    profile = _get(image, "icc-profile-data")
    if profile is None and facts.header.nclx and image.bands >= 3:
        profile = nclx.profile(*facts.header.nclx)
        if profile:
            image = image.copy()
            image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    known = image.interpretation == "srgb" and isinstance(profile, bytes) and is_srgb(profile)
    if isinstance(profile, bytes) and not known:
        # One that no engine understands says nothing, which is no reason to lose the photo.
        with suppress(pyvips.Error):
            image = image.icc_transform("srgb", intent="relative", embedded=True)
    return image if image.interpretation == "srgb" else image.colourspace("srgb")


def _flat(image: pyvips.Image) -> pyvips.Image:
    if image.hasalpha():
        image = image.flatten(background=[255, 255, 255])
    if image.bands > 3:
        image = image.extract_band(0, n=3)
    return image if image.format == "uchar" else image.cast("uchar")


def _orientation(header: pyvips.Image, facts: Facts) -> int:
    """As TIFF 6.0 and EXIF number it. The container of an AVIF turns it, and so does its loader, whatever EXIF says."""
    orientation = _get(header, "orientation")
    return orientation if isinstance(orientation, int) and facts.format != "avif" else 1


def _upright(image: pyvips.Image, orientation: int) -> pyvips.Image:
    turn = {3: "d180", 4: "d180", 5: "d90", 6: "d90", 7: "d270", 8: "d270"}.get(orientation)
    turned = image.rot(turn) if turn else image
    return turned.fliphor() if orientation in (2, 4, 5, 7) else turned


def _block(header: pyvips.Image, data: bytes, facts: Facts) -> bytes | None:
    block = data if facts.format == "tiff" else _get(header, "exif-data")
    return block if isinstance(block, bytes) else None


def _get(image: pyvips.Image, field: str) -> object:
    return image.get(field) if image.get_typeof(field) else None
