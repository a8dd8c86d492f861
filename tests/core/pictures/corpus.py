"""How a heap of uploads ends behind the process wall, seen from a small process of its own: `python -m` prints it.

A process of its own, because what the kernel calls the memory of a child starts with that of the process it was forked
from: under a test process that has grown to a gigabyte, every child seems to have one.

Its children are stricter than the product's: a system call that is not on the list ends them, so none goes unnoticed.
"""

import io
import json
import re
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from resource import RUSAGE_CHILDREN, getrusage

import psutil
from PIL import Image

from safelight.pictures import child
from safelight.pictures.errors import UnreadablePicture
from safelight.pictures.types import SIZES, Rendered
from tests.core.pictures.hostile import Upload, everything
from tests.core.pictures.samples import jpeg
from tests.core.sandbox import faulty

# What a library or Python would say, which tells a photographer nothing.
JARGON = re.compile(
    r"vips|heif_|libjpeg|Error|error:|exception|0x|\bNone\b|segment|marker|chunk|\bbox\b", re.IGNORECASE
)


@dataclass(slots=True)
class Endings:
    """`wrong`: what is wrong with which file; `reasons`: of those refused; `longest`: seconds and name of the slowest;
    `peak`: bytes of the largest child; `fell`: whether the warm process died on the way; `left`: children not reaped.
    """

    ready: int = 0
    wrong: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    longest: tuple[float, str] = (0.0, "")
    peak: int = 0
    fell: bool = False
    left: int = 0


def process(uploads: Iterable[Upload]) -> Endings:
    """Render every upload, two at a time."""
    endings = Endings()
    child.render(jpeg())
    warm = child.NURSERY._warm
    with ThreadPoolExecutor(2) as threads:
        for upload, result, seconds in threads.map(_timed, uploads):
            endings.wrong += complaints(upload, result)
            endings.longest = max(endings.longest, (seconds, upload.name))
            if isinstance(result, Rendered):
                endings.ready += 1
            else:
                endings.reasons.append(result)
    child.render(jpeg())
    endings.fell = child.NURSERY._warm != warm
    endings.left = _left(warm)
    child.NURSERY.close()
    endings.peak = getrusage(RUSAGE_CHILDREN).ru_maxrss * 1024  # the warm process and, through it, its children
    return endings


def outcome(upload: Upload) -> Rendered | str:
    """The renditions, or the reason why there are none. Any other end is an error of the product's."""
    try:
        return child.render(upload.data)
    except UnreadablePicture as error:
        return error.reason


def complaints(upload: Upload, result: Rendered | str) -> list[str]:
    """What is wrong with the outcome."""
    if upload.ready is not None and upload.ready != isinstance(result, Rendered):
        return [f"{upload.name}: {result if isinstance(result, str) else 'became a photo'}"]
    if isinstance(result, str):
        sentence = 20 < len(result) < 300 and result.endswith(".") and result.isprintable()
        stopped = "had to stop" in result or "takes too long" in result or "was stopped" in result
        return [f"{upload.name}: {result}"] if not sentence or stopped or JARGON.search(result) else []
    return [f"{upload.name}: {name}" for name in unsound(result)]


def unsound(made: Rendered) -> list[str]:
    """The renditions that another decoder does not open as what they should be."""
    found = []
    for rendition in made.renditions:
        with Image.open(io.BytesIO(rendition.data)) as image:
            image.load()
            sound = image.size == (rendition.width, rendition.height)
            sound &= max(image.size) <= SIZES[rendition.name] and not image.getexif()
            sound &= not {"exif", "icc_profile", "comment", "xmp"} & image.info.keys()
        if not sound:
            found.append(rendition.name)
    return found


def _left(warm: int) -> int:
    """How many children the warm process keeps; the last ones need a moment to end after their answers."""
    until = time.monotonic() + 60
    while (left := len(psutil.Process(warm).children())) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def _timed(upload: Upload) -> tuple[Upload, Rendered | str, float]:
    start = time.monotonic()
    return upload, outcome(upload), time.monotonic() - start


if __name__ == "__main__":
    child.NURSERY = faulty.strict()
    json.dump(asdict(process(everything())), sys.stdout)
