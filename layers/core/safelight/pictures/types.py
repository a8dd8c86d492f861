"""What processing a picture yields."""

from dataclasses import dataclass
from datetime import datetime

from safelight.splice import Splice

from .measures import Metrics

# Long side in px, in the order in which they are made; `grayscale` is `preview` without its colours.
SIZES = {"large": 2560, "preview": 1600, "thumb": 400, "grayscale": 1600}

type Camera = dict[str, str | int | float]


@dataclass(frozen=True, slots=True)
class Rendition:
    """One JPEG made from the original: sRGB (or gray), upright, without any metadata."""

    name: str
    data: bytes
    content_type: str
    width: int
    height: int
    crc32: int


@dataclass(frozen=True, slots=True)
class Clean:
    """The original without what it tells about people, and the checks of that file (`sha256` in hex)."""

    splice: Splice
    crc32: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """Everything learned and made from one upload.

    `width` and `height` are px of the original as displayed (EXIF orientation applied); `thumbhash` is base64.
    `taken_at` is aware: with the camera's UTC offset when it recorded one, otherwise the camera's wall clock labelled
    UTC (then `camera` has no `utc_offset`). `sha256` (hex) and `crc32` are of the original bytes;
    `metrics` are what `measures` describes. `clean` is None where a file is laid out in a way that cannot be cleaned.
    """

    width: int
    height: int
    thumbhash: str
    taken_at: datetime | None
    camera: Camera
    format: str
    renditions: tuple[Rendition, ...]
    metrics: Metrics
    clean: Clean | None
    sha256: str
    crc32: int
